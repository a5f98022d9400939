//! Exports: all records as lines of JSON in one file, in a stable order. The format is in `docs/store.md`.
//!
//! A file appears under its name only when it is whole and on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::embedded::Embedded;
use super::{Error, Origin, Store, directory};
use crate::component::clock::Wall;
use crate::component::line;
use crate::component::record::Change;

/// The format of exports that this version writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 1;

/// Records that are read in one go: commits go on in between.
pub(super) const PAGE_RECORDS: usize = 512;

/// How often it is looked whether the disk still has room.
const ROOM_EVERY_BYTES: u64 = 4 << 20;

/// What all names of scheduled exports begin and end with.
const NAME: (&str, &str) = ("vestibule-", ".jsonl");
/// What is behind the name while the file is being written.
const UNFINISHED: &str = "part";

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Always `export`.
    pub(super) vestibule: String,
    pub(super) format: u32,
    /// When it was begun (XEP-0082).
    pub(super) made: String,
    /// The store that it is of, 32 hexadecimal digits.
    pub(super) store: String,
    /// How many batches that store had applied.
    pub(super) batch: u64,
    pub(super) records: u64,
}

impl Header {
    /// The name of the store.
    pub(super) fn name(&self) -> Option<[u8; 16]> {
        let digits = Some(&self.store).filter(|name| name.len() == 32 && name.is_ascii())?;
        u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
    }
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// Always `export`.
    pub(super) end: String,
    pub(super) records: u64,
    /// Of all bytes before this line, 64 hexadecimal digits.
    pub(super) sha256: String,
}

/// An export that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// How many records are in it.
    pub records: u64,
    /// When it was begun.
    pub made: Wall,
}

/// Where exports go, and how many of them stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory; made if it is missing.
    pub directory: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// Bytes that stay free on its disk.
    pub min_free: u64,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The file could not be written.
    #[error("the export {path:?} cannot be written: {reason}")]
    Unwritable {
        /// The file or its directory.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The disk would have less room than is to stay free.
    #[error(
        "the export {path:?} is given up: its disk has {free} bytes left, and {wanted} are needed: \
         store.min-free, and what is written until it is looked again"
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Bytes that are left.
        free: u64,
        /// Bytes that are needed.
        wanted: u64,
    },
    /// Vestibule ends, or the store has failed for good.
    #[error("the export is given up: the store is being closed")]
    Closed,
}

/// A part of an export on its way from the store to the file.
#[derive(Debug)]
pub(super) enum Page {
    /// The next records.
    Records(Vec<Change>),
    /// The last ones; all of them were right.
    Last(Vec<Change>),
    /// The store could not be read.
    Failed(Error),
}

/// Writes what the store hands over into a new file of `place`, in a thread of its own; the oldest files
/// give way.
pub(super) fn receive(
    place: &Place,
    origin: Origin,
    made: Wall,
    pages: &Receiver<Page>,
) -> Result<Exported, Failure> {
    let unwritable = |reason| Failure::Unwritable {
        path: place.directory.clone(),
        reason,
    };
    if !place.directory.is_dir() {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&place.directory);
        made.map_err(unwritable)?;
    }
    discard_unfinished(&place.directory).map_err(unwritable)?;
    let named = behind_all(&place.directory, made).map_err(unwritable)?;
    let path = place.directory.join(file_name(named));
    let mut draft = Draft::create(&path, origin, made, place.min_free)?;
    loop {
        match pages.recv() {
            Ok(Page::Records(records)) => draft.add(&records)?,
            Ok(Page::Last(records)) => {
                draft.add(&records)?;
                break;
            }
            Ok(Page::Failed(error)) => return Err(error.into()),
            Err(_) => return Err(Failure::Closed),
        }
    }
    let exported = draft.finish()?;
    if let Err(error) = prune(&place.directory, place.keep) {
        tracing::warn!("older exports in {:?} stay: {error}", place.directory);
    }
    Ok(exported)
}

/// Exports a store that nobody else has open.
///
/// # Errors
///
/// Where the store cannot be read, or the file not written; then there is no file.
pub fn export(store: &mut Embedded, to: &Path, made: Wall) -> Result<Exported, Failure> {
    let origin = store.begin_export()?;
    let mut draft = Draft::create(to, origin, made, 0)?;
    loop {
        let mut records = Vec::with_capacity(PAGE_RECORDS);
        let last = store.go_on_export(PAGE_RECORDS, &mut |record| records.push(record))?;
        draft.add(&records)?;
        if last {
            return draft.finish();
        }
    }
}

/// The name of an export in its directory: names sort as their times do.
fn file_name(made: Wall) -> String {
    let time = made.to_string().replace([':', '-'], "");
    format!("{}{time}{}", NAME.0, NAME.1)
}

