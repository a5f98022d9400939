//! Sessions that end without a word, or whose end comes at the wrong time: the face follows the server.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::support::client::Client;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, long, stanza};

use super::stage::{
    ALICE, ALICE_FULL, HOME, NS_RIGHTS, PASSWORD, SOON, Stage, face, is_of_alice, is_presence,
    probe, probe_until, query, reach_component, say, shows,
};

/// For how long a session outlives its connection here.
const HIBERNATION: Duration = Duration::from_secs(6);
/// Time in which watchers converge (design.md §7 C5).
const CONVERGED: Duration = Duration::from_secs(10);

/// XEP-0198: a client that has lost its connection is online for its server until a time-out, and the
/// component says what the server says; one that comes back in time never was away.
pub(super) async fn hibernate_and_end_with_their_server(kind: Kind) -> Result<(), Failure> {
    let options = Options {
        hibernation_s: Some(HIBERNATION.as_secs() as u32),
        ..Options::default()
    };
    let stage = Stage::set_with(kind, options, "").await?;
    let mut phone = stage.alice_joined("phone").await?;
    let mut bot = watching(&stage, &mut phone).await?;
    let id = phone.enable_resumption().await;
    phone
        .send(stanza("<presence><show>dnd</show></presence>"))
        .await;
    expect_face(&mut bot, "dnd").await;
    let jid = phone.jid().clone();

    // Away and back within the time.
    phone.drop_tcp().await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "dnd", None), "{face:?}");
    let mut phone = Client::resume(&stage.server, &jid, PASSWORD, &id).await?;
    phone
        .send(stanza("<presence><show>chat</show></presence>"))
        .await;
    let told = bot.expect("the next face", SOON, is_of_alice).await;
    assert!(shows(&told, "chat", None), "{told:?}");

    // Away for good: online while the server waits, then offline.
    let gone = Instant::now();
    phone.drop_tcp().await;
    let answer = probe(&mut bot).await;
    assert!(shows(&answer, "chat", None), "{answer:?}");
    assert!(gone.elapsed() < HIBERNATION, "the machine is too slow");
    expect_face(&mut bot, "unavailable").await;
    assert!(gone.elapsed() >= HIBERNATION / 2);
    probe_until(&mut bot, "offline", |face| shows(face, "unavailable", None)).await;
    Ok(())
}

/// A client that reconnects under the same resource, over and over: ejabberd may deliver the end of the
/// old session after the presence of the new one (8 of 80). At the end she is online, and no watcher was
/// told otherwise for longer than it takes to converge.
pub(super) async fn of_reconnects_do_not_stay(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut phone = stage.alice_joined("phone").await?;
    let mut bot = watching(&stage, &mut phone).await?;
    let n = if long() { 400 } else { 80 };
    for i in 0..n {
        let mut next = stage.login("alice", "phone").await?;
        next.send(stanza(&format!(
            "<presence><status>login {i}</status></presence>"
        )))
        .await;
        reach_component(&mut next).await;
        phone = next;
    }
    let last = format!("login {}", n - 1);
    sleep(CONVERGED).await;
    let answer = probe(&mut bot).await;
    assert!(shows(&answer, "online", Some(&last)), "{answer:?}");
    let told: Vec<_> = bot.received().iter().filter(|e| is_of_alice(e)).collect();
    let n_offline = told
        .iter()
        .filter(|told| told.attr("type") == Some("unavailable"))
        .count();
    // She was never away for as long as her end is doubted.
    assert_eq!(n_offline, 0, "{told:?}");
    drop(phone);
    Ok(())
}

/// The server dies with everybody online. Nobody's end was told, and nobody is there: not online for the
/// component either, until she comes back.
pub(super) async fn of_a_killed_server_are_gone(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut phone = stage.alice_joined("phone").await?;
    let bot = watching(&stage, &mut phone).await?;
    stage.server.kill();
    drop((phone, bot));
    stage.server.restart().await?;
    stage.component.attached().await?;
    let mut bot = stage.bot().await?;
    bot.send(stanza("<presence/>")).await;
    // Asked as data, for at his login his server asks with a probe.
    let until = Instant::now() + SOON;
    loop {
        let answer = query(&mut bot).await;
        let state = answer.get_child("state", NS_RIGHTS).unwrap();
        if state.attr("show") == Some("offline") {
            break;
        }
        assert!(Instant::now() < until, "not offline: {answer:?}");
        sleep(Duration::from_millis(100)).await;
    }
    bot.forget();
    // Her next presence is told to the watcher, who has never heard that she went.
    let mut phone = stage.login("alice", "phone").await?;
    phone
        .send(stanza("<presence><show>xa</show></presence>"))
        .await;
    expect_face(&mut bot, "xa").await;
    reach_component(&mut phone).await;
    Ok(())
}

/// The bot, online, with an approved subscription to alice, who is told of her.
pub(super) async fn watching(stage: &Stage, alice: &mut Client) -> Result<Client, Failure> {
    let mut bot = stage.bot().await?;
    bot.send(stanza("<presence/>")).await;
    bot.settle().await;
    say(alice, "approve bot@localhost", "bot@localhost").await;
    bot.send(stanza(&format!(
        "<presence type='subscribe' to='{}'/>",
        ALICE
    )))
    .await;
    bot.expect("approval", SOON, |e| {
        is_presence(e, ALICE, Some("subscribed"))
    })
    .await;
    bot.expect("her presence", SOON, |e| is_presence(e, ALICE_FULL, None))
        .await;
    Ok(bot)
}

/// Waits until a watcher is told of this state.
pub(super) async fn expect_face(watcher: &mut Client, state: &str) {
    watcher
        .expect(&format!("{state} of alice"), SOON, |e| {
            e.attr("from") == Some(ALICE_FULL) && is_of_alice(e) && face(e).0 == state
        })
        .await;
}

/// The component goes and comes back: nobody sends it presence again, it asks.
pub(super) async fn are_not_made_by_a_restart_of_the_component(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let mut phone = stage.alice_joined("phone").await?;
    let mut desk = stage.login("alice", "desk").await?;
    desk.send(stanza(
        "<presence><show>dnd</show><priority>9</priority></presence>",
    ))
    .await;
    reach_component(&mut desk).await;
    let mut bot = stage.bot().await?;
    probe_until(&mut bot, "dnd", |face| shows(face, "dnd", None)).await;
    // The better one goes while nobody listens; the server tells it to nobody.
    stage.component.kill();
    desk.logout().await;
    phone
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    phone.settle().await;
    stage.component.respawn()?;
    stage.component.attached().await?;
    stage.component.logged("learned 1 users", SOON).await?;
    probe_until(&mut bot, "away", |face| shows(face, "away", None)).await;
    // She, who subscribed to it, sees it again.
    phone
        .expect("presence of the component", SOON, |e| {
            e.attr("from").is_some_and(|from| from.starts_with(HOME)) && e.attr("type").is_none()
        })
        .await;
    Ok(())
}
