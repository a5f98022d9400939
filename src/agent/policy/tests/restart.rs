//! What outlives a stream and the agent itself: names, ends, reports.

use super::super::super::journal::Entry;
use super::super::super::reports::REPORT_LIFE;
use super::*;

/// Folds what was kept, as the state file does.
#[derive(Default)]
struct Disk(IndexMap<Key, Entry>);

impl Disk {
    fn keep(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            let (Decision::Keep(record) | Decision::Do(_, _, record)) = decision else {
                continue;
            };
            super::super::super::journal::take(&mut self.0, record);
        }
    }

    fn entries(&self) -> Vec<(Key, Entry)> {
        let entries = self.0.iter();
        entries
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }
}

impl Bench {
    /// All that is decided on a command, with what is kept.
    fn raw(&mut self, disk: &mut Disk, fields: &[(&str, String)]) -> Vec<Decision> {
        let mut chance = self.chance();
        let asked = iq("a", "set", COMPONENT, &command(fields));
        let decisions = self.agent.stanza(self.now, &mut chance, &asked);
        disk.keep(&decisions);
        plain(decisions)
    }

    /// Another agent over the same disk, some seconds later, and what it sends when it is online.
    fn restarted(&self, disk: &Disk, policy: Policy, seconds: i64) -> (Self, Vec<Decision>) {
        let mut agent = Agent::new(settings(policy));
        agent.can_ask(true);
        let mut bench = Self {
            agent,
            now: self.now,
            draws: 99,
        };
        bench.pass(seconds);
        let kept = bench.agent.restore(bench.now, disk.entries());
        assert!(plain(kept).is_empty());
        let sent = bench.online();
        (bench, sent)
    }
}

fn id_of(decisions: &[Decision]) -> String {
    let [Decision::Send(iq)] = decisions else {
        panic!("{decisions:?}");
    };
    iq.attr(xml_ncname!("id")).unwrap().to_owned()
}

#[test]
fn what_was_running_is_not_run_again() {
    let (mut bench, mut disk) = (Bench::new(Policy::Always), Disk::default());
    let decisions = bench.raw(&mut disk, &fields("r"));
    assert!(matches!(decisions.as_slice(), [Decision::Do(..)]));
    let (mut later, sent) = bench.restarted(&disk, Policy::Always, 5);
    let (request_id, state, text) = report(&sent);
    assert_eq!((request_id.as_str(), state), ("r", ExecutionState::Failed));
    assert!(text.contains("not known"));
    let repeat = only(&later.send("b", &fields("r")));
    assert!(repeat.starts_with("b completed Error:"), "{repeat}");
    // The answer that another requester gets is its own.
    later.opening("c", &with("r", "requester", "carol@remote.example"));
}

#[test]
fn what_was_asked_is_refused_and_keeps_its_first_answer() {
    let (mut bench, mut disk) = (Bench::new(Policy::Ask), Disk::default());
    let first = bench.raw(&mut disk, &fields("r"));
    let Decision::Send(first) = &first[0] else {
        panic!()
    };
    let (mut later, sent) = bench.restarted(&disk, Policy::Ask, 5);
    assert_eq!(report(&sent).1, ExecutionState::Refused);
    let again = later.send("a", &fields("r"));
    assert_eq!(again, [Decision::Send(first.clone())]);
    later.pass(601);
    let fresh = with("r", "expires", &later.now.wall.plus_s(30).to_string());
    later.asked("b", &fresh);
}

