//! The same bytes are the same arrivals, however they were cut.

use super::script::{ACCEPTED, play};

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
    assert_eq!(whole.matches("Stanza(").count(), 4, "{whole}");
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
