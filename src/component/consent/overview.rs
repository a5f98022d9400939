//! Who may do what, for the person.

use super::super::record::SubscriptionState;
use super::super::setting::list;
use super::super::sight::{idle, meaning, seen};
use super::super::{Component, Turn, ending, wish};
use crate::address::Bare;

/// Who may do what, in a person's words.
pub(in super::super) fn text(core: &Component, turn: &Turn, user: &Bare) -> String {
    let Some(known) = core.state.user(user) else {
        return "You have not joined.".into();
    };
    let (now, zone) = (turn.now.wall, core.zone(user));
    let mut lines = Vec::new();
    if let Some(profile) = &known.profile {
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
    for (watcher, grant) in known.grants.iter().take(OVERVIEW_MAX) {
        let until = grant
            .until
            .map(|until| format!(", until {}", ending::shown(until, now, zone)))
            .unwrap_or_default();
        lines.push(format!(
            "{} may: {}{until}.",
            watcher.shown(),
            list(&grant.rights)
        ));
    }
    for party in core.settings.parties.iter() {
        lines.push(format!(
            "Party {} (by the operator) may: {}.",
            party.name,
            list(&party.rights)
        ));
    }
    let subscribed = |state| {
        let of_state = known
            .subscriptions
            .iter()
            .filter(move |(_, one)| one.state == state);
        of_state
            .map(|(jid, _)| jid.shown())
            .take(OVERVIEW_MAX)
            .collect::<Vec<_>>()
            .join(", ")
    };
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
        let who = subscribed(state);
        if !who.is_empty() {
            lines.push(format!("{words}: {who}."));
        }
    }
    if !known.blocks.is_empty() {
        let who: Vec<_> = known
            .blocks
            .keys()
            .take(OVERVIEW_MAX)
            .map(Bare::shown)
            .collect();
        lines.push(format!("Blocked: {}.", who.join(", ")));
    }
    for ((at, _), audit) in known.history.iter().rev().take(HISTORY_SHOWN) {
        let (who, what, how) = (&audit.watcher, audit.right, audit.state.as_str());
        lines.push(format!("{at} {who} {what} {how}"));
    }
    lines.join("\n")
}

/// Addresses that a list names at most; the message must stay below 10,000 bytes.
const OVERVIEW_MAX: usize = 30;
/// Lines of history that the overview shows.
const HISTORY_SHOWN: usize = 5;
