//! Exports and imports: nothing is lost on the way, a file that is not whole is refused before anything
//! is written, and what was taken away does not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use vestibule::component::Ticket;
use vestibule::component::authorization::{Confirm, Right, Visibility};
use vestibule::component::record::{
    Block, Digest, Grant, LastSeen, Profile, Subscription, SubscriptionState, Token, Uses,
};
use vestibule::store::committer::{Batch, Committer};
use vestibule::store::export::{self, Place};
use vestibule::store::import::{self, Import, Imported, Whole};

use super::*;

pub(super) const MADE: Wall = Wall(1_795_438_800_000);
/// An export of format 1, as it was once written.
const FIRST: &str = include_str!("../../records/export-1.jsonl");

pub(super) fn jid(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

pub(super) fn profile(user: &str, visibility: Visibility) -> Change {
    Change::Profile {
        user: jid(user),
        value: Some(Profile {
            joined: MADE,
            visibility,
            show_when_offline: true,
            public_rights: None,
            dormant: false,
            subscribed: true,
            declined: false,
            lost: false,
            last_seen: LastSeen::default(),
            share_idle: false,
            timezone: None,
            tell: Default::default(),
        }),
    }
}

pub(super) fn grant(user: &str, watcher: &str, until: Option<Wall>) -> Change {
    Change::Grant {
        user: jid(user),
        watcher: jid(watcher),
        value: Some(Grant {
            rights: BTreeSet::from([Right::See, Right::OpenUrl]),
            confirm: Confirm::Never,
            confirmed: false,
            since: MADE,
            until,
            interfaces: BTreeSet::new(),
            max_per_day: None,
            quiet: None,
            uses: Uses::default(),
            unasked: BTreeSet::new(),
            modules: BTreeSet::new(),
            unsigned: false,
        }),
    }
}

pub(super) fn subscription(user: &str, watcher: &str, state: SubscriptionState) -> Change {
    Change::Subscription {
        user: jid(user),
        watcher: jid(watcher),
        value: Some(Subscription {
            state,
            since: MADE,
            waiting: None,
            by_grant: false,
        }),
    }
}

pub(super) fn revoked(user: &str, watcher: &str) -> Change {
    Change::Grant {
        user: jid(user),
        watcher: jid(watcher),
        value: None,
    }
}

/// A store with some of everything.
pub(super) fn some(path: &Path) -> Embedded {
    let mut store = Embedded::open(path, 0).unwrap();
    let batch = [
        profile("alice@example.org", Visibility::Public),
        profile("bob@example.org", Visibility::Private),
        status(1, Some("one ☕ \"quoted\" \u{1f98a}")),
        status(2, Some("two\nlines")),
        grant("alice@example.org", "bot@acme.example", None),
        grant("alice@example.org", "acme.example", Some(MADE)),
        subscription(
            "alice@example.org",
            "c@d.example",
            SubscriptionState::Approved,
        ),
        subscription(
            "alice@example.org",
            "e@d.example",
            SubscriptionState::Preapproved,
        ),
        subscription("bob@example.org", "c@d.example", SubscriptionState::Pending),
        Change::Block {
            user: jid("bob@example.org"),
            watcher: jid("spam.example"),
            value: Some(Block { since: MADE }),
        },
    ];
    store.apply(&batch, Durability::Synced).unwrap();
    store
}

pub(super) fn all(path: &Path) -> Vec<Change> {
    let mut all = Vec::new();
    let mut store = Embedded::open(path, 0).unwrap();
    store.load(&mut |change| all.push(change)).unwrap();
    all
}

pub(super) fn how<'a>(file: &'a Path, store: &'a Path) -> Import<'a> {
    Import {
        file,
        store,
        min_free: 0,
        default_visibility: Visibility::Subscribers,
        since: None,
        now: MADE,
        all_users: true,
        revive: false,
    }
}

/// Everything of an export but its first line, which tells of the store and the time.
pub(super) fn records(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let (rest, _end) = rest.rsplit_once("{\"end\"").unwrap();
    rest.to_owned()
}

#[test]
fn what_is_exported_and_told_to_revive_is_the_same_again() {
    let (folder, path) = place();
    let (one, two) = (folder.path().join("1.jsonl"), folder.path().join("2.jsonl"));
    let exported = export::export(&mut some(&path), &one, MADE).unwrap();
    assert_eq!(exported.records, 10);
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&one).unwrap());
    assert_eq!(mode & 0o777, 0o600, "others may read it");

    let again = folder.path().join("again");
    let what = Import {
        revive: true,
        ..how(&one, &again)
    };
    let imported = import::import(&what).unwrap();
    assert_eq!((imported.records, imported.whole), (10, Some(Whole::Told)));
    assert_eq!(all(&again), all(&path));
    let mut store = Embedded::open(&again, 0).unwrap();
    export::export(&mut store, &two, MADE.plus_s(5)).unwrap();
    assert_eq!(records(&one), records(&two), "the order is not stable");
    // It goes on from there as any store.
    store
        .apply(&[status(9, Some("later"))], Durability::Synced)
        .unwrap();
    drop(store);
    assert_eq!(all(&again).len(), 11);
}

