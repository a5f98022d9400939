//! A record as one line of JSON: what exports are made of, and what a user gets of her own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Wall;
use super::record::{
    Audit, Block, Change, Execution, Grant, LastFace, OperatorBlock, Profile, Status, Subscription,
    Token,
};
use crate::address::Bare;

/// A line: the kind of record, the parts of its key, the record.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Profile {
        user: Bare,
        record: Profile,
    },
    Status {
        user: Bare,
        record: Status,
    },
    Grant {
        user: Bare,
        watcher: Bare,
        record: Grant,
    },
    Subscription {
        user: Bare,
        watcher: Bare,
        record: Subscription,
    },
    Block {
        user: Bare,
        watcher: Bare,
        record: Block,
    },
    Execution {
        id: String,
        record: Execution,
    },
    History {
        user: Bare,
        at: Wall,
        id: String,
        record: Audit,
    },
    Token {
        user: Bare,
        id: String,
        record: Token,
    },
    Face {
        user: Bare,
        record: LastFace,
    },
    OperatorBlock {
        watcher: Bare,
        record: OperatorBlock,
    },
}

/// The line of the record that `change` puts, without its end; `None` for a deletion.
#[must_use]
pub fn write(change: &Change) -> Option<String> {
    let line = match change.clone() {
        Change::Profile { user, value } => Line::Profile {
            user,
            record: value?,
        },
        Change::Status { user, value } => Line::Status {
            user,
            record: value?,
        },
        Change::Grant {
            user,
            watcher,
            value,
        } => Line::Grant {
            user,
            watcher,
            record: value?,
        },
        Change::Subscription {
            user,
            watcher,
            value,
        } => Line::Subscription {
            user,
            watcher,
            record: value?,
        },
        Change::Block {
            user,
            watcher,
            value,
        } => Line::Block {
            user,
            watcher,
            record: value?,
        },
        Change::Execution { id, value } => Line::Execution { id, record: value? },
        Change::Audit {
            user,
            at,
            id,
            value,
        } => Line::History {
            user,
            at,
            id,
            record: value?,
        },
        Change::Token { user, id, value } => Line::Token {
            user,
            id,
            record: value?,
        },
        Change::Face { user, value } => Line::Face {
            user,
            record: value?,
        },
        Change::OperatorBlock { watcher, value } => Line::OperatorBlock {
            watcher,
            record: value?,
        },
    };
    Some(serde_json::to_string(&line).expect("records are made of what JSON can say"))
}

/// Reads a line, as the change that puts its record. Everything in it must be understood: what a later
/// version has added is refused, not left out.
///
/// # Errors
///
/// What is wrong, as a part of a sentence.
pub fn read(text: &str) -> Result<Change, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let given: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let understood = serde_json::to_value(&line).map_err(|error| error.to_string())?;
    if let Some(what) = beyond(&given, &understood) {
        return Err(format!("this version does not know {what}"));
    }
    Ok(match line {
        Line::Profile { user, record } => Change::Profile {
            user,
            value: Some(record),
        },
        Line::Status { user, record } => Change::Status {
            user,
            value: Some(record),
        },
        Line::Grant {
            user,
            watcher,
            record,
        } => Change::Grant {
            user,
            watcher,
            value: Some(record),
        },
        Line::Subscription {
            user,
            watcher,
            record,
        } => Change::Subscription {
            user,
            watcher,
            value: Some(record),
        },
        Line::Block {
            user,
            watcher,
            record,
        } => Change::Block {
            user,
            watcher,
            value: Some(record),
        },
        Line::Execution { id, record } => Change::Execution {
            id,
            value: Some(record),
        },
        Line::History {
            user,
            at,
            id,
            record,
        } => Change::Audit {
            user,
            at,
            id,
            value: Some(record),
        },
        Line::Token { user, id, record } => Change::Token {
            user,
            id,
            value: Some(record),
        },
        Line::Face { user, record } => Change::Face {
            user,
            value: Some(record),
        },
        Line::OperatorBlock { watcher, record } => Change::OperatorBlock {
            watcher,
            value: Some(record),
        },
    })
}

/// What is in `given` and not the same in `understood`, where fields may have been added.
fn beyond(given: &Value, understood: &Value) -> Option<String> {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            given
                .iter()
                .find_map(|(name, value)| match understood.get(name) {
                    Some(same) => beyond(value, same),
                    None => Some(format!("the field {name:?}")),
                })
        }
        _ if given == understood => None,
        _ => Some(format!("{given}, which would become {understood}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;

    #[test]
    fn every_record_reads_back_and_a_deletion_is_no_line() {
        for change in samples::all().into_iter().chain(samples::later()) {
            let line = write(&change).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(read(&line), Ok(change));
        }
        assert_eq!(write(&samples::no_status(1)), None);
    }

    #[test]
    fn lines_of_the_first_format_stay_readable() {
        let golden = include_str!("../../tests/records/lines-1.jsonl");
        let records: Vec<_> = golden.lines().map(|line| read(line).unwrap()).collect();
        assert_eq!(records, samples::all());
    }

    #[test]
    fn the_line_of_an_operator_s_block_stays_readable() {
        let golden = include_str!("../../tests/records/line-operator-block-1.jsonl");
        assert_eq!(read(golden.trim_end()), Ok(samples::operator_block()));
        assert_eq!(
            write(&samples::operator_block()).as_deref(),
            Some(golden.trim_end())
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let known =
            r#"{"kind":"block","user":"a@b.example","watcher":"c.example","record":{"since":5}}"#;
        assert!(read(known).is_ok());
        for (what, word) in [
            (known.replace("block", "ticket"), "ticket"),
            (known.replace("\"since\"", "\"why\":1,\"since\""), "why"),
            (known.replace("\"kind\"", "\"more\":1,\"kind\""), "more"),
            (known.replace("a@b", "A@b"), "A@b"),
            (known.replace("a@b.example", "a b"), "not a JID"),
            (known.replace(":5", ":null"), "invalid"),
            (known.replace("}}", "}"), "EOF"),
            (format!("{known}{known}"), "trailing"),
            (String::new(), "EOF"),
        ] {
            let error = read(&what).unwrap_err();
            assert!(error.contains(word), "{what}: {error}");
        }
    }
}
