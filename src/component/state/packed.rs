//! The records of a user as the working state keeps them: what a probe reads stands side by side, what
//! most users do not have takes a pointer. As records they are made anew for whoever wants them so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::authorization::{Right, Visibility};
use super::super::clock::Wall;
use super::super::record::{
    Chosen, LastFace, LastSeen, Profile, Scope, ShownState, Status, Tell, Text,
};
use crate::address::Bare;

/// A [`Profile`]; each field says what it does there.
#[derive(Debug)]
pub(in super::super) struct PackedProfile {
    pub(in super::super) joined: Wall,
    pub(in super::super) visibility: Visibility,
    pub(in super::super) show_when_offline: bool,
    pub(in super::super) dormant: bool,
    pub(in super::super) subscribed: bool,
    pub(in super::super) declined: bool,
    pub(in super::super) lost: bool,
    pub(in super::super) last_seen: LastSeen,
    pub(in super::super) share_idle: bool,
    seldom: Option<Box<Seldom>>,
}

/// What few have chosen.
#[derive(Debug)]
struct Seldom {
    public_rights: Option<BTreeSet<Right>>,
    timezone: Option<String>,
    tell: BTreeMap<Right, Tell>,
}

impl PackedProfile {
    /// The rights of the public level that she leaves open; absent: all that the operator allows.
    pub(in super::super) fn public_rights(&self) -> Option<&BTreeSet<Right>> {
        self.seldom.as_ref()?.public_rights.as_ref()
    }

    /// The IANA name of her time zone; absent: the operator's.
    pub(in super::super) fn timezone(&self) -> Option<&str> {
        self.seldom.as_ref()?.timezone.as_deref()
    }
}

impl From<Profile> for PackedProfile {
    fn from(profile: Profile) -> Self {
        let Profile {
            joined,
            visibility,
            show_when_offline,
            public_rights,
            dormant,
            subscribed,
            declined,
            lost,
            last_seen,
            share_idle,
            timezone,
            tell,
        } = profile;
        let has_any = public_rights.is_some() || timezone.is_some() || !tell.is_empty();
        let seldom = has_any.then(|| {
            Box::new(Seldom {
                public_rights,
                timezone,
                tell,
            })
        });
        Self {
            joined,
            visibility,
            show_when_offline,
            dormant,
            subscribed,
            declined,
            lost,
            last_seen,
            share_idle,
            seldom,
        }
    }
}

impl From<&PackedProfile> for Profile {
    fn from(packed: &PackedProfile) -> Self {
        let seldom = packed.seldom.as_deref();
        Self {
            joined: packed.joined,
            visibility: packed.visibility,
            show_when_offline: packed.show_when_offline,
            public_rights: seldom.and_then(|seldom| seldom.public_rights.clone()),
            dormant: packed.dormant,
            subscribed: packed.subscribed,
            declined: packed.declined,
            lost: packed.lost,
            last_seen: packed.last_seen,
            share_idle: packed.share_idle,
            timezone: seldom.and_then(|seldom| seldom.timezone.clone()),
            tell: seldom.map(|seldom| seldom.tell.clone()).unwrap_or_default(),
        }
    }
}

/// A [`Text`] as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Said<'a> {
    pub(in super::super) text: &'a str,
    pub(in super::super) emoji: Option<&'a str>,
    pub(in super::super) scope: Scope,
    pub(in super::super) set: Wall,
    pub(in super::super) author: Option<&'a Bare>,
    pub(in super::super) unsigned: bool,
}

impl<'a> From<&'a Text> for Said<'a> {
    fn from(text: &'a Text) -> Self {
        Self {
            text: &text.text,
            emoji: text.emoji.as_deref(),
            scope: text.scope,
            set: text.set,
            author: text.author.as_ref(),
            unsigned: text.unsigned,
        }
    }
}

/// A [`Status`]: most are one text of her own that does not end.
#[derive(Debug, Default)]
pub(in super::super) enum PackedStatus {
    #[default]
    None,
    Plain {
        text: Box<str>,
        scope: Scope,
        set: Wall,
    },
    Other(Box<Status>),
}

impl PackedStatus {
    /// The text in force.
    pub(in super::super) fn text(&self, now: Wall) -> Option<Said<'_>> {
        match self {
            Self::None => None,
            Self::Plain { text, scope, set } => Some(Said {
                text,
                emoji: None,
                scope: *scope,
                set: *set,
                author: None,
                unsigned: false,
            }),
            Self::Other(status) => status.text(now).map(Said::from),
        }
    }

    /// The text, where that is all there is.
    pub(super) fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain { text, .. } => Some(text),
            Self::None | Self::Other(_) => None,
        }
    }

    /// The state in force.
    pub(in super::super) fn state(&self, now: Wall) -> Option<&Chosen> {
        match self {
            Self::None | Self::Plain { .. } => None,
            Self::Other(status) => status.state(now),
        }
    }

    /// The times at which something in it ends.
    pub(super) fn ends(&self) -> impl Iterator<Item = Wall> {
        let other = match self {
            Self::None | Self::Plain { .. } => None,
            Self::Other(status) => Some(status),
        };
        other.into_iter().flat_map(|status| status.ends())
    }
}

