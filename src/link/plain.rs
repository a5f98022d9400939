//! A quick reader for what nearly all stanzas are: no prefix but `xml:`, no reference, nothing unusual.
//!
//! It takes a whole stanza at the front of what has come, in one pass over its bytes, or says that it
//! does not know: then framer and strict parser read it, as they read everything else. What it takes is a
//! part of what they take within every limit, with the same result; a differential test holds it to that
//! (`link/tests/plain.rs`). Of a probe the tree is not even built.

use super::characters::all_legal;
use super::limits::Limits;
use super::parse::CLIENT;
use crate::address::Address;
use crate::stanza::{Arrival, Probe};
use memchr::memchr;
use minidom::Element;
use minidom::rxml::{Namespace, NcName, XMLNS_XML, XMLNS_XMLNS, xml_ncname};
use xmpp_parsers::ns;

/// Attributes of one element that it takes.
const ATTRIBUTES: usize = 12;
/// Elements inside one another that it takes.
const DEPTH: usize = 8;
/// Elements of one stanza that it takes.
const ELEMENTS: usize = 64;

/// Reads the stanza that `bytes` begin with; how long it is, and what. `None`: it is not all there, or is
/// for the strict parser.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Option<(usize, Arrival)> {
    let mut reader = Reader {
        bytes: &bytes[..bytes.len().min(limits.bytes)],
        at: 0,
    };
    let tag = reader.start_tag()?;
    let ours = tag.declared.is_none_or(|one| one == CLIENT.as_bytes());
    if !ours || !matches!(tag.name, b"presence" | b"message" | b"iq") {
        return None;
    }
    let start = reader.at;
    if tag.name == b"presence"
        && (tag.empty || reader.take(b"</presence>"))
        && let Some(probe) = tag.probe()
    {
        return Some((reader.at, Arrival::Probe(probe)));
    }
    reader.at = start;
    let element = reader.tree(tag)?;
    Some((reader.at, Arrival::Stanza(element)))
}

/// A start tag; its parts as they stand.
struct Tag<'a> {
    name: &'a [u8],
    /// The namespace that it declares as the default.
    declared: Option<&'a [u8]>,
    attributes: [(&'a [u8], &'a [u8]); ATTRIBUTES],
    n: usize,
    empty: bool,
}

impl<'a> Tag<'a> {
    /// A probe with usable addresses, if it is one.
    fn probe(&self) -> Option<Probe> {
        let (mut from, mut to, mut id, mut probes) = (None, None, None, false);
        for (name, value) in self.attributes() {
            match *name {
                b"from" => from = Some(Address::parse(text(value)?).ok()?),
                b"to" => to = Some(Address::parse(text(value)?).ok()?),
                b"id" => id = Some(text(value)?.to_owned()),
                b"type" if *value == b"probe" => probes = true,
                // Says nothing, and Prosody puts it on every stanza.
                b"xml:lang" => drop(text(value)?),
                _ => return None,
            }
        }
        let probe = Probe {
            from: from?,
            to: to?,
            id,
        };
        probes.then_some(probe)
    }

    fn attributes(&self) -> &[(&'a [u8], &'a [u8])] {
        &self.attributes[..self.n]
    }

