//! What a watcher sees of a presentity, and its presence on the wire.
//!
//! The face comes from the presentity's one virtual resource, so that no resource of the user is
//! ever named to a watcher (RFC 6120 §13.10.2) and a probe gets exactly one stanza.

use sha2::{Digest, Sha256};

use super::authorization::{self, Case, Decision, Evidence, Interface, Level, Right};
use super::clock::{Now, Wall};
use super::limits::SHOWN_CHARS_MAX;
use super::live::{Knowledge, Resource, Told};
use super::record::{LastFace, LastSeen, Scope, ShownState};
use super::state::{Said, User};
use super::watcher::Watcher;
use super::{Settings, identity, offer, text, web};
use crate::address::{Address, Bare};
use crate::stanza::presented::{Availability, Presented, Rights};
pub(super) use crate::stanza::presented::{NS_RIGHTS, VIRTUAL_RESOURCE};

/// State and text as watchers are to see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    /// `None`: offline.
    pub(super) state: Option<ShownState>,
    /// The text, with its emoji before it.
    pub(super) text: Option<String>,
    /// The emoji that the text begins with, where she set one.
    pub(super) emoji: Option<String>,
    /// Since when her client has been idle, where she lets that be seen, as precisely as she lets it.
    pub(super) idle: Option<Wall>,
    /// Whether the text is one that was set, and not her client's.
    pub(super) is_custom: bool,
    /// Whether the truth about her is known since the attach.
    pub(super) known: bool,
    /// Never told as it is: see [`Self::since_for`].
    since: Wall,
    last_seen: LastSeen,
}

impl Face {
    /// The face of a user now. design.md §4, protocol.md §4.3.
    ///
    /// Of one who is invisible it is made as of one who is offline, from what was there when watchers
    /// last saw her: nothing that her clients do changes it.
    pub(super) fn of(user: &User, now: Now) -> Self {
        let profile = user.settings();
        let last_seen = profile.map(|profile| profile.last_seen).unwrap_or_default();
        let custom = user.worn().text(now.wall);
        let known = user.live.knowledge == Knowledge::Known;
        let best = user.live.best().filter(|_| user.is_visible(now.wall));
        let Some(best) = best else {
            let (at, words) = departure(user);
            let shown = profile.is_some_and(|profile| profile.show_when_offline);
            let (text, emoji) = if shown {
                read(custom, words)
            } else {
                (None, None)
            };
            return Self {
                state: None,
                text,
                emoji,
                is_custom: shown && custom.is_some(),
                idle: None,
                known,
                since: at,
                last_seen,
            };
        };
        let custom = custom.filter(|custom| custom.scope == Scope::Always);
        let chosen = user.chosen(now.wall);
        let (text, emoji) = read(custom, best.status.as_deref());
        let since = shown_since(user, best)
            .max(custom.map_or(Wall(0), own_time))
            .max(chosen.map_or(Wall(0), |chosen| chosen.set));
        let shares_idle = profile.is_some_and(|profile| profile.share_idle);
        let unseen_until = user.live.appeared;
        let idle = best.idle.filter(|_| shares_idle);
        Self {
            state: chosen
                .map(|chosen| chosen.state)
                .or(best.show)
                .or(Some(ShownState::Online)),
            text,
            emoji,
            is_custom: custom.is_some(),
            idle: idle.and_then(|idle| last_seen.of(idle.max(unseen_until))),
            known,
            since,
            last_seen,
        }
    }

    /// Since when she has been as she is, for a watcher of this level: as precisely as she lets it be
    /// known, rounded down, or not at all. The one place that tells it; she herself learns it exactly.
    pub(super) fn since_for(&self, level: Level) -> Option<Wall> {
        match level {
            Level::Own => Some(self.since),
            _ => self.last_seen.of(self.since),
        }
    }

