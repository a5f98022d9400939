//! One stanza that came in, its header read and its addresses in normal form.

use minidom::Element;
use minidom::rxml::xml_ncname;

use crate::address::Address;

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
    /// Who sent it.
    pub from: Address,
    /// To whom, in normal form.
    pub to: Address,
    /// To whom, as typed: an answer must come from just that address to be recognised.
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
    /// Reads the header.
    pub fn read(element: Element) -> Result<Self, Unaddressed> {
        let kind = match element.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return Err(Unaddressed::Unknown),
        };
        let attribute = |name| element.attr(name);
        let from = attribute(xml_ncname!("from")).and_then(|text| Address::parse(text).ok());
        let to_as_typed = attribute(xml_ncname!("to")).unwrap_or_default().to_owned();
        let to = Address::parse(&to_as_typed).map_err(|_| Unaddressed::To)?;
        Ok(Self {
            kind,
            type_: attribute(xml_ncname!("type"))
                .unwrap_or_default()
                .to_owned(),
            id: attribute(xml_ncname!("id")).map(ToOwned::to_owned),
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
