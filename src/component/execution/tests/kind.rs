//! Kinds of commands, what breaks on their way, and what is there before.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::{Bare, ComponentDomain};
use crate::component::Settings;
use crate::component::authorization::{Ceiling, Cell, Confirm, Right, Visibility};
use crate::component::clock::Wall;
use crate::component::ending::zone;
use crate::component::limits::Limits;
use crate::component::record::{Change, Digest, Grant, LastSeen, Profile, Token};

/// How an agent takes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Does it and says so.
    Done,
    /// Says that it is at work, and a minute (without a question 5 s) later that it is done.
    Late,
    /// She says no.
    Forbidden,
    /// Does it and never says a word.
    Mute,
    /// The server answers that it is not there.
    Absent,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) right: Right,
    /// Whether she is asked.
    pub(crate) confirm: bool,
    /// The first is the one that gets it first.
    pub(crate) agents: &'static [Manner],
    /// What she answers to a question in chat; nothing where it is empty.
    pub(crate) word: &'static str,
    /// What gives the watcher the right.
    pub(crate) by: By,
}

/// Where a right comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Everybody has it.
    Everybody,
    /// Her grant.
    Grant,
    /// A token of hers, shown in the request.
    Shown,
    /// A token of hers that the watcher has redeemed.
    Redeemed,
}

impl By {
    pub(crate) const ALL: [Self; 4] = [Self::Everybody, Self::Grant, Self::Shown, Self::Redeemed];

    pub(crate) fn is_token(self) -> bool {
        matches!(self, Self::Shown | Self::Redeemed)
    }
}

/// The public name of her token.
pub(super) const TOKEN: &str = "tok3nA";

/// When her grant or token ends, where it does: long after everything that is played.
pub(super) const UNTIL: Duration = Duration::from_secs(100_000);

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL; what was being written is lost.
    Kill,
    /// SIGKILL; what was being written had become durable.
    KillAfterWrite,
    /// The server is restarted; what is under way is lost.
    Link,
    /// Her agents lose their connections and come back.
    Agents,
    /// One batch cannot be written.
    Disk,
    /// Nothing can be written for a minute.
    DiskFull,
    /// She takes the right away, in this way.
    Narrow(Narrow),
}

/// How she takes a right away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Narrow {
    Revoke,
    /// The same, and it cannot be written.
    RevokeUnwritten,
    /// She takes the token back, from everybody who has it.
    TakeBack,
    /// The same, and it cannot be written.
    TakeBackUnwritten,
    Block,
    BlockDomain,
    Leave,
    Private,
    /// Her grant or token ends by itself.
    Expiry,
    /// The operator blocks the watcher's domain for everybody.
    Operator,
}

impl Narrow {
    pub(crate) const ALL: [Self; 10] = [
        Self::Revoke,
        Self::RevokeUnwritten,
        Self::TakeBack,
        Self::TakeBackUnwritten,
        Self::Block,
        Self::BlockDomain,
        Self::Leave,
        Self::Private,
        Self::Expiry,
        Self::Operator,
    ];

    /// Whether it takes away what a watcher has by this.
    pub(crate) fn concerns(self, by: By) -> bool {
        match self {
            Self::Revoke | Self::RevokeUnwritten | Self::Expiry => by != By::Everybody,
            Self::TakeBack | Self::TakeBackUnwritten => by.is_token(),
            Self::Private => by == By::Everybody,
            // Over what was redeemed these go the way of what is shown.
            Self::Block | Self::BlockDomain | Self::Leave | Self::Operator => by != By::Redeemed,
        }
    }
}

impl Narrow {
    /// Whether it ends also what she has granted by hand.
    pub(crate) fn ends_grants(self) -> bool {
        !matches!(
            self,
            Self::Private | Self::TakeBack | Self::TakeBackUnwritten | Self::Expiry
        )
    }
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Kill,
        Self::KillAfterWrite,
        Self::Link,
        Self::Agents,
        Self::Disk,
        Self::DiskFull,
    ];
}

pub(super) fn settings(kind: &Kind) -> Settings {
    let domain = |text| Bare::parse(text).unwrap();
    let mut ceiling = Ceiling::default();
    // What a grant says decides whether she is asked.
    let cell = match kind.confirm && kind.by != By::Grant {
        true => Cell::Ask,
        false => Cell::Yes,
    };
    ceiling.set(None, kind.right, [cell; 4]);
    Settings {
        domain: ComponentDomain::parse("presence.localhost").unwrap(),
        users: vec![domain("localhost")],
        admins: vec![domain("admin@localhost")],
        neighbours: Vec::new(),
        default_visibility: Visibility::Subscribers,
        timezone: zone("UTC").unwrap(),
        parties: Vec::new().into(),
        ceiling,
        contacts: BTreeMap::new(),
        limits: Limits::default(),
    }
}

pub(super) fn stored(kind: &Kind, at: Wall) -> Vec<Change> {
    let user = Bare::parse(super::world::ALICE).unwrap();
    let profile = Profile {
        joined: at,
        visibility: match kind.by {
            By::Everybody => Visibility::Public,
            By::Grant => Visibility::Subscribers,
            By::Shown | By::Redeemed => Visibility::Private,
        },
        show_when_offline: true,
        public_rights: None,
        dormant: false,
        subscribed: true,
        declined: false,
        lost: false,
        last_seen: LastSeen::Exact,
        share_idle: false,
        timezone: None,
        tell: BTreeMap::new(),
    };
    let confirm = match kind.confirm {
        true => Confirm::Always,
        false => Confirm::Never,
    };
    let until = Wall(1_795_440_000_000 + i64::try_from(UNTIL.as_millis()).unwrap());
    let grant = Grant {
        rights: Right::ALL.into(),
        confirm,
        confirmed: false,
        since: at,
        until: Some(until),
        interfaces: [].into(),
        unasked: [].into(),
        modules: ["m".to_owned()].into(),
        unsigned: false,
        max_per_day: None,
        quiet: None,
        uses: Default::default(),
    };
    let watcher = Bare::parse(super::world::BOT).unwrap();
    let joined = Change::Profile {
        user: user.clone(),
        value: Some(profile),
    };
    let token = Token {
        digest: Digest::of("the text of the token"),
        label: "blog".to_owned(),
        rights: Right::ALL.into(),
        since: at,
        until,
        uses: 1,
        used: u32::from(kind.by == By::Redeemed),
        last_used: None,
        redeemed: (kind.by == By::Redeemed)
            .then(|| (watcher.clone(), at))
            .into_iter()
            .collect(),
        barred: [].into(),
    };
    let source = match kind.by {
        By::Everybody => None,
        By::Grant => Some(Change::Grant {
            user,
            watcher,
            value: Some(grant),
        }),
        By::Shown | By::Redeemed => Some(Change::Token {
            user,
            id: TOKEN.to_owned(),
            value: Some(token),
        }),
    };
    [Some(joined), source].into_iter().flatten().collect()
}
