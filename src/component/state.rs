//! The working state: what the store holds, and beside it what is known only while attached.
//!
//! [`State::apply`] is the only writer of durable facts; [`State::narrow`] takes away at once what a
//! change that is still being written is about to take away.

mod expected;
mod narrowing;
mod packed;
mod places;
mod touched;
mod user;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::clock::Wall;
use super::few::Few;
use super::live::Live;
use super::pending::Prompting;
use super::record::{Change, Execution, Grant, OperatorBlock, Status};
use crate::address::Bare;
use expected::Expected;
pub(super) use narrowing::Narrowing;
use packed::PackedStatus;
pub(super) use packed::Said;
pub(super) use places::AHEAD;
use places::Places;
use touched::Touched;
pub(super) use user::User;

/// The working state.
#[derive(Debug, Default)]
pub(super) struct State {
    users: IndexMap<Bare, User>,
    places: Places,
    expected: Expected,
    executions: BTreeMap<String, Execution>,
    /// Whom the operator blocks, for all users.
    barred: BTreeMap<Bare, OperatorBlock>,
    /// How many users have gone for good; with each, the last user takes a place before.
    n_gone: usize,
    /// When something in a custom status ends, each end once.
    expiries: BTreeSet<(Wall, Bare)>,
    /// Since when requests wait, exactly those that do: (since, user, watcher).
    requests: BTreeSet<(Wall, Bare, Bare)>,
    /// When a grant next gives less or more by itself: (when, user, watcher). [`UNSEEN`] stands for one
    /// that has not been looked at yet.
    borders: BTreeSet<(Wall, Bare, Bare)>,
    /// The same by user and watcher, for the grants that are in it.
    bordered: BTreeMap<(Bare, Bare), Wall>,
    /// When tokens end: (end, user, public name).
    pub(super) token_ends: BTreeSet<(Wall, Bare, String)>,
    /// Whose face may have changed.
    pub(super) touched: Touched,
}

impl State {
    /// A user who has joined.
    pub(super) fn user(&self, user: &Bare) -> Option<&User> {
        self.users.get(user).filter(|known| known.is_served())
    }

    /// What is stored of a user, served or dormant.
    pub(super) fn stored(&self, user: &Bare) -> Option<&User> {
        self.users.get(user).filter(|known| known.profile.is_some())
    }

    /// The same, to change what is known only while attached.
    pub(super) fn live(&mut self, user: &Bare) -> Option<&mut Live> {
        self.touched.note(user);
        self.users
            .get_mut(user)
            .filter(|known| known.is_served())
            .map(|known| &mut known.live)
    }

    /// How many there are.
    pub(super) fn n_users(&self) -> usize {
        self.users.len()
    }

    /// The user at a place in the order of joining; `None` past the end.
    pub(super) fn at(&self, index: usize) -> Option<(&Bare, &User)> {
        self.users.get_index(index)
    }

    /// How many users have gone for good; with each, the last user takes a place before.
    pub(super) fn n_gone(&self) -> usize {
        self.n_gone
    }

    /// How many users are served.
    pub(super) fn n_served(&self) -> usize {
        self.users
            .values()
            .filter(|known| known.is_served())
            .count()
    }

    /// All that is known, served or not.
    pub(super) fn users(&self) -> impl Iterator<Item = (&Bare, &User)> {
        self.users.iter()
    }