#[test]
fn an_export_of_the_first_format_stays_readable() {
    let (folder, path) = place();
    let file = folder.path().join("export-1.jsonl");
    fs::write(&file, FIRST).unwrap();
    let what = Import {
        revive: true,
        ..how(&file, &path)
    };
    assert_eq!(import::import(&what).unwrap().records, 8);
    let again = folder.path().join("again.jsonl");
    export::export(&mut Embedded::open(&path, 0).unwrap(), &again, MADE).unwrap();
    assert_eq!(records(&again), records(&file));
}

#[test]
fn without_proof_nobody_gets_more_than_from_one_who_has_just_joined() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    export::export(&mut some(&path), &file, MADE).unwrap();
    let again = folder.path().join("again");
    let imported = import::import(&how(&file, &again)).unwrap();
    let expected = Imported {
        records: 10,
        made: MADE.to_string(),
        whole: None,
        why: "no store was named that it is of".to_owned(),
        left: None,
        grants: 2,
        tokens: 0,
        approvals: 1,
        preapprovals: 1,
        visibilities: 1,
    };
    assert_eq!(imported, expected);
    let words = imported.to_string();
    assert!(words.contains("2 grants are left out"), "{words}");
    let mut expected: Vec<_> = all(&path)
        .into_iter()
        .filter(|change| !matches!(change, Change::Grant { .. }))
        .collect();
    expected[0] = profile("alice@example.org", Visibility::Subscribers);
    let at = expected
        .iter()
        .position(|change| matches!(change, Change::Subscription { .. }))
        .unwrap();
    expected[at] = subscription(
        "alice@example.org",
        "c@d.example",
        SubscriptionState::Pending,
    );
    expected.remove(at + 1);
    assert_eq!(all(&again), expected);
}

#[test]
fn the_proof_says_whether_anything_was_taken_away_since() {
    let (folder, path) = place();
    let mut store = some(&path);
    let imported = |name: &str, file: &Path| {
        let store = folder.path().join(name);
        let what = Import {
            since: Some(&path),
            ..how(file, &store)
        };
        import::import(&what)
    };
    let file = folder.path().join("export.jsonl");
    store
        .apply(
            &[revoked("alice@example.org", "acme.example")],
            Durability::Synced,
        )
        .unwrap();
    export::export(&mut store, &file, MADE).unwrap();
    let error = imported("running", &file).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");

    // What gives more, or is about something else, does not count.
    let more = [
        grant("bob@example.org", "bot@acme.example", None),
        status(1, None),
    ];
    store.apply(&more, Durability::Synced).unwrap();
    drop(store);
    let whole = imported("whole", &file).unwrap();
    assert_eq!((whole.whole, whole.grants), (Some(Whole::Proven), 0));
    assert!(all(&folder.path().join("whole")).contains(&grant(
        "alice@example.org",
        "bot@acme.example",
        None
    )));

    // A proof outlives damage of what it speaks for.
    fs::remove_dir_all(path.join("sled")).unwrap();
    assert_eq!(
        imported("damaged", &file).unwrap().whole,
        Some(Whole::Proven)
    );
    // Another store's says nothing.
    let other = folder.path().join("other");
    drop(some(&other));
    let foreign = folder.path().join("foreign");
    let what = Import {
        since: Some(&other),
        ..how(&file, &foreign)
    };
    assert_eq!(import::import(&what).unwrap().whole, None);
}

