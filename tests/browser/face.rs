//! The scene: a real server, the component with its web face on, and alice who has joined and whom
//! everybody may see.

use std::net::SocketAddr;
use std::time::Duration;

use minidom::Element;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::stage::{PASSWORD, Stage, join_by_contact, reach_component};
use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::http::{Answer, get};
use crate::support::ports::Port;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};
use crate::tree::squeezed;

/// For what the face shows soon after it was said; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked.
const LOOK: Duration = Duration::from_millis(10);

/// Where alice is, as data.
pub(crate) const ALICE: &str = "/v1/users/alice@localhost";

pub(crate) struct Face {
    pub(crate) alice: Client,
    // After her, for she is logged in at its server.
    _stage: Stage,
    http: Port,
}

impl Face {
    /// Sets the scene, with this configuration besides; one address may ask as often as it likes.
    pub(crate) async fn set(config: &str) -> Result<Self, Failure> {
        Self::within("[http]\nrequests-per-second = 0\n", config).await
    }

    /// The same with the limits that the configuration has.
    pub(crate) async fn limited(config: &str) -> Result<Self, Failure> {
        Self::within("", config).await
    }

    async fn within(limits: &str, config: &str) -> Result<Self, Failure> {
        let server = Server::start(Kind::Prosody, Options::default()).await?;
        Client::register(&server, "alice", PASSWORD).await?;
        let http = Port::reserve()?;
        let config = Config::for_server(&server)
            .with(&format!(
                "[users]\ndefault-visibility = \"public\"\n[http]\nlisten = \"{}\"\n",
                http.address()
            ))
            .with(limits)
            .with(config);
        let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
        let stage = Stage { server, component };
        let mut alice = stage.login("alice", "desk").await?;
        alice.send(stanza("<presence/>")).await;
        join_by_contact(&mut alice).await;
        Ok(Self {
            alice,
            _stage: stage,
            http,
        })
    }

    /// Where the face listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where it is for browsers, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Alice's client says this; returns what is shown of it, once it is.
    pub(crate) async fn alice_says(&mut self, show: &str, text: &str) -> Result<String, Failure> {
        let mut presence = stanza("<presence/>");
        for (name, text) in [("show", show), ("status", text)] {
            if text.is_empty() {
                continue;
            }
            let element = Element::builder(name, presence.ns());
            presence.append_child(element.append(sendable(text).as_str()).build());
        }
        self.alice.send(presence).await;
        reach_component(&mut self.alice).await;
        let end = Instant::now() + PATIENCE;
        loop {
            let data = self.data().await;
            let shown = data["status"].as_str().unwrap_or_default().to_owned();
            if text.is_empty() || squeezed(&shown) == squeezed(text) {
                return Ok(shown);
            }
            if Instant::now() > end {
                let text = format!("alice said {text:?}, and it shows {data}");
                return Err(Failure::new(text));
            }
            sleep(LOOK).await;
        }
    }

    /// Alice's status as data.
    pub(crate) async fn data(&self) -> Value {
        self.get(ALICE).await.json()["data"].take()
    }

    /// Asks for a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(self.address(), path, &[]).await
    }
}

/// What XML cannot hold is a space; what it can hold stays.
fn sendable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && !matches!(c, '\t' | '\n'), " ")
}
