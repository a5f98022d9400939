//! Telling approved watchers that a face has changed.
//!
//! What waits is a set of users, never stanzas: a presence is rendered from the state as it is when
//! the link has room for it, so of several changes only the last is sent and order cannot go wrong.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

use minidom::Element;

use super::authorization::Right;
use super::face::{self, Occasion};
use super::record::SubscriptionState;
use super::{Component, Turn};
use crate::address::Bare;
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
}

impl Component {
    /// Notes that all approved watchers of a user are to be told.
    pub(super) fn tell_watchers(&mut self, user: &Bare, _turn: &Turn) {
        let watched = self
            .state
            .user(user)
            .is_some_and(|known| !known.subscriptions.is_empty());
        if !self.attached || !watched {
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
    pub(super) fn tell_watcher(&mut self, user: &Bare, watcher: &Bare) {
        if self.attached && self.is_approved(user, watcher) {
            self.broadcasts
                .single
                .insert((user.clone(), watcher.clone()));
        }
    }

    fn is_approved(&self, user: &Bare, watcher: &Bare) -> bool {
        self.state
            .user(user)
            .is_some_and(|known| known.subscription(watcher) == Some(SubscriptionState::Approved))
    }
}

/// The next presence to send.
pub(super) fn poll(core: &mut Component, turn: &Turn) -> Option<Element> {
    while let Some((user, watcher)) = core.broadcasts.single.pop_first() {
        if !core.is_approved(&user, &watcher) {
            continue;
        }
        if let Some(stanza) = rendered(core, turn, &user, &watcher) {
            return Some(stanza);
        }
    }
    while let Some(user) = core.broadcasts.queue.front().cloned() {
        let after = core.broadcasts.cursor.take();
        let range = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        let next = core.state.user(&user).and_then(|known| {
            known
                .subscriptions
                .range::<Bare, _>(range)
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
        if let Some(stanza) = rendered(core, turn, &user, &watcher) {
            return Some(stanza);
        }
    }
    None
}

/// The presence for an approved watcher: the face, or plain `unavailable` where she does not let it
/// see her any more.
fn rendered(core: &Component, turn: &Turn, user: &Bare, watcher: &Bare) -> Option<Element> {
    let presentity = core.settings.domain.presentity(user)?;
    if !core.may(user, watcher, turn, Right::See) {
        return Some(gone(&presentity, watcher));
    }
    let (face, rights) = core.view(user, watcher, turn)?;
    let to = watcher.clone().into();
    Some(face::presence(
        &presentity,
        &to,
        &face,
        &rights,
        Occasion::Broadcast,
    ))
}

/// `unavailable` with nothing in it.
pub(super) fn gone(presentity: &Bare, watcher: &Bare) -> Element {
    let from = format!("{presentity}/{}", face::VIRTUAL_RESOURCE);
    let head = [("from", from.as_str()), ("to", watcher.as_str())];
    element("presence", xmpp_parsers::ns::JABBER_CLIENT, &head)
        .attribute("type", Some("unavailable"))
}
