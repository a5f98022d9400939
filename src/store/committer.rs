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
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc as outcomes;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::oneshot::{self, Receiver};

use super::export::{Exported, Failure, Place};
use super::isolation;
use super::{Durability, Error, Store, codec};
use crate::component::Ticket;
use crate::component::clock::Wall;
use crate::component::record::Change;
use crate::metrics::Figure;
use exporting::{Exporting, Order};

/// Changes of one write, about: more would make those who came first wait for those who came last,
/// and no longer save anything.
const GROUP_CHANGES: usize = 2048;

/// How long one more of a group is waited for, where the last group was larger: who was answered in it
/// may have more, and one sync for all is cheaper than two.
const GATHER: Duration = Duration::from_micros(100);

/// How often a healthy store is looked at where nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often one that refuses changes is looked at.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What is counted of the store, for the operator's monitoring.
#[derive(Debug, Default)]
pub struct Health {
    /// Writes, each of all that waited.
    pub writes: Figure,
    /// Changes that were written.
    pub changes: Figure,
    /// Batches that could not be written.
    pub refused: Figure,
    alarm: Mutex<Option<String>>,
}

impl Health {
    /// Why no change is taken now; `None` where changes are.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        let alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        alarm.clone()
    }

    fn raise(&self, alarm: Option<String>) {
        *self.alarm.lock().unwrap_or_else(PoisonError::into_inner) = alarm;
    }
}

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
    queue: SyncSender<Asked>,
    outcomes: outcomes::Sender<Outcome>,
    thread: JoinHandle<()>,
    health: Arc<Health>,
}

#[derive(Debug)]
struct Job {
    batch: Batch,
    place: OwnedPermit<Outcome>,
}

/// What the thread is asked for.
#[derive(Debug)]
enum Asked {
    Write(Job),
    Export(Order),
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
        // One place more, for an export.
        let (queue, jobs) = mpsc::sync_channel(capacity + 1);
        let (sender, receiver) = outcomes::channel(capacity);
        let health = Arc::new(Health::default());
        let told = health.clone();
        let thread = thread::Builder::new()
            .name("committer".into())
            .spawn(move || run(store, &jobs, told))
            .expect("the operating system has a thread for us at start-up");
        let committer = Self {
            queue,
            outcomes: sender,
            thread,
            health,
        };
        (committer, receiver)
    }

    /// What is counted of the store.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// Queues a batch. Never blocks; gives the batch back where `capacity` is used up (read outcomes,
    /// then try again), or nobody reads outcomes any more.
    pub fn submit(&self, batch: Batch) -> Result<(), Batch> {
        let Ok(place) = self.outcomes.clone().try_reserve_owned() else {
            return Err(batch);
        };
        self.queue
            .try_send(Asked::Write(Job { batch, place }))
            .or_else(|error| match error {
                TrySendError::Full(Asked::Write(job))
                | TrySendError::Disconnected(Asked::Write(job)) => Err(job.batch),
                _ => Ok(()),
            })
    }

    /// Begins an export, which goes on between the writes. Never blocks; `None` where one is under way,
    /// or nobody is left to make it.
    pub fn export(&self, place: Place, made: Wall) -> Option<Receiver<Result<Exported, Failure>>> {
        let (done, told) = oneshot::channel();
        let order = Order { place, made, done };
        self.queue.try_send(Asked::Export(order)).ok()?;
        Some(told)
    }

    /// Writes what is queued, syncs what was written behind, ends the thread and closes the store.
    /// Blocks for as long as that takes; outcomes are kept for the receiver.
    pub fn stop(self) {
        let Self {
            queue,
            outcomes,
            thread,
            health: _,
        } = self;
        drop((queue, outcomes));
        if let Err(panic) = thread.join() {
            tracing::error!("the committer has {}", isolation::text(panic.as_ref()));
        }
    }
}

