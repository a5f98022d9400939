//! Who may do what: one pure and total function, [`decide`].
//!
//! It is called when rights are listed, when one is run, and again just before the command is sent
//! (design.md §3, §4). It reads no clock and no state of its own.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use super::ceiling::{Ceiling, Cell};
use super::clock::{Now, Wall};
use super::ending;
pub use super::few::Few;
use super::record::{Grant, Token};
pub use super::right::{Right, UnknownRight};
use crate::address::Bare;

/// Where a request came in. A property of the listener, never of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// XMPP through the server.
    Public,
    /// The link that parties attach to.
    Dedicated,
    /// The web face.
    Http,
}

impl Interface {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Public, Self::Dedicated, Self::Http];

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Dedicated => "dedicated",
            Self::Http => "http",
        }
    }
}

/// How far a watcher is trusted; shown to it, and the column of the ceiling table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Anyone.
    Public,
    /// An approved subscription.
    Known,
    /// A party, a grant or a token.
    Authorized,
    /// A party on the dedicated link.
    Trusted,
    /// The user herself.
    #[serde(rename = "self")]
    Own,
}

impl Level {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Known => "known",
            Self::Authorized => "authorized",
            Self::Trusted => "trusted",
            Self::Own => "self",
        }
    }
}

/// Who may see a user, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Only watchers she granted `see`.
    Private,
    /// Also approved subscriptions and the operator's parties.
    Subscribers,
    /// Everyone.
    Public,
}

impl Visibility {
    /// The name on the wire, in chat and in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Subscribers => "subscribers",
            Self::Public => "public",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Private, Self::Subscribers, Self::Public]
            .into_iter()
            .find(|v| v.as_str() == name)
    }
}

/// How often a grant's user is asked before a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// Each time.
    Always,
    /// Until she has said yes once.
    First,
    /// Not unless the operator's ceiling asks.
    Never,
}

/// A third party that the operator has registered in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its name, shown to users.
    pub name: String,
    /// Its addresses; a bare domain means all its users.
    pub jids: Vec<Bare>,
    /// What it may at most do by the operator's word.
    pub rights: BTreeSet<Right>,
    /// Whether it may attach to the dedicated link.
    pub has_link: bool,
    /// Whether it has a token for the web.
    pub has_web: bool,
}

/// What speaks for a watcher in one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The party that the watcher belongs to.
    pub party: Option<&'a Party>,
    /// Grants of this user to the watcher's address and to its whole domain.
    pub grants: [Option<&'a Grant>; 2],
    /// Whether she has approved its subscription.
    pub subscribed: bool,
    /// Her tokens, by their public names; `None` is none.
    pub tokens: Option<&'a Few<String, Token>>,
    /// The public name of the one that the watcher shows in this request: a right one, whose use has been
    /// or will be counted.
    pub shown: Option<&'a str>,
}

/// The user's side of the decision.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Who she is.
    pub user: &'a Bare,
    /// Who may see her.
    pub visibility: Visibility,
    /// The rights of the public level that she leaves open; absent: all that the operator allows.
    pub public_rights: Option<&'a BTreeSet<Right>>,
    /// The IANA name of her time zone, where she has chosen one.
    pub timezone: Option<&'a str>,
    /// Whether she blocks this watcher or its domain.
    pub blocked: bool,
    /// The operator's time zone, where she has not chosen one.
    pub zone: Tz,
    /// Whether it is about a use that has been counted already: it is decided upon once more before it is
    /// sent.
    pub counted: bool,
}

/// Why a right is denied. What a watcher is told of it is the caller's business: blocked and unseen
/// look like an unknown user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// She blocks the watcher.
    Blocked,
    /// The watcher may not see her.
    Unseen,
    /// It may see her, but nothing gives it this right; or her quiet hours do not at this time.
    NotGranted,
    /// What her grant allows for a day is used up; for so many seconds.
    UsedUp(u64),
}

/// The answer of [`decide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may; with `confirm` the person is asked first.
    Allow {
        /// Whether she is to be asked.
        confirm: bool,
    },
    /// It may not.
    Deny(Reason),
}

