//! The parties that are on the dedicated link: what they are still to be told, and what changes for them
//! when the operator decides anew.
//!
//! A stanza for a party goes to its own link or nowhere. While the link is down nothing is kept for it but
//! the ends of its commands and subscriptions; its watchers are told all anew when it attaches, as after
//! our own attach.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use minidom::Element;
use minidom::rxml::xml_ncname;

use super::clock::{Chance, Now};
use super::limits::PARTNER_DEFERRED_MAX;
use super::live::Knowledge;
use super::record::SubscriptionState;
use super::route::{self, Origin};
use super::state::User;
use super::watcher::Watcher;
use super::{Component, PartyEvent, Settings, Turn, broadcast, face};
use crate::address::{Bare, ComponentDomain};
use crate::stanza::Outbound;

/// The party whose link a stanza goes to, by its `to`; `None`: it goes to the server.
#[must_use]
pub fn partner_of<'a>(ours: &ComponentDomain, stanza: &'a Outbound) -> Option<&'a str> {
    match stanza {
        Outbound::Tree(element) => ours.below_in(element.attr(xml_ncname!("to"))?),
        Outbound::Presented(presented) => ours.below(&presented.to.bare),
        Outbound::Refusal(refusal) => ours.below(&refusal.to),
    }
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Partners(HashMap<String, Partner>);

#[derive(Debug, Default)]
struct Partner {
    attached: bool,
    /// For the next attach.
    deferred: VecDeque<Element>,
    /// Who is to be told of whom as soon as the link has room: (user, watcher), each once.
    waiting: VecDeque<(Bare, Bare)>,
    noted: HashSet<(Bare, Bare)>,
}

impl Partner {
    fn note(&mut self, user: Bare, watcher: Bare) {
        let pair = (user, watcher);
        if self.noted.insert(pair.clone()) {
            self.waiting.push_back(pair);
        }
    }

    fn next(&mut self) -> Option<(Bare, Bare)> {
        let pair = self.waiting.pop_front()?;
        self.noted.remove(&pair);
        Some(pair)
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.noted.clear();
    }
}

