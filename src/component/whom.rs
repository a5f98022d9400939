//! Whom she means: addresses, domains, numbers of requests, names of the operator's parties.

use super::decision::Verdict;
use super::limits::DECISIONS_MAX;
use super::state::User;
use super::{Component, pending};
use crate::address::{Address, Bare};

/// Whom she means: the decisions, and remarks about what is not there any more.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) each: Vec<(Bare, Verdict)>,
    pub(super) remarks: Vec<String>,
}

impl Read {
    /// Takes one; the same twice counts once.
    pub(super) fn put(&mut self, who: Bare, verdict: Verdict) {
        if !self.each.contains(&(who.clone(), verdict)) {
            self.each.push((who, verdict));
        }
    }

    /// Whether there is nothing to do and nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty() && self.remarks.is_empty()
    }

    /// Takes the request with a number.
    pub(super) fn put_number(&mut self, known: &User, number: u32, verdict: Verdict) {
        let list = pending::list(known);
        match list.iter().find(|(n, ..)| *n == number) {
            Some((_, watcher, _)) => self.put((*watcher).clone(), verdict),
            None => self
                .remarks
                .push(format!("There is no request {number} (any more).")),
        }
    }
}

/// Somebody whom she names: a watcher or a domain by its address, or one of the operator's parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// An address, or a domain that stands for all its users.
    Watcher([Bare; 1]),
    /// A party, with its addresses.
    Party(String, Vec<Bare>),
}

impl Named {
    /// The addresses that are meant.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Bare> {
        match self {
            Self::Watcher(address) => address.iter(),
            Self::Party(_, addresses) => addresses.iter(),
        }
    }

    pub(super) fn is_party(&self) -> bool {
        matches!(self, Self::Party(..))
    }

    /// As she may type it again.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Watcher([address]) => address.to_string(),
            Self::Party(name, _) => name.clone(),
        }
    }

    /// As she is told of it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Watcher([address]) if address.is_domain() => {
                format!("{} (all its users)", address.shown())
            }
            Self::Watcher([address]) => address.shown(),
            Self::Party(name, addresses) => {
                let addresses: Vec<_> = addresses.iter().map(Bare::shown).collect();
                format!("The party {name} ({})", addresses.join(", "))
            }
        }
    }
}

/// Reads whom she gives something, or takes something from: addresses, domains, names of parties. `Err` is
/// the word that is none of them, or nothing where there is no word.
pub(super) fn grantees<'a>(
    core: &Component,
    words: impl Iterator<Item = &'a str>,
) -> Result<Vec<Named>, Option<&'a str>> {
    let mut found = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        let who = Address::parse(word).map_err(|_| Some(word))?.bare;
        let of_party = of_party(core, &who);
        let named = match of_party.is_empty() {
            true => Named::Watcher([who]),
            false => Named::Party(who.to_string(), of_party),
        };
        if !found.contains(&named) {
            found.push(named);
        }
        if found.len() > DECISIONS_MAX {
            return Err(Some(word));
        }
    }
    if found.is_empty() {
        return Err(None);
    }
    Ok(found)
}

/// Reads whom the words of a chat line mean: addresses, domains, numbers of requests as in `3` or `2-5`,
/// names of the operator's parties, and for a denial `all`. `Err` is what to tell her.
pub(super) fn read(
    core: &Component,
    user: &Bare,
    verdict: Verdict,
    words: &str,
) -> Result<Read, String> {
    let mut read = Read::default();
    let Some(known) = core.state.user(user) else {
        return Ok(read);
    };
    let requests = matches!(verdict, Verdict::Approve | Verdict::Deny | Verdict::Block);
    for word in words
        .split([' ', ',', ';', '\t', '\n', '\r'])
        .filter(|word| !word.is_empty())
    {
        if let Some(number) = number(word).filter(|_| requests) {
            read.put_number(known, number, verdict);
        } else if let Some((first, last)) = range(word).filter(|_| requests) {
            let list = pending::list(known);
            let within = list.iter().filter(|(n, ..)| (first..=last).contains(n));
            let before = read.each.len();
            for (_, watcher, _) in within {
                read.put((*watcher).clone(), verdict);
            }
            if read.each.len() == before {
                read.remarks
                    .push(format!("There are no requests {first}-{last} (any more)."));
            }
        } else if word.eq_ignore_ascii_case("all") && requests {
            if verdict != Verdict::Deny {
                return Err(format!(
                    "Say which, as in “{} 1-3”: “all” would be the one who asks at this moment too.",
                    verdict.as_str()
                ));
            }
            for (_, watcher, _) in pending::list(known) {
                read.put(watcher.clone(), verdict);
            }
            if read.each.is_empty() {
                read.remarks.push("Nobody waits for your word.".to_owned());
            }
        } else {
            let who = Address::parse(word).map_err(|_| whom(verdict))?.bare;
            for who in named(core, verdict, who) {
                read.put(who, verdict);
            }
        }
        if read.each.len().max(read.remarks.len()) > DECISIONS_MAX {
            return Err(format!("At most {DECISIONS_MAX} at once, please."));
        }
    }
    if read.is_empty() {
        return Err(whom(verdict));
    }
    Ok(read)
}

fn whom(verdict: Verdict) -> String {
    format!("Whom? As in “{} bob@example.org”.", verdict.as_str())
}

/// A number as she may type it: `3`, `3.`, `#3`.
fn number(word: &str) -> Option<u32> {
    let word = word.strip_prefix('#').unwrap_or(word);
    let word = word.strip_suffix(['.', ')']).unwrap_or(word);
    word.parse().ok()
}

fn range(word: &str) -> Option<(u32, u32)> {
    let (first, last) = word.split_once(['-', '–'])?;
    Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
}

/// Of a party, whose name she knows and not its addresses, each is meant where she blocks or unblocks.
fn named(core: &Component, verdict: Verdict, who: Bare) -> Vec<Bare> {
    let party = match verdict {
        Verdict::Block | Verdict::Unblock => of_party(core, &who),
        Verdict::Approve | Verdict::Deny => Vec::new(),
    };
    if party.is_empty() { vec![who] } else { party }
}

/// The addresses of the party with a name, that of its link first, also where it has none yet; none where
/// there is no such party.
pub(super) fn of_party(core: &Component, name: &Bare) -> Vec<Bare> {
    let party = core.settings.parties.named(name.as_str());
    party.map_or_else(Vec::new, |party| core.settings.addresses_of(party))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (word, expected) in [
            ("3", Some(3)),
            ("3.", Some(3)),
            ("#3", Some(3)),
            ("12)", Some(12)),
            ("3x", None),
            ("-3", None),
            ("4294967296", None),
            ("", None),
        ] {
            assert_eq!(number(word), expected, "{word:?}");
        }
        for (word, expected) in [
            ("2-5", Some((2, 5))),
            ("2–5", Some((2, 5))),
            ("5-2", None),
            ("2-", None),
            ("a-b.example", None),
        ] {
            assert_eq!(range(word), expected, "{word:?}");
        }
    }
}
