//! A thousand pages that watch one user live: every one is told of a change, and none costs another
//! anything. How fast is measured by `cargo bench --bench web`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::component_process::{ComponentProcess, Config};
use crate::support::http::connect_from;
use crate::support::ports::Port;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

use super::stage::{PASSWORD, Stage};
use crate::support::client::Client;

const WATCHERS: u16 = 1_000;

/// For all of them together; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn is_told_of_a_change(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind, Options::default()).await?;
    Client::register(&server, "alice", PASSWORD).await?;
    let http = Port::reserve()?;
    let config = Config::for_server(&server).with(&format!(
        "[users]\ndefault-visibility = \"public\"\n[http]\nlisten = \"{}\"\n",
        http.address()
    ));
    let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    let stage = Stage { server, component };
    let mut alice = stage.alice_joined("desk").await?;
    let mut streams = Vec::new();
    for one in 0..WATCHERS {
        streams.push(watch(http.address(), one).await?);
    }
    all_read(&mut streams, "online").await?;
    let presence = "<presence><show>dnd</show><status>Deep in it</status></presence>";
    alice.send(stanza(presence)).await;
    all_read(&mut streams[..1], "Deep in it").await?;
    let began = Instant::now();
    all_read(&mut streams[1..], "Deep in it").await?;
    let took = began.elapsed();
    println!("all were told within {took:?} of the first");
    assert!(took < Duration::from_secs(5), "{took:?}");

    // One who reads nothing, and some who have gone, keep nobody from the next.
    let silent = streams.pop();
    streams.truncate(900);
    for text in ["One", "Two", "Three"] {
        let presence = format!("<presence><show>away</show><status>{text}</status></presence>");
        alice.send(stanza(&presence)).await;
        all_read(&mut streams, text).await?;
    }
    drop(silent);
    Ok(())
}

/// Opens a stream of events. Each comes from an address of its own, as visitors do.
async fn watch(address: SocketAddr, one: u16) -> Result<TcpStream, Failure> {
    let failure = |error: std::io::Error| Failure::new(format!("stream {one}: {error}"));
    let [high, low] = one.to_be_bytes();
    let visitor = Ipv4Addr::new(127, 1, high, low);
    let mut stream = connect_from(visitor, address).await;
    let request = "GET /v1/events?users=alice@localhost HTTP/1.1\r\nHost: localhost\r\n\
                   Accept: text/event-stream\r\n\r\n";
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(failure)?;
    Ok(stream)
}

/// Reads each stream until it has said this.
async fn all_read(streams: &mut [TcpStream], mark: &str) -> Result<(), Failure> {
    let reading = streams.iter_mut().map(|stream| async move {
        let mut read = Vec::new();
        while memmem::find(&read, mark.as_bytes()).is_none() {
            if !stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                return Err(String::from_utf8_lossy(&read).into_owned());
            }
        }
        Ok(())
    });
    let all = timeout(PATIENCE, futures::future::join_all(reading)).await;
    let all = all.map_err(|_| Failure::new(format!("not all said {mark:?} in {PATIENCE:?}")))?;
    match all.into_iter().find_map(Result::err) {
        Some(read) => Err(Failure::new(format!(
            "a stream ended before {mark:?}: {read}"
        ))),
        None => Ok(()),
    }
}
