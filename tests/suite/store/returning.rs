//! Who has left does not come back by an older export, and exports keep their order when the clock does
//! not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use vestibule::component::Ticket;
use vestibule::component::authorization::Visibility;
use vestibule::component::record::Block;
use vestibule::store::committer::{Batch, Committer};
use vestibule::store::export::{Place, export};
use vestibule::store::import::{self, Failure, Import, Imported, Whole};

use super::damage::copy;
use super::exports::{MADE, all, how, jid, profile, records, some};
use super::*;

/// All that erases a user, as far as these records of hers go.
fn leaves(user: &str) -> Vec<Change> {
    let user = jid(user);
    vec![
        Change::Profile {
            user: user.clone(),
            value: None,
        },
        Change::Grant {
            user: user.clone(),
            watcher: jid("bot@acme.example"),
            value: None,
        },
        Change::Grant {
            user: user.clone(),
            watcher: jid("acme.example"),
            value: None,
        },
        Change::Subscription {
            user: user.clone(),
            watcher: jid("c@d.example"),
            value: None,
        },
        Change::Subscription {
            user,
            watcher: jid("e@d.example"),
            value: None,
        },
    ]
}

fn is_of_alice(change: &Change) -> bool {
    format!("{change:?}").contains("alice@example.org")
}

/// A store from which an export was made, alice has left since, and which was then moved away.
struct Moved {
    folder: tempfile::TempDir,
    store: PathBuf,
    /// Where exports are made.
    file: PathBuf,
    /// A copy of the directory from before she left.
    copy: PathBuf,
}

impl Moved {
    fn new() -> Self {
        let (folder, path) = place();
        let exports = path.join("exports");
        let name = "vestibule-20261123T130000Z.jsonl";
        let mut store = some(&path);
        fs::create_dir(&exports).unwrap();
        export(&mut store, &exports.join(name), MADE).unwrap();
        let more = [status(3, Some("x"))];
        store.apply(&more, Durability::Synced).unwrap();
        drop(store);
        let copied = folder.path().join("copy");
        copy(&path, &copied);
        let mut store = Embedded::open(&path, 0).unwrap();
        store
            .apply(&leaves("alice@example.org"), Durability::Synced)
            .unwrap();
        drop(store);
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        let file = moved.join("exports").join(name);
        Self {
            folder,
            store: moved,
            file,
            copy: copied,
        }
    }

    /// Imports into a new store; what came of it, and whether she is back.
    fn import(
        &self,
        file: &Path,
        since: Option<&Path>,
        all_users: bool,
    ) -> Result<(Imported, bool), Failure> {
        let store = tempfile::tempdir_in(self.folder.path()).unwrap();
        let store = store.path().join("store");
        let what = Import {
            since,
            all_users,
            ..how(file, &store)
        };
        let imported = import::import(&what);
        if imported.is_err() {
            assert!(!store.exists(), "something was written");
        }
        imported.map(|imported| (imported, all(&store).iter().any(is_of_alice)))
    }

    fn refused(&self, since: Option<&Path>, why: &str) {
        let error = self.import(&self.file, since, false).unwrap_err();
        assert!(matches!(error, Failure::WhoHasLeft { .. }), "{error}");
        let words = error.to_string();
        for word in [why, "--since", "--all-users"] {
            assert!(words.contains(word), "{word:?} is not in {words}");
        }
    }

    fn she_stays_away(&self, since: &Path, why: &str) {
        for all_users in [false, true] {
            let (imported, back) = self.import(&self.file, Some(since), all_users).unwrap();
            assert_eq!(
                (imported.whole, imported.left, back),
                (None, Some(1), false)
            );
            let words = imported.to_string();
            for word in [why, "1 user who has left stays away", "--revive"] {
                assert!(words.contains(word), "{word:?} is not in {words}");
            }
        }
    }
}

