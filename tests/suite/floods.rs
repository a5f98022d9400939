//! Floods from many addresses of one domain: how much goes out and how much is kept, and that nobody else is
//! kept from an answer. security.md T30, T31.

use crate::support::transcript::settings;
use crate::support::transcript::tree::Tree;
use crate::world::{HOME, World};

const ALICE: &str = r"alice\40localhost@presence.localhost";
const NOBODY: &str = r"nobody\40localhost@presence.localhost";

/// Addresses of the domain that floods.
const ADDRESSES: usize = 10_000;

/// Alice, who is there for everybody to see, in the default configuration.
fn world() -> World {
    let mut settings = settings::default();
    settings.default_visibility = vestibule::component::authorization::Visibility::Public;
    let mut world = World::new(settings);
    world.joins("alice@localhost");
    world.online("alice@localhost/desk", "<status>here</status>");
    world
}

fn probe(from: &str, to: &str) -> String {
    format!("<presence type='probe' from='{from}' to='{to}' id='p'/>")
}

/// Someone elsewhere asks, and is answered at once.
fn calm(world: &mut World, n: usize) {
    let sent = world.deliver(&probe(&format!("calm{n}@elsewhere.example/x"), ALICE));
    assert_eq!(sent.len(), 1, "{n}: {sent:?}");
    assert!(sent[0].to_string().contains("here"), "{n}: {sent:?}");
}

fn bytes(stanzas: &[Tree]) -> usize {
    stanzas.iter().map(|one| one.to_string().len()).sum()
}

#[test]
fn probes_of_one_domain_are_answered_as_far_as_its_bucket_goes() {
    for target in [ALICE, NOBODY] {
        let mut world = world();
        let (mut n_in, mut n_out, mut bytes_in, mut bytes_out) = (0, 0, 0, 0);
        for round in 0..5 {
            for n in 0..ADDRESSES {
                let probe = probe(&format!("v{n}@flood.example/x"), target);
                bytes_in += probe.len();
                n_in += 1;
                let sent = world.deliver(&probe);
                n_out += sent.len();
                bytes_out += bytes(&sent);
                if n % 1000 == 0 {
                    calm(&mut world, round * 10 + n / 1000);
                }
            }
        }
        assert_eq!(n_in, 50_000);
        // Limits::probe_burst_per_domain, and no time has passed.
        assert_eq!(n_out, 20_000, "{target}");
        assert!(bytes_out < 10 * bytes_in, "{bytes_out} of {bytes_in}");
        // One of its addresses that has asked for nothing yet waits with the others, a user of our own not.
        assert!(
            world
                .deliver(&probe("new@flood.example/x", target))
                .is_empty()
        );
        assert_eq!(world.deliver(&probe("bob@localhost/x", ALICE)).len(), 1);
        // A second later there are 500 more.
        world.pass(std::time::Duration::from_secs(1));
        let answered = (0..1000).filter(|n| {
            !world
                .deliver(&probe(&format!("v{n}@flood.example/x"), target))
                .is_empty()
        });
        assert_eq!(answered.count(), 500);
    }
}

#[test]
fn requests_of_one_domain_leave_room_in_her_list_and_prompt_her_once() {
    let mut world = world();
    let subscribe = |from: &str| format!("<presence type='subscribe' from='{from}' to='{ALICE}'/>");
    let mut prompts = 0;
    for n in 0..ADDRESSES {
        let sent = world.deliver(&subscribe(&format!("v{n}@flood.example")));
        prompts += sent.len();
    }
    assert_eq!(prompts, 1);
    world.deliver(&subscribe("romeo@montague.example"));
    let digest = world.pass(std::time::Duration::from_secs(600));
    assert_eq!(digest.len(), 1, "{digest:?}");
    let digest = digest[0].to_string();
    // Limits::pending_per_domain of the domain, and him.
    assert!(digest.contains("26. romeo@montague.example"), "{digest}");
    assert!(digest.contains("25. v24@flood.example"), "{digest}");
}

#[test]
fn commands_of_one_domain_leave_a_user_room_for_others() {
    let mut world = world();
    let leave = |from: &str, id: &str| {
        format!(
            "<iq type='set' id='{id}' from='{from}/x' to='{ALICE}'>\
             <command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:cmd:0#leave-message'>\
             <x xmlns='jabber:x:data' type='submit'><field var='text'><value>buy</value></field></x>\
             </command></iq>"
        )
    };
    let (mut reached, mut answers) = (0, 0);
    for n in 0..ADDRESSES {
        let sent = world.deliver(&leave(&format!("v{n}@flood.example"), "f"));
        reached += sent.iter().filter(|one| one.name == "message").count();
        answers += sent.iter().filter(|one| one.name == "iq").count();
    }
    // Half of Limits::commands_burst_per_user; each request has its one answer.
    assert_eq!((reached, answers), (60, ADDRESSES));
    for n in 0..60 {
        let sent = world.deliver(&leave(&format!("calm@elsewhere{n}.example"), "c"));
        let reached = sent.iter().filter(|one| one.name == "message").count();
        assert_eq!(reached, 1, "{n}: {sent:?}");
    }
}

/// The component's own answers are bounded too, whoever asks.
#[test]
fn words_of_one_address_are_answered_as_far_as_its_bucket_goes() {
    let mut world = world();
    let say = |from: &str| {
        format!("<message type='chat' from='{from}/x' to='{HOME}'><body>help</body></message>")
    };
    let answered = (0..3000).filter(|_| !world.deliver(&say("alice@localhost")).is_empty());
    assert_eq!(answered.count(), 2000);
    world.joins("bob@localhost");
    assert_eq!(world.deliver(&say("bob@localhost")).len(), 1);
}
