//! Addresses in normal form, and the mapping between users and presentities.
//!
//! A [`Bare`] or [`Address`] cannot be made but in normal form, so equal addresses are equal keys:
//! ejabberd delivers them as they were typed. This is the only place that normalises (`normal`) and
//! that escapes (`presentity`) JIDs; it does not know who may do what.

mod normal;
mod presentity;
mod shown;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use presentity::ComponentDomain;

/// A bare JID, or a bare domain, in normal form.
///
/// The normal form is nodeprep and nameprep (RFC 3920 Appendix A, RFC 3491) and not the PRECIS
/// profiles of RFC 7622, because the servers compare so; beyond it RFC 7622 §3.2 holds: no final dot,
/// U-labels and not A-labels. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bare(Arc<str>);

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a JID")]
pub struct Malformed(
    /// The beginning of it, at most `SHOWN_BYTES_MAX` bytes.
    pub String,
);

/// How much of a malformed address an error keeps: enough to recognise it in a log line, and never
/// the megabyte that a peer may have sent.
const SHOWN_BYTES_MAX: usize = 256;

impl Malformed {
    fn new(text: &str) -> Self {
        let mut end = text.len().min(SHOWN_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }
}

impl Bare {
    /// Reads and normalises a bare JID or a domain; one with a resource is refused.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if normal::is_plain(text) {
            return Ok(Self(text.into()));
        }
        match normal::bare(text) {
            Some(normal) => Ok(Self(normal.into())),
            None => Err(Malformed::new(text)),
        }
    }

    /// The normal form as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The localpart, where there is one.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.at().map(|at| &self.0[..at])
    }

    /// The domainpart as text.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.at().map_or(&self.0, |at| &self.0[at + 1..])
    }

    /// The domainpart as an address (itself where there is no localpart).
    #[must_use]
    pub fn to_domain(&self) -> Self {
        match self.at() {
            Some(at) => Self(self.0[at + 1..].into()),
            None => self.clone(),
        }
    }

    /// Whether this is a whole domain, without a localpart.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.at().is_none()
    }

    /// Where the "@" stands.
    fn at(&self) -> Option<usize> {
        memchr::memchr(b'@', self.0.as_bytes())
    }
}

impl TryFrom<String> for Bare {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Bare> for String {
    fn from(bare: Bare) -> Self {
        bare.as_str().to_owned()
    }
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A bare part in normal form, with a resource where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The bare JID.
    pub bare: Bare,
    /// The resource in normal form (resourceprep, RFC 3920 Appendix B), or as the server gave it where
    /// there is no such form. Made by [`Self::parse`] or by the component for itself.
    pub resource: Option<Arc<str>>,
}

impl Address {
    /// Reads and normalises a JID, bare or full.
    ///
    /// A sender is not refused for a resource that resourceprep does not know (a character newer than
    /// Unicode 3.2, such as an emoji): it is kept as it came if it has 1 to 1023 bytes, all of them
    /// allowed in XML and none a control character.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        // RFC 7622 §3.2: the resource is what follows the first slash, even if it has an "@" in it.
        let Some(at) = memchr::memchr(b'/', text.as_bytes()) else {
            return Ok(Bare::parse(text)?.into());
        };
        let (bare, resource) = (&text[..at], &text[at + 1..]);
        let resource = normal::resource(resource).ok_or_else(|| Malformed::new(text))?;
        Ok(Self {
            bare: Bare::parse(bare).map_err(|_| Malformed::new(text))?,
            resource: Some(resource.into()),
        })
    }

    /// Whether this is a full JID, with a resource.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.resource.is_some()
    }
}

impl From<Bare> for Address {
    fn from(bare: Bare) -> Self {
        Self {
            bare,
            resource: None,
        }
    }
}

impl TryFrom<String> for Address {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            Some(resource) => write!(f, "{}/{resource}", self.bare),
            None => f.write_str(self.bare.as_str()),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
