//! The form of blocks: those there are, and new ones. protocol.md §9.7.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::decision::Verdict;
use super::super::form::{Fields, field};
use super::super::limits::DECISIONS_MAX;
use super::super::reply::Refusal;
use super::super::state::User;
use super::super::whom::Read;
use super::{addresses, bad};
use crate::address::Address;

/// New ones to type, and the present ones to choose from.
pub(super) fn fields(known: &User) -> Vec<Field> {
    let block = field(
        "block",
        FieldType::JidMulti,
        "Block these (a domain stands for all its users)",
        None,
    );
    vec![
        block,
        addresses(
            "unblock",
            "unblock",
            "Do not block these any more",
            known.blocks().keys(),
        ),
    ]
}

/// What was submitted; blocks come first.
pub(super) fn read(fields: &Fields) -> Result<Read, Refusal> {
    let mut read = Read::default();
    for verdict in [Verdict::Block, Verdict::Unblock] {
        let name = verdict.as_str();
        let typed = fields.all(name).unwrap_or_default().iter();
        // A client without a field for many addresses puts them on one line.
        let words = typed.flat_map(|line| line.split_whitespace());
        for word in words {
            let who = Address::parse(word).map_err(|_| {
                Refusal::BadPayload(format!("The field {name} has what is no address."))
            })?;
            read.put(who.bare, verdict);
        }
    }
    if read.each.is_empty() {
        return Err(bad("Nobody is named to block or to unblock."));
    }
    if read.each.len() > DECISIONS_MAX {
        return Err(bad("Those are too many addresses at once."));
    }
    Ok(read)
}
