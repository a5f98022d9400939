//! A web site shows her status and acts by what it was given: by nobody's word, by a token of hers, and as the
//! operator's party. design.md §4 “HTTP JSON”; security.md T20, T26, T60, T61.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::adhoc::{NS_COMMANDS, answer_with, expect_at_agent, fill_in, value};
use super::adhoc::{command_of, completed};
use super::opening_pages::agent_of_alice;
use super::stage::{HOME, Stage, body_of, expect_message, reach_component, say};
use crate::support::client::Client;
use crate::support::http::{Answer, Events, ask, get};
use crate::support::ports::Port;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

pub(super) const NEW: &str = "urn:x-presence-service:consent:0#token-new";
pub(super) const PARTY: &str = "the-token-of-the-site-and-nobody-else";
pub(super) const ALICE_AT: &str = "/v1/users/alice@localhost";
pub(super) const OURS: (&str, &str) = ("Origin", "http://status.example");
pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");

pub(super) struct Site {
    pub(super) stage: Stage,
    pub(super) at: SocketAddr,
    _port: Port,
}

pub(super) async fn set(kind: Kind) -> Result<Site, Failure> {
    set_with(kind, "").await
}

/// The same with more of a configuration.
pub(super) async fn set_with(kind: Kind, more: &str) -> Result<Site, Failure> {
    let port = Port::reserve()?;
    let at = port.address();
    let config = format!(
        "[http]\nlisten = \"{at}\"\nrequests-per-second = 0\n[[party]]\nname = \"site\"\n\
         rights = [\"see\", \"open-url\", \"leave-message\", \"set-status\"]\nhttp-token = {PARTY:?}\n{more}"
    );
    let stage = Stage::set_with(kind, Options::default(), &config).await?;
    Ok(Site {
        stage,
        at,
        _port: port,
    })
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl Site {
    pub(super) async fn get(&self, path: &str) -> Answer {
        get(self.at, path, &[]).await
    }

    pub(super) async fn by(&self, token: &str, path: &str) -> Answer {
        get(self.at, path, &[("Authorization", &bearer(token))]).await
    }

    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.at, "POST", path, headers, body).await
    }

    /// Waits until her status is read with this in it.
    async fn until(&self, words: &str) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.get(ALICE_AT).await;
            if answer.body.contains(words) {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn token_of(alice: &mut Client, label: &str, rights: &[&str], uses: &str) -> String {
    let mut fields = vec![("label", label), ("uses", uses)];
    fields.extend(rights.iter().map(|right| ("rights", *right)));
    let made = fill_in(alice, HOME, NEW, &fields).await;
    completed(&made);
    value(command_of(&made), "token").unwrap()
}

pub(super) async fn shows_and_acts(kind: Kind) -> Result<(), Failure> {
    let site = set(kind).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    say(&mut alice, "visibility public", "public").await;
    say(&mut alice, "status In a <b>meeting</b> & more", "In a").await;

    // As a value: exactly this shape.
    let answer = site.until("meeting").await;
    assert_eq!(answer.status, 200);
    let data = &answer.json()["data"];
    let since = data["since"].as_str().unwrap();
    let text = "In a <b>meeting</b> & more";
    assert_eq!(
        answer.body,
        format!(
            "{{\"success\":true,\"data\":{{\"jid\":\"alice@localhost\",\"show\":\"online\",\
             \"status\":\"{text}\",\"custom\":\"{text}\",\"since\":\"{since}\",\"level\":\"public\",\
             \"rights\":[\"open-url\",\"leave-message\"]}}}}"
        )
    );
    assert_eq!(answer.header("cache-control"), Some("public, max-age=10"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let tag = answer.header("etag").unwrap();
    let again = get(site.at, ALICE_AT, &[("If-None-Match", tag)]).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    // Her presentity's address names her, too.
    let mapped = site
        .get("/v1/users/alice%5C40localhost@presence.localhost")
        .await;
    assert_eq!(mapped.body, answer.body);
    assert_eq!(
        site.get(&format!("{ALICE_AT}/text")).await.body,
        format!("online: {text}\n")
    );
    let only = site.get(&format!("{ALICE_AT}/text?only=status")).await;
    assert_eq!(only.body, format!("{text}\n"));
    let many = site
        .get("/v1/users?ids=bob@localhost,alice@localhost,x")
        .await;
    let many = &many.json()["data"];
    assert_eq!(
        many[0],
        serde_json::json!({"jid": "bob@localhost", "show": "unknown"})
    );
    assert_eq!(many[1], *data);
    assert_eq!(many[2], serde_json::json!({"jid": "x", "show": "unknown"}));

    // As a picture and as a page; her words are text there.
    let badge = site.get(&format!("{ALICE_AT}/badge.svg?theme=dark")).await;
    assert_eq!(
        badge.header("content-type"),
        Some("image/svg+xml; charset=utf-8")
    );
    assert_eq!(badge.header("cache-control"), Some("public, max-age=30"));
    assert!(
        badge
            .body
            .contains("online: In a &lt;b&gt;meeting&lt;/b&gt; &amp; more")
    );
    let page = site.get("/u/alice@localhost").await;
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.body.contains("In a &lt;b&gt;meeting") && !page.body.contains("<b>meeting"));
    assert!(
        page.body
            .contains("xmpp:alice%5C40localhost@presence.localhost?message")
    );
    assert!(
        page.body
            .contains("http://status.example/v1/users/alice@localhost/badge.svg")
    );

    // A visitor leaves a message by the page, and not by anybody else's; sent twice it comes once.
    let key = page.body.split("name=\"key\" value=\"").nth(1).unwrap();
    let form = format!(
        "right=leave-message&key={}&text=Hello+there&name=Bob",
        &key[..32]
    );
    let encoded = ("Content-Type", "application/x-www-form-urlencoded");
    for foreign in [
        vec![encoded],
        vec![encoded, ("Origin", "http://evil.example")],
        vec![encoded, ("Origin", "null")],
        vec![encoded, OURS, ("Sec-Fetch-Site", "cross-site")],
    ] {
        assert_eq!(
            site.post("/u/alice@localhost", &foreign, &form)
                .await
                .status,
            403
        );
    }
    for _ in 0..2 {
        let told = site
            .post("/u/alice@localhost", &[encoded, OURS], &form)
            .await;
        assert_eq!(told.status, 200);
        assert!(
            told.body.contains("The message is on its way to her."),
            "{}",
            told.body
        );
    }
    let message = body_of(&expect_message(&mut alice, "Hello there").await);
    assert!(message.contains("visitor-") && message.contains("@web.presence.localhost (public)"));
    assert!(message.contains("— Bob"), "{message}");
    reach_component(&mut alice).await;
    let told = alice.received().iter();
    assert_eq!(
        told.filter(|one| body_of(one).contains("Hello there"))
            .count(),
        1
    );
    // What nobody was given a visitor cannot do.
    let notify = format!("{ALICE_AT}/commands/notify");
    let refused = site.post(&notify, &[JSON, OURS], "{\"text\":\"x\"}").await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (403, &"forbidden".into())
    );

    by_a_token(&site, &mut alice).await?;
    by_the_party(&site, &mut alice).await?;
    Ok(())
}

/// A token opens a page at her agent, and the outcome comes back; once, however often it is sent.
async fn by_a_token(site: &Site, alice: &mut Client) -> Result<(), Failure> {
    let mut agent = agent_of_alice(&site.stage, "agent").await?;
    let token = token_of(alice, "The blog", &["open-url"], "2").await;
    let authorized = bearer(&token);
    let auth = ("Authorization", authorized.as_str());
    let path = format!("{ALICE_AT}/commands/open-url");
    let body = "{\"url\":\"https://example.net/agenda\",\"reason\":\"The agenda\"}";
    let headers = [auth, JSON, ("Idempotency-Key", "order-1")];
    let asking = site.post(&path, &headers, body);
    let carrying = async {
        let order = expect_at_agent(&mut agent, "open-url").await;
        let command = order.get_child("command", NS_COMMANDS).unwrap().clone();
        agent
            .reply(
                &order,
                Some(answer_with(
                    "completed",
                    "a1",
                    "open-url",
                    Some("It is open"),
                )),
            )
            .await;
        command
    };
    let (answer, command) = tokio::join!(asking, carrying);
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = &answer.json()["data"];
    assert_eq!(
        (&data["state"], &data["right"]),
        (&"completed".into(), &"open-url".into())
    );
    assert_eq!(data["text"], "It is open");
    assert_eq!(data["user"]["level"], "authorized");
    assert_eq!(value(&command, "interface").as_deref(), Some("http"));
    let requester = value(&command, "requester").unwrap();
    assert!(requester.starts_with("the-blog.") && requester.ends_with("@token.presence.localhost"));
    let told = body_of(&expect_message(alice, "example.net/agenda").await);
    assert!(told.contains(&requester), "{told}");

    // Again the same, and another one by the same name; the command is found by its address, by its caller alone.
    let again = site.post(&path, &headers, body).await;
    assert_eq!(
        (again.status, again.json()["data"]["job"].clone()),
        (200, data["job"].clone())
    );
    let other = site
        .post(&path, &headers, "{\"url\":\"https://example.net/x\"}")
        .await;
    assert_eq!(
        (other.status, &other.json()["error"]["code"]),
        (409, &"conflict".into())
    );
    let job = data["url"].as_str().unwrap();
    assert_eq!(
        site.by(&token, job).await.json()["data"]["state"],
        "completed"
    );
    assert_eq!(site.by(PARTY, job).await.status, 404);
    say(alice, "tokens", "used 1 of 2").await;

    // Redeemed it needs no further use, for reading or for doing.
    let redeemed = site
        .post(&format!("{ALICE_AT}/redeem"), &[auth, JSON], "")
        .await;
    assert_eq!(redeemed.status, 200, "{redeemed:?}");
    assert!(redeemed.json()["data"]["expires"].is_string());
    for _ in 0..3 {
        let seen = site.by(&token, ALICE_AT).await;
        assert_eq!(
            (seen.status, &seen.json()["data"]["level"]),
            (200, &"authorized".into())
        );
        assert_eq!(seen.header("cache-control"), Some("no-store"));
    }
    say(alice, "tokens", "used 2 of 2").await;
    say(alice, "token revoke The blog", "Nothing counts any more").await;
    let gone = site.by(&token, ALICE_AT).await;
    assert_eq!(
        (gone.status, &gone.json()["error"]["code"]),
        (401, &"token-invalid".into())
    );
    agent.logout().await;
    Ok(())
}

/// The party sets her status where she lets it; the answer shows its name.
async fn by_the_party(site: &Site, alice: &mut Client) -> Result<(), Failure> {
    let authorized = bearer(PARTY);
    let headers = [("Authorization", authorized.as_str()), JSON];
    let path = format!("{ALICE_AT}/commands/set-status");
    let body = "{\"status-message\":\"On the air\"}";
    assert_eq!(site.post(&path, &headers, body).await.status, 403);
    say(
        alice,
        "grant site.presence.localhost set-status",
        "set-status",
    )
    .await;
    let set = site.post(&path, &headers, body).await;
    assert_eq!(set.status, 200, "{set:?}");
    let status = "On the air (set by site.presence.localhost)";
    assert_eq!(set.json()["data"]["user"]["status"], status);
    assert!(
        body_of(&expect_message(alice, "On the air").await).contains("site.presence.localhost")
    );
    assert_eq!(
        site.until("On the air").await.json()["data"]["status"],
        status
    );
    // What is wrong is said, and not what the right is not for.
    let wrong = site
        .post(
            &path,
            &headers,
            "{\"status-message\":\"see https://x.example\"}",
        )
        .await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["code"]),
        (400, &"invalid".into())
    );
    assert_eq!(site.post(&path, &[headers[0]], body).await.status, 415);
    say(alice, "block site", "is blocked").await;
    assert_eq!(site.post(&path, &headers, body).await.status, 404);
    Ok(())
}

