//! Gajim's window of commands: its list, and the forms.
//!
//! What is further down in a form has no place on the screen until the wheel has brought it there.

use tokio::time::Instant;

use crate::conversation::one_line;
use crate::desktop::Thing;
use crate::forms::{Commands, Entry, Fill, Named};
use crate::gajim::Gajim;
use crate::picture::Place;
use crate::scene::Contact;
use crate::story::{LOOK, PATIENCE};
use crate::support::Failure;

impl Commands for Gajim {
    async fn begin(&mut self, contact: &Contact, command: &Named) -> Result<(), Failure> {
        let things = self.0.things().await?;
        if !things.iter().any(|thing| thing.words == EXECUTE) {
            self.commands_of(contact).await?;
        }
        let item = self
            .0
            .until("no such command", |thing| {
                thing.role == "table cell" && thing.words == command.title && is_there(thing)
            })
            .await?;
        let (x, y) = item.place.middle();
        self.0.click(x, y).await?;
        self.0.press("push button", EXECUTE).await?;
        self.0
            .until("no form", |thing| is_title(thing, command))
            .await
            .map(drop)
    }

    async fn fill_in(&mut self, _command: &Named, entry: &Entry) -> Result<(), Failure> {
        match entry.fill {
            Fill::Line(text) | Fill::Lines(text) => {
                let field = self.field(entry, "text").await?;
                let (x, y) = field.place.middle();
                self.0.click(x, y).await?;
                self.0.type_over(text).await
            }
            Fill::Ticked(_, shown) => self.tick(shown).await,
            Fill::Chosen(_, shown) => {
                let list = self.field(entry, "combo box").await?;
                let (x, y) = list.place.middle();
                self.0.click(x, y).await?;
                let item = self
                    .0
                    .until("no such choice", |thing| {
                        thing.role == "menu item" && thing.words == shown && is_there(thing)
                    })
                    .await?;
                let (x, y) = item.place.middle();
                self.0.click(x, y).await?;
                self.0
                    .until("not chosen", |thing| {
                        thing.role == "combo box" && thing.words == shown
                    })
                    .await
                    .map(drop)
            }
        }
    }

    async fn submit(&mut self) -> Result<(), Failure> {
        self.0.press("push button", "Complete").await
    }

    async fn until_result(&mut self, words: &str) -> Result<(), Failure> {
        self.0
            .until(&format!("no {words:?}"), |thing| {
                one_line(&thing.words).contains(words)
            })
            .await
            .map(drop)
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.0.press("push button", "Commands").await
    }
}

/// The button of the list of commands.
const EXECUTE: &str = "Execute";

/// How far the buttons reach into the window with the form, from below.
const BUTTONS: i64 = 100;

/// A line that is cut is not clicked; so far into a form its labels begin.
const MARGIN: i64 = 10;

/// The window that was opened last, and all that is in it.
fn newest_window(things: &[Thing]) -> &[Thing] {
    let last = things.iter().rposition(|thing| thing.role == "frame");
    &things[last.unwrap_or_default()..]
}

fn is_there(thing: &Thing) -> bool {
    thing.place.width > 0 && thing.place.height > 0 && thing.place.x >= 0
}

fn is_title(thing: &Thing, command: &Named) -> bool {
    thing.role == "label" && thing.words == command.title && is_there(thing)
}

impl Gajim {
    /// Opens the window with the commands of a contact.
    async fn commands_of(&mut self, contact: &Contact) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        let row = loop {
            match self.row(contact).await? {
                Some(row) => break row,
                None if Instant::now() > end => {
                    return Err(Failure::new(format!("no {}", contact.name)));
                }
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let (x, y) = row.middle();
        self.0.click_right(x, y).await?;
        let item = self
            .0
            .until("no menu", |thing| thing.words == "Execute Command…")
            .await?;
        let (x, y) = item.place.middle();
        self.0.click(x, y).await
    }

    /// What stands right of the label of a field of the form, brought to where it can be clicked.
    async fn field(&mut self, entry: &Entry, role: &str) -> Result<Thing, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let things = self.0.things().await?;
            let form = newest_window(&things);
            let label = form.iter().find(|thing| {
                thing.role == "label" && is_there(thing) && thing.words.starts_with(entry.label)
            });
            let field = label.and_then(|label| {
                let (_, y) = label.place.middle();
                form.iter().find(|thing| {
                    let Place {
                        x, y: top, height, ..
                    } = thing.place;
                    thing.role == role && x > label.place.x && top <= y && y <= top + height
                })
            });
            match (form.first(), field.filter(|field| is_there(field))) {
                (Some(window), Some(field))
                    if field.place.middle().1 < window.place.y + window.place.height - BUTTONS =>
                {
                    return Ok(field.clone());
                }
                // What is further down has no place yet.
                _ => self.scroll_form(form).await?,
            }
            if Instant::now() > end {
                let screen = self.0.leave_picture("gajim-failed").await?;
                return Err(Failure::new(format!("no {} in\n{screen}", entry.label)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Turns the wheel among the labels: over a field it would change that.
    async fn scroll_form(&self, form: &[Thing]) -> Result<(), Failure> {
        match form.iter().find(|thing| thing.role == "scroll pane") {
            Some(form) => {
                let (x, y) = (form.place.x + MARGIN, form.place.middle().1);
                self.0.scroll_down(x, y).await
            }
            None => Ok(()),
        }
    }

    /// Ticks one of a choice of several, of which the list shows a few at once.
    async fn tick(&mut self, shown: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let things = self.0.things().await?;
            let form = newest_window(&things);
            let name = form.iter().position(|thing| thing.words == shown);
            let list = name.and_then(|name| {
                let before = form[..name].iter();
                before.rev().find(|thing| thing.role == "scroll pane")
            });
            // The next cell of its line is the box.
            if let (Some(list), Some(cell)) = (list, name.and_then(|name| form.get(name + 1))) {
                let (x, y) = cell.place.middle();
                let Place { y: top, height, .. } = list.place;
                if top + MARGIN < y && y < top + height - MARGIN {
                    return self.0.click(x, y).await;
                }
                if is_there(list) {
                    let (x, y) = list.place.middle();
                    self.0.scroll_down(x, y).await?;
                } else {
                    self.scroll_form(form).await?;
                }
            }
            if Instant::now() > end {
                let screen = self.0.leave_picture("gajim-failed").await?;
                return Err(Failure::new(format!("no {shown} in\n{screen}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
