//! What the other tests build on: both real servers start, take users in, carry messages and
//! subscriptions between them, and keep them over a restart and a SIGKILL.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, stanza};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn prosody_carries_messages_and_subscriptions() -> Result<(), Failure> {
    carries_messages_and_subscriptions(Kind::Prosody).await
}

#[tokio::test]
async fn ejabberd_carries_messages_and_subscriptions() -> Result<(), Failure> {
    carries_messages_and_subscriptions(Kind::Ejabberd).await
}

#[tokio::test]
async fn prosody_keeps_accounts_over_a_restart_and_a_kill() -> Result<(), Failure> {
    keeps_accounts_over_a_restart_and_a_kill(Kind::Prosody).await
}

#[tokio::test]
async fn ejabberd_keeps_accounts_over_a_restart_and_a_kill() -> Result<(), Failure> {
    keeps_accounts_over_a_restart_and_a_kill(Kind::Ejabberd).await
}

async fn carries_messages_and_subscriptions(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind, Options::default()).await?;
    Client::register(&server, "alice", "wonder & land").await?;
    Client::register(&server, "bob", "builder").await?;
    let refused = Client::login(&server, "alice", "wrong", "phone").await;
    assert!(refused.unwrap_err().to_string().contains("not-authorized"));

    let mut alice = Client::login(&server, "alice", "wonder & land", "phone").await?;
    let mut bob = Client::login(&server, "bob", "builder", "desk").await?;
    assert_eq!(alice.jid().to_string(), "alice@localhost/phone");
    alice.send(stanza("<presence/>")).await;
    bob.send(stanza("<presence/>")).await;

    // What is sent arrives as it is, unknown elements and all.
    bob.quiet("message", Duration::ZERO, |e| e.name() == "message")
        .await;
    alice
        .send(stanza(
            "<message to='bob@localhost/desk' type='chat' id='m1'><body>hello &lt;you&gt;</body>\
             <x xmlns='urn:example:unknown' a='1'><y/></x></message>",
        ))
        .await;
    let message = bob
        .expect("message of alice", SOON, |e| e.attr("id") == Some("m1"))
        .await;
    assert_eq!(message.attr("from"), Some("alice@localhost/phone"));
    let body = message.get_child("body", "jabber:client").unwrap();
    assert_eq!(body.text(), "hello <you>");
    let unknown = message.get_child("x", "urn:example:unknown").unwrap();
    assert_eq!(unknown.attr("a"), Some("1"));

    // The subscription handshake; each sees the other come.
    alice
        .send(stanza("<presence type='subscribe' to='bob@localhost'/>"))
        .await;
    bob.expect("request of alice", SOON, |e| {
        e.attr("type") == Some("subscribe")
    })
    .await;
    bob.send(stanza("<presence type='subscribed' to='alice@localhost'/>"))
        .await;
    alice
        .expect("approval of bob", SOON, |e| {
            e.attr("type") == Some("subscribed") && e.attr("from") == Some("bob@localhost")
        })
        .await;
    alice
        .expect("presence of bob", SOON, |e| {
            is_available(e, "bob@localhost/desk")
        })
        .await;

    // A client answers a ping by itself; the server routes it.
    alice
        .send(stanza(
            "<iq type='get' id='p1' to='bob@localhost/desk'><ping xmlns='urn:xmpp:ping'/></iq>",
        ))
        .await;
    let pong = alice
        .expect("answer to the ping", SOON, |e| e.attr("id") == Some("p1"))
        .await;
    assert_eq!(pong.attr("type"), Some("result"));

    // A lost connection is an end for the others, at once.
    bob.drop_tcp().await;
    alice
        .expect("end of bob", SOON, |e| {
            e.attr("from") == Some("bob@localhost/desk") && e.attr("type") == Some("unavailable")
        })
        .await;
    alice.settle().await;
    alice.logout().await;
    assert!(alice.try_send(stanza("<presence/>")).await.is_err());
    assert!(alice.received().len() > 4);
    Ok(())
}

async fn keeps_accounts_over_a_restart_and_a_kill(kind: Kind) -> Result<(), Failure> {
    let mut server = Server::start(kind, Options::default()).await?;
    let addresses = (server.c2s_address(), server.component_address());
    Client::register(&server, "carol", "pw").await?;
    let mut carol = Client::login(&server, "carol", "pw", "one").await?;
    carol.settle().await;

    server.restart().await?;
    assert_eq!(
        addresses,
        (server.c2s_address(), server.component_address())
    );
    assert!(carol.try_send(stanza("<presence/>")).await.is_err());
    let mut carol = Client::login(&server, "carol", "pw", "two").await?;
    carol.settle().await;

    // ejabberd writes an account behind; by now it is on disk.
    server.kill();
    assert!(server.process_id().is_none());
    assert!(
        Client::login(&server, "carol", "pw", "three")
            .await
            .is_err()
    );
    server.restart().await?;
    let mut carol = Client::login(&server, "carol", "pw", "four").await?;
    carol.settle().await;
    assert!(!server.log().is_empty());
    Ok(())
}

fn is_available(element: &minidom::Element, from: &str) -> bool {
    element.name() == "presence"
        && element.attr("from") == Some(from)
        && element.attr("type").is_none()
}
