//! The form of who sees her: offered, and read.

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::authorization::{Right, Visibility};
use super::super::form::{Fields, choice, field};
use super::super::record::{LastSeen, Profile};
use super::super::reply::Refusal;
use super::super::sight::{Sight, meaning};
use super::{bad, read_rights, rights_options};

/// The form with what is set.
pub(in super::super) fn fields(profile: &Profile) -> Vec<Field> {
    let visibilities = [
        Visibility::Private,
        Visibility::Subscribers,
        Visibility::Public,
    ];
    let options = visibilities.map(|one| (one.as_str(), meaning(one)));
    let all: BTreeSet<_> = Right::ALL.into_iter().collect();
    let open = profile.public_rights.as_ref().unwrap_or(&all);
    let open: Vec<_> = open.iter().map(|right| right.as_str()).collect();
    let flag = |on| Some(if on { "1" } else { "0" });
    let precisions = [
        (LastSeen::Exact, "exactly"),
        (LastSeen::Hour, "to the hour"),
        (LastSeen::Day, "to the day"),
        (LastSeen::Never, "not at all"),
    ];
    let precisions = precisions.map(|(one, label)| (one.as_str(), label));
    vec![
        choice(
            "visibility",
            FieldType::ListSingle,
            "Who sees my status",
            &options,
            &[profile.visibility.as_str()],
        ),
        field(
            "show-when-offline",
            FieldType::Boolean,
            "Show my status text while I am offline",
            flag(profile.show_when_offline),
        ),
        choice(
            "public-rights",
            FieldType::ListMulti,
            "What everyone may do",
            &rights_options(),
            &open,
        ),
        choice(
            "last-seen",
            FieldType::ListSingle,
            "How precisely others learn when I was last seen",
            &precisions,
            &[profile.last_seen.as_str()],
        ),
        field(
            "share-idle",
            FieldType::Boolean,
            "Show for how long I have been idle",
            flag(profile.share_idle),
        ),
    ]
}

/// What was submitted. Absent fields stay as they are (XEP-0004 §3.3).
pub(in super::super) fn read(fields: &Fields) -> Result<Sight, Refusal> {
    let visibility = match fields.text("visibility") {
        None => None,
        Some(word) => Some(
            Visibility::parse(&word)
                .ok_or_else(|| bad("The visibility is private, subscribers or public."))?,
        ),
    };
    let last_seen = match fields.text("last-seen") {
        None => None,
        Some(word) => Some(
            LastSeen::parse(&word)
                .ok_or_else(|| bad("The field last-seen is exact, hour, day or never."))?,
        ),
    };
    Ok(Sight {
        visibility,
        show_when_offline: fields.boolean("show-when-offline")?,
        public_rights: fields.all("public-rights").map(read_rights).transpose()?,
        last_seen,
        share_idle: fields.boolean("share-idle")?,
    })
}
