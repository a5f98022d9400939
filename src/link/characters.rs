//! Which characters XML 1.0 allows, how they are written, and a check of bytes that come in pieces.
//!
//! `Char` of XML 1.0 §2.2 is all of Unicode but the C0 controls (tab, LF and CR are allowed), the
//! surrogates (which no `str` has) and U+FFFE and U+FFFF.

use super::error::Violation;
use memchr::memchr;
use std::borrow::Cow;

/// Stands for what may not be written.
const REPLACEMENT: &str = "\u{FFFD}";

/// Tells whether all of `text` may stand in XML 1.0.
pub(super) fn all_legal(text: &str) -> bool {
    let bytes = text.as_bytes();
    !(0..bytes.len()).any(|at| starts_illegal(bytes, at))
}

/// Appends `text` as element content.
///
/// A lone CR would be read back as LF (XML 1.0 §2.11), so it is written as a reference.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write(text, out, |byte| match byte {
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Appends `text` as an attribute's value, a CR as LF.
///
/// Tab and LF would be read back as spaces (XML 1.0 §3.3.3), so they are written as references.
/// COMPAT(prosody 0.12, rxml 0.14): Prosody writes a CR as it is, however it came, and clients that
/// are built on rxml then lose their stream.
pub(super) fn write_value(text: &str, out: &mut Vec<u8>) {
    write(text, out, |byte| match byte {
        b'\t' => Some(b"&#9;"),
        b'\n' | b'\r' => Some(b"&#10;"),
        _ => None,
    });
}

/// Appends an `id`, which may be the recipient's own and comes back to it as it is.
pub(super) fn write_id(id: &str, out: &mut Vec<u8>) {
    write(id, out, |byte| match byte {
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// `bytes` with each end of a line as LF, which is how a parser has to see them (XML 1.0 §2.11).
///
/// rxml 0.14 does so for text, but takes a CR in an attribute's value for an error unless another
/// white space follows; Prosody passes such values on, so that any client could end the stream.
pub(super) fn with_line_feeds(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut lines = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr(b'\r', rest) {
        lines.extend_from_slice(&rest[..at]);
        lines.push(b'\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    lines.extend_from_slice(rest);
    Cow::Owned(lines)
}

fn write(text: &str, out: &mut Vec<u8>, also: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| !is_plain(*byte)) {
        at += next;
        let byte = bytes[at];
        let mut width = 1;
        let written: Option<&[u8]> = match byte {
            b'<' => Some(b"&lt;"),
            b'>' => Some(b"&gt;"),
            b'&' => Some(b"&amp;"),
            b'\'' => Some(b"&apos;"),
            b'"' => Some(b"&quot;"),
            _ if starts_illegal(bytes, at) => {
                width = if byte < 0x80 { 1 } else { 3 };
                Some(REPLACEMENT.as_bytes())
            }
            _ => also(byte),
        };
        if let Some(written) = written {
            out.extend_from_slice(&bytes[plain..at]);
            out.extend_from_slice(written);
            plain = at + width;
        }
        at += width;
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Whether a byte of well-formed UTF-8 is written as it is, whatever follows it.
fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [true; 256];
        let mut byte = 0;
        while byte < plain.len() {
            plain[byte] = !matches!(
                byte as u8,
                0..0x20 | b'<' | b'>' | b'&' | b'\'' | b'"' | 0xEF
            );
            byte += 1;
        }
        plain
    };
    PLAIN[usize::from(byte)]
}

/// Tells whether an illegal character starts at `at` of well-formed UTF-8.
fn starts_illegal(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 => true,
        // U+FFFE and U+FFFF.
        0xEF => matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
        _ => false,
    }
}

/// Checks bytes that are read but not kept: UTF-8, and only characters that XML allows.
#[derive(Debug, Default)]
pub(super) struct Characters {
    /// The beginning of a character whose rest is still to come.
    carry: Vec<u8>,
}

impl Characters {
    /// Checks the next piece, however it was cut.
    pub(super) fn check(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while !self.carry.is_empty() {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            // Four bytes at most: then it is a character or an error.
            self.carry.push(*first);
            match std::str::from_utf8(&self.carry) {
                Ok(text) => {
                    legal(text)?;
                    self.carry.clear();
                }
                Err(error) if error.error_len().is_none() => (),
                Err(_) => return Err(not_utf8()),
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => legal(text),
            Err(error) if error.error_len().is_none() => {
                let (text, rest) = bytes.split_at(error.valid_up_to());
                self.carry.extend_from_slice(rest);
                legal(std::str::from_utf8(text).expect("valid up to here"))
            }
            Err(_) => Err(not_utf8()),
        }
    }
}

fn legal(text: &str) -> Result<(), Violation> {
    if all_legal(text) {
        Ok(())
    } else {
        Err(Violation::not_well_formed(
            "a character that XML does not allow",
        ))
    }
}

fn not_utf8() -> Violation {
    Violation::not_well_formed("bytes that are not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(bytes: &[u8], piece: usize) -> bool {
        let mut characters = Characters::default();
        bytes
            .chunks(piece)
            .all(|piece| characters.check(piece).is_ok())
    }

    #[test]
    fn every_scalar_value_is_judged_as_xml_says() {
        for c in '\0'..=char::MAX {
            // XML 1.0 §2.2, production 2, word by word.
            let legal = matches!(c,
                '\u{9}' | '\u{A}' | '\u{D}'
                | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
            let text = c.to_string();
            assert_eq!(all_legal(&text), legal, "{c:?}");
            if c <= '\u{10FFF}' {
                assert_eq!(checked(text.as_bytes(), 1), legal, "{c:?} byte by byte");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_found_in_any_pieces() {
        let bad: [&[u8]; 7] = [
            b"\xC0\xAF",
            b"\xE0\x80\xAF",
            b"\xED\xA0\x80",
            b"\xF4\x90\x80\x80",
            b"\x80",
            b"\xFF",
            b"\xE2\x82a",
        ];
        for bytes in bad {
            let bytes = [b"ok ", bytes, b" ok"].concat();
            for piece in 1..=bytes.len() {
                assert!(!checked(&bytes, piece), "{bytes:x?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_must_be_escaped_is() {
        let mut out = Vec::new();
        write_text("<a>&'\" \t\n\r\0\u{FFFE}é\u{FFFD}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "&lt;a&gt;&amp;&apos;&quot; \t\n&#13;\u{FFFD}\u{FFFD}é\u{FFFD}"
        );
        let mut out = Vec::new();
        write_value("<'\">&\t\n\r\u{1F}\u{FFFF}x", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "&lt;&apos;&quot;&gt;&amp;&#9;&#10;&#10;\u{FFFD}\u{FFFD}x"
        );
        let mut out = Vec::new();
        write_id("'\t\n\r\0", &mut out);
        let written = String::from_utf8(out).unwrap();
        assert_eq!(written, "&apos;&#9;&#10;&#13;\u{FFFD}");
    }

    #[test]
    fn each_end_of_a_line_is_one_line_feed() {
        for (bytes, expected) in [
            ("", ""),
            ("a\nb", "a\nb"),
            ("\r", "\n"),
            ("\r\n", "\n"),
            ("\r\r\n\n\ra\r\nb\r", "\n\n\n\na\nb\n"),
        ] {
            let read = with_line_feeds(bytes.as_bytes());
            assert_eq!(read.as_ref(), expected.as_bytes(), "{bytes:?}");
        }
    }
}
