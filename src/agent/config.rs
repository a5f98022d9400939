//! The user's own file: read, checked as a whole, every problem named with its line.
//!
//! Every key stands in `config/vestibule-agent.toml`, which a test holds against this file.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jid::{BareJid, ResourcePart};
use toml::de::DeTable;

use super::opener::{Opener, PLACE};
use super::policy::Settings;
use super::program::{Job, Manner};
use super::request::Task;
use super::rules::Policy;
use super::secret::{is_private, secret};
use crate::address::Bare;

mod modules;
mod reader;
mod rules;

use reader::{Reader, Table, line_at};

/// Every key, by section; the first section is the top of the file.
const KEYS: [(&str, &[&str]); 7] = [
    (
        "",
        &[
            "jid",
            "password",
            "password-file",
            "resource",
            "component",
            "server",
            "state",
        ],
    ),
    ("open-url", &["policy", "opener"]),
    ("notify", &["policy"]),
    ("start-module", &["policy"]),
    ("activate-client", &["policy", "program"]),
    ("ask", &["from"]),
    ("log", &["level", "file"]),
];
/// The sections, with those that stand there as often as wanted.
const SECTIONS: [&str; 9] = [
    "open-url",
    "notify",
    "start-module",
    "activate-client",
    "ask",
    "log",
    "module",
    "rule",
    "on-outcome",
];

/// Levels of the log, most quiet first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Where the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskFrom {
    /// On the desktop where there is one, else on the terminal.
    Auto,
    /// On the desktop only.
    Desktop,
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
#[derive(Clone, Debug)]
pub struct Config {
    /// The account.
    pub jid: BareJid,
    /// Its password.
    pub password: Password,
    /// The resource to ask for.
    pub resource: String,
    /// A server on this machine, without encryption; else the domain's own server is found by DNS.
    pub server: Option<SocketAddr>,
    /// The folder of the state file.
    pub state: PathBuf,
    /// Where to ask.
    pub ask: AskFrom,
    /// The level of the log.
    pub level: String,
    /// The file of the log; else standard error.
    pub log_file: Option<PathBuf>,
    /// What is run, for whom, and how.
    pub settings: Settings,
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
        let mut reader = Reader::new(text);
        let top = Table {
            path: String::new(),
            table: Some(table.get_ref()),
            line: None,
        };
        let config = config(&mut reader, &top, private, secret);
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// The state file of this account and resource.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        let name = format!("{}_{}", self.jid, self.resource);
        let plain = |c: char| c.is_ascii_alphanumeric() || "@._-".contains(c);
        let name: String = name
            .chars()
            .map(|c| {
                if plain(c) {
                    c.to_string()
                } else {
                    format!("%{:x}", u32::from(c))
                }
            })
            .collect();
        self.state.join(format!("{name}.jsonl"))
    }

    /// What the file allows, for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let settings = &self.settings;
        let mut text = format!(
            "{} as {}, for commands of {}\n",
            self.resource, self.jid, settings.component
        );
        let word = |policy: Policy| match policy {
            Policy::Ask => "ask",
            Policy::Always => "always",
            Policy::Never => "never",
        };
        for (task, policy) in [
            (Task::OpenUrl, settings.rules.open_url),
            (Task::Notify, settings.rules.notify),
            (Task::StartModule, settings.rules.start_module),
            (Task::ActivateClient, settings.rules.activate_client),
        ] {
            let offered = if settings.serves(task) {
                ""
            } else {
                " (not offered)"
            };
            text.push_str(&format!("  {}: {}{offered}\n", task.as_str(), word(policy)));
        }
        text.push_str(&format!(
            "  rules that come before: {}\n",
            settings.rules.list.len()
        ));
        for module in &settings.modules {
            let own = if module.offered { "" } else { " (not offered)" };
            text.push_str(&format!(
                "  module {}: {}{own}\n",
                module.name, module.program
            ));
        }
        text
    }

    /// Programs of the file that are not there, or that others than their owner or root may change: the
    /// agent starts with them, and what needs them fails.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let modules = self.settings.modules.iter();
        modules
            .filter_map(|module| {
                let problem = program_problem(Path::new(&module.program))?;
                Some(format!(
                    "module.{}.program: {} {problem}",
                    module.name, module.program
                ))
            })
            .collect()
    }
}

/// What is odd about a program.
fn program_problem(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(found) = fs::metadata(path) else {
        return Some("is not there");
    };
    let mode = found.permissions().mode();
    if !found.is_file() || mode & 0o111 == 0 {
        return Some("is not a program");
    }
    (mode & 0o002 != 0).then_some("may be changed by everybody on this machine")
}

