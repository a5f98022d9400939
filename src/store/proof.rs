//! The small file beside sled that says what the store must amount to.
//!
//! The [`Mark`] that each batch carries is written here too, and synced before the batch is acknowledged.
//! Where sled is behind the proof something is lost; where it is ahead, the crash came between the two.
//!
//! The file has two slots, 4 KiB apart, written in turns, so that an interrupted write spoils the older
//! one only, and it keeps its size, so that a full disk does not stop it. That costs one sync; a new
//! file and a rename cost two and four times the time.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::directory;
use super::mark::{MARK_BYTES, Mark, NoMark};

/// A sector or page that is lost must not take both slots.
const SLOT_BYTES: usize = 4096;

/// Bytes of a slot that a mark of this or a later format may take.
const SLOT_USED_BYTES: usize = 256;

/// Why there is no proof.
#[derive(Debug)]
pub(super) enum NoProof {
    /// There is no such file.
    Absent,
    /// It is not what was written.
    Damaged(String),
    /// A later version wrote it.
    TooNew(u16),
    /// The operating system refused.
    Io(io::Error),
}

/// The file beside sled.
#[derive(Debug)]
pub(super) struct Proof {
    file: File,
    latest: Mark,
    slot: u8,
    // One slot could not be read: fine only if a write to it was interrupted.
    spoilt: bool,
}

impl Proof {
    /// Makes the proof of a new store that is what `latest` says, whole or not at all.
    pub(super) fn create(path: &Path, latest: Mark) -> io::Result<Self> {
        let mut bytes = [0; 2 * SLOT_BYTES];
        for slot in bytes.chunks_exact_mut(SLOT_BYTES) {
            slot[..MARK_BYTES].copy_from_slice(&latest.to_bytes());
        }
        let file = directory::place(path, &bytes)?;
        Ok(Self {
            file,
            latest,
            slot: 0,
            spoilt: false,
        })
    }

    /// Opens the proof of a store.
    pub(super) fn open(path: &Path) -> Result<Self, NoProof> {
        Self::opened(path, OpenOptions::new().read(true).write(true))
    }

    /// What a proof says last, and whether a later write may have been acknowledged; also on a disk that
    /// cannot be written.
    pub(super) fn read(path: &Path) -> Result<(Mark, bool), NoProof> {
        let proof = Self::opened(path, OpenOptions::new().read(true))?;
        Ok((proof.latest, proof.spoilt))
    }

