//! The one way out: every outbound stanza is checked and written here.
//!
//! One bad stanza closes the stream for everyone (a foreign `from`, a character that XML does not
//! allow), on both servers; a stanza with `xmlns='jabber:client'` is not understood by Prosody. So
//! nothing else writes stanzas, and a stanza that cannot be sealed leaves no trace in the output.
//! Names are written by the namespaces of the tree alone: its prefixes carry no meaning.

mod presented;

pub(super) use presented::{seal_presented, seal_refusal};

use super::characters::{all_legal, write_id, write_text, write_value};
use super::limits::{DEPTH, ID_BYTES, STANZA_BYTES};
use super::parse::CLIENT;
use crate::address::{Address, Bare, ComponentDomain};
use minidom::rxml::{Namespace, XMLNS_XML, XMLNS_XMLNS, strings, xml_ncname};
use minidom::{Element, Node};
use xmpp_parsers::ns;

/// Why a stanza was not sent. The stream is unharmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// Not `<presence/>`, `<message/>` or `<iq/>` in `jabber:client`.
    #[error("not a stanza")]
    NotAStanza,
    /// `from` is missing, not a JID, or not of our domain as written.
    #[error("from is not an address of the component")]
    From,
    /// `to` is missing, empty or not a JID.
    #[error("to is not an address")]
    To,
    /// `to` is nobody that the far end of this stream is there for.
    #[error("to is an address of another stream")]
    Elsewhere,
    /// An `id` of ours that is too long.
    #[error("the id is longer than {ID_BYTES} bytes")]
    Id,
    /// An element or attribute whose name XML does not allow.
    #[error("a name that XML does not allow")]
    Name,
    /// A namespace that may not be written.
    #[error("a namespace that may not be written")]
    Namespace,
    /// Elements nested too deep.
    #[error("more than {DEPTH} elements inside one another")]
    TooDeep,
    /// More bytes than a stanza may have.
    #[error("more than {STANZA_BYTES} bytes")]
    TooLarge,
    /// Too much waits to be written already.
    #[error("the queue is full")]
    QueueFull,
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
}

/// Whom the far end of a stream is there for. A stanza for a partner never goes to the server, where
/// others could read it or answer in the partner's place, and none for anybody else to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody who is not below our domain: the server.
    Others,
    /// One domain below ours: a partner.
    Partner(Bare),
}

impl Reach {
    fn covers(&self, to: &Bare, domain: &ComponentDomain) -> bool {
        match self {
            Self::Others => domain.below(to).is_none(),
            Self::Partner(partner) => to.domain() == partner.as_str(),
        }
    }
}

/// Appends `stanza` as it must stand in a stream of `domain`; appends nothing if it cannot.
pub(super) fn seal(
    stanza: &Element,
    domain: &ComponentDomain,
    reach: &Reach,
    out: &mut Vec<u8>,
) -> Result<(), Unsealed> {
    if !is_stanza(stanza) {
        return Err(Unsealed::NotAStanza);
    }
    check_from(stanza, domain)?;
    check_to(stanza, domain, reach)?;
    check_id(stanza)?;
    let start = out.len();
    let mut writer = Writer { start, out };
    let written = writer.element(stanza, CLIENT, 1);
    if let Err(unsealed) = written {
        out.truncate(start);
        return Err(unsealed);
    }
    debug_assert!(
        super::parse::Parser::new().element(&out[start..]).is_ok(),
        "sealed, but not well-formed"
    );
    Ok(())
}

/// Tells whether an element is one of the three stanzas.
pub(super) fn is_stanza(element: &Element) -> bool {
    element.has_ns(CLIENT) && matches!(element.name(), "presence" | "message" | "iq")
}

/// Both servers compare the domain and close the stream (`invalid-from`); ejabberd also if the
/// address is none. So this is strict where it could be lenient for others' addresses. But an answer
/// comes from the address that was asked, and with what resource the server has delivered it, it takes it
/// back: Prosody 0.12 one with an emoji, ejabberd 23.01 a soft hyphen alone.
fn check_from(stanza: &Element, domain: &ComponentDomain) -> Result<(), Unsealed> {
    let from = stanza.attr(xml_ncname!("from")).ok_or(Unsealed::From)?;
    let bare = from.split_once('/').map_or(from, |(bare, _)| bare);
    let host = bare.split_once('@').map_or(bare, |(_, host)| host);
    // `unavailable` answers a probe of a resource that does not exist (RFC 6121 §4.3.2).
    let answers = || is_answer(stanza) || has_type(stanza, &["unavailable"]);
    let is_address = || jid::Jid::new(from).is_ok() || (answers() && usable(from).is_some());
    if host == domain.bare().as_str() && is_address() {
        Ok(())
    } else {
        Err(Unsealed::From)
    }
}

