//! Addresses as the servers deliver them, through the whole core: however one is spelt it is one person, and
//! no text in the place of an address does any harm.

use std::time::Duration;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::long;
use crate::support::transcript::settings;
use crate::support::transcript::tree::Tree;
use crate::world::{HOME, World};

/// So many spellings of an address of small letters, digits, dots, and escapes: case, width, characters
/// that vanish, other dots, a final one.
fn spellings(address: &str, n: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeSet::new();
    let (local, domain) = address.split_once('@').unwrap();
    while found.len() < n {
        let mut chance = |among: u32| (0..among).new_tree(&mut runner).unwrap().current();
        let mut text = String::new();
        for c in local.chars().chain(['@']).chain(domain.chars()) {
            match (c, chance(5)) {
                ('a'..='z', 0) => text.push(c.to_ascii_uppercase()),
                ('a'..='z', 1) => text.push(char::from_u32(c as u32 - 0x61 + 0xff41).unwrap()),
                ('a'..='z', 2) => text.extend([c, '\u{ad}']),
                ('.', 0) => text.push('\u{3002}'),
                ('.', 1) => text.push('\u{ff61}'),
                _ => text.push(c),
            }
        }
        if chance(2) == 0 {
            text.push('.');
        }
        found.insert(text);
    }
    found.into_iter().collect()
}

fn unlimited() -> World {
    let mut settings = settings::default();
    settings.limits.probe_rate_per_watcher = 0.0;
    settings.limits.probe_rate_per_domain = 0.0;
    World::new(settings)
}

#[test]
fn five_hundred_spellings_are_one_watcher_with_one_bucket() {
    let mut settings = settings::default();
    settings.limits.probe_burst_per_watcher = 300.0;
    settings.limits.probe_rate_per_watcher = 0.001;
    let mut world = World::new(settings);
    world.joins("alice@localhost");
    world.online("alice@localhost/desk", "<show>away</show>");
    let watchers = spellings("bot@remote.example", 500);
    let targets = spellings(r"alice\40localhost@presence.localhost", 500);
    world.says("alice@localhost", &format!("grant {} see", watchers[7]));
    let mut answers = BTreeSet::new();
    let mut n = 0;
    for (watcher, target) in watchers.iter().zip(&targets) {
        let probe = format!("<presence type='probe' from='{watcher}/x' to='{target}'/>");
        for answer in world.deliver(&probe) {
            answers.insert(answer.to_string());
            n += 1;
        }
    }
    assert_eq!(n, 300, "one bucket, and an answer for each token of it");
    assert_eq!(answers.len(), 1, "{answers:?}");
    let answer = answers.first().unwrap();
    assert!(answer.contains("to='bot@remote.example/x'"), "{answer}");
    assert!(answer.contains("<show>away</show>"), "{answer}");
}

#[test]
fn five_hundred_spellings_are_one_request_and_one_block() {
    let mut world = unlimited();
    world.joins("alice@localhost");
    world.online("alice@localhost/desk", "");
    let watchers = spellings("bot@remote.example", 500);
    let mut told = 0;
    for watcher in &watchers {
        let asks =
            format!("<presence type='subscribe' from='{watcher}' to='alice\\40localhost@{HOME}'/>");
        let is_hers = |stanza: &&Tree| stanza.attr("to") == Some("alice@localhost");
        told += world.deliver(&asks).iter().filter(is_hers).count();
    }
    assert_eq!(told, 1);
    world.says("alice@localhost", "visibility public");
    world.says("alice@localhost", &format!("block {}", watchers[11]));
    for watcher in &watchers {
        let query = format!(
            "<iq type='get' id='i' from='{watcher}/x' to='alice\\40localhost@{HOME}'>\
             <query xmlns='urn:x-presence-service:rights:0'/></iq>"
        );
        assert_eq!(
            world.deliver(&query)[0].attr("type"),
            Some("error"),
            "{watcher}"
        );
    }
}

