//! Kind of stanza × addressee × payload → topic; the only such match. Pings are answered here (XEP-0199 §4).

use std::sync::Arc;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use xmpp_parsers::ns;

use super::about::NS_LAST;
use super::authorization::{Interface, Right};
use super::limits::{AWAITED_MAX, LEARNING_LOST};
use super::reply::{Asked, Refusal};
use super::timer::{Timer, TimerKey};
use super::watcher::Watcher;
use super::{
    Component, Turn, abilities, about, bulk, caps, chat, command, delivery, disco, face, gateway,
    join, learning, pace, presence, probe, rates, register, relay, reported, subscription, token,
    unreachable,
};
use crate::address::{Address, Bare};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::element;
use crate::stanza::inbound::Unaddressed;
use crate::stanza::outcome::Outcome;
use crate::stanza::{Arrival, Fault, Inbound, Kind, Probe};

/// What an IQ of ours was about.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// `disco#info` to a user's bare address: are we allowed to see her?
    Sight(learning::Question),
    /// `disco#info` to a resource.
    Features(caps::Question),
    /// Service discovery of an agent: what it can do.
    Abilities(abilities::Question),
    /// `jabber:iq:version` to the server of a domain of users.
    Server(Bare),
    /// A message to a user that may come back.
    Notice(Bare),
    /// The end of a command of a user, told to its watcher, that may come back.
    Outcome(Bare, Box<Outcome>),
    /// A command at a resource, by its execution.
    Command(String),
    /// Something that was passed on to an agent: what it says is of no interest.
    Passed,
}

/// An IQ of ours that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    /// Who must answer: a result from anyone else is dropped.
    from: Address,
    about: About,
    lost: TimerKey,
}

/// To whom a stanza is addressed.
enum Addressee {
    /// The component domain, with or without a resource.
    Component,
    /// A presentity; without a user where the address is not the canonical one of any.
    Presentity(Option<Bare>),
}

/// Whose stream something came in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The server's.
    Server,
    /// That of the party with this name.
    Party(Arc<str>),
}

impl Origin {
    fn interface(&self) -> Interface {
        match self {
            Self::Server => Interface::Public,
            Self::Party(_) => Interface::Dedicated,
        }
    }
}

/// Takes one arrival.
pub(super) fn received(core: &mut Component, turn: &mut Turn, origin: &Origin, arrival: Arrival) {
    let interface = origin.interface();
    let element = match arrival {
        Arrival::Stanza(element) => element,
        Arrival::Probe(one) => {
            if core.concerns_us(origin, &one.from, &one.to) {
                probed(core, turn, &one, interface);
            }
            return;
        }
        Arrival::Refused(refused) => {
            let head = refused
                .head
                .and_then(|head| Inbound::read(head, interface).ok());
            let head = head.filter(|stanza| {
                stanza.is_request() && core.concerns_us(origin, &stanza.from, &stanza.to)
            });
            if let Some(stanza) = head {
                let refusal = match refused.fault {
                    Fault::NotAStanza => Refusal::BadRequest,
                    _ => Refusal::TooLarge,
                };
                core.answer(&Asked::of(&stanza), Err(refusal));
            }
            return;
        }
    };
    let stanza = match Inbound::read(element.clone(), interface) {
        Ok(stanza) => stanza,
        Err(Unaddressed::To) => return unaddressed(core, origin, element),
        Err(_) => return,
    };
    if !core.concerns_us(origin, &stanza.from, &stanza.to) {
        return match origin {
            Origin::Server => {}
            Origin::Party(_) => astray(core, origin, element),
        };
    }
    let addressee = if stanza.to.bare.local().is_none() {
        Addressee::Component
    } else {
        let user = core.settings.domain.user(&stanza.to.bare);
        let watcher = Watcher::new(&stanza.from, interface);
        Addressee::Presentity(user.filter(|user| !core.bars(user, &watcher)))
    };
    match (stanza.kind, addressee) {
        (Kind::Presence, Addressee::Component) => component_presence(core, turn, &stanza),
        (Kind::Presence, Addressee::Presentity(user)) => {
            presentity_presence(core, turn, &stanza, user.as_ref());
        }
        (Kind::Message, _) if stanza.type_ == "error" => {
            answered(core, turn, &stanza);
        }
        (Kind::Message, Addressee::Component) => chat::received(core, turn, &stanza),
        (Kind::Message, Addressee::Presentity(user)) => {
            relay::message(core, turn, &stanza, user.as_ref());
        }
        (Kind::Iq, addressee) => iq(core, turn, &stanza, addressee),
    }
}

