//! The form of the questions about commands that wait for her: offered, and read. In chat she answers them by
//! their codes.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::form::{Fields, choice};
use super::super::limits::PROMPTS_OPEN_MAX;
use super::super::prompt::{self, Word, is_code};
use super::super::setting::Reply;
use super::super::{Component, Turn, command, ending};
use super::bad;
use crate::address::Bare;

/// What the field of a question is named by, before its code.
const FIELD: &str = "answer-";

const OPTIONS: [(&str, &str); 5] = [
    ("later", "later; no answer is a no"),
    ("yes", "yes"),
    ("no", "no"),
    ("always", "yes, and from now on without a question"),
    ("block", "no, and nothing from this address any more"),
];

/// One choice for each question, the oldest first; `None` where none is open.
pub(super) fn fields(core: &Component, turn: &Turn, user: &Bare) -> Option<Vec<Field>> {
    let open = prompt::open(core, user).into_iter();
    let fields: Vec<_> = open
        .filter_map(|one| {
            let execution = core.state.execution(&one.id)?;
            let until = ending::shown(execution.expires, turn.now.wall, core.zone(user));
            let label = format!("{} Until {until}.", prompt::question(execution));
            let var = format!("{FIELD}{}", one.code);
            Some(choice(
                &var,
                FieldType::ListSingle,
                &label,
                &OPTIONS,
                &["later"],
            ))
        })
        .collect();
    (!fields.is_empty()).then_some(fields)
}

/// Her answers; where there are several, the last is acknowledged in the form, the others in chat.
pub(super) fn run(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    fields: &Fields,
    reply: Reply,
) {
    let mut answers = Vec::new();
    for (code, value) in fields.with_prefix(FIELD) {
        let word = match value.as_deref() {
            None | Some("later") => continue,
            Some("yes") => Word::Yes,
            Some("no") => Word::No,
            Some("always") => Word::Always,
            Some("block") => Word::Block,
            Some(_) => {
                let wrong = bad("An answer is yes, no, always, block or later.");
                return command::acknowledge(core, turn, reply, Err(wrong));
            }
        };
        if !is_code(code) || answers.len() >= PROMPTS_OPEN_MAX {
            let wrong = bad("A field of a question is named by its code.");
            return command::acknowledge(core, turn, reply, Err(wrong));
        }
        answers.push((code.to_owned(), word));
    }
    let Some((last, last_word)) = answers.pop() else {
        let text = match prompt::open(core, user).is_empty() {
            true => "No question waits for your answer.",
            false => "Nothing has changed.",
        };
        return command::acknowledge(core, turn, reply, Ok(text.to_owned()));
    };
    for (code, word) in answers {
        let by_chat = match &reply {
            Reply::Command { asked, .. } => Reply::Chat(asked.to.clone(), "chat".to_owned()),
            other => other.clone(),
        };
        prompt::answer(core, turn, user, (word, Some(&code)), by_chat);
    }
    prompt::answer(core, turn, user, (last_word, Some(&last)), reply);
}
