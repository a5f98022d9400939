//! Import of an export into an empty store: everything is checked before anything is written, and the
//! store exists only when all of it is on the disk.
//!
//! What has been taken away since the export was made does not come back by it, unless the operator says
//! so. Whether anything has is known where she names the store that it is of; otherwise what comes back
//! gives nobody more than a user gives who has just joined (`docs/design/0005-export.md`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::embedded::{Embedded, draw_name, named};
use super::engine::{Engine, Fault, Writes};
use super::erased::Left;
use super::mark::Mark;
use super::proof::Proof;
use super::{Error, Store, codec};
use crate::component::authorization::Visibility;
use crate::component::clock::Wall;
use crate::component::record::Change;
use lines::Lines;
use outcome::used_up;
pub use outcome::{Imported, Whole};
use since::Since;

/// Records in one write.
const WRITE_RECORDS: usize = 1000;

/// What is to be imported, and how.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// The export.
    pub file: &'a Path,
    /// The directory of the new store.
    pub store: &'a Path,
    /// Bytes that stay free on its disk.
    pub min_free: u64,
    /// The widest visibility that comes back without proof: that of a user who has just joined.
    pub default_visibility: Visibility,
    /// The directory of the store that the export is of, as it was last: it knows who has left since, and
    /// whether anything was taken away.
    pub since: Option<&'a Path>,
    /// The present moment: contacts that must be approved again ask from now on.
    pub now: Wall,
    /// The operator's word that all users of the export come back where it is not known who has left.
    pub all_users: bool,
    /// The operator's word that everything comes back as it was.
    pub revive: bool,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file cannot be read.
    #[error("the export {path:?} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The file is not what an export is.
    #[error("the export {path:?} is refused, and nothing was imported: line {line}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It is not known who has left since, and so the operator must say whether they come back.
    #[error(
        "the export {path:?} is not imported: who has left since it was made is not known, for {why}; name \
         the directory of the store that it is of with --since, even a damaged one, or take all its \
         users back with --all-users"
    )]
    WhoHasLeft {
        /// The file.
        path: PathBuf,
        /// Why that is not known.
        why: String,
    },
    /// The store could not be made.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Imports.
///
/// # Errors
///
/// Where anything is wrong; then nothing has been imported.
pub fn import(what: &Import<'_>) -> Result<Imported, Failure> {
    let (header, hash) = Lines::open(what.file)?.read(&mut |_, _, _| Ok(()))?;
    let mut imported = Imported {
        records: header.records,
        made: header.made.clone(),
        ..Imported::default()
    };
    let mut left = None;
    if what.revive {
        imported.whole = Some(Whole::Told);
    } else {
        let since = Since::of(what, &header)?;
        imported.why = since.why;
        if since.nothing {
            // Then nobody has left.
            imported.whole = Some(Whole::Proven);
        } else {
            imported.left = since.left.as_ref().map(|_| 0);
            left = since.left;
        }
    }
    if imported.whole.is_none() && left.is_none() && !what.all_users && header.records > 0 {
        let (path, why) = (what.file.to_owned(), imported.why);
        return Err(Failure::WhoHasLeft { path, why });
    }
    let mut directory = claim(what)?;
    let written = write(what, &mut directory, hash, left.as_ref(), &mut imported);
    if written.is_err() {
        // Without a proof the rest is no store; it only takes room.
        let _ = fs::remove_dir_all(directory.path().join("sled"));
    }
    written.map(|()| imported)
}

/// Takes a directory in which there is no store, or an empty one, which goes.
fn claim(what: &Import<'_>) -> Result<Directory, Error> {
    let (sled, proof) = (what.store.join("sled"), what.store.join("proof"));
    if sled.exists() || proof.exists() {
        let records = Embedded::open(what.store, 0)?.begin_export()?.records;
        if records > 0 {
            let path = what.store.to_owned();
            return Err(Error::NotEmpty { path, records });
        }
    }
    let directory = Directory::claim(what.store, what.min_free)?;
    let gone = || -> io::Result<()> {
        // First the sled that no proof speaks for any more, then the proof: in between it is damaged.
        if sled.exists() {
            fs::remove_dir_all(&sled)?;
        }
        if proof.exists() {
            fs::remove_file(&proof)?;
        }
        super::directory::sync(what.store)
    };
    gone().map_err(|error| named(&directory, error.into()))?;
    Ok(directory)
}

fn write(
    what: &Import<'_>,
    directory: &mut Directory,
    hash: [u8; 32],
    left: Option<&Left>,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let fault = |directory: &Directory, fault: Fault| Failure::Store(named(directory, fault));
    directory.room()?;
    let name = draw_name().map_err(|error| fault(directory, error.into()))?;
    let sled = directory.path().join("sled");
    let mut engine = Engine::open(&sled).map_err(|one| fault(directory, one))?;
    let mut mark = Mark::of_new(name);
    let mut writes = Writes::new();
    let mut flush = |mark: &mut Mark, writes: &mut Writes| -> Result<(), Failure> {
        directory.room()?;
        mark.seq += 1;
        engine
            .write(writes, *mark)
            .map_err(|one| fault(directory, one))?;
        writes.clear();
        Ok(())
    };
    let (_, again) = Lines::open(what.file)?.read(&mut |change, key, value| {
        let (key, value) = match imported.whole {
            Some(Whole::Told) => (key, value),
            // Its uses since then are not known: nobody may have more of them than she gave.
            Some(Whole::Proven) => match codec::encode(&used_up(change))? {
                (key, Some(value)) => (key, value),
                (_, None) => return Ok(()),
            },
            None if left.is_some_and(|left| left.has(&change)) => {
                let gone = u64::from(matches!(change, Change::Profile { .. }));
                imported.left = imported.left.map(|left| left + gone);
                return Ok(());
            }
            None => match imported.without_proof(change, what) {
                None => return Ok(()),
                Some(change) => match codec::encode(&change)? {
                    (key, Some(value)) => (key, value),
                    (_, None) => return Ok(()),
                },
            },
        };
        mark.sum.add(&key, &value);
        writes.insert(key, Some(value));
        match writes.len() {
            WRITE_RECORDS => flush(&mut mark, &mut writes),
            _ => Ok(()),
        }
    })?;
    if again != hash {
        return Err(Failure::Wrong {
            path: what.file.to_owned(),
            line: 1,
            what: "it has been changed while it was read".into(),
        });
    }
    flush(&mut mark, &mut writes)?;
    let proven = engine.sync().and_then(|()| {
        if engine.sum()? != mark.sum {
            return Err(Fault::Damaged("it is not what was just written".into()));
        }
        Ok(Proof::create(&directory.path().join("proof"), mark)?)
    });
    proven.map(drop).map_err(|one| fault(directory, one))
}

mod lines;
mod outcome;
mod since;
