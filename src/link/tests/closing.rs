//! Peers that stall, vanish or say good-bye; buffers stay bounded and nothing is lost that was sent.

use super::script::{ACCEPTED, settings};
use crate::link::limits::{CHUNK_BYTES, QUEUE_BYTES, STANZA_BYTES};
use crate::link::{Error, Link, Unsealed, attach_over, now};
use crate::stanza::Arrival;
use futures::FutureExt;
use minidom::Element;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const GRACE: Duration = Duration::from_secs(20);

/// A link and the server's end, which has read everything so far.
async fn attached(buffer: usize) -> (Link<DuplexStream>, DuplexStream) {
    let (ours, mut theirs) = duplex(buffer);
    let server = async {
        let (header, handshake) = ACCEPTED.split_at(ACCEPTED.find("<handshake").unwrap());
        theirs.write_all(header.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"</handshake>") {
            heard.push(theirs.read_u8().await.unwrap());
        }
        theirs.write_all(handshake.as_bytes()).await.unwrap();
    };
    let settings = settings();
    let (link, ()) = tokio::join!(attach_over(ours, &settings), server);
    (link.unwrap(), theirs)
}

fn message(body: &str) -> Element {
    format!(
        "<message xmlns='jabber:client' from='presence.example.org' to='a@b.example'>\
         <body>{body}</body></message>"
    )
    .parse()
    .unwrap()
}

#[tokio::test]
async fn a_connection_that_is_not_acknowledged_for_a_minute_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let io = tokio::net::TcpStream::connect(address).await.unwrap();
    crate::link::prepare(&io).unwrap();
    let timeout = socket2::SockRef::from(&io).tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_secs(60)));
    assert!(io.nodelay().unwrap());
}

#[tokio::test]
async fn a_server_that_does_not_read_fills_the_queue_and_no_more() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    let long = "x".repeat(50_000);
    let mut sent = 0;
    let refused = loop {
        if let Err(unsealed) = link.send(&message(&format!("{sent} {long}"))) {
            break unsealed;
        }
        sent += 1;
        let _ = link.progress(true).now_or_never();
    };
    assert_eq!(refused, Unsealed::QueueFull);
    assert!(link.queued() <= QUEUE_BYTES && link.queued() > QUEUE_BYTES - STANZA_BYTES);
    assert!(
        link.progress(true).now_or_never().is_none(),
        "nothing can move"
    );

    // It reads again: all that was accepted is there, in order, and whole.
    let read = async {
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.unwrap();
        all
    };
    let write = async move {
        while link.queued() > 0 {
            link.progress(false).await.unwrap();
        }
    };
    let (all, ()) = tokio::join!(read, write);
    for (n, body) in all.split("<body>").skip(1).enumerate() {
        assert!(body.starts_with(&format!("{n} ")));
    }
    assert_eq!(all.matches("</message>").count(), sent);
}

