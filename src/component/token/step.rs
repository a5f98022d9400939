//! What changes a token: she makes it, somebody uses or redeems it, she takes it back, it ends. What gives
//! somebody something is durable before anyone hears of it, so that no crash gives a use back.

use std::collections::BTreeSet;

use minidom::Element;

use super::super::authorization::Right;
use super::super::clock::Wall;
use super::super::limits::TOKENS_PER_USER_MAX;
use super::super::overdue::End;
use super::super::probe::Held;
use super::super::record::{Audit, Change, ExecutionState, SubscriptionState};
use super::super::reply::{Asked, NS_HINTS, Refusal};
use super::super::setting::{Reply, list};
use super::super::state::{Narrowing, User};
use super::super::watcher::Watcher;
use super::super::{
    Component, Turn, command, consent, ending, lane, overdue, probe, setting, subscription, written,
};
use super::{NS_AUTHZ, Secret, Token, draw};
use crate::address::Bare;
use crate::stanza::compose::{Compose, element};

/// What she wants a new token to be.
#[derive(Clone, Debug)]
pub(in super::super) struct Wanted {
    pub(in super::super) label: String,
    pub(in super::super) rights: BTreeSet<Right>,
    pub(in super::super) uses: u32,
    pub(in super::super) until: Wall,
}

/// One change of a token, and where its answer goes.
#[derive(Clone, Debug)]
pub(in super::super) enum Step {
    /// A query that shows it; the question itself follows.
    Use(Held),
    /// It becomes a grant of who shows it.
    Redeem {
        asked: Asked,
        /// What there was to tell her, found while planning.
        news: Option<News>,
    },
    /// She makes one.
    New {
        wanted: Wanted,
        reply: Reply,
        /// Drawn while planning.
        made: Option<(String, Secret)>,
    },
    /// She takes some back, with all that was redeemed with them.
    Revoke {
        ids: Vec<String>,
        reply: Reply,
        /// What they were called.
        labels: Vec<String>,
        /// Whose subscriptions stood on them.
        ends: Vec<Bare>,
        /// Who else had something by them.
        others: Vec<Bare>,
    },
    /// Its end has come: that is written, for a clock that is set back must not give it force again.
    End(String),
}

/// A redemption, as she is told of it.
#[derive(Clone, Debug)]
pub(in super::super) struct News {
    label: String,
    rights: BTreeSet<Right>,
    until: Wall,
}

impl Step {
    pub(in super::super) fn revoke(ids: Vec<String>, reply: Reply) -> Self {
        Self::Revoke {
            ids,
            reply,
            labels: Vec::new(),
            ends: Vec::new(),
            others: Vec::new(),
        }
    }
}

pub(in super::super) fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, step: Step) {
    lane::submit(core, turn, user, lane::Task::Token(step));
}

/// Redeems the token that came with a request.
pub(in super::super) fn redeem(core: &mut Component, turn: &mut Turn, asked: Asked, user: &Bare) {
    let refusal = if asked.token.is_none() {
        Refusal::NotAllowed("You need no token of your own.".to_owned())
    } else if !probe::has_token(core, turn, &asked.to.bare) {
        Refusal::PolicyViolation(core.probes.retry_after_s())
    } else {
        return submit(core, turn, user, Step::Redeem { asked, news: None });
    };
    core.answer(&asked, Err(refusal));
}

/// Takes down what is about to be taken away: whose subscriptions stand on tokens alone.
pub(in super::super) fn look(core: &Component, user: &Bare, step: &mut Step) {
    let Step::Revoke {
        ids,
        labels,
        ends,
        others,
        ..
    } = step
    else {
        return;
    };
    let Some(known) = core.state.user(user) else {
        return;
    };
    for token in ids.iter().filter_map(|id| known.tokens().get(id)) {
        labels.push(format!("“{}”", token.label));
        for (watcher, since) in &token.redeemed {
            let list = match stands_on(known, ids, watcher, *since) {
                true => &mut *ends,
                false => &mut *others,
            };
            list.push(watcher.clone());
        }
    }
}

/// Whether a subscription came by these tokens and nothing else of hers is behind it: it is no older than
/// the redemption.
fn stands_on(known: &User, ids: &[String], watcher: &Bare, since: Wall) -> bool {
    let is_by_it = known
        .subscriptions
        .get(watcher)
        .is_some_and(|one| one.state == SubscriptionState::Approved && one.since >= since);
    let is_granted = [watcher, &watcher.to_domain()]
        .iter()
        .any(|who| known.grants().contains_key(who));
    let has_another = known
        .tokens()
        .iter()
        .any(|(id, token)| !ids.contains(id) && token.redeemed.contains_key(watcher));
    is_by_it && !is_granted && !has_another
}

