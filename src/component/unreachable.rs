//! Watchers whose server sends our presence back as an error: they are told less often, and miss nothing.
//!
//! An error ends no subscription (RFC 6121 §4.4.2). What changes meanwhile is noted down as pairs of user
//! and watcher, and told when the pause is over, as it is then. A sign of life ends the pause at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

use super::limits::{MISSED_MAX, UNREACHABLE_MAX, UNREACHABLE_PAUSE, UNREACHABLE_PAUSE_MAX};
use super::record::SubscriptionState;
use super::timer::{Timer, TimerKey};
use super::{Component, Turn};
use crate::address::Bare;

/// Who cannot be reached.
#[derive(Debug, Default)]
pub(super) struct Unreachable {
    /// How long each watcher is left alone; the oldest first.
    pauses: IndexMap<Bare, Pause>,
    /// Whose changes each of them has missed.
    missed: BTreeMap<Bare, BTreeSet<Bare>>,
    n_missed: usize,
}

impl Unreachable {
    /// Forgets all: after the next attach everyone is told anyway.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Duration,
    timer: TimerKey,
}

/// An error has come instead of an acknowledgement that does not exist. It counts where the watcher's
/// subscription is approved: nobody else is told anything.
pub(super) fn failed(core: &mut Component, turn: &Turn, user: &Bare, watcher: &Bare) {
    let approved = core
        .state
        .user(user)
        .is_some_and(|known| known.subscription(watcher) == Some(SubscriptionState::Approved));
    if !approved {
        return;
    }
    let now = turn.now.mono;
    let unreachable = &mut core.unreachable;
    let before = unreachable.pauses.get(watcher).copied();
    if before.is_some_and(|pause| now < pause.until) {
        return; // Of several that were sent before the pause.
    }
    // Long without an error: it begins anew.
    let length = before
        .filter(|pause| now < pause.until + UNREACHABLE_PAUSE_MAX)
        .map_or(UNREACHABLE_PAUSE, |pause| {
            (pause.length * 2).min(UNREACHABLE_PAUSE_MAX)
        });
    unreachable.pauses.shift_remove(watcher);
    let full = unreachable.pauses.len() >= UNREACHABLE_MAX;
    let oldest = unreachable.pauses.keys().next().filter(|_| full).cloned();
    if let Some(oldest) = oldest {
        reached(core, &oldest);
    }
    let until = now + length;
    let timer = core.timers.set(until, Timer::Reach(watcher.clone()));
    let pause = Pause {
        length,
        until,
        timer,
    };
    core.unreachable.pauses.insert(watcher.clone(), pause);
}

/// Notes down that a watcher is not told now; `false` where it is to be told. Past the bound it is told
/// all the same: that costs a stanza and loses nothing.
pub(super) fn misses(core: &mut Component, turn: &Turn, user: &Bare, watcher: &Bare) -> bool {
    let unreachable = &mut core.unreachable;
    let paused = unreachable
        .pauses
        .get(watcher)
        .is_some_and(|pause| turn.now.mono < pause.until);
    if !paused || unreachable.n_missed >= MISSED_MAX {
        return false;
    }
    let missed = unreachable.missed.entry(watcher.clone()).or_default();
    unreachable.n_missed += usize::from(missed.insert(user.clone()));
    true
}

/// The watcher has sent something of its own: it is there.
pub(super) fn reached(core: &mut Component, watcher: &Bare) {
    if let Some(pause) = core.unreachable.pauses.shift_remove(watcher) {
        core.timers.cancel(pause.timer);
        catch_up(core, watcher);
    }
}

/// Notes down for telling what a watcher has missed: its pause is over.
pub(super) fn catch_up(core: &mut Component, watcher: &Bare) {
    let missed = core.unreachable.missed.remove(watcher).unwrap_or_default();
    core.unreachable.n_missed -= missed.len();
    for user in missed {
        core.broadcasts.tell(user, watcher.clone());
    }
}
