//! Repeats, bounds, and what the component gives up.

use super::*;

#[test]
fn a_repeat_gets_the_first_answer_and_runs_nothing() {
    // Asked: while it is asked, and after.
    let mut bench = Bench::new(Policy::Ask);
    let ticket = bench.asked("a", &fields("r"));
    let session = |decisions: &[Decision]| match decisions {
        [Decision::Send(reply)] => reply.get_child("command", NS_COMMANDS).cloned().unwrap(),
        other => panic!("not one answer: {other:?}"),
    };
    let again = session(&bench.send("b", &fields("r")));
    bench.answer(ticket, Answer::No);
    bench.pass(599);
    // A repeat that says something else is still a repeat.
    let other = with("r", "url", "https://evil.example/");
    assert_eq!(session(&bench.send("c", &other)), again);
    // Run: while it runs, and after.
    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    assert!(bench.send("b", &fields("r")).is_empty());
    let answers = bench.opened(ticket, Ok(()));
    let answers: Vec<_> = answers
        .iter()
        .map(|one| only(std::slice::from_ref(one)))
        .collect();
    assert_eq!(
        answers,
        ["a completed Info:opened", "b completed Info:opened"]
    );
    assert_eq!(
        only(&bench.send("c", &fields("r"))),
        "c completed Info:opened"
    );
    // Refused: with the same words.
    let bad = with("r9", "url", "https://localhost/");
    assert_eq!(only(&bench.send("a", &bad)), "a modify not-acceptable");
    assert_eq!(
        only(&bench.send("b", &fields("r9"))),
        "b modify not-acceptable"
    );
    // Names belong to the requester.
    bench.opening("d", &with("r", "requester", "carol@remote.example"));
    // After ten minutes the name is free again; by then the command has long expired.
    bench.pass(600);
    let fresh = START.plus_s(700).to_string();
    bench.opening("e", &with("r", "expires", &fresh));
}

#[test]
fn what_is_open_and_what_is_kept_is_bounded() {
    let mut bench = Bench::new(Policy::Ask);
    let tickets: Vec<_> = (0..OPEN_MAX)
        .map(|number| bench.asked("a", &fields(&format!("r{number}"))))
        .collect();
    assert_eq!(
        only(&bench.send("b", &fields("more"))),
        "b wait resource-constraint"
    );
    bench.answer(tickets[0], Answer::No);
    bench.asked("c", &fields("more"));

    let mut bench = Bench::new(Policy::Never);
    for number in 0..KEPT_MAX {
        let answer = only(&bench.send("a", &fields(&format!("r{number}"))));
        assert_eq!(answer, "a cancel forbidden");
    }
    assert_eq!(
        only(&bench.send("b", &fields("more"))),
        "b wait resource-constraint"
    );
    assert_eq!(only(&bench.send("c", &fields("r0"))), "c cancel forbidden");
    bench.pass(600);
    assert_eq!(
        only(&bench.send("d", &fields("more"))),
        "d modify not-acceptable"
    );

    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    for _ in 1..WAITING_MAX {
        assert!(bench.send("b", &fields("r")).is_empty());
    }
    assert_eq!(
        only(&bench.send("c", &fields("r"))),
        "c wait resource-constraint"
    );
    assert_eq!(bench.opened(ticket, Ok(())).len(), WAITING_MAX);
}

#[test]
fn the_component_may_give_up_while_she_is_asked() {
    let mut bench = Bench::new(Policy::Ask);
    let first = bench.asked("a", &fields("r1"));
    let second = bench.asked("b", &fields("r2"));
    let session = |bench: &Bench, ticket: Ticket| bench.agent.works[&ticket].sessionid.clone();
    let cancel = |sessionid: &str, action: &str| {
        let payload = format!(
            "<command xmlns='{NS_COMMANDS}' node='{OPEN_URL}' action='{action}' \
             sessionid='{sessionid}'/>"
        );
        iq("c", "set", COMPONENT, &payload)
    };
    let id = session(&bench, first);
    assert_eq!(
        only(&bench.take(&cancel(&id, "next"))),
        "c modify bad-request bad-action"
    );
    let decisions = bench.take(&cancel(&id, "cancel"));
    assert_eq!(decisions[0], Decision::Withdraw(first));
    assert_eq!(only(&decisions[1..]), "c canceled");
    assert!(bench.answer(first, Answer::Yes).is_empty());
    assert_eq!(
        only(&bench.take(&cancel(&id, "cancel"))),
        "c modify bad-request bad-sessionid"
    );
    // What is being opened goes on, and is reported.
    bench.answer(second, Answer::Yes);
    let id = session(&bench, second);
    assert_eq!(only(&bench.take(&cancel(&id, "cancel"))), "c canceled");
    let (_, state, _) = report(&bench.opened(second, Ok(())));
    assert_eq!(state, ExecutionState::Completed);
}
