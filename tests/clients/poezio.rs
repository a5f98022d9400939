//! poezio 0.14, in a terminal.

use std::time::Duration;

use tokio::time::Instant;

use crate::conversation::Converses;
use crate::forms::{Commands, Entry, Fill, Named};
use crate::scene::{COMPONENT, Contact, Scene};
use crate::stage::{HOME, PASSWORD};
use crate::story::{ChatClient, LOOK, PATIENCE, Shown, State, Texts, until};
use crate::support::Failure;
use crate::support::server::Kind;
use crate::terminal::Terminal;

/// Lines of the contact list, and some to spare.
const ROWS: usize = 8;

/// Between the contact list and what stands right of it.
const EDGE: char = '│';

pub(crate) struct Poezio(Terminal);

impl ChatClient for Poezio {
    const NAME: &str = "poezio";
    const TEXTS: Texts = Texts::Always;

    async fn start(scene: &Scene) -> Result<Self, Failure> {
        let home = scene.folder(Self::NAME)?;
        let settings = format!(
            "[Poezio]\njid = bob@localhost/poezio\npassword = {PASSWORD}\n\
             custom_host = 127.0.0.1\ncustom_port = {}\n\
             enable_vertical_tab_list = false\nroster_show_offline = true\n",
            scene.port()
        );
        let folder = home.join(".config/poezio");
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("poezio.cfg"), settings))
            .map_err(|error| Failure::new(format!("cannot set up {}: {error}", Self::NAME)))?;
        Ok(Self(Terminal::run(scene, Self::NAME, &home).await?))
    }

    async fn contact(&mut self, contact: &Contact) -> Result<Option<Shown>, Failure> {
        if !self.select(contact).await? {
            return Ok(None);
        }
        let screen = self.0.screen().await?;
        let Some(state) = selected(&screen, contact) else {
            return Ok(None);
        };
        // What is said of the contact has no text of who is offline; the line that told of it does.
        let text = if state == State::Offline {
            last_told(&screen, contact)
        } else {
            status(&screen)
        };
        Ok(Some(Shown { state, text }))
    }

    async fn leave_picture(&mut self, picture: &str) -> Result<String, Failure> {
        self.0.leave_picture(picture).await
    }
}

impl Converses for Poezio {
    async fn open(&mut self) -> Result<(), Failure> {
        // Where the server has no archive, the message that opens a conversation is not shown in it.
        order(&self.0, &format!("message {HOME}")).await
    }

    async fn words(&mut self) -> Result<String, Failure> {
        self.0.words().await
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.0.type_in(line).await?;
        self.0.until_line(line).await?;
        self.0.press(&["Enter"]).await
    }
}

