//! What is wrong with a configuration, each with its place.

use std::fmt;
use std::path::PathBuf;

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In the configuration file, in this line, counted from 1.
    Line(PathBuf, usize),
    /// Nowhere in the configuration file.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment: {name}"),
        }
    }
}

/// One thing that is wrong: a line with its place, the key, what was found (of a secret only its
/// type) and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Option<Place>,
    text: String,
    is_missing: bool,
}

impl Problem {
    pub(super) fn new(place: &Place, key: &str, what: impl fmt::Display) -> Self {
        Self {
            text: match place {
                // The variable says which key is meant.
                Place::Variable(_) => format!("{place}: {what}"),
                Place::Line(..) | Place::File(_) => format!("{place}: {key}: {what}"),
            },
            place: Some(place.clone()),
            is_missing: false,
        }
    }

    /// The file as a whole.
    pub(super) fn of_file(text: String) -> Self {
        Self {
            place: None,
            text,
            is_missing: false,
        }
    }

    /// A key that must be there and is not.
    pub(super) fn missing(place: &Place, key: &str, expected: &str) -> Self {
        Self {
            is_missing: true,
            ..Self::new(place, key, format_args!("missing, expected {expected}"))
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// The line of the file it is about.
    pub(super) fn line(&self) -> Option<usize> {
        match &self.place {
            Some(Place::Line(_, line)) => Some(*line),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Everything that is wrong: by line, then what is missing, then the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
