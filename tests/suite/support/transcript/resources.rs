//! No resource of a user is named to anybody else, in any transcript (RFC 6120 §13.10.2).

use std::collections::{BTreeMap, BTreeSet};

use super::shorthand::DOMAIN;
use super::surroundings::bare;
use super::tree::Tree;

/// Whose resources the component has heard of, and which words it has been told in another way: who
/// says a word may hear it again.
#[derive(Debug, Default)]
pub(super) struct Resources {
    owners: BTreeMap<String, BTreeSet<String>>,
    said: BTreeSet<String>,
}

impl Resources {
    /// Learns from a stanza that is delivered to the component.
    pub(super) fn note(&mut self, stanza: &Tree) {
        let from = stanza.attr("from").unwrap_or_default();
        if let (Some((user, resource)), "presence", None, Some(DOMAIN)) = (
            from.split_once('/'),
            stanza.name.as_str(),
            stanza.attr("type"),
            stanza.attr("to"),
        ) {
            let owners = self.owners.entry(resource.to_lowercase()).or_default();
            owners.insert(user.to_lowercase());
        }
        for text in texts(stanza, "from") {
            self.said.extend(words(&text).map(str::to_owned));
        }
    }

    /// Checks a stanza that the component sends.
    pub(super) fn check(&self, stanza: &Tree) -> Result<(), String> {
        let to = bare(stanza.attr("to").unwrap_or_default()).to_lowercase();
        let texts: Vec<String> = texts(stanza, "to").collect();
        let named = |resource: &str| texts.iter().any(|text| contains(text, resource));
        let leak = self.owners.iter().find(|(resource, owners)| {
            !owners.contains(&to)
                && !words(resource).all(|word| self.said.contains(word))
                && named(resource)
        });
        match leak {
            None => Ok(()),
            Some((resource, _)) => Err(format!("names a resource of a user, {resource:?}")),
        }
    }
}

/// All text and all values in a stanza but for one attribute of its own; a slash may be escaped in them.
fn texts<'a>(stanza: &'a Tree, but: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut found = Vec::new();
    let mut open = vec![stanza];
    while let Some(element) = open.pop() {
        let own = |name: &str| std::ptr::eq(element, stanza) && name == but;
        found.push(element.text.to_lowercase());
        found.extend(
            element
                .attrs
                .iter()
                .filter(|(name, _)| !own(name))
                .map(|(_, value)| value.to_lowercase()),
        );
        open.extend(&element.children);
    }
    found.into_iter().map(|text| text.replace("\\2f", "/"))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Whether `text` has `word` in it, not as a part of a longer one.
fn contains(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after]
            .into_iter()
            .flatten()
            .any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(delivered: &[&str]) -> Resources {
        let mut resources = Resources::default();
        for xml in delivered {
            resources.note(&Tree::parse(xml).expect(xml));
        }
        resources
    }

    #[test]
    fn a_leak_is_found_wherever_it_stands() {
        let known = resources(&[
            "<presence from='alice@localhost/Kitchen' to='presence.localhost'><status>at home</status></presence>",
        ]);
        for leak in [
            "<presence from='presence.localhost/kitchen' to='bot@remote.example/x'/>",
            "<presence to='bot@remote.example/x'><status>in the kitchen.</status></presence>",
            "<iq to='bot@remote.example'><x xmlns='a:b'><y jid='alice@localhost/Kitchen'/></x></iq>",
            "<iq to='bot@remote.example'><x xmlns='a:b' z='alice\\40localhost\\2fkitchen'/></iq>",
        ] {
            let checked = known.check(&Tree::parse(leak).expect(leak));
            assert!(checked.is_err(), "{leak}");
        }
        for fine in [
            "<presence to='bot@remote.example/kitchen'/>",
            "<message to='alice@localhost/kitchen'><body>kitchen</body></message>",
            "<message to='bot@remote.example'><body>kitchens at home</body></message>",
        ] {
            assert_eq!(
                known.check(&Tree::parse(fine).expect(fine)),
                Ok(()),
                "{fine}"
            );
        }
    }

    #[test]
    fn who_says_a_word_may_hear_it_again() {
        let known = resources(&[
            "<presence from='alice@localhost/desk' to='presence.localhost'/>",
            "<presence type='probe' from='bot@remote.example' to='a@presence.localhost/desk'/>",
        ]);
        let answer = "<presence from='a@presence.localhost/desk' to='bot@remote.example'/>";
        assert_eq!(known.check(&Tree::parse(answer).expect(answer)), Ok(()));
    }
}
