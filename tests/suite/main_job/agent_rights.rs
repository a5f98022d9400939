//! Every right that the real `vestibule-agent` carries out, and the report of a watcher that reaches it: offered
//! while it is there, done by the programs that her file names with just what was filled in, gone when it goes.

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use minidom::Element;
use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{NS_OUTCOME, command_of, completed, fill_in, node_of, submit_at_once, value};
use super::real_agent::{configured, is_there, place};
use super::stage::{
    ALICE, ALICE_FULL, SOON, Stage, body_of, condition, expect_message, is_presence, query,
    request, rights, say,
};

const STOP: Duration = Duration::from_secs(20);
/// What only an agent can do.
const AGENTS_OWN: [&str; 2] = ["activate-client", "start-module"];
/// What a shell would trip over.
const WORDS: &str = "$(id) `id` '; true \"x\" -n";

pub(super) async fn are_carried_out(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut friend = stage.login("stranger", "home").await?;
    let all = "grant stranger@localhost see open-url notify start-module activate-client";
    say(&mut alice, all, "may now").await;
    friend.send(stanza("<presence/>")).await;
    let subscribe = format!("<presence type='subscribe' to='{ALICE}'/>");
    friend.send(stanza(&subscribe)).await;
    let seen = friend
        .expect("her presence", SOON, |e| is_presence(e, ALICE_FULL, None))
        .await;
    assert!(AGENTS_OWN.iter().all(|right| !offers(&seen, right)));

    let desk = Desk::new();
    let mut agent = desk.start(&stage)?;
    is_there(&mut alice).await;
    // Without her word about modules he starts none.
    friend
        .expect("what her agent brings", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && offers(e, "activate-client")
        })
        .await;
    let fields = [("module", "lock"), ("arg-door", "back")];
    let node = node_of("start-module");
    let refused = submit_at_once(&mut friend, ALICE, &node, &fields).await;
    assert_eq!(refused.attr("type"), Some("error"), "{refused:?}");
    // She reads what there is, and chooses.
    let offered = say(&mut alice, "modules", "lock").await;
    assert!(offered.contains("Lock a door"), "{offered}");
    assert!(!offered.contains("told"), "{offered}");
    say(&mut alice, "modules stranger@localhost lock", "lock").await;
    let until = Instant::now() + SOON;
    while !offers(&query(&mut friend).await, "start-module") {
        assert!(Instant::now() < until, "start-module is never offered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    opens_and_notifies(&mut friend, &mut alice, &desk, &agent).await;
    starts(&mut friend, &mut alice, &desk).await;
    activates(&mut friend, &mut alice, &desk).await;
    reports(&mut friend, &mut alice, &desk).await;

    friend.forget();
    agent.terminate(STOP).await?;
    friend
        .expect("her presence without its rights", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && AGENTS_OWN.iter().all(|right| !offers(e, right))
        })
        .await;
    for right in AGENTS_OWN {
        let refused = submit_at_once(&mut friend, ALICE, &node_of(right), &fields).await;
        assert_eq!(condition(&refused), "forbidden", "{right}");
    }

    // It comes again, and so does what it brings; killed, it goes as well.
    friend.forget();
    let mut agent = desk.start(&stage)?;
    friend
        .expect("what her agent brings, again", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && AGENTS_OWN.iter().all(|right| offers(e, right))
        })
        .await;
    friend.forget();
    agent.kill();
    friend
        .expect("her presence without a killed agent", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && AGENTS_OWN.iter().all(|right| !offers(e, right))
        })
        .await;
    Ok(())
}

fn offers(element: &Element, right: &str) -> bool {
    rights(element).1.iter().any(|name| name == right)
}

