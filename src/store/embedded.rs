//! The store in sled: batches, marks and the proof, and what happens after a failed write.
//!
//! `PATH/sled` is sled's own directory, `PATH/proof` what it must amount to, `PATH/reserve` the room that
//! a start needs. Nothing is restored, quarantined or skipped here: either all records are what was
//! acknowledged, or there is an error.

mod reading;

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::Path;
use std::time::{Duration, Instant};

use super::codec;
use super::directory::Directory;
use super::engine::{Engine, Fault, Writes};
use super::erased::{self, Erased};
use super::mark::Mark;
use super::proof::{NoProof, Proof};
use super::snapshot::Snapshot;
use super::taken;
use super::{Durability, Error, Origin, Store};
use crate::component::record::Change;

/// How often a store that a write has failed on is opened anew, at most.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// Room without which a full disk is not tried again: the end of sled's file, and a segment to write to.
const REOPEN_ROOM_BYTES: u64 = 1 << 20;

/// A store in an embedded database. One process has it open at a time.
pub struct Embedded {
    // Before `directory`: its lock is the last to go.
    engine: Option<Engine>,
    proof: Proof,
    erased: Erased,
    // What the records amount to, with what was written behind.
    mark: Mark,
    condition: Condition,
    // When it was last opened anew, or that was tried.
    reopened: Option<Instant>,
    exporting: Option<Snapshot>,
    directory: Directory,
}

enum Condition {
    /// Open; the records have not been looked at.
    Unread,
    /// All records are what was acknowledged.
    Sound,
    /// A write has failed: sled takes no further one until it was opened anew.
    Broken(Breakage),
}

struct Breakage {
    cause: Cause,
    // The values from before the refused batch, which may have reached the disk in spite of all.
    before: Writes,
}

enum Cause {
    Full,
    Failed(String),
    Damaged(String),
}

impl Breakage {
    /// After a failed write. Whether anything is damaged is known once sled was opened anew.
    fn of_write(fault: Fault, before: Writes) -> Self {
        let cause = match fault {
            Fault::Full => Cause::Full,
            Fault::Locked => Cause::Failed("sled has not closed its files".into()),
            Fault::Damaged(what) | Fault::TooNew(what) => Cause::Failed(what),
            Fault::Failed(error) => Cause::Failed(error.to_string()),
        };
        Self::new(cause, before)
    }

    /// After an attempt to open anew.
    fn of_reopening(fault: Fault, before: Writes) -> Self {
        match fault {
            Fault::Damaged(what) | Fault::TooNew(what) => Self::new(Cause::Damaged(what), before),
            other => Self::of_write(other, before),
        }
    }

    fn new(cause: Cause, before: Writes) -> Self {
        Self { cause, before }
    }

    fn error(&self, directory: &Directory) -> Error {
        let path = directory.path().to_owned();
        match &self.cause {
            Cause::Full => Error::Full { path },
            Cause::Failed(what) => Error::Broken {
                path,
                what: what.clone(),
            },
            Cause::Damaged(what) => Error::Damaged {
                path,
                what: what.clone(),
            },
        }
    }
}

impl Embedded {
    /// Opens the store at `path`, and makes it where there is none; below `min_free` bytes of free
    /// space it is read-only.
    ///
    /// Compares sled with the proof; the records themselves are verified by [`Store::load`], or by the
    /// first `apply`.
    ///
    /// # Errors
    ///
    /// Every error but [`Error::ReadOnly`], [`Error::NoReserve`] and [`Error::TooLarge`].
    pub fn open(path: &Path, min_free: u64) -> Result<Self, Error> {
        let mut directory = Directory::claim(path, min_free)?;
        let (proof, mark, engine) =
            open(&mut directory).map_err(|fault| named(&directory, fault))?;
        let erased = Erased::open(&path.join(erased::NAME), mark)
            .map_err(|error| named(&directory, error.into()))?;
        Ok(Self {
            engine: Some(engine),
            proof,
            erased,
            mark,
            condition: Condition::Unread,
            reopened: None,
            exporting: None,
            directory,
        })
    }

    /// The same, of a store that must be there.
    ///
    /// # Errors
    ///
    /// The same, and [`Error::Unusable`] where there is none.
    pub fn open_present(path: &Path, min_free: u64) -> Result<Self, Error> {
        if !path.join("proof").exists() && !path.join("sled").exists() {
            return Err(Error::Unusable {
                path: path.to_owned(),
                reason: io::Error::new(io::ErrorKind::NotFound, "there is no store"),
            });
        }
        Self::open(path, min_free)
    }

    /// How many records there are, as the proof says.
    #[must_use]
    pub fn n_records(&self) -> u64 {
        self.mark.sum.count
    }

    /// Hands every record to `each`, and makes sure that they are those that were written.
    fn read(&self, each: &mut dyn FnMut(Change)) -> Result<(), Fault> {
        let sum = reading::read(self.engine(), each)?;
        if sum != self.mark.sum {
            return Err(Fault::Damaged(format!(
                "its {} records are not the {} that were written last",
                sum.count, self.mark.sum.count
            )));
        }
        Ok(())
    }

