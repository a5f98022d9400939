//! What is to happen at a time, in order of time; every timer can be taken back exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Component, Turn, admin, behind, bulk, concluding, delivery, execution, learning, offer,
    overdue, pace, pending, presence, probe, resume, route, session, tell, unreachable,
};
use crate::address::Bare;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Probes have waited long enough for the first news of a user.
    Held(Bare),
    /// Bulk queries have waited long enough for the first news of users.
    Snapshots,
    /// A user's silence after our question, the how manyth, means offline.
    Grace(Bare, u32),
    /// A user's watchers are to be told of her face.
    Tell(Bare),
    /// Watchers are to be told of what a user's agents can do now.
    Offers(Bare),
    /// A user is to be told of the requests that have come since she was told.
    Prompt(Bare),
    /// A watcher that could not be reached has been left alone for long enough.
    Reach(Bare),
    /// An IQ of ours stays unanswered.
    Lost(String),
    /// Subscription stanzas may go on.
    Paced,
    /// A request of ours for a user's presence is still open.
    AskAgain(Bare),
    /// Some more subscriptions may end by a block of the operator.
    Endings,
    /// Time to ask all users again.
    Relearn,
    /// Time to write last faces.
    Remember,
    /// An ad-hoc session has been idle for too long.
    Session(String),
    /// A watcher must get a first answer about its command.
    Answer(String),
    /// A client has been silent about a command.
    Silence(String),
    /// A command has expired.
    Expire(String),
    /// Nobody has reported how a command that was sent ended.
    Lapse(String),
    /// The end of a command is written once more.
    Again(String),
    /// Ends that could not be written are tried again.
    Overdue,
    /// A user is to be told what waits for the digest.
    Digest(Bare),
    /// After an attach it is known by now who is there.
    Settled,
}

/// Names a timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey(Duration, u64);

/// Timers in order.
#[derive(Debug, Default)]
pub(super) struct Timers {
    set: BTreeMap<TimerKey, Timer>,
    n: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Duration, timer: Timer) -> TimerKey {
        self.n += 1;
        let key = TimerKey(at, self.n);
        self.set.insert(key, timer);
        key
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.set.remove(&key);
    }

    /// When the next is due.
    pub(super) fn first(&self) -> Option<Duration> {
        self.set.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes the next that is due.
    pub(super) fn due(&mut self, now: Duration) -> Option<Timer> {
        let entry = self
            .set
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

impl Component {
    /// Does all that is due.
    pub(super) fn fire(&mut self, turn: &mut Turn) {
        while let Some(timer) = self.timers.due(turn.now.mono) {
            match timer {
                Timer::Held(user) => probe::waited(self, turn, &user),
                Timer::Snapshots => bulk::waited(self, turn),
                Timer::Grace(user, question) => presence::silent(self, turn, &user, question),
                Timer::Tell(user) => self.tell_now(&user, turn),
                Timer::Offers(user) => offer::tell(self, turn, &user),
                Timer::Prompt(user) => pending::due(self, turn, &user),
                Timer::Reach(watcher) => unreachable::catch_up(self, &watcher),
                Timer::Lost(id) => route::lost(self, turn, &id),
                Timer::Paced => pace::due(self, turn),
                Timer::AskAgain(user) => pace::ask_again(self, turn, &user),
                Timer::Endings => admin::bars::due(self, turn),
                Timer::Relearn => learning::again(self, turn),
                Timer::Remember => behind::remember(self, turn),
                Timer::Session(id) => session::expire(self, turn, &id),
                Timer::Answer(id) => concluding::answer_late(self, turn, &id),
                Timer::Silence(id) => delivery::silent(self, turn, &id),
                Timer::Expire(id) => resume::expired(self, turn, &id),
                Timer::Lapse(id) => resume::lapsed(self, turn, &id),
                Timer::Again(id) => execution::again(self, turn, &id),
                Timer::Overdue => overdue::again(self, turn),
                Timer::Digest(user) => tell::due(self, turn, &user),
                Timer::Settled => resume::settled(self, turn),
            }
        }
        overdue::fire(self, turn);
    }
}
