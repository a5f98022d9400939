//! A server's end of an XEP-0114 stream, under the test's control: header, handshake, stanzas as trees,
//! raw bytes in both directions.
//!
//! Nothing is read but on request, so not asking is how a server stalls. It knows no users and
//! answers nothing by itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use minidom::Element;
use minidom::tree_builder::TreeBuilder;
use rxml::{Parse, RawParser};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Failure;
use super::transcript::tree::{CLIENT, Tree};

/// The namespace of the stream's content.
pub(crate) const ACCEPT: &str = "jabber:component:accept";
/// Says which stream of its name a component's is.
const INSTANCE: &str = "urn:x-presence-service:instance:0";
/// How long a component of ours may take to say that.
const BEGINS: Duration = Duration::from_secs(2);
/// How long one thing that is expected may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens for components.
pub(crate) struct FakeServer {
    listener: TcpListener,
    domain: String,
    secret: String,
}

/// A connected component.
pub(crate) struct Peer {
    stream: TcpStream,
    parser: RawParser,
    builder: TreeBuilder,
    input: Vec<u8>,
    header: Option<Element>,
    /// An element that was read too early.
    waiting: Option<Element>,
}

impl FakeServer {
    /// Listens on a free port of 127.0.0.1 for the component `domain` with this secret.
    pub(crate) async fn bind(domain: &str, secret: &str) -> io::Result<Self> {
        Self::bind_narrow(domain, secret, None).await
    }

