//! The dedicated link: we are the accepting end of XEP-0114, and partners attach to us.
//!
//! A partner's connection becomes a [`Partner`] once it has shown its secret; then it is a stream like
//! the one to the server, under the same limits and the same seal. Who may attach is [`Admission`], which
//! may change at run time. Not here: what a partner's stanzas mean, and how many of them are taken in a
//! second (the driver).

mod accept;
mod listener;
mod partner;
mod tls;

pub use listener::{bind, serve};
pub use partner::{Partner, Unfit};
pub use tls::{Acceptor, Unusable};

use crate::address::{Bare, ComponentDomain};
use std::collections::BTreeMap;
use std::fmt;

/// Who may attach.
#[derive(Clone)]
pub struct Admission {
    /// Our own domain.
    pub domain: ComponentDomain,
    /// The secrets of the parties that have one, by name.
    pub secrets: BTreeMap<String, String>,
    /// How connections are encrypted; `None`: they are not.
    pub tls: Option<Acceptor>,
}

impl Admission {
    /// Whether a partner that has shown `secret` may still be here.
    #[must_use]
    pub fn admits(&self, partner: &Partner) -> bool {
        self.secrets.get(partner.name()) == Some(partner.secret())
    }

    /// The party that a domain is the name of.
    fn party<'a>(&self, domain: &'a Bare) -> Option<&'a str> {
        let name = self.domain.below(domain)?;
        (self.domain.partner(name).as_ref() == Some(domain)).then_some(name)
    }
}

/// Without the secrets, which must not get into logs.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("domain", &self.domain)
            .field("parties", &self.secrets.keys())
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
