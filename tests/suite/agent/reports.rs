//! Late reports, and the reports of watchers: both arrive, whatever is lost on the way.

use std::io::Write as _;
use std::process::Stdio;

use super::bench::{Bench, Component, Killed, command, form, told};
use crate::support::Failure;
use crate::support::client::Client;
use crate::support::server::{Kind, Options, Server};

/// The component is away when she answers; it gets the report when it is back, and again after a
/// restart of the agent, until it has taken it.
#[tokio::test]
async fn a_report_waits_for_the_component() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let bench = Bench::new(&server, "pw", "ask");
    let start = || {
        let mut agent = bench.command().unwrap();
        agent
            .stdin(Stdio::piped())
            .stdout(bench.log())
            .stderr(bench.log());
        Killed(agent.spawn().unwrap())
    };
    let mut agent = start();
    bench.wait_for_text("online as").await;
    let mut keyboard = agent.0.stdin.take().unwrap();
    let mut component = Component::attach(&server).await;
    let url = "https://example.net/r1";
    let answer = component
        .request("set", "c1", &command("r1", true, url))
        .await;
    assert_eq!(told(&answer), "executing");
    bench.wait_for_text(&format!("address: {url}")).await;
    drop(component);
    keyboard.write_all(b"y\n").unwrap();
    bench.wait_for_text("completed: opened").await;
    let mut component = Component::attach(&server).await;
    let report = component.outcome_iq("r1").await;
    assert_eq!(
        report
            .get_child("outcome", "urn:x-presence-service:outcome:0")
            .unwrap()
            .attr("state"),
        Some("completed")
    );
    // It was not taken: the component has gone again, and so has the agent.
    drop(component);
    drop(agent);
    let mut component = Component::attach(&server).await;
    let _agent = start();
    let again = component.outcome_iq("r1").await;
    assert_ne!(again.attr("id"), report.attr("id"));
    let id = again.attr("id").unwrap();
    component.send("result", id, "").await;
    // What was taken is kept as taken.
    for _ in 0..500 {
        let state = std::fs::read_dir(bench.path("state")).unwrap();
        let told = state
            .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
            .any(|text| text.contains("\"told\""));
        if told {
            assert_eq!(bench.opened(), [url]);
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the answer of the component is not kept");
}

/// A watcher reports how its request ended: the program that her file names is run with its words.
#[tokio::test]
async fn what_a_watcher_reports_runs_what_her_file_names() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "never");
    let program = bench.recorder("note");
    bench.configure(
        &server,
        &format!(
            "[ask]\nfrom = 'stdin'\n[module.note]\nprogram = '{program}'\noffered = false\n\
             arguments = ['--', '{{who}}', '{{words}}']\n\
             [module.note.argument.who]\ntype = 'text'\nmax = 100\n\
             [module.note.argument.words]\ntype = 'text'\nmax = 100\n\
             [[on-outcome]]\nfrom = ['remote.example']\nstate = ['completed']\nmodule = 'note'\n\
             arguments = {{ who = '{{requester}}', words = '{{text}}' }}\n"
        ),
    );
    let agent = bench.start()?;
    bench.wait_for_line(&agent, 0, "online as").await;
    let words = "$(touch x); done";
    let report = [
        ("right", "open-url"),
        ("state", "completed"),
        ("text", words),
    ];
    for id in ["c1", "c2"] {
        let answer = component
            .request("set", id, &form("outcome", "r1", &report))
            .await;
        assert_eq!(told(&answer), "completed info: taken");
    }
    let failed = [("right", "open-url"), ("state", "failed"), ("text", words)];
    let answer = component
        .request("set", "c3", &form("outcome", "r2", &failed))
        .await;
    assert_eq!(
        told(&answer),
        "completed info: nothing to run for this report"
    );
    bench
        .wait_for_line(&agent, 0, "outcome completed: note was started")
        .await;
    assert_eq!(bench.runs("note"), [["--", "bob@remote.example", words]]);
    let module = form(
        "start-module",
        "r3",
        &[("module", "note"), ("arg-who", ""), ("arg-words", "")],
    );
    assert_eq!(
        told(&component.request("set", "c4", &module).await),
        "item-not-found"
    );
    Ok(())
}