impl From<Option<Status>> for PackedStatus {
    fn from(status: Option<Status>) -> Self {
        let Some(mut status) = status else {
            return Self::None;
        };
        match (&mut *status.texts, &*status.states) {
            (
                [
                    Text {
                        text,
                        emoji: None,
                        scope,
                        set,
                        until: None,
                        author: None,
                        unsigned: false,
                    },
                ],
                [],
            ) => Self::Plain {
                text: std::mem::take(text).into(),
                scope: *scope,
                set: *set,
            },
            _ => Self::Other(Box::new(status)),
        }
    }
}

impl From<&PackedStatus> for Option<Status> {
    fn from(packed: &PackedStatus) -> Self {
        match packed {
            PackedStatus::None => None,
            PackedStatus::Plain { text, scope, set } => {
                let mut status = Status::of_text(&**text, *set);
                status.texts[0].scope = *scope;
                Some(status)
            }
            PackedStatus::Other(status) => Some((**status).clone()),
        }
    }
}

/// A [`LastFace`].
#[derive(Debug)]
pub(in super::super) struct PackedFace {
    pub(in super::super) state: Option<ShownState>,
    pub(in super::super) text: Option<Box<str>>,
    pub(in super::super) since: Wall,
}

impl From<LastFace> for PackedFace {
    fn from(face: LastFace) -> Self {
        Self {
            state: face.state,
            text: face.text.map(Into::into),
            since: face.since,
        }
    }
}

impl From<&PackedFace> for LastFace {
    fn from(packed: &PackedFace) -> Self {
        Self {
            state: packed.state,
            text: packed.text.as_deref().map(ToOwned::to_owned),
            since: packed.since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_comes_out_as_it_went_in() {
        let profiles = [
            r#"{"joined":1,"visibility":"public"}"#,
            r#"{"joined":2,"visibility":"private","show_when_offline":false,"public_rights":["notify"],
                "dormant":true,"subscribed":true,"declined":true,"lost":true,"last_seen":"hour",
                "share_idle":true,"timezone":"Europe/Berlin","tell":{"notify":"off"}}"#,
            r#"{"joined":3,"visibility":"subscribers","tell":{"open-url":"digest"}}"#,
            r#"{"joined":4,"visibility":"subscribers","timezone":"Mars/Olympus"}"#,
        ];
        for text in profiles {
            let profile: Profile = serde_json::from_str(text).unwrap();
            let packed = PackedProfile::from(profile.clone());
            assert_eq!(packed.public_rights(), profile.public_rights.as_ref());
            assert_eq!(packed.timezone(), profile.timezone.as_deref());
            assert_eq!(Profile::from(&packed), profile);
        }
        let statuses = [
            r#"{"text":"a","scope":"offline","set":5}"#,
            r#"{"text":"a","scope":"always","set":5,"until":9}"#,
            r#"{"text":"a","scope":"always","set":5,"author":"bot@localhost"}"#,
            r#"{"text":"a","scope":"always","set":5,"unsigned":true}"#,
            r#"{"text":"a","scope":"always","set":5,"emoji":"🍵"}"#,
            r#"{"text":"a","scope":"always","set":5,"state":"dnd"}"#,
            r#"{"text":"a","scope":"always","set":5,"until":9,
                "earlier":[{"text":"b","scope":"always","set":1}]}"#,
            r#"{"text":"","scope":"always","set":5}"#,
        ];
        for text in statuses {
            let status: Status = serde_json::from_str(text).unwrap();
            let packed = PackedStatus::from(Some(status.clone()));
            for now in [0, 9, 10].map(Wall) {
                assert_eq!(packed.text(now), status.text(now).map(Said::from));
                assert_eq!(packed.state(now), status.state(now));
            }
            assert!(packed.ends().eq(status.ends()));
            assert_eq!(Option::from(&packed), Some(status));
        }
        assert_eq!(Option::<Status>::from(&PackedStatus::from(None)), None);
        for text in [
            r#"{"state":null,"since":3}"#,
            r#"{"state":"away","text":"out","since":3}"#,
        ] {
            let face: LastFace = serde_json::from_str(text).unwrap();
            assert_eq!(LastFace::from(&PackedFace::from(face.clone())), face);
        }
    }
}
