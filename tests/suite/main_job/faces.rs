//! What a subscriber sees of her through a real server: states, emoji, ends, idleness; and that being
//! invisible he sees nothing of what her clients do.

use std::time::Duration;

use minidom::Element;
use vestibule::component::clock::Wall;

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{STATUS_NODE, completed, fill_in, submit_at_once};
use super::stage::{
    ALICE, CONVERGED, HOME, NS_DELAY, NS_RIGHTS, Stage, is_of_alice, probe, probe_until, query,
    reach_component, say, shows,
};

const NS_IDLE: &str = "urn:xmpp:idle:1";
const VISIBILITY_NODE: &str = "urn:x-presence-service:consent:0#visibility";

/// The bot, online, subscribed to alice and approved by her.
async fn subscriber(stage: &Stage, alice: &mut Client) -> Result<Client, Failure> {
    let mut bot = stage.login("bot", "desk").await?;
    bot.send(stanza("<presence/>")).await;
    say(alice, "approve bot@localhost", "bot@localhost").await;
    bot.send(stanza(&format!(
        "<presence type='subscribe' to='{ALICE}'/>"
    )))
    .await;
    told(&mut bot, "her face", |_| true).await;
    Ok(bot)
}

/// Waits until the subscriber is told of a face, without asking for it.
async fn told(bot: &mut Client, what: &str, mut holds: impl FnMut(&Element) -> bool) -> Element {
    let is_face =
        |e: &Element| is_of_alice(e) && matches!(e.attr("type"), None | Some("unavailable"));
    bot.expect(what, CONVERGED, |e| is_face(e) && holds(e))
        .await
}

fn in_seconds(seconds: u64) -> String {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Wall(0).plus_s((since + seconds) as i64).to_string()
}

