//! The one thread that writes: takes what is queued, writes it in one go, says what became of it.
//!
//! # Why it cannot deadlock
//!
//! A batch is taken only together with a place in the channel of outcomes. So the thread never waits for
//! whoever reads the outcomes, and whoever submits never waits for the thread: it gets the batch back
//! while `capacity` batches are unanswered or answered and unread, and goes on by reading outcomes.
//! Neither side ever holds something that the other waits for, whatever `capacity` is.

use std::mem::{self, Discriminant};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc as outcomes;
use tokio::sync::mpsc::OwnedPermit;

use super::isolation;
use super::{Durability, Error, Store, codec};
use crate::component::Ticket;
use crate::component::record::Change;

/// Changes of one write, about: more would make those who came first wait for those who came last,
/// and no longer save anything.
const GROUP_CHANGES: usize = 2048;

/// Changes that become durable together or not at all.
#[derive(Debug)]
pub struct Batch {
    /// Its name in the [`Outcome`].
    pub ticket: Ticket,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// How far they must have come before the outcome is told.
    pub durability: Durability,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The batch.
    pub ticket: Ticket,
    /// Whether it was written; if not, nothing of it was.
    pub committed: bool,
}

/// The handle of the thread that owns the store.
#[derive(Debug)]
pub struct Committer {
    queue: SyncSender<Job>,
    outcomes: outcomes::Sender<Outcome>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    batch: Batch,
    place: OwnedPermit<Outcome>,
}

impl Committer {
    /// Starts the thread; `capacity` (at least 1) is the number of batches whose outcome has not been
    /// read yet, and bounds both channels. Outcomes come in the order of submission.
    ///
    /// # Panics
    ///
    /// Where the operating system refuses a thread.
    pub fn start(store: impl Store, capacity: usize) -> (Self, outcomes::Receiver<Outcome>) {
        let capacity = capacity.max(1);
        let (queue, jobs) = mpsc::sync_channel(capacity);
        let (sender, receiver) = outcomes::channel(capacity);
        let thread = thread::Builder::new()
            .name("committer".into())
            .spawn(move || run(store, &jobs))
            .expect("the operating system has a thread for us at start-up");
        let committer = Self {
            queue,
            outcomes: sender,
            thread,
        };
        (committer, receiver)
    }

    /// Queues a batch. Never blocks; gives the batch back where `capacity` is used up (read outcomes,
    /// then try again), or nobody reads outcomes any more.
    pub fn submit(&self, batch: Batch) -> Result<(), Batch> {
        let Ok(place) = self.outcomes.clone().try_reserve_owned() else {
            return Err(batch);
        };
        self.queue
            .try_send(Job { batch, place })
            .map_err(|error| match error {
                mpsc::TrySendError::Full(job) | mpsc::TrySendError::Disconnected(job) => job.batch,
            })
    }

    /// Writes what is queued, syncs what was written behind, ends the thread and closes the store.
    /// Blocks for as long as that takes; outcomes are kept for the receiver.
    pub fn stop(self) {
        let Self {
            queue,
            outcomes,
            thread,
        } = self;
        drop((queue, outcomes));
        if let Err(panic) = thread.join() {
            tracing::error!("the committer has {}", isolation::text(panic.as_ref()));
        }
    }
}

fn run(store: impl Store, jobs: &Receiver<Job>) {
    let mut writer = Writer {
        store: Some(store),
        refused: None,
    };
    while let Ok(first) = jobs.recv() {
        let mut size = first.size();
        let mut group = vec![first];
        while size < GROUP_CHANGES
            && let Ok(job) = jobs.try_recv()
        {
            size += job.size();
            group.push(job);
        }
        commit(&mut writer, group);
    }
    // What was written behind would otherwise be lost with the power.
    writer.write(&[], Durability::Synced);
}

/// Writes a group and tells the outcomes, in order.
fn commit(writer: &mut Writer<impl Store>, group: Vec<Job>) {
    let mut changes = Vec::new();
    let mut durability = Durability::Behind;
    let mut answers = Vec::with_capacity(group.len());
    for Job { batch, place } in group {
        // One batch's own fault must not be that of the others.
        let sound = match codec::check(&batch.changes) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    ticket = batch.ticket.0,
                    "a change cannot be stored: {error}"
                );
                false
            }
        };
        if sound {
            changes.extend(batch.changes);
            if batch.durability == Durability::Synced {
                durability = Durability::Synced;
            }
        }
        answers.push((batch.ticket, sound, place));
    }
    let written = answers.iter().any(|(_, sound, _)| *sound) && writer.write(&changes, durability);
    for (ticket, sound, place) in answers {
        place.send(Outcome {
            ticket,
            committed: sound && written,
        });
    }
}

impl Job {
    /// Its part of a group; an empty batch takes a place too.
    fn size(&self) -> usize {
        self.batch.changes.len().max(1)
    }
}

/// A store, and what the operator was last told of it.
struct Writer<S> {
    // `None` after it has panicked: what it would do next is unknown.
    store: Option<S>,
    refused: Option<Discriminant<Error>>,
}

impl<S: Store> Writer<S> {
    fn write(&mut self, changes: &[Change], durability: Durability) -> bool {
        let Some(store) = &mut self.store else {
            return false;
        };
        let applied = panic::catch_unwind(AssertUnwindSafe(|| store.apply(changes, durability)));
        match applied {
            Ok(result) => self.tell(result),
            Err(panic) => {
                let what = isolation::text(panic.as_ref());
                tracing::error!("the store has failed for good, restart Vestibule: {what}");
                // Its destructor is not to be trusted either.
                mem::forget(self.store.take());
                false
            }
        }
    }

    /// Tells the operator when the condition of the store changes, not for each batch.
    fn tell(&mut self, result: Result<(), Error>) -> bool {
        match result {
            Ok(()) => {
                if self.refused.take().is_some() {
                    tracing::info!("the store takes changes again");
                }
                true
            }
            Err(error) => {
                let kind = Some(mem::discriminant(&error));
                if self.refused != kind {
                    self.refused = kind;
                    tracing::error!("no change is stored: {error}");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
