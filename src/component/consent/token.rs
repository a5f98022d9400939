//! The forms and words of tokens: offered, and read; the one result that shows a token.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

use super::super::authorization::{Level, Right};
use super::super::clock::Wall;
use super::super::form::{self, Fields, choice, field, required};
use super::super::limits::{
    BODY_BYTES_MAX, FORM_BYTES_MAX, TOKEN_DAYS, TOKEN_DAYS_MAX, TOKEN_LABEL_CHARS_MAX,
    TOKEN_USES_MAX,
};
use super::super::record::Token;
use super::super::reply::Refusal;
use super::super::setting::list;
use super::super::state::User;
use super::super::token::step::Wanted;
use super::super::token::{Secret, is_name};
use super::super::{Component, Turn, ending, words};
use super::overview::COLUMNS;
use super::{OPTION_BYTES, Own, bad, read_rights, rights_options};
use crate::address::Bare;
use crate::stanza::size::value_bytes;

/// Tokens that the overview shows, and people that a line names.
const OVERVIEW_MAX: usize = 10;
const NAMED_MAX: usize = 3;

/// An empty one.
pub(super) fn fields() -> Vec<Field> {
    vec![
        required("label", FieldType::TextSingle, "Your name for it"),
        choice(
            "rights",
            FieldType::ListMulti,
            "What whoever shows it may do",
            &rights_options(),
            &["see"],
        ),
        field(
            "uses",
            FieldType::TextSingle,
            "How often it may be used (1 to 100; redeeming it is one use)",
            Some("1"),
        ),
        field(
            "until",
            FieldType::TextSingle,
            "Until (as 7d or 2026-12-31, at most 90 days; else 30 days)",
            None,
        ),
    ]
}

/// What was submitted.
pub(super) fn read(turn: &Turn, fields: &Fields, zone: Tz) -> Result<Wanted, Refusal> {
    let label = fields.required("label")?;
    if label.chars().count() > TOKEN_LABEL_CHARS_MAX {
        let text = format!("The field label is longer than {TOKEN_LABEL_CHARS_MAX} characters.");
        return Err(Refusal::BadPayload(text));
    }
    let label = words::quotable(&label, TOKEN_LABEL_CHARS_MAX)
        .ok_or_else(|| bad("The field label has nothing to read."))?;
    let mut rights = read_rights(fields.all("rights").unwrap_or_default())?;
    rights.insert(Right::See);
    let uses = match fields.text("uses") {
        None => 1,
        Some(text) => match text.parse() {
            Ok(uses) if (1..=TOKEN_USES_MAX).contains(&uses) => uses,
            _ => {
                let text = format!("The field uses is a number from 1 to {TOKEN_USES_MAX}.");
                return Err(Refusal::BadPayload(text));
            }
        },
    };
    let days = |days: i64| turn.now.wall.plus_s(days * 24 * 3600);
    let until = match fields.text("until") {
        None => days(TOKEN_DAYS),
        Some(text) => read_until(&text, turn.now.wall, zone)?,
    };
    if until > days(TOKEN_DAYS_MAX) {
        let text = format!("A token counts for at most {TOKEN_DAYS_MAX} days.");
        return Err(Refusal::BadPayload(text));
    }
    Ok(Wanted {
        label,
        rights,
        uses,
        until,
    })
}

/// A time or a span, as in a status.
fn read_until(text: &str, now: Wall, zone: Tz) -> Result<Wall, Refusal> {
    if let Some((until, "")) = ending::span(text, now, zone) {
        return Ok(until);
    }
    match ending::time(text, now, zone) {
        Some(Ok((until, ""))) => Ok(until),
        Some(Err(passed)) => Err(bad(&format!("The field until: {passed}"))),
        Some(Ok(_)) | None => Err(bad(
            "The field until is not a time such as 7d, 2026-12-31 or 2026-12-31T18:00:00Z.",
        )),
    }
}

/// The result that shows a token, the only time.
pub(in super::super) fn made(wanted: &Wanted, secret: &Secret, until: &str) -> (String, DataForm) {
    let note = format!(
        "The token “{}” stands in the result. Keep it: it is shown this once. Whoever has it may: {}; {}, \
         until {until}.",
        wanted.label,
        list(&wanted.rights),
        match wanted.uses {
            1 => "once".to_owned(),
            uses => format!("{uses} times"),
        },
    );
    let shown = |var: &str, label: &str, value: &str| {
        let mut field = field(var, FieldType::TextSingle, label, Some(value));
        field.required = false;
        field
    };
    let rights = wanted.rights.iter().map(|right| right.as_str().to_owned());
    let mut named = field("rights", FieldType::TextMulti, "Rights", None);
    named.values = rights.collect();
    let fields = vec![
        shown("token", "Token", secret.expose()),
        shown("label", "Your name for it", &wanted.label),
        named,
        shown("uses", "Uses", &wanted.uses.to_string()),
        shown("until", "Until", &wanted.until.to_string()),
    ];
    let mut form = DataForm::new(DataFormType::Result_, form::CONSENT, fields);
    form.title = Some(Own::TokenNew.title().to_owned());
    (note, form)
}

/// Her tokens, to choose from.
pub(super) fn fields_to_revoke(known: &User, now: Wall, zone: Tz) -> Vec<Field> {
    let mut options = Vec::new();
    let mut bytes = 0;
    for (id, token) in known.tokens() {
        let shown = format!("{}: {}", token.label, usage(token, now, zone));
        bytes += OPTION_BYTES + value_bytes(id) + value_bytes(&shown);
        if bytes <= FORM_BYTES_MAX {
            options.push((id.as_str(), shown));
        }
    }
    let options: Vec<_> = options
        .iter()
        .map(|(value, label)| (*value, label.as_str()))
        .collect();
    vec![choice(
        "token",
        FieldType::ListMulti,
        "Which",
        &options,
        &[],
    )]
}

