//! The examples of `docs/third-parties.md`, as they stand there, run by people's own Python and Node against
//! a server with TLS: asking, commands in one step and in two, waiting for the end, watching, the link.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::certificate::certificate;
use crate::support::client::Client;
use crate::support::ports::Port;
use crate::support::process::{Process, find_program};
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::adhoc::{
    NS_COMMANDS, NS_OUTCOME, answer_with, command_of, completed, expect_at_agent, submit_at_once,
    value,
};
use super::dedicated_link::{root, run};
use super::opening_pages::agent_of_alice;
use super::stage::{
    ALICE, HOME, PASSWORD, Stage, condition, expect_message, reach_component, request, say,
};

const PAGE: &str = "https://example.net/agenda";
const SECRET: &str = "open <sesame>";

/// For a program to start, log in, and say its next line; the machine may be busy.
const NEXT_LINE: Duration = Duration::from_secs(90);

pub(super) async fn run_the_examples(kind: Kind) -> Result<(), Failure> {
    let bench = Bench::set(kind).await?;
    let mut alice = bench.stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&bench.stage, "agent").await?;
    alice
        .send(stanza(
            "<presence><show>away</show><status>lunch</status></presence>",
        ))
        .await;
    reach_component(&mut alice).await;

    for language in [".py", ".mjs"] {
        asks(&bench, language).await?;
        opens(&bench, &mut agent, language).await?;
    }
    let (waits, refused) = tokio::join!(
        waits_for_her_word(&bench, &mut agent),
        learns_nothing(&bench)
    );
    waits?;
    refused?;
    leaves_a_message(&bench, &mut alice).await?;
    redeems(&bench, &mut alice).await?;
    watches(&bench, &mut alice).await?;
    attaches(&bench, &mut agent).await
}

/// She is seen by the party's bot, with her rights.
async fn asks(bench: &Bench, language: &str) -> Result<(), Failure> {
    let mut program = bench.run_as("bot", &["ask", language], &["alice@localhost", HOME])?;
    program
        .says_to_its_end(
            "query: away - lunch\nlevel: authorized\nrights: open-url leave-message\nprobe: away - lunch\n",
        )
        .await
}

/// The agent does it at once.
async fn opens(bench: &Bench, agent: &mut Client, language: &str) -> Result<(), Failure> {
    let mut program = bench.run_as("bot", &["open_page", language], &[ALICE, PAGE, "agenda"])?;
    let order = expect_at_agent(agent, "open-url").await;
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    assert_eq!(value(command, "url").as_deref(), Some(PAGE));
    assert_eq!(value(command, "reason").as_deref(), Some("agenda"));
    let done = answer_with("completed", "a1", "open-url", None);
    agent.reply(&order, Some(done)).await;
    program.says_to_its_end("outcome: completed\n").await
}

/// The agent asks her, who takes longer than an IQ can wait: one program is told, the other one polls.
async fn waits_for_her_word(bench: &Bench, agent: &mut Client) -> Result<(), Failure> {
    let ends = [("completed", ".py"), ("refused", ".mjs")];
    let mut open = Vec::new();
    for (end, language) in ends {
        let program = bench.run_as("bot", &["open_page", language], &[ALICE, PAGE, end])?;
        let order = expect_at_agent(agent, "open-url").await;
        let asking = answer_with("executing", "a1", "open-url", None);
        agent.reply(&order, Some(asking)).await;
        let command = order.get_child("command", NS_COMMANDS).unwrap();
        open.push((program, value(command, "request-id").unwrap(), end));
    }
    for (program, id, end) in &mut open {
        program.says("she is being asked\n").await?;
        let report = stanza(&format!(
            "<outcome xmlns='{NS_OUTCOME}' request-id='{id}' right='open-url' state='{end}'/>"
        ));
        let taken = request(agent, HOME, "set", report).await;
        assert_eq!(taken.attr("type"), Some("result"), "{taken:?}");
    }
    for (mut program, _, end) in open {
        let all = format!("she is being asked\noutcome: {end}\n");
        program.says_to_its_end(&all).await?;
    }
    Ok(())
}

