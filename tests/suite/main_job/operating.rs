//! What administrators can do: numbers, the list, a block for everybody, a deletion, and limits that follow the
//! file; and that others cannot.
//! docs/operating.md

use super::adhoc::{command_of, completed, fill_in, node_of, submit_at_once, value};
use super::stage::{
    ALICE, HOME, Stage, condition, expect_message, is_presence, join_by_contact, probe, query,
    request, rights, say,
};
use super::stage::{NS_CLIENT, NS_RIGHTS, SOON};
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

const NUMBERS: &str = "urn:x-presence-service:admin:0#numbers";
const DELETE: &str = "urn:x-presence-service:admin:0#delete";

/// For a file to be read again; the machine may be busy.
const TAKEN_UP: std::time::Duration = std::time::Duration::from_secs(20);

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

/// Limits follow the file at a SIGHUP, and a file with anything wrong in it changes none.
pub(super) async fn of_limits_at_a_signal(kind: Kind) -> Result<(), Failure> {
    let config = "[users]\ndefault-visibility = \"public\"\n";
    let mut stage = Stage::set_with(kind, Options::default(), config).await?;
    let _alice = stage.alice_joined("phone").await?;
    let mut stranger = stage.login("stranger", "home").await?;
    let file = stage.component.config_file();
    let good = std::fs::read_to_string(file).map_err(|error| Failure::new(error.to_string()))?;
    let with = |n: i64| {
        let mut table: toml::Table = good.parse().expect("it was written by the test");
        let limits = table
            .entry("limits")
            .or_insert_with(|| toml::Table::new().into());
        let limits = limits.as_table_mut().expect("a section");
        limits.insert("commands-per-minute-per-watcher".to_owned(), n.into());
        limits.insert("commands-burst-per-watcher".to_owned(), 1.into());
        limits.insert("token-guesses-per-hour".to_owned(), 1.into());
        table.to_string()
    };
    let leave = node_of("leave-message");
    let text = [("text", "Hello")];
    completed(&submit_at_once(&mut stranger, ALICE, &leave, &text).await);
    completed(&submit_at_once(&mut stranger, ALICE, &leave, &text).await);

    read_again(&mut stage, &with(1), "configuration taken up").await?;
    completed(&submit_at_once(&mut stranger, ALICE, &leave, &text).await);
    let refused = submit_at_once(&mut stranger, ALICE, &leave, &text).await;
    assert_eq!(condition(&refused), "policy-violation");
    let error = refused.get_child("error", NS_CLIENT).unwrap();
    assert_eq!(error.attr("type"), Some("wait"), "{error:?}");
    let retry = error.get_child("retry-after", "urn:x-presence-service:errors:0");
    let seconds = retry.and_then(|retry| retry.attr("seconds")?.parse::<u64>().ok());
    assert!(matches!(seconds, Some(1..=60)), "{error:?}");
    // Of tokens one wrong one is looked at.
    let shown = format!("<query xmlns='{NS_RIGHTS}'><token>1:AAAAAA</token></query>");
    let wrong = request(&mut stranger, ALICE, "get", stanza(&shown)).await;
    assert_eq!(condition(&wrong), "not-authorized");
    let wrong = request(&mut stranger, ALICE, "get", stanza(&shown)).await;
    assert_eq!(condition(&wrong), "policy-violation");

    let named = read_again(&mut stage, &with(-1), "configuration not taken up: ").await?;
    assert!(
        named.contains("limits.commands-per-minute-per-watcher"),
        "{named}"
    );
    let refused = submit_at_once(&mut stranger, ALICE, &leave, &text).await;
    assert_eq!(condition(&refused), "policy-violation");

    read_again(&mut stage, &with(0), "configuration taken up").await?;
    completed(&submit_at_once(&mut stranger, ALICE, &leave, &text).await);
    completed(&submit_at_once(&mut stranger, ALICE, &leave, &text).await);
    Ok(())
}

/// Has the component read this file; the line of the log that says so.
async fn read_again(stage: &mut Stage, text: &str, said: &str) -> Result<String, Failure> {
    let file = stage.component.config_file();
    std::fs::write(file, text).map_err(|error| Failure::new(error.to_string()))?;
    stage.component.hang_up()?;
    stage.component.logged(said, TAKEN_UP).await
}
