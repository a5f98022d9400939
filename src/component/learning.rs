//! Learning the users' presence again: nobody re-sends it when a component attaches (servers.md §3.5).
//!
//! Each user gets our presence, a probe, and `disco#info` to the bare address, which tells an offline
//! user (silence on ejabberd) from one who does not let us see her. A window of unanswered questions
//! paces this by what the server bears.

use std::collections::{HashMap, VecDeque};

use minidom::Element;
use xmpp_parsers::ns;

use super::limits::{LEARNING_GRACE, LEARNING_WINDOW, RELEARN_EVERY};
use super::live::Knowledge;
use super::probe::Held;
use super::route::About;
use super::timer::{Timer, TimerKey};
use super::{Component, Effect, Report, Turn, bulk, face, presence, probe};
use crate::address::{Address, Bare};
use crate::stanza::compose::element;

/// Why all users are gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    /// We have just attached.
    #[default]
    Attach,
    /// What a server never tells is asked again.
    Again,
    /// We are about to leave.
    Farewell,
}

/// How far the round has come.
#[derive(Debug, Default)]
pub(super) struct Learning {
    round: Round,
    /// The next user, in order of joining.
    cursor: Option<usize>,
    /// Stanzas of the user at hand.
    ready: VecDeque<Element>,
    /// Questions without an answer.
    n_unanswered: usize,
    n_asked: usize,
    relearn: Option<TimerKey>,
    /// Probes that wait for the first news of a user.
    pub(super) held: HashMap<Bare, Vec<Held>>,
    pub(super) n_held: usize,
    /// Bulk queries that do.
    pub(super) snapshots: Vec<bulk::Waiting>,
}

/// Begins after an attach.
pub(super) fn begin(core: &mut Component, turn: &Turn) {
    start(core, turn, Round::Attach);
}

/// Goes through all users again.
pub(super) fn again(core: &mut Component, turn: &Turn) {
    if core.attached {
        start(core, turn, Round::Again);
    }
}

/// Says good-bye to all users (XEP-0100 §8).
pub(super) fn farewell(core: &mut Component) {
    core.learning.round = Round::Farewell;
    core.learning.cursor = Some(0);
    core.learning.ready.clear();
}

/// The link is gone: nothing can be asked, and nobody can be answered.
pub(super) fn end(core: &mut Component, _turn: &Turn) {
    if let Some(key) = core.learning.relearn.take() {
        core.timers.cancel(key);
    }
    core.learning = Learning::default();
}

fn start(core: &mut Component, turn: &Turn, round: Round) {
    if let Some(key) = core.learning.relearn.take() {
        core.timers.cancel(key);
    }
    let relearn = core
        .timers
        .set(turn.now.mono + RELEARN_EVERY, Timer::Relearn);
    let learning = &mut core.learning;
    learning.relearn = Some(relearn);
    learning.round = round;
    learning.cursor = Some(0);
    learning.n_asked = 0;
}

/// The next stanza of the round, where the window has room.
pub(super) fn poll(core: &mut Component, turn: &mut Turn) -> Option<Element> {
    loop {
        if let Some(stanza) = core.learning.ready.pop_front() {
            return Some(stanza);
        }
        let index = core.learning.cursor?;
        let round = core.learning.round;
        if round != Round::Farewell && core.learning.n_unanswered >= LEARNING_WINDOW {
            return None;
        }
        let Some((user, known)) = core.state.at(index) else {
            core.learning.cursor = None;
            if round == Round::Attach {
                core.effects
                    .push_back(Effect::Report(Report::Learned(core.learning.n_asked)));
            }
            return None;
        };
        core.learning.cursor = Some(index + 1);
        let Some(profile) = known.profile.as_ref().filter(|_| known.is_served()) else {
            continue;
        };
        let (user, subscribed) = (user.clone(), profile.subscribed);
        match round {
            Round::Farewell => {
                let gone = own_presence(core, &user.clone().into(), Some("unavailable"));
                core.learning.ready.push_back(gone);
            }
            Round::Attach => {
                let here = own_presence(core, &user.clone().into(), None);
                core.learning.ready.push_back(here);
                ask(core, turn, &user, subscribed);
            }
            Round::Again if subscribed => ask(core, turn, &user, subscribed),
            Round::Again => {}
        }
    }
}

/// Asks for a user's presence, or once more for her approval.
fn ask(core: &mut Component, turn: &mut Turn, user: &Bare, subscribed: bool) {
    core.learning.n_asked += 1;
    let domain = core.settings.domain.bare().clone();
    if !subscribed {
        if let Some(live) = core.state.live(user) {
            live.subscribing = true;
        }
        let subscribe = Component::presence(&domain, user, "subscribe");
        core.learning.ready.push_back(subscribe);
        return presence::unseen(core, turn, user);
    }
    let question = element("query", ns::DISCO_INFO, &[]);
    let about = About::Sight(user.clone());
    let Some(iq) = core.ask(turn, "get", user.clone().into(), question, about) else {
        return;
    };
    if let Some(live) = core.state.live(user) {
        live.heard = false;
    }
    core.learning.n_unanswered += 1;
    core.learning
        .ready
        .push_back(Component::presence(&domain, user, "probe"));
    core.learning.ready.push_back(iq);
}

/// The server has answered our `disco#info` to a user.
pub(super) fn answered(core: &mut Component, turn: &mut Turn, user: &Bare, result: bool) {
    core.learning.n_unanswered = core.learning.n_unanswered.saturating_sub(1);
    let Some(live) = core.state.live(user) else {
        return;
    };
    if !result {
        core.effects
            .push_back(Effect::Report(Report::Unseen(user.clone())));
        return presence::unseen(core, turn, user);
    }
    if !live.heard {
        core.timers
            .set(turn.now.mono + LEARNING_GRACE, Timer::Grace(user.clone()));
    }
}

/// The server has not answered: the next round asks again.
pub(super) fn lost(core: &mut Component, turn: &mut Turn, user: &Bare) {
    core.learning.n_unanswered = core.learning.n_unanswered.saturating_sub(1);
    probe::release(core, turn, user);
}

/// Sends our own presence, as an answer to a probe or a subscription.
pub(super) fn greet(core: &mut Component, to: &Address) {
    let stanza = own_presence(core, to, None);
    core.send(stanza);
}

fn own_presence(core: &Component, to: &Address, type_: Option<&str>) -> Element {
    use crate::stanza::Compose;
    let from = format!("{}/{}", core.settings.domain.bare(), face::VIRTUAL_RESOURCE);
    let head = [("from", from.as_str()), ("to", &to.to_string())];
    let stanza = element("presence", ns::JABBER_CLIENT, &head).attribute("type", type_);
    stanza.with_some(type_.is_none().then(|| core.identity.component_caps()))
}

/// Whether nothing is known of a user yet.
pub(super) fn is_unlearned(core: &Component, user: &Bare) -> bool {
    core.state
        .user(user)
        .is_some_and(|known| known.live.knowledge == Knowledge::Unknown)
}
