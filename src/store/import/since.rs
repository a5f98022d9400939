//! What is known of what was taken away after an export was made.
//!
//! It is known from the store that the export is of: the one that the operator names, or the one that is
//! imported into. Where the export lies says nothing: what lies beside it may be a copy as old as it is.

use std::fs;
use std::io;
use std::path::Path;

use super::{Failure, Import};
use crate::component::clock::Wall;
use crate::store::Error;
use crate::store::directory;
use crate::store::erased::Left;
use crate::store::export::Header;
use crate::store::mark::Mark;
use crate::store::proof::Proof;

/// What is known.
pub(super) struct Since {
    /// Whether nothing was taken away.
    pub(super) nothing: bool,
    /// Who has left; `None` where that is not known.
    pub(super) left: Option<Left>,
    /// From where that is known, or why it is not, for the operator.
    pub(super) why: String,
}

/// A proof of the store that the export is of.
struct Proven<'a> {
    place: &'a Path,
    latest: Mark,
    /// A later write may have been acknowledged.
    spoilt: bool,
}

impl Since {
    /// What is known where there is no word of the operator that it does not matter.
    pub(super) fn of(what: &Import<'_>, header: &Header) -> Result<Self, Failure> {
        let (mut why, mut newest) = ("no store was named that it is of".to_owned(), None);
        if let Some(since) = what.since {
            if !since.is_dir() {
                let (path, reason) = (since.to_owned(), io::ErrorKind::NotFound.into());
                return Err(Error::Unusable { path, reason }.into());
            }
            // Nobody may be taking anything away there at this moment.
            let _unused = directory::lock(since)?;
            newest = proven(since, header)
                .map_err(|reason| why = format!("{since:?} {reason}"))
                .ok();
        }
        // Its own word counts even where an older copy of it was named.
        if let Ok(own) = proven(what.store, header)
            && newest
                .as_ref()
                .is_none_or(|newest| newest.latest.seq < own.latest.seq)
        {
            newest = Some(own);
        }
        Ok(match newest {
            Some(newest) => newest.since(header.batch),
            None => Self {
                nothing: false,
                left: None,
                why,
            },
        })
    }
}

/// The proof at `place`, if it is of the store that the export is of.
fn proven<'a>(place: &'a Path, header: &Header) -> Result<Proven<'a>, &'static str> {
    let (latest, spoilt) =
        Proof::read(&place.join("proof")).map_err(|_| "has no proof that can be read")?;
    match header.name() {
        Some(name) if name == latest.store => Ok(Proven {
            place,
            latest,
            spoilt,
        }),
        _ => Err("is another store"),
    }
}

impl Proven<'_> {
    fn since(&self, batch: u64) -> Since {
        let Self { place, latest, .. } = self;
        // Also where only one half of it can be read: an export writes the proof before it begins.
        if latest.seq < batch {
            return Since {
                nothing: false,
                left: None,
                why: format!("{place:?} is a copy from before the export"),
            };
        }
        let nothing = !self.spoilt && latest.taken_away <= batch;
        let left = Left::after(place, *latest, self.spoilt, batch);
        let why = match (nothing, &left) {
            (true, _) => format!(
                "the proof in {place:?}{} says that nothing was taken away since",
                written(place)
            ),
            (false, None) => format!(
                "the list of who has left in {place:?} is missing, damaged, or begins after the export"
            ),
            (false, Some(_)) if self.spoilt => {
                format!("a part of the proof in {place:?} cannot be read")
            }
            (false, Some(_)) => format!(
                "the proof in {place:?}{} says that something was taken away",
                written(place)
            ),
        };
        Since { nothing, left, why }
    }
}

/// When a proof was written last, by which an operator knows an old copy.
fn written(place: &Path) -> String {
    let modified = fs::metadata(place.join("proof")).and_then(|proof| proof.modified());
    let age = modified.map(|at| at.duration_since(std::time::UNIX_EPOCH));
    match age {
        Ok(Ok(age)) => format!(", written last at {},", Wall(age.as_secs() as i64 * 1000)),
        _ => String::new(),
    }
}
