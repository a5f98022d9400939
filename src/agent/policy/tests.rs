use std::fmt::Write as _;

use super::*;
use crate::component::authorization::Right;
use crate::component::clock::Wall;
use crate::stanza::outcome::Outcome;

mod refusals;
mod repeats;
mod restart;
mod rights;

const COMPONENT: &str = "presence.localhost";
const OPEN_URL: &str = "urn:x-presence-service:agent:0#open-url";
const START: Wall = Wall(1_800_000_000_000);

/// An agent with a clock that stands still until it is moved.
struct Bench {
    agent: Agent,
    now: Now,
    draws: u8,
}

/// The fields of a good command.
fn fields(request_id: &str) -> Vec<(&'static str, String)> {
    let field = |name, value: &str| (name, value.to_owned());
    vec![
        field("FORM_TYPE", super::super::NS_AGENT),
        field("request-id", request_id),
        field("requester", "bob@remote.example"),
        field("level", "authorized"),
        field("interface", "public"),
        field("confirm", "0"),
        field("issued", &START.to_string()),
        field("expires", &START.plus_s(30).to_string()),
        field("url", "https://example.net/agenda"),
        field("reason", "The agenda"),
    ]
}

fn with(request_id: &str, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut fields = fields(request_id);
    fields.retain(|(known, _)| *known != name);
    fields.push((name, value.to_owned()));
    fields
}

fn without(name: &str) -> Vec<(&'static str, String)> {
    let mut fields = fields("r");
    fields.retain(|(known, _)| *known != name);
    fields
}

fn command(fields: &[(&str, String)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        let value = value.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(form, "<field var='{name}'><value>{value}</value></field>");
    }
    format!(
        "<command xmlns='{NS_COMMANDS}' node='{OPEN_URL}' action='execute'>\
         <x xmlns='jabber:x:data' type='submit'>{form}</x></command>"
    )
}

fn stanza(text: &str) -> Element {
    Element::from_reader_with_prefixes(text.as_bytes(), "jabber:client".to_owned()).unwrap()
}

fn iq(id: &str, type_: &str, from: &str, payload: &str) -> Element {
    stanza(&format!(
        "<iq type='{type_}' id='{id}' from='{from}' to='alice@localhost/desk'>{payload}</iq>"
    ))
}

fn settings(open_url: Policy) -> Settings {
    let list = ["xdg-open", "{url}"].map(ToOwned::to_owned);
    Settings {
        component: Bare::parse(COMPONENT).unwrap(),
        rules: Rules {
            open_url,
            notify: Policy::Always,
            start_module: Policy::Always,
            activate_client: Policy::Always,
            list: Vec::new(),
        },
        opener: Opener::new(&list).unwrap(),
        modules: Vec::new(),
        client: None,
        reactions: Vec::new(),
    }
}

impl Bench {
    fn new(open_url: Policy) -> Self {
        Self::with(settings(open_url))
    }

    fn with(settings: Settings) -> Self {
        let mut agent = Agent::new(settings);
        agent.can_ask(true);
        let mut bench = Self {
            agent,
            now: Now {
                mono: Duration::from_secs(100),
                wall: START,
            },
            draws: 0,
        };
        assert!(bench.online().is_empty());
        bench
    }

    fn online(&mut self) -> Vec<Decision> {
        let mut chance = self.chance();
        plain(
            self.agent
                .online(self.now, &mut chance, "alice@localhost/desk"),
        )
    }

    fn pass(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus_s(seconds);
        self.now.mono += Duration::from_secs(seconds.unsigned_abs());
    }

    fn chance(&mut self) -> Chance {
        self.draws = self.draws.wrapping_add(1);
        Chance::new([self.draws; 16])
    }

    /// What it decides on a stanza, without the lines of the log.
    fn take(&mut self, stanza: &Element) -> Vec<Decision> {
        let mut chance = self.chance();
        plain(self.agent.stanza(self.now, &mut chance, stanza))
    }

    fn send(&mut self, id: &str, fields: &[(&str, String)]) -> Vec<Decision> {
        self.take(&iq(id, "set", COMPONENT, &command(fields)))
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) -> Vec<Decision> {
        let mut chance = self.chance();
        plain(self.agent.answered(self.now, &mut chance, ticket, answer))
    }

    fn opened(&mut self, ticket: Ticket, result: Result<(), &str>) -> Vec<Decision> {
        let mut chance = self.chance();
        let result = result
            .map(|()| "opened".to_owned())
            .map_err(ToOwned::to_owned);
        plain(self.agent.ended(self.now, &mut chance, ticket, result))
    }