/// What a partner sends to somebody else: its link leads to us only. An IQ is answered, from the component
/// domain; the rest is dropped.
fn astray(core: &mut Component, origin: &Origin, mut element: Element) {
    let domain = core.settings.domain.bare().to_string();
    element.set_attr(Namespace::NONE, xml_ncname!("to").to_owned(), domain);
    if let Ok(stanza) = Inbound::read(element, origin.interface())
        && stanza.is_request()
        && core.concerns_us(origin, &stanza.from, &stanza.to)
    {
        core.answer(&Asked::of(&stanza), Err(Refusal::ServiceUnavailable));
    }
}

/// An IQ whose `to` is no address is answered from the component domain; the rest is dropped.
fn unaddressed(core: &mut Component, origin: &Origin, mut element: Element) {
    if *origin != Origin::Server {
        return astray(core, origin, element);
    }
    let domain = core.settings.domain.bare().to_string();
    let typed = element.attr(xml_ncname!("to")).unwrap_or_default();
    let host = typed.split('/').next().unwrap_or_default();
    if !host.to_lowercase().ends_with(&format!("@{domain}")) {
        return;
    }
    element.set_attr(Namespace::NONE, xml_ncname!("to").to_owned(), domain);
    if let Ok(stanza) = Inbound::read(element, origin.interface())
        && stanza.is_request()
    {
        core.answer(&Asked::of(&stanza), Err(Refusal::ServiceUnavailable));
    }
}

fn component_presence(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    match stanza.type_.as_str() {
        "" => presence::available(core, turn, stanza),
        "unavailable" => presence::unavailable(core, turn, stanza),
        "subscribe" => join::subscribe(core, turn, stanza),
        "subscribed" => join::subscribed(core, turn, &stanza.from.bare),
        "unsubscribe" => join::unsubscribe(core, turn, &stanza.from.bare),
        "unsubscribed" => join::unsubscribed(core, turn, &stanza.from.bare),
        "probe" => learning::greet(core, &stanza.from),
        "error" => {} // Never answered.
        _ => refuse_presence(core, stanza),
    }
}

fn presentity_presence(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    user: Option<&Bare>,
) {
    let watcher = &stanza.from.bare;
    if stanza.type_ != "error" {
        unreachable::reached(core, watcher);
    }
    match stanza.type_.as_str() {
        "probe" => {
            let one = Probe {
                from: stanza.from.clone(),
                to: stanza.to.clone(),
                id: stanza.id.clone(),
            };
            let place = user.and_then(|user| core.state.place(user));
            probe::presence(core, turn, &one, stanza.interface, (user, place));
        }
        "error" => {
            if let Some(user) = user {
                unreachable::failed(core, turn, user, watcher);
            }
        }
        "subscribe" => subscription::subscribe(core, turn, stanza, user),
        "unsubscribe" => subscription::unsubscribe(core, turn, stanza, user),
        // A watcher's own presence is of no interest, and we never asked for it.
        "" | "unavailable" | "subscribed" | "unsubscribed" => {}
        _ => refuse_presence(core, stanza),
    }
}

/// A probe that came without its tree.
fn probed(core: &mut Component, turn: &mut Turn, one: &Probe, interface: Interface) {
    if one.to.bare.local().is_none() {
        return learning::greet(core, &one.from);
    }
    let place = core.state.place_of(&one.to.bare);
    let known = place.and_then(|place| core.state.served_at(place));
    let user = match known {
        Some((user, _)) => Some(user.clone()),
        None => core.settings.domain.user(&one.to.bare),
    };
    let place = place.filter(|_| known.is_some());
    let place = place.or_else(|| core.state.place(user.as_ref()?));
    unreachable::reached(core, &one.from.bare);
    probe::presence(core, turn, one, interface, (user.as_ref(), place));
}

/// A type that does not exist (RFC 6121 §4.7.1).
fn refuse_presence(core: &mut Component, stanza: &Inbound) {
    core.send(super::reply::presence_error(stanza, &Refusal::BadRequest));
}

fn iq(core: &mut Component, turn: &mut Turn, stanza: &Inbound, addressee: Addressee) {
    match stanza.type_.as_str() {
        "get" | "set" => {
            let asked = Asked::of(stanza);
            let mut children = stanza.element.children();
            let (Some(payload), None) = (children.next(), children.next()) else {
                return core.answer(&asked, Err(Refusal::BadRequest));
            };
            let payload = payload.clone();
            match addressee {
                Addressee::Component => component_iq(core, turn, stanza, asked, &payload),
                Addressee::Presentity(user) => {
                    presentity_iq(core, turn, stanza, asked, &payload, user.as_ref());
                }
            }
        }
        "result" | "error" => answered(core, turn, stanza),
        _ => core.answer(&Asked::of(stanza), Err(Refusal::BadRequest)),
    }
}

