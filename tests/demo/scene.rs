//! The stage and the cast: a Prosody of its own, the component attached to it, the clients of alice and
//! of a bot, and alice's agent. What they send and receive is shown as it was on the wire.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use tempfile::TempDir;

use crate::print::{Teller, Way};
use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::process::Process;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

/// The component's domain.
pub(crate) const HOME: &str = "presence.localhost";
/// Alice as others see her there: the @ of her own address is written \40 (XEP-0106).
pub(crate) const ALICE: &str = r"alice\40localhost@presence.localhost";
/// Where alice's agent logs in.
pub(crate) const AGENT: &str = "alice@localhost/vestibule-agent";
/// Both passwords; the server listens on this machine only, and for the time of the story.
pub(crate) const PASSWORDS: [(&str, &str); 2] = [("alice", "wonderland"), ("bot", "clockwork")];

/// How long anything may take.
const SOON: Duration = Duration::from_secs(15);

/// How long the agent may take to end on SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// Everything that runs. Dropping it ends and removes it.
pub(crate) struct Scene {
    pub(crate) agent: Option<Process>,
    pub(crate) component: ComponentProcess,
    pub(crate) server: Server,
    folder: TempDir,
}

impl Scene {
    /// Starts the server and the component, and makes the two accounts.
    pub(crate) async fn set() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("vestibule-demo-")
            .tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        let server = Server::start(Kind::Prosody, Options::default()).await?;
        for (user, password) in PASSWORDS {
            Client::register(&server, user, password).await?;
        }
        let config = Config::for_server(&server).with(
            "[[party]]\nname = \"acme\"\njids = [\"bot@localhost\"]\n\
             rights = [\"see\", \"open-url\", \"leave-message\"]\n",
        );
        let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
        Ok(Self {
            agent: None,
            component,
            server,
            folder,
        })
    }

    /// Logs one of the two in.
    pub(crate) async fn login(&self, user: &str, resource: &str) -> Result<Player, Failure> {
        let password = PASSWORDS.iter().find(|(name, _)| *name == user);
        let password = password.map_or("", |(_, password)| password);
        let client = Client::login(&self.server, user, password, resource).await?;
        let name = if user == "bot" { "The bot" } else { "Alice" };
        Ok(Player { name, client })
    }

    /// The file into which the agent's opener writes.
    pub(crate) fn opened(&self) -> PathBuf {
        self.folder.path().join("opened.txt")
    }

    /// What opens pages here: a program that writes down what it is given.
    pub(crate) fn opener(&self) -> String {
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{}'\n",
            self.opened().display()
        )
    }

    /// Alice's own file for her agent.
    pub(crate) fn agent_file(&self) -> String {
        let program = self.folder.path().join("opener");
        format!(
            "jid = \"alice@localhost\"\npassword = \"{}\"\ncomponent = \"{HOME}\"\n\
             server = \"{}\"\n\n[open-url]\npolicy = \"always\"\nopener = [{:?}, \"{{url}}\"]\n",
            PASSWORDS[0].1,
            self.server.c2s_address(),
            program.display().to_string(),
        )
    }

    /// Starts the agent.
    pub(crate) fn start_agent(&mut self) -> Result<(), Failure> {
        let failure =
            |error: std::io::Error| Failure::new(format!("cannot set up the agent: {error}"));
        let write = |name: &str, text: &str, mode| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).map_err(failure)?;
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failure)?;
            Ok(path)
        };
        write("opener", &self.opener(), 0o700)?;
        let config = write("vestibule-agent.toml", &self.agent_file(), 0o600)?;
        let mut command = Process::command(&built_binary("vestibule-agent")?);
        command
            .args(["run", "--config"])
            .arg(config)
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        let log = self.folder.path().join("agent.log");
        self.agent = Some(Process::spawn("vestibule-agent", command, &log)?);
        Ok(())
    }

    /// Ends it by SIGTERM.
    pub(crate) async fn stop_agent(&mut self) -> Result<(), Failure> {
        match self.agent.take() {
            Some(mut agent) => agent.terminate(STOP).await.map(drop),
            None => Ok(()),
        }
    }
}

/// One of the two, with a client.
pub(crate) struct Player {
    name: &'static str,
    pub(crate) client: Client,
}

impl Player {
    /// Sends a stanza, and shows it.
    pub(crate) async fn sends(&mut self, teller: &Teller, stanza: Element) {
        teller.stanza(self.name, Way::Sends, &stanza);
        self.client.send(stanza).await;
    }

