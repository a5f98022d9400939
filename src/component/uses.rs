//! How often a grant has been used: the count that a limit per day stands on.
//!
//! It stands in the grant's own record and is written together with the command, so a restart loses none
//! of it, and it does not hang on how much of the history is kept.

use serde::{Deserialize, Serialize};

use super::authorization::{self, Right};
use super::clock::Wall;
use super::record::{Change, Execution, ExecutionState, Grant};
use super::watcher::Watcher;
use super::{Component, Turn, ending};
use crate::address::Bare;

/// The longest that a day lasts, in milliseconds: one that ends later was counted by a clock that was wrong.
const DAY_MS_MAX: i64 = 50 * 3600 * 1000;

/// How often, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// In all, since the grant was given.
    #[serde(default)]
    pub total: u64,
    /// Of them those on the day that is counted.
    #[serde(default)]
    pub of_day: u32,
    /// When that day ends: midnight in her time zone, as it was when the first of them was counted.
    #[serde(default)]
    pub day_ends: Option<Wall>,
    /// The last one.
    #[serde(default)]
    pub last: Option<Wall>,
}

impl Uses {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// How many there have been today, and when today ends. `None`: none that are counted.
    #[must_use]
    pub fn today(&self, now: Wall) -> Option<(u32, Wall)> {
        let ends = self.day_ends?;
        let is_today = now < ends && ends.0.saturating_sub(now.0) <= DAY_MS_MAX;
        is_today.then_some((self.of_day, ends))
    }

    /// With one more.
    #[must_use]
    pub fn counted(&self, now: Wall, midnight: Wall) -> Self {
        let (of_day, day_ends) = self.today(now).unwrap_or((0, midnight));
        Self {
            total: self.total.saturating_add(1),
            of_day: of_day.saturating_add(1),
            day_ends: Some(day_ends),
            last: Some(now),
        }
    }

    /// With one less on the day that ends then.
    #[must_use]
    pub fn given_back(&self, day_ends: Wall) -> Self {
        let same_day = self.day_ends == Some(day_ends);
        Self {
            total: self.total.saturating_sub(1),
            of_day: self.of_day.saturating_sub(u32::from(same_day)),
            ..*self
        }
    }
}

/// Where a use was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Whose grant: the watcher's address, or its domain.
    pub grant: Bare,
    /// When the grant was given: a new one counts anew.
    pub since: Wall,
    /// When the day ends for which it counts.
    pub day_ends: Wall,
}

/// Counts a use of a right where a grant names it.
pub(super) fn count(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
    right: Right,
) -> Option<(Change, Counted)> {
    let known = core.state.user(user)?;
    let now = turn.now;
    let evidence = known.evidence(&watcher.bare, None, None);
    let grant = authorization::ruling(now, watcher.interface, evidence, right)?;
    let who = [watcher.bare.clone(), watcher.bare.to_domain()]
        .into_iter()
        .find(|who| {
            known
                .grants()
                .get(who)
                .is_some_and(|one| std::ptr::eq(one, grant))
        })?;
    let midnight = ending::end_of_day(now.wall, core.zone(user));
    let uses = grant.uses.counted(now.wall, midnight);
    let counted = Counted {
        grant: who.clone(),
        since: grant.since,
        day_ends: uses.day_ends?,
    };
    Some((put(user, who, grant, uses), counted))
}

/// Takes a use back, where the command has ended without having been done: she refused, or it never
/// reached her (design.md §4).
pub(super) fn give_back(
    core: &Component,
    user: &Bare,
    done: &Execution,
    state: ExecutionState,
) -> Option<Change> {
    if !matches!(state, ExecutionState::Refused | ExecutionState::Expired) {
        return None;
    }
    let counted = done.counted.as_ref()?;
    let grant = core.state.user(user)?.grants().get(&counted.grant)?;
    let same = grant.since == counted.since;
    let uses = grant.uses.given_back(counted.day_ends);
    same.then(|| put(user, counted.grant.clone(), grant, uses))
}

fn put(user: &Bare, watcher: Bare, grant: &Grant, uses: Uses) -> Change {
    Change::Grant {
        user: user.clone(),
        watcher,
        value: Some(Grant {
            uses,
            ..grant.clone()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_to_its_end() {
        let (noon, midnight) = (Wall(12 * 3_600_000), Wall(24 * 3_600_000));
        let one = Uses::default().counted(noon, midnight);
        let two = one.counted(noon.plus_s(1), Wall(0)); // Her zone has changed: the day has not.
        assert_eq!(two.today(noon), Some((2, midnight)));
        assert_eq!(two.today(Wall(midnight.0 - 1)), Some((2, midnight)));
        assert_eq!(two.today(midnight), None);
        let next = two.counted(midnight, Wall(48 * 3_600_000));
        assert_eq!((next.total, next.of_day), (3, 1));
        // What was refused on the day before does not count today.
        assert_eq!(next.given_back(midnight).of_day, 1);
        assert_eq!(two.given_back(midnight).of_day, 1);
        assert_eq!(Uses::default().given_back(midnight), Uses::default());
    }

    #[test]
    fn a_clock_that_was_wrong_locks_nobody_out() {
        let wrong = Uses::default().counted(Wall(1 << 50), Wall((1 << 50) + 1));
        assert_eq!(wrong.today(Wall(0)), None);
    }
}
