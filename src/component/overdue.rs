//! What ends by itself: a part of a status, a token, a request, a grant. An end holds in memory at once and
//! is written, so that no clock that is set back gives it force again; one that cannot be written now waits
//! here, and so does what a refused change has taken from memory.

use std::collections::VecDeque;
use std::time::Duration;

use super::border::Lapse;
use super::clock::Wall;
use super::limits::IN_FLIGHT_MAX;
use super::record::Change;
use super::reply::Refusal;
use super::setting::{Setting, What};
use super::timer::Timer;
use super::token::step::Step;
use super::{Component, Turn, behind, border, lane, subscription};
use crate::address::Bare;

/// So long after an end could not be written it is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The same where it was only for want of room.
const SOON: Duration = Duration::from_secs(1);

/// Where so many changes are under way an end waits: the rest is for those who wait for an answer. After a
/// long time without the process, everything that has ended meanwhile is met at once.
const BEGUN_MAX: usize = IN_FLIGHT_MAX / 2;

/// Something of a user that has ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// What has ended in her status by this time.
    Status(Wall),
    /// Her token, by its public name.
    Token(String),
    /// A grant of hers.
    Grant(Lapse),
    /// A watcher's request that has waited for too long.
    Request(Bare),
    /// What a refused change has taken from memory alone: these records are to say what memory says.
    Taken(Vec<Change>),
}

/// The ends that are still to be written, and of whom; about as many as there are records at most.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    ends: VecDeque<(Bare, End)>,
    /// Whether the timer is set.
    is_timed: bool,
}

/// Meets all ends that have come.
pub(super) fn fire(core: &mut Component, turn: &mut Turn) {
    while let Some(user) = core.state.take_expired(turn.now.wall) {
        behind::overlaid(core, turn, &user);
        meet(core, turn, &user, End::Status(turn.now.wall));
    }
    while let Some((user, id, people)) = core.state.take_ended_token(turn.now.wall) {
        meet(core, turn, &user, End::Token(id));
        for watcher in people {
            core.tell_watcher(turn, &user, &watcher);
        }
    }
    if let Some(life_s) = core.settings.limits.pending_life_s() {
        while let Some((user, watcher)) = core.state.take_lapsed(life_s, turn.now.wall) {
            meet(core, turn, &user, End::Request(watcher));
        }
    }
    border::fire(core, turn);
}

/// Something has ended: it has no force in memory from here on, and that is written.
pub(super) fn meet(core: &mut Component, turn: &mut Turn, user: &Bare, end: End) {
    let task = match end {
        End::Status(met) => lane::Task::Setting(Setting::silent(What::Expiry(met))),
        End::Token(id) => lane::Task::Token(Step::End(id)),
        End::Grant(lapse) => lane::Task::Setting(Setting::silent(What::Lapse(lapse))),
        End::Request(watcher) => lane::Task::Subscription(subscription::lapse(watcher)),
        End::Taken(changes) => lane::Task::Taken(changes),
    };
    lane::submit_end(core, turn, user, task, BEGUN_MAX);
}

/// An end was not written, for this reason; where that may pass it is tried again.
pub(super) fn refused(core: &mut Component, turn: &Turn, user: &Bare, end: End, refusal: &Refusal) {
    if let Refusal::ResourceConstraint = refusal {
        core.overdue.ends.push_back((user.clone(), end));
        if !core.overdue.is_timed {
            core.overdue.is_timed = true;
            core.timers.set(turn.now.mono + AGAIN, Timer::Overdue);
        }
    }
}

/// The records that these changes are of, as memory has them now.
pub(super) fn as_in_memory(core: &Component, changes: &[Change]) -> Vec<Change> {
    let now = |change: &Change| {
        let mut now = change.clone();
        match &mut now {
            Change::Grant {
                user,
                watcher,
                value,
            } => *value = core.state.stored(user)?.grants().get(watcher).cloned(),
            Change::Block {
                user,
                watcher,
                value,
            } => *value = core.state.stored(user)?.blocks().get(watcher).copied(),
            Change::Token { user, id, value } => {
                *value = core.state.stored(user)?.tokens().get(id).cloned();
            }
            Change::Subscription {
                user,
                watcher,
                value,
            } => {
                let known = core.state.stored(user)?;
                *value = known.subscriptions.get(watcher).cloned();
            }
            _ => return None,
        }
        Some(now)
    };
    changes.iter().filter_map(now).collect()
}

