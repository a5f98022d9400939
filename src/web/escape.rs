//! Words of others as text of XML and HTML: what has a meaning there is escaped, what is not allowed is left out.

use std::borrow::Cow;

/// Whether a text is one line of printable ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Text for an element or a quoted attribute, in XML and in HTML.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if is_plain(text) && !text.contains(['&', '<', '>', '"', '\'', '`']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '`' => escaped.push_str("&#96;"),
            // XML 1.0 §2.2 has no place for most of them, and HTML no use.
            c if c.is_control() && c != '\n' => {}
            '\u{FFFE}' | '\u{FFFF}' => {}
            c => escaped.push(c),
        }
    }
    escaped.into()
}

/// Whether a character turns the direction of what stands around it (UAX #9): kept to one piece of text it
/// would still turn the rest of a picture.
fn turns(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// One line of at most `max` characters, without what turns the direction; the last is an ellipsis where some
/// were cut.
pub(super) fn line(text: &str, max: usize) -> String {
    if text.len() <= max && is_plain(text) {
        return text.trim().to_owned();
    }
    let clean = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c });
    let clean: Vec<char> = clean.filter(|c| !c.is_control() && !turns(*c)).collect();
    let mut line: String = clean.iter().take(max).collect();
    if clean.len() > max {
        line.pop();
        line.push('…');
    }
    line.trim().to_owned()
}

/// Text for one segment of a path, or a value of a query (RFC 3986 §2).
pub(super) fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                encoded.push(char::from(byte));
            }
            byte => {
                let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_is_left() {
        let escaped = escape("<a href='x' title=\"y\">&`\u{1}\u{FFFF}</a>");
        assert!(!escaped.contains(['<', '>', '"', '\'', '`', '\u{1}', '\u{FFFF}']));
        assert_eq!(escape("Grüße, 😀"), "Grüße, 😀");
    }

    #[test]
    fn a_line_is_one_and_is_cut() {
        assert_eq!(line("a\nb\u{202E}c", 10), "a bc");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
    }

    #[test]
    fn an_address_is_one_segment() {
        assert_eq!(percent("alice@localhost"), "alice@localhost");
        assert_eq!(percent("a/b?c#d\\é"), "a%2Fb%3Fc%23d%5C%C3%A9");
    }
}
