//! Her consent on real servers: a grant with limits, what she is shown of it, and that it all goes when she
//! says so.

use std::time::{SystemTime, UNIX_EPOCH};

use minidom::Element;

use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{
    NS_COMMANDS, NS_FORM, command, command_of, completed, fill_in, form, node_of, submit_at_once,
};
use super::stage::{
    ALICE, ALICE_FULL, CONVERGED, HOME, NS_RIGHTS, SOON, Stage, condition, expect_message,
    is_presence, query, request, rights, say,
};

const GRANT: &str = "urn:x-presence-service:consent:0#grant";
const REVOKE: &str = "urn:x-presence-service:consent:0#revoke";
const OVERVIEW: &str = "urn:x-presence-service:consent:0#overview";
const HISTORY: &str = "urn:x-presence-service:consent:0#history";
const ERASE: &str = "urn:x-presence-service:consent:0#erase";
const VISIBILITY: &str = "urn:x-presence-service:consent:0#visibility";

/// A zone in which it is about noon, so that no day ends meanwhile.
fn zone_at_noon() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hour = since.as_secs() / 3600 % 24;
    // The signs of these names are the other way round: Etc/GMT-5 is five hours ahead.
    match 12_i64 - i64::try_from(hour).unwrap() {
        0 => "Etc/GMT".to_owned(),
        ahead if ahead > 0 => format!("Etc/GMT-{ahead}"),
        behind => format!("Etc/GMT+{}", -behind),
    }
}

/// The rows of a table, by column. Before it stands the same in words, for clients that know no tables.
fn rows(command: &Element) -> Vec<Vec<(String, String)>> {
    let mut forms = command.children().filter(|child| child.is("x", NS_FORM));
    let words = forms.next().unwrap();
    assert!(!words.has_child("reported", NS_FORM), "{words:?}");
    let table = forms.next().unwrap();
    assert!(table.has_child("reported", NS_FORM), "{table:?}");
    let items = table.children().filter(|child| child.name() == "item");
    let cell = |field: &Element| {
        let value = field.get_child("value", NS_FORM).map(Element::text);
        (field.attr("var").unwrap().to_owned(), value.unwrap())
    };
    items
        .map(|item| item.children().map(cell).collect())
        .collect()
}

fn cell<'a>(rows: &'a [Vec<(String, String)>], who: &str, column: &str) -> &'a str {
    let row = rows.iter().find(|row| row[0].1 == who);
    let row = row.unwrap_or_else(|| panic!("{who} is not in {rows:?}"));
    let found = row.iter().find(|(var, _)| var == column);
    &found.unwrap().1
}

pub(super) async fn limits_what_is_granted(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut friend = stage.login("stranger", "home").await?;
    friend.send(stanza("<presence/>")).await;
    let mut alice = stage.alice_joined("phone").await?;
    let leave = node_of("leave-message");
    let zone = zone_at_noon();
    say(&mut alice, &format!("timezone {zone}"), &zone).await;
    let fields = [("public-rights", "see")];
    completed(&submit_at_once(&mut alice, HOME, VISIBILITY, &fields).await);

    // By the form, as an ordinary client fills it in; it is noon, and quiet.
    let fields = [
        ("who", "stranger@localhost"),
        ("rights", "leave-message"),
        ("confirm", "never"),
        ("until", "2100-01-01"),
        ("max-per-day", "7"),
        ("quiet", "11:00-15:00"),
        ("interfaces", "public"),
    ];
    let (_, told) = completed(&fill_in(&mut alice, HOME, GRANT, &fields).await);
    for words in [
        "stranger@localhost may now: see, leave-message",
        "until the end of 2100-01-01",
        "at most 7 a day",
        "11:00-15:00",
        "over public only",
    ] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    let data = query(&mut friend).await;
    assert_eq!(rights(&data), ("authorized".to_owned(), Vec::new()));
    let refused = submit_at_once(&mut friend, ALICE, &leave, &[("text", "at night")]).await;
    assert_eq!(condition(&refused), "forbidden");

    // He watches her; her grant is the yes to that.
    friend
        .send(stanza(&format!(
            "<presence type='subscribe' to='{ALICE}'/>"
        )))
        .await;
    friend
        .expect("approval", SOON, |e| {
            is_presence(e, ALICE, Some("subscribed"))
        })
        .await;
    let lists = |e: &Element, right: &str| {
        is_presence(e, ALICE_FULL, None) && rights(e).1.iter().any(|one| one == right)
    };

    // By chat, in place of the one before: he is told of what he may do, and of when he may no more.
    let line = "grant stranger@localhost leave-message at most 2 a day";
    let told = say(&mut alice, line, "at most 2 a day").await;
    assert!(told.contains("Before, stranger@localhost had"), "{told}");
    let what = "presence with the right";
    friend
        .expect(what, CONVERGED, |e| lists(e, "leave-message"))
        .await;
    for words in ["the first", "the second"] {
        completed(&submit_at_once(&mut friend, ALICE, &leave, &[("text", words)]).await);
        expect_message(&mut alice, words).await;
    }
    friend
        .expect("presence without the right", CONVERGED, |e| {
            is_presence(e, ALICE_FULL, None)
                && e.has_child("rights", NS_RIGHTS)
                && !lists(e, "leave-message")
        })
        .await;
    let third = [("text", "the third")];
    let refused = submit_at_once(&mut friend, ALICE, &leave, &third).await;
    assert_eq!(condition(&refused), "policy-violation");

    // The count outlives a SIGKILL.
    friend.forget();
    stage.component.kill();
    stage.component.respawn()?;
    stage.component.attached().await?;
    friend
        .expect("her presence again", CONVERGED, |e| {
            is_presence(e, ALICE_FULL, None)
        })
        .await;
    let refused = submit_at_once(&mut friend, ALICE, &leave, &third).await;
    assert_eq!(condition(&refused), "policy-violation");

    // She is shown all of it.
    let answer = request(&mut alice, HOME, "set", command(OVERVIEW, None, "execute")).await;
    let shown = command_of(&answer);
    assert_eq!(shown.attr("status"), Some("completed"), "{answer:?}");
    let rows_shown = rows(shown);
    let of_friend = |column| cell(&rows_shown, "stranger@localhost", column);
    assert_eq!(of_friend("rights"), "see, leave-message");
    assert_eq!(of_friend("per-day"), "2 of 2");
    assert_eq!(of_friend("uses"), "2");
    assert_eq!(of_friend("until"), "no end");
    let overview = say(&mut alice, "overview", "2 of 2 today").await;
    assert!(overview.contains("used 2 times"), "{overview}");
    let answer = request(&mut alice, HOME, "set", command(HISTORY, None, "execute")).await;
    let done = rows(command_of(&answer));
    let details: Vec<_> = done.iter().map(|row| row[4].1.as_str()).collect();
    assert_eq!(details, ["the second", "the first"]);
    say(&mut alice, "history 1", "the second").await;

    // A new grant counts anew.
    say(&mut alice, line, "may now").await;
    completed(&submit_at_once(&mut friend, ALICE, &leave, &third).await);
    expect_message(&mut alice, "the third").await;
    Ok(())
}