async fn opens_and_notifies(friend: &mut Client, alice: &mut Client, desk: &Desk, agent: &Process) {
    let page = "https://example.net/agenda?x=$(id)&y=%27;%20true";
    let answer = submit_at_once(friend, ALICE, &node_of("open-url"), &[("url", page)]).await;
    assert_eq!(completed(&answer).0, "info", "{answer:?}");
    desk.has_done(&format!("<open> <{page}>")).await;
    expect_message(alice, "(done)").await;

    let said = agent.log_length();
    let fields = [("text", "Build done")];
    let answer = submit_at_once(friend, ALICE, &node_of("notify"), &fields).await;
    let (severity, words) = completed(&answer);
    assert_eq!(severity, "info", "{answer:?}");
    assert!(!words.contains("as a message"), "{words}");
    let until = Instant::now() + SOON;
    let is_shown = |shown: &str| {
        ["Build done", "stranger@localhost"]
            .iter()
            .all(|part| shown.contains(part))
    };
    while !is_shown(&agent.log_since(said)) {
        assert!(Instant::now() < until, "{}", agent.log_since(said));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    expect_message(alice, "Build done").await;
}

async fn starts(friend: &mut Client, alice: &mut Client, desk: &Desk) {
    let node = node_of("start-module");
    // What is not of its type, and what she has not chosen for him, reaches no program.
    for fields in [
        &[("module", "lock"), ("arg-door", "roof")][..],
        &[
            ("module", "lock"),
            ("arg-door", "back"),
            ("arg-times", "10"),
        ],
        &[("module", "lock")],
        &[("module", "agenda")],
        &[("module", "told"), ("arg-state", "completed")],
    ] {
        let refused = submit_at_once(friend, ALICE, &node, fields).await;
        assert_eq!(condition(&refused), "bad-request", "{fields:?}");
    }
    let fields = [
        ("module", "lock"),
        ("arg-door", "back"),
        ("arg-times", "3"),
        ("arg-words", WORDS),
    ];
    let (answer, ()) = tokio::join!(
        fill_in(friend, ALICE, &node, &fields),
        desk.say_yes("asks to start")
    );
    let (severity, words) = completed(&answer);
    assert_eq!(severity, "info", "{answer:?}");
    assert!(words.contains("locked"), "what the program says: {words}");
    let outcome = value(command_of(&answer), "outcome");
    assert_eq!(outcome.as_deref(), Some("completed"));
    desk.has_done(&format!("<lock> <--door=back> <--times=3> <--> <{WORDS}>"))
        .await;
    let told = expect_message(alice, "(done)").await;
    for part in ["stranger@localhost", "lock", "door=back"] {
        assert!(body_of(&told).contains(part), "{told:?}");
    }
    // What may be left out has the value of her file.
    let fields = [("module", "lock"), ("arg-door", "front")];
    desk.submit(friend, "start-module", &fields).await;
    desk.has_done("<lock> <--door=front> <--times=1> <--> <>")
        .await;
    expect_message(alice, "(done)").await;

    // A program that fails is told as that.
    say(alice, "modules stranger@localhost lock, broken", "broken").await;
    let fields = [("module", "broken")];
    let answer = desk.submit(friend, "start-module", &fields).await;
    assert_eq!(completed(&answer).0, "error", "{answer:?}");
    let outcome = value(command_of(&answer), "outcome");
    assert_eq!(outcome.as_deref(), Some("failed"));
    expect_message(alice, "failed").await;
}

async fn activates(friend: &mut Client, alice: &mut Client, desk: &Desk) {
    let answer = desk.submit(friend, "activate-client", &[]).await;
    assert_eq!(completed(&answer).0, "info", "{answer:?}");
    desk.has_done("<chat> <--raise>").await;
    expect_message(alice, "chat client").await;
}

/// He says how a request of his has ended on his side; her file names what is run for it.
async fn reports(friend: &mut Client, alice: &mut Client, desk: &Desk) {
    let fields = [
        ("module", "lock"),
        ("arg-door", "back"),
        ("request-id", "r-1"),
    ];
    completed(&desk.submit(friend, "start-module", &fields).await);
    expect_message(alice, "(done)").await;
    let outcome = |id: &str, words: &str| {
        let mut outcome = stanza(&format!(
            "<outcome xmlns='{NS_OUTCOME}' request-id='{id}' right='start-module' state='completed'/>"
        ));
        outcome.append_text_node(words);
        outcome
    };
    let never_made = request(friend, ALICE, "set", outcome("r-2", "x")).await;
    assert_eq!(condition(&never_made), "item-not-found");
    let taken = request(friend, ALICE, "set", outcome("r-1", "Paid; $(id)")).await;
    assert_eq!(taken.attr("type"), Some("result"), "{taken:?}");
    desk.has_done("<told> <completed> <stranger@localhost> <r-1> <--> <Paid; $(id)>")
        .await;
    let told = expect_message(alice, "reports about start-module").await;
    assert!(body_of(&told).contains("Paid; $(id)"), "{told:?}");
    // Once is enough.
    let again = request(friend, ALICE, "set", outcome("r-1", "Again")).await;
    assert_eq!(again.attr("type"), Some("error"), "{again:?}");
    assert!(!desk.done().contains("Again"));
}

/// Her agent's folder, with programs that write down what they were given.
struct Desk {
    folder: tempfile::TempDir,
    /// How often she has been asked.
    asked: Cell<usize>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done").display().to_string();
        let script = format!(
            "#!/bin/sh\n{{ printf '<%s>' \"$1\"; shift; test $# -eq 0 || printf ' <%s>' \"$@\"; echo; }} >> '{done}'\n\
             echo locked\n"
        );
        place(folder.path(), "program", &script, 0o700);
        Self {
            folder,
            asked: Cell::new(0),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, stage: &Stage) -> Result<Process, Failure> {
        let program = self.path().join("program").display().to_string();
        let sections = format!(
            "[open-url]\npolicy = 'always'\nopener = ['{program}', 'open', '{{url}}']\n\
             [start-module]\npolicy = 'always'\n\
             [activate-client]\npolicy = 'always'\nprogram = ['{program}', 'chat', '--raise']\n\
             [module.lock]\ntitle = 'Lock a door'\nprogram = '{program}'\ntell = 'output'\n\
             arguments = ['lock', '--door={{door}}', '--times={{times}}', '--', '{{words}}']\n\
             [module.lock.argument.door]\ntype = 'choice'\nof = ['front', 'back']\n\
             [module.lock.argument.times]\ntype = 'number'\nmin = 1\nmax = 9\ndefault = '1'\n\
             [module.lock.argument.words]\ntype = 'text'\nmax = 100\ndefault = ''\n\
             [module.agenda]\nprogram = '{program}'\narguments = ['agenda']\n\
             [module.broken]\nprogram = '/bin/false'\n\
             [module.told]\noffered = false\nprogram = '{program}'\n\
             arguments = ['told', '{{state}}', '{{who}}', '{{id}}', '--', '{{words}}']\n\
             [module.told.argument.state]\ntype = 'choice'\nof = ['completed', 'failed']\n\
             [module.told.argument.who]\ntype = 'pattern'\npattern = '[a-z@]+'\n\
             [module.told.argument.id]\ntype = 'pattern'\npattern = '[a-z0-9][a-z0-9-]*'\n\
             [module.told.argument.words]\ntype = 'text'\nmax = 100\ndefault = ''\n\
             [[on-outcome]]\nfrom = ['stranger@localhost']\nright = ['start-module']\n\
             state = ['completed']\nmodule = 'told'\n\
             arguments = {{ state = '{{state}}', who = '{{requester}}', id = '{{request-id}}', words = '{{text}}' }}\n"
        );
        let command = configured(stage, self.path(), &sections)?;
        Process::spawn("vestibule-agent", command, &self.path().join("agent.log"))
    }

    /// Runs a command about which the agent asks her, as the ceiling wants it, and she says yes.
    async fn submit(&self, friend: &mut Client, right: &str, fields: &[(&str, &str)]) -> Element {
        let node = node_of(right);
        let submitted = submit_at_once(friend, ALICE, &node, fields);
        let (answer, ()) = tokio::join!(submitted, self.say_yes("asks to"));
        answer
    }

    /// Waits until the agent asks once more, and types yes.
    async fn say_yes(&self, question: &str) {
        let log = self.path().join("agent.log");
        let asked = self.asked.get();
        let until = Instant::now() + SOON;
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let n = text.matches("[y/N]").count();
            if n > asked {
                assert!(text.contains(question), "{text}");
                self.asked.set(n);
                break;
            }
            assert!(Instant::now() < until, "she is never asked: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let keyboard = self.path().join("keyboard");
        let mut keyboard = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(keyboard)
            .unwrap();
        keyboard.write_all(b"y\n").unwrap();
    }

    fn done(&self) -> String {
        std::fs::read_to_string(self.path().join("done")).unwrap_or_default()
    }

    /// Waits until this is the last line that was written down, and it is there once.
    async fn has_done(&self, line: &str) {
        let until = Instant::now() + SOON;
        while self.done().lines().last() != Some(line) {
            assert!(Instant::now() < until, "not {line:?}, but {}", self.done());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let done = self.done();
        assert_eq!(done.lines().filter(|one| *one == line).count(), 1, "{done}");
    }
}
