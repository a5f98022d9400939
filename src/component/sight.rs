//! What watchers see of her at all, as she sets it: by form and by chat.

use std::collections::BTreeSet;

use super::authorization::{Right, Visibility};
use super::record::{LastSeen, Profile};

/// What she decides of it. What is absent stays as it is (XEP-0004 §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) visibility: Option<Visibility>,
    pub(super) show_when_offline: Option<bool>,
    pub(super) public_rights: Option<BTreeSet<Right>>,
    pub(super) last_seen: Option<LastSeen>,
    pub(super) share_idle: Option<bool>,
}

impl Sight {
    /// Her settings with this.
    pub(super) fn applied(&self, profile: Profile) -> Profile {
        Profile {
            visibility: self.visibility.unwrap_or(profile.visibility),
            show_when_offline: self.show_when_offline.unwrap_or(profile.show_when_offline),
            public_rights: self.public_rights.clone().or(profile.public_rights),
            last_seen: self.last_seen.unwrap_or(profile.last_seen),
            share_idle: self.share_idle.unwrap_or(profile.share_idle),
            ..profile
        }
    }

    /// Takes away at once what this takes away.
    pub(super) fn narrow(&self, profile: &mut Profile) {
        if let Some(visibility) = self.visibility
            && rank(visibility) < rank(profile.visibility)
        {
            profile.visibility = visibility;
        }
        profile.show_when_offline &= self.show_when_offline.unwrap_or(true);
        profile.share_idle &= self.share_idle.unwrap_or(true);
        profile.last_seen = profile
            .last_seen
            .min(self.last_seen.unwrap_or(LastSeen::Exact));
        if let Some(rights) = &self.public_rights {
            let open = profile.public_rights.take();
            let kept = |right: &&Right| open.as_ref().is_none_or(|open| open.contains(right));
            profile.public_rights = Some(rights.iter().filter(kept).copied().collect());
        }
    }

    /// What holds now, for the person: what she has named, or else who sees her.
    pub(super) fn told(&self, profile: &Profile) -> String {
        let mut sentences = Vec::new();
        if let Some(last_seen) = self.last_seen {
            sentences.push(seen(last_seen).to_owned());
        }
        if let Some(share_idle) = self.share_idle {
            sentences.push(idle(share_idle).to_owned());
        }
        if self.visibility.is_some() || sentences.is_empty() {
            let visibility = profile.visibility;
            let (name, meaning) = (visibility.as_str(), meaning(visibility));
            sentences.insert(0, format!("Your visibility is now {name}: {meaning}."));
        }
        sentences.join(" ")
    }
}

/// From narrow to wide.
fn rank(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Private => 0,
        Visibility::Subscribers => 1,
        Visibility::Public => 2,
    }
}

/// What a visibility means, for the person.
pub(super) fn meaning(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "only those you grant it see you",
        Visibility::Subscribers => "those you approve and the operator's parties see you",
        Visibility::Public => "everyone sees you",
    }
}

/// What a precision means, for the person.
pub(super) fn seen(last_seen: LastSeen) -> &'static str {
    match last_seen {
        LastSeen::Never => "Others do not learn when you were last seen.",
        LastSeen::Day => "Others learn on which day you were last seen.",
        LastSeen::Hour => "Others learn in which hour you were last seen.",
        LastSeen::Exact => "Others learn exactly when you were last seen.",
    }
}

/// What passing on idleness means, for the person.
pub(super) fn idle(shared: bool) -> &'static str {
    match shared {
        true => "Others see for how long you have been idle.",
        false => "Others do not see for how long you have been idle.",
    }
}
