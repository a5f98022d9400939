//! What is typed, and what is meant: the configuration file and its overrides by environment.
//!
//! Every problem is reported at once, each with its place and what was expected; a secret's value is
//! never among the words.

mod check;
mod read;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::component::Settings;
use crate::link;

pub use check::KEYS;

/// The configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// What the core needs.
    pub settings: Settings,
    /// Where and as whom to attach.
    pub link: link::Settings,
    /// The store's folder.
    pub store: PathBuf,
    /// Bytes that must be free on its disk, or it is read-only.
    pub min_free: u64,
    /// What is logged.
    pub level: Level,
    /// How.
    pub format: Format,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only what does not work.
    Error,
    /// Also what may not.
    Warn,
    /// Also what happens.
    Info,
    /// Also how.
    Debug,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file with its line, or an environment variable.
    pub place: String,
    /// What, and what was expected.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Config {
    /// Reads the file at `path`, overridden by those of `environment` (names and values) that are ours.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot be read: {error}");
            Problems(vec![Problem {
                place: path.display().to_string(),
                what,
            }])
        })?;
        let source = read::Source::new(path, &text, environment);
        check::check(source)
    }
}

#[cfg(test)]
mod tests;