/// Who is hidden and who is not are one answer, byte for byte, however it is asked for.
pub(super) async fn tells_nobody_who_there_is(kind: Kind) -> Result<(), Failure> {
    let site = set(kind).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    let token = token_of(&mut alice, "x", &["open-url"], "5").await;
    say(&mut alice, "visibility private", "private").await;
    let wrong = bearer("1:abcdefABCDEFGHIJKLMNOPQRSTUVWX");
    let party = bearer(PARTY);
    for (method, path, body) in [
        ("GET", "/v1/users/NAME@localhost", ""),
        ("HEAD", "/v1/users/NAME@localhost", ""),
        ("GET", "/v1/users/NAME@localhost/text", ""),
        ("GET", "/v1/users/NAME@localhost/badge.svg", ""),
        ("GET", "/u/NAME@localhost", ""),
        ("POST", "/u/NAME@localhost", "right=leave-message&text=x"),
        (
            "POST",
            "/v1/users/NAME@localhost/commands/leave-message",
            "{\"text\":\"x\"}",
        ),
        ("POST", "/v1/users/NAME@localhost/commands/nothing", "{}"),
        (
            "POST",
            "/v1/users/NAME@localhost/commands/open-url",
            "{\"url\":1}",
        ),
        ("POST", "/v1/users/NAME@localhost/redeem", ""),
    ] {
        for shown in [None, Some(&party), Some(&wrong)] {
            let kind = match path.starts_with("/u/") {
                true => "application/x-www-form-urlencoded",
                false => "application/json",
            };
            let mut headers = vec![OURS, ("Content-Type", kind)];
            // Of wrong tokens there are few.
            if let Some(shown) = shown.filter(|shown| {
                **shown != wrong
                    || path.ends_with("NAME@localhost")
                        && method == "GET"
                        && path.starts_with("/v1")
            }) {
                headers.push(("Authorization", shown));
            }
            let of = |name: &str| path.replace("NAME", name);
            let hidden = ask(site.at, method, &of("alice"), &headers, body).await;
            let nobody = ask(site.at, method, &of("bobby"), &headers, body).await;
            assert_eq!(hidden, nobody, "{method} {path}");
            let expected = if path.ends_with(".svg") { 200 } else { 404 };
            assert_eq!(hidden.status, expected, "{method} {path}: {hidden:?}");
        }
    }
    // Her token shows her all the same, and that she is not there is told to nobody else.
    assert_eq!(site.by(&token, ALICE_AT).await.status, 200);
    let many = site
        .get("/v1/users?ids=alice@localhost,bobby@localhost")
        .await
        .json();
    assert_eq!(many["data"][0]["show"], many["data"][1]["show"]);
    // Who blocks visitors is nobody to them.
    say(&mut alice, "visibility public", "public").await;
    assert_eq!(site.get(ALICE_AT).await.status, 200);
    say(&mut alice, "block web.presence.localhost", "is blocked").await;
    assert_eq!(
        site.get(ALICE_AT).await,
        site.get("/v1/users/bobby@localhost").await
    );
    Ok(())
}

