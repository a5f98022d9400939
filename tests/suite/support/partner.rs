//! A partner on the dedicated link: the attaching end of XEP-0114, under the test's control.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Failure;
use super::fake_server::{ACCEPT, Peer, digest};
use super::transcript::tree::Tree;

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

/// An attached partner that waits for what it wants to see.
pub(crate) struct Partner {
    address: SocketAddr,
    domain: String,
    secret: String,
    peer: Peer,
    n_asked: u64,
}

impl Partner {
    /// Attaches.
    pub(crate) async fn attach(
        address: SocketAddr,
        domain: &str,
        secret: &str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            address,
            domain: domain.to_owned(),
            secret: secret.to_owned(),
            peer: attach(address, domain, secret).await?,
            n_asked: 0,
        })
    }

    /// Attaches once more, while the older stream is still open; that one is told so.
    pub(crate) async fn attach_again(&mut self) -> Result<(), Failure> {
        let newer = attach(self.address, &self.domain, &self.secret).await?;
        let mut older = std::mem::replace(&mut self.peer, newer);
        loop {
            match older.next().await? {
                Some(error) if error.name == "error" => {
                    assert!(error.to_string().contains("<conflict"), "{error}");
                    return older.close().await;
                }
                Some(_) => (),
                None => return Err(Failure::new("the older stream ended without a word")),
            }
        }
    }

    /// Sends a stanza.
    pub(crate) async fn say(&mut self, stanza: &str) -> Result<(), Failure> {
        self.peer.send_raw(stanza.as_bytes()).await
    }

    /// The next stanza that is the one; others that come before are passed over.
    pub(crate) async fn expect(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(&Tree) -> bool,
    ) -> Result<Tree, Failure> {
        loop {
            match self.peer.next().await {
                Ok(Some(stanza)) if is_it(&stanza) => return Ok(stanza),
                Ok(Some(_)) => (),
                Ok(None) => return Err(Failure::new(format!("the end in place of {what}"))),
                Err(failure) => return Err(Failure::new(format!("{what}: {failure}"))),
            }
        }
    }

    /// Sends an IQ and returns its id.
    pub(crate) async fn request(
        &mut self,
        kind: &str,
        from: &str,
        to: &str,
        payload: &str,
    ) -> Result<String, Failure> {
        self.n_asked += 1;
        let id = format!("partner-{}", self.n_asked);
        let iq = format!("<iq type='{kind}' id='{id}' from='{from}' to='{to}'>{payload}</iq>");
        self.say(&iq).await?;
        Ok(id)
    }

    /// The answer to an IQ, result or error.
    pub(crate) async fn answer_to(&mut self, id: &str) -> Result<Tree, Failure> {
        self.expect("the answer", |stanza| stanza.attr("id") == Some(id))
            .await
    }

    /// Sends an IQ and returns its answer.
    pub(crate) async fn ask(
        &mut self,
        kind: &str,
        from: &str,
        to: &str,
        payload: &str,
    ) -> Result<Tree, Failure> {
        let id = self.request(kind, from, to, payload).await?;
        self.answer_to(&id).await
    }

    /// Waits until the component has closed the stream, and returns the condition it gave.
    pub(crate) async fn closed(&mut self) -> Result<String, Failure> {
        let error = self
            .expect("the end", |stanza| stanza.name == "error")
            .await?;
        let condition = error.children.first().map(|child| child.name.clone());
        self.peer.close().await?;
        Ok(condition.unwrap_or_default())
    }
}
