//! Subscription stanzas at the pace that the users' server takes, and our own request until she answers.
//!
//! COMPAT(ejabberd 23.01): `mod_pres_counter`, on in Debian's configuration, lets 5 subscription stanzas
//! through from one connection to all users of its hosts together and drops the others without a word,
//! until 60 s have passed since the last that it let through (servers.md §3.6). Stanzas to other servers
//! do not count. What waits is one word for each pair of addresses and direction, the last; whether it is
//! still true is asked again when its turn comes, so that nothing goes out that was taken back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::limits::{ASK_AGAIN, PACED_MAX, PACED_PERIOD, SERVER_TAKES, SubscriptionRate};
use super::record::SubscriptionState;
use super::route::About;
use super::timer::{Timer, TimerKey};
use super::{Component, Effect, Report, Turn, learning};
use crate::address::Bare;
use crate::stanza::Inbound;
use crate::stanza::compose::{Compose, element};
use crate::stanza::outbound::Refusal;

/// The namespace of XEP-0092.
const NS_VERSION: &str = "jabber:iq:version";

/// A subscription stanza (RFC 6121 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Subscribed,
    Unsubscribed,
    Subscribe,
    Unsubscribe,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    /// Whether it is about our own subscription, not about the other's.
    fn asks(self) -> bool {
        matches!(self, Self::Subscribe | Self::Unsubscribe)
    }
}

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Somebody waits for it.
    Awaited,
    /// Said before, perhaps in vain.
    Again,
    /// To one who has no subscription that we know of.
    Refusal,
}

impl Urgency {
    /// How many of a period's stanzas may be out before one of these: the others are kept for those
    /// who wait.
    fn room(self, takes: u32) -> u32 {
        match self {
            Self::Awaited => takes,
            Self::Again => (takes * 2 / 5).max(1),
            Self::Refusal => 1,
        }
    }
}

/// From whom, to whom, and whether it is about our own subscription.
type Pair = (Bare, Bare, bool);

#[derive(Debug)]
struct Waiting {
    word: Word,
    place: (Urgency, u64),
    /// The `id` of the probe that is refused.
    id: Option<String>,
}

/// A request of ours for a user's presence, not answered yet.
#[derive(Debug)]
struct Request {
    n_sent: usize,
    /// When it is sent again.
    again: TimerKey,
}

/// What waits, and how much the server has taken.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Domains of users whose server has said that it is no ejabberd.
    free: BTreeSet<Bare>,
    waiting: HashMap<Pair, Waiting>,
    order: BTreeMap<(Urgency, u64), Pair>,
    n: u64,
    /// Stanzas sent since the last pause, and when the last one was.
    sent: Option<(u32, Duration)>,
    timer: Option<TimerKey>,
    /// Whether some word has found no room since there was none left to wait.
    crowded: bool,
    requests: HashMap<Bare, Request>,
}

impl Pace {
    /// Whether a `subscribed` still waits: presence to that watcher comes after it.
    pub(super) fn holds_approval(&self, presentity: &Bare, watcher: &Bare) -> bool {
        !self.waiting.is_empty()
            && self
                .waiting
                .get(&(presentity.clone(), watcher.clone(), false))
                .is_some_and(|waiting| waiting.word == Word::Subscribed)
    }

    /// Whether a user has been asked for her presence since the attach.
    pub(super) fn has_asked(&self, user: &Bare) -> bool {
        self.requests.contains_key(user)
    }

    fn remove(&mut self, pair: &Pair) -> Option<Waiting> {
        let waiting = self.waiting.remove(pair)?;
        self.order.remove(&waiting.place);
        Some(waiting)
    }
}

