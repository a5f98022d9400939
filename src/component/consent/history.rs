//! What watchers did and how it ended, for the person: the newest first, in words and as a table.

use chrono_tz::Tz;

use super::super::clock::Wall;
use super::super::limits::{BODY_BYTES_MAX, HISTORY_MAX};
use super::super::record::{Audit, ExecutionState};
use super::super::state::covers;
use super::super::table::{Column, Table};
use super::super::{Component, command, ending, form, words};
use crate::address::Bare;

/// Lines that are shown where she does not say how many.
pub(in super::super) const LINES: usize = 10;
/// Characters of what a command was about, in a line.
const DETAIL_SHOWN: usize = 200;
/// The same in the table: all that is kept.
const DETAIL_KEPT: usize = 512;

const COLUMNS: &[Column] = &[
    ("when", "When", "text-single"),
    ("who", "Who", "text-single"),
    ("what", "What", "text-single"),
    ("outcome", "How it ended", "text-single"),
    ("detail", "Detail", "text-single"),
];

/// One line.
pub(in super::super) fn line(at: Wall, audit: &Audit, zone: Tz) -> String {
    let detail = words::quotable(&audit.detail, DETAIL_SHOWN);
    format!(
        "{} {} {}: {}{}{}",
        ending::stamp(audit.when(at), zone),
        audit.watcher.shown(),
        audit.right,
        ended(audit.state),
        detail.map_or_else(String::new, |detail| format!(" – “{detail}”")),
        token(audit),
    )
}

/// With which token of hers, as an end of a line.
fn token(audit: &Audit) -> String {
    let label = audit.token.as_ref();
    label.map_or_else(String::new, |label| format!(" (token “{label}”)"))
}

/// How it ended, in a word or two.
fn ended(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Completed => "done",
        ExecutionState::Refused => "refused",
        ExecutionState::Failed => "failed",
        ExecutionState::Expired => "expired",
        _ => "not known how it ended",
    }
}

/// The last so many that are kept, of everybody or of those who are named.
pub(in super::super) fn text(core: &Component, user: &Bare, n: usize, who: &[Bare]) -> String {
    let zone = core.zone(user);
    let history = core.state.user(user).map(|known| known.history());
    let all: Vec<_> = history
        .into_iter()
        .flatten()
        .rev()
        .filter(|(_, audit)| who.is_empty() || who.iter().any(|one| covers(one, &audit.watcher)))
        .collect();
    if all.is_empty() {
        return match who {
            [] => "Nobody has done anything yet.".to_owned(),
            _ => "Nothing is kept of what they did.".to_owned(),
        };
    }
    let mut lines: Vec<_> = all
        .iter()
        .take(n)
        .map(|((at, _), audit)| line(*at, audit, zone))
        .collect();
    if all.len() > n {
        lines.push(format!(
            "These are the last {n} of {} that are kept; “history {}” shows all.",
            all.len(),
            HISTORY_MAX
        ));
    }
    words::lines(&lines, BODY_BYTES_MAX)
}

/// All that is kept.
pub(super) fn table(core: &Component, user: &Bare) -> Option<Table> {
    let zone = core.zone(user);
    let known = core.state.user(user)?;
    let rows = known.history().iter().rev().map(|((at, _), audit)| {
        let detail = words::quotable(&audit.detail, DETAIL_KEPT);
        let cells = vec![
            ending::stamp(audit.when(*at), zone),
            audit.watcher.shown(),
            command::title(audit.right).to_owned(),
            format!("{}{}", ended(audit.state), token(audit)),
            detail.unwrap_or_default(),
        ];
        (line(*at, audit, zone), cells)
    });
    Some(Table {
        form_type: form::CONSENT,
        title: "What was done",
        columns: COLUMNS,
        rows: rows.collect(),
    })
}

/// What is said beside the table.
pub(super) fn note(core: &Component, user: &Bare) -> String {
    let n = core
        .state
        .user(user)
        .map_or(0, |known| known.history().len());
    match n {
        0 => "Nobody has done anything yet.".to_owned(),
        n => format!(
            "The last {n}, the newest first; times are in {}. {HISTORY_MAX} are kept.",
            core.zone(user)
        ),
    }
}
