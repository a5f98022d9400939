//! Properties over generated addresses.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::tests::{bare, full_width, ours};
use super::*;

/// Cases of each property: `make test-long` takes more.
fn cases() -> u32 {
    match std::env::var_os("VESTIBULE_TEST_LONG") {
        Some(long) if long == "1" => 1_000_000,
        _ => 100_000,
    }
}

/// Any spelling of an address of small letters.
fn spelling_of(address: &'static str) -> impl Strategy<Value = String> {
    let (local, domain) = address.split_once('@').unwrap();
    let letter = |c: char, padding: &'static [&'static str]| {
        let faces = vec![
            c.to_string(),
            c.to_uppercase().to_string(),
            full_width(&c.to_string()),
            full_width(&c.to_string()).to_uppercase(),
        ];
        (prop::sample::select(faces), prop::sample::select(padding))
            .prop_map(|(face, padding)| face + padding)
    };
    let local: Vec<_> = local
        .chars()
        .map(|c| letter(c, &["", "", "\u{ad}", "\u{200d}", "\u{feff}", "\u{2060}"]))
        .collect();
    let domain: Vec<_> = domain
        .chars()
        .map(|c| match c {
            '.' => prop::sample::select(vec![".", "。", "．", "｡"])
                .prop_map(String::from)
                .boxed(),
            _ => letter(c, &["", "", "\u{ad}"]).boxed(),
        })
        .collect();
    let end = prop::sample::select(vec!["", ".", "。"]);
    (local, domain, end)
        .prop_map(|(local, domain, end)| format!("{}@{}{end}", local.concat(), domain.concat()))
}

#[test]
fn five_hundred_spellings_of_one_address_are_one_key() {
    let mut runner = TestRunner::deterministic();
    let strategy = spelling_of("alice@example.org");
    let mut spellings = BTreeSet::new();
    while spellings.len() < 500 {
        spellings.insert(strategy.new_tree(&mut runner).unwrap().current());
    }
    let keys: BTreeSet<Bare> = spellings.iter().map(|spelling| bare(spelling)).collect();
    assert_eq!(keys, BTreeSet::from([bare("alice@example.org")]));
}

/// What matters to the parsers: escape sequences, separators, capitals, A-labels, and characters that
/// fold, vanish, mix directions or are newer than stringprep.
const PIECES: [&str; 64] = [
    "a",
    "b",
    "z",
    "A",
    "Z",
    "0",
    "2",
    "4",
    "5",
    "c",
    "C",
    "f",
    "é",
    "É",
    "ß",
    "я",
    "例",
    "\\",
    "\\",
    "\\4",
    "\\20",
    "\\22",
    "\\26",
    "\\27",
    "\\2f",
    "\\3a",
    "\\3c",
    "\\3e",
    "\\40",
    "\\40",
    "\\5c",
    "\\5c",
    "\\5C",
    "\\2F",
    "+",
    "_",
    "-",
    "--",
    ".",
    "e\u{301}",
    "\u{ad}",
    "\u{200d}",
    "𝐀",
    "ﬁ",
    "\u{338}",
    "\u{1f130}",
    "\u{1f4f1}",
    "א",
    "ف",
    "\u{202e}",
    "\u{1d173}",
    "！",
    "@",
    "/",
    " ",
    ":",
    "\0",
    "／",
    "＠",
    "。",
    "xn--",
    "xn--bcher-kva",
    "[::1]",
    "]",
];

/// How many of [`PIECES`], from the front, may stand in a localpart.
const LOCAL_PIECES: usize = 45;

