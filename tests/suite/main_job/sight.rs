//! What takes the component's sight of a user away: she takes it back, removes the contact, deletes the
//! account, while the component listens and while it does not.

use crate::support::client::Client;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::stage::{
    ALICE, HOME, NS_RIGHTS, PASSWORD, SOON, Stage, approve_component, condition, expect_message,
    join_by_contact, probe_until, reach_component, request, say, shows,
};

const TEXT: &str = "Ask me by mail";
const CAROL: &str = r"carol\40localhost@presence.localhost";

/// She takes it back and keeps the contact: offline, her text still told; by `join` she is asked again.
pub(super) async fn is_taken_back_and_given_again(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    probe_until(&mut bot, "online", |face| shows(face, "online", Some(TEXT))).await;
    alice
        .send(stanza(&format!(
            "<presence type='unsubscribed' to='{HOME}'/>"
        )))
        .await;
    expect_message(&mut alice, "no longer let me see").await;
    probe_until(&mut bot, "offline", |face| {
        shows(face, "unavailable", Some(TEXT))
    })
    .await;
    alice
        .send(stanza("<presence><show>dnd</show></presence>"))
        .await;
    alice.forget();
    say(&mut alice, "join", "joined already").await;
    approve_component(&mut alice).await;
    probe_until(&mut bot, "dnd", |face| shows(face, "dnd", Some(TEXT))).await;
    Ok(())
}

/// She removes the component from her contact list: nothing is told of her, until she adds it again.
pub(super) async fn ends_with_the_contact(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    let remove = format!(
        "<iq type='set' id='remove'><query xmlns='jabber:iq:roster'>\
         <item jid='{HOME}' subscription='remove'/></query></iq>"
    );
    alice.send(stanza(&remove)).await;
    expect_message(&mut alice, "removed me from your contacts").await;
    refused(&mut bot, ALICE).await;
    alice.forget();
    join_by_contact(&mut alice).await;
    probe_until(&mut bot, "online", |face| shows(face, "online", Some(TEXT))).await;
    Ok(())
}

/// Her account is deleted, and somebody else takes the name: he is nobody here before he joins, and can
/// erase what was kept. Once with the component as her contact, once without.
pub(super) async fn does_not_go_to_the_next_owner(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    Client::register(&stage.server, "carol", PASSWORD).await?;
    let mut carol = stage.login("carol", "web").await?;
    carol.send(stanza("<presence/>")).await;
    say(&mut carol, "join", "Welcome").await;
    approve_component(&mut carol).await;
    say(&mut carol, &format!("status {TEXT}"), TEXT).await;
    assert_eq!(asked(&mut bot, CAROL).await, None);

    for (user, client, there) in [("alice", alice, ALICE), ("carol", carol, CAROL)] {
        delete_account(client).await;
        refused(&mut bot, there).await;
        register_anew(&stage, user).await?;
        let mut next = Client::login(&stage.server, user, "another", "web").await?;
        next.send(stanza("<presence/>")).await;
        reach_component(&mut next).await;
        refused(&mut bot, there).await;
        say(&mut next, "status", "not served now").await;
        say(&mut next, "leave", "erased").await;
        say(&mut next, "status", "not joined").await;
    }
    Ok(())
}

/// The same while the component is not attached, and told to nobody.
pub(super) async fn is_doubted_after_an_absence(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    assert_eq!(stage.component.stop().await?, 0);
    delete_account(alice).await;
    register_anew(&stage, "alice").await?;
    stage.component.respawn()?;
    stage.component.attached().await?;
    let mut bot = stage.bot().await?;
    refused(&mut bot, ALICE).await;
    let mut next = Client::login(&stage.server, "alice", "another", "web").await?;
    next.send(stanza("<presence/>")).await;
    expect_message(&mut next, "nobody is told anything about this address").await;
    refused(&mut bot, ALICE).await;
    Ok(())
}

/// She approves before anybody has asked. Prosody holds to that; ejabberd passes the approval on, which
/// means nothing there, and she is asked. Either way the component sees her in the end.
pub(super) async fn is_not_believed_before_it_is_given(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.login("alice", "phone").await?;
    alice
        .send(stanza("<presence><show>chat</show></presence>"))
        .await;
    alice
        .send(stanza(&format!(
            "<presence type='subscribed' to='{HOME}'/>"
        )))
        .await;
    say(&mut alice, "join", "Welcome").await;
    if kind == Kind::Ejabberd {
        approve_component(&mut alice).await;
    }
    probe_until(&mut bot, "free for chat", |face| shows(face, "chat", None)).await;
    Ok(())
}

