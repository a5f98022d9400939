//! Stands between the server's bytes and `tokio_xmpp`, and lets only stanzas pass that are harmless to
//! parse.
//!
//! Anyone who guesses the agent's resource can send it a stanza. In `tokio_xmpp` an attribute of more
//! than 8 KiB ends the stream, and elements nested some thousand levels deep cost seconds or the whole
//! process. So the stanzas are cut out by the framer of [`crate::link`] under its limits; one that is
//! over them goes no further than its start tag, which is enough to answer an IQ.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::{Error, Frame, Framer, Limits};

/// Longest tag that passes: an attribute or name in it is then below the 8192 bytes that the parser of
/// `tokio_xmpp` takes.
const TAG_BYTES: usize = 8 * 1024;

/// A connection whose input is guarded.
#[derive(Debug)]
pub(super) struct Guarded<Io> {
    io: Io,
    framer: Framer,
    /// What has passed and was not read yet.
    passed: Vec<u8>,
    read: usize,
}

impl<Io> Guarded<Io> {
    pub(super) fn new(io: Io) -> Self {
        let framer = Framer::new(Limits::default());
        Self {
            io,
            framer,
            passed: Vec::new(),
            read: 0,
        }
    }

    /// Looks at what has come; true if something passed.
    fn advance(&mut self) -> io::Result<bool> {
        self.passed.clear();
        self.read = 0;
        let malformed =
            |violation| io::Error::new(io::ErrorKind::InvalidData, Error::from(violation));
        let mut restarts = false;
        match self.framer.next().map_err(malformed)? {
            None => return Ok(false),
            Some(Frame::Header(bytes)) => self.passed.extend_from_slice(bytes),
            Some(Frame::Element(bytes)) if longest_tag(bytes) <= TAG_BYTES => {
                self.passed.extend_from_slice(bytes);
                restarts = bytes.starts_with(b"<success");
            }
            Some(Frame::Element(bytes)) => {
                let head = &bytes[..first_tag(bytes)];
                pass_head(&mut self.passed, head);
            }
            Some(Frame::Skipped { head, .. }) => {
                pass_head(&mut self.passed, head.as_deref().unwrap_or_default());
            }
            Some(Frame::End) => self.passed.extend_from_slice(b"</stream:stream>"),
        }
        if restarts {
            // RFC 6120 §6.4.6: a new stream header follows, and not before ours.
            self.framer = Framer::new(Limits::default());
        }
        Ok(true)
    }
}

/// Passes a start tag as an empty element, if it is harmless itself.
fn pass_head(passed: &mut Vec<u8>, head: &[u8]) {
    let Some(open) = head.strip_suffix(b">") else {
        return;
    };
    if head.len() <= TAG_BYTES {
        passed.extend_from_slice(open.strip_suffix(b"/").unwrap_or(open));
        passed.extend_from_slice(b"/>");
    }
}

/// Length of the tag that a framed element begins with.
fn first_tag(bytes: &[u8]) -> usize {
    let mut quote = None;
    for (at, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    bytes.len()
}

fn longest_tag(mut bytes: &[u8]) -> usize {
    let mut longest = 0;
    while let Some(at) = memchr::memchr(b'<', bytes) {
        let length = first_tag(&bytes[at..]);
        longest = longest.max(length);
        bytes = &bytes[at + length..];
    }
    longest
}

impl<Io: AsyncRead + Unpin> AsyncRead for Guarded<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let left = &this.passed[this.read..];
            if !left.is_empty() {
                let length = left.len().min(out.remaining());
                out.put_slice(&left[..length]);
                this.read += length;
                return Poll::Ready(Ok(()));
            }
            if this.advance()? {
                continue;
            }
            let mut space = ReadBuf::new(this.framer.space());
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut space))?;
            let length = space.filled().len();
            if length == 0 {
                return Poll::Ready(Ok(()));
            }
            this.framer.filled(length);
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Guarded<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>";

    /// What passes of some bytes that come in pieces of a length.
    fn passes(bytes: &str, piece: usize) -> io::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut parts = tokio_test_io(bytes.as_bytes(), piece);
            let mut text = String::new();
            parts.read_to_string(&mut text).await.map(|_| text)
        })
    }

    fn tokio_test_io(bytes: &[u8], piece: usize) -> Guarded<Pieces> {
        let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
        Guarded::new(Pieces(pieces))
    }

    struct Pieces(std::collections::VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop_front() {
                out.put_slice(&piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_is_harmless_passes_as_it_is() {
        let text = format!(
            "{HEADER}<stream:features/><iq type='get' id='a>b'><ping xmlns='urn:xmpp:ping'/></iq>\
             <message><body>1 &lt; 2 'x' \"y</body></message></stream:stream>"
        );
        for piece in [1, 7, 50_000] {
            assert_eq!(passes(&text, piece).unwrap(), text);
        }
    }

    #[test]
    fn a_new_header_may_follow_success_and_nothing_else() {
        let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
        let text = format!("{HEADER}{success}");
        let again = format!("{text}{HEADER}<stream:features/>");
        assert_eq!(passes(&text, 9).unwrap(), text);
        // In one piece the rest of the read would belong to the old stream.
        assert_eq!(passes(&again, text.len()).unwrap(), again);
    }

    #[test]
    fn of_a_harmful_stanza_only_the_start_tag_passes() {
        let next = "<iq type='get' id='next'><ping xmlns='urn:xmpp:ping'/></iq>";
        let head = "<iq type='set' id='bad' from='mallory@remote.example/x'";
        let deep = format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        let long = format!("<a b='{}'/>", "x".repeat(9_000));
        let large = "y".repeat(300_000);
        for inside in [deep, long, large] {
            let text = format!("{HEADER}{head}>{inside}</iq>{next}");
            for piece in [1_000, 50_000] {
                let passed = passes(&text, piece).unwrap();
                assert_eq!(passed, format!("{HEADER}{head}/>{next}"));
            }
        }
        let long_head = format!("<iq type='get' id='{}'/>", "x".repeat(9_000));
        let passed = passes(&format!("{HEADER}{long_head}{next}"), 50_000).unwrap();
        assert_eq!(passed, format!("{HEADER}{next}"));
    }

    #[test]
    fn what_is_not_xmpp_ends_the_stream() {
        for bad in [
            "<!-- -->",
            "<a></b>",
            "<![CDATA[x]]>",
            "<!DOCTYPE x>",
            "text",
        ] {
            let error = passes(&format!("{HEADER}{bad}<iq/>"), 1_000).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad}");
        }
    }
}
