//! Where one stanza ends and the next begins; the same bytes are the same arrivals, however cut.

use super::script::{ACCEPTED, play};
use crate::link::framing::{Frame, Framer};
use crate::link::limits::{CHUNK_BYTES, Limits};
use crate::stanza::Fault;

/// A stream with one of each: what is taken, refused and skipped, references, long characters, other
/// prefixes, white space.
fn recorded() -> Vec<u8> {
    let attributes: String = (0..65).map(|i| format!(" a{i}=''")).collect();
    let skipped = |inner: String| format!("<iq id='s' type='get'>{inner}</iq>");
    [
        ACCEPTED,
        " <presence from='a@b.example/\u{1F600}' to=\"presence.example.org\" type='probe'/>\n",
        "<message id='1'><body>&lt;\u{e9}\u{20AC}\u{10FFFF}&#x1F600;</body>\r\n<x xmlns='u:x' y='&apos;\"'/></message>",
        "<p:iq xmlns:p='jabber:client' id='2' type='get'><q xmlns='u:q'><a b='c'>d</a></q></p:iq>",
        &skipped("<a>".repeat(33) + "\u{20AC}&amp;<b c='>'/>" + &"</a>".repeat(33)),
        "<other xmlns='u:o'><a/></other>",
        &skipped(format!("<a{attributes}/>")),
        "<iq id='3' type='result'/></stream:stream>",
    ]
    .concat()
    .into_bytes()
}

/// What was made of the pieces, in a form that can be compared.
async fn played<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let outcome = play(pieces).await;
    format!("{:?} {} {}", outcome.arrivals, outcome.end, outcome.written)
}

#[tokio::test]
async fn one_byte_at_a_time_makes_no_difference() {
    let bytes = recorded();
    let whole = played([bytes.as_slice()]).await;
    assert_eq!(whole.matches("Stanza(").count(), 3, "{whole}");
    assert_eq!(whole.matches("Probe(Probe").count(), 1, "{whole}");
    assert_eq!(whole.matches("Refused(").count(), 3, "{whole}");
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(
            played(bytes.chunks(size)).await,
            whole,
            "in pieces of {size}"
        );
    }
}

#[tokio::test]
async fn a_cut_at_any_offset_makes_no_difference() {
    let bytes = recorded();
    let whole = played([bytes.as_slice()]).await;
    for cut in 1..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(played([first, second]).await, whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_anywhere_gives_only_whole_stanzas() {
    let bytes = recorded();
    let all = play([bytes.as_slice()]).await.arrivals;
    for end in ACCEPTED.len()..bytes.len() {
        let outcome = play([&bytes[..end]]).await;
        let n = outcome.arrivals.len();
        assert_eq!(outcome.arrivals, all[..n], "broken off at {end}");
    }
}

#[tokio::test]
async fn more_than_the_buffer_passes_through_it() {
    let stanza = format!("<message><body>{}</body></message>", "x".repeat(60_000));
    let bytes = ACCEPTED.to_owned() + &stanza.repeat(20);
    for size in [1_000, 65_536, usize::MAX] {
        let outcome = play(bytes.as_bytes().chunks(size)).await;
        assert_eq!(
            outcome.arrivals.len(),
            20,
            "in pieces of {size}: {}",
            outcome.end
        );
    }
}

fn fill(framer: &mut Framer, bytes: &[u8]) -> usize {
    let space = framer.space();
    let n = space.len().min(bytes.len());
    space[..n].copy_from_slice(&bytes[..n]);
    framer.filled(n);
    n
}

fn small() -> Framer {
    let limits = Limits {
        bytes: 16,
        depth: 2,
        attributes: 1,
        declarations: 1,
        children: 2,
    };
    let mut framer = Framer::new(limits);
    fill(&mut framer, b"<s>");
    assert_eq!(framer.next(), Ok(Some(Frame::Header(b"<s>"))));
    framer
}

#[test]
fn a_frame_is_exactly_one_element() {
    let mut framer = small();
    fill(&mut framer, b" <a/>\n<b><c></c></b> </s> <d/>");
    assert_eq!(framer.next(), Ok(Some(Frame::Element(b"<a/>"))));
    assert_eq!(framer.next(), Ok(Some(Frame::Element(b"<b><c></c></b>"))));
    assert_eq!(framer.next(), Ok(Some(Frame::End)));
    assert_eq!(framer.next(), Ok(None));
}

#[test]
fn the_first_limit_that_is_passed_is_told_with_the_start_tag() {
    type Row<'a> = (&'a [u8], Option<&'a [u8]>, Fault);
    let table: [Row<'_>; 8] = [
        (b"<a>12345678901</a>", Some(b"<a>"), Fault::TooLarge),
        (b"<a b='2345678901'/>", None, Fault::TooLarge),
        (b"<a><b><c/></b></a>", Some(b"<a>"), Fault::TooDeep),
        (b"<a><b/><b/><b/></a>", Some(b"<a>"), Fault::TooManyChildren),
        (
            b"<a b='' c=''/>",
            Some(b"<a b='' c=''/>"),
            Fault::TooManyAttributes,
        ),
        (b"<a><b c='' d=''/></a>", Some(b"<a>"), Fault::TooLarge),
        (b"<a><b c=''  ></b></a>", Some(b"<a>"), Fault::TooLarge),
        (
            b"<a b='' c=''><d></d></a>",
            Some(b"<a b='' c=''>"),
            Fault::TooManyAttributes,
        ),
    ];
    for (bytes, head, fault) in table {
        let mut framer = small();
        fill(&mut framer, bytes);
        fill(&mut framer, b"<z/>");
        let head = head.map(<[u8]>::to_vec);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(
            framer.next(),
            Ok(Some(Frame::Skipped { head, fault })),
            "{shown}"
        );
        assert_eq!(framer.next(), Ok(Some(Frame::Element(b"<z/>"))), "{shown}");
    }
}

#[test]
fn what_is_skipped_takes_no_room() {
    let mut framer = small();
    fill(&mut framer, b"<a>");
    assert_eq!(framer.next(), Ok(None));
    for _ in 0..1_000 {
        assert_eq!(fill(&mut framer, &[b'x'; CHUNK_BYTES]), CHUNK_BYTES);
        assert_eq!(framer.next(), Ok(None));
    }
    fill(&mut framer, b"</a>");
    assert!(matches!(framer.next(), Ok(Some(Frame::Skipped { .. }))));
}

#[test]
fn there_is_no_room_for_more_than_was_asked_for() {
    let mut framer = small();
    let stanza = b"<presence/>";
    let mut taken = 0;
    loop {
        let n = fill(&mut framer, stanza);
        taken += n;
        if n < stanza.len() {
            break;
        }
    }
    assert_eq!(taken, CHUNK_BYTES);
    assert_eq!(framer.space().len(), 0);
    assert!(matches!(framer.next(), Ok(Some(Frame::Element(_)))));
    assert_eq!(framer.space().len(), stanza.len());
}