/// What holds before it is durable.
pub(in super::super) fn narrowing(step: &Step) -> Option<Narrowing> {
    match step {
        Step::End(id) => Some(Narrowing::EndedToken(id.clone())),
        Step::Revoke { ids, ends, .. } => Some(Narrowing::Tokens(ids.clone(), ends.clone())),
        _ => None,
    }
}

/// Finds the changes, in the state as it is now.
pub(in super::super) fn plan(
    core: &Component,
    turn: &mut Turn,
    user: &Bare,
    step: &mut Step,
) -> Result<Vec<Change>, Refusal> {
    let known = core.state.user(user);
    let put = |id: &str, value| Change::Token {
        user: user.clone(),
        id: id.to_owned(),
        value,
    };
    match step {
        Step::Use(question) => {
            let used = used(core, turn, user, &question.watcher())?;
            Ok(used.into_iter().collect())
        }
        Step::Redeem { asked, news } => {
            let watcher = asked.watcher();
            let used = used(core, turn, user, &watcher)?;
            let Some(Change::Token {
                id,
                value: Some(mut token),
                ..
            }) = used
            else {
                return Ok(Vec::new()); // Redeemed before: it is not used twice.
            };
            let who = watcher.bare;
            token.redeemed.insert(who.clone(), turn.now.wall);
            if !token.has_room() {
                return Err(Refusal::ResourceConstraint);
            }
            *news = Some(News {
                label: token.label.clone(),
                rights: token.rights.clone(),
                until: token.until,
            });
            let audit = Audit {
                watcher: who,
                right: Right::See,
                state: ExecutionState::Completed,
                detail: "redeemed".to_owned(),
                request_id: None,
                reported: false,
                token: Some(token.label.clone()),
                untold: false,
                untold_before: 0,
                clock: None,
            };
            let line = turn.chance.id();
            let mut changes = vec![put(&id, Some(token))];
            changes.extend(written::audited(core, user, turn.now.wall, &line, audit));
            Ok(changes)
        }
        Step::New { wanted, made, .. } => {
            let known = known.ok_or(Refusal::Forbidden)?;
            let key = core.key.as_ref().ok_or(Refusal::ResourceConstraint)?;
            let ended = |token: &&Token| turn.now.wall >= token.until;
            let in_force = known.tokens().values().filter(|one| !ended(one));
            if in_force.clone().count() >= TOKENS_PER_USER_MAX {
                let text = format!(
                    "You cannot have more than {TOKENS_PER_USER_MAX} tokens; revoke one first."
                );
                return Err(Refusal::BadPayload(text));
            }
            if in_force.clone().any(|token| token.label == wanted.label) {
                let text = format!("You have a token “{}” already.", wanted.label);
                return Err(Refusal::BadPayload(text));
            }
            // What has ended makes room.
            let ends = known.tokens().iter().filter(|(_, token)| ended(token));
            let mut changes: Vec<_> = ends.map(|(id, _)| put(id, None)).collect();
            let (id, secret) = loop {
                let (id, secret) = draw(key, &mut turn.chance);
                if !known.tokens().contains_key(&id) {
                    break (id, secret);
                }
            };
            let token = Token {
                digest: secret.digest(),
                label: wanted.label.clone(),
                rights: wanted.rights.clone(),
                since: turn.now.wall,
                until: wanted.until,
                uses: wanted.uses,
                used: 0,
                last_used: None,
                redeemed: Default::default(),
                barred: BTreeSet::new(),
            };
            changes.push(put(&id, Some(token)));
            *made = Some((id, secret));
            Ok(changes)
        }
        Step::End(id) => {
            let token = core.state.stored(user).and_then(|one| one.tokens().get(id));
            let ended = token.map(|token| {
                let until = Wall(0);
                put(
                    id,
                    Some(Token {
                        until,
                        ..token.clone()
                    }),
                )
            });
            Ok(ended.into_iter().collect())
        }
        // In memory they are gone already: the records are what remains.
        Step::Revoke { labels, .. } if labels.is_empty() => Ok(Vec::new()),
        Step::Revoke { ids, ends, .. } => {
            let mut changes: Vec<_> = ids.iter().map(|id| put(id, None)).collect();
            changes.extend(setting::ended(user, ends.iter()));
            Ok(changes)
        }
    }
}

