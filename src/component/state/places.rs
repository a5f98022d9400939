//! Where users are in the working state, found by the localparts of their presentities: a probe names one,
//! and to make the user's address of it costs as much as to answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use super::{State, User};
use crate::address::Bare;

/// How many answers are anticipated together.
pub(in crate::component) const AHEAD: usize = 16;

/// Places by fingerprints of localparts. Two may have the same one: then the second is not in it, and what is
/// found has to be compared.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Keyed by chance, so that nobody can choose addresses that meet.
    fingerprints: RandomState,
    places: HashMap<u32, u32, BuildHasherDefault<AsItIs>>,
}

impl Places {
    /// Where somebody with this localpart may be.
    pub(super) fn find(&self, localpart: &str) -> Option<usize> {
        self.at(self.fingerprint(localpart))
    }

    fn at(&self, fingerprint: u32) -> Option<usize> {
        let place = self.places.get(&fingerprint)?;
        Some(*place as usize)
    }

    /// Makes room for so many more, where that can be had.
    pub(super) fn try_reserve(&mut self, users: usize) {
        let _ = self.places.try_reserve(users);
    }

    /// A user has come to a place.
    pub(super) fn add(&mut self, user: &Bare, place: usize) {
        if let (Some(localpart), Ok(place)) = (user.escaped(), u32::try_from(place)) {
            let key = self.fingerprint(&localpart);
            self.places.entry(key).or_insert(place);
        }
    }

    /// A user has gone from a place.
    pub(super) fn remove(&mut self, user: &Bare, place: usize) {
        if let Some(localpart) = user.escaped() {
            let key = self.fingerprint(&localpart);
            if self
                .places
                .get(&key)
                .is_some_and(|at| *at as usize == place)
            {
                self.places.remove(&key);
            }
        }
    }

    /// Half of a hash: of a million users a hundred share one, which costs them a search.
    fn fingerprint(&self, localpart: &str) -> u32 {
        self.fingerprints.hash_one(localpart) as u32
    }
}

/// Takes a number that is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The table takes bits from both ends.
        self.0 = u64::from(number) << 32 | u64::from(number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl State {
    /// The place of whom a presentity of our domain stands for, for [`Self::served_at`] while nothing is
    /// applied; `None` where it is not exactly hers, or in doubt.
    pub(in crate::component) fn place_of(&self, presentity: &Bare) -> Option<usize> {
        let localpart = presentity.local()?;
        let place = self.places.find(localpart)?;
        let (user, _) = self.users.get_index(place)?;
        user.is_escaped_as(localpart).then_some(place)
    }

    /// Reads what answers about some presentities will need, of all of them at a time: it is in many places,
    /// and the processor waits for several of them as long as for one. One round of reads leads to the next:
    /// where they are, what is known of them, what that points to. What it returns says nothing.
    pub(in crate::component) fn anticipate<'a>(
        &self,
        presentities: impl Iterator<Item = &'a Bare>,
    ) -> usize {
        let mut keys = [0; AHEAD];
        let mut n = 0;
        let locals = presentities.take(AHEAD).filter_map(Bare::local);
        for (key, local) in keys.iter_mut().zip(locals) {
            *key = self.places.fingerprint(local);
            n += 1;
        }
        let mut found = [None; AHEAD];
        for (found, key) in found.iter_mut().zip(&keys[..n]) {
            *found = self.places.at(*key);
        }
        let found = &found[..n];
        let mut read = 0;
        let of = |place: &Option<usize>| self.users.get_index((*place)?);
        for (user, known) in found.iter().filter_map(of) {
            read += user.as_str().len() + known.lines();
        }
        let first = |text: &str| usize::from(text.as_bytes().first().copied().unwrap_or(0));
        for (user, known) in found.iter().filter_map(of) {
            let text = known.status.plain().map_or(0, first);
            let resource = known.live.resources.values().next();
            let resource = resource.map_or(0, |one| {
                one.since.0 as usize ^ one.order as usize ^ usize::from(one.priority > 0)
            });
            read ^= first(user.as_str()) + text + resource;
        }
        read
    }

    /// The place of a user.
    pub(in crate::component) fn place(&self, user: &Bare) -> Option<usize> {
        self.users.get_index_of(user)
    }

    /// A user who has joined, by her place: no search for one who has just been found.
    pub(in crate::component) fn served_at(&self, place: usize) -> Option<(&Bare, &User)> {
        self.users
            .get_index(place)
            .filter(|(_, known)| known.is_served())
    }
}

#[cfg(test)]
mod tests {
    use crate::address::{Bare, ComponentDomain};
    use crate::component::clock::Wall;
    use crate::component::record::{Change, Profile};
    use crate::component::state::State;

    fn profile(user: &Bare, joined: bool) -> Change {
        let value = serde_json::from_str::<Profile>(r#"{"joined":1,"visibility":"public"}"#);
        Change::Profile {
            user: user.clone(),
            value: joined.then(|| value.unwrap()),
        }
    }

    #[test]
    fn whoever_is_there_is_found_by_her_presentity_and_nobody_else() {
        let ours = ComponentDomain::parse("presence.localhost").unwrap();
        let names = ["a", "b&c", r"d\20e", "f'g", r"h\5c40i", "j/k", "é"];
        let users: Vec<_> = (0..500)
            .filter_map(|n| Bare::parse(&format!("{}{n}@localhost", names[n % 7])).ok())
            .collect();
        let mut state = State::default();
        for user in &users {
            state.apply(&profile(user, true));
        }
        let check = |state: &State, gone: &dyn Fn(usize) -> bool| {
            for (n, user) in users.iter().enumerate() {
                let presentity = ours.presentity(user).unwrap();
                let place = state.place_of(&presentity);
                let found = place.and_then(|place| state.served_at(place));
                assert_eq!(found.is_none(), gone(n), "{user}");
                assert!(found.is_none_or(|(found, _)| found == user), "{user}");
                assert_eq!(ours.user(&presentity).as_ref(), Some(user));
            }
        };
        check(&state, &|_| false);
        // Each that goes moves another one into its place.
        for (n, user) in users.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
            state.apply(&profile(user, false));
            check(&state, &|other| other % 3 == 0 && other <= n);
        }
        assert_eq!(state.next_expiry().map(|(at, _)| *at), None::<Wall>);
        for stranger in [
            r"A0\40localhost@presence.localhost",
            r"a0\40localhost.@presence.localhost",
            r"\61\40localhost@presence.localhost",
            "a0@presence.localhost",
            "presence.localhost",
        ] {
            if let Ok(stranger) = Bare::parse(stranger) {
                let place = state.place_of(&stranger);
                assert_eq!(
                    place.is_some(),
                    ours.user(&stranger)
                        .is_some_and(|user| state.user(&user).is_some())
                );
            }
        }
    }
}
