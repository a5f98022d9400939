//! Her decisions about watchers: approve, deny, block, unblock. Several at once are written together, in
//! their order, and have one answer. RFC 6121 §3.1.5, §3.2, §3.4; protocol.md §4.1.

use super::limits::{BODY_BYTES_MAX, RECORDS_PER_USER_MAX};
use super::record::{Block, Change, Subscription, SubscriptionState};
use super::reply::Refusal;
use super::setting::Reply;
use super::state::{Narrowing, User, covers};
use super::whom::Read;
use super::{Component, Turn, command, lane, set_status, subscription, words};
use crate::address::Bare;

/// What she decides about one watcher, or where it blocks, about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets her presence; before it asks, this is a pre-approval (RFC 6121 §3.4).
    Approve,
    /// It does not, or no longer.
    Deny,
    /// Nothing at all.
    Block,
    /// What it had before, but for subscriptions.
    Unblock,
}

impl Verdict {
    /// The word in chat and in forms.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }
}

/// Several decisions, and where the one answer goes.
#[derive(Clone, Debug)]
pub(super) struct Decisions {
    each: Vec<Decision>,
    /// What is to be said first.
    remarks: Vec<String>,
    reply: Reply,
}

#[derive(Clone, Debug)]
struct Decision {
    who: Bare,
    verdict: Verdict,
    /// The subscriptions that it concerns, as they were before.
    before: Vec<(Bare, SubscriptionState)>,
}

/// Carries the decisions out, or says why there are none.
pub(super) fn submit(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    mut read: Read,
    reply: Reply,
) {
    read.each.retain(|(who, verdict)| {
        let policy = core
            .state
            .user(user)
            .and_then(|known| known.policy(user, who, core.settings.timezone));
        let in_vain = *verdict == Verdict::Approve && policy.is_some_and(|policy| policy.blocked);
        let barred = *verdict == Verdict::Approve && core.state.bars(who) && who != user;
        if barred {
            let text = format!("{} is blocked by the operator.", who.shown());
            read.remarks.push(text);
        } else if in_vain {
            let text = format!("{} is blocked; unblock it first.", who.shown());
            read.remarks.push(text);
        }
        !in_vain && !barred
    });
    if read.each.is_empty() {
        let text = words::lines(&read.remarks, BODY_BYTES_MAX);
        return command::acknowledge(core, turn, reply, Ok(text));
    }
    if let Some(text) = core
        .state
        .user(user)
        .and_then(|known| overflow(known, &read))
    {
        return command::acknowledge(core, turn, reply, Err(Refusal::BadPayload(text)));
    }
    let each = read.each.into_iter().map(|(who, verdict)| Decision {
        who,
        verdict,
        before: Vec::new(),
    });
    let decisions = Decisions {
        each: each.collect(),
        remarks: read.remarks,
        reply,
    };
    lane::submit(core, turn, user, lane::Task::Decisions(decisions));
}

/// What to tell her where there is no room for new records of hers; before anything is narrowed.
fn overflow(known: &User, read: &Read) -> Option<String> {
    let new = |verdict, is_known: &dyn Fn(&Bare) -> bool| {
        let each = read.each.iter().filter(|(_, one)| *one == verdict);
        each.filter(|(who, _)| !is_known(who)).count()
    };
    let approvals = new(Verdict::Approve, &|who| {
        known.subscriptions.contains_key(who)
    });
    let blocks = new(Verdict::Block, &|who| known.blocks().contains_key(who));
    let full = |n: usize, new: usize| new > 0 && n + new > RECORDS_PER_USER_MAX;
    let what = if full(known.subscriptions.len(), approvals) {
        "subscriptions"
    } else if full(known.blocks().len(), blocks) {
        "blocks"
    } else {
        return None;
    };
    Some(format!(
        "You cannot have more than {RECORDS_PER_USER_MAX} {what}."
    ))
}

/// Takes down what narrowing is about to take away.
pub(super) fn look(core: &Component, user: &Bare, decisions: &mut Decisions) {
    let Some(known) = core.state.user(user) else {
        return;
    };
    for decision in &mut decisions.each {
        decision.before = match decision.verdict {
            Verdict::Deny | Verdict::Block => known.watchers_of(&decision.who),
            Verdict::Approve | Verdict::Unblock => Vec::new(),
        };
    }
}

fn subscription_of(known: &User, who: &Bare) -> Vec<(Bare, SubscriptionState)> {
    let state = known.subscription(who);
    state
        .map(|state| (who.clone(), state))
        .into_iter()
        .collect()
}

/// What holds before it is durable.
pub(super) fn narrowing(decisions: &Decisions, turn: &Turn) -> Vec<Narrowing> {
    let each = decisions.each.iter();
    each.filter_map(|decision| match decision.verdict {
        Verdict::Deny => Some(Narrowing::Subscription(decision.who.clone())),
        Verdict::Block => Some(Narrowing::Block(decision.who.clone(), turn.now.wall)),
        Verdict::Approve | Verdict::Unblock => None,
    })
    .collect()
}

