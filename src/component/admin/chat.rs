//! The operator's commands in words: lines that begin with “admin”, for administrators only.

use super::super::setting::Reply;
use super::super::{Component, Turn, command, export};
use super::{bars, delete, list, numbers};

const HELP: &str = "\
admin numbers – what there is and what was done
admin list – the users; “admin list bob” with a word in the address, “admin list @example.org” of a domain
admin delete WHO – erase a user
admin block-list – whom you block for everybody
admin block WHO, admin unblock WHO – addresses, domains, or parties by name, as watchers of everybody
admin export – all that is stored, into a file";

/// The rest of a line that begins with the word, whoever says it.
pub(in super::super) fn rest_of(body: &str) -> Option<&str> {
    let body = body.trim();
    let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    word.eq_ignore_ascii_case("admin").then(|| rest.trim())
}

/// Does what an administrator says after “admin”.
pub(in super::super) fn received(core: &mut Component, turn: &mut Turn, line: &str, reply: Reply) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match word.to_lowercase().as_str() {
        "numbers" => numbers::tell(core, turn, reply),
        "list" => match list::Wanted::of_words(rest) {
            Ok(wanted) => list::tell(core, turn, &wanted, reply),
            Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
        },
        "delete" => delete::said(core, turn, rest, reply),
        "block-list" => bars::tell(core, turn, rest, reply),
        "block" => bars::said(core, turn, true, rest, reply),
        "unblock" => bars::said(core, turn, false, rest, reply),
        "export" => export::of_all(core, turn, reply),
        _ => command::acknowledge(core, turn, reply, Ok(HELP.to_owned())),
    }
}
