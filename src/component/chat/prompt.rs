//! Her answers to questions in chat: `yes k7`, `no k7`, `always k7`, `block k7`; `yes` and `no` alone.

use super::Line;
use crate::component::prompt::{Word, is_code};

/// Reads an answer; `None` where the line is about something else.
pub(super) fn read(first: &str, rest: &str) -> Option<Line> {
    let first = first.trim_end_matches(['.', '!', ',']);
    let word = match first {
        "yes" => Word::Yes,
        "no" => Word::No,
        "always" => Word::Always,
        "block" => Word::Block,
        _ => return None,
    };
    let code = rest
        .trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    if is_code(&code) {
        return Some(Line::Answer(word, Some(code)));
    }
    match word {
        Word::Block => None,
        Word::Yes | Word::No if rest.trim_matches(['.', '!']).is_empty() => {
            Some(Line::Answer(word, None))
        }
        _ => Some(Line::Wrong(format!(
            "Which question? Answer with its code, as in “{first} k7”."
        ))),
    }
}
