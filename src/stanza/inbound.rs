//! One stanza that came in, its header read and its addresses in normal form.

use minidom::Element;
use minidom::rxml::xml_ncname;

use crate::address::Address;
use crate::component::authorization::Interface;

/// The three stanzas (RFC 6120 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

/// A stanza with its header read. `element` still holds all of it.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Which of the three.
    pub kind: Kind,
    /// The `type` as it stands; empty where there is none.
    pub type_: String,
    /// The `id`.
    pub id: Option<String>,
    /// Where it came in; set by whom it was handed to, and nothing in it can say so.
    pub interface: Interface,
    /// Who sent it.
    pub from: Address,
    /// To whom, in normal form.
    pub to: Address,
    /// To whom, as typed: an answer must come from just that address to be recognised. The domain alone
    /// is in normal form: a server closes the stream of a component that speaks for another.
    pub to_as_typed: String,
    /// The whole stanza.
    pub element: Element,
}

/// Why a stanza cannot be answered, let alone understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unaddressed {
    /// Not one of the three stanzas.
    Unknown,
    /// No usable `from`.
    From,
    /// No usable `to`.
    To,
}

impl Inbound {
    /// Reads the header of a stanza that came in at `interface`.
    pub fn read(element: Element, interface: Interface) -> Result<Self, Unaddressed> {
        let kind = match element.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return Err(Unaddressed::Unknown),
        };
        let attribute = |name| element.attr(name);
        let from = attribute(xml_ncname!("from")).and_then(|text| Address::parse(text).ok());
        let typed = attribute(xml_ncname!("to")).unwrap_or_default();
        let to = Address::parse(typed).map_err(|_| Unaddressed::To)?;
        let to_as_typed = with_domain(typed, to.bare.domain());
        Ok(Self {
            kind,
            type_: attribute(xml_ncname!("type"))
                .unwrap_or_default()
                .to_owned(),
            id: attribute(xml_ncname!("id")).map(ToOwned::to_owned),
            interface,
            from: from.ok_or(Unaddressed::From)?,
            to,
            to_as_typed,
            element,
        })
    }

    /// Whether it is an IQ that must be answered.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Iq && !matches!(self.type_.as_str(), "result" | "error")
    }
}

/// An address as typed, with another spelling of its domain. The parts are those of RFC 7622 §3.2.
fn with_domain(typed: &str, domain: &str) -> String {
    let bare = typed.split('/').next().unwrap_or_default();
    let start = bare.find('@').map_or(0, |at| at + 1);
    format!("{}{domain}{}", &typed[..start], &typed[bare.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_from_what_was_typed_at_our_domain() {
        for (typed, answered) in [
            ("x.example", "x.example"),
            ("X.Example./R@s/T", "x.example/R@s/T"),
            ("A@X.EXAMPLE", "A@x.example"),
            ("A@x\u{3002}example/a@b", "A@x.example/a@b"),
        ] {
            let stanza = format!("<iq xmlns='jabber:client' from='v@w' to='{typed}'/>");
            let inbound = Inbound::read(stanza.parse().unwrap(), Interface::Public).unwrap();
            assert_eq!(inbound.to_as_typed, answered);
        }
    }
}
