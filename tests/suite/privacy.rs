//! Who may not be seen cannot be told from who does not exist: one world for each reason, every kind of
//! request in it, and the same bytes back (RFC 6120 §13.11; design.md §7 C7).

mod kinds;
mod reasons;

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use vestibule::component::Settings;
use vestibule::stanza::Fault;

use crate::support::long;
use crate::support::transcript::settings;
use crate::support::transcript::tree::Tree;
use crate::world::{HOME, World};

use kinds::Kind;
use reasons::{REASONS, Reason, UNKNOWN, VISIBLE};

/// One of another server, and one of hers.
const STRANGERS: [&str; 2] = ["bot@remote.example", "mallory@localhost"];

#[test]
fn every_reason_looks_like_an_unknown_user() {
    let kinds = kinds::requests();
    assert!(kinds.len() > 100);
    let mut differences = Vec::new();
    for stranger in STRANGERS {
        let wanted = one_by_one(&UNKNOWN, &kinds, stranger);
        for reason in REASONS {
            let found = one_by_one(reason, &kinds, stranger);
            for (kind, (wanted, found)) in kinds.iter().zip(wanted.iter().zip(&found)) {
                differences.extend(difference(reason, kind, stranger, wanted, found));
            }
        }
    }
    report(&differences);
}

#[test]
fn sequences_tell_no_more_than_single_requests() {
    let mut differences = Vec::new();
    for stranger in STRANGERS {
        for kind in kinds::sequences() {
            let wanted = played(&UNKNOWN, &kind, stranger, plenty);
            for reason in REASONS {
                let found = played(reason, &kind, stranger, plenty);
                differences.extend(difference(reason, &kind, stranger, &wanted, &found));
            }
        }
    }
    report(&differences);
}

#[test]
fn floods_end_in_the_same_silence() {
    let mut differences = Vec::new();
    for stranger in STRANGERS {
        for kind in kinds::floods() {
            let wanted = played(&UNKNOWN, &kind, stranger, five);
            assert!(wanted.concat().join("").contains("retry-after"));
            for reason in REASONS {
                let found = played(reason, &kind, stranger, five);
                differences.extend(difference(reason, &kind, stranger, &wanted, &found));
            }
        }
    }
    report(&differences);
}

/// Whatever he sends in whatever order: forty requests of chance, with pauses and restarts, past the rate.
#[test]
fn no_order_of_requests_tells_more() {
    let all: Vec<String> = kinds::requests()
        .into_iter()
        .flat_map(|kind| kind.steps)
        .chain(kinds::sequences().into_iter().flat_map(|kind| kind.steps))
        .filter(|step| !step.contains("{N}"))
        .collect();
    // Half of them about subscriptions, where there is something to remember.
    let few: Vec<String> = kinds::sequences()
        .into_iter()
        .flat_map(|kind| kind.steps)
        .collect();
    let step = prop_oneof![prop::sample::select(all), prop::sample::select(few)];
    let strategy = prop::collection::vec(step, 40);
    let mut runner = TestRunner::deterministic();
    let mut differences = Vec::new();
    for _ in 0..if long() { 200 } else { 10 } {
        let kind = Kind {
            name: "by chance".to_owned(),
            steps: strategy.new_tree(&mut runner).unwrap().current(),
            tells_nothing: true,
        };
        let wanted = played(&UNKNOWN, &kind, STRANGERS[0], ten);
        for reason in REASONS {
            let found = played(reason, &kind, STRANGERS[0], ten);
            differences.extend(difference(reason, &kind, STRANGERS[0], &wanted, &found));
        }
    }
    report(&differences);
}

