use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::super::samples;
use super::*;

/// A place for a store; the folders that tempfile makes may be entered by others.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    (parent, folder)
}

/// All records, in the order of keys.
fn records(store: &mut Embedded) -> Vec<Change> {
    let mut records = Vec::new();
    store.load(&mut |change| records.push(change)).unwrap();
    records.sort_by_cached_key(|change| codec::encode(change).unwrap().0);
    records
}

#[test]
fn every_record_comes_back_and_a_deletion_stays() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    assert_eq!(records(&mut store), []);
    store.apply(&samples::all(), Durability::Synced).unwrap();
    store
        .apply(&[samples::status(1, 1)], Durability::Behind)
        .unwrap();
    // The last word of a batch on a record counts.
    let batch = [
        samples::status(2, 1),
        samples::no_status(2),
        samples::no_status(3),
        samples::status(3, 9),
    ];
    store.apply(&batch, Durability::Synced).unwrap();
    let mut expected = samples::all();
    expected.insert(2, samples::status(1, 1));
    expected.insert(3, samples::status(3, 9));
    for _ in 0..3 {
        assert_eq!(records(&mut store), expected);
        drop(store);
        store = Embedded::open(&folder, 0).unwrap();
    }
    store
        .apply(&[samples::no_status(1)], Durability::Synced)
        .unwrap();
    expected.remove(2);
    assert_eq!(records(&mut store), expected);
}

#[test]
fn a_second_opener_is_told_so() {
    let (_parent, folder) = folder();
    let first = Embedded::open(&folder, 0).unwrap();
    let Err(error) = Embedded::open(&folder, 0) else {
        panic!("two have it open");
    };
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(first);
    Embedded::open(&folder, 0).unwrap();
}

#[test]
fn somebody_who_opened_sled_directly_is_seen() {
    let (_parent, folder) = folder();
    drop(Embedded::open(&folder, 0).unwrap());
    let _sled = sled::open(folder.join("sled")).unwrap();
    let error = Embedded::open(&folder, 0).err().unwrap();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}

#[test]
fn below_the_least_nothing_is_written_and_all_is_read() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Synced).unwrap();
    drop(store);
    let mut store = Embedded::open(&folder, u64::MAX).unwrap();
    assert_eq!(records(&mut store), samples::all());
    for durability in [Durability::Synced, Durability::Behind] {
        let error = store
            .apply(&[samples::status(1, 1)], durability)
            .unwrap_err();
        assert!(matches!(
            error,
            Error::ReadOnly {
                min_free: u64::MAX,
                ..
            }
        ));
    }
    assert_eq!(records(&mut store), samples::all());
}

#[test]
fn a_store_that_was_never_written_to_may_have_lost_its_beginnings() {
    let (_parent, folder) = folder();
    drop(Embedded::open(&folder, 0).unwrap());
    fs::remove_dir_all(folder.join("sled")).unwrap();
    let mut store = Embedded::open(&folder, 0).unwrap();
    assert_eq!(records(&mut store), []);
}

fn damage(folder: &Path) -> String {
    let error = Embedded::open(folder, 0)
        .and_then(|mut store| store.load(&mut |_| {}))
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Damaged { .. }), "{text}");
    assert!(text.contains(folder.to_str().unwrap()), "{text}");
    assert!(text.contains("put back a copy"), "{text}");
    text
}

#[test]
fn lost_parts_are_named() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Synced).unwrap();
    drop(store);
    let proof = folder.join("proof");
    let aside = folder.join("aside");
    fs::rename(&proof, &aside).unwrap();
    assert!(damage(&folder).contains("its proof is missing"));
    fs::rename(&aside, &proof).unwrap();
    fs::rename(folder.join("sled"), &aside).unwrap();
    for _ in 0..2 {
        assert!(damage(&folder).contains("its records are gone"));
    }
    fs::create_dir(folder.join("sled")).unwrap();
    drop(sled::open(folder.join("sled")).unwrap());
    assert!(damage(&folder).contains("its records are gone"));
}

/// Changes what sled holds behind the back of the store.
fn tamper(folder: &Path, with: impl FnOnce(&sled::Db)) {
    let db = sled::open(folder.join("sled")).unwrap();
    with(&db);
    db.flush().unwrap();
}

