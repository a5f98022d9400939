use super::super::samples;
use super::*;
use crate::component::record::Subscription;

/// Every sample as version 1 writes it. Never change a line: add one for a new version.
const GOLDEN_1: [(&[u8], &[u8]); 8] = [
    (
        b"\x01juliet@capulet.example",
        b"\x01\x1a\x8e\xaaI{\"joined\":1795440005250,\"visibility\":\"subscribers\",\"show_when_offline\":false,\"public_rights\":[\"see\",\"open-url\"],\"dormant\":false,\"subscribed\":true}",
    ),
    (
        b"\x02juliet@capulet.example",
        b"\x01\xf3Y\x87E{\"text\":\"In a meeting \xe2\x98\x95\",\"state\":\"dnd\",\"scope\":\"offline\",\"set\":1795440005250,\"until\":1795443605250,\"author\":\"bot@acme.example\"}",
    ),
    (
        b"\x03juliet@capulet.example\x00bot@acme.example",
        b"\x01`_&\xa0{\"rights\":[\"see\",\"start-module\"],\"confirm\":\"first\",\"confirmed\":true,\"since\":1795440005250,\"until\":1795440065250,\"interfaces\":[\"dedicated\"]}",
    ),
    (
        b"\x04juliet@capulet.example\x00bot@acme.example",
        b"\x01_&[|{\"state\":\"approved\",\"since\":1795440005250}",
    ),
    (
        b"\x05juliet@capulet.example\x00acme.example",
        b"\x01\x05\xb8\xa9\xdf{\"since\":1795440005250}",
    ),
    (
        b"\x060f1e2d",
        b"\x01\x91\xdd\xe7>{\"user\":\"juliet@capulet.example\",\"watcher\":\"bot@acme.example/a/b\",\"interface\":\"public\",\"level\":\"known\",\"right\":\"open-url\",\"request_id\":\"r 1\",\"fields\":{\"url\":\"https://example.org/\"},\"confirm\":true,\"issued\":1795440005250,\"expires\":1795440035250,\"state\":\"sent\",\"agent_request_id\":\"0f1e2d\",\"resource\":\"agent\"}",
    ),
    (
        b"\x07juliet@capulet.example\x00\x80\x00\x01\xa2\x08\x90P\x820f1e2d",
        b"\x014\xb5\x17\xf4{\"watcher\":\"bot@acme.example\",\"right\":\"open-url\",\"state\":\"unknown\",\"detail\":\"https://example.org/\"}",
    ),
    (
        b"\x08juliet@capulet.example",
        b"\x01\xdb\x95np{\"state\":\"xa\",\"text\":\"gone\",\"since\":1795440005250}",
    ),
];