/// Asks the users' servers what they are (XEP-0092), where the pace depends on it. A new connection
/// begins with nothing counted.
pub(super) fn attached(core: &mut Component, turn: &mut Turn) {
    core.pace.free.clear();
    core.pace.sent = None;
    if core.settings.limits.subscriptions_per_minute == SubscriptionRate::Auto {
        let domains = core.settings.users.iter().chain(&core.settings.neighbours);
        for domain in domains.cloned().collect::<Vec<_>>() {
            let query = element("query", NS_VERSION, &[]);
            let about = About::Server(domain.clone());
            if let Some(iq) = core.ask(turn, "get", domain.into(), query, about) {
                core.send(iq);
            }
        }
    }
    drain(core, turn, true);
}

/// Nothing can be sent. What somebody waits for is kept; our own requests are made again after the
/// next attach, for all who have not answered.
pub(super) fn detached(core: &mut Component) {
    for (_, request) in core.pace.requests.drain() {
        core.timers.cancel(request.again);
    }
    let pace = &mut core.pace;
    if let Some(timer) = pace.timer.take() {
        core.timers.cancel(timer);
    }
    let later: Vec<_> = pace
        .order
        .iter()
        .filter(|((urgency, _), (_, _, asks))| *urgency != Urgency::Awaited || *asks)
        .map(|(_, pair)| pair.clone())
        .collect();
    for pair in later {
        // What ends a subscription of ours is derived from nothing else.
        if pace.waiting.get(&pair).map(|waiting| waiting.word) != Some(Word::Unsubscribe) {
            pace.remove(&pair);
        }
    }
}

/// A server has said what it is. Without an answer the pace stays: slow is better than lost.
pub(super) fn identified(core: &mut Component, turn: &mut Turn, domain: Bare, answer: &Inbound) {
    let name = answer
        .element
        .get_child("query", NS_VERSION)
        .and_then(|query| query.get_child("name", NS_VERSION))
        .map(minidom::Element::text)
        .filter(|_| answer.type_ == "result");
    match name {
        Some(name) if !name.trim().eq_ignore_ascii_case("ejabberd") => {
            core.pace.free.insert(domain);
            drain(core, turn, true);
        }
        name => {
            let report = Report::Paced(domain, name.is_some());
            core.effects.push_back(Effect::Report(report));
        }
    }
}

/// Says a word, or lets it wait for its turn; a later word to the same address about the same
/// subscription takes the place of one that waits.
pub(super) fn say(
    core: &mut Component,
    turn: &mut Turn,
    (from, to): (&Bare, &Bare),
    word: Word,
    urgency: Urgency,
) {
    enqueue(core, turn, (from, to), word, urgency, None);
}

/// Refuses a probe of one who is served by a server that counts (RFC 6121 §4.3.2 rule 1). It drops the
/// refusal of one who has no subscription there anyway.
pub(super) fn refuse(
    core: &mut Component,
    turn: &mut Turn,
    from: &Bare,
    to: &Bare,
    id: Option<&str>,
) {
    if is_free(core, to) {
        return core.send(Refusal {
            from: from.clone(),
            to: to.clone(),
            id: id.map(ToOwned::to_owned),
        });
    }
    let id = id.map(ToOwned::to_owned);
    enqueue(
        core,
        turn,
        (from, to),
        Word::Unsubscribed,
        Urgency::Refusal,
        id,
    );
}

fn enqueue(
    core: &mut Component,
    turn: &mut Turn,
    (from, to): (&Bare, &Bare),
    word: Word,
    urgency: Urgency,
    id: Option<String>,
) {
    let pair = (from.clone(), to.clone(), word.asks());
    let before = core.pace.waiting.get(&pair);
    if let Some(before) = before
        && (urgency == Urgency::Refusal || (before.word == word && before.place.0 <= urgency))
    {
        return; // It is about to be said, or something truer is.
    }
    // A partner has its own link, which counts nothing.
    let of_partner = core.settings.domain.below(to).is_some();
    let pace = &mut core.pace;
    let before = pace.remove(&pair);
    if of_partner || (core.attached && is_free(core, to)) {
        return release(core, turn, pair, word, urgency, id);
    }
    let pace = &mut core.pace;
    // The latest are kept out: those before them were promised first. Our own requests are made again.
    if before.is_none() && pace.waiting.len() >= PACED_MAX {
        if !std::mem::replace(&mut pace.crowded, true) {
            core.effects.push_back(Effect::Report(Report::Crowded));
        }
        return;
    }
    pace.n += 1;
    let place = match before {
        Some(before) => before.place.min((urgency, pace.n)),
        None => (urgency, pace.n),
    };
    pace.order.insert(place, pair.clone());
    pace.waiting.insert(pair, Waiting { word, place, id });
    drain(core, turn, false);
}