    fn engine(&self) -> &Engine {
        self.engine
            .as_ref()
            .expect("sled is open unless the store is broken")
    }

    /// Makes durable what is in sled, and says so in the proof.
    fn seal(&mut self) -> Result<(), Fault> {
        if let Some(engine) = &mut self.engine
            && !self.proof.says(self.mark)
        {
            engine.sync()?;
            self.proof.write(self.mark)?;
        }
        Ok(())
    }

    fn commit(
        &mut self,
        writes: &mut Writes,
        gone: &BTreeMap<Vec<u8>, bool>,
        before: &mut Writes,
        durability: Durability,
    ) -> Result<(), Fault> {
        if !writes.is_empty() {
            let mut mark = self.mark;
            mark.seq += 1;
            let mut leaving = Vec::new();
            for user in gone.keys().filter_map(|key| codec::profile_of(key)) {
                for key in self.engine().keys_of(user)? {
                    writes.entry(key).or_insert(None);
                }
            }
            for (key, value) in writes.iter() {
                let old = self.engine().value(key)?;
                // Also who joins again in the same write: what is there from before is gone.
                if let (Some(user), Some(joined)) = (codec::profile_of(key), gone.get(key))
                    && (*joined || old.is_some())
                {
                    leaving.push(user);
                    mark.taken_away = mark.seq;
                }
                if let Some(old) = &old {
                    mark.sum.remove(key, old);
                }
                if taken::takes_away(key, old.as_deref(), value.as_deref()) {
                    mark.taken_away = mark.seq;
                }
                if let Some(value) = value {
                    mark.sum.add(key, value);
                }
                before.insert(key.clone(), old);
            }
            mark.left += leaving.len() as u64;
            self.erased.enter(&leaving, mark.seq)?;
            self.engine().write(writes, mark)?;
            self.mark = mark;
        }
        match durability {
            Durability::Synced => self.seal(),
            Durability::Behind => Ok(()),
        }
    }

    /// Verifies, or opens anew, as far as that is needed to write.
    fn ready(&mut self) -> Result<(), Error> {
        match &self.condition {
            Condition::Sound => Ok(()),
            Condition::Unread => self.load(&mut |_| {}),
            Condition::Broken(breakage) => {
                let hopeless = match breakage.cause {
                    Cause::Damaged(_) => true,
                    Cause::Full => !self.directory.has_free(REOPEN_ROOM_BYTES),
                    Cause::Failed(_) => false,
                };
                if hopeless || !self.may_reopen() {
                    return Err(breakage.error(&self.directory));
                }
                self.recover()
            }
        }
    }

    fn may_reopen(&self) -> bool {
        self.reopened
            .is_none_or(|reopened| reopened.elapsed() >= REOPEN_EVERY)
    }

    /// Opens a broken store anew.
    fn recover(&mut self) -> Result<(), Error> {
        let Condition::Broken(breakage) = &mut self.condition else {
            return Ok(());
        };
        let before = mem::take(&mut breakage.before);
        // What was written behind may be gone: nothing that was kept fits any more.
        self.exporting = None;
        if let Cause::Full = breakage.cause {
            self.directory.release_reserve();
        }
        let reopened = self.reopen(&before);
        #[expect(
            clippy::disallowed_methods,
            reason = "the pause between two tries, of no other effect"
        )]
        let now = Instant::now();
        self.reopened = Some(now);
        self.directory.refill_reserve();
        match reopened {
            Ok(()) => {
                self.condition = Condition::Sound;
                Ok(())
            }
            Err(fault) => {
                let breakage = Breakage::of_reopening(fault, before);
                let error = breakage.error(&self.directory);
                self.condition = Condition::Broken(breakage);
                Err(error)
            }
        }
    }

    /// Opens sled anew and makes sure that it holds what was acknowledged and nothing that was
    /// refused.
    fn reopen(&mut self, before: &Writes) -> Result<(), Fault> {
        self.engine = None;
        let engine = open_engine(&mut self.directory)?;
        let mut mark = match engine.mark()? {
            Some(found) if found.store == self.mark.store => found,
            _ => return Err(Fault::Damaged("its records are gone".into())),
        };
        // Of what was written behind, a part may have stayed behind.
        let behind = self.proof.latest().seq..self.mark.seq;
        let acknowledged = mark == self.mark || behind.contains(&mark.seq);
        if !acknowledged || engine.sum()? != mark.sum {
            // The refused batch, or a part of it, has reached the disk: it is taken back.
            mark = Mark {
                seq: mark.seq.max(self.mark.seq) + 1,
                ..self.mark
            };
            engine.write(before, mark)?;
            if engine.sum()? != mark.sum {
                return Err(Fault::Damaged(
                    "its records are not those that were acknowledged".into(),
                ));
            }
        }
        self.proof.compare(Some(mark)).map_err(Fault::Damaged)?;
        self.mark = mark;
        self.erased.fit(mark);
        let engine = self.engine.insert(engine);
        engine.sync()?;
        Ok(self.proof.write(mark)?)
    }
}

