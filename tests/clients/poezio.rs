//! poezio 0.14, in a terminal.

use crate::scene::{Contact, Scene};
use crate::stage::PASSWORD;
use crate::story::{ChatClient, Shown, State, Texts};
use crate::support::Failure;
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

impl Poezio {
    /// Goes through the contact list until the contact is the selected one.
    async fn select(&self, contact: &Contact) -> Result<bool, Failure> {
        if selected(&self.0.screen().await?, contact).is_some() {
            return Ok(true);
        }
        self.0.press(&["Up"; ROWS]).await?;
        for _ in 0..ROWS {
            self.0.press(&["Down"]).await?;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            if selected(&self.0.screen().await?, contact).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
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