fn run(store: impl Store, asked: &mpsc::Receiver<Asked>, health: Arc<Health>) {
    let mut writer = Writer {
        store: Some(store),
        refused: None,
        health,
    };
    let mut exporting: Option<Exporting> = None;
    let mut expected = 0;
    loop {
        let first = match &exporting {
            None => asked.recv_timeout(writer.pause()),
            Some(exporting) => asked.recv_timeout(exporting.pause()),
        };
        match first {
            Ok(Asked::Write(first)) => {
                let mut size = first.size();
                let mut group = vec![first];
                while size < GROUP_CHANGES
                    && let Ok(next) = gather(asked, group.len() < expected)
                {
                    match next {
                        Asked::Write(job) => {
                            size += job.size();
                            group.push(job);
                        }
                        Asked::Export(order) => {
                            exporting = exporting.or_else(|| order.begin(&mut writer))
                        }
                    }
                }
                expected = group.len();
                commit(&mut writer, group);
            }
            // Of two orders at a time the second is dropped, and so its asker is told.
            Ok(Asked::Export(order)) => exporting = exporting.or_else(|| order.begin(&mut writer)),
            Err(RecvTimeoutError::Timeout) if exporting.is_none() => writer.check(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        exporting = exporting.and_then(|exporting| exporting.go_on(&mut writer));
    }
    // What was written behind would otherwise be lost with the power.
    let _ = writer.write(&[], Durability::Synced);
}

/// The next of a group; of as many as were answered last others are about to come, and are waited for.
fn gather(asked: &mpsc::Receiver<Asked>, is_expected: bool) -> Result<Asked, RecvTimeoutError> {
    asked.recv_timeout(match is_expected {
        true => GATHER,
        false => Duration::ZERO,
    })
}

/// Writes a group and tells the outcomes, in order.
fn commit(writer: &mut Writer<impl Store>, group: Vec<Job>) {
    let mut changes = Vec::with_capacity(group.iter().map(Job::size).sum());
    let mut durability = Durability::Behind;
    let mut answers = Vec::with_capacity(group.len());
    for Job { batch, place } in group {
        let end = changes.len() + batch.changes.len();
        changes.extend(batch.changes);
        if batch.durability == Durability::Synced {
            durability = Durability::Synced;
        }
        answers.push((batch.ticket, end, place));
    }
    let mut outcomes = match writer.write(&changes, durability) {
        Ok(written) => vec![written; answers.len()],
        Err(TooLarge) => sift(writer, &changes, durability, &answers),
    }
    .into_iter();
    for (ticket, _, place) in answers {
        let committed = outcomes.next().unwrap_or(false);
        writer.health.refused.add(u64::from(!committed));
        place.send(Outcome { ticket, committed });
    }
}

/// Writes a group without those of which one cannot be stored: one batch's own fault must not be that of
/// the others. Gives which were written.
fn sift(
    writer: &mut Writer<impl Store>,
    changes: &[Change],
    durability: Durability,
    answers: &[(Ticket, usize, OwnedPermit<Outcome>)],
) -> Vec<bool> {
    let (mut begin, mut rest) = (0, Vec::new());
    let mut sound = Vec::with_capacity(answers.len());
    for (ticket, end, _) in answers {
        let own = &changes[mem::replace(&mut begin, *end)..*end];
        let checked = codec::check(own);
        match &checked {
            Ok(()) => rest.extend_from_slice(own),
            Err(error) => tracing::warn!(ticket = ticket.0, "a change cannot be stored: {error}"),
        }
        sound.push(checked.is_ok());
    }
    let written = sound.contains(&true) && writer.write(&rest, durability) == Ok(true);
    sound.iter().map(|sound| *sound && written).collect()
}

/// One record is larger than any store takes; nothing was written.
#[derive(Debug, PartialEq, Eq)]
struct TooLarge;

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
    health: Arc<Health>,
}

impl<S: Store> Writer<S> {
    /// Writes; whether that was done.
    fn write(&mut self, changes: &[Change], durability: Durability) -> Result<bool, TooLarge> {
        match self.call(|store| store.apply(changes, durability)) {
            // Says nothing of the store.
            Some(Err(Error::TooLarge { .. })) => Err(TooLarge),
            Some(result) => {
                let written = self.tell(result);
                if written {
                    self.health.writes.add(1);
                    self.health.changes.add(changes.len() as u64);
                }
                Ok(written)
            }
            None => Ok(false),
        }
    }

    /// Looks whether the store takes changes, so that the operator is told before anybody needs it,
    /// and that it recovers by itself.
    fn check(&mut self) {
        if let Some(result) = self.call(Store::check) {
            self.tell(result);
        }
    }

    /// How long until the next look.
    fn pause(&self) -> Duration {
        match self.refused {
            Some(_) => LOOK_AGAIN_EVERY,
            None => LOOK_EVERY,
        }
    }

    /// Calls the store; `None` where it is gone, or goes by this.
    fn call<T>(&mut self, work: impl FnOnce(&mut S) -> T) -> Option<T> {
        let store = self.store.as_mut()?;
        match panic::catch_unwind(AssertUnwindSafe(|| work(store))) {
            Ok(result) => Some(result),
            Err(panic) => {
                let what = isolation::text(panic.as_ref());
                tracing::error!("the store has failed for good, restart Vestibule: {what}");
                self.health
                    .raise(Some("the store has failed for good".to_owned()));
                // Its destructor is not to be trusted either.
                mem::forget(self.store.take());
                None
            }
        }
    }

    /// Tells the operator when the condition of the store changes, not for each batch.
    fn tell(&mut self, result: Result<(), Error>) -> bool {
        match result {
            Ok(()) => {
                if self.refused.take().is_some() {
                    tracing::info!("the store takes changes again");
                    self.health.raise(None);
                }
                true
            }
            Err(error) => {
                let kind = Some(mem::discriminant(&error));
                if self.refused != kind {
                    self.refused = kind;
                    tracing::error!("no change is stored: {error}");
                }
                // Each time: whoever looks is told what is lacking now.
                self.health.raise(Some(error.to_string()));
                false
            }
        }
    }
}

mod exporting;

#[cfg(test)]
mod tests;
