//! The pieces of a decision: one command in the works, and the stanzas that answer it.
//!
//! Pure values; [`super::policy`] decides which of them is sent and when.

use minidom::Element;
use xmpp_parsers::ns;

use super::NODE_OPEN_URL;
use super::policy::Decision;
use super::request::Refusal;
use super::text::{SHOWN_MAX, shown};
use crate::address::Bare;
use crate::component::authorization::Right;
use crate::component::clock::Wall;
use crate::component::record::ExecutionState;
use crate::stanza::command::{Command, Severity, Status};
use crate::stanza::compose::{Compose, element};
use crate::stanza::outcome::Outcome;
use crate::web_address::WebAddress;

/// How far the component's clock may be off, in seconds (protocol.md §9.3).
pub(super) const SKEW_S: i64 = 60;
/// The longest that a person is asked, in seconds (design.md §4): a request's name is kept no longer.
const KEPT_S: i64 = 600;

/// Names are the requesters' choice, so two of them may choose the same.
pub(super) type Key = (Bare, String);

/// A command that is asked about or being run.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) key: Key,
    pub(super) address: WebAddress,
    pub(super) until: Wall,
    pub(super) sessionid: String,
    pub(super) asked: bool,
    pub(super) opening: bool,
}

/// To whom an answer goes.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) id: String,
    pub(super) from: Option<String>,
}

/// What an IQ comes to.
pub(super) type Done = Result<Option<Element>, Refusal>;

impl Work {
    /// The late report of a command that she was asked about (protocol.md §9.4), without the `to`.
    pub(super) fn outcome(&self, at: Wall, state: ExecutionState, text: String) -> Element {
        let outcome = Outcome {
            request_id: self.key.1.clone(),
            right: Right::OpenUrl,
            state,
            at: Some(at),
            text: Some(text),
        };
        outcome.write()
    }

    pub(super) fn executing(&self) -> Element {
        self.answer(Status::Executing, Vec::new())
    }

    /// The end of a command; one that failed has a note that says so (XEP-0050 §3.6).
    pub(super) fn completed(&self, state: ExecutionState, text: String) -> Element {
        let severity = if state == ExecutionState::Completed {
            Severity::Info
        } else {
            Severity::Error
        };
        self.answer(Status::Completed, vec![(severity, text)])
    }

    fn answer(&self, status: Status, notes: Vec<(Severity, String)>) -> Element {
        let command = Command {
            node: NODE_OPEN_URL.to_owned(),
            sessionid: Some(self.sessionid.clone()),
            status: Some(status),
            notes,
            ..Command::default()
        };
        command.write()
    }
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
    let (who, what) = (shown(key.0.as_str(), SHOWN_MAX), shown(what, SHOWN_MAX));
    Decision::Log(format!("{who} {} {what}", Right::OpenUrl.as_str()))
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
