//! Tokens: what they are, and how one that is shown in a request is found, checked and counted as a guess.
//! protocol.md §9.2; security.md T47, T48. What changes one stands in `step`.
//!
//! A token is looked for in three places of an IQ to a presentity and nowhere else, so one that was put
//! anywhere else is neither read nor repeated. Its text lives as long as the request; what is kept and
//! compared is the SHA-256 of it.

pub(super) mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use minidom::Element;
use minidom::rxml::xml_ncname;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::authorization::{Evidence, Right};
use super::clock::{Chance, Now, Wall};
use super::face::NS_RIGHTS;
use super::limits::TOKEN_PEOPLE_BYTES_MAX;
use super::reply::{Asked, Refusal};
use super::state::State;
use super::watcher::Watcher;
use super::{Component, Turn};
use crate::address::Bare;
use crate::stanza::command::NS as NS_COMMANDS;

/// The namespace of tokens in requests.
pub(super) const NS_AUTHZ: &str = "urn:x-presence-service:authz:0";

/// What each token begins with: the version of its form.
const VERSION: &str = "1:";
/// Characters of the public name, and of the secret behind it: 6 bits each.
const ID_CHARS: usize = 6;
const SECRET_CHARS: usize = 24;

/// What she has made for whoever shows it: rights, for a time, so many times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 of its text.
    pub digest: Digest,
    /// Her own name for it, one line.
    pub label: String,
    /// What it names; [`Right::See`] is always included.
    pub rights: BTreeSet<Right>,
    /// When it was made.
    pub since: Wall,
    /// When it ends, and what was redeemed with it; 0 once that has been noted, for good.
    pub until: Wall,
    /// How often it may be used: redeemed, or shown in a request.
    pub uses: u32,
    /// How often it was.
    #[serde(default)]
    pub used: u32,
    /// When it was used last.
    #[serde(default)]
    pub last_used: Option<Wall>,
    /// Who has redeemed it, and when: to them it is a grant.
    #[serde(default)]
    pub redeemed: BTreeMap<Bare, Wall>,
    /// For whom it does not count: she has revoked everything of theirs since it was made.
    #[serde(default)]
    pub barred: BTreeSet<Bare>,
}

impl Token {
    /// Whether it gives a watcher its rights now: by having been redeemed, or because the watcher shows it.
    #[must_use]
    pub fn gives(&self, watcher: &Bare, is_shown: bool, now: Wall) -> bool {
        now < self.until
            && !self.barred.contains(watcher)
            && (is_shown || self.redeemed.contains_key(watcher))
    }

    /// Whether a watcher may begin something with it: who has redeemed it needs no further use.
    pub(super) fn admits(&self, watcher: &Bare, now: Wall) -> bool {
        let has_uses = self.used < self.uses || self.redeemed.contains_key(watcher);
        has_uses && self.gives(watcher, true, now)
    }

    /// Takes it from a watcher for good. Where there is no room to remember that, it ends for everybody: a
    /// revocation never fails for want of room.
    pub(super) fn bar(&mut self, watcher: &Bare) {
        self.redeemed.remove(watcher);
        self.barred.insert(watcher.clone());
        if !self.has_room() {
            self.until = Wall(0);
            self.redeemed.clear();
            self.barred.clear();
        }
    }

    /// Whether its addresses fit a record.
    fn has_room(&self) -> bool {
        let people = self.redeemed.keys().chain(&self.barred);
        people.map(|jid| jid.as_str().len()).sum::<usize>() <= TOKEN_PEOPLE_BYTES_MAX
    }
}

impl<'a> Evidence<'a> {
    /// The tokens that count for a watcher now: the one that it shows, and those that it has redeemed.
    pub(super) fn tokens(&self, watcher: &Bare, now: Now) -> impl Iterator<Item = &'a Token> {
        let shown = self.shown;
        self.tokens
            .into_iter()
            .flatten()
            .filter(move |(id, token)| token.gives(watcher, shown == Some(id), now.wall))
            .map(|(_, token)| token)
    }
}

