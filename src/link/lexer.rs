//! Where the tags of a byte stream begin and end, and what they count; nothing of what they mean.
//!
//! Reads each byte once, in pieces cut anywhere, and keeps nothing of them but a few counters, so its
//! cost is linear and its size constant whatever comes in. What it lets through is not yet XML: the
//! strict parser has the last word on everything that is kept (`parse`). What it must get right is
//! where an element ends, and so it accepts nothing in a tag that could be read in two ways.

use super::error::Violation;
use memchr::{memchr2, memchr3};

/// Bytes of a reference between `&` and `;`: the longest that means a character is `#1114111`.
/// The strict parser has the same limit.
const REFERENCE_LIMIT: usize = 8;

/// A tag that has been read to its `>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `<name …>` or `<name …/>`.
    Start(StartTag),
    /// `</name>`.
    End(Name),
}

/// What a start tag counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StartTag {
    /// Its name, with prefix.
    pub(super) name: Name,
    /// Attributes without namespace declarations.
    pub(super) attributes: usize,
    /// Namespace declarations.
    pub(super) declarations: usize,
    /// Whether it ends in `/>`.
    pub(super) empty: bool,
}

/// A fingerprint of a name as written: equal names have equal ones.
///
/// Two names may share one. It only finds the mismatched tags of what is skipped, where no boundary
/// depends on it; what is kept goes through the strict parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(u64);

/// The lexer; see the module's head.
#[derive(Debug, Default)]
pub(super) struct Lexer {
    state: State,
    tag: StartTag,
    declares_default: bool,
    /// The first bytes of an attribute's name, and how many it has in all.
    attribute: ([u8; XMLNS.len()], usize),
    reference: ([u8; REFERENCE_LIMIT], usize),
}

const XMLNS: &[u8] = b"xmlns:";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between tags.
    #[default]
    Content,
    /// After `&`, in a value with this quote or in content.
    Reference(Option<u8>),
    /// After `<`.
    Open,
    /// In the name of a start tag.
    StartName,
    /// After white space in a start tag.
    Blank,
    /// In the name of an attribute.
    AttributeName,
    /// Between an attribute's name and its `=`.
    BeforeEquals,
    /// Between `=` and the quote.
    BeforeValue,
    /// In a value with this quote.
    Value(u8),
    /// Right after a value.
    AfterValue,
    /// After the `/` of an empty element.
    Slash,
    /// After `</`.
    EndOpen,
    /// In the name of an end tag.
    EndName,
    /// After white space in an end tag.
    EndBlank,
}

