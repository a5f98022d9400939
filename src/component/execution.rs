//! Commands of watchers: accepted, written before they are sent, ended exactly once. design.md §4,
//! protocol.md §9.3, §9.4.
//!
//! ```text
//! Starting ─┬─► done by the component itself: its record is its end
//!           ├─► Asked ──────────────► (her yes) done by the component
//!           └─► Waiting ─► Sending ─► Sent ─► Accepted ─► Ending
//! ```
//!
//! What is stored is never behind what has happened: `queued` was not sent, `sent` may have been.

use super::authorization::Right;
use super::concluding::{conclude, forget};
use super::face::cut;
use super::limits::OUTCOME_CHARS_MAX;
use super::presence::ResourceName;
use super::record::{Execution, ExecutionState};
use super::reply::{Asked, Refusal};
use super::request::{Request, admit, named_module, one_line};
pub(super) use super::running::{Asker, Running, Stage};
use super::setting::Reply;
use super::timer::Timer;
use super::watcher::Watcher;
use super::written::level;
use super::{
    Component, Turn, command, delivery, lane, offer, prompt, relay, reported, resume, tell, web,
};
use crate::address::Bare;
use crate::stanza::outcome::Outcome;

/// After this the watcher's IQ is answered `executing` (protocol.md §9.4).
const ANSWER_S: u64 = 25;
/// Without confirmation a command expires so long after it was accepted (design.md §4).
pub(super) const EXPIRES_S: i64 = 30;
/// With confirmation: a person needs time.
pub(super) const EXPIRES_CONFIRM_S: i64 = 600;
/// An end that could not be written is written again after this.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Who does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The component itself: by a message to the user, or in her own records.
    Message,
    /// An agent.
    Agent,
    /// The component, when she has said yes to the question with this code.
    Prompt(String),
}

/// How a command has ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) state: ExecutionState,
    /// Words of the client; untrusted.
    pub(super) text: Option<String>,
    pub(super) way: Way,
    /// She is not to be asked again for this.
    pub(super) always: bool,
    /// Her answer to the question in chat: where it is acknowledged.
    pub(super) reply: Reply,
}

impl End {
    pub(super) fn new(state: ExecutionState, text: Option<String>, way: Way) -> Self {
        let text = text.map(|text| cut(&one_line(&text), OUTCOME_CHARS_MAX));
        let (always, reply) = (false, Reply::Nobody);
        Self {
            state,
            text,
            way,
            always,
            reply,
        }
    }

