use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::samples;
use super::*;

/// What a test's store was asked to write, one entry for each call.
type Applied = Arc<Mutex<Vec<(Vec<Change>, Durability)>>>;

/// A store that takes its time, and answers what it is told to.
struct Scripted {
    applied: Applied,
    takes: Duration,
    answer: fn(usize) -> Result<(), Error>,
}

impl Store for Scripted {
    fn load(&mut self, _: &mut dyn FnMut(Change)) -> Result<(), Error> {
        Ok(())
    }

    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error> {
        codec::check(batch)?;
        let mut applied = self.applied.lock().unwrap();
        applied.push((batch.to_vec(), durability));
        let call = applied.len();
        drop(applied);
        thread::sleep(self.takes);
        (self.answer)(call)
    }
}

fn scripted(takes_ms: u64, answer: fn(usize) -> Result<(), Error>) -> (Scripted, Applied) {
    let applied = Applied::default();
    let store = Scripted {
        applied: applied.clone(),
        takes: Duration::from_millis(takes_ms),
        answer,
    };
    (store, applied)
}

fn full() -> Error {
    Error::Full {
        path: PathBuf::from("/somewhere"),
    }
}

fn batch(n: u64, durability: Durability) -> Batch {
    Batch {
        ticket: Ticket(n),
        changes: vec![samples::status(n, 1)],
        durability,
    }
}

fn synced(n: u64) -> Batch {
    batch(n, Durability::Synced)
}

fn outcomes(mut receiver: outcomes::Receiver<Outcome>) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| receiver.blocking_recv())
        .map(|outcome| (outcome.ticket.0, outcome.committed))
        .collect()
}

#[test]
fn many_batches_share_one_slow_sync_and_keep_their_order() {
    let (store, applied) = scripted(50, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 256);
    for n in 0..256 {
        committer.submit(synced(n)).unwrap();
    }
    committer.stop();
    assert_eq!(
        outcomes(receiver),
        (0..256).map(|n| (n, true)).collect::<Vec<_>>()
    );
    let applied = applied.lock().unwrap();
    // One takes what had come when the thread woke up, one the rest, one ends it; the margin is for a
    // machine that does not let us submit 256 batches in 50 ms.
    assert!(applied.len() <= 8, "{} applies", applied.len());
    let written: Vec<Change> = applied
        .iter()
        .flat_map(|(batch, _)| batch.clone())
        .collect();
    let sent: Vec<Change> = (0..256).map(|n| samples::status(n, 1)).collect();
    assert_eq!(written, sent);
}

#[test]
fn a_group_has_an_end() {
    let (store, applied) = scripted(20, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 16);
    for n in 0..16 {
        let changes = (0..500).map(|m| samples::status(m, n)).collect();
        let batch = Batch {
            changes,
            ..synced(n as u64)
        };
        committer.submit(batch).unwrap();
    }
    committer.stop();
    assert_eq!(outcomes(receiver).len(), 16);
    let largest = applied.lock().unwrap().iter().map(|(b, _)| b.len()).max();
    assert!(largest.is_some_and(|n| (500..GROUP_CHANGES + 500).contains(&n)));
}

#[test]
fn a_group_is_synced_where_one_of_it_must_be() {
    let (store, applied) = scripted(50, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 8);
    committer.submit(batch(0, Durability::Behind)).unwrap();
    // The first write is under way, so these three go together.
    while applied.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    for (n, durability) in [
        (1, Durability::Behind),
        (2, Durability::Synced),
        (3, Durability::Behind),
    ] {
        committer.submit(batch(n, durability)).unwrap();
    }
    committer.stop();
    assert_eq!(outcomes(receiver).len(), 4);
    let applied = applied.lock().unwrap();
    assert_eq!(applied[0].1, Durability::Behind);
    let together: Vec<Change> = (1..4).map(|n| samples::status(n, 1)).collect();
    assert_eq!(applied[1], (together, Durability::Synced));
    // What was written behind does not go with the power after an orderly end.
    assert_eq!(applied[2], (vec![], Durability::Synced));
    assert_eq!(applied.len(), 3);
}

#[test]
fn past_its_capacity_a_batch_comes_back_until_an_outcome_is_read() {
    let (store, _) = scripted(0, |_| Ok(()));
    let (committer, mut receiver) = Committer::start(store, 2);
    committer.submit(synced(0)).unwrap();
    committer.submit(synced(1)).unwrap();
    let back = committer.submit(synced(2)).unwrap_err();
    assert_eq!(back.ticket, Ticket(2));
    assert_eq!(back.changes, [samples::status(2, 1)]);
    assert_eq!(receiver.blocking_recv().unwrap().ticket, Ticket(0));
    committer.submit(back).unwrap();
    committer.stop();
    assert_eq!(outcomes(receiver), [(1, true), (2, true)]);
}

