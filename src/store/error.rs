//! Why the store cannot be used, with what the operator can do about it.

use std::io;
use std::path::PathBuf;

use super::codec;

/// Why the store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("the store at {path} is in use by another process; only one may run on it")]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// The folder cannot be made, read or written.
    #[error("the store at {path} cannot be opened: {source}; check owner and permissions")]
    Access {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the store at {path} is open to others (mode {mode:03o}); run: chmod 700 {path}")]
    Exposed {
        /// Where.
        path: PathBuf,
        /// The permissions it has.
        mode: u32,
    },
    /// It is not what was last written.
    #[error(
        "the store at {path} is damaged: {what}; nothing has been changed. Move the folder aside and \
         restore it from a backup of the whole folder, or start with an empty one"
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A newer version has written it.
    #[error("the store at {path} cannot be read: {what}; run the newer version")]
    TooNew {
        /// Where.
        path: PathBuf,
        /// What is too new.
        what: String,
    },
    /// There is too little room on the disk.
    #[error(
        "the store at {path} is read-only: {free} bytes are free, fewer than store.min-free ({min})"
    )]
    ReadOnly {
        /// Where.
        path: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that must be free.
        min: u64,
    },
    /// A write failed; it is tried again once the store could be reopened.
    #[error("the store at {path} cannot be written: {what}")]
    Broken {
        /// Where.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
    /// A record that cannot be written.
    #[error(transparent)]
    Record(#[from] codec::Error),
}
