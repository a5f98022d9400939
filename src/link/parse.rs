//! One framed stanza, strictly parsed into a tree in `jabber:client`.
//!
//! Each stanza is parsed as if it stood in a stream whose content namespace is `jabber:client`, so that
//! nothing beyond the link ever sees `jabber:component:accept` and no tree is rewritten. Where a
//! stanza names that namespace itself, it is taken as `jabber:client` too.

use super::characters;
use super::error::Violation;
use super::limits::{HEADER_BYTES, STANZA_BYTES};
use minidom::Element;
use minidom::rxml::error::EndOrError;
use minidom::rxml::{
    self, AttrMap, Event, Namespace, Options, Parse, QName, RawEvent, RawParser, WithOptions,
};
use std::collections::BTreeMap;
use xmpp_parsers::ns;

/// Bytes given to rxml at a time: its cost for one long text grows with the square of the piece.
const PIECE_BYTES: usize = 4 * 1024;

/// Our own namespace of the content of a stream.
pub(super) const CLIENT: &str = ns::JABBER_CLIENT;

/// What the peer's stream header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamHeader {
    /// The stream's id. COMPAT(prosody 0.12): empty or absent where a stream error follows at once.
    pub(super) id: Option<String>,
    /// Whom it is meant for, as written. One who attaches puts its own name here (XEP-0114 §3).
    pub(super) to: Option<String>,
    /// Who sends it, as written.
    pub(super) from: Option<String>,
    /// Whether its content is declared as that of a component's stream.
    pub(super) of_component: bool,
}

/// Parses stanzas; always stands inside an open stream header.
pub(super) struct Parser {
    inner: rxml::Parser,
}

impl Parser {
    /// A parser inside a header that declares what every XMPP stream declares.
    pub(super) fn new() -> Self {
        Self::within(&BTreeMap::new()).expect("the header without additions is well-formed")
    }

    /// A parser inside the given header, and what the header says.
    ///
    /// Prefixes that the header declares are in force in every stanza.
    pub(super) fn after(header: &[u8]) -> Result<(Self, StreamHeader), Violation> {
        let header = &*characters::with_line_feeds(header);
        let (name, attributes) = strict_header(header)?;
        if name.0 != ns::STREAM || name.1 != "stream" {
            return Err(Violation {
                condition: "invalid-namespace",
                detail: "no stream header".into(),
            });
        }
        let (content, prefixes) = declarations(header)?;
        if !matches!(content.as_deref(), None | Some(CLIENT | ns::COMPONENT)) {
            return Err(Violation {
                condition: "invalid-namespace",
                detail: format!("a stream of {:?}", content.unwrap_or_default()).into(),
            });
        }
        let said = |name: &str| attributes.get(Namespace::none(), name).cloned();
        let header = StreamHeader {
            id: said("id"),
            to: said("to"),
            from: said("from"),
            of_component: content.as_deref() == Some(ns::COMPONENT),
        };
        Ok((Self::within(&prefixes)?, header))
    }

    fn within(prefixes: &BTreeMap<String, String>) -> Result<Self, Violation> {
        let mut header = format!("<stream xmlns='{CLIENT}'").into_bytes();
        if !prefixes.contains_key("stream") {
            header.extend_from_slice(format!(" xmlns:stream='{}'", ns::STREAM).as_bytes());
        }
        for (prefix, namespace) in prefixes {
            header.extend_from_slice(format!(" xmlns:{prefix}='").as_bytes());
            characters::write_value(namespace, &mut header);
            header.push(b'\'');
        }
        header.push(b'>');
        let mut inner = rxml::Parser::with_options(options());
        let mut rest = header.as_slice();
        loop {
            match inner.parse(&mut rest, false) {
                Ok(_) => (),
                Err(EndOrError::NeedMoreData) => return Ok(Self { inner }),
                Err(EndOrError::Error(error)) => return Err(error.into()),
            }
        }
    }

    /// Parses exactly one element. After a violation the parser is of no more use.
    pub(super) fn element(&mut self, bytes: &[u8]) -> Result<Element, Violation> {
        let bytes = characters::with_line_feeds(bytes);
        let mut tree = Tree::default();
        for mut piece in bytes.chunks(PIECE_BYTES) {
            loop {
                // Whatever stood behind the element would be read as part of the next one.
                if tree.root.is_some() && !piece.is_empty() {
                    return Err(boundary());
                }
                match self.inner.parse(&mut piece, false) {
                    Ok(Some(event)) => tree.take(event)?,
                    Ok(None) => return Err(boundary()),
                    Err(EndOrError::NeedMoreData) => break,
                    Err(EndOrError::Error(error)) => return Err(error.into()),
                }
            }
        }
        tree.root.ok_or_else(boundary)
    }

    /// Parses a start tag as if its element were empty.
    pub(super) fn head(&mut self, tag: &[u8]) -> Result<Element, Violation> {
        let mut bytes = tag.to_vec();
        if !bytes.ends_with(b"/>") {
            bytes.pop();
            bytes.extend_from_slice(b"/>");
        }
        self.element(&bytes)
    }
}

