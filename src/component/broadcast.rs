//! Telling approved watchers that a face has changed.
//!
//! What waits is a set of users, never stanzas: a presence is rendered from the state as it is when
//! the link has room for it, so of several changes only the last is sent and order cannot go wrong.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use minidom::Element;

use super::authorization::Right;
use super::clock::Now;
use super::face::{self, Face, Occasion};
use super::limits::{FAREWELL, PACE};
use super::record::SubscriptionState;
use super::timer::Timer;
use super::watcher::Watcher;
use super::{Component, Turn, offer, partners, unreachable};
use crate::address::Bare;
use crate::stanza::Outbound;
use crate::stanza::compose::{Compose, element};

/// Who is still to be told.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    /// Users whose watchers are all to be told, first come first.
    queue: VecDeque<Bare>,
    queued: BTreeSet<Bare>,
    /// The last watcher that was told of the first user in the queue.
    cursor: Option<Bare>,
    /// Whether the first user's face has changed again since some were told.
    again: bool,
    /// Single watchers to be told: (user, watcher).
    single: BTreeSet<(Bare, Bare)>,
}

impl Broadcasts {
    /// Forgets all: nothing can be sent; after the next attach everyone is told anyway.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.single.is_empty()
    }

    /// Notes that one watcher is to be told.
    pub(super) fn tell(&mut self, user: Bare, watcher: Bare) {
        self.single.insert((user, watcher));
    }
}

impl Component {
    /// Notes that a face may have changed. Watchers are told at once after a quiet time; of changes in
    /// quick succession the last. That she is gone can wait a little longer: COMPAT(ejabberd 23.01)
    /// the end of an old session may come after the new one's presence (servers.md §3.4).
    pub(super) fn tell_watchers(&mut self, user: &Bare, turn: &Turn) {
        let Some(known) = self
            .state
            .user(user)
            .filter(|known| !known.subscriptions.is_empty())
        else {
            return;
        };
        if !self.attached || known.live.telling {
            return;
        }
        let told = Face::of(known, turn.now).told();
        let now = turn.now.mono;
        let due = match known.live.told() {
            None => now,
            Some((before, _)) if *before == told => return,
            // One who becomes invisible waits as long, or the wait would tell the two apart.
            Some((before, at)) if before.state.is_some() && told.state.is_none() => {
                (now + FAREWELL).max(*at + PACE)
            }
            Some((_, at)) => *at + PACE,
        };
        if due <= now {
            return self.tell_now(user, turn);
        }
        self.timers.set(due, Timer::Tell(user.clone()));
        if let Some(live) = self.state.live(user) {
            live.telling = true;
        }
    }

    /// Tells the watchers of a face, unless it is what they were told last.
    pub(super) fn tell_now(&mut self, user: &Bare, turn: &Turn) {
        let Some(known) = self.state.user(user) else {
            return;
        };
        let told = Face::of(known, turn.now).told();
        let Some(live) = self.state.live(user) else {
            return;
        };
        live.telling = false;
        if live.told().is_some_and(|before| before.0 == told) {
            return;
        }
        live.set_told(told, turn.now.mono);
        offer::told(self, turn, user);
        self.queue_watchers(user);
    }

    /// Notes that what a user's watchers may see has changed, whatever her face.
    pub(super) fn tell_each(&mut self, user: &Bare) {
        let Some(known) = self.state.user(user).filter(|_| self.attached) else {
            return;
        };
        let approved = known
            .subscriptions
            .iter()
            .filter(|(_, one)| one.state == SubscriptionState::Approved)
            .map(|(watcher, _)| (user.clone(), watcher.clone()));
        self.broadcasts.single.extend(approved);
    }

    fn queue_watchers(&mut self, user: &Bare) {
        if !self.attached {
            return;
        }
        let broadcasts = &mut self.broadcasts;
        if broadcasts.queue.front() == Some(user) && broadcasts.cursor.is_some() {
            // Some have been told the old face. They get the new one in a second pass: starting over
            // here would let a face that keeps changing starve the last watchers.
            broadcasts.again = true;
        } else if broadcasts.queued.insert(user.clone()) {
            broadcasts.queue.push_back(user.clone());
        }
    }

