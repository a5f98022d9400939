//! The scene: a server with TLS, the component, alice who has joined, and bob whose contacts are the
//! component and alice's presentity. He is not logged in: his client is what is tested.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::time::Instant;

use crate::adhoc;
use crate::certificate::Authority;
use crate::stage::{self, HOME, PASSWORD, SOON, Stage, is_presence, join_by_contact, say};
use crate::story::{LOOK, PATIENCE};
use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

const NS_ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// What alice says about herself.
pub(crate) const TEXT: &str = "In a meeting until 3";

/// Somebody in bob's roster.
pub(crate) struct Contact {
    /// As clients show it.
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
}

/// Alice's presentity.
pub(crate) const ALICE: Contact = Contact {
    name: "Alice",
    address: stage::ALICE,
};

/// Bob's presentity.
const BOB: &str = r"bob\40localhost@presence.localhost";

/// The component itself, to which bob has given no name.
pub(crate) const COMPONENT: Contact = Contact {
    name: HOME,
    address: HOME,
};

/// The scene, with alice away and her text set.
pub(crate) struct Scene {
    stage: Stage,
    alice: Client,
    authority: Authority,
    // Last: the others use files in it.
    folder: TempDir,
}

impl Scene {
    /// Sets the scene on this server.
    pub(crate) async fn set(kind: Kind) -> Result<Self, Failure> {
        let mut scene = Self::without_contacts(kind).await?;
        befriend(&scene.stage, &mut scene.alice).await?;
        say(&mut scene.alice, &format!("status {TEXT}"), TEXT).await;
        scene
            .alice_sends("<presence><show>away</show></presence>")
            .await;
        Ok(scene)
    }

    /// The same before bob has joined or knows alice, and before she has said anything.
    pub(crate) async fn without_contacts(kind: Kind) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        let authority = Authority::make(folder.path())?;
        let options = Options {
            certificate: Some(authority.server.clone()),
            ..Options::default()
        };
        let server = Server::start(kind, options).await?;
        for user in ["alice", "bob"] {
            Client::register(&server, user, PASSWORD).await?;
        }
        let config = Config::for_server(&server);
        let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
        let stage = Stage { server, component };
        let alice = stage.alice_joined("desk").await?;
        Ok(Self {
            stage,
            alice,
            authority,
            folder,
        })
    }

    /// Alice's client sends this presence.
    pub(crate) async fn alice_sends(&mut self, presence: &str) {
        self.alice.send(stanza(presence)).await;
    }

    /// Bob says this to the component before his client is there, as in “grant …”.
    pub(crate) async fn bob_has_said(&self, line: &str, answer: &str) -> Result<(), Failure> {
        let mut bob = self.stage.login("bob", "setting-up").await?;
        bob.send(stanza("<presence/>")).await;
        say(&mut bob, line, answer).await;
        bob.logout().await;
        Ok(())
    }

    /// Another client of bob's, which is not there for others.
    pub(crate) async fn bob_elsewhere(&self) -> Result<Client, Failure> {
        self.stage.login("bob", "elsewhere").await
    }

    /// Alice runs a right at bob, and is told that it was done.
    pub(crate) async fn alice_runs(&mut self, right: &str, fields: &[(&str, &str)]) -> String {
        let node = adhoc::node_of(right);
        let answer = adhoc::submit_at_once(&mut self.alice, BOB, &node, fields).await;
        adhoc::completed(&answer).1
    }

    /// Waits until alice's client gets a message of the component with these words.
    pub(crate) async fn alice_is_told(&mut self, words: &str) -> String {
        stage::body_of(&stage::expect_message(&mut self.alice, words).await)
    }

    /// An agent of bob's that can activate his client, once the component knows of it.
    pub(crate) async fn agent_of_bob(&mut self) -> Result<Client, Failure> {
        let mut agent = self.stage.login("bob", "agent").await?;
        agent.advertise(adhoc::NS_AGENT);
        agent
            .send(stanza("<presence><priority>-1</priority></presence>"))
            .await;
        let asks = |e: &minidom::Element| {
            e.get_child("query", NS_ITEMS)
                .is_some_and(|query| query.attr("node") == Some(adhoc::NS_COMMANDS))
        };
        let question = agent.expect("question for commands", SOON, asks).await;
        let (jid, node) = (agent.jid(), format!("{}#activate-client", adhoc::NS_AGENT));
        let commands = format!(
            "<query xmlns='{NS_ITEMS}' node='{}'><item jid='{jid}' node='{node}'/></query>",
            adhoc::NS_COMMANDS
        );
        agent.reply(&question, Some(stanza(&commands))).await;
        stage::reach_component(&mut agent).await;
        Ok(agent)
    }

    /// Waits until the component says in its log that this user has joined.
    pub(crate) async fn joined(&mut self, user: &str) -> Result<(), Failure> {
        let line = format!("{user} has joined");
        self.stage.component.logged(&line, PATIENCE).await.map(drop)
    }

    /// The port for clients, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.stage.server.c2s_address().port()
    }

    /// The authority that a client must trust.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority.file
    }

    /// A new folder for a client.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder)
            .map_err(|error| Failure::new(format!("cannot make {folder:?}: {error}")))?;
        Ok(folder)
    }
}

/// Waits until a question with these words waits for bob.
pub(crate) async fn is_asked(bob: &mut Client, words: &str) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    // Of every answer: “No question waits for your answer”, “Answer with the code”.
    while !say(bob, "questions", "nswer").await.contains(words) {
        if Instant::now() > end {
            return Err(Failure::new(format!("bob is not asked {words:?}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Bob adds the component and alice as contacts, and alice approves him.
async fn befriend(stage: &Stage, alice: &mut Client) -> Result<(), Failure> {
    let mut bob = stage.login("bob", "setting-up").await?;
    bob.send(stanza("<presence/>")).await;
    join_by_contact(&mut bob).await;
    let Contact { name, address } = ALICE;
    let item =
        format!("<query xmlns='jabber:iq:roster'><item jid='{address}' name='{name}'/></query>");
    bob.send(stanza(&format!("<iq type='set' id='add'>{item}</iq>")))
        .await;
    bob.send(stanza(&format!(
        "<presence type='subscribe' to='{address}'/>"
    )))
    .await;
    stage::expect_message(alice, "request to see your presence:").await;
    say(alice, "approve bob@localhost", "bob@localhost").await;
    bob.expect("approval by alice", SOON, |e| {
        is_presence(e, address, Some("subscribed"))
    })
    .await;
    bob.logout().await;
    Ok(())
}
