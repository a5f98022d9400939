//! Why a stream could not be attached, or ended; in the words an operator can act on.
//!
//! Not here: faults of one stanza (`stanza::Fault`, [`Unsealed`](super::Unsealed)), which never end a stream.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// How much of a peer's own words is kept: enough for every text seen of Prosody and ejabberd, and a
/// line of log stays a line.
const TEXT_LIMIT: usize = 300;

/// Why there is no stream, or no longer. `Display` is one line that says what to check.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TCP connection.
    #[error(
        "cannot connect to {address}: {source}; check that the server runs, that its component port \
         is open and that component.server names it"
    )]
    Connect {
        /// The address as configured, `host:port`.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server's certificate is not good for us.
    #[error("the certificate of {address} is refused: {check}")]
    Certificate {
        /// The address as configured, `host:port`.
        address: String,
        /// What is wrong with it, and what to check.
        check: String,
    },
    /// The server does not speak TLS.
    #[error(
        "{address} does not speak TLS; check component.tls, and on ejabberd tls: true of the listener \
         (Prosody's component port has no TLS)"
    )]
    NoTls {
        /// The address as configured, `host:port`.
        address: String,
    },
    /// No TLS could be agreed on.
    #[error(
        "no TLS with {address}: {source}; check that component.server is a component port with TLS, and \
         its certificate"
    )]
    Tls {
        /// The address as configured, `host:port`.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The server took too long; the limit is 30 s for connection, header and handshake together.
    #[error(
        "no answer in time while waiting for {stage}; check that component.server is a component \
         port and that the server is not overloaded"
    )]
    Timeout {
        /// What was awaited.
        stage: Stage,
    },
    /// The handshake was refused.
    #[error(
        "the server refused the handshake (not-authorized{}); check component.secret, and \
         component.domain too, because ejabberd answers an unknown domain in the same way",
        quoted(text)
    )]
    NotAuthorized {
        /// The server's own words, empty if it gave none.
        text: String,
    },
    /// The server has no component of this name.
    #[error(
        "the server has no such component (host-unknown{}); check component.domain against the \
         component section of the server's configuration",
        quoted(text)
    )]
    HostUnknown {
        /// The server's own words, empty if it gave none.
        text: String,
    },
    /// Somebody else has the name.
    #[error(
        "the name is taken (conflict{}); either another connection of this component is still open, \
         or component.domain is one of the server's own user domains",
        quoted(text)
    )]
    Conflict {
        /// The server's own words, empty if it gave none.
        text: String,
    },
    /// Another stream of our name serves already, as we heard through the server.
    #[error(
        "another component has attached as component.domain and serves: this one stands back and tries \
         again; run one alone"
    )]
    Second,
    /// Any other stream error of the server (RFC 6120 §4.9.3).
    #[error("the server ended the stream ({condition}{})", quoted(text))]
    Stream {
        /// The condition's name, `undefined-condition` if it gave none.
        condition: String,
        /// The server's own words, empty if it gave none.
        text: String,
    },
    /// The server sent what no XMPP stream may contain.
    #[error(
        "the server sent what cannot be read ({condition}: {detail}); if it does so at once, \
         component.server is not a component port, or one with TLS (component.tls)"
    )]
    Malformed {
        /// The stream error that was queued for it.
        condition: &'static str,
        /// What was wrong.
        detail: String,
    },
    /// The server closed the stream or the connection without giving a reason.
    #[error("{}", closed(*stage))]
    Closed {
        /// What was awaited.
        stage: Stage,
    },
    /// The connection broke.
    #[error("the connection to the server broke: {source}")]
    Io {
        /// What the operating system said.
        source: io::Error,
    },
}

/// What is awaited of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The TCP connection.
    Connection,
    /// The server's part of the TLS handshake.
    Tls,
    /// Its stream header.
    Header,
    /// Its answer to our handshake.
    Handshake,
    /// Stanzas: the stream is attached.
    Stanzas,
}

/// What the back-off needs to know of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Will not change until somebody edits a configuration.
    Configuration,
    /// The server may still hold a dead connection of ours.
    Conflict,
    /// May be gone at the next attempt.
    Transient,
}

