//! Input made to cost more than it weighs: it is refused, soon, and the cost stays linear.

use super::script::{ACCEPTED, Outcome, play};
use crate::link::{Error, now};
use crate::stanza::{Arrival, Fault};
use std::time::Duration;

/// What linear cost stays far below in an unoptimised build on a busy machine (0.1–1 s were
/// measured), and what quadratic cost would exceed by far at these sizes.
const PATIENCE: Duration = Duration::from_secs(60);

const AFTER: &str = "<message id='after'/>";

fn many(n: usize, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect()
}

/// Plays it in pieces as TCP would bring them, and one more stanza.
async fn played(xml: &str) -> Outcome {
    let start = now();
    let rest = [xml, AFTER].concat();
    let pieces = rest.as_bytes().chunks(16 * 1024);
    let outcome = play([ACCEPTED.as_bytes()].into_iter().chain(pieces)).await;
    let took = start.elapsed();
    assert!(
        took < PATIENCE,
        "{took:?} for {} bytes of {:.60}",
        xml.len(),
        xml
    );
    outcome
}

#[tokio::test]
async fn entities_are_not_even_read() {
    let laughs = many(20, |i| {
        format!("<!ENTITY l{} '{}'>", i + 1, format!("&l{i};").repeat(10))
    });
    for dtd in [
        format!("<!DOCTYPE lolz [<!ENTITY l0 'lol'>{laughs}]>"),
        format!("<!DOCTYPE q [<!ENTITY a '{}'>]>", "a".repeat(100_000)),
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>".into(),
        "<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1/x.dtd'> %p;]>".into(),
        "<!ENTITY a 'b'>".into(),
        format!("<!--{}-->", "-".repeat(400_000)),
        format!("<![CDATA[{}]]>", "]".repeat(400_000)),
        format!("<?{}?>", "x".repeat(400_000)),
    ] {
        for place in [
            dtd.clone(),
            format!("<message><body>{dtd}&l20;</body></message>"),
        ] {
            let outcome = played(&place).await;
            assert!(outcome.arrivals.is_empty());
            let condition = "restricted-xml";
            assert!(matches!(outcome.end, Error::Malformed { condition: c, .. } if c == condition));
        }
    }
}

#[tokio::test]
async fn what_is_too_much_is_skipped() {
    let attributes = |n| many(n, |i| format!(" a{i}='{i}'"));
    let declarations = |n| many(n, |i| format!(" xmlns:p{i}='u:{i}'"));
    let nested = |n| {
        format!(
            "<message>{}x{}</message>",
            "<a>".repeat(n),
            "</a>".repeat(n)
        )
    };
    let table = [
        (
            format!("<message{}/>", attributes(100_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message><a{}/></message>", attributes(100_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message{}/>", declarations(100_000)),
            Fault::TooLarge,
        ),
        // As many as 64 KiB hold: the head is parsed for them.
        (
            format!("<message{}/>", attributes(5_000)),
            Fault::TooManyAttributes,
        ),
        (
            format!("<message{}/>", declarations(3_000)),
            Fault::TooManyAttributes,
        ),
        (nested(32), Fault::TooDeep),
        (nested(1_000), Fault::TooDeep),
        (nested(100_000), Fault::TooDeep),
        (nested(200_000), Fault::TooDeep),
        (
            format!("<message>{}</message>", "<a/>".repeat(200_000)),
            Fault::TooManyChildren,
        ),
        (
            format!("<message>{}</message>", "x".repeat(4_000_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message>{}</message>", "\u{20AC}".repeat(400_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message>{}</message>", "&amp;".repeat(200_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message a='{}'/>", "x".repeat(4_000_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message a='{}'/>", "&lt;".repeat(200_000)),
            Fault::TooLarge,
        ),
        (
            format!("<message {}='b'/>", "x".repeat(400_000)),
            Fault::TooLarge,
        ),
        (format!("<{0}></{0}>", "x".repeat(200_000)), Fault::TooLarge),
        (
            format!("<message{}/>", " ".repeat(400_000)),
            Fault::TooLarge,
        ),
    ];
    for (xml, fault) in table {
        let outcome = played(&xml).await;
        let [Arrival::Refused(refused), Arrival::Stanza(_)] = outcome.arrivals.as_slice() else {
            panic!("{:.60}: {}", xml, outcome.end);
        };
        assert_eq!(refused.fault, fault, "{:.60}", xml);
    }
}

#[tokio::test]
async fn the_worst_of_what_is_taken_is_cheap_too() {
    let fill = |part: &str| part.repeat(63 * 1024 / part.len());
    let deep = |n| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let prefixed = "<a xmlns:p='u:p' xmlns:q='u:q' p:a='' q:a='' a=''/>";
    for content in [
        fill("x"),
        fill("&amp;"),
        fill("&#x1F600;"),
        fill("\u{20AC}"),
        fill("\r"),
        fill("]"),
        format!("<a b='{}'/>", fill("&#10;")),
        format!("<a b='{}'/>", fill("\n")),
        prefixed.repeat(1_024),
        deep(31).repeat(290),
        format!("<a>{}</a>", "<b/>".repeat(1_024)).repeat(15),
        many(64, |i| {
            format!("<a{}/>", many(64, |j| format!(" a{i}_{j}='{j}'")))
        }),
    ] {
        let outcome = played(&format!("<message>{content}</message>")).await;
        let [Arrival::Stanza(_), Arrival::Stanza(_)] = outcome.arrivals.as_slice() else {
            panic!("{:.60}: {:?}", content, outcome.end);
        };
    }
}

#[tokio::test]
async fn what_never_ends_is_not_kept() {
    for part in ["<a>", "x", "<a b='c'/>"] {
        let outcome = played(&format!("<message>{}", part.repeat(400_000))).await;
        assert!(outcome.arrivals.is_empty(), "{part}");
    }
}
