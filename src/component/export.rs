//! What is stored, given out: of a user to herself, as messages; of everybody into a file of the
//! operator's, which the edge writes.

use std::collections::BTreeMap;

use super::limits::EXPORT_PART_BYTES_MAX;
use super::record::Change;
use super::reply::Refusal;
use super::setting::Reply;
use super::state::{State, User};
use super::{Component, Effect, Turn, admin, command, line};
use crate::address::{Address, Bare};

/// An export of everybody that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub file: String,
    /// How many records are in it.
    pub records: u64,
}

/// Administrators who wait for an export, with the address that asked last. There are no more than
/// the configuration names.
pub(super) type Waiting = BTreeMap<Bare, Address>;

/// Sends a user all that is stored of her, record by record, behind the acknowledgement.
pub(super) fn own(core: &mut Component, turn: &mut Turn, user: &Bare, reply: Reply) {
    let Some((to, type_)) = asker(&reply) else {
        return;
    };
    if !core.exports_of_users.take(user, turn.now.mono) {
        let refusal = Refusal::PolicyViolation(core.exports_of_users.retry_after_s());
        return command::acknowledge(core, turn, reply, Err(refusal));
    }
    let parts = parts(&records(&core.state, user));
    let n = parts.len();
    let text = format!(
        "Everything that is stored of you follows in {n} {}, one record a line.",
        if n == 1 { "message" } else { "messages" }
    );
    command::acknowledge(core, turn, reply, Ok(text));
    for (at, part) in parts.iter().enumerate() {
        let id = turn.chance.id();
        let body = format!("{}/{n}\n{part}", at + 1);
        let message = core.message(&to, &type_, &id, &body);
        core.send(message);
    }
}

/// Asks for an export of everybody; a message tells the administrator how it has ended.
pub(super) fn of_all(core: &mut Component, turn: &mut Turn, reply: Reply) {
    if let Some((to, _)) = asker(&reply) {
        core.exporting.insert(to.bare.clone(), to);
        admin::log(core, &reply, "asked for an export".to_owned());
        core.effects.push_back(Effect::Export);
    }
    let text = "The export has begun; a message will say how it has ended.".to_owned();
    command::acknowledge(core, turn, reply, Ok(text));
}

/// Tells those who wait.
pub(super) fn ended(core: &mut Component, turn: &mut Turn, result: &Result<Written, String>) {
    let text = match result {
        Ok(Written { file, records }) => format!("The export has {records} records: {file}"),
        Err(why) => format!("There is no export: {why}."),
    };
    for to in std::mem::take(&mut core.exporting).into_values() {
        let id = turn.chance.id();
        let message = core.message(&to, "chat", &id, &text);
        core.send(message);
    }
}

/// Who is to get messages, and of which type.
fn asker(reply: &Reply) -> Option<(Address, String)> {
    match reply {
        Reply::Chat(to, type_) => Some((to.clone(), type_.clone())),
        Reply::Command { asked, .. } => Some((asked.to.clone(), "chat".to_owned())),
        _ => None,
    }
}

/// The records of a user as lines, in the order of kinds.
fn records(state: &State, user: &Bare) -> String {
    let Some(known) = state.stored(user) else {
        return String::new();
    };
    let open = state
        .executions()
        .filter(|(_, execution)| execution.user == *user)
        .map(|(id, execution)| Change::Execution {
            id: id.clone(),
            value: Some(execution.clone()),
        });
    changes(user, known)
        .into_iter()
        .chain(open)
        .filter_map(|change| line::write(&change))
        .fold(String::new(), |text, line| text + &line + "\n")
}

fn changes(user: &Bare, known: &User) -> Vec<Change> {
    let user = || user.clone();
    let mut changes = vec![
        Change::Profile {
            user: user(),
            value: known.profile(),
        },
        Change::Status {
            user: user(),
            value: known.status(),
        },
        Change::Face {
            user: user(),
            value: known.last_face().map(Into::into),
        },
    ];
    changes.extend(known.grants().iter().map(|(watcher, grant)| Change::Grant {
        user: user(),
        watcher: watcher.clone(),
        value: Some(grant.clone()),
    }));
    let subscription =
        |(watcher, one): (&Bare, &super::record::Subscription)| Change::Subscription {
            user: user(),
            watcher: watcher.clone(),
            value: Some(one.clone()),
        };
    changes.extend(known.subscriptions.iter().map(subscription));
    changes.extend(known.blocks().iter().map(|(watcher, block)| Change::Block {
        user: user(),
        watcher: watcher.clone(),
        value: Some(*block),
    }));
    changes.extend(known.tokens().iter().map(|(id, token)| Change::Token {
        user: user(),
        id: id.clone(),
        value: Some(token.clone()),
    }));
    let trace =
        |((at, id), audit): (&(super::clock::Wall, String), &super::record::Audit)| Change::Audit {
            user: user(),
            at: *at,
            id: id.clone(),
            value: Some(audit.clone()),
        };
    changes.extend(known.history().iter().map(trace));
    changes
}

/// Cuts a text into parts that fit a message, at the end of a line where there is one.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.char_indices().find(|(_, character)| {
            bytes += weight(*character);
            bytes > EXPORT_PART_BYTES_MAX
        });
        let end = match fits {
            None => rest.len(),
            Some((end, _)) => rest[..end].rfind('\n').map_or(end, |line| line + 1),
        };
        parts.push(rest[..end].trim_end().to_owned());
        rest = &rest[end..];
    }
    parts
}

/// Bytes of a character in XML, at most.
fn weight(character: char) -> usize {
    match character {
        '<' | '>' | '&' | '"' | '\'' | '\0'..='\x1f' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_end_with_lines_and_lose_nothing() {
        let line = format!("{{\"text\":\"{}\"}}", "ä".repeat(300));
        let text = [line.as_str(); 40].join("\n");
        let cut = parts(&text);
        assert!(cut.len() > 2, "{}", cut.len());
        assert_eq!(cut.join("\n"), text);
        // A line that fits no message goes on in the next.
        let long = "<".repeat(5000);
        let cut = parts(&long);
        assert_eq!(cut.concat(), long);
        for part in &cut {
            assert!(part.chars().map(weight).sum::<usize>() <= EXPORT_PART_BYTES_MAX);
        }
        assert!(parts("").is_empty());
    }
}
