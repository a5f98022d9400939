//! The user's own file: read, checked as a whole, every problem named with its line.
//!
//! Every key stands in `config/vestibule-agent.toml`, which a test holds against this file.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use jid::{BareJid, ResourcePart};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::opener::{Opener, PLACE};
use super::policy::Policy;
use super::secret::{is_private, secret};
use crate::address::Bare;

/// Every key, by section; the first section is the top of the file.
const KEYS: [(&str, &[&str]); 4] = [
    (
        "",
        &[
            "jid",
            "password",
            "password-file",
            "resource",
            "component",
            "server",
        ],
    ),
    ("open-url", &["policy", "opener"]),
    ("ask", &["from"]),
    ("log", &["level"]),
];

/// Levels of the log, most quiet first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Where the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskFrom {
    /// On the terminal from which the agent was started.
    Terminal,
    /// On standard input and output.
    Stdin,
}

/// A password; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(super) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What the file says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The account.
    pub jid: BareJid,
    /// Its password.
    pub password: Password,
    /// The resource to ask for.
    pub resource: String,
    /// The component's domain.
    pub component: Bare,
    /// A server on this machine, without encryption; else the domain's own server is found by DNS.
    pub server: Option<SocketAddr>,
    /// Whether `open-url` is run.
    pub open_url: Policy,
    /// What opens a page.
    pub opener: Opener,
    /// Where to ask.
    pub ask: AskFrom,
    /// The level of the log.
    pub level: String,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1 on; `None` for what is missing or the file as a whole.
    pub line: Option<usize>,
    /// The key with its section, or nothing.
    pub key: String,
    /// What was expected.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file where it has one.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let whole = |text| {
            let key = String::new();
            vec![Problem {
                line: None,
                key,
                text,
            }]
        };
        let text =
            fs::read_to_string(path).map_err(|error| whole(format!("cannot read it: {error}")))?;
        let private =
            is_private(path).map_err(|error| whole(format!("cannot read it: {error}")))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, private, &|file| secret(&folder.join(file)))
    }

    /// Reads the text of a file that is `private` to its owner or not; `secret` reads a password file.
    fn parse(
        text: &str,
        private: bool,
        secret: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, Vec<Problem>> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            let key = String::new();
            vec![Problem {
                line,
                key,
                text: error.message().to_owned(),
            }]
        })?;
        let mut reader = Reader {
            text,
            table: table.get_ref(),
            problems: Vec::new(),
        };
        reader.refuse_unknown();
        let config = reader.config(private, secret);
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }
}