/// She blocks the component and lets it see her again (XEP-0191). Prosody tells; of ejabberd it is learned
/// when she is asked again, here every 7 s.
pub(super) async fn follows_blocking(kind: Kind) -> Result<(), Failure> {
    let often = "[limits]\nrelearn-minutes = 0.12\n";
    let stage = Stage::set_with(kind, Options::default(), often).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, &format!("status {TEXT}"), TEXT).await;
    probe_until(&mut bot, "online", |face| shows(face, "online", Some(TEXT))).await;
    block(&mut alice, "block").await;
    probe_until(&mut bot, "offline", |face| {
        shows(face, "unavailable", Some(TEXT))
    })
    .await;
    // What she does meanwhile is hidden; the rounds go on and change nothing.
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    probe_until(&mut bot, "offline", |face| {
        shows(face, "unavailable", Some(TEXT))
    })
    .await;
    block(&mut alice, "unblock").await;
    probe_until(&mut bot, "away", |face| shows(face, "away", Some(TEXT))).await;
    Ok(())
}

/// ejabberd only: a privacy list (XEP-0016) that hides her presence, switched on while she is visible.
/// Nothing is told, at either end, not even her logout.
pub(super) async fn follows_privacy_lists() -> Result<(), Failure> {
    let often = "[limits]\nrelearn-minutes = 0.12\n";
    let stage = Stage::set_with(Kind::Ejabberd, Options::default(), often).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    probe_until(&mut bot, "online", |face| shows(face, "online", None)).await;
    let list = "<list name='hidden'><item action='deny' order='1'><presence-out/></item></list>";
    privacy(&mut alice, list).await;
    privacy(&mut alice, "<active name='hidden'/>").await;
    probe_until(&mut bot, "offline", |face| shows(face, "unavailable", None)).await;
    privacy(&mut alice, "<active/>").await;
    probe_until(&mut bot, "online", |face| shows(face, "online", None)).await;
    // Hidden, and gone behind it.
    privacy(&mut alice, "<active name='hidden'/>").await;
    alice.logout().await;
    probe_until(&mut bot, "offline", |face| shows(face, "unavailable", None)).await;
    Ok(())
}

async fn privacy(user: &mut Client, payload: &str) {
    let query = stanza(&format!(
        "<query xmlns='jabber:iq:privacy'>{payload}</query>"
    ));
    server_request(user, query).await;
}

async fn block(user: &mut Client, word: &str) {
    let payload = stanza(&format!(
        "<{word} xmlns='urn:xmpp:blocking'><item jid='{HOME}'/></{word}>"
    ));
    server_request(user, payload).await;
}

async fn server_request(user: &mut Client, payload: minidom::Element) {
    let mut iq = stanza(&format!(
        "<iq type='set' id='{}'/>",
        super::stage::fresh_id()
    ));
    iq.append_child(payload);
    let id = iq.attr("id").unwrap_or_default().to_owned();
    user.send(iq).await;
    let answer = user
        .expect("the server's answer", SOON, |e| {
            e.name() == "iq" && e.attr("id") == Some(&id)
        })
        .await;
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
}

/// XEP-0077 §3.2. The server may close the stream before it answers.
async fn delete_account(mut user: Client) {
    let remove =
        "<iq type='set' id='remove'><query xmlns='jabber:iq:register'><remove/></query></iq>";
    user.send(stanza(remove)).await;
    // Who leaves before the server has read that does not delete anything.
    let until = tokio::time::Instant::now() + SOON;
    let told = |user: &mut Client| {
        user.received()
            .iter()
            .any(|e| e.attr("id") == Some("remove"))
    };
    while !told(&mut user) && tokio::time::Instant::now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    user.logout().await;
}

/// Somebody else takes the name, as soon as the server has deleted the account: until then it refuses.
async fn register_anew(stage: &Stage, user: &str) -> Result<(), Failure> {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        match Client::register(&stage.server, user, "another").await {
            Err(_) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            registered => return registered,
        }
    }
}

/// The condition of the refusal of a query; `None` where it is answered.
async fn asked(watcher: &mut Client, whom: &str) -> Option<String> {
    let query = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    let answer = request(watcher, whom, "get", query).await;
    (answer.attr("type") == Some("error")).then(|| condition(&answer))
}

/// Waits until a user is nobody to the bot. A server that is busy takes its time to say that an account is gone.
async fn refused(watcher: &mut Client, whom: &str) {
    let until = tokio::time::Instant::now() + 3 * SOON;
    while asked(watcher, whom).await.as_deref() != Some("service-unavailable") {
        assert!(
            tokio::time::Instant::now() < until,
            "{whom} is still told of"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
