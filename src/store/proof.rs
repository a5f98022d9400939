//! The store's proof of itself, beside sled: after damage sled can come back silently older.
//!
//! A file of two slots written in turn, so that a torn write leaves the other one whole. Each holds
//! the mark of a commit: how many there have been, how many records there are, and their digest. It is
//! synced after sled and before the acknowledgement, so sled is never behind it unless it is damaged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A slot is one disk sector.
const SLOT: u64 = 512;

/// What one commit left behind. It is part of that commit in sled, and stands in the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Names this store: a proof beside another store's records proves nothing.
    pub(super) uuid: String,
    /// How many commits there have been.
    pub(super) seq: u64,
    /// How many records there are.
    pub(super) count: u64,
    /// Sum of the records' hashes modulo 2^128: independent of order, so it is kept up with each
    /// change. It guards against damage, not against an adversary with access to the disk.
    pub(super) digest: u128,
}

/// The hash of one record, as it is added to [`Mark::digest`].
pub(super) fn hash(key: &[u8], value: &[u8]) -> u128 {
    let digest = Sha256::new()
        .chain_update((key.len() as u64).to_be_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(half)
}

/// The open proof.
#[derive(Debug)]
pub(super) struct Proof {
    file: File,
    next: u64,
}

impl Proof {
    /// Opens or creates the file; the mark is that of the latest whole slot.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Mark>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let slots = [read(&file, 0)?, read(&file, 1)?];
        let seq = |slot: &Option<Mark>| slot.as_ref().map(|mark| mark.seq);
        let latest = if seq(&slots[0]) >= seq(&slots[1]) {
            0
        } else {
            1
        };
        let [first, second] = slots;
        let mark = if latest == 0 { first } else { second };
        let next = if mark.is_some() { 1 - latest } else { 0 };
        Ok((Self { file, next }, mark))
    }

    /// Writes a mark over the older slot, synced when this returns.
    pub(super) fn write(&mut self, mark: &Mark) -> io::Result<()> {
        let body = serde_json::to_vec(mark)?;
        let mut slot = [0_u8; SLOT as usize];
        let end = 8 + body.len();
        let (Ok(length), Some(room)) = (u32::try_from(body.len()), slot.get_mut(8..end)) else {
            return Err(io::Error::other("a mark does not fit its slot"));
        };
        room.copy_from_slice(&body);
        slot[4..8].copy_from_slice(&length.to_be_bytes());
        let sum = crc32fast::hash(&slot[4..]);
        slot[..4].copy_from_slice(&sum.to_be_bytes());
        self.file.write_all_at(&slot, self.next * SLOT)?;
        self.file.sync_data()?;
        self.next = 1 - self.next;
        Ok(())
    }
}

fn read(file: &File, slot: u64) -> io::Result<Option<Mark>> {
    let mut bytes = [0_u8; SLOT as usize];
    match file.read_exact_at(&mut bytes, slot * SLOT) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let word =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let body = bytes.get(8..8 + word(4) as usize);
    Ok(body
        .filter(|_| word(0) == crc32fast::hash(&bytes[4..]))
        .and_then(|body| serde_json::from_slice(body).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        Mark {
            uuid: "u".into(),
            seq,
            count: seq,
            digest: u128::MAX,
        }
    }

    #[test]
    fn the_latest_mark_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof");
        let (mut proof, none) = Proof::open(&path).unwrap();
        assert_eq!(none, None);
        for seq in 1..6 {
            proof.write(&mark(seq)).unwrap();
            assert_eq!(Proof::open(&path).unwrap().1, Some(mark(seq)));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof");
        let (mut proof, _) = Proof::open(&path).unwrap();
        proof.write(&mark(1)).unwrap();
        proof.write(&mark(2)).unwrap();
        proof.file.write_all_at(&[0; 100], SLOT + 20).unwrap();
        assert_eq!(Proof::open(&path).unwrap().1, Some(mark(1)));
    }
}
