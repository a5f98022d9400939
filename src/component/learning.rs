//! Learning the users' presence again: nobody re-sends it when a component attaches (servers.md §3.5).
//!
//! Each user gets our presence, a probe, and `disco#info` to the bare address, which tells an offline
//! user (silence on ejabberd) from one who does not let us see her. A window of unanswered questions
//! paces this by what the server bears.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use minidom::Element;
use xmpp_parsers::ns;

use super::limits::{AWAITED_MAX, LEARNING_GRACE, LEARNING_LOST, LEARNING_STEP, LEARNING_WINDOW};
use super::live::Knowledge;
use super::pace::{self, Urgency, Word};
use super::probe::Held;
use super::route::About;
use super::setting::{Setting, What};
use super::state::User;
use super::timer::{Timer, TimerKey};
use super::{Component, Effect, Report, Turn, bulk, face, lane, presence, probe};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;
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

/// What a `disco#info` to a user's bare address was about.
#[derive(Clone, Debug)]
pub(super) struct Question {
    user: Bare,
    /// Whether it belongs to a round.
    counted: bool,
}

/// How far the round has come.
#[derive(Debug, Default)]
pub(super) struct Learning {
    round: Round,
    /// The next user, in order of joining.
    cursor: Option<usize>,
    /// Whether the users are gone through once more, for those who were missed.
    again_for_missed: bool,
    /// How many users had gone for good when this pass began: each one's place goes to another.
    n_gone: usize,
    /// Stanzas of the user at hand.
    ready: VecDeque<Element>,
    /// Questions without an answer.
    n_unanswered: usize,
    progress: Progress,
    relearn: Option<TimerKey>,
    /// Probes that wait for the first news of a user.
    pub(super) held: HashMap<Bare, Vec<Held>>,
    pub(super) n_held: usize,
    /// Bulk queries that do.
    pub(super) snapshots: Vec<bulk::Waiting>,
}

/// What the operator is told of the round after an attach.
#[derive(Debug, Default)]
struct Progress {
    began: Duration,
    /// Users who are served, as the round began.
    n_users: usize,
    n_asked: usize,
    n_learned: usize,
    n_lost: usize,
}

impl Progress {
    fn is_complete(&self) -> bool {
        self.n_learned + self.n_lost >= self.n_asked
    }

    /// Told at each tenth, and not more often than in steps that are worth a line.
    fn is_worth_a_line(&self) -> bool {
        let step = (self.n_users / 10).max(LEARNING_STEP);
        self.n_learned > 0 && self.n_learned.is_multiple_of(step)
    }
}

/// Begins after an attach.
pub(super) fn begin(core: &mut Component, turn: &Turn) {
    start(core, turn, Round::Attach);
}

/// Goes through all users again, but not before the last round has ended.
pub(super) fn again(core: &mut Component, turn: &Turn) {
    if !core.attached {
        return;
    }
    let learning = &core.learning;
    if learning.cursor.is_some() || learning.n_unanswered > 0 {
        let later = core
            .timers
            .set(turn.now.mono + LEARNING_LOST, Timer::Relearn);
        core.learning.relearn = Some(later);
        return;
    }
    start(core, turn, Round::Again);
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
    let every = core.settings.limits.relearn_every;
    let relearn = core.timers.set(turn.now.mono + every, Timer::Relearn);
    let learning = &mut core.learning;
    learning.relearn = Some(relearn);
    learning.round = round;
    learning.cursor = Some(0);
    learning.again_for_missed = false;
    learning.n_gone = core.state.n_gone();
    learning.progress = Progress {
        began: turn.now.mono,
        n_users: core.state.n_served(),
        ..Progress::default()
    };
}

/// The next stanza of the round, where the window has room.
pub(super) fn poll(core: &mut Component, turn: &mut Turn) -> Option<Element> {
    loop {
        if let Some(stanza) = core.learning.ready.pop_front() {
            return Some(stanza);
        }
        let index = core.learning.cursor?;
        let round = core.learning.round;
        let full =
            core.learning.n_unanswered >= LEARNING_WINDOW || core.awaited.len() >= AWAITED_MAX;
        if round != Round::Farewell && full {
            return None;
        }
        let Some((user, known)) = core.state.at(index) else {
            if round == Round::Attach && core.learning.n_gone != core.state.n_gone() {
                // Somebody has left, and another took the place that had been passed.
                core.learning.n_gone = core.state.n_gone();
                core.learning.again_for_missed = true;
                core.learning.cursor = Some(0);
                continue;
            }
            core.learning.cursor = None;
            tell_when_complete(core, turn);
            return None;
        };
        core.learning.cursor = Some(index + 1);
        let Some(profile) = known.settings() else {
            continue;
        };
        if !known.is_served() {
            if profile.lost && round != Round::Farewell {
                let user = user.clone();
                ask_lost(core, turn, &user);
            }
            continue;
        }
        let done = core.learning.again_for_missed
            && (known.live.was_asked || known.live.knowledge == Knowledge::Known);
        let (user, subscribed, declined) = (user.clone(), profile.subscribed, profile.declined);
        match round {
            Round::Attach if done => {}
            Round::Farewell => {
                let gone = own_presence(core, &user.into(), Some("unavailable"));
                core.learning.ready.push_back(gone);
            }
            Round::Attach => {
                let here = own_presence(core, &user.clone().into(), None);
                core.learning.ready.push_back(here);
                core.learning.progress.n_asked += 1;
                if subscribed {
                    ask(core, turn, &user, true);
                } else {
                    request_again(core, turn, &user, declined);
                    settled(core, turn, true);
                }
            }
            Round::Again if subscribed => {
                core.learning.progress.n_asked += 1;
                ask(core, turn, &user, true);
            }
            Round::Again => {}
        }
    }
}