impl Decision {
    /// Whether it may.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

/// Decides whether `watcher` may run `right` for the user of `policy`. design.md §4.
///
/// Each piece of evidence gives the rights it names within the ceiling's column of its level;
/// the rights are the union. Of several confirmations the mildest holds, but never one milder than
/// the user set in a grant that names the right. Being allowed to see is what all others stand on.
///
/// What a grant of hers names is under her limits, whatever else gives it: of the grants in force the one
/// to the watcher's own address, else the one to its domain, says whether it is quiet and how often a day.
#[must_use]
pub fn decide(
    now: Now,
    interface: Interface,
    watcher: &Bare,
    evidence: Evidence<'_>,
    policy: Policy<'_>,
    ceiling: &Ceiling,
    right: Right,
) -> Decision {
    Case::new(now, interface, watcher, evidence, policy, ceiling).decide(right)
}

/// What [`decide`] decides about one user and watcher, where several rights are to be listed: what all of
/// them stand on is looked at once.
pub struct Case<'a> {
    pieces: Pieces<'a>,
    policy: Policy<'a>,
    /// What holds for every right.
    at_once: Option<Decision>,
}

impl<'a> Case<'a> {
    /// As for [`decide`].
    #[must_use]
    pub fn new(
        now: Now,
        interface: Interface,
        watcher: &'a Bare,
        evidence: Evidence<'a>,
        policy: Policy<'a>,
        ceiling: &'a Ceiling,
    ) -> Self {
        let pieces = Pieces {
            now,
            interface,
            watcher,
            evidence,
            visibility: policy.visibility,
            public_rights: policy.public_rights,
            ceiling,
        };
        let at_once = if watcher == policy.user {
            Some(Decision::Allow { confirm: false })
        } else if policy.blocked {
            Some(Decision::Deny(Reason::Blocked))
        } else if pieces.confirm(Right::See).is_none() {
            Some(Decision::Deny(Reason::Unseen))
        } else {
            None
        };
        Self {
            pieces,
            policy,
            at_once,
        }
    }

    /// As [`decide`].
    #[must_use]
    pub fn decide(&self, right: Right) -> Decision {
        if let Some(decision) = self.at_once {
            return decision;
        }
        let Self { pieces, policy, .. } = self;
        let Some(confirm) = pieces.confirm(right) else {
            return Decision::Deny(Reason::NotGranted);
        };
        let now = pieces.now;
        if let Some(grant) = ruling(now, pieces.interface, pieces.evidence, right) {
            let zone = || ending::zone_of(policy.timezone, policy.zone);
            if grant
                .quiet
                .is_some_and(|quiet| quiet.holds(now.wall, zone()))
            {
                return Decision::Deny(Reason::NotGranted);
            }
            if let Some(until) = grant.used_up_until(now.wall).filter(|_| !policy.counted) {
                let ms = until.0.saturating_sub(now.wall.0);
                let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1000);
                return Decision::Deny(Reason::UsedUp(seconds));
            }
        }
        Decision::Allow {
            confirm: confirm || pieces.user_asks(right),
        }
    }
}

/// The grant whose limits hold for a right: the first in force that names it, the one to the watcher's own
/// address before the one to its domain. Seeing has no limits.
#[must_use]
pub fn ruling<'a>(
    now: Now,
    interface: Interface,
    evidence: Evidence<'a>,
    right: Right,
) -> Option<&'a Grant> {
    let mut grants = evidence.grants.into_iter().flatten();
    grants
        .find(|grant| grant.is_in_force(now.wall, interface) && grant.rights.contains(&right))
        .filter(|_| right != Right::See)
}

/// The level shown to the watcher: the highest that its evidence reaches.
#[must_use]
pub fn level(
    now: Now,
    interface: Interface,
    watcher: &Bare,
    evidence: Evidence<'_>,
    user: &Bare,
) -> Level {
    if watcher == user {
        return Level::Own;
    }
    if evidence.party.is_some() {
        return party_level(interface);
    }
    if evidence
        .grants
        .into_iter()
        .flatten()
        .any(|grant| grant.is_in_force(now.wall, interface))
        || evidence.tokens(watcher, now).next().is_some()
    {
        return Level::Authorized;
    }
    if evidence.subscribed {
        Level::Known
    } else {
        Level::Public
    }
}

