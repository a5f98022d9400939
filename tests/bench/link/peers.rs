//! Other libraries, each with a component that answers a probe with a constant; and the floor.

use std::path::Path;
use std::process::Command;

use crate::subject::{Cost, Subject, Work};
use crate::{ROUNDS, report};

/// Measures all that are there.
pub(crate) fn measure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = root.join("target/peers");
    let sources = root.join("tests/bench/peers");
    let command = |program: &Path, script: Option<&Path>| {
        let mut command = Command::new(program);
        command.args(script);
        command
    };
    let tokio = peers.join("component/release/component");
    let python = root.join("target/slixmpp/bin/python");
    let all: [(&str, usize, Command); 4] = [
        ("tokio_xmpp::Component 6.0", 100_000, command(&tokio, None)),
        (
            "slixmpp 1.17",
            20_000,
            command(&python, Some(&sources.join("answer.py"))),
        ),
        (
            "@xmpp/component 0.13",
            50_000,
            command(Path::new("node"), Some(&peers.join("node/answer.mjs"))),
        ),
        ("gloox 1.0", 50_000, command(&peers.join("gloox"), None)),
    ];
    for (name, n, command) in all {
        match best(n, command) {
            Ok(cost) => report(name, cost),
            Err(why) => println!("  {name:42} not measured: {why}"),
        }
    }
    let own = std::env::current_exe().unwrap();
    let cost = best_of(400_000, |port| {
        let mut command = Command::new(own.clone());
        command.arg(format!("--floor={port}"));
        command
    });
    report("the floor: reading and writing alone", cost.unwrap());
}

fn best(n: usize, command: Command) -> Result<Cost, String> {
    best_of(n, |port| {
        let mut with = Command::new(command.get_program());
        with.args(command.get_args()).arg(port.to_string());
        with
    })
}

fn best_of(n: usize, make: impl FnOnce(u16) -> Command) -> Result<Cost, String> {
    let mut subject = Subject::attach(make)?;
    let probe = |one: usize| {
        format!(
            "<presence type='probe' from='bot@remote.example/x' \
             to='u0\\40localhost@presence.localhost' id='p{one}'/>"
        )
    };
    let work = Work {
        stanza: &probe,
        mark: "</presence>",
        marks: None,
    };
    let costs = (0..ROUNDS).map(|_| subject.round(n, &work));
    Ok(costs.reduce(Cost::best).unwrap())
}
