//! What a watcher sees of a presentity, and its presence on the wire.
//!
//! The face comes from the presentity's one virtual resource, so that no resource of the user is
//! ever named to a watcher (RFC 6120 §13.10.2) and a probe gets exactly one stanza.

use minidom::Element;
use sha2::{Digest, Sha256};
use xmpp_parsers::ns;

use super::authorization::{self, Decision, Interface, Level, Right};
use super::clock::{Now, Wall};
use super::live::Knowledge;
use super::record::{LastFace, Scope, ShownState, Status};
use super::state::User;
use super::{Settings, identity, limits};
use crate::address::{Address, Bare};
use crate::stanza::compose::{Compose, element};

/// The namespace of rights in presence and of the IQ query (protocol.md §9.1, §9.2).
pub(super) const NS_RIGHTS: &str = "urn:x-presence-service:rights:0";

/// The resource that available presence comes from (design.md §4).
pub(super) const VIRTUAL_RESOURCE: &str = "vestibule";

/// State and text as watchers are to see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    /// `None`: offline.
    pub(super) state: Option<ShownState>,
    pub(super) text: Option<String>,
    pub(super) since: Wall,
    /// Whether the truth about her is known since the attach.
    pub(super) known: bool,
}

/// A custom status while it is in force.
pub(super) fn in_force(status: Option<&Status>, online: bool, now: Now) -> Option<&Status> {
    status.filter(|status| {
        status.until.is_none_or(|until| now.wall < until)
            && (status.scope == Scope::Always || !online)
    })
}

impl Face {
    /// The face of a user now. design.md §4, protocol.md §4.3.
    pub(super) fn of(user: &User, now: Now) -> Self {
        let joined = user
            .profile
            .as_ref()
            .map_or(Wall(0), |profile| profile.joined);
        let known = user.live.knowledge == Knowledge::Known;
        let best = user.live.best();
        let custom = in_force(user.status.as_ref(), best.is_some(), now);
        let text = |own: Option<&String>| {
            let chosen = custom
                .map(|status| &status.text)
                .filter(|text| !text.is_empty());
            chosen.or(own).map(|text| shown(text))
        };
        if let Some(best) = best {
            let chosen = custom.and_then(|status| status.state);
            let state = match chosen.or(best.show).unwrap_or(ShownState::Online) {
                ShownState::Invisible => None,
                state => Some(state),
            };
            let since = custom.map_or(best.since, |status| status.set.max(best.since));
            return Self {
                state,
                text: text(best.status.as_ref()),
                since,
                known,
            };
        }
        let last = user.last_face.as_ref();
        let since = user
            .live
            .offline_since
            .or_else(|| last.map(|face| face.since))
            .unwrap_or(joined)
            .max(custom.map_or(Wall(0), |status| status.set));
        let farewell = if known && user.live.offline_since.is_some() {
            user.live.farewell.as_ref()
        } else {
            last.filter(|face| face.state.is_none())
                .and_then(|face| face.text.as_ref())
        };
        let shown = user
            .profile
            .as_ref()
            .is_some_and(|profile| profile.show_when_offline);
        Self {
            state: None,
            text: if shown { text(farewell) } else { None },
            since,
            known,
        }
    }

    /// The word for the state in the IQ query.
    pub(super) fn show(&self) -> &'static str {
        match self.state {
            Some(state) => state_word(state),
            None => "offline",
        }
    }
}

/// The part of a face that is kept over a restart: the user's own, without the custom status.
pub(super) fn remembered(user: &User) -> LastFace {
    let best = user.live.best();
    LastFace {
        state: best.map(|best| best.show.unwrap_or(ShownState::Online)),
        text: best.map_or_else(|| user.live.farewell.clone(), |best| best.status.clone()),
        since: best
            .map(|best| best.since)
            .or(user.live.offline_since)
            .or_else(|| user.last_face.as_ref().map(|face| face.since))
            .unwrap_or(Wall(0)),
    }
}

/// The word of a state, in forms, chat and the IQ query.
pub(super) fn state_word(state: ShownState) -> &'static str {
    match state {
        ShownState::Online => "online",
        ShownState::Chat => "chat",
        ShownState::Away => "away",
        ShownState::Xa => "xa",
        ShownState::Dnd => "dnd",
        ShownState::Invisible => "invisible",
    }
}

/// What one watcher may do, as listed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceRight {
    pub(super) level: Level,
    /// The rights, each with whether she is asked first. `see` is not among them: it is the answer.
    pub(super) rights: Vec<(Right, bool)>,
    /// Changes when the list or the face does; keyed, so that two watchers cannot compare lists.
    pub(super) rev: String,
}

/// Whether a right can be offered at all in this version, apart from who asks.
/// `open-url` without an agent becomes a message with the link.
pub(super) fn is_offered(right: Right) -> bool {
    matches!(right, Right::See | Right::OpenUrl | Right::LeaveMessage)
}

