//! What the tests of the agent stand on: its folder with its file and programs, and a component in a
//! few lines.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use minidom::Element;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xmpp_parsers::component::Handshake;

use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::{Failure, built_binary, stanza};

pub(super) const SOON: Duration = Duration::from_secs(10);
pub(super) const AGENT: &str = "alice@localhost/vestibule-agent";
pub(super) const NS_AGENT: &str = "urn:x-presence-service:agent:0";
pub(super) const NS_COMMANDS: &str = "http://jabber.org/protocol/commands";

/// A folder with the agent's file, a program that opens pages by writing them down, and a log.
pub(super) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(super) fn new(server: &Server, password: &str, policy: &str) -> Self {
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
        let rest = format!(
            "[open-url]\npolicy = \"{policy}\"\nopener = [\"{}\", \"{{url}}\"]\n\
             [ask]\nfrom = \"stdin\"\n",
            opener.display(),
        );
        bench.configure(server, &rest);
        bench
    }

    /// Writes the agent's file anew: who and where, and `rest`.
    pub(super) fn configure(&self, server: &Server, rest: &str) {
        let config = format!(
            "jid = \"alice@localhost\"\npassword-file = \"password\"\ncomponent = \"{}\"\n\
             server = \"{}\"\nstate = \"{}\"\n{rest}",
            server.component_domain(),
            server.c2s_address(),
            self.path("state").display(),
        );
        self.write("agent.toml", &config, 0o600);
    }

    /// A program that writes the arguments of each run to a file: each ended by a NUL, each run by a
    /// line.
    pub(super) fn recorder(&self, name: &str) -> String {
        let script = format!(
            "#!/bin/sh\nf='{}'\nprintf '%s\\000' \"$@\" > \"$f.$$\"\n/bin/mv \"$f.$$\" \"$f/$$.run\"\n",
            self.path(&format!("{name}.runs")).display()
        );
        fs::create_dir_all(self.path(&format!("{name}.runs"))).unwrap();
        self.write(name, &script, 0o700);
        self.path(name).display().to_string()
    }

    /// The argument lists of all runs, in no order.
    pub(super) fn runs(&self, name: &str) -> Vec<Vec<String>> {
        let folder = fs::read_dir(self.path(&format!("{name}.runs"))).unwrap();
        folder
            .map(|entry| {
                let text = fs::read(entry.unwrap().path()).unwrap();
                let text = String::from_utf8(text).unwrap();
                let text = text.strip_suffix('\0').unwrap_or(&text);
                text.split('\0').map(ToOwned::to_owned).collect()
            })
            .collect()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn command(&self) -> Result<Command, Failure> {
        let mut command = Process::command(&built_binary("vestibule-agent")?);
        command
            .args(["run", "--config"])
            .arg(self.path("agent.toml"));
        Ok(command)
    }

    /// Starts it with nothing on standard input.
    pub(super) fn start(&self) -> Result<Process, Failure> {
        Process::spawn("vestibule-agent", self.command()?, &self.path("log"))
    }

    pub(super) fn log(&self) -> fs::File {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap()
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(super) fn opened(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("opened")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    pub(super) async fn wait_for_line(&self, agent: &Process, offset: u64, text: &str) {
        for _ in 0..2_000 {
            if agent.log_since(offset).contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", agent.failure(&format!("did not log {text:?}")));
    }

    pub(super) async fn wait_for_text(&self, text: &str) {
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
pub(super) struct Killed(pub(super) std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails only for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A component in a few lines: the handshake of XEP-0114, then one element after the other.
pub(super) struct Component {
    io: TcpStream,
    read: String,
    domain: String,
}

impl Component {
    pub(super) async fn attach(server: &Server) -> Self {
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

    /// Sends something to the agent.
    pub(super) async fn send(&mut self, type_: &str, id: &str, payload: &str) {
        let domain = self.domain.clone();
        self.write(&format!(
            "<iq type='{type_}' id='{id}' from='{domain}' to='{AGENT}'>{payload}</iq>"
        ))
        .await;
    }

    /// The next IQ with the report of a request.
    pub(super) async fn outcome_iq(&mut self, request_id: &str) -> Element {
        loop {
            let iq = self.next().await;
            let outcome = iq.get_child("outcome", "urn:x-presence-service:outcome:0");
            if outcome.is_some_and(|outcome| outcome.attr("request-id") == Some(request_id)) {
                assert_eq!(iq.attr("from"), Some(AGENT));
                return iq;
            }
        }
    }

    /// The next report of a request, which is taken.
    pub(super) async fn next_outcome(&mut self, request_id: &str) -> Element {
        let iq = self.outcome_iq(request_id).await;
        let id = iq.attr("id").unwrap();
        self.send("result", id, "").await;
        iq.get_child("outcome", "urn:x-presence-service:outcome:0")
            .unwrap()
            .clone()
    }

    /// Sends a request to the agent and waits for the answer to just that.
    pub(super) async fn request(&mut self, type_: &str, id: &str, payload: &str) -> Element {
        self.send(type_, id, payload).await;
        loop {
            let answer = self.next().await;
            if answer.attr("id") == Some(id) {
                assert_eq!(answer.attr("from"), Some(AGENT));
                return answer;
            }
        }
    }

    /// The next IQ; Prosody and ejabberd write an IQ with children to its end tag.
    pub(super) async fn next(&mut self) -> Element {
        let text = self.until(|text| text.find("</iq>").map(|at| at + 5)).await;
        stanza(text[text.find("<iq").unwrap()..].trim())
    }

    pub(super) async fn write(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to where `end` says.
    pub(super) async fn until(&mut self, end: impl Fn(&str) -> Option<usize>) -> String {
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

pub(super) fn command(request_id: &str, confirm: bool, url: &str) -> String {
    let confirm = u8::from(confirm).to_string();
    let fields = [
        ("confirm", confirm.as_str()),
        ("url", url),
        ("reason", "The agenda"),
    ];
    form("open-url", request_id, &fields)
}

/// A command with its common fields; `fields` come on top, or instead.
pub(super) fn form(name: &str, request_id: &str, fields: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("FORM_TYPE", NS_AGENT),
        ("request-id", request_id),
        ("requester", "bob@remote.example"),
        ("level", "authorized"),
        ("interface", "public"),
        ("confirm", "0"),
        ("issued", "2026-01-01T00:00:00Z"),
        ("expires", "9999-01-01T00:00:00Z"),
    ];
    for field in fields {
        all.retain(|(name, _)| *name != field.0);
        all.push(*field);
    }
    let field = |(name, value): (&str, &str)| {
        format!(
            "<field var='{name}'><value>{}</value></field>",
            escaped(value)
        )
    };
    let fields: String = all.into_iter().map(field).collect();
    format!(
        "<command xmlns='{NS_COMMANDS}' node='{NS_AGENT}#{name}' action='execute'>\
         <x xmlns='jabber:x:data' type='submit'>{fields}</x></command>"
    )
}

fn escaped(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == ' ';
    text.chars()
        .map(|c| {
            if plain(c) {
                c.to_string()
            } else {
                format!("&#{};", u32::from(c))
            }
        })
        .collect()
}

/// An answer in a few words: the condition of its error, or its status with the first note.
pub(super) fn told(iq: &Element) -> String {
    let Some(command) = iq.get_child("command", NS_COMMANDS) else {
        return condition(iq).to_owned();
    };
    let status = command.attr("status").unwrap_or_default();
    match command.get_child("note", NS_COMMANDS) {
        Some(note) => format!(
            "{status} {}: {}",
            note.attr("type").unwrap_or("info"),
            note.text()
        ),
        None => status.to_owned(),
    }
}

pub(super) fn condition(iq: &Element) -> &str {
    let error = iq.get_child("error", "jabber:client").expect("an error");
    error
        .children()
        .find(|child| child.name() != "text")
        .unwrap()
        .name()
}