/// Nobody gets more uses of a token than she gave: what was used after the export is not known. What was
/// redeemed stays where the proof says that nothing was taken away.
#[test]
fn a_token_comes_back_without_uses_or_not_at_all() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    let watcher = jid("bot@acme.example");
    let token = |used: u32, barred: bool| Change::Token {
        user: jid("alice@example.org"),
        id: "Ab-_09".into(),
        value: Some(Token {
            digest: Digest::of("1:Ab-_09and the rest"),
            label: "blog".into(),
            rights: BTreeSet::from([Right::See]),
            since: MADE,
            until: Wall(MADE.0 + 1000),
            uses: 5,
            used,
            last_used: Some(MADE),
            redeemed: BTreeMap::from([(watcher.clone(), MADE)]),
            barred: barred
                .then(|| jid("other@acme.example"))
                .into_iter()
                .collect(),
        }),
    };
    let mut store = some(&path);
    store.apply(&[token(1, false)], Durability::Synced).unwrap();
    export::export(&mut store, &file, MADE).unwrap();
    let imported = |name: &str, since: bool, revive: bool| {
        let store = folder.path().join(name);
        let what = Import {
            since: since.then_some(path.as_path()),
            revive,
            ..how(&file, &store)
        };
        let imported = import::import(&what).unwrap();
        let is_token = |change: &Change| matches!(change, Change::Token { .. });
        let tokens: Vec<_> = all(&store).into_iter().filter(is_token).collect();
        (imported.whole, imported.tokens, tokens)
    };
    store.apply(&[token(2, false)], Durability::Synced).unwrap();
    drop(store);
    let used_up = vec![token(5, false)];
    assert_eq!(
        imported("proven", true, false),
        (Some(Whole::Proven), 0, used_up)
    );
    let told = (Some(Whole::Told), 0, vec![token(1, false)]);
    assert_eq!(imported("told", false, true), told);
    assert_eq!(imported("unproven", false, false), (None, 1, Vec::new()));
    // Whom she has taken it from since then would have it again.
    let mut store = Embedded::open(&path, 0).unwrap();
    store.load(&mut |_| {}).unwrap();
    store.apply(&[token(2, true)], Durability::Synced).unwrap();
    drop(store);
    assert_eq!(imported("narrowed", true, false), (None, 1, Vec::new()));
}

#[test]
fn what_was_revoked_after_the_export_does_not_come_back() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    let mut store = some(&path);
    export::export(&mut store, &file, MADE).unwrap();
    store
        .apply(
            &[revoked("alice@example.org", "acme.example")],
            Durability::Synced,
        )
        .unwrap();
    drop(store);
    let again = folder.path().join("again");
    let what = Import {
        since: Some(&path),
        ..how(&file, &again)
    };
    let imported = import::import(&what).unwrap();
    assert_eq!((imported.whole, imported.grants), (None, 2));
    let grants = all(&again);
    assert!(
        !grants
            .iter()
            .any(|change| matches!(change, Change::Grant { .. }))
    );
}

#[test]
fn a_file_that_is_not_whole_is_refused_and_nothing_is_written() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    export::export(&mut some(&path), &file, MADE).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let mut cases = vec![
        (String::new(), "no export"),
        ("[component]\n".to_owned(), "no export"),
        (
            whole.replace("\"format\":1", "\"format\":2"),
            "newer Vestibule",
        ),
        (swapped.join("\n") + "\n", "order"),
        (with(3, lines[2]), "order"),
        (
            with(
                3,
                &lines[3].replace("\"record\":{", "\"record\":{\"later\":1,"),
            ),
            "later",
        ),
        (with(3, &lines[3].replace("user", "who")), "who"),
        (with(3, &lines[3].replace("user1@", "user1@@")), "JID"),
        (with(3, &"x".repeat(200_000)), "no end"),
        (
            with(3, &lines[3].replace("one", &"x".repeat(20_000))),
            "16383",
        ),
        (with(3, &lines[3].replace("one", "won")), "SHA-256"),
        (lines[..11].join("\n") + "\n", "ends before"),
        (whole.clone() + "\n", "behind the end"),
    ];
    let mut dice = Dice(3);
    for _ in 0..200 {
        let at = dice.below(whole.len() as u64) as usize;
        let mut flipped = whole.clone().into_bytes();
        flipped[at] ^= 1 + dice.below(127) as u8;
        if let Ok(text) = String::from_utf8(flipped) {
            cases.push((text, ""));
        }
        if whole.is_char_boundary(at) {
            cases.push((whole[..at].to_owned(), ""));
        }
    }
    assert!(cases.len() > 300, "{}", cases.len());
    for (text, word) in cases {
        let bad = folder.path().join("bad.jsonl");
        fs::write(&bad, &text).unwrap();
        let store = folder.path().join("again");
        let error = import::import(&how(&bad, &store)).expect_err(&text);
        let words = error.to_string();
        assert!(
            words.contains("bad.jsonl") && words.contains(word),
            "{word:?} is not in {words}"
        );
        assert!(!store.exists(), "something was written: {words}");
    }
}

#[test]
fn a_store_with_records_is_left_alone_and_an_empty_one_is_taken() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    let mut store = some(&path);
    export::export(&mut store, &file, MADE).unwrap();
    let error = import::import(&how(&file, &path)).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(store);
    let before = all(&path);
    let error = import::import(&how(&file, &path)).unwrap_err();
    assert!(error.to_string().contains("10 records"), "{error}");
    assert_eq!(all(&path), before);

    let empty = folder.path().join("empty");
    drop(Embedded::open(&empty, 0).unwrap());
    import::import(&how(&file, &empty)).unwrap();
    assert_eq!(all(&empty).len(), 7);
}