fn component_iq(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    asked: Asked,
    payload: &Element,
) {
    let answer = match (stanza.type_.as_str(), payload.name(), payload.ns().as_str()) {
        ("get", "ping", ns::PING) => Ok(None),
        ("get", "query", ns::DISCO_INFO) => disco::component_info(core, payload, &stanza.from),
        ("get", "query", ns::DISCO_ITEMS) => disco::component_items(core, payload, &stanza.from),
        ("get", "query", ns::VERSION) => about::version(payload),
        ("get", "query", NS_LAST) => about::uptime(core, turn, payload),
        ("get", "query", gateway::NS) => gateway::prompt(payload),
        ("set", "query", gateway::NS) => gateway::translate(&core.settings.domain, payload),
        ("get", "query", ns::REGISTER) => match register::get(core, turn, &asked, payload) {
            Ok(query) => Ok(query),
            Err(refusal) => return core.send(register::refused(&asked, refusal)),
        },
        ("set", "query", ns::REGISTER) => return register::set(core, turn, asked, payload),
        ("get", "snapshot", bulk::NS_BULK) => return bulk::received(core, turn, asked, payload),
        ("set", "command", NS_COMMANDS) => return command::user(core, turn, asked, payload),
        // Of the wrong type (XEP-0050 §2.4 wants a set).
        ("get", "command", NS_COMMANDS)
        | ("set", "ping", ns::PING)
        | ("set", "query", ns::DISCO_INFO | ns::DISCO_ITEMS | ns::VERSION | NS_LAST) => {
            Err(Refusal::BadRequest)
        }
        ("set", "outcome", crate::stanza::outcome::NS) => {
            return delivery::reported(core, turn, asked, payload);
        }
        _ => Err(Refusal::ServiceUnavailable),
    };
    core.answer(&asked, answer);
}

fn presentity_iq(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    mut asked: Asked,
    payload: &Element,
    user: Option<&Bare>,
) {
    if let Err(refusal) = token::present(core, turn, &mut asked, &stanza.type_, payload, user) {
        return core.answer(&asked, Err(refusal));
    }
    let watcher = &asked.watcher();
    let seen = user
        .filter(|user| core.may(user, watcher, turn, Right::See))
        .cloned();
    let (type_, name, namespace) = (stanza.type_.as_str(), payload.name(), payload.ns());
    let Some(user) = seen else {
        // One answer for blocked, private, unregistered and unknown; disco#items asks for an empty
        // result instead (XEP-0030 §8).
        let refused = match rates::may_refuse(core, turn, &watcher.bare) {
            Err(refusal) => Err(refusal),
            Ok(()) if (type_, name, namespace.as_str()) == ("get", "query", ns::DISCO_ITEMS) => {
                Ok(Some(disco::empty_items(payload)))
            }
            Ok(()) => Err(Refusal::ServiceUnavailable),
        };
        return core.answer(&asked, refused);
    };
    let answer = match (type_, name, namespace.as_str()) {
        ("get", "query", face::NS_RIGHTS) => {
            return probe::query(core, turn, asked, payload, &user);
        }
        ("get", "ping", ns::PING) => Ok(None),
        ("get", "query", ns::DISCO_INFO) => {
            disco::presentity_info(core, turn, payload, watcher, &user)
        }
        ("get", "query", ns::DISCO_ITEMS) => {
            disco::presentity_items(core, turn, payload, watcher, &user)
        }
        ("set", "command", NS_COMMANDS) => {
            return command::watcher(core, turn, asked, payload, &user);
        }
        ("set", "outcome", crate::stanza::outcome::NS) => {
            return reported::received(core, turn, asked, payload, &user);
        }
        ("set", "redeem", token::NS_AUTHZ) => {
            return token::step::redeem(core, turn, asked, &user);
        }
        ("get", "query", NS_LAST) => return probe::last(core, turn, asked, payload, &user),
        ("get", "command", NS_COMMANDS)
        | ("get", "redeem", token::NS_AUTHZ)
        | ("set", "ping", ns::PING)
        | ("set", "query", ns::DISCO_INFO | ns::DISCO_ITEMS | NS_LAST | face::NS_RIGHTS) => {
            Err(Refusal::BadRequest)
        }
        _ => Err(Refusal::ServiceUnavailable),
    };
    core.answer(&asked, answer);
}

