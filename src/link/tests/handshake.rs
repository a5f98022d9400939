//! How attaching ends for what a server does: both servers' words as they were recorded.

use super::script::settings;
use crate::link::handshake::perform;
use crate::link::{Error, Kind, Link, Settings, Stage, attach, attach_over, now};
use crate::stanza::Arrival;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::TcpListener;

const PROSODY: &str = "<?xml version='1.0'?><stream:stream xml:lang='en' \
    xmlns='jabber:component:accept' from='presence.example.org' \
    id='b1946ac9-2492-4d23-a1cd-8b4f5e4d1c2a' xmlns:stream='http://etherx.jabber.org/streams'>";

const EJABBERD: &str = "<?xml version='1.0'?><stream:stream id=\"15894804161116400482\" \
    xmlns:stream=\"http://etherx.jabber.org/streams\" from=\"presence.example.org\" \
    xml:lang=\"en\" xmlns=\"jabber:component:accept\">";

/// COMPAT(prosody 0.12): no `from`, an empty `id`, and the error at once.
const PROSODY_UNKNOWN: &str = "<?xml version='1.0'?><stream:stream id='' \
    xmlns:stream='http://etherx.jabber.org/streams' xml:lang='en' xmlns='jabber:component:accept'>\
    <stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
    <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>presence.example.org does not match any \
    configured external components</text></stream:error></stream:stream>";

fn stream_error(condition: &str, text: &str) -> String {
    let ns = "urn:ietf:params:xml:ns:xmpp-streams";
    let text = match text {
        "" => String::new(),
        text => format!("<text xmlns='{ns}' xml:lang='en'>{text}</text>"),
    };
    format!("<stream:error><{condition} xmlns='{ns}'/>{text}</stream:error></stream:stream>")
}

/// Reads up to `end`, says `words`; returns what it read.
async fn hear<Io: AsyncRead + AsyncWrite + Unpin>(io: &mut Io, end: &str, words: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(io.read_u8().await.expect("the link says more"));
    }
    io.write_all(words.as_bytes()).await.unwrap();
    String::from_utf8(heard).unwrap()
}

/// Attaches to a server that says `first` to the header, `second` to the handshake, and closes.
async fn outcome(
    first: &str,
    second: &str,
) -> (Result<Link<tokio::io::DuplexStream>, Error>, String) {
    let (ours, mut theirs) = duplex(64 * 1024);
    let settings = settings();
    let server = async {
        let mut heard = hear(&mut theirs, "presence.example.org'>", first).await;
        if !second.is_empty() {
            heard += &hear(&mut theirs, "</handshake>", second).await;
        }
        theirs.shutdown().await.unwrap();
        heard
    };
    tokio::join!(attach_over(ours, &settings), server)
}

#[tokio::test]
async fn both_servers_headers_are_understood() {
    let table = [
        (PROSODY.to_owned(), "b1946ac9-2492-4d23-a1cd-8b4f5e4d1c2a"),
        (EJABBERD.to_owned(), "15894804161116400482"),
        // Other prefixes, other quotes, a feature list, a version: nothing of it matters.
        (
            "\n<s:stream xmlns:s='http://etherx.jabber.org/streams' version='1.0' id = \"a&lt;&#39;\">\
             <s:features/>"
                .to_owned(),
            "a<'",
        ),
        (PROSODY.replace("xml:lang", "unknown='1' xml:lang"), "b1946ac9-2492-4d23-a1cd-8b4f5e4d1c2a"),
    ];
    for (header, id) in table {
        let (link, heard) = outcome(&header, "<handshake/>").await;
        assert!(link.is_ok(), "{header}: {}", link.err().unwrap());
        let digest = crate::link::handshake::digest(id, "secret");
        assert_eq!(
            heard,
            format!(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                 xmlns:stream='http://etherx.jabber.org/streams' to='presence.example.org'>\
                 <handshake>{digest}</handshake>"
            )
        );
    }
}

