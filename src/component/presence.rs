//! The users' own presence: what their resources say, and what silence says. servers.md §3, §7.

use std::sync::Arc;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use xmpp_parsers::ns;

use super::clock::Wall;
use super::face::cut;
use super::limits::STATUS_CHARS_MAX;
use super::live::{Agency, Knowledge, Resource};
use super::record::ShownState;
use super::{Component, Turn, behind, caps, learning, offer, pace, pending, probe};
use crate::address::Bare;
use crate::stanza::Inbound;

/// A resource is available.
pub(super) fn available(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    let user = &stanza.from.bare;
    let Some(name) = stanza.from.resource.clone() else {
        return;
    };
    core.order += 1;
    let (now, since) = (turn.now.wall, stamp(&stanza.element, turn.now.wall));
    let resource = Resource {
        show: child(&stanza.element, "show").as_deref().and_then(show),
        status: words(&stanza.element).map(Into::into),
        priority: child(&stanza.element, "priority")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
        since,
        idle: idle(&stanza.element, now),
        order: core.order,
        caps: caps::advertised(&stanza.element),
        agency: Agency::Unknown,
        abilities: None,
        asking: None,
        heard_after: 0,
    };
    let Some(live) = core.state.live(user) else {
        // Presence comes to who is subscribed: the account may be hers after all.
        let profile = core.state.stored(user).and_then(|known| known.settings());
        if profile.is_some_and(|profile| profile.lost) {
            learning::ask_lost(core, turn, user);
        }
        return;
    };
    let was_online = live.best().is_some();
    live.put(&name, resource);
    let is_online = live.best().is_some();
    core.state.look(user, now, since, None);
    caps::ask(core, turn, user, &name);
    changed(core, turn, user);
    if is_online && !was_online {
        pending::returned(core, turn, user);
    }
}

/// A resource, or (from the bare address) every resource, is gone.
pub(super) fn unavailable(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    let user = &stanza.from.bare;
    let domain = core.settings.domain.bare().clone();
    let Some(live) = core.state.live(user) else {
        return;
    };
    let name = stanza.from.resource.as_ref();
    if name.is_none() && live.subscribing {
        // COMPAT(prosody 0.12): the acknowledgement of our `subscribe`, not her state.
        return pace::acknowledged(core, turn, user);
    }
    // COMPAT(prosody 0.12): these words are the server's, not hers.
    let farewell = words(&stanza.element).filter(|text| !text.starts_with("Disconnected: "));
    live.end(name);
    let (now, at) = (turn.now.wall, stamp(&stanza.element, turn.now.wall));
    core.state.look(user, now, at, farewell);
    if name.is_some() {
        // COMPAT(ejabberd 23.01): when a resource logs in again, the old session's end may come after
        // the new one's presence (servers.md §3.4); only the server knows.
        core.send(Component::presence(&domain, user, "probe"));
    }
    changed(core, turn, user);
}

/// All resources are out of our sight: she has taken our subscription away, or never gave it.
pub(super) fn unseen(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let Some(live) = core.state.live(user) else {
        return;
    };
    live.end(None);
    let now = turn.now.wall;
    core.state.look(user, now, now, None);
    changed(core, turn, user);
}

/// The time to answer our question is over, and we may see her: what has not answered is not there
/// (design.md §3).
pub(super) fn silent(core: &mut Component, turn: &mut Turn, user: &Bare, question: u32) {
    let Some(live) = core.state.live(user).filter(|live| live.asked == question) else {
        return; // She has been asked again.
    };
    if !live.heard {
        unseen(core, turn, user);
    } else if live.sweep() {
        let now = turn.now.wall;
        core.state.look(user, now, now, None);
        changed(core, turn, user);
    }
}

/// Her face may have changed: watchers are told, the last face is written by and by.
pub(super) fn changed(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core
        .state
        .user(user)
        .is_some_and(|known| known.live.knowledge == Knowledge::Known)
    {
        behind::note(core, turn, user);
        probe::release(core, turn, user);
    }
    core.tell_watchers(user, turn);
    offer::changed(core, turn, user);
}

fn child(stanza: &Element, name: &str) -> Option<String> {
    stanza
        .get_child(name, ns::JABBER_CLIENT)
        .map(|child| cut(&child.text(), STATUS_CHARS_MAX))
}

/// The text of a presence. Of several in different languages (RFC 6121 §4.7.2.2) the one without a
/// language of its own counts, else the first in the order of the languages' names: whatever order the
/// server delivers them in, it is the same.
fn words(stanza: &Element) -> Option<String> {
    let language = |status: &Element| {
        let own = status.attr_ns(&Namespace::XML, xml_ncname!("lang"));
        own.unwrap_or_default().to_owned()
    };
    let texts = stanza
        .children()
        .filter(|child| child.is("status", ns::JABBER_CLIENT))
        .map(|status| (language(status), cut(&status.text(), STATUS_CHARS_MAX)))
        .filter(|(_, text)| !text.is_empty());
    texts.min().map(|(_, text)| text)
}

/// `<idle/>` of XEP-0319; one that begins in the future is none.
fn idle(stanza: &Element, now: Wall) -> Option<Wall> {
    let since = stanza
        .get_child("idle", ns::IDLE)?
        .attr(xml_ncname!("since"))?;
    Wall::parse(since).filter(|since| *since <= now)
}

/// RFC 6121 §4.7.2.1; anything else from the wire is treated as absent (Prosody forwards it).
fn show(word: &str) -> Option<ShownState> {
    match word.trim() {
        "away" => Some(ShownState::Away),
        "chat" => Some(ShownState::Chat),
        "dnd" => Some(ShownState::Dnd),
        "xa" => Some(ShownState::Xa),
        _ => None,
    }
}

/// The time of the presence: its `<delay/>` (XEP-0203) where it lies in the past.
fn stamp(stanza: &Element, now: Wall) -> Wall {
    stanza
        .get_child("delay", ns::DELAY)
        .and_then(|delay| delay.attr(xml_ncname!("stamp")))
        .and_then(Wall::parse)
        .filter(|stamp| *stamp <= now)
        .unwrap_or(now)
}

/// The name of a resource, shared.
pub(super) type ResourceName = Arc<str>;
