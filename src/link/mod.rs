//! The link to the server: an external component's stream (XEP-0114 v1.6).
//!
//! Attaches, cuts what comes in into stanzas under hard limits, and seals what goes out. One wrong
//! stanza, in or out, never costs the stream; `docs/design/0001-own-framing.md` says why this is not
//! `tokio_xmpp::Component`. Beyond this module every stanza stands in `jabber:client`. Not here: when to
//! attach again (the driver asks [`Backoff`]), and what a stanza means.

mod alone;
mod backoff;
mod characters;
pub mod dedicated;
mod error;
mod framing;
mod handshake;
mod lexer;
mod limits;
mod parse;
mod plain;
mod seal;
mod stream;
mod tls;

pub use alone::{ANNOUNCED, Heard, Instance, prove};
pub use backoff::{Backoff, Invalid};
pub use error::{Error, Kind, Stage};
pub(crate) use framing::{Frame, Framer};
pub(crate) use limits::Limits;
pub use limits::{OUTBOUND_BYTES, QUEUE_BYTES};
pub use seal::Unsealed;
pub use stream::Link;
pub use tls::{Tls, Untrusting};

use crate::address::ComponentDomain;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Bytes that the other end's machine does not acknowledge for so long: it is gone. The keepalive makes that
/// known also where nothing else is sent; without this the system would try for a quarter of an hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Where and as whom to attach.
#[derive(Clone)]
pub struct Settings {
    /// The server's component port, `host:port`.
    pub server: String,
    /// How the connection is encrypted; `None`: not at all.
    pub tls: Option<Tls>,
    /// The component's own domain.
    pub domain: ComponentDomain,
    /// The secret shared with the server.
    pub secret: String,
}

/// Without the secret, which must not get into logs.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server)
            .field("tls", &self.tls)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// Plain or encrypted bytes.
pub trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<Io: AsyncRead + AsyncWrite + Send + Unpin> Bytes for Io {}

/// Connects and attaches; takes 30 s at most.
pub async fn attach(settings: &Settings) -> Result<Link<Box<dyn Bytes>>, Error> {
    let deadline = now() + handshake::LIMIT;
    let late = |stage| move |_| Error::Timeout { stage };
    let connect = |source| Error::Connect {
        address: settings.server.clone(),
        source,
    };
    let io = timeout_at(deadline, TcpStream::connect(&settings.server))
        .await
        .map_err(late(Stage::Connection))?
        .map_err(connect)?;
    prepare(&io).map_err(connect)?;
    let io: Box<dyn Bytes> = match &settings.tls {
        None => Box::new(io),
        Some(tls) => {
            let encrypting = timeout_at(deadline, tls.encrypt(io, &settings.server));
            Box::new(encrypting.await.map_err(late(Stage::Tls))??)
        }
    };
    handshake::perform(io, settings, deadline).await
}

/// Attaches over an open connection; takes 30 s at most.
pub async fn attach_over<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    settings: &Settings,
) -> Result<Link<Io>, Error> {
    handshake::perform(io, settings, now() + handshake::LIMIT).await
}

/// Sets what every connection of ours needs.
fn prepare(io: &TcpStream) -> io::Result<()> {
    // What is queued is written in one go: waiting for more would only delay answers.
    io.set_nodelay(true)?;
    SockRef::from(io).set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

#[expect(
    clippy::disallowed_methods,
    reason = "bytes come when they come; only when they were seen is told, and nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
