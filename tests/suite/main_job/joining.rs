//! How users join: by adding the component as a contact, or by saying `join`. Nothing
//! about a user is told before she does.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

use super::stage::{
    ALICE, HOME, HOME_FULL, NS_RIGHTS, SOON, Stage, approve_component, body_of, condition,
    expect_message, is_presence, join_by_contact, probe_until, reach_component, request, say,
    shows,
};

/// How long ten users take to join there.
const DEBIAN_JOIN: Duration = Duration::from_secs(4 * 60);

pub(super) async fn by_contact_and_by_chat(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice.settle().await;

    // Before she joins she is nobody here, also to the operator's party.
    let refused = ask(&mut bot, ALICE).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut alice, "status nothing to see", "not joined").await;

    let welcome = body_of(&join_by_contact(&mut alice).await);
    for part in [ALICE, "acme", "help", "visibility public"] {
        assert!(welcome.contains(part), "no {part:?} in {welcome:?}");
    }
    probe_until(&mut bot, "online", |face| shows(face, "online", None)).await;
    say(&mut alice, "join", "joined already").await;

    // The other way, for a client that cannot add such a contact.
    Client::register(&stage.server, "carol", "pw").await?;
    let mut carol = Client::login(&stage.server, "carol", "pw", "web").await?;
    carol.send(stanza("<presence/>")).await;
    carol.settle().await;
    say(&mut carol, "Join", "Welcome").await;
    approve_component(&mut carol).await;
    reach_component(&mut carol).await;
    let carol_there = r"carol\40localhost@presence.localhost";
    let answer = ask(&mut bot, carol_there).await;
    let state = answer.get_child("query", NS_RIGHTS).unwrap();
    let state = state.get_child("state", NS_RIGHTS).unwrap();
    assert_eq!(state.attr("type"), Some("available"), "{answer:?}");

    // She removes the component from her contacts: she is nobody here again, and what she has set
    // comes back when she does.
    say(&mut alice, "status Still me", "Still me").await;
    alice
        .send(stanza(&format!(
            "<presence type='unsubscribe' to='{HOME}'/>"
        )))
        .await;
    alice
        .expect("the end of the component", SOON, |e| {
            is_presence(e, HOME_FULL, Some("unavailable"))
        })
        .await;
    expect_message(&mut alice, "removed me from your contacts").await;
    let refused = ask(&mut bot, ALICE).await;
    assert_eq!(condition(&refused), "service-unavailable");
    // She still lets the component see her: there is nothing to approve.
    alice
        .send(stanza(&format!("<presence type='subscribe' to='{HOME}'/>")))
        .await;
    expect_message(&mut alice, "Welcome").await;
    probe_until(&mut bot, "online with her text", |face| {
        shows(face, "online", Some("Still me"))
    })
    .await;
    Ok(())
}

/// ejabberd as Debian configures it lets 5 subscription stanzas a minute through, for all users of the
/// component together, and drops the rest in silence. Ten users join at once, by contact: each one's
/// request is approved, each is asked, the component sees each, and the store has all ten.
pub(super) async fn ten_at_once_on_debian() -> Result<(), Failure> {
    let users: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let options = Options {
        debian: users.iter().cloned().chain(["bot".to_owned()]).collect(),
        ..Options::default()
    };
    let server = Server::start(Kind::Ejabberd, options).await?;
    // Nothing is configured for it: the component asks the server what it is.
    let config = Config::for_server(&server).with(
        "[limits]\nsubscriptions-per-minute = \"auto\"\n\
         [[party]]\nname = \"acme\"\njids = [\"bot@localhost\"]\nrights = [\"see\"]\n",
    );
    let mut component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    component.logged("localhost runs ejabberd", SOON).await?;
    let mut clients = Vec::new();
    for user in &users {
        let mut client = Client::login(&server, user, user, "phone").await?;
        client
            .send(stanza("<presence><show>chat</show></presence>"))
            .await;
        client.settle().await;
        clients.push(client);
    }
    let began = Instant::now();
    for client in &mut clients {
        let subscribe = format!("<presence type='subscribe' to='{HOME}'/>");
        client.send(stanza(&subscribe)).await;
    }
    // 20 stanzas, 5 in each period: three pauses of a good minute.
    for client in &mut clients {
        let left = DEBIAN_JOIN.saturating_sub(began.elapsed());
        client
            .expect("approval", left, |e| {
                is_presence(e, HOME, Some("subscribed"))
            })
            .await;
        client
            .expect("presence of the component", left, |e| {
                is_presence(e, HOME_FULL, None)
            })
            .await;
        client
            .expect("request", left, |e| is_presence(e, HOME, Some("subscribe")))
            .await;
        let approval = format!("<presence type='subscribed' to='{HOME}'/>");
        client.send(stanza(&approval)).await;
        reach_component(client).await;
    }
    // Not one was lost on the way, and asked again.
    assert!(began.elapsed() < DEBIAN_JOIN, "{:?}", began.elapsed());
    let log = server.log()
        + &std::fs::read_to_string(server.folder().join("ejabberd.log")).unwrap_or_default();
    assert!(!log.contains("is being flooded"), "{log}");

    let mut bot = Client::login(&server, "bot", "bot", "desk").await?;
    for restarted in [false, true] {
        if restarted {
            component.restart().await?;
            component.logged("learned 10 users", SOON).await?;
        }
        for user in &users {
            let there = format!(r"{user}\40localhost@presence.localhost");
            let until = Instant::now() + SOON;
            loop {
                let answer = ask(&mut bot, &there).await;
                let state = answer
                    .get_child("query", NS_RIGHTS)
                    .and_then(|query| query.get_child("state", NS_RIGHTS));
                if state.and_then(|state| state.attr("show")) == Some("chat") {
                    break;
                }
                assert!(Instant::now() < until, "{user} is not seen: {answer:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    Ok(())
}

async fn ask(watcher: &mut Client, whom: &str) -> minidom::Element {
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    request(watcher, whom, "get", asked).await
}
