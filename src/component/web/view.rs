//! What is seen of a user over the web, and what may be done.

use super::super::authorization::{Level, Right};
use super::super::clock::Wall;
use super::super::face::{self, Face};
use super::super::probe::Held;
use super::super::reply::Refusal;
use super::super::token::step as token;
use super::super::watcher::Watcher;
use super::super::{Component, Turn};
use super::{Answer, Problem, Who, asker, named};
use crate::address::Bare;

/// What is seen of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The user.
    pub user: Bare,
    /// `online`, `chat`, `away`, `xa`, `dnd`, `offline`, or `unknown` while nothing is known since the attach.
    pub show: &'static str,
    /// The text shown, with its emoji before it.
    pub status: Option<String>,
    /// The same where it is one that was set by her or for her, and not her client's.
    pub custom: Option<String>,
    /// Since when, as precisely as she lets it be known.
    pub since: Option<Wall>,
    /// How far the asker is trusted.
    pub level: Level,
    /// What the asker may do.
    pub rights: Vec<Right>,
}

/// The view of one who may see her; `None` for all others.
pub(super) fn of(core: &Component, turn: &Turn, user: &Bare, watcher: &Watcher) -> Option<View> {
    let known = core
        .state
        .user(user)
        .filter(|_| !core.bars(user, watcher))?;
    let (level, rights) = face::seen(&core.settings, (user, known), watcher, turn.now)?;
    let face = Face::of(known, turn.now);
    let is_known = face.known || face.state.is_some();
    let since = face.since_for(level).filter(|_| is_known);
    let show = if is_known { face.show() } else { "unknown" };
    Some(View {
        user: user.clone(),
        show,
        custom: face.text.clone().filter(|_| face.is_custom),
        status: face.text,
        since,
        level,
        rights,
    })
}

/// Reads what is seen of users. Where a token is used for it, that is durable first.
pub(super) fn read(
    core: &mut Component,
    turn: &mut Turn,
    id: u64,
    who: &Who,
    users: Vec<String>,
    again: bool,
) {
    core.counts.questions += users.len() as u64;
    if let Who::Token(..) = who {
        let [typed] = users.as_slice() else {
            return super::answered(core, id, Answer::Refused(Problem::OneUserOnly));
        };
        let user = named(core, typed);
        return match asker::identify(core, turn, who, user.as_ref(), again) {
            Err(refusal) => super::problem(core, id, &refusal),
            Ok(watcher) => match user {
                Some(user) if watcher.token.is_some() && !again => {
                    let question = Held::Web(id, watcher);
                    token::submit(core, turn, &user, token::Step::Use(question));
                }
                user => {
                    let view = user.and_then(|user| of(core, turn, &user, &watcher));
                    views(core, id, vec![view]);
                }
            },
        };
    }
    let watcher = match asker::identify(core, turn, who, None, again) {
        Ok(watcher) => watcher,
        Err(refusal) => return super::problem(core, id, &refusal),
    };
    let seen = |typed: &String| of(core, turn, &named(core, typed)?, &watcher);
    let seen: Vec<_> = users.iter().map(seen).collect();
    views(core, id, seen);
}

fn views(core: &mut Component, id: u64, views: Vec<Option<View>>) {
    core.counts.refused += views.iter().filter(|view| view.is_none()).count() as u64;
    super::answered(core, id, Answer::Views(views));
}

/// Answers what waited for the use of a token to be written.
pub(in super::super) fn answer(
    core: &mut Component,
    turn: &Turn,
    user: &Bare,
    id: u64,
    watcher: &Watcher,
) {
    let view = of(core, turn, user, watcher);
    views(core, id, vec![view]);
}

/// The same where it could not be used.
pub(in super::super) fn refuse(core: &mut Component, id: u64, refusal: &Refusal) {
    match refusal {
        Refusal::ServiceUnavailable => views(core, id, vec![None]),
        refusal => super::problem(core, id, refusal),
    }
}
