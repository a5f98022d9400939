//! Import of an export into an empty store: everything is checked before anything is written, and the
//! store exists only when all of it is on the disk.
//!
//! What has been taken away since the export was made does not come back by it. Whether anything has is
//! known where the proof of the store that it is of is at hand; otherwise what comes back gives
//! nobody more than a user gives who has just joined (`docs/design/0005-export.md`).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::embedded::{Embedded, draw_name, named};
use super::engine::{Engine, Fault, Writes};
use super::erased::Left;
use super::export::{Header, hex};
use super::mark::Mark;
use super::proof::Proof;
use super::{Error, Store, codec};
use crate::component::authorization::Visibility;
use crate::component::clock::Wall;
use crate::component::record::{Change, Profile, Subscription, SubscriptionState, Token};
use lines::Lines;

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
    /// The directory of the store that the export is of, whose proof may say that nothing has been
    /// taken away since.
    pub since: Option<&'a Path>,
    /// The present moment: contacts that must be approved again ask from now on.
    pub now: Wall,
    /// The operator's word that all users of the export come back where it is not known who has left.
    pub all_users: bool,
    /// The operator's word that everything comes back as it was.
    pub revive: bool,
}

/// What has been imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records of the export.
    pub records: u64,
    /// When the export was made, as it says.
    pub made: String,
    /// Why everything came back as it was; `None` where it did not.
    pub whole: Option<Whole>,
    /// Users who have left since, and were left out.
    pub left: u64,
    /// Grants that were left out.
    pub grants: u64,
    /// Tokens that were left out.
    pub tokens: u64,
    /// Approved subscriptions that wait for the user's word again.
    pub approvals: u64,
    /// Approvals in advance that were left out.
    pub preapprovals: u64,
    /// Users whose visibility was wider than the default.
    pub visibilities: u64,
}

/// Why an import may give everything back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The operator has said so.
    Told,
    /// The proof of the store that it is of says that nothing has been taken away since.
    Proven,
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
        "the export {path:?} is not imported: who has left since it was made is not known; name the \
         directory of the store that it is of with --since, even a damaged one, or take all its users \
         back with --all-users"
    )]
    WhoHasLeft {
        /// The file.
        path: PathBuf,
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
        whole: match what.since {
            _ if what.revive => Some(Whole::Told),
            Some(since) if is_current(&header, since)? => Some(Whole::Proven),
            _ => None,
        },
        ..Imported::default()
    };
    // Where nothing was taken away nobody has left.
    let left = match imported.whole {
        Some(_) => None,
        None => who_left(what, &header),
    };
    if imported.whole.is_none() && left.is_none() && !what.all_users && header.records > 0 {
        let path = what.file.to_owned();
        return Err(Failure::WhoHasLeft { path });
    }
    let mut directory = claim(what)?;
    let written = write(what, &mut directory, hash, left.as_ref(), &mut imported);
    if written.is_err() {
        // Without a proof the rest is no store; it only takes room.
        let _ = fs::remove_dir_all(directory.path().join("sled"));
    }
    written.map(|()| imported)
}

/// Whether the proof of the store at `since` says that nothing has been taken away after the export.
fn is_current(header: &Header, since: &Path) -> Result<bool, Error> {
    if !since.is_dir() {
        return Err(Error::Unusable {
            path: since.to_owned(),
            reason: io::ErrorKind::NotFound.into(),
        });
    }
    // Nobody may be taking anything away there at this moment.
    let _unused = Directory::claim(since, 0)?;
    let Ok(proof) = Proof::open(&since.join("proof")) else {
        return Ok(false);
    };
    let latest = proof.latest();
    Ok(!proof.is_spoilt()
        && hex(&latest.store) == header.store
        && latest.taken_away <= header.batch)
}

/// Who has left after the export: as the store at `since` knows, or the one in whose directory, or in whose
/// directory of exports, the file is.
fn who_left(what: &Import<'_>, header: &Header) -> Option<Left> {
    let file = fs::canonicalize(what.file).ok();
    let above = file
        .iter()
        .flat_map(|file| file.ancestors().skip(1).take(2));
    let mut places = what.since.into_iter().chain(above);
    places.find_map(|place| Left::after(place, header.name()?, header.batch))
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
                imported.left += u64::from(matches!(change, Change::Profile { .. }));
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

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of {} are imported", self.records, self.made)?;
        match self.whole {
            Some(Whole::Proven) => write!(
                f,
                "; the proof says that nothing was taken away since, so everything is as it \
                 was, but that tokens take no new uses"
            ),
            Some(Whole::Told) => write!(
                f,
                "; everything is as it was then, also what users have taken away since"
            ),
            None => write!(
                f,
                ". Because users may have taken something away since then: {} users who have left stay away, \
                 {} grants are left out, {} tokens too, {} approved and {} pre-approved contacts must \
                 be approved again, and {} users are not seen by more than the default visibility says. \
                 Blocks are as they were then. With --revive everything would be",
                self.left,
                self.grants,
                self.tokens,
                self.approvals,
                self.preapprovals,
                self.visibilities
            ),
        }
    }
}

impl Imported {
    /// What comes back of a record of which nobody knows whether it was taken away later.
    fn without_proof(&mut self, change: Change, what: &Import<'_>) -> Option<Change> {
        let (now, widest) = (what.now, what.default_visibility);
        match change {
            Change::Grant { .. } => {
                self.grants += 1;
                None
            }
            Change::Token { .. } => {
                self.tokens += 1;
                None
            }
            Change::Subscription {
                user,
                watcher,
                value: Some(subscription),
            } => {
                let asked_again = subscription.state == SubscriptionState::Approved;
                let state = match subscription.state {
                    SubscriptionState::Preapproved => {
                        self.preapprovals += 1;
                        return None;
                    }
                    SubscriptionState::Approved => {
                        self.approvals += 1;
                        SubscriptionState::Pending
                    }
                    SubscriptionState::Pending => SubscriptionState::Pending,
                };
                Some(Change::Subscription {
                    user,
                    watcher,
                    value: Some(match asked_again {
                        // A request is as old as the import, for old ones end.
                        true => Subscription {
                            state,
                            since: now,
                            waiting: None,
                            by_grant: false,
                        },
                        false => subscription,
                    }),
                })
            }
            Change::Profile {
                user,
                value: Some(profile),
            } => {
                self.visibilities += u64::from(profile.visibility > widest);
                Some(Change::Profile {
                    user,
                    value: Some(Profile {
                        visibility: profile.visibility.min(widest),
                        ..profile
                    }),
                })
            }
            Change::Profile { value: None, .. } | Change::Subscription { value: None, .. } => None,
            Change::Status { .. }
            | Change::Block { .. }
            | Change::Execution { .. }
            | Change::Audit { .. }
            | Change::Face { .. }
            | Change::OperatorBlock { .. } => Some(change),
        }
    }
}

/// A token without uses that are left; what was redeemed with it stays. Anything else as it is.
fn used_up(change: Change) -> Change {
    match change {
        Change::Token {
            user,
            id,
            value: Some(token),
        } => Change::Token {
            user,
            id,
            value: Some(Token {
                used: token.uses,
                ..token
            }),
        },
        other => other,
    }
}

mod lines;
