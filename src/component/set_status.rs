//! Her status, set by a watcher: read, planned, and told. The component does it by itself, so it works while
//! she is offline and stays after she logs out. design.md §4, protocol.md §9.5, security.md T49.
//!
//! What a watcher sets lies over her own text and never replaces it: hers comes back when the other ends or
//! is taken back. Her later word takes all of it away. Whoever carries it out, at once or after her yes,
//! calls [`plan`] for the changes and [`told`] for the words to her, once they are durable.

use std::collections::BTreeMap;

use xmpp_parsers::data_forms::{Field, FieldType};
use xmpp_parsers::data_forms_validate::{Datatype, Method, Validate};

use super::authorization::Right;
use super::clock::Wall;
use super::form::{self, Fields};
use super::limits::WATCHER_STATUS_CHARS_MAX;
use super::record::{Change, Scope, Status, Text};
use super::reply::Refusal;
use super::request::Request;
use super::state::User;
use super::{Component, Turn, authorization, ending, text, wish};
use crate::address::Bare;

/// The text; empty: what the watcher has set is taken back.
const TEXT: &str = "status-message";
/// When it ends, as a time of XEP-0082.
const UNTIL: &str = "until";

/// The fields of a watcher's form.
pub(super) fn fields() -> Vec<Field> {
    let ends = [
        ("30m", "30 minutes"),
        ("1h", "1 hour"),
        ("4h", "4 hours"),
        ("today", "today"),
        ("week", "this week"),
        ("none", "until it is changed"),
    ];
    let label = "Text; empty takes back what you have set";
    let mut until = form::choice(
        UNTIL,
        FieldType::ListSingle,
        "For how long (or a time such as 2026-12-31T18:00:00Z)",
        &ends,
        &["today"],
    );
    // The presets are suggestions (XEP-0122 §3.2.2).
    until.validate = Some(Validate {
        datatype: Some(Datatype::String),
        method: Some(Method::Open),
        list_range: None,
    });
    vec![form::field(TEXT, FieldType::TextSingle, label, None), until]
}

/// Reads what was filled in. Of a text one clean line is left; it holds no web address (security.md T49).
pub(super) fn read(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    given: &Fields,
) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = |text: &str| Err(Refusal::BadPayload(text.to_owned()));
    if given.all(TEXT).is_none() {
        return wrong(
            "The field status-message is missing; empty, it takes back what you have set.",
        );
    }
    let words = given.text(TEXT).unwrap_or_default();
    if words.chars().count() > WATCHER_STATUS_CHARS_MAX {
        return Err(Refusal::BadPayload(format!(
            "A status has at most {WATCHER_STATUS_CHARS_MAX} characters."
        )));
    }
    let mut fields = BTreeMap::new();
    if words.is_empty() {
        fields.insert(TEXT.to_owned(), words);
        return Ok(fields);
    }
    let Some(line) = text::line(&words, WATCHER_STATUS_CHARS_MAX) else {
        return wrong("There is nothing to see in the field status-message.");
    };
    if names_a_place(&line) {
        return wrong("A status that others set holds no web address.");
    }
    fields.insert(TEXT.to_owned(), line);
    if let Some(end) = end(core, turn, user, given)? {
        fields.insert(UNTIL.to_owned(), end.to_string());
    }
    Ok(fields)
}

/// Whether clients would make a link of something in it.
fn names_a_place(line: &str) -> bool {
    let line = line.to_lowercase();
    [
        "://",
        "www.",
        "mailto:",
        "xmpp:",
        "tel:",
        "javascript:",
        "data:",
    ]
    .iter()
    .any(|sign| line.contains(sign))
}

fn end(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    given: &Fields,
) -> Result<Option<Wall>, Refusal> {
    let wrong = |text: &str| Err(Refusal::BadPayload(text.to_owned()));
    let Some(text) = given.text(UNTIL).filter(|text| text != "none") else {
        return Ok(None);
    };
    let (now, zone) = (turn.now.wall, core.zone(user));
    if let Some((end, "")) = ending::span(&text, now, zone) {
        return Ok(Some(end));
    }
    match ending::time(&text, now, zone) {
        Some(Ok((end, ""))) => Ok(Some(end)),
        Some(Err(_)) => wrong("The time in the field until has passed."),
        _ => wrong(
            "The field until is neither a span such as 30m, 1h, 4h, today or week, nor a time such \
             as 2026-12-31T18:00:00Z.",
        ),
    }
}

