//! The one thread that writes: group commit, then the outcomes in order.
//!
//! Both queues hold `capacity` batches. The driver never waits for the thread (a full queue gives the
//! batch back), so the thread may wait for the driver to take outcomes without a deadlock.

use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::{Durability, Error, Store, is_writable};
use crate::component::Ticket;
use crate::component::record::Change;

/// Changes in one group: what a few milliseconds of load bring, in some hundred kilobytes.
const GROUP_MAX: usize = 2048;

/// Changes that are written together, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Names it.
    pub ticket: Ticket,
    /// In order.
    pub changes: Vec<Change>,
    /// How far it must have come before it is reported.
    pub durability: Durability,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub ticket: Ticket,
    /// Whether it is durable.
    pub committed: bool,
}

/// The thread's handle.
#[derive(Debug)]
pub struct Committer {
    queue: mpsc::Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Starts the thread on a store that has been loaded.
    ///
    /// # Errors
    /// The operating system's, where no thread can be had.
    pub fn start(
        store: impl Store,
        capacity: usize,
    ) -> std::io::Result<(Self, mpsc::Receiver<Outcome>)> {
        let (queue, batches) = mpsc::channel(capacity);
        let (outcomes, receiver) = mpsc::channel(capacity);
        let thread = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || run(store, batches, &outcomes))?;
        Ok((Self { queue, thread }, receiver))
    }

    /// Hands a batch over, at once; gives it back where the queue is full.
    pub fn submit(&self, batch: Batch) -> Result<(), Box<Batch>> {
        self.queue.try_send(batch).map_err(|error| match error {
            mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch) => {
                Box::new(batch)
            }
        })
    }

    /// Lets the thread write what is queued, and waits for its end.
    pub fn stop(self) {
        drop(self.queue);
        // A panic in the thread has been told by its own message.
        let _ = self.thread.join();
    }
}

fn run(
    mut store: impl Store,
    mut batches: mpsc::Receiver<Batch>,
    outcomes: &mpsc::Sender<Outcome>,
) {
    let mut alarmed = false;
    while let Some(first) = batches.blocking_recv() {
        let mut group = vec![first];
        let mut n = group[0].changes.len();
        while n < GROUP_MAX
            && let Ok(batch) = batches.try_recv()
        {
            n += batch.changes.len();
            group.push(batch);
        }
        for outcome in commit(&mut store, group, &mut alarmed) {
            if outcomes.blocking_send(outcome).is_err() {
                return; // The driver is gone.
            }
        }
    }
}

/// Writes a group as one; a batch that can never be written fails alone.
fn commit(store: &mut impl Store, group: Vec<Batch>, alarmed: &mut bool) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(group.len());
    let mut changes = Vec::new();
    let mut durability = Durability::Behind;
    for batch in group {
        let writable: Result<(), Error> = batch.changes.iter().try_for_each(is_writable);
        if let Err(error) = &writable {
            tracing::error!("{error}");
        }
        outcomes.push(Outcome {
            ticket: batch.ticket,
            committed: writable.is_ok(),
        });
        if writable.is_ok() {
            changes.extend(batch.changes);
            if batch.durability == Durability::Synced {
                durability = Durability::Synced;
            }
        }
    }
    if changes.is_empty() {
        return outcomes;
    }
    // sled may panic; that is one more way for a write to fail.
    let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.apply(&changes, durability)
    }));
    match applied {
        Ok(Ok(())) => {
            if std::mem::take(alarmed) {
                tracing::info!("the store can be written again");
            }
            return outcomes;
        }
        Ok(Err(error)) if !*alarmed => tracing::error!("{error}; changes are refused until it can"),
        Err(_) if !*alarmed => {
            tracing::error!("the store failed while writing; changes are refused")
        }
        _ => {}
    }
    *alarmed = true;
    for outcome in &mut outcomes {
        outcome.committed = false;
    }
    outcomes
}
