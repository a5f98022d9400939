//! Requests that wait for her word: how many, what is kept of them, and when and how she is told.
//!
//! She is told by a digest, at most once in ten minutes: the first request at once, those that come soon
//! after it together. What a request says of itself is a stranger's word and shown as a quotation.

use std::time::Duration;

use indexmap::IndexMap;
use xmpp_parsers::ns;

use super::clock::Wall;
use super::limits::{
    BODY_BYTES_MAX, PENDING_NICK_CHARS_MAX, PENDING_TEXT_CHARS_MAX, REFUSALS_MAX, REMIND_EVERY,
    TIRED_FOR,
};
use super::record::{Change, Subscription, Waiting};
use super::reply::Refusal;
use super::setting::Reply;
use super::state::User;
use super::timer::Timer;
use super::words::quotable;
use super::{Component, Turn, command, lane};
use crate::address::Bare;
use crate::stanza::Inbound;
use crate::stanza::size::value_bytes;

/// Characters of an address and of a text in a list.
const ADDRESS_SHOWN: usize = 150;
const NICK_SHOWN: usize = 40;
const TEXT_SHOWN: usize = 160;

/// When she was told, on the clock that never goes back.
#[derive(Debug, Default)]
pub(super) struct Prompting {
    last: Option<Duration>,
    reminded: Option<Duration>,
    /// A timer will tell her.
    due: bool,
}

/// Whom she has refused lately: the last two times for each (user, watcher).
#[derive(Debug, Default)]
pub(super) struct Refusals(IndexMap<(Bare, Bare), [Option<Duration>; 2]>);

impl Refusals {
    /// She has refused a request.
    pub(super) fn note(&mut self, user: &Bare, watcher: &Bare, at: Duration) {
        let key = (user.clone(), watcher.clone());
        let [_, last] = self.0.shift_remove(&key).unwrap_or_default();
        while self.0.len() >= REFUSALS_MAX {
            self.0.shift_remove_index(0);
        }
        self.0.insert(key, [last, Some(at)]);
    }

    /// Whether she has said no to him twice in a day: what he asks then waits without a prompt.
    pub(super) fn is_tired_of(&self, user: &Bare, watcher: &Bare, now: Duration) -> bool {
        let times = self.0.get(&(user.clone(), watcher.clone()));
        times.is_some_and(|times| {
            times
                .iter()
                .all(|time| time.is_some_and(|at| now < at + TIRED_FOR))
        })
    }
}

/// What a request says of itself: its text and its name, cut and cleaned (RFC 6121 §3.1.2, XEP-0172 §4.2).
pub(super) fn introduction(stanza: &Inbound) -> (Option<String>, Option<String>) {
    let said = |name, namespace, max| {
        let child = stanza.element.get_child(name, namespace)?;
        quotable(&child.text(), max)
    };
    (
        said("status", ns::JABBER_CLIENT, PENDING_TEXT_CHARS_MAX),
        said("nick", ns::NICK, PENDING_NICK_CHARS_MAX),
    )
}

/// The record of a new request; `None` where her list, or his domain's share of it, is full.
pub(super) fn admit(
    core: &Component,
    turn: &Turn,
    (user, known): (&Bare, &User),
    watcher: &Bare,
    (text, nick): (Option<String>, Option<String>),
) -> Option<Waiting> {
    let (mut n, mut n_of_domain) = (0, 0);
    for (other, _) in waiting(known) {
        n += 1;
        n_of_domain += usize::from(other.domain() == watcher.domain());
    }
    let limits = &core.settings.limits;
    if n >= limits.pending_per_user || n_of_domain >= limits.pending_per_domain {
        return None;
    }
    Some(Waiting {
        number: known.last_number().saturating_add(1),
        text,
        nick,
        told: core.refusals.is_tired_of(user, watcher, turn.now.mono),
    })
}

