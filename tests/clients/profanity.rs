//! profanity 0.13, in a terminal.

use std::time::Duration;

use tokio::time::Instant;

use crate::conversation::Converses;
use crate::forms::{Commands, Entry, Fill, Named};
use crate::scene::{Contact, Scene};
use crate::stage::{HOME, PASSWORD};
use crate::story::{ChatClient, PATIENCE, Shown, State, Texts};
use crate::support::Failure;
use crate::support::server::Kind;
use crate::terminal::Terminal;

/// The contact list by presence, with a headline for each state: else the state is a colour only.
const SETTINGS: &str = "\
[connection]
account=bob@localhost
[ui]
splash=false
roster=true
roster.by=presence
roster.presence=true
roster.status=true
roster.size=40
";

/// The headlines.
const HEADLINES: [(&str, State); 6] = [
    ("Available for chat (", State::Online),
    ("Online (", State::Online),
    ("Away (", State::Away),
    ("Extended Away (", State::Away),
    ("Do not disturb (", State::Busy),
    ("Offline (", State::Offline),
];

/// The node of the form by which users set their status.
const STATUS_NODE: &str = "urn:x-presence-service:status:0";

pub(crate) struct Profanity(Terminal);

impl ChatClient for Profanity {
    const NAME: &str = "profanity";
    const TEXTS: Texts = Texts::Always;

    async fn start(scene: &Scene) -> Result<Self, Failure> {
        let home = scene.folder(Self::NAME)?;
        let account = format!(
            "[bob@localhost]\nenabled=true\njid=bob@localhost\nserver=127.0.0.1\nport={}\n\
             resource=profanity\npassword={PASSWORD}\ntls.policy=force\n",
            scene.port()
        );
        let write = |path: &str, text: &str| -> std::io::Result<()> {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, text)
        };
        write(".config/profanity/profrc", SETTINGS)
            .and_then(|()| write(".local/share/profanity/accounts", &account))
            .map_err(|error| Failure::new(format!("cannot set up {}: {error}", Self::NAME)))?;
        Ok(Self(Terminal::run(scene, Self::NAME, &home).await?))
    }

    async fn contact(&mut self, contact: &Contact) -> Result<Option<Shown>, Failure> {
        let screen = self.0.screen().await?;
        let Some(mut shown) = in_list(&screen, contact) else {
            return Ok(None);
        };
        // The list has no text of who is offline; the line that told of it does.
        if shown.state == State::Offline {
            shown.text = last_told(&screen, contact);
        }
        Ok(Some(shown))
    }

    async fn leave_picture(&mut self, picture: &str) -> Result<String, Failure> {
        self.0.leave_picture(picture).await
    }
}

impl Converses for Profanity {
    async fn open(&mut self) -> Result<(), Failure> {
        // Beside the contact list every line would be broken.
        self.0.enter("/roster hide").await?;
        self.0.enter(&format!("/msg {HOME}")).await
    }

    async fn words(&mut self) -> Result<String, Failure> {
        self.0.words().await
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.0.enter(line).await
    }
}

impl Commands for Profanity {
    async fn begin(&mut self, contact: &Contact, command: &Named) -> Result<(), Failure> {
        // A moment after the login it says that there are no commands: it has not yet asked its server and
        // the components what they have.
        let end = Instant::now() + PATIENCE;
        let title = format!("Form title: {}", command.title);
        loop {
            let order = format!("/cmd exec {} {}", command.node, contact.address);
            self.0.enter(&order).await?;
            let result = self.0.until_within(&title, ANSWER).await;
            if result.is_ok() || Instant::now() > end {
                return result;
            }
        }
    }

    async fn fill_in(&mut self, _command: &Named, entry: &Entry) -> Result<(), Failure> {
        self.show_form().await?;
        self.0.until(&format!("] {}", entry.label)).await?;
        let screen = self.0.screen().await?;
        let label = format!("] {}", entry.label);
        let name = screen.iter().find_map(|line| {
            let (before, _) = line.split_once(&label)?;
            before.rsplit_once('[').map(|(_, name)| name.to_owned())
        });
        let name = name.ok_or_else(|| Failure::new(format!("no {}", entry.label)))?;
        let (value, order) = match entry.fill {
            Fill::Line(text) | Fill::Chosen(text, _) => (text, format!("/{name} \"{text}\"")),
            // A text of several lines is a list of lines to it.
            Fill::Lines(text) => (text, format!("/{name} add \"{text}\"")),
            Fill::Ticked(value, _) => (value, format!("/{name} add {value}")),
        };
        self.0.enter("/clear").await?;
        self.0.until_without(&label).await?;
        self.0.enter(&order).await?;
        self.0.until("Field updated").await?;
        self.0.has(value).await
    }

