//! The agent killed at any moment: what must not repeat is begun once at most, and every request that
//! it took has an end. security.md T43, T44.

use std::time::Duration;

use super::bench::{Bench, Component, SOON, form, told};
use crate::support::Failure;
use crate::support::client::Client;
use crate::support::server::{Kind, Options, Server};

/// Killed while a program runs: the program is not run again, and its end is told as unknown.
#[tokio::test]
async fn what_was_running_is_not_run_again() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "never");
    let begun = bench.path("begun").display().to_string();
    let config = format!(
        "[start-module]\npolicy = 'always'\n[module.slow]\nprogram = '/bin/sh'\n\
         arguments = ['-c', 'echo \"$1\" >> \"$0\"; exec sleep 3', '{begun}', '{{n}}']\n\
         [module.slow.argument.n]\ntype = 'number'\nmin = 0\nmax = 999\n"
    );
    bench.configure(&server, &config);
    let mut agent = bench.start()?;
    bench.wait_for_line(&agent, 0, "online as").await;
    let read = || std::fs::read_to_string(bench.path("begun")).unwrap_or_default();
    let payload = form("start-module", "r1", &[("module", "slow"), ("arg-n", "1")]);
    component.send("set", "c1", &payload).await;
    wait(|| read() == "1\n").await;
    agent.kill();
    let offset = agent.log_length();
    let mut agent = bench.start()?;
    bench.wait_for_line(&agent, offset, "online as").await;
    // It says by itself how that ended.
    let report = component.next_outcome("r1").await;
    assert_eq!(report.attr("state"), Some("failed"));
    assert!(report.text().contains("not known"), "{report:?}");
    let again = told(&component.request("set", "c2", &payload).await);
    assert!(
        again.starts_with("completed error: the agent was stopped"),
        "{again}"
    );
    assert_eq!(read(), "1\n");

    // At any moment, again and again; each request is sent until it is answered.
    for number in 2..12_u64 {
        let id = format!("r{number}");
        let value = number.to_string();
        let payload = form(
            "start-module",
            &id,
            &[("module", "slow"), ("arg-n", &value)],
        );
        component.send("set", &id, &payload).await;
        tokio::time::sleep(Duration::from_millis(number * 2)).await;
        agent.kill();
        let offset = agent.log_length();
        agent = bench.start()?;
        bench.wait_for_line(&agent, offset, "online as").await;
        let answer = told(&component.request("set", &id, &payload).await);
        assert!(answer.starts_with("completed"), "{answer}");
        let runs = read().lines().filter(|line| **line == *value).count();
        assert!(runs <= 1, "{number} was run {runs} times");
        // Where it was never begun it is run now.
        let unknown = answer.contains("not known");
        assert!(unknown || runs == 1, "{answer}, {runs} runs");
    }
    let status = agent.terminate(SOON).await?;
    assert_eq!(status.code(), Some(0));
    Ok(())
}

/// Two agents over one state file would not know of each other's runs.
#[tokio::test]
async fn a_state_file_belongs_to_one_agent() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let bench = Bench::new(&server, "pw", "always");
    let first = bench.start()?;
    bench.wait_for_line(&first, 0, "online as").await;
    let mut second = bench.start()?;
    assert_eq!(second.wait(SOON).await?.code(), Some(70));
    assert!(second.log_since(0).contains("another agent uses it"));
    Ok(())
}

async fn wait(done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happens");
}
