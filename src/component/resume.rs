//! Commands that wait: taken up after a start, gone on with when the link or an agent has come, ended when
//! their time has. design.md §4 “No answer”.

use std::time::Duration;

use super::authorization::Interface;
use super::clock::Now;
use super::delivery::next;
use super::execution::{Asker, EXPIRES_CONFIRM_S, EXPIRES_S, End, Running, Stage, Way, finish};
use super::record::ExecutionState;
use super::timer::Timer;
use super::{Component, Turn, names, tell, web};
use crate::address::Bare;

/// So long after an attach her agents are not known yet: within it she is learned (protocol.md §4.2).
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// An agent's report about a command that it took in time may come so late (clocks differ).
const REPORT: Duration = Duration::from_secs(60);

/// Whether it is known by now which agents there are.
pub(super) fn is_settled(core: &Component, now: Now) -> bool {
    core.attached && core.attached_at + SETTLE <= now.mono
}

/// We have just attached: what waits is looked at again when it is known who is there.
pub(super) fn attached(core: &mut Component, now: Now) {
    core.attached_at = now.mono;
    core.timers.set(now.mono + SETTLE, Timer::Settled);
}

/// That is known now.
pub(super) fn settled(core: &mut Component, turn: &mut Turn) {
    if is_settled(core, turn.now) {
        go_on(core, turn, |one| matches!(one.stage, Stage::Waiting));
    }
}

/// An agent of hers has come. What was sent before a restart and may be repeated goes out again: to one that
/// has it already by the same name, so that it answers what it answered before.
pub(super) fn agent_came(core: &mut Component, turn: &mut Turn, user: &Bare) {
    go_on(core, turn, |one| {
        let again = one.sent && one.tried.is_empty() && one.right.may_repeat();
        one.user == *user
            && match one.stage {
                Stage::Waiting => true,
                Stage::Sent(_) => again,
                _ => false,
            }
    });
}

fn go_on(core: &mut Component, turn: &mut Turn, which: impl Fn(&Running) -> bool) {
    let now = turn.now.wall;
    let ids = core.running.iter().filter(|(id, one)| {
        let in_time = core
            .state
            .execution(id)
            .is_some_and(|known| now < known.expires);
        which(one) && (in_time || !one.may_be_sent())
    });
    let mut ids: Vec<_> = ids.map(|(id, _)| id.clone()).collect();
    ids.sort_unstable();
    for id in ids {
        next(core, turn, &id);
    }
}

/// Sets when a command expires, as its record has it now.
pub(super) fn set_expiry(core: &mut Component, now: Now, id: &str) {
    let Some(execution) = core.state.execution(id) else {
        return;
    };
    let left = execution.expires.0.saturating_sub(now.wall.0);
    // After a start by a clock that was set back it lives no longer than any of its kind does.
    let most_s = match execution.confirm || execution.prompt.is_some() {
        true => EXPIRES_CONFIRM_S,
        false => EXPIRES_S,
    };
    let ms = u64::try_from(left.min(1000 * most_s)).unwrap_or(0);
    let name = execution.agent_request_id().to_owned();
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    running.agent_request_id = name;
    let key = core.timers.set(
        now.mono + Duration::from_millis(ms),
        Timer::Expire(id.to_owned()),
    );
    if let Some(before) = running.expiry.replace(key) {
        core.timers.cancel(before);
    }
}

/// A command has expired: never sent it ends so; what may have been sent can still be reported for a while.
pub(super) fn expired(core: &mut Component, turn: &mut Turn, id: &str) {
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    match running.stage {
        // What is being written goes on when it is.
        Stage::Starting | Stage::Sending(_) | Stage::Ending(_) => {}
        _ if running.may_be_sent() => {
            let at = turn.now.mono + REPORT;
            running.expiry = Some(core.timers.set(at, Timer::Lapse(id.to_owned())));
        }
        Stage::Asked(..) => {
            let way = Way::Prompt(String::new());
            let end = End::new(ExecutionState::Expired, None, way);
            finish(core, turn, id, end, None);
        }
        _ => {
            let end = End::new(ExecutionState::Expired, None, Way::Agent);
            finish(core, turn, id, end, None);
        }
    }
}

/// Nobody has said how it ended.
pub(super) fn lapsed(core: &mut Component, turn: &mut Turn, id: &str) {
    let end = End::new(ExecutionState::Unknown, None, Way::Agent);
    finish(core, turn, id, end, None);
}

/// Takes up what was open when the component ended, each as far as its record says that it may have come.
pub(super) fn resume(core: &mut Component, now: Now) {
    names::resume(core, now.wall);
    web::resume(core, now);
    tell::resume(core, now);
    let open: Vec<_> = core
        .state
        .executions()
        .map(|(id, execution)| (id.clone(), execution.clone()))
        .collect();
    for (id, execution) in open {
        let agent_request_id = execution.agent_request_id().to_owned();
        let resource = execution.resource.map(Into::into);
        let (stage, sent) = match (execution.state, execution.prompt, resource) {
            (ExecutionState::Queued, Some(code), _) => (Stage::Asked(code, now.mono), false),
            (ExecutionState::Queued, None, _) => (Stage::Waiting, false),
            (ExecutionState::Accepted, _, Some(resource)) => (Stage::Accepted(resource), true),
            (_, _, Some(resource)) => (Stage::Sent(resource), true),
            (_, _, None) => (Stage::Waiting, true),
        };
        let asker = match execution.interface {
            Interface::Http => Asker::Web {
                call: None,
                asked: [0; 32],
                wait_s: 0,
            },
            _ => Asker::Nobody,
        };
        let running = Running {
            user: execution.user,
            watcher: execution.watcher,
            right: execution.right,
            agent_request_id,
            request_id: execution.request_id,
            asker,
            answered: true,
            stage,
            tried: Vec::new(),
            sent,
            answer: None,
            silence: None,
            expiry: None,
        };
        core.running.insert(id.clone(), running);
        set_expiry(core, now, &id);
    }
}
