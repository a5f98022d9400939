//! Grants that give less or more by themselves: they end, quiet hours begin or end, a day's uses are up or
//! begin anew. What holds is always decided from the clock; here watchers are told of it.

use std::collections::BTreeSet;

use super::clock::Wall;
use super::overdue::{self, End};
use super::record::{Change, SubscriptionState};
use super::setting::{ended, watchers_of};
use super::state::User;
use super::{Component, Turn, subscription};
use crate::address::Bare;

/// A grant that has ended.
#[derive(Clone, Debug)]
pub(super) struct Lapse {
    /// To whom it was.
    pub(super) who: Bare,
    /// Since when she had given it: one that she gives after it is another.
    pub(super) since: Wall,
    /// Whose subscriptions have ended with it before, and have records yet.
    pub(super) gone: BTreeSet<Bare>,
}

/// Looks at the grants whose time has come, tells those whom it concerns, and takes down when to look again.
pub(super) fn fire(core: &mut Component, turn: &mut Turn) {
    while let Some((user, watcher, seen)) = core.state.take_border(turn.now.wall) {
        let zone = core.zone(&user);
        let known = core.state.stored(&user);
        let Some(grant) = known.and_then(|known| known.grants().get(&watcher)) else {
            continue;
        };
        if grant.has_ended(turn.now.wall) {
            // It gives nothing from now on; the record goes through her lane.
            let lapse = Lapse {
                who: watcher.clone(),
                since: grant.since,
                gone: BTreeSet::new(),
            };
            overdue::meet(core, turn, &user, End::Grant(lapse));
        } else {
            let next = grant.next_border(turn.now.wall, zone);
            core.state.set_border(&user, &watcher, next);
        }
        if seen {
            core.tell_covered(turn, &user, &watcher);
        }
    }
}

/// Finds the changes, and those subscriptions that have come meanwhile and end, too.
pub(super) fn plan(
    turn: &Turn,
    (user, known): (&Bare, &User),
    lapse: &Lapse,
    ends: &mut Vec<(Bare, SubscriptionState)>,
) -> Vec<Change> {
    // In memory they are gone already, unless she has given something anew.
    let grant = known.grants().get(&lapse.who);
    let gone = grant.is_none_or(|grant| grant.since == lapse.since);
    let mut changes = Vec::new();
    changes.extend(gone.then(|| Change::Grant {
        user: user.clone(),
        watcher: lapse.who.clone(),
        value: None,
    }));
    let is_gone = |watcher: &&Bare| !known.subscriptions.contains_key(*watcher);
    let before = watchers_of(ends).chain(&lapse.gone).filter(is_gone);
    changes.extend(ended(user, before));
    let more = end_with(turn, (user, known), &lapse.who);
    changes.extend(ended(user, watchers_of(&more)));
    ends.extend(more);
    changes
}

/// The subscriptions that end with a grant: it is what approved them, and nothing else of hers would now.
pub(super) fn end_with(
    turn: &Turn,
    (user, known): (&Bare, &User),
    who: &Bare,
) -> Vec<(Bare, SubscriptionState)> {
    let mut ends = known.watchers_of(who);
    ends.retain(|(watcher, state)| {
        *state == SubscriptionState::Approved
            && known
                .subscriptions
                .get(watcher)
                .is_some_and(|one| one.by_grant)
            && !subscription::is_approved_before(turn, (user, known), watcher)
    });
    ends
}

impl Component {
    /// Notes that what an address, or all of a domain, may do has changed.
    pub(super) fn tell_covered(&mut self, turn: &Turn, user: &Bare, who: &Bare) {
        let Some(known) = self.state.user(user) else {
            return;
        };
        for (watcher, state) in known.watchers_of(who) {
            if state == SubscriptionState::Approved {
                self.tell_watcher(turn, user, &watcher);
            }
        }
    }

    /// Her time zone is another, and so is the time at which quiet hours begin and end.
    pub(super) fn quiet_anew(&mut self, turn: &Turn, user: &Bare) {
        let zone = self.zone(user);
        let Some(known) = self.state.user(user) else {
            return;
        };
        let quiet = known.grants().iter().filter(|(_, one)| one.quiet.is_some());
        let next = |(who, one): (&Bare, &super::record::Grant)| {
            (who.clone(), one.next_border(turn.now.wall, zone))
        };
        for (who, next) in quiet.map(next).collect::<Vec<_>>() {
            self.state.set_border(user, &who, next);
            self.tell_covered(turn, user, &who);
        }
    }

    /// A use has been counted, or given back: where by it a day's uses are up, or no longer are, those whom
    /// the grant concerns are told.
    pub(super) fn tell_used(&mut self, turn: &Turn, user: &Bare, who: &Bare, given_back: bool) {
        let zone = self.zone(user);
        let known = self.state.user(user);
        let Some(grant) = known.and_then(|known| known.grants().get(who)) else {
            return;
        };
        let (Some(max), Some((today, _))) = (grant.max_per_day, grant.uses.today(turn.now.wall))
        else {
            return;
        };
        if today.saturating_add(u32::from(given_back)) == max {
            let next = grant.next_border(turn.now.wall, zone);
            self.state.set_border(user, who, next);
            self.tell_covered(turn, user, who);
        }
    }
}
