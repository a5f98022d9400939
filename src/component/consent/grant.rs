//! The forms of grants and revocations: offered, and read. protocol.md §9.7.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::authorization::{Confirm, Interface};
use super::super::clock::Wall;
use super::super::ending;
use super::super::form::{Fields, choice, field, required};
use super::super::granting::{Offer, Withdrawal};
use super::super::limits::USES_PER_DAY_MAX;
use super::super::reply::Refusal;
use super::super::setting::What;
use super::super::state::User;
use super::super::{Component, Turn, whom};
use super::{addresses, bad, read_rights, rights_options};
use crate::address::Bare;

/// An empty grant.
pub(super) fn fields(zone: Tz) -> Vec<Field> {
    let confirm = [
        ("never", "never"),
        ("first", "the first time"),
        ("always", "each time"),
    ];
    let interfaces = [
        ("public", "XMPP"),
        ("dedicated", "a party's own link"),
        ("http", "the web"),
    ];
    let all = interfaces.map(|(value, _)| value);
    let text = |var, label: &str| field(var, FieldType::TextSingle, label, None);
    vec![
        required(
            "who",
            FieldType::JidSingle,
            "Address, a domain for all its users, or a party's name",
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
        text(
            "until",
            "Until (2026-12-31 or 2026-12-31 18:00; empty: no end)",
        ),
        text("max-per-day", "At most so often a day (empty: no limit)"),
        text("quiet", &format!("Quiet hours (22:00-07:00, {zone})")),
        choice(
            "interfaces",
            FieldType::ListMulti,
            "Only over",
            &interfaces,
            &all,
        ),
    ]
}

/// What she has granted, to choose from.
pub(super) fn fields_to_revoke(core: &Component, known: &User) -> Vec<Field> {
    let parties = core.settings.parties.iter();
    let parties = parties.filter_map(|party| Bare::parse(&party.name).ok());
    let parties: Vec<_> = parties.collect();
    vec![
        addresses(
            "who",
            "revoke",
            "Whose rights (parties are blocked)",
            known.granted().into_iter().chain(&parties),
        ),
        field(
            "also-unsubscribe",
            FieldType::Boolean,
            "They do not get my presence any more",
            Some("1"),
        ),
        field("also-block", FieldType::Boolean, "Block them", Some("0")),
    ]
}

/// The grant that was submitted.
pub(super) fn read(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    fields: &Fields,
) -> Result<What, Refusal> {
    fields.required("who")?;
    let who = read_who(core, fields)?;
    let rights = read_rights(fields.all("rights").unwrap_or_default())?;
    let confirm = match fields.text("confirm").as_deref() {
        None | Some("never") => Confirm::Never,
        Some("first") => Confirm::First,
        Some("always") => Confirm::Always,
        Some(_) => return Err(bad("The field confirm is always, first or never.")),
    };
    let quiet = fields.text("quiet").map(|text| {
        let quiet = text.parse();
        quiet.map_err(|_| bad("The field quiet is two times of the day, as in 22:00-07:00."))
    });
    let max_per_day = fields.text("max-per-day").map(|text| {
        read_max(&text).ok_or_else(|| {
            bad(&format!(
                "The field max-per-day is a number from 1 to {USES_PER_DAY_MAX}, or empty."
            ))
        })
    });
    Ok(What::Grant(Box::new(Offer {
        confirm,
        until: read_until(fields, turn.now.wall, core.zone(user))?,
        max_per_day: max_per_day.transpose()?,
        interfaces: read_interfaces(fields.all("interfaces").unwrap_or_default())?,
        quiet: quiet.transpose()?,
        ..Offer::new(who, rights)
    })))
}

fn read_who(core: &Component, fields: &Fields) -> Result<Vec<whom::Named>, Refusal> {
    let given = fields.all("who").unwrap_or_default().iter();
    let words = given.flat_map(|line| line.split([' ', ',', ';', '\t', '\n', '\r']));
    whom::grantees(core, words).map_err(|word| match word {
        Some(word) => bad(&format!("The field who has what is no address: {word}")),
        None => bad("The field who is missing."),
    })
}

fn read_until(fields: &Fields, now: Wall, zone: Tz) -> Result<Option<Wall>, Refusal> {
    let Some(text) = fields.text("until") else {
        return Ok(None);
    };
    match ending::time(&text, now, zone) {
        Some(Ok((until, ""))) => Ok(Some(until)),
        Some(Err(passed)) => Err(bad(&format!("The field until: {passed}"))),
        Some(Ok(_)) | None => Err(bad(
            "The field until is not a time such as 2026-12-31, 2026-12-31 18:00 or \
             2026-12-31T18:00:00Z.",
        )),
    }
}

/// A number of uses a day.
pub(in super::super) fn read_max(text: &str) -> Option<u32> {
    let max = text.trim().parse().ok()?;
    (1..=USES_PER_DAY_MAX).contains(&max).then_some(max)
}

/// All three are the same as none: no limit.
fn read_interfaces(names: &[String]) -> Result<BTreeSet<Interface>, Refusal> {
    let names = names.iter().map(|name| name.trim());
    let read: Option<BTreeSet<_>> = names
        .filter(|name| !name.is_empty())
        .map(Interface::parse)
        .collect();
    let read = read.ok_or_else(|| bad("An interface is public, dedicated or http."))?;
    Ok(all_is_none(read))
}

/// All interfaces are the same as no limit, also for those that come later.
pub(in super::super) fn all_is_none(interfaces: BTreeSet<Interface>) -> BTreeSet<Interface> {
    let has_all = Interface::ALL.iter().all(|one| interfaces.contains(one));
    if has_all { BTreeSet::new() } else { interfaces }
}

/// The revocations that were submitted.
pub(super) fn read_revocations(core: &Component, fields: &Fields) -> Result<What, Refusal> {
    Ok(What::Revoke(Box::new(Withdrawal {
        keeps_presence: fields.boolean("also-unsubscribe")? == Some(false),
        blocks: fields.boolean("also-block")? == Some(true),
        ..Withdrawal::of(read_who(core, fields)?)
    })))
}
