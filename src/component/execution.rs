//! Commands of watchers: accepted, written before they are sent, ended exactly once. design.md §4,
//! protocol.md §9.3, §9.4.

use super::authorization::Right;
use super::clock::Now;
use super::face::cut;
use super::limits::OUTCOME_CHARS_MAX;
use super::presence::ResourceName;
use super::record::{Execution, ExecutionState};
use super::reply::{Asked, Refusal};
use super::request::{Request, admit, denied, one_line};
use super::timer::{Timer, TimerKey};
use super::written::level;
use super::{Component, Turn, command, delivery, lane, relay};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;
use crate::stanza::command::{Severity, Status};
use crate::stanza::outcome::Outcome;

/// After this the watcher's IQ is answered `executing` (protocol.md §9.4).
const ANSWER_S: u64 = 25;
/// Without confirmation a command expires so long after it was accepted (design.md §4).
pub(super) const EXPIRES_S: i64 = 30;
/// With confirmation: a person needs time.
pub(super) const EXPIRES_CONFIRM_S: i64 = 600;

/// An agent's report about a command that it took in time may come so late (clocks differ).
const REPORT: std::time::Duration = std::time::Duration::from_secs(60);

/// Who waits for the end of a command.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// An ad-hoc command in a session.
    Iq { asked: Asked, session: String },
    /// A plain message to the presentity: only a refusal is answered.
    Message(Box<Inbound>),
    /// Nobody that could be answered any more: the component was restarted.
    Nobody,
}

/// What is known of a command only while it runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) user: Bare,
    pub(super) watcher: Address,
    pub(super) right: Right,
    pub(super) request_id: String,
    /// Its name at the agent.
    pub(super) agent_request_id: String,
    pub(super) asker: Asker,
    /// The watcher's IQ has been answered `executing`.
    pub(super) answered: bool,
    /// The resource that has the command.
    pub(super) resource: Option<ResourceName>,
    pub(super) tried: Vec<ResourceName>,
    /// A resource got it and has been silent.
    pub(super) sent: bool,
    /// The resource has said that it is at work.
    pub(super) accepted: bool,
    /// Its end is being written.
    pub(super) ending: bool,
    pub(super) timers: Vec<TimerKey>,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The component, by a message to the user.
    Message,
    /// An agent.
    Agent,
}

/// How a command has ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) state: ExecutionState,
    /// Words of the client; untrusted.
    pub(super) text: Option<String>,
    pub(super) way: Way,
}

impl End {
    pub(super) fn new(state: ExecutionState, text: Option<String>, way: Way) -> Self {
        let text = text.map(|text| cut(&one_line(&text), OUTCOME_CHARS_MAX));
        Self { state, text, way }
    }
}

/// A step that changes durable records.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The command is accepted.
    Start {
        id: String,
        request: Request,
        way: Way,
        /// The grant that it is a use of, found while planning.
        used: Option<Bare>,
    },
    /// It has ended.
    Finish {
        id: String,
        end: End,
        /// The agent's report, to be acknowledged.
        report: Option<Asked>,
        /// What has ended, found while planning.
        execution: Box<Option<Execution>>,
        /// The grant to which a use is given back, found while planning.
        used: Option<Bare>,
    },
}

/// Takes a request that has been read; everything about it is decided when its turn comes.
pub(super) fn request(core: &mut Component, turn: &mut Turn, request: Request, asker: Asker) {
    if let Err(refusal) = admit(core, turn, &request) {
        return refuse(core, asker, refusal);
    }
    let id = turn.chance.id();
    let user = request.user.clone();
    let mut running = Running {
        user: user.clone(),
        watcher: request.watcher.clone(),
        right: request.right,
        request_id: request.request_id.clone(),
        agent_request_id: request.request_id.clone(),
        asker,
        answered: false,
        resource: None,
        tried: Vec::new(),
        sent: false,
        accepted: false,
        ending: false,
        timers: Vec::new(),
    };
    if let Asker::Iq { session, .. } = &running.asker {
        core.run_in(session, &id);
        let at = turn.now.mono + std::time::Duration::from_secs(ANSWER_S);
        running
            .timers
            .push(core.timers.set(at, Timer::Answer(id.clone())));
    }
    core.running.insert(id.clone(), running);
    let step = Step::Start {
        id,
        request,
        way: Way::Message,
        used: None,
    };
    lane::submit(core, turn, &user, lane::Task::Execution(step));
}

