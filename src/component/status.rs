//! The record of a custom status: a text and a state, each with its own end, each over earlier ones that
//! come back when it ends.
//!
//! Text and state are two things: a new text never shows her who chose to be invisible. What is in
//! force follows from the clock alone, so an end holds to the moment whatever is written when; the record
//! of what has ended is only tidied up afterwards.

use serde::{Deserialize, Serialize};

use super::clock::Wall;
use super::limits::{EARLIER_BYTES_MAX, EARLIER_MAX};
use crate::address::Bare;

/// When a text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Whether or not she is online.
    #[default]
    Always,
    /// Only while no resource of hers is online.
    Offline,
}

/// The state she chose to show, in place of what her clients say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShownState {
    /// Available without `<show/>`.
    Online,
    /// Free for chat.
    Chat,
    /// Away.
    Away,
    /// Extended away.
    Xa,
    /// Do not disturb.
    Dnd,
    /// Watchers see her offline.
    Invisible,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// At most [`super::limits::STATUS_CHARS_MAX`] characters; empty: only the emoji.
    pub text: String,
    /// One emoji, shown before the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// When it is shown.
    pub scope: Scope,
    /// When it was set.
    pub set: Wall,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Option<Wall>,
    /// Who set it; absent: the user herself.
    #[serde(default)]
    pub author: Option<Bare>,
    /// Whether it is shown without its author.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
}

/// A state that she chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Which.
    pub state: ShownState,
    /// When she chose it.
    pub set: Wall,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Option<Wall>,
}

/// A custom status: stays after she logs out. The first of each list that has not ended is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct Status {
    /// The latest text, then those that come back when it ends.
    pub texts: Vec<Text>,
    /// The latest state, then those that come back when it ends.
    pub states: Vec<Chosen>,
}

/// What has an end.
trait Ending {
    fn until(&self) -> Option<Wall>;

    fn bytes(&self) -> usize;

    fn has_ended(&self, now: Wall) -> bool {
        self.until().is_some_and(|until| until <= now)
    }
}

impl Ending for Text {
    fn until(&self) -> Option<Wall> {
        self.until
    }

    fn bytes(&self) -> usize {
        let of = |part: Option<&str>| part.map_or(0, str::len);
        self.text.len() + of(self.emoji.as_deref()) + of(self.author.as_ref().map(Bare::as_str))
    }
}