/// What people and programs type, and worse.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "alice", "localhost", "remote.example", HOME, "@", "@", "/", "/", "\\40", "\\5c", "\\2f",
            "\\20", "\\", ".", "。", "xn--", "xn--bcher-kva", "[::1]", ":", " ", "é", "ß", "Ａ", "א",
            "\u{ad}", "\u{200d}", "\u{202e}", "\u{1f4f1}", "\u{1f130}", "\u{feff}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (any::<char>(), 1..1100_usize).prop_map(|(c, n)| c.to_string().repeat(n)),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Any text as an address in a stanza, where XML can carry it: nobody panics, what is answered can be
/// sent (the world checks that), and an IQ to us from somebody is answered once.
#[test]
fn no_text_in_the_place_of_an_address_does_harm() {
    let mut runner = TestRunner::deterministic();
    let strategy = (
        text(),
        text(),
        prop::sample::select(vec![
            "<presence type='probe' \u{1} \u{2}/>",
            "<presence type='subscribe' \u{1} \u{2}/>",
            "<presence type='unsubscribe' \u{1} \u{2}/>",
            "<presence \u{1} \u{2}/>",
            "<message type='chat' \u{1} \u{2}><body>grant \u{3} see</body></message>",
            "<message type='chat' \u{1} \u{2}><body>Hi</body></message>",
            "<iq type='get' id='i' \u{1} \u{2}><query xmlns='urn:x-presence-service:rights:0'/></iq>",
            "<iq type='get' id='i' \u{1} \u{2}><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
            "<iq type='get' id='i' \u{1} \u{2}><snapshot xmlns='urn:x-presence-service:bulk:0'><of jid='\u{3}'/></snapshot></iq>",
            "<iq type='set' id='i' \u{1} \u{2}><query xmlns='jabber:iq:gateway'><prompt>\u{3}</prompt></query></iq>",
        ]),
        0..4_u8,
    );
    let mut world = unlimited();
    world.joins("alice@localhost");
    world.online("alice@localhost/desk", "");
    world.says("alice@localhost", "visibility public");
    let n = if long() { 300_000 } else { 20_000 };
    for _ in 0..n {
        let (one, other, template, places) = strategy.new_tree(&mut runner).unwrap().current();
        let (from, to) = match places {
            0 => (one, HOME.to_owned()),
            1 => (
                "bot@remote.example/x".to_owned(),
                format!("{one}@{HOME}{other}"),
            ),
            2 => (one, format!("alice\\40localhost@{HOME}")),
            _ => ("alice@localhost/desk".to_owned(), one),
        };
        let xml = template
            .replace('\u{1}', &format!("from='{}'", escaped(&from)))
            .replace('\u{2}', &format!("to='{}'", escaped(&to)))
            .replace('\u{3}', &escaped(&other));
        // The trees of these tests are read with less room for a value than the link has.
        if [&from, &to, &other]
            .into_iter()
            .any(|text| escaped(text).len() > 8000)
        {
            continue;
        }
        let mut sent = world.deliver(&xml);
        // A question about a user who has just come back waits for news of her, for 2 s at most.
        sent.extend(world.pass(Duration::from_secs(3)));
        let answers = sent
            .iter()
            .filter(|stanza| stanza.name == "iq" && stanza.attr("id") == Some("i"));
        let n_answers = answers.count();
        let answerable = places == 0 || places == 2;
        let is_request = template.starts_with("<iq");
        assert!(n_answers <= usize::from(is_request), "{xml}: {sent:?}");
        if is_request
            && answerable
            && vestibule::address::Address::parse(&legal(&from))
                .is_ok_and(|from| from.bare.domain() != HOME)
        {
            assert_eq!(n_answers, 1, "{xml}");
        }
    }
}

fn legal(text: &str) -> String {
    text.chars()
        .filter(|c| *c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}

fn escaped(text: &str) -> String {
    legal(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('\'', "&apos;")
}
