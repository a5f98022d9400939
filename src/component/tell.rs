//! What she is told of what others do at her client and with her status: each time, in a digest, or not at
//! all. protocol.md §9.4.
//!
//! What is left for her to read (a message, a link, a watcher's own result) always reaches her at once. The
//! digest is made from her history, whose lines say that they have not been told: it outlives a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::authorization::{Level, Right};
use super::clock::Now;
use super::limits::{BODY_BYTES_MAX, DIGEST_AFTER, DIGEST_AGAIN};
use super::record::{Audit, Change, Profile};
use super::reply::{NS_HINTS, Refusal};
use super::resume::SETTLE;
use super::setting::{Setting, What};
use super::state::User;
use super::timer::Timer;
use super::{Component, Turn, consent, ending, lane, words};
use crate::address::Bare;
use crate::stanza::compose::{Compose, element};

/// How she is told of a right's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tell {
    /// By a message each time.
    #[default]
    Every,
    /// By one message an hour at most.
    Digest,
    /// Not at all; it stands in the history.
    Off,
}

impl Tell {
    pub(super) const ALL: [Self; 3] = [Self::Every, Self::Digest, Self::Off];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Digest => "digest",
            Self::Off => "off",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// The rights about which she decides it. A message is for her to read, and seeing is no act.
pub(super) const RIGHTS: [Right; 5] = [
    Right::OpenUrl,
    Right::Notify,
    Right::SetStatus,
    Right::StartModule,
    Right::ActivateClient,
];

/// Whether it may be off: only for what everyone may do by the default ceiling, or those she has approved.
pub(super) fn may_be_off(right: Right) -> bool {
    matches!(right, Right::OpenUrl | Right::Notify)
}

/// What she sets: for some rights.
pub(super) type Choice = BTreeMap<Right, Tell>;

/// Why a choice is none.
const AT_LEAST: &str =
    "What is done by set-status, start-module and activate-client is told at least in the digest.";

/// Takes one right into a choice.
pub(super) fn choose(choice: &mut Choice, right: Right, tell: Tell) -> Result<(), String> {
    if !RIGHTS.contains(&right) {
        return Err(format!(
            "It can be said of open-url, notify, set-status, start-module and activate-client, not of {right}: \
             what is left for you to read always reaches you."
        ));
    }
    if tell == Tell::Off && !may_be_off(right) {
        return Err(AT_LEAST.to_owned());
    }
    choice.insert(right, tell);
    Ok(())
}

/// Reads `notify, open-url digest` or `all digest`.
pub(super) fn read(line: &str) -> Result<Choice, String> {
    let line = line.to_lowercase();
    let words = line.split(|c: char| c.is_whitespace() || c == ',');
    let words: Vec<_> = words.filter(|word| !matches!(*word, "" | "and")).collect();
    let how = "As in “tell notify digest”: some rights or “all”, and then every, digest or off.";
    let (tell, names) = match words.split_last() {
        Some((last, names)) if !names.is_empty() => (Tell::parse(last), names),
        _ => (None, [].as_slice()),
    };
    let tell = tell.ok_or(how)?;
    let mut choice = Choice::new();
    for name in names {
        if *name == "all" {
            for right in RIGHTS {
                choose(&mut choice, right, tell)?;
            }
        } else {
            let right = name
                .parse::<Right>()
                .map_err(|unknown| unknown.to_string())?;
            choose(&mut choice, right, tell)?;
        }
    }
    Ok(choice)
}

/// Her settings with this.
pub(super) fn applied(choice: &Choice, mut profile: Profile) -> Profile {
    profile.tell.extend(choice);
    profile.tell.retain(|_, tell| *tell != Tell::Every);
    profile
}

/// What is set, for the person.
pub(super) fn told(profile: &Profile) -> String {
    let set = |right: &Right| profile.tell.get(right).copied().unwrap_or_default();
    let each = RIGHTS.map(|right| format!("{right}: {}", set(&right).as_str()));
    // Some clients show the last lines of an answer to a form, and no more.
    format!(
        "every is a message each time, digest one an hour at most. With off you are still told, in the digest, of \
         what those do whom you granted it, and parties.\nYou are told of {}.",
        each.join(", ")
    )
}

/// How she is told of this act of a watcher of this level.
fn of(profile: &Profile, right: Right, level: Level) -> Tell {
    match profile.tell.get(&right).copied().unwrap_or_default() {
        Tell::Off if level >= Level::Authorized || !may_be_off(right) => Tell::Digest,
        tell => tell,
    }
}

fn of_user(core: &Component, user: &Bare, right: Right, level: Level) -> Tell {
    let profile = core.state.user(user).and_then(User::profile);
    profile.map_or(Tell::Every, |profile| of(&profile, right, level))
}

/// Whether the line of history that is about to be written waits for the digest.
pub(super) fn waits(core: &Component, user: &Bare, right: Right, level: Level) -> bool {
    of_user(core, user, right, level) == Tell::Digest
}

/// Whether she is told now, the line of history being written. What waits for the digest gets its time.
pub(super) fn is_now(
    core: &mut Component,
    turn: &Turn,
    user: &Bare,
    id: &str,
    (right, level): (Right, Level),
) -> bool {
    let Some(known) = core.state.user(user) else {
        return true;
    };
    let lines = known.history().iter();
    let mut untold = lines.filter(|(_, line)| line.is_untold());
    match (untold.next(), untold.next()) {
        (Some(((_, only), _)), None) if only == id => {
            let at = turn.now.mono + DIGEST_AFTER;
            core.timers.set(at, Timer::Digest(user.clone()));
            false
        }
        _ if known
            .history()
            .iter()
            .any(|((_, of), line)| of == id && line.untold) =>
        {
            false
        }
        // Where she has changed it meanwhile, rather told than lost.
        _ => of_user(core, user, right, level) != Tell::Off,
    }
}

/// After a start: what has not been told waits on, at most until a digest after it.
pub(super) fn resume(core: &mut Component, now: Now) {
    let mut due = Vec::new();
    for (user, known) in core.state.users() {
        let first = known.history().iter().find(|(_, line)| line.is_untold());
        if let Some(((at, _), _)) = first {
            let since = u64::try_from(now.wall.0.saturating_sub(at.0)).unwrap_or(0);
            let left = DIGEST_AFTER.saturating_sub(Duration::from_millis(since));
            due.push((now.mono + left.max(SETTLE), user.clone()));
        }
    }
    for (at, user) in due {
        core.timers.set(at, Timer::Digest(user));
    }
}

/// It is time for a digest.
pub(super) fn due(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core.attached {
        let setting = Setting::silent(What::Digest);
        lane::submit(core, turn, user, lane::Task::Setting(setting));
    } else {
        again(core, turn, user);
    }
}

/// Later once more, while anything waits.
fn again(core: &mut Component, turn: &Turn, user: &Bare) {
    let known = core.state.stored(user);
    if known.is_some_and(|known| known.history().values().any(Audit::is_untold)) {
        let at = turn.now.mono + DIGEST_AGAIN;
        core.timers.set(at, Timer::Digest(user.clone()));
    }
}

/// The lines as told, and the words.
pub(super) fn plan(user: &Bare, known: &User, zone: Tz) -> (Vec<Change>, String) {
    let untold = known.history().iter().filter(|(_, line)| line.is_untold());
    let untold: Vec<_> = untold.collect();
    let Some(((since, _), first)) = untold.first() else {
        return (Vec::new(), String::new());
    };
    let mut lines = vec![format!(
        "What was done since {}:",
        ending::stamp(first.when(*since), zone)
    )];
    let n_before: u32 = untold.iter().map(|(_, line)| line.untold_before).sum();
    if n_before > 0 {
        lines.push(format!(
            "{n_before} of them are no longer kept; the others:"
        ));
    }
    let shown = untold.iter().filter(|(_, line)| line.untold);
    lines.extend(shown.map(|((at, _), line)| consent::history_line(*at, line, zone)));
    let told = |((at, id), line): &(&(super::clock::Wall, String), &Audit)| Change::Audit {
        user: user.clone(),
        at: *at,
        id: id.clone(),
        value: Some(Audit {
            untold: false,
            untold_before: 0,
            ..(*line).clone()
        }),
    };
    let changes = untold.iter().map(told).collect();
    (changes, words::lines(&lines, BODY_BYTES_MAX))
}

/// That it is told is written, and so it is told.
pub(super) fn digested(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    text: &str,
    result: Result<(), Refusal>,
) {
    if result.is_err() {
        return again(core, turn, user);
    }
    if !text.is_empty() {
        let id = turn.chance.id();
        let message = core.message(&user.clone().into(), "normal", &id, text);
        core.send(message.with(element("store", NS_HINTS, &[])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_must_be_told_is() {
        let choice = read("Notify, open-url and notify OFF").unwrap();
        assert_eq!(choice.len(), 2);
        assert!(choice.values().all(|tell| *tell == Tell::Off));
        assert_eq!(read("all digest").unwrap().len(), RIGHTS.len());
        for wrong in [
            "",
            "digest",
            "notify",
            "notify often",
            "fly digest",
            "digest notify",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("start-module off").unwrap_err(), AT_LEAST);
        assert_eq!(read("all off").unwrap_err(), AT_LEAST);
        assert!(
            read("leave-message off")
                .unwrap_err()
                .contains("always reaches you")
        );
    }
}
