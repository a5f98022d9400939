//! What she asks for her status to be, laid over what it is; and both in her own words.
//!
//! Text and state are set alone or together. What a wish does not name stays as it is, with its end.

use chrono_tz::Tz;

use super::clock::Wall;
use super::limits::STATUS_CHARS_MAX;
use super::record::{Chosen, Scope, ShownState, Status, Text};
use super::reply::Refusal;
use super::{Component, Turn, ending, face};
use crate::address::Bare;

/// What is to be set. Absent: as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// A text; empty: none.
    pub(super) text: Option<String>,
    /// An emoji, or none. Absent beside a text: none.
    pub(super) emoji: Option<Option<String>>,
    /// A state; `Some(None)`: what her clients say.
    pub(super) state: Option<Option<ShownState>>,
    /// When the text is shown.
    pub(super) scope: Scope,
    /// When what is set ends.
    pub(super) until: Option<Wall>,
    /// Whether what was there before comes back then.
    pub(super) restore: bool,
    /// Her time zone, where she names it along with the rest.
    pub(super) zone: Option<Tz>,
    /// Whether it comes from a form that was filled in from what is there: what she has left as it was
    /// keeps its end.
    pub(super) from_form: bool,
}

impl Wish {
    /// A text, as a person writes it: with the emoji before it, if any.
    pub(super) fn of_text(text: &str) -> Self {
        let (emoji, text) = super::text::split_emoji(text);
        Self {
            text: Some(text.to_owned()),
            emoji: Some(emoji),
            ..Self::default()
        }
    }

    /// What the status becomes, and how that is told her.
    pub(super) fn applied(
        &self,
        standing: &Status,
        now: Wall,
        zone: Tz,
    ) -> Result<(Status, String), Refusal> {
        let wrong = |text: String| Err(Refusal::BadPayload(text));
        let long = |text: &String| text.chars().count() > STATUS_CHARS_MAX;
        if self.text.as_ref().is_some_and(long) {
            return wrong(format!(
                "A status has at most {STATUS_CHARS_MAX} characters."
            ));
        }
        if self.restore && self.until.is_none() {
            return wrong("Only a status with an end can give way to the one before.".into());
        }
        let mut status = standing.clone();
        let is_left = self.from_form && seconds(self.until) == seconds(offered_end(standing, now));
        self.lay_text(&mut status, now, is_left);
        self.lay_state(&mut status, now, is_left);
        let names_text = self.text.is_some() || self.emoji.is_some();
        let told = told(&status, now, zone, names_text, self.state.is_some());
        Ok((status, told))
    }

    fn lay_text(&self, status: &mut Status, now: Wall, is_left: bool) {
        let before = status.text(now).cloned();
        let (text, emoji) = match (&self.text, &self.emoji) {
            (None, None) => return,
            (Some(text), emoji) => (text.clone(), emoji.clone().flatten()),
            (None, Some(emoji)) => {
                let text = before.as_ref().map(|before| before.text.clone());
                (text.unwrap_or_default(), emoji.clone())
            }
        };
        if text.is_empty() && emoji.is_none() {
            return status.texts.clear();
        }
        let text = Text {
            text,
            emoji,
            scope: self.scope,
            set: now,
            until: self.until,
            author: None,
            unsigned: false,
        };
        let is_same = |before: &Text| {
            (&before.text, &before.emoji, before.scope) == (&text.text, &text.emoji, text.scope)
        };
        // A text of another's that she leaves as it was stays the other's.
        if !(is_left && before.is_some_and(|before| is_same(&before))) {
            status.put_text(text, self.restore);
        }
    }

    fn lay_state(&self, status: &mut Status, now: Wall, is_left: bool) {
        match self.state {
            None => {}
            Some(None) => status.states.clear(),
            Some(Some(state)) => {
                let is_same = status
                    .state(now)
                    .is_some_and(|before| before.state == state);
                if !(is_left && is_same) {
                    let (set, until) = (now, self.until);
                    status.put_state(Chosen { state, set, until }, self.restore);
                }
            }
        }
    }
}

/// The end that a form offers: that of the text, else of the state.
pub(super) fn offered_end(status: &Status, now: Wall) -> Option<Wall> {
    match status.text(now) {
        Some(text) => text.until,
        None => status.state(now).and_then(|chosen| chosen.until),
    }
}

