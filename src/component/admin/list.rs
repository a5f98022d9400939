//! The users as an administrator sees them: accounts and settings, page by page, never what they show.

use std::collections::BTreeMap;

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::form::{Fields, field};
use super::super::limits::FORM_BYTES_MAX;
use super::super::reply::Refusal;
use super::super::setting::Reply;
use super::super::state::User;
use super::super::words::quotable;
use super::super::{Component, Turn};
use crate::address::{Address, Bare};
use crate::stanza::size::value_bytes;

/// Users on a page.
const PAGE_MAX: usize = 50;
/// Bytes of a page: in the result of a command it stands beside a note.
const PAGE_BYTES: usize = FORM_BYTES_MAX - 1000;
/// Characters of a filter.
const FILTER_MAX: usize = 256;

/// Which users are wanted.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// A part of the address; with an `@` before it all of its domain.
    filter: Option<String>,
    /// The last one on the page before.
    after: Option<Bare>,
}

impl Wanted {
    pub(super) fn of_fields(fields: &Fields) -> Result<Self, Refusal> {
        let after = match fields.text("after") {
            None => None,
            Some(text) => Some(address(&text)?),
        };
        Self::new(fields.text("filter").as_deref().unwrap_or_default(), after)
    }

    /// `acme after carol@example.org`, both parts or one or none.
    pub(super) fn of_words(words: &str) -> Result<Self, Refusal> {
        let words: Vec<&str> = words.split_whitespace().collect();
        match words[..] {
            [] => Ok(Self::default()),
            [filter] => Self::new(filter, None),
            ["after", last] => Self::new("", Some(address(last)?)),
            [filter, "after", last] => Self::new(filter, Some(address(last)?)),
            _ => Err(Refusal::BadPayload(
                "As in “admin list @example.org after carol@example.org”.".into(),
            )),
        }
    }

    fn new(filter: &str, after: Option<Bare>) -> Result<Self, Refusal> {
        if filter.chars().count() > FILTER_MAX {
            let text = format!("A filter has at most {FILTER_MAX} characters.");
            return Err(Refusal::BadPayload(text));
        }
        let filter = Some(filter.trim().to_lowercase()).filter(|filter| !filter.is_empty());
        Ok(Self { filter, after })
    }

    fn holds(&self, user: &Bare) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        match filter.strip_prefix('@') {
            Some(domain) => user.domain() == domain,
            None => user.as_str().contains(filter.as_str()),
        }
    }
}

fn address(text: &str) -> Result<Bare, Refusal> {
    let wrong = |_| Refusal::BadPayload("What stands after “after” is no address.".into());
    Ok(Address::parse(text).map_err(wrong)?.bare)
}

/// The form: what to look for, and where to go on.
pub(super) fn form() -> (&'static str, Vec<Field>) {
    let fields = vec![
        field(
            "filter",
            FieldType::TextSingle,
            "A part of the address, or @ and a domain",
            None,
        ),
        field(
            "after",
            FieldType::TextSingle,
            "Go on after this address",
            None,
        ),
    ];
    (
        "Accounts and settings; states and texts are theirs.",
        fields,
    )
}

/// Tells an administrator one page.
pub(super) fn tell(core: &mut Component, turn: &mut Turn, wanted: &Wanted, reply: Reply) {
    let filter = wanted.filter.as_deref();
    let shown = filter.and_then(|filter| quotable(filter, FILTER_MAX));
    let of = shown.map_or_else(String::new, |filter| format!(" with “{filter}”"));
    super::log(core, &reply, format!("listed users{of}"));
    // All are looked at, and no more kept than a page has, one more for whether there are any.
    let mut page: BTreeMap<&Bare, &User> = BTreeMap::new();
    let mut n = 0;
    for (user, known) in core.state.users() {
        if known.settings().is_none() || !wanted.holds(user) {
            continue;
        }
        n += 1;
        if wanted.after.as_ref().is_none_or(|after| user > after) {
            page.insert(user, known);
            if page.len() > PAGE_MAX + 1 {
                page.pop_last();
            }
        }
    }
    let (mut lines, mut bytes, mut last, mut more) = (Vec::new(), 0, None, false);
    for (user, known) in page {
        let line = line(user, known);
        bytes += value_bytes(&line) + FIELD_BYTES;
        if !lines.is_empty() && (lines.len() == PAGE_MAX || bytes > PAGE_BYTES) {
            more = true;
            break;
        }
        lines.push(line);
        last = Some(user.clone());
    }
    let next = last.filter(|_| more);
    let heading = match (n, lines.len()) {
        (0, _) => format!("There are no users{of}."),
        (n, here) => format!("{here} of {n} users{of}:"),
    };
    let mut fields = vec![
        Field::text_single("count", &n.to_string()),
        Field {
            values: lines.clone(),
            ..Field::new("users", FieldType::TextMulti)
        },
    ];
    if let Some(next) = &next {
        fields.push(Field::text_single("after", next.as_str()));
    }
    let go_on = |next: &Bare| {
        let filter = filter.map_or_else(String::new, |filter| format!("{filter} "));
        format!("More: “admin list {filter}after {next}”.")
    };
    let text = match &reply {
        Reply::Command { .. } => heading,
        _ => std::iter::once(heading)
            .chain(lines)
            .chain(next.as_ref().map(go_on))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    super::told(core, turn, reply, text, fields);
}

/// Bytes around a line in a form.
const FIELD_BYTES: usize = 15;

/// Who she is, since when, who sees her, and whether she is served.
fn line(user: &Bare, known: &User) -> String {
    let Some(profile) = known.settings() else {
        return user.shown();
    };
    let joined = profile.joined.to_string();
    let day = joined.get(..10).unwrap_or(&joined);
    let dormant = if profile.dormant {
        ", not served now"
    } else {
        ""
    };
    format!(
        "{}, since {day}, visibility {}{dormant}",
        user.shown(),
        profile.visibility.as_str()
    )
}