pub(super) async fn are_told_as_she_sets_them(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut bot = subscriber(&stage, &mut alice).await?;

    // Emoji of several characters, through two servers' worth of XML, whole.
    for line in ["🏖 on holiday", "👩‍💻", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 Ελλάδα & <漢字>"]
    {
        say(&mut alice, &format!("status {line}"), line).await;
        told(&mut bot, line, |face| shows(face, "online", Some(line))).await;
    }
    let data = query(&mut bot).await;
    let state = data.get_child("state", NS_RIGHTS).unwrap();
    let status = state.get_child("status", NS_RIGHTS).unwrap();
    assert_eq!(status.attr("emoji"), Some("🏴󠁧󠁢󠁥󠁮󠁧󠁿"), "{data:?}");
    assert_eq!(status.text(), "🏴󠁧󠁢󠁥󠁮󠁧󠁿 Ελλάδα & <漢字>");

    // A state by one word; the text stays.
    say(&mut alice, "status Working", "Working").await;
    for word in ["away", "xa", "chat", "dnd"] {
        say(&mut alice, word, &format!("shown as {word}")).await;
        told(&mut bot, word, |face| shows(face, word, Some("Working"))).await;
    }

    // For a few seconds another status; then the one before, told without a question.
    let end = in_seconds(6);
    let fields = [
        ("emoji", "🍝"),
        ("status-message", "Lunch"),
        ("status", "away"),
        ("until", end.as_str()),
        ("restore", "1"),
    ];
    let (_, note) = completed(&fill_in(&mut alice, HOME, STATUS_NODE, &fields).await);
    assert!(note.contains("then “Working” again"), "{note}");
    told(&mut bot, "lunch", |face| {
        shows(face, "away", Some("🍝 Lunch"))
    })
    .await;
    told(&mut bot, "work after lunch", |face| {
        shows(face, "dnd", Some("Working"))
    })
    .await;
    assert!(in_seconds(0) >= end, "it ended before its time");
    say(&mut alice, "state keep", "as your clients say").await;
    say(&mut alice, "status clear", "text is cleared").await;

    // Idleness passes only when she lets it. Who asks has no presence, so that no news mixes in.
    let mut asker = stage.login("bot", "asker").await?;
    let idle = "<presence><show>away</show><idle xmlns='urn:xmpp:idle:1' since='2026-01-02T03:04:05Z'/></presence>";
    alice.send(stanza(idle)).await;
    reach_component(&mut alice).await;
    let face = probe(&mut asker).await;
    assert!(shows(&face, "away", None), "{face:?}");
    assert!(!face.has_child("idle", NS_IDLE), "{face:?}");
    let fields = [("share-idle", "1"), ("last-seen", "hour")];
    completed(&submit_at_once(&mut alice, HOME, VISIBILITY_NODE, &fields).await);
    let face = probe(&mut asker).await;
    let since = face.get_child("idle", NS_IDLE).unwrap().attr("since");
    assert_eq!(since, Some("2026-01-02T03:00:00Z"), "{face:?}");

    // Offline, the stamp is as coarse.
    alice.logout().await;
    let face = probe_until(&mut asker, "offline", |face| {
        shows(face, "unavailable", None)
    })
    .await;
    let delay = face.get_child("delay", NS_DELAY).unwrap();
    assert!(
        delay.attr("stamp").unwrap().ends_with(":00:00Z"),
        "{face:?}"
    );
    Ok(())
}

pub(super) async fn show_nothing_of_an_invisible_user(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut phone = stage.alice_joined("phone").await?;
    let mut bot = subscriber(&stage, &mut phone).await?;
    say(&mut phone, "status 🌴 Away for a while", "🌴").await;
    say(&mut phone, "invisible", "You are invisible").await;
    told(&mut bot, "that she is gone", |face| {
        shows(face, "unavailable", Some("🌴 Away for a while"))
    })
    .await;
    let first = String::from(&without_id(probe(&mut bot).await));
    bot.forget();

    // Another client comes, changes, is cut off; the first goes and comes back.
    let mut desk = stage.login("alice", "desk").await?;
    for presence in [
        "<presence><priority>9</priority><show>dnd</show><status>secret work</status></presence>",
        "<presence><idle xmlns='urn:xmpp:idle:1' since='2026-01-02T03:04:05Z'/></presence>",
        "<presence type='unavailable'><status>secret good-bye</status></presence>",
        "<presence><show>chat</show></presence>",
    ] {
        desk.send(stanza(presence)).await;
        reach_component(&mut desk).await;
        let again = String::from(&without_id(probe(&mut bot).await));
        assert_eq!(first, again, "after {presence}");
    }
    desk.drop_tcp().await;
    phone.logout().await;
    let mut phone = stage.login("alice", "phone").await?;
    phone
        .send(stanza("<presence><show>xa</show></presence>"))
        .await;
    reach_component(&mut phone).await;
    bot.quiet("presence of alice", Duration::from_secs(6), is_of_alice)
        .await;
    let again = String::from(&without_id(probe(&mut bot).await));
    assert_eq!(first, again);

    // The same after the component has ended and learned everything again, but for the keyed `rev`.
    assert_eq!(stage.component.stop().await?, 0);
    stage.component.respawn()?;
    stage.component.attached().await?;
    reach_component(&mut phone).await;
    let again = String::from(&without_id(probe(&mut bot).await));
    assert_eq!(without_rev(&first), without_rev(&again));

    say(&mut phone, "visible", "as your clients say").await;
    told(&mut bot, "that she is there", |face| {
        shows(face, "xa", Some("🌴 Away for a while"))
    })
    .await;
    Ok(())
}

/// A server gives some stanzas an id of its own.
fn without_id(mut presence: Element) -> Element {
    use minidom::rxml::{Namespace, xml_ncname};
    presence.set_attr(Namespace::NONE, xml_ncname!("id").into(), None::<&str>);
    presence
}

fn without_rev(presence: &str) -> String {
    let quote = if presence.contains("rev='") {
        '\''
    } else {
        '"'
    };
    let (head, rest) = presence.split_once(&format!("rev={quote}")).unwrap();
    format!("{head}{}", rest.split_once(quote).unwrap().1)
}
