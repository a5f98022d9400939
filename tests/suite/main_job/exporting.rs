//! What is stored, taken out and put back: her own records to her; everything to a file while the
//! component runs, and from it into a new store. docs/store.md

use std::path::Path;
use std::process::Command;

use super::adhoc::{completed, submit_at_once};
use super::stage::{
    ALICE, HOME, NS_RIGHTS, PASSWORD, Stage, body_of, configuration, expect_message, probe_until,
    request, say, shows,
};
use crate::support::client::Client;
use crate::support::component_process::ComponentProcess;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

const TEXT: &str = "In a meeting until 3";
const WATCHER: &str = "stranger@localhost";

/// Alice is the administrator here.
async fn stage(kind: Kind) -> Result<Stage, Failure> {
    let server = Server::start(kind, Options::default()).await?;
    for user in ["alice", "bot", "stranger"] {
        Client::register(&server, user, PASSWORD).await?;
    }
    let config = configuration(&server).with("[users]\nadmins = [\"alice@localhost\"]\n");
    let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    Ok(Stage { server, component })
}

/// Runs `vestibule` on the component's configuration; what it says.
pub(super) fn vestibule(
    component: &ComponentProcess,
    arguments: &[&str],
) -> Result<String, Failure> {
    let output = Command::new(built_binary("vestibule")?)
        .args(arguments)
        .arg("--config")
        .arg(component.config_file())
        .env_clear()
        .output()
        .map_err(|error| Failure::new(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

pub(super) async fn and_importing(kind: Kind) -> Result<(), Failure> {
    let mut stage = stage(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    say(&mut alice, &format!("grant {WATCHER} open-url"), "may now").await;

    // Her own records, by chat and by command.
    say(&mut alice, "export", "Everything that is stored of you").await;
    let records = body_of(&expect_message(&mut alice, "1/1").await);
    for word in ["\"kind\":\"profile\"", TEXT, WATCHER] {
        assert!(records.contains(word), "{word} is not in {records}");
    }
    let node = "urn:x-presence-service:consent:0#export";
    let answer = submit_at_once(&mut alice, HOME, node, &[]).await;
    assert!(completed(&answer).1.contains("1 message"));
    expect_message(&mut alice, "1/1").await;

    // Everything, while it runs.
    say(&mut alice, "export store", "has begun").await;
    let told = body_of(&expect_message(&mut alice, "records: ").await);
    let file = told.split_once("records: ").unwrap().1.to_owned();
    assert!(Path::new(&file).is_file(), "{told}");
    let node = "urn:x-presence-service:admin:0#export";
    let answer = submit_at_once(&mut alice, HOME, node, &[]).await;
    assert!(completed(&answer).1.contains("has begun"));
    let told = expect_message(&mut alice, "records: ").await;
    let file = body_of(&told).split_once("records: ").unwrap().1.to_owned();

    // She takes back what she gave; then the store is lost, and only its proof is left.
    say(
        &mut alice,
        &format!("revoke {WATCHER}"),
        "nothing by your word",
    )
    .await;
    alice.logout().await;
    assert_eq!(stage.component.stop().await?, 0);
    let store = stage.component.folder().join("store");
    let lost = stage.component.folder().join("lost");
    std::fs::rename(&store, &lost).unwrap();
    let file = file.replace("/store/", "/lost/");
    let since = lost.display().to_string();
    let said = vestibule(&stage.component, &["import", &file, "--since", &since])?;
    assert!(said.contains("1 grant is left out"), "{said}");

    stage.component.respawn()?;
    stage.component.attached().await?;
    // The party sees her status as before; whom she has revoked sees nothing.
    let mut bot = stage.bot().await?;
    probe_until(&mut bot, "offline with her text", |face| {
        shows(face, "unavailable", Some(TEXT))
    })
    .await;
    let mut stranger = stage.login("stranger", "desk").await?;
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    let answer = request(&mut stranger, ALICE, "get", asked).await;
    assert_eq!(answer.attr("type"), Some("error"), "{answer:?}");

    // She leaves by command, and nothing is left of her.
    let mut alice = stage.login("alice", "phone").await?;
    say(&mut alice, "export store", "has begun").await;
    let told = body_of(&expect_message(&mut alice, "records: ").await);
    let file = told.split_once("records: ").unwrap().1.to_owned();
    assert!(std::fs::read_to_string(&file).unwrap().contains("alice"));
    let node = "urn:x-presence-service:consent:0#leave";
    let fields = [("erase", "1")];
    let answer = submit_at_once(&mut alice, HOME, node, &fields).await;
    assert!(completed(&answer).1.contains("erased"));
    assert_eq!(stage.component.stop().await?, 0);
    let rest = stage.component.folder().join("rest.jsonl");
    vestibule(&stage.component, &["export", rest.to_str().unwrap()])?;
    let rest = std::fs::read_to_string(rest).unwrap();
    assert!(!rest.contains("alice"), "{rest}");

    // The records are lost as well; the export from before does not bring her back.
    let left = stage.component.folder().join("left");
    std::fs::rename(&store, &left).unwrap();
    std::fs::remove_dir_all(left.join("sled")).unwrap();
    let file = file.replace("/store/", "/left/");
    let since = left.display().to_string();
    let said = vestibule(&stage.component, &["import", &file, "--since", &since])?;
    assert!(said.contains("1 user who has left stays away"), "{said}");
    let rest = stage.component.folder().join("after.jsonl");
    vestibule(&stage.component, &["export", rest.to_str().unwrap()])?;
    let rest = std::fs::read_to_string(rest).unwrap();
    assert!(!rest.contains("alice"), "{rest}");
    Ok(())
}
