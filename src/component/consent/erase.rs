//! To leave and erase everything: what must be said twice. protocol.md §9.7.
//!
//! `leave` and `erase` do the same. `leave` is one tick, for those who know what they want; `erase` has a
//! second stage with the address typed.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::form::{Fields, field, required};
use super::super::reply::Refusal;
use super::super::setting::What;
use super::bad;
use crate::address::{Address, Bare};

/// The tick.
pub(super) fn fields() -> Vec<Field> {
    vec![field(
        "erase",
        FieldType::Boolean,
        "Erase all that is stored of me",
        Some("0"),
    )]
}

/// The second stage of `erase`, where the first says yes and the address is not there yet.
pub(super) fn second(fields: &Fields) -> Option<Vec<Field>> {
    let is_asked = fields.text("jid").is_none() && fields.boolean("erase") == Ok(Some(true));
    is_asked.then(|| {
        vec![required(
            "jid",
            FieldType::JidSingle,
            "Type your own address to erase everything",
        )]
    })
}

/// Whether she means it: by a tick.
pub(super) fn read_tick(fields: &Fields) -> Result<What, Refusal> {
    match fields.boolean("erase")? {
        Some(true) => Ok(What::Leave),
        _ => Err(bad("To leave, set the field erase.")),
    }
}

/// The same by her address.
pub(super) fn read_address(user: &Bare, fields: &Fields) -> Result<What, Refusal> {
    let Some(typed) = fields.text("jid") else {
        return Err(bad("Nothing is erased: the field erase is not set."));
    };
    match Address::parse(&typed) {
        Ok(typed) if typed.bare == *user => Ok(What::Leave),
        _ => Err(bad("That is not your address; nothing is erased.")),
    }
}