impl Ending for Chosen {
    fn until(&self) -> Option<Wall> {
        self.until
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Puts one on top. What it covers comes back after it where `restore` says so and it lasts longer.
fn put<T: Ending>(layers: &mut Vec<T>, top: T, restore: bool) {
    match top.until() {
        Some(end) if restore => layers.retain(|earlier| !earlier.has_ended(end)),
        _ => layers.clear(),
    }
    let bytes = |layers: &[T]| layers.iter().map(Ending::bytes).sum::<usize>();
    while layers.len() > EARLIER_MAX || bytes(layers) > EARLIER_BYTES_MAX {
        layers.remove(layers.len().saturating_sub(2)); // The one that lasts longest stays.
    }
    layers.insert(0, top);
}

impl Status {
    /// A text of hers that always stands and has no end.
    #[must_use]
    pub fn of_text(text: impl Into<String>, set: Wall) -> Self {
        let text = Text {
            text: text.into(),
            emoji: None,
            scope: Scope::Always,
            set,
            until: None,
            author: None,
            unsigned: false,
        };
        Self {
            texts: vec![text],
            states: Vec::new(),
        }
    }

    /// The text in force.
    #[must_use]
    pub fn text(&self, now: Wall) -> Option<&Text> {
        self.texts.iter().find(|text| !text.has_ended(now))
    }

    /// The state in force.
    #[must_use]
    pub fn state(&self, now: Wall) -> Option<&Chosen> {
        self.states.iter().find(|chosen| !chosen.has_ended(now))
    }

    /// What comes back when the text in force ends.
    pub(super) fn next_text(&self, now: Wall) -> Option<&Text> {
        let end = self.text(now)?.until?;
        self.text(end)
    }

    /// What comes back when the state in force ends.
    pub(super) fn next_state(&self, now: Wall) -> Option<&Chosen> {
        let end = self.state(now)?.until?;
        self.state(end)
    }

    /// Sets a text over what is there.
    pub(super) fn put_text(&mut self, text: Text, restore: bool) {
        put(&mut self.texts, text, restore);
    }

    /// Sets a text of somebody else's over what is there. It takes the place of the one that its author has
    /// set before, and hers come back when it ends, or is taken back.
    pub(super) fn put_text_of_another(&mut self, text: Text, now: Wall) {
        let texts = &mut self.texts;
        texts.retain(|earlier| !earlier.has_ended(now) && earlier.author != text.author);
        let bytes = |texts: &[Text]| texts.iter().map(Ending::bytes).sum::<usize>();
        while texts.len() > EARLIER_MAX || bytes(texts) > EARLIER_BYTES_MAX {
            // Hers stay: of what others have set the oldest gives way.
            let others = texts.iter().rposition(|text| text.author.is_some());
            texts.remove(others.unwrap_or_else(|| texts.len().saturating_sub(2)));
        }
        texts.insert(0, text);
    }

    /// Takes away the texts whose author is one of those; whether there were any.
    pub(super) fn take_back(&mut self, is_theirs: impl Fn(&Bare) -> bool) -> bool {
        let before = self.texts.len();
        self.texts
            .retain(|text| !text.author.as_ref().is_some_and(&is_theirs));
        self.texts.len() < before
    }

    /// Sets a state over what is there.
    pub(super) fn put_state(&mut self, chosen: Chosen, restore: bool) {
        put(&mut self.states, chosen, restore);
    }

    /// The same without what has ended.
    pub(super) fn tidied(&self, now: Wall) -> Self {
        let mut left = self.clone();
        left.texts.retain(|text| !text.has_ended(now));
        left.states.retain(|chosen| !chosen.has_ended(now));
        left
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.states.is_empty()
    }

    /// The times at which something in it ends.
    pub(super) fn ends(&self) -> impl Iterator<Item = Wall> {
        let texts = self.texts.iter().filter_map(Ending::until);
        texts.chain(self.states.iter().filter_map(Ending::until))
    }
}

/// How a status is stored. The fields above `emoji` are those of the first version, whose one state ends
/// with its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flat {
    text: String,
    #[serde(default)]
    state: Option<ShownState>,
    scope: Scope,
    set: Wall,
    #[serde(default)]
    until: Option<Wall>,
    #[serde(default)]
    author: Option<Bare>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unsigned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emoji: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Text>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    states: Vec<Chosen>,
}

impl From<Flat> for Status {
    fn from(flat: Flat) -> Self {
        let (set, until) = (flat.set, flat.until);
        let first = flat.state.map(|state| Chosen { state, set, until });
        let text = Text {
            text: flat.text,
            emoji: flat.emoji,
            scope: flat.scope,
            set,
            until,
            author: flat.author,
            unsigned: flat.unsigned,
        };
        let has_text = !text.text.is_empty() || text.emoji.is_some();
        Self {
            texts: has_text
                .then_some(text)
                .into_iter()
                .chain(flat.earlier)
                .collect(),
            states: first.into_iter().chain(flat.states).collect(),
        }
    }
}

impl From<Status> for Flat {
    fn from(status: Status) -> Self {
        let mut texts = status.texts.into_iter();
        let text = texts.next().unwrap_or_else(|| Text {
            text: String::new(),
            emoji: None,
            scope: Scope::Always,
            set: status.states.first().map_or(Wall(0), |chosen| chosen.set),
            until: status.states.first().and_then(|chosen| chosen.until),
            author: None,
            unsigned: false,
        });
        let fits = |chosen: &Chosen| chosen.set == text.set && chosen.until == text.until;
        let (state, states) = match status.states.split_first() {
            Some((first, rest)) if fits(first) => (Some(first.state), rest.to_vec()),
            _ => (None, status.states),
        };
        Self {
            text: text.text,
            state,
            scope: text.scope,
            set: text.set,
            until: text.until,
            author: text.author,
            unsigned: text.unsigned,
            emoji: text.emoji,
            earlier: texts.collect(),
            states,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, until: Option<i64>) -> Text {
        Text {
            until: until.map(Wall),
            ..Status::of_text(name, Wall(0)).texts.remove(0)
        }
    }

    fn in_force(status: &Status, at: i64) -> &str {
        status.text(Wall(at)).map_or("", |text| &text.text)
    }

    #[test]
    fn the_one_before_comes_back_unless_it_has_ended_meanwhile() {
        let mut status = Status::default();
        status.put_text(text("always", None), false);
        status.put_text(text("long", Some(100)), true);
        status.put_text(text("short", Some(50)), true);
        let seen: Vec<_> = [0, 49, 50, 99, 100, 1000]
            .map(|at| in_force(&status, at))
            .into();
        assert_eq!(seen, ["short", "short", "long", "long", "always", "always"]);
        status.put_text(text("longest", Some(200)), true);
        let seen: Vec<_> = [0, 199, 200].map(|at| in_force(&status, at)).into();
        assert_eq!(seen, ["longest", "longest", "always"]);
        assert_eq!(status.texts.len(), 2, "what cannot come back is not kept");
    }

    #[test]
    fn a_later_word_wins_over_what_would_come_back() {
        let mut status = Status::default();
        status.put_text(text("always", None), false);
        status.put_text(text("short", Some(50)), true);
        status.put_text(text("last word", Some(60)), false);
        assert_eq!(
            (in_force(&status, 59), in_force(&status, 60)),
            ("last word", "")
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut status = Status::default();
        let long = "€".repeat(1024);
        status.put_text(text("always", None), false);
        for end in (1..100).rev() {
            status.put_text(text(&long, Some(end)), true);
        }
        assert!(status.texts.len() <= 1 + EARLIER_MAX);
        assert!(serde_json::to_vec(&status).unwrap().len() < 16 * 1024 - 1);
        assert_eq!(status.texts[0].until, Some(Wall(1)), "the latest stays");
        assert_eq!(in_force(&status, 1000), "always", "the usual one stays");
    }

    #[test]
    fn what_others_set_lies_over_hers_and_never_replaces_it() {
        let of = |name: &str, who: &str, until| Text {
            author: Some(Bare::parse(who).unwrap()),
            ..text(name, until)
        };
        let mut status = Status::default();
        status.put_text(text("hers until 5", Some(5)), false);
        status.put_text_of_another(of("bob's", "bob@b", None), Wall(0));
        assert_eq!(in_force(&status, 0), "bob's");
        for n in 0..10 {
            let who = format!("w{n}@b");
            let long = "€".repeat(512);
            status.put_text_of_another(of(&long, &who, Some(9)), Wall(0));
            assert!(status.texts.len() <= 1 + EARLIER_MAX);
            assert!(serde_json::to_vec(&status).unwrap().len() < 16 * 1024 - 1);
            assert!(status.texts.iter().any(|text| text.author.is_none()));
        }
        // His next one takes the place of his last.
        status.put_text_of_another(of("bob's next", "bob@b", None), Wall(0));
        status.put_text_of_another(of("bob's last", "bob@b", None), Wall(0));
        let bob = Bare::parse("bob@b").unwrap();
        let of_bob = |status: &Status| {
            let by_bob = |text: &&Text| text.author.as_ref() == Some(&bob);
            status.texts.iter().filter(by_bob).count()
        };
        assert_eq!(of_bob(&status), 1);
        assert!(status.take_back(|author| *author == bob));
        assert!(!status.take_back(|author| *author == bob));
        assert!(status.take_back(|author| author.domain() == "b"));
        assert_eq!(
            (in_force(&status, 4), in_force(&status, 5)),
            ("hers until 5", "")
        );
    }

    #[test]
    fn every_shape_reads_back() {
        let chosen = |set, until| Chosen {
            state: ShownState::Dnd,
            set: Wall(set),
            until,
        };
        let states = [
            vec![],
            vec![chosen(0, None)],
            vec![chosen(0, Some(Wall(9))), chosen(3, None)],
            vec![chosen(5, None)],
        ];
        let texts = [
            vec![],
            vec![text("a", None)],
            vec![text("a", Some(9)), text("b", Some(20)), text("c", None)],
        ];
        for states in &states {
            for texts in &texts {
                let status = Status {
                    texts: texts.clone(),
                    states: states.clone(),
                };
                let stored = serde_json::to_string(&status).unwrap();
                assert_eq!(
                    serde_json::from_str::<Status>(&stored).unwrap(),
                    status,
                    "{stored}"
                );
            }
        }
    }

    #[test]
    fn a_record_of_the_first_version_ends_as_a_whole() {
        let stored =
            r#"{"text":"a","state":"dnd","scope":"always","set":1,"until":9,"author":null}"#;
        let status: Status = serde_json::from_str(stored).unwrap();
        assert_eq!(status.state(Wall(8)).unwrap().state, ShownState::Dnd);
        assert!(status.state(Wall(9)).is_none() && status.text(Wall(9)).is_none());
        assert_eq!(serde_json::to_string(&status).unwrap(), stored);
    }
}
