//! Why a stranger may not see somebody: one world for each reason.

use std::time::Duration;

use vestibule::address::Bare;
use vestibule::component::Settings;
use vestibule::component::authorization::{Party, Right};

use crate::support::transcript::settings;
use crate::world::{HOME, World};

/// Who is asked for where the reason does not say otherwise.
const ALICE: &str = r"alice\40localhost@presence.localhost";

/// Her own address.
const USER: Option<&str> = Some("alice@localhost");

/// A world in which the stranger may not see who is behind `target`.
pub(super) struct Reason {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    /// The address of her account, where the target is the presentity of one.
    pub(super) user: Option<&'static str>,
    /// Makes it so; the stranger's bare JID is given.
    make: fn(&mut World, &str),
}

/// The one that all others must look like.
pub(super) const UNKNOWN: Reason = Reason {
    name: "never joined",
    target: ALICE,
    user: USER,
    make: |_, _| {},
};

/// The proof that the comparison sees something: she may be seen.
pub(super) const VISIBLE: Reason = Reason {
    name: "public",
    target: ALICE,
    user: USER,
    make: |world, _| {
        alice(world);
        world.says("alice@localhost", "visibility public");
    },
};

pub(super) const REASONS: &[Reason] = &[
    Reason {
        name: "private, online, with a status and an agent",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.says("alice@localhost", "visibility private");
        },
    },
    Reason {
        name: "not subscribed",
        target: ALICE,
        user: USER,
        make: |world, _| alice(world),
    },
    Reason {
        name: "private and offline",
        target: ALICE,
        user: USER,
        make: |world, _| {
            world.joins("alice@localhost");
            world.says("alice@localhost", "visibility private");
            world.says("alice@localhost", "status Back on Monday");
        },
    },
    Reason {
        name: "blocked",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            world.says("alice@localhost", &format!("block {stranger}"));
        },
    },
    Reason {
        name: "blocked with his domain",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            let (_, domain) = stranger.split_once('@').unwrap();
            world.says("alice@localhost", &format!("block {domain}"));
        },
    },
    Reason {
        name: "blocked by the operator although granted",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            world.says("alice@localhost", &format!("grant {stranger} see open-url"));
            world.says("admin@localhost", &format!("admin block {stranger}"));
        },
    },
    Reason {
        name: "subscribed until the operator blocked his domain",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", &format!("approve {stranger}"));
            let subscribe = format!("<presence type='subscribe' from='{stranger}' to='{ALICE}'/>");
            assert!(!world.deliver(&subscribe).is_empty());
            let (_, domain) = stranger.split_once('@').unwrap();
            world.says("admin@localhost", &format!("admin block {domain}"));
        },
    },
    Reason {
        name: "deleted by the operator",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            world.says("admin@localhost", "admin delete alice@localhost for good");
        },
    },
    Reason {
        name: "blocked although granted",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", &format!("grant {stranger} see open-url"));
            world.says("alice@localhost", &format!("block {stranger}"));
        },
    },
    Reason {
        name: "revoked",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", &format!("grant {stranger} see open-url"));
            world.says("alice@localhost", &format!("revoke {stranger}"));
        },
    },
    Reason {
        name: "asked and denied",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            let subscribe = format!("<presence type='subscribe' from='{stranger}' to='{ALICE}'/>");
            world.deliver(&subscribe);
            world.says("alice@localhost", &format!("deny {stranger}"));
        },
    },
    Reason {
        name: "public once, and he opened a session then",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            let opened = world.deliver(&format!(
                "<iq type='set' id='s' from='{stranger}/x' to='{ALICE}'>\
                 <command xmlns='http://jabber.org/protocol/commands' \
                 node='urn:x-presence-service:cmd:0#leave-message'/></iq>"
            ));
            assert_eq!(opened[0].attr("type"), Some("result"), "{opened:?}");
            world.says("alice@localhost", "visibility private");
        },
    },
    Reason {
        name: "not yet learned after a restart",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.pass(Duration::from_secs(60));
            world.restart();
        },
    },
    Reason {
        name: "fifty wait for her word already",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            for n in 0..50 {
                let asks =
                    format!("<presence type='subscribe' from='w{n}@d{n}.example' to='{ALICE}'/>");
                world.deliver(&asks);
            }
        },
    },
    Reason {
        name: "as many records as a user may have",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            for n in 0..1000 {
                world.says("alice@localhost", &format!("approve w{n}@far.example"));
            }
        },
    },
    Reason {
        name: "the disk is slow and she has just changed something",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.pass(Duration::from_secs(600));
            world.hold();
            world.deliver(&format!(
                "<message type='chat' from='alice@localhost/chat' to='{HOME}'>\
                 <body>status Wait</body></message>"
            ));
        },
    },
    Reason {
        name: "the disk is full",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.break_disk();
        },
    },
    Reason {
        name: "a grant that has ended",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            let granted = world.deliver(&format!(
                "<iq type='set' id='g' from='alice@localhost/desk' to='{HOME}'>\
                 <command xmlns='http://jabber.org/protocol/commands' \
                 node='urn:x-presence-service:consent:0#grant'>\
                 <x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>urn:x-presence-service:consent:0</value></field>\
                 <field var='who'><value>{stranger}</value></field>\
                 <field var='rights'><value>see</value></field>\
                 <field var='until'><value>2026-11-23T13:05:00Z</value></field>\
                 </x></command></iq>"
            ));
            let granted = granted
                .iter()
                .any(|stanza| stanza.attr("type") == Some("result"));
            assert!(granted);
        },
    },
    Reason {
        name: "tokens of hers, used and revoked",
        target: ALICE,
        user: USER,
        make: |world, stranger| {
            alice(world);
            for label in ["one", "two"] {
                let made = world.deliver(&format!(
                    "<iq type='set' id='t' from='alice@localhost/desk' to='{HOME}'>\
                     <command xmlns='http://jabber.org/protocol/commands' \
                     node='urn:x-presence-service:consent:0#token-new'>\
                     <x xmlns='jabber:x:data' type='submit'>\
                     <field var='label'><value>{label}</value></field>\
                     <field var='uses'><value>9</value></field></x></command></iq>"
                ));
                let text = made[0].to_string();
                let (_, token) = text.split_once("1:").unwrap();
                let used = world.deliver(&format!(
                    "<iq type='set' id='t' from='{stranger}/x' to='{ALICE}'>\
                     <redeem xmlns='urn:x-presence-service:authz:0'><token>1:{}</token></redeem></iq>",
                    &token[..30]
                ));
                assert!(
                    used.iter()
                        .any(|stanza| stanza.attr("type") == Some("result"))
                );
            }
            world.says("alice@localhost", "token revoke one");
            world.says("alice@localhost", &format!("revoke {stranger}"));
        },
    },
    Reason {
        name: "dormant",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            for kind in ["unsubscribe", "unsubscribed"] {
                world.deliver(&format!(
                    "<presence type='{kind}' from='alice@localhost' to='{HOME}'/>"
                ));
            }
        },
    },
    Reason {
        name: "left",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.says("alice@localhost", "visibility public");
            world.says("alice@localhost", "leave");
        },
    },
    Reason {
        name: "a party that she has blocked",
        target: ALICE,
        user: USER,
        make: |world, _| {
            alice(world);
            world.says("alice@localhost", "block acme");
        },
    },
    Reason {
        name: "a party without see",
        target: ALICE,
        user: USER,
        make: |world, _| alice(world),
    },
    Reason {
        name: "never joined, where others have",
        target: r"nobody\40localhost@presence.localhost",
        user: Some("nobody@localhost"),
        make: |world, _| alice(world),
    },
    Reason {
        name: "of a domain whose users cannot join",
        target: r"x\40far.example@presence.localhost",
        user: Some("x@far.example"),
        make: |world, _| alice(world),
    },
    Reason {
        name: "an alias of hers",
        target: r"alice\5c40localhost@presence.localhost",
        user: None,
        make: |world, _| alice(world),
    },
    Reason {
        name: "no user",
        target: "alice@presence.localhost",
        user: None,
        make: |world, _| alice(world),
    },
    Reason {
        name: "two at signs",
        target: r"a\40b\40localhost@presence.localhost",
        user: None,
        make: |world, _| alice(world),
    },
    Reason {
        name: "a user with a resource in her name",
        target: r"alice\40localhost\2fdesk@presence.localhost",
        user: None,
        make: |world, _| alice(world),
    },
];

