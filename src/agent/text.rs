//! Words of others, made fit to be shown to a person or to stand in a line of the log.

use crate::web_address::is_unseen;

/// Characters of another's text that are shown at most.
pub(super) const SHOWN_MAX: usize = 300;

/// The text without what does not show or changes the direction of writing, on one line, cut to `max`
/// characters with an ellipsis.
#[must_use]
pub(super) fn shown(text: &str, max: usize) -> String {
    let mut clean = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_unseen(*c));
    let mut result: String = clean.by_ref().take(max).collect();
    if clean.next().is_some() {
        result.push('…');
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_gone_and_lines_are_joined() {
        assert_eq!(
            shown("a\u{1b}[31mb\r\nc\u{202e}d\u{7}\u{200b}", 50),
            "a[31mb  cd"
        );
        assert_eq!(shown("Grüße, 世界", 50), "Grüße, 世界");
        assert_eq!(shown("abcdef", 6), "abcdef");
        assert_eq!(shown("abcdefg", 6), "abcdef…");
    }
}
