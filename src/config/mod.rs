//! What the operator typed, made into what is meant; every problem is reported at once.
//!
//! `raw` holds what was typed, with its place; [`Config`] is what is meant, and exists only if nothing
//! is wrong. All of it is read once, before any socket or store is opened. `config/vestibule.toml`
//! explains each key to the operator, and a test holds it against this.

mod ceiling;
mod check;
mod contact;
mod dedicated;
mod http;
mod key;
mod limits;
mod problem;
mod raw;
mod reload;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::{Bare, ComponentDomain};
use crate::component::authorization::{Ceiling, Party, Visibility};
use crate::component::limits::Limits;
use crate::driver::Schedule;
use crate::store::export::Place;
use crate::{component, link};

pub use dedicated::{Certificate, Dedicated};
pub use http::{Http, Network};
pub use problem::{Problem, Problems};
pub use secret::Secret;

/// The most bytes of a configuration file: a thousand parties fit, a log file given by mistake does not.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The checked configuration of the component.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Our own domain.
    pub domain: ComponentDomain,
    /// The server's component port, `host:port`.
    pub server: String,
    /// How the connection to it is encrypted; `None`: not at all.
    pub tls: Option<link::Tls>,
    /// The secret shared with the server (XEP-0114 §3).
    pub secret: Secret,
    /// The directory of the store.
    pub store_path: PathBuf,
    /// Bytes that must be free on the disk of the store; with less it is read-only.
    pub store_min_free: u64,
    /// Where exports go.
    pub export_dir: PathBuf,
    /// How often one is made by itself; `None`: never.
    pub export_every: Option<Duration>,
    /// How many are kept.
    pub export_keep: usize,
    /// Where monitoring is answered; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The domains whose users may join.
    pub users: Vec<Bare>,
    /// The operator's own addresses.
    pub admins: Vec<Bare>,
    /// Other domains of the users' server.
    pub neighbours: Vec<Bare>,
    /// The visibility of a user who has just joined.
    pub default_visibility: Visibility,
    /// The time zone of users who have not chosen one.
    pub timezone: chrono_tz::Tz,
    /// The least important lines that are logged.
    pub log_level: tracing::Level,
    /// How they are written.
    pub log_format: LogFormat,
    /// Rates of answers.
    pub limits: Limits,
    /// The most that each level may do.
    pub ceiling: Ceiling,
    /// The listener that partners attach to.
    pub dedicated: Option<Dedicated>,
    /// The web face.
    pub http: Option<Http>,
    /// Third parties that the operator has registered.
    pub parties: Vec<Party>,
    /// The operator's contact addresses, by purpose.
    pub contacts: BTreeMap<String, Vec<String>>,
    /// The secrets of those that may attach to the dedicated link, by name.
    pub links: BTreeMap<String, Secret>,
    /// The tokens of those that are known by one over the web, by name.
    pub web_tokens: BTreeMap<String, Secret>,
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file at `path`, lets `environment` override it, and checks all of it.
    ///
    /// `environment` is what [`std::env::vars_os`] gives; only variables that begin with `VESTIBULE_`
    /// count.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the file.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let source = Source::read(path).map_err(|error| {
            Problems(vec![Problem::of_file(format!(
                "{}: cannot be read: {error}",
                path.display()
            ))])
        })?;
        check::check(&source, raw::Raw::read(&source, environment))
    }

    /// The settings of the core.
    #[must_use]
    pub fn settings(&self) -> component::Settings {
        component::Settings {
            domain: self.domain.clone(),
            users: self.users.clone(),
            admins: self.admins.clone(),
            neighbours: self.neighbours.clone(),
            default_visibility: self.default_visibility,
            timezone: self.timezone,
            parties: self.parties.clone().into(),
            ceiling: self.ceiling.clone(),
            limits: self.limits,
            contacts: self.contacts.clone(),
        }
    }

    /// Where exports go, and how often.
    #[must_use]
    pub fn exports(&self) -> Schedule {
        Schedule {
            place: Place {
                directory: self.export_dir.clone(),
                keep: self.export_keep,
                min_free: self.store_min_free,
            },
            every: self.export_every,
        }
    }

    /// Where and as whom to attach.
    #[must_use]
    pub fn link(&self) -> link::Settings {
        link::Settings {
            server: self.server.clone(),
            tls: self.tls.clone(),
            domain: self.domain.clone(),
            secret: self.secret.expose().to_owned(),
        }
    }
}

/// A configuration file as it was found.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    mode: u32,
}

impl Source {
    fn read(path: &Path) -> io::Result<Self> {
        let (text, mode) = read_file(path, FILE_BYTES_MAX)?;
        Ok(Self {
            path: path.to_owned(),
            text,
            mode,
        })
    }

    /// What a path in the configuration means: relative ones start at the file's own folder, because
    /// nobody knows in which one a service is started.
    fn resolve(&self, path: &str) -> PathBuf {
        self.path
            .parent()
            .unwrap_or_else(|| Path::new(""))
            .join(path)
    }
}

/// The text of a file of at most `limit` bytes, and its permission bits.
fn read_file(path: &Path, limit: u64) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    let mut text = String::new();
    if file.take(limit + 1).read_to_string(&mut text)? as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok((text, mode))
}
