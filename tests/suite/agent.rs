//! The agent against a real server: it logs in, is found by its features, runs what its file allows,
//! asks, reports late, comes back after a lost connection and leaves in order.

use std::io::Write as _;
use std::process::Stdio;

use bench::{AGENT, Bench, Component, Killed, NS_AGENT, NS_COMMANDS, SOON, command, condition};

use crate::support::client::Client;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, stanza};

mod bench;
mod desktop;
mod killed;
mod modules;
mod reports;

#[tokio::test]
async fn on_prosody() -> Result<(), Failure> {
    runs_what_is_allowed(Kind::Prosody).await
}

#[tokio::test]
async fn on_ejabberd() -> Result<(), Failure> {
    runs_what_is_allowed(Kind::Ejabberd).await
}

async fn runs_what_is_allowed(kind: Kind) -> Result<(), Failure> {
    let mut server = Server::start(kind, Options::default()).await?;
    Client::register(&server, "alice", "wonder & land").await?;
    let mut component = Component::attach(&server).await;
    let mut alice = Client::login(&server, "alice", "wonder & land", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    let bench = Bench::new(&server, "wonder & land", "always");
    let mut agent = bench.start()?;
    bench
        .wait_for_line(&agent, 0, &format!("online as {AGENT}"))
        .await;

    let presence = alice
        .expect("presence of the agent", SOON, |e| {
            e.name() == "presence" && e.attr("from") == Some(AGENT)
        })
        .await;
    let priority = presence.get_child("priority", "jabber:client").unwrap();
    assert_eq!(priority.text(), "-1");
    let caps = presence
        .get_child("c", "http://jabber.org/protocol/caps")
        .unwrap();
    let node = format!(
        "{}#{}",
        caps.attr("node").unwrap(),
        caps.attr("ver").unwrap()
    );

    // Found by its capabilities.
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
    let info = component.request("get", "i1", &query).await;
    let query = info
        .get_child("query", "http://jabber.org/protocol/disco#info")
        .unwrap();
    assert!(query.children().any(|c| c.attr("var") == Some(NS_AGENT)));

    // Allowed: opened, and the answer says so; a repeat opens nothing.
    let command = command("r1", false, "https://example.net/agenda?a=1&b=$(id)");
    for id in ["c1", "c2"] {
        let answer = component.request("set", id, &command).await;
        let answer = answer.get_child("command", NS_COMMANDS).unwrap();
        assert_eq!(answer.attr("status"), Some("completed"));
        assert_eq!(
            answer.get_child("note", NS_COMMANDS).unwrap().text(),
            "opened"
        );
    }
    assert_eq!(bench.opened(), ["https://example.net/agenda?a=1&b=$(id)"]);

    // Not allowed: an address that must not be opened, a stranger, and what must be asked of nobody.
    let bad = component
        .request("set", "c3", &self::command("r2", false, "https://127.1/"))
        .await;
    assert_eq!(condition(&bad), "not-acceptable");
    let asked = self::command("r3", true, "https://example.net/");
    let asked = component.request("set", "c4", &asked).await;
    let asked = asked.get_child("command", NS_COMMANDS).unwrap();
    assert_eq!(asked.attr("status"), Some("executing"));
    let report = component.next().await;
    assert_eq!(
        report.children().next().unwrap().attr("state"),
        Some("refused")
    );
    alice
        .send(stanza(&format!(
            "<iq type='set' id='s1' to='{AGENT}'>{command}</iq>"
        )))
        .await;
    let stranger = alice
        .expect("answer to the stranger", SOON, |e| {
            e.attr("id") == Some("s1")
        })
        .await;
    assert_eq!(condition(&stranger), "forbidden");
    assert_eq!(bench.opened().len(), 1);

    // A restart of the server: it comes back by itself.
    let before = agent.log_length();
    drop(component);
    server.restart().await?;
    bench
        .wait_for_line(&agent, before, &format!("online as {AGENT}"))
        .await;
    let mut component = Component::attach(&server).await;
    let again = component.request("set", "c5", &command).await;
    assert!(again.has_child("command", NS_COMMANDS), "{again:?}");
    assert_eq!(
        bench.opened().len(),
        1,
        "a repeat after a restart of the server opens nothing"
    );

    // SIGTERM: it logs out, and others see it at once.
    let mut alice = Client::login(&server, "alice", "wonder & land", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice
        .expect("presence of the agent", SOON, |e| {
            e.attr("from") == Some(AGENT)
        })
        .await;
    let status = agent.terminate(SOON).await?;
    assert_eq!(status.code(), Some(0));
    alice
        .expect("end of the agent", SOON, |e| {
            e.attr("from") == Some(AGENT) && e.attr("type") == Some("unavailable")
        })
        .await;
    Ok(())
}

/// She is asked on standard input; the component gets `executing` at once and the report later.
#[tokio::test]
async fn asks_and_reports_late() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "ask");
    let mut agent = bench.command()?;
    agent
        .stdin(Stdio::piped())
        .stdout(bench.log())
        .stderr(bench.log());
    let mut agent = Killed(agent.spawn().unwrap());
    bench.wait_for_text("online as").await;
    let mut keyboard = agent.0.stdin.take().unwrap();
    for (request_id, typed, state, count) in
        [("r1", "y\n", "completed", 1), ("r2", "n\n", "refused", 1)]
    {
        let url = format!("https://example.net/{request_id}");
        let answer = component
            .request("set", request_id, &command(request_id, false, &url))
            .await;
        let answer = answer.get_child("command", NS_COMMANDS).unwrap();
        assert_eq!(answer.attr("status"), Some("executing"));
        bench.wait_for_text(&format!("address: {url}")).await;
        keyboard.write_all(typed.as_bytes()).unwrap();
        let report = component.next().await;
        assert_eq!(report.attr("from"), Some(AGENT));
        let outcome = report
            .get_child("outcome", "urn:x-presence-service:outcome:0")
            .unwrap();
        assert_eq!(outcome.attr("request-id"), Some(request_id));
        assert_eq!(outcome.attr("state"), Some(state));
        assert_eq!(bench.opened().len(), count);
    }
    assert!(
        bench
            .text()
            .contains("bob@remote.example (authorized, by public)")
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_work_ends_with_a_message() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let bench = Bench::new(&server, "wrong", "always");
    let mut agent = bench.start()?;
    assert_eq!(agent.wait(SOON).await?.code(), Some(69));
    let log = agent.log_since(0);
    let message = "the server refused the login of alice@localhost: not-authorized";
    assert_eq!(log.matches(message).count(), 1, "{log}");
    assert!(!log.contains("wrong"), "{log}");

    // Two with the same resource: the second stays, the first says why it ends.
    let (first, second) = (
        Bench::new(&server, "pw", "always"),
        Bench::new(&server, "pw", "always"),
    );
    let mut old = first.start()?;
    first.wait_for_line(&old, 0, "online as").await;
    let new = second.start()?;
    second.wait_for_line(&new, 0, "online as").await;
    assert_eq!(old.wait(SOON).await?.code(), Some(69));
    let log = old.log_since(0);
    assert!(
        log.contains(&format!("another program has logged in as {AGENT}")),
        "{log}"
    );

    // A wrong file: every problem, no connection.
    let wrong = Bench::new(&server, "pw", "sometimes");
    let mut agent = wrong.start()?;
    assert_eq!(agent.wait(SOON).await?.code(), Some(64));
    let log = agent.log_since(0);
    assert!(
        log.contains("line 7: open-url.policy: expected one of ask, always, never"),
        "{log}"
    );
    Ok(())
}
