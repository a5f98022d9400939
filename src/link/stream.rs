//! A stream over a pair of byte pipes: bytes in and arrivals out, stanzas in and bytes out.
//!
//! All state is in the [`Link`], so any call may be given up half-way. It decides nothing about
//! stanzas, does not reconnect and has no timer of its own but the one of [`Link::close`].

use super::error::{Error, Stage, Violation};
use super::framing::{Frame, Framer};
use super::limits::{Limits, QUEUE_BYTES};
use super::now;
use super::parse::{Parser, StreamHeader};
use super::plain;
use super::seal::{Reach, Unsealed, is_stanza, seal, seal_presented, seal_refusal};
use crate::address::{Bare, ComponentDomain};
use crate::stanza::{Arrival, Fault, Outbound, Refused};
use minidom::Element;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};
use xmpp_parsers::ns;

/// Bytes of the output buffer that are kept for the next stanzas when all is written.
const IDLE_OUT_BYTES: usize = 1024 * 1024;

const END: &[u8] = b"</stream:stream>";

/// An attached stream (XEP-0114). [`attach`](super::attach) makes one.
pub struct Link<Io> {
    io: Io,
    domain: ComponentDomain,
    /// Whom the far end is there for.
    reach: Reach,
    /// Our stream header, as long as it is not sent; it goes before everything else.
    header: Vec<u8>,
    framer: Framer,
    parser: Parser,
    /// Arrivals that were taken before their time, in order.
    held: VecDeque<Arrival>,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    /// Whether something was written since the last flush.
    unflushed: bool,
    /// Why nothing more can be written. Told only when nothing more can be read either, because the
    /// peer's stream error, which says more, may be on the way.
    broken: Option<io::Error>,
    stage: Stage,
    last_received: Instant,
    /// When the peer last took something.
    last_sent: Instant,
    /// Bytes that it has taken.
    taken: u64,
    /// `</stream:stream>` stands in `out`.
    ended: bool,
    /// The peer's `</stream:stream>` has come, or the end of its bytes.
    peer_ended: bool,
    /// The peer's bytes cannot be understood any more.
    deaf: bool,
}

