//! What a step of a command writes: its record, the history, and a confirmed grant.

use std::collections::BTreeMap;

use super::authorization::{Confirm, Level, Right};
use super::clock::{Now, Wall};
use super::execution::{EXPIRES_CONFIRM_S, EXPIRES_S, Step, Way};
use super::face::cut;
use super::limits::{HISTORY_MAX, OUTCOME_CHARS_MAX};
use super::record::{Audit, Change, Execution, ExecutionState, Grant};
use super::reply::Refusal;
use super::request::{Request, denied};
use super::token::step as token;
use super::watcher::Watcher;
use super::{Component, Turn, face, uses};
use crate::address::Bare;

/// Finds the changes of a step, deciding again.
pub(super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    step: &mut Step,
) -> Result<Vec<Change>, Refusal> {
    let now = turn.now;
    match step {
        Step::Start {
            id,
            request,
            way,
            used,
        } => {
            let watcher = &request.asker();
            let confirm = denied(core.decision(turn, user, watcher, request.right))?;
            let shown = token::used(core, turn, user, watcher)?;
            let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
            let (counting, counted) = uses::count(core, turn, user, watcher, request.right).unzip();
            *used = counted.as_ref().map(|counted| counted.grant.clone());
            let agents = known.live.agents();
            let Some(agent) = agents.first().filter(|_| request.right == Right::OpenUrl) else {
                *way = Way::Message;
                let done = audit(core, request, ExecutionState::Completed);
                let mut changes = audited(core, user, now.wall, id, done);
                changes.extend(counting);
                changes.extend(shown);
                return Ok(changes);
            };
            *way = Way::Agent;
            let expires = if confirm {
                EXPIRES_CONFIRM_S
            } else {
                EXPIRES_S
            };
            let value = Execution {
                user: user.clone(),
                watcher: request.watcher.clone(),
                interface: request.interface,
                level: level(core, now, user, watcher),
                right: request.right,
                request_id: request.request_id.clone(),
                fields: request.fields.clone(),
                confirm,
                issued: now.wall,
                expires: now.wall.plus_s(expires),
                // Written before it is sent: after a crash it counts as sent.
                state: ExecutionState::Sent,
                resource: Some(agent.to_string()),
                token: request.token.clone(),
                agent_request_id: is_taken(core, user, id, &request.request_id).then(|| id.clone()),
                counted,
            };
            let begun = Change::Execution {
                id: id.clone(),
                value: Some(value),
            };
            Ok([begun].into_iter().chain(counting).chain(shown).collect())
        }
        Step::Finish {
            id,
            end,
            execution,
            used,
            ..
        } => {
            let Some(known) = core.state.execution(id) else {
                return Ok(Vec::new());
            };
            **execution = Some(known.clone());
            let done = Audit {
                watcher: known.watcher.bare.clone(),
                right: known.right,
                state: end.state,
                detail: detail(&known.fields),
                token: token::label(core, user, known.token.as_deref()),
            };
            let mut changes = vec![Change::Execution {
                id: id.clone(),
                value: None,
            }];
            changes.extend(audited(core, user, now.wall, id, done));
            changes.extend(confirmed(core, user, known, end.state));
            if let Some(given_back) = uses::give_back(core, user, known, end.state) {
                *used = known.counted.as_ref().map(|counted| counted.grant.clone());
                changes.push(given_back);
            }
            Ok(changes)
        }
    }
}

/// Whether another open request to the user's agents has this name.
fn is_taken(core: &Component, user: &Bare, id: &str, name: &str) -> bool {
    let mut others = core
        .running
        .iter()
        .filter(|(other, one)| *other != id && one.user == *user);
    others.any(|(_, one)| one.agent_request_id == name)
}

pub(super) fn level(core: &Component, now: Now, user: &Bare, watcher: &Watcher) -> Level {
    core.state.user(user).map_or(Level::Public, |known| {
        face::level(&core.settings, (user, known), watcher, now)
    })
}

fn detail(fields: &BTreeMap<String, String>) -> String {
    let text = fields.get("url").or_else(|| fields.get("text"));
    text.map(|text| cut(text, OUTCOME_CHARS_MAX))
        .unwrap_or_default()
}

fn audit(core: &Component, request: &Request, state: ExecutionState) -> Audit {
    Audit {
        watcher: request.watcher.bare.clone(),
        right: request.right,
        state,
        detail: detail(&request.fields),
        token: token::label(core, &request.user, request.token.as_deref()),
    }
}

/// One more line of history; the oldest ones give way.
pub(super) fn audited(
    core: &Component,
    user: &Bare,
    at: Wall,
    id: &str,
    audit: Audit,
) -> Vec<Change> {
    if core.state.stored(user).is_none() {
        return Vec::new(); // She has left: nothing is kept any more.
    }
    let line = |at, id: &str, value| Change::Audit {
        user: user.clone(),
        at,
        id: id.to_owned(),
        value,
    };
    let mut changes = vec![line(at, id, Some(audit))];
    if let Some(known) = core.state.user(user) {
        let surplus = (known.history.len() + 1).saturating_sub(HISTORY_MAX);
        changes.extend(
            known
                .history
                .keys()
                .take(surplus)
                .map(|(at, id)| line(*at, id, None)),
        );
    }
    changes
}

/// A grant that asks only the first time has been confirmed.
fn confirmed(
    core: &Component,
    user: &Bare,
    done: &Execution,
    state: ExecutionState,
) -> Option<Change> {
    if !done.confirm || state != ExecutionState::Completed {
        return None;
    }
    let watcher = done.watcher.bare.clone();
    let grant = core.state.user(user)?.grants.get(&watcher)?;
    if grant.confirm != Confirm::First || grant.confirmed || !grant.rights.contains(&done.right) {
        return None;
    }
    let value = Some(Grant {
        confirmed: true,
        ..grant.clone()
    });
    Some(Change::Grant {
        user: user.clone(),
        watcher,
        value,
    })
}
