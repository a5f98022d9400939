//! The server's end of a component stream (XEP-0114), in a test's hands: it can write without reading,
//! stop reading, and see every byte.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The stream error that ends a component is never this long.
const HEADER_MAX: usize = 8 << 10;

/// One stanza as it came, unread by any parser: what the seal wrote.
#[derive(Clone, Debug)]
pub(crate) struct Stanza(String);

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Stanza {
    pub(crate) fn name(&self) -> &str {
        self.0[1..]
            .split([' ', '>', '/'])
            .next()
            .unwrap_or_default()
    }

    /// An attribute of the stanza itself.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let head = &self.0[..=self.0.find('>')?];
        let value = head.split_once(&format!(" {name}='"))?.1;
        Some(value.split('\'').next()?.to_owned())
    }

    /// The text of an element without attributes.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        let rest = self.0.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once("</")?.0.to_owned())
    }

    pub(crate) fn body(&self) -> Option<String> {
        self.text_of("body")
    }

    /// Whether it is a presence that a probe to a presentity is answered with.
    pub(crate) fn answers_probe(&self) -> bool {
        self.name() == "presence"
            && self
                .attribute("from")
                .is_some_and(|from| from.contains("\\40"))
    }
}

/// An attached component's peer.
pub(crate) struct FarEnd {
    reader: OwnedReadHalf,
    writer: Option<OwnedWriteHalf>,
    read: String,
    /// The beginning of a character whose rest has not come yet.
    torn: Vec<u8>,
    /// Bytes of an offer that the component did not take, and how many whole offers they belong to.
    unsent: (Vec<u8>, u64),
}

impl FarEnd {
    /// Plays the server's part of the handshake; `None` where the component goes away in it.
    pub(crate) async fn greet(stream: TcpStream) -> Option<Self> {
        stream.set_nodelay(true).ok()?;
        let (reader, writer) = stream.into_split();
        let unsent = (Vec::new(), 0);
        let mut end = Self {
            reader,
            writer: Some(writer),
            read: String::new(),
            torn: Vec::new(),
            unsent,
        };
        end.read_past("accept'", '>').await?;
        let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' from='presence.localhost' id='s1'>";
        if !end.try_send(header).await {
            return None;
        }
        end.read_past("</handshake", '>').await?;
        if !end.try_send("<handshake/>").await {
            return None;
        }
        // A server brings back what the component says to itself, which is all that it says until then.
        let mut announced = 0;
        while announced < vestibule::link::ANNOUNCED {
            match end.cut() {
                Some(message) => {
                    announced += 1;
                    if !end.try_send(&message.0).await {
                        return None;
                    }
                }
                None if end.fill().await => {}
                None => return None,
            }
        }
        Some(end)
    }

    async fn read_past(&mut self, mark: &str, last: char) -> Option<()> {
        loop {
            if let Some(at) = self.read.find(mark)
                && let Some(end) = self.read[at..].find(last)
            {
                self.read.drain(..=at + end);
                return Some(());
            }
            if self.read.len() > HEADER_MAX || !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match self.reader.read(&mut bytes).await {
            Ok(n) if n > 0 => {
                self.torn.extend(&bytes[..n]);
                let whole = match str::from_utf8(&self.torn) {
                    Ok(text) => text.len(),
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    Err(error) => panic!("it sends what is no UTF-8: {error}"),
                };
                let whole: Vec<u8> = self.torn.drain(..whole).collect();
                self.read.push_str(str::from_utf8(&whole).unwrap());
                true
            }
            _ => false,
        }
    }

    pub(crate) async fn send(&mut self, xml: &str) {
        assert!(self.try_send(xml).await, "the component is gone");
    }

    /// Whether the component took it.
    pub(crate) async fn try_send(&mut self, xml: &str) -> bool {
        let writer = self.writer.as_mut().expect("nothing else is writing");
        writer.write_all(xml.as_bytes()).await.is_ok()
    }

    /// Offers bytes for a while, without reading; whether all were taken. What was not stays to be sent.
    pub(crate) async fn offer(&mut self, bytes: &[u8], patience: Duration) -> bool {
        if self.unsent.0.is_empty() {
            self.unsent = (bytes.to_vec(), 1);
        }
        let writer = self.writer.as_mut().expect("nothing else is writing");
        while !self.unsent.0.is_empty() {
            match timeout(patience, writer.write(&self.unsent.0)).await {
                Err(_) => return false,
                Ok(n) => drop(self.unsent.0.drain(..n.expect("the component is there"))),
            }
        }
        true
    }

    /// What an offer has left.
    pub(crate) fn take_unsent(&mut self) -> (Vec<u8>, u64) {
        let (bytes, whole) = std::mem::take(&mut self.unsent);
        let whole = if bytes.is_empty() { 0 } else { whole };
        (bytes, whole)
    }

    /// Goes on writing in the background.
    pub(crate) fn send_while_reading(&mut self, bytes: Vec<u8>) {
        let mut writer = self.writer.take().expect("nothing else is writing");
        tokio::spawn(async move {
            let _ = writer.write_all(&bytes).await;
            std::future::pending::<()>().await; // Dropping it would close the stream.
        });
    }

    /// The next stanza; `None` where the stream has ended.
    pub(crate) async fn try_next(&mut self, patience: Duration) -> Option<Stanza> {
        let next = async {
            loop {
                match self.cut() {
                    // What the component says to itself once a minute.
                    Some(stanza) if stanza.0.contains("<instance ") => continue,
                    Some(stanza) => return Some(stanza),
                    None => {}
                }
                if !self.fill().await {
                    return None;
                }
            }
        };
        timeout(patience, next)
            .await
            .expect("the component says something")
    }

    pub(crate) async fn next(&mut self, patience: Duration) -> Stanza {
        self.try_next(patience)
            .await
            .expect("the component is there")
    }

    /// The first stanza of which something holds; those before it are dropped.
    pub(crate) async fn until(
        &mut self,
        patience: Duration,
        holds: impl Fn(&Stanza) -> bool,
    ) -> Stanza {
        loop {
            let stanza = self.next(patience).await;
            if holds(&stanza) {
                return stanza;
            }
        }
    }

    /// The text of the next chat message.
    pub(crate) async fn acknowledged(&mut self) -> String {
        let patience = Duration::from_secs(60);
        let message = self.until(patience, |stanza| stanza.body().is_some()).await;
        message.body().unwrap_or_default()
    }

    /// Nothing comes for a while.
    pub(crate) async fn quiet(&mut self, time: Duration) {
        assert!(self.cut().is_none(), "unexpected: {}", self.read);
        let more = timeout(time, self.fill()).await;
        assert!(more.is_err(), "unexpected: {}", self.read);
    }

    /// The first whole stanza of what was read. The seal escapes `>` in attributes and nests no stanza in
    /// one of the same name, so its ends can be found without a parser.
    fn cut(&mut self) -> Option<Stanza> {
        let space = self.read.len() - self.read.trim_start().len();
        self.read.drain(..space);
        let head = self.read.find('>')?;
        let end = if self.read[..head].ends_with('/') {
            head + 1
        } else {
            let name = Stanza(self.read[..=head].to_owned()).name().to_owned();
            let close = format!("</{name}>");
            self.read.find(&close)? + close.len()
        };
        Some(Stanza(self.read.drain(..end).collect()))
    }
}
