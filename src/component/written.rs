//! What a step of a command writes: its record, the history, and a confirmed grant.

use std::collections::BTreeMap;

use super::authorization::{Confirm, Level, Right};
use super::clock::{Now, Wall};
use super::execution::{EXPIRES_CONFIRM_S, EXPIRES_S, Step, Way};
use super::face::cut;
use super::limits::{HISTORY_MAX, OUTCOME_CHARS_MAX};
use super::record::{Audit, Change, Execution, ExecutionState, Grant};
use super::reply::Refusal;
use super::request::{Request, named_module};
use super::token::step as token;
use super::watcher::Watcher;
use super::{
    Component, Turn, delivery, face, offer, prompt, relay, reported, resume, set_status, tell, uses,
};
use crate::address::Bare;

/// Finds the changes of a step, deciding again.
pub(super) fn plan(
    core: &Component,
    turn: &mut Turn,
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
        } => start(core, turn, user, id, (request, way, used)),
        Step::Send { id, resource } => {
            let Some(known) = core.state.execution(id) else {
                return Ok(Vec::new());
            };
            let watcher = Watcher::of(known);
            let module = named_module(known.right, &known.fields);
            offer::permit_again(core, turn, user, &watcher, known.right, module)?;
            let mut value = known.clone();
            value.state = ExecutionState::Sent;
            value.resource = Some(resource.to_string());
            if !value.confirm {
                value.expires = now.wall.plus_s(EXPIRES_S);
            }
            Ok(put(id, value))
        }
        Step::Accept { id } => Ok(match core.state.execution(id) {
            Some(known) => {
                let mut value = known.clone();
                value.state = ExecutionState::Accepted;
                put(id, value)
            }
            None => Vec::new(),
        }),
        Step::Report { asked, outcome } => reported::plan(core, user, asked, outcome),
        Step::Amend { id } => Ok(amended(core, user, id)),
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
            let mut changes = vec![Change::Execution {
                id: id.clone(),
                value: None,
            }];
            // After her yes. What is set is set with the end, so it is decided here for the last time.
            if end.way == Way::Message && known.right == Right::SetStatus {
                let request = Request::of(known);
                match offer::permit_again(core, turn, user, &request.asker(), known.right, None) {
                    Ok(_) => changes.extend(set_status::plan(core, turn, user, &request)?),
                    Err(_) => end.take_away(),
                }
            }
            let done = Audit {
                watcher: known.watcher.bare.clone(),
                right: known.right,
                state: end.state,
                request_id: Some(known.request_id.clone()),
                reported: false,
                token: token::label(core, user, known.token.as_deref()),
                detail: detail(known.right, &known.fields),
                untold: tells(known.right, &end.way)
                    && tell::waits(core, user, known.right, known.level),
                untold_before: 0,
                clock: None,
            };
            changes.extend(audited(core, user, now.wall, id, done));
            if end.always {
                changes.extend(prompt::no_more(core, now, user, known));
            } else {
                changes.extend(confirmed(core, user, known, end.state));
            }
            if let Some(given_back) = uses::give_back(core, user, known, end.state) {
                *used = known.counted.as_ref().map(|counted| counted.grant.clone());
                changes.push(given_back);
            }
            Ok(changes)
        }
    }
}

fn put(id: &str, value: Execution) -> Vec<Change> {
    let id = id.to_owned();
    vec![Change::Execution {
        id,
        value: Some(value),
    }]
}

