//! From an address to a stream with a bound resource: RFC 6120 over the connectors, streams and SASL of
//! tokio-xmpp.
//!
//! Not by `tokio_xmpp::Client`: it tries a refused password again for ever and tells nobody, writes
//! every stanza anew by its own types, and turns on stream management, after which a lost connection leaves the
//! agent online for minutes, to be sent commands that it cannot run.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use minidom::Element;
use sasl::common::{ChannelBinding, Credentials};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::TcpStream;
use tokio_xmpp::connect::starttls::starttls;
use tokio_xmpp::connect::{AsyncReadAndWrite, DnsConfig};
use tokio_xmpp::error::{AuthError, ProtocolError};
use tokio_xmpp::parsers::sasl::DefinedCondition;
use tokio_xmpp::xmlstream::{
    PendingFeaturesRecv, ReadError, StreamHeader, Timeouts, XmlStream, initiate_stream,
};
use xmpp_parsers::ns;
use xmpp_parsers::sasl_cb::{SaslChannelBinding, Type as BindingType};

use super::config::Config;
use super::guard::Guarded;
use crate::stanza::compose::{Compose, element};

/// How long connecting and logging in may take together.
const LOGIN: Duration = Duration::from_secs(60);

/// After two minutes of silence the server is asked for a sign of life, and has 30 s for it.
const TIMEOUTS: Timeouts = Timeouts {
    read_timeout: Duration::from_secs(120),
    response_timeout: Duration::from_secs(30),
};

/// The ways to authenticate that we take part in. The one that tokio-xmpp has besides, ANONYMOUS, would
/// make somebody else of us.
const MECHANISMS: [&str; 5] = [
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
];

/// Elements in both directions, whatever carries them.
pub(super) type Elements = XmlStream<Box<dyn AsyncReadAndWrite + Send>, Element>;

/// Why there is no stream, or no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The password will not be right the next time.
    #[error("the server refused the login of {0}: {1}; check jid and password")]
    Refused(String, String),
    /// Another program took the resource; taking it back would go on for ever.
    #[error("another program has logged in as {0}; give one of the two another resource")]
    Replaced(String),
    /// Worth another try.
    #[error("{0}")]
    Connection(String),
}

impl Lost {
    pub(super) fn connection(error: impl std::fmt::Display) -> Self {
        Self::Connection(error.to_string())
    }
}

/// Connects, logs in and binds the resource; gives the stream and the full JID.
pub(super) async fn log_in(config: &Config) -> Result<(Elements, String), Lost> {
    tokio::time::timeout(LOGIN, connect(config))
        .await
        .unwrap_or_else(|_| Err(Lost::connection("the server did not answer in time")))
}

/// Connects, and encrypts unless the server is on this machine. What comes in is guarded from the
/// stream header on over which the login goes.
async fn connect(config: &Config) -> Result<(Elements, String), Lost> {
    let failed = |error: tokio_xmpp::Error| {
        Lost::Connection(format!("cannot connect to {}: {error}", place(config)))
    };
    let domain = config.jid.domain().as_str();
    if let Some(address) = config.server {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| failed(error.into()))?;
        let pending = initiate(Guarded::new(tcp), config).await?;
        return over(config, pending, ChannelBinding::None).await;
    }
    let dns = DnsConfig::srv_default_client(domain);
    let pending = initiate(dns.resolve().await.map_err(failed)?, config).await?;
    let (features, stream) = pending.recv_features().await.map_err(Lost::connection)?;
    if !features.can_starttls() {
        return Err(failed(ProtocolError::NoTls.into()));
    }
    let (tls, binding) = starttls(stream, domain).await.map_err(failed)?;
    let pending = initiate(Guarded::new(tls), config).await?;
    over(config, pending, binding).await
}

async fn initiate<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    config: &Config,
) -> Result<PendingFeaturesRecv<BufStream<Io>>, Lost> {
    let io = BufStream::new(io);
    initiate_stream(io, ns::JABBER_CLIENT, header(config), TIMEOUTS)
        .await
        .map_err(Lost::connection)
}

fn header(config: &Config) -> StreamHeader<'_> {
    StreamHeader {
        to: Some(config.jid.domain().as_str().into()),
        from: None,
        id: None,
    }
}

async fn over<Io: AsyncReadAndWrite + 'static>(
    config: &Config,
    pending: PendingFeaturesRecv<Io>,
    binding: ChannelBinding,
) -> Result<(Elements, String), Lost> {
    let (features, stream) = pending.recv_features().await.map_err(Lost::connection)?;
    let user = config.jid.node().map_or("", |node| node.as_str());
    let offered: BTreeSet<String> = features
        .sasl_mechanisms
        .into_iter()
        .filter(|name| MECHANISMS.contains(&name.as_str()))
        .collect();
    let credentials = Credentials::default()
        .with_username(user)
        .with_password(config.password.0.as_str())
        .with_channel_binding(binding_for(&offered, features.sasl_cb.as_ref(), binding));
    let authenticated = tokio_xmpp::client_login(stream, offered, credentials);
    let stream = authenticated
        .await
        .map_err(|error| refused(config, error))?;
    let pending = stream
        .send_header(header(config))
        .await
        .map_err(Lost::connection)?;
    let (_, stream) = pending
        .recv_features::<Element>()
        .await
        .map_err(Lost::connection)?;
    let mut stream = stream.box_stream();
    let address = bind(&mut stream, &config.resource).await?;
    // Whoever the server takes us for, it must be the user.
    match jid::Jid::new(&address) {
        Ok(jid) if jid.to_bare() == config.jid => Ok((stream, address)),
        _ => {
            let why = format!("it gives us the address {address}");
            Err(Lost::Refused(config.jid.to_string(), why))
        }
    }
}

