//! The presence of a presentity as data, before it is a tree or bytes: what answers probes and tells of
//! changes. protocol.md §4.3, §9.1.
//!
//! The link writes it without building the tree; a property test there holds the bytes against those of
//! the tree.

use minidom::Element;
use xmpp_parsers::ns;

use super::compose::{Compose, element};
use crate::address::{Address, Bare};
use crate::component::authorization::{Level, Right};
use crate::component::clock::Wall;

/// The namespace of rights in presence and of the IQ query (protocol.md §9.1, §9.2).
pub const NS_RIGHTS: &str = "urn:x-presence-service:rights:0";

/// The resource that available presence comes from (design.md §4).
pub const VIRTUAL_RESOURCE: &str = "vestibule";

/// A presence of a presentity, for one watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The presentity.
    pub from: Bare,
    /// The watcher.
    pub to: Address,
    /// Whether she is there.
    pub availability: Availability,
    /// What she, or her client, says of it.
    pub text: Option<String>,
    /// What the watcher may do.
    pub rights: Rights,
}

/// Whether she is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// From the virtual resource.
    Available {
        /// `<show/>`; none for plainly available.
        show: Option<&'static str>,
        /// `<idle/>`, XEP-0319.
        idle: Option<Wall>,
        /// `<c/>`, XEP-0115.
        caps: Caps,
    },
    /// She is not.
    Unavailable {
        /// Whether it comes from the bare presentity, not from the virtual resource.
        bare: bool,
        /// The `id` of the probe that it answers.
        id: Option<String>,
        /// `<delay/>`, XEP-0203.
        since: Option<Wall>,
    },
}

/// `<c/>` with the hash `sha-1` (XEP-0115 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The node.
    pub node: &'static str,
    /// The verification string.
    pub ver: &'static str,
}

/// `<rights/>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The level of the watcher.
    pub level: Level,
    /// Changes when the list or the face does.
    pub rev: String,
    /// The rights, without `see`.
    pub names: Vec<Right>,
}

impl From<&Presented> for Element {
    fn from(presented: &Presented) -> Self {
        let Presented {
            from,
            to,
            availability,
            text,
            rights,
        } = presented;
        let virtual_jid = format!("{from}/{VIRTUAL_RESOURCE}");
        let (from, type_, id) = match availability {
            Availability::Available { .. } => (virtual_jid.as_str(), None, None),
            Availability::Unavailable { bare: true, id, .. } => {
                (from.as_str(), Some("unavailable"), id.as_deref())
            }
            Availability::Unavailable { id, .. } => {
                (virtual_jid.as_str(), Some("unavailable"), id.as_deref())
            }
        };
        let head = [("from", from), ("to", &to.to_string())];
        let stanza = element("presence", ns::JABBER_CLIENT, &head)
            .attribute("type", type_)
            .attribute("id", id);
        let stanza = match availability {
            Availability::Available {
                show: Some(show), ..
            } => stanza.with_text("show", show),
            _ => stanza,
        };
        let stanza = match text {
            Some(text) => stanza.with_text("status", text),
            None => stanza,
        };
        let stanza = stanza.with(rights.into());
        match availability {
            Availability::Available {
                idle: since, caps, ..
            } => stanza.with_some(since.map(idle)).with(caps.into()),
            Availability::Unavailable { since, .. } => stanza.with_some(since.map(delay)),
        }
    }
}

impl From<&Rights> for Element {
    /// As it stands in presence: names only (protocol.md §9.1).
    fn from(rights: &Rights) -> Self {
        let head = [
            ("rev", rights.rev.as_str()),
            ("level", rights.level.as_str()),
        ];
        rights
            .names
            .iter()
            .fold(element("rights", NS_RIGHTS, &head), |rights, right| {
                rights.with(element("right", NS_RIGHTS, &[("name", right.as_str())]))
            })
    }
}

impl From<&Caps> for Element {
    fn from(caps: &Caps) -> Self {
        let head = [("hash", "sha-1"), ("node", caps.node), ("ver", caps.ver)];
        element("c", ns::CAPS, &head)
    }
}

/// `<delay/>`, XEP-0203.
fn delay(stamp: Wall) -> Element {
    element("delay", ns::DELAY, &[("stamp", &stamp.to_string())])
}

/// `<idle/>`, XEP-0319.
fn idle(since: Wall) -> Element {
    element("idle", ns::IDLE, &[("since", &since.to_string())])
}
