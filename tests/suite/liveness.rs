//! A server that hangs, that stops reading, and other streams of the component's name; on a clock that
//! the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use vestibule::component::Component;
use vestibule::component::clock::Now;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::driver::{self, Clock, SystemClock};
use vestibule::link;
use vestibule::store::committer::Committer;

use crate::learning::{Nothing, settings};
use crate::support::Failure;
use crate::support::fake_server::FakeServer;
use crate::support::far_end::FarEnd;

const DOMAIN: &str = "presence.localhost";
const SECRET: &str = "sekrit";
/// For what happens at once, and for an attempt after a loss.
const SOON: Duration = Duration::from_secs(20);

/// The system's clock, and what the test has added to it.
#[derive(Clone, Default)]
pub(crate) struct Ahead {
    clock: SystemClock,
    by_ms: Arc<AtomicU64>,
}

impl Ahead {
    fn jump(&self, seconds: u64) {
        self.by_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Now {
        let by_ms = self.by_ms.load(Ordering::Relaxed);
        let mut now = self.clock.now();
        now.mono += Duration::from_millis(by_ms);
        now.wall.0 += i64::try_from(by_ms).unwrap();
        now
    }
}

/// A component that attaches to `server` and ends with the test.
pub(crate) fn component(server: String) -> (Ahead, oneshot::Sender<()>) {
    let (committer, outcomes) = Committer::start(Nothing, IN_FLIGHT_MAX);
    let clock = Ahead::default();
    let parts = driver::Parts {
        core: Component::new(settings(), []),
        committer,
        outcomes,
        link: link::Settings {
            server,
            tls: None,
            domain: settings().domain,
            secret: SECRET.to_owned(),
        },
        clock: clock.clone(),
        retry: true,
        exports: None,
        metrics: Arc::default(),
        doors: None,
        web: None,
        reloads: None,
    };
    let (end, ended) = oneshot::channel();
    tokio::spawn(driver::run(parts, async {
        let _ = ended.await;
    }));
    (clock, end)
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_two_minutes() -> Result<(), Failure> {
    let server = FakeServer::bind(DOMAIN, SECRET).await.unwrap();
    let (clock, _end) = component(server.address().unwrap().to_string());
    let mut peer = server.attach().await?;
    // As long as it brings back what the component says to itself, silence is fine.
    for n in 0..4 {
        clock.jump(61);
        peer.send_raw(b" ").await?;
        let ping = format!(
            "<iq type='get' id='{n}' from='a@localhost/x' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        if n == 3 {
            peer.send_raw(ping.as_bytes()).await?;
            peer.expect("iq").await?;
        } else {
            let quiet = timeout(Duration::from_millis(300), peer.next()).await;
            assert!(quiet.is_err(), "it says {:?}", quiet.unwrap()?);
        }
    }
    // White space comes from a timer, not from a server that works.
    for _ in 0..3 {
        clock.jump(61);
        peer.send_raw(b" ").await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let _again = timeout(SOON, server.attach())
        .await
        .expect("it gave the old one up")?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_stops_reading_is_given_up_after_two_minutes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (clock, _end) = component(listener.local_addr().unwrap().to_string());
    let mut far = FarEnd::greet(listener.accept().await.unwrap().0)
        .await
        .unwrap();
    let ping = format!(
        "<iq type='get' id='{}' from='a@localhost/x' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>",
        "x".repeat(2000)
    )
    .repeat(100);
    while far.offer(ping.as_bytes(), Duration::from_secs(1)).await {}
    let again = timeout(Duration::from_secs(3), listener.accept()).await;
    assert!(again.is_err(), "given up too soon");
    clock.jump(121);
    let again = timeout(SOON, listener.accept())
        .await
        .expect("it gave the old one up");
    assert!(FarEnd::greet(again.unwrap().0).await.is_some());
}

#[tokio::test]
async fn of_two_streams_that_serve_the_younger_one_goes() -> Result<(), Failure> {
    let server = FakeServer::bind(DOMAIN, SECRET).await.unwrap();
    let (_clock, _end) = component(server.address().unwrap().to_string());
    let mut peer = server.attach().await?;
    let message = |since: &str| {
        format!(
            "<message from='{DOMAIN}' to='{DOMAIN}' type='headline'><instance \
             xmlns='urn:x-presence-service:instance:0' id='x' since='{since}' state='serving'/></message>"
        )
    };
    // One that came later is no reason, nor is one that somebody else speaks of.
    for other in [
        message("99999999999999"),
        message("1").replacen(DOMAIN, "mallory@localhost/x", 1),
    ] {
        peer.send_raw(other.as_bytes()).await?;
    }
    let ping = format!(
        "<iq type='get' id='p' from='a@localhost/x' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    peer.send_raw(ping.as_bytes()).await?;
    peer.expect("iq").await?;
    peer.send_raw(message("1").as_bytes()).await?;
    while let Some(said) = peer.next().await? {
        assert_ne!(said.name, "iq", "it goes on");
    }
    peer.close().await?;
    // It comes back later, in case the other one goes.
    timeout(SOON, server.attach()).await.expect("in time")?;
    Ok(())
}
