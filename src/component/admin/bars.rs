//! Whom the operator blocks, for all users: addresses and domains, to which every user is nobody.
//!
//! The block holds in memory at once and for every request; subscriptions that it ends are then ended user by
//! user, some at a time. Where the process ends in between, the rest follows at the next attach.

use std::collections::VecDeque;

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::form::{Fields, choice, field};
use super::super::limits::{
    BODY_BYTES_MAX, DECISIONS_MAX, ENDINGS_AT_ONCE, ENDINGS_EVERY, FORM_BYTES_MAX,
    OPERATOR_BLOCKS_MAX,
};
use super::super::record::{Change, OperatorBlock, SubscriptionState};
use super::super::reply::Refusal;
use super::super::setting::{Reply, ended, watchers_of};
use super::super::state::Narrowing;
use super::super::timer::Timer;
use super::super::words::lines;
use super::super::{Component, Turn, command, lane, subscription, whom};
use crate::address::{Address, Bare};
use crate::stanza::size::value_bytes;

/// Bytes of an option beside its value and its label.
const OPTION_BYTES: usize = 50;

/// Blocks and ends of blocks on their way.
#[derive(Clone, Debug)]
pub(in super::super) struct Bars {
    /// Whom, and whether he is blocked from now on.
    each: Vec<(Bare, bool)>,
    by: Option<Bare>,
    reply: Reply,
}

/// Subscriptions of one user that end by a block of the operator.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Ending(Vec<(Bare, SubscriptionState)>);

/// Users whose subscriptions are still to be looked at.
#[derive(Debug, Default)]
pub(in super::super) struct Endings {
    waiting: VecDeque<Bare>,
    is_timed: bool,
}

/// New ones to type, and those there are to choose from.
pub(super) fn form(core: &Component) -> (&'static str, Vec<Field>) {
    let block = field(
        "block",
        FieldType::JidMulti,
        "Block these for everybody (a domain stands for all its users)",
        None,
    );
    let (mut options, mut bytes) = (Vec::new(), 0);
    for who in core.state.barred().keys() {
        let shown = who.shown();
        bytes += OPTION_BYTES + value_bytes(who.as_str()) + value_bytes(&shown);
        if bytes > FORM_BYTES_MAX {
            break;
        }
        options.push((who.as_str(), shown));
    }
    let label = match core.state.barred().len() - options.len() {
        0 => "Do not block these any more".to_owned(),
        n => format!("Do not block these any more (and {n} more, by “admin unblock …”)"),
    };
    let options: Vec<_> = options
        .iter()
        .map(|(value, shown)| (*value, shown.as_str()))
        .collect();
    let unblock = choice("unblock", FieldType::ListMulti, &label, &options, &[]);
    (
        "Who is blocked gets the answer of an unknown user, whatever users grant.",
        vec![block, unblock],
    )
}

/// What was submitted; blocks come first.
pub(super) fn submitted(core: &mut Component, turn: &mut Turn, fields: &Fields, reply: Reply) {
    let words = |name: &str| -> Vec<String> {
        let typed = fields.all(name).unwrap_or_default().iter();
        // A client without a field for many addresses puts them on one line.
        let words = typed.flat_map(|line| line.split_whitespace());
        words.map(ToOwned::to_owned).collect()
    };
    let typed = [(words("block"), true), (words("unblock"), false)];
    begin(core, turn, &typed, reply);
}

/// The same in chat.
pub(super) fn said(core: &mut Component, turn: &mut Turn, bar: bool, rest: &str, reply: Reply) {
    let words = rest.split([' ', ',', '\t', '\n']);
    let words = words.filter(|word| !word.is_empty());
    let typed = [(words.map(ToOwned::to_owned).collect(), bar)];
    begin(core, turn, &typed, reply);
}

