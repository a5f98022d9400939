//! A command over the web that takes longer than its caller waits: found again by its address, followed live to
//! its end, also over a SIGKILL of the component, and by nobody else. design/0012; security.md T26.

use std::time::Duration;

use super::adhoc::{
    NS_COMMANDS, answer_with, command_of, completed, expect_at_agent, fill_in, value,
};
use super::opening_pages::agent_of_alice;
use super::prompts::code_of_question;
use super::stage::{HOME, SOON, say};
use super::web::{ALICE_AT, JSON, NEW, OURS, PARTY, Site, bearer, set, set_with};
use crate::support::http::{Answer, Events};
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

const BODY: &str = "{\"url\":\"https://example.net/agenda\",\"reason\":\"The agenda\"}";

/// A site's request that does not wait.
async fn ask_for(site: &Site, token: &str, key: &str) -> Answer {
    let authorized = bearer(token);
    let headers = [
        ("Authorization", authorized.as_str()),
        JSON,
        ("Idempotency-Key", key),
    ];
    let path = format!("{ALICE_AT}/commands/open-url?wait=0");
    site.post(&path, &headers, BODY).await
}

async fn follow(site: &Site, token: &str, url: &str) -> Events {
    let path = format!("{url}/events");
    Events::open(site.at, &path, &[("Authorization", &bearer(token))]).await
}

pub(super) async fn are_followed_to_their_end(kind: Kind) -> Result<(), Failure> {
    let mut site = set(kind).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&site.stage, "agent").await?;
    let made = fill_in(
        &mut alice,
        HOME,
        NEW,
        &[("label", "Blog"), ("rights", "open-url"), ("uses", "10")],
    )
    .await;
    completed(&made);
    let token = value(command_of(&made), "token").unwrap();

    // Who does not wait is told where to ask.
    let begun = ask_for(&site, &token, "order-1").await;
    assert_eq!(begun.status, 202, "{begun:?}");
    let data = begun.json()["data"].clone();
    let url = data["url"].as_str().unwrap().to_owned();
    assert_eq!(
        (data["state"].as_str(), begun.header("location")),
        (Some("pending"), Some(&*url))
    );
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    let order = expect_at_agent(&mut agent, "open-url").await;
    let mut events = follow(&site, &token, &url).await;
    events
        .expect(&["event: pending\n", "\"state\":\"pending\""])
        .await;
    let open = site.by(&token, &url).await;
    assert_eq!(
        (open.status, open.json()["data"]["state"].as_str()),
        (200, Some("pending"))
    );
    // The same again is the same job; to others there is none, and none to follow.
    let again = ask_for(&site, &token, "order-1").await;
    assert_eq!(
        (again.status, &again.json()["data"]["job"]),
        (202, &data["job"])
    );
    for other in [&url, &format!("{url}/events")] {
        assert_eq!(site.by(PARTY, other).await.status, 404);
        assert_eq!(site.get(other).await.status, 404);
    }
    let done = answer_with("completed", "a1", "open-url", Some("It is open"));
    agent.reply(&order, Some(done)).await;
    let ended = events.expect(&["event: ended\n"]).await;
    assert!(
        ended.contains("\"state\":\"completed\",\"text\":\"It is open\""),
        "{ended}"
    );
    assert!(events.ended(Duration::from_secs(5)).await);
    let again = ask_for(&site, &token, "order-1").await;
    assert_eq!(
        (again.status, again.json()["data"]["state"].as_str()),
        (200, Some("completed"))
    );
    // Who comes late is told the end at once.
    let mut late = follow(&site, &token, &url).await;
    late.expect(&["event: ended\n", "\"state\":\"completed\""])
        .await;
    assert!(late.ended(Duration::from_secs(5)).await);

    // A SIGKILL takes the streams, not the jobs: one that was with her agent goes on.
    let begun = ask_for(&site, &token, "order-2").await;
    let open = begun.json()["data"]["url"].as_str().unwrap().to_owned();
    let order = expect_at_agent(&mut agent, "open-url").await;
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    let id = value(command, "request-id").unwrap();
    let mut events = follow(&site, &token, &open).await;
    events.expect(&["event: pending\n"]).await;
    site.stage.component.kill();
    assert!(events.ended(SOON).await);
    site.stage.component.restart().await?;
    let ended = site.by(&token, &url).await;
    assert_eq!(
        (ended.status, ended.json()["data"]["state"].as_str()),
        (200, Some("completed"))
    );
    let still = site.by(&token, &open).await;
    assert_eq!(
        (still.status, still.json()["data"]["state"].as_str()),
        (200, Some("pending"))
    );
    assert_eq!(ask_for(&site, &token, "order-2").await.status, 202);
    let mut events = follow(&site, &token, &open).await;
    events.expect(&["event: pending\n"]).await;
    // Her agent gets it once more, under the name that it knows it by.
    let order = expect_at_agent(&mut agent, "open-url").await;
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    assert_eq!(value(command, "request-id").as_deref(), Some(&*id));
    let done = answer_with("completed", "a2", "open-url", None);
    agent.reply(&order, Some(done)).await;
    events
        .expect(&["event: ended\n", "\"state\":\"completed\""])
        .await;

    // What is taken back takes its jobs along.
    say(&mut alice, "token revoke Blog", "Nothing counts any more").await;
    assert_eq!(site.by(&token, &open).await.status, 404);
    Ok(())
}