#[test]
fn who_has_left_stays_away_where_the_store_is_named() {
    let moved = Moved::new();
    let said = "says that something was";
    moved.she_stays_away(&moved.store, said);
    // The records are lost.
    fs::remove_dir_all(moved.store.join("sled")).unwrap();
    moved.she_stays_away(&moved.store, said);
    // Wherever the export lies, and where nothing can be written.
    let elsewhere = moved.folder.path().join("elsewhere.jsonl");
    fs::copy(&moved.file, &elsewhere).unwrap();
    let (imported, back) = moved.import(&elsewhere, Some(&moved.store), false).unwrap();
    assert_eq!((imported.left, back), (Some(1), false));
    for file in ["left", "proof"] {
        let path = moved.store.join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(&moved.store, fs::Permissions::from_mode(0o555)).unwrap();
    moved.she_stays_away(&moved.store, said);
    fs::set_permissions(&moved.store, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A list is not taken from where the export lies, be it in the directory that it was made in or in a copy
/// of it that knows nothing yet.
#[test]
fn where_an_export_lies_says_nothing() {
    let moved = Moved::new();
    moved.refused(None, "no store was named");
    let copied = moved
        .copy
        .join("exports")
        .join(moved.file.file_name().unwrap());
    let error = moved.import(&copied, None, false).unwrap_err();
    assert!(matches!(error, Failure::WhoHasLeft { .. }), "{error}");
    // She comes back by the operator's word alone, without what she had given.
    let (imported, back) = moved.import(&moved.file, None, true).unwrap();
    assert_eq!((imported.left, imported.grants, back), (None, 2, true));
    let words = imported.to_string();
    assert!(words.contains("are back, as you have said"), "{words}");
    // And with all of it.
    let store = moved.folder.path().join("revived");
    let what = Import {
        since: Some(&moved.store),
        revive: true,
        ..how(&moved.file, &store)
    };
    assert_eq!(import::import(&what).unwrap().whole, Some(Whole::Told));
    assert_eq!(all(&store).len(), export_len(&moved.file));
}

#[test]
fn without_its_list_or_its_proof_a_store_does_not_know_who_has_left() {
    let moved = Moved::new();
    let (list, proof) = (moved.store.join("left"), moved.store.join("proof"));
    let (whole, proven) = (fs::read(&list).unwrap(), fs::read(&proof).unwrap());
    fs::write(&list, &whole[..whole.len() - 1]).unwrap();
    moved.refused(Some(&moved.store), "missing, damaged, or begins after");
    fs::remove_file(&list).unwrap();
    moved.refused(Some(&moved.store), "missing, damaged, or begins after");
    // The list of the copy is whole, and of the same store.
    fs::copy(moved.copy.join("left"), &list).unwrap();
    moved.refused(Some(&moved.store), "missing, damaged, or begins after");
    fs::write(&list, &whole).unwrap();

    fs::remove_file(&proof).unwrap();
    moved.refused(Some(&moved.store), "has no proof that can be read");
    // Half of it, and that may be the older one: whom the list has stays away.
    for at in [0, 4096] {
        let mut half = proven.clone();
        half[at] ^= 1;
        fs::write(&proof, &half).unwrap();
        moved.she_stays_away(&moved.store, "a part of the proof");
    }
    let other = moved.folder.path().join("other");
    drop(some(&other));
    moved.refused(Some(&other), "is another store");
    let error = moved.import(&moved.file, Some(&list), false).unwrap_err();
    assert!(matches!(error, Failure::Store(_)), "{error}");
}

/// What was taken away after an older copy was made is not known there: an export that is younger than the
/// copy is not believed by it, and where the store itself is imported into its own word counts.
#[test]
fn an_older_copy_of_the_store_is_not_believed_against_what_is_newer() {
    let moved = Moved::new();
    let mut store = Embedded::open(&moved.store, 0).unwrap();
    let later = moved.folder.path().join("later.jsonl");
    export(&mut store, &later, MADE).unwrap();
    let refused = || {
        let error = moved.import(&later, Some(&moved.copy), false).unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("is a copy from before the export"),
            "{words}"
        );
    };
    refused();
    // Nor where only one half of its proof can be read.
    let proof = moved.copy.join("proof");
    let proven = fs::read(&proof).unwrap();
    for at in [0, 4096] {
        let mut half = proven.clone();
        half[at] ^= 1;
        fs::write(&proof, &half).unwrap();
        refused();
    }
    fs::write(&proof, &proven).unwrap();

    // All leave: the store is empty, and still knows.
    let mut rest: Vec<Change> = leaves("bob@example.org");
    rest.extend([1, 2, 3].map(|n| status(n, None)));
    rest.extend(["spam.example"].map(|watcher| Change::Block {
        user: jid("bob@example.org"),
        watcher: jid(watcher),
        value: None,
    }));
    store.apply(&rest, Durability::Synced).unwrap();
    drop(store);
    assert_eq!(all(&moved.store), []);
    for since in [None, Some(moved.copy.as_path())] {
        let own = moved.folder.path().join("own");
        copy(&moved.store, &own);
        let what = Import {
            since,
            all_users: false,
            ..how(&moved.file, &own)
        };
        let imported = import::import(&what).unwrap();
        assert_eq!(
            (imported.whole, imported.left),
            (None, Some(2)),
            "{since:?}"
        );
        assert!(!all(&own).iter().any(is_of_alice));
        fs::remove_dir_all(&own).unwrap();
    }
}

#[test]
fn who_has_joined_again_is_in_what_is_exported_afterwards() {
    let (folder, path) = place();
    let mut store = some(&path);
    store
        .apply(&leaves("alice@example.org"), Durability::Synced)
        .unwrap();
    store
        .apply(
            &[profile("alice@example.org", Visibility::Private)],
            Durability::Synced,
        )
        .unwrap();
    let file = folder.path().join("export.jsonl");
    export(&mut store, &file, MADE).unwrap();
    let blocked = Change::Block {
        user: jid("bob@example.org"),
        watcher: jid("worse.example"),
        value: Some(Block { since: MADE }),
    };
    store.apply(&[blocked], Durability::Synced).unwrap();
    drop(store);
    let again = folder.path().join("again");
    let imported = import_since(&path, &file, &again);
    assert_eq!(imported.left, Some(0));
    assert!(all(&again).iter().any(is_of_alice));
}

/// What came of an import by an operator who names the store and says nothing else.
fn import_since(store: &Path, file: &Path, again: &Path) -> Imported {
    let what = Import {
        since: Some(store),
        all_users: false,
        ..how(file, again)
    };
    import::import(&what).unwrap()
}

fn export_len(file: &Path) -> usize {
    records(file).lines().count()
}

/// SIGKILL between the list and the records, or a batch that was refused, erases nobody.
#[test]
fn who_has_left_is_known_after_many_restarts() {
    let (folder, path) = place();
    let mut store = some(&path);
    let file = folder.path().join("export.jsonl");
    export(&mut store, &file, MADE).unwrap();
    drop(store);
    for n in 0..5 {
        let mut store = Embedded::open(&path, 0).unwrap();
        store
            .apply(&[status(n, Some("x"))], Durability::Synced)
            .unwrap();
        if n == 2 {
            store
                .apply(&leaves("alice@example.org"), Durability::Synced)
                .unwrap();
        }
    }
    let again = folder.path().join("again");
    let imported = import_since(&path, &file, &again);
    assert_eq!(imported.left, Some(1));
}

/// Where all is written together, what is there in the end says nothing of who has left on the way.
#[test]
fn who_leaves_and_joins_in_one_write_has_left() {
    let joins = || profile("alice@example.org", Visibility::Private);
    let left = || leaves("alice@example.org").remove(0);
    for (before, together, gone) in [
        (vec![joins()], vec![left(), joins()], 1),
        (vec![joins()], vec![left(), joins(), left()], 1),
        (vec![joins()], vec![left(), joins(), left(), joins()], 1),
        (vec![joins()], vec![joins(), left()], 1),
        // She had left before; the older list may be lost.
        (vec![joins(), left()], vec![joins(), left()], 1),
        // Not there, and told to go: nobody has left; nor by a change of her settings.
        (vec![], vec![left(), joins()], 0),
        (vec![joins()], vec![joins()], 0),
    ] {
        let (folder, path) = place();
        let mut store = Embedded::open(&path, 0).unwrap();
        store
            .apply(&[joins(), status(1, None)], Durability::Synced)
            .unwrap();
        let file = folder.path().join("export.jsonl");
        export(&mut store, &file, MADE).unwrap();
        store.apply(&[left()], Durability::Synced).unwrap();
        store.apply(&before, Durability::Synced).unwrap();
        let (list, told) = (path.join("left"), format!("{before:?}, {together:?}"));
        let entries = || fs::metadata(&list).unwrap().len() / 64 - 1;
        let already = entries();
        store.apply(&together, Durability::Synced).unwrap();
        assert_eq!(entries() - already, gone, "{told}");
        drop(store);
        // The number in the proof and the list agree: it is whole at the next start, and knows.
        drop(Embedded::open(&path, 0).unwrap());
        assert_eq!(entries() - already, gone, "{told}");
        let again = folder.path().join("again");
        let imported = import_since(&path, &file, &again);
        assert_eq!((imported.whole, imported.left), (None, Some(1)), "{told}");
    }
}

/// Leaving takes something away also from her who had given nothing, and is back in the same write.
#[test]
fn who_leaves_and_joins_in_one_write_gets_nothing_of_old_back() {
    let alice = jid("user1@example.org");
    let joins = || profile(alice.as_str(), Visibility::Private);
    let left = Change::Profile {
        user: alice.clone(),
        value: None,
    };
    let (folder, path) = place();
    let mut store = Embedded::open(&path, 0).unwrap();
    store
        .apply(&[joins(), status(1, Some("old"))], Durability::Synced)
        .unwrap();
    let file = folder.path().join("export.jsonl");
    export(&mut store, &file, MADE).unwrap();
    store
        .apply(&[left, status(1, None), joins()], Durability::Synced)
        .unwrap();
    drop(store);
    let again = folder.path().join("again");
    let imported = import_since(&path, &file, &again);
    assert_eq!((imported.whole, imported.left), (None, Some(1)));
    assert_eq!(all(&again), []);
}

/// Two in one second, and one after the clock was set back by a day: none takes another's place, and the
/// oldest give way, not the one that was just made.
#[test]
fn exports_keep_their_order_when_the_clock_does_not() {
    let (folder, path) = place();
    let exports = folder.path().join("exports");
    let place = Place {
        directory: exports,
        keep: 3,
        min_free: 0,
    };
    let (committer, mut outcomes) = Committer::start(some(&path), 8);
    let mut made = Vec::new();
    for (n, at) in [0, 0, -86_400, -86_399, 100].into_iter().enumerate() {
        let batch = Batch {
            ticket: Ticket(n as u64),
            changes: vec![status(1, Some(&format!("export {n}")))],
            durability: Durability::Synced,
        };
        committer.submit(batch).unwrap();
        assert!(outcomes.blocking_recv().unwrap().committed);
        let told = committer.export(place.clone(), MADE.plus_s(at)).unwrap();
        let exported = told.blocking_recv().unwrap().unwrap();
        assert_eq!(exported.made, MADE.plus_s(at));
        assert!(records(&exported.path).contains(&format!("export {n}")));
        assert!(exported.path.exists(), "what was just made has given way");
        made.push(exported.path);
    }
    committer.stop();
    assert!(made.is_sorted(), "{made:?}");
    let kept: Vec<_> = made.iter().filter(|path| path.exists()).collect();
    assert_eq!(kept, [&made[2], &made[3], &made[4]]);
    let header = fs::read_to_string(&made[2]).unwrap();
    assert!(
        header.contains("\"made\":\"2026-11-22T13:00:00Z\""),
        "{header}"
    );
}