/// Whether a request has waited for so long that it has ended. Nobody is told: she has decided nothing,
/// and his server asks again at his next login.
pub(super) fn has_lapsed(core: &Component, one: &Subscription, now: Wall) -> bool {
    let life_s = core.settings.limits.pending_life_s();
    one.is_pending() && life_s.is_some_and(|life_s| one.since.plus_s(life_s) <= now)
}

/// The end of a request was met; where it is still there, for the clock was set back before that could be
/// written, it ends when the clock comes there again.
pub(super) fn wait_on(core: &mut Component, turn: &Turn, user: &Bare, watcher: &Bare) {
    let known = core.state.stored(user);
    let one = known.and_then(|known| known.subscriptions.get(watcher));
    let waits = one.filter(|one| one.is_pending() && !has_lapsed(core, one, turn.now.wall));
    if let Some(since) = waits.map(|one| one.since) {
        core.state.wait_on(since, user, watcher);
    }
}

fn waiting(known: &User) -> impl Iterator<Item = (&Bare, &Subscription)> {
    known
        .subscriptions
        .iter()
        .filter(|(_, one)| one.is_pending())
}

fn number(one: &Subscription) -> u32 {
    one.waiting.as_ref().map_or(0, |waiting| waiting.number)
}

fn is_told(one: &Subscription) -> bool {
    one.waiting.as_ref().is_some_and(|waiting| waiting.told)
}

/// Her requests in the order in which they came.
pub(super) fn list(known: &User) -> Vec<(u32, &Bare, &Subscription)> {
    let mut list: Vec<_> = waiting(known)
        .map(|(watcher, one)| (number(one), watcher, one))
        .collect();
    list.sort_by_key(|(number, _, one)| (*number, one.since));
    list
}

/// Who asks, and in which words: an address, a name in brackets, a quotation.
pub(super) fn described(watcher: &Bare, one: &Subscription, text_max: usize) -> String {
    let mut line = super::face::cut(&watcher.shown(), ADDRESS_SHOWN);
    let Some(waiting) = &one.waiting else {
        return line;
    };
    if let Some(nick) = waiting
        .nick
        .as_deref()
        .and_then(|nick| quotable(nick, NICK_SHOWN))
    {
        line.push_str(&format!(" (calls itself “{nick}”)"));
    }
    if let Some(text) = waiting
        .text
        .as_deref()
        .and_then(|text| quotable(text, text_max))
    {
        line.push_str(&format!(" writes: “{text}”"));
    }
    line
}

/// A list to be shown: planned when its turn comes, so that it shows the requests as they are then and
/// each is noted down as told with what is shown of it.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// Where it goes; nobody's is the digest that comes unasked.
    reply: Reply,
    /// The first number.
    from: u32,
    text: String,
    /// Whether there are requests that it did not hold.
    more: bool,
}

/// Shows her the requests from a number on.
pub(super) fn show(core: &mut Component, turn: &mut Turn, user: &Bare, from: u32, reply: Reply) {
    let listing = Listing {
        reply,
        from,
        text: String::new(),
        more: false,
    };
    lane::submit(core, turn, user, lane::Task::Listing(listing));
}