/// SIGHUP: a party's secret is another one from then on, and live streams by the old one end.
pub(super) async fn of_a_party_follow_the_configuration(kind: Kind) -> Result<(), Failure> {
    const NEXT: &str = "another-token-of-the-site-and-nobody-else";
    let mut site = set(kind).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    say(&mut alice, "grant site.presence.localhost see", "may now").await;
    let level = |answer: &Answer| answer.json()["data"]["level"].as_str().map(str::to_owned);
    assert_eq!(
        level(&site.by(PARTY, ALICE_AT).await).as_deref(),
        Some("authorized")
    );
    let path = "/v1/events?users=alice@localhost";
    let mut events = Events::open(site.at, path, &[("Authorization", &bearer(PARTY))]).await;
    events
        .expect(&["event: init", "\"level\":\"authorized\""])
        .await;

    let file = site.stage.component.config_file();
    let good = std::fs::read_to_string(&file).map_err(|error| Failure::new(error.to_string()))?;
    assert!(good.contains(PARTY));
    std::fs::write(&file, good.replace(PARTY, NEXT))
        .map_err(|error| Failure::new(error.to_string()))?;
    site.stage.component.hang_up()?;
    site.stage
        .component
        .logged("configuration taken up", SOON)
        .await?;
    // She is visible to nobody without it, so not even that is told.
    assert_eq!(site.by(PARTY, ALICE_AT).await.status, 404);
    assert_eq!(
        level(&site.by(NEXT, ALICE_AT).await).as_deref(),
        Some("authorized")
    );
    let changed = "<presence><show>away</show><status>Out</status></presence>";
    alice.send(stanza(changed)).await;
    assert!(
        events.ended(SOON).await,
        "the secret that it was opened by counts no more"
    );
    Ok(())
}

/// A visitor waits for her word, which holds for this time: the next who has his address may be somebody else.
pub(super) async fn of_a_visitor_wait_for_her_word(kind: Kind) -> Result<(), Failure> {
    let ceiling = "[ceiling]\nleave-message = [\"ask\", \"ask\", \"ask\", \"yes\"]\n";
    let site = set_with(kind, ceiling).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    say(&mut alice, "visibility public", "public").await;
    let path = format!("{ALICE_AT}/commands/leave-message?wait=0");
    for (words, answer, told, state) in [
        ("Ring me", "always", "asked again all the same", "completed"),
        ("Ring me again", "no", "No to visitor-", "refused"),
    ] {
        let body = format!("{{\"text\":\"{words}\"}}");
        let begun = site.post(&path, &[JSON, OURS], &body).await;
        assert_eq!(begun.status, 202, "{begun:?}");
        let n = format!("a message of {} characters", words.len());
        let code = code_of_question(&mut alice, &["visitor-", &n]).await;
        say(&mut alice, &format!("{answer} {code}"), told).await;
        let url = begun.header("location").unwrap();
        let mut events = Events::open(site.at, &format!("{url}/events"), &[]).await;
        let state = format!("\"state\":\"{state}\"");
        events.expect(&["event: ended\n", &state]).await;
    }
    let listed = say(&mut alice, "overview", "everyone sees you").await;
    assert!(listed.contains("leave-message: done"), "{listed}");
    let mut given = listed.lines().filter(|line| !line.starts_with("20")); // What was done stands by its day.
    assert!(!given.any(|line| line.contains("visitor-")), "{listed}");
    Ok(())
}
