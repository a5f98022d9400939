//! The form of the requests that wait for her: offered page by page, and read. protocol.md §9.7.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::decision::Verdict;
use super::super::form::{Fields, choice};
use super::super::limits::{DECISIONS_MAX, FORM_BYTES_MAX};
use super::super::pending::{described, list};
use super::super::reply::Refusal;
use super::super::state::User;
use super::super::whom::Read;
use super::bad;
use crate::stanza::size::value_bytes;

/// Characters of a request's text in the label of its field.
const TEXT_SHOWN: usize = 120;
/// Bytes of a field beside its label: four options and what is around them.
const FIELD_BYTES: usize = 500;
/// The name of a request's field is this and its number.
const FIELD: &str = "request-";

const OPTIONS: [(&str, &str); 4] = [
    ("later", "decide later"),
    ("approve", "approve: it gets my presence"),
    ("deny", "deny"),
    ("block", "block: nothing from it any more"),
];

/// One field for each request on a page; `None` where nobody waits. Of several pages it is the first, or
/// the one with the number `from`.
pub(super) fn fields(known: &User, from: u32) -> Option<Vec<Field>> {
    let mut pages: Vec<Vec<(u32, Field)>> = Vec::new();
    let mut bytes = 0;
    for (number, watcher, one) in list(known) {
        let label = format!("{number}. {}", described(watcher, one, TEXT_SHOWN));
        let cost = FIELD_BYTES + value_bytes(&label);
        if pages.is_empty() || bytes + cost > FORM_BYTES_MAX {
            pages.push(Vec::new());
            bytes = 0;
        }
        bytes += cost;
        let var = format!("{FIELD}{number}");
        let field = choice(&var, FieldType::ListSingle, &label, &OPTIONS, &["later"]);
        pages.last_mut()?.push((number, field));
    }
    let starts: Vec<u32> = pages
        .iter()
        .filter_map(|page| page.first().map(|(number, _)| *number))
        .collect();
    let ends = |page: &Vec<(u32, Field)>| page.last().is_some_and(|(last, _)| from <= *last);
    let chosen = pages.iter().position(ends).unwrap_or(0);
    let mut fields: Vec<_> = pages
        .into_iter()
        .nth(chosen)?
        .into_iter()
        .map(|(_, field)| field)
        .collect();
    if starts.len() > 1 {
        let options: Vec<_> = starts
            .iter()
            .map(|start| (start.to_string(), format!("the requests from {start} on")))
            .collect();
        let options: Vec<_> = options
            .iter()
            .map(|(value, label)| (value.as_str(), label.as_str()))
            .collect();
        let shown = options[chosen].0;
        let label = "Show (decide later on all of these first)";
        fields.push(choice(
            "from",
            FieldType::ListSingle,
            label,
            &options,
            &[shown],
        ));
    }
    Some(fields)
}

/// The page that was asked for, where nothing was decided on this one.
pub(super) fn next_page(known: &User, fields: &Fields) -> Option<Vec<Field>> {
    let from = fields.text("from")?.parse().ok()?;
    let read = read(known, fields).ok()?;
    let shown = |number: u32| fields.all(&format!("{FIELD}{number}")).is_some();
    if !read.is_empty() || shown(from) {
        return None;
    }
    self::fields(known, from)
}

/// The decisions that were submitted, in the order of the requests.
pub(super) fn read(known: &User, fields: &Fields) -> Result<Read, Refusal> {
    let mut decided = Vec::new();
    for (var, value) in fields.with_prefix(FIELD) {
        let number: u32 = var
            .parse()
            .map_err(|_| bad("A field of a request is named by its number."))?;
        let verdict = match value.as_deref() {
            None | Some("later") => continue,
            Some("approve") => Verdict::Approve,
            Some("deny") => Verdict::Deny,
            Some("block") => Verdict::Block,
            Some(_) => return Err(bad("An answer is approve, deny, block or later.")),
        };
        decided.push((number, verdict));
    }
    if decided.len() > DECISIONS_MAX {
        return Err(bad("Those are too many answers at once."));
    }
    decided.sort_by_key(|(number, _)| *number);
    let mut read = Read::default();
    for (number, verdict) in decided {
        read.put_number(known, number, verdict);
    }
    Ok(read)
}
