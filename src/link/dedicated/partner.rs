//! A partner that has attached: a stream whose stanzas come from its own domain and nowhere else.

use crate::address::{Address, Bare};
use crate::link::Bytes;
use crate::link::error::{Error, Violation};
use crate::link::stream::Link;
use crate::stanza::{Arrival, Refused};
use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use std::fmt;
use std::net::SocketAddr;

/// An attached party.
pub struct Partner {
    pub(super) name: String,
    pub(super) domain: Bare,
    pub(super) ours: Bare,
    pub(super) secret: String,
    pub(super) address: SocketAddr,
    /// The stream.
    pub link: Link<Box<dyn Bytes>>,
}

/// Why a partner's stream has ended; `Display` is for the operator.
#[derive(Debug)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self(error.by_partner())
    }
}

impl Partner {
    /// The party's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its domain, `NAME.<our domain>`.
    #[must_use]
    pub fn domain(&self) -> &Bare {
        &self.domain
    }

    /// Where it connects from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn secret(&self) -> &String {
        &self.secret
    }

    /// The next arrival in what has been read, as [`Link::next_arrival`]; all from the partner's own
    /// domain, for another `from` ends the stream.
    ///
    /// Who leaves out `from` speaks for the domain itself, as on Prosody; who leaves out `to` speaks to us.
    pub fn next_arrival(&mut self) -> Result<Option<Arrival>, Unfit> {
        let arrival = match self.link.next_arrival()? {
            None => return Ok(None),
            Some(Arrival::Stanza(mut element)) => {
                self.address_from_to(&mut element)?;
                Arrival::Stanza(element)
            }
            Some(Arrival::Probe(probe)) => {
                if probe.from.bare.domain() != self.domain.as_str() {
                    let violation = Violation::invalid_from(&probe.from.to_string());
                    return Err(self.link.violated(violation).into());
                }
                Arrival::Probe(probe)
            }
            Some(Arrival::Refused(Refused { mut head, fault })) => {
                if let Some(head) = &mut head {
                    self.address_from_to(head)?;
                }
                Arrival::Refused(Refused { head, fault })
            }
        };
        Ok(Some(arrival))
    }

    fn address_from_to(&mut self, element: &mut Element) -> Result<(), Unfit> {
        let set = |element: &mut Element, name, value: &Bare| {
            element.set_attr(Namespace::NONE, name, value.as_str());
        };
        if element.attr(xml_ncname!("to")).is_none_or(str::is_empty) {
            set(element, xml_ncname!("to").to_owned(), &self.ours);
        }
        match element.attr(xml_ncname!("from")) {
            None => set(element, xml_ncname!("from").to_owned(), &self.domain),
            Some(from) => {
                let is_its_own = Address::parse(from)
                    .is_ok_and(|from| from.bare.domain() == self.domain.as_str());
                if !is_its_own {
                    let violation = Violation::invalid_from(from);
                    return Err(self.link.violated(violation).into());
                }
            }
        }
        Ok(())
    }
}

/// Without the secret, which must not get into logs.
impl fmt::Debug for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partner")
            .field("domain", &self.domain)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