/// A stranger is told nothing, and asks no faster than it may.
async fn learns_nothing(bench: &Bench) -> Result<(), Failure> {
    let mut stranger = bench.stage.login("stranger", "other").await?;
    for language in [".py", ".mjs"] {
        // So many questions that there is no answer left for the program, until it has been told so.
        while is_answered(&mut stranger).await {}
        let mut program =
            bench.run_as("stranger", &["ask", language], &["alice@localhost", HOME])?;
        let until = Instant::now() + NEXT_LINE;
        while !program.said().contains("query: again in ") {
            is_answered(&mut stranger).await;
            program.runs(until)?;
        }
        program.ends().await?;
        let said = program.said();
        assert!(
            said.ends_with("s\nquery: nobody\nprobe: silence\n"),
            "{said}"
        );
    }
    Ok(())
}

/// Asks once; tells whether it was a question that counts as one.
async fn is_answered(stranger: &mut Client) -> bool {
    let asked = stanza("<query xmlns='urn:x-presence-service:rights:0'/>");
    let answer = request(stranger, ALICE, "get", asked).await;
    match &*condition(&answer) {
        "service-unavailable" => true,
        "policy-violation" => false,
        _ => panic!("{answer:?}"),
    }
}

async fn leaves_a_message(bench: &Bench, alice: &mut Client) -> Result<(), Failure> {
    let text = "The parcel is at the door.";
    let mut program = bench.run_as("bot", &["leave_message", ".py"], &[ALICE, text])?;
    program.ends().await?;
    let said = program.said();
    for line in [
        "command: urn:x-presence-service:cmd:0#leave-message - Leave a message\n",
        "field: FORM_TYPE - hidden\nfield: text - text-multi\n",
        "outcome: completed\nnote: The message is on its way to her.\n",
    ] {
        assert!(said.contains(line), "{line}not in\n{said}");
    }
    expect_message(alice, text).await;
    Ok(())
}

/// A stranger has got a token of hers, once; and nobody gets anything by a wrong one.
async fn redeems(bench: &Bench, alice: &mut Client) -> Result<(), Failure> {
    let node = "urn:x-presence-service:consent:0#token-new";
    let fields = [("label", "For the blog"), ("rights", "leave-message")];
    let made = submit_at_once(alice, HOME, node, &fields).await;
    let token = value(command_of(&made), "token").unwrap();
    let server = bench.stage.server.c2s_address();
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let arguments = ["stranger@localhost", ALICE, &*host, &*port];
    for (token, said) in [
        ("1:nonsense", "refused: service-unavailable\n"),
        (&*token, "granted: authorized until 20"),
    ] {
        let secrets = [("PASSWORD", PASSWORD), ("TOKEN", token)];
        let mut program = bench.start("redeem.py", &secrets, &arguments)?;
        program.ends().await?;
        assert!(program.said().starts_with(said), "{}", program.said());
    }
    expect_message(alice, "For the blog").await;
    // He is to ask her for himself, in what follows.
    let revoked = [("who", "stranger@localhost")];
    let node = "urn:x-presence-service:consent:0#revoke";
    completed(&submit_at_once(alice, HOME, node, &revoked).await);
    Ok(())
}

async fn watches(bench: &Bench, alice: &mut Client) -> Result<(), Failure> {
    let mut program = bench.run_as("stranger", &["watch", ".py"], &[ALICE])?;
    expect_message(alice, "stranger@localhost").await;
    say(alice, "approve stranger@localhost", "stranger@localhost").await;
    program.says("away - lunch\n").await?;
    alice
        .send(stanza("<presence><show>dnd</show></presence>"))
        .await;
    program.says("dnd - \n").await?;
    alice.send(stanza("<presence type='unavailable'/>")).await;
    program.says("unavailable - \n").await?;
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    reach_component(alice).await;
    Ok(())
}

/// A party on its link asks for two users and has a page opened.
async fn attaches(bench: &Bench, agent: &mut Client) -> Result<(), Failure> {
    let port = bench.link.address().port().to_string();
    let users = ["alice@localhost", "nobody@localhost"];
    let arguments = [
        &["partner.presence.localhost", "localhost", &port, PAGE],
        &users[..],
    ];
    let mut program = bench.start("partner.py", &[("SECRET", SECRET)], &arguments.concat())?;
    let order = expect_at_agent(agent, "open-url").await;
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    let requester = value(command, "requester");
    assert_eq!(requester.as_deref(), Some("bot@partner.presence.localhost"));
    assert_eq!(value(command, "level").as_deref(), Some("trusted"));
    let done = answer_with("completed", "a1", "open-url", None);
    agent.reply(&order, Some(done)).await;
    program
        .says_to_its_end(
            "alice@localhost away trusted open-url leave-message\noutcome: completed\nnobody@localhost nobody\n",
        )
        .await
}

