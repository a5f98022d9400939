//! The durable records and the one way to change them.
//!
//! A [`Change`] puts or deletes one record. The working state and the store are both what a
//! sequence of changes made them, so start-up is the same function over what the store holds.
//! New fields of a record must be optional (`#[serde(default)]`): older records stay readable.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::authorization::{Confirm, Interface, Level, Right, Visibility};
use super::clock::Wall;
use super::ending;
use super::quiet::Quiet;
pub use super::status::{Chosen, Scope, ShownState, Status, Text};
pub use super::tell::Tell;
pub use super::token::{Digest, Token};
pub use super::uses::{Counted, Uses};
use crate::address::{Address, Bare};

/// One record put (`Some`) or deleted (`None`). The fields beside `value` are its key.
#[expect(
    missing_docs,
    reason = "the fields are named in the head: key and value"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A user has joined, changed her settings, or (deleted) left.
    Profile { user: Bare, value: Option<Profile> },
    /// Her custom status.
    Status { user: Bare, value: Option<Status> },
    /// Her consent that gives a watcher rights.
    Grant {
        user: Bare,
        watcher: Bare,
        value: Option<Grant>,
    },
    /// A watcher's presence subscription to the presentity.
    Subscription {
        user: Bare,
        watcher: Bare,
        value: Option<Subscription>,
    },
    /// A watcher or a whole domain that she blocks.
    Block {
        user: Bare,
        watcher: Bare,
        value: Option<Block>,
    },
    /// A command on its way to her client; deleted once it has ended.
    Execution {
        id: String,
        value: Option<Execution>,
    },
    /// What a watcher did, how it ended. Key: user, time, execution id.
    Audit {
        user: Bare,
        at: Wall,
        id: String,
        value: Option<Audit>,
    },
    /// What she has made for whoever shows it, by its public name.
    Token {
        user: Bare,
        id: String,
        value: Option<Token>,
    },
    /// Her last known face, written behind.
    Face { user: Bare, value: Option<LastFace> },
    /// A watcher or a whole domain that the operator blocks, for all users.
    OperatorBlock {
        watcher: Bare,
        value: Option<OperatorBlock>,
    },
}

/// A joined user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// When she joined.
    pub joined: Wall,
    /// Who may see her.
    pub visibility: Visibility,
    /// Whether watchers see her custom status while she is offline.
    #[serde(default = "yes")]
    pub show_when_offline: bool,
    /// The rights of the public level that she leaves open; absent: all that the operator allows.
    #[serde(default)]
    pub public_rights: Option<BTreeSet<Right>>,
    /// Whether she has removed us from her contacts: nothing is answered for her, nothing is lost.
    #[serde(default)]
    pub dormant: bool,
    /// Whether our own subscription to her presence has been approved by her.
    #[serde(default)]
    pub subscribed: bool,
    /// Whether she has said no to it, or taken it back: she is asked again only when she asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// Whether she is dormant because her account may have gone, perhaps to somebody else: the server
    /// denied our subscription after a time without a link, or did not know her. It ends by her own act,
    /// or when the subscription turns out to stand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// How precisely watchers learn since when she has been as she is.
    #[serde(default, skip_serializing_if = "LastSeen::is_default")]
    pub last_seen: LastSeen,
    /// Whether watchers see for how long she has been idle (XEP-0319).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share_idle: bool,
    /// The IANA name of her time zone; absent: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How she is told of what is done by a right, where it is not each time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tell: BTreeMap<Right, Tell>,
}

impl Profile {
    /// Her time zone, or the operator's.
    #[must_use]
    pub fn zone(&self, operators: Tz) -> Tz {
        ending::zone_of(self.timezone.as_deref(), operators)
    }
}

fn yes() -> bool {
    true
}

/// How precisely watchers learn since when she has been as she is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastSeen {
    /// Not at all.
    Never,
    /// The day, in UTC.
    Day,
    /// The hour, in UTC.
    Hour,
    /// To the second.
    #[default]
    Exact,
}

impl LastSeen {
    /// From narrow to wide.
    pub const ALL: [Self; 4] = [Self::Never, Self::Day, Self::Hour, Self::Exact];

    /// The word in forms and chat.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Exact => "exact",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// A point in time as a watcher learns it: rounded down, or not at all.
    #[must_use]
    pub fn of(self, at: Wall) -> Option<Wall> {
        let step = match self {
            Self::Never => return None,
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Exact => 1,
        };
        Some(Wall(at.0 - at.0.rem_euclid(step)))
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A user's stored consent that gives a watcher rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it names; [`Right::See`] is always included.
    pub rights: BTreeSet<Right>,
    /// How often she is asked.
    pub confirm: Confirm,
    /// Whether she has confirmed once ([`Confirm::First`]).
    #[serde(default)]
    pub confirmed: bool,
    /// When it was given.
    pub since: Wall,
    /// When it ends.
    #[serde(default)]
    pub until: Option<Wall>,
    /// The interfaces on which it counts; empty: all.
    #[serde(default)]
    pub interfaces: BTreeSet<Interface>,
    /// Rights for which she has said that she is not to be asked again, whatever `confirm` says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unasked: BTreeSet<Right>,
    /// How often a day it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_day: Option<u32>,
    /// When it gives nothing but [`Right::See`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// How often it has been used.
    #[serde(default, skip_serializing_if = "Uses::is_none")]
    pub uses: Uses,
    /// The modules of her agents that `start-module` may start.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub modules: BTreeSet<String>,
    /// Whether a status that the watcher sets is shown without its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
}

impl Grant {
    /// A grant without limits that never asks.
    #[must_use]
    pub fn new(rights: BTreeSet<Right>, since: Wall) -> Self {
        Self {
            rights,
            confirm: Confirm::Never,
            confirmed: false,
            since,
            until: None,
            interfaces: BTreeSet::new(),
            unasked: BTreeSet::new(),
            max_per_day: None,
            quiet: None,
            uses: Uses::default(),
            modules: BTreeSet::new(),
            unsigned: false,
        }
    }