/// What is remembered of those who have asked is bounded; filling it must not tell either.
#[test]
fn more_subscribes_than_are_remembered_tell_nothing() {
    let stranger = STRANGERS[0];
    let mut seen = Vec::new();
    for reason in [&UNKNOWN, &REASONS[0], &REASONS[3]] {
        let mut world = reason.world(stranger, |settings| {
            settings.limits.probe_rate_per_watcher = 0.0;
            settings.limits.probe_rate_per_domain = 0.0;
        });
        let mut answers = vec![said(
            &mut world,
            reason,
            stranger,
            "<presence type='subscribe' from='{v}' to='{T}'/>",
        )];
        for n in 0..12_000 {
            world.deliver(&format!(
                "<presence type='subscribe' from='{stranger}' to='u{n}\\40localhost@{HOME}'/>"
            ));
        }
        for step in ["probe", "unsubscribe", "probe"] {
            let step = format!("<presence type='{step}' id='p' from='{{v}}' to='{{T}}'/>");
            answers.push(said(&mut world, reason, stranger, &step));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

/// The comparison sees a difference where there is one: in every kind that tells those something who may
/// see, and in no other.
#[test]
fn a_difference_would_be_found() {
    let stranger = STRANGERS[0];
    let wrong: Vec<_> = kinds::requests()
        .iter()
        .filter(|kind| {
            let unknown = played(&UNKNOWN, kind, stranger, plenty);
            let visible = played(&VISIBLE, kind, stranger, plenty);
            let found = difference(&VISIBLE, kind, stranger, &unknown, &visible);
            found.is_none() != kind.tells_nothing
        })
        .map(|kind| kind.name.clone())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `rev` is keyed: the same rights of the same user have another one for each watcher, for each user, and
/// after each start. security: two watchers could compare their lists by it.
#[test]
fn a_rev_means_something_to_one_watcher_only() {
    let mut world = World::new(settings::default());
    for user in ["alice@localhost", "carol@localhost"] {
        world.joins(user);
        world.online(&format!("{user}/desk"), "");
        world.says(user, "visibility public");
    }
    let rev = |world: &mut World, watcher: &str, user: &str| {
        let sent = world.deliver(&format!(
            "<iq type='get' id='i' from='{watcher}' to='{user}\\40localhost@{HOME}'>\
             <query xmlns='urn:x-presence-service:rights:0'/></iq>"
        ));
        let query = sent[0].children[0].clone();
        query.attr("rev").unwrap().to_owned()
    };
    let first = rev(&mut world, "bot@remote.example/x", "alice");
    assert_eq!(first, rev(&mut world, "bot@remote.example/y", "alice"));
    let mut all = vec![first];
    for (watcher, user) in [
        ("eve@remote.example/x", "alice"),
        ("bot@other.example/x", "alice"),
        ("bot@remote.example/x", "carol"),
    ] {
        all.push(rev(&mut world, watcher, user));
    }
    world.restart();
    let asks = "<iq type='get' id='i' from='bot@remote.example/x' \
                to='alice\\40localhost@presence.localhost'>\
                <query xmlns='urn:x-presence-service:rights:0'/></iq>";
    world.deliver(asks);
    let sent = world.pass(Duration::from_secs(3));
    let answer = sent
        .iter()
        .find(|stanza| stanza.name == "iq" && stanza.attr("id") == Some("i"));
    all.push(answer.unwrap().children[0].attr("rev").unwrap().to_owned());
    let n = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n, "{all:?}");
}

/// Rates that no kind here comes near to.
fn plenty(_: &mut Settings) {}

/// Rates that some come near to.
fn ten(settings: &mut Settings) {
    settings.limits.probe_burst_per_watcher = 10.0;
    settings.limits.probe_rate_per_watcher = 0.5;
}

/// Rates that a flood goes past.
fn five(settings: &mut Settings) {
    settings.limits.probe_burst_per_watcher = 5.0;
    settings.limits.probe_rate_per_watcher = 1.0;
}

/// What the stranger gets for each kind, all in one world, ten minutes apart: what an earlier one has left
/// behind must not tell either.
fn one_by_one(reason: &Reason, kinds: &[Kind], stranger: &str) -> Vec<Vec<Vec<String>>> {
    let mut world = reason.world(stranger, plenty);
    kinds
        .iter()
        .map(|kind| {
            let answers = steps(&mut world, reason, kind, stranger);
            let later = said(&mut world, reason, stranger, "+ 600");
            assert!(later.is_empty(), "{later:?}");
            answers
        })
        .collect()
}

/// What the stranger gets in a world of its own.
fn played(
    reason: &Reason,
    kind: &Kind,
    stranger: &str,
    limit: fn(&mut Settings),
) -> Vec<Vec<String>> {
    steps(&mut reason.world(stranger, limit), reason, kind, stranger)
}

/// What the stranger gets, step by step, with one name for whom he asks for.
fn steps(world: &mut World, reason: &Reason, kind: &Kind, stranger: &str) -> Vec<Vec<String>> {
    let mut answers: Vec<_> = kind
        .steps
        .iter()
        .map(|step| said(world, reason, stranger, step))
        .collect();
    // What waits for news of a user would come now.
    answers.push(said(world, reason, stranger, "+ 3"));
    answers
}

fn said(world: &mut World, reason: &Reason, stranger: &str, step: &str) -> Vec<String> {
    let capitals = reason.target.to_uppercase();
    let step = step
        .replace("{V}", &format!("{stranger}/x"))
        .replace("{v}", stranger)
        .replace("{T}", reason.target)
        .replace("{U}", &capitals)
        .replace("{P}", HOME)
        .replace("{N}", reason.user.unwrap_or("somebody@localhost"));
    let sent = if let Some(seconds) = step.strip_prefix("+ ") {
        world.pass(Duration::from_secs(seconds.parse().unwrap()))
    } else if step == "restart" {
        world.restart();
        Vec::new()
    } else if let Some((fault, head)) = refused(&step) {
        world.refuse(fault, head)
    } else {
        world.deliver(&step)
    };
    sent.iter()
        .filter(|stanza| is_to(stanza, stranger))
        .map(|stanza| {
            let text = stanza
                .to_string()
                .replace(reason.target, "TARGET")
                .replace(&capitals[..capitals.len() - HOME.len()], "CAPITALS@");
            let text = match reason.user {
                Some(user) => text.replace(user, "NAME"),
                None => text,
            };
            without_random(&text)
        })
        .collect()
}

/// A text without the ids that the component drew: 32 hexadecimal digits each.
fn without_random(text: &str) -> String {
    text.split('\'')
        .map(|piece| {
            let drawn = piece.len() == 32 && piece.bytes().all(|byte| byte.is_ascii_hexdigit());
            if drawn { "RANDOM" } else { piece }
        })
        .collect::<Vec<_>>()
        .join("'")
}

fn refused(step: &str) -> Option<(Fault, &str)> {
    let faults = [
        ("too large ", Fault::TooLarge),
        ("too deep ", Fault::TooDeep),
        ("too wide ", Fault::TooManyChildren),
    ];
    faults
        .into_iter()
        .find_map(|(word, fault)| Some((fault, step.strip_prefix(word)?)))
}

fn is_to(stanza: &Tree, stranger: &str) -> bool {
    let to = stanza.attr("to").unwrap_or_default();
    to.split('/').next() == Some(stranger)
}

fn difference(
    reason: &Reason,
    kind: &Kind,
    stranger: &str,
    wanted: &[Vec<String>],
    found: &[Vec<String>],
) -> Option<String> {
    if reason.user.is_none() && kind.steps.iter().any(|step| step.contains("{N}")) {
        return None; // It would be another one.
    }
    let at = wanted
        .iter()
        .zip(found)
        .position(|(one, other)| one != other)?;
    let step = kind.steps.get(at).map_or("at the end", String::as_str);
    Some(format!(
        "{stranger}, {}, {}: {step}\n  unknown: {:?}\n  here:    {:?}",
        reason.name, kind.name, wanted[at], found[at]
    ))
}

fn report(differences: &[String]) {
    let first: Vec<_> = differences.iter().take(20).cloned().collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        first.join("\n")
    );
}
