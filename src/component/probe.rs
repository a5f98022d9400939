//! Probes and their like as data: "is she there, and what may I do?" RFC 6121 §4.3, protocol.md §4.2.

use minidom::Element;
use xmpp_parsers::ns;

use super::authorization::{Interface, Level, Right};
use super::face::{self, Face, NS_RIGHTS, Occasion, ServiceRight, VIRTUAL_RESOURCE};
use super::limits::{HELD_MAX, HOLD, ID_BYTES_MAX};
use super::live::Knowledge;
use super::record::SubscriptionState;
use super::reply::{Asked, Refusal};
use super::state::User;
use super::timer::Timer;
use super::token::step as token;
use super::watcher::Watcher;
use super::{Component, Turn, about, bulk, command, learning, pace, rates, web};
use crate::address::{Address, Bare};
use crate::stanza::Probe;
use crate::stanza::compose::{Compose, element};

/// A question that waits for the first news of a user.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// A probe, from this address, which came in there, with this `id`.
    Probe(Address, Interface, Option<String>),
    /// The IQ query, with the `rev` that the watcher knows.
    Query(Asked, Option<String>),
    /// The query for her last activity.
    Last(Asked),
    /// A call of the web with this number, which shows a token.
    Web(u64, Watcher),
}

impl Held {
    /// Who asks.
    pub(super) fn watcher(&self) -> Watcher {
        match self {
            Self::Probe(from, interface, _) => Watcher::new(from, *interface),
            Self::Query(asked, _) | Self::Last(asked) => asked.watcher(),
            Self::Web(_, watcher) => watcher.clone(),
        }
    }
}

/// Answers a probe to a presentity, of the user at this place.
pub(super) fn presence(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Probe,
    interface: Interface,
    (user, place): (Option<&Bare>, Option<usize>),
) {
    let watcher = Watcher::new(&stanza.from, interface);
    let place = place.filter(|place| core.may_at(*place, &watcher, turn, Right::See));
    let (Some(user), Some(place)) = (user, place) else {
        return refuse(core, turn, stanza, user);
    };
    if !has_token(core, turn, &watcher.bare) {
        return;
    }
    if let Some(resource) = stanza
        .to
        .resource
        .as_deref()
        .filter(|r| *r != VIRTUAL_RESOURCE)
    {
        // RFC 6121 §4.3.2: nothing is told about another resource than the one that was asked for.
        let from = format!("{}/{resource}", stanza.to.bare);
        let to = stanza.from.to_string();
        let head = [
            ("from", from.as_str()),
            ("to", to.as_str()),
            ("type", "unavailable"),
        ];
        let none = element("presence", ns::JABBER_CLIENT, &head);
        return core.send(none.attribute("id", mirrored(stanza)));
    }
    let id = mirrored(stanza);
    let unlearned = |(_, known): (_, &User)| known.live.knowledge == Knowledge::Unknown;
    if core.state.served_at(place).is_some_and(unlearned) && has_room(core) {
        let held = Held::Probe(stanza.from.clone(), interface, id.map(ToOwned::to_owned));
        return hold(core, turn, user, held);
    }
    // That it may see her has just been decided, and its `to` is her presentity as it is written.
    let known = core.state.served_at(place);
    if let Some((face, rights)) = known.and_then(|known| core.view_of(known, &watcher, turn)) {
        let (presentity, occasion) = (&stanza.to.bare, Occasion::Probe(id));
        core.send(face::presence(
            presentity,
            &stanza.from,
            face,
            rights,
            occasion,
        ));
    }
}

/// The probe's `id`, as an answer may repeat it: the seal lets no longer one out.
fn mirrored(stanza: &Probe) -> Option<&str> {
    stanza.id.as_deref().filter(|id| id.len() <= ID_BYTES_MAX)
}

/// Answers the IQ query for rights, protocol.md §9.2. The watcher may see the user.
pub(super) fn query(
    core: &mut Component,
    turn: &mut Turn,
    asked: Asked,
    payload: &Element,
    user: &Bare,
) {
    let rev = payload
        .attr(minidom::rxml::xml_ncname!("rev"))
        .map(ToOwned::to_owned);
    ask_by_iq(core, turn, user, asked, |asked| Held::Query(asked, rev));
}

/// Answers the query for her last activity, XEP-0012. The watcher may see the user.
pub(super) fn last(
    core: &mut Component,
    turn: &mut Turn,
    asked: Asked,
    payload: &Element,
    user: &Bare,
) {
    if let Err(refusal) = about::is_bare(payload) {
        return core.answer(&asked, Err(refusal));
    }
    ask_by_iq(core, turn, user, asked, Held::Last);
}

fn ask_by_iq(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    asked: Asked,
    question: impl FnOnce(Asked) -> Held,
) {
    if !has_token(core, turn, &asked.to.bare) {
        let refusal = Refusal::PolicyViolation(core.probes.retry_after_s());
        return core.answer(&asked, Err(refusal));
    }
    let shows = asked.token.is_some();
    let question = question(asked);
    if shows {
        return token::submit(core, turn, user, token::Step::Use(question));
    }
    ask(core, turn, user, question);
}