    fn element(&self, namespace: &str) -> Option<Element> {
        let mut element = Element::bare(text(self.name)?, namespace);
        for (name, value) in self.attributes() {
            let value = text(value)?.to_owned();
            let (namespace, name) = if *name == b"xml:lang" {
                (Namespace::XML, xml_ncname!("lang").to_owned())
            } else {
                (Namespace::NONE, NcName::try_from(text(name)?).ok()?)
            };
            element.attrs_mut().insert(namespace, name, value);
        }
        Some(element)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The tree whose first tag has been read.
    fn tree(&mut self, first: Tag<'a>) -> Option<Element> {
        let mut open: Vec<(Element, &[u8], &str)> = Vec::new();
        let mut tag = first;
        let mut n = 0;
        loop {
            n += 1;
            if n > ELEMENTS || open.len() >= DEPTH {
                return None;
            }
            let above = open.last().map_or(CLIENT, |(_, _, namespace)| namespace);
            let namespace = match tag.declared {
                None => above,
                Some(declared) => namespace(declared)?,
            };
            open.push((tag.element(namespace)?, tag.name, namespace));
            let mut ends = tag.empty;
            loop {
                if ends {
                    let (element, ..) = open.pop()?;
                    match open.last_mut() {
                        None => return Some(element),
                        Some((parent, ..)) => parent.append_child(element),
                    };
                }
                let (element, name, _) = open.last_mut()?;
                if let Some(content) = self.content()? {
                    element.append_text(content);
                }
                if !self.take(b"</") {
                    break;
                }
                if !self.take(name) || !self.take(b">") {
                    return None;
                }
                ends = true;
            }
            tag = self.start_tag()?;
        }
    }

    /// `<name a='b' …>`, with one space before each attribute and none elsewhere.
    fn start_tag(&mut self) -> Option<Tag<'a>> {
        if !self.take(b"<") {
            return None;
        }
        let mut tag = Tag {
            name: self.name()?,
            declared: None,
            attributes: [(b"", b""); ATTRIBUTES],
            n: 0,
            empty: false,
        };
        loop {
            match self.next()? {
                b' ' => (),
                b'>' => return Some(tag),
                b'/' if self.next()? == b'>' => {
                    tag.empty = true;
                    return Some(tag);
                }
                _ => return None,
            }
            let start = self.at;
            let mut name = self.name()?;
            if name == b"xml" && self.take(b":lang") {
                name = &self.bytes[start..self.at];
            }
            if self.next()? != b'=' {
                return None;
            }
            let value = self.value()?;
            if name == b"xmlns" {
                if tag.declared.replace(value).is_some() {
                    return None;
                }
            } else if tag.n == ATTRIBUTES || tag.attributes().iter().any(|(one, _)| *one == name) {
                return None;
            } else {
                tag.attributes[tag.n] = (name, value);
                tag.n += 1;
            }
        }
    }

    /// A name of ASCII.
    fn name(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(
            |byte| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.'),
        )?;
        let name = &rest[..len];
        self.at += len;
        matches!(name.first()?, b'a'..=b'z' | b'A'..=b'Z' | b'_').then_some(name)
    }

    /// A value that stands for itself, quotes around it; not yet known to be UTF-8.
    fn value(&mut self) -> Option<&'a [u8]> {
        let quote = self.next().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let rest = &self.bytes[self.at..];
        let value = &rest[..memchr(quote, rest)?];
        self.at += value.len() + 1;
        let stands = |byte: &u8| *byte >= b' ' && !matches!(byte, b'<' | b'&');
        value.iter().all(stands).then_some(value)
    }

    /// The text up to the next tag, where there is any.
    fn content(&mut self) -> Option<Option<&'a str>> {
        let rest = &self.bytes[self.at..];
        let content = &rest[..memchr(b'<', rest)?];
        self.at += content.len();
        if content.is_empty() {
            return Some(None);
        }
        let stands = |byte: &u8| match byte {
            b'\t' | b'\n' => true,
            b'&' | b'>' => false,
            _ => *byte >= b' ',
        };
        if !content.iter().all(stands) {
            return None;
        }
        text(content).map(Some)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at)?;
        self.at += 1;
        Some(*byte)
    }

    fn take(&mut self, expected: &[u8]) -> bool {
        let there = self.bytes[self.at..].starts_with(expected);
        if there {
            self.at += expected.len();
        }
        there
    }
}

/// UTF-8 that XML allows; control characters have been looked for.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.is_ascii() || all_legal(text)).then_some(text)
}

/// A namespace that means in a stanza by itself what it says.
fn namespace(declared: &[u8]) -> Option<&str> {
    text(declared).filter(|one| !matches!(*one, "" | ns::COMPONENT | XMLNS_XML | XMLNS_XMLNS))
}