/// SHA-256 of the text of a token: of so much chance that nobody finds the text by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        BASE64_URL_SAFE_NO_PAD.encode(digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not a SHA-256 in base64url")
    }
}

/// The text of a new token, on its way to her: never shown otherwise, not even in debug output.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// The text, for the one result that shows it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Draws a token: its public name, and its text.
///
/// `key` is secret and as old as the process. What else derives from the chance of the same input, some of
/// which is sent out, leads to nothing without it.
fn draw(key: &[u8; 32], chance: &mut Chance) -> (String, Secret) {
    let bytes = Sha256::new()
        .chain_update(b"token")
        .chain_update(key)
        .chain_update(chance.bytes())
        .finalize();
    let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (id, rest) = text.split_at(ID_CHARS);
    let secret = &rest[..SECRET_CHARS];
    (id.to_owned(), Secret(format!("{VERSION}{id}{secret}")))
}

/// Whether this can be the public name of a token.
pub(super) fn is_name(text: &str) -> bool {
    text.len() == ID_CHARS
}

/// A token as it was shown: its public name, and the digest of its text.
struct Shown {
    id: String,
    digest: Digest,
}

impl Shown {
    /// Reads it. What has not the form of a token is a wrong one like any other.
    fn read(text: &str) -> Self {
        let text = text.trim();
        let id = text
            .strip_prefix(VERSION)
            .and_then(|rest| rest.get(..ID_CHARS));
        Self {
            id: id.unwrap_or_default().to_owned(),
            digest: Digest::of(text),
        }
    }
}

/// Takes the token that comes with a request to a presentity, if there is one, into `asked`: a right one
/// counts for this request from here on.
///
/// A wrong one is a guess, of which each address and each domain has few. To whom the user is not visible
/// it is otherwise as if it were not there, so the answer is the one of an unknown user.
///
/// # Errors
///
/// The refusal: several tokens, a token where there must be one, too many guesses; a wrong token, told to
/// those alone who see her without it.
pub(super) fn present(
    core: &mut Component,
    turn: &Turn,
    asked: &mut Asked,
    type_: &str,
    payload: &Element,
    user: Option<&Bare>,
) -> Result<(), Refusal> {
    let (name, namespace) = (payload.name(), payload.ns());
    let redeems = name == "redeem";
    let places: &[&str] = match (type_, name, namespace.as_str()) {
        ("get", "query", NS_RIGHTS) => &[NS_RIGHTS, NS_AUTHZ],
        ("set", "command", NS_COMMANDS) | ("set", "redeem", NS_AUTHZ) => &[NS_AUTHZ],
        _ => return Ok(()),
    };
    let is_one = |child: &&Element| {
        child.name() == "token" && places.iter().any(|place| child.is("token", *place))
    };
    let mut tokens = payload.children().filter(is_one);
    let shown = match (tokens.next(), tokens.next()) {
        (Some(token), None) => Shown::read(&token.text()),
        (None, _) if !redeems => return remembered(core, turn, asked, payload, user),
        _ => return Err(Refusal::BadRequest),
    };
    if user == Some(&asked.to.bare) {
        return Ok(()); // She needs none.
    }
    let domain = asked.to.bare.to_domain();
    let is_ours = core.settings.users.contains(&domain);
    let at = turn.now.mono;
    let room = [
        core.guesses.room(&asked.to.bare, 1, at),
        match is_ours {
            true => Ok(1),
            false => core.guesses_of_domain.room(&domain, 1, at),
        },
    ];
    if let Some(wait_s) = room.into_iter().filter_map(Result::err).max() {
        return Err(Refusal::PolicyViolation(wait_s));
    }
    let found = user.and_then(|user| core.state.user(user)?.tokens().get(&shown.id));
    let is_right = found.is_some_and(|token| {
        token.digest.is(&shown.digest) && token.admits(&asked.to.bare, turn.now.wall)
    });
    let sees = |core: &Component, asked: &Asked| {
        user.is_some_and(|user| core.may(user, &asked.watcher(), turn, Right::See))
    };
    if is_right {
        asked.token = Some(shown.id);
        if sees(core, asked) {
            return Ok(());
        }
        asked.token = None; // She blocks whoever it is: nothing tells that it was a right one.
    }
    // Where there are more guessers than are remembered, nobody else may guess.
    let is_counted = core.guesses.take(&asked.to.bare, at)
        && (is_ours || core.guesses_of_domain.take(&domain, at));
    if !is_counted {
        return Err(Refusal::PolicyViolation(core.guesses.retry_after_s()));
    }
    match sees(core, asked) {
        true => Err(Refusal::TokenInvalid),
        false => Ok(()),
    }
}

