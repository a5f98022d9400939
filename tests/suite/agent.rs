//! The agent against a real server: it logs in, is found by its features, runs what its file allows,
//! asks, reports late, comes back after a lost connection and leaves in order.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use minidom::Element;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xmpp_parsers::component::Handshake;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

const SOON: Duration = Duration::from_secs(10);
const AGENT: &str = "alice@localhost/vestibule-agent";
const NS_AGENT: &str = "urn:x-presence-service:agent:0";
const NS_COMMANDS: &str = "http://jabber.org/protocol/commands";

#[tokio::test]
async fn on_prosody() -> Result<(), Failure> {
    runs_what_is_allowed(Kind::Prosody).await
}

#[tokio::test]
async fn on_ejabberd() -> Result<(), Failure> {
    runs_what_is_allowed(Kind::Ejabberd).await
}

async fn runs_what_is_allowed(kind: Kind) -> Result<(), Failure> {
    let mut server = Server::start(kind, Options::default()).await?;
    Client::register(&server, "alice", "wonder & land").await?;
    let mut component = Component::attach(&server).await;
    let mut alice = Client::login(&server, "alice", "wonder & land", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    let bench = Bench::new(&server, "wonder & land", "always");
    let mut agent = bench.start()?;
    bench
        .wait_for_line(&agent, 0, &format!("online as {AGENT}"))
        .await;

    let presence = alice
        .expect("presence of the agent", SOON, |e| {
            e.name() == "presence" && e.attr("from") == Some(AGENT)
        })
        .await;
    let priority = presence.get_child("priority", "jabber:client").unwrap();
    assert_eq!(priority.text(), "-1");
    let caps = presence
        .get_child("c", "http://jabber.org/protocol/caps")
        .unwrap();
    let node = format!(
        "{}#{}",
        caps.attr("node").unwrap(),
        caps.attr("ver").unwrap()
    );

    // Found by its capabilities.
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
    let info = component.request("get", "i1", &query).await;
    let query = info
        .get_child("query", "http://jabber.org/protocol/disco#info")
        .unwrap();
    assert!(query.children().any(|c| c.attr("var") == Some(NS_AGENT)));

    // Allowed: opened, and the answer says so; a repeat opens nothing.
    let command = command("r1", false, "https://example.net/agenda?a=1&b=$(id)");
    for id in ["c1", "c2"] {
        let answer = component.request("set", id, &command).await;
        let answer = answer.get_child("command", NS_COMMANDS).unwrap();
        assert_eq!(answer.attr("status"), Some("completed"));
        assert_eq!(
            answer.get_child("note", NS_COMMANDS).unwrap().text(),
            "opened"
        );
    }
    assert_eq!(bench.opened(), ["https://example.net/agenda?a=1&b=$(id)"]);

    // Not allowed: an address that must not be opened, a stranger, and what must be asked of nobody.
    let bad = component
        .request("set", "c3", &self::command("r2", false, "https://127.1/"))
        .await;
    assert_eq!(condition(&bad), "not-acceptable");
    let asked = self::command("r3", true, "https://example.net/");
    let asked = component.request("set", "c4", &asked).await;
    let asked = asked.get_child("command", NS_COMMANDS).unwrap();
    assert_eq!(asked.attr("status"), Some("executing"));
    let report = component.next().await;
    assert_eq!(
        report.children().next().unwrap().attr("state"),
        Some("refused")
    );
    alice
        .send(stanza(&format!(
            "<iq type='set' id='s1' to='{AGENT}'>{command}</iq>"
        )))
        .await;
    let stranger = alice
        .expect("answer to the stranger", SOON, |e| {
            e.attr("id") == Some("s1")
        })
        .await;
    assert_eq!(condition(&stranger), "forbidden");
    assert_eq!(bench.opened().len(), 1);

    // A restart of the server: it comes back by itself.
    let before = agent.log_length();
    drop(component);
    server.restart().await?;
    bench
        .wait_for_line(&agent, before, &format!("online as {AGENT}"))
        .await;
    let mut component = Component::attach(&server).await;
    let again = component.request("set", "c5", &command).await;
    assert!(again.has_child("command", NS_COMMANDS), "{again:?}");
    assert_eq!(
        bench.opened().len(),
        1,
        "a repeat after a restart of the server opens nothing"
    );

    // SIGTERM: it logs out, and others see it at once.
    let mut alice = Client::login(&server, "alice", "wonder & land", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice
        .expect("presence of the agent", SOON, |e| {
            e.attr("from") == Some(AGENT)
        })
        .await;
    let status = agent.terminate(SOON).await?;
    assert_eq!(status.code(), Some(0));
    alice
        .expect("end of the agent", SOON, |e| {
            e.attr("from") == Some(AGENT) && e.attr("type") == Some("unavailable")
        })
        .await;
    Ok(())
}

/// She is asked on standard input; the component gets `executing` at once and the report later.
#[tokio::test]
async fn asks_and_reports_late() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "ask");
    let mut agent = bench.command()?;
    agent
        .stdin(Stdio::piped())
        .stdout(bench.log())
        .stderr(bench.log());
    let mut agent = Killed(agent.spawn().unwrap());
    bench.wait_for_text("online as").await;
    let mut keyboard = agent.0.stdin.take().unwrap();
    for (request_id, typed, state, count) in
        [("r1", "y\n", "completed", 1), ("r2", "n\n", "refused", 1)]
    {
        let url = format!("https://example.net/{request_id}");
        let answer = component
            .request("set", request_id, &command(request_id, false, &url))
            .await;
        let answer = answer.get_child("command", NS_COMMANDS).unwrap();
        assert_eq!(answer.attr("status"), Some("executing"));
        bench.wait_for_text(&url).await;
        keyboard.write_all(typed.as_bytes()).unwrap();
        let report = component.next().await;
        assert_eq!(report.attr("from"), Some(AGENT));
        let outcome = report
            .get_child("outcome", "urn:x-presence-service:outcome:0")
            .unwrap();
        assert_eq!(outcome.attr("request-id"), Some(request_id));
        assert_eq!(outcome.attr("state"), Some(state));
        assert_eq!(bench.opened().len(), count);
    }
    assert!(
        bench
            .text()
            .contains("bob@remote.example (authorized, by public)")
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_work_ends_with_a_message() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let bench = Bench::new(&server, "wrong", "always");
    let mut agent = bench.start()?;
    assert_eq!(agent.wait(SOON).await?.code(), Some(69));
    let log = agent.log_since(0);
    let message = "the server refused the login of alice@localhost: not-authorized";
    assert_eq!(log.matches(message).count(), 1, "{log}");
    assert!(!log.contains("wrong"), "{log}");

    // Two with the same resource: the second stays, the first says why it ends.
    let (first, second) = (
        Bench::new(&server, "pw", "always"),
        Bench::new(&server, "pw", "always"),
    );
    let mut old = first.start()?;
    first.wait_for_line(&old, 0, "online as").await;
    let new = second.start()?;
    second.wait_for_line(&new, 0, "online as").await;
    assert_eq!(old.wait(SOON).await?.code(), Some(69));
    let log = old.log_since(0);
    assert!(
        log.contains(&format!("another program has logged in as {AGENT}")),
        "{log}"
    );

    // A wrong file: every problem, no connection.
    let wrong = Bench::new(&server, "pw", "sometimes");
    let mut agent = wrong.start()?;
    assert_eq!(agent.wait(SOON).await?.code(), Some(64));
    let log = agent.log_since(0);
    assert!(
        log.contains("line 6: open-url.policy: expected one of ask, always, never"),
        "{log}"
    );
    Ok(())
}

/// A folder with the agent's file, a program that opens pages by writing them down, and a log.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(server: &Server, password: &str, policy: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .unwrap();
        let bench = Self { folder };
        let opener = bench.path("opener");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\n",
            bench.path("opened").display()
        );
        bench.write("opener", &script, 0o700);
        bench.write("password", password, 0o600);
        let config = format!(
            "jid = \"alice@localhost\"\npassword-file = \"password\"\ncomponent = \"{}\"\n\
             server = \"{}\"\n[open-url]\npolicy = \"{policy}\"\nopener = [\"{}\", \"{{url}}\"]\n\
             [ask]\nfrom = \"stdin\"\n",
            server.component_domain(),
            server.c2s_address(),
            opener.display(),
        );
        bench.write("agent.toml", &config, 0o600);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self) -> Result<Command, Failure> {
        let mut command = Process::command(&built_binary("vestibule-agent")?);
        command
            .args(["run", "--config"])
            .arg(self.path("agent.toml"));
        Ok(command)
    }

    /// Starts it with nothing on standard input.
    fn start(&self) -> Result<Process, Failure> {
        Process::spawn("vestibule-agent", self.command()?, &self.path("log"))
    }

    fn log(&self) -> fs::File {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn opened(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("opened")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    async fn wait_for_line(&self, agent: &Process, offset: u64, text: &str) {
        for _ in 0..2_000 {
            if agent.log_since(offset).contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", agent.failure(&format!("did not log {text:?}")));
    }

    async fn wait_for_text(&self, text: &str) {
        for _ in 0..2_000 {
            if self.text().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {text:?} in:\n{}", self.text());
    }
}

/// A child that is gone when the test is.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails only for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A component in a few lines: the handshake of XEP-0114, then one element after the other.
struct Component {
    io: TcpStream,
    read: String,
    domain: String,
}

impl Component {
    async fn attach(server: &Server) -> Self {
        let io = TcpStream::connect(server.component_address())
            .await
            .unwrap();
        let domain = server.component_domain().to_owned();
        let mut component = Self {
            io,
            read: String::new(),
            domain,
        };
        let header = format!(
            "<stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{}'>",
            component.domain
        );
        component.write(&header).await;
        let header = component.until(|text| {
            let start = text.find("<stream:stream")?;
            Some(start + text[start..].find('>')? + 1)
        });
        let header = header.await;
        let (_, rest) = header.split_once(" id=").unwrap();
        let id = rest[1..].split(&rest[..1]).next().unwrap();
        let handshake = Handshake::from_stream_id_and_password(id.to_owned(), server.secret());
        let digest = handshake.data.unwrap();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        component
            .write(&format!("<handshake>{hex}</handshake>"))
            .await;
        component
            .until(|text| {
                text.find("<handshake/>")
                    .map(|at| at + 12)
                    .or_else(|| text.find("</handshake>").map(|at| at + 12))
            })
            .await;
        component
    }

    /// Sends a request to the agent and waits for the answer to just that.
    async fn request(&mut self, type_: &str, id: &str, payload: &str) -> Element {
        let domain = self.domain.clone();
        self.write(&format!(
            "<iq type='{type_}' id='{id}' from='{domain}' to='{AGENT}'>{payload}</iq>"
        ))
        .await;
        loop {
            let answer = self.next().await;
            if answer.attr("id") == Some(id) {
                assert_eq!(answer.attr("from"), Some(AGENT));
                return answer;
            }
        }
    }

    /// The next IQ; Prosody and ejabberd write an IQ with children to its end tag.
    async fn next(&mut self) -> Element {
        let text = self.until(|text| text.find("</iq>").map(|at| at + 5)).await;
        stanza(text[text.find("<iq").unwrap()..].trim())
    }

    async fn write(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to where `end` says.
    async fn until(&mut self, end: impl Fn(&str) -> Option<usize>) -> String {
        let reading = async {
            loop {
                if let Some(at) = end(&self.read) {
                    let rest = self.read.split_off(at);
                    return std::mem::replace(&mut self.read, rest);
                }
                let mut bytes = [0; 4096];
                let count = self.io.read(&mut bytes).await.unwrap();
                assert!(
                    count > 0,
                    "the server closed the component's stream: {}",
                    self.read
                );
                self.read
                    .push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
        };
        tokio::time::timeout(SOON, reading)
            .await
            .expect("the server is silent")
    }
}

fn command(request_id: &str, confirm: bool, url: &str) -> String {
    let url = url.replace('&', "&amp;");
    let confirm = u8::from(confirm);
    let field =
        |name: &str, value: &str| format!("<field var='{name}'><value>{value}</value></field>");
    let fields = [
        field("FORM_TYPE", NS_AGENT),
        field("request-id", request_id),
        field("requester", "bob@remote.example"),
        field("level", "authorized"),
        field("interface", "public"),
        field("confirm", &confirm.to_string()),
        field("issued", "2026-01-01T00:00:00Z"),
        field("expires", "9999-01-01T00:00:00Z"),
        field("url", &url),
        field("reason", "The agenda"),
    ];
    format!(
        "<command xmlns='{NS_COMMANDS}' node='{NS_AGENT}#open-url' action='execute'>\
         <x xmlns='jabber:x:data' type='submit'>{}</x></command>",
        fields.concat()
    )
}

fn condition(iq: &Element) -> &str {
    let error = iq.get_child("error", "jabber:client").expect("an error");
    error
        .children()
        .find(|child| child.name() != "text")
        .unwrap()
        .name()
}
