//! Shows what `tokio_xmpp::Component` 6.0.0 returns for stanzas that a server may pass on, and what a
//! deeply nested one costs. `docs/design/0001-own-framing.md` draws the conclusion.
//!
//! A server on loopback accepts the handshake, sends one good presence, the stanza in question, and
//! one more good presence. Each row has a connection of its own.

use futures::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_xmpp::Component;
use tokio_xmpp::connect::{DnsConfig, TcpServerConnector};
use tokio_xmpp::xmlstream::Timeouts;

const GOOD: &str = "<presence from='a@localhost/x' to='presence.localhost'/>";

/// After this much silence `Component` gives up.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The argument of the child that nests too deep for the stack of a worker thread.
const WORKER: &str = "nest-on-a-worker-thread";

fn main() {
    if std::env::args().nth(1).as_deref() == Some(WORKER) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let nested = runtime.spawn(timed(nested(10_000)));
        runtime.block_on(nested).unwrap();
        return;
    }
    // What happens is told in the table.
    std::panic::set_hook(Box::new(|_| ()));
    // On the main thread, whose stack is larger than a worker's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(table());
    for depth in [100, 1_000, 10_000] {
        let stanza = nested(depth);
        let size = stanza.len();
        let took = runtime.block_on(timed(stanza));
        println!("{depth} elements inside one another ({size} bytes): {took:.1?}");
    }
    let worker = Command::new(std::env::current_exe().unwrap())
        .arg(WORKER)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    println!("the same 10000 on a worker thread of tokio (2 MiB of stack): {worker}");
}

async fn table() {
    let long = format!("<presence id='{}'/>", "x".repeat(9_000));
    let rows: [(&str, &str); 14] = [
        ("a good presence", GOOD),
        (
            "<show>online</show>",
            "<presence><show>online</show></presence>",
        ),
        (
            "<priority>300</priority>",
            "<presence><priority>300</priority></presence>",
        ),
        ("presence of type 'bogus'", "<presence type='bogus'/>"),
        ("from='a@@b'", "<presence from='a@@b'/>"),
        (
            "from with an emoji as resource",
            "<presence from='a@localhost/\u{1F600}'/>",
        ),
        (
            "iq without id",
            "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        ),
        ("iq error without <error/>", "<iq type='error' id='1'/>"),
        ("an attribute of 9000 bytes", &long),
        ("an unknown element", "<unknown/>"),
        (
            "<presence xmlns='jabber:client'/>",
            "<presence xmlns='jabber:client'/>",
        ),
        ("a comment", "<!-- comment -->"),
        ("</stream:stream>", "</stream:stream>"),
        ("nothing for 2 s", ""),
    ];
    println!(
        "{:36}{:16}{:16}if asked once more",
        "what the server sends", "next()", "for a good one",
    );
    for (what, stanza) in rows {
        let (mut component, server) = attached(stanza.to_owned()).await;
        assert!(
            next(&mut component).await.starts_with("Some"),
            "the good one before it"
        );
        let it = next(&mut component).await;
        let after = next(&mut component).await;
        let then = next(&mut component).await;
        println!("{what:36}{it:16}{after:16}{then}");
        server.abort();
    }
}

/// What the next item is, in a word.
async fn next(component: &mut Component<TcpServerConnector>) -> String {
    let next = AssertUnwindSafe(component.next()).catch_unwind();
    match tokio::time::timeout(READ_TIMEOUT * 2, next).await {
        Ok(Ok(Some(_))) => "Some(stanza)".into(),
        Ok(Ok(None)) => "None".into(),
        Ok(Err(panic)) => match panic.downcast_ref::<&str>() {
            Some(words) => format!("panic: {words}"),
            None => format!(
                "panic: {}",
                panic.downcast_ref::<String>().map_or("", |s| s)
            ),
        },
        Err(_) => "waits".into(),
    }
}

fn nested(depth: usize) -> String {
    format!(
        "<presence>{}{}</presence>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    )
}

/// How long it takes from the stanza before to this one.
async fn timed(stanza: String) -> Duration {
    let (mut component, server) = attached(stanza).await;
    next(&mut component).await;
    let start = Instant::now();
    // Without the limit of `next`.
    component.next().await;
    server.abort();
    start.elapsed()
}

/// A component attached to a server that sends a good presence, `stanza`, and a good presence.
async fn attached(stanza: String) -> (Component<TcpServerConnector>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        hear(&mut io, "'jabber:component:accept'", ">").await;
        say(
            &mut io,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' from='presence.localhost' id='1'>",
        )
        .await;
        hear(&mut io, "handshake", "</handshake>").await;
        say(&mut io, &format!("<handshake/>{GOOD}{stanza}")).await;
        if stanza.is_empty() {
            tokio::time::sleep(READ_TIMEOUT + Duration::from_millis(500)).await;
        }
        say(&mut io, GOOD).await;
        // Stays open: what the component then returns is its own doing.
        std::future::pending::<()>().await;
    });
    let timeouts = Timeouts {
        read_timeout: READ_TIMEOUT,
        response_timeout: READ_TIMEOUT,
    };
    let component = Component::new_plaintext(
        "presence.localhost",
        "secret",
        DnsConfig::addr(&address),
        timeouts,
    );
    (component.await.expect("a good handshake"), server)
}

/// Reads until `word` has come, and `end` after it.
async fn hear(io: &mut TcpStream, word: &str, end: &str) {
    let mut heard = String::new();
    while !heard
        .split_once(&word.replace('\'', "\""))
        .or(heard.split_once(word))
        .is_some_and(|(_, rest)| rest.contains(end))
    {
        heard.push(char::from(io.read_u8().await.unwrap()));
    }
}

async fn say(io: &mut TcpStream, words: &str) {
    // The component may have given up already.
    let _ = io.write_all(words.as_bytes()).await;
}