    fn opened(path: &Path, how: &OpenOptions) -> Result<Self, NoProof> {
        let file = match how.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(NoProof::Absent),
            opened => opened.map_err(NoProof::Io)?,
        };
        let mut bytes = [0; 2 * SLOT_BYTES];
        let mut length = 0;
        while length < bytes.len() {
            match file.read_at(&mut bytes[length..], length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(NoProof::Io(error)),
            }
        }
        let slots = [0, SLOT_BYTES].map(|at| Mark::from_bytes(&bytes[at..at + SLOT_USED_BYTES]));
        for slot in slots {
            if let Err(NoMark::TooNew(format)) = slot {
                return Err(NoProof::TooNew(format));
            }
        }
        let (latest, slot) = match slots {
            [Ok(first), Ok(second)] if first.store != second.store => {
                return Err(NoProof::Damaged("its proof is of two stores".into()));
            }
            [Ok(first), Ok(second)] if first.seq == second.seq && first != second => {
                return Err(NoProof::Damaged("its proof contradicts itself".into()));
            }
            [Ok(first), Ok(second)] if second.seq > first.seq => (second, 1),
            [Ok(first), _] => (first, 0),
            [Err(_), Ok(second)] => (second, 1),
            [Err(_), Err(_)] => {
                return Err(NoProof::Damaged("its proof cannot be read".into()));
            }
        };
        Ok(Self {
            file,
            latest,
            slot,
            spoilt: slots.iter().any(Result::is_err),
        })
    }

    /// What was last acknowledged.
    pub(super) fn latest(&self) -> Mark {
        self.latest
    }

    /// Whether it says `mark`, in a way that survives power loss and the loss of nothing else.
    pub(super) fn says(&self, mark: Mark) -> bool {
        self.latest == mark && !self.spoilt
    }

    /// Writes `mark` in place of the older one; it is on the disk when this returns.
    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        let slot = 1 - self.slot;
        self.file
            .write_all_at(&mark.to_bytes(), u64::from(slot) * SLOT_BYTES as u64)?;
        self.file.sync_data()?;
        self.latest = mark;
        self.slot = slot;
        self.spoilt = false;
        Ok(())
    }

    /// Compares with what sled came up with; the error says what is wrong.
    pub(super) fn compare(&self, found: Option<Mark>) -> Result<(), String> {
        let proven = self.latest;
        let Some(found) = found else {
            return match proven.seq {
                // The store was being made when the process ended.
                0 => Ok(()),
                _ => Err(format!(
                    "its records are gone, and there were {}",
                    proven.sum.count
                )),
            };
        };
        if found.store != proven.store {
            return Err("its records and its proof belong to different stores".into());
        }
        if found.seq < proven.seq {
            return Err(format!(
                "its records are older than what was acknowledged (batch {} of {})",
                found.seq, proven.seq
            ));
        }
        if found.seq == proven.seq && found != proven {
            return Err(format!(
                "its records are not those that were acknowledged with batch {}",
                found.seq
            ));
        }
        // A slot is written only after sled has synced a later batch.
        if found.seq == proven.seq && self.spoilt {
            return Err("a part of its proof cannot be read".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::mark::Sum;
    use super::*;

    fn mark(seq: u64) -> Mark {
        let mut sum = Sum::default();
        for n in 0..seq {
            sum.add(&n.to_be_bytes(), b"value");
        }
        Mark {
            store: [7; 16],
            seq,
            taken_away: seq,
            left: 0,
            sum,
        }
    }

    #[test]
    fn the_latest_of_two_slots_counts_and_a_spoilt_one_must_be_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof");
        assert!(matches!(Proof::open(&path), Err(NoProof::Absent)));
        let mut proof = Proof::create(&path, Mark::of_new([7; 16])).unwrap();
        for seq in 1..=5 {
            proof.write(mark(seq)).unwrap();
            let read = Proof::open(&path).unwrap();
            assert_eq!(read.latest(), mark(seq));
            assert!(read.says(mark(seq)) && read.compare(Some(mark(seq))).is_ok());
        }
        let intact = fs::read(&path).unwrap();

        // Batch 5 is in slot 1. A write to slot 0 may have been interrupted, if sled has batch 6.
        let mut spoilt = intact.clone();
        spoilt[40] ^= 1;
        fs::write(&path, &spoilt).unwrap();
        let read = Proof::open(&path).unwrap();
        assert_eq!(read.latest(), mark(5));
        assert!(read.compare(Some(mark(5))).is_err());
        assert!(read.compare(Some(mark(6))).is_ok());

        // The same for slot 1: then sled must be ahead of batch 4.
        let mut spoilt = intact.clone();
        spoilt[SLOT_BYTES + 40] ^= 1;
        fs::write(&path, &spoilt).unwrap();
        let mut read = Proof::open(&path).unwrap();
        assert!(read.compare(Some(mark(4))).is_err());
        assert!(read.compare(Some(mark(5))).is_ok());
        assert!(!read.says(mark(4)));
        read.write(mark(5)).unwrap();
        assert!(Proof::open(&path).unwrap().says(mark(5)));

        for length in [0, 10, 67, SLOT_BYTES] {
            fs::write(&path, &intact[..length]).unwrap();
            let refused = match Proof::open(&path) {
                Err(NoProof::Damaged(_)) => true,
                Ok(read) => read.compare(Some(read.latest())).is_err(),
                Err(_) => false,
            };
            assert!(refused, "{length}");
        }
    }

    #[test]
    fn what_is_behind_or_foreign_is_named_and_what_is_ahead_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let mut proof = Proof::create(&folder.path().join("proof"), Mark::of_new([7; 16])).unwrap();
        assert!(proof.compare(None).is_ok());
        proof.write(mark(3)).unwrap();
        let other = Mark {
            store: [8; 16],
            ..mark(4)
        };
        let changed = Mark {
            sum: mark(2).sum,
            ..mark(3)
        };
        for (found, word) in [
            (None, "gone"),
            (Some(mark(2)), "older"),
            (Some(other), "different stores"),
            (Some(changed), "not those"),
        ] {
            let what = proof.compare(found).unwrap_err();
            assert!(what.contains(word), "{what}");
        }
        assert!(proof.compare(Some(mark(4))).is_ok());
    }
}
