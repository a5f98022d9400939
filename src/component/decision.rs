//! Her decisions about watchers: approve, deny, block, unblock. Several at once are written together, in
//! their order, and have one answer. RFC 6121 §3.1.5, §3.2, §3.4; protocol.md §4.1.

use super::limits::{BODY_BYTES_MAX, DECISIONS_MAX, RECORDS_PER_USER_MAX};
use super::record::{Block, Change, Subscription, SubscriptionState};
use super::reply::Refusal;
use super::setting::Reply;
use super::state::{Narrowing, User};
use super::{Component, Turn, command, lane, pending, subscription, words};
use crate::address::{Address, Bare};

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

/// What was read: the decisions, and remarks about what is not there any more.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) each: Vec<(Bare, Verdict)>,
    pub(super) remarks: Vec<String>,
}

impl Read {
    /// Takes one; the same twice counts once.
    pub(super) fn put(&mut self, who: Bare, verdict: Verdict) {
        if !self.each.contains(&(who.clone(), verdict)) {
            self.each.push((who, verdict));
        }
    }

    /// Whether there is nothing to do and nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty() && self.remarks.is_empty()
    }

    /// Takes the request with a number.
    pub(super) fn put_number(&mut self, known: &User, number: u32, verdict: Verdict) {
        let list = pending::list(known);
        match list.iter().find(|(n, ..)| *n == number) {
            Some((_, watcher, _)) => self.put((*watcher).clone(), verdict),
            None => self
                .remarks
                .push(format!("There is no request {number} (any more).")),
        }
    }
}

/// Reads whom the words of a chat line mean: addresses, domains, numbers of requests as in `3` or `2-5`,
/// names of the operator's parties, and for a denial `all`. `Err` is what to tell her.
pub(super) fn read(
    core: &Component,
    user: &Bare,
    verdict: Verdict,
    words: &str,
) -> Result<Read, String> {
    let mut read = Read::default();
    let Some(known) = core.state.user(user) else {
        return Ok(read);
    };
    let requests = matches!(verdict, Verdict::Approve | Verdict::Deny | Verdict::Block);
    for word in words
        .split([' ', ',', ';', '\t', '\n', '\r'])
        .filter(|word| !word.is_empty())
    {
        if let Some(number) = number(word).filter(|_| requests) {
            read.put_number(known, number, verdict);
        } else if let Some((first, last)) = range(word).filter(|_| requests) {
            let list = pending::list(known);
            let within = list.iter().filter(|(n, ..)| (first..=last).contains(n));
            let before = read.each.len();
            for (_, watcher, _) in within {
                read.put((*watcher).clone(), verdict);
            }
            if read.each.len() == before {
                read.remarks
                    .push(format!("There are no requests {first}-{last} (any more)."));
            }
        } else if word.eq_ignore_ascii_case("all") && requests {
            if verdict != Verdict::Deny {
                return Err(format!(
                    "Say which, as in “{} 1-3”: “all” would be the one who asks at this moment too.",
                    verdict.as_str()
                ));
            }
            for (_, watcher, _) in pending::list(known) {
                read.put(watcher.clone(), verdict);
            }
            if read.each.is_empty() {
                read.remarks.push("Nobody waits for your word.".to_owned());
            }
        } else {
            let who = Address::parse(word).map_err(|_| whom(verdict))?.bare;
            for who in named(core, verdict, who) {
                read.put(who, verdict);
            }
        }
        if read.each.len().max(read.remarks.len()) > DECISIONS_MAX {
            return Err(format!("At most {DECISIONS_MAX} at once, please."));
        }
    }
    if read.is_empty() {
        return Err(whom(verdict));
    }
    Ok(read)
}

fn whom(verdict: Verdict) -> String {
    format!("Whom? As in “{} bob@example.org”.", verdict.as_str())
}

/// A number as she may type it: `3`, `3.`, `#3`.
fn number(word: &str) -> Option<u32> {
    let word = word.strip_prefix('#').unwrap_or(word);
    let word = word.strip_suffix(['.', ')']).unwrap_or(word);
    word.parse().ok()
}

fn range(word: &str) -> Option<(u32, u32)> {
    let (first, last) = word.split_once(['-', '–'])?;
    Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
}

/// Of a party, whose name she knows and not its addresses, each is meant where she blocks or unblocks.
fn named(core: &Component, verdict: Verdict, who: Bare) -> Vec<Bare> {
    let party = match verdict {
        Verdict::Block | Verdict::Unblock => of_party(core, &who),
        Verdict::Approve | Verdict::Deny => Vec::new(),
    };
    if party.is_empty() { vec![who] } else { party }
}