#[test]
fn the_digest_is_that_of_the_standard_in_lower_case() {
    // printf 'sid123456' | sha1sum
    let digest = crate::link::handshake::digest("sid", "123456");
    assert_eq!(digest, "9accec263ab84a43c6037ccf7cd48cb1d3f6df8e");
    // printf 'a&bgr\303\274n' | sha1sum
    let digest = crate::link::handshake::digest("a&b", "gr\u{fc}n");
    assert_eq!(digest, "25210b6d33b5d978fe35eeaec3264914b1d5811c");
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_kept() {
    let (link, _) = outcome(PROSODY, "<handshake></handshake> <presence/><iq/>").await;
    let mut link = link.unwrap();
    for name in ["presence", "iq"] {
        match link.next_arrival() {
            Ok(Some(Arrival::Stanza(stanza))) => assert_eq!(stanza.name(), name),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(link.next_arrival(), Ok(None)));
}

#[tokio::test]
async fn a_refusal_is_told_with_what_to_check() {
    let configuration = Kind::Configuration;
    let not_authorized = "component.secret";
    let table = [
        // Prosody.
        (
            PROSODY,
            stream_error(
                "not-authorized",
                "Given token does not match calculated token",
            ),
            configuration,
            [not_authorized, "Given token"],
        ),
        (
            PROSODY_UNKNOWN,
            String::new(),
            configuration,
            ["component.domain", "does not match any"],
        ),
        (
            PROSODY,
            stream_error("conflict", "Component already connected"),
            Kind::Conflict,
            ["another connection", "already connected"],
        ),
        // ejabberd: an unknown host gets the first of these two as well.
        (
            EJABBERD,
            stream_error("not-authorized", ""),
            configuration,
            [not_authorized, "component.domain"],
        ),
        (
            EJABBERD,
            stream_error(
                "conflict",
                "Unable to register route on existing local domain",
            ),
            Kind::Conflict,
            ["user domains", "Unable to register"],
        ),
        (
            EJABBERD,
            stream_error("connection-timeout", "Idle connection"),
            Kind::Transient,
            ["connection-timeout", "Idle connection"],
        ),
        // COMPAT(ejabberd 23.01): the crash with domain_balancing.
        (
            EJABBERD,
            "</stream:stream>".into(),
            Kind::Transient,
            ["handshake", "domain_balancing"],
        ),
    ];
    for (first, second, kind, words) in table {
        let (link, _) = outcome(first, &second).await;
        let error = link.err().expect("refused");
        assert_eq!(error.kind(), kind, "{error}");
        let line = error.to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
}

#[tokio::test]
async fn what_is_no_component_port_is_named() {
    let c2s = PROSODY.replace("jabber:component:accept", "jabber:client");
    let s2s = PROSODY.replace("jabber:component:accept", "jabber:server");
    let no_id = PROSODY.replace("id=", "eid=");
    let table = [
        (
            c2s + &stream_error("invalid-namespace", ""),
            Kind::Configuration,
            "invalid-namespace",
        ),
        (s2s, Kind::Transient, "jabber:server"),
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n".into(),
            Kind::Transient,
            "bad-format",
        ),
        ("\u{16}\u{3}\u{1}".into(), Kind::Transient, "bad-format"),
        (
            "<html><body/></html>".into(),
            Kind::Transient,
            "invalid-namespace",
        ),
        ("<stream:stream/>".into(), Kind::Transient, "bad-format"),
        ("</stream:stream>".into(), Kind::Transient, "bad-format"),
        ("<stream:stream id='1'>".into(), Kind::Transient, "prefix"),
        ("<!DOCTYPE html>".into(), Kind::Transient, "restricted-xml"),
        (
            "<?xml version='1.1'?><stream:stream>".into(),
            Kind::Transient,
            "restricted-xml",
        ),
        (
            "<?xml ".to_owned() + &"x".repeat(9_000),
            Kind::Transient,
            "policy-violation",
        ),
        (
            "<stream:stream x='".to_owned() + &"x".repeat(9_000),
            Kind::Transient,
            "policy-violation",
        ),
        (
            no_id + "<handshake/>",
            Kind::Transient,
            "instead of the handshake",
        ),
        (String::new(), Kind::Transient, "before its stream header"),
    ];
    for (first, kind, word) in table {
        let (link, _) = outcome(&first, "").await;
        let error = link.err().expect("refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let (link, _) = outcome(PROSODY, "<presence/>").await;
    assert!(matches!(link.err(), Some(Error::Malformed { .. })));
    let deep = format!(
        "<handshake>{}{}</handshake>",
        "<a>".repeat(40),
        "</a>".repeat(40)
    );
    let (link, _) = outcome(PROSODY, &deep).await;
    assert!(matches!(link.err(), Some(Error::Malformed { .. })));
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_each_stage() {
    for (words, stage) in [
        ("", Stage::Header),
        (PROSODY, Stage::Handshake),
        ("<?xml", Stage::Header),
    ] {
        let (ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(words.as_bytes()).await.unwrap();
        let deadline = now() + Duration::from_millis(50);
        let link = perform(ours, &settings(), deadline).await;
        assert!(matches!(link.err(), Some(Error::Timeout { stage: told }) if told == stage));
        drop(theirs);
    }
    // A server that does not even take our header.
    let (ours, theirs) = duplex(1);
    let deadline = now() + Duration::from_millis(50);
    let link = perform(ours, &settings(), deadline).await;
    assert!(matches!(
        link.err(),
        Some(Error::Timeout {
            stage: Stage::Header
        })
    ));
    drop(theirs);
}

#[tokio::test]
async fn over_tcp_it_is_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        server: listener.local_addr().unwrap().to_string(),
        ..settings()
    };
    let server = async {
        let (mut io, _) = listener.accept().await.unwrap();
        hear(&mut io, "presence.example.org'>", EJABBERD).await;
        hear(&mut io, "</handshake>", "<handshake/><presence/>").await;
        hear(&mut io, "</stream:stream>", "</stream:stream>").await;
    };
    let client = async {
        let mut link = attach(&settings).await.unwrap();
        let arrival = loop {
            match link.next_arrival().unwrap() {
                Some(arrival) => break arrival,
                None => link.progress(true).await.unwrap(),
            }
        };
        assert!(matches!(arrival, Arrival::Stanza(_)));
        link.close(Duration::from_secs(5)).await;
    };
    tokio::join!(client, server);
    drop(listener);
    let error = attach(&settings).await.err().expect("nobody listens");
    assert!(error.to_string().contains("component.server"), "{error}");
    assert!(matches!(error, Error::Connect { .. }));
}

#[test]
fn the_secret_stays_out_of_logs() {
    assert!(!format!("{:?}", settings()).contains("secret"));
}