/// Whether a domain is on the users' server: ejabberd counts what goes to all of its hosts together. Which
/// hosts it has beside those of the users nobody but the operator knows.
fn counts_together(core: &Component, domain: &Bare) -> bool {
    core.settings.users.contains(domain) || core.settings.neighbours.contains(domain)
}

/// Whether what goes to this address is not counted by its server.
pub(super) fn is_free(core: &Component, to: &Bare) -> bool {
    let domain = to.to_domain();
    match core.settings.limits.subscriptions_per_minute {
        SubscriptionRate::PerMinute(0) => true,
        SubscriptionRate::PerMinute(_) => !counts_together(core, &domain),
        SubscriptionRate::Auto => {
            core.pace.free.contains(&domain) || !counts_together(core, &domain)
        }
    }
}

/// Time has passed: sends what may go now.
pub(super) fn due(core: &mut Component, turn: &mut Turn) {
    core.pace.timer = None;
    drain(core, turn, false);
}

/// Sends what waits, as far as the server takes it. `all`: some may go now that could not when it came,
/// wherever it stands.
fn drain(core: &mut Component, turn: &mut Turn, all: bool) {
    if core.pace.waiting.is_empty() {
        core.pace.crowded = false;
    }
    if !core.attached || core.pace.waiting.is_empty() {
        return;
    }
    let takes = match core.settings.limits.subscriptions_per_minute {
        SubscriptionRate::Auto => SERVER_TAKES,
        SubscriptionRate::PerMinute(n) => n,
    };
    let now = turn.now.mono;
    let mut after = None;
    while let Some(place) = next_place(core, after) {
        after = Some(place);
        let Some(pair) = core.pace.order.get(&place).cloned() else {
            continue;
        };
        let free = is_free(core, &pair.1);
        let sent = core
            .pace
            .sent
            .filter(|(_, last)| now < *last + PACED_PERIOD);
        let n = sent.map_or(0, |(n, _)| n);
        if !free && n >= place.0.room(takes) {
            if !all {
                after = Some((place.0, u64::MAX));
            }
            continue;
        }
        let Some(waiting) = core.pace.remove(&pair) else {
            continue;
        };
        if !is_true(core, &pair, waiting.word) {
            continue;
        }
        if !free {
            core.pace.sent = Some((n + 1, now));
        }
        release(core, turn, pair, waiting.word, place.0, waiting.id);
    }
    if let Some(timer) = core.pace.timer.take() {
        core.timers.cancel(timer);
    }
    if let Some((_, last)) = core.pace.sent.filter(|_| !core.pace.waiting.is_empty()) {
        let timer = core.timers.set(last + PACED_PERIOD, Timer::Paced);
        core.pace.timer = Some(timer);
    }
}

/// The first place behind `after`.
fn next_place(core: &Component, after: Option<(Urgency, u64)>) -> Option<(Urgency, u64)> {
    use std::ops::Bound;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = core.pace.order.range((from, Bound::Unbounded));
    range.map(|(place, _)| *place).next()
}

