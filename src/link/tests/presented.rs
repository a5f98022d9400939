//! A presence written from its data is, byte for byte, that of its tree, and is refused where that is.

use crate::address::{Address, Bare, ComponentDomain};
use crate::component::authorization::{Level, Right};
use crate::component::clock::Wall;
use crate::link::seal::{Reach, seal, seal_presented, seal_refusal};
use crate::stanza::outbound::Refusal;
use crate::stanza::presented::{Availability, Caps, Presented, Rights};
use minidom::Element;
use proptest::prelude::*;

fn bare() -> impl Strategy<Value = Bare> {
    let addresses = [
        r"u0\40localhost@presence.localhost",
        r"\c3\bc\40b\5c40c@presence.localhost",
        "x@elsewhere.example",
        "presence.localhost",
        "bot@remote.example",
        "b\u{f6}t&'@b\u{fc}cher.example",
        "bot@acme.presence.localhost",
    ];
    prop::sample::select(
        addresses
            .map(|one| Bare::parse(&one.replace(['&', '\''], "")).unwrap())
            .to_vec(),
    )
}

fn address() -> impl Strategy<Value = Address> {
    (bare(), prop::option::of(any::<String>())).prop_map(|(bare, resource)| {
        let full = resource.map(|resource| format!("{bare}/{resource}"));
        let full = full.and_then(|full| Address::parse(&full).ok());
        full.unwrap_or_else(|| bare.into())
    })
}

fn wall() -> impl Strategy<Value = Option<Wall>> {
    prop::option::of((0..4_102_444_800_000_i64).prop_map(Wall))
}

fn availability() -> impl Strategy<Value = Availability> {
    let show = prop::option::of(prop::sample::select(vec!["away", "dnd"]));
    let caps = Caps {
        node: "urn:x-presence-service:presentity",
        ver: "q07IKJEyjvHSyhy//CH0CxmKi8w=",
    };
    let available =
        (show, wall()).prop_map(move |(show, idle)| Availability::Available { show, idle, caps });
    let id = prop::option::of(prop_oneof![any::<String>(), Just("x".repeat(200))]);
    let unavailable = (any::<bool>(), id, wall())
        .prop_map(|(bare, id, since)| Availability::Unavailable { bare, id, since });
    prop_oneof![available, unavailable]
}

fn presented() -> impl Strategy<Value = Presented> {
    let names = prop::sample::subsequence(Right::ALL.to_vec(), 0..7);
    let level = prop::sample::select(vec![Level::Public, Level::Trusted, Level::Own]);
    let rights =
        (level, "[0-9a-f]{12}", names).prop_map(|(level, rev, names)| Rights { level, rev, names });
    let text = prop::option::of(prop_oneof![
        20 => any::<String>(),
        1 => Just("\u{20ac}".repeat(30_000)),
    ]);
    (bare(), address(), availability(), text, rights).prop_map(
        |(from, to, availability, text, rights)| Presented {
            from,
            to,
            availability,
            text,
            rights,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_bytes_are_those_of_the_tree(presented in presented(), to_partner in any::<bool>()) {
        let domain = ComponentDomain::parse("presence.localhost").unwrap();
        let reach = match to_partner {
            true => Reach::Partner(Bare::parse("acme.presence.localhost").unwrap()),
            false => Reach::Others,
        };
        let (mut quick, mut slow) = (b"before".to_vec(), b"before".to_vec());
        let tree = Element::from(&presented);
        let result = seal_presented(&presented, &domain, &reach, &mut quick);
        prop_assert_eq!(result, seal(&tree, &domain, &reach, &mut slow));
        prop_assert_eq!(String::from_utf8(quick), String::from_utf8(slow));
    }

    #[test]
    fn a_refusal_is_that_of_its_tree(from in bare(), to in bare(), id in prop::option::of(any::<String>())) {
        let domain = ComponentDomain::parse("presence.localhost").unwrap();
        let refusal = Refusal { from, to, id };
        let (mut quick, mut slow) = (Vec::new(), Vec::new());
        let result = seal_refusal(&refusal, &domain, &Reach::Others, &mut quick);
        prop_assert_eq!(result, seal(&Element::from(&refusal), &domain, &Reach::Others, &mut slow));
        prop_assert_eq!(String::from_utf8(quick), String::from_utf8(slow));
    }
}
