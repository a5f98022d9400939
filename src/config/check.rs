//! From what was typed to what is meant: types, ranges, defaults, and what must agree between keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::problem::{Place, Problem};
use super::raw::{Found, Raw, RawParty};
use super::value::{Value, is_party_name, is_server, shown};
use super::{Config, LogFormat, Problems, Secret, Source, key};
use crate::address::{Bare, ComponentDomain};
use crate::component::authorization::{Party, Right, Visibility};
use crate::component::ending;

/// Where servers listen for components, as a rule.
const SERVER: &str = "127.0.0.1:5347";
/// Where services keep their state (FHS 3.0 §5.8).
const STORE_PATH: &str = "/var/lib/vestibule";
/// Room for the commits of some minutes and for sled's own housekeeping.
const STORE_MIN_FREE: u64 = 64 << 20;

/// Where exports go in the directory of the store: they outlive damage of sled, not of the disk.
const EXPORTS: &str = "exports";
/// Once a day: what is lost with a store is a day's changes at most.
const EXPORT_EVERY: Duration = Duration::from_secs(86_400);
/// Anything sooner would be one export after the other.
const EXPORT_EVERY_MIN: Duration = Duration::from_secs(60);
/// A week of days.
const EXPORT_KEEP: usize = 7;

/// Checks everything that was typed.
pub(super) fn check(source: &Source, raw: Raw) -> Result<Config, Problems> {
    let mut check = Check {
        source,
        keys: raw.keys,
        problems: Vec::new(),
    };
    let secret = check.component_secret();
    let domain = check.needed(
        "component.domain",
        "a domain such as \"presence.example.org\"",
        |value| ComponentDomain::parse(value.text()?).ok(),
    );
    let server = check.read(
        "component.server",
        "a host and a port such as \"127.0.0.1:5347\"",
        |value| {
            value
                .text()
                .filter(|text| is_server(text))
                .map(str::to_owned)
        },
    );
    let tls = check.tls(server.as_deref().unwrap_or(SERVER));
    let store_path = check.read("store.path", "a directory", path);
    let store_min_free = check.read(
        "store.min-free",
        "a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB)",
        Value::size,
    );
    let export_dir = check.read("store.export-dir", "a directory", path);
    let export_every = check.read(
        "store.export-every",
        "a time of at least \"1min\" such as \"24h\" (s, min, h, d), or 0 for never",
        |value| {
            let every = value.duration()?;
            (every.is_zero() || every >= EXPORT_EVERY_MIN).then_some(every)
        },
    );
    let export_keep = check.read(
        "store.export-keep",
        "a whole number of at least 1",
        |value| {
            let keep = value.number()?;
            (keep >= 1.0 && keep.fract() == 0.0).then_some(keep as usize)
        },
    );
    let metrics_listen = check.read(
        "metrics.listen",
        "an address of this machine alone and a port, such as \"127.0.0.1:9090\"",
        |value| {
            let listen: SocketAddr = value.text()?.parse().ok()?;
            listen.ip().is_loopback().then_some(listen)
        },
    );
    let users = check.users(domain.as_ref());
    let admins = check.list(
        "users.admins",
        "a list of addresses such as [\"admin@example.org\"]",
        "an address such as \"admin@example.org\"",
        |text| Bare::parse(text).ok().filter(|admin| !admin.is_domain()),
    );
    let neighbours = check.list(
        "users.neighbours",
        "a list of domains such as [\"bots.example.org\"]",
        "a domain such as \"bots.example.org\"",
        |text| Bare::parse(text).ok().filter(Bare::is_domain),
    );
    let default_visibility = check.read(
        "users.default-visibility",
        "\"private\", \"subscribers\" or \"public\"",
        |value| Visibility::parse(value.text()?),
    );
    let timezone = check.read(
        "users.timezone",
        "the name of a time zone such as \"Europe/Berlin\"",
        |value| ending::zone(value.text()?),
    );
    let log_level = check.read(
        "log.level",
        "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        |value| log_level(value.text()?),
    );
    let log_format = check.read("log.format", "\"text\" or \"json\"", |value| {
        match value.text()? {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    });
    let contacts = check.contacts();
    let limits = check.limits();
    let ceiling = check.ceiling();
    let dedicated = check.dedicated();
    let http = check.http();
    let registered = check.parties(raw.parties, domain.as_ref());

    // Beside a line that is no TOML, what is missing may well be there.
    let broken: Vec<_> = raw.faults.iter().filter_map(Problem::line).collect();
    let is_doubtful = |problem: &Problem| {
        problem.is_missing() || problem.line().is_some_and(|line| broken.contains(&line))
    };
    let is_whole = raw.faults.is_empty();
    let mut problems = raw.faults;
    problems.extend(
        raw.problems
            .into_iter()
            .chain(check.problems)
            .filter(|problem| is_whole || !is_doubtful(problem)),
    );
    match (domain, secret) {
        (Some(domain), Some(secret)) if problems.is_empty() => Ok(Config {
            domain,
            server: server.unwrap_or_else(|| SERVER.to_owned()),
            tls,
            secret,
            export_dir: export_dir.map_or_else(
                || {
                    source
                        .resolve(store_path.as_deref().unwrap_or(STORE_PATH))
                        .join(EXPORTS)
                },
                |typed| source.resolve(&typed),
            ),
            export_every: Some(export_every.unwrap_or(EXPORT_EVERY))
                .filter(|every| !every.is_zero()),
            export_keep: export_keep.unwrap_or(EXPORT_KEEP),
            metrics_listen,
            store_path: source.resolve(store_path.as_deref().unwrap_or(STORE_PATH)),
            store_min_free: store_min_free.unwrap_or(STORE_MIN_FREE),
            users: users.unwrap_or_default(),
            admins: admins.unwrap_or_default(),
            neighbours: neighbours.unwrap_or_default(),
            default_visibility: default_visibility.unwrap_or(Visibility::Subscribers),
            timezone: timezone.unwrap_or(chrono_tz::Tz::UTC),
            log_level: log_level.unwrap_or(tracing::Level::INFO),
            log_format: log_format.unwrap_or(LogFormat::Text),
            limits,
            ceiling,
            dedicated,
            http,
            parties: registered.parties,
            contacts,
            links: registered.links,
            web_tokens: registered.tokens,
        }),
        _ => Err(Problems::sorted(problems)),
    }
}

/// The parties, and their secrets by name.
#[derive(Default)]
struct Registered {
    parties: Vec<Party>,
    links: BTreeMap<String, Secret>,
    tokens: BTreeMap<String, Secret>,
}

/// The check under way.
pub(super) struct Check<'a> {
    pub(super) source: &'a Source,
    /// What was typed, by `section.key`.
    pub(super) keys: BTreeMap<String, Found>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn wrong(&mut self, found: &Found, expected: &str) {
        let value = if key::is_secret(&found.key) {
            found.value.kind().to_owned()
        } else {
            found.value.to_string()
        };
        self.problem(found, &format!("found {value}, expected {expected}"));
    }

    pub(super) fn problem(&mut self, found: &Found, what: &str) {
        self.problems
            .push(Problem::new(&found.place, &found.key, what));
    }

    pub(super) fn missing(&mut self, place: &Place, key: &str, expected: &str) {
        self.problems.push(Problem::missing(place, key, expected));
    }

    /// Reads a key that may be absent.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let found = self.keys.get(key)?.clone();
        let value = parse(&found.value);
        if value.is_none() {
            self.wrong(&found, expected);
        }
        value
    }

    /// Reads a key that must be there.
    fn needed<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        if !self.keys.contains_key(key) {
            let place = Place::File(self.source.path.clone());
            self.missing(&place, key, expected);
        }
        self.read(key, expected, parse)
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        element: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let found = self.keys.get(key)?.clone();
        let elements = self.elements(&found, expected, element, parse)?;
        Some(elements.into_iter().map(|(_, value)| value).collect())
    }

    /// The elements of a list, each with its place; the wrong ones are left out and named.
    pub(super) fn elements<T>(
        &mut self,
        list: &Found,
        expected: &str,
        element: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<(Found, T)>> {
        let Some(values) = list.value.list() else {
            self.wrong(list, expected);
            return None;
        };
        let mut elements = Vec::with_capacity(values.len());
        for (offset, value) in values {
            let place = match &list.place {
                Place::Variable(_) => list.place.clone(),
                Place::Line(..) | Place::File(_) => self.source.place(offset),
            };
            let found = Found {
                place,
                key: list.key.clone(),
                value,
            };
            match found.value.text().and_then(&parse) {
                Some(parsed) => elements.push((found, parsed)),
                None => self.wrong(&found, element),
            }
        }
        Some(elements)
    }

    fn users(&mut self, ours: Option<&ComponentDomain>) -> Option<Vec<Bare>> {
        const LIST: &str = "a list of the domains whose users may join, such as [\"example.org\"]";
        let Some(found) = self.keys.get("users.domains").cloned() else {
            let place = Place::File(self.source.path.clone());
            self.missing(&place, "users.domains", LIST);
            return None;
        };
        let element = "a domain such as \"example.org\"";
        let domains = self.elements(&found, LIST, element, |text| {
            Bare::parse(text).ok().filter(Bare::is_domain)
        })?;
        if found.value.list().is_some_and(|list| list.is_empty()) {
            self.problem(&found, &format!("found nothing, expected {LIST}"));
        }
        for (domain, bare) in &domains {
            if ours.is_some_and(|ours| ours.bare() == bare) {
                self.wrong(domain, "a domain of users; this one is component.domain");
            } else if ours.is_some_and(|ours| ours.below(bare).is_some()) {
                let expected = "a domain of users; those below component.domain are of parties on the \
                                dedicated link";
                self.wrong(domain, expected);
            }
        }
        Some(domains.into_iter().map(|(_, domain)| domain).collect())
    }

    fn parties(&mut self, raw: Vec<RawParty>, ours: Option<&ComponentDomain>) -> Registered {
        let mut all = Registered::default();
        let mut names: BTreeSet<String> = BTreeSet::new();
        let mut owners: BTreeMap<Bare, String> = BTreeMap::new();
        for RawParty { place, keys } in raw {
            self.keys = keys;
            let name = self.party_name(&place, &mut names).unwrap_or_default();
            let jids = self.party_jids(&name, ours, &mut owners);
            let rights = self.party_rights(&place);
            let secret = self.secret("party.link-secret");
            let has_link = secret.is_some();
            let token = self.party_token(&all.tokens);
            let has_web = token.is_some();
            if has_link || has_web {
                self.partner(&name, ours);
            }
            self.reserved(&name);
            all.links
                .extend(secret.map(|secret| (name.clone(), secret)));
            all.tokens.extend(token.map(|token| (name.clone(), token)));
            all.parties.push(Party {
                name,
                jids,
                rights,
                has_link,
                has_web,
            });
        }
        all
    }

    fn party_name(&mut self, place: &Place, names: &mut BTreeSet<String>) -> Option<String> {
        const EXPECTED: &str = "1 to 32 characters of a-z, 0-9 and -";
        let Some(found) = self.keys.get("party.name").cloned() else {
            self.missing(place, "party.name", EXPECTED);
            return None;
        };
        let name = self.read("party.name", EXPECTED, |value| {
            value
                .text()
                .filter(|text| is_party_name(text))
                .map(str::to_owned)
        })?;
        if !names.insert(name.clone()) {
            self.wrong(&found, "a name that no other party has");
        }
        Some(name)
    }

    fn party_jids(
        &mut self,
        name: &str,
        ours: Option<&ComponentDomain>,
        owners: &mut BTreeMap<Bare, String>,
    ) -> Vec<Bare> {
        let Some(found) = self.keys.get("party.jids").cloned() else {
            return Vec::new();
        };
        let elements = self.elements(
            &found,
            "a list of addresses and domains such as [\"bot@acme.example\"]",
            "an address or a domain such as \"bot@acme.example\"",
            |text| Bare::parse(text).ok(),
        );
        let mut jids = Vec::new();
        for (found, jid) in elements.unwrap_or_default() {
            let is_ours = |ours: &ComponentDomain| {
                jid.domain() == ours.bare().as_str() || ours.below(&jid).is_some()
            };
            if ours.is_some_and(is_ours) {
                self.wrong(
                    &found,
                    "an address elsewhere than at component.domain or below it",
                );
                continue;
            }
            match owners.get(&jid) {
                Some(owner) => {
                    let expected = format!(
                        "an address that stands nowhere else; party {} has it",
                        shown(owner)
                    );
                    self.wrong(&found, &expected);
                }
                None => {
                    owners.insert(jid.clone(), name.to_owned());
                    jids.push(jid);
                }
            }
        }
        jids
    }

    fn party_rights(&mut self, place: &Place) -> BTreeSet<Right> {
        let names: Vec<_> = Right::ALL.iter().map(|right| right.as_str()).collect();
        let element = format!("one of {}", names.join(", "));
        let list = format!("a list of {}", names.join(", "));
        let Some(found) = self.keys.get("party.rights").cloned() else {
            self.missing(place, "party.rights", &list);
            return BTreeSet::new();
        };
        if found.value.list().is_some_and(|list| list.is_empty()) {
            self.problem(&found, &format!("found nothing, expected {list}"));
        }
        self.elements(&found, &list, &element, |text| text.parse().ok())
            .unwrap_or_default()
            .into_iter()
            .map(|(_, right)| right)
            .collect()
    }
}

/// A path, as typed.
pub(super) fn path(value: &Value) -> Option<String> {
    value
        .text()
        .filter(|text| !text.is_empty() && !text.contains('\0'))
        .map(str::to_owned)
}

fn log_level(text: &str) -> Option<tracing::Level> {
    match text {
        "error" => Some(tracing::Level::ERROR),
        "warn" => Some(tracing::Level::WARN),
        "info" => Some(tracing::Level::INFO),
        "debug" => Some(tracing::Level::DEBUG),
        "trace" => Some(tracing::Level::TRACE),
        _ => None,
    }
}
