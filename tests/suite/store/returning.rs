//! Who has left does not come back by an older export, and exports keep their order when the clock does
//! not.

use std::fs;

use vestibule::component::Ticket;
use vestibule::component::authorization::Visibility;
use vestibule::component::record::Block;
use vestibule::store::committer::{Batch, Committer};
use vestibule::store::export::{Place, export};
use vestibule::store::import::{self, Failure, Import};

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

#[test]
fn who_has_left_stays_away_unless_the_operator_says_so() {
    let (folder, path) = place();
    let exports = path.join("exports");
    let file = exports.join("vestibule-20261123T130000Z.jsonl");
    let mut store = some(&path);
    fs::create_dir(&exports).unwrap();
    export(&mut store, &file, MADE).unwrap();
    let before = export_len(&file);
    store
        .apply(&leaves("alice@example.org"), Durability::Synced)
        .unwrap();
    // Somebody else joins and leaves; and she joins again, which gives nothing of old back.
    store
        .apply(
            &[profile("alice@example.org", Visibility::Private)],
            Durability::Synced,
        )
        .unwrap();
    let later = folder.path().join("later.jsonl");
    export(&mut store, &later, MADE).unwrap();
    let blocked = Change::Block {
        user: jid("bob@example.org"),
        watcher: jid("worse.example"),
        value: Some(Block { since: MADE }),
    };
    store.apply(&[blocked], Durability::Synced).unwrap();
    drop(store);
    let damaged = folder.path().join("damaged");
    fs::rename(&path, &damaged).unwrap();
    fs::remove_dir_all(damaged.join("sled")).unwrap();
    let file = damaged.join("exports").join(file.file_name().unwrap());

    let imported = |file: &Path, name: &str, since: bool, all_users: bool, revive: bool| {
        let store = folder.path().join(name);
        let what = Import {
            since: since.then_some(damaged.as_path()),
            all_users,
            revive,
            ..how(file, &store)
        };
        import::import(&what).map(|imported| (imported.left, all(&store)))
    };
    // It is where exports are made, so the store is found beside it.
    for since in [true, false] {
        let name = format!("known-{since}");
        let (left, found) = imported(&file, &name, since, true, false).unwrap();
        assert_eq!(left, 1);
        assert!(!found.iter().any(is_of_alice), "{found:?}");
        assert!(format!("{found:?}").contains("bob@example.org"));
    }
    // One that was made after she had joined again has her.
    let (left, found) = imported(&later, "later", true, false, false).unwrap();
    assert_eq!(left, 0);
    assert!(found.iter().any(is_of_alice));

    // Elsewhere it is not known, and then it is asked.
    let elsewhere = folder.path().join("elsewhere.jsonl");
    fs::copy(&file, &elsewhere).unwrap();
    let error = imported(&elsewhere, "unknown", false, false, false).unwrap_err();
    assert!(matches!(error, Failure::WhoHasLeft { .. }), "{error}");
    assert!(error.to_string().contains("--since"), "{error}");
    assert!(!folder.path().join("unknown").exists());
    for (name, since, all_users, revive, back) in [
        ("named", true, false, false, false),
        ("all", false, true, false, true),
        ("revived", true, false, true, true),
    ] {
        let (_, found) = imported(&elsewhere, name, since, all_users, revive).unwrap();
        assert_eq!(found.iter().any(is_of_alice), back, "{name}");
        assert_eq!(found.len() as u64 == before, revive, "{name}");
    }

    // A list that is cut off does not know.
    let list = fs::read(damaged.join("left")).unwrap();
    fs::write(damaged.join("left"), &list[..list.len() - 1]).unwrap();
    let error = imported(&elsewhere, "cut", true, false, false).unwrap_err();
    assert!(matches!(error, Failure::WhoHasLeft { .. }), "{error}");
}

fn export_len(file: &Path) -> u64 {
    records(file).lines().count() as u64
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
    let what = Import {
        since: Some(&path),
        all_users: false,
        ..how(&file, &again)
    };
    assert_eq!(import::import(&what).unwrap().left, 1);
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