/// As precisely as a form has it.
fn seconds(end: Option<Wall>) -> Option<i64> {
    end.map(|end| end.0.div_euclid(1000))
}

/// What has been set, and what stands beside it.
fn told(status: &Status, now: Wall, zone: Tz, names_text: bool, names_state: bool) -> String {
    let mut sentences = Vec::new();
    if names_state {
        sentences.push(state_sentence(status, now, zone));
    }
    if names_text {
        sentences.push(text_sentence("Your status is now", status, now, zone));
    }
    if !names_state && status.state(now).is_some() {
        sentences.push(state_sentence(status, now, zone));
    }
    if !names_text && status.text(now).is_some() {
        sentences.push(text_sentence("Your text is", status, now, zone));
    }
    sentences.join(" ")
}

pub(super) fn text_sentence(lead: &str, status: &Status, now: Wall, zone: Tz) -> String {
    let Some(text) = status.text(now) else {
        return "Your status text is cleared.".to_owned();
    };
    let mut sentence = match face::words(text.into()) {
        Some(line) => format!("{lead} “{line}”"),
        None => format!("{lead} empty"),
    };
    if text.scope == Scope::Offline {
        sentence.push_str(" while you are offline");
    }
    if let Some(author) = &text.author {
        sentence.push_str(&format!(", set by {},", author.shown()));
    }
    if let Some(end) = text.until {
        let line = status
            .next_text(now)
            .and_then(|text| face::words(text.into()));
        let after = match line {
            Some(line) => format!("“{}” again", face::cut(&line, AGAIN_CHARS_MAX)),
            None => "none".to_owned(),
        };
        let end = ending::shown(end, now, zone);
        sentence.push_str(&format!(" until {end}, then {after}"));
    }
    while sentence.ends_with(',') {
        sentence.pop();
    }
    sentence.push('.');
    if text.author.is_some() {
        sentence.push_str(" “undo” takes it back.");
    }
    sentence
}

fn state_sentence(status: &Status, now: Wall, zone: Tz) -> String {
    let Some(chosen) = status.state(now) else {
        return "You are shown as your clients say.".to_owned();
    };
    let mut sentence = match chosen.state {
        ShownState::Invisible => "You are invisible: others see you offline".to_owned(),
        state => format!("You are shown as {}", face::state_word(state)),
    };
    if let Some(end) = chosen.until {
        let after = match status.next_state(now) {
            Some(next) => format!("{} again", face::state_word(next.state)),
            None => "as your clients say".to_owned(),
        };
        let end = ending::shown(end, now, zone);
        sentence.push_str(&format!(" until {end}, then {after}"));
    }
    sentence.push('.');
    sentence
}

/// Her status as it stands, for the person.
pub(super) fn standing(core: &Component, turn: &Turn, user: &Bare) -> Option<String> {
    let known = core.state.user(user)?;
    let (now, zone) = (turn.now.wall, core.zone(user));
    let face = face::Face::of(known, turn.now);
    let mut sentences = vec![match &face.text {
        Some(text) => format!("You are shown as {} with “{text}”.", face.show()),
        None => format!("You are shown as {} without a text.", face.show()),
    }];
    if let Some(status) = &known.status() {
        if is_worth_telling(status, now) {
            sentences.push(text_sentence("Your text is", status, now, zone));
        }
        if status.state(now).is_some() {
            sentences.push(state_sentence(status, now, zone));
        }
    }
    Some(sentences.join(" "))
}

/// Whether there is more to say of her text than what is shown.
fn is_worth_telling(status: &Status, now: Wall) -> bool {
    status.text(now).is_some_and(|text| {
        text.until.is_some() || text.author.is_some() || text.scope == Scope::Offline
    })
}

/// Characters of a text that is only mentioned.
const AGAIN_CHARS_MAX: usize = 80;

impl Component {
    /// Her time zone.
    pub(super) fn zone(&self, user: &Bare) -> Tz {
        let known = self.state.user(user);
        let name = known.and_then(|known| known.settings()?.timezone());
        ending::zone_of(name, self.settings.timezone)
    }
}
