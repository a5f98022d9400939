//! What is known of a user only while attached: her resources and how sure we are of them.

use std::sync::Arc;
use std::time::Duration;

use super::abilities::{Abilities, Asking};
use super::authorization::Right;
use super::caps::Advertised;
use super::clock::Wall;
use super::few::Few;
use super::limits::RESOURCES_MAX;
use super::offer::Offered;
use super::record::ShownState;

/// How sure we are that `resources` is the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nothing heard since the attach.
    #[default]
    Unknown,
    /// Presence came, or silence was resolved.
    Known,
}

/// Whether a resource executes commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Agency {
    /// Not asked yet, or not answered.
    #[default]
    Unknown,
    /// Its verified features carry the agent's namespace.
    Agent,
    /// They don't.
    None,
}

/// One available resource of a user.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// `None` is plainly available.
    pub(super) show: Option<ShownState>,
    pub(super) status: Option<Box<str>>,
    pub(super) priority: i8,
    /// When this presence came about.
    pub(super) since: Wall,
    /// Since when nobody has touched it (XEP-0319).
    pub(super) idle: Option<Wall>,
    /// Order of arrival: the latest has the highest.
    pub(super) order: u64,
    /// Entity capabilities as advertised: node and ver (XEP-0115).
    pub(super) caps: Option<Advertised>,
    pub(super) agency: Agency,
    /// What it can do, where it is an agent that has said so.
    pub(super) abilities: Option<Box<Abilities>>,
    /// What it has been asked of that, and not answered.
    pub(super) asking: Option<Box<Asking>>,
    /// The question that it was heard after, see [`Live::asked`].
    pub(super) heard_after: u32,
}

impl Resource {
    /// Whether it is an agent that can run this. One that has not said yet what it can do opens pages.
    pub(super) fn can(&self, right: Right, module: Option<&str>) -> bool {
        self.agency == Agency::Agent
            && match &self.abilities {
                None => right == Right::OpenUrl,
                Some(abilities) => abilities.has(right, module),
            }
    }
}

/// What is known only while attached.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) knowledge: Knowledge,
    pub(super) resources: Few<Arc<str>, Resource>,
    /// Between our `subscribe` and her `subscribed`: a bare `unavailable` is then only Prosody's
    /// acknowledgement (servers.md §3.1).
    pub(super) subscribing: bool,
    /// Whether she has been heard of since we last asked.
    pub(super) heard: bool,
    /// How often we have asked for all her resources. Never goes back: it names the last question.
    pub(super) asked: u32,
    /// Whether she has been asked since the attach.
    pub(super) was_asked: bool,
    /// Whether watchers could see her online at the last look: a resource counts and she is not invisible.
    pub(super) visible: bool,
    /// When she stopped being invisible: what her clients say is not told from before. 0: never was.
    pub(super) appeared: Wall,
    /// A timer will tell her watchers.
    pub(super) telling: bool,
    /// A timer will tell those of them whom a change of what her agents can do concerns.
    pub(super) offering: bool,
    aside: Option<Box<Aside>>,
}

/// What is of no use for an answer while she is there.
#[derive(Debug, Default)]
struct Aside {
    /// When watchers could last see her online, as far as we saw it.
    departure: Option<Departure>,
    /// What her watchers were last told, and when.
    told: Option<Box<(Told, Duration)>>,
    /// What her agents could do as her watchers were last told; `None`: nothing.
    offered: Option<Box<Offered>>,
}

/// The part of a face that makes it worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) state: Option<ShownState>,
    pub(super) text: Option<String>,
    pub(super) idle: Option<Wall>,
}

/// How watchers saw her leave, by going offline or by becoming invisible. Nothing that she does unseen
/// changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) at: Wall,
    /// Her client's last words, where it said them to everyone.
    pub(super) words: Option<String>,
}

impl Live {
    /// What her agents could do as her watchers were last told.
    pub(super) fn offered(&self) -> Offered {
        let offered = self
            .aside
            .as_ref()
            .and_then(|aside| aside.offered.as_deref());
        offered.cloned().unwrap_or_default()
    }

    /// Takes down what they are told. Most users have no agent.
    pub(super) fn set_offered(&mut self, offered: Offered) {
        if offered != Offered::default() {
            self.aside.get_or_insert_default().offered = Some(Box::new(offered));
        } else if let Some(aside) = &mut self.aside {
            aside.offered = None;
        }
    }

