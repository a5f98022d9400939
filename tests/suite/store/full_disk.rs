//! A full disk: writes are refused, reads go on, nothing acknowledged is lost, and it recovers.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use vestibule::component::Ticket;
use vestibule::store::committer::{Batch, Committer, Outcome};

use super::*;

type Outcomes = tokio::sync::mpsc::Receiver<Outcome>;

const DISK: &str = "16m";
const INSIDE: &str = "VESTIBULE_TEST_NAMESPACE";

/// A file system of 16 MiB in memory.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={DISK},mode=0700"),
                "tmpfs",
            ])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self { folder })
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Takes all but `leave` bytes away.
    fn fill(&self, leave: u64) {
        let free = fs2::available_space(self.folder.path()).unwrap();
        let mut filling = File::create(self.folder.path().join("filling")).unwrap();
        let _ = filling.write_all(&vec![1; free.saturating_sub(leave) as usize]);
    }

    /// Takes the rest as well.
    fn fill_what_is_left(&self) {
        let path = self.folder.path().join("filling");
        let mut filling = File::options().append(true).open(path).unwrap();
        while filling.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.folder.path().join("filling")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

/// Runs `test` with a small disk; where this user may not mount, again as root of a namespace.
fn with_small_disk(name: &str, test: fn(&SmallDisk)) {
    if let Some(disk) = SmallDisk::mount() {
        return test(&disk);
    }
    assert!(
        env::var_os(INSIDE).is_none(),
        "a user namespace was made, but tmpfs cannot be mounted in it"
    );
    let again = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("store::full_disk::{name}"),
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .status();
    match again {
        Ok(status) if status.success() => {}
        other => panic!(
            "this test needs a small file system: run it as root, or where `unshare --user \
             --map-root-user --mount` works (unprivileged user namespaces): {other:?}"
        ),
    }
}

/// Batch `seq` of `size` records.
fn batch(seq: u64, size: u64) -> Vec<Change> {
    (0..size)
        .map(|n| {
            let text = format!("{seq} {n} {}", "z".repeat(200));
            // Most of them new: what is only written again fits into what sled has already.
            status(seq * 7 + n, Some(&text))
        })
        .collect()
}

/// Writes until the store refuses; what was acknowledged goes into `acknowledged`.
fn write_until_refused(
    store: &mut Embedded,
    seq: &mut u64,
    size: u64,
    acknowledged: &mut Texts,
) -> Error {
    loop {
        *seq += 1;
        let changes = batch(*seq, size);
        match store.apply(&changes, Durability::Synced) {
            Ok(()) => follow(acknowledged, &changes),
            Err(error) => return error,
        }
        assert!(*seq < 100_000, "the disk is never full");
    }
}

/// Writes once a second at most succeeds; gives how long that took.
fn write_until_taken(store: &mut Embedded, seq: &mut u64, acknowledged: &mut Texts) -> Duration {
    let began = Instant::now();
    loop {
        *seq += 1;
        let changes = batch(*seq, 3);
        match store.apply(&changes, Durability::Synced) {
            Ok(()) => {
                follow(acknowledged, &changes);
                return began.elapsed();
            }
            Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_disk_costs_nothing_acknowledged_and_is_recovered_from() {
    with_small_disk(
        "a_full_disk_costs_nothing_acknowledged_and_is_recovered_from",
        |disk| {
            let mut store = Embedded::open(&disk.store(), 0).unwrap();
            let mut acknowledged = texts(&mut store).unwrap();
            let mut seq = 0;
            let mut dice = Dice(3);
            for round in 0..8 {
                write_until_taken(&mut store, &mut seq, &mut acknowledged);
                disk.fill(dice.below(600_000));
                let size = 1 + dice.below(30);
                let error = write_until_refused(&mut store, &mut seq, size, &mut acknowledged);
                assert!(
                    matches!(error, Error::Full { .. }),
                    "round {round}: {error}"
                );
                // It says so at once from now on, and what it holds can be read.
                let began = Instant::now();
                for _ in 0..20 {
                    seq += 1;
                    let error = store.apply(&batch(seq, 2), Durability::Synced).unwrap_err();
                    assert!(
                        matches!(error, Error::Full { .. } | Error::NoReserve { .. }),
                        "round {round}: {error}"
                    );
                }
                assert!(
                    began.elapsed() < Duration::from_secs(1),
                    "refusals are slow"
                );
                assert_eq!(texts(&mut store).unwrap(), acknowledged, "round {round}");
                if round % 2 == 1 {
                    // A start on the full disk: it is read-only, not refused.
                    drop(store);
                    disk.fill_what_is_left();
                    store = Embedded::open(&disk.store(), 0).unwrap();
                    assert_eq!(texts(&mut store).unwrap(), acknowledged, "round {round}");
                    seq += 1;
                    let error = store.apply(&batch(seq, 2), Durability::Synced).unwrap_err();
                    assert!(
                        matches!(error, Error::NoReserve { .. }),
                        "round {round}: {error}"
                    );
                }
                disk.free();
                let took = write_until_taken(&mut store, &mut seq, &mut acknowledged);
                assert!(took < Duration::from_secs(3), "round {round}: {took:?}");
                assert_eq!(texts(&mut store).unwrap(), acknowledged, "round {round}");
            }
            drop(store);
            assert_eq!(open(&disk.store()).unwrap(), acknowledged);
        },
    );
}

/// A change that is durable, or refused; as the committer says.
fn change(committer: &Committer, outcomes: &mut Outcomes, n: u64) -> bool {
    let batch = Batch {
        ticket: Ticket(n),
        changes: vec![status(n, Some(&"z".repeat(500)))],
        durability: Durability::Synced,
    };
    committer.submit(batch).unwrap();
    outcomes.blocking_recv().unwrap().committed
}

#[test]
fn the_alarm_is_raised_and_ends_without_a_change() {
    with_small_disk("the_alarm_is_raised_and_ends_without_a_change", |disk| {
        for least in [0, 3 << 20] {
            let path = disk.folder.path().join(format!("store-{least}"));
            let (committer, mut outcomes) =
                Committer::start(Embedded::open(&path, least).unwrap(), 8);
            let health = committer.health();
            assert!(change(&committer, &mut outcomes, 0));
            assert_eq!(health.alarm(), None);
            disk.fill(least + 100_000);
            let mut n = 1;
            while change(&committer, &mut outcomes, n) {
                n += 1;
                assert!(n < 100_000, "the disk is never full");
            }
            // It goes on saying so, and names the key only where there is one.
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(1500) {
                let alarm = health.alarm().expect("an alarm");
                assert!(alarm.contains("read-only"), "{alarm}");
                assert_eq!(alarm.contains("min-free"), least > 0, "{alarm}");
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(health.refused.get() > 0);
            disk.free();
            let began = Instant::now();
            while health.alarm().is_some() {
                assert!(
                    began.elapsed() < Duration::from_secs(5),
                    "{:?}",
                    health.alarm()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(change(&committer, &mut outcomes, n));
            committer.stop();
        }
    });
}

#[test]
fn below_min_free_it_is_read_only_and_starts_all_the_same() {
    with_small_disk(
        "below_min_free_it_is_read_only_and_starts_all_the_same",
        |disk| {
            let least = 3 << 20;
            let mut store = Embedded::open(&disk.store(), least).unwrap();
            let mut acknowledged = Texts::new();
            let mut seq = 0;
            write_until_taken(&mut store, &mut seq, &mut acknowledged);
            disk.fill(least + 600_000);
            let error = write_until_refused(&mut store, &mut seq, 10, &mut acknowledged);
            assert!(
                matches!(error, Error::ReadOnly { min_free, .. } if min_free == least),
                "{error}"
            );
            drop(store);
            let mut store = Embedded::open(&disk.store(), least).unwrap();
            assert_eq!(texts(&mut store).unwrap(), acknowledged);
            assert!(store.apply(&batch(0, 1), Durability::Behind).is_err());
            disk.free();
            let took = write_until_taken(&mut store, &mut seq, &mut acknowledged);
            assert!(
                took < Duration::from_millis(500),
                "it need not be opened anew: {took:?}"
            );
            assert_eq!(texts(&mut store).unwrap(), acknowledged);
        },
    );
}