/// The stage with TLS, the libraries, and a door for the party `partner`.
struct Bench {
    stage: Stage,
    link: Port,
    authority: PathBuf,
    python: PathBuf,
    node: PathBuf,
    examples: PathBuf,
    folder: TempDir,
}

impl Bench {
    async fn set(kind: Kind) -> Result<Self, Failure> {
        run(&["tests/third-parties/install.sh"]).await?;
        let failure = |error: std::io::Error| Failure::new(error.to_string());
        let folder = tempfile::tempdir().map_err(failure)?;
        let (authority, certificate) = certificate(folder.path(), "localhost")?;
        let link = Port::reserve()?;
        // A stranger's bucket is soon empty, and soon has an answer again.
        let config = format!(
            "[limits]\nprobe-burst-per-watcher = 20\nprobe-rate-per-watcher = 1.0\n\
             [dedicated]\nlisten = \"{}\"\ntls-cert = {:?}\ntls-key = {:?}\n\
             [[party]]\nname = \"partner\"\nrights = [\"see\", \"open-url\", \"leave-message\"]\n\
             link-secret = {SECRET:?}\n",
            link.address(),
            certificate.public,
            certificate.private,
        );
        let options = Options {
            certificate: Some(certificate.clone()),
            ..Options::default()
        };
        let missing = || Failure::new("node is not installed: run make test");
        Ok(Self {
            stage: Stage::set_with(kind, options, &config).await?,
            link,
            authority,
            python: root().join("target/slixmpp/bin/python"),
            node: find_program("node").ok_or_else(missing)?,
            examples: root().join("target/third-parties"),
            folder,
        })
    }

    /// Starts an example, named in two parts, as a client of the server.
    fn run_as(&self, user: &str, name: &[&str], arguments: &[&str]) -> Result<Program, Failure> {
        let server = self.stage.server.c2s_address();
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        let jid = format!("{user}@localhost");
        let arguments = [&[&*jid], arguments, &[&*host, &*port]].concat();
        self.start(&name.concat(), &[("PASSWORD", PASSWORD)], &arguments)
    }

    fn start(
        &self,
        name: &str,
        secrets: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Program, Failure> {
        let is_python = name.ends_with(".py");
        let (runs, folder) = if is_python {
            (&self.python, root().join("tests/third-parties"))
        } else {
            (&self.node, self.examples.clone())
        };
        let mut command = Process::command(runs);
        command
            .arg(folder.join(name))
            .args(arguments)
            .envs(secrets.iter().copied())
            // Whom the libraries trust: an operator's certificate is one of a public authority.
            .env("SSL_CERT_FILE", &self.authority)
            .env("NODE_EXTRA_CA_CERTS", &self.authority)
            // For Node 18, which Debian 12 has; newer ones have it anyway.
            .env("NODE_OPTIONS", "--experimental-global-webcrypto")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let log = tempfile::NamedTempFile::new_in(self.folder.path());
        let log = log.and_then(|file| file.into_temp_path().keep().map_err(|error| error.error));
        let log = log.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Program(Process::spawn(name, command, &log)?))
    }
}

/// An example that runs.
struct Program(Process);

impl Program {
    fn said(&self) -> String {
        self.0.log_since(0)
    }

    /// Fails if it has ended, or if it is too late.
    fn runs(&mut self, until: Instant) -> Result<(), Failure> {
        if self.0.ended().is_some() {
            return Err(self.0.failure("ended too early"));
        }
        if Instant::now() > until {
            return Err(self.0.failure("did not say it in time"));
        }
        Ok(())
    }

    /// Waits until it has said this.
    async fn says(&mut self, words: &str) -> Result<(), Failure> {
        let until = Instant::now() + NEXT_LINE;
        while !self.said().contains(words) {
            self.runs(until)?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until it has ended well.
    async fn ends(&mut self) -> Result<(), Failure> {
        if self.0.wait(NEXT_LINE).await?.success() {
            return Ok(());
        }
        Err(self.0.failure("has failed"))
    }

    /// Waits until it has ended well and said nothing but this.
    async fn says_to_its_end(&mut self, words: &str) -> Result<(), Failure> {
        self.ends().await?;
        assert_eq!(self.said(), words);
        Ok(())
    }
}

/// What it said is wanted where it did not do what others wait for.
impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("an example has said:\n{}", self.said());
        }
    }
}
