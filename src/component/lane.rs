//! Durable changes under way, one at a time for each user.
//!
//! A [`Task`] is planned in the state as it is when its turn comes (so `decide` runs again), written,
//! and only then applied and answered. What narrows holds in memory at once, before its turn.

use std::collections::{HashMap, VecDeque};

use super::limits::{IN_FLIGHT_MAX, LANE_WAITING_MAX};
use super::overdue::{self, End};
use super::record::Change;
use super::reply::Refusal;
use super::setting::What;
use super::state::Narrowing;
use super::token::step as token;
use super::{
    Component, Effect, Ticket, Turn, admin, behind, decision, execution, pending, setting,
    subscription, written,
};
use crate::address::Bare;

/// Something that changes durable records of one user.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Her own word.
    Setting(setting::Setting),
    /// What she decides about watchers.
    Decisions(decision::Decisions),
    /// A watcher's subscription.
    Subscription(subscription::Step),
    /// A list of requests, shown to her.
    Listing(pending::Listing),
    /// A step of a command.
    Execution(execution::Step),
    /// A token.
    Token(token::Step),
    /// An administrator deletes her.
    Removal(admin::Removal),
    /// Subscriptions that end by a block of the operator.
    Ending(admin::bars::Ending),
    /// Whom the operator blocks; of no user, but of the component itself.
    Bars(admin::Bars),
    /// What a refused change has taken from memory: the records are to say the same.
    Taken(Vec<Change>),
}

impl Task {
    fn plan(
        &mut self,
        core: &Component,
        turn: &mut Turn,
        user: &Bare,
    ) -> Result<Vec<Change>, Refusal> {
        match self {
            Self::Setting(setting) => setting::plan(core, turn, user, setting),
            Self::Decisions(decisions) => decision::plan(core, turn, user, decisions),
            Self::Subscription(step) => Ok(subscription::plan(core, turn, user, step)),
            Self::Listing(listing) => Ok(pending::plan(core, user, listing)),
            Self::Execution(step) => written::plan(core, turn, user, step),
            Self::Token(step) => token::plan(core, turn, user, step),
            Self::Removal(removal) => admin::plan_removal(core, turn, user, removal),
            Self::Ending(ending) => Ok(admin::bars::plan_ending(core, user, ending)),
            Self::Bars(bars) => Ok(admin::bars::plan(core, turn, bars)),
            Self::Taken(changes) => Ok(overdue::as_in_memory(core, changes)),
        }
    }

    fn done(self, core: &mut Component, turn: &mut Turn, user: &Bare, result: Result<(), Refusal>) {
        match self {
            Self::Setting(setting) => setting::done(core, turn, user, setting, result),
            Self::Decisions(decisions) => decision::done(core, turn, user, decisions, result),
            Self::Subscription(step) => subscription::done(core, turn, user, step, result),
            Self::Listing(listing) => pending::done(core, turn, user, listing, result),
            Self::Execution(step) => execution::done(core, turn, user, step, result),
            Self::Token(step) => token::done(core, turn, user, step, result),
            Self::Removal(removal) => admin::removed(core, turn, user, removal, result),
            Self::Ending(ending) => admin::bars::done_ending(core, turn, user, ending, result),
            Self::Bars(bars) => admin::bars::done(core, turn, bars, result),
            Self::Taken(changes) => {
                if let Err(refusal) = result {
                    overdue::refused(core, turn, user, End::Taken(changes), &refusal);
                }
            }
        }
    }

    /// Takes down what narrowing is about to take away, for those who are to be told.
    fn look(&mut self, core: &Component, turn: &Turn, user: &Bare) {
        match self {
            Self::Setting(setting) => setting::look(core, turn, user, setting),
            Self::Decisions(decisions) => decision::look(core, user, decisions),
            Self::Token(step) => token::look(core, user, step),
            Self::Removal(removal) => setting::look(core, turn, user, &mut removal.leaving),
            Self::Subscription(_)
            | Self::Listing(_)
            | Self::Execution(_)
            | Self::Ending(_)
            | Self::Bars(_)
            | Self::Taken(_) => {}
        }
    }

    /// Whether it is something that has ended by itself.
    fn is_end(&self) -> bool {
        match self {
            Self::Setting(setting) => matches!(setting.what, What::Expiry(_) | What::Lapse(_)),
            Self::Token(step) => matches!(step, token::Step::End(_)),
            _ => false,
        }
    }

