//! The scene: a server with TLS, the component, alice who has joined, and bob whose contacts are the
//! component and alice's presentity. He is not logged in: his client is what is tested.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::certificate::Authority;
use crate::stage::{self, HOME, PASSWORD, SOON, Stage, is_presence, join_by_contact, say};
use crate::story::PATIENCE;
use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

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
