//! What outlives what: the status her logout, SIGKILL of the component and restarts of the server; the
//! attachment every end of the server.

use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::stage::{
    ALICE, NS_DELAY, Stage, probe, probe_until, reach_component, rights, say, shows,
};

const TEXT: &str = "In a meeting until 3";

pub(super) async fn of_the_status(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    reach_component(&mut alice).await;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    // Acknowledged is durable: not a moment passes.
    stage.component.kill();
    stage.component.respawn()?;
    stage.component.attached().await?;
    // She is still online, and the component has asked for what it forgot.
    probe_until(&mut bot, "away as before", |face| {
        shows(face, "away", Some(TEXT))
    })
    .await;

    alice.logout().await;
    let face = probe_until(&mut bot, "offline with her text", |face| {
        shows(face, "unavailable", Some(TEXT))
    })
    .await;
    assert_eq!(face.attr("from"), Some(ALICE));
    let delay = face.get_child("delay", NS_DELAY).unwrap();
    assert!(delay.attr("stamp").is_some(), "{face:?}");

    stage.component.kill();
    stage.component.respawn()?;
    stage.component.attached().await?;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "unavailable", Some(TEXT)), "{face:?}");
    let offered = vec!["leave-message".to_owned(), "open-url".to_owned()];
    assert_eq!(rights(&face), ("authorized".to_owned(), offered));

    // An orderly restart changes nothing about that.
    assert_eq!(stage.component.stop().await?, 0);
    stage.component.respawn()?;
    stage.component.attached().await?;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "unavailable", Some(TEXT)), "{face:?}");

    // Her next login needs nothing but a login.
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    reach_component(&mut alice).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", Some(TEXT)), "{face:?}");
    Ok(())
}

pub(super) async fn over_restarts_of_the_server(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    let process = stage.component.process_id();

    for killed in [false, true] {
        if killed {
            stage.server.kill();
        }
        stage.server.restart().await?;
        stage.component.attached().await?;
        let mut bot = stage.bot().await?;
        // Nobody has logged in: what the server forgot is not her state any more.
        probe_until(&mut bot, "offline with her text", |face| {
            shows(face, "unavailable", Some(TEXT))
        })
        .await;
        let mut alice = stage.login("alice", "phone").await?;
        alice
            .send(stanza("<presence><show>dnd</show></presence>"))
            .await;
        reach_component(&mut alice).await;
        let face = probe(&mut bot).await;
        assert!(shows(&face, "dnd", Some(TEXT)), "{face:?}");
        say(&mut alice, "status", TEXT).await;
    }
    assert_eq!(stage.component.process_id(), process);
    assert_eq!(stage.component.stop().await?, 0);
    Ok(())
}
