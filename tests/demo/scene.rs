//! The stage and the cast: a Prosody of its own, the component attached to it, the clients of alice and
//! of a bot and of a guest, and alice's agent. What they send and receive is shown as it was on the wire,
//! or in words that are taken from it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use tempfile::TempDir;

use crate::commands::{command, told_of_answer, told_of_command};
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
/// The passwords; the server listens on this machine only, and for the time of the story.
pub(crate) const PASSWORDS: [(&str, &str); 3] = [
    ("alice", "wonderland"),
    ("bot", "clockwork"),
    ("guest", "doorbell"),
];

/// How long anything may take.
const SOON: Duration = Duration::from_secs(15);

/// How long the agent may take to end on SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// Everything that runs. Dropping it ends and removes it.
pub(crate) struct Scene {
    pub(crate) agent: Option<Process>,
    pub(crate) component: ComponentProcess,
    pub(crate) server: Server,
    /// What is typed where the agent asks.
    keyboard: Option<File>,
    folder: TempDir,
}

impl Scene {
    /// Starts the server and the component, and makes the accounts.
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
            keyboard: None,
            folder,
        })
    }

    /// Logs one of them in.
    pub(crate) async fn login(&self, user: &str, resource: &str) -> Result<Player, Failure> {
        let password = PASSWORDS.iter().find(|(name, _)| *name == user);
        let password = password.map_or("", |(_, password)| password);
        let client = Client::login(&self.server, user, password, resource).await?;
        let name = match user {
            "bot" => "The bot",
            "guest" => "The guest",
            _ => "Alice",
        };
        Ok(Player { name, client })
    }

    /// The file into which the program writes that the agent starts.
    pub(crate) fn done(&self) -> PathBuf {
        self.folder.path().join("done.txt")
    }

    /// What the agent starts here: a program that writes down its arguments.
    pub(crate) fn program(&self) -> String {
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{}'\n",
            self.done().display()
        )
    }

    /// Alice's own file for her agent, without how it logs in.
    pub(crate) fn agent_file(&self) -> String {
        let program = self.folder.path().join("write-down").display().to_string();
        format!(
            "[open-url]\npolicy = \"always\"\nopener = [{program:?}, \"page\", \"{{url}}\"]\n\
             [activate-client]\nprogram = [{program:?}, \"chat client\"]\n\
             [module.agenda]\nprogram = {program:?}\narguments = [\"agenda\", \"--day={{day}}\"]\n\
             [module.agenda.argument.day]\ntype = \"choice\"\nof = [\"today\", \"tomorrow\"]\n"
        )
    }

    /// Where the answers to the agent's questions are written.
    pub(crate) fn keyboard(&self) -> PathBuf {
        self.folder.path().join("keyboard")
    }

    fn agent_log(&self) -> PathBuf {
        self.folder.path().join("agent.log")
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
        write("write-down", &self.program(), 0o700)?;
        let file = format!(
            "jid = \"alice@localhost\"\npassword = \"{}\"\ncomponent = \"{HOME}\"\nserver = \"{}\"\n\
             [ask]\nfrom = \"stdin\"\n{}",
            PASSWORDS[0].1,
            self.server.c2s_address(),
            self.agent_file(),
        );
        let config = write("vestibule-agent.toml", &file, 0o600)?;
        // Its keyboard is a pipe that is never at its end.
        let keyboard = self.keyboard();
        if !keyboard.exists() {
            let made = std::process::Command::new("mkfifo").arg(&keyboard).status();
            if !made.is_ok_and(|status| status.success()) {
                return Err(Failure::new("cannot make the agent's keyboard with mkfifo"));
            }
        }
        let mut command = Process::command(Path::new("/bin/sh"));
        command
            .args(["-c", "exec \"$0\" run --config \"$1\" <> keyboard"])
            .arg(built_binary("vestibule-agent")?)
            .arg(config)
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        self.agent = Some(Process::spawn(
            "vestibule-agent",
            command,
            &self.agent_log(),
        )?);
        let opened = OpenOptions::new().read(true).write(true).open(keyboard);
        self.keyboard = Some(opened.map_err(failure)?);
        Ok(())
    }

    /// Waits until the agent has printed a line with this in it, not counting the first `skipped` bytes.
    pub(crate) async fn agent_prints(&self, part: &str, skipped: usize) -> Result<String, Failure> {
        self.line_of(&self.agent_log(), part, skipped).await
    }

    /// How much the agent has printed.
    pub(crate) fn printed(&self) -> usize {
        std::fs::read(self.agent_log()).map_or(0, |text| text.len())
    }

    /// Waits until the program has written down a line with this in it.
    pub(crate) async fn written_down(&self, part: &str) -> Result<String, Failure> {
        self.line_of(&self.done(), part, 0).await
    }

    async fn line_of(&self, path: &Path, part: &str, skipped: usize) -> Result<String, Failure> {
        let until = tokio::time::Instant::now() + SOON;
        loop {
            let bytes = std::fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes.get(skipped..).unwrap_or_default());
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(line) = whole.lines().find(|line| line.contains(part)) {
                return Ok(line.trim().to_owned());
            }
            if tokio::time::Instant::now() > until {
                let reason = format!("no “{part}” in {}", path.display());
                return Err(Failure::new(reason));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Alice types an answer where her agent asks.
    pub(crate) fn types(&mut self, answer: &str) -> Result<(), Failure> {
        let keyboard = self.keyboard.as_mut();
        let keyboard = keyboard.ok_or_else(|| Failure::new("no agent is running"))?;
        writeln!(keyboard, "{answer}")
            .map_err(|error| Failure::new(format!("cannot type: {error}")))
    }

    /// Ends it by SIGTERM.
    pub(crate) async fn stop_agent(&mut self) -> Result<(), Failure> {
        match self.agent.take() {
            Some(mut agent) => agent.terminate(STOP).await.map(drop),
            None => Ok(()),
        }
    }
}

/// One of them, with a client.
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
        teller.brief(self.name, Way::Sends, "writes", &body(&message));
        self.client.send(message).await;
        body(&self.reads(teller, expected).await)
    }

    /// Waits for a message of the component with these words in it.
    pub(crate) async fn reads(&mut self, teller: &Teller, expected: &str) -> Element {
        let what = format!("message with “{expected}”");
        let message = self.client.expect(&what, SOON, |e| {
            e.name() == "message" && is_from(e, HOME) && body(e).contains(expected)
        });
        let message = message.await;
        teller.brief(self.name, Way::Receives, "reads", &body(&message));
        message
    }

    /// Runs a right, with its form filled in; the answer is waited for with [`Self::ends`].
    pub(crate) async fn runs(
        &mut self,
        teller: &Teller,
        right: &str,
        fields: &[(&str, &str)],
    ) -> String {
        let (iq, id) = iq(ALICE, "set", command(right, fields));
        teller.brief(self.name, Way::Sends, "runs", &told_of_command(&iq));
        self.client.send(iq).await;
        id
    }

    /// Waits for the answer to a command.
    pub(crate) async fn ends(&mut self, teller: &Teller, id: &str) -> Element {
        let answer = self
            .client
            .expect("answer to the command", SOON, |e| is_answer(e, id))
            .await;
        teller.brief(self.name, Way::Receives, "gets", &told_of_answer(&answer));
        answer
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