/// The same with the optional fields that came later.
const GOLDEN_1_LATER: [(&[u8], &[u8]); 9] = [
    (
        b"\x01romeo@montague.example",
        b"\x01\x99\xd4.\xae{\"joined\":1795440005250,\"visibility\":\"public\",\"show_when_offline\":true,\"public_rights\":null,\"dormant\":false,\"subscribed\":true,\"last_seen\":\"day\",\"share_idle\":true,\"timezone\":\"Europe/Rome\",\"tell\":{\"notify\":\"digest\"}}",
    ),
    (
        b"\x02romeo@montague.example",
        b"\x01\xdd@\xcao{\"text\":\"Lunch\",\"state\":null,\"scope\":\"always\",\"set\":1795440005250,\"until\":1795443605250,\"author\":null,\"emoji\":\"\xf0\x9f\x8d\x9d\",\"earlier\":[{\"text\":\"Verona\",\"emoji\":\"\xf0\x9f\x8f\x9b\",\"scope\":\"always\",\"set\":1795440005250,\"until\":null,\"author\":null}],\"states\":[{\"state\":\"away\",\"set\":1795440006250,\"until\":1795440065250},{\"state\":\"invisible\",\"set\":1795440006250,\"until\":null}]}",
    ),
    (b"\x061e2d3c", b"\x01\xa3z,\x80{\"user\":\"romeo@montague.example\",\"watcher\":\"nurse@capulet.example/garden\",\"interface\":\"public\",\"level\":\"authorized\",\"right\":\"leave-message\",\"request_id\":\"r2\",\"fields\":{\"text\":\"Anon, good nurse\"},\"confirm\":true,\"issued\":1795440005250,\"expires\":1795440605250,\"state\":\"queued\",\"agent_request_id\":null,\"resource\":null,\"prompt\":\"k7\"}"),
    (
        b"\tromeo@montague.example\x00Ab-_09",
        b"\x01\x90\x11va{\"digest\":\"dTIADtH3ggJ6uxFVtmCNct_oiwmaGuYtB4GGLgfBo3Q\",\"label\":\"For the nurse\",\"rights\":[\"see\",\"leave-message\"],\"since\":1795440005250,\"until\":1795443605250,\"uses\":5,\"used\":2,\"last_used\":1795440065250,\"redeemed\":{\"nurse@capulet.example\":1795440035250},\"barred\":[\"tybalt@capulet.example\"]}",
    ),
    (
        b"\x063c4b",
        b"\x01\xd6\x84\xf4\xd0{\"user\":\"romeo@montague.example\",\"watcher\":\"bot@acme.example/a\",\"interface\":\"dedicated\",\"level\":\"authorized\",\"right\":\"open-url\",\"request_id\":\"r2\",\"fields\":{},\"confirm\":false,\"issued\":1795440005250,\"expires\":1795440035250,\"state\":\"sent\",\"agent_request_id\":null,\"resource\":null,\"token\":\"Ab-_09\"}",
    ),
    (
        b"\x07romeo@montague.example\x00\x80\x00\x01\xa2\x08\x90P\x823c4b",
        b"\x01\xaa\xef\xe5\t{\"watcher\":\"bot@acme.example\",\"right\":\"open-url\",\"state\":\"completed\",\"detail\":\"\",\"token\":\"For the nurse\",\"untold\":true,\"untold_before\":2}",
    ),
    (
        b"\x03romeo@montague.example\x00bot@acme.example",
        b"\x01M\x0f4/{\"rights\":[\"see\",\"set-status\",\"start-module\"],\"confirm\":\"never\",\"confirmed\":false,\"since\":1795440005250,\"until\":null,\"interfaces\":[],\"modules\":[\"agenda\",\"lock\"],\"unsigned\":true}",
    ),
    (
        b"\x02romeo@montague.example",
        b"\x01\xdf\x81c>{\"text\":\"Rome\",\"state\":null,\"scope\":\"always\",\"set\":1795440005250,\"until\":null,\"author\":\"bot@acme.example\",\"unsigned\":true,\"emoji\":\"\xf0\x9f\x9a\x82\"}",
    ),
    (
        b"\x07romeo@montague.example\x00\x80\x00\x01\xa2\x08\x90P\x823c4b",
        b"\x01O>\xcf\xc7{\"watcher\":\"bot@acme.example\",\"right\":\"open-url\",\"state\":\"completed\",\"detail\":\"\",\"clock\":1795436405250}",
    ),
];

#[test]
fn every_record_reads_back() {
    for change in samples::all().into_iter().chain(samples::later()) {
        let (key, value) = encode(&change).unwrap();
        assert_eq!(decode(&key, &value.unwrap()), Ok(change));
    }
}

/// The operator's block, which came later.
const GOLDEN_1_OPERATOR_BLOCK: (&[u8], &[u8]) = (
    b"\x10spam.example",
    b"\x01,\xb8:\x1f{\"since\":1795440005250,\"by\":\"admin@example.org\"}",
);

#[test]
fn a_block_of_the_operator_stays_readable() {
    let (key, value) = GOLDEN_1_OPERATOR_BLOCK;
    let (now_key, now_value) = encode(&samples::operator_block()).unwrap();
    assert_eq!(now_key, key);
    assert_eq!(
        now_value.unwrap().escape_ascii().to_string(),
        value.escape_ascii().to_string()
    );
    assert_eq!(decode(key, value), Ok(samples::operator_block()));
}

