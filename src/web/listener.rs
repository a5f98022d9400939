//! The listener of `[http]`: connections within limits of number, size and time, HTTP/1.1.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service;

use super::asker::Peer;
use super::respond::{Reply, preflight};
use super::{Face, read, routes};

/// Connections beside those of live streams.
const CONNECTIONS_MAX: usize = 2048;
/// Connections of one address beside its live streams; a proxy of ours is not counted.
const CONNECTIONS_PER_ADDRESS: usize = 128;
/// How long the head of a request may take, the wait for it on an open connection included.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Bytes of a head. Its lines are at most a hundred: for that number hyper needs no room on the heap.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The other end acknowledges nothing of what was sent: it has gone, or reads nothing.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// After a failed accept (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(100);
/// How long what is under way may take at the end.
const GRACE: Duration = Duration::from_secs(3);

/// Listens; the error is for the operator.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("http.listen: cannot listen on {address}: {error}"))
}

/// Connections by address.
#[derive(Debug, Default)]
struct ByAddress(Mutex<HashMap<IpAddr, usize>>);

/// One of them, until it is dropped.
struct Place {
    of: Arc<ByAddress>,
    address: IpAddr,
}

impl ByAddress {
    fn take(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = all.entry(address).or_default();
        if *n >= max {
            return None;
        }
        *n += 1;
        Some(Place {
            of: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = all.get_mut(&self.address) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// Answers until the process is about to end; then lets what is under way end, within a grace time.
pub async fn serve(listener: TcpListener, face: Face) {
    let face = Arc::new(face);
    let max = CONNECTIONS_MAX + face.settings.streams;
    let places = Arc::new(Semaphore::new(max));
    let each = CONNECTIONS_PER_ADDRESS + face.settings.streams_per_address;
    let by_address = Arc::<ByAddress>::default();
    let router = routes::router(face.clone());
    let mut stopping = face.stopping.clone();
    let is_loopback = listener
        .local_addr()
        .is_ok_and(|at| at.ip().to_canonical().is_loopback());
    loop {
        // Who finds no place waits in the kernel's queue.
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            accepted = accepted => accepted,
        };
        let (place, stream, address) = match accepted {
            (Ok(place), Ok((stream, peer))) => (place, stream, peer.ip().to_canonical()),
            (Err(_), _) => break,
            (_, Err(error)) => {
                tracing::debug!("no connection for the web: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let is_proxy = face.is_trusted(address);
        // Off loopback nothing is encrypted here: only our proxy may come.
        if !is_loopback && !is_proxy {
            continue;
        }
        let own = match is_proxy {
            true => None,
            false => match by_address.take(address, each) {
                Some(own) => Some(own),
                None => continue,
            },
        };
        let mut stopping = face.stopping.clone();
        let (face, router) = (face.clone(), router.clone());
        let peer = Peer::at(address);
        tokio::spawn(async move {
            let stop = async move {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            talk(stream, peer, face, router, stop).await;
            drop((place, own));
        });
    }
    drop(listener);
    // All places are free when all connections have ended.
    let all = u32::try_from(max).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(GRACE, places.acquire_many(all)).await;
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(UNACKNOWLEDGED))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

async fn talk(
    stream: TcpStream,
    peer: Peer,
    face: Arc<Face>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    if prepare(&stream).is_err() {
        return;
    }
    let by = Arc::new((peer, face, router));
    let answering = service_fn(move |request| answer(request, by.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .writev(false) // Answers are small: into one buffer, and out at once.
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    // What the other side did wrong is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    by: Arc<(Peer, Arc<Face>, Router)>,
) -> Result<Reply, Infallible> {
    let (peer, face, router) = &*by;
    match *request.method() {
        // Browsers ask before they let a page of another site show a token.
        Method::OPTIONS => return Ok(preflight()),
        Method::GET => {
            if let Some((shape, jid)) = routes::common(request.uri().path()) {
                let jid = jid.to_owned();
                let (head, _body) = request.into_parts();
                let reply = read::one(face, peer, shape, jid, head.uri, head.headers).await;
                return Ok(measured(reply));
            }
        }
        _ => {}
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    router.clone().call(request).await
}

/// The length where the router puts it: both ways have the same bytes.
fn measured(mut reply: Reply) -> Reply {
    if let Some(length) = reply.body().size_hint().exact() {
        reply.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    reply
}