fn pieces(
    first: usize,
    n: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = String> {
    prop::collection::vec(0..first, n)
        .prop_map(|indices| indices.into_iter().map(|index| PIECES[index]).collect())
}

fn hostile_text() -> impl Strategy<Value = String> {
    (
        pieces(PIECES.len(), 0..8),
        any::<char>(),
        pieces(PIECES.len(), 0..4),
    )
        .prop_map(|(before, c, after)| format!("{before}{c}{after}"))
}

/// Localparts of which a good part are presentities, aliases of some, or nearly so.
fn mapped_text() -> impl Strategy<Value = String> {
    let ends = [
        r"\40x",
        r"\40c.org",
        r"\40C.ORG",
        r"\40x.",
        r"\40[\3a\3a1]",
        r"\20\40x",
        "",
    ];
    (
        pieces(LOCAL_PIECES, 0..4),
        prop::sample::select(ends.to_vec()),
    )
        .prop_map(|(local, end)| local + end)
}

/// Users, most of them with something to escape.
fn user() -> impl Strategy<Value = Bare> {
    let domains = [
        "x",
        "40x",
        "c.org",
        "bücher.example",
        "5c.2f.example",
        "[::1]",
    ];
    (
        pieces(LOCAL_PIECES, 1..8),
        prop::sample::select(domains.to_vec()),
    )
        .prop_filter_map("begins with a combining character", |(local, domain)| {
            Bare::parse(&format!("{local}@{domain}")).ok()
        })
}

/// Nearly plain addresses, so that the fast path takes many and must not take the others.
fn plain_text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(b"ab019..--_+\\@AxnN".to_vec()), 0..12)
        .prop_map(|bytes| bytes.into_iter().map(char::from).collect())
}

/// A-labels, many of them of real names and many of chance.
fn a_label() -> impl Strategy<Value = String> {
    let starts = ["", "a", "bcher", "fa", "fo-", "x--"];
    let ends = prop::collection::vec(prop::sample::select(b"akKvhi0129-z".to_vec()), 0..6);
    (prop::sample::select(starts.to_vec()), ends)
        .prop_map(|(start, end)| format!("xn--{start}-{}", String::from_utf8(end).unwrap()))
}

/// Users whose texts are made of so little that escaping one could well give another.
fn confusable_user() -> impl Strategy<Value = Bare> {
    prop::collection::vec(prop::sample::select(vec!["\\", "4", "0", "5c", "40"]), 1..4)
        .prop_map(|pieces| bare(&format!("{}@x", pieces.concat())))
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_global_rejects: 10 * cases(),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mapping_comes_back(user in user()) {
        if let Some(presentity) = ours().presentity(&user) {
            prop_assert_eq!(ours().user(&presentity), Some(user));
        }
    }

    #[test]
    fn a_presentity_is_canonical_or_nobody(localpart in mapped_text()) {
        let Ok(address) = Bare::parse(&format!("{localpart}@presence.example.org")) else {
            return Ok(());
        };
        // Together with the property above this is injectivity: no two users, no two spellings.
        if let Some(user) = ours().user(&address) {
            prop_assert_eq!(ours().presentity(&user), Some(address));
        }
    }

    #[test]
    fn no_text_is_harmful_and_a_normal_form_is_its_own(text in hostile_text()) {
        if let Ok(address) = Address::parse(&text) {
            let written = address.to_string();
            prop_assert_eq!(&Address::parse(&written).unwrap(), &address);
            let _ = ours().user(&address.bare);
            let _ = ours().presentity(&address.bare);
        }
        if let Ok(bare) = Bare::parse(&text) {
            prop_assert_eq!(Bare::parse(bare.as_str()).unwrap(), bare);
        }
    }

    #[test]
    fn an_a_label_comes_back_or_is_refused(label in a_label()) {
        if let Ok(domain) = Bare::parse(&label) {
            prop_assert_eq!(idna::domain_to_ascii(domain.as_str()).unwrap(), label.to_lowercase());
        }
    }

    #[test]
    fn the_fast_path_agrees_with_the_slow_one(text in plain_text()) {
        if normal::is_plain(&text) {
            prop_assert_eq!(normal::bare(&text), Some(text));
        }
    }

    #[test]
    fn distinct_users_have_distinct_presentities(one in confusable_user(), other in confusable_user()) {
        let (first, second) = (ours().presentity(&one), ours().presentity(&other));
        prop_assert!(one == other || first.is_none() || first != second);
    }
}

proptest! {
    // Long texts take their time.
    #![proptest_config(ProptestConfig { cases: cases() / 10, ..config() })]

    #[test]
    fn no_text_at_all_is_harmful(text in any::<String>(), place in 0..4_u8) {
        let text = match place {
            0 => text,
            1 => format!("{text}@presence.example.org"),
            2 => format!(r"{text}\40c.org@presence.example.org"),
            _ => format!(r"a\40{text}@presence.example.org/{text}"),
        };
        if let Ok(address) = Address::parse(&text) {
            let user = ours().user(&address.bare);
            let presentity = user.as_ref().and_then(|user| ours().presentity(user));
            prop_assert_eq!(presentity, user.is_some().then_some(address.bare));
        }
    }
}