/// Refuses a question that came by IQ.
pub(super) fn refuse_question(core: &mut Component, question: Held, refusal: Refusal) {
    match question {
        Held::Query(asked, _) | Held::Last(asked) => core.answer(&asked, Err(refusal)),
        Held::Web(call, _) => web::refuse(core, call, &refusal),
        Held::Probe(..) => {}
    }
}

/// Holds a question while nothing is known of the user since the attach; else answers it.
pub(super) fn ask(core: &mut Component, turn: &mut Turn, user: &Bare, question: Held) {
    if let Held::Web(call, watcher) = question {
        return web::answer(core, turn, user, call, &watcher); // Who is not learned is `unknown` there.
    }
    if waits(core, user) {
        hold(core, turn, user, question);
    } else {
        answer(core, turn, user, question);
    }
}

/// Whether questions about a user are to wait for the first news of her.
fn waits(core: &Component, user: &Bare) -> bool {
    learning::is_unlearned(core, user) && has_room(core)
}

fn has_room(core: &Component) -> bool {
    core.learning.n_held < HELD_MAX
}

fn hold(core: &mut Component, turn: &mut Turn, user: &Bare, question: Held) {
    core.learning.n_held += 1;
    let waiting = core.learning.held.entry(user.clone()).or_default();
    waiting.push(question);
    if waiting.len() == 1 {
        core.timers
            .set(turn.now.mono + HOLD, Timer::Held(user.clone()));
    }
}

/// No news of a user has come in time.
pub(super) fn waited(core: &mut Component, turn: &mut Turn, user: &Bare) {
    give_up(core, turn, user);
    release(core, turn, user);
}

/// One who has not let us see her yet cannot be learned.
pub(super) fn give_up(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core.state.live(user).is_some_and(|live| live.subscribing) {
        super::presence::unseen(core, turn, user);
    }
}

/// Answers what was held for a user.
pub(super) fn release(core: &mut Component, turn: &mut Turn, user: &Bare) {
    for question in core.learning.held.remove(user).unwrap_or_default() {
        core.learning.n_held -= 1;
        answer(core, turn, user, question);
    }
    bulk::learned(core, turn, user);
}

/// Answers what partners have asked, from what is known: the server is gone, and they are not.
pub(super) fn release_partners(core: &mut Component, turn: &mut Turn) {
    let is_partners = |held: &Held| held.watcher().interface == Interface::Dedicated;
    let mut questions = Vec::new();
    for (user, held) in &mut core.learning.held {
        questions.extend(
            held.extract_if(.., |one| is_partners(one))
                .map(|one| (user.clone(), one)),
        );
    }
    core.learning.n_held -= questions.len();
    for (user, question) in questions {
        answer(core, turn, &user, question);
    }
    bulk::release_partners(core, turn);
}

/// Answers from the state as it is now; consent may have changed while the question was held.
fn answer(core: &mut Component, turn: &mut Turn, user: &Bare, question: Held) {
    let watcher = &question.watcher();
    if !core.may(user, watcher, turn, Right::See) {
        return match question {
            Held::Probe(from, _, id) => unsubscribed(core, turn, user, &from.bare, id.as_deref()),
            Held::Query(asked, _) | Held::Last(asked) => {
                core.answer(&asked, Err(Refusal::ServiceUnavailable));
            }
            Held::Web(call, _) => web::refuse(core, call, &Refusal::ServiceUnavailable),
        };
    }
    let Some((face, rights)) = core.view(user, watcher, turn) else {
        return;
    };
    match question {
        Held::Probe(from, _, id) => {
            let Some(presentity) = core.settings.domain.presentity(user) else {
                return;
            };
            let occasion = Occasion::Probe(id.as_deref());
            core.send(face::presence(&presentity, &from, face, rights, occasion));
        }
        Held::Web(call, watcher) => web::answer(core, turn, user, call, &watcher),
        Held::Last(asked) => {
            let last = about::activity(turn, &face, rights.level);
            core.answer(&asked, last);
        }
        Held::Query(asked, rev) => {
            let query = element("query", NS_RIGHTS, &[("rev", &rights.rev)]);
            if rev.as_deref() == Some(&rights.rev) {
                return core.answer(&asked, Ok(Some(query))); // Unchanged.
            }
            core.answer(&asked, Ok(Some(told(query, &face, &rights))));
        }
    }
}

/// Puts what a watcher is told as data into an element: the level, the state, the rights.
pub(super) fn told(into: Element, face: &Face, rights: &ServiceRight) -> Element {
    let level = Some(rights.level.as_str());
    let into = into
        .attribute("level", level)
        .attribute(
            "expires",
            rights.expires.map(|at| at.to_string()).as_deref(),
        )
        .with(state(face, rights.level));
    rights.rights.iter().fold(into, |into, (right, _)| {
        let head = [("name", right.as_str()), ("label", command::title(*right))];
        into.with(element("right", NS_RIGHTS, &head))
    })
}

