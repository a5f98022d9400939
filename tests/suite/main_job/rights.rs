//! What she grants and takes back by chat, and that it holds from the acknowledgement on.

use crate::support::Failure;
use crate::support::server::Kind;

use super::adhoc::{completed, node_of, submit_at_once};
use super::stage::body_of;
use super::stage::{
    ALICE, HOME, Stage, condition, expect_message, probe, query, reach_component, rights, say,
};

const VISIBILITY_NODE: &str = "urn:x-presence-service:consent:0#visibility";

pub(super) async fn are_granted_and_revoked(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut friend = stage.login("stranger", "home").await?;
    let mut alice = stage.alice_joined("phone").await?;
    let leave = node_of("leave-message");

    // What everyone may do she narrows to nothing but seeing, so that her grants alone count.
    let fields = [("public-rights", "see")];
    completed(&submit_at_once(&mut alice, HOME, VISIBILITY_NODE, &fields).await);
    let refused = submit_at_once(&mut friend, ALICE, &leave, &[("text", "before")]).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let line = "grant stranger@localhost leave-message";
    say(&mut alice, line, "may now: see, leave-message").await;
    let face = probe(&mut friend).await;
    assert_eq!(
        rights(&face),
        ("authorized".to_owned(), vec!["leave-message".to_owned()])
    );
    completed(&submit_at_once(&mut friend, ALICE, &leave, &[("text", "granted")]).await);
    expect_message(&mut alice, "granted").await;
    // What she did not grant is forbidden to one who may see her; what nobody has is not found.
    let page = [("url", "https://example.net/")];
    let refused = submit_at_once(&mut friend, ALICE, &node_of("open-url"), &page).await;
    assert_eq!(condition(&refused), "forbidden");
    let refused = submit_at_once(&mut friend, ALICE, &node_of("fly"), &page).await;
    assert_eq!(condition(&refused), "item-not-found");

    // Another grant replaces the first one.
    let line = "grant stranger@localhost see open-url";
    say(&mut alice, line, "may now: see, open-url").await;
    let data = query(&mut friend).await;
    assert_eq!(
        rights(&data),
        ("authorized".to_owned(), vec!["open-url".to_owned()])
    );
    let refused = submit_at_once(&mut friend, ALICE, &leave, &[("text", "replaced")]).await;
    assert_eq!(condition(&refused), "forbidden");

    // Granted and revoked again and again: never does anything pass after the acknowledgement.
    for round in 0..10 {
        let line = "grant stranger@localhost leave-message";
        say(&mut alice, line, "may now: see, leave-message").await;
        let words = format!("allowed {round}");
        completed(&submit_at_once(&mut friend, ALICE, &leave, &[("text", words.as_str())]).await);
        expect_message(&mut alice, &words).await;
        say(
            &mut alice,
            "revoke stranger@localhost",
            "nothing by your word any more",
        )
        .await;
        let words = format!("revoked {round}");
        let refused = submit_at_once(&mut friend, ALICE, &leave, &[("text", words.as_str())]).await;
        assert_eq!(condition(&refused), "service-unavailable");
    }
    reach_component(&mut alice).await;
    let passed = alice.received().iter().map(body_of);
    assert!(passed.into_iter().all(|body| !body.contains("revoked ")));

    // A grant that she does not understand herself is explained, and grants nothing.
    say(&mut alice, "grant stranger@localhost fly", "is not a right").await;
    say(&mut alice, "grant", "Whom?").await;
    let refused = submit_at_once(&mut friend, ALICE, &leave, &[("text", "still not")]).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let overview = say(&mut alice, "overview", "Visibility").await;
    assert!(!overview.contains("stranger@localhost may"), "{overview}");
    Ok(())
}
