//! The pieces of a decision: one command in the works, and the stanzas that answer it.
//!
//! Pure values; [`super::policy`] decides which of them is sent and when.

use std::time::Duration;

use minidom::Element;
use serde::{Deserialize, Serialize};
use xmpp_parsers::ns;

use super::policy::Decision;
use super::program::Job;
use super::request::{Refusal, Request, Task};
use super::text::{SHOWN_MAX, shown};
use crate::address::Bare;
use crate::component::clock::Wall;
use crate::component::record::ExecutionState;
use crate::stanza::command::{Command, Severity, Status};
use crate::stanza::compose::{Compose, element};
use crate::stanza::outcome::Outcome;

/// How far the component's clock may be off, in seconds (protocol.md §9.3).
pub(super) const SKEW_S: i64 = 60;
/// The longest that a person is asked, in seconds (design.md §4): a request's name is kept no longer.
pub(super) const KEPT_S: i64 = 600;
/// Characters of a result; the component keeps 512 (protocol.md §9.4).
pub(super) const RESULT_MAX: usize = 500;

/// Names are the requesters' choice, so two of them may choose the same; and a report names the request
/// that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    pub(super) task: Task,
    pub(super) requester: Bare,
    pub(super) request_id: String,
}

impl Key {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            task: request.wish.task(),
            requester: request.requester.clone(),
            request_id: request.request_id.clone(),
        }
    }
}

/// What is done for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A program is run.
    Run(Job),
    /// She is shown something.
    Show {
        /// One line: from whom.
        title: String,
        /// The words.
        text: String,
    },
}

/// A command that is asked about or being run.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) key: Key,
    /// What is done, until it is begun.
    pub(super) act: Option<Act>,
    pub(super) until: Wall,
    pub(super) sessionid: String,
    /// Whether `executing` was answered, so that the end goes out as a report.
    pub(super) answered: bool,
    /// When it was begun.
    pub(super) began: Option<Duration>,
}

/// To whom an answer goes.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) id: String,
    pub(super) from: Option<String>,
}

/// What an IQ comes to.
pub(super) type Done = Result<Option<Element>, Refusal>;

/// The late report of a command that was answered with `executing` (protocol.md §9.4). `None` where the
/// command carries out no right.
pub(super) fn outcome(key: &Key, at: Wall, state: ExecutionState, text: String) -> Option<Element> {
    let outcome = Outcome {
        request_id: key.request_id.clone(),
        right: key.task.right()?,
        state,
        at: Some(at),
        text: Some(text),
    };
    Some(outcome.write())
}

/// The answer that more will come.
pub(super) fn executing(task: Task, sessionid: &str) -> Element {
    answer(task, sessionid, Status::Executing, Vec::new())
}

/// The end of a command; one that failed has a note that says so (XEP-0050 §3.6).
pub(super) fn completed(
    task: Task,
    sessionid: &str,
    state: ExecutionState,
    text: String,
) -> Element {
    let severity = if state == ExecutionState::Completed {
        Severity::Info
    } else {
        Severity::Error
    };
    answer(task, sessionid, Status::Completed, vec![(severity, text)])
}

/// The answer to a component that gives it up.
pub(super) fn canceled(task: Task, sessionid: &str) -> Element {
    answer(task, sessionid, Status::Canceled, Vec::new())
}

fn answer(task: Task, sessionid: &str, status: Status, notes: Vec<(Severity, String)>) -> Element {
    let command = Command {
        node: task.node(),
        sessionid: Some(sessionid.to_owned()),
        status: Some(status),
        notes,
        ..Command::default()
    };
    command.write()
}

/// The question ends this much before its command, in seconds: at the expiry the component gives the
/// command up as `unknown`, and a report that comes after is lost.
const MARGIN_S: i64 = 2;

/// When no answer means no. A component whose clock is behind, within what is tolerated, is given
/// that much more.
pub(super) fn deadline(now: Wall, expires: Wall) -> Wall {
    let expires = if expires > now {
        expires
    } else {
        expires.plus_s(SKEW_S)
    };
    expires.plus_s(-MARGIN_S).min(now.plus_s(KEPT_S))
}

pub(super) fn log(key: &Key, what: &str) -> Decision {
    let (who, what) = (
        shown(&key.requester.shown(), SHOWN_MAX),
        shown(what, SHOWN_MAX),
    );
    Decision::Log(format!("{who} {} {what}", key.task.as_str()))
}

pub(super) fn reply(header: &Header, done: Done) -> Decision {
    let (type_, child) = match done {
        Ok(payload) => ("result", payload),
        Err(refusal) => ("error", Some(refusal.write())),
    };
    let head = [("type", type_), ("id", header.id.as_str())];
    Decision::Send(
        element("iq", ns::JABBER_CLIENT, &head)
            .attribute("to", header.from.as_deref())
            .with_some(child),
    )
}