impl Store for Embedded {
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error> {
        // sled no longer reads everything once a write has failed.
        self.recover()?;
        self.read(each)
            .map_err(|fault| named(&self.directory, fault))?;
        if let Condition::Unread = self.condition {
            // What a crash left ahead of the proof is the truth from here on, so it is proven too.
            // Where that cannot be written nothing else can: read-only, and no reason not to start.
            self.condition = match self.seal() {
                Ok(()) => Condition::Sound,
                Err(fault) => Condition::Broken(Breakage::of_write(fault, Writes::new())),
            };
        }
        Ok(())
    }

    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error> {
        let writes = batch
            .iter()
            .map(codec::encode)
            .collect::<Result<Vec<_>, _>>()?;
        let gone = taken::leaving(&writes);
        let mut writes = Writes::from_iter(writes);
        self.ready()?;
        if !writes.is_empty() {
            self.directory.room()?;
        }
        let mut before = Writes::new();
        let last = self.mark;
        let Err(fault) = self.commit(&mut writes, &gone, &mut before, durability) else {
            if let Some(exporting) = &mut self.exporting
                && !exporting.keep(&before)
            {
                self.exporting = None;
            }
            return Ok(());
        };
        self.mark = last;
        let breakage = Breakage::of_write(fault, before);
        let error = breakage.error(&self.directory);
        self.condition = Condition::Broken(breakage);
        // At once, with the room that was kept back: so the batch is taken back from the disk before it
        // is said to have failed, and does not come up again after a crash.
        if self.may_reopen() {
            // Where it does not succeed the store stays broken, and the next batch is told why.
            let _ = self.recover();
        }
        Err(error)
    }

    fn check(&mut self) -> Result<(), Error> {
        self.ready()?;
        self.directory.room()
    }

    fn begin_export(&mut self) -> Result<Origin, Error> {
        self.exporting = None;
        // The proof comes as far as the export: one that is behind it is of an older copy.
        if let Err(error) = self.apply(&[], Durability::Synced)
            && !matches!(self.condition, Condition::Sound)
        {
            return Err(error);
        }
        Ok(self.exporting.insert(Snapshot::new(self.mark)).origin())
    }

    fn go_on_export(&mut self, most: usize, each: &mut dyn FnMut(Change)) -> Result<bool, Error> {
        let Some(mut exporting) = self.exporting.take() else {
            return Err(Error::NoExport {
                path: self.directory.path().to_owned(),
                what: "a write has failed meanwhile, or too much was changed".into(),
            });
        };
        let last = exporting
            .go_on(self.engine(), most, each)
            .map_err(|fault| named(&self.directory, fault))?;
        if !last {
            self.exporting = Some(exporting);
        }
        Ok(last)
    }
}

fn open(directory: &mut Directory) -> Result<(Proof, Mark, Engine), Fault> {
    let sled = directory.path().join("sled");
    let path = directory.path().join("proof");
    let proof = match Proof::open(&path) {
        Ok(proof) => proof,
        // The proof is made before anything of sled is.
        Err(NoProof::Absent) if !sled.exists() => Proof::create(&path, Mark::of_new(draw_name()?))?,
        Err(NoProof::Absent) => {
            return Err(Fault::Damaged(
                "its proof is missing, or an import into it was interrupted".into(),
            ));
        }
        Err(NoProof::Damaged(what)) => return Err(Fault::Damaged(what)),
        Err(NoProof::TooNew(format)) => {
            return Err(Fault::TooNew(format!("its proof has format {format}")));
        }
        Err(NoProof::Io(error)) => return Err(error.into()),
    };
    if !Engine::exists(&sled) {
        // Before sled makes an empty database in the place of what is gone.
        proof.compare(None).map_err(Fault::Damaged)?;
    }
    let mut engine = open_engine(directory)?;
    let found = engine.mark()?;
    proof.compare(found).map_err(Fault::Damaged)?;
    let mark = match found {
        Some(mark) => mark,
        None => {
            engine.write(&Writes::new(), proof.latest())?;
            engine.sync()?;
            proof.latest()
        }
    };
    directory.refill_reserve();
    Ok((proof, mark, engine))
}

/// A name for a new store, which no other has.
pub(super) fn draw_name() -> io::Result<[u8; 16]> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(name)
}

/// Opens sled, on a full disk with the room that was kept back for that.
fn open_engine(directory: &mut Directory) -> Result<Engine, Fault> {
    let sled = directory.path().join("sled");
    match Engine::open(&sled) {
        Err(Fault::Full) if directory.release_reserve() => Engine::open(&sled),
        opened => opened,
    }
}

pub(super) fn named(directory: &Directory, fault: Fault) -> Error {
    let path = directory.path().to_owned();
    match fault {
        Fault::Locked => Error::Locked { path },
        Fault::Full => Error::Full { path },
        Fault::Damaged(what) => Error::Damaged { path, what },
        Fault::TooNew(what) => Error::TooNew { path, what },
        Fault::Failed(reason) => Error::Unusable { path, reason },
    }
}

#[cfg(test)]
mod tests;