#[test]
fn version_1_stays_readable() {
    let golden = GOLDEN_1.into_iter().chain(GOLDEN_1_LATER);
    let samples = samples::all().into_iter().chain(samples::later());
    assert_eq!(samples.clone().count(), golden.clone().count());
    for (change, (key, value)) in samples.zip(golden) {
        assert_eq!(decode(key, value).as_ref(), Ok(&change));
        let (now_key, now_value) = encode(&change).unwrap();
        let written = now_value.unwrap();
        assert_eq!(
            now_key.escape_ascii().to_string(),
            key.escape_ascii().to_string()
        );
        assert_eq!(
            written.escape_ascii().to_string(),
            value.escape_ascii().to_string()
        );
    }
}

#[test]
fn what_optional_fields_leave_out_is_read_as_their_default() {
    let key = jid_key(table::PROFILE, &samples::jid("a@b.example"));
    let value = seal(&key, br#"{"joined":5,"visibility":"private","later":1}"#);
    let Ok(Change::Profile {
        value: Some(profile),
        ..
    }) = decode(&key, &value)
    else {
        panic!("an early profile was refused");
    };
    assert!(profile.show_when_offline && !profile.subscribed && profile.joined == Wall(5));
}

#[test]
fn a_request_that_waits_reads_back_and_stays_small() {
    let mut change = samples::request();
    let (key, value) = encode(&change).unwrap();
    let value = value.unwrap();
    assert_eq!(decode(&key, &value).as_ref(), Ok(&change));
    // As the core cuts it at most: 500 and 64 characters, here of four bytes each.
    if let Change::Subscription {
        value:
            Some(Subscription {
                waiting: Some(waiting),
                by_grant: false,
                ..
            }),
        ..
    } = &mut change
    {
        waiting.text = Some("𝕏".repeat(500));
        waiting.nick = Some("𝕏".repeat(64));
    }
    let (_, value) = encode(&change).unwrap();
    assert!(value.unwrap().len() <= 4096);
}

#[test]
fn deletions_have_the_key_of_what_they_delete() {
    let put = encode(&samples::status(4, 1)).unwrap();
    let delete = encode(&samples::no_status(4)).unwrap();
    assert_eq!(put.0, delete.0);
    assert!(put.1.is_some() && delete.1.is_none());
}

#[test]
fn each_flipped_bit_is_found_and_the_record_named() {
    for change in samples::all() {
        let (key, value) = encode(&change).unwrap();
        let value = value.unwrap();
        for at in 0..value.len() {
            let mut flipped = value.clone();
            flipped[at] ^= 4;
            let Err(Flaw::Damaged(what)) = decode(&key, &flipped) else {
                panic!("byte {at} of {change:?} may be anything");
            };
            assert!(what.contains(&name(&key)), "{what}");
        }
        for length in 0..value.len() {
            assert!(matches!(
                decode(&key, &value[..length]),
                Err(Flaw::Damaged(_))
            ));
        }
    }
}

#[test]
fn a_record_under_another_key_is_refused() {
    let (_, value) = encode(&samples::status(1, 1)).unwrap();
    let (other, _) = encode(&samples::status(2, 1)).unwrap();
    assert_eq!(
        decode(&other, &value.unwrap()),
        Err(Flaw::Damaged(
            "the status of user2@example.org has a wrong checksum".into()
        ))
    );
}

#[test]
fn bodies_and_keys_that_are_not_records_are_named() {
    let user = samples::jid("a@b.example");
    let key = jid_key(table::BLOCK, &user);
    let value = seal(&key, br#"{"since":1}"#);
    assert!(matches!(decode(&key, &value), Err(Flaw::Damaged(what)) if what.contains("key")));
    let key = pair_key(table::BLOCK, &user, &user);
    let value = seal(&key, br#"{"since":"x"}"#);
    assert!(matches!(decode(&key, &value), Err(Flaw::Damaged(what))
        if what.contains("block of a@b.example")));
    // Not in normal form: a look-up would never find it.
    let key = b"\x01A@b.example";
    let value = seal(key, br#"{"joined":5,"visibility":"private"}"#);
    assert!(matches!(decode(key, &value), Err(Flaw::Damaged(what)) if what.contains("key")));
}

#[test]
fn what_a_later_version_wrote_is_named_as_such() {
    let (key, _) = encode(&samples::status(1, 1)).unwrap();
    let mut value = vec![2];
    value.extend_from_slice(&checksum(2, &key, b"{}").to_be_bytes());
    value.extend_from_slice(b"{}");
    assert!(matches!(decode(&key, &value), Err(Flaw::TooNew(what))
        if what.contains("status of user1@example.org") && what.contains("version 2")));
    let key = b"\xffwhatever";
    let value = seal(key, b"{}");
    assert!(matches!(decode(key, &value), Err(Flaw::TooNew(what)) if what.contains("whatever")));
}

#[test]
fn history_is_in_the_order_of_time() {
    let mut times = [-5, 0, 1, i64::MAX, i64::MIN, 1_795_440_005_250].map(Wall);
    times.sort();
    assert!(times.map(sortable).is_sorted());
}

#[test]
fn ids_may_hold_any_character() {
    for id in ["", "a\0b", "\u{fffd}"] {
        let samples = samples::all();
        let Some(Change::Audit {
            user, at, value, ..
        }) = samples.get(6).cloned()
        else {
            panic!("the seventh sample is a line of history");
        };
        let change = Change::Audit {
            user,
            at,
            id: id.into(),
            value,
        };
        let (key, value) = encode(&change).unwrap();
        assert_eq!(decode(&key, &value.unwrap()), Ok(change));
    }
    assert!(Bare::parse("a\0b@example.org").is_err());
    assert!(Bare::parse("a@exam\0ple.org").is_err());
}

#[test]
fn what_is_too_large_is_refused_and_named() {
    let sized = |text: usize| match samples::status(1, 1) {
        Change::Status {
            user,
            value: Some(mut status),
        } => {
            status.texts[0].text = "x".repeat(text);
            Change::Status {
                user,
                value: Some(status),
            }
        }
        _ => unreachable!(),
    };
    let overhead = encode(&sized(0)).unwrap().1.unwrap().len();
    assert!(encode(&sized(VALUE_BYTES_MAX - overhead)).is_ok());
    let error = encode(&sized(VALUE_BYTES_MAX - overhead + 1)).unwrap_err();
    assert!(
        matches!(&error, Error::TooLarge { bytes: 16_384, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("status of user1@example.org"),
        "{error}"
    );

    let id = |length: usize| Change::Execution {
        id: "x".repeat(length),
        value: None,
    };
    assert!(check(&[id(KEY_BYTES_MAX - 1)]).is_ok());
    assert!(check(&[id(1), id(KEY_BYTES_MAX)]).is_err());
}

#[test]
fn keys_of_users_begin_with_one() {
    assert!(BY_USER.is_sorted());
    for (key, value) in GOLDEN_1.into_iter().chain(GOLDEN_1_LATER) {
        let named = match decode(key, value).unwrap() {
            Change::Profile { user, .. }
            | Change::Status { user, .. }
            | Change::Grant { user, .. }
            | Change::Subscription { user, .. }
            | Change::Block { user, .. }
            | Change::Audit { user, .. }
            | Change::Token { user, .. }
            | Change::Face { user, .. } => Some(user),
            Change::Execution { .. } | Change::OperatorBlock { .. } => None,
        };
        assert_eq!(BY_USER.contains(&key[0]), named.is_some());
        if let Some(named) = named {
            assert_eq!(user_of(key), named.as_str().as_bytes());
            // The user before is taken for her only where it is she.
            for before in ["juliet@capulet.example", "romeo@montague.example"] {
                let mut last = Some(samples::jid(before));
                assert_eq!(decode_next(key, value, &mut last), decode(key, value));
                assert_eq!(last, Some(named.clone()));
            }
        }
    }
}