/// The face as data.
fn state(face: &Face, level: Level) -> Element {
    let type_ = if face.state.is_some() {
        "available"
    } else {
        "unavailable"
    };
    let show = if face.known || face.state.is_some() {
        face.show()
    } else {
        "unknown"
    };
    let (since, idle) = (face.since_for(level), face.idle);
    let state = element("state", NS_RIGHTS, &[("show", show), ("type", type_)])
        .attribute("since", since.map(|at| at.to_string()).as_deref())
        .attribute("idle-since", idle.map(|at| at.to_string()).as_deref());
    match &face.text {
        None => state,
        Some(text) => {
            let mut status =
                element("status", NS_RIGHTS, &[]).attribute("emoji", face.emoji.as_deref());
            status.append_text_node(text.as_str());
            state.with(status)
        }
    }
}

/// The refusal of a probe: `unsubscribed` from bare to bare with the probe's `id`, the same for
/// blocked, private, unregistered and unknown. While the watcher's own `subscribe` is open it is
/// silence (see `askers`).
fn refuse(core: &mut Component, turn: &mut Turn, stanza: &Probe, user: Option<&Bare>) {
    let watcher = &stanza.from.bare;
    if rates::may_refuse(core, turn, watcher).is_err() {
        return;
    }
    let approved = user
        .and_then(|user| core.state.user(user))
        .is_some_and(|known| known.subscription(watcher) == Some(SubscriptionState::Approved));
    if approved {
        // She hides, and keeps his subscription, which `unsubscribed` would end at his own server.
        let to = stanza.from.to_string();
        let head = [
            ("from", stanza.to.bare.as_str()),
            ("to", &to),
            ("type", "unavailable"),
        ];
        let gone = element("presence", ns::JABBER_CLIENT, &head);
        return core.send(gone.attribute("id", mirrored(stanza)));
    }
    if core.askers.has(&stanza.to.bare, watcher) {
        return;
    }
    pace::refuse(core, turn, &stanza.to.bare, watcher, mirrored(stanza));
}

fn unsubscribed(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: &Bare,
    id: Option<&str>,
) {
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    pace::refuse(core, turn, &presentity, watcher, id);
}

/// One answer's worth of the watcher's and, unless it is a local one, its domain's rate.
pub(super) fn has_token(core: &mut Component, turn: &Turn, watcher: &Bare) -> bool {
    take(core, turn, watcher, 1)
}

/// How many of `n` answers at once the rates allow: all, or as many as they ever allow at once. Nothing
/// is taken yet.
pub(super) fn room(
    core: &Component,
    turn: &Turn,
    watcher: &Bare,
    n: usize,
) -> Result<usize, Refusal> {
    let (domain, at) = (watcher.to_domain(), turn.now.mono);
    let own = core.probes.room(watcher, n, at);
    let of_domain = if core.settings.users.contains(&domain) {
        Ok(n)
    } else {
        core.probes_of_domain.room(&domain, n, at)
    };
    match (own, of_domain) {
        (Ok(own), Ok(of_domain)) => Ok(own.min(of_domain)),
        (own, of_domain) => {
            let wait_s = own.err().max(of_domain.err());
            Err(Refusal::PolicyViolation(wait_s.unwrap_or(1)))
        }
    }
}

/// Takes the tokens of `n` answers for which there was [`room`].
pub(super) fn take(core: &mut Component, turn: &Turn, watcher: &Bare, n: usize) -> bool {
    let (domain, at) = (watcher.to_domain(), turn.now.mono);
    let is_local = core.settings.users.contains(&domain);
    // What is more than its domain may have does not get as far as a bucket of its own: many addresses of one
    // domain fill no table.
    let taken = (is_local || core.probes_of_domain.room(&domain, n, at) == Ok(n))
        && core.probes.take_many(watcher, n, at)
        && (is_local || core.probes_of_domain.take_many(&domain, n, at));
    match taken {
        true => core.counts.questions += n as u64,
        false => core.counts.beyond += n as u64,
    }
    taken
}

impl Component {
    /// What a watcher sees of a user and may do.
    pub(super) fn view(
        &self,
        user: &Bare,
        watcher: &Watcher,
        turn: &Turn,
    ) -> Option<(Face, ServiceRight)> {
        self.view_of((user, self.state.user(user)?), watcher, turn)
    }

    fn view_of(
        &self,
        user: (&Bare, &User),
        watcher: &Watcher,
        turn: &Turn,
    ) -> Option<(Face, ServiceRight)> {
        let key = self.key.as_ref()?;
        let face = Face::of(user.1, turn.now);
        let rights = face::service_right(&self.settings, key, user, &face, watcher, turn.now)?;
        Some((face, rights))
    }
}