impl Lexer {
    /// Reads on up to the end of the next tag, or to the end of `bytes`; returns how many were read.
    ///
    /// Text at the top level of a stream is the caller's to judge.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, Option<Token>), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            at += self.skip_plain(&bytes[at..]);
            let Some(byte) = bytes.get(at) else { break };
            at += 1;
            if let Some(token) = self.step(*byte)? {
                return Ok((at, Some(token)));
            }
        }
        Ok((at, None))
    }

    /// Whether it stands in content, where a tag may begin.
    pub(super) fn is_between_tags(&self) -> bool {
        self.state == State::Content
    }

    /// How many bytes at once change nothing: the long stretches of content and values.
    fn skip_plain(&self, bytes: &[u8]) -> usize {
        let found = match self.state {
            State::Content => memchr2(b'<', b'&', bytes),
            State::Value(quote) => memchr3(quote, b'<', b'&', bytes),
            _ => return 0,
        };
        found.unwrap_or(bytes.len())
    }

    fn step(&mut self, byte: u8) -> Result<Option<Token>, Violation> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.state = match (self.state, byte) {
            (State::Content, b'<') => State::Open,
            (State::Content, b'&') => self.open_reference(None),
            (State::Content, _) => State::Content,

            (State::Reference(place), b';') => self.close_reference(place)?,
            (State::Reference(place), _) => self.extend_reference(place, byte)?,

            (State::Open, b'/') => State::EndOpen,
            (State::Open, b'!') => {
                return Err(Violation::restricted("a comment, a DTD or a CDATA section"));
            }
            (State::Open, b'?') => return Err(Violation::restricted("a processing instruction")),
            (State::Open | State::EndOpen, _) if in_name(byte) => {
                self.tag = StartTag::default();
                self.declares_default = false;
                self.tag.name.extend(byte);
                if self.state == State::Open {
                    State::StartName
                } else {
                    State::EndName
                }
            }

            (State::StartName | State::EndName, _) if in_name(byte) => {
                self.tag.name.extend(byte);
                self.state
            }
            (State::StartName | State::Blank | State::AfterValue, b'>') => {
                return Ok(Some(self.start_tag(false)));
            }
            (State::StartName | State::Blank | State::AfterValue, b'/') => State::Slash,
            (State::StartName | State::Blank | State::AfterValue, _) if blank => State::Blank,
            (State::Slash, b'>') => return Ok(Some(self.start_tag(true))),

            (State::Blank, _) if in_name(byte) => {
                self.attribute.1 = 0;
                self.extend_attribute(byte)
            }
            (State::AttributeName, _) if in_name(byte) => self.extend_attribute(byte),
            (State::AttributeName | State::BeforeEquals, b'=') => {
                self.count_attribute()?;
                State::BeforeValue
            }
            (State::AttributeName | State::BeforeEquals, _) if blank => State::BeforeEquals,
            (State::BeforeValue, b'\'' | b'"') => State::Value(byte),
            (State::BeforeValue, _) if blank => State::BeforeValue,
            (State::Value(quote), _) if byte == quote => State::AfterValue,
            (State::Value(quote), b'&') => self.open_reference(Some(quote)),
            (State::Value(_), b'<') => {
                return Err(Violation::not_well_formed("'<' in an attribute's value"));
            }
            (State::Value(quote), _) => State::Value(quote),

            (State::EndName | State::EndBlank, b'>') => {
                self.state = State::Content;
                return Ok(Some(Token::End(self.tag.name)));
            }
            (State::EndName | State::EndBlank, _) if blank => State::EndBlank,

            _ => return Err(Violation::not_well_formed("a malformed tag")),
        };
        Ok(None)
    }

    fn start_tag(&mut self, empty: bool) -> Token {
        self.state = State::Content;
        self.tag.empty = empty;
        Token::Start(self.tag)
    }

    fn extend_attribute(&mut self, byte: u8) -> State {
        let (name, len) = &mut self.attribute;
        if let Some(slot) = name.get_mut(*len) {
            *slot = byte;
        }
        *len += 1;
        State::AttributeName
    }

    fn count_attribute(&mut self) -> Result<(), Violation> {
        let (name, len) = &self.attribute;
        if *len == 5 && name.starts_with(b"xmlns") {
            // The strict parser lets a second one win.
            if std::mem::replace(&mut self.declares_default, true) {
                return Err(Violation::not_well_formed("duplicate attribute"));
            }
            self.tag.declarations += 1;
        } else if *len > XMLNS.len() && name.as_slice() == XMLNS {
            self.tag.declarations += 1;
        } else {
            self.tag.attributes += 1;
        }
        Ok(())
    }

    fn open_reference(&mut self, place: Option<u8>) -> State {
        self.reference.1 = 0;
        State::Reference(place)
    }

    fn extend_reference(&mut self, place: Option<u8>, byte: u8) -> Result<State, Violation> {
        let (name, len) = &mut self.reference;
        // A reference that never ends must not swallow the tags that follow it.
        let Some(slot) = name
            .get_mut(*len)
            .filter(|_| byte.is_ascii_alphanumeric() || byte == b'#')
        else {
            return Err(Violation::restricted(
                "an entity reference that XMPP does not have",
            ));
        };
        *slot = byte;
        *len += 1;
        Ok(State::Reference(place))
    }

    fn close_reference(&mut self, place: Option<u8>) -> Result<State, Violation> {
        let (name, len) = &self.reference;
        let digits = |digits: &[u8], radix| {
            let text = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(text, radix)
                .ok()
                .and_then(char::from_u32)
        };
        let known = match &name[..*len] {
            b"amp" | b"lt" | b"gt" | b"apos" | b"quot" => true,
            [b'#', b'x', hexadecimal @ ..] => is_legal(digits(hexadecimal, 16))?,
            [b'#', decimal @ ..] => is_legal(digits(decimal, 10))?,
            _ => false,
        };
        if !known {
            return Err(Violation::restricted(
                "an entity reference that XMPP does not have",
            ));
        }
        Ok(place.map_or(State::Content, State::Value))
    }
}