/// Finds the changes, all decisions in one batch.
pub(super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    decisions: &mut Decisions,
) -> Result<Vec<Change>, Refusal> {
    let known = core.state.user(user).ok_or(Refusal::Forbidden)?;
    let mut changes = Vec::new();
    for decision in &mut decisions.each {
        let who = decision.who.clone();
        let put = |watcher: Bare, state: Option<SubscriptionState>| Change::Subscription {
            user: user.clone(),
            watcher,
            value: state.map(|state| Subscription {
                state,
                since: turn.now.wall,
                waiting: None,
                by_grant: false,
            }),
        };
        match decision.verdict {
            Verdict::Approve => {
                decision.before = subscription_of(known, &who);
                let state = match known.subscription(&who) {
                    Some(SubscriptionState::Pending) => SubscriptionState::Approved,
                    // By her own word now, and no longer by the grant alone.
                    Some(state)
                        if known
                            .subscriptions
                            .get(&who)
                            .is_some_and(|one| one.by_grant) =>
                    {
                        state
                    }
                    Some(_) => continue,
                    None => SubscriptionState::Preapproved,
                };
                changes.push(put(who, Some(state)));
            }
            // In memory it is gone already where she denies: the record is what remains.
            Verdict::Deny => {
                let ends = decision.before.iter().map(|(watcher, _)| watcher);
                let others = ends.filter(|watcher| **watcher != who);
                changes.extend(others.map(|watcher| put(watcher.clone(), None)));
                changes.push(put(who, None));
            }
            Verdict::Block => {
                let since = turn.now.wall;
                changes.push(block(user, who, Some(Block { since })));
                let ends = decision.before.iter();
                changes.extend(ends.map(|(watcher, _)| put(watcher.clone(), None)));
            }
            Verdict::Unblock => changes.push(block(user, who, None)),
        }
    }
    let blocked = || {
        decisions
            .each
            .iter()
            .filter(|one| one.verdict == Verdict::Block)
    };
    changes.extend(set_status::without(known, user, |author| {
        blocked().any(|one| covers(&one.who, author))
    }));
    Ok(changes)
}

fn block(user: &Bare, watcher: Bare, value: Option<Block>) -> Change {
    Change::Block {
        user: user.clone(),
        watcher,
        value,
    }
}

/// Answers, and tells the watchers, when it is durable. What takes away holds in memory even where it could
/// not be written, so those from whom it is taken are told all the same: they would go on showing her.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    decisions: Decisions,
    result: Result<(), Refusal>,
) {
    let Decisions {
        each,
        mut remarks,
        reply,
    } = decisions;
    let narrows = |one: &Decision| matches!(one.verdict, Verdict::Deny | Verdict::Block);
    let saved = result.is_ok();
    let answer = match result {
        Err(Refusal::ResourceConstraint) if each.iter().any(narrows) => Err(Refusal::Unsaved),
        Err(refusal) => Err(refusal),
        Ok(()) => {
            let known = core.state.user(user);
            remarks.extend(each.iter().map(|decision| sentence(known, decision)));
            Ok(words::lines(&remarks, BODY_BYTES_MAX))
        }
    };
    command::acknowledge(core, turn, reply, answer);
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    for Decision {
        verdict, before, ..
    } in each
    {
        for (watcher, state) in before {
            if verdict == Verdict::Approve {
                if saved && state == SubscriptionState::Pending {
                    subscription::welcome(core, turn, &presentity, &watcher);
                }
                continue;
            }
            subscription::end(core, turn, &presentity, &watcher, Some(state));
            if verdict == Verdict::Deny && state == SubscriptionState::Pending {
                core.refusals.note(user, &watcher, turn.now.mono);
            }
        }
    }
}

fn sentence(known: Option<&User>, decision: &Decision) -> String {
    let who = decision.who.shown();
    let has_grant = known.is_some_and(|known| known.granted().contains(&decision.who));
    match decision.verdict {
        Verdict::Approve => match decision.before.first() {
            Some((_, SubscriptionState::Pending)) => format!("{who} now gets your presence."),
            Some((_, SubscriptionState::Approved)) => format!("{who} gets your presence already."),
            _ if decision.who.is_domain() => format!(
                "{who} itself gets your presence as soon as it asks; for all its users send “grant \
                 {who} see”."
            ),
            _ => format!("{who} gets your presence as soon as it asks."),
        },
        Verdict::Deny if has_grant => format!(
            "{who} does not get your presence, but may still ask for it by your grant: “revoke {who}” \
             ends that too."
        ),
        Verdict::Deny => format!("{who} does not get your presence."),
        Verdict::Block => format!("{who} is blocked: it gets the answer of an unknown user."),
        Verdict::Unblock => format!("{who} is not blocked any more."),
    }
}
