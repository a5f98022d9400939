//! Subscriptions of watchers, judged by what their own server makes of them: the roster of the watcher's
//! account, and what its client receives. RFC 6121 §3, Appendix A.

use std::time::Duration;

use minidom::Element;
use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{completed, fill_in};
use super::stage::{
    ALICE, ALICE_FULL, CONVERGED, HOME, SOON, Stage, body_of, expect_message, fresh_id,
    is_of_alice, is_presence, probe_until, reach_alice, reach_component, request, say, shows,
};

const NS_ROSTER: &str = "jabber:iq:roster";
const PENDING_NODE: &str = "urn:x-presence-service:consent:0#pending";
const BLOCK_NODE: &str = "urn:x-presence-service:consent:0#block";
/// In this time nothing more comes.
const QUIET: Duration = Duration::from_secs(1);

pub(super) async fn from_the_request_to_its_end(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    reach_component(&mut alice).await;
    let mut bob = stage.login("stranger", "home").await?;
    bob.send(stanza("<presence/>")).await;

    // He asks: it waits for her, and his server knows it.
    bob.send(stanza(&format!(
        "<presence type='subscribe' id='mine' to='{ALICE}'><status>It is me, Bob</status>\
         <nick xmlns='http://jabber.org/protocol/nick'>Bob</nick></presence>"
    )))
    .await;
    let prompt = expect_message(&mut alice, "1. stranger@localhost").await;
    let prompt = String::from(&prompt);
    assert!(prompt.contains("It is me, Bob"), "{prompt}");
    roster_becomes(&mut bob, "asks", Some(("none", true))).await;

    // Prosody asks again for him at each login; she is not told again. A probe of his is silent.
    bob.logout().await;
    let mut bob = stage.login("stranger", "home").await?;
    bob.send(stanza("<presence/>")).await;
    bob.send(stanza(&format!(
        "<presence type='subscribe' to='{ALICE}'/>"
    )))
    .await;
    bob.send(stanza(&format!("<presence type='probe' to='{ALICE}'/>")))
        .await;
    reach_alice(&mut bob).await;
    bob.quiet("anything of alice", QUIET, is_of_alice).await;
    reach_component(&mut alice).await;
    let told = |e: &Element| e.name() == "message" && String::from(e).contains("stranger@");
    alice.quiet("a second prompt", QUIET, told).await;
    roster_becomes(&mut bob, "still asks", Some(("none", true))).await;

    // She approves by number.
    bob.forget();
    say(&mut alice, "approve 1", "now gets your presence").await;
    let approval = of_alice(&mut bob, "subscribed").await;
    assert!(
        approval.attr("id").is_some_and(|id| id != "mine"),
        "{approval:?}"
    );
    let face = bob
        .expect("her presence", SOON, |e| is_presence(e, ALICE_FULL, None))
        .await;
    assert!(shows(&face, "away", None), "{face:?}");
    roster_becomes(&mut bob, "subscribed", Some(("to", false))).await;

    // And takes it back: unavailable first.
    bob.forget();
    say(&mut alice, "deny stranger@localhost", "does not get").await;
    ends(&mut bob).await;
    roster_becomes(&mut bob, "ended", Some(("none", false))).await;

    // She refuses a request, from the form.
    bob.forget();
    ask(&mut bob).await;
    roster_becomes(&mut bob, "asks again", Some(("none", true))).await;
    say(&mut alice, "pending", "2. stranger@localhost").await;
    let answer = fill_in(&mut alice, HOME, PENDING_NODE, &[("request-2", "deny")]).await;
    assert!(completed(&answer).1.contains("does not get"), "{answer:?}");
    of_alice(&mut bob, "unsubscribed").await;
    roster_becomes(&mut bob, "refused", Some(("none", false))).await;

    // Approved before he asks: nothing is sent, and his request is answered at once.
    bob.forget();
    say(&mut alice, "approve stranger@localhost", "as soon as").await;
    reach_alice(&mut bob).await;
    bob.quiet("anything of alice", QUIET, is_of_alice).await;
    ask(&mut bob).await;
    of_alice(&mut bob, "subscribed").await;
    roster_becomes(&mut bob, "subscribed again", Some(("to", false))).await;

    // He takes it back himself, and hears nothing of her any more.
    bob.send(stanza(&format!(
        "<presence type='unsubscribe' to='{ALICE}'/>"
    )))
    .await;
    roster_becomes(&mut bob, "taken back", Some(("none", false))).await;
    becomes_a_stranger(&mut bob).await;
    bob.forget();
    alice
        .send(stanza("<presence><show>dnd</show></presence>"))
        .await;
    reach_component(&mut alice).await;
    // The end of what he had may still be on its way to him; her changes are not.
    let change = |e: &Element| is_presence(e, ALICE_FULL, None);
    bob.quiet("a change of alice", Duration::from_secs(4), change)
        .await;

    // Blocked while approved, by the form.
    say(&mut alice, "approve stranger@localhost", "as soon as").await;
    ask(&mut bob).await;
    of_alice(&mut bob, "subscribed").await;
    bob.expect("her presence", SOON, |e| is_presence(e, ALICE_FULL, None))
        .await;
    bob.forget();
    let fields = [("block", "stranger@localhost")];
    let answer = fill_in(&mut alice, HOME, BLOCK_NODE, &fields).await;
    assert!(completed(&answer).1.contains("is blocked"), "{answer:?}");
    ends(&mut bob).await;
    roster_becomes(&mut bob, "blocked", Some(("none", false))).await;
    // What he asks now she does not hear, and it looks to him like any other.
    ask(&mut bob).await;
    roster_becomes(&mut bob, "asks in vain", Some(("none", true))).await;
    say(&mut alice, "pending", "Nobody waits").await;
    assert_eq!(stage.component.log().matches("attached to").count(), 1);
    Ok(())
}

