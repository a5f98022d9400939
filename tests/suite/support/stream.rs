//! A client's stream to a server: connect, register, log in, bind a resource; RFC 6120 and XEP-0077
//! over the streams of tokio-xmpp.
//!
//! Not over `tokio_xmpp::Client`, for what tests need to see and to do: that type re-types every stanza
//! in both directions (each presence gains `<priority>0</priority>`, what it cannot type is gone),
//! retries a refused login for ever instead of reporting it, and turns on XEP-0198, after which a lost
//! connection leaves the user online for minutes. Here every stanza is the element that was on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_xmpp::connect::{DnsConfig, ServerConnector, TcpServerConnector};
use tokio_xmpp::jid::{BareJid, FullJid, Jid};
use tokio_xmpp::parsers::sasl::{Auth, Mechanism};
use tokio_xmpp::xmlstream::{ReadError, StreamHeader, Timeouts, XmlStream};

use super::server::{DOMAIN, Server};
use super::{Failure, stanza};

/// Elements in both directions.
pub(super) type Elements = XmlStream<BufStream<TcpStream>, Element>;

/// How long a server may take to register or log in a user.
const SETUP: Duration = Duration::from_secs(20);

/// No time-out of the stream's own: a test may be silent for as long as it wants.
const SILENCE: Timeouts = Timeouts {
    read_timeout: Duration::from_secs(86_400),
    response_timeout: Duration::from_secs(86_400),
};

/// Creates an account by in-band registration (XEP-0077 §3.1).
pub(super) async fn register(server: &Server, user: &str, password: &str) -> Result<(), Failure> {
    let registering = async {
        let mut stream = connect(server.c2s_address(), &bare(user)?).await?;
        let mut request = stanza(&format!(
            "<iq type='set' id='register' to='{DOMAIN}'><query xmlns='jabber:iq:register'>\
             <username/><password/></query></iq>"
        ));
        for (name, value) in [("username", user), ("password", password)] {
            if let Some(field) = request
                .get_child_mut("query", "jabber:iq:register")
                .and_then(|query| query.get_child_mut(name, "jabber:iq:register"))
            {
                field.append_text_node(value);
            }
        }
        request_result(&mut stream, &request).await?;
        // The account exists; how the stream ends does not matter.
        let _ = SinkExt::<&Element>::close(&mut stream).await;
        Ok(())
    };
    within(&format!("register {user}"), registering).await
}

/// Logs in with SASL PLAIN (RFC 4616), binds a resource (RFC 6120 §7) and asks for the roster.
///
/// Only a resource that has asked for the roster is sent roster pushes and the answers to its
/// subscription requests (RFC 6121 §2.2, Prosody).
pub(super) async fn log_in(
    server: &Server,
    user: &str,
    password: &str,
    resource: &str,
) -> Result<(Elements, FullJid), Failure> {
    let logging_in = async {
        let mut stream = authenticate(server, user, password).await?;
        let mut request = stanza(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource/></bind></iq>",
        );
        const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
        if let Some(field) = request
            .get_child_mut("bind", BIND)
            .and_then(|bind| bind.get_child_mut("resource", BIND))
        {
            field.append_text_node(resource);
        }
        let result = request_result(&mut stream, &request).await?;
        let bound = result
            .get_child("bind", BIND)
            .and_then(|bind| bind.get_child("jid", BIND))
            .and_then(|jid| FullJid::new(&jid.text()).ok())
            .ok_or_else(|| Failure::new(format!("no address: {}", String::from(&result))))?;
        request_result(
            &mut stream,
            &stanza("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"),
        )
        .await?;
        Ok((stream, bound))
    };
    within(&format!("log {user} in"), logging_in).await
}

/// Logs in and takes up the session `id` in place of binding a resource (XEP-0198 §5). What the server
/// has sent since it was enabled is sent again.
pub(super) async fn resume(
    server: &Server,
    jid: &FullJid,
    password: &str,
    id: &str,
) -> Result<Elements, Failure> {
    let user = jid.node().map_or("", |node| node.as_str());
    let resuming = async {
        let mut stream = authenticate(server, user, password).await?;
        let mut resume = stanza("<resume xmlns='urn:xmpp:sm:3' h='0'/>");
        resume.set_attr(Namespace::NONE, xml_ncname!("previd").into(), id);
        stream.send(&resume).await.map_err(failure)?;
        let answer = next(&mut stream).await?;
        if answer.name() == "resumed" {
            Ok(stream)
        } else {
            Err(Failure::new(format!("refused: {}", String::from(&answer))))
        }
    };
    within(&format!("resume a session of {user}"), resuming).await
}

/// Connects and logs in with SASL PLAIN (RFC 4616).
async fn authenticate(server: &Server, user: &str, password: &str) -> Result<Elements, Failure> {
    let mut stream = connect(server.c2s_address(), &bare(user)?).await?;
    let auth = Auth {
        mechanism: Mechanism::Plain,
        data: format!("\0{user}\0{password}").into_bytes(),
    };
    SinkExt::<&Auth>::send(&mut stream, &auth)
        .await
        .map_err(failure)?;
    let answer = next(&mut stream).await?;
    if answer.name() != "success" {
        return Err(Failure::new(format!("refused: {}", String::from(&answer))));
    }
    let header = StreamHeader {
        to: Some(DOMAIN.into()),
        from: None,
        id: None,
    };
    let pending = stream.initiate_reset().send_header(header).await;
    let (_, stream) = pending
        .map_err(failure)?
        .recv_features::<Element>()
        .await
        .map_err(failure)?;
    Ok(stream)
}

/// The next element; the end of the stream is a failure.
pub(super) async fn next(stream: &mut Elements) -> Result<Element, Failure> {
    loop {
        match stream.next().await {
            Some(Ok(element)) => return Ok(element),
            Some(Err(ReadError::SoftTimeout)) => {}
            Some(Err(ReadError::StreamFooterReceived)) => {
                return Err(Failure::new("the server closed the stream"));
            }
            Some(Err(ReadError::HardError(error))) => return Err(failure(error)),
            Some(Err(ReadError::ParseError(error))) => return Err(failure(error)),
            None => return Err(Failure::new("the connection ended")),
        }
    }
}

async fn connect(address: SocketAddr, user: &BareJid) -> Result<Elements, Failure> {
    let connector = TcpServerConnector::from(DnsConfig::addr(&address.to_string()));
    let jid = Jid::from(user.clone());
    let (pending, _) = connector
        .connect(&jid, "jabber:client", SILENCE)
        .await
        .map_err(failure)?;
    let (_, stream) = pending.recv_features::<Element>().await.map_err(failure)?;
    // What a test sends arrives when it is sent.
    stream
        .get_stream()
        .get_ref()
        .set_nodelay(true)
        .map_err(failure)?;
    Ok(stream)
}

/// Sends an IQ and waits for its result; a negotiating stream brings nothing else.
async fn request_result(stream: &mut Elements, request: &Element) -> Result<Element, Failure> {
    stream.send(request).await.map_err(failure)?;
    let answer = next(stream).await?;
    if answer.attr("type") == Some("result") {
        Ok(answer)
    } else {
        Err(Failure::new(format!("refused: {}", String::from(&answer))))
    }
}

fn bare(user: &str) -> Result<BareJid, Failure> {
    BareJid::new(&format!("{user}@{DOMAIN}")).map_err(failure)
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

async fn within<T>(
    what: &str,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(SETUP, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(failure)) => Err(Failure::new(format!("cannot {what}: {failure}"))),
        Err(_) => Err(Failure::new(format!(
            "cannot {what}: no answer in {SETUP:?}"
        ))),
    }
}
