//! Watchers' subscriptions to a presentity. RFC 6121 §3 and Appendix A; protocol.md §4.1.
//!
//! A presentity never asks back, so *None*, *None + Pending In* and *From* are all the states there are.

use super::authorization::{self, Interface, Level};
use super::limits::{PENDING_PER_USER_MAX, RECORDS_PER_USER_MAX};
use super::pace::{self, Urgency, Word};
use super::record::{Change, Subscription, SubscriptionState};
use super::reply::Refusal;
use super::setting::Reply;
use super::state::{Narrowing, User};
use super::{Component, Turn, broadcast, command, lane, probe};
use crate::address::Bare;
use crate::stanza::Inbound;

/// One input of the machine.
#[derive(Clone, Debug)]
pub(super) struct Step {
    watcher: Bare,
    input: Input,
    /// The state before, found while planning.
    before: Option<SubscriptionState>,
}

#[derive(Clone, Debug)]
enum Input {
    /// The watcher asks.
    Subscribe,
    /// The watcher takes it back.
    Unsubscribe,
    /// She says yes.
    Approve(Reply),
    /// She says no, or takes it away.
    Deny(Reply),
}

/// A `subscribe` to a presentity. Refused by rule is nothing at all: an automatic `unsubscribed` would
/// tell that she exists (RFC 6121 §8.5.1).
pub(super) fn subscribe(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    user: Option<&Bare>,
) {
    let watcher = &stanza.from.bare;
    // Each may cost a write to the disk, so it comes out of the same bucket as an answer.
    if !probe::has_token(core, turn, watcher) {
        return;
    }
    core.askers.note(&stanza.to.bare, watcher);
    let policy = user.and_then(|user| core.state.user(user)?.policy(user, watcher));
    if let (Some(user), Some(false)) = (user, policy.map(|policy| policy.blocked)) {
        submit(core, turn, user, watcher.clone(), Input::Subscribe);
    }
}

/// An `unsubscribe` to a presentity.
pub(super) fn unsubscribe(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    user: Option<&Bare>,
) {
    let watcher = &stanza.from.bare;
    let asked = core.askers.forget(&stanza.to.bare, watcher);
    let user = user.filter(|user| core.state.user(user).is_some());
    let state = user.and_then(|user| core.state.user(user)?.subscription(watcher));
    if asked && state != Some(SubscriptionState::Approved) {
        // At once and not after the disk: the time it takes would tell that there is somebody.
        pace::refuse(core, turn, &stanza.to.bare, watcher, None);
    }
    if let Some(user) = user {
        submit(core, turn, user, watcher.clone(), Input::Unsubscribe);
    }
}

/// She says yes to a watcher that has asked.
pub(super) fn approve(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: Bare,
    reply: Reply,
) {
    submit(core, turn, user, watcher, Input::Approve(reply));
}

/// She says no, or takes away what she approved.
pub(super) fn deny(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: Bare,
    reply: Reply,
) {
    submit(core, turn, user, watcher, Input::Deny(reply));
}

fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, watcher: Bare, input: Input) {
    let step = Step {
        watcher,
        input,
        before: None,
    };
    lane::submit(core, turn, user, lane::Task::Subscription(step));
}

/// Takes down the state before narrowing.
pub(super) fn look(core: &Component, user: &Bare, step: &mut Step) {
    step.before = core
        .state
        .user(user)
        .and_then(|known| known.subscription(&step.watcher));
}

/// What holds before it is durable.
pub(super) fn narrowing(step: &Step) -> Option<Narrowing> {
    match step.input {
        Input::Deny(_) => Some(Narrowing::Subscription(step.watcher.clone())),
        _ => None,
    }
}

