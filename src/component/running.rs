//! What is known of a command only while it runs: how far it has come, and who waits for its end.

use std::time::Duration;

use super::authorization::Right;
use super::execution::End;
use super::presence::ResourceName;
use super::reply::Asked;
use super::timer::TimerKey;
use crate::address::{Address, Bare};
use crate::stanza::Inbound;

/// Who waits for the end of a command.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// An ad-hoc command in a session.
    Iq { asked: Asked, session: String },
    /// A plain message to the presentity: only a refusal is answered.
    Message(Box<Inbound>),
    /// A call of the web, as long as it waits; what was filled in, as a digest; how long it waits.
    Web {
        call: Option<u64>,
        asked: [u8; 32],
        wait_s: u64,
    },
    /// Nobody that could be answered any more: the component was restarted.
    Nobody,
}

/// How far a command has come, in the component that runs.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// It is being accepted: its record is being written.
    Starting,
    /// She has been asked in chat: the code, and since when.
    Asked(String, Duration),
    /// No agent has it: it waits for the link, or for one to come.
    Waiting,
    /// That it goes to this resource is being written.
    Sending(ResourceName),
    /// The resource has it and has not said a word.
    Sent(ResourceName),
    /// The resource has said that it is at work.
    Accepted(ResourceName),
    /// Its end is being written; kept while that fails.
    Ending(Option<Box<(End, Option<Asked>)>>),
}

/// What is known of a command only while it runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) user: Bare,
    pub(super) watcher: Address,
    pub(super) right: Right,
    pub(super) request_id: String,
    /// Its name at the agent.
    pub(super) agent_request_id: String,
    pub(super) asker: Asker,
    /// The watcher's IQ has been answered `executing`.
    pub(super) answered: bool,
    pub(super) stage: Stage,
    /// The resources that got it in this run of the component.
    pub(super) tried: Vec<ResourceName>,
    /// A resource may have got it, here or before a restart, and has not said how it ended.
    pub(super) sent: bool,
    /// When the watcher gets a first answer.
    pub(super) answer: Option<TimerKey>,
    /// When the resource that has it counts as silent.
    pub(super) silence: Option<TimerKey>,
    /// When it expires.
    pub(super) expiry: Option<TimerKey>,
}

impl Running {
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending(_))
    }

    /// Whether a resource may have got it.
    pub(super) fn may_be_sent(&self) -> bool {
        self.sent || self.holder().is_some()
    }

    /// The resource that has it.
    pub(super) fn holder(&self) -> Option<&ResourceName> {
        match &self.stage {
            Stage::Sent(resource) | Stage::Accepted(resource) => Some(resource),
            _ => None,
        }
    }
}