    /// The ticket of a command that is asked about.
    fn asked(&mut self, id: &str, fields: &[(&str, String)]) -> Ticket {
        let decisions = self.send(id, fields);
        let [Decision::Send(reply), Decision::Ask(question)] = decisions.as_slice() else {
            panic!("not asked: {decisions:?}");
        };
        assert_eq!(summary(reply), format!("{id} executing"));
        question.ticket
    }

    /// The ticket of a command that is run at once.
    fn opening(&mut self, id: &str, fields: &[(&str, String)]) -> Ticket {
        let decisions = self.send(id, fields);
        let [Decision::Do(ticket, _, _)] = decisions.as_slice() else {
            panic!("not run: {decisions:?}");
        };
        *ticket
    }
}

/// Without the lines of the log and of the state file.
fn plain(mut decisions: Vec<Decision>) -> Vec<Decision> {
    decisions.retain(|decision| !matches!(decision, Decision::Log(_) | Decision::Keep(_)));
    decisions
}

/// An answer in a few words: id, and the conditions or the status with its notes.
fn summary(reply: &Element) -> String {
    assert_eq!(reply.name(), "iq");
    let mut text = reply.attr(xml_ncname!("id")).unwrap().to_owned();
    if let Some(error) = reply.get_child("error", ns::JABBER_CLIENT) {
        let _ = write!(text, " {}", error.attr(xml_ncname!("type")).unwrap());
        for condition in error.children().filter(|child| child.name() != "text") {
            let _ = write!(text, " {}", condition.name());
        }
    } else if let Some(payload) = reply.get_child("command", NS_COMMANDS) {
        let status = payload.attr(xml_ncname!("status")).unwrap();
        let _ = write!(text, " {status}");
        for (severity, note) in Command::read(payload).unwrap().notes {
            let _ = write!(text, " {severity:?}:{note}");
        }
    } else {
        let payload = reply.children().next().map_or("nothing", Element::name);
        let _ = write!(text, " result {payload}");
    }
    text
}

/// The one answer, in a few words.
fn only(decisions: &[Decision]) -> String {
    match decisions {
        [Decision::Send(reply)] => summary(reply),
        other => panic!("not one answer: {other:?}"),
    }
}

/// The one program that is run: its ticket and its arguments.
fn run(decisions: &[Decision]) -> (Ticket, Vec<String>) {
    let [Decision::Do(ticket, Act::Run(job), record)] = decisions else {
        panic!("not one program: {decisions:?}");
    };
    assert!(matches!(record.step, Step::Begun(_)));
    (*ticket, job.arguments.clone())
}

/// The one late report: state and text.
fn report(decisions: &[Decision]) -> (String, ExecutionState, String) {
    let [Decision::Send(iq)] = decisions else {
        panic!("not one report: {decisions:?}");
    };
    assert_eq!(iq.attr(xml_ncname!("type")), Some("set"));
    assert_eq!(iq.attr(xml_ncname!("to")), Some(COMPONENT));
    let outcome = Outcome::read(iq.children().next().unwrap()).unwrap();
    assert_eq!(outcome.right, Right::OpenUrl);
    (outcome.request_id, outcome.state, outcome.text.unwrap())
}

#[test]
fn always_runs_and_tells_how_it_went() {
    let mut bench = Bench::new(Policy::Always);
    let first = bench.opening("a", &fields("r1"));
    assert_eq!(
        only(&bench.opened(first, Ok(()))),
        "a completed Info:opened"
    );
    let second = bench.opening("b", &fields("r2"));
    let failed = bench.opened(second, Err("no\u{202e}pe"));
    assert_eq!(only(&failed), "b completed Error:nope");
    assert!(bench.opened(second, Ok(())).is_empty());
}

#[test]
fn asking_is_answered_at_once_and_reported_late() {
    let mut bench = Bench::new(Policy::Ask);
    let yes = bench.asked("a", &fields("r1"));
    let decisions = bench.answer(yes, Answer::Yes);
    let (ticket, arguments) = run(&decisions);
    assert_eq!(
        (ticket, arguments.as_slice()),
        (yes, ["https://example.net/agenda".to_owned()].as_slice())
    );
    assert!(bench.answer(yes, Answer::No).is_empty(), "answered twice");
    let done = report(&bench.opened(yes, Ok(())));
    assert_eq!(
        done,
        ("r1".into(), ExecutionState::Completed, "opened".into())
    );

    for (number, answer) in [Answer::No, Answer::Silence, Answer::Gone]
        .into_iter()
        .enumerate()
    {
        let id = format!("n{number}");
        let no = bench.asked(&id, &fields(&id));
        let (request_id, state, _) = report(&bench.answer(no, answer));
        assert_eq!((request_id, state), (id, ExecutionState::Refused));
    }
    let failing = bench.asked("f", &fields("r3"));
    bench.answer(failing, Answer::Yes);
    let (_, state, text) = report(&bench.opened(failing, Err("broken")));
    assert_eq!((state, text.as_str()), (ExecutionState::Failed, "broken"));
}

