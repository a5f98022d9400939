//! The listener of `[metrics]`: `/metrics`, `/healthz`, `/readyz` over HTTP/1, for one machine's monitoring.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Metrics;

/// Connections at once: monitoring comes now and then.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection lives, whatever is said on it.
const CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// Bytes of a request; hyper takes no less than this.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// After a failed accept (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// Listens; the error is for the operator.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, String> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| format!("metrics.listen: cannot listen on {address}: {error}"))
}

/// Answers for ever.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Who finds no place waits in the kernel's queue.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_LIFE, talk(stream, &metrics)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("no connection for metrics: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, metrics: &Metrics) {
    let answering =
        service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, metrics)) });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    // What the other side did wrong is its own affair.
    let _ = connection.await;
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, metrics.render()),
        // Who gets an answer here gets it from the thread that does all the work.
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match metrics.complaints() {
            complaints if complaints.is_empty() => text(StatusCode::OK, "ok\n".to_owned()),
            complaints => text(
                StatusCode::SERVICE_UNAVAILABLE,
                complaints.join("\n") + "\n",
            ),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "/metrics, /healthz, /readyz\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