#[tokio::test]
async fn who_does_not_take_arrivals_gets_no_more_than_a_buffer_full() {
    let (mut link, mut theirs) = attached(1024 * 1024).await;
    let stanza = "<presence/>";
    let n = 1024 * 1024 / stanza.len();
    theirs.write_all(stanza.repeat(n).as_bytes()).await.unwrap();
    for _ in 0..100 {
        link.progress(true).await.unwrap();
    }
    // What the link has not taken still lies in the pipe, so that no more fits into it.
    let more = "x".repeat(CHUNK_BYTES + STANZA_BYTES + 1);
    assert!(theirs.write_all(more.as_bytes()).now_or_never().is_none());
    for _ in 0..n {
        while link.next_arrival().unwrap().is_none() {
            link.progress(true).await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_arrival_at_a_time_is_as_good_as_all() {
    let (mut link, mut theirs) = attached(64 * 1024).await;
    let write = async {
        for n in 0..20_000 {
            let stanza = format!("<presence id='{n}'/>");
            theirs.write_all(stanza.as_bytes()).await.unwrap();
        }
        theirs
    };
    let read = async {
        for n in 0..20_000 {
            // Always reads first, so that the buffer is never empty when it is asked.
            let _ = link.progress(true).now_or_never();
            let arrival = loop {
                match link.next_arrival().unwrap() {
                    Some(arrival) => break arrival,
                    None => link.progress(true).await.unwrap(),
                }
            };
            let Arrival::Stanza(stanza) = arrival else {
                panic!("{arrival:?}");
            };
            assert_eq!(
                stanza.attr(minidom::rxml::xml_ncname!("id")),
                Some(n.to_string().as_str())
            );
            // Keeps the other side writing while there is something in the buffer.
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(read, write);
}

#[tokio::test]
async fn a_step_given_up_half_way_loses_nothing() {
    let (mut link, mut theirs) = attached(3).await;
    link.send(&message("hello")).unwrap();
    theirs.write_all(b"<pr").await.unwrap();
    let (mut heard, mut rest) = (Vec::new(), b"esence/>".as_slice());
    let mut arrival = None;
    while arrival.is_none() || !heard.ends_with(b"</message>") {
        let _ = link.progress(true).now_or_never();
        let mut bytes = [0; 2];
        if let Some(Ok(n)) = theirs.read(&mut bytes).now_or_never() {
            heard.extend_from_slice(&bytes[..n]);
        }
        if let Some(Ok(n)) = theirs.write(&rest[..rest.len().min(1)]).now_or_never() {
            rest = &rest[n..];
        }
        arrival = arrival.or_else(|| link.next_arrival().unwrap());
        tokio::task::yield_now().await;
    }
    assert!(matches!(arrival, Some(Arrival::Stanza(_))));
    let heard = String::from_utf8(heard).unwrap();
    assert!(
        heard.starts_with("<message") && heard.contains("hello"),
        "{heard}"
    );
}

#[tokio::test]
async fn the_reason_is_told_though_writing_failed_first() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    let error =
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    theirs.write_all(error.as_bytes()).await.unwrap();
    drop(theirs);
    link.send(&message(&"x".repeat(60_000))).unwrap();
    let end = loop {
        match link.next_arrival() {
            Ok(None) => link.progress(true).await.unwrap(),
            Ok(Some(arrival)) => panic!("{arrival:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::Conflict { .. }), "{end}");
    link.close(GRACE).await;
}

#[tokio::test]
async fn a_server_that_vanished_is_noticed() {
    let (mut link, theirs) = attached(4 * 1024).await;
    drop(theirs);
    let end = link.progress(true).await.unwrap_err();
    assert!(matches!(end, Error::Closed { .. }), "{end}");
    assert!(matches!(link.next_arrival(), Err(Error::Closed { .. })));

    let (mut link, theirs) = attached(4 * 1024).await;
    drop(theirs);
    link.send(&message("x")).unwrap();
    let end = link.progress(false).await.unwrap_err();
    assert!(matches!(end, Error::Io { .. }), "{end}");
}

#[tokio::test]
async fn closing_says_all_and_waits_for_the_peer() {
    let (mut link, mut theirs) = attached(64).await;
    for n in 0..100 {
        link.send(&message(&n.to_string())).unwrap();
    }
    let peer = async {
        let mut heard = String::new();
        while !heard.ends_with("</stream:stream>") {
            heard.push(char::from(theirs.read_u8().await.unwrap()));
        }
        // What is still under way when the peer learns of it.
        theirs
            .write_all(b"<presence/><iq></iq></stream:stream>")
            .await
            .unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        heard
    };
    let start = now();
    let ((), heard) = tokio::join!(link.close(GRACE), peer);
    assert_eq!(heard.matches("<message").count(), 100);
    assert!(start.elapsed() < GRACE);
}

#[tokio::test]
async fn closing_takes_no_longer_than_granted() {
    let (link, theirs) = attached(1).await;
    link.close(Duration::from_millis(50)).await;
    drop(theirs);
}

#[tokio::test]
async fn nothing_is_said_after_the_last_word() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    theirs.write_all(b"<!-- -->").await.unwrap();
    link.progress(true).await.unwrap();
    assert!(link.next_arrival().is_err());
    let queued = link.queued();
    assert_eq!(link.send(&message("x")), Err(Unsealed::Ended));
    link.keepalive();
    assert!(link.next_arrival().is_err());
    assert_eq!(link.queued(), queued);
}

#[tokio::test]
async fn a_keepalive_is_one_space_where_nothing_else_is_said() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    link.keepalive();
    link.keepalive();
    assert_eq!(link.queued(), 1);
    link.progress(true).await.unwrap();
    assert_eq!(theirs.read_u8().await.unwrap(), b' ');
    link.send(&message("x")).unwrap();
    let queued = link.queued();
    link.keepalive();
    assert_eq!(link.queued(), queued);
}

#[tokio::test]
async fn a_refused_stanza_leaves_the_stream_as_it_was() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    link.send(&message("1")).unwrap();
    let queued = link.queued();
    let foreign: Element =
        "<message xmlns='jabber:client' from='evil@b.example' to='a@b.example'/>"
            .parse()
            .unwrap();
    assert_eq!(link.send(&foreign), Err(Unsealed::From));
    assert_eq!(
        link.send(&message(&"x".repeat(70_000))),
        Err(Unsealed::TooLarge)
    );
    assert_eq!(link.queued(), queued);
    link.send(&message("2")).unwrap();
    let peer = async {
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).await.unwrap();
        heard
    };
    let ((), heard) = tokio::join!(link.close(Duration::from_millis(50)), peer);
    assert!(
        heard.contains("<body>1</body></message><message"),
        "{heard}"
    );
}

#[tokio::test]
async fn white_space_shows_that_the_peer_lives() {
    let (mut link, mut theirs) = attached(4 * 1024).await;
    let before = link.last_received();
    tokio::time::sleep(Duration::from_millis(2)).await;
    theirs.write_all(b" ").await.unwrap();
    link.progress(true).await.unwrap();
    assert!(link.next_arrival().unwrap().is_none());
    assert!(link.last_received() > before);
}

#[tokio::test]
async fn what_is_read_ahead_is_answered_before_the_stream_ends() {
    let (mut link, mut theirs) = attached(64 * 1024).await;
    let said = "<presence id='0'/><presence id='1'/><presence id='2'/><presence id='&#x33;'/>\
                <presence id='4'/><!-- no comments -->";
    theirs.write_all(said.as_bytes()).await.unwrap();
    link.progress(true).await.unwrap();
    let id = |arrival: &Arrival| match arrival {
        Arrival::Stanza(stanza) => stanza
            .attr(minidom::rxml::xml_ncname!("id"))
            .map(ToOwned::to_owned),
        _ => None,
    };
    let ahead = link.read_ahead(2).unwrap();
    assert!(ahead.iter().filter_map(id).eq(["0", "1"]));
    assert!(link.read_ahead(2).is_none());
    let mut heard = Vec::new();
    let end = loop {
        // Not past what is of no common form, nor what ends the stream.
        if let Some(ahead) = link.read_ahead(16) {
            assert!(ahead.len() <= 16);
        }
        match link.next_arrival() {
            Ok(Some(arrival)) => {
                heard.extend(id(&arrival));
                link.send(&message("answer")).unwrap();
            }
            Ok(None) => link.progress(true).await.unwrap(),
            Err(end) => break end,
        }
    };
    assert_eq!(heard, ["0", "1", "2", "3", "4"]);
    assert!(matches!(end, Error::Malformed { .. }), "{end:?}");
    let read = async {
        let mut told = String::new();
        theirs.read_to_string(&mut told).await.unwrap();
        told
    };
    let ((), told) = tokio::join!(link.close(GRACE), read);
    assert_eq!(told.matches("</message>").count(), 5);
    assert!(
        told.rfind("</message>") < told.find("<stream:error>"),
        "{told}"
    );
}
