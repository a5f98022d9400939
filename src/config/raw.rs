//! What was typed: the values of known keys, each with its place, the environment's before the file's.
//! Unknown keys and variables are found here; what values mean is `check`'s.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Source;
use super::key::{self, PARTY, PARTY_KEYS, PARTY_VARIABLES, PREFIX, SECTIONS};
use super::problem::{Place, Problem};
use super::value::{Value, shown};

/// A value that was typed.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// The key, `section.key`.
    pub(super) key: String,
    pub(super) value: Value,
}

/// One `[[party]]`.
#[derive(Clone, Debug)]
pub(super) struct RawParty {
    pub(super) place: Place,
    pub(super) keys: BTreeMap<String, Found>,
}

/// Everything that was typed.
#[derive(Debug)]
pub(super) struct Raw {
    /// By `section.key`.
    pub(super) keys: BTreeMap<String, Found>,
    pub(super) parties: Vec<RawParty>,
    /// What is no TOML; what was understood of the file around it may lack something.
    pub(super) faults: Vec<Problem>,
    /// Unknown names.
    pub(super) problems: Vec<Problem>,
}

impl Raw {
    /// Reads the file and the environment.
    pub(super) fn read(
        source: &Source,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let mut raw = Self {
            keys: BTreeMap::new(),
            parties: Vec::new(),
            faults: Vec::new(),
            problems: Vec::new(),
        };
        let reader = Reader(source);
        for error in errors {
            let place = match error.span() {
                Some(span) => reader.place(span.start),
                None => Place::File(source.path.clone()),
            };
            // Not the error's own display: it shows the line, and a secret may stand in it.
            raw.faults
                .push(Problem::new(&place, "not TOML", error.message()));
        }
        reader.sections(table.get_ref(), &mut raw);
        raw.override_by(environment, &source.path);
        raw
    }

    fn override_by(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: &Path,
    ) {
        let known: BTreeMap<String, String> = SECTIONS
            .iter()
            .flat_map(|section| section.keys.iter().map(|key| (section.name, *key)))
            .map(|(section, key)| (key::variable(section, key), format!("{section}.{key}")))
            .collect();
        // By party, or of none.
        let mut overriding: Vec<(Option<usize>, Found)> = Vec::new();
        for (name, text) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if name.starts_with(key::TEST_PREFIX) {
                continue;
            }
            let place = Place::Variable(name.to_owned());
            let Some(text) = text.to_str() else {
                self.problem(&place, "", "found bytes that are not UTF-8, expected text");
                continue;
            };
            let found = |key: &str| Found {
                place: place.clone(),
                key: key.to_owned(),
                value: Value::Variable(text.to_owned()),
            };
            if let Some(key) = known.get(name) {
                overriding.push((None, found(key)));
            } else if let Some((party, key)) = self.party_key(name) {
                overriding.push((Some(party), found(&format!("{PARTY}.{key}"))));
            } else {
                let what = self.unknown_variable(name, &known, file);
                self.problem(&place, "", &what);
            }
        }
        // Either way to give a secret overrides both.
        for (party, found) in &overriding {
            if let Some(twin) = key::twin(&found.key) {
                self.keys_of(*party).remove(&twin);
            }
        }
        for (party, found) in overriding {
            self.keys_of(party).insert(found.key.clone(), found);
        }
    }

    fn keys_of(&mut self, party: Option<usize>) -> &mut BTreeMap<String, Found> {
        match party {
            Some(index) => &mut self.parties[index].keys,
            None => &mut self.keys,
        }
    }

    /// The party and the key of it that a variable overrides.
    fn party_key(&self, variable: &str) -> Option<(usize, &'static str)> {
        self.parties.iter().enumerate().find_map(|(index, party)| {
            let name = party.keys.get("party.name")?.value.text()?;
            let section = format!("{PARTY}.{name}");
            let key = PARTY_VARIABLES
                .into_iter()
                .find(|key| key::variable(&section, key) == variable)?;
            Some((index, key))
        })
    }

    fn unknown_variable(
        &self,
        name: &str,
        known: &BTreeMap<String, String>,
        file: &Path,
    ) -> String {
        let of_section = |section: &str| name.starts_with(&key::variable(section, ""));
        if of_section(PARTY) {
            return format!(
                "unknown variable, expected VESTIBULE_PARTY_<NAME>_<KEY> with one of {} of a party that \
                 stands in {}",
                PARTY_VARIABLES
                    .map(|key| key.replace('-', "_").to_ascii_uppercase())
                    .join(", "),
                file.display()
            );
        }
        let mut candidates: Vec<&str> = SECTIONS
            .iter()
            .filter(|section| of_section(section.name))
            .flat_map(|section| {
                section
                    .keys
                    .iter()
                    .map(|key| key::variable(section.name, key))
            })
            .filter_map(|variable| known.get_key_value(&variable))
            .map(|(variable, _)| variable.as_str())
            .collect();
        if candidates.is_empty() {
            candidates.push("VESTIBULE_<SECTION>_<KEY>");
        }
        format!(
            "unknown variable, expected one of {}",
            candidates.join(", ")
        )
    }

    fn problem(&mut self, place: &Place, key: &str, what: &str) {
        self.problems.push(Problem::new(place, key, what));
    }
}