/// The tree so far.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree {
    fn take(&mut self, event: Event) -> Result<(), Violation> {
        if self.root.is_some() {
            return Err(boundary());
        }
        match event {
            Event::StartElement(_, (namespace, name), attributes) => {
                let namespace = if namespace == ns::COMPONENT {
                    CLIENT.to_owned()
                } else {
                    namespace.into()
                };
                let mut element = Element::bare(String::from(name), namespace);
                *element.attrs_mut() = attributes;
                self.open.push(element);
            }
            Event::Text(_, text) => {
                let parent = self.open.last_mut().ok_or_else(boundary)?;
                parent.append_text(text);
            }
            Event::EndElement(_) => {
                let element = self.open.pop().ok_or_else(boundary)?;
                match self.open.last_mut() {
                    Some(parent) => {
                        parent.append_child(element);
                    }
                    None => self.root = Some(element),
                }
            }
            Event::XmlDeclaration(..) => return Err(boundary()),
        }
        Ok(())
    }
}

/// Framer and parser disagree on where the stanza ends. No such bytes are known; if there are, the
/// stream must end, because this is how stanzas are smuggled.
fn boundary() -> Violation {
    Violation::not_well_formed("not exactly one element")
}

fn options() -> Options {
    Options {
        // rxml's own limit of 8 KiB ends the stream for one long attribute.
        max_token_length: STANZA_BYTES.max(HEADER_BYTES),
        ..Options::default()
    }
}

fn strict_header(header: &[u8]) -> Result<(QName, AttrMap), Violation> {
    let mut parser = rxml::Parser::with_options(options());
    let mut rest = header;
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(Event::XmlDeclaration(..))) => (),
            Ok(Some(Event::StartElement(_, name, attributes))) => return Ok((name, attributes)),
            Err(EndOrError::Error(error)) => return Err(error.into()),
            _ => return Err(boundary()),
        }
    }
}

/// The default namespace and the prefixes that a header has declared; it was checked before.
fn declarations(header: &[u8]) -> Result<(Option<String>, BTreeMap<String, String>), Violation> {
    let mut parser = <RawParser as WithOptions>::with_options(options());
    let mut rest = header;
    let mut content = None;
    let mut prefixes = BTreeMap::new();
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(RawEvent::Attribute(_, (None, name), value))) if name == "xmlns" => {
                content = Some(value);
            }
            Ok(Some(RawEvent::Attribute(_, (Some(prefix), name), value))) if prefix == "xmlns" => {
                prefixes.insert(name.into(), value);
            }
            Ok(Some(RawEvent::ElementHeadClose(_))) => return Ok((content, prefixes)),
            Ok(Some(_)) => (),
            Ok(None) | Err(EndOrError::NeedMoreData) => return Err(boundary()),
            Err(EndOrError::Error(error)) => return Err(error.into()),
        }
    }
}

impl From<rxml::Error> for Violation {
    fn from(error: rxml::Error) -> Self {
        match error {
            rxml::Error::RestrictedXml(_) | rxml::Error::UndeclaredEntity => {
                Self::restricted(error.to_string())
            }
            _ => Self::not_well_formed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_one_element_is_refused() {
        for bytes in [
            "",
            "<a>",
            "<a/><b/>",
            "<a/>b",
            "<a/> ",
            " <a/>",
            "b<a/>",
            "</a>",
            "</stream>",
            "<a></a></stream>",
        ] {
            let parsed = Parser::new().element(bytes.as_bytes());
            assert!(parsed.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_start_tag_stands_for_its_element() {
        for tag in [
            "<iq id='/'>",
            "<iq id='/'/>",
            "<iq id='/' >",
            "<iq id='/' />",
        ] {
            let head = Parser::new().head(tag.as_bytes()).unwrap();
            assert!(head.is("iq", CLIENT));
            assert_eq!(head.attr("id"), Some("/"), "{tag}");
        }
    }

    #[test]
    fn prefixes_of_the_header_are_in_force_in_every_stanza() {
        let header = "<s:stream xmlns='jabber:component:accept' xmlns:p='u:&lt;p&apos;' \
                      xmlns:c='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams'>";
        let (mut parser, header) = Parser::after(header.as_bytes()).unwrap();
        assert_eq!(header.id, None);
        for _ in 0..2 {
            let element = parser
                .element(b"<c:iq p:a='b'><p:x/><s:y/><stream:z/></c:iq>")
                .unwrap();
            assert!(element.is("iq", CLIENT));
            let namespaces: Vec<_> = element.children().map(Element::ns).collect();
            assert_eq!(namespaces, ["u:<p'", ns::STREAM, ns::STREAM]);
        }
    }

    #[test]
    fn one_element_leaves_nothing_to_the_next() {
        let mut parser = Parser::new();
        parser
            .element(b"<a xmlns='u:a' xmlns:p='u:p'><p:b/></a>")
            .unwrap();
        assert!(parser.element(b"<b/>").unwrap().is("b", CLIENT));
        assert!(parser.element(b"<p:b/>").is_err());
    }
}
