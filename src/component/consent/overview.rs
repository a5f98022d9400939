//! Who may do what, for the person: in words, and as a table.

use chrono_tz::Tz;

use super::super::authorization::{Confirm, Party, Right};
use super::super::clock::Wall;
use super::super::granting::{interfaces, terms};
use super::super::limits::BODY_BYTES_MAX;
use super::super::record::{Grant, SubscriptionState};
use super::super::setting::list;
use super::super::sight::{idle, meaning, seen};
use super::super::state::{User, covers};
use super::super::table::{Column, Table};
use super::super::watcher::Watcher;
use super::super::{Component, Turn, ending, face, form, wish, words};
use super::token;
use crate::address::Bare;

/// Bytes of what is said beside the table.
pub(super) const NOTE_BYTES_MAX: usize = 1500;
/// Addresses that a sentence names at most.
const NAMED_MAX: usize = 30;
/// Lines of history that the overview shows.
const HISTORY_SHOWN: usize = 5;

pub(super) const COLUMNS: &[Column] = &[
    ("who", "Who", "text-single"),
    ("level", "Level", "text-single"),
    ("rights", "May", "text-single"),
    ("confirm", "Asks me", "text-single"),
    ("since", "Since", "text-single"),
    ("until", "Until", "text-single"),
    ("per-day", "Today", "text-single"),
    ("interfaces", "Over", "text-single"),
    ("quiet", "Quiet", "text-single"),
    ("last-use", "Last use", "text-single"),
    ("uses", "Uses", "text-single"),
];

/// Who may do what, in a person's words.
pub(in super::super) fn text(core: &Component, turn: &Turn, user: &Bare) -> String {
    let Some(known) = core.state.user(user) else {
        return "You have not joined.".into();
    };
    let (now, zone) = (turn.now.wall, core.zone(user));
    let mut lines = general(core, turn, user, known);
    for (watcher, grant) in known.grants() {
        lines.push(in_words(watcher, grant, now, zone));
        if grant.rights.contains(&Right::StartModule) || grant.unsigned {
            lines.push(super::modules_line(watcher, grant));
        }
    }
    lines.extend(token::lines(known, now, zone));
    let parties = core.settings.parties.iter();
    lines.extend(parties.map(|party| party_in_words(core, known, user, party)));
    lines.extend(subscribers(known));
    let zone_lines = known.history().iter().rev().take(HISTORY_SHOWN);
    lines.extend(zone_lines.map(|((at, _), audit)| super::history::line(*at, audit, zone)));
    words::lines(&lines, BODY_BYTES_MAX)
}

fn in_words(watcher: &Bare, grant: &Grant, now: Wall, zone: Tz) -> String {
    let mut line = format!("{} may: {}", watcher.shown(), terms(grant, now, zone));
    line.push_str(&format!("; since {}", ending::stamp(grant.since, zone)));
    if let Some(last) = grant.uses.last {
        let times = match grant.uses.total {
            1 => "once".to_owned(),
            n => format!("{n} times"),
        };
        let last = ending::stamp(last, zone);
        line.push_str(&format!("; used {times}, last {last}"));
    }
    if let Some(max) = grant.max_per_day {
        let today = grant.uses.today(now).map_or(0, |(today, _)| today);
        line.push_str(&format!("; {today} of {max} today"));
    }
    format!("{line}.")
}

fn party_in_words(core: &Component, known: &User, user: &Bare, party: &Party) -> String {
    let blocked = match is_blocked(core, known, user, &party.name) {
        true => ", but you block it",
        false => "",
    };
    format!(
        "Party {} (by the operator) may: {}{blocked}.",
        core.settings.name_of(party),
        list(&party.rights)
    )
}

/// What is said beside the table.
pub(super) fn note(core: &Component, turn: &Turn, user: &Bare) -> String {
    let Some(known) = core.state.user(user) else {
        return "You have not joined.".into();
    };
    let mut lines = general(core, turn, user, known);
    lines.extend(subscribers(known));
    words::lines(&lines, NOTE_BYTES_MAX)
}

fn general(core: &Component, turn: &Turn, user: &Bare, known: &User) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(profile) = known.settings() {
        let visibility = profile.visibility;
        lines.push(format!(
            "Visibility {}: {}.",
            visibility.as_str(),
            meaning(visibility)
        ));
        lines.push(format!(
            "{} {}",
            seen(profile.last_seen),
            idle(profile.share_idle)
        ));
    }
    lines.extend(wish::standing(core, turn, user));
    let barred: Vec<_> = known
        .grants()
        .keys()
        .filter(|who| core.state.bars(who))
        .take(NAMED_MAX)
        .map(Bare::shown)
        .collect();
    if !barred.is_empty() {
        lines.push(format!(
            "The operator blocks for everybody, whatever you grant: {}.",
            barred.join(", ")
        ));
    }
    lines
}