fn time_of(name: &str) -> Option<Wall> {
    let time = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let part = |range| time.get(range).unwrap_or_default();
    let time = format!(
        "{}-{}-{}{}:{}:{}",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..11),
        part(11..13),
        part(13..time.len().max(13)),
    );
    Wall::parse(&time)
}

/// The time that an export begun at `made` is named after: behind all that are there, so that none takes
/// another's place and the one that was made last sorts last, also where the clock has been set back.
fn behind_all(directory: &Path, made: Wall) -> io::Result<Wall> {
    let newest = all(directory)?.pop();
    Ok(newest.map_or(made, |(newest, _)| made.max(newest.plus_s(1))))
}

/// The exports in a directory, the oldest first.
fn all(directory: &Path) -> io::Result<Vec<(Wall, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(time) = name.and_then(time_of) {
            found.push((time, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The time in the name of the newest export in a directory; `None` where there is none.
#[must_use]
pub fn newest(directory: &Path) -> Option<Wall> {
    all(directory).ok()?.last().map(|(time, _)| *time)
}

fn prune(directory: &Path, keep: usize) -> io::Result<()> {
    let all = all(directory)?;
    let surplus = all.len().saturating_sub(keep);
    all[..surplus]
        .iter()
        .try_for_each(|(_, path)| fs::remove_file(path))
}

/// Removes what an interrupted export has left.
fn discard_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_unfinished = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(UNFINISHED)?.strip_suffix('.'))
            .is_some_and(|name| time_of(name).is_some());
        if is_unfinished {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A file that is being written; without [`Self::finish`] it goes.
struct Draft {
    file: Option<BufWriter<File>>,
    draft: PathBuf,
    exported: Exported,
    hash: Sha256,
    min_free: u64,
    /// Bytes since the room was looked at.
    unchecked: u64,
}

impl Draft {
    fn create(path: &Path, origin: Origin, made: Wall, min_free: u64) -> Result<Self, Failure> {
        let unwritable = |reason| Failure::Unwritable {
            path: path.to_owned(),
            reason,
        };
        if path.exists() && !path.is_file() {
            return Err(unwritable(io::Error::other("something else is there")));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{UNFINISHED}"));
        let draft = PathBuf::from(draft);
        // What users told us in confidence.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(unwritable)?;
        let mut this = Self {
            file: Some(BufWriter::new(file)),
            draft,
            exported: Exported {
                path: path.to_owned(),
                records: 0,
                made,
            },
            hash: Sha256::new(),
            min_free,
            unchecked: ROOM_EVERY_BYTES,
        };
        let header = Header {
            vestibule: "export".into(),
            format: FORMAT,
            made: made.to_string(),
            store: hex(&origin.store),
            batch: origin.batch,
            records: origin.records,
        };
        this.line(&json(&header))?;
        Ok(this)
    }

    fn add(&mut self, records: &[Change]) -> Result<(), Failure> {
        for record in records {
            if let Some(line) = line::write(record) {
                self.exported.records += 1;
                self.line(&line)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.room()?;
        self.hash.update(line);
        self.hash.update("\n");
        self.unchecked += line.len() as u64 + 1;
        match &mut self.file {
            Some(file) => writeln!(file, "{line}").map_err(|reason| self.unwritable(reason)),
            None => Ok(()),
        }
    }

    /// An export must not be what makes the store read-only.
    fn room(&mut self) -> Result<(), Failure> {
        if self.min_free == 0 || self.unchecked < ROOM_EVERY_BYTES {
            return Ok(());
        }
        self.unchecked = 0;
        let free = fs2::available_space(&self.draft).map_err(|error| self.unwritable(error))?;
        let wanted = self.min_free.saturating_add(ROOM_EVERY_BYTES);
        if free < wanted {
            return Err(Failure::NoRoom {
                path: self.exported.path.clone(),
                free,
                wanted,
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Exported, Failure> {
        let end = End {
            end: "export".into(),
            records: self.exported.records,
            sha256: hex(&self.hash.clone().finalize()),
        };
        self.line(&json(&end))?;
        self.publish().map_err(|reason| self.unwritable(reason))?;
        Ok(self.exported.clone())
    }

    fn publish(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()?;
        }
        let path = &self.exported.path;
        fs::rename(&self.draft, path)?;
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => directory::sync(parent),
            _ => directory::sync(Path::new(".")),
        }
    }

    fn unwritable(&self, reason: io::Error) -> Failure {
        Failure::Unwritable {
            path: self.exported.path.clone(),
            reason,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.draft.exists() {
            let _ = fs::remove_file(&self.draft);
        }
    }
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("text and numbers are what JSON can say")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
