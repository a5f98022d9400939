//! The pure core with people around it, for tests that compare what different people are told.

use std::time::Duration;

use vestibule::component::Settings;
use vestibule::stanza::Fault;

use crate::support::transcript::core::Core;
use crate::support::transcript::script::{Commit, Loss};
use crate::support::transcript::tree::Tree;
use crate::support::transcript::wire::Wire;

/// The component's domain.
pub(crate) const HOME: &str = "presence.localhost";

/// An attached component, and the people who write to it.
pub(crate) struct World {
    core: Core,
    /// Whether every durable commit fails.
    broken: bool,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut world = Self {
            core: Core::new(settings),
            broken: false,
        };
        world.core.attach(&None);
        world.sent();
        world
    }

    /// Delivers a stanza and returns what is sent then.
    pub(crate) fn deliver(&mut self, xml: &str) -> Vec<Tree> {
        self.core.deliver(&None, xml);
        self.sent()
    }

    /// Delivers an element of which the link took only this start tag.
    pub(crate) fn refuse(&mut self, fault: Fault, head: &str) -> Vec<Tree> {
        self.core.refuse(fault, head);
        self.sent()
    }

    /// What has been sent since the last look.
    pub(crate) fn sent(&mut self) -> Vec<Tree> {
        while self.broken && self.core.settle(Commit::Failed).is_ok() {}
        let sent = self.core.sent();
        let faults = self.core.faults();
        assert!(faults.is_empty(), "{faults:?}");
        sent.into_iter().map(|(_, stanza)| stanza).collect()
    }

    /// Lets time pass, and returns what is sent meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Tree> {
        let mut left = time;
        while !left.is_zero() {
            left = left.saturating_sub(self.core.pass(left));
        }
        self.sent()
    }

    /// She adds the component as a contact and approves it.
    pub(crate) fn joins(&mut self, user: &str) {
        self.deliver(&format!(
            "<presence type='subscribe' from='{user}' to='{HOME}'/>"
        ));
        self.deliver(&format!(
            "<presence type='subscribed' from='{user}' to='{HOME}'/>"
        ));
    }

    /// One of her resources sends presence with these children.
    pub(crate) fn online(&mut self, resource: &str, children: &str) {
        self.deliver(&format!(
            "<presence from='{resource}' to='{HOME}'>{children}</presence>"
        ));
    }

    /// She writes to the component and is understood.
    pub(crate) fn says(&mut self, user: &str, words: &str) {
        let sent = self.deliver(&format!(
            "<message type='chat' from='{user}/chat' to='{HOME}'><body>{words}</body></message>"
        ));
        let answer = sent.iter().find(|stanza| stanza.name == "message");
        let text = answer.map(ToString::to_string).unwrap_or_default();
        assert!(
            !text.is_empty() && !text.contains("did not understand") && !text.contains("Whom?"),
            "{user}: {words}: {text}"
        );
    }

    /// The process is killed and starts again; nobody is learned yet.
    pub(crate) fn restart(&mut self) {
        self.core.restart(Loss::None);
        self.core.attach(&None);
        self.sent();
    }

    /// From here on durable commits fail.
    pub(crate) fn break_disk(&mut self) {
        self.core.hold(true);
        self.broken = true;
    }

    /// From here on durable commits wait.
    pub(crate) fn hold(&mut self) {
        self.core.hold(true);
    }
}