fn subscribers(known: &User) -> Vec<String> {
    let named = |who: Vec<&Bare>| {
        let mut shown: Vec<_> = who.iter().take(NAMED_MAX).map(|jid| jid.shown()).collect();
        if who.len() > NAMED_MAX {
            shown.push(format!("and {} more", who.len() - NAMED_MAX));
        }
        shown.join(", ")
    };
    let mut lines = Vec::new();
    for (state, words) in [
        (SubscriptionState::Approved, "Get your presence"),
        (
            SubscriptionState::Preapproved,
            "Get your presence when they ask",
        ),
        (
            SubscriptionState::Pending,
            "Wait for your word (“pending” tells more)",
        ),
    ] {
        let of_state = known.subscriptions.iter();
        let who: Vec<_> = of_state
            .filter(|(_, one)| one.state == state)
            .map(|(jid, _)| jid)
            .collect();
        if !who.is_empty() {
            lines.push(format!("{words}: {}.", named(who)));
        }
    }
    if !known.blocks().is_empty() {
        let who = known.blocks().keys().collect();
        lines.push(format!("Blocked: {}.", named(who)));
    }
    lines
}

/// Grants, parties and those who get her presence, one in a row.
pub(super) fn table(core: &Component, turn: &Turn, user: &Bare) -> Option<Table> {
    let known = core.state.user(user)?;
    let mut rows = Vec::new();
    for (watcher, grant) in known.grants() {
        let line = in_words(watcher, grant, turn.now.wall, core.zone(user));
        rows.push((line, of_grant(core, turn, (user, known), watcher, grant)));
    }
    rows.extend(token::rows(known, turn.now.wall, core.zone(user)));
    for party in core.settings.parties.iter() {
        let addresses = core.settings.addresses_of(party);
        let watcher = addresses.first();
        let mut row = match watcher {
            Some(watcher) => others(core, turn, (user, known), watcher),
            None => vec![String::new(); COLUMNS.len()],
        };
        row[0] = format!("party {}", core.settings.name_of(party));
        row[2] = match is_blocked(core, known, user, &party.name) {
            true => "nothing: blocked".to_owned(),
            false => list(&party.rights),
        };
        row[4] = "by the operator".to_owned();
        rows.push((party_in_words(core, known, user, party), row));
    }
    let granted = known.granted();
    for (watcher, one) in &known.subscriptions {
        if one.state == SubscriptionState::Approved && !granted.contains(watcher) {
            let mut row = others(core, turn, (user, known), watcher);
            row[4] = ending::stamp(one.since, core.zone(user));
            let line = format!("{} gets your presence, and may: {}.", row[0], row[2]);
            rows.push((line, row));
        }
    }
    Some(Table {
        form_type: form::CONSENT,
        title: "Who may do what",
        columns: COLUMNS,
        rows,
    })
}

fn of_grant(
    core: &Component,
    turn: &Turn,
    (user, known): (&Bare, &User),
    watcher: &Bare,
    grant: &Grant,
) -> Vec<String> {
    let (now, zone) = (turn.now, core.zone(user));
    let by = Watcher::stored(watcher, &core.settings.domain);
    let confirm = match grant.confirm {
        Confirm::Always => "each time",
        Confirm::First if grant.confirmed => "no more: said yes",
        Confirm::First => "the first time",
        Confirm::Never => "never",
    };
    let today = grant.max_per_day.map(|max| {
        let today = grant.uses.today(now.wall).map_or(0, |(today, _)| today);
        format!("{today} of {max}")
    });
    let stamp = |at: Option<Wall>| at.map_or_else(String::new, |at| ending::stamp(at, zone));
    vec![
        watcher.shown(),
        face::level(&core.settings, (user, known), &by, now)
            .as_str()
            .to_owned(),
        list(&grant.rights),
        confirm.to_owned(),
        stamp(Some(grant.since)),
        grant
            .until
            .map_or_else(|| "no end".to_owned(), |until| end(until, now.wall, zone)),
        today.unwrap_or_else(|| "no limit".to_owned()),
        match grant.interfaces.is_empty() {
            true => "all".to_owned(),
            false => interfaces(&grant.interfaces),
        },
        grant
            .quiet
            .map_or_else(String::new, |quiet| quiet.to_string()),
        stamp(grant.uses.last),
        grant.uses.total.to_string(),
    ]
}

fn end(until: Wall, now: Wall, zone: Tz) -> String {
    ending::shown(until, now, zone)
}

/// Of one who has no grant: what it may do as things are, and what the history has of it.
fn others(
    core: &Component,
    turn: &Turn,
    (user, known): (&Bare, &User),
    watcher: &Bare,
) -> Vec<String> {
    let by = Watcher::stored(watcher, &core.settings.domain);
    let may = |right: &Right| core.may(user, &by, turn, *right);
    let rights = Right::ALL.into_iter().filter(may).collect();
    let done = known.history().iter();
    let done: Vec<_> = done
        .filter(|(_, audit)| covers(watcher, &audit.watcher))
        .map(|((at, _), _)| *at)
        .collect();
    let level = face::level(&core.settings, (user, known), &by, turn.now);
    let mut row = vec![String::new(); COLUMNS.len()];
    row[0] = watcher.shown();
    row[1] = level.as_str().to_owned();
    row[2] = list(&rights);
    if let Some(last) = done.last() {
        row[9] = ending::stamp(*last, core.zone(user));
        row[10] = done.len().to_string();
    }
    row
}

fn is_blocked(core: &Component, known: &User, user: &Bare, party: &str) -> bool {
    let party = core.settings.parties.named(party);
    let addresses = party.map(|party| core.settings.addresses_of(party));
    let addresses = addresses.unwrap_or_default();
    let blocked = |who: &Bare| {
        let policy = known.policy(user, who, core.settings.timezone);
        policy.is_some_and(|policy| policy.blocked)
    };
    !addresses.is_empty() && addresses.iter().all(blocked)
}
