//! The form of a status: offered, and read. protocol.md §9.5.

use chrono_tz::Tz;
use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::clock::Wall;
use super::super::form::{Fields, choice, field};
use super::super::record::{Scope, ShownState, Status};
use super::super::reply::Refusal;
use super::super::setting::What;
use super::super::wish::{Wish, offered_end};
use super::super::{Turn, ending, face, text};
use super::bad;

/// The states that she can choose.
pub(in super::super) const STATES: [ShownState; 6] = [
    ShownState::Online,
    ShownState::Chat,
    ShownState::Away,
    ShownState::Xa,
    ShownState::Dnd,
    ShownState::Invisible,
];

/// The form with the status that is set.
pub(super) fn fields(status: Option<&Status>, now: Wall, zone: Tz) -> Vec<Field> {
    let standing = status.and_then(|status| status.text(now));
    let until = status.and_then(|status| offered_end(status, now));
    let until = until.map(|until| until.to_string());
    let state = status
        .and_then(|status| status.state(now))
        .map_or("keep", |chosen| face::state_word(chosen.state));
    let scope = match standing.map(|text| text.scope) {
        Some(Scope::Offline) => "offline",
        _ => "always",
    };
    let emoji = standing.and_then(|text| text.emoji.as_deref());
    let states = [
        ("keep", "as my clients say"),
        ("online", "available"),
        ("chat", "free for chat"),
        ("away", "away"),
        ("xa", "extended away"),
        ("dnd", "do not disturb"),
        ("invisible", "invisible: others see me offline"),
    ];
    let scopes = [("always", "always"), ("offline", "while I am offline")];
    let spans = [
        ("date", "until the time below; empty: no end"),
        ("30m", "30 minutes"),
        ("1h", "1 hour"),
        ("4h", "4 hours"),
        ("today", "today"),
        ("week", "this week"),
    ];
    let mut message = field("status-message", FieldType::TextMulti, "Text", None);
    message.values = standing
        .into_iter()
        .flat_map(|text| text.text.lines())
        .map(ToOwned::to_owned)
        .collect();
    let zone = zone.to_string();
    let author = standing.and_then(|text| text.author.as_ref());
    let undo = author.map(|author| {
        let label = format!("Take back what {} has set", author.shown());
        field("undo", FieldType::Boolean, &label, Some("0"))
    });
    let fields = vec![
        field("emoji", FieldType::TextSingle, "Emoji", emoji),
        message,
        choice("status", FieldType::ListSingle, "State", &states, &[state]),
        choice(
            "scope",
            FieldType::ListSingle,
            "Text shown",
            &scopes,
            &[scope],
        ),
        choice(
            "for",
            FieldType::ListSingle,
            "For how long",
            &spans,
            &["date"],
        ),
        field(
            "until",
            FieldType::TextSingle,
            "Until (as 15:00, 2026-12-24, 2026-12-24 18:00 or 2026-12-31T18:00:00Z)",
            until.as_deref(),
        ),
        field(
            "restore",
            FieldType::Boolean,
            "Then have the status before again",
            Some("0"),
        ),
        field(
            "timezone",
            FieldType::TextSingle,
            "My time zone",
            Some(&zone),
        ),
        field("clear", FieldType::Boolean, "Clear it", Some("0")),
    ];
    undo.into_iter().chain(fields).collect()
}

/// What was submitted, by one whose time zone is `zone`.
pub(super) fn read(turn: &Turn, fields: &Fields, zone: Tz) -> Result<What, Refusal> {
    let named = fields
        .text("timezone")
        .map(|name| read_zone(&name))
        .transpose()?;
    if fields.boolean("clear")? == Some(true) {
        return Ok(What::ClearStatus);
    }
    if fields.boolean("undo")? == Some(true) {
        return Ok(What::Undo);
    }
    let state = match fields.text("status").as_deref() {
        None => None,
        Some("keep") => Some(None),
        Some(word) => Some(Some(state(word).ok_or_else(|| {
            bad("The field status is not one of the offered states.")
        })?)),
    };
    let scope = match fields.text("scope").as_deref() {
        None | Some("always") => Scope::Always,
        Some("offline") => Scope::Offline,
        Some(_) => return Err(bad("The field scope is neither always nor offline.")),
    };
    let given = fields.all("status-message").is_some();
    let mut message = given.then(|| fields.text("status-message").unwrap_or_default());
    let mut emoji = fields.all("emoji").is_some().then(|| fields.text("emoji"));
    if let Some(one) = emoji.as_ref().and_then(Option::as_ref)
        && !text::is_emoji(one)
    {
        return Err(bad("The field emoji is not one emoji."));
    }
    if let Some(line) = &message
        && emoji.as_ref().is_none_or(Option::is_none)
    {
        let (first, rest) = text::split_emoji(line);
        (emoji, message) = (Some(first), Some(rest.to_owned()));
    }
    if message.is_none() && emoji.is_none() && state.is_none() {
        return match named {
            Some(zone) => Ok(What::Zone(zone)),
            None => Err(bad(
                "A status needs a text, an emoji or a state; to remove it, set clear.",
            )),
        };
    }
    Ok(What::Status(Box::new(Wish {
        text: message,
        emoji,
        state,
        scope,
        until: end(turn, fields, named.unwrap_or(zone))?,
        restore: fields.boolean("restore")?.unwrap_or(false),
        zone: named,
        from_form: true,
    })))
}

/// The state of a word.
pub(in super::super) fn state(word: &str) -> Option<ShownState> {
    let is_it = |state: &ShownState| face::state_word(*state) == word;
    STATES.into_iter().find(is_it)
}

/// The time zone of a name.
pub(in super::super) fn read_zone(name: &str) -> Result<Tz, Refusal> {
    ending::zone(name).ok_or_else(|| {
        bad("That is no time zone that I know; it has a name such as Europe/Berlin or UTC.")
    })
}

/// When it ends: a preset counts before a time, which the form may still have from before.
fn end(turn: &Turn, fields: &Fields, zone: Tz) -> Result<Option<Wall>, Refusal> {
    let now = turn.now.wall;
    if let Some(span) = fields.text("for").filter(|span| span != "date") {
        return match ending::span(&span, now, zone) {
            Some((end, "")) => Ok(Some(end)),
            _ => Err(bad(
                "The field for is not a span such as 30m, 1h, 4h, today or week.",
            )),
        };
    }
    let Some(text) = fields.text("until") else {
        return Ok(None);
    };
    match ending::time(&text, now, zone) {
        Some(Ok((end, ""))) => Ok(Some(end)),
        Some(Err(_)) => Err(bad("The time in the field until has passed.")),
        _ => Err(bad(
            "The field until is not a time such as 2026-12-31T18:00:00Z.",
        )),
    }
}