    fn narrowing(&self, turn: &Turn) -> Vec<Narrowing> {
        match self {
            Self::Setting(setting) => setting::narrowing(setting, turn),
            Self::Decisions(decisions) => decision::narrowing(decisions, turn),
            Self::Token(step) => token::narrowing(step).into_iter().collect(),
            Self::Removal(removal) => setting::narrowing(&removal.leaving, turn),
            Self::Bars(bars) => admin::bars::narrowing(bars, turn),
            Self::Subscription(_)
            | Self::Listing(_)
            | Self::Execution(_)
            | Self::Ending(_)
            | Self::Taken(_) => Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Open {
    user: Bare,
    task: Task,
    changes: Vec<Change>,
}

/// One user's change that is being written, and what waits behind it.
#[derive(Debug, Default)]
struct Lane {
    busy: bool,
    waiting: VecDeque<Task>,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    next_ticket: u64,
    open: HashMap<Ticket, Open>,
    lanes: HashMap<Bare, Lane>,
    n_waiting: usize,
}

impl Lanes {
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Changes written or waiting to be.
    pub(super) fn n_in_flight(&self) -> usize {
        self.open.len() + self.n_waiting
    }
}

/// Takes a task: plans it now, or queues it behind the user's open one.
pub(super) fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, mut task: Task) {
    if is_full(core, user, IN_FLIGHT_MAX) {
        return task.done(core, turn, user, Err(Refusal::ResourceConstraint));
    }
    task.look(core, turn, user);
    let narrowings = task.narrowing(turn);
    for narrowing in &narrowings {
        core.state.narrow(user, narrowing);
    }
    // What is over by it ends before she is told, so that nobody hears of it after.
    if !narrowings.is_empty() {
        execution::review(core, turn, user);
    }
    enter(core, turn, user, task);
}

/// Takes what has ended by itself: it holds in memory in any case, and is begun where fewer than `room`
/// changes are under way. A command that waits is looked at again when it is sent.
pub(super) fn submit_end(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    mut task: Task,
    room: usize,
) {
    task.look(core, turn, user);
    for narrowing in task.narrowing(turn) {
        core.state.narrow(user, &narrowing);
    }
    match is_full(core, user, room) {
        true => task.done(core, turn, user, Err(Refusal::ResourceConstraint)),
        false => enter(core, turn, user, task),
    }
}

fn is_full(core: &Component, user: &Bare, room: usize) -> bool {
    let lane = core.lanes.lanes.get(user);
    core.lanes.n_in_flight() >= room
        || lane.is_some_and(|lane| lane.waiting.len() >= LANE_WAITING_MAX)
}

fn enter(core: &mut Component, turn: &mut Turn, user: &Bare, task: Task) {
    match core.lanes.lanes.get_mut(user) {
        Some(lane) => {
            lane.waiting.push_back(task);
            core.lanes.n_waiting += 1;
        }
        None => {
            core.lanes.lanes.insert(user.clone(), Lane::default());
            begin(core, turn, user, task);
            go_on(core, turn, user);
        }
    }
}

/// Takes the committer's word on a batch and goes on with what waits behind it.
pub(super) fn settled(core: &mut Component, turn: &mut Turn, ticket: Ticket, committed: bool) {
    let Some(Open {
        user,
        task,
        changes,
    }) = core.lanes.open.remove(&ticket)
    else {
        return; // A write-behind batch: nobody waits for it.
    };
    if let Some(lane) = core.lanes.lanes.get_mut(&user) {
        lane.busy = false;
    }
    let result = if committed {
        for change in &changes {
            core.state.apply(change);
        }
        narrow_again(core, turn, &user);
        Ok(())
    } else {
        // Said again it would find nothing to take away, and the records would remain.
        if !task.is_end() && !task.narrowing(turn).is_empty() {
            let refusal = Refusal::ResourceConstraint;
            overdue::refused(core, turn, &user, End::Taken(changes.clone()), &refusal);
        }
        Err(Refusal::ResourceConstraint)
    };
    task.done(core, turn, &user, result);
    let is_status = |change: &Change| matches!(change, Change::Status { .. });
    if committed && changes.iter().any(is_status) {
        behind::overlaid(core, turn, &user); // Whoever has changed it.
    }
    go_on(core, turn, &user);
}

/// Plans a task and hands its changes to the committer. A task that changes nothing ends at once.
fn begin(core: &mut Component, turn: &mut Turn, user: &Bare, mut task: Task) {
    match task.plan(core, turn, user) {
        Err(refusal) => task.done(core, turn, user, Err(refusal)),
        Ok(changes) if changes.is_empty() => task.done(core, turn, user, Ok(())),
        Ok(changes) => {
            let ticket = core.lanes.ticket();
            core.effects.push_back(Effect::Persist {
                ticket,
                changes: changes.clone(),
            });
            core.lanes.open.insert(
                ticket,
                Open {
                    user: user.clone(),
                    task,
                    changes,
                },
            );
            if let Some(lane) = core.lanes.lanes.get_mut(user) {
                lane.busy = true;
            }
        }
    }
}

/// Begins what waits until one is open again or none is left.
fn go_on(core: &mut Component, turn: &mut Turn, user: &Bare) {
    while let Some(lane) = core.lanes.lanes.get_mut(user) {
        if lane.busy {
            return;
        }
        let Some(task) = lane.waiting.pop_front() else {
            core.lanes.lanes.remove(user);
            return;
        };
        core.lanes.n_waiting -= 1;
        begin(core, turn, user, task);
    }
}

/// What was just applied may have widened what a waiting task narrows.
fn narrow_again(core: &mut Component, turn: &Turn, user: &Bare) {
    let waiting = core
        .lanes
        .lanes
        .get(user)
        .into_iter()
        .flat_map(|lane| &lane.waiting);
    let narrowings: Vec<_> = waiting.flat_map(|task| task.narrowing(turn)).collect();
    for narrowing in narrowings {
        core.state.narrow(user, &narrowing);
    }
}
