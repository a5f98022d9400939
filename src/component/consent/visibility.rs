//! The form of who sees her: offered, and read.

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::authorization::{Right, Visibility};
use super::super::form::{Fields, choice, field};
use super::super::record::Profile;
use super::super::reply::Refusal;
use super::super::setting::{What, meaning};
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
    let shown = if profile.show_when_offline { "1" } else { "0" };
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
            Some(shown),
        ),
        choice(
            "public-rights",
            FieldType::ListMulti,
            "What everyone may do",
            &rights_options(),
            &open,
        ),
    ]
}

/// What was submitted. Absent fields stay as they are (XEP-0004 §3.3).
pub(in super::super) fn read(fields: &Fields) -> Result<What, Refusal> {
    let visibility = match fields.text("visibility") {
        None => None,
        Some(word) => Some(
            Visibility::parse(&word)
                .ok_or_else(|| bad("The visibility is private, subscribers or public."))?,
        ),
    };
    Ok(What::Visibility {
        visibility,
        show_when_offline: fields.boolean("show-when-offline")?,
        public_rights: fields.all("public-rights").map(read_rights).transpose()?,
    })
}
