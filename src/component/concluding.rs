//! What a watcher is told of its command: that it goes on, and how it has ended.

use super::authorization::Right;
use super::execution::{Asker, Running};
use super::record::ExecutionState;
use super::reply::{Asked, Refusal};
use super::{Component, Turn, command, relay, web};
use crate::stanza::command::{Severity, Status};
use crate::stanza::outcome::Outcome;

/// The watcher's IQ cannot wait any longer.
pub(super) fn answer_late(core: &mut Component, turn: &Turn, id: &str) {
    web::answer_late(core, turn, id);
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
            let (status, note) = (Status::Completed, (severity, note));
            command::progress(core, &asked, session, right, status, note, Some(form));
        }
        None => core.answer(&asked, Err(Refusal::SessionExpired)),
    }
}

/// Forgets a command and its timers.
pub(super) fn forget(core: &mut Component, id: &str) -> Option<Running> {
    let running = core.running.remove(id)?;
    let timers = [running.answer, running.silence, running.expiry];
    for key in timers.into_iter().flatten() {
        core.timers.cancel(key);
    }
    Some(running)
}

/// Tells the watcher how its command has ended: in the IQ, else by an outcome message.
pub(super) fn conclude(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    state: ExecutionState,
    text: Option<String>,
) {
    let Some(running) = forget(core, id) else {
        return;
    };
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
            let (right, note, form) = (running.right, (severity, note), Some(form));
            let status = Status::Completed;
            command::progress(core, &asked, &session, right, status, note, form);
        }
        Asker::Iq { session, .. } => {
            core.keep_end(&session, (severity, note, form));
            relay::push(core, turn, &running.user, &running.watcher, outcome);
        }
        Asker::Nobody => relay::push(core, turn, &running.user, &running.watcher, outcome),
        Asker::Web { call, .. } => web::concluded(core, turn, (id, call), state, Some(note)),
        Asker::Message(_) => {}
    }
}
