//! One change of every kind, for the tests of this and of what it is made into.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, Bare};
use crate::component::authorization::{Confirm, Interface, Level, Right, Visibility};
use crate::component::clock::Wall;
use crate::component::record::*;

pub(crate) fn jid(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

/// A custom status of the user with number `n`, set at second `set`.
pub(crate) fn status(n: u64, set: i64) -> Change {
    Change::Status {
        user: jid(&format!("user{n}@example.org")),
        value: Some(Status::of_text(
            format!("status {set} of {n}"),
            Wall(0).plus_s(set),
        )),
    }
}

/// A subscription request, as it waits for her word.
pub(crate) fn request() -> Change {
    Change::Subscription {
        user: jid("juliet@capulet.example"),
        watcher: jid("romeo@montague.example"),
        value: Some(Subscription {
            state: SubscriptionState::Pending,
            since: Wall(1_795_440_005_250),
            waiting: Some(Waiting {
                number: 3,
                text: Some("It is I".into()),
                nick: Some("Romeo".into()),
                told: true,
            }),
            by_grant: false,
        }),
    }
}

/// A block by the operator.
pub(crate) fn operator_block() -> Change {
    Change::OperatorBlock {
        watcher: jid("spam.example"),
        value: Some(OperatorBlock {
            since: Wall(1_795_440_005_250),
            by: Some(jid("admin@example.org")),
        }),
    }
}

/// The same record, taken away.
pub(crate) fn no_status(n: u64) -> Change {
    Change::Status {
        user: jid(&format!("user{n}@example.org")),
        value: None,
    }
}

/// Every kind of record, every field of its first form filled.
pub(crate) fn all() -> Vec<Change> {
    let user = jid("juliet@capulet.example");
    let watcher = jid("bot@acme.example");
    let at = Wall(1_795_440_005_250);
    vec![
        Change::Profile {
            user: user.clone(),
            value: Some(Profile {
                joined: at,
                visibility: Visibility::Subscribers,
                show_when_offline: false,
                public_rights: Some(BTreeSet::from([Right::See, Right::OpenUrl])),
                dormant: false,
                declined: false,
                lost: false,
                subscribed: true,
                last_seen: LastSeen::Exact,
                share_idle: false,
                timezone: None,
                tell: BTreeMap::new(),
            }),
        },
        Change::Status {
            user: user.clone(),
            value: Some(Status {
                texts: vec![Text {
                    text: "In a meeting ☕".into(),
                    emoji: None,
                    scope: Scope::Offline,
                    set: at,
                    until: Some(at.plus_s(3600)),
                    author: Some(watcher.clone()),
                    unsigned: false,
                }],
                states: vec![Chosen {
                    state: ShownState::Dnd,
                    set: at,
                    until: Some(at.plus_s(3600)),
                }],
            }),
        },
        Change::Grant {
            user: user.clone(),
            watcher: watcher.clone(),
            value: Some(Grant {
                rights: BTreeSet::from([Right::See, Right::StartModule]),
                confirm: Confirm::First,
                confirmed: true,
                since: at,
                until: Some(at.plus_s(60)),
                interfaces: BTreeSet::from([Interface::Dedicated]),
                max_per_day: None,
                quiet: None,
                uses: Uses::default(),
                unasked: BTreeSet::new(),
                modules: BTreeSet::new(),
                unsigned: false,
            }),
        },
        Change::Subscription {
            user: user.clone(),
            watcher: watcher.clone(),
            value: Some(Subscription {
                state: SubscriptionState::Approved,
                since: at,
                waiting: None,
                by_grant: false,
            }),
        },
        Change::Block {
            user: user.clone(),
            watcher: jid("acme.example"),
            value: Some(Block { since: at }),
        },
        Change::Execution {
            id: "0f1e2d".into(),
            value: Some(Execution {
                user: user.clone(),
                watcher: Address::parse("bot@acme.example/a/b").unwrap(),
                interface: Interface::Public,
                level: Level::Known,
                right: Right::OpenUrl,
                request_id: "r 1".into(),
                fields: BTreeMap::from([("url".into(), "https://example.org/".into())]),
                confirm: true,
                issued: at,
                expires: at.plus_s(30),
                state: ExecutionState::Sent,
                agent_request_id: Some("0f1e2d".into()),
                resource: Some("agent".into()),
                counted: None,
                prompt: None,
                token: None,
            }),
        },
        Change::Audit {
            user: user.clone(),
            at,
            id: "0f1e2d".into(),
            value: Some(Audit {
                watcher,
                right: Right::OpenUrl,
                state: ExecutionState::Unknown,
                detail: "https://example.org/".into(),
                request_id: None,
                reported: false,
                token: None,
                untold: false,
                untold_before: 0,
                clock: None,
            }),
        },
        Change::Face {
            user,
            value: Some(LastFace {
                state: Some(ShownState::Xa),
                text: Some("gone".into()),
                since: at,
            }),
        },
    ]
}

/// Records with the fields that came later, all filled.
pub(crate) fn later() -> Vec<Change> {
    let user = jid("romeo@montague.example");
    let at = Wall(1_795_440_005_250);
    let text = |text: &str, emoji: &str, until: Option<i64>| Text {
        text: text.into(),
        emoji: Some(emoji.into()),
        scope: Scope::Always,
        set: at,
        until: until.map(|seconds| at.plus_s(seconds)),
        author: None,
        unsigned: false,
    };
    let chosen = |state, until: Option<i64>| Chosen {
        state,
        set: at.plus_s(1),
        until: until.map(|seconds| at.plus_s(seconds)),
    };
    vec![
        Change::Profile {
            user: user.clone(),
            value: Some(Profile {
                joined: at,
                visibility: Visibility::Public,
                show_when_offline: true,
                public_rights: None,
                dormant: false,
                subscribed: true,
                declined: false,
                lost: false,
                last_seen: LastSeen::Day,
                share_idle: true,
                timezone: Some("Europe/Rome".into()),
                tell: BTreeMap::from([(Right::Notify, Tell::Digest)]),
            }),
        },
        Change::Status {
            user: user.clone(),
            value: Some(Status {
                texts: vec![text("Lunch", "🍝", Some(3600)), text("Verona", "🏛", None)],
                states: vec![
                    chosen(ShownState::Away, Some(60)),
                    chosen(ShownState::Invisible, None),
                ],
            }),
        },
        Change::Execution {
            id: "1e2d3c".into(),
            value: Some(Execution {
                user: user.clone(),
                watcher: Address::parse("nurse@capulet.example/garden").unwrap(),
                interface: Interface::Public,
                level: Level::Authorized,
                right: Right::LeaveMessage,
                request_id: "r2".into(),
                fields: BTreeMap::from([("text".into(), "Anon, good nurse".into())]),
                confirm: true,
                issued: at,
                expires: at.plus_s(600),
                state: ExecutionState::Queued,
                agent_request_id: None,
                resource: None,
                counted: None,
                prompt: Some("k7".into()),
                token: None,
            }),
        },
        token(),
        Change::Execution {
            id: "3c4b".into(),
            value: Some(Execution {
                user: jid("romeo@montague.example"),
                watcher: Address::parse("bot@acme.example/a").unwrap(),
                interface: Interface::Dedicated,
                level: Level::Authorized,
                right: Right::OpenUrl,
                request_id: "r2".into(),
                fields: BTreeMap::new(),
                confirm: false,
                issued: at,
                expires: at.plus_s(30),
                state: ExecutionState::Sent,
                agent_request_id: None,
                resource: None,
                counted: None,
                prompt: None,
                token: Some("Ab-_09".into()),
            }),
        },
        Change::Audit {
            user: jid("romeo@montague.example"),
            at,
            id: "3c4b".into(),
            value: Some(Audit {
                watcher: jid("bot@acme.example"),
                right: Right::OpenUrl,
                state: ExecutionState::Completed,
                detail: String::new(),
                request_id: None,
                reported: false,
                token: Some("For the nurse".into()),
                untold: true,
                untold_before: 2,
                clock: None,
            }),
        },
        Change::Grant {
            user: user.clone(),
            watcher: jid("bot@acme.example"),
            value: Some(Grant {
                rights: BTreeSet::from([Right::See, Right::SetStatus, Right::StartModule]),
                modules: BTreeSet::from(["agenda".to_owned(), "lock".to_owned()]),
                unsigned: true,
                ..Grant::new(BTreeSet::from([Right::See]), at)
            }),
        },
        Change::Status {
            user,
            value: Some(Status {
                texts: vec![Text {
                    author: Some(jid("bot@acme.example")),
                    unsigned: true,
                    ..text("Rome", "🚂", None)
                }],
                states: Vec::new(),
            }),
        },
        // The clock had been set back by an hour.
        Change::Audit {
            user: jid("romeo@montague.example"),
            at,
            id: "3c4b".into(),
            value: Some(Audit {
                watcher: jid("bot@acme.example"),
                right: Right::OpenUrl,
                state: ExecutionState::Completed,
                detail: String::new(),
                request_id: None,
                reported: false,
                token: None,
                untold: false,
                untold_before: 0,
                clock: Some(at.plus_s(-3600)),
            }),
        },
    ]
}

/// A token that was used and redeemed.
pub(crate) fn token() -> Change {
    let at = Wall(1_795_440_005_250);
    Change::Token {
        user: jid("romeo@montague.example"),
        id: "Ab-_09".into(),
        value: Some(Token {
            digest: Digest::of("1:Ab-_09and-the-secret-behind-it"),
            label: "For the nurse".into(),
            rights: BTreeSet::from([Right::See, Right::LeaveMessage]),
            since: at,
            until: at.plus_s(3600),
            uses: 5,
            used: 2,
            last_used: Some(at.plus_s(60)),
            redeemed: BTreeMap::from([(jid("nurse@capulet.example"), at.plus_s(30))]),
            barred: BTreeSet::from([jid("tybalt@capulet.example")]),
        }),
    }
}
