//! What holds for every stanza the component sends, whoever it is for (protocol.md §3.4).

use super::shorthand::DOMAIN;
use super::tree::{CLIENT, Tree};

/// RFC 6120 §13.12: the size that every server takes.
const BYTES_MAX: usize = 10_000;

/// Checks one stanza.
pub(crate) fn check(stanza: &Tree) -> Result<(), String> {
    if stanza.ns != CLIENT {
        return Err(format!("a stanza in {}", stanza.ns));
    }
    let from = stanza.attr("from").ok_or("no from")?;
    let bare = from.split_once('/').map_or(from, |(bare, _)| bare);
    if bare != DOMAIN && !bare.ends_with(&format!("@{DOMAIN}")) {
        return Err("a from that is not ours".to_owned());
    }
    if stanza.attr("to").is_none_or(str::is_empty) {
        return Err("no to".to_owned());
    }
    if stanza.name == "iq" && stanza.attr("id").is_none() {
        return Err("an IQ without id".to_owned());
    }
    if stanza.child("priority", CLIENT).is_some() {
        return Err("a stray priority".to_owned());
    }
    if stanza.attr("type") == Some("unavailable") && stanza.child("show", CLIENT).is_some() {
        return Err("a show in unavailable presence".to_owned());
    }
    let size = stanza.to_string().len();
    if size > BYTES_MAX {
        return Err(format!("{size} bytes"));
    }
    characters(stanza)
}

fn characters(element: &Tree) -> Result<(), String> {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !element.text.chars().all(is_legal)
        || !element
            .attrs
            .values()
            .all(|value| value.chars().all(is_legal))
    {
        return Err("characters that XML forbids".to_owned());
    }
    element.children.iter().try_for_each(characters)
}