impl Name {
    /// FNV-1a, one step.
    fn extend(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

/// Tells whether a byte may stand in a name as far as the lexer cares: nothing that ends one.
fn in_name(byte: u8) -> bool {
    !matches!(
        byte,
        0..=b' ' | b'<' | b'>' | b'/' | b'=' | b'\'' | b'"' | b'&' | b'!' | b'?'
    )
}

fn is_legal(referenced: Option<char>) -> Result<bool, Violation> {
    match referenced {
        Some(c) if super::characters::all_legal(c.encode_utf8(&mut [0; 4])) => Ok(true),
        _ => Err(Violation::not_well_formed(
            "a reference to a character that XML does not allow",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tokens, or the condition; fed in pieces of `piece` bytes.
    fn lexed(bytes: &[u8], piece: usize) -> Result<Vec<Token>, &'static str> {
        let mut lexer = Lexer::default();
        let mut tokens = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                let (read, token) = lexer.advance(piece).map_err(|v| v.condition)?;
                tokens.extend(token);
                piece = &piece[read..];
            }
        }
        Ok(tokens)
    }

    fn both(text: &str) -> Result<Vec<Token>, &'static str> {
        let whole = lexed(text.as_bytes(), usize::MAX);
        for piece in 1..8 {
            assert_eq!(
                lexed(text.as_bytes(), piece),
                whole,
                "{text} in pieces of {piece}"
            );
        }
        whole
    }

    fn start(text: &str) -> StartTag {
        match both(text).as_deref() {
            Ok([Token::Start(tag)]) => *tag,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_start_tag_counts_its_attributes_and_declarations_apart() {
        let tag = start(
            "<a:b xmlns='u' xmlns:a = \"v'/>\" xmlnsx='1' xmlns-y='2'\n\tid\r= '&lt;&#x41;>'/>",
        );
        assert_eq!((tag.attributes, tag.declarations, tag.empty), (3, 2, true));
        let tag = start("<iq>");
        assert_eq!((tag.attributes, tag.declarations, tag.empty), (0, 0, false));
    }

    #[test]
    fn an_end_tag_has_the_name_of_its_start_tag() {
        let tokens = both("<a b='c'>text &amp; more</a ><a/></ab>").unwrap();
        let [
            Token::Start(a),
            Token::End(end),
            Token::Start(empty),
            Token::End(other),
        ] = tokens[..]
        else {
            panic!("{tokens:?}");
        };
        assert_eq!((a.name, a.name), (end, empty.name));
        assert_ne!(a.name, other);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let table = [
            ("<!-- c -->", "restricted-xml"),
            ("<!DOCTYPE a>", "restricted-xml"),
            ("<![CDATA[a]]>", "restricted-xml"),
            ("<?php?>", "restricted-xml"),
            ("<a>&nbsp;", "restricted-xml"),
            ("<a>&<b/>", "restricted-xml"),
            ("<a>&;", "restricted-xml"),
            ("<a>&#65 ;", "restricted-xml"),
            ("<a b='&#x000000041;'>", "restricted-xml"),
            ("<a>&#0;", "not-well-formed"),
            ("<a>&#xFFFE;", "not-well-formed"),
            ("<a>&#xD800;", "not-well-formed"),
            ("<a>&#;", "not-well-formed"),
            ("<a>&#x;", "not-well-formed"),
            ("<a>&#x1g;", "not-well-formed"),
            ("< a>", "not-well-formed"),
            ("<>", "not-well-formed"),
            ("</>", "not-well-formed"),
            ("</ a>", "not-well-formed"),
            ("</a b='c'>", "not-well-formed"),
            ("</a/>", "not-well-formed"),
            ("<a/ >", "not-well-formed"),
            ("<a//>", "not-well-formed"),
            ("<a b>", "not-well-formed"),
            ("<a b c='d'>", "not-well-formed"),
            ("<a b=c>", "not-well-formed"),
            ("<a b='c'd='e'>", "not-well-formed"),
            ("<a ='b'>", "not-well-formed"),
            ("<a 'b'>", "not-well-formed"),
            ("<a b='<'>", "not-well-formed"),
            ("<a<b>", "not-well-formed"),
            ("<a\0>", "not-well-formed"),
            ("<a xmlns='b' xmlns='c'>", "not-well-formed"),
        ];
        for (text, condition) in table {
            assert_eq!(both(text), Err(condition), "{text}");
        }
    }
}