    /// The same with this many bytes of room for what is not read yet, so that stalling is soon felt.
    pub(crate) async fn bind_narrow(
        domain: &str,
        secret: &str,
        room: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(room) = room {
            socket.set_recv_buffer_size(room)?;
        }
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self {
            listener: socket.listen(8)?,
            domain: domain.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes the next connection, and says nothing yet.
    pub(crate) async fn accept(&self) -> Result<Peer, Failure> {
        let (stream, _) = within("a connection", self.listener.accept())
            .await?
            .map_err(failure)?;
        Peer::over(stream)
    }

    /// Takes the next connection and lets it attach, if its name and secret are right.
    pub(crate) async fn attach(&self) -> Result<Peer, Failure> {
        let mut peer = self.accept().await?;
        let header = peer.header().await?;
        if header.attr("to") != Some(&self.domain) {
            return Err(Failure::new(format!("it attaches as {header}")));
        }
        let id = "stream-<&1>";
        peer.open(id, &self.domain).await?;
        let handshake = peer.expect("handshake").await?;
        if handshake.text != digest(id, &self.secret) {
            peer.close_with("not-authorized").await?;
            return Err(Failure::new("the handshake is wrong"));
        }
        peer.send_raw(b"<handshake/>").await?;
        peer.bring_back().await?;
        Ok(peer)
    }
}

impl Peer {
    /// Over a connection on which nothing has been said.
    pub(crate) fn over(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nodelay(true).map_err(failure)?;
        Ok(Self {
            stream,
            parser: RawParser::new(),
            builder: TreeBuilder::new(),
            input: Vec::new(),
            header: None,
            waiting: None,
        })
    }

    /// The component's stream header, without what follows in it.
    pub(crate) async fn header(&mut self) -> Result<Tree, Failure> {
        while self.header.is_none() {
            if !self.fill().await? {
                return Err(Failure::new("it closed before its header"));
            }
        }
        let header = self.header.as_ref().map(Tree::from).unwrap_or_default();
        if header.is("stream", "http://etherx.jabber.org/streams") {
            Ok(header)
        } else {
            Err(Failure::new(format!("not a stream header: {header}")))
        }
    }

    /// Sends the server's stream header.
    pub(crate) async fn open(&mut self, id: &str, from: &str) -> Result<(), Failure> {
        let id = id.replace('&', "&amp;").replace('<', "&lt;");
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{ACCEPT}' \
             xmlns:stream='http://etherx.jabber.org/streams' id='{id}' from='{from}'>"
        );
        self.send_raw(header.as_bytes()).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await.map_err(failure)
    }

    /// Brings back, as a server does, what the component says to itself first of all: as a real one says nothing
    /// else until that has come, whatever follows is none of it.
    async fn bring_back(&mut self) -> Result<(), Failure> {
        let begins = async {
            loop {
                if let Some(element) = self.complete() {
                    return Ok(Some(element));
                }
                if !self.fill().await? {
                    return Ok(None);
                }
            }
        };
        // Not every component of the tests says so.
        let Ok(first) = timeout(BEGINS, begins).await else {
            return Ok(());
        };
        let Some(first) = first? else {
            return Ok(());
        };
        if !self.reflected(&first).await? {
            self.waiting = Some(first);
            return Ok(());
        }
        for _ in 1..vestibule::link::ANNOUNCED {
            let announcement = self.raw().await?.ok_or_else(|| failure("it is gone"))?;
            if !self.reflected(&announcement).await? {
                return Err(failure("it says something else to itself"));
            }
        }
        Ok(())
    }

    /// Sends an announcement back to where it came from; whether it was one.
    async fn reflected(&mut self, element: &Element) -> Result<bool, Failure> {
        let Some(instance) = element.get_child("instance", INSTANCE) else {
            return Ok(false);
        };
        let of = |element: &Element, name: &str| {
            let value = element
                .attrs()
                .iter()
                .find(|((_, key), _)| key.as_str() == name);
            value.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let message = format!(
            "<message from='{}' to='{}' type='headline'><instance xmlns='{INSTANCE}' id='{}' since='{}' \
             state='{}'/></message>",
            of(element, "from"),
            of(element, "to"),
            of(instance, "id"),
            of(instance, "since"),
            of(instance, "state")
        );
        // Where the component is gone already, there is nobody to bring it to.
        let _ = self.stream.write_all(message.as_bytes()).await;
        Ok(true)
    }

    /// The next element as it came.
    async fn raw(&mut self) -> Result<Option<Element>, Failure> {
        within("an element", async {
            loop {
                if let Some(element) = self.waiting.take().or_else(|| self.complete()) {
                    return Ok(Some(element));
                }
                if !self.fill().await? {
                    return Ok(None);
                }
            }
        })
        .await?
    }

    /// The next element, its namespace put into `jabber:client`; `None` once the component has closed the
    /// stream. What the component says to itself goes back to it, and is not told.
    pub(crate) async fn next(&mut self) -> Result<Option<Tree>, Failure> {
        loop {
            let Some(element) = self.raw().await? else {
                return Ok(None);
            };
            if !self.reflected(&element).await? {
                return accepted(&element).map(Some);
            }
        }
    }

    /// The next element, which must have this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Result<Tree, Failure> {
        match self.next().await? {
            Some(element) if element.name == name => Ok(element),
            Some(other) => Err(Failure::new(format!("not <{name}/> but {other}"))),
            None => Err(Failure::new(format!("not <{name}/> but the end"))),
        }
    }

    /// Ends the stream with an error, as a server does that refuses.
    pub(crate) async fn close_with(&mut self, condition: &str) -> Result<(), Failure> {
        let error = format!(
            "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        );
        self.send_raw(error.as_bytes()).await?;
        self.close().await
    }

    /// Closes the stream, and reads on until the component has closed too.
    pub(crate) async fn close(&mut self) -> Result<(), Failure> {
        // Where the component was faster, there is nobody left to tell.
        let _ = self.stream.write_all(b"</stream:stream>").await;
        let _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        within("the end", self.stream.read_to_end(&mut rest))
            .await?
            .map(|_| ())
            .or_else(|error| match error.kind() {
                io::ErrorKind::ConnectionReset => Ok(()),
                _ => Err(failure(error)),
            })
    }

    /// Resets the connection without a word.
    pub(crate) fn reset(self) -> Result<(), Failure> {
        self.stream.set_zero_linger().map_err(failure)
    }

    /// The oldest element that has come to its end.
    fn complete(&mut self) -> Option<Element> {
        match self.builder.depth() {
            0 => self.builder.root.as_mut()?.unshift_child(),
            1 => self.builder.unshift_child(),
            _ => None,
        }
    }

    /// Reads once and parses what came; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, Failure> {
        if self.builder.root.is_some() {
            return Ok(false);
        }
        let n = match self.stream.read_buf(&mut self.input).await {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(failure(error)),
        };
        let mut rest = self.input.as_slice();
        loop {
            match self.parser.parse(&mut rest, false) {
                Ok(Some(event)) => self.builder.process_event(event).map_err(failure)?,
                Ok(None) => break,
                Err(rxml::error::EndOrError::NeedMoreData) => break,
                Err(rxml::error::EndOrError::Error(error)) => return Err(failure(error)),
            }
            if self.header.is_none() && self.builder.depth() == 1 {
                self.header = self.builder.top().cloned();
            }
        }
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        Ok(n > 0)
    }
}

/// What the handshake must say (XEP-0114 §3).
pub(crate) fn digest(id: &str, secret: &str) -> String {
    Sha1::digest(format!("{id}{secret}"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Prosody does not understand a stanza that names a namespace of its own, so this server does not
/// either.
fn accepted(element: &Element) -> Result<Tree, Failure> {
    let mut tree = Tree::from(element);
    if tree.ns == CLIENT {
        return Err(Failure::new(format!(
            "an explicit {CLIENT}, which Prosody does not understand: {tree}"
        )));
    }
    tree.move_namespace(ACCEPT, CLIENT);
    Ok(tree)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(PATIENCE, future)
        .await
        .map_err(|_| Failure::new(format!("no sign of {what} for {PATIENCE:?}")))
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::{ACCEPT, FakeServer, digest};

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                          xmlns:stream='http://etherx.jabber.org/streams' to='c.localhost'>";

    /// A component that attaches with `secret`, says `words` and closes.
    async fn component(address: std::net::SocketAddr, secret: &str, words: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(HEADER.as_bytes()).await.expect("written");
        let handshake = digest("stream-<&1>", secret);
        let rest = format!("<handshake>{handshake}</handshake>{words}</stream:stream>");
        stream.write_all(rest.as_bytes()).await.expect("written");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.expect("it closes");
        heard
    }

    #[tokio::test]
    async fn a_component_attaches_and_is_heard() {
        let server = FakeServer::bind("c.localhost", "s").await.expect("bound");
        let address = server.address().expect("bound");
        let words = "<presence to='a@b'><show>xa</show></presence><iq/>";
        let client = tokio::spawn(component(address, "s", words));
        let mut peer = server.attach().await.expect("attached");
        let presence = peer.expect("presence").await.expect("sent");
        assert_eq!(
            presence.to_string(),
            "<presence to='a@b'><show>xa</show></presence>"
        );
        peer.expect("iq").await.expect("sent");
        assert_eq!(peer.next().await.expect("closed"), None);
        peer.close().await.expect("closed");
        assert!(client.await.expect("done").contains("<handshake/>"));
    }

    #[tokio::test]
    async fn a_wrong_secret_is_refused() {
        let server = FakeServer::bind("c.localhost", "s").await.expect("bound");
        let address = server.address().expect("bound");
        let client = tokio::spawn(component(address, "t", ""));
        assert!(server.attach().await.is_err());
        let heard = client.await.expect("done");
        assert!(heard.contains("not-authorized") && !heard.contains("<handshake/>"));
    }

    #[tokio::test]
    async fn an_explicit_namespace_is_not_understood() {
        let server = FakeServer::bind("c.localhost", "s").await.expect("bound");
        let address = server.address().expect("bound");
        let client = tokio::spawn(component(address, "s", "<iq xmlns='jabber:client'/>"));
        let mut peer = server.attach().await.expect("attached");
        assert!(peer.next().await.is_err());
        peer.close().await.expect("closed");
        client.await.expect("done");
        assert_eq!(ACCEPT, "jabber:component:accept");
    }

    #[tokio::test]
    async fn what_it_does_not_read_waits_at_the_sender() {
        let server = FakeServer::bind_narrow("c.localhost", "s", Some(4096));
        let server = server.await.expect("bound");
        let address = server.address().expect("bound");
        let words = format!("<message>{}</message>", "x".repeat(1000)).repeat(10_000);
        let client = tokio::spawn(async move { component(address, "s", &words).await });
        let mut peer = server.attach().await.expect("attached");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!client.is_finished(), "ten megabytes went nowhere");
        let mut n = 0;
        while let Some(message) = peer.next().await.expect("sent") {
            assert_eq!(message.name, "message");
            n += 1;
        }
        assert_eq!(n, 10_000);
        peer.close().await.expect("closed");
        client.await.expect("done");
    }
}