#[test]
fn an_import_that_is_interrupted_is_named_and_can_be_done_again() {
    let (folder, path) = place();
    let file = folder.path().join("export.jsonl");
    export::export(&mut some(&path), &file, MADE).unwrap();
    let again = folder.path().join("again");
    import::import(&how(&file, &again)).unwrap();
    // As it is before the last step.
    fs::remove_file(again.join("proof")).unwrap();
    let Err(error) = Embedded::open(&again, 0) else {
        panic!("half of an import was served");
    };
    assert!(error.to_string().contains("interrupted"), "{error}");
    assert!(import::import(&how(&file, &again)).is_err());
    fs::remove_dir_all(&again).unwrap();
    import::import(&how(&file, &again)).unwrap();
    assert_eq!(all(&again).len(), 7);
}

#[test]
fn an_export_beside_changes_is_of_one_moment() {
    let (_folder, path) = place();
    let mut store = Embedded::open(&path, 0).unwrap();
    let mut expected = Texts::new();
    let first: Vec<_> = (0..3000)
        .map(|n| status(n, Some(&format!("old {n}"))))
        .collect();
    follow(&mut expected, &first);
    store.apply(&first, Durability::Synced).unwrap();
    store.begin_export().unwrap();
    let (mut found, mut dice, mut pages) = (Texts::new(), Dice(5), 0);
    loop {
        let last = store
            .go_on_export(100, &mut |change| follow(&mut found, &[change]))
            .unwrap();
        pages += 1;
        if last {
            break;
        }
        let changes: Vec<_> = (0..40)
            .map(|round| {
                let n = dice.below(4000);
                status(n, (round % 3 > 0).then_some("new"))
            })
            .collect();
        store.apply(&changes, Durability::Synced).unwrap();
    }
    assert!(pages >= 30, "{pages}");
    assert_eq!(found, expected);
}

#[test]
fn the_committer_writes_on_while_it_exports_and_keeps_as_many_as_it_is_told() {
    let (folder, path) = place();
    let exports = folder.path().join("exports");
    let place = Place {
        directory: exports.clone(),
        keep: 3,
        min_free: 0,
    };
    let mut store = Embedded::open(&path, 0).unwrap();
    let first: Vec<_> = (0..5000).map(|n| status(n, Some("old"))).collect();
    store.apply(&first, Durability::Synced).unwrap();
    let (committer, mut outcomes) = Committer::start(store, 64);
    let mut ticket = 0;
    for round in 0..5 {
        if round == 1 {
            // What a crash leaves behind, and what is not ours.
            fs::write(exports.join("vestibule-20261123T130000Z.jsonl.part"), "").unwrap();
            fs::write(exports.join("notes.txt"), "").unwrap();
        }
        let made = MADE.plus_s(60 * round);
        let mut told = committer.export(place.clone(), made).unwrap();
        let mut n = 0;
        let exported = loop {
            ticket += 1;
            n += 1;
            let batch = Batch {
                ticket: Ticket(ticket),
                changes: vec![status(ticket % 5000, Some(&format!("new {ticket}")))],
                durability: Durability::Synced,
            };
            committer.submit(batch).unwrap();
            assert!(outcomes.blocking_recv().unwrap().committed);
            match told.try_recv() {
                Ok(exported) => break exported.unwrap(),
                Err(_) => assert!(n < 100_000, "the export has no end"),
            }
        };
        assert!(n > 3, "it waits for the export: {n} changes");
        assert_eq!((exported.records, exported.made), (5000, made));
        assert_eq!(export::newest(&exports), Some(made));
    }
    committer.stop();
    let mut names: Vec<_> = fs::read_dir(&exports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "notes.txt",
            "vestibule-20261123T130200Z.jsonl",
            "vestibule-20261123T130300Z.jsonl",
            "vestibule-20261123T130400Z.jsonl"
        ]
    );
    let again = folder.path().join("again");
    let newest = exports.join("vestibule-20261123T130400Z.jsonl");
    assert_eq!(import::import(&how(&newest, &again)).unwrap().records, 5000);
}

#[test]
fn an_export_leaves_the_room_that_is_to_stay_free() {
    let (folder, path) = place();
    let (committer, _outcomes) = Committer::start(some(&path), 8);
    let exports = folder.path().join("exports");
    let place = Place {
        directory: exports.clone(),
        keep: 3,
        min_free: u64::MAX / 2,
    };
    let told = committer.export(place, MADE).unwrap();
    let error = told.blocking_recv().unwrap().unwrap_err();
    assert!(error.to_string().contains("min-free"), "{error}");
    assert_eq!(fs::read_dir(&exports).unwrap().count(), 0, "a rest is left");
    committer.stop();
}