#[test]
fn a_record_that_is_missing_added_moved_or_changed_is_found() {
    let key = |change: &Change| codec::encode(change).unwrap().0;
    let value = |change: &Change| codec::encode(change).unwrap().1.unwrap();
    let (one, two) = (samples::status(1, 1), samples::status(2, 2));
    type Harm<'a> = Box<dyn Fn(&sled::Db) + 'a>;
    let cases: [(&str, Harm<'_>); 6] = [
        ("1 records", Box::new(|db| drop(db.remove(key(&one))))),
        (
            "3 records",
            Box::new(|db| {
                let extra = samples::status(3, 3);
                drop(db.insert(key(&extra), value(&extra)));
            }),
        ),
        (
            "status of user1@example.org",
            Box::new(|db| {
                drop(db.insert(key(&one), value(&two)));
            }),
        ),
        (
            "2 records",
            Box::new(|db| {
                drop(db.insert(key(&one), value(&samples::status(1, 7))));
            }),
        ),
        ("lost their mark", Box::new(|db| drop(db.remove([0])))),
        (
            "mark of its records",
            Box::new(|db| drop(db.insert([0], "no mark"))),
        ),
    ];
    for (word, tampering) in &cases {
        let (_parent, folder) = folder();
        let mut store = Embedded::open(&folder, 0).unwrap();
        store
            .apply(&[one.clone(), two.clone()], Durability::Synced)
            .unwrap();
        drop(store);
        tamper(&folder, tampering);
        let text = damage(&folder);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn what_a_later_version_wrote_is_not_damage() {
    let (_parent, folder) = folder();
    drop(Embedded::open(&folder, 0).unwrap());
    let (key, _) = codec::encode(&samples::status(1, 1)).unwrap();
    let mut checksum = crc32fast::Hasher::new();
    for part in [&key[..1], &[2], &key[1..], b"{}"] {
        checksum.update(part);
    }
    let value = [&[2][..], &checksum.finalize().to_be_bytes(), b"{}"].concat();
    tamper(&folder, |db| drop(db.insert(key, value)));
    let mut store = Embedded::open(&folder, 0).unwrap();
    let error = store.load(&mut |_| {}).unwrap_err();
    assert!(matches!(&error, Error::TooNew { .. }), "{error}");
    assert!(error.to_string().contains("status of user1@example.org"));
}

#[test]
fn writing_without_reading_verifies_first() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store
        .apply(&[samples::status(1, 1)], Durability::Synced)
        .unwrap();
    drop(store);
    let (key, _) = codec::encode(&samples::status(1, 1)).unwrap();
    tamper(&folder, |db| drop(db.remove(key)));
    let mut store = Embedded::open(&folder, 0).unwrap();
    let error = store
        .apply(&[samples::status(2, 2)], Durability::Synced)
        .unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn a_snapshot_that_was_interrupted_does_not_stop_the_next_start() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Synced).unwrap();
    drop(store);
    let half = folder.join("sled/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&half, [0; 100]).unwrap();
    let mut store = Embedded::open(&folder, 0).unwrap();
    assert_eq!(records(&mut store), samples::all());
    assert!(!half.exists());
}

#[test]
fn pages_of_the_largest_records_and_keys_come_back() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    let local = "l".repeat(1000);
    let mut expected: Vec<Change> = (0..300)
        .map(|n| match samples::status(n, 1) {
            Change::Status {
                value: Some(mut status),
                ..
            } => {
                status.texts[0].text = "x".repeat(16_000);
                Change::Status {
                    user: samples::jid(&format!("{local}{n}@example.org")),
                    value: Some(status),
                }
            }
            _ => unreachable!(),
        })
        .collect();
    for batch in expected.chunks(50) {
        store.apply(batch, Durability::Synced).unwrap();
    }
    let blobs = fs::read_dir(folder.join("sled/blobs")).unwrap();
    assert!(
        blobs.count() > 0,
        "no page is as large as this test wants them"
    );
    drop(store);
    let mut store = Embedded::open(&folder, 0).unwrap();
    expected.sort_by_key(|change| codec::encode(change).unwrap().0);
    assert_eq!(records(&mut store), expected);
}

/// What a mark was before it said when something was last taken away.
fn of_format_1(mark: Mark) -> Vec<u8> {
    let mut bytes = mark.to_bytes()[..64].to_vec();
    bytes[9] = 1;
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

/// Makes a store look as if the version before had left it.
fn age(folder: &Path, mark: Mark) {
    let db = sled::open(folder.join("sled")).unwrap();
    db.insert([0], of_format_1(mark)).unwrap();
    db.flush().unwrap();
    drop(db);
    let mut proof = vec![0; 8192];
    for slot in proof.chunks_exact_mut(4096) {
        slot[..68].copy_from_slice(&of_format_1(mark));
    }
    fs::write(folder.join("proof"), proof).unwrap();
}

#[test]
fn a_store_with_marks_of_the_first_format_is_taken_over() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Synced).unwrap();
    let mark = store.mark;
    drop(store);
    age(&folder, mark);

    // Looked at and left alone it stays as it is; a crash behind the first write costs nothing.
    let mut store = Embedded::open(&folder, 0).unwrap();
    assert_eq!(records(&mut store), samples::all());
    assert_eq!(
        store.mark.taken_away, mark.seq,
        "unknown, so in doubt the last write"
    );
    store
        .apply(&[samples::status(1, 1)], Durability::Behind)
        .unwrap();
    drop(store);
    let mut store = Embedded::open(&folder, 0).unwrap();
    assert_eq!(records(&mut store).len(), samples::all().len() + 1);
    store
        .apply(&[samples::status(1, 2)], Durability::Synced)
        .unwrap();
    assert_eq!(store.mark.taken_away, mark.seq);
    drop(store);
    assert_eq!(
        records(&mut Embedded::open(&folder, 0).unwrap()).len(),
        samples::all().len() + 1
    );
}

