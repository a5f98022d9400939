//! What is written behind: the last face of each user, at most once in 30 s.

use super::limits::{REMEMBER_EVERY, REMEMBER_MAX};
use super::live::Knowledge;
use super::record::Change;
use super::timer::Timer;
use super::{Component, Effect, Turn, face, offer};
use crate::address::Bare;

/// Notes that a user's last face is to be written.
pub(super) fn note(core: &mut Component, turn: &Turn, user: &Bare) {
    if core.unwritten.is_empty() {
        core.timers
            .set(turn.now.mono + REMEMBER_EVERY, Timer::Remember);
    }
    core.unwritten.insert(user.clone());
}

/// Writes what was noted.
pub(super) fn remember(core: &mut Component, turn: &Turn) {
    while !core.unwritten.is_empty() {
        let mut changes = Vec::new();
        while changes.len() < REMEMBER_MAX
            && let Some(user) = core.unwritten.pop_first()
        {
            let Some(known) = core.state.user(&user) else {
                continue;
            };
            let value = face::remembered(known, turn.now);
            if known.last_face().map(Into::into).as_ref() != Some(&value) {
                changes.push(Change::Face {
                    user,
                    value: Some(value),
                });
            }
        }
        if changes.is_empty() {
            continue;
        }
        for change in &changes {
            core.state.apply(change);
        }
        let ticket = core.lanes.ticket();
        core.effects.push_back(Effect::Remember { ticket, changes });
    }
}

/// Her custom status is another: she may have become visible or invisible by it.
pub(super) fn overlaid(core: &mut Component, turn: &Turn, user: &Bare) {
    core.state.look_again(user, turn.now.wall);
    if core
        .state
        .user(user)
        .is_some_and(|known| known.live.knowledge == Knowledge::Known)
    {
        note(core, turn, user);
    }
    core.tell_watchers(user, turn);
    offer::changed(core, turn, user); // Nothing that the agents of one who is invisible can do is offered.
}