/// Asks [`authorization::decide`] for one user and watcher.
pub(super) fn decide(
    settings: &Settings,
    user: (&Bare, &User),
    watcher: &Bare,
    interface: Interface,
    now: Now,
    right: Right,
) -> Decision {
    let (name, known) = user;
    let Some(policy) = known.policy(name, watcher) else {
        return Decision::Deny(authorization::Reason::Unseen);
    };
    let evidence = known.evidence(watcher, settings.party(watcher));
    authorization::decide(
        now,
        interface,
        watcher,
        evidence,
        policy,
        &settings.ceiling,
        right,
    )
}

/// The service right of a watcher that may see the user.
pub(super) fn service_right(
    settings: &Settings,
    key: &[u8; 32],
    user: (&Bare, &User),
    face: &Face,
    watcher: &Bare,
    interface: Interface,
    now: Now,
) -> ServiceRight {
    let evidence = user.1.evidence(watcher, settings.party(watcher));
    let level = authorization::level(now, interface, watcher, evidence, user.0);
    let rights: Vec<_> = Right::ALL
        .into_iter()
        .filter(|right| *right != Right::See && is_offered(*right))
        .filter_map(
            |right| match decide(settings, user, watcher, interface, now, right) {
                Decision::Allow { confirm } => Some((right, confirm)),
                Decision::Deny(_) => None,
            },
        )
        .collect();
    let mut hash = Sha256::new()
        .chain_update(key)
        .chain_update(user.0.as_str())
        .chain_update([0])
        .chain_update(watcher.as_str())
        .chain_update([0, level as u8]);
    hash.update([
        face.state.map_or(u8::MAX, |state| state as u8),
        u8::from(face.known),
    ]);
    hash.update(face.text.as_deref().unwrap_or_default());
    for (right, confirm) in &rights {
        hash.update([*right as u8, u8::from(*confirm)]);
    }
    let digest = hash.finalize();
    let rev = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ServiceRight { level, rights, rev }
}

impl ServiceRight {
    /// `<rights/>` as it stands in presence: names only (protocol.md §9.1).
    pub(super) fn in_presence(&self) -> Element {
        let head = [("rev", self.rev.as_str()), ("level", self.level.as_str())];
        self.rights
            .iter()
            .fold(element("rights", NS_RIGHTS, &head), |rights, (right, _)| {
                rights.with(element("right", NS_RIGHTS, &[("name", right.as_str())]))
            })
    }
}

/// Whether a presence answers a probe or tells of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion<'a> {
    /// An answer, with the probe's `id`.
    Probe(Option<&'a str>),
    /// A change.
    Broadcast,
}

/// The presence of a presentity for a watcher that may see it.
///
/// Available presence comes from the virtual resource and, as RFC 6121 §4.3.2.1 has it, does not
/// mirror the probe's `id`; `unavailable` in answer to a probe comes from the bare presentity, mirrors
/// it, and says since when (§4.3.2 rule 3).
pub(super) fn presence(
    presentity: &Bare,
    to: &Address,
    face: &Face,
    rights: &ServiceRight,
    occasion: Occasion<'_>,
) -> Element {
    let virtual_jid = format!("{presentity}/{VIRTUAL_RESOURCE}");
    let to = to.to_string();
    let Some(state) = face.state else {
        let (from, id) = match occasion {
            Occasion::Probe(id) => (presentity.as_str(), id),
            Occasion::Broadcast => (virtual_jid.as_str(), None),
        };
        let stanza = element(
            "presence",
            ns::JABBER_CLIENT,
            &[("from", from), ("to", &to), ("type", "unavailable")],
        );
        return with_text(stanza.attribute("id", id), face)
            .with(rights.in_presence())
            .with(delay(face.since));
    };
    let stanza = element(
        "presence",
        ns::JABBER_CLIENT,
        &[("from", &virtual_jid), ("to", &to)],
    );
    let stanza = match state {
        ShownState::Online | ShownState::Invisible => stanza,
        state => stanza.with_text("show", state_word(state)),
    };
    with_text(stanza, face)
        .with(rights.in_presence())
        .with(identity::presentity_caps())
}

fn with_text(stanza: Element, face: &Face) -> Element {
    match &face.text {
        Some(text) => stanza.with_text("status", text),
        None => stanza,
    }
}

/// `<delay/>`, XEP-0203.
pub(super) fn delay(stamp: Wall) -> Element {
    element("delay", ns::DELAY, &[("stamp", &stamp.to_string())])
}

/// A text as others see it: one line, without what could disturb a display (controls, and marks that
/// turn the direction of what follows), cut.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|one| !matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|one| if one.is_control() { ' ' } else { one })
        .take(limits::SHOWN_CHARS_MAX)
        .collect()
}

/// At most `max` characters, the last an ellipsis where some were cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}
