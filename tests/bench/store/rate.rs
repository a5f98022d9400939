//! Durable status changes a second at 1, 16 and 256 in flight.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use vestibule::address::Bare;
use vestibule::component::Ticket;
use vestibule::component::clock::Wall;
use vestibule::component::record::{Change, Status};
use vestibule::store::committer::{Batch, Committer};
use vestibule::store::embedded::Embedded;
use vestibule::store::{Durability, Store};

use super::sqlite::Sqlite;

/// Users whose statuses change.
const USERS: u64 = 100_000;
/// How long one figure is measured.
const ROUND: Duration = Duration::from_secs(2);
/// Each figure so often, in turns.
const ROUNDS: usize = 5;

pub(crate) fn status(user: u64, n: u64) -> Change {
    Change::Status {
        user: Bare::parse(&format!("user{user}@example.org")).unwrap(),
        value: Some(Status::of_text(
            format!("In a meeting about number {n}, back in the afternoon"),
            Wall(1_795_438_800_000),
        )),
    }
}

/// The disk itself: 4 KiB appended and synced, one after the other.
fn bare(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("bare")).unwrap();
    let (began, mut n) = (Instant::now(), 0);
    while began.elapsed() < ROUND {
        file.write_all(&[n as u8; 4096]).unwrap();
        file.sync_data().unwrap();
        n += 1;
    }
    f64::from(n) / began.elapsed().as_secs_f64()
}

/// A store behind the committer, always with so many changes unanswered.
struct Running {
    committer: Committer,
    outcomes: tokio::sync::mpsc::Receiver<vestibule::store::committer::Outcome>,
    n: u64,
}

impl Running {
    fn new(store: impl Store) -> Self {
        let (committer, outcomes) = Committer::start(store, 4096);
        let mut running = Self {
            committer,
            outcomes,
            n: 0,
        };
        // All users are there already: no figure is that of an empty store.
        for first in (0..USERS).step_by(1000) {
            let changes = (first..first + 1000).map(|user| status(user, 0)).collect();
            running.submit(changes);
            running.answer();
        }
        running
    }

    fn submit(&mut self, changes: Vec<Change>) {
        self.n += 1;
        let batch = Batch {
            ticket: Ticket(self.n),
            changes,
            durability: Durability::Synced,
        };
        self.committer.submit(batch).unwrap();
    }

    fn answer(&mut self) {
        assert!(self.outcomes.blocking_recv().unwrap().committed);
    }

    fn change(&mut self) {
        // Any user in turn, none twice within one write.
        let user = self.n.wrapping_mul(7_919) % USERS;
        self.submit(vec![status(user, self.n)]);
    }

    fn rate(&mut self, in_flight: u64) -> f64 {
        for _ in 0..in_flight {
            self.change();
        }
        let (began, mut n) = (Instant::now(), 0);
        while began.elapsed() < ROUND {
            self.answer();
            self.change();
            n += 1;
        }
        let rate = f64::from(n) / began.elapsed().as_secs_f64();
        for _ in 0..in_flight {
            self.answer();
        }
        rate
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let mut ours = Running::new(Embedded::open(&folder.path().join("store"), 0).unwrap());
    let mut sqlite = Running::new(Sqlite::open(&folder.path().join("sqlite")));
    println!(
        "Durable status changes a second, {USERS} users, median of {ROUNDS} rounds of {ROUND:?} in turns:"
    );
    println!("in flight |   store |  SQLite | ratio | bare syncs | store to bare");
    for in_flight in [1, 16, 256] {
        let (mut o, mut s, mut b) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            b.push(bare(folder.path()));
            o.push(ours.rate(in_flight));
            s.push(sqlite.rate(in_flight));
        }
        let ratios = |over: &[f64]| median(o.iter().zip(over).map(|(o, x)| o / x).collect());
        let (to_sqlite, to_bare) = (ratios(&s), ratios(&b));
        println!(
            "{in_flight:9} | {:7.0} | {:7.0} | {to_sqlite:5.2} | {:10.0} | {to_bare:5.2}",
            median(o),
            median(s),
            median(b)
        );
    }
    ours.committer.stop();
    sqlite.committer.stop();
}