/// With channel binding tokio-xmpp knows only the `-PLUS` mechanisms, and would send the password
/// itself where the server has none of them (Prosody 0.12 on TLS 1.3). It makes only `tls-exporter`.
fn binding_for(
    offered: &BTreeSet<String>,
    kinds: Option<&SaslChannelBinding>,
    binding: ChannelBinding,
) -> ChannelBinding {
    let plus = offered.iter().any(|name| name.ends_with("-PLUS"));
    let kind = kinds.is_none_or(|kinds| kinds.types.contains(&BindingType::TlsExporter));
    match binding {
        ChannelBinding::None => ChannelBinding::None,
        bound if plus && kind => bound,
        // To say that we could have would look like an attack on the list of mechanisms.
        _ if plus => ChannelBinding::None,
        _ => ChannelBinding::Unsupported,
    }
}

/// Where the agent connects, for a person.
fn place(config: &Config) -> String {
    match config.server {
        Some(address) => address.to_string(),
        None => format!("the server of {}", config.jid.domain()),
    }
}

/// A login that was refused for good, or something that may pass.
fn refused(config: &Config, error: tokio_xmpp::Error) -> Lost {
    let why = match &error {
        tokio_xmpp::Error::Auth(AuthError::Fail(DefinedCondition::TemporaryAuthFailure)) => None,
        tokio_xmpp::Error::Auth(AuthError::Fail(condition)) => Some(match condition {
            DefinedCondition::NotAuthorized => "not-authorized".to_owned(),
            other => format!("{other:?}"),
        }),
        tokio_xmpp::Error::Auth(error) => Some(error.to_string()),
        _ => None,
    };
    match why {
        Some(why) => Lost::Refused(config.jid.to_string(), why),
        None => Lost::connection(error),
    }
}

/// Binds the resource (RFC 6120 §7.7); the server may give another one.
async fn bind(stream: &mut Elements, resource: &str) -> Result<String, Lost> {
    let mut wish = element("resource", ns::BIND, &[]);
    wish.append_text_node(resource);
    let head = [("type", "set"), ("id", "bind")];
    let request =
        element("iq", ns::JABBER_CLIENT, &head).with(element("bind", ns::BIND, &[]).with(wish));
    send(stream, &request).await?;
    loop {
        let Some(answer) = next(stream).await? else {
            continue;
        };
        if answer.name() != "iq" {
            continue;
        }
        return answer
            .get_child("bind", ns::BIND)
            .and_then(|bind| bind.get_child("jid", ns::BIND))
            .map(Element::text)
            .ok_or_else(|| Lost::connection("the server gave no resource"));
    }
}

/// Sends one stanza; a server that takes nothing for so long is gone.
pub(super) async fn send(stream: &mut Elements, stanza: &Element) -> Result<(), Lost> {
    let sending = stream.send(stanza);
    match tokio::time::timeout(TIMEOUTS.response_timeout, sending).await {
        Ok(result) => result.map_err(Lost::connection),
        Err(_) => Err(Lost::connection("the server takes nothing any more")),
    }
}

/// The next element; `None` when it is time to ask for a sign of life. May be given up at any point.
pub(super) async fn next(stream: &mut Elements) -> Result<Option<Element>, Lost> {
    match stream.next().await {
        Some(Ok(element)) if element.is("error", ns::STREAM) => Err(ended(&element)),
        Some(Ok(element)) => Ok(Some(element)),
        Some(Err(ReadError::SoftTimeout)) => Ok(None),
        Some(Err(ReadError::HardError(error))) => Err(Lost::connection(error)),
        Some(Err(ReadError::ParseError(error))) => Err(Lost::connection(error)),
        Some(Err(ReadError::StreamFooterReceived)) => {
            Err(Lost::connection("the server closed the stream"))
        }
        None => Err(Lost::connection("the connection ended")),
    }
}

/// A stream error, RFC 6120 §4.9.
fn ended(error: &Element) -> Lost {
    let condition = error
        .children()
        .next()
        .map_or("no condition", Element::name);
    if condition == "conflict" {
        Lost::Replaced(String::new())
    } else {
        Lost::Connection(format!("the server ended the stream: {condition}"))
    }
}

/// Says good-bye and waits a little for the server to do so too.
pub(super) async fn close(mut stream: Elements) {
    const GRACE: Duration = Duration::from_secs(3);
    let closing = async {
        let unavailable = element("presence", ns::JABBER_CLIENT, &[("type", "unavailable")]);
        if send(&mut stream, &unavailable).await.is_ok() {
            // What fails now fails because the connection is gone, which is what is wanted.
            let _ = stream.shutdown().await;
            while next(&mut stream).await.is_ok() {}
        }
    };
    let _ = tokio::time::timeout(GRACE, closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_sent_where_the_server_merely_lacks_channel_binding() {
        let offered = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let bound = || ChannelBinding::TlsExporter(vec![1; 32]);
        let kinds = |types: &[BindingType]| SaslChannelBinding {
            types: types.to_vec(),
        };
        let plus = offered(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]);
        let both = kinds(&[BindingType::TlsServerEndPoint, BindingType::TlsExporter]);
        let other = kinds(&[BindingType::TlsServerEndPoint]);
        assert_eq!(binding_for(&plus, None, bound()), bound());
        assert_eq!(binding_for(&plus, Some(&both), bound()), bound());
        let none = binding_for(&plus, Some(&other), bound());
        assert_eq!(none, ChannelBinding::None);
        let without = offered(&["PLAIN", "SCRAM-SHA-1"]);
        for (binding, expected) in [
            (bound(), ChannelBinding::Unsupported),
            (ChannelBinding::None, ChannelBinding::None),
        ] {
            assert_eq!(binding_for(&without, None, binding), expected);
        }
    }
}
