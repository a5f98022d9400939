//! A server that is nothing but the bytes it sends, in the pieces it sends them.

use crate::address::ComponentDomain;
use crate::link::{Error, Link, Settings, attach_over};
use crate::stanza::Arrival;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What Prosody answers to a good handshake.
pub(super) const ACCEPTED: &str = "<?xml version='1.0'?><stream:stream \
    xmlns:stream='http://etherx.jabber.org/streams' xml:lang='en' from='presence.example.org' \
    id='3f9c' xmlns='jabber:component:accept'><handshake/>";

/// The settings of every test.
pub(super) fn settings() -> Settings {
    Settings {
        server: "127.0.0.1:1".into(),
        tls: None,
        domain: ComponentDomain::parse("presence.example.org").unwrap(),
        secret: "secret".into(),
    }
}

/// Gives one piece at each read, then the end; takes all that is written.
#[derive(Clone, Default)]
pub(super) struct Script {
    pieces: VecDeque<Vec<u8>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Script {
    pub(super) fn new<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            pieces: pieces.into_iter().map(<[u8]>::to_vec).collect(),
            ..Self::default()
        }
    }

    pub(super) fn written(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.pieces.pop_front() {
            let n = piece.len().min(into.remaining());
            into.put_slice(&piece[..n]);
            if n < piece.len() {
                piece.drain(..n);
                self.pieces.push_front(piece);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.lock().unwrap().extend_from_slice(from);
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a link made of a script.
pub(super) struct Outcome {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) end: Error,
    /// What the link wrote, with its parting words.
    pub(super) written: String,
}

/// Everything that arrives on the link, and why it ended.
pub(super) async fn drain(link: &mut Link<Script>) -> (Vec<Arrival>, Error) {
    let mut arrivals = Vec::new();
    loop {
        let step = match link.next_arrival() {
            Ok(Some(arrival)) => {
                arrivals.push(arrival);
                continue;
            }
            Ok(None) => link.progress(true).await,
            Err(error) => Err(error),
        };
        if let Err(error) = step {
            return (arrivals, error);
        }
    }
}

/// Attaches, reads all, and closes.
pub(super) async fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let script = Script::new(pieces);
    let mut link = attach_over(script.clone(), &settings()).await.unwrap();
    let (arrivals, end) = drain(&mut link).await;
    link.close(Duration::from_secs(5)).await;
    Outcome {
        arrivals,
        end,
        written: script.written(),
    }
}

/// The same for a stream that was accepted and then went on with `bytes`.
pub(super) async fn play_after_handshake(bytes: &[u8]) -> Outcome {
    play([ACCEPTED.as_bytes(), bytes]).await
}
