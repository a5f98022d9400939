//! Records as bytes: what makes a [`Change`] a key and a value.
//!
//! All tables share one key space, so that one batch is atomic over all of them: the first byte of a
//! key is the table, then come the identity fields, with 0x00 (which no JID holds) between two. A value
//! is `[version u8][crc32 u32][body]`: the checksum goes over table, version, key and body, so that a
//! record stands for nothing under another key, and the body is the record in JSON, which names its
//! fields: a later version reads it without guessing.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::address::Bare;
use crate::component::clock::Wall;
use crate::component::record::Change;

/// Bytes of a value, envelope included: sled puts pages that outgrow 128 KiB into files of their own,
/// which cost a sync each, and a page holds up to 17 records.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024 - 1;

/// Bytes of a key: a table, two bare JIDs of 2 × 1,023 bytes and `@` each (RFC 7622 §3.1), and what
/// stands between them.
pub(super) const KEY_BYTES_MAX: usize = 4096;

/// The version of every kind of record. The golden values of version 1 are in the tests below and stay
/// readable for ever.
const VERSION: u8 = 1;

const ENVELOPE_BYTES: usize = 5;
const SEPARATOR: u8 = 0;

/// The first byte of a key. 0 is not a record: the mark is there.
mod table {
    pub(super) const PROFILE: u8 = 1;
    pub(super) const STATUS: u8 = 2;
    pub(super) const GRANT: u8 = 3;
    pub(super) const SUBSCRIPTION: u8 = 4;
    pub(super) const BLOCK: u8 = 5;
    pub(super) const EXECUTION: u8 = 6;
    pub(super) const AUDIT: u8 = 7;
    pub(super) const FACE: u8 = 8;
    pub(super) const TOKEN: u8 = 9;
    /// The operator's own records begin here; those of users are below.
    pub(super) const OPERATOR_BLOCK: u8 = 16;
}

/// The tables whose keys begin with a user.
pub(super) const BY_USER: [u8; 8] = [
    table::PROFILE,
    table::STATUS,
    table::GRANT,
    table::SUBSCRIPTION,
    table::BLOCK,
    table::AUDIT,
    table::FACE,
    table::TOKEN,
];

/// Why bytes are not a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They are not what was written.
    Damaged(String),
    /// A later version wrote them.
    TooNew(String),
}

/// The key of a change, and the value to put there (`None`: delete).
pub(super) fn encode(change: &Change) -> Result<(Vec<u8>, Option<Vec<u8>>), Error> {
    let (key, body) = match change {
        Change::Profile { user, value } => (jid_key(table::PROFILE, user), body(value)),
        Change::Status { user, value } => (jid_key(table::STATUS, user), body(value)),
        Change::Face { user, value } => (jid_key(table::FACE, user), body(value)),
        Change::OperatorBlock { watcher, value } => {
            (jid_key(table::OPERATOR_BLOCK, watcher), body(value))
        }
        Change::Grant {
            user,
            watcher,
            value,
        } => (pair_key(table::GRANT, user, watcher), body(value)),
        Change::Subscription {
            user,
            watcher,
            value,
        } => (pair_key(table::SUBSCRIPTION, user, watcher), body(value)),
        Change::Block {
            user,
            watcher,
            value,
        } => (pair_key(table::BLOCK, user, watcher), body(value)),
        Change::Token { user, id, value } => {
            let mut key = jid_key(table::TOKEN, user);
            key.push(SEPARATOR);
            key.extend_from_slice(id.as_bytes());
            (key, body(value))
        }
        Change::Execution { id, value } => {
            let mut key = vec![table::EXECUTION];
            key.extend_from_slice(id.as_bytes());
            (key, body(value))
        }
        Change::Audit {
            user,
            at,
            id,
            value,
        } => {
            let mut key = jid_key(table::AUDIT, user);
            key.push(SEPARATOR);
            key.extend_from_slice(&sortable(*at));
            key.extend_from_slice(id.as_bytes());
            (key, body(value))
        }
    };
    let value = body.map(|body| seal(&key, &body));
    fits(&key, key.len(), KEY_BYTES_MAX)?;
    fits(&key, value.as_ref().map_or(0, Vec::len), VALUE_BYTES_MAX)?;
    Ok((key, value))
}

