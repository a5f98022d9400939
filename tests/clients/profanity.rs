//! profanity 0.13, in a terminal.

use std::time::Duration;

use tokio::time::Instant;

use crate::scene::{Contact, Scene};
use crate::stage::{HOME, PASSWORD};
use crate::story::{ChatClient, LOOK, PATIENCE, Shown, State, Texts};
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
/// The node of the form by which they grant rights, and that of what they granted.
const GRANT_NODE: &str = "urn:x-presence-service:consent:0#grant";
const OVERVIEW_NODE: &str = "urn:x-presence-service:consent:0#overview";

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

/// He grants by the form, with all limits.
pub(crate) async fn grants_by_form(kind: Kind) -> Result<(), Failure> {
    let scene = Scene::set(kind).await?;
    let Profanity(terminal) = Profanity::start(&scene).await?;
    let end = Instant::now() + PATIENCE;
    while let Err(failure) = terminal.has(GRANT_NODE).await {
        if Instant::now() > end {
            return Err(failure);
        }
        terminal.enter(&format!("/cmd list {HOME}")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    terminal
        .enter(&format!("/cmd exec {GRANT_NODE} {HOME}"))
        .await?;
    terminal.until("Form title: Grant rights").await?;
    terminal
        .leave_picture(&format!("profanity-{kind}-grant"))
        .await?;
    for line in [
        "/field1 carol@localhost",
        "/field2 add notify",
        "/field3 first",
        "/field4 2100-01-01",
        "/field5 5",
        "/field6 22:00-07:00",
        "/form submit",
    ] {
        terminal.enter(line).await?;
        tokio::time::sleep(LOOK).await;
    }
    terminal
        .until("carol@localhost may now: see, notify")
        .await?;
    for words in [
        "the first time",
        "2100-01-01",
        "at most 5 a day",
        "22:00-07:00",
    ] {
        terminal.has(words).await?;
    }
    // And he reads it again among all the others.
    terminal
        .enter(&format!("/cmd exec {OVERVIEW_NODE} {HOME}"))
        .await?;
    terminal.until("Form title: Who may do what").await?;
    terminal.until("carol@localhost may: see, notify").await?;
    terminal
        .leave_picture(&format!("profanity-{kind}-overview"))
        .await?;
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