/// What is written of a new command before anything of it happens: what the component does itself is one
/// line of history, everything else a record that says how far it may have come.
fn start(
    core: &Component,
    turn: &mut Turn,
    user: &Bare,
    id: &str,
    (request, way, used): (&Request, &mut Way, &mut Option<Bare>),
) -> Result<Vec<Change>, Refusal> {
    let now = turn.now;
    let watcher = &request.asker();
    let right = request.right;
    let module = request.module();
    let confirm = offer::permit(core, turn, user, watcher, right, module)?;
    let shown = token::used(core, turn, user, watcher)?;
    let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
    let agents = offer::agents((user, known), &watcher.bare, now.wall, right, module);
    let agent = agents
        .into_iter()
        .next()
        .filter(|_| delivery::is_for_agents(right));
    let waits = agent.is_none() && !resume::is_settled(core, now);
    let (counting, counted) = uses::count(core, turn, user, watcher, right).unzip();
    *used = counted.as_ref().map(|counted| counted.grant.clone());
    *way = if delivery::is_for_agents(right) && (agent.is_some() || waits) {
        Way::Agent
    } else if delivery::is_for_agents(right) && !delivery::becomes_a_message(right) {
        return Err(Refusal::Forbidden); // Nobody is there who does it.
    } else if confirm && !delivery::becomes_a_message(right) {
        Way::Prompt(prompt::admit(core, turn, user, watcher)?)
    } else {
        let untold = tells(right, &Way::Message)
            && tell::waits(core, user, right, level(core, now, user, watcher));
        let done = Audit {
            untold,
            ..audit(core, request, ExecutionState::Completed)
        };
        *way = Way::Message;
        let mut changes = set_status::plan(core, turn, user, request)?;
        changes.extend(audited(core, user, now.wall, id, done));
        changes.extend(counting);
        changes.extend(shown);
        return Ok(changes);
    };
    let expires = match confirm {
        true => EXPIRES_CONFIRM_S,
        false => EXPIRES_S,
    };
    let (resource, prompt) = match way {
        Way::Prompt(code) => (None, Some(code.clone())),
        _ => (agent.map(|agent| agent.to_string()), None),
    };
    let value = Execution {
        user: user.clone(),
        watcher: request.watcher.clone(),
        interface: request.interface,
        level: level(core, now, user, watcher),
        right,
        request_id: request.request_id.clone(),
        fields: request.fields.clone(),
        confirm,
        issued: now.wall,
        expires: now.wall.plus_s(expires),
        // Written before it is sent: after a crash it counts as sent.
        state: match resource {
            Some(_) => ExecutionState::Sent,
            None => ExecutionState::Queued,
        },
        resource,
        agent_request_id: is_taken(core, user, id, &request.request_id).then(|| id.to_owned()),
        prompt,
        token: request.token.clone(),
        counted,
    };
    let changes = put(id, value).into_iter().chain(counting);
    Ok(changes.chain(shown).collect())
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

fn detail(right: Right, fields: &BTreeMap<String, String>) -> String {
    cut(&relay::what(right, fields), OUTCOME_CHARS_MAX)
}

fn audit(core: &Component, request: &Request, state: ExecutionState) -> Audit {
    Audit {
        watcher: request.watcher.bare.clone(),
        right: request.right,
        state,
        request_id: Some(request.request_id.clone()),
        reported: false,
        detail: detail(request.right, &request.fields),
        token: token::label(core, &request.user, request.token.as_deref()),
        untold: false,
        untold_before: 0,
        clock: None,
    }
}

/// Whether she is told of such an end by [`tell`]: not of what is a message for her to read, nor of what she
/// has said herself.
fn tells(right: Right, way: &Way) -> bool {
    match way {
        Way::Agent => right != Right::LeaveMessage,
        Way::Message => right == Right::SetStatus,
        Way::Prompt(_) => false,
    }
}

/// One more line of history; the oldest ones give way. It is filed as the newest, also where the clock
/// has been set back since the one before.
pub(super) fn audited(
    core: &Component,
    user: &Bare,
    at: Wall,
    id: &str,
    mut audit: Audit,
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
    let mut changes = Vec::new();
    let mut filed = at;
    if let Some(known) = core.state.user(user) {
        let newest = known.history().iter().next_back();
        if let Some(((newest, _), _)) = newest.filter(|((newest, _), _)| *newest > at) {
            filed = Wall(newest.0.saturating_add(1));
            audit.clock = Some(at);
        }
        let surplus = (known.history().len() + 1).saturating_sub(HISTORY_MAX);
        for gone in known.history().values().take(surplus) {
            let n = gone.untold_before.saturating_add(u32::from(gone.untold));
            audit.untold_before = audit.untold_before.saturating_add(n);
        }
        changes.extend(
            known
                .history()
                .keys()
                .take(surplus)
                .map(|(at, id)| line(*at, id, None)),
        );
    }
    changes.insert(0, line(filed, id, Some(audit)));
    changes
}

/// The line of history of what was not done in the end.
fn amended(core: &Component, user: &Bare, id: &str) -> Vec<Change> {
    let history = core.state.stored(user).map(|known| known.history());
    let line = history.and_then(|lines| lines.iter().find(|((_, of), _)| of == id));
    let Some(((at, id), audit)) = line else {
        return Vec::new();
    };
    let state = ExecutionState::Refused;
    vec![Change::Audit {
        user: user.clone(),
        at: *at,
        id: id.clone(),
        value: Some(Audit {
            state,
            ..audit.clone()
        }),
    }]
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
    let grant = core.state.user(user)?.grants().get(&watcher)?;
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
