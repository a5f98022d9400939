//! What there is and what was done, as numbers; about nobody in particular.

use std::time::Duration;

use xmpp_parsers::data_forms::Field;

use super::super::live::Knowledge;
use super::super::setting::Reply;
use super::super::{Component, Turn};

/// Tells an administrator.
pub(super) fn tell(core: &mut Component, turn: &mut Turn, reply: Reply) {
    super::log(core, &reply, "looked at the numbers".to_owned());
    let rows = rows(core, turn);
    let line = |(_, words, value): &(_, &str, String)| format!("{words}: {value}");
    let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    let field = |(name, words, value): &(&str, &str, String)| {
        let mut field = Field::text_single(name, value);
        field.label = Some((*words).to_owned());
        field
    };
    let fields = rows.iter().map(field).collect();
    super::told(core, turn, reply, text, fields);
}

/// Each as the name of a field, in words, and its value.
fn rows(core: &Component, turn: &Turn) -> Vec<(&'static str, &'static str, String)> {
    let (mut joined, mut served, mut online, mut unlearned) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut grants, mut subscriptions, mut blocks) = (0, 0, 0);
    for (_, known) in core.state.users() {
        joined += usize::from(known.settings().is_some());
        grants += known.grants().len();
        subscriptions += known.subscriptions.len();
        blocks += known.blocks().len();
        if known.is_served() {
            served += 1;
            online += usize::from(known.live.best().is_some());
            unlearned += usize::from(known.live.knowledge == Knowledge::Unknown);
        }
    }
    let pending = core.state.n_requests();
    let started = core.started.map_or(turn.now.mono, |started| started.mono);
    let counts = core.counts;
    let partners = core.partners.attached();
    let partners = match partners.len() {
        0 => "none".to_owned(),
        n => format!("{n} ({})", partners.join(", ")),
    };
    let n = |n: usize| n.to_string();
    vec![
        ("version", "Version", env!("CARGO_PKG_VERSION").to_owned()),
        (
            "uptime",
            "Running for",
            lasting(turn.now.mono.saturating_sub(started)),
        ),
        (
            "server",
            "Link to the server",
            if core.attached { "attached" } else { "down" }.to_owned(),
        ),
        ("partners", "Parties on the dedicated link", partners),
        (
            "store",
            "Store",
            core.alarm.clone().unwrap_or_else(|| "takes changes".into()),
        ),
        ("users", "Users", n(joined)),
        ("served", "Users served now", n(served)),
        ("online", "Users online", n(online)),
        ("unlearned", "Users not learned yet", n(unlearned)),
        (
            "subscriptions",
            "Subscriptions",
            n(subscriptions.saturating_sub(pending)),
        ),
        ("pending", "Requests that wait", n(pending)),
        ("grants", "Grants", n(grants)),
        ("blocks", "Blocks of users", n(blocks)),
        (
            "operator-blocks",
            "Blocks of the operator",
            n(core.state.barred().len()),
        ),
        ("commands", "Commands under way", n(core.running.len())),
        (
            "changes-waiting",
            "Changes being written",
            n(core.lanes.n_in_flight()),
        ),
        (
            "stanzas-received",
            "Stanzas received",
            counts.received.to_string(),
        ),
        ("stanzas-sent", "Stanzas sent", counts.sent.to_string()),
        (
            "questions",
            "Questions after presence",
            counts.questions.to_string(),
        ),
        ("refused", "Of them refused", counts.refused.to_string()),
        (
            "beyond-limits",
            "Questions beyond the limits",
            counts.beyond.to_string(),
        ),
    ]
}

/// A time in the two largest units that it has.
fn lasting(time: Duration) -> String {
    let s = time.as_secs();
    match (s / 86_400, s / 3600 % 24, s / 60 % 60) {
        (0, 0, minutes) => format!("{minutes} min {} s", s % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
