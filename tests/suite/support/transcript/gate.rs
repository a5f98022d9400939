//! A store whose commits wait for a word, for the committer's thread.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vestibule::component::record::Change;
use vestibule::store::{Durability, Error, Store};

use super::records::Records;
use super::script::{Commit, Loss};

/// How long the committer may take to come to a held commit.
const PATIENCE: Duration = Duration::from_secs(5);

/// The test's side: outlives the process that writes through it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug, Default)]
struct Inner {
    records: Records,
    held: bool,
    /// How the commit that waits now is to end.
    word: Option<Commit>,
    /// Whether a commit waits for its word.
    waiting: bool,
    /// Counts commits that have ended.
    n_ended: u64,
    /// Which process may still write.
    process: u64,
}

/// One process's side.
#[derive(Debug)]
pub(crate) struct Process {
    gate: Gate,
    number: u64,
}

impl Gate {
    /// Starts a process: earlier ones write no more. Gives its store and what it finds in it.
    pub(crate) fn start(&self, loss: Loss) -> (Process, Vec<Change>) {
        let mut inner = self.lock();
        inner.process += 1;
        inner.word = None;
        let number = inner.process;
        let found = inner.records.reopen(loss);
        drop(inner);
        self.0.1.notify_all();
        let gate = self.clone();
        (Process { gate, number }, found)
    }

    /// Commits wait from now on, or no longer do.
    pub(crate) fn hold(&self, held: bool) {
        self.lock().held = held;
        self.0.1.notify_all();
    }

    /// Ends the commit that waits, or the next one that comes.
    pub(crate) fn settle(&self, commit: Commit) -> Result<(), String> {
        let inner = self.lock();
        let (mut inner, late) = self
            .0
            .1
            .wait_timeout_while(inner, PATIENCE, |inner| !inner.waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return Err("no commit is held".to_owned());
        }
        inner.word = Some(commit);
        inner.waiting = false;
        self.0.1.notify_all();
        let taken = self
            .0
            .1
            .wait_timeout_while(inner, PATIENCE, |inner| inner.word.is_some());
        match taken.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            true => Err("the commit did not end".to_owned()),
            false => Ok(()),
        }
    }

    /// Grows with each commit that has ended.
    pub(crate) fn n_ended(&self) -> u64 {
        self.lock().n_ended
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Process {
    fn load(&mut self, _: &mut dyn FnMut(Change)) -> Result<(), Error> {
        Ok(()) // Gate::start has given them out.
    }

    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error> {
        let mut inner = self.gate.lock();
        let mut commit = Commit::Done;
        if durability == Durability::Synced {
            while inner.held && inner.process == self.number {
                if let Some(word) = inner.word.take() {
                    commit = word;
                    break;
                }
                inner.waiting = true;
                self.gate.0.1.notify_all();
                let woken = self.gate.0.1.wait(inner);
                inner = woken.unwrap_or_else(PoisonError::into_inner);
            }
            inner.waiting = false;
            self.gate.0.1.notify_all();
        }
        inner.n_ended += 1;
        if commit == Commit::Failed || inner.process != self.number {
            return Err(Error::Broken {
                path: PathBuf::from("memory"),
                what: "the transcript says so".to_owned(),
            });
        }
        inner.records.apply(batch, durability == Durability::Synced);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        Ok(()) // A transcript holds commits, and this is none.
    }
}