/// Asks for a user's presence: a probe, and `disco#info` for what silence means. `counted`: in the round.
fn ask(core: &mut Component, turn: &mut Turn, user: &Bare, counted: bool) {
    let domain = core.settings.domain.bare().clone();
    let question = element("query", ns::DISCO_INFO, &[]);
    let about = About::Sight(Question {
        user: user.clone(),
        counted,
    });
    let probe = Component::presence(&domain, user, "probe");
    let iq = core.ask(turn, "get", user.clone().into(), question, about);
    if let Some(live) = core.state.live(user)
        && iq.is_some()
    {
        live.heard = false;
        live.asked = live.asked.wrapping_add(1);
        live.was_asked = true;
    }
    core.learning.n_unanswered += usize::from(iq.is_some());
    core.learning.ready.push_back(probe);
    core.learning.ready.extend(iq);
}

/// Asks whether our subscription to a user who was lost stands after all.
pub(super) fn ask_lost(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let query = element("query", ns::DISCO_INFO, &[]);
    let about = About::Sight(Question {
        user: user.clone(),
        counted: false,
    });
    if let Some(iq) = core.ask(turn, "get", user.clone().into(), query, about) {
        core.learning.n_unanswered += 1;
        core.learning.ready.push_back(iq);
    }
}

/// Asks for the presence of one user, out of turn.
pub(super) fn ask_one(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core.attached && core.state.user(user).is_some() {
        ask(core, turn, user, false);
    }
}

/// She has not let us see her yet: she is offline to us, and is asked again unless she has said no. The
/// answer to her own request may have waited for its turn when the link went: it is said again, too.
fn request_again(core: &mut Component, turn: &mut Turn, user: &Bare, declined: bool) {
    if !declined && !core.pace.has_asked(user) {
        let domain = core.settings.domain.bare().clone();
        let pair = (&domain, user);
        if !pace::is_free(core, user) {
            pace::say(core, turn, pair, Word::Subscribed, Urgency::Again);
        }
        pace::say(core, turn, pair, Word::Subscribe, Urgency::Again);
    }
    presence::unseen(core, turn, user);
}

/// A question of the round has its answer, or never will.
fn settled(core: &mut Component, turn: &Turn, answered: bool) {
    let progress = &mut core.learning.progress;
    if answered {
        progress.n_learned += 1;
    } else {
        progress.n_lost += 1;
    }
    if core.learning.round != Round::Attach {
        return;
    }
    let progress = &core.learning.progress;
    if core.learning.cursor.is_none() {
        return tell_when_complete(core, turn);
    }
    if answered && progress.is_worth_a_line() && progress.n_learned < progress.n_users {
        let report = Report::Learning(progress.n_learned, progress.n_users);
        core.effects.push_back(Effect::Report(report));
    }
}

fn tell_when_complete(core: &mut Component, turn: &Turn) {
    let progress = &core.learning.progress;
    if core.learning.round == Round::Attach && progress.is_complete() {
        let time = turn.now.mono.saturating_sub(progress.began);
        let report = Report::Learned(progress.n_learned, progress.n_lost, time);
        core.effects.push_back(Effect::Report(report));
        // What comes later belongs to no round.
        core.learning.round = Round::Again;
    }
}

/// The server has answered our `disco#info` to a user.
pub(super) fn answered(core: &mut Component, turn: &mut Turn, question: Question, iq: &Inbound) {
    let Question { user, counted } = question;
    core.learning.n_unanswered = core.learning.n_unanswered.saturating_sub(1);
    let attach = core.learning.round == Round::Attach;
    if counted {
        settled(core, turn, true);
    }
    let is_lost = |known: &User| known.settings().is_some_and(|profile| profile.lost);
    if core.state.stored(&user).is_some_and(is_lost) {
        if iq.type_ == "result" {
            let found = lane::Task::Setting(Setting::silent(What::Found));
            lane::submit(core, turn, &user, found);
        }
        return;
    }
    let Some(live) = core.state.live(&user) else {
        return;
    };
    if iq.type_ == "result" {
        let grace = Timer::Grace(user, live.asked);
        core.timers.set(turn.now.mono + LEARNING_GRACE, grace);
        return;
    }
    if !is_denial(iq) {
        return lost_one(core, turn, &user); // It says nothing about her.
    }
    core.effects
        .push_back(Effect::Report(Report::Unseen(user.clone())));
    presence::unseen(core, turn, &user);
    if attach {
        // What happened while there was no link was told to nobody: she may have taken it back, or the
        // account may have been deleted, and registered by somebody else.
        let lost = lane::Task::Setting(Setting::silent(What::Lost));
        lane::submit(core, turn, &user, lost);
    }
}

/// Whether an error says that we have no subscription, or that there is no such account: both servers
/// give one answer for the two (servers.md §3.3). What is only for now says neither.
pub(super) fn is_denial(iq: &Inbound) -> bool {
    let error = iq.element.get_child("error", ns::JABBER_CLIENT);
    error.is_some_and(|error| {
        [
            "service-unavailable",
            "subscription-required",
            "forbidden",
            "item-not-found",
        ]
        .iter()
        .any(|condition| error.has_child(*condition, ns::XMPP_STANZAS))
    })
}

/// The server has not answered: the next round asks again.
pub(super) fn lost(core: &mut Component, turn: &mut Turn, question: &Question) {
    core.learning.n_unanswered = core.learning.n_unanswered.saturating_sub(1);
    if question.counted {
        settled(core, turn, false);
    }
    lost_one(core, turn, &question.user);
}

fn lost_one(core: &mut Component, turn: &mut Turn, user: &Bare) {
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
