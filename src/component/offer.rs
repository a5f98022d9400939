//! What can work now: which rights her agents carry out at this moment, for whom, and telling those whom a
//! change concerns. design.md §4 "what is offered".
//!
//! A message reaches her always, so what can become one is always offered. What only an agent can do is
//! offered while one that has it is online. For a watcher the agents of one who is invisible do not exist:
//! else their coming and going would show that she is there (security.md T24).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::authorization::{self, Decision, Right};
use super::clock::{Now, Wall};
use super::face;
use super::limits::FAREWELL;
use super::modules::Module;
use super::record::{ShownState, SubscriptionState};
use super::reply::Refusal;
use super::request::denied;
use super::state::User;
use super::timer::Timer;
use super::watcher::Watcher;
use super::{Component, Turn};
use crate::address::Bare;

/// What her agents can do, as far as watchers can know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    activates: bool,
    modules: BTreeSet<String>,
}

impl Offered {
    fn of(user: &User, now: Wall) -> Self {
        let agents = || {
            let hidden = hides(user, now);
            user.live.resources.values().filter(move |_| !hidden)
        };
        let abilities = agents().filter_map(|one| one.abilities.as_ref());
        Self {
            activates: agents().any(|one| one.can(Right::ActivateClient, None)),
            modules: abilities
                .flat_map(|one| one.modules().keys().cloned())
                .collect(),
        }
    }

    fn has(&self, right: Right, modules: &BTreeSet<&str>) -> bool {
        match right {
            Right::ActivateClient => self.activates,
            Right::StartModule => self
                .modules
                .iter()
                .any(|one| modules.contains(one.as_str())),
            _ => true,
        }
    }
}

fn hides(user: &User, now: Wall) -> bool {
    user.chosen(now)
        .is_some_and(|chosen| chosen.state == ShownState::Invisible)
}

/// Her agents that can run a command of this watcher now, the best first.
pub(super) fn agents(
    user: (&Bare, &User),
    watcher: &Bare,
    now: Wall,
    right: Right,
    module: Option<&str>,
) -> Vec<Arc<str>> {
    let (name, known) = user;
    if hides(known, now) && name != watcher {
        return Vec::new();
    }
    known.live.agents(right, module)
}

/// The modules that a watcher may start now.
pub(super) fn modules<'a>(
    user: (&Bare, &'a User),
    watcher: &Watcher,
    now: Now,
) -> BTreeMap<&'a str, &'a Module> {
    let (name, known) = user;
    let own = *name == watcher.bare;
    if hides(known, now.wall) && !own {
        return BTreeMap::new();
    }
    let named = named(known, watcher, now);
    let abilities = known
        .live
        .resources
        .values()
        .filter_map(|one| one.abilities.as_ref());
    abilities
        .flat_map(|one| one.modules())
        .map(|(module, what)| (module.as_str(), what))
        .filter(|(module, _)| own || named.contains(module))
        .collect()
}

/// What her grants name; an operator's party has no modules by itself.
fn named<'a>(known: &'a User, watcher: &Watcher, now: Now) -> BTreeSet<&'a str> {
    let evidence = known.evidence(&watcher.bare, None, None);
    authorization::modules(now, watcher.interface, evidence)
}

/// Whether a right that a watcher may have can be carried out now.
pub(super) fn works(user: (&Bare, &User), watcher: &Watcher, now: Now, right: Right) -> bool {
    match right {
        Right::See | Right::OpenUrl | Right::LeaveMessage | Right::Notify | Right::SetStatus => {
            true
        }
        Right::ActivateClient => !agents(user, &watcher.bare, now.wall, right, None).is_empty(),
        Right::StartModule => !modules(user, watcher, now).is_empty(),
    }
}

/// Decides whether a watcher may run this now, a module by its name; whether she is to be asked.
pub(super) fn permit(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
    right: Right,
    module: Option<&str>,
) -> Result<bool, Refusal> {
    let confirm = denied(core.decision(turn, user, watcher, right))?;
    is_named(core, turn, user, watcher, module).map(|()| confirm)
}

/// The same once more for a command that has been accepted, before it is sent.
pub(super) fn permit_again(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
    right: Right,
    module: Option<&str>,
) -> Result<bool, Refusal> {
    let confirm = denied(core.decision_again(turn, user, watcher, right))?;
    is_named(core, turn, user, watcher, module).map(|()| confirm)
}

fn is_named(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
    module: Option<&str>,
) -> Result<(), Refusal> {
    let (Some(module), Some(known)) = (module, core.state.user(user)) else {
        return Ok(());
    };
    match *user == watcher.bare || named(known, watcher, turn.now).contains(module) {
        true => Ok(()),
        false => Err(Refusal::Forbidden),
    }
}

/// Notes that what her agents can do may have changed. Those whom it concerns are told after a while: an
/// agent that restarts changes nothing.
pub(super) fn changed(core: &mut Component, turn: &Turn, user: &Bare) {
    let attached = core.attached;
    let Some(known) = core.state.user(user).filter(|_| attached) else {
        return;
    };
    if known.live.offering || Offered::of(known, turn.now.wall) == known.live.offered() {
        return;
    }
    core.timers
        .set(turn.now.mono + FAREWELL, Timer::Offers(user.clone()));
    if let Some(live) = core.state.live(user) {
        live.offering = true;
    }
}

/// Tells those watchers whose list of rights is another than it was, and nobody else: who may start nothing
/// is not to learn that there was something to start.
pub(super) fn tell(core: &mut Component, turn: &Turn, user: &Bare) {
    let Some(known) = core.state.user(user) else {
        return;
    };
    let now = Offered::of(known, turn.now.wall);
    let before = &known.live.offered();
    let concerned: Vec<Bare> = known
        .subscriptions
        .iter()
        .filter(|(_, one)| one.state == SubscriptionState::Approved && *before != now)
        .map(|(watcher, _)| watcher)
        .filter(|watcher| {
            let by = Watcher::stored(watcher, &core.settings.domain);
            let named = named(known, &by, turn.now);
            [Right::StartModule, Right::ActivateClient]
                .iter()
                .any(|right| {
                    before.has(*right, &named) != now.has(*right, &named)
                        && matches!(
                            face::decide(&core.settings, (user, known), &by, turn.now, *right),
                            Decision::Allow { .. }
                        )
                })
        })
        .cloned()
        .collect();
    for watcher in concerned {
        core.broadcasts.tell(user.clone(), watcher);
    }
    settle(core, user, now);
}

/// All her watchers are about to be told anyway.
pub(super) fn told(core: &mut Component, turn: &Turn, user: &Bare) {
    if let Some(known) = core.state.user(user) {
        let now = Offered::of(known, turn.now.wall);
        if let Some(live) = core.state.live(user) {
            live.set_offered(now);
        }
    }
}

fn settle(core: &mut Component, user: &Bare, now: Offered) {
    if let Some(live) = core.state.live(user) {
        live.offering = false;
        live.set_offered(now);
    }
}