/// Whether a word that has waited is still what is to be said.
fn is_true(core: &Component, (from, to, _): &Pair, word: Word) -> bool {
    if from == core.settings.domain.bare() {
        let profile = core.state.user(to).and_then(|known| known.settings());
        return match word {
            Word::Subscribed => profile.is_some(),
            Word::Subscribe => profile.is_some_and(|profile| !profile.subscribed),
            Word::Unsubscribed | Word::Unsubscribe => profile.is_none(),
        };
    }
    let user = core.settings.domain.user(from);
    let state = user.and_then(|user| core.state.user(&user)?.subscription(to));
    match state {
        Some(SubscriptionState::Approved) => word == Word::Subscribed,
        // He has asked again: `unsubscribed` would cancel that at his server (RFC 6121 A.3.4).
        Some(SubscriptionState::Pending) => false,
        _ => word != Word::Subscribed && !core.askers.has(from, to),
    }
}

/// Sends a word, and what follows from it.
fn release(
    core: &mut Component,
    turn: &mut Turn,
    (from, to, _): Pair,
    word: Word,
    urgency: Urgency,
    id: Option<String>,
) {
    let id = id.or_else(|| (word == Word::Subscribed).then(|| turn.chance.id()));
    let stanza = Component::presence(&from, &to, word.as_str());
    core.send(stanza.attribute("id", id.as_deref()));
    let ours = from == *core.settings.domain.bare();
    match word {
        Word::Subscribed if ours && urgency == Urgency::Awaited => {
            learning::greet(core, &to.into());
        }
        Word::Subscribed if !ours => {
            if let Some(user) = core.settings.domain.user(&from) {
                core.tell_watcher(turn, &user, &to);
            }
        }
        Word::Subscribe => requested(core, turn, &to),
        _ => {}
    }
}

/// Our request has gone to a user: without an answer it is made again, ever more seldom, for the
/// server may have dropped it without a word.
fn requested(core: &mut Component, turn: &Turn, user: &Bare) {
    if let Some(live) = core.state.live(user) {
        live.subscribing = true;
    }
    let n_sent = core
        .pace
        .requests
        .get(user)
        .map_or(0, |request| request.n_sent);
    wait(core, turn, user, n_sent);
}

fn wait(core: &mut Component, turn: &Turn, user: &Bare, n_sent: usize) {
    let delay = ASK_AGAIN[n_sent.min(ASK_AGAIN.len() - 1)];
    let timer = Timer::AskAgain(user.clone());
    let again = core.timers.set(turn.now.mono + delay, timer);
    let request = Request {
        n_sent: n_sent + 1,
        again,
    };
    if let Some(before) = core.pace.requests.insert(user.clone(), request) {
        core.timers.cancel(before.again);
    }
}

/// COMPAT(prosody 0.12): her server has said that it has our request; it shows it to her at each login.
pub(super) fn acknowledged(core: &mut Component, turn: &Turn, user: &Bare) {
    if core.pace.requests.contains_key(user) {
        wait(core, turn, user, ASK_AGAIN.len());
    }
}

/// She has answered our request, or it is no longer made.
pub(super) fn answered(core: &mut Component, user: &Bare) {
    if let Some(request) = core.pace.requests.remove(user) {
        core.timers.cancel(request.again);
    }
    let pair = (core.settings.domain.bare().clone(), user.clone(), true);
    if let Some(waiting) = core.pace.waiting.get(&pair)
        && waiting.word == Word::Subscribe
    {
        core.pace.remove(&pair);
    }
}

/// A request of ours has stayed unanswered.
pub(super) fn ask_again(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let open = core.state.live(user).is_some_and(|live| live.subscribing);
    if !open {
        core.pace.requests.remove(user);
        return;
    }
    let domain = core.settings.domain.bare().clone();
    // Where the queue has no room for it, the next turn comes all the same.
    let n_sent = core
        .pace
        .requests
        .get(user)
        .map_or(0, |request| request.n_sent);
    wait(core, turn, user, n_sent.saturating_sub(1));
    say(core, turn, (&domain, user), Word::Subscribe, Urgency::Again);
}