/// Finds the changes.
pub(super) fn plan(core: &Component, turn: &Turn, user: &Bare, step: &mut Step) -> Vec<Change> {
    let Some(known) = core.state.user(user) else {
        return Vec::new();
    };
    let watcher = step.watcher.clone();
    if !matches!(step.input, Input::Deny(_)) {
        step.before = known.subscription(&watcher);
    }
    let put = |state: Option<SubscriptionState>| {
        let value = state.map(|state| Subscription {
            state,
            since: turn.now.wall,
        });
        vec![Change::Subscription {
            user: user.clone(),
            watcher: watcher.clone(),
            value,
        }]
    };
    match (&step.input, step.before) {
        (Input::Subscribe, None) if known.subscriptions.len() >= RECORDS_PER_USER_MAX => Vec::new(),
        (Input::Subscribe, None) if is_approved_before(turn, (user, known), &watcher) => {
            put(Some(SubscriptionState::Approved))
        }
        (Input::Subscribe, None) => {
            let n = known.subscriptions.values();
            let pending = n
                .filter(|one| one.state == SubscriptionState::Pending)
                .count();
            if pending >= PENDING_PER_USER_MAX {
                return Vec::new();
            }
            put(Some(SubscriptionState::Pending))
        }
        (Input::Subscribe, Some(SubscriptionState::Preapproved)) => {
            put(Some(SubscriptionState::Approved))
        }
        (Input::Approve(_), None) if known.subscriptions.len() < RECORDS_PER_USER_MAX => {
            put(Some(SubscriptionState::Preapproved))
        }
        (Input::Approve(_), Some(SubscriptionState::Pending)) => {
            put(Some(SubscriptionState::Approved))
        }
        // In memory it is gone already where she denies: the record is what remains.
        (Input::Deny(_), _) | (Input::Unsubscribe, Some(_)) => put(None),
        _ => Vec::new(),
    }
}

/// A grant in force is her recorded yes; she herself needs none.
fn is_approved_before(turn: &Turn, (user, known): (&Bare, &User), watcher: &Bare) -> bool {
    let evidence = known.evidence(watcher, None);
    let level = authorization::level(turn.now, Interface::Public, watcher, evidence, user);
    level >= Level::Authorized
}

/// Answers when it is durable.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    step: Step,
    result: Result<(), Refusal>,
) {
    let Step {
        watcher,
        input,
        before,
    } = step;
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    let now = core
        .state
        .user(user)
        .and_then(|known| known.subscription(&watcher));
    match (input, result) {
        // Nothing was written and nobody waits: servers repeat a `subscribe` at every login.
        (Input::Subscribe | Input::Unsubscribe, Err(_)) => {}
        (Input::Approve(reply) | Input::Deny(reply), Err(refusal)) => {
            command::acknowledge(core, turn, reply, Err(refusal));
        }
        (Input::Subscribe, Ok(())) => match (before, now) {
            (_, Some(SubscriptionState::Approved)) => welcome(core, turn, &presentity, &watcher),
            (None, Some(SubscriptionState::Pending)) => prompt(core, turn, user, &watcher),
            _ => {}
        },
        (Input::Unsubscribe, Ok(())) => {
            if before == Some(SubscriptionState::Approved) {
                end(core, turn, &presentity, &watcher, before);
            }
        }
        (Input::Approve(reply), Ok(())) => {
            let text = if before == Some(SubscriptionState::Pending) {
                welcome(core, turn, &presentity, &watcher);
                format!("{watcher} now gets your presence.")
            } else {
                format!("{watcher} gets your presence as soon as it asks.")
            };
            command::acknowledge(core, turn, reply, Ok(text));
        }
        (Input::Deny(reply), Ok(())) => {
            end(core, turn, &presentity, &watcher, before);
            let text = format!("{watcher} does not get your presence.");
            command::acknowledge(core, turn, reply, Ok(text));
        }
    }
}

/// `subscribed`, then the current presence (RFC 6121 §3.1.5).
fn welcome(core: &mut Component, turn: &mut Turn, presentity: &Bare, watcher: &Bare) {
    core.askers.forget(presentity, watcher);
    let pair = (presentity, watcher);
    pace::say(core, turn, pair, Word::Subscribed, Urgency::Awaited);
}

/// First `unavailable`, then `unsubscribed` (RFC 6121 §3.2.2, §3.3.3).
pub(super) fn end(
    core: &mut Component,
    turn: &mut Turn,
    presentity: &Bare,
    watcher: &Bare,
    before: Option<SubscriptionState>,
) {
    core.askers.forget(presentity, watcher);
    if before == Some(SubscriptionState::Approved) {
        core.send(broadcast::gone(presentity, watcher));
    }
    if matches!(
        before,
        Some(SubscriptionState::Approved | SubscriptionState::Pending)
    ) {
        let pair = (presentity, watcher);
        pace::say(core, turn, pair, Word::Unsubscribed, Urgency::Awaited);
    }
}

fn prompt(core: &mut Component, turn: &mut Turn, user: &Bare, watcher: &Bare) {
    let id = turn.chance.id();
    let text = format!(
        "{watcher} asks to see your presence. Send “approve {watcher}”, “deny {watcher}” or \
         “block {watcher}”."
    );
    let message = core.message(&user.clone().into(), "chat", &id, &text);
    core.send(message);
}