/// A resource is taken as it is: a character too new for stringprep must not keep a watcher from being
/// answered. No character may be replaced here, because it would be another address then.
fn check_to(stanza: &Element, domain: &ComponentDomain, reach: &Reach) -> Result<(), Unsealed> {
    let to = stanza.attr(xml_ncname!("to")).ok_or(Unsealed::To)?;
    let address = usable(to).ok_or(Unsealed::To)?;
    if reach.covers(&address.bare, domain) {
        Ok(())
    } else {
        Err(Unsealed::Elsewhere)
    }
}

fn usable(address: &str) -> Option<Address> {
    let parsed = Address::parse(address).ok()?;
    (!address.ends_with('/') && all_legal(address)).then_some(parsed)
}

fn is_answer(stanza: &Element) -> bool {
    has_type(stanza, &["result", "error"])
}

fn has_type(stanza: &Element, types: &[&str]) -> bool {
    let type_ = stanza.attr(xml_ncname!("type"));
    type_.is_some_and(|type_| types.contains(&type_))
}

/// Only ours: the answer to a request has the id that the requester chose (RFC 6120 §8.2.3).
fn check_id(stanza: &Element) -> Result<(), Unsealed> {
    match stanza.attr(xml_ncname!("id")) {
        Some(id) if id.len() > ID_BYTES && !is_answer(stanza) => Err(Unsealed::Id),
        _ => Ok(()),
    }
}

struct Writer<'a> {
    /// Where the stanza begins in `out`.
    start: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes an element where `default` is the default namespace.
    fn element(&mut self, element: &Element, default: &str, depth: usize) -> Result<(), Unsealed> {
        if depth > DEPTH {
            return Err(Unsealed::TooDeep);
        }
        if strings::validate_ncname(element.name()).is_err() {
            return Err(Unsealed::Name);
        }
        self.raw("<");
        self.raw(element.name());
        let own;
        let default = if element.has_ns(default) {
            default
        } else {
            own = element.ns();
            self.declaration("", &own)?;
            own.as_str()
        };
        for (at, ((namespace, name), value)) in element.attrs().iter().enumerate() {
            self.attribute((depth, at), namespace, name, value)?;
        }
        let mut empty = true;
        for node in element.nodes() {
            if depth == 1 && is_priority(element, node) {
                continue;
            }
            if std::mem::take(&mut empty) {
                self.raw(">");
            }
            match node {
                Node::Element(child) => self.element(child, default, depth + 1)?,
                Node::Text(text) => write_text(text, self.out),
            }
            self.check_size()?;
        }
        if empty {
            self.raw("/>");
        } else {
            self.raw("</");
            self.raw(element.name());
            self.raw(">");
        }
        self.check_size()
    }

    fn attribute(
        &mut self,
        (depth, at): (usize, usize),
        namespace: &Namespace<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), Unsealed> {
        self.out.push(b' ');
        if namespace.is_none() {
            // Would be a declaration.
            if name == "xmlns" {
                return Err(Unsealed::Name);
            }
        } else if namespace == XMLNS_XML {
            self.raw("xml:");
        } else {
            // Its place among the attributes makes the prefix unique on this element.
            self.out.pop();
            let prefix = format!("a{at}");
            self.declaration(&prefix, namespace)?;
            self.raw(" ");
            self.raw(&prefix);
            self.raw(":");
        }
        self.raw(name);
        self.raw("='");
        if depth == 1 && name == "id" {
            write_id(value, self.out);
        } else {
            write_value(value, self.out);
        }
        self.raw("'");
        self.check_size()
    }

    /// Writes ` xmlns='…'` or ` xmlns:prefix='…'`.
    fn declaration(&mut self, prefix: &str, namespace: &str) -> Result<(), Unsealed> {
        // The reserved ones (Namespaces in XML §3) may not be declared so. The stream's own is
        // `jabber:client` in every tree: an element that has it by name comes from a mistake.
        if matches!(namespace, XMLNS_XML | XMLNS_XMLNS | ns::COMPONENT)
            || !all_legal(namespace)
            || namespace.contains('\r')
        {
            return Err(Unsealed::Namespace);
        }
        self.raw(" xmlns");
        if !prefix.is_empty() {
            self.raw(":");
            self.raw(prefix);
        }
        self.raw("='");
        write_value(namespace, self.out);
        self.raw("'");
        Ok(())
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn check_size(&self) -> Result<(), Unsealed> {
        if self.out.len() - self.start > STANZA_BYTES {
            Err(Unsealed::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// xmpp-parsers writes `<priority>0</priority>` into every presence, also into those that must not
/// have one (RFC 6121 §4.5.1), and ours never need one: absent is 0 (RFC 6121 §4.7.2.3).
fn is_priority(stanza: &Element, node: &Node) -> bool {
    let child = node.as_element();
    stanza.name() == "presence" && child.is_some_and(|child| child.is("priority", CLIENT))
}