fn config<'a>(
    reader: &mut Reader<'a>,
    top: &Table<'a>,
    private: bool,
    secret: &dyn Fn(&str) -> Result<String, String>,
) -> Option<Config> {
    // All are read before the first missing one ends it, so that every problem is found.
    reader.only(top, &[KEYS[0].1, &SECTIONS].concat());
    let jid = reader.read(
        top,
        "jid",
        None,
        "an address as alice@example.org",
        |text| BareJid::new(text).ok().filter(|jid| jid.node().is_some()),
    );
    let expected = "a domain as presence.example.org";
    let component = reader.read(top, "component", None, expected, |text| {
        Bare::parse(text).ok().filter(|bare| bare.local().is_none())
    });
    let resource = Some("vestibule-agent");
    let resource = reader.read(top, "resource", resource, "a resource", |text| {
        ResourcePart::new(text)
            .ok()
            .map(|part| part.as_str().to_owned())
    });
    let server = server(reader, top);
    let expected = "the absolute path of a folder";
    let state = state_folder();
    let state = reader.read(top, "state", state.as_deref(), expected, |text| {
        text.starts_with('/').then(|| PathBuf::from(text))
    });
    let mut section = |name: &str| {
        let table = reader.table(top, name);
        let keys = KEYS.iter().find(|(section, _)| *section == name);
        reader.only(&table, keys.map_or(&[], |(_, keys)| *keys));
        table
    };
    let [open_url, notify, start_module, activate] =
        ["open-url", "notify", "start-module", "activate-client"].map(&mut section);
    let (ask, log) = (section("ask"), section("log"));
    let policies = [
        rules::policy(reader, &open_url, Some("ask")),
        rules::policy(reader, &notify, Some("always")),
        rules::policy(reader, &start_module, Some("ask")),
        rules::policy(reader, &activate, Some("ask")),
    ];
    let rules = rules::read(reader, top, policies);
    let opener = opener(reader, &open_url);
    let client = client(reader, &activate);
    let modules = modules::read(reader, top);
    let reactions = modules::reactions(reader, top, &modules);
    let from = ["auto", "desktop", "terminal", "stdin"];
    let ask = reader.word(&ask, "from", Some("auto"), &from);
    let level = reader.word(&log, "level", Some("info"), &LEVELS);
    let expected = "the absolute path of a file";
    let log_file = reader.read(&log, "file", Some("-"), expected, |text| match text {
        "-" => Some(None),
        path => path.starts_with('/').then(|| Some(PathBuf::from(path))),
    });
    let password = password(reader, top, private, secret);
    Some(Config {
        jid: jid?,
        password: Password(password?),
        resource: resource?,
        server: server?,
        state: state?,
        ask: match ask?.as_str() {
            "desktop" => AskFrom::Desktop,
            "terminal" => AskFrom::Terminal,
            "stdin" => AskFrom::Stdin,
            _ => AskFrom::Auto,
        },
        level: level?,
        log_file: log_file?,
        settings: Settings {
            component: component?,
            rules: rules?,
            opener: opener?,
            modules,
            client: client?,
            reactions,
        },
    })
}

/// Where the state file stands by default (XDG Base Directory Specification 0.8).
fn state_folder() -> Option<String> {
    let set = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|path| path.starts_with('/'))
    };
    let folder =
        set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| format!("{home}/.local/state")))?;
    Some(format!("{folder}/vestibule-agent"))
}

fn server<'a>(reader: &mut Reader<'a>, top: &Table<'a>) -> Option<Option<SocketAddr>> {
    let loopback = "an address of this machine with a port, as 127.0.0.1:5222, because nothing is encrypted \
                    there; without this key the server is found by DNS, with TLS";
    if top.value("server").is_none() {
        return Some(None);
    }
    let read = |text: &str| {
        text.parse()
            .ok()
            .filter(|address: &SocketAddr| address.ip().is_loopback())
    };
    reader.read(top, "server", None, loopback, read).map(Some)
}

fn opener<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Opener> {
    let list = match table.value("opener") {
        None => vec!["xdg-open".to_owned(), PLACE.to_owned()],
        Some(_) => reader.list(table, "opener")?,
    };
    Opener::new(&list)
        .map_err(|invalid| {
            let text = format!("expected a list as [\"xdg-open\", \"{PLACE}\"]: {invalid}");
            reader.wrong(table, "opener", text);
        })
        .ok()
}

/// What brings up the chat client; `None` inside where nothing does.
fn client<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Option<Job>> {
    if table.value("program").is_none() {
        return Some(None);
    }
    let list = reader.list(table, "program")?;
    let wrong = list.iter().any(|element| element.contains('\0'));
    match list.split_first() {
        Some((program, arguments)) if !program.is_empty() && !wrong => Some(Some(Job {
            done: "the chat client was started".to_owned(),
            program: program.clone(),
            arguments: arguments.to_vec(),
            manner: Manner::window(),
        })),
        _ => {
            reader.wrong(
                table,
                "program",
                "expected a list as [\"gajim\"]: the program comes first",
            );
            None
        }
    }
}

fn password<'a>(
    reader: &mut Reader<'a>,
    top: &Table<'a>,
    private: bool,
    secret: &dyn Fn(&str) -> Result<String, String>,
) -> Option<String> {
    let (key, result) = match (top.value("password"), top.value("password-file")) {
        (None, None) => {
            let text = "missing; expected this or password";
            reader.problem(top, "password-file", None, text);
            return None;
        }
        (Some(_), Some(_)) => {
            let text = "expected either this or password, not both";
            ("password-file", Err(text.to_owned()))
        }
        (Some(_), None) if !private => {
            let text = "others may read this file: chmod 600 it, or use password-file";
            ("password", Err(text.to_owned()))
        }
        (Some(inline), None) => {
            let text = inline.get_ref().as_str().filter(|text| !text.is_empty());
            let text = text.map(ToOwned::to_owned);
            let expected = || "expected the password as a text".to_owned();
            ("password", text.ok_or_else(expected))
        }
        (None, Some(file)) => {
            let path = file.get_ref().as_str().filter(|path| !path.is_empty());
            let result = match path {
                Some(path) => secret(path),
                None => Err("expected the path of a file".to_owned()),
            };
            ("password-file", result)
        }
    };
    result.map_err(|text| reader.wrong(top, key, text)).ok()
}

#[cfg(test)]
mod tests;
