//! Words that a person wrote, as others see them: one line without what could disturb a display; and
//! the emoji that may stand before them.

use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};
use unicode_segmentation::UnicodeSegmentation;

use super::limits::{EMOJI_BYTES_MAX, MARKS_MAX};

/// A text as others see it; `None` where nothing of it can be seen.
///
/// Controls and line breaks become spaces. Left out are marks that turn the direction of what follows
/// (U+202A–U+202E, U+2066–U+2069), characters that only hide (U+200B, U+2060–U+2064, U+206A–U+206F,
/// U+FEFF, U+FFF9–U+FFFB), and what piles up on one letter beyond [`MARKS_MAX`]. At most `chars_max`
/// characters, cut between two graphemes.
pub(super) fn line(text: &str, chars_max: usize) -> Option<String> {
    let text = text.trim();
    // Most are plain ASCII, of which all can stay and be seen.
    if (1..=chars_max).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    {
        return Some(text.to_owned());
    }
    let mut clean = String::with_capacity(text.len().min(4 * chars_max));
    let mut n_piled = 0;
    for one in text.chars() {
        n_piled = if is_piling(one) { n_piled + 1 } else { 0 };
        match one {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}' => {}
            '\u{fff9}'..='\u{fffb}' => {}
            '\u{2028}' | '\u{2029}' => clean.push(' '),
            _ if one.is_control() => clean.push(' '),
            _ if n_piled <= MARKS_MAX => clean.push(one),
            _ => {}
        }
    }
    let cut = cut_between_graphemes(clean.trim(), chars_max).trim_end();
    cut.chars().any(is_seen).then(|| cut.to_owned())
}

/// The beginning of a text, at most `chars_max` characters, that splits no grapheme; a single one
/// longer than that is split all the same.
fn cut_between_graphemes(text: &str, chars_max: usize) -> &str {
    let Some((hard, _)) = text.char_indices().nth(chars_max) else {
        return text;
    };
    let boundaries = text.grapheme_indices(true).map(|(at, _)| at);
    match boundaries.take_while(|at| *at <= hard).last() {
        Some(soft) if soft > 0 => &text[..soft],
        _ => &text[..hard],
    }
}

/// Whether a character stands on, or joins to, the one before.
fn is_piling(one: char) -> bool {
    one.general_category_group() == GeneralCategoryGroup::Mark
        || matches!(one, '\u{200c}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}')
}

/// Whether there is something to see of a character by itself.
fn is_seen(one: char) -> bool {
    !one.is_whitespace() && !is_piling(one) && one.general_category() != GeneralCategory::Format
}

