//! The load: so many connections that stay open, each with one request under way, as fast as it is
//! answered; and what one request costs the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 32;

/// An answer is smaller.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is asked, and of whom.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) address: SocketAddr,
    /// Paths, asked one after the other and over again.
    pub(crate) paths: Vec<String>,
    /// Stands in each answer.
    pub(crate) mark: &'static str,
    /// The process that answers.
    pub(crate) process: u32,
}

/// What one request costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU time of the server, all its threads.
    pub(crate) cpu: Duration,
    /// Time in all.
    pub(crate) wall: Duration,
    /// Bytes of an answer, head and content.
    pub(crate) bytes: usize,
}

impl Cost {
    /// The better of two, each by itself: what disturbs a measurement only ever adds.
    pub(crate) fn best(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            wall: self.wall.min(other.wall),
            bytes: self.bytes,
        }
    }
}

/// Asks `n` times, and returns the cost of one.
pub(crate) async fn measure(work: &Work, n: usize) -> Cost {
    let (cpu, began) = (cpu(work.process), Instant::now());
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|one| tokio::spawn(ask(work.clone(), one, n / CONNECTIONS)))
        .collect();
    let mut bytes = 0;
    for one in asking {
        bytes = one.await.unwrap();
    }
    let asked = u32::try_from(n / CONNECTIONS * CONNECTIONS).unwrap();
    Cost {
        cpu: (self::cpu(work.process) - cpu) / asked,
        wall: began.elapsed() / asked,
        bytes,
    }
}

/// One connection; the bytes of its last answer.
async fn ask(work: Work, first: usize, n: usize) -> usize {
    let requests: Vec<Vec<u8>> = work
        .paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n").into())
        .collect();
    let mut stream = TcpStream::connect(work.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = Vec::with_capacity(64 << 10);
    let mut bytes = 0;
    for turn in 0..n {
        let request = &requests[(first * n + turn) % requests.len()];
        stream.write_all(request).await.unwrap();
        answer.clear();
        let length = loop {
            let read = stream.read_buf(&mut answer).await.unwrap();
            let so_far = String::from_utf8_lossy(&answer);
            assert!(read > 0, "{work:?} closes after {turn} answers: {so_far}");
            match length(&answer) {
                Some(length) if answer.len() >= length => break length,
                _ => assert!(answer.len() < ANSWER_BYTES_MAX, "too long: {so_far}"),
            }
        };
        assert!(
            answer.starts_with(b"HTTP/1.1 200 ")
                && answer.len() == length
                && memmem::find(&answer, work.mark.as_bytes()).is_some(),
            "{request:?}: {}",
            String::from_utf8_lossy(&answer)
        );
        bytes = length;
    }
    bytes
}

/// How long an answer is, head and content, once its head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let head = memmem::find(answer, b"\r\n\r\n")? + 4;
    let lines = std::str::from_utf8(&answer[..head]).unwrap();
    let length = lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.unwrap_or_else(|| panic!("no length: {lines}"));
    Some(head + length.trim().parse::<usize>().unwrap())
}

/// CPU time that all threads of a process have used so far, by the scheduler's account.
fn cpu(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .map(|text| text.split_whitespace().next().unwrap().parse().unwrap())
        .map(Duration::from_nanos)
        .sum()
}
