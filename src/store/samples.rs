//! One change of every kind, for the tests of this module.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, Bare};
use crate::component::authorization::{Confirm, Interface, Level, Right, Visibility};
use crate::component::clock::Wall;
use crate::component::record::*;

pub(super) fn jid(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

/// A custom status of the user with number `n`, set at second `set`.
pub(super) fn status(n: u64, set: i64) -> Change {
    Change::Status {
        user: jid(&format!("user{n}@example.org")),
        value: Some(Status {
            text: format!("status {set} of {n}"),
            state: None,
            scope: Scope::Always,
            set: Wall(0).plus_s(set),
            until: None,
            author: None,
        }),
    }
}

/// The same record, taken away.
pub(super) fn no_status(n: u64) -> Change {
    Change::Status {
        user: jid(&format!("user{n}@example.org")),
        value: None,
    }
}

/// Every kind of record, every field filled.
pub(super) fn all() -> Vec<Change> {
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
            }),
        },
        Change::Status {
            user: user.clone(),
            value: Some(Status {
                text: "In a meeting ☕".into(),
                state: Some(ShownState::Dnd),
                scope: Scope::Offline,
                set: at,
                until: Some(at.plus_s(3600)),
                author: Some(watcher.clone()),
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
            }),
        },
        Change::Subscription {
            user: user.clone(),
            watcher: watcher.clone(),
            value: Some(Subscription {
                state: SubscriptionState::Approved,
                since: at,
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