/// Reads the tables of one file.
struct Reader<'a>(&'a Source);

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        self.0.place(offset)
    }

    fn sections(&self, table: &DeTable<'_>, raw: &mut Raw) {
        let names = || SECTIONS.iter().map(|section| section.name).chain([PARTY]);
        for (name, value) in table {
            let place = self.place(name.span().start);
            let name = name.get_ref().as_ref();
            if name == PARTY {
                self.parties(&place, value.get_ref(), raw);
            } else if let Some(section) = SECTIONS.iter().find(|section| section.name == name) {
                match value.get_ref() {
                    DeValue::Table(keys) => self.keys(keys, name, section.keys, raw),
                    other => {
                        let what =
                            format!("found {}, expected a section [{name}]", Value::from(other));
                        raw.problem(&place, name, &what);
                    }
                }
            } else {
                let expected: Vec<_> = names().collect();
                let what = format!("unknown section, expected one of {}", expected.join(", "));
                raw.problem(&place, &printable(name), &what);
            }
        }
    }

    fn parties(&self, place: &Place, value: &DeValue<'_>, raw: &mut Raw) {
        let DeValue::Array(parties) = value else {
            let what = format!("found {}, expected [[party]]", Value::from(value));
            return raw.problem(place, PARTY, &what);
        };
        for party in parties.iter() {
            let place = self.place(party.span().start);
            let DeValue::Table(keys) = party.get_ref() else {
                let what = format!("found {}, expected [[party]]", Value::from(party.get_ref()));
                raw.problem(&place, PARTY, &what);
                continue;
            };
            // Read as a section of its own, then set apart.
            let others = std::mem::take(&mut raw.keys);
            self.keys(keys, PARTY, &PARTY_KEYS, raw);
            let keys = std::mem::replace(&mut raw.keys, others);
            raw.parties.push(RawParty { place, keys });
        }
    }

    fn keys(&self, table: &DeTable<'_>, section: &str, known: &[&str], raw: &mut Raw) {
        for (name, value) in table {
            let place = self.place(name.span().start);
            let name: &str = name.get_ref();
            let key = format!("{section}.{}", printable(name));
            if known.contains(&name) {
                let value = Value::from(Spanned::get_ref(value));
                raw.keys.insert(key.clone(), Found { place, key, value });
            } else {
                let what = format!("unknown key, expected one of {}", known.join(", "));
                raw.problem(&place, &key, &what);
            }
        }
    }
}

/// A key as it stands in the file, unless it is one that needs quotes.
fn printable(name: &str) -> String {
    let is_bare = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare && !name.is_empty() {
        name.to_owned()
    } else {
        shown(name)
    }
}

impl Source {
    /// The line of an offset in the text.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        Place::Line(self.path.clone(), line)
    }
}