struct Reader<'a> {
    text: &'a str,
    table: &'a DeTable<'a>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn config(
        &mut self,
        private: bool,
        secret: &dyn Fn(&str) -> Result<String, String>,
    ) -> Option<Config> {
        // All are read before the first missing one ends it, so that every problem is found.
        let jid = self.read("", "jid", None, "an address as alice@example.org", |text| {
            BareJid::new(text).ok().filter(|jid| jid.node().is_some())
        });
        let component = self.read(
            "",
            "component",
            None,
            "a domain as presence.example.org",
            |text| Bare::parse(text).ok().filter(|bare| bare.local().is_none()),
        );
        let resource = self.read(
            "",
            "resource",
            Some("vestibule-agent"),
            "a resource",
            |text| {
                ResourcePart::new(text)
                    .ok()
                    .map(|part| part.as_str().to_owned())
            },
        );
        let loopback = "an address of this machine with a port, as 127.0.0.1:5222, because nothing is encrypted \
                        there; without this key the server is found by DNS, with TLS";
        let server = if self.value("", "server").is_some() {
            let read = |text: &str| {
                text.parse()
                    .ok()
                    .filter(|address: &SocketAddr| address.ip().is_loopback())
            };
            self.read("", "server", None, loopback, read).map(Some)
        } else {
            Some(None)
        };
        let open_url = self.read(
            "open-url",
            "policy",
            Some("ask"),
            "one of ask, always, never",
            |text| match text {
                "ask" => Some(Policy::Ask),
                "always" => Some(Policy::Always),
                "never" => Some(Policy::Never),
                _ => None,
            },
        );
        let ask = self.read(
            "ask",
            "from",
            Some("terminal"),
            "one of terminal, stdin",
            |text| match text {
                "terminal" => Some(AskFrom::Terminal),
                "stdin" => Some(AskFrom::Stdin),
                _ => None,
            },
        );
        let levels = format!("one of {}", LEVELS.join(", "));
        let level = self.read("log", "level", Some("info"), &levels, |text| {
            LEVELS.contains(&text).then(|| text.to_owned())
        });
        let opener = self.opener();
        let password = self.password(private, secret);
        Some(Config {
            jid: jid?,
            password: Password(password?),
            resource: resource?,
            component: component?,
            server: server?,
            open_url: open_url?,
            opener: opener?,
            ask: ask?,
            level: level?,
        })
    }

    fn value(&self, section: &str, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        if section.is_empty() {
            return self.table.get(key);
        }
        self.table.get(section)?.get_ref().as_table()?.get(key)
    }

    /// A text that is read by `parse`; `default` stands for one that is missing.
    fn read<T>(
        &mut self,
        section: &str,
        key: &str,
        default: Option<&str>,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.value(section, key) else {
            let found = default.and_then(parse);
            if found.is_none() {
                self.problem(section, key, None, format!("missing; expected {expected}"));
            }
            return found;
        };
        let found = value.get_ref().as_str().and_then(parse);
        if found.is_none() {
            let line = Some(self.line(value));
            self.problem(section, key, line, format!("expected {expected}"));
        }
        found
    }

    fn opener(&mut self) -> Option<Opener> {
        let default = || vec!["xdg-open".to_owned(), PLACE.to_owned()];
        let Some(value) = self.value("open-url", "opener") else {
            return Opener::new(&default()).ok();
        };
        let list: Option<Vec<String>> = value.get_ref().as_array().and_then(|array| {
            let texts = array
                .iter()
                .map(|element| element.get_ref().as_str().map(ToOwned::to_owned));
            texts.collect()
        });
        let result = match list {
            None => Err("expected a list of texts, as [\"xdg-open\", \"{url}\"]".to_owned()),
            Some(list) => Opener::new(&list).map_err(|invalid| {
                format!("expected a list as [\"xdg-open\", \"{PLACE}\"]: {invalid}")
            }),
        };
        result
            .map_err(|text| self.problem("open-url", "opener", Some(self.line(value)), text))
            .ok()
    }

    fn password(
        &mut self,
        private: bool,
        secret: &dyn Fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        let inline = self.value("", "password");
        let file = self.value("", "password-file");
        let (key, value, result) = match (inline, file) {
            (None, None) => {
                let text = "missing; expected this or password".to_owned();
                self.problem("", "password-file", None, text);
                return None;
            }
            (Some(_), Some(file)) => {
                let text = "expected either this or password, not both";
                ("password-file", file, Err(text.to_owned()))
            }
            (Some(inline), None) if !private => {
                let text = "others may read this file: chmod 600 it, or use password-file";
                ("password", inline, Err(text.to_owned()))
            }
            (Some(inline), None) => {
                let text = inline.get_ref().as_str().filter(|text| !text.is_empty());
                let text = text.map(ToOwned::to_owned);
                let expected = || "expected the password as a text".to_owned();
                ("password", inline, text.ok_or_else(expected))
            }
            (None, Some(file)) => {
                let path = file.get_ref().as_str().filter(|path| !path.is_empty());
                let result = match path {
                    Some(path) => secret(path),
                    None => Err("expected the path of a file".to_owned()),
                };
                ("password-file", file, result)
            }
        };
        result
            .map_err(|text| self.problem("", key, Some(self.line(value)), text))
            .ok()
    }

    fn refuse_unknown(&mut self) {
        let known = |section: &str| {
            KEYS.iter()
                .find(|(name, _)| *name == section)
                .map(|(_, keys)| *keys)
        };
        let top = known("").unwrap_or_default();
        for (name, value) in self.table {
            let line = Some(line_at(self.text, name.span().start));
            let name = name.get_ref();
            let Some(keys) = known(name).filter(|_| !name.is_empty()) else {
                if !top.contains(&&**name) {
                    self.problem("", name, line, "not a key of this file".to_owned());
                }
                continue;
            };
            let Some(table) = value.get_ref().as_table() else {
                self.problem("", name, line, format!("expected a section [{name}]"));
                continue;
            };
            for key in table.keys().filter(|key| !keys.contains(&&**key.get_ref())) {
                let line = Some(line_at(self.text, key.span().start));
                self.problem(
                    name,
                    key.get_ref(),
                    line,
                    "not a key of this section".to_owned(),
                );
            }
        }
    }

    fn line(&self, value: &Spanned<DeValue<'_>>) -> usize {
        line_at(self.text, value.span().start)
    }

    fn problem(&mut self, section: &str, key: &str, line: Option<usize>, text: String) {
        let key = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        self.problems.push(Problem { line, key, text });
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests;
