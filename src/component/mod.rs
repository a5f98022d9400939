//! The core: pure, synchronous, deterministic. No tokio, no sled, no clock, no randomness of its own.
pub mod authorization;
pub mod clock;
pub mod limits;
pub mod record;

use std::time::Duration;

use minidom::Element;

use crate::address::{Bare, ComponentDomain};
use crate::stanza::Arrival;
use authorization::{Ceiling, Party, Visibility};
use clock::Now;
use limits::Limits;
use record::Change;

/// Names one batch of durable changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the operator decided, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own domain.
    pub domain: ComponentDomain,
    /// The domains whose users may join.
    pub users: Vec<Bare>,
    /// The operator's own addresses.
    pub admins: Vec<Bare>,
    /// The visibility of a user who has just joined.
    pub default_visibility: Visibility,
    /// Registered third parties.
    pub parties: Vec<Party>,
    /// The most that each level may do.
    pub ceiling: Ceiling,
    /// Rates.
    pub limits: Limits,
}

/// One thing that happened, with the random bytes that everything made for it derives from.
#[derive(Clone, Debug)]
pub struct Input {
    /// What happened.
    pub event: Event,
    /// 16 bytes from the operating system.
    pub chance: [u8; 16],
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The link is up, the handshake done.
    Attached,
    /// The link is gone.
    Detached,
    /// Something came in.
    Received(Arrival),
    /// A batch is durable.
    Committed(Ticket),
    /// A batch could not be written.
    Failed(Ticket),
    /// The time that [`Component::deadline`] named has come.
    Deadline,
    /// The process is about to end: say good-bye.
    Shutdown,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make `changes` durable and report `Committed` or `Failed`.
    Persist {
        ticket: Ticket,
        changes: Vec<Change>,
    },
    /// Write `changes` behind, without a sync, and report all the same.
    Remember {
        ticket: Ticket,
        changes: Vec<Change>,
    },
    /// Send a stanza (`jabber:client`).
    Send(Box<Element>),
    /// Tell the operator.
    Report(Report),
}

/// Something for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A user has joined.
    Joined(Bare),
}

/// The component.
#[derive(Debug)]
pub struct Component {
    settings: Settings,
}

impl Component {
    /// Makes a component from its settings and what the store holds.
    #[must_use]
    pub fn new(settings: Settings, stored: impl IntoIterator<Item = Change>) -> Self {
        let _ = stored;
        Self { settings }
    }

    /// Takes one input. Drain [`Self::poll_effect`] before the next.
    pub fn handle(&mut self, input: Input, now: Now) {
        let _ = (input, now, &self.settings);
    }

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        None
    }

    /// The next broadcast, rendered from the state as it is now; to be called only while the link has
    /// room, so that what piles up is a set of addresses and never stanzas.
    pub fn poll_broadcast(&mut self, now: Now) -> Option<Element> {
        let _ = now;
        None
    }

    /// How long until [`Event::Deadline`] is due.
    #[must_use]
    pub fn deadline(&self, now: Now) -> Option<Duration> {
        let _ = now;
        None
    }
}