/// She has joined, is online twice, has a status, an agent, and one whom she has granted something.
fn alice(world: &mut World) {
    world.joins("alice@localhost");
    world.online(
        "alice@localhost/desk",
        "<show>away</show><status>lunch</status>",
    );
    world.online("alice@localhost/phone", "<priority>5</priority>");
    world.online(
        "alice@localhost/agent",
        "<priority>-1</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
         node='https://agent.example' ver='abc='/>",
    );
    world.says("alice@localhost", "status In a meeting");
    world.says(
        "alice@localhost",
        "grant friend@remote.example see open-url",
    );
}

impl Reason {
    /// The world, a while later: what making it has cost the stranger is forgotten.
    pub(super) fn world(&self, stranger: &str, limit: impl Fn(&mut Settings)) -> World {
        let mut settings = settings::default();
        limit(&mut settings);
        if self.name.starts_with("a party") {
            let see = self.name.contains("blocked").then_some(Right::See);
            settings.parties.push(Party {
                name: "acme".to_owned(),
                jids: vec![Bare::parse(stranger).unwrap()],
                rights: see.into_iter().chain([Right::OpenUrl]).collect(),
                has_link: false,
                has_web: false,
            });
        }
        let mut world = World::new(settings);
        (self.make)(&mut world, stranger);
        if !self.name.starts_with("the disk") && !self.name.starts_with("not yet learned") {
            world.pass(Duration::from_secs(600));
        }
        world
    }
}
