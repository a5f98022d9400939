//! Each right with what the user's file says about it.

use std::collections::BTreeMap;

use super::super::super::argument::{Argument, Type};
use super::super::super::program::Manner;
use super::super::super::rules::Rule;
use super::super::super::template::Template;
use super::*;

/// One module, a client and a reaction.
fn full() -> Settings {
    let argument = |name: &str, type_| Argument {
        name: name.into(),
        label: name.into(),
        type_,
        default: None,
    };
    let list = ["--day={day}", "--", "{words}"].map(ToOwned::to_owned);
    let module = Module {
        name: "agenda".into(),
        title: "The agenda".into(),
        offered: true,
        program: "/bin/agenda".into(),
        template: Template::new("/bin/agenda", &list, &["day", "words"]).unwrap(),
        arguments: vec![
            argument("day", Type::Choice(vec!["today".into()])),
            argument("words", Type::Text(20)),
        ],
        manner: Manner::window(),
    };
    let hidden = Module {
        name: "hidden".into(),
        offered: false,
        ..module.clone()
    };
    let client = Job {
        done: "started".into(),
        program: "gajim".into(),
        arguments: vec![],
        manner: Manner::window(),
    };
    let arguments = [("day", "today"), ("words", "{text}")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    Settings {
        modules: vec![module, hidden],
        client: Some(client),
        reactions: vec![Reaction {
            from: vec![],
            right: vec![],
            state: vec!["completed".into()],
            module: "hidden".into(),
            arguments: BTreeMap::from(arguments),
        }],
        ..settings(Policy::Never)
    }
}

fn asking(settings: Settings) -> Settings {
    let rules = Rules {
        notify: Policy::Ask,
        start_module: Policy::Ask,
        activate_client: Policy::Ask,
        ..settings.rules
    };
    Settings { rules, ..settings }
}

fn send(bench: &mut Bench, task: Task, more: &[(&'static str, &str)]) -> Vec<Decision> {
    let mut all = without("url");
    all.retain(|(name, _)| *name != "reason");
    for (name, value) in more {
        all.retain(|(known, _)| known != name);
        all.push((name, (*value).to_owned()));
    }
    let payload = command(&all).replace(OPEN_URL, &task.node());
    bench.take(&iq("a", "set", COMPONENT, &payload))
}

#[test]
fn a_module_is_started_with_what_its_template_says() {
    let mut bench = Bench::with(full());
    let fields = [
        ("module", "agenda"),
        ("arg-day", "today"),
        ("arg-words", "-x; $(y)"),
    ];
    let decisions = send(&mut bench, Task::StartModule, &fields);
    let (_, arguments) = run(&decisions);
    assert_eq!(arguments, ["--day=today", "--", "-x; $(y)"]);
    for (fields, expected) in [
        (
            &[("request-id", "2"), ("module", "hidden")][..],
            "a cancel item-not-found",
        ),
        (
            &[("request-id", "3"), ("module", "../agenda")],
            "a cancel item-not-found",
        ),
        (
            &[("request-id", "4"), ("module", "agenda")],
            "a modify not-acceptable",
        ),
        (
            &[
                ("request-id", "5"),
                ("module", "agenda"),
                ("arg-day", "never"),
                ("arg-words", ""),
            ],
            "a modify not-acceptable",
        ),
        (
            &[
                ("request-id", "6"),
                ("module", "agenda"),
                ("arg-day", "today"),
                ("arg-path", "/"),
            ],
            "a modify not-acceptable",
        ),
        (&[("request-id", "7")], "a modify bad-request bad-payload"),
    ] {
        let decisions = send(&mut bench, Task::StartModule, fields);
        assert_eq!(only(&decisions), expected, "{fields:?}");
    }
}

#[test]
fn she_is_asked_about_each_right_where_her_file_says_so() {
    let mut bench = Bench::with(asking(full()));
    let module = [
        ("module", "agenda"),
        ("arg-day", "today"),
        ("arg-words", "w"),
    ];
    for (task, fields, title) in [
        (Task::StartModule, &module[..], "asks to start “The agenda”"),
        (
            Task::Notify,
            &[("text", "hi")],
            "asks to show you a notification",
        ),
        (
            Task::ActivateClient,
            &[],
            "asks to bring up your chat client",
        ),
    ] {
        let decisions = send(&mut bench, task, fields);
        let [Decision::Send(_), Decision::Ask(question)] = decisions.as_slice() else {
            panic!("{decisions:?}");
        };
        assert!(question.title.ends_with(title), "{}", question.title);
        let done = bench.answer(question.ticket, Answer::Yes);
        assert!(matches!(done.as_slice(), [Decision::Do(..)]), "{done:?}");
    }
    let refused = send(
        &mut bench,
        Task::OpenUrl,
        &[("request-id", "2"), ("url", "https://example.org/")],
    );
    assert_eq!(only(&refused), "a cancel forbidden");
}

#[test]
fn a_notification_is_shown_with_its_sender_and_nothing_hidden() {
    let mut bench = Bench::with(full());
    let decisions = send(&mut bench, Task::Notify, &[("text", "a\u{202e}b\nc")]);
    let [Decision::Do(_, Act::Show { title, text }, _)] = decisions.as_slice() else {
        panic!("{decisions:?}");
    };
    assert_eq!(
        (title.as_str(), text.as_str()),
        ("From bob@remote.example", "ab c")
    );
    let client = send(&mut bench, Task::ActivateClient, &[]);
    assert!(run(&client).1.is_empty());
}

#[test]
fn a_rule_comes_before_the_section() {
    let mut settings = full();
    settings.rules.list = vec![Rule {
        from: vec![Bare::parse("remote.example").unwrap()],
        level: vec![],
        interface: vec![],
        right: vec![Task::Notify],
        domain: vec![],
        module: vec![],
        policy: Policy::Never,
    }];
    let mut bench = Bench::with(settings);
    assert_eq!(
        only(&send(&mut bench, Task::Notify, &[("text", "x")])),
        "a cancel forbidden"
    );
    let other = [("text", "x"), ("requester", "carol@other.example")];
    let shown = send(&mut bench, Task::Notify, &other);
    assert!(matches!(shown.as_slice(), [Decision::Do(..)]));
}

#[test]
fn a_report_is_taken_at_once_and_runs_what_was_named_for_it() {
    let mut bench = Bench::with(full());
    let report = [
        ("right", "start-module"),
        ("state", "completed"),
        ("text", "all\ngood"),
    ];
    // She is not asked, whatever the component says: she has named what is run.
    let confirmed = [&report[..], &[("confirm", "1")]].concat();
    let decisions = send(&mut bench, Task::Outcome, &confirmed);
    assert_eq!(only(&decisions[..1]), "a completed Info:taken");
    let (ticket, arguments) = run(&decisions[1..]);
    assert_eq!(arguments, ["--day=today", "--", "all good"]);
    assert!(
        bench.opened(ticket, Ok(())).is_empty(),
        "nothing more is told"
    );
    // The request itself may have had the same name.
    let same = send(
        &mut bench,
        Task::StartModule,
        &[
            ("module", "agenda"),
            ("arg-day", "today"),
            ("arg-words", "w"),
        ],
    );
    assert!(matches!(same.as_slice(), [Decision::Do(..)]));
    let nothing = [&report[..], &[("state", "failed"), ("request-id", "2")]].concat();
    let answer = only(&send(&mut bench, Task::Outcome, &nothing));
    assert_eq!(answer, "a completed Info:nothing to run for this report");
    let wrong = [&report[..], &[("state", "queued"), ("request-id", "3")]].concat();
    let answer = only(&send(&mut bench, Task::Outcome, &wrong));
    assert_eq!(answer, "a modify bad-request bad-payload");
    let long = [
        &report[..],
        &[("text", "much longer than twenty"), ("request-id", "4")],
    ]
    .concat();
    let answer = only(&send(&mut bench, Task::Outcome, &long));
    assert_eq!(
        answer, "a modify not-acceptable",
        "the module does not take it"
    );
}

fn ask(bench: &mut Bench, namespace: &str, node: &str, from: &str) -> Result<Element, String> {
    let query = format!("<query xmlns='{namespace}' node='{node}'/>");
    let decisions = bench.take(&iq("a", "get", from, &query));
    let [Decision::Send(answer)] = decisions.as_slice() else {
        panic!("{decisions:?}");
    };
    let payload = answer.get_child("query", namespace).cloned();
    payload.ok_or_else(|| summary(answer))
}

fn nodes(query: &Element) -> Vec<String> {
    let items = query.children();
    items
        .map(|item| {
            item.attr(xml_ncname!("node"))
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn the_component_finds_what_is_served_and_nobody_else_does() {
    let mut bench = Bench::with(full());
    let items = |bench: &mut Bench, node: &str| {
        ask(bench, ns::DISCO_ITEMS, node, COMPONENT).map(|query| nodes(&query))
    };
    let node = |name: &str| format!("urn:x-presence-service:agent:0#{name}");
    assert_eq!(
        items(&mut bench, NS_COMMANDS).unwrap(),
        ["notify", "start-module", "activate-client", "outcome"].map(node)
    );
    let modules = items(&mut bench, &Task::StartModule.node()).unwrap();
    assert_eq!(modules, [node("start-module/agenda")]);
    let info = ask(&mut bench, ns::DISCO_INFO, &modules[0], COMPONENT).unwrap();
    let text = String::from(&info);
    for part in [
        "category='automation'",
        "name='The agenda'",
        "<value>urn:x-presence-service:agent:0</value>",
        "<value>agenda</value>",
        "var='arg-day'",
        "<value>today</value>",
        "<regex>.{0,20}</regex>",
    ] {
        assert!(text.replace('"', "'").contains(part), "{part} in {text}");
    }
    let hidden = node("start-module/hidden");
    for unknown in [hidden.as_str(), OPEN_URL] {
        let answer = ask(&mut bench, ns::DISCO_INFO, unknown, COMPONENT);
        assert_eq!(answer.unwrap_err(), "a cancel item-not-found", "{unknown}");
    }
    for namespace in [ns::DISCO_INFO, ns::DISCO_ITEMS] {
        let answer = ask(&mut bench, namespace, &modules[0], "bob@remote.example/x");
        assert_eq!(answer.unwrap_err(), "a cancel item-not-found");
    }
}
