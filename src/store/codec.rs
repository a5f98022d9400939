//! Records as bytes: the key names table and record, the value is a checked envelope around JSON.
//!
//! ```text
//! key    [table] part 00 part …          (00 is illegal in JIDs)
//! value  [version] [crc32, big-endian] {json}
//! ```
//!
//! The checksum is taken over version, key and body, so a value cannot pass for another's. JSON
//! describes itself: a field added later is absent in older records, and takes its default.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::Bare;
use crate::component::clock::Wall;
use crate::component::record::Change;

/// The version of the envelope; raised when the body is no longer what it was.
const VERSION: u8 = 1;
/// The largest value: beyond 128 KiB sled puts it into a blob file that it never reclaims.
const VALUE_MAX: usize = 16 << 10;

const PROFILE: u8 = 1;
const STATUS: u8 = 2;
const GRANT: u8 = 3;
const SUBSCRIPTION: u8 = 4;
const BLOCK: u8 = 5;
const EXECUTION: u8 = 6;
const AUDIT: u8 = 7;
const FACE: u8 = 8;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record's own version is newer than this program.
    #[error("{0} was written by a newer version")]
    TooNew(String),
    /// The checksum does not fit.
    #[error("{0} fails its checksum")]
    Checksum(String),
    /// The key or the body cannot be read.
    #[error("{0} cannot be read")]
    Undecodable(String),
    /// The record is larger than one may be.
    #[error("{0} is larger than {VALUE_MAX} bytes")]
    Oversized(String),
}

/// A record's key, and its value unless it is deleted.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Writes one change.
pub(super) fn encode(change: &Change) -> Result<Entry, Error> {
    match change {
        Change::Profile { user, value } => entry(PROFILE, &[user.as_str()], value.as_ref()),
        Change::Status { user, value } => entry(STATUS, &[user.as_str()], value.as_ref()),
        Change::Face { user, value } => entry(FACE, &[user.as_str()], value.as_ref()),
        Change::Grant {
            user,
            watcher,
            value,
        } => entry(GRANT, &[user.as_str(), watcher.as_str()], value.as_ref()),
        Change::Subscription {
            user,
            watcher,
            value,
        } => entry(
            SUBSCRIPTION,
            &[user.as_str(), watcher.as_str()],
            value.as_ref(),
        ),
        Change::Block {
            user,
            watcher,
            value,
        } => entry(BLOCK, &[user.as_str(), watcher.as_str()], value.as_ref()),
        Change::Execution { id, value } => entry(EXECUTION, &[id], value.as_ref()),
        Change::Audit {
            user,
            at,
            id,
            value,
        } => {
            // Fixed width, so that the keys of one user are in order of time.
            let at = format!("{:020}", at.0);
            entry(AUDIT, &[user.as_str(), &at, id], value.as_ref())
        }
    }
}

/// Reads one record back, as the change that would put it.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Change, Error> {
    let undecodable = || Error::Undecodable(name(key));
    let (table, rest) = key.split_first().ok_or_else(undecodable)?;
    let text = std::str::from_utf8(rest).map_err(|_| undecodable())?;
    let parts: Vec<_> = text.split('\0').collect();
    let jid = |index: usize| {
        let text = parts.get(index).ok_or_else(undecodable)?;
        Bare::parse(text).map_err(|_| undecodable())
    };
    let change = match (*table, parts.len()) {
        (PROFILE, 1) => Change::Profile {
            user: jid(0)?,
            value: Some(body(key, value)?),
        },
        (STATUS, 1) => Change::Status {
            user: jid(0)?,
            value: Some(body(key, value)?),
        },
        (FACE, 1) => Change::Face {
            user: jid(0)?,
            value: Some(body(key, value)?),
        },
        (GRANT, 2) => Change::Grant {
            user: jid(0)?,
            watcher: jid(1)?,
            value: Some(body(key, value)?),
        },
        (SUBSCRIPTION, 2) => Change::Subscription {
            user: jid(0)?,
            watcher: jid(1)?,
            value: Some(body(key, value)?),
        },
        (BLOCK, 2) => Change::Block {
            user: jid(0)?,
            watcher: jid(1)?,
            value: Some(body(key, value)?),
        },
        (EXECUTION, 1) => Change::Execution {
            id: text.to_owned(),
            value: Some(body(key, value)?),
        },
        (AUDIT, 3) => Change::Audit {
            user: jid(0)?,
            at: Wall(parts[1].parse().map_err(|_| undecodable())?),
            id: parts[2].to_owned(),
            value: Some(body(key, value)?),
        },
        _ => return Err(undecodable()),
    };
    Ok(change)
}

fn entry<T: Serialize>(table: u8, parts: &[&str], value: Option<&T>) -> Result<Entry, Error> {
    let mut key = vec![table];
    key.extend_from_slice(parts.join("\0").as_bytes());
    let Some(value) = value else {
        return Ok((key, None));
    };
    let body = serde_json::to_vec(value).map_err(|_| Error::Undecodable(name(&key)))?;
    if body.len() > VALUE_MAX {
        return Err(Error::Oversized(name(&key)));
    }
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&checksum(VERSION, &key, &body).to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok((key, Some(bytes)))
}

fn body<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, Error> {
    let undecodable = || Error::Undecodable(name(key));
    let (version, rest) = value.split_first().ok_or_else(undecodable)?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(undecodable)?;
    if u32::from_be_bytes(*sum) != checksum(*version, key, body) {
        return Err(Error::Checksum(name(key)));
    }
    if *version > VERSION {
        return Err(Error::TooNew(name(key)));
    }
    serde_json::from_slice(body).map_err(|_| undecodable())
}

fn checksum(version: u8, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// A record's name for the operator.
fn name(key: &[u8]) -> String {
    let table = match key.first() {
        Some(&PROFILE) => "profile",
        Some(&STATUS) => "status",
        Some(&GRANT) => "grant",
        Some(&SUBSCRIPTION) => "subscription",
        Some(&BLOCK) => "block",
        Some(&EXECUTION) => "execution",
        Some(&AUDIT) => "audit",
        Some(&FACE) => "face",
        _ => "unknown",
    };
    let rest = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).replace('\0', " ");
    format!("the {table} record of {rest:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::record::{Scope, Status};

    fn status(text: &str) -> Change {
        Change::Status {
            user: Bare::parse("alice@example.org").unwrap(),
            value: Some(Status {
                text: text.into(),
                state: None,
                scope: Scope::Always,
                set: Wall(1_000),
                until: None,
                author: None,
            }),
        }
    }

    #[test]
    fn a_record_reads_back() {
        let (key, value) = encode(&status("In a meeting")).unwrap();
        assert_eq!(decode(&key, &value.unwrap()), Ok(status("In a meeting")));
    }

    #[test]
    fn a_record_of_version_1_stays_readable() {
        let mut value = vec![1];
        let body = br#"{"text":"In a meeting","state":null,"scope":"always","set":1000}"#;
        let key = b"\x02alice@example.org";
        value.extend_from_slice(&checksum(1, key, body).to_be_bytes());
        value.extend_from_slice(body);
        assert_eq!(decode(key, &value), Ok(status("In a meeting")));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let (key, value) = encode(&status("In a meeting")).unwrap();
        let value = value.unwrap();
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key, &damaged).is_err(), "bit {bit}");
        }
        assert!(
            decode(b"\x02bob@example.org", &value).is_err(),
            "another's value"
        );
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert!(matches!(
            encode(&status(&"x".repeat(20_000))),
            Err(Error::Oversized(_))
        ));
    }
}