#[test]
fn a_yes_after_the_end_is_a_no() {
    let mut bench = Bench::new(Policy::Ask);
    let late = bench.asked("a", &fields("r1"));
    bench.pass(31);
    let (_, state, _) = report(&bench.answer(late, Answer::Yes));
    assert_eq!(state, ExecutionState::Refused);
}

/// confirm, policy, whether anybody can be asked: what is done.
#[test]
fn who_is_asked_is_decided_by_component_and_file() {
    let done = |confirm: &str, policy, can_ask| {
        let mut bench = Bench::new(policy);
        bench.agent.can_ask(can_ask);
        let decisions = bench.send("a", &with("r", "confirm", confirm));
        match decisions.as_slice() {
            [Decision::Do(..)] => "run".to_owned(),
            [Decision::Send(_), Decision::Ask(_)] => "ask".to_owned(),
            other => only(other),
        }
    };
    let refused = "a cancel forbidden";
    for (confirm, policy, can_ask, expected) in [
        ("0", Policy::Always, true, "run"),
        ("false", Policy::Always, false, "run"),
        ("1", Policy::Always, true, "ask"),
        ("true", Policy::Always, true, "ask"),
        ("", Policy::Always, true, "ask"),
        ("1", Policy::Always, false, refused),
        ("0", Policy::Ask, true, "ask"),
        ("1", Policy::Ask, true, "ask"),
        ("0", Policy::Ask, false, refused),
        ("1", Policy::Ask, false, refused),
        ("0", Policy::Never, true, refused),
        ("1", Policy::Never, true, refused),
        ("0", Policy::Never, false, refused),
    ] {
        let found = done(confirm, policy, can_ask);
        assert_eq!(
            found, expected,
            "confirm {confirm:?}, {policy:?}, {can_ask}"
        );
    }
}

#[test]
fn only_the_bare_component_commands() {
    let mut bench = Bench::new(Policy::Always);
    for from in [
        "presence.localhost/vestibule",
        "x@presence.localhost",
        "localhost",
        "alice@localhost",
        "alice@localhost/desk",
        "presence.localhost.evil.example",
        "xpresence.localhost",
        "@",
    ] {
        let asked = iq("a", "set", from, &command(&fields("r")));
        assert_eq!(only(&bench.take(&asked)), "a cancel forbidden", "{from}");
    }
    let nobody = stanza(&format!(
        "<iq type='set' id='a'>{}</iq>",
        command(&fields("r"))
    ));
    assert_eq!(only(&bench.take(&nobody)), "a cancel forbidden");
    // Their request's name is not taken by that.
    bench.opening("b", &fields("r"));
}

#[test]
fn a_command_is_run_in_its_time_only() {
    let mut bench = Bench::new(Policy::Always);
    let expiring = |id: &str, at: i64| with(id, "expires", &START.plus_s(at).to_string());
    let late = bench.send("a", &expiring("r1", -61));
    assert_eq!(only(&late), "a modify not-acceptable");
    bench.opening("b", &expiring("r2", -60));
    bench.opening("c", &expiring("r3", 0));
}

#[test]
fn a_question_ends_with_its_command() {
    let until = |at: i64| {
        let mut bench = Bench::new(Policy::Ask);
        let fields = with("r", "expires", &START.plus_s(at).to_string());
        let decisions = bench.send("a", &fields);
        let Some(Decision::Ask(question)) = decisions.last() else {
            panic!("not asked: {decisions:?}");
        };
        question.until
    };
    assert_eq!(until(30), START.plus_s(28));
    assert_eq!(until(-10), START.plus_s(48), "their clock is behind");
    assert_eq!(until(86_400), START.plus_s(600), "names are kept no longer");
}

#[test]
fn the_rules_for_addresses_are_applied_again() {
    let mut bench = Bench::new(Policy::Always);
    for url in [
        "http://example.org/",
        "file:///etc/passwd",
        "https://127.1/",
        "javascript:1",
    ] {
        let answer = only(&bench.send("a", &with(url, "url", url)));
        assert_eq!(answer, "a modify not-acceptable", "{url}");
    }
    let decisions = bench.send("b", &with("r", "url", "HTTPS://EXAMPLE.org"));
    assert_eq!(run(&decisions).1, ["https://example.org/"]);
}

#[test]
fn each_command_leaves_a_line_in_the_log() {
    let mut bench = Bench::new(Policy::Never);
    let mut chance = bench.chance();
    let asked = iq("a", "set", COMPONENT, &command(&fields("r")));
    let decisions = bench.agent.stanza(bench.now, &mut chance, &asked);
    let lines: Vec<_> = decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Log(line) => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        lines,
        ["bob@remote.example open-url refused: the user does not allow this"]
    );
}
