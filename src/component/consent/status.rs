//! The form of a status: offered, and read. protocol.md §9.5.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::Turn;
use super::super::face;
use super::super::form::{Fields, choice, field};
use super::super::record::{Scope, ShownState, Status};
use super::super::reply::Refusal;
use super::super::setting::What;
use super::{bad, read_until};

const STATES: [ShownState; 6] = [
    ShownState::Online,
    ShownState::Chat,
    ShownState::Away,
    ShownState::Xa,
    ShownState::Dnd,
    ShownState::Invisible,
];

/// The form with the status that is set.
pub(super) fn fields(status: Option<&Status>) -> Vec<Field> {
    let until = status
        .and_then(|status| status.until)
        .map(|until| until.to_string());
    let state = status
        .and_then(|status| status.state)
        .map_or("keep", face::state_word);
    let scope = match status.map(|status| status.scope) {
        Some(Scope::Offline) => "offline",
        _ => "always",
    };
    let states = [
        ("keep", "as my clients say"),
        ("online", "available"),
        ("chat", "free for chat"),
        ("away", "away"),
        ("xa", "extended away"),
        ("dnd", "do not disturb"),
        ("invisible", "invisible"),
    ];
    let scopes = [("always", "always"), ("offline", "while I am offline")];
    let text = status.map(|status| status.text.as_str());
    let mut message = field("status-message", FieldType::TextMulti, "Text", None);
    message.values = text
        .into_iter()
        .flat_map(str::lines)
        .map(ToOwned::to_owned)
        .collect();
    vec![
        message,
        choice("status", FieldType::ListSingle, "State", &states, &[state]),
        choice("scope", FieldType::ListSingle, "Shown", &scopes, &[scope]),
        field(
            "until",
            FieldType::TextSingle,
            "Until (as 2026-12-31T18:00:00Z)",
            until.as_deref(),
        ),
        field("clear", FieldType::Boolean, "Clear it", Some("0")),
    ]
}

/// What was submitted.
pub(super) fn read(turn: &Turn, fields: &Fields) -> Result<What, Refusal> {
    if fields.boolean("clear")? == Some(true) {
        return Ok(What::ClearStatus);
    }
    let state = match fields.text("status").as_deref() {
        None | Some("keep") => None,
        Some(word) => Some(
            STATES
                .into_iter()
                .find(|state| face::state_word(*state) == word)
                .ok_or_else(|| bad("The field status is not one of the offered states."))?,
        ),
    };
    let scope = match fields.text("scope").as_deref() {
        None | Some("always") => Scope::Always,
        Some("offline") => Scope::Offline,
        Some(_) => return Err(bad("The field scope is neither always nor offline.")),
    };
    let text = fields.text("status-message").unwrap_or_default();
    if text.is_empty() && state.is_none() {
        return Err(bad(
            "A status needs a text or a state; to remove it, set clear.",
        ));
    }
    let until = read_until(turn, fields)?;
    Ok(What::Status(Status {
        text,
        state,
        scope,
        set: turn.now.wall,
        until,
        author: None,
    }))
}