/// What stands at the top level of a stream.
pub(super) enum Inbound {
    Header(StreamHeader),
    Element(Element),
    Skipped(Refused),
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Link<Io> {
    /// A link on which nothing has been said.
    pub(super) fn new(io: Io, domain: ComponentDomain) -> Self {
        Self {
            io,
            domain,
            reach: Reach::Others,
            header: Vec::new(),
            framer: Framer::new(Limits::default()),
            parser: Parser::new(),
            held: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            unflushed: false,
            broken: None,
            stage: Stage::Header,
            last_received: now(),
            last_sent: now(),
            taken: 0,
            ended: false,
            peer_ended: false,
            deaf: false,
        }
    }

    /// Moves bytes: writes what is queued and, where `read` is true, reads what has come. Returns as
    /// soon as one of them made progress; waits for ever if there is nothing to do.
    ///
    /// Take arrivals with [`Self::next_arrival`] until there are none before reading more: with too
    /// much unread this returns at once. Cancel safe. After an error the stream is over; [`Self::close`]
    /// says so to the peer.
    pub async fn progress(&mut self, read: bool) -> Result<(), Error> {
        poll_fn(|cx| self.poll_progress(cx, read)).await
    }

    /// The same for one who polls several links.
    pub(crate) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        read: bool,
    ) -> Poll<Result<(), Error>> {
        let mut moved = self.poll_write(cx).is_ready();
        if let Some(error) = self.broken.take_if(|_| !read) {
            return Poll::Ready(Err(Error::Io { source: error }));
        }
        if read {
            match self.poll_read(cx) {
                Poll::Pending => (),
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        if moved {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// Writes and flushes what it can; ready if that was something.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut moved = Poll::Pending;
        while self.broken.is_none() && self.written < self.out.len() {
            let write = Pin::new(&mut self.io).poll_write(cx, &self.out[self.written..]);
            match write {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Ready(Ok(n)) => {
                    self.written += n;
                    self.last_sent = now();
                    self.taken += n as u64;
                    self.unflushed = true;
                    moved = Poll::Ready(());
                }
            }
        }
        if self.unflushed && self.broken.is_none() {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => (),
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.broken = Some(error),
            }
        }
        self.compact();
        moved
    }

    /// Gives up what is written, in steps that cost no more than the writing did.
    fn compact(&mut self) {
        if self.broken.is_some() || self.written == self.out.len() {
            self.out.clear();
            self.out.shrink_to(IDLE_OUT_BYTES);
            self.written = 0;
        } else if self.written > self.out.len() / 2 {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let space = self.framer.space();
        if space.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut space = ReadBuf::new(space);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut space));
        let n = space.filled().len();
        Poll::Ready(match read {
            Ok(()) if n > 0 => {
                self.framer.filled(n);
                self.last_received = now();
                Ok(())
            }
            end => {
                self.peer_ended = true;
                match end.err().or_else(|| self.broken.take()) {
                    Some(source) => Err(Error::Io { source }),
                    None => Err(Error::Closed { stage: self.stage }),
                }
            }
        })
    }

    /// The next arrival in what has been read, `None` if more must be read first.
    ///
    /// An error ends the stream; the stream error that fits is queued, and [`Self::close`] sends it.
    pub fn next_arrival(&mut self) -> Result<Option<Arrival>, Error> {
        if let Some(arrival) = self.held.pop_front() {
            return Ok(Some(arrival));
        }
        if let Some(arrival) = self.next_plain() {
            return Ok(Some(arrival));
        }
        Ok(match self.next_inbound()? {
            None => None,
            Some(Inbound::Skipped(refused)) => Some(Arrival::Refused(refused)),
            Some(Inbound::Element(element)) if is_stanza(&element) => Some(Arrival::of(element)),
            Some(Inbound::Element(element)) => Some(Arrival::Refused(Refused {
                head: Some(start_tag(&element)),
                fault: Fault::NotAStanza,
            })),
            Some(Inbound::Header(_)) => {
                return Err(self.violated(Violation::bad_format("a second stream header")));
            }
        })
    }

    fn next_plain(&mut self) -> Option<Arrival> {
        if self.deaf {
            return None;
        }
        let limits = self.framer.limits();
        let (n, arrival) = plain::read(self.framer.fresh(), &limits)?;
        self.framer.pass(n);
        Some(arrival)
    }

    /// Reads the next arrivals, at most `n`, that [`Self::next_arrival`] will give one by one; `None` where
    /// not all that were read before have been taken, or there is only one. It stops before whatever is not
    /// of a common form: only there can the stream end, and that comes in its turn.
    pub(crate) fn read_ahead(&mut self, n: usize) -> Option<&VecDeque<Arrival>> {
        if !self.held.is_empty() {
            return None;
        }
        while self.held.len() < n
            && let Some(arrival) = self.next_plain()
        {
            self.held.push_back(arrival);
        }
        (self.held.len() > 1).then_some(&self.held)
    }

    /// Puts arrivals back, to come before all others.
    pub(super) fn hold(&mut self, arrivals: Vec<Arrival>) {
        self.held = arrivals.into();
    }

    /// Our own domain.
    pub(super) fn domain(&self) -> &ComponentDomain {
        &self.domain
    }

    /// The next top-level thing; stream errors and the end of the stream are errors.
    pub(super) fn next_inbound(&mut self) -> Result<Option<Inbound>, Error> {
        if self.deaf {
            return Err(Error::Closed { stage: self.stage });
        }
        let inbound = match self.framer.next() {
            Ok(None) if self.peer_ended => return Err(Error::Closed { stage: self.stage }),
            Ok(None) => return Ok(None),
            Ok(Some(Frame::Header(bytes))) => Parser::after(bytes).map(|(parser, header)| {
                self.parser = parser;
                Inbound::Header(header)
            }),
            Ok(Some(Frame::Element(bytes))) => self.parser.element(bytes).map(Inbound::Element),
            Ok(Some(Frame::Skipped { head, fault })) => head
                .map(|tag| self.parser.head(&tag))
                .transpose()
                .map(|head| Inbound::Skipped(Refused { head, fault })),
            Ok(Some(Frame::End)) => {
                self.peer_ended = true;
                self.end();
                return Err(Error::Closed { stage: self.stage });
            }
            Err(violation) => Err(violation),
        };
        let inbound = inbound.map_err(|violation| self.violated(violation))?;
        match &inbound {
            Inbound::Element(error)
            | Inbound::Skipped(Refused {
                head: Some(error), ..
            }) if error.is("error", ns::STREAM) => {
                self.deaf = true;
                self.end();
                Err(read_stream_error(error))
            }
            _ => Ok(Some(inbound)),
        }
    }

    /// Ends the stream because of what the peer sent.
    pub(super) fn violated(&mut self, violation: Violation) -> Error {
        self.refuse(violation.condition);
        violation.into()
    }

    /// Ends the stream with a stream error (RFC 6120 §4.9.3). What the peer still says is not heard;
    /// [`Self::close`] sends it.
    pub fn refuse(&mut self, condition: &'static str) {
        self.deaf = true;
        if !self.ended {
            self.open();
            let error = format!(
                "<stream:error><{condition} xmlns='{}'/></stream:error>",
                ns::XMPP_STREAMS
            );
            self.out.extend_from_slice(error.as_bytes());
            self.end();
        }
    }

    /// Seals a stanza and queues it. With an error nothing was queued and the stream is unharmed.
    pub fn send(&mut self, stanza: &Element) -> Result<(), Unsealed> {
        self.sealed(|domain, reach, out| seal(stanza, domain, reach, out))
    }

    /// The same of one that may not be a tree.
    pub fn send_outbound(&mut self, stanza: &Outbound) -> Result<(), Unsealed> {
        match stanza {
            Outbound::Tree(stanza) => self.send(stanza),
            Outbound::Presented(stanza) => {
                self.sealed(|domain, reach, out| seal_presented(stanza, domain, reach, out))
            }
            Outbound::Refusal(stanza) => {
                self.sealed(|domain, reach, out| seal_refusal(stanza, domain, reach, out))
            }
        }
    }

    fn sealed(
        &mut self,
        seal: impl FnOnce(&ComponentDomain, &Reach, &mut Vec<u8>) -> Result<(), Unsealed>,
    ) -> Result<(), Unsealed> {
        if self.ended {
            return Err(Unsealed::Ended);
        }
        let start = self.out.len();
        seal(&self.domain, &self.reach, &mut self.out)?;
        if self.queued() > QUEUE_BYTES {
            self.out.truncate(start);
            return Err(Unsealed::QueueFull);
        }
        Ok(())
    }

    /// Queues a single space (RFC 6120 §4.6.1), unless something is queued that does as well.
    pub fn keepalive(&mut self) {
        if self.queued() == 0 && !self.ended {
            self.out.push(b' ');
        }
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.len() - self.written
    }

    /// When the peer was last heard of; white space counts.
    #[must_use]
    pub fn last_received(&self) -> Instant {
        self.last_received
    }

    /// When the peer last took bytes of ours.
    #[must_use]
    pub fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// How many bytes of ours the peer has taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Sends what is queued and `</stream:stream>`, and waits until the peer has closed too; all
    /// within `grace`. What still arrives is dropped (RFC 6120 §4.4).
    pub async fn close(mut self, grace: Duration) {
        self.end();
        // Whatever goes wrong now, the connection is given up afterwards.
        let _ = timeout(grace, self.part()).await;
    }

    async fn part(&mut self) {
        while !self.peer_ended || (self.queued() > 0 && self.broken.is_none()) {
            let read = !self.peer_ended;
            if self.progress(read).await.is_err() && self.broken.is_none() && !read {
                break;
            }
            if self.deaf {
                self.framer.discard();
            } else {
                while let Ok(Some(_)) = self.next_inbound() {}
            }
        }
        let _ = self.io.shutdown().await;
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.open();
            self.out.extend_from_slice(END);
        }
    }

