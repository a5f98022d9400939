//! Who is told what: a party, a stranger before and after she is public, and everyone exactly once.

use std::time::Duration;

use minidom::Element;

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::stage::{
    ALICE, ALICE_FULL, NS_DELAY, NS_RIGHTS, Stage, condition, is_of_alice, probe, probe_until,
    query, reach_alice, request, rights, say, shows,
};

pub(super) async fn tells_each_watcher_what_it_may_know(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut stranger = stage.login("stranger", "home").await?;
    let mut alice = stage.alice_joined("phone").await?;
    alice
        .send(stanza("<presence><show>chat</show></presence>"))
        .await;
    say(&mut alice, "status Come in", "Come in").await;

    // The operator's party: state, text and rights, from the one virtual resource.
    let face = probe_until(&mut bot, "free for chat", |face| {
        shows(face, "chat", Some("Come in"))
    })
    .await;
    assert_eq!(face.attr("from"), Some(ALICE_FULL));
    assert_eq!(face.attr("to"), Some("bot@localhost/desk"));
    let offered = vec!["leave-message".to_owned(), "open-url".to_owned()];
    assert_eq!(rights(&face), ("authorized".to_owned(), offered.clone()));
    let data = query(&mut bot).await;
    assert_eq!(rights(&data), ("authorized".to_owned(), offered.clone()));

    // A stranger: nothing at the client, and no way to tell her from one who does not exist.
    assert_knows_nothing(&mut stranger).await;

    // Once she is public, everyone is told, with the rights of everyone.
    say(&mut alice, "visibility public", "everyone sees you").await;
    let face = probe(&mut stranger).await;
    assert!(shows(&face, "chat", Some("Come in")), "{face:?}");
    assert_eq!(rights(&face), ("public".to_owned(), offered.clone()));
    assert_eq!(
        rights(&query(&mut stranger).await),
        ("public".to_owned(), offered)
    );

    // A burst is answered one by one.
    for _ in 0..50 {
        stranger
            .send(stanza(&format!("<presence type='probe' to='{ALICE}'/>")))
            .await;
    }
    reach_alice(&mut stranger).await;
    let n = |client: &mut Client| {
        let received = client.received().iter();
        received.filter(|e| is_of_alice(e)).count()
    };
    assert_eq!(n(&mut stranger), 51);

    // A party can be blocked, and then gets the answer of an unknown user.
    say(&mut alice, "block bot@localhost", "blocked").await;
    bot.forget();
    assert_knows_nothing(&mut bot).await;
    say(&mut alice, "unblock bot@localhost", "not blocked").await;
    probe(&mut bot).await;

    // Private: not even the party, which she has granted nothing.
    say(&mut alice, "visibility private", "only those you grant").await;
    bot.forget();
    stranger.forget();
    assert_knows_nothing(&mut bot).await;
    assert_knows_nothing(&mut stranger).await;
    say(&mut alice, "grant stranger@localhost see", "may now").await;
    let face = probe(&mut stranger).await;
    assert!(shows(&face, "chat", Some("Come in")), "{face:?}");

    // Offline: from the bare presentity, with the text and since when.
    alice.logout().await;
    let face = probe_until(&mut stranger, "offline", |face| {
        shows(face, "unavailable", Some("Come in"))
    })
    .await;
    assert_eq!(face.attr("from"), Some(ALICE));
    assert!(face.has_child("delay", NS_DELAY), "{face:?}");
    Ok(())
}

/// Neither a probe nor a query tells this watcher that alice exists.
async fn assert_knows_nothing(watcher: &mut Client) {
    let nobody = r"nobody\40localhost@presence.localhost";
    let mut errors = Vec::new();
    for whom in [ALICE, nobody] {
        watcher
            .send(stanza(&format!("<presence type='probe' to='{whom}'/>")))
            .await;
        let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
        let refused = request(watcher, whom, "get", asked).await;
        assert_eq!(condition(&refused), "service-unavailable");
        let error = refused.get_child("error", "jabber:client").unwrap();
        errors.push(String::from(error));
    }
    assert_eq!(errors[0], errors[1]);
    // An `unsubscribed` tells nothing, and servers drop it for a watcher without a subscription.
    let is_data = |e: &Element| {
        e.name() == "presence"
            && e.attr("from").is_some_and(|from| {
                from.ends_with("presence.localhost") || from.contains("presence.localhost/")
            })
            && e.attr("type") != Some("unsubscribed")
    };
    watcher
        .quiet("data about alice", Duration::from_millis(200), is_data)
        .await;
}
