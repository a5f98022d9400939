//! A thousand pages that watch one user live: how long it takes until each knows of a change.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::scene::{Scene, TEXT};
use crate::support::http::connect_from;
use crate::support::{Failure, stanza};

/// Connections that watch.
const WATCHERS: usize = 1_000;

/// Changes, of which the best counts.
const CHANGES: usize = 5;

/// For everything that they wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures, and reports.
pub(crate) async fn measure(mut scene: Scene) -> Result<(), Failure> {
    let (told, mut news) = mpsc::channel(WATCHERS);
    for one in 0..WATCHERS {
        let stream = watch(scene.http.address(), one).await;
        tokio::spawn(follow(stream, told.clone()));
    }
    let texts: Vec<String> = (0..CHANGES).map(|one| format!("change {one}")).collect();
    all_know(&mut news, TEXT).await;
    let mut best = None::<(Duration, Duration)>;
    for text in &texts {
        // One user's watchers are told every 2 s at most.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let presence = format!("<presence><show>dnd</show><status>{text}</status></presence>");
        let began = Instant::now();
        scene.users[0].send(stanza(&presence)).await;
        let mut times = all_know(&mut news, text).await;
        times.sort();
        let since = |at: Instant| at.duration_since(began);
        let new = (since(times[WATCHERS / 2]), since(times[WATCHERS - 1]));
        best = Some(best.map_or(new, |best| best.min(new)));
    }
    let (half, last) = best.unwrap();
    println!(
        "\n{WATCHERS} live watchers of one user: half of them know of a change after {half:.1?}, all \
         after {last:.1?}"
    );
    Ok(())
}

/// Waits until all have this text; when each got it.
async fn all_know(news: &mut mpsc::Receiver<(String, Instant)>, text: &str) -> Vec<Instant> {
    let mut times = Vec::new();
    while times.len() < WATCHERS {
        let (told, at) = tokio::time::timeout(PATIENCE, news.recv())
            .await
            .unwrap_or_else(|_| panic!("only {} were told of {text:?}", times.len()))
            .unwrap();
        if told == text {
            times.push(at);
        }
    }
    times
}

/// Opens a stream of events. Each comes from an address of its own, as visitors do.
async fn watch(address: SocketAddr, one: usize) -> TcpStream {
    let [high, low] = u16::try_from(one).unwrap().to_be_bytes();
    let visitor = Ipv4Addr::new(127, 1, high, low);
    let mut stream = connect_from(visitor, address).await;
    let request = "GET /v1/events?users=u0@localhost HTTP/1.1\r\nHost: localhost\r\nAccept: \
                   text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Tells each text that comes, once for each time that it comes.
async fn follow(mut stream: TcpStream, told: mpsc::Sender<(String, Instant)>) {
    let mut events = Vec::new();
    loop {
        let read = stream.read_buf(&mut events).await.unwrap_or(0);
        let at = Instant::now();
        if read == 0 {
            return; // The measurement is over, or waits in vain for this one, and says so.
        }
        while let Some(end) = memmem::find(&events, b"\n\n") {
            let event: Vec<u8> = events.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let text = event.split_once("\"status\":\"");
            if let Some((text, _)) = text.and_then(|(_, rest)| rest.split_once('"'))
                && told.send((text.to_owned(), at)).await.is_err()
            {
                return;
            }
        }
    }
}