    /// Whether it has not ended, and counts on this interface.
    #[must_use]
    pub fn is_in_force(&self, now: Wall, interface: Interface) -> bool {
        !self.has_ended(now) && (self.interfaces.is_empty() || self.interfaces.contains(&interface))
    }

    /// Whether its end has come.
    #[must_use]
    pub fn has_ended(&self, now: Wall) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When today's uses are at their limit: until when.
    #[must_use]
    pub fn used_up_until(&self, now: Wall) -> Option<Wall> {
        let (today, ends) = self.uses.today(now)?;
        self.max_per_day
            .is_some_and(|max| today >= max)
            .then_some(ends)
    }

    /// When the next of this happens by itself: it ends, quiet hours begin or end, a day that is used up
    /// ends.
    #[must_use]
    pub fn next_border(&self, now: Wall, zone: Tz) -> Option<Wall> {
        let quiet = self.quiet.and_then(|quiet| quiet.next_border(now, zone));
        let until = self.until.filter(|until| *until > now);
        let borders = [until, quiet, self.used_up_until(now)];
        borders.into_iter().flatten().min()
    }
}

/// The state of a watcher's subscription (RFC 6121 Appendix A; the presentity never asks back).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionState {
    /// *None + Pending In*: the watcher has asked, she has not answered.
    Pending,
    /// *From*: the watcher gets her presence.
    Approved,
    /// *None* with a pre-approval (RFC 6121 §3.4): a request is approved at once.
    Preapproved,
}

/// A watcher's subscription to a presentity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where it stands.
    pub state: SubscriptionState,
    /// Since when.
    pub since: Wall,
    /// What is kept of a request while it waits for her.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Whether a grant is what approved it: it ends with the grant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_grant: bool,
}

impl Subscription {
    /// Whether it is a request that waits for her.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == SubscriptionState::Pending
    }
}

/// What is kept of a request while it waits for her: never the whole stanza.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its number in her lists, from 1; a later request of hers gets a higher one.
    pub number: u32,
    /// What the watcher wrote (`<status/>`), on one line, cut.
    #[serde(default)]
    pub text: Option<String>,
    /// The name that it gives itself (XEP-0172), on one line, cut.
    #[serde(default)]
    pub nick: Option<String>,
    /// Whether she has been told of it.
    #[serde(default)]
    pub told: bool,
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Since when.
    pub since: Wall,
}

/// A block by the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorBlock {
    /// Since when.
    pub since: Wall,
    /// Which administrator did it.
    #[serde(default)]
    pub by: Option<Bare>,
}

/// How far a command has come (design.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionState {
    /// Accepted, not yet sent.
    Queued,
    /// Sent to a resource of the user.
    Sent,
    /// The resource said that it is at work, or asking.
    Accepted,
    /// Done.
    Completed,
    /// She said no, or took the right away.
    Refused,
    /// It was tried and did not work.
    Failed,
    /// Never sent in time.
    Expired,
    /// Sent, and the answer was lost.
    Unknown,
}

impl ExecutionState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent | Self::Accepted)
    }
}

/// A command of a watcher on its way to the user's client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// For whom.
    pub user: Bare,
    /// Who asked, with the resource that did.
    pub watcher: Address,
    /// Where the request came in.
    pub interface: Interface,
    /// The watcher's level when it was accepted.
    pub level: Level,
    /// Which command.
    pub right: Right,
    /// The watcher's own name of the request.
    pub request_id: String,
    /// The fields of the command's form, checked.
    pub fields: BTreeMap<String, String>,
    /// Whether the person at the client is to be asked.
    pub confirm: bool,
    /// When it was accepted.
    pub issued: Wall,
    /// After this it is not begun.
    pub expires: Wall,
    /// How far it has come.
    pub state: ExecutionState,
    /// Its name at the agent, where another open request has the watcher's.
    #[serde(default)]
    pub agent_request_id: Option<String>,
    /// The resource of the user that it goes to.
    #[serde(default)]
    pub resource: Option<String>,
    /// Where it counts as a use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// The code of the question that she was sent in chat, where nobody else asks her.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The public name of the token that the watcher showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Execution {
    /// The request's name at the agent.
    #[must_use]
    pub fn agent_request_id(&self) -> &str {
        self.agent_request_id.as_deref().unwrap_or(&self.request_id)
    }
}

/// One line of a user's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who did it.
    pub watcher: Bare,
    /// What.
    pub right: Right,
    /// The final state.
    pub state: ExecutionState,
    /// What was opened, written or set, for the user to read.
    pub detail: String,
    /// The watcher's own name of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the watcher has reported its own result of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
    /// Her name for the token that it was done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether it waits for the digest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// So many lines that waited for the digest have given way before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untold_before: u32,
    /// What the clock said, where it had been set back: then the line is filed behind those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Wall>,
}

impl Audit {
    /// When it was, of a line that is filed at `at`.
    pub(super) fn when(&self, at: Wall) -> Wall {
        self.clock.unwrap_or(at)
    }

    /// Whether the digest has something to tell of it.
    pub(super) fn is_untold(&self) -> bool {
        self.untold || self.untold_before > 0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What her clients showed of her, as far as watchers could see it; kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFace {
    /// Her client's state; absent: offline, or invisible.
    pub state: Option<ShownState>,
    /// The text of her client, if any; the last words when she left.
    #[serde(default)]
    pub text: Option<String>,
    /// Since when.
    pub since: Wall,
}