impl Error {
    /// How the next attempt should be timed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotAuthorized { .. }
            | Self::HostUnknown { .. }
            | Self::Certificate { .. }
            | Self::NoTls { .. } => Kind::Configuration,
            // What a c2s or s2s port answers to the header of a component.
            Self::Stream { condition, .. }
                if matches!(condition.as_str(), "invalid-namespace" | "host-gone") =>
            {
                Kind::Configuration
            }
            Self::Conflict { .. } | Self::Second => Kind::Conflict,
            _ => Kind::Transient,
        }
    }

    /// The same in words about a partner, for whom nothing of ours is to be checked.
    pub(crate) fn by_partner(&self) -> String {
        match self {
            Self::Timeout { stage } => format!("it took too long; awaited was {stage}"),
            Self::Stream { condition, text } => {
                format!("it ended the stream ({condition}{})", quoted(text))
            }
            Self::Malformed { condition, detail } => {
                format!("what it sent cannot be read ({condition}: {detail})")
            }
            Self::Closed { .. } => "it closed the stream".to_owned(),
            Self::Connect { source, .. } | Self::Tls { source, .. } | Self::Io { source } => {
                format!("the connection broke: {source}")
            }
            // Of connections that we open; a partner opens its own.
            Self::Certificate { .. } | Self::NoTls { .. } | Self::Second => self.to_string(),
            Self::NotAuthorized { text } | Self::HostUnknown { text } | Self::Conflict { text } => {
                format!("it ended the stream{}", quoted(text))
            }
        }
    }

    /// The stream error a server sent.
    pub(super) fn from_stream_error(condition: &str, text: &str) -> Self {
        let text = one_line(text);
        match condition {
            "not-authorized" => Self::NotAuthorized { text },
            "host-unknown" => Self::HostUnknown { text },
            "conflict" => Self::Conflict { text },
            _ => Self::Stream {
                condition: one_line(condition),
                text,
            },
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection",
            Self::Tls => "TLS",
            Self::Header => "the server's stream header",
            Self::Handshake => "the answer to the handshake",
            Self::Stanzas => "stanzas",
        })
    }
}

/// What in the peer's bytes ends the stream, and the stream error it gets for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// RFC 6120 §4.9.3.
    pub(super) condition: &'static str,
    /// For the log.
    pub(super) detail: Cow<'static, str>,
}

impl Violation {
    /// XML that is none.
    pub(super) fn not_well_formed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            condition: "not-well-formed",
            detail: detail.into(),
        }
    }

    /// XML that XMPP forbids (RFC 6120 §11.1).
    pub(super) fn restricted(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            condition: "restricted-xml",
            detail: detail.into(),
        }
    }

    /// A stream of something else than a component's stanzas.
    pub(super) fn invalid_namespace() -> Self {
        Self {
            condition: "invalid-namespace",
            detail: "not a component's stream".into(),
        }
    }

    /// A stanza of somebody whom the peer may not speak for.
    pub(super) fn invalid_from(from: &str) -> Self {
        Self {
            condition: "invalid-from",
            detail: format!("a stanza from {:?}", one_line(from)).into(),
        }
    }

    /// XML that has no meaning at its place.
    pub(super) fn bad_format(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            condition: "bad-format",
            detail: detail.into(),
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Malformed {
            condition: violation.condition,
            detail: violation.detail.into_owned(),
        }
    }
}

fn closed(stage: Stage) -> &'static str {
    match stage {
        Stage::Connection | Stage::Tls | Stage::Header => {
            "the server closed the connection before its stream header; check that component.server \
             is a component port, and component.tls where it may be one with TLS"
        }
        // COMPAT(ejabberd 23.01): `domain_balancing` without `component_number` crashes each attach.
        Stage::Handshake => {
            "the server closed the stream instead of answering the handshake; its log may say why \
             (on ejabberd: domain_balancing without component_number)"
        }
        Stage::Stanzas => "the server closed the stream",
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(", {text:?}")
    }
}

/// Bounds and flattens a peer's words, so that nobody writes into the log what looks like a line of ours.
fn one_line(text: &str) -> String {
    let flat = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(TEXT_LIMIT).map(flat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_what_to_check() {
        let wrong = Error::from_stream_error("not-authorized", "");
        let line = wrong.to_string();
        assert!(
            line.contains("component.secret") && line.contains("component.domain"),
            "{line}"
        );
        let unknown = Error::from_stream_error("host-unknown", "no such host").to_string();
        assert!(unknown.contains("component.domain") && unknown.contains("\"no such host\""));
    }

    #[test]
    fn a_servers_words_stay_one_short_line() {
        let text = format!("a\nERROR forged\u{1b}[0m{}", "x".repeat(10_000));
        let line = Error::from_stream_error("internal-server-error", &text).to_string();
        assert!(!line.contains(['\n', '\u{1b}']));
        assert!(line.len() < 2 * TEXT_LIMIT);
    }

    #[test]
    fn the_kind_follows_the_condition() {
        let kind = |condition| Error::from_stream_error(condition, "").kind();
        assert_eq!(kind("not-authorized"), Kind::Configuration);
        assert_eq!(kind("host-unknown"), Kind::Configuration);
        assert_eq!(kind("invalid-namespace"), Kind::Configuration);
        assert_eq!(kind("conflict"), Kind::Conflict);
        assert_eq!(kind("system-shutdown"), Kind::Transient);
        assert_eq!(
            Error::Closed {
                stage: Stage::Stanzas
            }
            .kind(),
            Kind::Transient
        );
    }
}
