//! Flips, truncations and zeroed pages in every file: named, or without effect; never served.

use std::fs;
use std::iter;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

/// How long one damaged store may take; a healthy one takes well under a second.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Makes a store of several segments with a snapshot and a tail behind it, and closes it.
fn written(path: &Path) -> Texts {
    let mut expected = Texts::new();
    for run in 0..3u64 {
        let mut store = Embedded::open(path, 0).unwrap();
        for round in 0..40 {
            let batch: Vec<Change> = (0..20)
                .map(|n| {
                    let text = format!("{run} {round} {}", "x".repeat((n * 13) as usize));
                    let user = (round * 20 + n * 7) % 600;
                    status(user, (n != 3).then_some(&text))
                })
                .collect();
            follow(&mut expected, &batch);
            store.apply(&batch, Durability::Synced).unwrap();
        }
    }
    expected
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Truncate,
    Zero,
}

fn harm(file: &Path, how: Harm, dice: &mut Dice) -> String {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len() as u64;
    let at = dice.below(length) as usize;
    match how {
        Harm::Flip => {
            for byte in bytes.iter_mut().skip(at).take(1 + dice.below(8) as usize) {
                *byte ^= 1 + dice.below(255) as u8;
            }
        }
        Harm::Truncate => bytes.truncate(at),
        Harm::Zero => {
            let page = at / 4096 * 4096;
            let end = bytes.len().min(page + 4096);
            bytes[page..end].fill(0);
        }
    }
    fs::write(file, bytes).unwrap();
    format!("{how:?} of {} at {at} of {length}", file.display())
}

#[test]
fn damage_is_named_or_harmless_and_never_served() {
    let (folder, path) = place();
    let expected = written(&path);
    let snapshot = fs::read_dir(path.join("sled"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("snap."))
        .expect("sled writes a snapshot when it opens a database that it has written");
    let plan = [
        ("sled/db".to_owned(), [150, 60, 90]),
        (format!("sled/{snapshot}"), [40, 20, 20]),
        ("sled/conf".to_owned(), [30, 15, 15]),
        ("proof".to_owned(), [30, 15, 15]),
    ];
    let times = if is_long() { 100 } else { 1 };
    let cases: Vec<_> = plan
        .iter()
        .flat_map(|(file, counts)| {
            let harms = [Harm::Flip, Harm::Truncate, Harm::Zero];
            iter::zip(harms, counts).flat_map(move |(how, n)| iter::repeat_n((file, how), *n))
        })
        .collect();
    let total = cases.len() * times;
    let (next, named, harmless) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
    let work = || {
        loop {
            // Each has numbers of its own: what goes wrong can be done again alone.
            let n = next.fetch_add(1, Relaxed);
            if n >= total {
                break;
            }
            let (file, how) = cases[n % cases.len()];
            let damaged = folder.path().join(n.to_string());
            copy(&path, &damaged);
            let what = harm(&damaged.join(file), how, &mut Dice(11 + n as u64));
            // The second attempt finds what sled made of the damage at the first.
            for attempt in 1..=2 {
                match within_patience(&damaged, &what) {
                    Ok(texts) => {
                        assert_eq!(texts, expected, "{what}: served, attempt {attempt}");
                        harmless.fetch_add(1, Relaxed);
                    }
                    Err(error) => {
                        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}");
                        assert!(error.to_string().contains(damaged.to_str().unwrap()));
                        named.fetch_add(1, Relaxed);
                    }
                }
            }
            fs::remove_dir_all(&damaged).unwrap();
            if n % 5000 == 4999 {
                let (named, harmless) = (named.load(Relaxed), harmless.load(Relaxed));
                println!("{n} of {total} damages: {named} times named, {harmless} times harmless");
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (named, harmless) = (named.into_inner(), harmless.into_inner());
    println!(
        "{total} damages, each store opened twice: {named} times named, {harmless} times harmless"
    );
    assert_eq!(total, 500 * times);
    assert_eq!(named + harmless, 2 * total);
    assert!(named > total, "the damage does not hit: {named} named");
}

fn within_patience(path: &Path, what: &str) -> Result<Texts, Error> {
    let (done, result) = mpsc::channel();
    let path = path.to_owned();
    let opening = thread::spawn(move || drop(done.send(open(&path))));
    let Ok(result) = result.recv_timeout(PATIENCE) else {
        panic!(
            "{what}: it hangs or has panicked: {}",
            opening.is_finished()
        );
    };
    opening.join().unwrap();
    result
}

#[test]
fn an_older_copy_of_sled_beside_the_proof_is_named() {
    let (folder, path) = place();
    written(&path);
    let older = folder.path().join("older");
    copy(&path, &older);
    let newer = {
        let mut store = Embedded::open(&path, 0).unwrap();
        store
            .apply(&[status(1, Some("later"))], Durability::Synced)
            .unwrap();
        texts(&mut store).unwrap()
    };
    fs::rename(path.join("sled"), folder.path().join("newer")).unwrap();
    copy(&older.join("sled"), &path.join("sled"));
    let error = open(&path).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("older than what was acknowledged"),
        "{error}"
    );

    // With its own records it is what it was.
    fs::remove_dir_all(path.join("sled")).unwrap();
    fs::rename(folder.path().join("newer"), path.join("sled")).unwrap();
    assert_eq!(open(&path).unwrap(), newer);
}

#[test]
fn the_records_of_another_store_are_named() {
    let (_one_folder, one) = place();
    let (_two_folder, two) = place();
    for path in [&one, &two] {
        let mut store = Embedded::open(path, 0).unwrap();
        store
            .apply(&[status(1, Some("x"))], Durability::Synced)
            .unwrap();
    }
    fs::remove_dir_all(one.join("sled")).unwrap();
    copy(&two.join("sled"), &one.join("sled"));
    let error = open(&one).unwrap_err();
    assert!(error.to_string().contains("different stores"), "{error}");
}
