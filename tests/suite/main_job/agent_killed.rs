//! SIGKILL of the component, of the real agent, or of both at any moment while commands run: what must not repeat
//! runs once at most, and every command that was accepted has one end. design.md §7 C3

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Dice, is_long};
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::adhoc::{command, form, node_of};
use super::exporting::vestibule;
use super::real_agent::{configured, is_there, place};
use super::stage::{ALICE, CONVERGED, Stage, fresh_id, query, rights, say};

/// Commands of one round.
const AT_ONCE: u64 = 3;
/// The longest that all live after the commands of a round were sent.
const LIFE_MS: u64 = 120;
/// For what an agent reports by itself.
const REPORTED: Duration = Duration::from_secs(5);
/// For what nobody reports: it expires 30 s after it was issued, and is given up a minute later.
const ENDED: Duration = Duration::from_secs(100);

pub(super) async fn at_any_moment(kind: Kind) -> Result<(), Failure> {
    // As many as her history has lines for.
    let rounds = if is_long() { 50 / AT_ONCE } else { 4 };
    // How many commands a minute is another test's concern; nobody is asked, for nobody is there.
    let config = "[limits]\ncommands-per-minute-per-watcher = 0\ncommands-per-minute-per-user = 0\n\
                  [ceiling]\nstart-module = [\"no\", \"no\", \"by-grant\", \"by-grant\"]\n";
    let mut stage = Stage::set_with(kind, Options::default(), config).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut friend = stage.login("stranger", "home").await?;
    say(
        &mut alice,
        "grant stranger@localhost start-module",
        "may now",
    )
    .await;
    say(&mut alice, "modules stranger@localhost slow", "slow").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let runs = path.join("runs").display().to_string();
    let script = format!("#!/bin/sh\necho \"$1\" >> '{runs}'\nexec sleep 0.05\n");
    let program = place(path, "program", &script, 0o700);
    let sections = format!(
        "[start-module]\npolicy = 'always'\n[module.slow]\nprogram = '{program}'\narguments = ['{{n}}']\n\
         [module.slow.argument.n]\ntype = 'number'\nmin = 0\nmax = 9999\n"
    );
    let start = |stage: &Stage| -> Result<Process, Failure> {
        let command = configured(stage, path, &sections)?;
        Process::spawn("vestibule-agent", command, &path.join("agent.log"))
    };
    let mut agent = start(&stage)?;
    is_there(&mut alice).await;

    let mut dice = Dice(7);
    for round in 0..rounds {
        can_start(&mut friend).await;
        for n in round * AT_ONCE..(round + 1) * AT_ONCE {
            send(&mut friend, n).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MS))).await;
        let (of_component, of_agent) =
            [(true, false), (false, true), (true, true)][round as usize % 3];
        if of_component {
            stage.component.kill();
        }
        if of_agent {
            agent.kill();
            alice.forget();
            agent = start(&stage)?;
        }
        if of_component {
            stage.component.restart().await?;
        }
        if of_agent {
            is_there(&mut alice).await;
        }
    }

    let ends = ends(&mut stage).await?;
    let text = std::fs::read_to_string(path.join("runs")).unwrap_or_default();
    let mut ran = BTreeMap::<&str, usize>::new();
    for n in text.lines() {
        *ran.entry(n).or_default() += 1;
    }
    for n in 0..rounds * AT_ONCE {
        let times = ran.remove(&*n.to_string()).unwrap_or(0);
        assert!(times <= 1, "{n} ran {times} times: {ends:?}");
        match ends.get(&format!("r{n}")).map(String::as_str) {
            Some("completed") => assert_eq!(times, 1, "{n} is said to be done"),
            // It was lost before it was accepted, or never sent, or her agent said no.
            None | Some("expired" | "refused") => assert_eq!(times, 0, "{n}: {ends:?}"),
            Some("failed" | "unknown" | "open") => {}
            Some(end) => panic!("{n} has ended as {end}"),
        }
    }
    assert!(ran.is_empty(), "nobody has asked for {ran:?}");
    let n_done = ends.values().filter(|end| *end == "completed").count();
    assert!(n_done > 0, "{ends:?}");
    assert!(agent.ended().is_none(), "the agent has ended by itself");
    Ok(())
}

/// Waits until the module can be started.
async fn can_start(friend: &mut Client) {
    let until = Instant::now() + CONVERGED;
    while !rights(&query(friend).await)
        .1
        .contains(&"start-module".to_owned())
    {
        assert!(Instant::now() < until, "the agent is never found");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends command `n`, and waits for no answer.
async fn send(friend: &mut Client, n: u64) {
    let node = node_of("start-module");
    let (number, request) = (n.to_string(), format!("r{n}"));
    let fields = [
        ("module", "slow"),
        ("arg-n", number.as_str()),
        ("request-id", request.as_str()),
    ];
    let mut payload = command(&node, None, "execute");
    payload.append_child(form(&node, &fields));
    let mut iq = stanza(&format!(
        "<iq type='set' id='{}' to='{ALICE}'/>",
        fresh_id()
    ));
    iq.append_child(payload);
    friend.send(iq).await;
}

/// The end of each command by its request, one each, from what is stored. What was sent and has no answer is
/// still open for a while: then its end is `open`, and it has no other.
async fn ends(stage: &mut Stage) -> Result<BTreeMap<String, String>, Failure> {
    tokio::time::sleep(if is_long() { ENDED } else { REPORTED }).await;
    assert_eq!(stage.component.stop().await?, 0);
    let file = stage.component.folder().join("rest.jsonl");
    vestibule(&stage.component, &["export", file.to_str().unwrap()])?;
    let text = std::fs::read_to_string(file).unwrap();
    let mut ends = BTreeMap::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| line["record"][name].as_str().unwrap_or_default().to_owned();
        let end = match line["kind"].as_str() {
            Some("history") => word("state"),
            Some("execution") if !is_long() && word("state") == "sent" => "open".to_owned(),
            Some("execution") => panic!("still open: {line}"),
            _ => continue,
        };
        let before = ends.insert(word("request_id"), end);
        assert_eq!(before, None, "a second end: {line}");
    }
    Ok(ends)
}