impl Poezio {
    /// Goes through the contact list until the contact is the selected one.
    async fn select(&self, contact: &Contact) -> Result<bool, Failure> {
        if selected(&self.0.screen().await?, contact).is_some() {
            return Ok(true);
        }
        self.0.press(&["Up"; ROWS]).await?;
        for _ in 0..ROWS {
            self.0.press(&["Down"]).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            if selected(&self.0.screen().await?, contact).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Commands for Poezio {
    async fn begin(&mut self, contact: &Contact, command: &Named) -> Result<(), Failure> {
        self.0.until("bob@localhost").await?;
        let title = list_of(contact);
        run_command(&self.0, &title, contact.address, command.title).await?;
        self.0.until(command.title).await?;
        self.0.until(SEND).await
    }

    async fn fill_in(&mut self, _command: &Named, entry: &Entry) -> Result<(), Failure> {
        let terminal = &self.0;
        terminal.until(entry.label).await?;
        let screen = terminal.screen().await?;
        // Below the title, each field has its line; the first is selected.
        let fields = screen
            .iter()
            .skip(1)
            .skip_while(|line| line.trim().is_empty());
        let at = fields
            .clone()
            .position(|line| line.trim().starts_with(entry.label));
        let at = at.ok_or_else(|| Failure::new(format!("no {}", entry.label)))?;
        terminal.press(&["Up"; FIELDS]).await?;
        for _ in 0..at {
            key(terminal, "Down").await?;
        }
        match entry.fill {
            Fill::Line(text) => {
                terminal.type_in(text).await?;
                terminal.until(text).await
            }
            Fill::Lines(text) => {
                // It opens an entry of its list of lines, and closes it.
                key(terminal, "Enter").await?;
                terminal.type_in(text).await?;
                terminal.until(text).await?;
                key(terminal, "Enter").await?;
                terminal.until(text).await
            }
            Fill::Ticked(_, shown) => {
                let end = Instant::now() + PATIENCE;
                while terminal.has(shown).await.is_err() {
                    if Instant::now() > end {
                        return terminal.has(shown).await;
                    }
                    key(terminal, "Right").await?;
                }
                key(terminal, "Space").await?;
                let screen = terminal.screen().await?;
                let line = screen.iter().find(|line| line.contains(shown));
                match line.is_some_and(|line| line.contains('✔')) {
                    true => Ok(()),
                    false => Err(Failure::new(format!("{shown} is not ticked in {line:?}"))),
                }
            }
            Fill::Chosen(_, shown) => {
                let end = Instant::now() + PATIENCE;
                while !line_of(&terminal.screen().await?, entry).contains(shown) {
                    if Instant::now() > end {
                        return terminal.has(shown).await;
                    }
                    key(terminal, "Right").await?;
                }
                Ok(())
            }
        }
    }

    async fn submit(&mut self) -> Result<(), Failure> {
        key(&self.0, "C-y").await
    }

    async fn until_result(&mut self, words: &str) -> Result<(), Failure> {
        self.0.until_words(words).await
    }

    async fn end(&mut self) -> Result<(), Failure> {
        // A result with fields is a form of its own, over the list of commands.
        if self.0.has(SEND).await.is_ok() {
            key(&self.0, "C-y").await?;
        }
        self.0.until("Ad-hoc commands of JID").await?;
        order(&self.0, "close").await
    }
}

/// Bob joins by adding the component as a contact.
pub(crate) async fn joins_by_contact(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::without_contacts(kind).await?;
    let mut poezio = Poezio::start(&scene).await?;
    poezio.0.until("Your JID is").await?;
    order(&poezio.0, &format!("add {HOME}")).await?;
    scene.joined("bob@localhost").await?;
    let online = Shown {
        state: State::Online,
        text: None,
    };
    until(&mut poezio, &COMPONENT, &online).await
}

/// More than any form has.
const FIELDS: usize = 12;

/// For the list of commands; it comes at once, or not at all.
const ANSWER: Duration = Duration::from_secs(15);

/// Below every form.
const SEND: &str = "Ctrl+Y: send form";

fn list_of(contact: &Contact) -> String {
    format!("Ad-hoc commands of JID {}", contact.address)
}

/// The line of a field.
fn line_of(screen: &[String], entry: &Entry) -> String {
    let mut lines = screen.iter();
    let line = lines.find(|line| line.trim().starts_with(entry.label));
    line.cloned().unwrap_or_default()
}

/// Presses a key by itself.
async fn key(terminal: &Terminal, key: &str) -> Result<(), Failure> {
    tokio::time::sleep(LOOK).await;
    terminal.press(&[key]).await?;
    tokio::time::sleep(LOOK).await;
    Ok(())
}

/// Types a command where there is no line for it yet. Many characters that come at once are a text to it, and
/// no keys: it loses them, or takes Enter for a line's end.
async fn order(terminal: &Terminal, command: &str) -> Result<(), Failure> {
    terminal.type_in("/").await?;
    terminal.until_line("/").await?;
    terminal.type_in(command).await?;
    terminal.until_line(&format!("/{command}")).await?;
    terminal.press(&["Enter"]).await
}

/// Opens the list of commands of an address, and starts the one of this name.
async fn run_command(
    terminal: &Terminal,
    title: &str,
    address: &str,
    name: &str,
) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        order(terminal, &format!("ad-hoc {address}")).await?;
        // While it logs in an order may come to nothing.
        let listed = terminal.until_within(title, ANSWER).await;
        if listed.is_ok() || Instant::now() > end {
            listed?;
            break;
        }
    }
    terminal.until(name).await?;
    let screen = terminal.screen().await?;
    // Below the headline, the first one is selected.
    let row = screen.iter().position(|line| line.contains(name));
    let below = row.unwrap_or(1).saturating_sub(1);
    for _ in 0..below {
        key(terminal, "Down").await?;
    }
    key(terminal, "Enter").await
}

/// The state in the headline of what is said of the selected contact: `address (away)`.
fn selected(screen: &[String], contact: &Contact) -> Option<State> {
    let headline = format!("{} (", contact.address);
    let rest = screen
        .iter()
        .filter_map(|line| right_side(line))
        .find_map(|line| line.strip_prefix(&headline))?;
    match rest.split_once(')')?.0 {
        "" | "available" | "chat" => Some(State::Online),
        "away" | "xa" => Some(State::Away),
        "dnd" => Some(State::Busy),
        "unavailable" => Some(State::Offline),
        _ => None,
    }
}

/// The text of the selected contact.
fn status(screen: &[String]) -> Option<String> {
    let lines = screen.iter().filter_map(|line| right_side(line));
    let mut texts = lines.filter_map(|line| line.strip_prefix("Status: "));
    let text = texts.next()?.split(EDGE).next()?.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The text of the last line that told of the contact, which must be that it went offline.
fn last_told(screen: &[String], contact: &Contact) -> Option<String> {
    let lines: Vec<_> = screen.iter().filter_map(|line| right_side(line)).collect();
    let told = lines.join(" ");
    let (_, last) = told.rsplit_once(&format!("Roster> {} is ", contact.name))?;
    let text = last.strip_prefix("offline (")?;
    Some(text.split_once(')')?.0.to_owned())
}

fn right_side(line: &str) -> Option<&str> {
    line.split_once(EDGE).map(|(_, right)| right.trim_end())
}