fn begin(core: &mut Component, turn: &mut Turn, typed: &[(Vec<String>, bool)], reply: Reply) {
    let each = match read(core, typed) {
        Ok(each) => each,
        Err(text) => {
            return command::acknowledge(core, turn, reply, Err(Refusal::BadPayload(text)));
        }
    };
    let bars = Bars {
        each,
        by: super::by(&reply),
        reply,
    };
    // The operator's changes come one after the other, as those of one user do.
    let domain = core.settings.domain.bare().clone();
    lane::submit(core, turn, &domain, lane::Task::Bars(bars));
}

fn read(core: &Component, typed: &[(Vec<String>, bool)]) -> Result<Vec<(Bare, bool)>, String> {
    let mut each: Vec<(Bare, bool)> = Vec::new();
    for (words, bar) in typed {
        for word in words {
            let who = Address::parse(word)
                .map_err(|_| "What was typed is no address or domain.".to_owned())?
                .bare;
            if who.domain() == core.settings.domain.bare().as_str() {
                return Err(format!("{} is the component itself.", who.shown()));
            }
            let party = whom::of_party(core, &who);
            let named = if party.is_empty() { vec![who] } else { party };
            for who in named {
                if !each.iter().any(|(other, _)| *other == who) {
                    each.push((who, *bar));
                }
            }
            if each.len() > DECISIONS_MAX {
                return Err(format!("At most {DECISIONS_MAX} at once, please."));
            }
        }
    }
    let barred = core.state.barred();
    let is_new = |(who, bar): &&(Bare, bool)| *bar && !barred.contains_key(who);
    if each.is_empty() {
        return Err("Whom? As in “admin block spam.example”.".to_owned());
    }
    if barred.len() + each.iter().filter(is_new).count() > OPERATOR_BLOCKS_MAX {
        return Err(format!("You cannot block more than {OPERATOR_BLOCKS_MAX}."));
    }
    Ok(each)
}

/// What holds before it is durable.
pub(in super::super) fn narrowing(bars: &Bars, turn: &Turn) -> Vec<Narrowing> {
    let each = bars.each.iter().filter(|(_, bar)| *bar);
    each.map(|(who, _)| Narrowing::Bar(who.clone(), block(bars, turn)))
        .collect()
}

fn block(bars: &Bars, turn: &Turn) -> OperatorBlock {
    OperatorBlock {
        since: turn.now.wall,
        by: bars.by.clone(),
    }
}

/// Finds the changes. In memory who is blocked is so already: the record is what remains.
pub(in super::super) fn plan(core: &Component, turn: &Turn, bars: &Bars) -> Vec<Change> {
    let each = bars.each.iter().filter_map(|(who, bar)| {
        let known = core.state.barred().get(who);
        let value = match (bar, known) {
            (true, known) => Some(known.cloned().unwrap_or_else(|| block(bars, turn))),
            (false, Some(_)) => None,
            (false, None) => return None,
        };
        Some(Change::OperatorBlock {
            watcher: who.clone(),
            value,
        })
    });
    each.collect()
}

/// Tells the administrator; what is taken away is taken away even where it could not be written.
pub(in super::super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    bars: Bars,
    result: Result<(), Refusal>,
) {
    let any_bar = bars.each.iter().any(|(_, bar)| *bar);
    let answer = match result {
        Ok(()) => {
            let mut remarks = Vec::new();
            for (who, bar) in &bars.each {
                let shown = who.shown();
                let (did, remark) = match bar {
                    true => (
                        format!("blocked {who} for everybody"),
                        format!("{shown} is blocked for everybody: to it every user is unknown."),
                    ),
                    false => (
                        format!("ended the block of {who}"),
                        format!("{shown} is not blocked by you any more; users may block it."),
                    ),
                };
                super::log(core, &bars.reply, did);
                remarks.push(remark);
            }
            Ok(lines(&remarks, BODY_BYTES_MAX))
        }
        Err(Refusal::ResourceConstraint) if any_bar => Err(Refusal::Unsaved),
        Err(refusal) => Err(refusal),
    };
    command::acknowledge(core, turn, bars.reply, answer);
    if any_bar {
        end_subscriptions(core, turn);
    }
}

