//! What the operator decided, and what follows from it for one address.

use std::collections::BTreeMap;

use super::authorization::{Ceiling, Interface, Party, Visibility};
use super::limits::Limits;
use super::parties::Parties;
use crate::address::{Bare, ComponentDomain};

/// What the operator decided, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own domain.
    pub domain: ComponentDomain,
    /// The domains whose users may join.
    pub users: Vec<Bare>,
    /// The operator's own addresses.
    pub admins: Vec<Bare>,
    /// Other domains of the users' server: whoever is there cannot join, and watches by the same server.
    pub neighbours: Vec<Bare>,
    /// The visibility of a user who has just joined.
    pub default_visibility: Visibility,
    /// The time zone of users who have not chosen one.
    pub timezone: chrono_tz::Tz,
    /// Registered third parties.
    pub parties: Parties,
    /// The most that each level may do.
    pub ceiling: Ceiling,
    /// Rates.
    pub limits: Limits,
    /// The operator's contact addresses, URIs by purpose: `abuse`, `admin`, `feedback`, `sales`,
    /// `security`, `status`, `support` (XEP-0157 §3).
    pub contacts: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// The party that a watcher belongs to: on the dedicated link and over the web by its domain below ours,
    /// else by its own address, else by its domain.
    #[must_use]
    pub fn party(&self, watcher: &Bare, interface: Interface) -> Option<&Party> {
        if interface != Interface::Public {
            let name = self.domain.below(watcher)?;
            return self.parties.named(name);
        }
        self.parties.of_jid(watcher)
    }

    /// The party that an address belongs to, however it is reached.
    #[must_use]
    pub fn party_of(&self, address: &Bare) -> Option<&Party> {
        match self.domain.below(address) {
            Some(name) => self.parties.named(name),
            None => self.parties.of_jid(address),
        }
    }

    /// The addresses of a party, that of its link first, also where it has none yet.
    #[must_use]
    pub fn addresses_of(&self, party: &Party) -> Vec<Bare> {
        let link = self.domain.partner(&party.name);
        link.into_iter().chain(party.jids.iter().cloned()).collect()
    }

    /// A party's name for a person: with the domain that its link has and that it has over the web, where it
    /// may come either way.
    #[must_use]
    pub fn name_of(&self, party: &Party) -> String {
        let link = self
            .domain
            .partner(&party.name)
            .filter(|_| party.has_link || party.has_web);
        match link {
            Some(link) => format!("{} ({link})", party.name),
            None => party.name.clone(),
        }
    }

    /// Whether a user of this address may join.
    #[must_use]
    pub fn may_join(&self, user: &Bare) -> bool {
        user.local().is_some()
            && self
                .users
                .iter()
                .any(|domain| domain.as_str() == user.domain())
    }
}
