//! The durable record under damage, a full disk and SIGKILL.

mod by_the_book;
mod damage;
mod exports;
mod full_disk;
mod kill;
mod metrics;
mod returning;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vestibule::address::Bare;
use vestibule::component::clock::Wall;
use vestibule::component::record::{Change, Status};
use vestibule::store::embedded::Embedded;
use vestibule::store::{Durability, Error, Store};

/// Whether `make test-long` runs.
pub(crate) fn is_long() -> bool {
    std::env::var_os("VESTIBULE_TEST_LONG").is_some()
}

/// How often a test with SIGKILL kills.
pub(crate) fn kill_rounds() -> u64 {
    if is_long() { 5000 } else { 50 }
}

/// The texts of all custom statuses, by user: what these tests put into a store.
type Texts = BTreeMap<String, String>;

/// A place for a store, and the folder around it that goes with the test.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

/// The custom status `text` of user `n`; `None` takes it away.
fn status(n: u64, text: Option<&str>) -> Change {
    Change::Status {
        user: Bare::parse(&format!("user{n}@example.org")).unwrap(),
        value: text.map(|text| Status::of_text(text, Wall(n as i64))),
    }
}

/// Does to `texts` what the store does with `batch`.
fn follow(texts: &mut Texts, batch: &[Change]) {
    for change in batch {
        let Change::Status { user, value } = change else {
            panic!("these tests write nothing but custom statuses, and here is {change:?}");
        };
        match value {
            Some(status) => texts.insert(user.to_string(), status.texts[0].text.clone()),
            None => texts.remove(user.as_str()),
        };
    }
}

/// Loads all that a store holds.
fn texts(store: &mut Embedded) -> Result<Texts, Error> {
    let mut texts = Texts::new();
    store.load(&mut |change| follow(&mut texts, &[change]))?;
    Ok(texts)
}

/// Opens a store and loads all that it holds.
fn open(path: &Path) -> Result<Texts, Error> {
    texts(&mut Embedded::open(path, 0)?)
}

/// Numbers that look random and are the same in each run (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[test]
fn what_is_written_in_one_run_is_there_in_the_next() {
    let (_folder, path) = place();
    let mut expected = Texts::new();
    for run in 0..5 {
        let mut store = Embedded::open(&path, 0).unwrap();
        assert_eq!(texts(&mut store).unwrap(), expected, "run {run}");
        for n in 0..20 {
            let text = format!("{run} {n}");
            let batch = [status(n, Some(&text)), status(n + 15 + run, None)];
            follow(&mut expected, &batch);
            store.apply(&batch, Durability::Synced).unwrap();
        }
    }
}