/// Takes the answer to an IQ of ours; anything that we did not ask for, or from somebody else, is
/// dropped in silence (RFC 6120 §8.2.3 rule 4, security: forged results).
fn answered(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    let Some(id) = &stanza.id else { return };
    let fits = |awaited: &Awaited| {
        let told = matches!(awaited.about, About::Notice(_) | About::Outcome(..));
        awaited.from == stanza.from && told == (stanza.kind == Kind::Message)
    };
    if !core.awaited.get(id).is_some_and(fits) {
        return;
    }
    let Some(awaited) = core.awaited.remove(id) else {
        return;
    };
    core.timers.cancel(awaited.lost);
    match awaited.about {
        About::Sight(question) => learning::answered(core, turn, question, stanza),
        About::Notice(user) => join::bounced(core, turn, &user, stanza),
        About::Outcome(user, outcome) => {
            relay::returned(core, turn, &user, &stanza.from.bare, *outcome);
        }
        About::Server(domain) => pace::identified(core, turn, domain, stanza),
        About::Features(question) => caps::answered(core, turn, question, stanza),
        About::Passed => {}
        About::Abilities(question) => abilities::answered(core, turn, &question, stanza),
        About::Command(execution) => delivery::answered(core, turn, &execution, stanza),
    }
}

/// An IQ of ours has stayed unanswered.
pub(super) fn lost(core: &mut Component, turn: &mut Turn, id: &str) {
    match core.awaited.remove(id).map(|awaited| awaited.about) {
        Some(About::Sight(question)) => learning::lost(core, turn, &question),
        Some(About::Abilities(question)) => abilities::lost(core, turn, &question),
        _ => {}
    }
}

impl Component {
    /// The door: the server may not speak for our domain nor for any below it, a party for its own only,
    /// and neither has business of others for us.
    fn concerns_us(&self, origin: &Origin, from: &Address, to: &Address) -> bool {
        let ours = &self.settings.domain;
        let from = &from.bare;
        let may_speak = match origin {
            Origin::Server => from.domain() != ours.bare().as_str() && ours.below(from).is_none(),
            Origin::Party(name) => ours
                .partner(name)
                .is_some_and(|partner| partner.as_str() == from.domain()),
        };
        may_speak && to.bare.domain() == ours.bare().as_str()
    }

    /// Sends an IQ from the component domain and remembers whom it is for; `false` where too many
    /// wait already.
    pub(super) fn ask(
        &mut self,
        turn: &mut Turn,
        type_: &str,
        to: Address,
        payload: Element,
        about: About,
    ) -> Option<Element> {
        if self.awaited.len() >= AWAITED_MAX {
            return None;
        }
        let id = turn.chance.id();
        let (from, text) = (self.settings.domain.bare().to_string(), to.to_string());
        let head = [
            ("type", type_),
            ("from", from.as_str()),
            ("to", &text),
            ("id", &id),
        ];
        let mut iq = element("iq", ns::JABBER_CLIENT, &head);
        iq.append_child(payload);
        self.watch(turn, id, to, about);
        Some(iq)
    }

    /// Remembers whose answer to a stanza of ours is waited for, and for how long.
    pub(super) fn watch(&mut self, turn: &Turn, id: String, from: Address, about: About) {
        if self.awaited.len() >= AWAITED_MAX || !self.attached {
            return;
        }
        let lost = self
            .timers
            .set(turn.now.mono + LEARNING_LOST, Timer::Lost(id.clone()));
        self.awaited.insert(id, Awaited { from, about, lost });
    }

    /// Whether the operator blocks a watcher of a user; to it she is nobody. She herself sees herself.
    pub(super) fn bars(&self, user: &Bare, watcher: &Watcher) -> bool {
        watcher.bare != *user && self.state.bars(&watcher.bare)
    }

    /// The same of a user by her place in the state.
    pub(super) fn may_at(
        &self,
        place: usize,
        watcher: &Watcher,
        turn: &Turn,
        right: Right,
    ) -> bool {
        self.state.served_at(place).is_some_and(|user| {
            !self.bars(user.0, watcher)
                && face::decide(&self.settings, user, watcher, turn.now, right).is_allowed()
        })
    }

    /// Whether a watcher may run a right now.
    pub(super) fn may(&self, user: &Bare, watcher: &Watcher, turn: &Turn, right: Right) -> bool {
        !self.bars(user, watcher)
            && self.state.user(user).is_some_and(|known| {
                face::decide(&self.settings, (user, known), watcher, turn.now, right).is_allowed()
            })
    }
}