    async fn submit(&mut self) -> Result<(), Failure> {
        self.0.enter("/form submit").await
    }

    async fn until_result(&mut self, words: &str) -> Result<(), Failure> {
        // A sentence stands in the conversation, if there is one.
        if self.0.until_words_within(words, ANSWER).await.is_ok() {
            return Ok(());
        }
        self.0.enter("/roster hide").await?;
        self.0.enter(&format!("/msg {HOME}")).await?;
        self.0.until_words(words).await
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.0.enter("/clear").await
    }
}

/// For an answer that does not come where a command is not known yet.
const ANSWER: Duration = Duration::from_secs(5);

impl Profanity {
    /// Shows the form from the top of the screen.
    async fn show_form(&self) -> Result<(), Failure> {
        self.0.enter("/clear").await?;
        self.0.enter("/form show").await
    }
}

/// Bob joins by adding the component as a contact.
pub(crate) async fn joins_by_contact(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::without_contacts(kind).await?;
    let profanity = Profanity::start(&scene).await?;
    profanity.0.until("[TLS]").await?;
    profanity.0.enter(&format!("/sub request {HOME}")).await?;
    profanity.0.until("Received authorization request").await?;
    profanity.0.enter(&format!("/sub allow {HOME}")).await?;
    scene.joined("bob@localhost").await?;
    // It is the one contact that is online, with one message that is not read: the welcome.
    profanity.0.until("Online (1)").await?;
    profanity.0.until(&format!("{HOME} (1)")).await
}

/// It lists the component's commands, and sets bob's status by the form of one.
pub(crate) async fn sets_a_status_by_form(kind: Kind) -> Result<(), Failure> {
    let scene = Scene::set(kind).await?;
    let Profanity(terminal) = Profanity::start(&scene).await?;
    // A moment after the login it says that there are no commands: it has not yet asked its server and
    // the components what they have.
    let end = Instant::now() + PATIENCE;
    while let Err(failure) = terminal.has(STATUS_NODE).await {
        if Instant::now() > end {
            return Err(failure);
        }
        terminal.enter(&format!("/cmd list {HOME}")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    terminal
        .enter(&format!("/cmd exec {STATUS_NODE} {HOME}"))
        .await?;
    terminal.until("Form title: Set my status").await?;
    terminal.enter(r#"/field2 add "Out for lunch""#).await?;
    terminal.enter("/form submit").await?;
    terminal.until("Your status is now “Out for lunch”").await?;
    Ok(())
}

/// The contact as it stands in the list at the right: headline, name, and the text in quotes.
fn in_list(screen: &[String], contact: &Contact) -> Option<Shown> {
    // The list begins in one column; its headlines stand there.
    let column = screen.iter().find_map(|line| {
        let at = line.find(HEADLINES[0].0)?;
        Some(line[..at].chars().count())
    })?;
    let mut list = screen.iter().filter_map(|line| {
        let at = line.char_indices().nth(column).map(|(at, _)| at)?;
        Some(line[at..].trim_end())
    });
    let mut state = None;
    while let Some(line) = list.next() {
        if let Some((_, headline)) = HEADLINES.iter().find(|(text, _)| line.starts_with(text)) {
            state = Some(*headline);
        } else if line.trim() == contact.name {
            let text = list.next().and_then(quoted);
            return Some(Shown {
                state: state?,
                text,
            });
        }
    }
    None
}

/// The text of the last line that told of the contact, which must be that it went offline.
fn last_told(screen: &[String], contact: &Contact) -> Option<String> {
    let told = format!("{} (vestibule) is ", contact.name);
    let line = screen.iter().rfind(|line| line.contains(&told))?;
    let (_, text) = line.split_once("is offline, ")?;
    quoted(text)
}

/// What stands in quotes at the beginning.
fn quoted(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix('"')?;
    Some(rest.split_once('"')?.0.to_owned())
}