pub(super) async fn goes_when_she_says_so(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut friend = stage.login("stranger", "home").await?;
    friend.send(stanza("<presence/>")).await;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    let leave = node_of("leave-message");
    let text = [("text", "hello")];

    // The grant goes, the subscription stays; then both go, and a block holds.
    say(&mut alice, "grant stranger@localhost notify", "may now").await;
    friend
        .send(stanza(&format!(
            "<presence type='subscribe' to='{ALICE}'/>"
        )))
        .await;
    friend
        .expect("approval", SOON, |e| {
            is_presence(e, ALICE, Some("subscribed"))
        })
        .await;
    let fields = [
        ("who", "stranger@localhost"),
        ("also-unsubscribe", "0"),
        ("also-block", "0"),
    ];
    let (_, told) = completed(&fill_in(&mut alice, HOME, REVOKE, &fields).await);
    assert!(told.contains("who gets your presence still does"), "{told}");
    assert!(told.contains("It had: see, notify"), "{told}");
    assert_eq!(rights(&query(&mut friend).await).0, "known");
    let fields = [
        ("who", "stranger@localhost"),
        ("also-unsubscribe", "1"),
        ("also-block", "1"),
    ];
    let (_, told) = completed(&fill_in(&mut alice, HOME, REVOKE, &fields).await);
    assert!(told.contains("blocked"), "{told}");
    friend
        .expect("end of the subscription", SOON, |e| {
            is_presence(e, ALICE, Some("unsubscribed"))
        })
        .await;
    say(&mut alice, "visibility public", "public").await;
    let refused = submit_at_once(&mut friend, ALICE, &leave, &text).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let answer = request(&mut alice, HOME, "set", command(OVERVIEW, None, "execute")).await;
    let (_, told) = completed(&answer);
    assert!(told.contains("Blocked: stranger@localhost"), "{told}");

    // A party has its rights by the operator's word: to revoke it is to block it.
    completed(&submit_at_once(&mut bot, ALICE, &leave, &text).await);
    say(&mut alice, "revoke acme", "operator's word").await;
    let refused = submit_at_once(&mut bot, ALICE, &leave, &text).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut alice, "unblock acme", "not blocked any more").await;
    completed(&submit_at_once(&mut bot, ALICE, &leave, &text).await);

    // Everything goes after a second word, with her address.
    say(&mut alice, "erase", "erase alice@localhost").await;
    let first = request(&mut alice, HOME, "set", command(ERASE, None, "execute")).await;
    let session = command_of(&first).attr("sessionid").unwrap().to_owned();
    let mut step = command(ERASE, Some(&session), "next");
    step.append_child(form(ERASE, &[("erase", "1")]));
    let second = request(&mut alice, HOME, "set", step).await;
    let actions = command_of(&second).get_child("actions", NS_COMMANDS);
    assert!(actions.unwrap().has_child("complete", NS_COMMANDS));
    let typed = |address: &str| {
        let mut step = command(ERASE, Some(&session), "complete");
        step.append_child(form(ERASE, &[("jid", address)]));
        step
    };
    let refused = request(&mut alice, HOME, "set", typed("bob@localhost")).await;
    assert_eq!(condition(&refused), "bad-request");
    completed(&submit_at_once(&mut bot, ALICE, &leave, &text).await);
    let erased = request(&mut alice, HOME, "set", typed("alice@localhost")).await;
    assert!(completed(&erased).1.contains("erased"), "{erased:?}");
    let refused = submit_at_once(&mut bot, ALICE, &leave, &text).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut alice, "overview", "not joined").await;
    stage.component.kill();
    stage.component.respawn()?;
    stage.component.attached().await?;
    say(&mut alice, "overview", "not joined").await;
    Ok(())
}
