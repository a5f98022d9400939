//! One thing that came in on a stream: a stanza, or what is left of one that was refused.

use minidom::Element;
use minidom::rxml::{Namespace, NcName, XMLNS_XML, xml_ncname};
use xmpp_parsers::ns;

use crate::address::Address;

/// One top-level element of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// A whole, well-formed `<presence/>`, `<message/>` or `<iq/>` in `jabber:client`.
    Stanza(Element),
    /// A `<presence type='probe'/>` without content, which is not worth a tree.
    Probe(Probe),
    /// An element that the link did not take; the stream goes on.
    Refused(Refused),
}

impl Arrival {
    /// A stanza by its tree.
    #[must_use]
    pub fn of(stanza: Element) -> Self {
        match Probe::read(&stanza) {
            Some(probe) => Self::Probe(probe),
            None => Self::Stanza(stanza),
        }
    }
}

/// A probe (RFC 6121 §4.3), its addresses in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who asks.
    pub from: Address,
    /// About whom.
    pub to: Address,
    /// Its `id`.
    pub id: Option<String>,
}

impl Probe {
    /// A probe without content or anything unusual in its head, and with usable addresses.
    fn read(stanza: &Element) -> Option<Self> {
        let attribute = |name| stanza.attr(name);
        let is_probe = stanza.is("presence", ns::JABBER_CLIENT)
            && attribute(xml_ncname!("type")) == Some("probe")
            && stanza.nodes().next().is_none();
        let known = |((namespace, name), _): ((&Namespace<'_>, &NcName), _)| {
            let names: &[&str] = match namespace {
                namespace if namespace.is_none() => &["from", "to", "id", "type"],
                namespace if **namespace == *XMLNS_XML => &["lang"],
                _ => &[],
            };
            names.contains(&name.as_str())
        };
        if !is_probe || !stanza.attrs().iter().all(known) {
            return None;
        }
        let address = |name| Address::parse(attribute(name)?).ok();
        Some(Self {
            from: address(xml_ncname!("from"))?,
            to: address(xml_ncname!("to"))?,
            id: attribute(xml_ncname!("id")).map(ToOwned::to_owned),
        })
    }
}

/// An element that was skipped to its end tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its start tag as an empty element, where that much could be kept: enough to answer an IQ.
    pub head: Option<Element>,
    /// Why.
    pub fault: Fault,
}

/// Why the link did not take an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than a stanza may have.
    TooLarge,
    /// Nested deeper than a stanza may be.
    TooDeep,
    /// More attributes on one element than allowed.
    TooManyAttributes,
    /// More child elements than allowed.
    TooManyChildren,
    /// Well-formed, but not one of the three stanzas.
    NotAStanza,
}
