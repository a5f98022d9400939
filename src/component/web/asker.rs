//! Who asks over the web, as `decide` knows watchers: an address below our own domain.
//!
//! A visitor has a pseudonym that is the same for one network address until the next start, so that his rates
//! are his own and she can block him; the network address itself is in memory alone. What shows a token is named
//! after the token. Both domains can be blocked as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::authorization::{Interface, Right};
use super::super::reply::Refusal;
use super::super::watcher::Watcher;
use super::super::{Component, Turn, token};
use super::Who;
use crate::address::{Bare, ComponentDomain};

/// The domain of visitors is this below ours; no party has this name.
pub const VISITORS: &str = "web";
/// The domain of those who show a token is this below ours; no party has this name.
pub const TOKENS: &str = "token";
/// Characters of the label of a token in the name of who shows it.
const LABEL_MAX: usize = 32;

/// Finds out who asks for a user. `again`: what is shown has been counted before.
pub(super) fn identify(
    core: &mut Component,
    turn: &Turn,
    who: &Who,
    user: Option<&Bare>,
    again: bool,
) -> Result<Watcher, Refusal> {
    let watcher = |bare: Option<Bare>, token: Option<String>| {
        bare.map(|bare| Watcher {
            bare,
            interface: Interface::Http,
            token,
        })
        .ok_or(Refusal::ResourceConstraint)
    };
    match who {
        Who::Party(name) => watcher(core.settings.domain.partner(name), None),
        Who::Visitor(address) => watcher(visitor(core, address), None),
        Who::Token(shown, address) => {
            let visitor = watcher(visitor(core, address), None)?;
            let holder = |id: &str, label: &str| Watcher {
                bare: holder(&core.settings.domain, user, id, label)
                    .unwrap_or_else(|| visitor.bare.clone()),
                interface: Interface::Http,
                token: Some(id.to_owned()),
            };
            let found = token::of_web(core, turn, user, (&visitor.bare, &shown.0), again, &holder)?;
            match found {
                Some(watcher) if core.may_of(user, &watcher, turn) => Ok(watcher),
                _ => token::guessed(core, turn, &visitor.bare).and_then(|()| {
                    // To whom she is visible without it, it is told that it is wrong; to others nothing is.
                    match core.may_of(user, &visitor, turn) {
                        true => Err(Refusal::TokenInvalid),
                        false => Ok(visitor),
                    }
                }),
            }
        }
    }
}

impl Component {
    fn may_of(&self, user: Option<&Bare>, watcher: &Watcher, turn: &Turn) -> bool {
        user.is_some_and(|user| self.may(user, watcher, turn, Right::See))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}

fn below(ours: &ComponentDomain, label: &str, local: &str) -> Option<Bare> {
    Bare::parse(&format!("{local}@{label}.{}", ours.bare())).ok()
}

/// Pseudonyms that are remembered: to make one costs as much as to decide what is seen by it.
const REMEMBERED_MAX: usize = 1024;

/// The pseudonyms of the visitors of late, by their network addresses.
#[derive(Debug, Default)]
pub(in super::super) struct Pseudonyms(HashMap<Arc<str>, Bare>);

/// The pseudonym of a visitor.
fn visitor(core: &mut Component, address: &Arc<str>) -> Option<Bare> {
    if let Some(known) = core.pseudonyms.0.get(address) {
        return Some(known.clone());
    }
    let made = pseudonym(core, address)?;
    let remembered = &mut core.pseudonyms.0;
    if remembered.len() >= REMEMBERED_MAX {
        remembered.clear();
    }
    remembered.insert(address.clone(), made.clone());
    Some(made)
}

fn pseudonym(core: &Component, address: &str) -> Option<Bare> {
    let digest = Sha256::new()
        .chain_update(b"visitor")
        .chain_update(core.key.as_ref()?)
        .chain_update(address)
        .finalize();
    let local = format!("visitor-{}", hex(&digest[..6]));
    below(&core.settings.domain, VISITORS, &local)
}

/// The name of who shows a token: the plain letters of its label, and what tells it from all others.
fn holder(ours: &ComponentDomain, user: Option<&Bare>, id: &str, label: &str) -> Option<Bare> {
    let digest = Sha256::new()
        .chain_update(b"token")
        .chain_update(user?.as_str())
        .chain_update([0])
        .chain_update(id)
        .finalize();
    let plain = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    let slug: String = label.chars().take(LABEL_MAX).map(plain).collect();
    let slug = slug.trim_matches('-');
    let name = if slug.is_empty() { "token" } else { slug };
    below(ours, TOKENS, &format!("{name}.{}", hex(&digest[..4])))
}

/// Whether an address is that of a visitor: nothing that was given to anybody counts for him.
pub(in super::super) fn is_visitor(ours: &ComponentDomain, watcher: &Bare) -> bool {
    ours.below(watcher) == Some(VISITORS)
}