#[test]
fn a_report_goes_out_until_it_is_taken_across_streams_and_restarts() {
    let (mut bench, mut disk) = (Bench::new(Policy::Ask), Disk::default());
    let decisions = bench.raw(&mut disk, &fields("r"));
    let Some(Decision::Ask(question)) = decisions.last() else {
        panic!()
    };
    let mut chance = bench.chance();
    bench.agent.offline(bench.now);
    let ended = bench
        .agent
        .answered(bench.now, &mut chance, question.ticket, Answer::No);
    disk.keep(&ended);
    assert!(plain(ended).is_empty(), "there is no stream");
    let (mut later, sent) = bench.restarted(&disk, Policy::Ask, 60);
    assert_eq!(report(&sent).1, ExecutionState::Refused);
    let absent = format!(
        "<iq type='error' id='{}' from='{COMPONENT}'><error type='cancel'>\
         <service-unavailable xmlns='{}'/></error></iq>",
        id_of(&sent),
        ns::XMPP_STANZAS
    );
    assert!(later.take(&stanza(&absent)).is_empty());
    later.pass(3);
    let mut chance = later.chance();
    let again = later.agent.due(later.now, &mut chance);
    let taken = |from: &str| {
        stanza(&format!(
            "<iq type='result' id='{}' from='{from}'/>",
            id_of(&again)
        ))
    };
    // Nobody else can take it.
    let forged = later
        .agent
        .stanza(later.now, &mut chance, &taken("bob@remote.example"));
    assert!(forged.is_empty());
    let done = later
        .agent
        .stanza(later.now, &mut chance, &taken(COMPONENT));
    assert!(matches!(done.as_slice(), [Decision::Keep(_)]), "{done:?}");
    disk.keep(&done);
    assert!(later.restarted(&disk, Policy::Ask, 1).1.is_empty());
}

#[test]
fn a_report_that_nobody_takes_is_given_up() {
    let (mut bench, mut disk) = (Bench::new(Policy::Ask), Disk::default());
    bench.raw(&mut disk, &fields("r"));
    let (mut later, sent) = bench.restarted(&disk, Policy::Ask, 5);
    assert_eq!(sent.len(), 1);
    later.pass(i64::try_from(REPORT_LIFE.as_secs()).unwrap());
    let mut chance = later.chance();
    let over = later.agent.due(later.now, &mut chance);
    assert!(
        matches!(over.as_slice(), [Decision::Log(_), Decision::Keep(_)]),
        "{over:?}"
    );
    assert_eq!(later.agent.deadline(), None);
}

#[test]
fn what_runs_long_is_answered_and_reported_late() {
    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    assert_eq!(bench.agent.deadline(), Some(Duration::from_secs(110)));
    bench.pass(10);
    let mut chance = bench.chance();
    let decisions = plain(bench.agent.due(bench.now, &mut chance));
    assert_eq!(only(&decisions), "a executing");
    assert_eq!(only(&bench.send("b", &fields("r"))), "b executing");
    assert_eq!(bench.agent.deadline(), None);
    let (_, state, text) = report(&bench.opened(ticket, Ok(())));
    assert_eq!(
        (state, text.as_str()),
        (ExecutionState::Completed, "opened")
    );
}

#[test]
fn an_answer_that_was_lost_with_the_stream_is_reported() {
    // It ends while there is no stream.
    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    bench.agent.offline(bench.now);
    assert!(bench.opened(ticket, Ok(())).is_empty());
    assert_eq!(report(&bench.online()).1, ExecutionState::Completed);
    // It ended just before.
    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    bench.opened(ticket, Ok(()));
    bench.agent.offline(bench.now);
    bench.pass(20);
    assert_eq!(report(&bench.online()).1, ExecutionState::Completed);
    let mut bench = Bench::new(Policy::Always);
    let ticket = bench.opening("a", &fields("r"));
    bench.opened(ticket, Ok(()));
    bench.pass(100);
    bench.agent.offline(bench.now);
    assert!(bench.online().is_empty(), "long ago");
}

#[test]
fn of_what_was_answered_only_the_last_is_reported_after_a_restart() {
    let (mut bench, mut disk) = (Bench::new(Policy::Always), Disk::default());
    for number in 0..30 {
        let id = format!("r{number}");
        let decisions = bench.raw(&mut disk, &fields(&id));
        let ticket = run(&decisions).0;
        let mut chance = bench.chance();
        let ended = bench
            .agent
            .ended(bench.now, &mut chance, ticket, Ok("opened".into()));
        disk.keep(&ended);
        if number < 15 {
            bench.pass(1);
        }
    }
    let (_, sent) = bench.restarted(&disk, Policy::Always, 1);
    let ids: Vec<_> = sent
        .iter()
        .map(|one| report(std::slice::from_ref(one)).0)
        .collect();
    let expected: Vec<_> = (22..30).map(|number| format!("r{number}")).collect();
    assert_eq!(ids, expected);
    assert!(
        bench.restarted(&disk, Policy::Always, 61).1.is_empty(),
        "long ago"
    );
}
