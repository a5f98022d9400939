//! Words of strangers, fit to be quoted to a person; and texts that must stay below what a stanza holds.

use super::face::cut;
use crate::stanza::size::value_bytes;
use crate::web_address::is_unseen;

/// Marks on one letter that are shown; more make a tower that covers the lines around it.
const MARKS_MAX: usize = 4;

/// A stranger's text as one line, cut to `max` characters: nothing that does not show or turns the
/// direction of writing, no run of spaces, no quotation mark that could end the quotation. `None` where
/// nothing is left.
pub(super) fn quotable(text: &str, max: usize) -> Option<String> {
    let mut line = String::new();
    let mut marks = 0;
    // Far more than is kept, and a bound on the work.
    for c in text.chars().take(max.saturating_mul(8)) {
        let c = match c {
            _ if c.is_whitespace() => ' ',
            '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '\u{ff02}' => '\'',
            _ if is_unseen(c) => continue,
            _ => c,
        };
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks <= MARKS_MAX {
            line.push(c);
        }
    }
    let line = cut(line.trim_end(), max);
    (!line.is_empty()).then_some(line)
}

/// The combining marks of the blocks that exist for them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// The lines as one text, as many as `budget` bytes hold, then how many more there are.
pub(super) fn lines(lines: &[String], budget: usize) -> String {
    let mut text = String::new();
    let mut bytes = 0;
    for (n, line) in lines.iter().enumerate() {
        bytes += value_bytes(line) + 1;
        if bytes > budget {
            text.push_str(&format!("… and {} more.", lines.len() - n));
            return text;
        }
        text.push_str(line);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_one_line_that_it_cannot_leave() {
        for (text, shown) in [
            ("Hello, I am Bob", "Hello, I am Bob"),
            ("  a\r\n\tb \u{2028} c ", "a b c"),
            ("x” says the operator. “y\"", "x' says the operator. 'y'"),
            ("abc\u{202e}def\u{7}\u{200b}\u{e0041}", "abcdef"),
            ("Grüße, 世界 👋", "Grüße, 世界 👋"),
        ] {
            assert_eq!(quotable(text, 100).as_deref(), Some(shown));
        }
        assert_eq!(quotable(" \u{202e}\n", 100), None);
        assert_eq!(quotable(&"x".repeat(1 << 20), 10).unwrap(), "xxxxxxxxx…");
        let tower = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(quotable(&tower, 100).unwrap().chars().count(), 6);
    }

    #[test]
    fn lines_stay_within_their_budget() {
        let many = vec!["<&>".to_owned(); 10];
        assert_eq!(lines(&many, 30), "<&>\n<&>\n… and 8 more.");
        assert_eq!(lines(&many[..2], 1000), "<&>\n<&>");
    }
}
