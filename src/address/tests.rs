//! Tables of vectors.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub(super) fn bare(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

pub(super) fn ours() -> ComponentDomain {
    ComponentDomain::parse("presence.example.org").unwrap()
}

fn mapped(user: &str) -> Option<String> {
    let presentity = ours().presentity(&bare(user))?;
    Some(presentity.local().unwrap().to_owned())
}

fn unmapped(localpart: &str) -> Option<String> {
    let presentity = Bare::parse(&format!("{localpart}@presence.example.org")).ok()?;
    Some(ours().user(&presentity)?.to_string())
}

#[test]
fn users_map_to_presentities_and_back() {
    // protocol.md's vectors, then more of the same kinds.
    for (user, localpart) in [
        ("alice@example.org", r"alice\40example.org"),
        (
            r"d\27artagnan@musketeers.lit",
            r"d\5c27artagnan\40musketeers.lit",
        ),
        (r"a\40b@c.org", r"a\5c40b\40c.org"),
        (r"a\5cb@c.org", r"a\5c5cb\40c.org"),
        (r"foo\bar@c.org", r"foo\bar\40c.org"),
        (r"foo\@c.org", r"foo\\40c.org"),
        ("a@[::1]", r"a\40[\3a\3a1]"),
        (r"\20a@c.org", r"\5c20a\40c.org"),
        (r"a\20@c.org", r"a\5c20\40c.org"),
        (r"a\\5c@c.org", r"a\\5c5c\40c.org"),
        (r"\@c.org", r"\\40c.org"),
        ("ALICE@EXAMPLE.ORG.", r"alice\40example.org"),
        ("jürgen@bücher.example", r"jürgen\40bücher.example"),
        ("a@xn--bcher-kva.example", r"a\40bücher.example"),
    ] {
        assert_eq!(mapped(user).as_deref(), Some(localpart), "{user}");
        assert_eq!(unmapped(localpart), Some(bare(user).to_string()), "{user}");
    }
}

#[test]
fn what_is_no_user_has_no_presentity() {
    assert_eq!(mapped("example.org"), None);
    let long = format!("{}@example.org", "a".repeat(1023));
    assert_eq!(mapped(&long), None);
    let longest = format!("{}@c.org", "a".repeat(1023 - r"\40c.org".len()));
    assert!(mapped(&longest).is_some());
    assert_eq!(mapped(&format!("a{longest}")), None);
    // Mixed directions: nodeprep refuses the mapped localpart (RFC 3454 §6).
    assert_eq!(mapped("שלום@example.org"), None);
}

#[test]
fn aliases_of_a_presentity_are_nobody() {
    for localpart in [
        r"a\40b\40c@presence.example.org",
        r"a\40b\40c",
        r"a\40b\2fr",
        r"\40x",
        r"a\40",
        r"\20a\40x",
        r"a\40x\20",
        r"a\40x.org\20",
        r"a\20b\40x.org",
        r"a\5cz\40x.org",
        r"ALICE\5C40example.org",
        r"alice\5c40example.org",
        r"alice\5c5c40example.org",
        r"a\40example.org\2e",
        r"a\40example.org.",
        r"a\40xn--bcher-kva.example",
        r"a\40[\3a\3a01]",
        r"alice\4",
        r"alice\",
        r"\",
        "example.org",
        "alice",
    ] {
        assert_eq!(unmapped(localpart), None, "{localpart}");
    }
    // The server may deliver the capital spelling of a right presentity: that is the same one.
    assert_eq!(
        unmapped(r"Alice\40Example.ORG").as_deref(),
        Some("alice@example.org")
    );
    let foreign = bare(r"alice\40example.org@presence.example.com");
    assert_eq!(ours().user(&foreign), None);
    assert_eq!(ours().user(&bare("presence.example.org")), None);
}

