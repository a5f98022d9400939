//! The typed arguments of a module: what a value may be, and how that is told to others.
//!
//! Pure. A value that passes is one whole text without control characters; where it goes is the
//! template's matter ([`super::template`]).

use regex_lite::{Regex, RegexBuilder};
use xmpp_parsers::data_forms::{Field, FieldType, Option_};
use xmpp_parsers::data_forms_validate::{Datatype, Method, Validate};

use crate::web_address::is_unseen;

/// Characters of a value, whatever its type: what one field of a form carries (protocol.md §9.3).
pub const VALUE_CHARS_MAX: usize = 2_048;
/// Values of a choice: more is no list that a person chooses from.
pub const CHOICES_MAX: usize = 64;
/// Bytes of a compiled pattern: the count in `x{1000}{1000}` would take all memory.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// The fields of arguments begin with this.
pub(super) const PREFIX: &str = "arg-";

/// What a value may be.
#[derive(Clone, Debug)]
pub enum Type {
    /// One of these.
    Choice(Vec<String>),
    /// A whole number, both ends included, in decimal digits without leading zeros.
    Number(i64, i64),
    /// A text all of which the pattern matches.
    Pattern(Pattern),
    /// Any text of at most so many characters.
    Text(usize),
}

/// A regular expression, anchored at both ends.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(source: &str) -> Result<Self, String> {
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .map_err(|error| error.to_string())
        };
        // By itself first: `a)|(b` would close the group that anchors it.
        compile(source)?;
        Ok(Self {
            source: source.to_owned(),
            regex: compile(&format!(r"\A(?:{source})\z"))?,
        })
    }
}

/// One argument.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name, `[a-z0-9-]{1,64}`.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it may be.
    pub type_: Type,
    /// What it is when it is not given; without one it must be.
    pub default: Option<String>,
}

impl Argument {
    /// Checks a value.
    ///
    /// # Errors
    /// Why not, in words for the requester.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let name = &self.name;
        if value.chars().count() > VALUE_CHARS_MAX {
            return Err(format!("{name} is too long"));
        }
        // Also what shows nothing or turns the direction of writing: she is shown the value.
        if value.contains('\0') || value.chars().any(|c| c.is_control() || is_unseen(c)) {
            return Err(format!("{name} contains characters that cannot be seen"));
        }
        match &self.type_ {
            Type::Choice(all) if all.iter().any(|one| one == value) => Ok(()),
            Type::Choice(all) => Err(format!("{name} is not one of {}", all.join(", "))),
            Type::Number(min, max) => match value.parse::<i64>() {
                // Only the one way to write it, so that nobody further on reads `010` as eight.
                Ok(number) if number.to_string() == value && (*min..=*max).contains(&number) => {
                    Ok(())
                }
                _ => Err(format!("{name} is not a number from {min} to {max}")),
            },
            Type::Pattern(pattern) if pattern.regex.is_match(value) => Ok(()),
            Type::Pattern(_) => Err(format!("{name} does not have the form that it must have")),
            Type::Text(max) if value.chars().count() <= *max => Ok(()),
            Type::Text(max) => Err(format!("{name} is longer than {max} characters")),
        }
    }

    /// The field that describes it, which can stand in a form as it is (docs/design/0007-agent.md;
    /// XEP-0122 for ranges and patterns).
    pub(super) fn field(&self) -> Field {
        let kind = match self.type_ {
            Type::Choice(_) => FieldType::ListSingle,
            _ => FieldType::TextSingle,
        };
        let mut field = Field::new(&format!("{PREFIX}{}", self.name), kind);
        field.label = Some(self.label.clone());
        field.required = self.default.is_none();
        let text = |pattern: String| Validate {
            datatype: Some(Datatype::String),
            method: Some(Method::Regex(pattern)),
            list_range: None,
        };
        match &self.type_ {
            Type::Choice(all) => {
                let option = |value: &String| Option_ {
                    label: Some(value.clone()),
                    value: value.clone(),
                };
                field.options = all.iter().map(option).collect();
            }
            Type::Number(min, max) => {
                field.validate = Some(Validate {
                    datatype: Some(Datatype::Integer),
                    method: Some(Method::Range {
                        min: Some(min.to_string()),
                        max: Some(max.to_string()),
                    }),
                    list_range: None,
                });
            }
            Type::Pattern(pattern) => field.validate = Some(text(pattern.source.clone())),
            Type::Text(max) => {
                field.desc = Some(format!("At most {max} characters"));
                field.validate = Some(text(format!(".{{0,{max}}}")));
            }
        }
        field
    }
}

/// Whether a text is a name of modules and arguments: `[a-z0-9-]{1,64}`.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(type_: Type) -> Argument {
        Argument {
            name: "a".into(),
            label: "A".into(),
            type_,
            default: None,
        }
    }

    fn passes(type_: Type) -> impl Fn(&str) -> bool {
        let argument = argument(type_);
        move |value| argument.check(value).is_ok()
    }

    #[test]
    fn a_choice_is_one_of_its_values() {
        let passes = passes(Type::Choice(vec!["today".into(), "to morrow".into()]));
        assert!(passes("today") && passes("to morrow"));
        for bad in ["", "Today", "today ", "today\n", "today,to morrow"] {
            assert!(!passes(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_number_has_one_spelling_and_its_bounds() {
        let passes = passes(Type::Number(-3, 99));
        for good in ["-3", "0", "99"] {
            assert!(passes(good), "{good}");
        }
        for bad in [
            "",
            "-4",
            "100",
            "010",
            "+1",
            "-0",
            " 1",
            "1 ",
            "1e1",
            "0x1",
            "1.0",
            "٣",
            "1\n",
            "99999999999999999999",
        ] {
            assert!(!passes(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_is_anchored_whatever_it_says() {
        let passes_room = passes(Type::Pattern(Pattern::new("[A-Z][0-9]{2}").unwrap()));
        assert!(passes_room("A12"));
        for bad in ["A12\n", "xA12", "A123", "a12", ""] {
            assert!(!passes_room(bad), "{bad:?}");
        }
        let passes_either = passes(Type::Pattern(Pattern::new("a|b").unwrap()));
        assert!(passes_either("a") && passes_either("b"));
        assert!(!passes_either("ab") && !passes_either("ax"));
        let lines = passes(Type::Pattern(Pattern::new("(?m)^a$").unwrap()));
        assert!(!lines("a\nb"));
        for bad in ["a)|(b", "(", "[", "x{1000}{1000}{1000}"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_is_bounded_and_has_nothing_hidden() {
        let passes = passes(Type::Text(5));
        for good in ["", "abcde", "äöüßé", "-rf /", "$(a)", "';\"|"] {
            assert!(passes(good), "{good}");
        }
        for bad in [
            "abcdef",
            "a\nb",
            "a\0",
            "\u{1b}[2J",
            "a\u{202e}b",
            "a\u{7f}",
            "a\u{200b}",
        ] {
            assert!(!passes(bad), "{bad:?}");
        }
        assert!(
            argument(Type::Text(9_999))
                .check(&"x".repeat(2_049))
                .is_err()
        );
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "show-agenda-2", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "a_b", "a/b", "a.b", "ä", "a b", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
