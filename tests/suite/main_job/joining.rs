//! How users join: by adding the component as a contact, or by saying `join`. Nothing
//! about a user is told before she does.

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::stage::{
    ALICE, HOME, HOME_FULL, NS_RIGHTS, SOON, Stage, approve_component, body_of, condition,
    expect_message, is_presence, join_by_contact, probe_until, reach_component, request, say,
    shows,
};

pub(super) async fn by_contact_and_by_chat(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice.settle().await;

    // Before she joins she is nobody here, also to the operator's party.
    let refused = ask(&mut bot, ALICE).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut alice, "status nothing to see", "not joined").await;

    let welcome = body_of(&join_by_contact(&mut alice).await);
    for part in [ALICE, "acme", "help", "visibility public"] {
        assert!(welcome.contains(part), "no {part:?} in {welcome:?}");
    }
    probe_until(&mut bot, "online", |face| shows(face, "online", None)).await;
    say(&mut alice, "join", "joined already").await;

    // The other way, for a client that cannot add such a contact.
    Client::register(&stage.server, "carol", "pw").await?;
    let mut carol = Client::login(&stage.server, "carol", "pw", "web").await?;
    carol.send(stanza("<presence/>")).await;
    carol.settle().await;
    say(&mut carol, "Join", "Welcome").await;
    approve_component(&mut carol).await;
    reach_component(&mut carol).await;
    let carol_there = r"carol\40localhost@presence.localhost";
    let answer = ask(&mut bot, carol_there).await;
    let state = answer.get_child("query", NS_RIGHTS).unwrap();
    let state = state.get_child("state", NS_RIGHTS).unwrap();
    assert_eq!(state.attr("type"), Some("available"), "{answer:?}");

    // She removes the component from her contacts: she is nobody here again, and what she has set
    // comes back when she does.
    say(&mut alice, "status Still me", "Still me").await;
    alice
        .send(stanza(&format!(
            "<presence type='unsubscribe' to='{HOME}'/>"
        )))
        .await;
    alice
        .expect("the end of the component", SOON, |e| {
            is_presence(e, HOME_FULL, Some("unavailable"))
        })
        .await;
    expect_message(&mut alice, "removed me from your contacts").await;
    let refused = ask(&mut bot, ALICE).await;
    assert_eq!(condition(&refused), "service-unavailable");
    // She still lets the component see her: there is nothing to approve.
    alice
        .send(stanza(&format!("<presence type='subscribe' to='{HOME}'/>")))
        .await;
    expect_message(&mut alice, "Welcome").await;
    probe_until(&mut bot, "online with her text", |face| {
        shows(face, "online", Some("Still me"))
    })
    .await;
    Ok(())
}

async fn ask(watcher: &mut Client, whom: &str) -> minidom::Element {
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    request(watcher, whom, "get", asked).await
}
