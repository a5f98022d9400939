//! The durable record of the working state.
//!
//! The interface is narrow on purpose: load everything, apply a batch durably. All reading at run
//! time is from memory (`component::state`). What is stored, how, and why: `docs/design/0002-store.md`.

mod codec;
pub mod committer;
mod directory;
pub mod embedded;
mod engine;
mod erased;
pub mod export;
pub mod import;
mod isolation;
mod mark;
mod proof;
#[cfg(test)]
pub(crate) mod samples;
mod snapshot;
mod taken;

use std::io;
use std::path::PathBuf;

use crate::component::record::Change;

/// What a store must be able to do. Calls block; only the committer's thread makes them.
pub trait Store: Send + 'static {
    /// Hands every record to `each`, as the change that would put it.
    ///
    /// What was handed over counts only if this returns `Ok`: the sums over all records are known to be
    /// right at the end alone.
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error>;

    /// Applies `batch` in order, all or nothing; when it returns `Ok` with [`Durability::Synced`], all
    /// of it, and all that was applied before, survives power loss. A batch with a record that is too
    /// large is refused before anything else happens.
    ///
    /// With the profile of a user every record goes whose key begins with her, named in the batch or not.
    ///
    /// An empty batch with [`Durability::Synced`] makes durable what was written behind.
    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error>;

    /// Whether a change could be written now; opens a broken store anew where that has become possible.
    fn check(&mut self) -> Result<(), Error> {
        self.apply(&[], Durability::Synced)
    }

    /// Begins to read all records as they are now, for an export; one under way is given up.
    fn begin_export(&mut self) -> Result<Origin, Error> {
        Err(no_export())
    }

    /// Hands over the next of those records, about `most`; `true` where they were the last, and all
    /// of them are what was acknowledged. Changes may be applied in between.
    fn go_on_export(&mut self, most: usize, each: &mut dyn FnMut(Change)) -> Result<bool, Error> {
        let _ = (most, each);
        Err(no_export())
    }
}

/// What a store says that has none.
fn no_export() -> Error {
    Error::NoExport {
        path: PathBuf::new(),
        what: "this kind of store has no exports".into(),
    }
}

/// What an export is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The store's own name, drawn when it was made.
    pub store: [u8; 16],
    /// How many batches had been applied.
    pub batch: u64,
    /// How many records there were.
    pub records: u64,
}

/// How far a batch must have come before `apply` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk.
    Synced,
    /// Written behind: it may be lost in a crash, and costs no sync of its own.
    Behind,
}

/// Why the store cannot be used, or not now. What each says is meant for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process, or another part of this one, has it open.
    #[error("the store {path:?} is in use by another process; stop that one first")]
    Locked {
        /// The directory of the store.
        path: PathBuf,
    },

    /// The directory gives others access to what users told us in confidence.
    #[error(
        "others may enter the store {path:?} (its mode is {mode:04o}); take their access away with \
         chmod 0700"
    )]
    Exposed {
        /// The directory of the store.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The operating system refused to create, read or write it.
    #[error(
        "the store {path:?} cannot be read and written: {reason}; it must be a directory of the user \
         that runs Vestibule, on a disk that can be written"
    )]
    Unusable {
        /// The directory or file that was refused.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },

    /// What is on the disk is not what was acknowledged.
    #[error(
        "the store {path:?} is damaged: {what}; nothing was served, left out or restored. Look at its disk; \
         then move the whole directory away, and put back a copy that was made while Vestibule was \
         stopped, or make a new store from the newest export: vestibule import --since \
         WHERE-IT-IS-NOW EXPORT (docs/store.md, Damage)"
    )]
    Damaged {
        /// The directory of the store.
        path: PathBuf,
        /// What is wrong, with the name of the record or file.
        what: String,
    },

    /// A later version of Vestibule wrote it.
    #[error(
        "the store {path:?} was written by a newer Vestibule: {what}; run that version, or put back \
         the backup from before the upgrade"
    )]
    TooNew {
        /// The directory of the store.
        path: PathBuf,
        /// What this version cannot read.
        what: String,
    },

    /// There is less room than the operator wants to keep.
    #[error(
        "the store {path:?} is read-only: its disk has {free} bytes left, and store.min-free keeps \
         {min_free}; free {lacking} bytes or more on it, then it goes on by itself"
    )]
    ReadOnly {
        /// The directory of the store.
        path: PathBuf,
        /// Bytes that are left.
        free: u64,
        /// Bytes that must be left.
        min_free: u64,
        /// Bytes until it goes on.
        lacking: u64,
    },

    /// There is no room for what a start on a full disk needs; without it nothing is written.
    #[error(
        "the store {path:?} is read-only: its disk has {free} bytes left, too few for the reserve that a \
         start on a full disk needs; free {lacking} bytes or more on it, then it goes on by itself"
    )]
    NoReserve {
        /// The directory of the store.
        path: PathBuf,
        /// Bytes that are left.
        free: u64,
        /// Bytes until it goes on.
        lacking: u64,
    },

    /// The disk, or a quota, was exhausted in the middle of a write.
    #[error(
        "the store {path:?} is read-only: its disk is full, or the quota or the number of files on it is \
         used up (df, quota, df -i); free some, then it goes on by itself"
    )]
    Full {
        /// The directory of the store.
        path: PathBuf,
    },

    /// A write failed for another reason; nothing is written until the store was opened anew.
    #[error(
        "the store {path:?} is read-only since a write failed: {what}; it is opened anew every \
         second and goes on once that succeeds; look at its disk"
    )]
    Broken {
        /// The directory of the store.
        path: PathBuf,
        /// The failure.
        what: String,
    },

    /// What was being exported cannot be read on.
    #[error("the export of the store {path:?} is given up: {what}")]
    NoExport {
        /// The directory of the store.
        path: PathBuf,
        /// Why.
        what: String,
    },

    /// It is not empty, and shall be imported into.
    #[error(
        "the store {path:?} has {records} records; an export is imported into an empty one: move this \
         one away first"
    )]
    NotEmpty {
        /// The directory of the store.
        path: PathBuf,
        /// How many.
        records: u64,
    },

    /// One record is larger than any store takes: a fault of that batch alone.
    #[error("the {record} has {bytes} bytes, and the store takes at most {limit}")]
    TooLarge {
        /// The name of the record.
        record: String,
        /// Its size, or that of its key.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}
