//! A web site of somebody else on 127.0.0.1: it has the pages that a test gives it, and remembers every
//! address that it is asked for. Where nothing may be asked for, it is the canary.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::Failure;

/// A request of a browser is smaller.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// A running site. Dropping it ends it.
pub(crate) struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Type and content, by path.
    pages: Mutex<HashMap<String, (&'static str, String)>>,
    asked: Mutex<Vec<String>>,
}

impl Site {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let failure = |error| Failure::new(format!("cannot listen on 127.0.0.1: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failure)?;
        let address = listener.local_addr().map_err(failure)?;
        let shared: Arc<Shared> = Arc::default();
        let of_all = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&of_all);
                tokio::spawn(async move { answer(stream, &shared).await });
            }
        });
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Where it is, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a page there, and returns its address.
    pub(crate) fn put(&self, path: &str, kind: &'static str, content: String) -> String {
        lock(&self.shared.pages).insert(path.to_owned(), (kind, content));
        format!("{}{path}", self.origin())
    }

    /// Takes the paths that it has been asked for, but for its pages and for what browsers ask every
    /// site.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *lock(&self.shared.asked));
        asked.retain(|path| path != "/favicon.ico");
        asked
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut request = Vec::new();
    while memchr::memmem::find(&request, b"\r\n\r\n").is_none() {
        let read = stream.read_buf(&mut request).await;
        if !read.is_ok_and(|n| n > 0) || request.len() > REQUEST_BYTES_MAX {
            return;
        }
    }
    let head = String::from_utf8_lossy(&request);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = lock(&shared.pages).get(&path).cloned();
    let (kind, content) = page.unwrap_or_else(|| {
        lock(&shared.asked).push(path);
        // Anybody may read it: what a script could fetch is to arrive.
        ("text/javascript", "alert('fetched')".to_owned())
    });
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{content}",
        content.len()
    );
    // Fails only for a browser that has gone.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