/// The addresses of the party with a name; none where there is no such party.
pub(super) fn of_party(core: &Component, name: &Bare) -> Vec<Bare> {
    let mut parties = core.settings.parties.iter();
    let party = parties.find(|party| party.name == name.as_str());
    party.map_or_else(Vec::new, |party| party.jids.clone())
}

/// Carries the decisions out, or says why there are none.
pub(super) fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, read: Read, reply: Reply) {
    if read.each.is_empty() {
        let text = words::lines(&read.remarks, BODY_BYTES_MAX);
        return command::acknowledge(core, turn, reply, Ok(text));
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

/// Takes down what narrowing is about to take away.
pub(super) fn look(core: &Component, user: &Bare, decisions: &mut Decisions) {
    let Some(known) = core.state.user(user) else {
        return;
    };
    for decision in &mut decisions.each {
        decision.before = match decision.verdict {
            Verdict::Deny => subscription_of(known, &decision.who),
            Verdict::Block => known.watchers_of(&decision.who),
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
    let (mut n_subscriptions, mut n_blocks) = (known.subscriptions.len(), known.blocks.len());
    for decision in &mut decisions.each {
        let who = decision.who.clone();
        let put = |watcher: Bare, state: Option<SubscriptionState>| Change::Subscription {
            user: user.clone(),
            watcher,
            value: state.map(|state| Subscription {
                state,
                since: turn.now.wall,
                waiting: None,
            }),
        };
        match decision.verdict {
            Verdict::Approve => {
                decision.before = subscription_of(known, &who);
                let state = match known.subscription(&who) {
                    Some(SubscriptionState::Pending) => SubscriptionState::Approved,
                    Some(_) => continue,
                    None => {
                        n_subscriptions += 1;
                        SubscriptionState::Preapproved
                    }
                };
                changes.push(put(who, Some(state)));
            }
            // In memory it is gone already where she denies: the record is what remains.
            Verdict::Deny => changes.push(put(who, None)),
            Verdict::Block => {
                n_blocks += usize::from(!known.blocks.contains_key(&who));
                let since = turn.now.wall;
                changes.push(block(user, who, Some(Block { since })));
                let ends = decision.before.iter();
                changes.extend(ends.map(|(watcher, _)| put(watcher.clone(), None)));
            }
            Verdict::Unblock => changes.push(block(user, who, None)),
        }
    }
    if n_subscriptions > RECORDS_PER_USER_MAX || n_blocks > RECORDS_PER_USER_MAX {
        return Err(Refusal::ResourceConstraint);
    }
    Ok(changes)
}

fn block(user: &Bare, watcher: Bare, value: Option<Block>) -> Change {
    Change::Block {
        user: user.clone(),
        watcher,
        value,
    }
}

/// Answers, and tells the watchers, when it is durable.
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
    if let Err(refusal) = result {
        let narrows = |one: &Decision| matches!(one.verdict, Verdict::Deny | Verdict::Block);
        let refusal = match refusal {
            Refusal::ResourceConstraint if each.iter().any(narrows) => Refusal::Unsaved,
            refusal => refusal,
        };
        return command::acknowledge(core, turn, reply, Err(refusal));
    }
    remarks.extend(each.iter().map(sentence));
    let text = words::lines(&remarks, BODY_BYTES_MAX);
    command::acknowledge(core, turn, reply, Ok(text));
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    for Decision {
        who,
        verdict,
        before,
    } in each
    {
        for (watcher, state) in before {
            if verdict == Verdict::Approve {
                if state == SubscriptionState::Pending {
                    subscription::welcome(core, turn, &presentity, &watcher);
                }
                continue;
            }
            subscription::end(core, turn, &presentity, &watcher, Some(state));
            if verdict == Verdict::Deny && state == SubscriptionState::Pending {
                core.refusals.note(user, &who, turn.now.mono);
            }
        }
    }
}

fn sentence(decision: &Decision) -> String {
    let who = decision.who.shown();
    match decision.verdict {
        Verdict::Approve => match decision.before.first() {
            Some((_, SubscriptionState::Pending)) => format!("{who} now gets your presence."),
            Some((_, SubscriptionState::Approved)) => format!("{who} gets your presence already."),
            _ => format!("{who} gets your presence as soon as it asks."),
        },
        Verdict::Deny => format!("{who} does not get your presence."),
        Verdict::Block => format!("{who} is blocked: it gets the answer of an unknown user."),
        Verdict::Unblock => format!("{who} is not blocked any more."),
    }
}
