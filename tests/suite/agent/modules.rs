//! Programs that the agent runs: exactly the arguments of the template, nothing else started, bounds on
//! all that it takes. security.md T41.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::bench::{AGENT, Bench, Component, NS_AGENT, form, told};
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, long};

/// Values that shells, option parsers, format strings, paths and terminals trip over. What is behind
/// `true` cannot be seen, and must be refused.
const FRAGMENTS: [(&str, bool); 46] = [
    ("$(touch CANARY)", false),
    ("`touch CANARY`", false),
    ("; touch CANARY #", false),
    ("| touch CANARY", false),
    ("&& touch CANARY", false),
    ("|| touch CANARY", false),
    ("> CANARY", false),
    ("< /etc/passwd", false),
    ("'; touch CANARY; '", false),
    ("\"; touch CANARY; \"", false),
    ("-", false),
    ("--", false),
    ("-rf", false),
    ("--help", false),
    ("-c", false),
    ("--exec=touch CANARY", false),
    ("{a}", false),
    ("{b}", false),
    ("{text}", false),
    ("%s%n%x", false),
    ("%PATH%", false),
    ("$HOME", false),
    ("${IFS}", false),
    ("$0 $@ $*", false),
    ("~root", false),
    ("*", false),
    ("?", false),
    ("[a-z]", false),
    ("\\", false),
    ("\\n", false),
    ("\\000", false),
    ("../../../../etc/passwd", false),
    ("/dev/stdin", false),
    ("file:///etc/passwd", false),
    ("!!", false),
    ("#", false),
    ("=", false),
    ("LD_PRELOAD=/x.so", false),
    ("<b>&amp;</b>", false),
    ("Grüße 世界 😀", false),
    ("plain", false),
    (" ", false),
    ("\n", true),
    ("\r", true),
    ("\u{202e}", true),
    ("\u{85}", true),
];

/// A sequence without luck: each test run has the same values.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// A value, and whether all of it can be seen.
    fn value(&mut self) -> (String, bool) {
        let mut text = String::new();
        let mut seen = true;
        for _ in 0..self.next(4) {
            // The last four are rare, or hardly a command would pass.
            let upper = if self.next(40) == 0 {
                FRAGMENTS.len()
            } else {
                FRAGMENTS.len() - 4
            };
            let (fragment, hidden) = FRAGMENTS[self.next(upper)];
            text.push_str(fragment);
            seen &= !hidden;
        }
        if self.next(50) == 0 {
            text.push_str(&"x".repeat(200));
        }
        (text, seen)
    }
}

/// 2,000 hostile values: the program sees what the template says, or is not run at all. The agent is
/// killed and restarted in the middle.
#[tokio::test]
async fn hostile_arguments_reach_the_program_as_the_template_says() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "never");
    let program = bench.recorder("record");
    let arguments = ["a", "b", "c", "d"]
        .map(|name| format!("[module.record.argument.{name}]\ntype = 'text'\nmax = 200\n"));
    let config = format!(
        "[start-module]\npolicy = 'always'\n[module.record]\nprogram = '{program}'\n\
         directory = '{}'\narguments = ['--opt={{a}}', '{{b}}', '--', '{{c}}', '{{d}}']\n{}",
        bench.path("").display(),
        arguments.concat()
    );
    bench.configure(&server, &config);
    let mut agent = bench.start()?;
    bench.wait_for_line(&agent, 0, "online as").await;

    let count = if long() { 900 } else { 500 };
    let mut sequence = Sequence(0x5eed_0f5e_ed0f_5eed);
    let mut expected = Vec::new();
    let mut refused = 0;
    for number in 0..count {
        let [a, b, c, d] = std::array::from_fn(|_| sequence.value());
        let id = format!("r{number}");
        let fields = [
            ("module", "record"),
            ("arg-a", &a.0),
            ("arg-b", &b.0),
            ("arg-c", &c.0),
            ("arg-d", &d.0),
        ];
        let payload = form("start-module", &id, &fields);
        let passes = [&a, &b, &c, &d]
            .iter()
            .all(|(text, seen)| *seen && text.chars().count() <= 200)
            && !b.0.starts_with('-');
        let run = vec![
            format!("--opt={}", a.0),
            b.0.clone(),
            "--".into(),
            c.0.clone(),
            d.0.clone(),
        ];
        if number == count / 2 {
            component
                .send(
                    "set",
                    "lost",
                    &form("start-module", "in-the-middle", &fields),
                )
                .await;
            agent.kill();
            let offset = agent.log_length();
            agent = bench.start()?;
            let online = format!("online as {AGENT}");
            bench.wait_for_line(&agent, offset, &online).await;
        }
        let answer = told(&component.request("set", &id, &payload).await);
        if passes {
            assert_eq!(answer, "completed info: record was started", "{run:?}");
            expected.push(run);
        } else {
            assert_eq!(answer, "not-acceptable", "{run:?}");
            refused += 1;
        }
    }
    assert!(
        expected.len() * 4 >= count * 2 && refused >= count / 20,
        "{} {refused}",
        expected.len()
    );
    let mut runs = bench.runs("record");
    assert!(
        (expected.len()..=expected.len() + 1).contains(&runs.len()),
        "{} runs, {} accepted",
        runs.len(),
        expected.len()
    );
    runs.sort_unstable();
    for run in &expected {
        let at = runs
            .binary_search(run)
            .unwrap_or_else(|_| panic!("{run:?} was not run so"));
        runs.remove(at);
    }
    // Nothing that a value names has been started: it would have left its mark here.
    let names = fs::read_dir(bench.path("")).unwrap();
    let names: BTreeSet<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known = [
        "agent.toml",
        "log",
        "opener",
        "password",
        "record",
        "record.runs",
        "state",
    ];
    assert_eq!(names, known.map(ToOwned::to_owned).into());
    assert_eq!(children(agent.id()), Vec::<String>::new());
    Ok(())
}

