//! How a stream begins (XEP-0114 §3): header, header, `<handshake/>`, `<handshake/>`.

use super::Settings;
use super::error::{Error, Stage, Violation};
use super::now;
use super::stream::{Inbound, Link};
use minidom::Element;
use std::fmt::Write;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use xmpp_parsers::component::Handshake;
use xmpp_parsers::ns;

/// How long the server may take in all. ejabberd gives us 30 s too, and needs half a second for its
/// first header after a start; more than that is a server that does not work.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How long a failed attempt may take to part.
const PARTING: Duration = Duration::from_secs(1);

/// Attaches over an open connection, before `deadline`.
pub(super) async fn perform<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    settings: &Settings,
    deadline: Instant,
) -> Result<Link<Io>, Error> {
    let mut link = Link::new(io, settings.domain.clone());
    let outcome = timeout_at(deadline, exchange(&mut link, settings)).await;
    match outcome {
        Ok(Ok(())) => Ok(link),
        Ok(Err(error)) => {
            let rest = deadline.saturating_duration_since(now());
            link.close(PARTING.min(rest)).await;
            Err(error)
        }
        Err(_) => Err(Error::Timeout {
            stage: link.stage(),
        }),
    }
}

async fn exchange<Io: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<Io>,
    settings: &Settings,
) -> Result<(), Error> {
    // In one piece: Prosody has had trouble with a header in several.
    link.queue(header(settings).as_bytes());
    let id = match next(link).await? {
        Inbound::Header(header) => header.id.filter(|id| !id.is_empty()),
        _ => return Err(link.violated(Violation::bad_format("no stream header"))),
    };
    link.enter(Stage::Handshake);
    // Without an id there is nothing to prove, and a stream error follows.
    if let Some(id) = &id {
        link.queue(format!("<handshake>{}</handshake>", digest(id, &settings.secret)).as_bytes());
    }
    loop {
        match next(link).await? {
            Inbound::Element(answer) if answer.is("features", ns::STREAM) => (),
            Inbound::Element(answer) if id.is_some() && is_handshake(&answer) => break,
            _ => {
                let detail = "something else instead of the handshake";
                return Err(link.violated(Violation::bad_format(detail)));
            }
        }
    }
    link.enter(Stage::Stanzas);
    Ok(())
}

/// In the content namespace of the stream, which the parser has turned into ours.
pub(super) fn is_handshake(element: &Element) -> bool {
    element.is("handshake", super::parse::CLIENT)
}

pub(super) async fn next<Io: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<Io>,
) -> Result<Inbound, Error> {
    loop {
        if let Some(inbound) = link.next_inbound()? {
            return Ok(inbound);
        }
        link.progress(true).await?;
    }
}

/// `to` is the component's name, not the server's.
fn header(settings: &Settings) -> String {
    stream_header(&[("to", settings.domain.bare().as_str())])
}

/// A stream header with these attributes.
pub(super) fn stream_header(attributes: &[(&str, &str)]) -> String {
    let mut header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}'",
        ns::COMPONENT,
        ns::STREAM,
    )
    .into_bytes();
    for (name, value) in attributes {
        header.extend_from_slice(format!(" {name}='").as_bytes());
        super::characters::write_value(value, &mut header);
        header.push(b'\'');
    }
    header.push(b'>');
    String::from_utf8_lossy(&header).into_owned()
}

/// SHA-1 of id and secret in lower-case hexadecimal. ejabberd takes no upper case.
pub(super) fn digest(id: &str, secret: &str) -> String {
    let handshake = Handshake::from_stream_id_and_password(id.to_owned(), secret);
    let bytes = handshake.data.unwrap_or_default();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