    /// What her watchers were last told, and when.
    pub(super) fn told(&self) -> Option<&(Told, Duration)> {
        self.aside.as_ref()?.told.as_deref()
    }

    /// Takes down what they are told.
    pub(super) fn set_told(&mut self, told: Told, at: Duration) {
        self.aside.get_or_insert_default().told = Some(Box::new((told, at)));
    }

    /// From now on they have been told nothing.
    pub(super) fn forget_told(&mut self) {
        if let Some(aside) = &mut self.aside {
            aside.told = None;
        }
    }

    /// When watchers could last see her online, as far as we saw it.
    pub(super) fn departure(&self) -> Option<&Departure> {
        self.aside.as_ref()?.departure.as_ref()
    }

    /// Forgets everything: the link is gone, or she is not served.
    pub(super) fn forget(&mut self) {
        *self = Self {
            asked: self.asked.wrapping_add(1),
            ..Self::default()
        };
    }

    /// Takes an available presence; past the bound the oldest resource makes room.
    pub(super) fn put(&mut self, name: &Arc<str>, mut resource: Resource) {
        if let Some(before) = self.resources.get(name) {
            if before.caps == resource.caps {
                resource.agency = before.agency;
                resource.abilities.clone_from(&before.abilities);
                resource.asking.clone_from(&before.asking);
            }
        } else if self.resources.len() >= RESOURCES_MAX {
            let oldest = self.resources.iter().min_by_key(|(_, known)| known.order);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                self.resources.remove(&oldest);
            }
        }
        resource.heard_after = self.asked;
        self.resources.insert(Arc::clone(name), resource);
        self.knowledge = Knowledge::Known;
        self.heard = true;
    }

    /// Takes the end of one resource, or of all.
    pub(super) fn end(&mut self, name: Option<&Arc<str>>) {
        match name {
            Some(name) => {
                self.resources.remove(name);
            }
            None => self.resources.clear(),
        }
        self.knowledge = Knowledge::Known;
        self.heard = true;
    }

    /// Takes down whether watchers can see her online, after something that may have changed it at `at`,
    /// with her client's last words.
    pub(super) fn look(&mut self, visible: bool, at: Wall, words: Option<String>) {
        if self.visible && !visible {
            self.aside.get_or_insert_default().departure = Some(Departure { at, words });
        }
        self.visible = visible;
    }

    /// Takes away the resources that have not answered the last question, for the server did; whether
    /// there were any. A server does not tell of every end (servers.md §3.4).
    pub(super) fn sweep(&mut self) -> bool {
        let asked = self.asked;
        let ghosts: Vec<_> = self
            .resources
            .iter()
            .filter(|(_, resource)| resource.heard_after != asked)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in &ghosts {
            self.end(Some(name));
        }
        !ghosts.is_empty()
    }

    /// The resource that speaks for her: highest priority, then the latest change; a negative priority
    /// never counts (RFC 6121 §8.5.2). An answer to a probe repeats an old presence with its stamp, so
    /// the time of the presence comes before the order of arrival.
    pub(super) fn best(&self) -> Option<&Resource> {
        self.resources
            .values()
            .filter(|resource| resource.priority >= 0)
            .max_by_key(|resource| (resource.priority, resource.since, resource.order))
    }

    /// The agent that takes what watchers report, the latest.
    pub(super) fn agent_for_outcomes(&self) -> Option<Arc<str>> {
        let takes = |one: &&Resource| one.abilities.as_ref().is_some_and(|known| known.outcomes);
        let agents = self.resources.iter().filter(|(_, one)| takes(one));
        let latest = agents.max_by_key(|(_, one)| (one.priority, one.order));
        latest.map(|(name, _)| Arc::clone(name))
    }

    /// Her agents that can run this, the latest first.
    pub(super) fn agents(&self, right: Right, module: Option<&str>) -> Vec<Arc<str>> {
        let mut agents: Vec<_> = self
            .resources
            .iter()
            .filter(|(_, resource)| resource.can(right, module))
            .collect();
        agents.sort_by_key(|(_, resource)| std::cmp::Reverse((resource.priority, resource.order)));
        agents
            .into_iter()
            .map(|(name, _)| Arc::clone(name))
            .collect()
    }
}
