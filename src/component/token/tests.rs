//! Tokens by themselves: how they are drawn, compared, and what of them can be seen.

use std::collections::HashSet;

use super::*;
use crate::store::samples;

fn token() -> Token {
    let super::super::record::Change::Token {
        value: Some(token), ..
    } = samples::token()
    else {
        panic!("the sample is a token");
    };
    token
}

fn jid(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

/// Tokens of so many inputs in a row, as the core would draw them: the chance of each is a number, which is
/// less than the operating system gives.
fn drawn(n: u64) -> impl Iterator<Item = (String, Secret)> {
    (0..n).map(|n| {
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        draw(&[7; 32], &mut Chance::new(seed))
    })
}

/// security.md T47: no repeat; each bit is set as often as not; each is set as often beside a set one as
/// beside another; each character stands at each place as often as the others.
#[test]
fn a_hundred_thousand_tokens_are_random() {
    const N: u64 = 100_000;
    let (mut secrets, mut ids) = (HashSet::new(), HashSet::new());
    let bits = SECRET_CHARS * 6;
    let mut set = vec![0u32; bits];
    let mut agree = vec![0u32; bits - 1];
    let mut counts = vec![[0u32; 256]; SECRET_CHARS + ID_CHARS];
    for (id, secret) in drawn(N) {
        let text = secret.expose();
        let rest = text.strip_prefix(VERSION).unwrap();
        assert_eq!(&rest[..ID_CHARS], id);
        assert_eq!(rest.len(), ID_CHARS + SECRET_CHARS);
        for (place, byte) in rest.bytes().enumerate() {
            counts[place][byte as usize] += 1;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&rest[ID_CHARS..]).unwrap();
        let bit = |n: usize| bytes[n / 8] >> (7 - n % 8) & 1;
        for n in 0..bits {
            set[n] += u32::from(bit(n));
            if n > 0 {
                agree[n - 1] += u32::from(bit(n) == bit(n - 1));
            }
        }
        secrets.insert(rest[ID_CHARS..].to_owned());
        ids.insert(id);
    }
    assert_eq!(secrets.len() as u64, N);
    // Names have 36 bits: of 100,000 some 0.07 pairs agree.
    assert!(ids.len() as u64 > N - 5, "{}", ids.len());
    // The standard deviation is 158; six of them happen once in a hundred million tests.
    let is_even = |count: &u32| (50_000 - 950..=50_000 + 950).contains(count);
    assert!(set.iter().all(is_even), "{set:?}");
    assert!(agree.iter().all(is_even), "{agree:?}");
    for (place, counts) in counts.iter().enumerate() {
        let used: Vec<u32> = counts.iter().copied().filter(|count| *count > 0).collect();
        assert_eq!(used.len(), 64, "at {place}");
        // Chi-squared with 63 degrees of freedom: 150 is far beyond one in a million.
        let expected = N as f64 / 64.0;
        let chi: f64 = used
            .iter()
            .map(|count| (f64::from(*count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 150.0, "{chi} at {place}");
    }
}

/// The test above sees a generator that is not one.
#[test]
fn another_key_or_chance_is_another_token() {
    let with = |key: u8, seed: u8| draw(&[key; 32], &mut Chance::new([seed; 16])).1.0;
    assert_eq!(with(1, 1), with(1, 1));
    assert_ne!(with(1, 1), with(2, 1));
    assert_ne!(with(1, 1), with(1, 2));
    let mut chance = Chance::new([1; 16]);
    assert_ne!(
        draw(&[1; 32], &mut chance).1.0,
        draw(&[1; 32], &mut chance).1.0
    );
}

#[test]
fn the_text_is_not_shown_and_not_kept() {
    let (id, secret) = drawn(1).next().unwrap();
    let hidden = &secret.expose()[VERSION.len() + ID_CHARS..];
    let shown = Shown::read(secret.expose());
    assert_eq!(shown.id, id);
    let record = Token {
        digest: secret.digest(),
        ..token()
    };
    for text in [
        format!("{secret:?}"),
        format!("{record:?}"),
        serde_json::to_string(&record).unwrap(),
    ] {
        assert!(!text.contains(hidden), "{text}");
    }
    assert!(shown.digest.is(&record.digest));
}

/// One wrong character, wherever it stands, is a wrong token; so is anything that is none.
#[test]
fn each_character_counts() {
    let (id, secret) = drawn(1).next().unwrap();
    let right = secret.digest();
    let text = secret.expose();
    for at in 0..text.len() {
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert!(!Shown::read(&wrong).digest.is(&right), "{at}");
    }
    for wrong in [
        "",
        "1:",
        "1:abc",
        "2:abcdefgh",
        "1:ééé",
        &text[..31],
        &format!("{text}x"),
    ] {
        let shown = Shown::read(wrong);
        assert!(shown.id != id || !shown.digest.is(&right), "{wrong}");
    }
    // White space around it comes from editors and line breaks.
    assert!(Shown::read(&format!("\n {text} ")).digest.is(&right));
}

#[test]
fn whom_it_gives_something_and_for_how_long() {
    let token = token();
    let (nurse, tybalt, other) = (
        jid("nurse@capulet.example"),
        jid("tybalt@capulet.example"),
        jid("other@capulet.example"),
    );
    let before = Wall(token.until.0 - 1);
    for (who, shown, now, gives) in [
        (&nurse, false, before, true),
        (&nurse, false, token.until, false),
        (&other, false, before, false),
        (&other, true, before, true),
        (&other, true, token.until, false),
        (&tybalt, true, before, false),
    ] {
        assert_eq!(token.gives(who, shown, now), gives, "{who} {shown} {now}");
    }
    let used_up = Token {
        used: token.uses,
        ..token.clone()
    };
    assert!(token.admits(&other, before) && !used_up.admits(&other, before));
    // Who has redeemed it needs no further use.
    assert!(used_up.admits(&nurse, before));
    assert!(!token.admits(&tybalt, before));
}

#[test]
fn a_revocation_never_fails_for_want_of_room() {
    let mut token = token();
    let now = Wall(token.until.0 - 1);
    let long = |n: u32| jid(&format!("{}{n}@d.example", "x".repeat(900)));
    let mut n = 0;
    while token.gives(&jid("nurse@capulet.example"), false, now) {
        assert!(token.has_room());
        token.bar(&long(n));
        assert!(!token.gives(&long(n), true, now));
        n += 1;
        assert!(n < 100);
    }
    assert!(n > 5);
    assert!(token.barred.is_empty() && token.redeemed.is_empty());
    assert!(!token.gives(&long(0), true, now));
}