#[test]
fn addresses_have_one_normal_form() {
    for (typed, normal) in [
        ("Alice@Example.ORG", "alice@example.org"),
        ("ａｌｉｃｅ@ｅｘａｍｐｌｅ.org", "alice@example.org"),
        ("al\u{200d}i\u{ad}ce@example.org", "alice@example.org"),
        ("𝐀lice@example.org", "alice@example.org"),
        ("straße@faß.example", "strasse@fass.example"),
        ("example.org.", "example.org"),
        ("example。org｡", "example.org"),
        ("bob@XN--BCHER-KVA.example", "bob@bücher.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("a@[0:0::0:0:1]", "a@[::1]"),
        ("a@[2001:DB8::A]", "a@[2001:db8::a]"),
        ("a_b-c+d=e!f@x", "a_b-c+d=e!f@x"),
    ] {
        assert_eq!(bare(typed).as_str(), normal, "{typed}");
        assert_eq!(bare(normal).as_str(), normal);
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let long_local = format!("{}@x", "a".repeat(1024));
    let long_typed = format!("{}@x", "\u{ad}".repeat(4096));
    let long_label = "a".repeat(64);
    for text in [
        "",
        "@",
        "@x",
        "a@",
        "a@@x",
        "a@b@c",
        "a b@x",
        "a@x y",
        ".",
        "..",
        "x..",
        "x.。",
        ".x",
        "a..b",
        "a/b",
        "/b",
        "a@x/b",
        "a@[::1",
        "a@[::1%eth0]",
        "a@[127.0.0.1]",
        "a@-x",
        "a@x-",
        "a<@x",
        "\u{202e}a@x",
        "a\u{ff0f}b@x",
        "a\u{ff20}b@x",
        // Unassigned in Unicode 3.2, but stringprep would make it a capital letter.
        "\u{1f130}@x",
        // An A-label that is not what its U-label gives, one of nothing, and one that nameprep folds
        // into another name.
        "xn--a",
        "xn--",
        "xn--example-.org",
        "xn--fa-hia.de",
        &long_local,
        &long_typed,
        &long_label,
    ] {
        assert!(Bare::parse(text).is_err(), "{text:?}");
    }
    assert!(ComponentDomain::parse("a@x").is_err());
    let Malformed(shown) = Bare::parse(&"é@".repeat(1 << 20)).unwrap_err();
    assert!(shown.len() <= SHOWN_BYTES_MAX);
}

#[test]
fn a_sender_is_not_refused_for_its_resource() {
    for (typed, normal) in [
        ("a@x/Balcony", "a@x/Balcony"),
        ("A@X/a/b@c", "a@x/a/b@c"),
        ("a@x/ﬁ", "a@x/fi"),
        ("a@x/my \u{1f4f1}", "a@x/my \u{1f4f1}"),
        ("a@x/\u{202e}", "a@x/\u{202e}"),
        ("a@x/\u{ad}", "a@x/\u{ad}"),
        ("x/y", "x/y"),
    ] {
        let address = Address::parse(typed).unwrap();
        assert!(address.is_full());
        assert_eq!(address.to_string(), normal, "{typed:?}");
        assert_eq!(Address::parse(normal).unwrap(), address);
    }
    let long = format!("a@x/{}", "\u{1f4f1}".repeat(256));
    for text in ["a@x/", "a@x/a\nb", "a@x/\0", "a@x/\u{ffff}", "/r", &long] {
        assert!(Address::parse(text).is_err(), "{text:?}");
    }
    assert!(!Address::parse("a@x").unwrap().is_full());
}

#[test]
fn the_domain_covers_itself_and_its_presentities() {
    for (text, covered) in [
        ("presence.example.org", true),
        ("Presence.Example.org./x", true),
        (r"alice\40example.org@presence.example.org/vestibule", true),
        ("acme.presence.example.org", false),
        ("example.org", false),
        ("presence.example.org@example.org", false),
    ] {
        assert_eq!(ours().covers(&Address::parse(text).unwrap()), covered);
    }
    assert!(bare("x").is_domain());
    assert!(!bare("a@x").is_domain());
    assert_eq!(bare("a@x").to_domain(), bare("x"));
}

#[test]
fn two_hundred_spellings_of_twenty_domains_are_twenty_keys() {
    let names = [
        "example.org",
        "chat.example.org",
        "a.b.c.example",
        "x-y.example",
        "xmpp.example.co.uk",
        "jabber1.example.net",
        "bücher.example",
        "münchen.example.de",
        "café.example.fr",
        "señor.example.es",
        "øre.example.dk",
        "čeština.example.cz",
        "łódź.example.pl",
        "пример.example.ru",
        "παράδειγμα.example.gr",
        "例え.example.jp",
        "한국.example.kr",
        "中文.example.cn",
        "ไทย.example.th",
        "ñandú.example.ar",
    ];
    let mut keys: BTreeMap<Bare, BTreeSet<String>> = BTreeMap::new();
    for name in names {
        let (first, rest) = name.split_once('.').unwrap();
        let ascii = idna::domain_to_ascii(name).unwrap();
        let soft: String = first
            .chars()
            .flat_map(|c| [c, '\u{ad}'])
            .chain(format!(".{rest}").chars())
            .collect();
        for spelling in [
            name.to_owned(),
            name.to_uppercase(),
            format!("{name}."),
            name.replace('.', "\u{3002}"),
            name.replace('.', "\u{ff0e}"),
            name.replace('.', "\u{ff61}"),
            format!("{}。", ascii.to_uppercase()),
            soft,
            full_width(name),
            format!("{first}.{}.", rest.to_uppercase()),
        ] {
            keys.entry(bare(&spelling)).or_default().insert(spelling);
        }
    }
    assert_eq!(keys.len(), 20);
    assert_eq!(keys.values().map(BTreeSet::len).sum::<usize>(), 200);
}

pub(super) fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' => char::from_u32(c as u32 - 0x61 + 0xff41).unwrap(),
            '0'..='9' => char::from_u32(c as u32 - 0x30 + 0xff10).unwrap(),
            _ => c,
        })
        .collect()
}
