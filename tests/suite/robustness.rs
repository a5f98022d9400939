//! What no library of ours survives, sent to the whole component on a stream of its own: each strange stanza
//! gets its answer or none and the stream goes on; what is no XMPP ends the stream with the reason, and the
//! component is back at once.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::timeout;

use crate::liveness::component;
use crate::support::Failure;
use crate::support::fake_server::{FakeServer, Peer};

const DOMAIN: &str = "presence.localhost";
/// For an attempt after a loss, which comes within 2 s.
const AGAIN: Duration = Duration::from_secs(20);
const TO: &str = "from='bot@remote.example/x' to='presence.localhost'";

/// What a stanza gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    Nothing,
    Result,
    Error(&'static str),
}

/// Stanzas which `tokio_xmpp::Component` takes for the end of its stream, or dies of, and what is due.
fn strange() -> Vec<(String, Gets)> {
    use Gets::{Error, Nothing, Result};
    let bad = Error("bad-request");
    let presence = |rest: &str| format!("<presence {TO}{rest}");
    let iq = |rest: &str| format!("<iq {TO}{rest}");
    let from = |from: &str| {
        format!(
            "<iq type='get' id='i' from='{from}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    };
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let many = |n: usize, part: &str| part.repeat(n);
    let attributes = |n: usize| (0..n).map(|i| format!(" a{i}='{i}'")).collect::<String>();
    vec![
        // Presence that cannot be typed.
        (presence(" type='bogus'/>"), bad),
        (presence("><show>online</show></presence>"), Nothing),
        (presence("><show/></presence>"), Nothing),
        (
            presence("><show>away</show><show>dnd</show></presence>"),
            Nothing,
        ),
        (presence("><priority>300</priority></presence>"), Nothing),
        (presence("><priority> 5 </priority></presence>"), Nothing),
        (presence("><priority/></presence>"), Nothing),
        (presence(">text inside</presence>"), Nothing),
        (presence(" type='error'/>"), Nothing),
        (
            presence(
                " unknown='1'><status>a</status><status>b</status><x xmlns='urn:x'/></presence>",
            ),
            Nothing,
        ),
        (presence(" xml:lang='no language'/>"), Nothing),
        // Addresses: what is none is nobody to answer, what is one for its server is one.
        (from("a@@b"), Nothing),
        (from(""), Nothing),
        (from("@b.c"), Nothing),
        (from("a b@c"), Nothing),
        (from("bot@remote.example/\u{1F600}"), Result),
        (from("BOT@Remote.Example/x"), Result),
        // IQs of every wrong kind.
        (iq(&format!(" type='get'>{ping}</iq>")), Result),
        (iq(&format!(" id='i'>{ping}</iq>")), bad),
        (iq(&format!(" id='i' type='bogus'>{ping}</iq>")), bad),
        (iq(" id='i' type='get'/>"), bad),
        (iq(&format!(" id='i' type='get'>{ping}{ping}</iq>")), bad),
        (
            iq(&format!(" id='i' type='result'>{ping}{ping}</iq>")),
            Nothing,
        ),
        (iq(" id='i' type='error'/>"), Nothing),
        (iq(" id='i' type='error'><error code='404'/></iq>"), Nothing),
        (
            iq(" id='i' type='error'><error type='cancel'><odd xmlns='urn:odd'/></error></iq>"),
            Nothing,
        ),
        (
            iq(" id='i' type='get'><r xmlns='urn:xmpp:sm:3'/></iq>"),
            Error("service-unavailable"),
        ),
        (format!("<message {TO} type='xyz'/>"), Nothing),
        // A namespace that is spelled out is the same one.
        (
            iq(&format!(
                " id='i' type='get' xmlns='jabber:client'>{ping}</iq>"
            )),
            Result,
        ),
        (
            iq(&format!(
                " id='i' type='get' xmlns='jabber:component:accept'>{ping}</iq>"
            )),
            Result,
        ),
        // No stanzas at all.
        ("<r xmlns='urn:xmpp:sm:3'/>".to_owned(), Nothing),
        ("<stream:features/>".to_owned(), Nothing),
        (
            "<unknown xmlns='urn:unknown'><deep/></unknown>".to_owned(),
            Nothing,
        ),
        // Long and large.
        (
            iq(&format!(
                " type='get' id='i' a='{}'>{ping}</iq>",
                "x".repeat(9_000)
            )),
            Result,
        ),
        (
            format!(
                "<message {TO}><body>{}</body></message>",
                "x".repeat(200_000)
            ),
            Nothing,
        ),
        (
            iq(&format!(
                " id='i' type='get'><a xmlns='urn:a'>{}</a></iq>",
                "x".repeat(200_000)
            )),
            Error("policy-violation"),
        ),
        (
            iq(&format!(
                " id='i' type='get'>{}{}</iq>",
                many(20_000, "<a>"),
                many(20_000, "</a>")
            )),
            Error("policy-violation"),
        ),
        (
            presence(&format!(
                ">{}{}</presence>",
                many(20_000, "<a>"),
                many(20_000, "</a>")
            )),
            Nothing,
        ),
        (
            iq(&format!(
                " id='i' type='get'><a xmlns='urn:a'{}/></iq>",
                attributes(10_000)
            )),
            Error("policy-violation"),
        ),
        (
            iq(&format!(
                " id='i' type='get'><a xmlns='urn:a'>{}</a></iq>",
                many(5_000, "<b/>")
            )),
            Error("policy-violation"),
        ),
        (" \n\t ".to_owned(), Nothing),
    ]
}

/// Bytes that end a stream, and the stream error that the component sends for it, if it is its place to.
fn fatal() -> Vec<(&'static [u8], Option<&'static str>)> {
    vec![
        (b"<presence><a></b></presence>", Some("not-well-formed")),
        (b"<presence>&nbsp;</presence>", Some("restricted-xml")),
        (b"<!-- comment -->", Some("restricted-xml")),
        (b"<presence><?php?></presence>", Some("restricted-xml")),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", Some("restricted-xml")),
        (b"<presence><![CDATA[a]]></presence>", Some("restricted-xml")),
        (b"<presence><p:a/></presence>", Some("not-well-formed")),
        (b"<presence a='b' a='c'/>", Some("not-well-formed")),
        (b"<presence>&#0;</presence>", Some("not-well-formed")),
        (b"<presence>\xEF\xBF\xBE</presence>", Some("not-well-formed")),
        (b"<presence>\xC0\xAF</presence>", Some("not-well-formed")),
        (b"text between", Some("bad-format")),
        (
            b"<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            None,
        ),
        (
            b"<stream:error><not-known xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            None,
        ),
        (b"</stream:stream>", None),
    ]
}

async fn attached() -> Result<(FakeServer, Peer, tokio::sync::oneshot::Sender<()>), Failure> {
    let server = FakeServer::bind(DOMAIN, "sekrit").await;
    let server = server.map_err(|error| Failure::new(error.to_string()))?;
    let (_, end) = component(server.address().expect("it listens").to_string());
    let peer = server.attach().await?;
    Ok((server, peer, end))
}

/// Asks what is always answered, and checks that the next thing said is that answer.
async fn lives(peer: &mut Peer, after: &str) -> Result<(), Failure> {
    let ping = format!("<iq type='get' id='fence' {TO}><ping xmlns='urn:xmpp:ping'/></iq>");
    peer.send_raw(ping.as_bytes()).await?;
    let answer = peer.expect("iq").await?;
    assert_eq!(
        (answer.attr("id"), answer.attr("type")),
        (Some("fence"), Some("result")),
        "after {}: {answer}",
        &after[..after.len().min(200)]
    );
    Ok(())
}

#[tokio::test]
async fn a_strange_stanza_gets_what_is_due_and_costs_only_itself() -> Result<(), Failure> {
    let (_server, mut peer, _end) = attached().await?;
    for (stanza, gets) in strange() {
        let shown = &stanza[..stanza.len().min(200)];
        peer.send_raw(stanza.as_bytes()).await?;
        if !matches!(gets, Gets::Nothing) {
            let Some(answer) = peer.next().await? else {
                panic!("{shown} cost the stream");
            };
            let kind = answer.attr("type");
            match gets {
                Gets::Error(condition) => {
                    assert_eq!(kind, Some("error"), "{shown}: {answer}");
                    let text = answer.to_string();
                    assert!(
                        text.contains(&format!("<{condition} ")),
                        "{shown}: {answer}"
                    );
                }
                _ => assert_eq!(kind, Some("result"), "{shown}: {answer}"),
            }
        }
        lives(&mut peer, &stanza).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_xmpp_is_told_and_the_component_comes_back() -> Result<(), Failure> {
    let one = |(bytes, condition): (&'static [u8], Option<&'static str>)| async move {
        let shown = String::from_utf8_lossy(bytes);
        let (server, mut peer, _end) = attached().await?;
        peer.send_raw(bytes).await?;
        let mut said = Vec::new();
        while let Some(element) = peer.next().await? {
            said.push(element.to_string());
        }
        let said = said.concat();
        match condition {
            Some(condition) => assert!(said.contains(condition), "{shown}: {said:?}"),
            None => assert_eq!(said, "", "{shown}"),
        }
        peer.close().await?;
        let mut peer = timeout(AGAIN, server.attach())
            .await
            .unwrap_or_else(|_| panic!("{shown}: it did not come back"))?;
        lives(&mut peer, &shown).await
    };
    try_join_all(fatal().into_iter().map(one)).await?;

    // The end of the bytes, without a word, in the middle of a stanza, and by a reset.
    for end in ["", "<presence from='a@b"] {
        let (server, mut peer, _end) = attached().await?;
        peer.send_raw(end.as_bytes()).await?;
        drop(peer);
        let mut peer = timeout(AGAIN, server.attach())
            .await
            .expect("it comes back")?;
        peer.send_raw(b" ").await?;
        peer.reset()?;
        let mut peer = timeout(AGAIN, server.attach())
            .await
            .expect("it comes back")?;
        lives(&mut peer, "the end").await?;
    }
    Ok(())
}