    pub(super) fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.get(id)
    }

    pub(super) fn executions(&self) -> impl Iterator<Item = (&String, &Execution)> {
        self.executions.iter()
    }

    /// The next custom status to end.
    pub(super) fn next_expiry(&self) -> Option<&(Wall, Bare)> {
        self.expiries.first()
    }

    /// How many requests wait, of all users.
    pub(super) fn n_requests(&self) -> usize {
        self.requests.len()
    }

    /// When the next request ends by itself, where each lives for so many seconds.
    pub(super) fn next_lapse(&self, life_s: i64) -> Option<Wall> {
        let (since, ..) = self.requests.first()?;
        Some(since.plus_s(life_s))
    }

    /// Takes the next request that has waited for too long; each is taken once.
    pub(super) fn take_lapsed(&mut self, life_s: i64, now: Wall) -> Option<(Bare, Bare)> {
        self.next_lapse(life_s).filter(|at| *at <= now)?;
        let (_, user, watcher) = self.requests.pop_first()?;
        Some((user, watcher))
    }

    /// When the next grant gives less or more by itself; at once where one has not been looked at.
    pub(super) fn next_border(&self) -> Option<Wall> {
        self.borders.first().map(|(at, ..)| *at)
    }

    /// Takes down again when a request ends.
    pub(super) fn wait_on(&mut self, since: Wall, user: &Bare, watcher: &Bare) {
        self.requests.insert((since, user.clone(), watcher.clone()));
    }

    /// Takes the next grant whose time has come: whose it is, to whom, and whether it had been looked at.
    pub(super) fn take_border(&mut self, now: Wall) -> Option<(Bare, Bare, bool)> {
        self.next_border().filter(|at| *at <= now)?;
        let (at, user, watcher) = self.borders.pop_first()?;
        self.touched.note(&user);
        self.bordered.remove(&(user.clone(), watcher.clone()));
        Some((user, watcher, at != UNSEEN))
    }

    /// Takes down when a grant next gives less or more by itself.
    pub(super) fn set_border(&mut self, user: &Bare, watcher: &Bare, at: Option<Wall>) {
        let pair = (user.clone(), watcher.clone());
        let before = match at {
            Some(at) => self.bordered.insert(pair, at),
            None => self.bordered.remove(&pair),
        };
        let key = |at| (at, user.clone(), watcher.clone());
        if let Some(before) = before {
            self.borders.remove(&key(before));
        }
        self.borders.extend(at.map(key));
    }

    /// When a user was told of requests, to change it.
    pub(super) fn prompting(&mut self, user: &Bare) -> Option<&mut Prompting> {
        let known = self.users.get_mut(user)?;
        if !known.is_served() {
            return None;
        }
        let rest = known.rest.get_or_insert_default();
        Some(rest.prompting.get_or_insert_default())
    }

    /// Takes the next user whose custom status has ended; each is taken once.
    pub(super) fn take_expired(&mut self, now: Wall) -> Option<Bare> {
        self.expiries.first().filter(|(at, _)| *at <= now)?;
        let (_, user) = self.expiries.pop_first()?;
        self.touched.note(&user);
        Some(user)
    }

    /// Takes down again when her status ends, from now on: the clock may have been set back.
    pub(super) fn rearm(&mut self, user: &Bare, now: Wall) {
        let known = self.users.get(user);
        let ends = known.into_iter().flat_map(|known| known.status.ends());
        self.expiries
            .extend(ends.filter(|end| *end > now).map(|end| (end, user.clone())));
    }

    /// Takes down whether watchers can see a user online, after what may have changed it: the time of
    /// that, and her client's last words.
    pub(super) fn look(&mut self, user: &Bare, now: Wall, at: Wall, words: Option<String>) {
        if let Some(known) = self.users.get_mut(user) {
            let visible = known.is_visible(now);
            known.live.look(visible, at, words);
        }
    }

    /// The same after a change of her status: by it she may also become visible again.
    pub(super) fn look_again(&mut self, user: &Bare, now: Wall) {
        if let Some(known) = self.users.get_mut(user) {
            let visible = known.is_visible(now);
            if visible && !known.live.visible {
                known.live.appeared = now;
            }
            known.live.look(visible, now, None);
        }
    }

    /// Forgets all that only an attached component can know.
    pub(super) fn forget_live(&mut self) {
        self.touched.note_all();
        for user in self.users.values_mut() {
            user.live.forget();
        }
    }

    /// Applies one change. Idempotent.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Profile { user, .. }
            | Change::Status { user, .. }
            | Change::Grant { user, .. }
            | Change::Block { user, .. }
            | Change::Token { user, .. } => self.touched.note(user),
            Change::OperatorBlock { .. } => self.touched.note_all(),
            _ => {}
        }
        match change {
            Change::Execution {
                id,
                value: Some(execution),
            } => {
                self.executions.insert(id.clone(), execution.clone());
            }
            Change::Execution { id, value: None } => {
                self.executions.remove(id);
            }
            Change::Profile { user, value: None } => {
                if let Some((place, _, gone)) = self.users.swap_remove_full(user) {
                    self.n_gone += 1;
                    self.places.remove(user, place);
                    if let Some((moved, _)) = self.users.get_index(place) {
                        self.places.remove(moved, self.users.len());
                        self.places.add(moved, place);
                    }
                    for end in gone.status.ends() {
                        self.expiries.remove(&(end, user.clone()));
                    }
                    for watcher in gone.grants().keys() {
                        self.set_border(user, watcher, None);
                    }
                    for (watcher, one) in &gone.subscriptions {
                        self.requests
                            .remove(&(one.since, user.clone(), watcher.clone()));
                    }
                }
            }
            Change::Profile { user, value } => {
                self.entry(user).profile = value.clone().map(Into::into);
            }
            Change::Status { user, value } => {
                let after = PackedStatus::from(value.clone());
                let before = std::mem::replace(&mut self.entry(user).status, after);
                for end in before.ends() {
                    self.expiries.remove(&(end, user.clone()));
                }
                let ends = value.iter().flat_map(Status::ends);
                self.expiries.extend(ends.map(|end| (end, user.clone())));
            }
            Change::Grant {
                user,
                watcher,
                value,
            } => {
                self.entry(user)
                    .change_rest(|rest| put(&mut rest.grants, watcher, value.as_ref()));
                let at = value.as_ref().filter(|grant| has_borders(grant));
                self.set_border(user, watcher, at.map(|_| UNSEEN));
            }
            Change::Subscription {
                user,
                watcher,
                value,
            } => {
                let known = self.entry(user);
                let before = known.subscriptions.remove(watcher);
                put(&mut known.subscriptions, watcher, value.as_ref());
                let waiting = value.as_ref().and_then(|one| one.waiting.as_ref());
                let number = waiting.map_or(0, |waiting| waiting.number);
                if number > known.last_number() {
                    known.change_rest(|rest| rest.last_number = number);
                }
                let key = |since| (since, user.clone(), watcher.clone());
                if let Some(before) = before {
                    self.requests.remove(&key(before.since));
                }
                if let Some(one) = value.as_ref().filter(|one| one.is_pending()) {
                    self.requests.insert(key(one.since));
                }
            }
            Change::Block {
                user,
                watcher,
                value,
            } => {
                self.entry(user)
                    .change_rest(|rest| put(&mut rest.blocks, watcher, value.as_ref()));
            }
            Change::Audit {
                user,
                at,
                id,
                value,
            } => {
                let key = (*at, id.clone());
                self.entry(user)
                    .change_rest(|rest| put(&mut rest.history, &key, value.as_ref()));
            }
            Change::Token { user, id, value } => {
                let known = self.entry(user);
                let before = known.tokens().get(id).map(|token| token.until);
                known.change_rest(|rest| put(&mut rest.tokens, id, value.as_ref()));
                let key = |until| (until, user.clone(), id.clone());
                if let Some(before) = before {
                    self.token_ends.remove(&key(before));
                }
                let counts = value.as_ref().filter(|token| token.until > Wall(0));
                self.token_ends.extend(counts.map(|token| key(token.until)));
            }
            Change::Face { user, value } => {
                self.entry(user).last_face = value.clone().map(Into::into);
            }
            Change::OperatorBlock { watcher, value } => {
                match value {
                    Some(block) => self.barred.insert(watcher.clone(), block.clone()),
                    None => self.barred.remove(watcher),
                };
            }
        }
    }

    /// Whom the operator blocks.
    pub(super) fn barred(&self) -> &BTreeMap<Bare, OperatorBlock> {
        &self.barred
    }

    /// Whether the operator blocks this address or its domain.
    pub(super) fn bars(&self, watcher: &Bare) -> bool {
        !self.barred.is_empty()
            && (self.barred.contains_key(watcher) || self.barred.contains_key(&watcher.to_domain()))
    }

    fn entry(&mut self, user: &Bare) -> &mut User {
        // At a start all of one user's records come one after the other.
        let is_last = self.users.last().is_some_and(|(last, _)| last == user);
        let place = match is_last {
            true => self.users.len() - 1,
            false => {
                let entry = self.users.entry(user.clone());
                let place = entry.index();
                if let Entry::Vacant(entry) = entry {
                    self.places.add(user, place);
                    entry.insert(User::default());
                }
                place
            }
        };
        &mut self.users[place]
    }
}

/// The time that stands for a grant that has not been looked at yet: before all others.
const UNSEEN: Wall = Wall(i64::MIN);

/// Whether a grant may give less or more by itself.
fn has_borders(grant: &Grant) -> bool {
    grant.until.is_some() || grant.quiet.is_some() || grant.max_per_day.is_some()
}

/// Whether an address, or a whole domain, covers a watcher.
pub(super) fn covers(who: &Bare, watcher: &Bare) -> bool {
    who == watcher || (who.local().is_none() && watcher.domain() == who.as_str())
}

fn put<K: Ord + Clone, V: Clone>(map: &mut Few<K, V>, key: &K, value: Option<&V>) {
    match value {
        Some(value) => {
            map.insert(key.clone(), value.clone());
        }
        None => {
            map.remove(key);
        }
    }
}
