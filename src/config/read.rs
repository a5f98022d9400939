//! Values with their places, from the file and the environment; what they mean is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Problem;

/// What an environment variable of ours begins with.
const PREFIX: &str = "VESTIBULE_";
/// Variables of tests are not ours to judge.
const TEST_PREFIX: &str = "VESTIBULE_TEST_";

/// A value as typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    List(Vec<String>),
    Other(&'static str),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) value: Value,
    pub(super) place: String,
    /// From the file rather than the environment.
    pub(super) in_file: bool,
}

/// One table of the file: its keys with their values.
pub(super) type Keys = BTreeMap<String, Placed>;

/// Everything that was typed.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Sections by name, each with the place of its head.
    pub(super) sections: BTreeMap<String, (String, Keys)>,
    /// `[[party]]` tables in order.
    pub(super) parties: Vec<(String, Keys)>,
    /// Overrides by variable.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl Source {
    pub(super) fn new(
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let environment = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX))
            .collect();
        let mut source = Self {
            path: path.to_owned(),
            sections: BTreeMap::new(),
            parties: Vec::new(),
            environment,
            problems: Vec::new(),
        };
        let place = |at: usize| {
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            format!("{}:{line}", path.display())
        };
        let file = match DeTable::parse(text) {
            Ok(file) => file,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                source.problem(place(at), error.message().to_owned());
                return source;
            }
        };
        for (name, value) in file.get_ref() {
            let here = place(name.span().start);
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("party", DeValue::Array(tables)) => {
                    for table in tables.iter() {
                        let here = place(table.span().start);
                        match table.get_ref() {
                            DeValue::Table(table) => {
                                source.parties.push((here, keys(table, &place)));
                            }
                            _ => source.problem(here, "a party is a table: [[party]]".into()),
                        }
                    }
                }
                (name, DeValue::Table(table)) => {
                    let keys = keys(table, &place);
                    source.sections.insert(name.to_owned(), (here, keys));
                }
                (name, _) => {
                    source.problem(
                        here,
                        format!("{name} stands in no section, such as [component]"),
                    );
                }
            }
        }
        source
    }

    pub(super) fn problem(&mut self, place: String, what: String) {
        self.problems.push(Problem { place, what });
    }

    /// The name of the variable that overrides a key.
    pub(super) fn variable(section: &str, key: &str) -> String {
        format!("{PREFIX}{section}_{key}")
            .to_uppercase()
            .replace('-', "_")
    }

    /// A key's value: the environment's, else the file's.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<Placed> {
        let variable = Self::variable(section, key);
        if let Some(text) = self.environment.get(&variable) {
            let value = Value::Text(text.clone());
            return Some(Placed {
                value,
                place: variable,
                in_file: false,
            });
        }
        self.sections
            .get(section)
            .and_then(|(_, keys)| keys.get(key))
            .cloned()
    }

    /// Where a missing key of a section is reported: its head, else the file.
    pub(super) fn place_of(&self, section: &str) -> String {
        let head = self.sections.get(section).map(|(place, _)| place.clone());
        head.unwrap_or_else(|| self.path.display().to_string())
    }
}

fn keys(table: &DeTable<'_>, place: &impl Fn(usize) -> String) -> Keys {
    table
        .iter()
        .map(|(name, value)| {
            let placed = Placed {
                value: read(value.get_ref()),
                place: place(name.span().start),
                in_file: true,
            };
            (name.get_ref().to_string(), placed)
        })
        .collect()
}

fn read(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(Value::Other("a number that is too large"), |number| {
                Value::Number(number as f64)
            })
        }
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Value::Other("a number"), Value::Number),
        DeValue::Boolean(_) => Value::Other("a boolean"),
        DeValue::Datetime(_) => Value::Other("a time"),
        DeValue::Table(_) => Value::Other("a table"),
        DeValue::Array(values) => {
            let texts: Option<Vec<_>> = values
                .iter()
                .map(|value| match value.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect();
            texts.map_or(
                Value::Other("a list of something else than texts"),
                Value::List,
            )
        }
    }
}
