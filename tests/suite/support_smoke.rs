//! The test support itself: that a client's waiting can fail, and that processes end as they are told.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use minidom::Element;

use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::ports::Port;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, stanza};

#[test]
fn ports_are_given_out_once() {
    let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
    let mut numbers: Vec<u16> = ports.iter().map(|port| port.address().port()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), ports.len());
    // The reservation leaves the port itself to the server.
    for port in &ports {
        std::net::TcpListener::bind(port.address()).unwrap();
    }
}

#[tokio::test]
async fn a_client_fails_for_what_does_not_come_and_for_what_must_not() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut alice = Client::login(&server, "alice", "pw", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice.settle().await;
    let own = |e: &Element| e.name() == "presence";

    // Each in a task of its own, whose panic is its result.
    let missing = tokio::spawn(async move {
        let brief = Duration::from_millis(50);
        alice
            .expect("unicorn", brief, |e| e.name() == "unicorn")
            .await;
    });
    let text = panic_of(missing).await;
    assert!(text.contains("no unicorn within 50ms"), "{text}");
    assert!(text.contains("support_smoke.rs"), "{text}");
    assert!(text.contains("<presence"), "{text}");

    let mut alice = Client::login(&server, "alice", "pw", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice.settle().await;
    // Taken or forgotten it does not count any more.
    alice.forget();
    alice
        .quiet("presence", Duration::from_millis(50), own)
        .await;
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    let noisy = tokio::spawn(async move {
        alice.quiet("presence", Duration::from_secs(10), own).await;
    });
    let text = panic_of(noisy).await;
    assert!(text.contains("got presence"), "{text}");

    let mut alice = Client::login(&server, "alice", "pw", "phone").await?;
    alice.drop_tcp().await;
    let deaf = tokio::spawn(async move {
        alice.quiet("presence", Duration::from_secs(10), own).await;
    });
    let text = panic_of(deaf).await;
    assert!(text.contains("cannot tell"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_component_process_is_configured_watched_and_ended() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    // Stands in for the component: says what it is to say, and ends as it is to end.
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("component");
    let script = "#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho \"$1 $2\"; env; cat \"$3\"\n\
                  echo 'INFO attached to 127.0.0.1 as presence.localhost'\n\
                  while :; do sleep 0.01; done\n";
    std::fs::write(&binary, script).unwrap();
    std::fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();

    let config = Config::for_server(&server)
        .with("[users]\ndefault-visibility = \"public\"\n[[party]]\nname = \"acme\"\n");
    let config = config.with("[[party]]\nname = \"other\"\n[log]\nlevel = \"debug\"\n");
    let mut component = ComponentProcess::start(&binary, &config).await?;
    let log = component.log();
    assert!(log.starts_with("run --config\n"), "{log}");
    assert!(!log.contains("VESTIBULE_"), "{log}");
    let written = std::fs::read_to_string(component.config_file()).unwrap();
    let written: toml::Table = written.parse().unwrap();
    let address = server.component_address().to_string();
    assert_eq!(
        written["component"]["server"].as_str(),
        Some(address.as_str())
    );
    assert_eq!(
        written["component"]["domain"].as_str(),
        Some("presence.localhost")
    );
    assert_eq!(written["users"]["domains"][0].as_str(), Some("localhost"));
    assert_eq!(
        written["users"]["default-visibility"].as_str(),
        Some("public")
    );
    assert_eq!(written["log"]["level"].as_str(), Some("debug"));
    assert_eq!(written["party"][1]["name"].as_str(), Some("other"));
    assert!(
        written["store"]["path"]
            .as_str()
            .unwrap()
            .ends_with("/store")
    );

    // The line of the start before does not count for the next one.
    component.restart().await?;
    assert_eq!(component.log().matches("attached to").count(), 2);
    assert_eq!(component.stop().await?, 0);
    assert!(component.log().contains("bye"));
    component.respawn()?;
    component.attached().await?;
    component.kill();
    let text = component.stop().await.unwrap_err().to_string();
    assert!(text.contains("was ended by signal: 9"), "{text}");
    let text = component.attached().await.unwrap_err().to_string();
    assert!(text.contains("ended without logging"), "{text}");
    Ok(())
}

async fn panic_of(task: tokio::task::JoinHandle<()>) -> String {
    let panic = task.await.unwrap_err().into_panic();
    panic.downcast_ref::<String>().unwrap().clone()
}
