//! Addresses in normal form, and the mapping between users and presentities.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A bare JID (or bare domain) in normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bare(Arc<str>);

/// Not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a JID")]
pub struct Malformed(pub String);

impl Bare {
    /// Reads and normalises; a resource is refused.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let jid = jid::BareJid::new(text).map_err(|_| Malformed(text.into()))?;
        Ok(Self(jid.as_str().into()))
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.0.split_once('@').map(|p| p.0)
    }
    /// The domain as text.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |p| p.1)
    }
    /// The domain as an address (itself where there is no localpart).
    #[must_use]
    pub fn to_domain(&self) -> Self {
        Self(self.domain().into())
    }
}
impl TryFrom<String> for Bare {
    type Error = Malformed;
    fn try_from(s: String) -> Result<Self, Malformed> {
        Self::parse(&s)
    }
}
impl From<Bare> for String {
    fn from(b: Bare) -> Self {
        b.0.as_ref().into()
    }
}
impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A bare part in normal form and a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The bare JID.
    pub bare: Bare,
    /// The resource, as the server gave it.
    pub resource: Option<Arc<str>>,
}
impl Address {
    /// Reads and normalises.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text.split_once('/') {
            Some((bare, resource)) => Ok(Self {
                bare: Bare::parse(bare)?,
                resource: Some(resource.into()),
            }),
            None => Ok(Self {
                bare: Bare::parse(text)?,
                resource: None,
            }),
        }
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
    fn try_from(s: String) -> Result<Self, Malformed> {
        Self::parse(&s)
    }
}
impl From<Address> for String {
    fn from(a: Address) -> Self {
        a.to_string()
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            Some(r) => write!(f, "{}/{r}", self.bare),
            None => f.write_str(self.bare.as_str()),
        }
    }
}

/// The component's own domain; maps users to presentities and back (XEP-0106).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentDomain(Bare);
impl ComponentDomain {
    /// Reads and normalises a domain.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Ok(Self(Bare::parse(text)?))
    }
    /// The domain as an address.
    #[must_use]
    pub fn bare(&self) -> &Bare {
        &self.0
    }
    /// The presentity of a user.
    #[must_use]
    pub fn presentity(&self, user: &Bare) -> Option<Bare> {
        let local = user.as_str().replace('@', "\\40");
        Bare::parse(&format!("{local}@{}", self.0)).ok()
    }
    /// The user of a presentity.
    #[must_use]
    pub fn user(&self, presentity: &Bare) -> Option<Bare> {
        Bare::parse(&presentity.local()?.replace("\\40", "@")).ok()
    }
}