/// Whether a text is one emoji: one grapheme, in one of the forms of emoji (Unicode UTS #51 §1.4.9).
pub(super) fn is_emoji(text: &str) -> bool {
    if text.len() > EMOJI_BYTES_MAX || text.graphemes(true).count() != 1 {
        return false;
    }
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let rest = chars.as_str();
    match first {
        '0'..='9' | '#' | '*' => matches!(rest, "\u{20e3}" | "\u{fe0f}\u{20e3}"),
        _ if is_regional(first) => chars.next().is_some_and(is_regional) && chars.next().is_none(),
        _ => {
            is_pictured(first)
                && chars.all(|one| {
                    is_pictured(one)
                        || matches!(one, '\u{200d}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
                })
        }
    }
}

fn is_pictured(one: char) -> bool {
    !one.is_ascii() && !is_regional(one) && one.is_emoji_char()
}

fn is_regional(one: char) -> bool {
    matches!(one, '\u{1f1e6}'..='\u{1f1ff}')
}

/// The emoji that a text begins with, and the rest, where it stands alone before it.
pub(super) fn split_emoji(text: &str) -> (Option<String>, &str) {
    let text = text.trim();
    let first = text.graphemes(true).next().unwrap_or_default();
    let rest = &text[first.len()..];
    if is_emoji(first) && (rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        (Some(first.to_owned()), rest.trim_start())
    } else {
        (None, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        line(text, 512).unwrap_or_default()
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(
            shown("one\u{9}two\u{85}three\u{2028}four\nfive"),
            "one two three four five"
        );
        assert_eq!(shown("  Über & <out> 👩‍💻  "), "Über & <out> 👩‍💻");
    }

    #[test]
    fn direction_is_not_turned_and_nothing_is_hidden() {
        assert_eq!(shown("a\u{202e}b\u{2067}c\u{200b}d\u{feff}e"), "abcde");
        assert_eq!(shown("שלום \u{200f}x"), "שלום \u{200f}x");
    }

    #[test]
    fn at_most_eight_marks_stand_on_a_letter() {
        let piled = format!("z{}a", "\u{336}".repeat(200));
        assert_eq!(shown(&piled), format!("z{}a", "\u{336}".repeat(8)));
        let joined = format!("z{}a", "\u{200d}\u{301}".repeat(50));
        assert_eq!(shown(&joined).chars().count(), 10);
    }

    #[test]
    fn what_cannot_be_seen_is_no_text() {
        for text in [
            "",
            "  ",
            "\u{200b}\u{2060}",
            "\u{200d}\u{fe0f}",
            "\u{202e}",
            "\u{ad}",
        ] {
            assert_eq!(line(text, 512), None, "{text:?}");
        }
    }

    #[test]
    fn a_cut_splits_no_grapheme() {
        assert_eq!(line("ab👩‍💻", 3).as_deref(), Some("ab"));
        assert_eq!(line("ab👩‍💻", 5).as_deref(), Some("ab👩‍💻"));
        assert_eq!(line("🇩🇪🇫🇷", 3).as_deref(), Some("🇩🇪"));
        assert_eq!(line("e\u{301}\u{302}", 2).as_deref(), Some("e\u{301}"));
    }

    #[test]
    fn emoji_are_known() {
        for one in [
            "🏖",
            "🏖️",
            "☕",
            "✈",
            "✈️",
            "👩‍💻",
            "👍🏽",
            "🇩🇪",
            "3️⃣",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "👨‍👩‍👧‍👦",
            "❤️‍🔥",
            "🫠",
        ] {
            assert!(is_emoji(one), "{one:?}");
        }
        let zalgo = "🏖\u{336}";
        for other in [
            "",
            "a",
            "3",
            "#",
            "🏖🏖",
            "🏖 ",
            "é",
            "🇩",
            "☕\u{fe0e}",
            zalgo,
            "漢",
            "\u{200d}",
            ":)",
        ] {
            assert!(!is_emoji(other), "{other:?}");
        }
        assert!(!is_emoji(&format!("👩{}", "\u{200d}👩".repeat(20))));
    }

    #[test]
    fn an_emoji_before_a_text_is_told_from_one_in_it() {
        let split = |text| {
            let (emoji, rest) = split_emoji(text);
            (emoji.unwrap_or_default(), rest.to_owned())
        };
        assert_eq!(split("🏖 on holiday"), ("🏖".into(), "on holiday".into()));
        assert_eq!(split("☕"), ("☕".into(), String::new()));
        assert_eq!(split("🏖on holiday"), (String::new(), "🏖on holiday".into()));
        assert_eq!(split("😀😀 hi"), (String::new(), "😀😀 hi".into()));
        assert_eq!(split("3 things"), (String::new(), "3 things".into()));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_line_that_stays_the_same(text in "\\PC{0,40}|.{0,40}", max in 1_usize..30) {
            if let Some(once) = line(&text, max) {
                prop_assert!(once.chars().count() <= max);
                prop_assert!(!once.chars().any(char::is_control));
                let twice = line(&once, max);
                prop_assert_eq!(twice.as_ref(), Some(&once));
            }
            let (emoji, rest) = split_emoji(&text);
            prop_assert!(emoji.is_none_or(|emoji| is_emoji(&emoji)) && text.contains(rest));
        }
    }
}