    /// Notes that one watcher is to be told.
    pub(super) fn tell_watcher(&mut self, turn: &Turn, user: &Bare, watcher: &Bare) {
        let known = self.state.user(user);
        let now = known.map(|known| Face::of(known, turn.now).told());
        if let (Some(now), Some(live)) = (now, self.state.live(user)) {
            let same = live.told().is_some_and(|told| told.0 == now);
            if live.telling && !same {
                // What others were told last is not what this one is told: soon all are told, even if by then
                // she is back at it.
                live.forget_told();
            } else if !same {
                live.set_told(now, turn.now.mono); // There was nobody to tell.
            }
        }
        if self.attached && self.is_approved(user, watcher) {
            self.broadcasts
                .single
                .insert((user.clone(), watcher.clone()));
        }
    }

    /// How long until the next presence may be drawn, where only the operator's rate holds it back.
    pub(super) fn next_broadcast(&self, now: Now) -> Option<Duration> {
        if self.broadcasts.is_empty() || !self.attached {
            return None;
        }
        self.broadcast_rate.until(&(), now.mono)
    }

    pub(super) fn is_approved(&self, user: &Bare, watcher: &Bare) -> bool {
        self.state
            .user(user)
            .is_some_and(|known| known.subscription(watcher) == Some(SubscriptionState::Approved))
    }
}

/// The next presence to send, as often as the operator allows.
pub(super) fn paced(core: &mut Component, turn: &Turn) -> Option<Outbound> {
    let at = turn.now.mono;
    if core.broadcasts.is_empty() || core.broadcast_rate.until(&(), at).is_some() {
        return None;
    }
    let stanza = poll(core, turn)?;
    core.broadcast_rate.take(&(), at);
    Some(stanza)
}

/// The next presence to send.
fn poll(core: &mut Component, turn: &Turn) -> Option<Outbound> {
    while let Some((user, watcher)) = core.broadcasts.single.pop_first() {
        if !core.is_approved(&user, &watcher)
            || partners::takes(core, &user, &watcher)
            || unreachable::misses(core, turn, &user, &watcher)
        {
            continue;
        }
        if let Some(stanza) = rendered(core, turn, &user, &watcher) {
            return Some(stanza);
        }
    }
    while let Some(user) = core.broadcasts.queue.front().cloned() {
        let after = core.broadcasts.cursor.take();
        let first = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = core.state.user(&user).and_then(|known| {
            known
                .subscriptions
                .from(first)
                .find(|(_, subscription)| subscription.state == SubscriptionState::Approved)
                .map(|(watcher, _)| watcher.clone())
        });
        let Some(watcher) = next else {
            core.broadcasts.queue.pop_front();
            if std::mem::take(&mut core.broadcasts.again) {
                core.broadcasts.queue.push_back(user);
            } else {
                core.broadcasts.queued.remove(&user);
            }
            continue;
        };
        core.broadcasts.cursor = Some(watcher.clone());
        let by = Watcher::stored(&watcher, &core.settings.domain);
        if core.may(&user, &by, turn, Right::See)
            && !partners::takes(core, &user, &watcher)
            && !unreachable::misses(core, turn, &user, &watcher)
            && let Some(stanza) = rendered(core, turn, &user, &watcher)
        {
            return Some(stanza);
        }
    }
    None
}

/// The presence for an approved watcher: the face, or plain `unavailable` where she does not let it
/// see her any more.
pub(super) fn rendered(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Bare,
) -> Option<Outbound> {
    let presentity = core.settings.domain.presentity(user)?;
    if core.pace.holds_approval(&presentity, watcher) {
        return None; // It follows when that has gone out.
    }
    let by = Watcher::stored(watcher, &core.settings.domain);
    if !core.may(user, &by, turn, Right::See) {
        return Some(gone(&presentity, watcher).into());
    }
    let (face, rights) = core.view(user, &by, turn)?;
    let to = watcher.clone().into();
    let presence = face::presence(&presentity, &to, face, rights, Occasion::Broadcast);
    Some(presence.into())
}

/// `unavailable` with nothing in it.
pub(super) fn gone(presentity: &Bare, watcher: &Bare) -> Element {
    let from = format!("{presentity}/{}", face::VIRTUAL_RESOURCE);
    let head = [("from", from.as_str()), ("to", watcher.as_str())];
    element("presence", xmpp_parsers::ns::JABBER_CLIENT, &head)
        .attribute("type", Some("unavailable"))
}
