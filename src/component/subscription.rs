//! Watchers' subscriptions to a presentity, as the watchers ask for them and take them back. RFC 6121 §3
//! and Appendix A; protocol.md §4.1. What she decides stands in `decision`.
//!
//! A presentity never asks back, so *None*, *None + Pending In* and *From* are all the states there are.

use super::authorization::{self, Interface, Level};
use super::limits::RECORDS_PER_USER_MAX;
use super::overdue::End;
use super::pace::{self, Urgency, Word};
use super::record::{Change, Subscription, SubscriptionState};
use super::reply::Refusal;
use super::state::User;
use super::{Component, Turn, broadcast, lane, overdue, pending, probe};
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
    /// The watcher asks; its text and the name that it gives itself.
    Subscribe(Option<String>, Option<String>),
    /// The watcher takes it back.
    Unsubscribe,
    /// A request has waited for too long.
    Lapse,
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
    let policy = user.and_then(|user| {
        core.state
            .user(user)?
            .policy(user, watcher, core.settings.timezone)
    });
    if let (Some(user), Some(false)) = (user, policy.map(|policy| policy.blocked)) {
        let (text, nick) = pending::introduction(stanza);
        submit(core, turn, user, watcher, Input::Subscribe(text, nick));
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
        submit(core, turn, user, watcher, Input::Unsubscribe);
    }
}

/// A request has waited for too long. Its record goes; nobody is told.
pub(super) fn lapse(watcher: Bare) -> Step {
    Step {
        watcher,
        input: Input::Lapse,
        before: None,
    }
}

fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, watcher: &Bare, input: Input) {
    let step = Step {
        watcher: watcher.clone(),
        input,
        before: None,
    };
    lane::submit(core, turn, user, lane::Task::Subscription(step));
}

/// Finds the changes.
pub(super) fn plan(core: &Component, turn: &Turn, user: &Bare, step: &mut Step) -> Vec<Change> {
    let known = match step.input {
        Input::Lapse => core.state.stored(user), // Time passes for the dormant too.
        _ => core.state.user(user),
    };
    let Some(known) = known else {
        return Vec::new();
    };
    let watcher = &step.watcher;
    step.before = known.subscription(watcher);
    let put = |value: Option<Subscription>| {
        vec![Change::Subscription {
            user: user.clone(),
            watcher: watcher.clone(),
            value,
        }]
    };
    let since = turn.now.wall;
    let approved = Some(Subscription {
        state: SubscriptionState::Approved,
        since,
        waiting: None,
        by_grant: false,
    });
    match (&step.input, step.before) {
        (Input::Subscribe(..), Some(SubscriptionState::Preapproved)) => put(approved),
        (Input::Subscribe(..), None) if known.subscriptions.len() >= RECORDS_PER_USER_MAX => {
            Vec::new()
        }
        (Input::Subscribe(..), None) if is_approved_before(turn, (user, known), watcher) => {
            put(approved.map(|one| Subscription {
                by_grant: true,
                ..one
            }))
        }
        (Input::Subscribe(text, nick), None) => {
            let said = (text.clone(), nick.clone());
            match pending::admit(core, turn, (user, known), watcher, said) {
                None => Vec::new(),
                waiting => put(Some(Subscription {
                    state: SubscriptionState::Pending,
                    since,
                    waiting,
                    by_grant: false,
                })),
            }
        }
        // A pre-approval is hers to take back.
        (Input::Unsubscribe, Some(SubscriptionState::Pending | SubscriptionState::Approved)) => {
            put(None)
        }
        (Input::Lapse, Some(SubscriptionState::Pending))
            if known
                .subscriptions
                .get(watcher)
                .is_some_and(|one| pending::has_lapsed(core, one, since)) =>
        {
            put(None)
        }
        _ => Vec::new(),
    }
}

/// A grant in force is her recorded yes; she herself needs none.
pub(super) fn is_approved_before(
    turn: &Turn,
    (user, known): (&Bare, &User),
    watcher: &Bare,
) -> bool {
    let evidence = known.evidence(watcher, None, None);
    let level = authorization::level(turn.now, Interface::Public, watcher, evidence, user);
    level >= Level::Authorized
}

/// Answers when it is durable. What could not be written nobody waits for: servers repeat a `subscribe` at
/// every login.
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
    if let Err(refusal) = result {
        if let Input::Lapse = input {
            overdue::refused(core, turn, user, End::Request(watcher), &refusal);
        }
        return;
    }
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    let now = core
        .state
        .user(user)
        .and_then(|known| known.subscriptions.get(&watcher));
    match input {
        Input::Subscribe(..) => match (before, now.map(|one| (one.state, &one.waiting))) {
            (_, Some((SubscriptionState::Approved, _))) => {
                welcome(core, turn, &presentity, &watcher);
            }
            (None, Some((SubscriptionState::Pending, Some(waiting)))) if !waiting.told => {
                pending::news(core, turn, user);
            }
            _ => {}
        },
        Input::Unsubscribe if before == Some(SubscriptionState::Approved) => {
            end(core, turn, &presentity, &watcher, before);
        }
        Input::Lapse => pending::wait_on(core, turn, user, &watcher),
        Input::Unsubscribe => {}
    }
}

/// `subscribed`, then the current presence (RFC 6121 §3.1.5).
pub(super) fn welcome(core: &mut Component, turn: &mut Turn, presentity: &Bare, watcher: &Bare) {
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