/// One more use of the token that a watcher shows, to be written with what it is used for; `None` where it
/// shows none, or has redeemed it.
///
/// # Errors
///
/// It does not count any more: somebody was faster, or it has been taken back meanwhile.
pub(in super::super) fn used(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
) -> Result<Option<Change>, Refusal> {
    let Some(id) = &watcher.token else {
        return Ok(None);
    };
    let known = core.state.user(user);
    let token = known.and_then(|known| known.tokens().get(id));
    let counts = |token: &&Token| token.admits(&watcher.bare, turn.now.wall);
    match token.filter(counts) {
        _ if !core.may(user, watcher, turn, Right::See) => Err(Refusal::ServiceUnavailable),
        Some(token) if token.redeemed.contains_key(&watcher.bare) => Ok(None),
        Some(token) => Ok(Some(Change::Token {
            user: user.clone(),
            id: id.clone(),
            value: Some(Token {
                used: token.used + 1,
                last_used: Some(turn.now.wall),
                ..token.clone()
            }),
        })),
        None => {
            let without = Watcher {
                token: None,
                ..watcher.clone()
            };
            match core.may(user, &without, turn, Right::See) {
                true => Err(Refusal::TokenInvalid),
                false => Err(Refusal::ServiceUnavailable),
            }
        }
    }
}

/// The label of the token that a watcher shows, for the history.
pub(in super::super) fn label(
    core: &Component,
    user: &Bare,
    token: Option<&str>,
) -> Option<String> {
    let known = core.state.user(user)?;
    Some(known.tokens().get(token?)?.label.clone())
}

/// Answers, and tells those whom it concerns.
pub(in super::super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    step: Step,
    result: Result<(), Refusal>,
) {
    match step {
        Step::End(id) => {
            if let Err(refusal) = result {
                overdue::refused(core, turn, user, End::Token(id), &refusal);
            }
        }
        Step::Use(question) => match result {
            Ok(()) => probe::ask(core, turn, user, question),
            Err(refusal) => probe::refuse_question(core, question, refusal),
        },
        Step::Redeem { asked, news } => {
            let answer = result.and_then(|()| granted(core, turn, user, &asked));
            let is_new = answer.is_ok();
            core.answer(&asked, answer.map(Some));
            if let Some(news) = news.filter(|_| is_new) {
                tell(core, turn, user, &asked.to.bare, &news);
                core.tell_watcher(turn, user, &asked.to.bare);
            }
        }
        Step::New {
            wanted,
            reply,
            made,
        } => match (result, made) {
            (Ok(()), Some((_, secret))) => {
                let zone = core.zone(user);
                let until = ending::shown(wanted.until, turn.now.wall, zone);
                let (text, form) = consent::token_made(&wanted, &secret, &until);
                command::complete(core, turn, reply, text, form);
            }
            (result, _) => command::acknowledge(core, turn, reply, result.map(|()| String::new())),
        },
        Step::Revoke {
            reply,
            labels,
            ends,
            others,
            ..
        } => {
            let result = result.map_err(|refusal| match refusal {
                Refusal::ResourceConstraint => Refusal::Unsaved,
                refusal => refusal,
            });
            let text = match labels.len() {
                0 => "Those tokens are gone already.".to_owned(),
                _ => format!(
                    "Nothing counts any more by {}, nor what was redeemed with it. A command that has \
                     already been sent cannot be recalled.",
                    labels.join(", ")
                ),
            };
            command::acknowledge(core, turn, reply, result.map(|()| text));
            if let Some(presentity) = core.settings.domain.presentity(user) {
                for watcher in ends {
                    let before = Some(SubscriptionState::Approved);
                    subscription::end(core, turn, &presentity, &watcher, before);
                }
            }
            for watcher in others {
                core.tell_watcher(turn, user, &watcher);
            }
        }
    }
}

/// What a redeemed token is to who has redeemed it.
fn granted(core: &Component, turn: &Turn, user: &Bare, asked: &Asked) -> Result<Element, Refusal> {
    let watcher = asked.watcher();
    let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
    let token = watcher.token.as_ref().and_then(|id| known.tokens().get(id));
    let token = token
        .filter(|token| token.gives(&watcher.bare, false, turn.now.wall))
        .ok_or(Refusal::ServiceUnavailable)?; // Taken back while it was written.
    let level = written::level(core, turn.now, user, &watcher);
    let head = [
        ("level", level.as_str()),
        ("expires", &token.until.to_string()),
    ];
    Ok(element("grant", NS_AUTHZ, &head))
}

/// Tells her who has redeemed which token: it stays with her server until she reads it.
fn tell(core: &mut Component, turn: &mut Turn, user: &Bare, watcher: &Bare, news: &News) {
    let until = ending::shown(news.until, turn.now.wall, core.zone(user));
    let body = format!(
        "{} has redeemed your token “{}” and may now: {}, until {until}. “revoke {watcher}” takes it back.",
        watcher.shown(),
        news.label,
        list(&news.rights),
    );
    let id = turn.chance.id();
    let message = core
        .message(&user.clone().into(), "normal", &id, &body)
        .with(element("store", NS_HINTS, &[]));
    core.send(message);
}