/// Reads a record back, as the change that puts it.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Change, Flaw> {
    decode_next(key, value, &mut None)
}

/// The same, of a record that is probably of the same user as the one before: `last` is hers, and her
/// address is not read again but shared.
pub(super) fn decode_next(
    key: &[u8],
    value: &[u8],
    last: &mut Option<Bare>,
) -> Result<Change, Flaw> {
    let body = open(key, value)?;
    let damaged = |why: &str| Flaw::Damaged(format!("the {} {why}", name(key)));
    let identity = || damaged("has a key that is not one");
    let rest = &key[1..];
    Ok(match key[0] {
        table::PROFILE => Change::Profile {
            user: user(rest, last).ok_or_else(identity)?,
            value: Some(read(key, body)?),
        },
        table::STATUS => Change::Status {
            user: user(rest, last).ok_or_else(identity)?,
            value: Some(read(key, body)?),
        },
        table::FACE => Change::Face {
            user: user(rest, last).ok_or_else(identity)?,
            value: Some(read(key, body)?),
        },
        table::OPERATOR_BLOCK => Change::OperatorBlock {
            watcher: jid(rest).ok_or_else(identity)?,
            value: Some(read(key, body)?),
        },
        table::GRANT => {
            let (user, watcher) = pair(rest, last).ok_or_else(identity)?;
            Change::Grant {
                user,
                watcher,
                value: Some(read(key, body)?),
            }
        }
        table::SUBSCRIPTION => {
            let (user, watcher) = pair(rest, last).ok_or_else(identity)?;
            Change::Subscription {
                user,
                watcher,
                value: Some(read(key, body)?),
            }
        }
        table::BLOCK => {
            let (user, watcher) = pair(rest, last).ok_or_else(identity)?;
            Change::Block {
                user,
                watcher,
                value: Some(read(key, body)?),
            }
        }
        table::TOKEN => {
            let (user, id) = token(rest, last).ok_or_else(identity)?;
            Change::Token {
                user,
                id,
                value: Some(read(key, body)?),
            }
        }
        table::EXECUTION => Change::Execution {
            id: text(rest).ok_or_else(identity)?,
            value: Some(read(key, body)?),
        },
        table::AUDIT => {
            let (user, at, id) = audit(rest, last).ok_or_else(identity)?;
            Change::Audit {
                user,
                at,
                id,
                value: Some(read(key, body)?),
            }
        }
        _ => {
            return Err(Flaw::TooNew(format!(
                "this version does not know the {}",
                name(key)
            )));
        }
    })
}

/// Whether the record at `key` is about who may do what: all that are not known to be about
/// something else.
pub(super) fn is_consent(key: &[u8]) -> bool {
    !matches!(
        key.first(),
        Some(&(table::STATUS | table::FACE | table::EXECUTION | table::AUDIT))
    )
}

/// Whose profile is at `key`, as bytes: who has none is no user.
pub(super) fn profile_of(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[table::PROFILE])
}

/// The user at the beginning of a key of one of [`BY_USER`], as bytes.
pub(super) fn user_of(key: &[u8]) -> &[u8] {
    let rest = key.get(1..).unwrap_or_default();
    split(rest).map_or(rest, |(user, _)| user)
}

/// Finds the fault that a batch has by itself, before it shares a write with others.
pub(super) fn check(batch: &[Change]) -> Result<(), Error> {
    batch.iter().try_for_each(|change| encode(change).map(drop))
}

fn fits(key: &[u8], bytes: usize, limit: usize) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        record: name(key),
        bytes,
        limit,
    })
}

fn body<T: Serialize>(value: &Option<T>) -> Option<Vec<u8>> {
    value.as_ref().map(|record| {
        serde_json::to_vec(record)
            .expect("records are made of what JSON can say: text keys, no bytes")
    })
}

fn read<T: DeserializeOwned>(key: &[u8], body: &[u8]) -> Result<T, Flaw> {
    serde_json::from_slice(body)
        .map_err(|error| Flaw::Damaged(format!("the {} cannot be read: {error}", name(key))))
}

fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(ENVELOPE_BYTES + body.len());
    value.push(VERSION);
    value.extend_from_slice(&checksum(VERSION, key, body).to_be_bytes());
    value.extend_from_slice(body);
    value
}

fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Flaw> {
    let wrong = || Flaw::Damaged(format!("the {} has a wrong checksum", name(key)));
    let (&[version, a, b, c, d], body) = value.split_first_chunk().ok_or_else(wrong)?;
    if key.is_empty() || checksum(version, key, body) != u32::from_be_bytes([a, b, c, d]) {
        return Err(wrong());
    }
    match version {
        VERSION => Ok(body),
        _ => Err(Flaw::TooNew(format!(
            "the {} has version {version}, and this one reads {VERSION}",
            name(key)
        ))),
    }
}

fn checksum(version: u8, key: &[u8], body: &[u8]) -> u32 {
    let (table, rest) = key.split_at(key.len().min(1));
    let mut hasher = crc32fast::Hasher::new();
    for part in [table, &[version], rest, body] {
        hasher.update(part);
    }
    hasher.finalize()
}

fn jid_key(table: u8, jid: &Bare) -> Vec<u8> {
    let mut key = vec![table];
    key.extend_from_slice(jid.as_str().as_bytes());
    key
}

fn pair_key(table: u8, user: &Bare, watcher: &Bare) -> Vec<u8> {
    let mut key = jid_key(table, user);
    key.push(SEPARATOR);
    key.extend_from_slice(watcher.as_str().as_bytes());
    key
}

/// A time as bytes in the order of time, also before 1970.
fn sortable(at: Wall) -> [u8; 8] {
    (at.0 ^ i64::MIN).to_be_bytes()
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// A JID in the normal form of this version: any other would never be found again.
fn jid(bytes: &[u8]) -> Option<Bare> {
    let text = std::str::from_utf8(bytes).ok()?;
    Bare::parse(text).ok().filter(|jid| jid.as_str() == text)
}

/// The same of a user, who is probably the one before.
fn user(bytes: &[u8], last: &mut Option<Bare>) -> Option<Bare> {
    match last {
        Some(last) if last.as_str().as_bytes() == bytes => {}
        _ => *last = Some(jid(bytes)?),
    }
    last.clone()
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(SEPARATOR, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn pair(bytes: &[u8], last: &mut Option<Bare>) -> Option<(Bare, Bare)> {
    let (of, watcher) = split(bytes)?;
    Some((user(of, last)?, jid(watcher)?))
}

fn token(bytes: &[u8], last: &mut Option<Bare>) -> Option<(Bare, String)> {
    let (of, id) = split(bytes)?;
    Some((user(of, last)?, text(id)?))
}

fn audit(bytes: &[u8], last: &mut Option<Bare>) -> Option<(Bare, Wall, String)> {
    let (of, rest) = split(bytes)?;
    let (at, id) = rest.split_first_chunk()?;
    let at = Wall(i64::from_be_bytes(*at) ^ i64::MIN);
    Some((user(of, last)?, at, text(id)?))
}

/// The name of the record at `key`, for the operator.
fn name(key: &[u8]) -> String {
    let Some((table, rest)) = key.split_first() else {
        return "record without a key".into();
    };
    let known = match *table {
        table::PROFILE => text(rest).map(|user| format!("profile of {user}")),
        table::STATUS => text(rest).map(|user| format!("status of {user}")),
        table::FACE => text(rest).map(|user| format!("face of {user}")),
        table::OPERATOR_BLOCK => {
            text(rest).map(|watcher| format!("block of the operator against {watcher}"))
        }
        table::GRANT => pair(rest, &mut None).map(|(user, to)| format!("grant of {user} to {to}")),
        table::SUBSCRIPTION => {
            pair(rest, &mut None).map(|(to, from)| format!("subscription of {from} to {to}"))
        }
        table::BLOCK => {
            pair(rest, &mut None).map(|(user, of)| format!("block of {user} against {of}"))
        }
        table::TOKEN => token(rest, &mut None).map(|(user, id)| format!("token {id} of {user}")),
        table::EXECUTION => text(rest).map(|id| format!("execution {id}")),
        table::AUDIT => audit(rest, &mut None)
            .map(|(user, at, id)| format!("history line {id} of {user} at {at}")),
        _ => None,
    };
    known.unwrap_or_else(|| format!("record \"{}\"", key.escape_ascii()))
}

#[cfg(test)]
mod tests;
