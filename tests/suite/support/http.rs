//! A small HTTP client over plain TCP, which sends what it is told to and shows what came back.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const PATIENCE: Duration = Duration::from_secs(40);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in order; without the date.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Reads all of an answer.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("not an answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .filter(|(name, _)| name != "date")
            .collect();
        Self {
            status: status.parse().unwrap(),
            headers,
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(one, _)| one == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Connects, as soon as somebody listens.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens on {address}");
}

/// Connects from a loopback address of its own, as another visitor does.
pub(crate) async fn connect_from(visitor: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((visitor, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Asks from a loopback address of its own.
pub(crate) async fn ask_from(
    visitor: Ipv4Addr,
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let stream = connect_from(visitor, address).await;
    let request = request(method, path, headers, body);
    Answer::read(&exchange_over(stream, request.as_bytes()).await)
}

/// Sends bytes and reads until the other end closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    exchange_over(connect(address).await, bytes).await
}

async fn exchange_over(mut stream: TcpStream, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str("Host: status.example\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// Asks, and reads the answer.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let text = exchange(address, request(method, path, headers, body).as_bytes()).await;
    Answer::read(&text)
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(address, "GET", path, headers, "").await
}

/// A live stream.
pub(crate) struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    pub(crate) async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = connect(address).await;
        let request = request("GET", path, headers, "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = String::new();
        Self { stream, text }
    }

    /// Reads until the text has all of this in it, and forgets up to there.
    pub(crate) async fn expect(&mut self, words: &[&str]) -> String {
        let reading = async {
            loop {
                if words.iter().all(|word| self.text.contains(word)) {
                    return;
                }
                let mut bytes = [0; 4096];
                let n = self.stream.read(&mut bytes).await.unwrap();
                assert!(n > 0, "ended without {words:?}: {:?}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        };
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            panic!("{words:?} did not come: {:?}", self.text);
        }
        std::mem::take(&mut self.text)
    }

    /// Whether the other end has closed, within this time.
    pub(crate) async fn ended(&mut self, within: Duration) -> bool {
        let reading = async {
            let mut bytes = [0; 4096];
            while self.stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
        };
        tokio::time::timeout(within, reading).await.is_ok()
    }
}