/// Writes the list, and finds the requests that it tells her of for the first time.
pub(super) fn plan(core: &Component, user: &Bare, listing: &mut Listing) -> Vec<Change> {
    let Some(known) = core.state.user(user) else {
        return Vec::new();
    };
    let unasked = matches!(listing.reply, Reply::Nobody);
    let mut list = list(known);
    let n = list.len();
    list.retain(|(number, _, one)| *number >= listing.from && !(unasked && is_told(one)));
    if list.is_empty() {
        if !unasked {
            "Nobody waits for your word.".clone_into(&mut listing.text);
            if n > 0 {
                listing.text = format!(
                    "No request has the number {} or a higher one.",
                    listing.from
                );
            }
        }
        return Vec::new();
    }
    let mut lines = String::new();
    let mut told = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    for (number, watcher, one) in &list {
        let line = format!("{number}. {}\n", described(watcher, one, TEXT_SHOWN));
        bytes += value_bytes(&line);
        if bytes > BODY_BYTES_MAX {
            next = Some(*number);
            break;
        }
        lines.push_str(&line);
        if let Some(waiting) = one.waiting.as_ref().filter(|waiting| !waiting.told) {
            let waiting = Some(Waiting {
                told: true,
                ..waiting.clone()
            });
            told.push(Change::Subscription {
                user: user.clone(),
                watcher: (*watcher).clone(),
                value: Some(Subscription {
                    waiting,
                    by_grant: false,
                    ..(*one).clone()
                }),
            });
        }
    }
    listing.more = next.is_some();
    let is_full = n >= core.settings.limits.pending_per_user;
    let advice = advice(&list, is_full, next);
    listing.text = format!("{}\n{lines}{advice}", heading(list.len()));
    told
}

fn heading(n: usize) -> String {
    match n {
        1 => "1 request to see your presence:".to_owned(),
        n => format!("{n} requests to see your presence:"),
    }
}

/// What she can answer, with the numbers at hand.
fn advice(list: &[(u32, &Bare, &Subscription)], is_full: bool, next: Option<u32>) -> String {
    let first = list.first().map_or(0, |(number, ..)| *number);
    let last = list.last().map_or(0, |(number, ..)| *number);
    let mut text = format!("Answer “approve {first}”, “deny {first}” or “block {first}”");
    if last > first {
        text.push_str(&format!(", or of several “deny {first}-{last}”"));
    }
    text.push_str("; “pending” lists who waits.");
    if let Some(next) = next {
        text.push_str(&format!(" “pending {next}” shows the next."));
    }
    if is_full {
        text.push_str(" The list is full: nobody else can ask until you answer some.");
    }
    text
}

/// Sends the list. That it could not be noted down keeps nothing from her.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    listing: Listing,
    result: Result<(), Refusal>,
) {
    let Listing {
        reply, text, more, ..
    } = listing;
    let unasked = matches!(reply, Reply::Nobody);
    match result {
        Err(refusal) if text.is_empty() => command::acknowledge(core, turn, reply, Err(refusal)),
        _ if !unasked => command::acknowledge(core, turn, reply, Ok(text)),
        _ if !text.is_empty() => {
            let id = turn.chance.id();
            let message = core.message(&user.clone().into(), "chat", &id, &text);
            core.send(message);
        }
        _ => {}
    }
    if unasked && more {
        news(core, turn, user);
    }
}

/// There is a request that she has not been told of: she is told now, or when ten minutes have passed
/// since the last time.
pub(super) fn news(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let (now, every) = (turn.now.mono, core.settings.limits.prompt_every);
    let Some(prompting) = core.state.prompting(user).filter(|one| !one.due) else {
        return;
    };
    if let Some(next) = prompting.last.map(|at| at + every)
        && now < next
    {
        prompting.due = true;
        core.timers.set(next, Timer::Prompt(user.clone()));
        return;
    }
    prompting.last = Some(now);
    show(core, turn, user, 0, Reply::Nobody);
}

/// The ten minutes are over.
pub(super) fn due(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if let Some(prompting) = core.state.prompting(user) {
        prompting.due = false;
    }
    if has_untold(core, user) {
        news(core, turn, user);
    }
}

/// She has come online: what a crash kept from her is told now, at most once a day.
pub(super) fn returned(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let now = turn.now.mono;
    if !has_untold(core, user) {
        return;
    }
    if let Some(prompting) = core.state.prompting(user)
        && prompting.reminded.is_none_or(|at| at + REMIND_EVERY <= now)
    {
        prompting.reminded = Some(now);
        news(core, turn, user);
    }
}

fn has_untold(core: &Component, user: &Bare) -> bool {
    core.state
        .user(user)
        .is_some_and(|known| waiting(known).any(|(_, one)| !is_told(one)))
}