/// Tries once each that could not be written, as far as there is room.
pub(super) fn again(core: &mut Component, turn: &mut Turn) {
    let mut left = core.overdue.ends.len();
    while left > 0
        && core.lanes.n_in_flight() < BEGUN_MAX
        && let Some((user, end)) = core.overdue.ends.pop_front()
    {
        left -= 1;
        // Where the clock was set back her status may have been set anew by it.
        let end = match end {
            End::Status(met) => End::Status(met.min(turn.now.wall)),
            end => end,
        };
        meet(core, turn, &user, end);
    }
    core.overdue.is_timed = !core.overdue.ends.is_empty();
    if core.overdue.is_timed {
        let pause = match left > 0 && core.alarm.is_none() {
            true => SOON,
            false => AGAIN,
        };
        core.timers.set(turn.now.mono + pause, Timer::Overdue);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::authorization::{Ceiling, Right, Visibility};
    use super::super::clock::{Now, Wall};
    use super::super::limits::Limits;
    use super::super::record::{Change, Grant, Profile, Subscription, SubscriptionState};
    use super::super::token::Digest;
    use super::super::token::Token;
    use super::super::{Effect, Event, Input, Ticket};
    use super::super::{Settings, ending};
    use super::*;
    use crate::address::ComponentDomain;

    const START: Wall = Wall(1_795_440_000_000);
    const BOT: &str = "bot@remote.example";

    struct Bench {
        core: Component,
        at: Duration,
    }

    impl Bench {
        fn input(&mut self, event: Event) -> Vec<(Ticket, Vec<Change>)> {
            let now = Now {
                mono: self.at,
                wall: START.plus_s(i64::try_from(self.at.as_secs()).unwrap()),
            };
            let chance = [0; 16];
            self.core.handle(Input { event, chance }, now);
            let mut written = Vec::new();
            while let Some(effect) = self.core.poll_effect() {
                if let Effect::Persist { ticket, changes } = effect {
                    written.push((ticket, changes));
                }
            }
            written
        }
    }

    fn settings() -> Settings {
        Settings {
            domain: ComponentDomain::parse("presence.localhost").unwrap(),
            users: vec![Bare::parse("localhost").unwrap()],
            admins: Vec::new(),
            neighbours: Vec::new(),
            contacts: BTreeMap::new(),
            timezone: ending::zone("UTC").unwrap(),
            default_visibility: Visibility::Subscribers,
            parties: Vec::new().into(),
            ceiling: Ceiling::default(),
            limits: Limits::default(),
        }
    }

    /// Users, each with a token that has ended, or with a grant, and a subscription that stands on it.
    fn ended(users: usize) -> Vec<Change> {
        let profile: Profile =
            serde_json::from_str(r#"{"joined":1,"visibility":"public"}"#).unwrap();
        let token = Token {
            digest: Digest::of(""),
            label: "blog".to_owned(),
            rights: BTreeSet::new(),
            since: Wall(0),
            until: START,
            uses: 1,
            used: 0,
            last_used: None,
            redeemed: BTreeMap::new(),
            barred: BTreeSet::new(),
        };
        let grant = Grant {
            until: Some(START),
            ..Grant::new(BTreeSet::from([Right::See]), Wall(0))
        };
        let subscription = Subscription {
            state: SubscriptionState::Approved,
            since: Wall(0),
            waiting: None,
            by_grant: true,
        };
        let of = |n| {
            let user = Bare::parse(&format!("user{n}@localhost")).unwrap();
            let mut changes = vec![Change::Profile {
                user: user.clone(),
                value: Some(profile.clone()),
            }];
            if n % 2 == 0 {
                changes.push(Change::Token {
                    user,
                    id: "t".to_owned(),
                    value: Some(token.clone()),
                });
            } else {
                let watcher = Bare::parse(BOT).unwrap();
                changes.push(Change::Grant {
                    user: user.clone(),
                    watcher: watcher.clone(),
                    value: Some(grant.clone()),
                });
                changes.push(Change::Subscription {
                    user,
                    watcher,
                    value: Some(subscription.clone()),
                });
            }
            changes
        };
        (0..users).flat_map(of).collect()
    }

    /// Whose end this is, if it is one.
    fn whose_end(changes: &[Change]) -> Option<&Bare> {
        match changes {
            [
                Change::Token {
                    user,
                    value: Some(token),
                    ..
                },
            ] if token.until == Wall(0) => Some(user),
            [
                Change::Grant {
                    user, value: None, ..
                },
                Change::Subscription { value: None, .. },
            ] => Some(user),
            _ => None,
        }
    }

    #[test]
    fn all_that_has_ended_is_written_and_leaves_room_for_others() {
        let users = 3 * BEGUN_MAX;
        let mut bench = Bench {
            core: Component::new(settings(), ended(users)),
            at: Duration::from_secs(1),
        };
        let mut written = BTreeMap::<Bare, u32>::new();
        let bot = Bare::parse(BOT).unwrap();
        for round in 0..6 {
            for (ticket, changes) in bench.input(Event::Deadline) {
                assert!(bench.core.n_in_flight() <= BEGUN_MAX);
                // At first the store takes nothing.
                if round == 0 {
                    bench.input(Event::Failed(ticket));
                    continue;
                }
                bench.input(Event::Committed(ticket));
                let whose = whose_end(&changes).unwrap();
                *written.entry(whose.clone()).or_default() += 1;
            }
            // Written or not, nothing of it holds.
            for (_, known) in bench.core.state.users() {
                assert!(!known.subscriptions.contains_key(&bot) && known.grants().is_empty());
                assert!(known.tokens().values().all(|token| token.until == Wall(0)));
            }
            bench.at += AGAIN;
        }
        assert_eq!(written.len(), users);
        assert!(written.values().all(|times| *times == 1));
        assert!(bench.core.overdue.ends.is_empty() && !bench.core.overdue.is_timed);
    }
}