/// Whom the operator blocks, in chat; with an address, those after it.
pub(super) fn tell(core: &mut Component, turn: &mut Turn, after: &str, reply: Reply) {
    super::log(core, &reply, "looked at the block list".to_owned());
    let barred = core.state.barred();
    let after = after.strip_prefix("after ").unwrap_or(after).trim();
    let rest = barred.iter().filter(|(who, _)| who.as_str() > after);
    let (mut shown, mut bytes, mut last, mut more) = (Vec::new(), 0, None, false);
    for (who, block) in rest {
        let by = block
            .by
            .as_ref()
            .map_or_else(String::new, |by| format!(" by {}", by.shown()));
        let line = format!("{}, since {}{by}", who.shown(), block.since);
        bytes += value_bytes(&line) + 1;
        if bytes > BODY_BYTES_MAX - 500 && !shown.is_empty() {
            more = true;
            break;
        }
        shown.push(line);
        last = Some(who);
    }
    let heading = match barred.len() {
        0 => "You block nobody.".to_owned(),
        n => format!("{} of {n} that you block for everybody:", shown.len()),
    };
    let go_on = last
        .filter(|_| more)
        .map(|last| format!("More: “admin block-list after {last}”."));
    let text = std::iter::once(heading).chain(shown).chain(go_on);
    let text = text.collect::<Vec<_>>().join("\n");
    command::acknowledge(core, turn, reply, Ok(text));
}

/// Looks for subscriptions that a block ends, of all users, and begins to end them. Also at an attach: what a
/// process before this one did not come to.
pub(in super::super) fn end_subscriptions(core: &mut Component, turn: &mut Turn) {
    if core.state.barred().is_empty() {
        return;
    }
    let concerned = core.state.users().filter(|(user, known)| {
        let mut watchers = known.subscriptions.keys();
        watchers.any(|watcher| watcher != *user && core.state.bars(watcher))
    });
    core.endings.waiting = concerned.map(|(user, _)| user.clone()).collect();
    go_on(core, turn);
}

/// Time for some more.
pub(in super::super) fn due(core: &mut Component, turn: &mut Turn) {
    core.endings.is_timed = false;
    go_on(core, turn);
}

fn go_on(core: &mut Component, turn: &mut Turn) {
    if core.endings.is_timed || !core.attached {
        return; // The next attach looks again.
    }
    let mut n = 0;
    while n < ENDINGS_AT_ONCE {
        let Some(user) = core.endings.waiting.pop_front() else {
            return;
        };
        let known = core.state.stored(&user);
        n += known.map_or(0, |known| known.subscriptions.len());
        lane::submit(core, turn, &user, lane::Task::Ending(Ending::default()));
    }
    core.endings.is_timed = true;
    let at = turn.now.mono + ENDINGS_EVERY;
    core.timers.set(at, Timer::Endings);
}

/// Finds those of one user, as they are when her turn comes.
pub(in super::super) fn plan_ending(
    core: &Component,
    user: &Bare,
    ending: &mut Ending,
) -> Vec<Change> {
    let known = core.state.stored(user).into_iter();
    let all = known.flat_map(|known| &known.subscriptions);
    let barred = all.filter(|(watcher, _)| *watcher != user && core.state.bars(watcher));
    ending.0 = barred
        .map(|(watcher, one)| (watcher.clone(), one.state))
        .collect();
    ended(user, watchers_of(&ending.0)).collect()
}

/// Tells the watchers, as after a block of hers.
pub(in super::super) fn done_ending(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    ending: Ending,
    result: Result<(), Refusal>,
) {
    let Some(presentity) = core
        .settings
        .domain
        .presentity(user)
        .filter(|_| result.is_ok())
    else {
        return;
    };
    for (watcher, state) in ending.0 {
        subscription::end(core, turn, &presentity, &watcher, Some(state));
    }
}