    /// The right is gone before anything was done.
    pub(super) fn take_away(&mut self) {
        self.state = ExecutionState::Refused;
        self.text = Some("The right was taken away.".to_owned());
        self.way = Way::Agent;
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
    /// It goes to a resource.
    Send { id: String, resource: ResourceName },
    /// The resource has said that it is at work.
    Accept { id: String },
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
    /// The watcher has reported its own result of a request that has ended.
    Report { asked: Asked, outcome: Outcome },
    /// It was written down as done, and then the right was gone before it was.
    Amend { id: String },
}

/// Takes a request that has been read; everything about it is decided when its turn comes.
pub(super) fn request(core: &mut Component, turn: &mut Turn, request: Request, asker: Asker) {
    if let Err(refusal) = admit(core, turn, &request) {
        return refuse(core, asker, None, refusal);
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
        stage: Stage::Starting,
        tried: Vec::new(),
        sent: false,
        answer: None,
        silence: None,
        expiry: None,
    };
    if let Asker::Iq { session, .. } = &running.asker {
        core.run_in(session, &id);
        let at = turn.now.mono + std::time::Duration::from_secs(ANSWER_S);
        running.answer = Some(core.timers.set(at, Timer::Answer(id.clone())));
    }
    if let Asker::Web { asked, wait_s, .. } = running.asker {
        web::admitted(core, turn, &id, &request, asked);
        let at = turn.now.mono + std::time::Duration::from_secs(wait_s);
        running.answer = Some(core.timers.set(at, Timer::Answer(id.clone())));
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

/// `id`: the command's own name, where it has one yet.
fn refuse(core: &mut Component, asker: Asker, id: Option<&str>, refusal: Refusal) {
    match asker {
        Asker::Iq { asked, session } => core.refuse_in(&asked, &session, refusal),
        Asker::Web { call, .. } => web::refused(core, id, call, &refusal),
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
    match step {
        Step::Start {
            id, request, way, ..
        } => match result {
            Ok(()) => started(core, turn, user, &id, &request, way),
            Err(refusal) => {
                if let Some(running) = forget(core, &id) {
                    refuse(core, running.asker, Some(id.as_str()), refusal);
                }
            }
        },
        Step::Report { asked, outcome } => {
            reported::done(core, turn, user, (&asked, outcome), result);
        }
        Step::Send { id, resource } => delivery::recorded(core, turn, &id, &resource, result),
        // Had it not been written, it would be sent once more after a crash, where that does no harm.
        Step::Accept { .. } | Step::Amend { .. } => {}
        Step::Finish {
            id,
            end,
            report,
            execution,
            ..
        } => match result {
            Ok(()) => finished(core, turn, user, &id, end, report, *execution),
            Err(refusal) => unwritten(core, turn, &id, end, report, refusal),
        },
    }
}

fn started(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    id: &str,
    request: &Request,
    way: Way,
) {
    let (watcher, name) = (&request.watcher.bare, &request.request_id);
    core.names.note(user, watcher, name, turn.now.wall);
    match way {
        Way::Agent => {
            resume::set_expiry(core, turn.now, id);
            delivery::begin(core, turn, id);
        }
        Way::Prompt(code) => {
            resume::set_expiry(core, turn.now, id);
            prompt::ask(core, turn, id, &code);
        }
        Way::Message => {
            let watcher = &request.asker();
            let (right, module) = (request.right, request.module());
            // A status is set already; what she takes away meanwhile waits behind it, and takes it along.
            if right != Right::SetStatus
                && let Err(refusal) = offer::permit_again(core, turn, user, watcher, right, module)
            {
                // Taken away while it was written: it is not done.
                amend(core, turn, user, id);
                if let Some(running) = forget(core, id) {
                    refuse(core, running.asker, Some(id), refusal);
                }
                return;
            }
            let level = level(core, turn.now, user, watcher);
            if right != Right::SetStatus || tell::is_now(core, turn, user, id, (right, level)) {
                relay::deliver(core, turn, request, level);
            }
            let note = Some(relay::delivered(request));
            conclude(core, turn, id, ExecutionState::Completed, note);
        }
    }
}

fn amend(core: &mut Component, turn: &mut Turn, user: &Bare, id: &str) {
    let step = Step::Amend { id: id.to_owned() };
    lane::submit(core, turn, user, lane::Task::Execution(step));
}

/// It has ended, and that is durable.
fn finished(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    id: &str,
    mut end: End,
    report: Option<Asked>,
    execution: Option<Execution>,
) {
    if let Some(asked) = report {
        core.answer(&asked, Ok(None));
    }
    let Some(execution) = execution else {
        return command::acknowledge(core, turn, end.reply, Err(Refusal::ItemNotFound));
    };
    let right = execution.right;
    let request = Request::of(&execution);
    let watcher = request.asker();
    // A status has been set with its end.
    let does_it = end.way == Way::Message && right != Right::SetStatus;
    if does_it && offer::permit_again(core, turn, user, &watcher, right, None).is_err() {
        // Taken away while it was written: it is not done.
        amend(core, turn, user, id);
        end.take_away();
    }
    let note = match end.way {
        Way::Message => Some(relay::delivered(&request)),
        Way::Agent | Way::Prompt(_) => end.text.clone(),
    };
    // What is done by a message goes out before anybody is told that it is done: it cannot be lost alone.
    let told = end.way != Way::Message;
    if !told {
        relay::end(core, turn, (id, &request), execution.level, &end);
    }
    conclude(core, turn, id, end.state, note);
    prompt::acknowledge(core, turn, &request, &watcher, &end);
    if told {
        relay::end(core, turn, (id, &request), execution.level, &end);
    }
}

/// Its end could not be written: nobody is told, so that nobody is told another one later. It is written
/// again; what waits for her word goes on waiting.
fn unwritten(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    mut end: End,
    report: Option<Asked>,
    refusal: Refusal,
) {
    let prompt = core
        .state
        .execution(id)
        .and_then(|known| known.prompt.clone());
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    if let (Some(code), ExecutionState::Completed) = (prompt, end.state) {
        running.stage = Stage::Asked(code, turn.now.mono);
        return command::acknowledge(core, turn, end.reply, Err(refusal));
    }
    // An IQ is not left without an answer for so long.
    let waits = matches!(end.reply, Reply::Command { .. });
    let reply = waits.then(|| std::mem::replace(&mut end.reply, Reply::Nobody));
    running.stage = Stage::Ending(Some(Box::new((end, report))));
    let at = turn.now.mono + AGAIN;
    core.timers.set(at, Timer::Again(id.to_owned()));
    if let Some(reply) = reply {
        command::acknowledge(core, turn, reply, Err(Refusal::Unsaved));
    }
}

/// Writes an end once more.
pub(super) fn again(core: &mut Component, turn: &mut Turn, id: &str) {
    if let Some(running) = core.running.get_mut(id)
        && let Stage::Ending(unsaved) = &mut running.stage
        && let Some((end, report)) = unsaved.take().map(|unsaved| *unsaved)
    {
        let user = running.user.clone();
        write_end(core, turn, &user, id, end, report);
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
    let Some(running) = core.running.get_mut(id).filter(|one| !one.is_ending()) else {
        return;
    };
    running.stage = Stage::Ending(None);
    let user = running.user.clone();
    write_end(core, turn, &user, id, end, report);
}

fn write_end(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    id: &str,
    end: End,
    report: Option<Asked>,
) {
    let step = Step::Finish {
        id: id.to_owned(),
        end,
        report,
        execution: Box::new(None),
        used: None,
    };
    lane::submit(core, turn, user, lane::Task::Execution(step));
}

/// What she has taken away is looked for among what has not been sent: it ends now. What the operator takes
/// away, of the component itself, is so for everybody.
pub(super) fn review(core: &mut Component, turn: &mut Turn, whose: &Bare) {
    let of_all = whose == core.settings.domain.bare();
    let open = core.running.iter().filter(|(_, one)| {
        (of_all || one.user == *whose)
            && !one.may_be_sent()
            && matches!(one.stage, Stage::Asked(..) | Stage::Waiting)
    });
    let open: Vec<_> = open.map(|(id, _)| id.clone()).collect();
    for id in open {
        let Some(execution) = core.state.execution(&id) else {
            continue;
        };
        let watcher = Watcher::of(execution);
        let module = named_module(execution.right, &execution.fields);
        let (user, right) = (&execution.user, execution.right);
        if offer::permit_again(core, turn, user, &watcher, right, module).is_err() {
            let way = execution.prompt.clone().map_or(Way::Agent, Way::Prompt);
            let text = Some("The right was taken away.".to_owned());
            let end = End::new(ExecutionState::Refused, text, way);
            finish(core, turn, &id, end, None);
        }
    }
}

impl Component {
    /// How many commands of such watchers are with a client of hers.
    pub(super) fn n_sent(&self, user: &Bare, is_of: impl Fn(&Bare) -> bool) -> usize {
        let of_user = self.running.values().filter(|one| one.user == *user);
        of_user
            .filter(|one| one.may_be_sent() && is_of(&one.watcher.bare))
            .count()
    }
}

#[cfg(test)]
mod tests;
