//! The forms of grants and revocations: offered, and read.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::Turn;
use super::super::authorization::Confirm;
use super::super::form::{Fields, choice, field, required};
use super::super::reply::Refusal;
use super::super::setting::What;
use super::super::state::User;
use super::{addresses, bad, read_rights, read_until, rights_options};
use crate::address::Address;

/// An empty grant.
pub(super) fn fields() -> Vec<Field> {
    let confirm = [
        ("always", "each time"),
        ("first", "the first time"),
        ("never", "never"),
    ];
    vec![
        required(
            "who",
            FieldType::JidSingle,
            "Address, or a domain for all its users",
        ),
        choice(
            "rights",
            FieldType::ListMulti,
            "What they may do",
            &rights_options(),
            &["see"],
        ),
        choice(
            "confirm",
            FieldType::ListSingle,
            "Ask me",
            &confirm,
            &["never"],
        ),
        field(
            "until",
            FieldType::TextSingle,
            "Until (as 2026-12-31T18:00:00Z)",
            None,
        ),
    ]
}

/// What she has granted, to choose from.
pub(super) fn fields_to_revoke(known: &User) -> Vec<Field> {
    vec![addresses(
        "who",
        "revoke",
        "Whose rights",
        known.grants.keys(),
    )]
}

/// The grant that was submitted.
pub(super) fn read(turn: &Turn, fields: &Fields) -> Result<What, Refusal> {
    let watcher = Address::parse(&fields.required("who")?)
        .map_err(|_| bad("The field who is not an address."))?
        .bare;
    let rights = read_rights(fields.all("rights").unwrap_or_default())?;
    let confirm = match fields.text("confirm").as_deref() {
        None | Some("never") => Confirm::Never,
        Some("first") => Confirm::First,
        Some("always") => Confirm::Always,
        Some(_) => return Err(bad("The field confirm is always, first or never.")),
    };
    Ok(What::Grant {
        watcher,
        rights,
        confirm,
        until: read_until(turn, fields)?,
    })
}

/// The revocations that were submitted.
pub(super) fn read_revocations(fields: &Fields) -> Result<Vec<What>, Refusal> {
    let who = fields.all("who").unwrap_or_default();
    if who.is_empty() {
        return Err(bad("The field who is missing."));
    }
    who.iter()
        .map(|jid| {
            Address::parse(jid)
                .map(|who| What::Revoke(who.bare))
                .map_err(|_| bad("The field who is not an address."))
        })
        .collect()
}
