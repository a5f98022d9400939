//! A watcher cannot tell who is invisible from who is offline: the same questions at the same times get
//! the same bytes, whatever the clients of the invisible one do.

use super::{ALICE, Scene};
use crate::support::transcript::script::Loss;
use crate::support::transcript::wire::Wire;

const BOT: &str = "bot@remote.example";
const SUBSCRIBER: &str = "carol@remote.example";

/// Every way to ask that a watcher has, and what a subscriber hears.
fn everything(scene: &mut Scene, round: u32) -> Vec<String> {
    for (watcher, resource) in [(BOT, "x"), (SUBSCRIBER, "y")] {
        let from = format!("{watcher}/{resource}");
        let asked = [
            format!("<presence type='probe' from='{from}' to='{ALICE}' id='p{round}'/>"),
            format!("<presence type='probe' from='{from}' to='{ALICE}/vestibule' id='v{round}'/>"),
            format!("<presence type='probe' from='{from}' to='{ALICE}/desk' id='d{round}'/>"),
        ];
        for stanza in asked {
            scene.deliver(&stanza);
        }
        for (n, payload) in [
            "<query xmlns='urn:x-presence-service:rights:0'/>",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<query xmlns='jabber:iq:last'/>",
        ]
        .iter()
        .enumerate()
        {
            scene.deliver(&format!(
                "<iq type='get' id='q{round}-{n}' from='{from}' to='{ALICE}'>{payload}</iq>"
            ));
        }
        scene.deliver(&format!(
            "<iq type='set' id='o{round}' from='{from}' to='{ALICE}'>\
             <command xmlns='http://jabber.org/protocol/commands' \
             node='urn:x-presence-service:cmd:0#open-url' action='execute'/></iq>"
        ));
    }
    let mut heard = scene.heard_by(BOT);
    heard.extend(scene.heard_by(SUBSCRIBER));
    // Ids of sessions are random, and not the same in two runs that drew different numbers.
    for stanza in &mut heard {
        for name in ["sessionid='", "<value>"] {
            let mut from = 0;
            while let Some(at) = stanza[from..].find(name).map(|at| from + at + name.len()) {
                let end = at + stanza[at..].find(['\'', '<']).unwrap();
                if end - at == 32 {
                    stanza.replace_range(at..end, "random");
                }
                from = at;
            }
        }
    }
    assert!(heard.len() >= 14, "{heard:#?}");
    heard
}

/// Alice with a subscriber, online for a while, who then goes, one way or the other.
fn leaving(setting: &[&str], leave: impl FnOnce(&mut Scene)) -> Scene {
    let mut scene = Scene::new();
    scene.deliver(&format!(
        "<presence type='subscribe' from='{SUBSCRIBER}' to='{ALICE}'/>"
    ));
    scene.presence("desk", "", "<show>away</show><status>lunch</status>");
    scene.says(&format!("approve {SUBSCRIBER}"));
    for line in setting {
        scene.says(line);
    }
    scene.pass(60);
    scene.heard_by(SUBSCRIBER);
    leave(&mut scene);
    scene
}

/// What her clients may do meanwhile.
fn live(scene: &mut Scene, round: u32) {
    let idle = "<idle xmlns='urn:xmpp:idle:1' since='2026-11-23T13:01:20Z'/>";
    match round {
        0 => scene.presence("phone", "", "<priority>9</priority><show>dnd</show>"),
        1 => scene.presence("desk", "", &format!("<status>back</status>{idle}")),
        2 => scene.presence(
            "desk",
            " type='unavailable'",
            "<status>bye from the desk</status>",
        ),
        3 => scene.presence("phone", " type='unavailable'", "<status>gone</status>"),
        4 => scene.presence("desk", "", "<show>chat</show><status>again</status>"),
        _ => scene.presence("desk", "", "<show>xa</show>"),
    }
}

fn compare(setting: &[&str]) {
    let mut offline = leaving(setting, |scene| {
        scene.presence("desk", " type='unavailable'", "");
    });
    let mut invisible = leaving(setting, |scene| scene.says("invisible"));
    for round in 0..8 {
        live(&mut invisible, round);
        for scene in [&mut offline, &mut invisible] {
            scene.pass(if round == 0 { 0 } else { 40 });
        }
        let (a, b) = (
            everything(&mut offline, round),
            everything(&mut invisible, round),
        );
        assert_eq!(a, b, "round {round} with {setting:?}");
    }
    // What is known is kept the same, too.
    for scene in [&mut offline, &mut invisible] {
        scene.core.restart(Loss::None);
        scene.core.attach(&None);
    }
    let bare = "<presence type='unavailable' from='alice@localhost' to='presence.localhost'/>";
    offline.deliver(bare);
    invisible.presence("desk", "", "<show>xa</show>");
    for scene in [&mut offline, &mut invisible] {
        scene.pass(10);
    }
    let (a, b) = (everything(&mut offline, 9), everything(&mut invisible, 9));
    assert_eq!(
        without_rev(a),
        without_rev(b),
        "after a restart with {setting:?}"
    );
}

/// `rev` is keyed anew at each start.
fn without_rev(heard: Vec<String>) -> Vec<String> {
    let strip = |stanza: String| match stanza.split_once("rev='") {
        None => stanza,
        Some((head, rest)) => format!("{head}{}", rest.split_once('\'').unwrap().1),
    };
    heard.into_iter().map(strip).collect()
}

#[test]
fn looks_offline_to_the_byte() {
    compare(&[]);
}

#[test]
fn looks_offline_with_a_text() {
    compare(&["status 🏖 on holiday"]);
}

#[test]
fn looks_offline_with_idle_shared_and_a_coarse_last_seen() {
    compare(&["share-idle yes", "last-seen hour"]);
    compare(&["share-idle yes", "last-seen never"]);
}

#[test]
fn nothing_is_told_from_the_time_of_invisibility_when_it_ends() {
    let mut scene = leaving(&["share-idle yes"], |scene| scene.says("invisible for 1h"));
    scene.pass(600);
    scene.presence(
        "desk",
        "",
        "<idle xmlns='urn:xmpp:idle:1' since='2026-11-23T13:10:00Z'/>",
    );
    scene.pass(3600);
    scene.heard_by(BOT);
    let ask = "<query xmlns='urn:x-presence-service:rights:0'/>";
    scene.deliver(&format!(
        "<iq type='get' id='q' from='{BOT}/x' to='{ALICE}'>{ask}</iq>"
    ));
    let heard = scene.heard_by(BOT).concat();
    assert!(heard.contains("type='available'"), "{heard}");
    assert!(heard.contains(" since='2026-11-23T14:01:06Z'"), "{heard}");
    assert!(
        heard.contains("idle-since='2026-11-23T14:01:06Z'"),
        "{heard}"
    );
}