/// The public names that were submitted.
pub(super) fn read_revocations(fields: &Fields) -> Result<Vec<String>, Refusal> {
    let ids: BTreeSet<_> = fields.all("token").unwrap_or_default().iter().collect();
    if ids.is_empty() {
        return Err(bad("The field token is missing."));
    }
    // A client that submits what it shows of a token may show how often it had been used a while ago.
    if !ids.iter().all(|id| is_name(id)) {
        return Err(bad(
            "What was shown of a token has changed. Open the form again.",
        ));
    }
    Ok(ids.into_iter().cloned().collect())
}

/// Why a token is not made in chat, and where it is.
pub(in super::super) fn by_chat(core: &Component) -> String {
    let (domain, node) = (core.settings.domain.bare(), Own::TokenNew.node());
    format!(
        "A token is made in the form “{}” and shown there once: a message would stay in the archives of \
         your server and your clients. Look for the commands of {domain} in your client, or open \
         xmpp:{domain}?command;node={node}. To give something to somebody whose address you know, “grant” \
         needs no token.",
        Own::TokenNew.title(),
    )
}

/// The public names of the tokens that a line means, by label or by name, with commas between several.
pub(in super::super) fn named(
    core: &Component,
    user: &Bare,
    line: &str,
) -> Result<Vec<String>, String> {
    let known = core.state.user(user);
    let find = |word: &str| {
        let mut tokens = known?.tokens().iter();
        let is_it = |(id, token): &(&String, &Token)| {
            *id == word || token.label.to_lowercase() == word.to_lowercase()
        };
        tokens.find(is_it).map(|(id, _)| id.clone())
    };
    if let Some(id) = find(line) {
        return Ok(vec![id]); // A label may have commas.
    }
    let words = line.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(|word| {
            let unknown = words::quotable(word, TOKEN_LABEL_CHARS_MAX).unwrap_or_default();
            find(word).ok_or_else(|| {
                format!("You have no token “{unknown}”; “tokens” shows those you have.")
            })
        })
        .collect()
}

/// Her tokens in words.
pub(in super::super) fn text(core: &Component, turn: &Turn, user: &Bare) -> String {
    let Some(known) = core.state.user(user).filter(|one| !one.tokens().is_empty()) else {
        return "You have no tokens; “token new” says how to make one.".to_owned();
    };
    let lines: Vec<_> = known
        .tokens()
        .values()
        .map(|token| line(token, turn.now.wall, core.zone(user)))
        .collect();
    words::lines(&lines, BODY_BYTES_MAX)
}

/// The same as a part of the overview.
pub(super) fn lines(known: &User, now: Wall, zone: Tz) -> Vec<String> {
    let tokens = known.tokens().values().take(OVERVIEW_MAX);
    let mut lines: Vec<_> = tokens.map(|token| line(token, now, zone)).collect();
    if known.tokens().len() > OVERVIEW_MAX {
        lines.push(format!("“tokens” shows all {}.", known.tokens().len()));
    }
    lines
}

fn line(token: &Token, now: Wall, zone: Tz) -> String {
    let mut people: Vec<_> = token
        .redeemed
        .keys()
        .take(NAMED_MAX)
        .map(Bare::shown)
        .collect();
    if token.redeemed.len() > NAMED_MAX {
        people.push(format!("{} more", token.redeemed.len() - NAMED_MAX));
    }
    let people = match people.len() {
        0 => String::new(),
        _ => format!("; redeemed by {}", people.join(", ")),
    };
    format!(
        "Token “{}”: {}; {}{people}.",
        token.label,
        list(&token.rights),
        usage(token, now, zone)
    )
}

/// The same as rows of the overview, each with its line in words: each token, and who has redeemed it.
pub(super) fn rows(known: &User, now: Wall, zone: Tz) -> Vec<(String, Vec<String>)> {
    let in_force = known.tokens().values().filter(|token| now < token.until);
    let row = |who: String, token: &Token, since: Wall| {
        let mut row = vec![String::new(); COLUMNS.len()];
        row[0] = who;
        row[1] = Level::Authorized.as_str().to_owned();
        row[2] = list(&token.rights);
        row[4] = ending::stamp(since, zone);
        row[5] = ending::shown(token.until, now, zone);
        row
    };
    in_force
        .flat_map(|token| {
            let mut own = row(format!("token “{}”", token.label), token, token.since);
            let last = token.last_used.map(|at| ending::stamp(at, zone));
            own[9] = last.unwrap_or_default();
            own[10] = format!("{} of {}", token.used, token.uses);
            let redeemed = token.redeemed.iter().map(|(watcher, since)| {
                let who = format!("{} (token “{}”)", watcher.shown(), token.label);
                let row = row(who, token, *since);
                (format!("{} may: {}.", row[0], row[2]), row)
            });
            let own = (line(token, now, zone), own);
            [own].into_iter().chain(redeemed).collect::<Vec<_>>()
        })
        .collect()
}

/// How much of it is left.
fn usage(token: &Token, now: Wall, zone: Tz) -> String {
    let last = token
        .last_used
        .map(|at| format!(", last {}", ending::shown(at, now, zone)))
        .unwrap_or_default();
    let used = format!("used {} of {}{last}", token.used, token.uses);
    match now < token.until {
        true => format!("{used}, until {}", ending::shown(token.until, now, zone)),
        false => format!("{used}, ended"),
    }
}
