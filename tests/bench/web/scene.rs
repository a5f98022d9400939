//! The scene: a server that shows presence on the web itself, the component attached to it with its web
//! face, and users who are away with a text.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::load::Work;
use crate::stage::{PASSWORD, Stage, join_by_contact};
use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::ports::Port;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

/// Users who are online.
pub(crate) const USERS: usize = 20;

/// What they say about themselves.
pub(crate) const TEXT: &str = "in the office until five";

/// The core that is measured; the load has the other ones.
const CORE: &str = "0";

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) users: Vec<Client>,
    pub(crate) http: Port,
}

impl Scene {
    pub(crate) async fn set(kind: Kind) -> Result<Self, Failure> {
        let options = Options {
            web_presence: true,
            ..Options::default()
        };
        let server = Server::start(kind, options).await?;
        let http = Port::reserve()?;
        // One address asks for everything here.
        let config = Config::for_server(&server).with(&format!(
            "[users]\ndefault-visibility = \"public\"\n[http]\nlisten = \"{}\"\nrequests-per-second = 0\n",
            http.address()
        ));
        let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
        let stage = Stage { server, component };
        let mut users = Vec::new();
        for one in 0..USERS {
            let name = format!("u{one}");
            Client::register(&stage.server, &name, PASSWORD).await?;
            let mut user = stage.login(&name, "desk").await?;
            let presence = format!("<presence><show>away</show><status>{TEXT}</status></presence>");
            user.send(stanza(&presence)).await;
            join_by_contact(&mut user).await;
            users.push(user);
        }
        pin(stage.component.process_id());
        pin(stage.server.process_id().unwrap());
        Ok(Self { stage, users, http })
    }

    /// What is measured, by name.
    pub(crate) fn works(&self) -> Vec<(String, Work)> {
        let (server, component) = (&self.stage.server, &self.stage.component);
        let of = |address, process, mark, path: &dyn Fn(usize) -> String| Work {
            address,
            paths: (0..USERS).map(path).collect(),
            mark,
            process,
        };
        let ours = |mark, path: &dyn Fn(usize) -> String| {
            of(self.http.address(), component.process_id(), mark, path)
        };
        let theirs = |mark, path: &dyn Fn(usize) -> String| {
            of(
                server.web_address(),
                server.process_id().unwrap(),
                mark,
                path,
            )
        };
        let mut works = vec![
            (
                "vestibule: JSON".to_owned(),
                ours(TEXT, &|one| format!("/v1/users/u{one}@localhost")),
            ),
            (
                "vestibule: badge, SVG".to_owned(),
                ours(TEXT, &|one| format!("/v1/users/u{one}@localhost/badge.svg")),
            ),
        ];
        match server.kind() {
            Kind::Prosody => works.extend([
                (
                    "Prosody mod_webpresence: JSON".to_owned(),
                    theirs(TEXT, &|one| format!("/status/u{one}@localhost/json")),
                ),
                (
                    "Prosody mod_webpresence: image, PNG".to_owned(),
                    theirs("PNG", &|one| format!("/status/u{one}@localhost/image")),
                ),
            ]),
            Kind::Ejabberd => works.extend([
                (
                    "ejabberd mod_webpresence: XML".to_owned(),
                    theirs(TEXT, &|one| format!("/presence/jid/u{one}/localhost/xml")),
                ),
                (
                    "ejabberd mod_webpresence: image, PNG".to_owned(),
                    theirs("PNG", &|one| {
                        format!("/presence/jid/u{one}/localhost/image")
                    }),
                ),
            ]),
        }
        works
    }
}

/// Lets all threads of a process run on one core.
pub(crate) fn pin(process: u32) {
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", CORE, &process.to_string()])
        .stdout(Stdio::null())
        .status();
    assert!(
        pinned.is_ok_and(|status| status.success()),
        "taskset is in util-linux"
    );
}

/// Waits until somebody listens there.
pub(crate) async fn answers(address: SocketAddr) {
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens on {address}");
}