/// Alice logs in until her server hands out what it kept: what reaches it in the very moment of a login it
/// may keep for the next one.
async fn comes_back_to(stage: &Stage, kept: &str) -> Result<Client, Failure> {
    for _ in 0..5 {
        let mut alice = stage.login("alice", "phone").await?;
        alice.send(stanza("<presence/>")).await;
        let until = Instant::now() + CONVERGED / 4;
        while Instant::now() < until {
            let received = alice.received().iter();
            if received.map(body_of).any(|body| body.contains(kept)) {
                return Ok(alice);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        alice.logout().await;
    }
    Err(Failure::new(format!("alice never got {kept:?}")))
}

async fn ask(watcher: &mut Client) {
    watcher
        .send(stanza(&format!(
            "<presence type='subscribe' to='{ALICE}'/>"
        )))
        .await;
}

/// The next presence of this type from the bare presentity.
async fn of_alice(watcher: &mut Client, kind: &str) -> Element {
    watcher
        .expect(&format!("{kind} of alice"), SOON, |e| {
            is_presence(e, ALICE, Some(kind))
        })
        .await
}

/// `unavailable`, then `unsubscribed`, from the presentity.
async fn ends(watcher: &mut Client) {
    of_alice(watcher, "unsubscribed").await;
    let received = watcher.received();
    let place = |kind: &str| {
        received
            .iter()
            .rposition(|e| is_of_alice(e) && e.attr("type") == Some(kind))
    };
    let (gone, ended) = (place("unavailable"), place("unsubscribed"));
    assert!(gone.is_some() && gone < ended, "{gone:?} {ended:?}");
}

/// Asks for alice until she is nobody to him: what he took back is on the component's disk then.
async fn becomes_a_stranger(watcher: &mut Client) {
    let until = Instant::now() + CONVERGED;
    loop {
        let ping = stanza("<ping xmlns='urn:xmpp:ping'/>");
        let answer = request(watcher, ALICE, "get", ping).await;
        if answer.attr("type") == Some("error") {
            return;
        }
        assert!(Instant::now() < until, "he still sees her: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks for the watcher's roster until alice stands in it so: subscription, and whether it asks.
async fn roster_becomes(watcher: &mut Client, what: &str, expected: Option<(&str, bool)>) {
    let until = Instant::now() + CONVERGED;
    loop {
        let item = roster_item(watcher).await;
        let state = item.as_ref().map(|item| {
            (
                item.attr("subscription").unwrap_or("none"),
                item.attr("ask") == Some("subscribe"),
            )
        });
        if state == expected {
            return;
        }
        assert!(
            Instant::now() < until,
            "not {what} within {CONVERGED:?}, but {item:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn roster_item(watcher: &mut Client) -> Option<Element> {
    let id = fresh_id();
    watcher
        .send(stanza(&format!(
            "<iq type='get' id='{id}'><query xmlns='{NS_ROSTER}'/></iq>"
        )))
        .await;
    let roster = watcher
        .expect("the roster", SOON, |e| {
            e.attr("id") == Some(&id) && e.attr("type") == Some("result")
        })
        .await;
    let query = roster.get_child("query", NS_ROSTER)?;
    query
        .children()
        .find(|item| item.attr("jid") == Some(ALICE))
        .cloned()
}

/// A request that comes while she is offline is kept for her by her server; what comes soon after it waits
/// for the next digest.
pub(super) async fn while_she_is_away(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    alice.logout().await;
    let mut bot = stage.bot().await?;
    probe_until(&mut bot, "offline", |face| shows(face, "unavailable", None)).await;
    let mut bob = stage.login("stranger", "home").await?;
    bob.send(stanza("<presence/>")).await;
    ask(&mut bob).await;
    reach_alice(&mut bob).await;

    let mut alice = comes_back_to(&stage, "1. stranger@localhost").await?;
    ask(&mut bot).await;
    reach_alice(&mut bot).await;
    reach_component(&mut alice).await;
    let told = |e: &Element| e.name() == "message" && String::from(e).contains("2. bot@");
    alice.quiet("a second digest", QUIET, told).await;

    // Both are in the list, and answered in one line.
    let list = say(&mut alice, "pending", "2 requests").await;
    assert!(
        list.contains("1. stranger@localhost") && list.contains("2. bot@localhost"),
        "{list}"
    );
    let answer = say(&mut alice, "approve 1-2", "now gets your presence").await;
    assert!(
        answer.contains("stranger@localhost") && answer.contains("bot@localhost"),
        "{answer}"
    );
    of_alice(&mut bob, "subscribed").await;
    bot.send(stanza("<presence/>")).await;
    roster_becomes(&mut bob, "subscribed", Some(("to", false))).await;
    roster_becomes(&mut bot, "subscribed", Some(("to", false))).await;
    Ok(())
}
