//! What administrators can do: numbers, the list, a block for everybody, a deletion; and that others cannot.
//! docs/operating.md

use super::adhoc::{command_of, completed, fill_in, submit_at_once, value};
use super::stage::{
    ALICE, HOME, Stage, condition, expect_message, is_presence, join_by_contact, probe, query,
    request, rights, say,
};
use super::stage::{NS_RIGHTS, SOON};
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

const NUMBERS: &str = "urn:x-presence-service:admin:0#numbers";
const DELETE: &str = "urn:x-presence-service:admin:0#delete";

/// The bot is the administrator here.
pub(super) async fn by_administrators_only(kind: Kind) -> Result<(), Failure> {
    let config = "[users]\nadmins = [\"bot@localhost\"]\ndefault-visibility = \"public\"\n";
    let stage = Stage::set_with(kind, Options::default(), config).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut admin = stage.bot().await?;
    let mut stranger = stage.login("stranger", "home").await?;
    stranger.send(stanza("<presence/>")).await;

    // Others find nothing.
    let refused = submit_at_once(&mut alice, HOME, NUMBERS, &[]).await;
    assert_eq!(condition(&refused), "item-not-found");
    say(&mut alice, "admin numbers", "did not understand").await;
    let numbers = submit_at_once(&mut admin, HOME, NUMBERS, &[]).await;
    assert_eq!(value(command_of(&numbers), "users").as_deref(), Some("1"));
    assert_eq!(value(command_of(&numbers), "online").as_deref(), Some("1"));
    let list = say(&mut admin, "admin list @localhost", "1 of 1 users").await;
    assert!(list.contains("alice@localhost, since"), "{list}");

    // A watcher that she lets see her, blocked for everybody, and not any more.
    say(&mut alice, "grant stranger@localhost see", "may now").await;
    assert_eq!(rights(&query(&mut stranger).await).0, "authorized");
    say(
        &mut alice,
        "approve stranger@localhost",
        "gets your presence",
    )
    .await;
    let subscribe = stanza(&format!("<presence type='subscribe' to='{ALICE}'/>"));
    stranger.send(subscribe).await;
    let is = |kind| move |e: &minidom::Element| is_presence(e, ALICE, Some(kind));
    stranger.expect("approval", SOON, is("subscribed")).await;
    let words = "stranger@localhost is blocked for everybody";
    say(&mut admin, "admin block stranger@localhost", words).await;
    stranger
        .expect("the end of the subscription", SOON, is("unsubscribed"))
        .await;
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    let refused = request(&mut stranger, ALICE, "get", asked).await;
    assert_eq!(condition(&refused), "service-unavailable");
    probe(&mut admin).await;
    let overview = say(&mut alice, "overview", "Visibility").await;
    assert!(
        overview.contains("whatever you grant: stranger@localhost"),
        "{overview}"
    );
    say(
        &mut admin,
        "admin unblock stranger@localhost",
        "not blocked",
    )
    .await;
    query(&mut stranger).await;

    // Deleted in two steps, told so, and welcome again with nothing of before.
    let both = [("user", "alice@localhost"), ("confirm", "alice@localhost")];
    let asked = submit_at_once(&mut admin, HOME, DELETE, &both[..1]).await;
    assert_eq!(command_of(&asked).attr("status"), Some("executing"));
    completed(&submit_at_once(&mut admin, HOME, DELETE, &both).await);
    expect_message(&mut alice, "has deleted you").await;
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    let refused = request(&mut admin, ALICE, "get", asked).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut admin, "admin list", "There are no users").await;
    join_by_contact(&mut alice).await;
    let overview = say(&mut alice, "overview", "Visibility").await;
    assert!(!overview.contains("stranger@localhost"), "{overview}");
    let log = stage.component.log();
    for did in [
        "looked at the numbers",
        "blocked stranger@localhost",
        "deleted alice@localhost",
    ] {
        assert!(
            log.contains(&format!("bot@localhost (administrator) {did}")),
            "{did}: {log}"
        );
    }
    // The form of a deletion asks for the address first.
    let refused = fill_in(&mut admin, HOME, DELETE, &[("user", "nobody@localhost")]).await;
    assert_eq!(condition(&refused), "bad-request");
    Ok(())
}
