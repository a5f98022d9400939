//! The mapping between a user and her presentity on our domain (XEP-0106 §4).
//!
//! Canonical and injective: each presentity has one spelling, and every other decodes to nobody.
//! `jid`'s own `unescape` is not used: it panics on a localpart that ends in a backslash.

use super::{Address, Bare, Malformed};

/// The ten escape sequences and what they stand for (XEP-0106 §4.1).
const SEQUENCES: [(&str, char); 10] = [
    ("\\20", ' '),
    ("\\22", '"'),
    ("\\26", '&'),
    ("\\27", '\''),
    ("\\2f", '/'),
    ("\\3a", ':'),
    ("\\3c", '<'),
    ("\\3e", '>'),
    ("\\40", '@'),
    ("\\5c", '\\'),
];

/// The component's own domain; maps users to presentities and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentDomain(Bare);

impl ComponentDomain {
    /// Reads and normalises a domain; an address with a localpart is refused.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bare = Bare::parse(text)?;
        if bare.is_domain() {
            Ok(Self(bare))
        } else {
            Err(Malformed::new(text))
        }
    }

    /// The domain as an address.
    #[must_use]
    pub fn bare(&self) -> &Bare {
        &self.0
    }

    /// Whether an address is ours: the domain itself or one of its presentities, with or without a
    /// resource. Domains below it are not.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        address.bare.domain() == self.0.as_str()
    }

    /// The address of a party on the dedicated link, `NAME.<our domain>`; `None` where that is no domain,
    /// or one whose normal form has another name.
    #[must_use]
    pub fn partner(&self, name: &str) -> Option<Bare> {
        let text = format!("{name}.{}", self.0);
        let domain = Bare::parse(&text).ok()?;
        (domain.as_str() == text && self.below(&domain) == Some(name)).then_some(domain)
    }

    /// The label directly below our domain of an address there, however deep: `acme` of
    /// `bot@eu.acme.presence.example.org`. `None` for every other address.
    #[must_use]
    pub fn below<'a>(&self, address: &'a Bare) -> Option<&'a str> {
        self.below_host(address.domain())
    }

    /// The same of an address as text in normal form, with or without a resource.
    #[must_use]
    pub fn below_in<'a>(&self, address: &'a str) -> Option<&'a str> {
        let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
        self.below_host(bare.rsplit_once('@').map_or(bare, |(_, host)| host))
    }

    fn below_host<'a>(&self, host: &'a str) -> Option<&'a str> {
        let above = host.strip_suffix(self.0.as_str())?;
        above.strip_suffix('.')?.rsplit('.').next()
    }

    /// The presentity of a user.
    ///
    /// `None` for a whole domain, and for the few users whose address makes no localpart: escaped it has
    /// more than 1023 bytes, or it mixes directions (a Hebrew name at a Latin domain), which nodeprep
    /// refuses and so would the server.
    #[must_use]
    pub fn presentity(&self, user: &Bare) -> Option<Bare> {
        if user.is_domain() {
            return None;
        }
        let localpart = escape(user.as_str());
        let presentity = Bare::parse(&format!("{localpart}@{}", self.0)).ok()?;
        // Both parts were in normal form; whether they still are as one part is better asked than proved.
        (presentity.local() == Some(localpart.as_str())).then_some(presentity)
    }

    /// The user of a presentity.
    ///
    /// `None` unless this is exactly what [`Self::presentity`] makes of that user: an alias is not
    /// another way to reach her.
    #[must_use]
    pub fn user(&self, presentity: &Bare) -> Option<Bare> {
        let localpart = presentity.local()?;
        // XEP-0106 §4.1: a space is never first or last.
        if presentity.domain() != self.0.as_str()
            || localpart.starts_with("\\20")
            || localpart.ends_with("\\20")
        {
            return None;
        }
        // Control characters, spaces and second "@"s are refused by the normal forms of the parts; a
        // slash by `Bare::parse`.
        let user = Bare::parse(&unescape(localpart)).ok()?;
        (!user.is_domain() && escape(user.as_str()) == localpart).then_some(user)
    }
}

impl Bare {
    /// The localpart of the presentity of a user, at whatever domain; `None` for a whole domain.
    pub(crate) fn escaped(&self) -> Option<String> {
        (!self.is_domain()).then(|| escape(self.as_str()))
    }

    /// Whether that is `localpart`.
    pub(crate) fn is_escaped_as(&self, localpart: &str) -> bool {
        let (text, mut rest) = (self.as_str(), localpart.as_bytes());
        let is_whole = text.bytes().enumerate().all(|(index, byte)| {
            let escaped = escape_of(text, index, byte);
            let begins = match escaped {
                Some(sequence) => rest.strip_prefix(sequence.as_bytes()),
                None => rest.strip_prefix(&[byte]),
            };
            begins.map(|left| rest = left).is_some()
        });
        is_whole && rest.is_empty() && !self.is_domain()
    }
}

/// What stands for the byte at a place of an address, where it is escaped.
fn escape_of(text: &str, index: usize, byte: u8) -> Option<&'static str> {
    // Letters and digits are never escaped, and nearly all there is.
    if byte.is_ascii_alphanumeric() {
        return None;
    }
    let of = |(_, c): &&(&str, char)| u32::from(*c) == u32::from(byte);
    let (sequence, _) = SEQUENCES.iter().find(of)?;
    // A backslash alone stays; only one that would be read as a sequence is escaped.
    (byte != b'\\' || sequence_at(&text[index..]).is_some()).then_some(*sequence)
}

/// Escapes a bare JID so that it can be a localpart (XEP-0106 §4.2).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        if let Some(sequence) = escape_of(text, index, byte) {
            escaped.push_str(&text[plain..index]);
            escaped.push_str(sequence);
            plain = index + 1;
        }
    }
    escaped.push_str(&text[plain..]);
    escaped
}

/// Undoes [`escape`] in one pass from left to right; what is not one of the ten sequences stays
/// (XEP-0106 §4.3).
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((sequence, replaced)) = sequence_at(rest) {
            plain.push(replaced);
            rest = &rest[sequence.len()..];
        } else {
            plain.push('\\');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    plain
}

/// The escape sequence that `text` starts with.
fn sequence_at(text: &str) -> Option<(&'static str, char)> {
    let [b'\\', start @ ..] = text.as_bytes().first_chunk::<3>()? else {
        return None;
    };
    SEQUENCES
        .into_iter()
        .find(|(sequence, _)| sequence.as_bytes()[1..] == *start)
}