#[test]
fn nobody_needs_to_read_for_it_to_end() {
    let (store, applied) = scripted(0, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 64);
    for n in 0..64 {
        committer.submit(synced(n)).unwrap();
    }
    committer.stop();
    let written: usize = applied.lock().unwrap().iter().map(|(b, _)| b.len()).sum();
    assert_eq!(written, 64);
    assert_eq!(outcomes(receiver).len(), 64);

    let (store, _) = scripted(0, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 1);
    committer.submit(synced(0)).unwrap();
    drop(receiver);
    assert!(committer.submit(synced(1)).is_err());
    committer.stop();
}

#[test]
fn a_batch_that_cannot_be_stored_fails_alone() {
    let (store, applied) = scripted(30, |_| Ok(()));
    let (committer, receiver) = Committer::start(store, 8);
    for n in 0..8 {
        let mut batch = synced(n);
        if n == 5 {
            batch.changes.push(Change::Execution {
                id: "x".repeat(5000),
                value: None,
            });
        }
        committer.submit(batch).unwrap();
    }
    committer.stop();
    let expected: Vec<_> = (0..8).map(|n| (n, n != 5)).collect();
    assert_eq!(outcomes(receiver), expected);
    let applied = applied.lock().unwrap();
    assert!(
        applied
            .iter()
            .all(|(batch, _)| !batch.contains(&samples::status(5, 1)))
    );
}

#[test]
fn while_the_store_refuses_batches_fail_and_then_go_on() {
    let (store, _) = scripted(0, |call| match call {
        2 => Err(full()),
        _ => Ok(()),
    });
    let (committer, mut receiver) = Committer::start(store, 4);
    for (n, committed) in [(0, true), (1, false), (2, true)] {
        committer.submit(synced(n)).unwrap();
        let ticket = Ticket(n);
        assert_eq!(
            receiver.blocking_recv(),
            Some(Outcome { ticket, committed })
        );
    }
    committer.stop();
}

#[test]
fn a_store_that_panics_fails_what_follows_and_the_thread_lives() {
    let (store, applied) = scripted(0, |call| match call {
        1 => Ok(()),
        _ => panic!("torn page"),
    });
    let (committer, mut receiver) = Committer::start(store, 4);
    for (n, committed) in [(0, true), (1, false), (2, false)] {
        committer.submit(synced(n)).unwrap();
        let ticket = Ticket(n);
        assert_eq!(
            receiver.blocking_recv(),
            Some(Outcome { ticket, committed })
        );
    }
    committer.stop();
    assert_eq!(applied.lock().unwrap().len(), 2, "it is not called again");
}

/// Collects what is logged in this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_operator_is_told_of_each_change_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let (store, _) = scripted(0, |call| match call {
        2..=4 => Err(full()),
        5 | 6 => Err(Error::ReadOnly {
            path: PathBuf::from("/somewhere"),
            free: call as u64,
            min_free: 9,
            lacking: 9 - call as u64,
        }),
        _ => Ok(()),
    });
    let mut writer = Writer {
        health: Arc::default(),
        store: Some(store),
        refused: None,
    };
    tracing::subscriber::with_default(subscriber, || {
        for call in 1..=9 {
            let written = writer.write(&[samples::status(1, 1)], Durability::Synced);
            assert_eq!(written, Ok(!(2..=6).contains(&call)));
            let alarm = writer.health.alarm();
            assert_eq!(alarm.is_some(), (2..=6).contains(&call));
            // What is asked for later is told as it is then.
            let said = |figure: &str| alarm.as_ref().unwrap().contains(figure);
            assert!(call != 5 || said("free 4 bytes"), "{alarm:?}");
            assert!(call != 6 || said("free 3 bytes"), "{alarm:?}");
        }
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = text.lines().collect();
    assert_eq!(told.len(), 3, "{text}");
    assert!(
        told[0].contains("ERROR") && told[0].contains("full"),
        "{text}"
    );
    assert!(
        told[1].contains("ERROR") && told[1].contains("5 bytes"),
        "{text}"
    );
    assert!(
        told[2].contains("INFO") && told[2].contains("again"),
        "{text}"
    );
}