fn refuse(core: &mut Component, asker: Asker, refusal: Refusal) {
    match asker {
        Asker::Iq { asked, session } => core.refuse_in(&asked, &session, refusal),
        Asker::Message(stanza) => core.send(super::reply::message_error(&stanza, &refusal)),
        Asker::Nobody => {}
    }
}

/// Goes on when a step is durable, or could not be made so.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    step: Step,
    result: Result<(), Refusal>,
) {
    if result.is_ok()
        && let Step::Start { used, .. } | Step::Finish { used, .. } = &step
        && let Some(who) = used
    {
        let given_back = matches!(step, Step::Finish { .. });
        core.tell_used(turn, user, who, given_back);
    }
    match (step, result) {
        (Step::Start { id, .. }, Err(refusal)) => {
            if let Some(running) = end(core, &id) {
                refuse(core, running.asker, refusal);
            }
        }
        (
            Step::Start {
                id,
                way: Way::Agent,
                ..
            },
            Ok(()),
        ) => {
            set_expiry(core, turn.now, &id);
            delivery::next(core, turn, &id);
        }
        (
            Step::Start {
                id,
                request,
                way: Way::Message,
                ..
            },
            Ok(()),
        ) => {
            let watcher = &request.asker();
            if let Err(refusal) = denied(core.decision_again(turn, user, watcher, request.right)) {
                // Taken away while it was written: it is not sent. The history says what was asked.
                if let Some(running) = end(core, &id) {
                    refuse(core, running.asker, refusal);
                }
                return;
            }
            let level = level(core, turn.now, user, watcher);
            relay::deliver(core, turn, &request, level);
            let note = match request.right {
                Right::OpenUrl => "She got the link as a message.",
                _ => "The message is on its way to her.",
            };
            conclude(
                core,
                turn,
                &id,
                ExecutionState::Completed,
                Some(note.into()),
            );
        }
        // What has happened is told even where its end could not be written.
        (
            Step::Finish {
                id,
                end,
                report,
                execution,
                ..
            },
            result,
        ) => {
            let End { state, text, way } = end;
            if let Some(asked) = report {
                core.answer(&asked, result.map(|()| None));
            }
            let Some(execution) = *execution else { return };
            let request = Request {
                user: user.clone(),
                watcher: execution.watcher,
                interface: execution.interface,
                token: execution.token,
                right: execution.right,
                request_id: execution.request_id,
                fields: execution.fields,
            };
            let note = match way {
                Way::Message => Some("She got the link as a message.".to_owned()),
                Way::Agent => text.clone(),
            };
            conclude(core, turn, &id, state, note);
            match way {
                Way::Message => relay::deliver(core, turn, &request, execution.level),
                Way::Agent => relay::report(core, turn, &request, state, text.as_deref()),
            }
        }
    }
}

fn set_expiry(core: &mut Component, now: Now, id: &str) {
    let Some(execution) = core.state.execution(id) else {
        return;
    };
    let ms = u64::try_from(execution.expires.0.saturating_sub(now.wall.0)).unwrap_or(0);
    let at = now.mono + std::time::Duration::from_millis(ms) + REPORT;
    if let Some(running) = core.running.get_mut(id) {
        execution
            .agent_request_id()
            .clone_into(&mut running.agent_request_id);
    }
    let key = core.timers.set(at, Timer::Expire(id.to_owned()));
    if let Some(running) = core.running.get_mut(id) {
        running.timers.push(key);
    }
}

