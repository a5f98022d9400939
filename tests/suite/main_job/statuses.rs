//! Her status, set by a watcher: while she is away, with its name, over a kill of the component, taken back in
//! one step.

use crate::support::Failure;
use crate::support::server::Kind;

use super::adhoc::{completed, fill_in, node_of, submit_at_once};
use super::stage::{
    ALICE, Stage, body_of, condition, expect_message, probe, probe_until, say, shows,
};

pub(super) async fn are_set_by_a_watcher(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    let node = node_of("set-status");

    let refused = submit_at_once(&mut bot, ALICE, &node, &[("status-message", "Mine")]).await;
    assert_eq!(condition(&refused), "forbidden", "a party needs her grant");
    say(&mut alice, "grant bot@localhost set-status", "may now").await;
    say(&mut alice, "status Writing", "Writing").await;
    alice.logout().await;

    let fields = [("status-message", "In a meeting"), ("until", "1h")];
    completed(&fill_in(&mut bot, ALICE, &node, &fields).await);
    let set = "In a meeting (set by bot@localhost)";
    let face = probe(&mut bot).await;
    assert!(shows(&face, "unavailable", Some(set)), "{face:?}");
    stage.component.kill();
    stage.component.restart().await?;
    probe_until(&mut bot, "set", |e| shows(e, "unavailable", Some(set))).await;

    // Her server has kept for her who did it and how it is undone.
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(crate::support::stanza("<presence/>")).await;
    let told = expect_message(&mut alice, "has set your status").await;
    for part in ["bot@localhost", "authorized", "In a meeting", "undo"] {
        assert!(body_of(&told).contains(part), "{told:?}");
    }
    say(&mut alice, "undo", "Writing").await;
    probe_until(&mut bot, "hers", |e| shows(e, "online", Some("Writing"))).await;

    // Three in an hour; what it takes back costs nothing.
    for text in ["One", "Two", "Three"] {
        completed(&submit_at_once(&mut bot, ALICE, &node, &[("status-message", text)]).await);
    }
    let refused = submit_at_once(&mut bot, ALICE, &node, &[("status-message", "Four")]).await;
    assert_eq!(condition(&refused), "policy-violation");
    completed(&submit_at_once(&mut bot, ALICE, &node, &[("status-message", "")]).await);
    probe_until(&mut bot, "hers", |e| shows(e, "online", Some("Writing"))).await;
    Ok(())
}