/// A live stream tells of changes, goes on where it was, and takes back what she takes back.
pub(super) async fn follows_live(kind: Kind) -> Result<(), Failure> {
    let site = set(kind).await?;
    let mut alice = site.stage.alice_joined("phone").await?;
    say(&mut alice, "visibility public", "public").await;
    site.until("online").await;
    let path = "/v1/events?users=alice@localhost,bobby@localhost";
    let mut one = Events::open(site.at, path, &[]).await;
    let begun = one
        .expect(&["event: init", "\"show\":\"online\"", "bobby@localhost"])
        .await;
    let id = begun
        .split("id: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    // Who knows it already is told nothing.
    let mut again = Events::open(site.at, path, &[("Last-Event-ID", &id)]).await;
    let resumed = again.expect(&[": nothing has changed"]).await;
    assert!(!resumed.contains("event: init"), "{resumed}");
    alice
        .send(stanza(
            "<presence><show>dnd</show><status>Not now</status></presence>",
        ))
        .await;
    let told = one
        .expect(&["event: status", "\"show\":\"dnd\"", "Not now"])
        .await;
    assert!(!told.contains("bobby"), "{told}");
    again.expect(&["event: status", "\"show\":\"dnd\""]).await;
    // What she takes back is taken back from it, too.
    say(&mut alice, "visibility private", "private").await;
    one.expect(&[
        "event: status",
        "{\"jid\":\"alice@localhost\",\"show\":\"unknown\"}",
    ])
    .await;
    // The end of the process ends the streams.
    assert!(!one.ended(Duration::from_millis(50)).await);
    let mut component = site.stage.component;
    component.stop().await?;
    assert!(one.ended(Duration::from_secs(5)).await);
    Ok(())
}