/// Ends a command; the first word on it holds.
pub(super) fn finish(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    end: End,
    report: Option<Asked>,
) {
    let Some(running) = core.running.get_mut(id).filter(|running| !running.ending) else {
        return;
    };
    running.ending = true;
    let user = running.user.clone();
    let step = Step::Finish {
        id: id.to_owned(),
        end,
        report,
        execution: Box::new(None),
        used: None,
    };
    lane::submit(core, turn, &user, lane::Task::Execution(step));
}

/// The watcher's IQ cannot wait any longer.
pub(super) fn answer_late(core: &mut Component, id: &str) {
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    let Asker::Iq { asked, session } = running.asker.clone() else {
        return;
    };
    running.answered = true;
    let right = running.right;
    let note = (Severity::Info, "Waiting for the user.".to_owned());
    command::progress(core, &asked, &session, right, Status::Executing, note, None);
}

/// A watcher asks how its command goes on; its end is kept in the session.
pub(super) fn poll(
    core: &mut Component,
    asked: Asked,
    session: &str,
    id: Option<&str>,
    right: Right,
) {
    if id.is_some_and(|id| core.running.contains_key(id)) {
        let note = (Severity::Info, "Waiting for the user.".to_owned());
        return command::progress(core, &asked, session, right, Status::Executing, note, None);
    }
    match core.take_end(session) {
        Some((severity, note, form)) => {
            let note = (severity, note);
            command::progress(
                core,
                &asked,
                session,
                right,
                Status::Completed,
                note,
                Some(form),
            );
        }
        None => core.answer(&asked, Err(Refusal::SessionExpired)),
    }
}

/// Forgets a command and its timers.
fn end(core: &mut Component, id: &str) -> Option<Running> {
    let running = core.running.remove(id)?;
    for key in &running.timers {
        core.timers.cancel(*key);
    }
    Some(running)
}

/// Tells the watcher how its command has ended: in the IQ, else by an outcome message.
fn conclude(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    state: ExecutionState,
    text: Option<String>,
) {
    let Some(running) = end(core, id) else { return };
    let outcome = Outcome {
        request_id: running.request_id,
        right: running.right,
        state,
        at: Some(turn.now.wall),
        text: text.clone(),
    };
    let severity = match state {
        ExecutionState::Completed => Severity::Info,
        _ => Severity::Error,
    };
    let note = text.unwrap_or_else(|| relay::sentence(state).to_owned());
    let form = relay::result_form(&outcome, &note);
    match running.asker {
        Asker::Iq { asked, session } if !running.answered => {
            let (note, form) = ((severity, note), Some(form));
            command::progress(
                core,
                &asked,
                &session,
                running.right,
                Status::Completed,
                note,
                form,
            );
        }
        Asker::Iq { session, .. } => {
            core.keep_end(&session, (severity, note, form));
            relay::push(core, turn, &running.user, &running.watcher, &outcome);
        }
        Asker::Nobody => relay::push(core, turn, &running.user, &running.watcher, &outcome),
        Asker::Message(_) => {}
    }
}

impl Component {
    /// How many commands of such watchers are with a client of hers.
    pub(super) fn n_sent(&self, user: &Bare, is_of: impl Fn(&Bare) -> bool) -> usize {
        let of_user = self.running.values().filter(|one| one.user == *user);
        of_user
            .filter(|one| one.resource.is_some() && is_of(&one.watcher.bare))
            .count()
    }
}

/// Takes up what was open when the component ended: an agent may still report, else the end of each
/// stays unknown.
pub(super) fn resume(core: &mut Component, now: Now) {
    let open: Vec<_> = core
        .state
        .executions()
        .map(|(id, execution)| (id.clone(), execution.clone()))
        .collect();
    for (id, execution) in open {
        let agent_request_id = execution.agent_request_id().to_owned();
        let running = Running {
            user: execution.user,
            watcher: execution.watcher,
            right: execution.right,
            agent_request_id,
            request_id: execution.request_id,
            asker: Asker::Nobody,
            answered: true,
            resource: execution.resource.map(Into::into),
            tried: Vec::new(),
            sent: true,
            accepted: true,
            ending: false,
            timers: Vec::new(),
        };
        core.running.insert(id.clone(), running);
        set_expiry(core, now, &id);
    }
}