/// Whether a grant in force lets a watcher set her status without its name beside it.
#[must_use]
pub fn is_unsigned(now: Now, interface: Interface, evidence: Evidence<'_>) -> bool {
    evidence
        .grants
        .into_iter()
        .flatten()
        .filter(|grant| grant.rights.contains(&Right::SetStatus))
        .any(|grant| grant.unsigned && grant.is_in_force(now.wall, interface))
}

/// The modules that her grants in force name for a watcher.
#[must_use]
pub fn modules<'a>(now: Now, interface: Interface, evidence: Evidence<'a>) -> BTreeSet<&'a str> {
    evidence
        .grants
        .into_iter()
        .flatten()
        .filter(|grant| grant.rights.contains(&Right::StartModule))
        .filter(|grant| grant.is_in_force(now.wall, interface))
        .flat_map(|grant| grant.modules.iter().map(String::as_str))
        .collect()
}

/// When the first of what gives a watcher its rights ends by itself.
#[must_use]
pub fn expires(
    now: Now,
    interface: Interface,
    watcher: &Bare,
    evidence: Evidence<'_>,
) -> Option<Wall> {
    let grants = evidence.grants.into_iter().flatten();
    grants
        .filter(|grant| grant.is_in_force(now.wall, interface))
        .filter_map(|grant| grant.until)
        .chain(evidence.tokens(watcher, now).map(|token| token.until))
        .min()
}

fn party_level(interface: Interface) -> Level {
    if interface == Interface::Dedicated {
        Level::Trusted
    } else {
        Level::Authorized
    }
}

struct Pieces<'a> {
    now: Now,
    interface: Interface,
    watcher: &'a Bare,
    evidence: Evidence<'a>,
    visibility: Visibility,
    public_rights: Option<&'a BTreeSet<Right>>,
    ceiling: &'a Ceiling,
}

impl<'a> Pieces<'a> {
    fn grants(&self) -> impl Iterator<Item = &'a Grant> {
        let (now, interface) = (self.now, self.interface);
        self.evidence
            .grants
            .into_iter()
            .flatten()
            .filter(move |grant| grant.is_in_force(now.wall, interface))
    }

    fn granted(&self, right: Right) -> bool {
        let names = |rights: &BTreeSet<Right>| right == Right::See || rights.contains(&right);
        let mut tokens = self.evidence.tokens(self.watcher, self.now);
        self.grants().any(|grant| names(&grant.rights)) || tokens.any(|token| names(&token.rights))
    }

    /// The mildest confirmation among the pieces that give the right; `None` where none does.
    fn confirm(&self, right: Right) -> Option<bool> {
        let granted = self.granted(right);
        let at = |level| match self.ceiling.cell(self.interface, right, level) {
            Cell::Yes => Some(false),
            Cell::Ask => Some(true),
            Cell::YesByGrant => granted.then_some(false),
            Cell::AskByGrant => granted.then_some(true),
            Cell::No => None,
        };
        let visible = |level| right != Right::See || self.shows_itself_to(level);
        let mut pieces = [None; 4];
        let left_open = self.public_rights;
        if visible(Level::Public)
            && (right == Right::See || left_open.is_none_or(|rights| rights.contains(&right)))
        {
            pieces[0] = at(Level::Public);
        }
        if self.evidence.subscribed && visible(Level::Known) {
            pieces[1] = at(Level::Known);
        }
        if let Some(party) = self.evidence.party {
            let level = party_level(self.interface);
            if party.rights.contains(&right) && visible(level) {
                pieces[2] = at(level);
            }
        }
        if granted {
            pieces[3] = at(Level::Authorized);
        }
        pieces.into_iter().flatten().min()
    }

    /// What her visibility says for those whom she has not granted anything.
    fn shows_itself_to(&self, level: Level) -> bool {
        match self.visibility {
            Visibility::Private => false,
            Visibility::Subscribers => level != Level::Public,
            Visibility::Public => true,
        }
    }

    /// Whether a grant of hers that names the right says that she is to be asked. Nobody is asked before
    /// seeing.
    fn user_asks(&self, right: Right) -> bool {
        self.grants()
            .filter(|grant| right != Right::See && grant.rights.contains(&right))
            .filter(|grant| !grant.unasked.contains(&right))
            .any(|grant| match grant.confirm {
                Confirm::Always => true,
                Confirm::First => !grant.confirmed,
                Confirm::Never => false,
            })
    }
}