#[test]
fn an_export_is_given_up_with_a_store_that_is_opened_anew() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Synced).unwrap();
    assert!(
        store.go_on_export(1, &mut |_| {}).is_err(),
        "none was begun"
    );
    let broken = |cause| Condition::Broken(Breakage::new(cause, Writes::new()));
    store.condition = broken(Cause::Damaged("it is".into()));
    assert!(store.begin_export().is_err(), "it is damaged");
    store.condition = Condition::Sound;
    store.begin_export().unwrap();
    store.condition = broken(Cause::Full);
    store.check().unwrap();
    assert!(store.go_on_export(1, &mut |_| {}).is_err());
    store.begin_export().unwrap();
    let mut found = Vec::new();
    while !store.go_on_export(3, &mut |one| found.push(one)).unwrap() {}
    assert_eq!(found, samples::all());
}

/// So that a proof that is behind an export is known to be of an older copy.
#[test]
fn an_export_finds_all_that_it_holds_in_the_proof() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    store.apply(&samples::all(), Durability::Behind).unwrap();
    assert_ne!(store.proof.latest(), store.mark);
    let origin = store.begin_export().unwrap();
    assert_eq!(store.proof.latest().seq, origin.batch);
}

#[test]
fn a_start_takes_one_user_after_the_other() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    let mut batch = samples::all();
    batch.extend(samples::later());
    // One name is the beginning of the next, and all they have is a status.
    batch.extend((1..700).map(|n| samples::status(n, 1)));
    batch.push(samples::operator_block());
    store.apply(&batch, Durability::Synced).unwrap();
    let key = |change: &Change| codec::encode(change).unwrap().0;
    let mut found = Vec::new();
    store.load(&mut |change| found.push(change)).unwrap();
    let of: Vec<_> = found
        .iter()
        .map(key)
        .map(|key| {
            let is_of_user = codec::BY_USER.contains(&key[0]);
            is_of_user.then(|| codec::user_of(&key).to_vec())
        })
        .collect();
    assert!(of.is_sorted(), "what is of no user comes first");
    let by_key = |changes: Vec<Change>| -> BTreeMap<_, _> {
        changes.into_iter().map(|one| (key(&one), one)).collect()
    };
    let n = found.len();
    assert_eq!(by_key(found), by_key(batch));
    assert_eq!(n as u64, store.mark.sum.count, "each comes once");
}

/// A change that was refused may have taken something from memory alone, so who leaves names less than there
/// is.
#[test]
fn with_a_profile_goes_all_that_is_stored_of_her() {
    let (_parent, folder) = folder();
    let mut store = Embedded::open(&folder, 0).unwrap();
    let mut batch = samples::all();
    batch.extend(samples::later());
    // Her name is the beginning of theirs.
    batch.extend((1..30).map(|n| samples::status(n, 1)));
    store.apply(&batch, Durability::Synced).unwrap();
    let profiles = batch.iter().filter_map(|change| match change {
        Change::Profile { user, .. } => Some(user.clone()),
        _ => None,
    });
    let leaving: Vec<_> = profiles
        .chain([samples::jid("user2@example.org")])
        .collect();
    let is_hers = |change: &Change| {
        let key = codec::encode(change).unwrap().0;
        let of = |user: &crate::address::Bare| codec::user_of(&key) == user.as_str().as_bytes();
        codec::BY_USER.contains(&key[0]) && leaving.iter().any(of)
    };
    let gone = leaving.iter().map(|user| Change::Profile {
        user: user.clone(),
        value: None,
    });
    store
        .apply(&gone.collect::<Vec<_>>(), Durability::Synced)
        .unwrap();
    drop(store);
    let mut store = Embedded::open(&folder, 0).unwrap();
    let mut found = 0;
    store
        .load(&mut |change| {
            assert!(!is_hers(&change), "{change:?}");
            found += 1;
        })
        .unwrap();
    let others = batch.iter().filter(|change| !is_hers(change)).count();
    assert!(
        found == others && found < batch.len(),
        "{found} of {others}"
    );
}
