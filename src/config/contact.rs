//! The operator's contact addresses, which everyone can read in the component's `disco#info`. XEP-0157.

use std::collections::BTreeMap;

use url::Url;

use super::check::Check;
use super::key::CONTACT_KEYS;
use crate::address::Address;

/// Addresses for one purpose, and characters of one. All of them together, escaped, fit with the features
/// into the 10,000 bytes that every server takes (RFC 6120 §13.12).
const ADDRESSES_MAX: usize = 4;
const CHARS_MAX: usize = 200;

impl Check<'_> {
    /// The addresses by purpose; purposes without any are left out.
    pub(super) fn contacts(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut contacts = BTreeMap::new();
        for purpose in CONTACT_KEYS {
            let key = format!("contact.{purpose}");
            let list = "a list of addresses such as [\"mailto:abuse@example.org\"]";
            let element = format!(
                "a mailto:, xmpp: or https: address of at most {CHARS_MAX} ASCII characters, none of \
                 them a quote or &"
            );
            let addresses = self.list(&key, list, &element, |text| {
                is_contact(text).then(|| text.to_owned())
            });
            let addresses = addresses.unwrap_or_default();
            if addresses.len() > ADDRESSES_MAX
                && let Some(found) = self.keys.get(&key).cloned()
            {
                let what = format!(
                    "found {} addresses, expected at most {ADDRESSES_MAX}",
                    addresses.len()
                );
                self.problem(&found, &what);
            }
            if !addresses.is_empty() {
                contacts.insert(purpose.to_owned(), addresses);
            }
        }
        contacts
    }
}

/// Whether somebody can be reached at this address: a client makes a link of it as it stands.
fn is_contact(text: &str) -> bool {
    // What no URI has unescaped (RFC 3986 §2), and what would grow fivefold as XML.
    let is_plain = |c: char| {
        c.is_ascii_graphic()
            && !matches!(
                c,
                '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '&' | '\''
            )
    };
    if text.len() > CHARS_MAX || !text.chars().all(is_plain) {
        return false;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match scheme {
        // RFC 6068 §2: one address; of more, each stands by itself in the list.
        "mailto" => path.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.contains('@') && url::Host::parse(domain).is_ok()
        }),
        // RFC 5122 §2.2: the address may be that of a person, a room or a service.
        "xmpp" => Address::parse(path).is_ok(),
        "https" => rest.starts_with("//") && Url::parse(text).is_ok_and(|url| url.has_host()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_contact;

    #[test]
    fn what_a_client_can_follow_is_a_contact() {
        for address in [
            "mailto:abuse@example.org",
            "mailto:abuse@example.org?subject=vestibule",
            "xmpp:admin@example.org",
            "xmpp:support@rooms.example.org?join",
            "xmpp:example.org",
            "xmpp:b%C3%BCro@example.org",
            "https://example.org/help#contact",
        ] {
            assert!(is_contact(address), "{address}");
        }
        let long = format!("https://example.org/{}", "x".repeat(200));
        for address in [
            "",
            "abuse@example.org",
            "mailto:",
            "mailto:abuse",
            "mailto:@example.org",
            "mailto:a@b@example.org",
            "mailto:a@example.org,b@example.org",
            "xmpp:",
            "xmpp:@example.org",
            "http://example.org/",
            "https:example.org",
            "https://",
            "https://example.org/?a=1&b=2",
            "https://exa mple.org/",
            "https://bücher.example/",
            "javascript:alert(1)",
            "tel:+441234",
            &long,
        ] {
            assert!(!is_contact(address), "{address}");
        }
    }
}