    /// Sets the header that is to go before everything else, in place of the one that was set before.
    pub(super) fn set_header(&mut self, header: &[u8]) {
        self.header = header.to_vec();
    }

    /// Queues our header, if it is not sent yet (RFC 6120 §4.9.1.2: an error has one before it, too).
    pub(super) fn open(&mut self) {
        self.out.append(&mut self.header);
    }

    /// From here on the far end is a partner.
    pub(super) fn restrict_to(&mut self, partner: Bare) {
        self.reach = Reach::Partner(partner);
    }

    /// Queues what is not a stanza: header and handshake.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// What is awaited now, for the error that says it did not come.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }
}

/// An element without its content.
fn start_tag(element: &Element) -> Element {
    let mut head = Element::bare(element.name(), element.ns());
    *head.attrs_mut() = element.attrs().clone();
    head
}

/// RFC 6120 §4.9.2: one defined condition, maybe a text, maybe a condition of somebody's own.
fn read_stream_error(error: &Element) -> Error {
    let defined = |child: &&Element| child.has_ns(ns::XMPP_STREAMS) && child.name() != "text";
    let condition = error.children().find(defined);
    let text = error.get_child("text", ns::XMPP_STREAMS).map(Element::text);
    Error::from_stream_error(
        condition.map_or("undefined-condition", Element::name),
        &text.unwrap_or_default(),
    )
}
