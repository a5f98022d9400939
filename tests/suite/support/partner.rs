//! A partner on the dedicated link: the attaching end of XEP-0114, under the test's control.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Failure;
use super::fake_server::{ACCEPT, Peer, digest};

/// Attaches as `domain` with `secret`; an error where it is refused.
pub(crate) async fn attach(
    address: SocketAddr,
    domain: &str,
    secret: &str,
) -> Result<Peer, Failure> {
    let stream = TcpStream::connect(address).await;
    let mut peer = Peer::over(stream.map_err(|error| Failure::new(error.to_string()))?)?;
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{ACCEPT}' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
    );
    peer.send_raw(header.as_bytes()).await?;
    let header = peer.header().await?;
    if header.attr("from") != Some(domain) {
        return Err(Failure::new(format!("it answers as {header}")));
    }
    let id = header.attr("id").unwrap_or_default();
    let handshake = format!("<handshake>{}</handshake>", digest(id, secret));
    peer.send_raw(handshake.as_bytes()).await?;
    let answer = peer.next().await?;
    match answer {
        Some(answer) if answer.name == "handshake" => Ok(peer),
        Some(refusal) => Err(Failure::new(refusal.to_string())),
        None => Err(Failure::new("it closed without a word")),
    }
}
