//! Her presence: every resource counts, the best one is the face, and her own status lies over it.

use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{STATUS_NODE, completed, fill_in, submit_at_once};
use super::stage::NS_RIGHTS;
use super::stage::{
    HOME, Stage, condition, probe, probe_until, query, reach_component, say, shows,
};

const TEXT: &str = "In a meeting until 3";

pub(super) async fn is_tracked_and_overlaid_by_her_status(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut phone = stage.alice_joined("phone").await?;
    probe_until(&mut bot, "online", |face| shows(face, "online", None)).await;

    // Two resources: the higher priority speaks for her.
    let mut desk = stage.login("alice", "desk").await?;
    desk.send(stanza(
        "<presence><show>dnd</show><status>writing</status><priority>5</priority></presence>",
    ))
    .await;
    reach_component(&mut desk).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", Some("writing")), "{face:?}");
    phone
        .send(stanza(
            "<presence><show>away</show><status>on the way</status><priority>7</priority></presence>",
        ))
        .await;
    reach_component(&mut phone).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "away", Some("on the way")), "{face:?}");
    // The best one goes without a word; the other one is her face again.
    phone.drop_tcp().await;
    probe_until(&mut bot, "writing", |face| {
        shows(face, "dnd", Some("writing"))
    })
    .await;

    // Her own text lies over every client's, by chat, by the form and in one step.
    let answer = say(&mut desk, &format!("status {TEXT}"), TEXT).await;
    assert!(answer.starts_with("Your status is now"), "{answer}");
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", Some(TEXT)), "{face:?}");

    let fields = [("status-message", "Über & <out>"), ("status", "xa")];
    let filled = fill_in(&mut desk, HOME, STATUS_NODE, &fields).await;
    let (severity, note) = completed(&filled);
    assert_eq!(severity, "info");
    assert!(note.contains("Über & <out>"), "{note}");
    let face = probe(&mut bot).await;
    assert!(shows(&face, "xa", Some("Über & <out>")), "{face:?}");

    let fields = [("status-message", "Back soon"), ("status", "keep")];
    completed(&submit_at_once(&mut desk, HOME, STATUS_NODE, &fields).await);
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", Some("Back soon")), "{face:?}");
    // The same as data.
    let data = query(&mut bot).await;
    let state = data.get_child("state", NS_RIGHTS).unwrap();
    assert_eq!(state.attr("show"), Some("dnd"), "{data:?}");
    assert_eq!(state.attr("type"), Some("available"));
    let status = state.get_child("status", NS_RIGHTS).unwrap();
    assert_eq!(status.text(), "Back soon");

    // What is not a state is refused and changes nothing.
    let fields = [("status-message", "no"), ("status", "asleep")];
    let refused = submit_at_once(&mut desk, HOME, STATUS_NODE, &fields).await;
    assert_eq!(condition(&refused), "bad-request");
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", Some("Back soon")), "{face:?}");
    say(&mut desk, "status clear", "cleared").await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", Some("writing")), "{face:?}");

    // Invisible is one of the states: others see her offline.
    let fields = [("status", "invisible")];
    completed(&submit_at_once(&mut desk, HOME, STATUS_NODE, &fields).await);
    let face = probe(&mut bot).await;
    assert_eq!(face.attr("type"), Some("unavailable"), "{face:?}");
    Ok(())
}