/// The processes whose parent is this one.
fn children(pid: u32) -> Vec<String> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

/// What a program finds around it.
#[tokio::test]
async fn a_program_gets_what_the_file_says_and_nothing_else() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "never");
    bench.recorder("chat");
    let module = |name: &str, rest: &str| format!("[module.{name}]\ntell = 'output'\n{rest}\n");
    let config = format!(
        "[start-module]\npolicy = 'always'\n[activate-client]\npolicy = 'always'\nprogram = ['{}', 'raise']\n\
         [ask]\nfrom = 'stdin'\n{}{}{}{}{}{}",
        bench.path("chat").display(),
        module(
            "files",
            "program = '/bin/ls'\narguments = ['-x', '/proc/self/fd']"
        ),
        module("place", "program = '/bin/pwd'\ndirectory = '/tmp'"),
        module(
            "variables",
            "program = '/usr/bin/env'\npass = ['MINE']\nenvironment = { SET = 'a b' }"
        ),
        module(
            "fails",
            "program = '/bin/sh'\narguments = ['-c', 'echo secret; exit 4']"
        ),
        module(
            "slow",
            "program = '/bin/sleep'\narguments = ['60']\ntime-limit = 1"
        ),
        module("hidden", "program = '/bin/true'\noffered = false"),
    );
    bench.configure(&server, &config);
    // Started with an open file that is not meant for the programs.
    let mut command = bench.command()?;
    command.env("MINE", "yes").env("LD_SECRET", "no");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec 7</etc/passwd; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.process_group(0);
    let agent = Process::spawn("vestibule-agent", shell, &bench.path("log"))?;
    bench.wait_for_line(&agent, 0, "online as").await;

    let mut start = async |name: &str| {
        let payload = form("start-module", name, &[("module", name)]);
        told(&component.request("set", name, &payload).await)
    };
    // The fourth is the folder that `ls` itself reads.
    assert_eq!(start("files").await, "completed info: 0  1  2  3");
    assert_eq!(start("place").await, "completed info: /tmp");
    let variables = start("variables").await;
    for part in ["MINE=yes", "SET=a b", "PATH="] {
        assert!(variables.contains(part), "{part} in {variables}");
    }
    for part in ["LD_SECRET", "RUST", "CARGO"] {
        assert!(!variables.contains(part), "{part} in {variables}");
    }
    assert_eq!(
        start("fails").await,
        "completed error: the program reported failure 4"
    );
    assert_eq!(
        start("slow").await,
        "completed error: the program was ended after 1 s"
    );
    assert_eq!(start("hidden").await, "item-not-found");
    assert_eq!(start("../files").await, "item-not-found");
    let raised = form("activate-client", "c", &[]);
    let answer = told(&component.request("set", "c", &raised).await);
    assert_eq!(answer, "completed info: the chat client was started");
    assert_eq!(bench.runs("chat"), [["raise"]]);
    // Who has no desktop reads a notification on the terminal.
    let notice = form("notify", "n", &[("text", "tea\nis ready")]);
    let answer = told(&component.request("set", "n", &notice).await);
    assert_eq!(answer, "completed info: shown");
    bench
        .wait_for_text("From bob@remote.example: tea is ready")
        .await;

    // What it serves is found where the component looks.
    let items = format!(
        "<query xmlns='http://jabber.org/protocol/disco#items' node='{NS_AGENT}#start-module'/>"
    );
    let items = component.request("get", "i", &items).await;
    let query = items
        .get_child("query", "http://jabber.org/protocol/disco#items")
        .unwrap();
    let nodes: Vec<_> = query
        .children()
        .filter_map(|item| item.attr("node"))
        .collect();
    let expected = ["files", "place", "variables", "fails", "slow"]
        .map(|name| format!("{NS_AGENT}#start-module/{name}"));
    assert_eq!(nodes, expected);
    assert!(
        agent
            .log_since(0)
            .contains("bob@remote.example start-module doing: place")
    );
    Ok(())
}

/// `check-config` tells what is wrong, or what is allowed, and connects to nobody.
#[tokio::test]
async fn a_file_can_be_checked_alone() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    let bench = Bench::new(&server, "pw", "always");
    bench.configure(
        &server,
        "[module.a]\nprogram = '/nonexistent'\n[[rule]]\npolicy = 'never'\nright = ['open-url']\n",
    );
    let check = || {
        let mut command =
            Process::command(&crate::support::built_binary("vestibule-agent").unwrap());
        command
            .arg("check-config")
            .arg("--config")
            .arg(bench.path("agent.toml"));
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "open-url: ask",
        "module a: /nonexistent",
        "/nonexistent is not there",
        "(not offered)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    bench.configure(
        &server,
        "[module.A]\nprogram = 'a'\n[[rule]]\npolicy = 'maybe'\n",
    );
    let (code, text) = check();
    assert_eq!(code, Some(64), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    Ok(())
}
