//! Requests of the web: who asks, what for, and the answer as data. design.md §4 “HTTP JSON”.
//!
//! The listener hands over what it knows of the asker; what that means is decided here, by the same `decide` as
//! everywhere. Each call gets exactly one answer. To whom a user is not visible she is nobody, by one way for
//! blocked, private, unregistered and unknown.

mod act;
mod asker;
mod jobs;
mod view;

use std::fmt;
use std::sync::Arc;

pub(super) use act::{admitted, answer_late, concluded, redeemed, refused};
pub(super) use asker::{Pseudonyms, is_visitor};
pub use asker::{TOKENS, VISITORS};
pub use jobs::{Job, JobState};
pub(super) use jobs::{Jobs, resume};
pub use view::View;
pub(super) use view::{answer, refuse};

use super::record::ExecutionState;
use super::reply::Refusal;
use super::{Component, Effect, Turn};
use crate::address::Bare;

/// One request of the web.
#[derive(Clone, Debug)]
pub struct Call {
    /// The caller's number for it; the answer repeats it.
    pub id: u64,
    /// Who asks.
    pub who: Who,
    /// What for.
    pub what: What,
}

/// Who asks, as far as the listener knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody in particular, at this network address: any text that is the same for the same place.
    Visitor(Arc<str>),
    /// Who shows a token of the user, at this network address.
    Token(Shown, Arc<str>),
    /// The party with this name: it has shown the operator's token for it.
    Party(Arc<str>),
}

/// The text of a token that is shown; not to be seen in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(pub Arc<str>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}

/// What is asked for. Users are named as they were typed: by their own address or their presentity's.
#[derive(Clone, Debug)]
pub enum What {
    /// What is seen of users, and what may be done: [`Answer::Views`], in the same order. With `again` a token
    /// is not used once more: the request goes on that used it.
    Read {
        /// Whom.
        users: Vec<String>,
        /// Whether the use of a token has been counted.
        again: bool,
    },
    /// A command: [`Answer::Job`] with its end, or as far as it has come after `wait_s` seconds.
    Command {
        /// For whom.
        user: String,
        /// The name of a right.
        right: String,
        /// The fields of its form.
        fields: Vec<(String, String)>,
        /// The caller's own name for it: the same again means the same command.
        key: Option<String>,
        /// How long the caller waits, in seconds.
        wait_s: u64,
    },
    /// How far a command has come: [`Answer::Job`].
    Job(String),
    /// A token is redeemed for the web: [`Answer::Redeemed`].
    Redeem(String),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One for each user that was asked for; `None`: nobody whom the asker may see.
    Views(Vec<Option<View>>),
    /// A command.
    Job(Box<Job>),
    /// Until when the token counts, as text.
    Redeemed(String),
    /// Why not.
    Refused(Problem),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such user, or none to this asker; no such command, or none of his.
    NotFound,
    /// The asker may see her, but not do this.
    Forbidden,
    /// The token is wrong, or counts no more.
    TokenInvalid,
    /// Too often; for so many seconds.
    TooOften(u64),
    /// Full, or the store cannot be written.
    Unavailable,
    /// What was filled in is wrong; the sentence says how.
    Invalid(String),
    /// The caller's name for its command means another one, or one whose end is not known any more.
    Conflict(String),
    /// A token of a user is for her alone.
    OneUserOnly,
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::ServiceUnavailable | Refusal::ItemNotFound => Self::NotFound,
            Refusal::Forbidden => Self::Forbidden,
            Refusal::TokenInvalid => Self::TokenInvalid,
            Refusal::PolicyViolation(seconds) => Self::TooOften(*seconds),
            Refusal::BadPayload(text) | Refusal::NotAllowed(text) => Self::Invalid(text.clone()),
            _ => Self::Unavailable,
        }
    }
}

/// What the web is told.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The answer to the call with this number.
    Answered(u64, Answer),
    /// What is seen of this user may have changed; `None`: of all.
    Changed(Option<Bare>),
    /// The command with this name has ended.
    Ended(String),
}

/// Takes a call.
pub(super) fn take(core: &mut Component, turn: &mut Turn, call: Call) {
    let Call { id, who, what } = call;
    match what {
        What::Read { users, again } => view::read(core, turn, id, &who, users, again),
        What::Command {
            user,
            right,
            fields,
            key,
            wait_s,
        } => {
            let wanted = act::Wanted {
                right,
                fields,
                key,
                wait_s,
            };
            act::command(core, turn, id, &who, &user, wanted);
        }
        What::Job(job) => jobs::look_up(core, turn, id, &who, &job),
        What::Redeem(user) => act::redeem(core, turn, id, &who, &user),
    }
}

/// Tells the web.
fn tell(core: &mut Component, news: News) {
    core.effects.push_back(Effect::Web(news));
}

fn answered(core: &mut Component, id: u64, answer: Answer) {
    tell(core, News::Answered(id, answer));
}

fn problem(core: &mut Component, id: u64, refusal: &Refusal) {
    answered(core, id, Answer::Refused(refusal.into()));
}

/// The user that was named, by her own address or her presentity's; whether she exists is another question.
fn named(core: &Component, typed: &str) -> Option<Bare> {
    let typed = Bare::parse(typed).ok()?;
    let domain = &core.settings.domain;
    match typed.domain() == domain.bare().as_str() {
        true => domain.user(&typed),
        false => Some(typed),
    }
}

/// Whether nothing follows, as the web is told it.
fn state_of(state: ExecutionState) -> JobState {
    match state.is_final() {
        true => JobState::Ended(state),
        false => JobState::Open,
    }
}

/// What may have changed since the last look is told to the web, where there is one.
pub(super) fn flush(core: &mut Component) {
    if core.state.touched.is_empty() {
        return;
    }
    let (all, users) = core.state.touched.take();
    if all {
        return tell(core, News::Changed(None));
    }
    for user in users {
        tell(core, News::Changed(Some(user)));
    }
}

impl Component {
    /// From here on the web is told whose face may have changed; before the first input.
    pub fn watch_changes(&mut self) {
        self.state.touched.watch();
    }
}