    /// Waits for a stanza, and shows it.
    pub(crate) async fn receives(
        &mut self,
        teller: &Teller,
        what: &str,
        matches: impl FnMut(&Element) -> bool,
    ) -> Element {
        let stanza = self.client.expect(what, SOON, matches).await;
        teller.stanza(self.name, Way::Receives, &stanza);
        stanza
    }

    /// Says a line to the component in chat, and gets an answer with these words in it.
    pub(crate) async fn says(&mut self, teller: &Teller, line: &str, expected: &str) -> String {
        let mut message = stanza(&format!("<message type='chat' to='{HOME}'/>"));
        message.append_child(words("body", line));
        self.sends(teller, message).await;
        let answer = self
            .receives(teller, &format!("answer with “{expected}”"), |e| {
                e.name() == "message" && is_from(e, HOME) && body(e).contains(expected)
            })
            .await;
        body(&answer)
    }

    /// Asks whether alice is there: one presence comes back, and no second one.
    pub(crate) async fn asks_for_alice(&mut self, teller: &Teller) -> Result<Element, Failure> {
        self.client.forget();
        self.sends(
            teller,
            stanza(&format!("<presence type='probe' to='{ALICE}'/>")),
        )
        .await;
        let is_hers = |e: &Element| {
            let from = e.attr("from").unwrap_or_default();
            e.name() == "presence" && from.split('/').next() == Some(ALICE)
        };
        let answer = self.receives(teller, "presence of alice", is_hers).await;
        // What the component sends to this client keeps its order, so a second one would be here.
        self.quietly(ALICE, "get", stanza("<ping xmlns='urn:xmpp:ping'/>"))
            .await;
        let more = self.client.received().iter().filter(|e| is_hers(e)).count();
        self.client
            .quiet("second answer to one probe", Duration::ZERO, is_hers)
            .await;
        if more == 0 {
            return Err(Failure::new("no presence of alice"));
        }
        Ok(answer)
    }

    /// Sends an IQ with this payload, and shows it and its answer.
    pub(crate) async fn requests(
        &mut self,
        teller: &Teller,
        kind: &str,
        payload: Element,
    ) -> Element {
        let (iq, id) = iq(ALICE, kind, payload);
        self.sends(teller, iq).await;
        self.receives(teller, "answer to the request", |e| is_answer(e, &id))
            .await
    }

    /// The same without showing anything.
    pub(crate) async fn quietly(&mut self, to: &str, kind: &str, payload: Element) -> Element {
        let (iq, id) = iq(to, kind, payload);
        self.client.send(iq).await;
        self.client
            .expect("answer", SOON, |e| is_answer(e, &id))
            .await
    }
}

/// The ad-hoc command for a right, with its form filled in: one request, one answer.
pub(crate) fn command(right: &str, fields: &[(&str, &str)]) -> Element {
    let mut form = stanza("<x xmlns='jabber:x:data' type='submit'/>");
    let form_type = ("FORM_TYPE", "urn:x-presence-service:cmd:0");
    for (var, value) in [&form_type].into_iter().chain(fields) {
        let mut field = stanza(&format!(
            "<field xmlns='jabber:x:data' var='{var}'><value/></field>"
        ));
        if let Some(child) = field.get_child_mut("value", "jabber:x:data") {
            child.append_text_node(*value);
        }
        form.append_child(field);
    }
    let mut command = stanza(&format!(
        "<command xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:cmd:0#{right}'/>"
    ));
    command.append_child(form);
    command
}

fn iq(to: &str, kind: &str, payload: Element) -> (Element, String) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = format!("demo-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut iq = stanza(&format!("<iq type='{kind}' id='{id}'/>"));
    iq.set_attr(Namespace::NONE, xml_ncname!("to").into(), to);
    iq.append_child(payload);
    (iq, id)
}

fn is_answer(element: &Element, id: &str) -> bool {
    element.name() == "iq" && element.attr("id") == Some(id) && element.attr("type") != Some("set")
}

fn words(name: &str, text: &str) -> Element {
    let mut element = stanza(&format!("<{name}/>"));
    element.append_text_node(text);
    element
}

/// Whether a stanza comes from exactly this address.
pub(crate) fn is_from(element: &Element, address: &str) -> bool {
    element.attr("from") == Some(address)
}

/// The text of a message.
pub(crate) fn body(message: &Element) -> String {
    text_of(message, "body").unwrap_or_default()
}

/// The text of a child in the client's namespace.
pub(crate) fn text_of(stanza: &Element, name: &str) -> Option<String> {
    stanza.get_child(name, "jabber:client").map(Element::text)
}
