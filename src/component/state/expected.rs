//! Room for the users whom a start will bring, made at once: a table that grows step by step is copied at
//! each step, and has twice the memory while it is.

use super::State;
use crate::component::record::Change;

/// After so many records it is estimated how many users there are; fewer need no room ahead.
const SAMPLE: u64 = 4096;

/// How many records are expected, and how many have come.
#[derive(Debug, Default)]
pub(super) struct Expected {
    records: u64,
    restored: u64,
}

impl State {
    /// So many records will be restored, users with what is theirs one after the other.
    pub(in crate::component) fn expect(&mut self, records: u64) {
        self.expected.records = records;
    }

    /// Takes over one record that is stored.
    pub(in crate::component) fn restore(&mut self, stored: &Change) {
        self.expected.restored += 1;
        if self.expected.restored == SAMPLE {
            let users = self.estimate();
            // Room that cannot be had is no reason not to begin: there may be fewer.
            let _ = self.users.try_reserve(users);
            self.places.try_reserve(users);
        }
        self.apply(stored);
    }

    /// How many users are still to come, where the rest is as what has come; a little more.
    fn estimate(&self) -> usize {
        let to_come = self.expected.records.saturating_sub(SAMPLE);
        let users = u128::from(to_come) * self.users.len() as u128 / u128::from(SAMPLE);
        usize::try_from(users + users / 32).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Bare;
    use crate::component::record::{LastFace, Profile};

    /// A profile of each, and of each second a face: after `expected` records were said to come.
    fn restored(users: usize, expected: u64) -> (State, Vec<usize>) {
        let profile: Profile =
            serde_json::from_str(r#"{"joined":1,"visibility":"public"}"#).unwrap();
        let face: LastFace = serde_json::from_str(r#"{"since":1}"#).unwrap();
        let mut state = State::default();
        state.expect(expected);
        let mut capacities = Vec::new();
        for n in 0..users {
            let user = Bare::parse(&format!("user{n}@localhost")).unwrap();
            state.restore(&Change::Profile {
                user: user.clone(),
                value: Some(profile.clone()),
            });
            if n % 2 == 0 {
                state.restore(&Change::Face {
                    user,
                    value: Some(face.clone()),
                });
            }
            if capacities.last() != Some(&state.users.capacity()) {
                capacities.push(state.users.capacity());
            }
        }
        (state, capacities)
    }

    #[test]
    fn room_is_made_once_for_all_who_come() {
        let (state, capacities) = restored(50_000, 75_000);
        assert_eq!(state.n_served(), 50_000);
        let sample = SAMPLE as usize;
        let after: Vec<_> = capacities.iter().filter(|room| **room > sample).collect();
        assert!(
            after.len() <= 2 && *after[after.len() - 1] >= 50_000,
            "{capacities:?}"
        );
        // Little more than is needed.
        assert!(*after[after.len() - 1] < 120_000, "{capacities:?}");
    }

    #[test]
    fn a_wrong_expectation_does_no_harm() {
        for expected in [0, 1, SAMPLE, SAMPLE + 1, 1 << 50, u64::MAX] {
            assert_eq!(restored(5_000, expected).0.n_served(), 5_000, "{expected}");
        }
    }
}
