//! Reading one table of the file: each key once, of its type, with its line where it is wrong.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// The text, and what is wrong in it so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) problems: Vec<Problem>,
}

/// One table with its place in the file.
#[derive(Clone)]
pub(super) struct Table<'a> {
    /// As it is written in brackets; empty for the top of the file.
    pub(super) path: String,
    /// `None` where the file has no such table: every key is missing.
    pub(super) table: Option<&'a DeTable<'a>>,
    /// Where it begins.
    pub(super) line: Option<usize>,
}

impl<'a> Table<'a> {
    pub(super) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let problems = Vec::new();
        Self { text, problems }
    }

    pub(super) fn problem(
        &mut self,
        table: &Table<'_>,
        key: &str,
        line: Option<usize>,
        text: impl Into<String>,
    ) {
        let key = match (table.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        let text = text.into();
        self.problems.push(Problem { line, key, text });
    }

    /// A problem of a key that is there, or else of its table.
    pub(super) fn wrong(&mut self, table: &Table<'a>, key: &str, text: impl Into<String>) {
        let line = table.value(key).map(|value| self.line(value));
        self.problem(table, key, line.or(table.line), text);
    }

    pub(super) fn line<T>(&self, value: &Spanned<T>) -> usize {
        line_at(self.text, value.span().start)
    }

    /// Refuses keys that are not among these.
    pub(super) fn only(&mut self, table: &Table<'a>, keys: &[&str]) {
        for (name, _) in table.table.into_iter().flatten() {
            if keys.contains(&&**name.get_ref()) {
                continue;
            }
            let line = Some(self.line(name));
            let text = if table.path.is_empty() {
                "not a key of this file"
            } else {
                "not a key of this section"
            };
            self.problem(table, name.get_ref(), line, text);
        }
    }

    /// A table below another; one that is missing is empty.
    pub(super) fn table(&mut self, above: &Table<'a>, key: &str) -> Table<'a> {
        let path = match above.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let value = above.value(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        let line = value.map(|value| self.line(value));
        if value.is_some() && table.is_none() {
            self.problem(above, key, line, format!("expected a section [{path}]"));
        }
        Table { path, table, line }
    }

    /// The tables in a table, with their names, in the order of the file.
    pub(super) fn tables(&mut self, above: &Table<'a>) -> Vec<(String, Table<'a>)> {
        let names = above.table.into_iter().flatten();
        let mut names: Vec<_> = names
            .map(|(name, _)| (name.span().start, name.get_ref()))
            .collect();
        names.sort_unstable();
        let mut found = Vec::new();
        for (start, name) in names {
            let mut table = self.table(above, name);
            if table.table.is_some() {
                table.line = Some(line_at(self.text, start));
                found.push((name.to_string(), table));
            }
        }
        found
    }

    /// The tables `[[key]]`.
    pub(super) fn list_of_tables(
        &mut self,
        above: &Table<'a>,
        key: &str,
        max: usize,
    ) -> Vec<Table<'a>> {
        let Some(value) = above.value(key) else {
            return Vec::new();
        };
        let expected = format!("expected [[{key}]], at most {max} times");
        let Some(array) = value
            .get_ref()
            .as_array()
            .filter(|array| array.len() <= max)
        else {
            self.wrong(above, key, expected);
            return Vec::new();
        };
        let mut found = Vec::new();
        for element in array {
            match element.get_ref().as_table() {
                Some(table) => found.push(Table {
                    path: key.to_owned(),
                    table: Some(table),
                    line: Some(self.line(element)),
                }),
                None => self.wrong(above, key, expected.clone()),
            }
        }
        found
    }

    /// A text that is read by `parse`; `default` stands for one that is missing.
    pub(super) fn read<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        default: Option<&str>,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = table.value(key) else {
            let found = default.and_then(parse);
            if found.is_none() {
                self.problem(
                    table,
                    key,
                    table.line,
                    format!("missing; expected {expected}"),
                );
            }
            return found;
        };
        let found = value.get_ref().as_str().and_then(parse);
        if found.is_none() {
            self.wrong(table, key, format!("expected {expected}"));
        }
        found
    }

    /// One of some words.
    pub(super) fn word(
        &mut self,
        table: &Table<'a>,
        key: &str,
        default: Option<&str>,
        words: &[&str],
    ) -> Option<String> {
        let expected = format!("one of {}", words.join(", "));
        self.read(table, key, default, &expected, |text| {
            words.contains(&text).then(|| text.to_owned())
        })
    }

    pub(super) fn boolean(&mut self, table: &Table<'a>, key: &str, default: bool) -> bool {
        let Some(value) = table.value(key) else {
            return default;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(table, key, "expected true or false");
            default
        })
    }

    /// A whole number within bounds; `None` where it is missing or wrong.
    pub(super) fn number(
        &mut self,
        table: &Table<'a>,
        key: &str,
        min: i64,
        max: i64,
    ) -> Option<i64> {
        let value = table.value(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.wrong(
                table,
                key,
                format!("expected a whole number from {min} to {max}"),
            );
        }
        number
    }

    /// A list of texts; `None` where it is missing or wrong.
    pub(super) fn list(&mut self, table: &Table<'a>, key: &str) -> Option<Vec<String>> {
        let value = table.value(key)?;
        let texts = value.get_ref().as_array().and_then(|array| {
            let texts = array
                .iter()
                .map(|element| element.get_ref().as_str().map(ToOwned::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            self.wrong(
                table,
                key,
                "expected a list of texts, as [\"one\", \"two\"]",
            );
        }
        texts
    }

    /// A list each text of which is read by `parse`; empty where it is missing. An empty one is refused:
    /// it looks as if it were for nobody, and a rule without the key is for everybody.
    pub(super) fn list_of<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(texts) = self.list(table, key) else {
            return Vec::new();
        };
        let found: Vec<T> = texts.iter().filter_map(|text| parse(text)).collect();
        if found.len() != texts.len() || found.is_empty() {
            self.wrong(table, key, format!("expected a list of {expected}"));
        }
        found
    }

    /// A table of texts.
    pub(super) fn texts(&mut self, table: &Table<'a>, key: &str) -> BTreeMap<String, String> {
        let inner = self.table(table, key);
        let mut found = BTreeMap::new();
        for (name, value) in inner.table.into_iter().flatten() {
            let name = name.get_ref().to_string();
            match value.get_ref().as_str() {
                Some(text) => {
                    found.insert(name, text.to_owned());
                }
                None => self.wrong(&inner, &name, "expected a text"),
            }
        }
        found
    }
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}