impl Partners {
    /// The names of those that are attached, in order.
    pub(super) fn attached(&self) -> Vec<&str> {
        let attached = self.0.iter().filter(|(_, partner)| partner.attached);
        let mut names: Vec<_> = attached.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Forgets who is to be told: while the server is gone nothing is known to tell.
    pub(super) fn forget_broadcasts(&mut self) {
        for partner in self.0.values_mut() {
            partner.forget();
        }
    }
}

/// Takes what happened on a party's link.
pub(super) fn take(core: &mut Component, turn: &mut Turn, name: Arc<str>, event: PartyEvent) {
    match event {
        PartyEvent::Received(arrival) => {
            core.counts.received += 1;
            route::received(core, turn, &Origin::Party(name), arrival);
        }
        PartyEvent::Attached => attached(core, &name),
        PartyEvent::Detached => {
            if let Some(partner) = core.partners.0.get_mut(&*name) {
                partner.attached = false;
                partner.forget();
            }
        }
    }
}

fn attached(core: &mut Component, name: &str) {
    let Some(domain) = core.settings.domain.partner(name) else {
        return;
    };
    // Who is not known yet is told of when she is.
    let is_known = |known: &User| known.is_served() && known.live.knowledge == Knowledge::Known;
    let watched = core.state.users().filter(|(_, known)| is_known(known));
    let waiting = watched.flat_map(|(user, known)| {
        let approved = known.subscriptions.iter().filter(|(watcher, one)| {
            one.state == SubscriptionState::Approved && watcher.domain() == domain.as_str()
        });
        approved.map(move |(watcher, _)| (user.clone(), watcher.clone()))
    });
    let waiting: Vec<_> = waiting.collect();
    let partner = core.partners.0.entry(name.to_owned()).or_default();
    partner.attached = true;
    partner.forget();
    for (user, watcher) in waiting {
        partner.note(user, watcher);
    }
    for message in std::mem::take(&mut partner.deferred) {
        send(core, name, message.into());
    }
}

/// Whether a stanza tells what a party could not learn later: how a command ended, and whether it is
/// subscribed. States are told anew, answers have nobody who waits for them.
fn is_kept(stanza: &Element) -> bool {
    match stanza.name() {
        "message" => true,
        "presence" => matches!(
            stanza.attr(xml_ncname!("type")),
            Some("subscribed" | "unsubscribed")
        ),
        _ => false,
    }
}

/// Sends a stanza to a party, if it is there; some wait for it.
pub(super) fn send(core: &mut Component, name: &str, stanza: Outbound) {
    if !core.settings.parties.iter().any(|party| party.name == name) {
        return;
    }
    let partner = core.partners.0.entry(name.to_owned()).or_default();
    if partner.attached {
        core.effects.push_back(super::Effect::Send(stanza));
        return;
    }
    let stanza = Element::from(stanza);
    if is_kept(&stanza) && partner.deferred.len() < PARTNER_DEFERRED_MAX {
        partner.deferred.push_back(stanza);
    }
}

/// Whether a broadcast is a party's; it is then noted for its link, or dropped where that is down.
pub(super) fn takes(core: &mut Component, user: &Bare, watcher: &Bare) -> bool {
    let Some(name) = core.settings.domain.below(watcher) else {
        return false;
    };
    if let Some(partner) = core.partners.0.get_mut(name).filter(|one| one.attached) {
        partner.note(user.clone(), watcher.clone());
    }
    true
}

/// The next presence for a party.
pub(super) fn poll(core: &mut Component, name: &str, now: Now) -> Option<Outbound> {
    // Nothing is drawn for a broadcast.
    let turn = Turn {
        now,
        chance: Chance::new([0; 16]),
    };
    loop {
        let partner = core.partners.0.get_mut(name).filter(|one| one.attached)?;
        let (user, watcher) = partner.next()?;
        if core.is_approved(&user, &watcher)
            && let Some(stanza) = broadcast::rendered(core, &turn, &user, &watcher)
        {
            return Some(stanza);
        }
    }
}

/// Goes on with what the operator has decided anew. Rights are decided when they are asked for, so they
/// hold at once; watchers that see something else now are told.
pub(super) fn reload(core: &mut Component, turn: &Turn, settings: Settings) {
    let before = std::mem::replace(&mut core.settings, settings);
    core.set_rates();
    let names = |name: &String| {
        core.settings
            .parties
            .iter()
            .any(|party| party.name == *name)
    };
    core.partners.0.retain(|name, _| names(name));
    if core.attached {
        for (user, watcher) in changed(core, turn, &before) {
            core.broadcasts.tell(user, watcher);
        }
    }
}

/// The approved watchers whose view of a user is another one than before: (user, watcher).
fn changed(core: &Component, turn: &Turn, before: &Settings) -> Vec<(Bare, Bare)> {
    let mut changed = Vec::new();
    let Some(key) = core.key.as_ref() else {
        return changed;
    };
    let view = |settings: &Settings, user: (&Bare, &User), watcher: &Watcher| {
        let may_see = face::decide(
            settings,
            user,
            watcher,
            turn.now,
            super::authorization::Right::See,
        );
        may_see.is_allowed().then(|| {
            let face = face::Face::of(user.1, turn.now);
            face::service_right(settings, key, user, &face, watcher, turn.now).map(|one| one.rev)
        })
    };
    for (user, known) in core.state.users().filter(|(_, known)| known.is_served()) {
        for (watcher, subscription) in &known.subscriptions {
            let by = Watcher::stored(watcher, &core.settings.domain);
            if subscription.state == SubscriptionState::Approved
                && view(before, (user, known), &by) != view(&core.settings, (user, known), &by)
            {
                changed.push((user.clone(), watcher.clone()));
            }
        }
    }
    changed
}