    /// What watchers are told of when it changes.
    pub(super) fn told(self) -> Told {
        Told {
            state: self.state,
            text: self.text,
            idle: self.idle,
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

/// The text that is read, and its emoji: hers, else her client's.
fn read(custom: Option<Said<'_>>, own: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(custom) = custom else {
        return (own.and_then(|own| text::line(own, SHOWN_CHARS_MAX)), None);
    };
    (shown(custom), custom.emoji.map(ToOwned::to_owned))
}

/// A text as others read it: with the name of who has set it, where it was not she. The name is never cut
/// off, whatever stands before it.
pub(super) fn shown(custom: Said<'_>) -> Option<String> {
    let Some(author) = custom.author.filter(|_| !custom.unsigned) else {
        return words(custom);
    };
    let by = format!(" (set by {})", author.shown());
    let left = SHOWN_CHARS_MAX.saturating_sub(by.chars().count());
    let words = worded(custom, left.max(1))?;
    Some(format!("{words}{by}"))
}

/// The same without a name.
pub(super) fn words(custom: Said<'_>) -> Option<String> {
    worded(custom, SHOWN_CHARS_MAX)
}

/// The emoji, a space, the text.
fn worded(custom: Said<'_>, max: usize) -> Option<String> {
    match (custom.emoji, custom.text) {
        (None, text) => text::line(text, max),
        (Some(emoji), "") => Some(emoji.to_owned()),
        (Some(emoji), text) => text::line(&format!("{emoji} {text}"), max),
    }
}

/// When she set a text; that another has set one does not make her seem to have been there.
fn own_time(custom: Said<'_>) -> Wall {
    match custom.author {
        None => custom.set,
        Some(_) => Wall(0),
    }
}

/// How watchers last saw her leave: when, and her client's words. After a restart, and of one who has
/// never been there, as far as that is known.
fn departure(user: &User) -> (Wall, Option<&str>) {
    if let Some(left) = user.live.departure() {
        return (left.at, left.words.as_deref());
    }
    if let Some(last) = user.last_face() {
        let words = last.text.as_deref().filter(|_| last.state.is_none());
        return (last.since, words);
    }
    let joined = user.settings().map(|profile| profile.joined);
    (joined.unwrap_or(Wall(0)), None)
}

/// Since when watchers have seen what her best resource says: not from before she stopped being
/// invisible, here or before a restart.
fn shown_since(user: &User, best: &Resource) -> Wall {
    let before = user.last_face().map_or(Wall(0), |last| last.since);
    best.since.max(before).max(user.live.appeared)
}

/// The part of a face that is kept over a restart: her clients', as far as watchers see it, without the
/// custom status.
pub(super) fn remembered(user: &User, now: Now) -> LastFace {
    match user.live.best().filter(|_| user.is_visible(now.wall)) {
        Some(best) => LastFace {
            state: Some(best.show.unwrap_or(ShownState::Online)),
            text: best.status.as_deref().map(ToOwned::to_owned),
            since: shown_since(user, best),
        },
        None => {
            let (since, words) = departure(user);
            LastFace {
                state: None,
                text: words.map(ToOwned::to_owned),
                since,
            }
        }
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
    /// When the first of what gives them ends by itself.
    pub(super) expires: Option<Wall>,
    /// Changes when the list or the face does; keyed, so that two watchers cannot compare lists.
    pub(super) rev: String,
}

/// Asks [`authorization::decide`] for one user and watcher.
pub(super) fn decide(
    settings: &Settings,
    user: (&Bare, &User),
    watcher: &Watcher,
    now: Now,
    right: Right,
) -> Decision {
    decide_on(settings, user, watcher, now, right, false)
}

/// The same, about a use that may have been counted.
pub(super) fn decide_on(
    settings: &Settings,
    user: (&Bare, &User),
    watcher: &Watcher,
    now: Now,
    right: Right,
    counted: bool,
) -> Decision {
    match case(settings, user, watcher, now, counted) {
        Some((case, ..)) => case.decide(right),
        None => Decision::Deny(authorization::Reason::Unseen),
    }
}

/// All that is decided about one user and watcher; `None` where she has not joined.
fn case<'a>(
    settings: &'a Settings,
    user: (&'a Bare, &'a User),
    watcher: &'a Watcher,
    now: Now,
    counted: bool,
) -> Option<(Case<'a>, Interface, Evidence<'a>)> {
    let (name, known) = user;
    let mut policy = known.policy(name, &watcher.bare, settings.timezone)?;
    policy.counted = counted;
    let (interface, evidence) = evidence(settings, known, watcher);
    let ceiling = &settings.ceiling;
    let case = Case::new(now, interface, &watcher.bare, evidence, policy, ceiling);
    Some((case, interface, evidence))
}

/// The level of a watcher towards a user.
pub(super) fn level(
    settings: &Settings,
    user: (&Bare, &User),
    watcher: &Watcher,
    now: Now,
) -> Level {
    let (interface, evidence) = evidence(settings, user.1, watcher);
    authorization::level(now, interface, &watcher.bare, evidence, user.0)
}

fn evidence<'a>(
    settings: &'a Settings,
    known: &'a User,
    watcher: &'a Watcher,
) -> (Interface, Evidence<'a>) {
    let Watcher {
        bare,
        interface,
        token,
    } = watcher;
    if web::is_visitor(&settings.domain, bare) {
        return (*interface, Evidence::default()); // Whoever it is: nothing was given to him.
    }
    let party = settings.party(bare, *interface);
    (*interface, known.evidence(bare, party, token.as_deref()))
}

/// The level of a watcher and what he may do; `None` where he may not see the user, or she has not joined.
pub(super) fn seen(
    settings: &Settings,
    user: (&Bare, &User),
    watcher: &Watcher,
    now: Now,
) -> Option<(Level, Vec<Right>)> {
    let (case, interface, evidence) = case(settings, user, watcher, now, false)?;
    if !case.decide(Right::See).is_allowed() {
        return None;
    }
    let level = authorization::level(now, interface, &watcher.bare, evidence, user.0);
    let rights = rights(&case, user, watcher, now).map(|(right, _)| right);
    Some((level, rights.collect()))
}

/// The rights of a case, each with whether she is asked first. `see` is not among them: it is the answer.
fn rights<'a>(
    case: &'a Case<'a>,
    user: (&'a Bare, &'a User),
    watcher: &'a Watcher,
    now: Now,
) -> impl Iterator<Item = (Right, bool)> {
    Right::ALL
        .into_iter()
        .filter(|right| *right != Right::See)
        .filter_map(|right| match case.decide(right) {
            Decision::Allow { confirm } => Some((right, confirm)),
            Decision::Deny(_) => None,
        })
        .filter(move |(right, _)| offer::works(user, watcher, now, *right))
}

