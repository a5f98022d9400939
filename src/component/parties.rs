//! The operator's parties, found by name and by address without looking through all of them.

use std::collections::HashMap;
use std::ops::Deref;

use super::authorization::Party;
use crate::address::Bare;

/// Parties in the order of the configuration. Of two that claim the same, the first has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    list: Vec<Party>,
    by_name: HashMap<String, usize>,
    by_jid: HashMap<Bare, usize>,
}

impl Parties {
    /// Takes one more.
    pub fn push(&mut self, party: Party) {
        let at = self.list.len();
        self.by_name.entry(party.name.clone()).or_insert(at);
        for jid in &party.jids {
            self.by_jid.entry(jid.clone()).or_insert(at);
        }
        self.list.push(party);
    }

    /// Keeps those that are wanted.
    pub fn retain(&mut self, wanted: impl Fn(&Party) -> bool) {
        let list = std::mem::take(self).list;
        *self = list.into_iter().filter(|party| wanted(party)).collect();
    }

    /// The party with a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Party> {
        self.list.get(*self.by_name.get(name)?)
    }

    /// The party that an address belongs to: by itself, else by its domain.
    #[must_use]
    pub fn of_jid(&self, jid: &Bare) -> Option<&Party> {
        if self.by_jid.is_empty() {
            return None;
        }
        let own = self.by_jid.get(jid);
        self.list
            .get(*own.or_else(|| self.by_jid.get(&jid.to_domain()))?)
    }
}

impl Deref for Parties {
    type Target = [Party];

    fn deref(&self) -> &[Party] {
        &self.list
    }
}

impl FromIterator<Party> for Parties {
    fn from_iter<I: IntoIterator<Item = Party>>(parties: I) -> Self {
        let mut all = Self::default();
        for party in parties {
            all.push(party);
        }
        all
    }
}

impl From<Vec<Party>> for Parties {
    fn from(parties: Vec<Party>) -> Self {
        parties.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(name: &str, jids: &[&str]) -> Party {
        Party {
            name: name.to_owned(),
            jids: jids.iter().map(|jid| Bare::parse(jid).unwrap()).collect(),
            rights: [].into(),
            has_link: false,
            has_web: false,
        }
    }

    #[test]
    fn they_are_found_by_name_address_and_domain() {
        let mut all: Parties = vec![
            party("acme", &["bot@acme.example", "acme.example"]),
            party("other", &["bot@other.example"]),
        ]
        .into();
        let of = |all: &Parties, jid: &str| {
            let found = all.of_jid(&Bare::parse(jid).unwrap());
            found.map(|party| party.name.clone())
        };
        assert_eq!(of(&all, "anyone@acme.example").as_deref(), Some("acme"));
        assert_eq!(of(&all, "bot@other.example").as_deref(), Some("other"));
        assert_eq!(of(&all, "else@other.example"), None);
        assert_eq!(all.named("other"), Some(&all[1]));
        all.retain(|party| party.name != "acme");
        assert_eq!(of(&all, "anyone@acme.example"), None);
        assert_eq!(of(&all, "bot@other.example").as_deref(), Some("other"));
        assert_eq!(all.named("acme"), None);
    }
}