/// Finds the token that is shown over the web for a user, and who shows it, by the name that `holder` makes of
/// its public name and its label. `again`: for a request that has used it already.
///
/// # Errors
///
/// Too many guesses from where it is shown.
pub(super) fn of_web(
    core: &Component,
    turn: &Turn,
    user: Option<&Bare>,
    (guesser, text): (&Bare, &str),
    again: bool,
    holder: &dyn Fn(&str, &str) -> Watcher,
) -> Result<Option<Watcher>, Refusal> {
    if let Err(wait_s) = core.guesses.room(guesser, 1, turn.now.mono) {
        return Err(Refusal::PolicyViolation(wait_s));
    }
    let shown = Shown::read(text);
    let found = user.and_then(|user| core.state.user(user)?.tokens().get(&shown.id));
    let Some(token) = found.filter(|token| token.digest.is(&shown.digest)) else {
        return Ok(None);
    };
    let watcher = holder(&shown.id, &token.label);
    let counts = match again {
        true => token.gives(&watcher.bare, true, turn.now.wall),
        false => token.admits(&watcher.bare, turn.now.wall),
    };
    Ok(counts.then_some(watcher))
}

/// Counts a wrong one that was shown over the web.
pub(super) fn guessed(core: &mut Component, turn: &Turn, guesser: &Bare) -> Result<(), Refusal> {
    // Where there are more guessers than are remembered, nobody else may guess.
    match core.guesses.take(guesser, turn.now.mono) {
        true => Ok(()),
        false => Err(Refusal::PolicyViolation(core.guesses.retry_after_s())),
    }
}

/// A later request of a command counts with the token that began it, as long as that counts.
fn remembered(
    core: &Component,
    turn: &Turn,
    asked: &mut Asked,
    payload: &Element,
    user: Option<&Bare>,
) -> Result<(), Refusal> {
    let session = payload.attr(xml_ncname!("sessionid"));
    let (Some(session), Some(user)) = (session, user) else {
        return Ok(());
    };
    let Some((id, has_begun)) = core.sessions.token_of(session, &asked.to, user) else {
        return Ok(());
    };
    let token = core
        .state
        .user(user)
        .and_then(|known| known.tokens().get(id));
    let counts = token.is_some_and(|token| token.gives(&asked.to.bare, true, turn.now.wall));
    if counts {
        asked.token = Some(id.to_owned());
        return Ok(());
    }
    // What has begun may be asked for; the rest is refused as at first.
    let sees = core.may(user, &asked.watcher(), turn, Right::See);
    match sees && !has_begun {
        true => Err(Refusal::TokenInvalid),
        false => Ok(()),
    }
}

impl State {
    /// When the next token ends.
    pub(super) fn next_token_end(&self) -> Option<Wall> {
        self.token_ends.first().map(|(at, ..)| *at)
    }

    /// Takes the next that has ended, by its name, with who has redeemed it; each is taken once.
    pub(super) fn take_ended_token(&mut self, now: Wall) -> Option<(Bare, String, Vec<Bare>)> {
        loop {
            self.next_token_end().filter(|at| *at <= now)?;
            let (at, user, id) = self.token_ends.pop_first()?;
            let known = self.stored(&user);
            let token = known.and_then(|known| known.tokens().get(&id));
            // One that has ended may have come in again with a use that was on its way to the disk.
            if let Some(token) = token.filter(|token| token.until == at) {
                let people = token.redeemed.keys().cloned().collect();
                return Some((user, id, people));
            }
        }
    }
}

#[cfg(test)]
mod tests;