/// The service right of a watcher that may see the user; `None` where she has not joined.
pub(super) fn service_right(
    settings: &Settings,
    key: &[u8; 32],
    user: (&Bare, &User),
    face: &Face,
    watcher: &Watcher,
    now: Now,
) -> Option<ServiceRight> {
    let (case, interface, evidence) = case(settings, user, watcher, now, false)?;
    let level = authorization::level(now, interface, &watcher.bare, evidence, user.0);
    let expires = authorization::expires(now, interface, &watcher.bare, evidence);
    let rights: Vec<_> = rights(&case, user, watcher, now).collect();
    let mut hash = Sha256::new()
        .chain_update(key)
        .chain_update(user.0.as_str())
        .chain_update([0])
        .chain_update(watcher.bare.as_str())
        .chain_update([0, level as u8]);
    hash.update([
        face.state.map_or(u8::MAX, |state| state as u8),
        u8::from(face.known),
    ]);
    hash.update(face.text.as_deref().unwrap_or_default());
    // Text and emoji could be split in two ways; neither holds a 0.
    hash.update([0]);
    hash.update(face.emoji.as_deref().unwrap_or_default());
    hash.update(face.idle.map_or(0, |idle| idle.0).to_be_bytes());
    for (right, confirm) in &rights {
        hash.update([*right as u8, u8::from(*confirm)]);
    }
    hash.update(expires.map_or(0, |at| at.0).to_be_bytes());
    let digest = hash.finalize();
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let rev = digest[..6]
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    Some(ServiceRight {
        level,
        rights,
        expires,
        rev,
    })
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
    face: Face,
    rights: ServiceRight,
    occasion: Occasion<'_>,
) -> Presented {
    let availability = match face.state {
        None => Availability::Unavailable {
            bare: matches!(occasion, Occasion::Probe(_)),
            id: match occasion {
                Occasion::Probe(id) => id.map(ToOwned::to_owned),
                Occasion::Broadcast => None,
            },
            since: face.since_for(rights.level),
        },
        Some(state) => Availability::Available {
            show: match state {
                ShownState::Online | ShownState::Invisible => None,
                state => Some(state_word(state)),
            },
            idle: face.idle,
            caps: identity::presentity_caps(),
        },
    };
    Presented {
        from: presentity.clone(),
        to: to.clone(),
        availability,
        text: face.text,
        rights: Rights {
            level: rights.level,
            rev: rights.rev,
            names: rights.rights.into_iter().map(|(right, _)| right).collect(),
        },
    }
}

/// At most `max` characters, the last an ellipsis where some were cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}