/// The changes that a request means; none where everything is so already, and for every other right.
pub(super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    request: &Request,
) -> Result<Vec<Change>, Refusal> {
    if request.right != Right::SetStatus {
        return Ok(Vec::new());
    }
    let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
    let standing = known.status().unwrap_or_default();
    let mut status = standing.clone();
    let (now, watcher) = (turn.now, &request.watcher.bare);
    let author = Some(watcher.clone()).filter(|author| author != user);
    let until = request.fields.get(UNTIL).and_then(|end| Wall::parse(end));
    if until.is_some_and(|until| until <= now.wall) {
        let text = "The time in the field until has passed.".to_owned();
        return Err(Refusal::BadPayload(text));
    }
    let words = request.fields.get(TEXT).map_or("", String::as_str);
    if words.is_empty() {
        match &author {
            Some(author) => drop(status.take_back(|one| one == author)),
            None => status.texts.clear(),
        }
    } else {
        let (emoji, words) = text::split_emoji(words);
        let evidence = known.evidence(watcher, None, None);
        let text = Text {
            text: words.to_owned(),
            emoji,
            scope: Scope::Always,
            set: now.wall,
            until,
            unsigned: authorization::is_unsigned(now, request.interface, evidence),
            author,
        };
        match text.author {
            Some(_) => status.put_text_of_another(text, now.wall),
            None => status.put_text(text, false),
        }
    }
    Ok(match status == standing {
        true => Vec::new(),
        false => vec![put(user, status)],
    })
}

/// Takes back the text of another's that is in force, and what she is told then.
pub(super) fn undo(
    core: &Component,
    turn: &Turn,
    user: &Bare,
) -> Result<(Change, String), Refusal> {
    let standing = core.state.user(user).and_then(|known| known.status());
    let mut status = standing.unwrap_or_default().tidied(turn.now.wall);
    let author = status
        .text(turn.now.wall)
        .and_then(|text| text.author.clone());
    let Some(author) = author else {
        let text = "Nobody else has set your status.".to_owned();
        return Err(Refusal::BadPayload(text));
    };
    status.take_back(|one| *one == author);
    let (now, zone) = (turn.now.wall, core.zone(user));
    let left = wish::text_sentence("Your status is now", &status, now, zone);
    let told = format!("What {} had set is taken back. {left}", author.shown());
    Ok((put(user, status), told))
}

/// The change that takes back what some watchers have set; `None` where that is nothing.
pub(super) fn without(
    known: &User,
    user: &Bare,
    is_theirs: impl Fn(&Bare) -> bool,
) -> Option<Change> {
    let mut status = known.status()?;
    let had = status.take_back(is_theirs);
    had.then(|| put(user, status))
}

fn put(user: &Bare, status: Status) -> Change {
    Change::Status {
        user: user.clone(),
        value: Some(status).filter(|status| !status.is_empty()),
    }
}

/// What the watcher is told.
pub(super) fn note(request: &Request) -> String {
    let words = request.fields.get(TEXT).map_or("", String::as_str);
    match request.fields.get(UNTIL) {
        _ if words.is_empty() => "What you had set is taken back.".to_owned(),
        None => "The status is set.".to_owned(),
        Some(end) => format!("The status is set until {end}."),
    }
}

/// What she is told: who, at which level, what, until when, and how to undo it.
pub(super) fn told(core: &Component, turn: &Turn, request: &Request, level: &str) -> String {
    let user = &request.user;
    let who = request.watcher.bare.shown();
    let status = core.state.user(user).and_then(|known| known.status());
    let status = status.unwrap_or_default();
    let words = request.fields.get(TEXT).map_or("", String::as_str);
    let zone = core.zone(user);
    if words.is_empty() {
        let now = wish::text_sentence("Your status is now", &status, turn.now.wall, zone);
        return format!("{who} ({level}) has taken back the status that it had set. {now}");
    }
    let now = wish::text_sentence("Your status is now", &status, turn.now.wall, zone);
    format!("{who} ({level}) has set your status text. {now}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_would_make_a_link_of_is_found() {
        for link in [
            "see https://evil.example",
            "HTTP://evil.example",
            "WWW.evil.example now",
            "mailto:eve@evil.example",
            "xmpp:eve@evil.example?join",
        ] {
            assert!(names_a_place(link), "{link}");
        }
        for plain in [
            "In a meeting: room 3/4",
            "back at 15:00",
            "w/o laptop",
            "Größe 3",
        ] {
            assert!(!names_a_place(plain), "{plain}");
        }
    }
}
