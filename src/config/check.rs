//! From what is typed to what is meant.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::read::{Keys, Placed, Source, Value};
use super::{Config, Format, Level, Problems};
use crate::address::{Bare, ComponentDomain};
use crate::component::Settings;
use crate::component::authorization::{Ceiling, Party, Right, Visibility};
use crate::component::limits::Limits;
use crate::link;

/// All sections and keys of this version; `config/vestibule.toml` is held against it.
pub const KEYS: &[(&str, &[&str])] = &[
    ("component", &["domain", "server", "secret", "secret-file"]),
    ("store", &["path", "min-free"]),
    ("users", &["domains", "admins", "default-visibility"]),
    ("log", &["level", "format"]),
    (
        "limits",
        &[
            "probe-rate-per-watcher",
            "probe-burst-per-watcher",
            "probe-rate-per-domain",
            "probe-burst-per-domain",
        ],
    ),
    ("party", &["name", "jids", "rights"]),
];

/// What later versions will know.
const LATER_SECTIONS: &[&str] = &["dedicated", "http", "metrics"];
const LATER_PARTY_KEYS: &[&str] = &[
    "link-secret",
    "link-secret-file",
    "http-token",
    "http-token-file",
];

const SERVER: &str = "127.0.0.1:5347";
const STORE: &str = "/var/lib/vestibule";
const MIN_FREE: u64 = 64 << 20;
/// Characters of a party's name: it is to be a domain label later.
const NAME_MAX: usize = 32;

/// Checks everything.
pub(super) fn check(mut source: Source) -> Result<Config, Problems> {
    strangers(&mut source);
    let domain = domain(&mut source);
    let server = text(&mut source, "component", "server").unwrap_or_else(|| SERVER.to_owned());
    if server
        .rsplit_once(':')
        .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
    {
        let place = place(&source, "component", "server");
        source.problem(
            place,
            format!("component.server is {server:?}, not host:port"),
        );
    }
    let secret = secret(&mut source);
    let store = text(&mut source, "store", "path").unwrap_or_else(|| STORE.to_owned());
    let min_free = min_free(&mut source);
    let users = addresses(&mut source, "users", "domains", Kind::Domain);
    if users.is_empty() && source.value("users", "domains").is_none() {
        let place = source.place_of("users");
        source.problem(
            place,
            "users.domains is missing: whose users may join, as [\"example.org\"]".into(),
        );
    }
    if let Some(domain) = &domain
        && users.contains(domain.bare())
    {
        let place = place(&source, "users", "domains");
        source.problem(
            place,
            "users.domains names the component's own domain".into(),
        );
    }
    let admins = addresses(&mut source, "users", "admins", Kind::Any);
    let visibility = [
        Visibility::Private,
        Visibility::Subscribers,
        Visibility::Public,
    ]
    .map(|visibility| (visibility.as_str(), visibility));
    let default_visibility = choice(&mut source, "users", "default-visibility", &visibility);
    let levels = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
    ];
    let level = choice(&mut source, "log", "level", &levels);
    let formats = [("text", Format::Text), ("json", Format::Json)];
    let format = choice(&mut source, "log", "format", &formats);
    let limits = limits(&mut source);
    let parties = parties(&mut source);
    let (Some(domain), Some(secret), true) = (domain, secret, source.problems.is_empty()) else {
        return Err(Problems(source.problems));
    };
    Ok(Config {
        settings: Settings {
            domain: domain.clone(),
            users,
            admins,
            default_visibility: default_visibility.unwrap_or(Visibility::Subscribers),
            parties,
            ceiling: Ceiling::default(),
            limits,
        },
        link: link::Settings {
            server,
            domain,
            secret,
        },
        store: PathBuf::from(store),
        min_free,
        level: level.unwrap_or(Level::Info),
        format: format.unwrap_or(Format::Text),
    })
}

/// Sections, keys and variables that nobody knows.
fn strangers(source: &mut Source) {
    let known = |section: &str| {
        KEYS.iter()
            .find(|(name, _)| *name == section)
            .map(|(_, keys)| *keys)
    };
    let mut found = Vec::new();
    for (section, (place, keys)) in &source.sections {
        match known(section).filter(|_| section != "party") {
            Some(expected) => found.extend(unknown(section, keys, expected, &[])),
            None if LATER_SECTIONS.contains(&section.as_str()) => {
                found.push((
                    place.clone(),
                    format!("[{section}] is not in this version yet: remove it"),
                ));
            }
            None if section == "party" => {
                found.push((place.clone(), "a party is written [[party]]".to_owned()));
            }
            None => {
                let names: Vec<_> = KEYS.iter().map(|(name, _)| *name).collect();
                let expected = names.join(", ");
                found.push((
                    place.clone(),
                    format!("unknown section [{section}], expected one of {expected}"),
                ));
            }
        }
    }
    for (_, keys) in &source.parties {
        found.extend(unknown(
            "party",
            keys,
            known("party").unwrap_or_default(),
            LATER_PARTY_KEYS,
        ));
    }
    let ours: BTreeSet<_> = KEYS
        .iter()
        .filter(|(section, _)| *section != "party")
        .flat_map(|(section, keys)| keys.iter().map(|key| Source::variable(section, key)))
        .collect();
    for variable in source
        .environment
        .keys()
        .filter(|name| !ours.contains(*name))
    {
        found.push((
            variable.clone(),
            "names no key of the configuration".to_owned(),
        ));
    }
    for (place, what) in found {
        source.problem(place, what);
    }
}

fn unknown(section: &str, keys: &Keys, expected: &[&str], later: &[&str]) -> Vec<(String, String)> {
    keys.iter()
        .filter(|(key, _)| !expected.contains(&key.as_str()))
        .map(|(key, placed)| {
            let what = if later.contains(&key.as_str()) {
                format!("{section}.{key} is not in this version yet: remove it")
            } else {
                format!(
                    "unknown key {section}.{key}, expected one of {}",
                    expected.join(", ")
                )
            };
            (placed.place.clone(), what)
        })
        .collect()
}

fn place(source: &Source, section: &str, key: &str) -> String {
    source
        .value(section, key)
        .map_or_else(|| source.place_of(section), |placed| placed.place)
}

fn text(source: &mut Source, section: &str, key: &str) -> Option<String> {
    let Placed { value, place, .. } = source.value(section, key)?;
    match value {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => {
            source.problem(
                place,
                format!("{section}.{key} is to be a text that is not empty"),
            );
            None
        }
    }
}

fn choice<T: Copy>(
    source: &mut Source,
    section: &str,
    key: &str,
    options: &[(&str, T)],
) -> Option<T> {
    let Placed { value, place, .. } = source.value(section, key)?;
    let found = match &value {
        Value::Text(text) => options.iter().find(|(name, _)| name == text),
        _ => None,
    };
    if found.is_none() {
        let names: Vec<_> = options.iter().map(|(name, _)| *name).collect();
        source.problem(
            place,
            format!("{section}.{key} is to be one of {}", names.join(", ")),
        );
    }
    found.map(|(_, option)| *option)
}

fn domain(source: &mut Source) -> Option<ComponentDomain> {
    if source.value("component", "domain").is_none() {
        let place = source.place_of("component");
        source.problem(
            place,
            "component.domain is missing, as \"presence.example.org\"".into(),
        );
        return None;
    }
    let text = text(source, "component", "domain")?;
    let domain = ComponentDomain::parse(&text)
        .ok()
        .filter(|domain| domain.bare().local().is_none());
    if domain.is_none() {
        let place = place(source, "component", "domain");
        source.problem(
            place,
            format!("component.domain is {text:?}, which is no domain"),
        );
    }
    domain
}

/// The secret, from the file, the environment, or a file of its own that others may not read.
fn secret(source: &mut Source) -> Option<String> {
    let inline = source.value("component", "secret");
    let file = source.value("component", "secret-file");
    let place = source.place_of("component");
    match (inline, file) {
        (None, None) => {
            source.problem(
                place,
                "component.secret is missing (or component.secret-file)".into(),
            );
            None
        }
        (Some(inline), Some(file)) if inline.in_file == file.in_file => {
            source.problem(
                inline.place,
                "component.secret and component.secret-file: one of them".into(),
            );
            None
        }
        // The environment overrides the file, whichever of the two keys it names.
        (Some(inline), file) if file.as_ref().is_none_or(|file| file.in_file) => {
            if inline.in_file && is_open(&source.path) {
                let path = source.path.display().to_string();
                let what = format!(
                    "component.secret stands in a file that others may read; run: chmod o-rwx {path}"
                );
                source.problem(inline.place, what);
            }
            text(source, "component", "secret")
        }
        (_, Some(file)) => {
            let path = PathBuf::from(text(source, "component", "secret-file")?);
            let read = std::fs::read_to_string(&path);
            match read.map(|secret| secret.trim_end_matches(['\r', '\n']).to_owned()) {
                Ok(_) if is_open(&path) => {
                    let path = path.display();
                    let what = format!("{path} may be read by others; run: chmod o-rwx {path}");
                    source.problem(file.place, what);
                    None
                }
                Ok(secret) if secret.is_empty() => {
                    source.problem(file.place, format!("{} holds no secret", path.display()));
                    None
                }
                Ok(secret) => Some(secret),
                Err(error) => {
                    let what = format!(
                        "component.secret-file: {} cannot be read: {error}",
                        path.display()
                    );
                    source.problem(file.place, what);
                    None
                }
            }
        }
        (Some(_), None) => None, // Taken by the guarded arm above.
    }
}

/// Whether others than owner and group may read a file.
fn is_open(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.permissions().mode() & 0o007 != 0)
}

fn min_free(source: &mut Source) -> u64 {
    let Some(Placed { value, place, .. }) = source.value("store", "min-free") else {
        return MIN_FREE;
    };
    let bytes = match &value {
        Value::Text(text) => size(text),
        Value::Number(number) if *number >= 0.0 && number.fract() == 0.0 => Some(*number as u64),
        _ => None,
    };
    bytes.unwrap_or_else(|| {
        source.problem(
            place,
            "store.min-free is to be a size such as \"64MiB\"".into(),
        );
        MIN_FREE
    })
}

/// Bytes of a size such as `64MiB`.
fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn limits(source: &mut Source) -> Limits {
    let mut limits = Limits::default();
    for (key, limit) in [
        ("probe-rate-per-watcher", &mut limits.probe_rate_per_watcher),
        (
            "probe-burst-per-watcher",
            &mut limits.probe_burst_per_watcher,
        ),
        ("probe-rate-per-domain", &mut limits.probe_rate_per_domain),
        ("probe-burst-per-domain", &mut limits.probe_burst_per_domain),
    ] {
        let Some(Placed { value, place, .. }) = source.value("limits", key) else {
            continue;
        };
        let number = match &value {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite() && *number >= 0.0) {
            Some(number) => *limit = number,
            None => {
                let what = format!("limits.{key} is to be a number of 0 (no limit) or more");
                source.problem(place, what);
            }
        }
    }
    limits
}

/// What a list of addresses may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Domain,
    Any,
}

fn addresses(source: &mut Source, section: &str, key: &str, kind: Kind) -> Vec<Bare> {
    let Some(placed) = source.value(section, key) else {
        return Vec::new();
    };
    read_addresses(source, placed, &format!("{section}.{key}"), kind)
}

fn read_addresses(source: &mut Source, placed: Placed, name: &str, kind: Kind) -> Vec<Bare> {
    let texts = match placed.value {
        Value::List(texts) => texts,
        // A list in the environment is written with commas.
        Value::Text(text) if !placed.in_file => text
            .split(',')
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect(),
        _ => {
            source.problem(placed.place, format!("{name} is to be a list of texts"));
            return Vec::new();
        }
    };
    let mut addresses = Vec::new();
    for text in texts {
        match Bare::parse(&text) {
            Ok(jid) if kind == Kind::Any || jid.local().is_none() => addresses.push(jid),
            _ => {
                let expected = if kind == Kind::Domain {
                    "domain"
                } else {
                    "address"
                };
                source.problem(
                    placed.place.clone(),
                    format!("{name}: {text:?} is no {expected}"),
                );
            }
        }
    }
    addresses
}

fn parties(source: &mut Source) -> Vec<Party> {
    let mut parties: Vec<Party> = Vec::new();
    for (place, mut keys) in std::mem::take(&mut source.parties) {
        let name = match keys.remove("name").map(|placed| placed.value) {
            Some(Value::Text(name)) if is_label(&name) => name,
            _ => {
                let what = format!("party.name is to be 1 to {NAME_MAX} of a-z, 0-9 and -");
                source.problem(place.clone(), what);
                String::new()
            }
        };
        let jids = match keys.remove("jids") {
            Some(placed) => read_addresses(source, placed, "party.jids", Kind::Any),
            None => Vec::new(),
        };
        let rights = rights(source, &place, keys.remove("rights"));
        if !name.is_empty() && parties.iter().any(|party| party.name == name) {
            source.problem(place.clone(), format!("two parties are named {name:?}"));
        }
        for jid in &jids {
            if let Some(other) = parties.iter().find(|party| party.jids.contains(jid)) {
                source.problem(
                    place.clone(),
                    format!("{jid} belongs to party {:?} already", other.name),
                );
            }
        }
        parties.push(Party { name, jids, rights });
    }
    parties
}

fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain)
}

fn rights(source: &mut Source, place: &str, placed: Option<Placed>) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    match placed {
        Some(Placed {
            value: Value::List(names),
            place,
            ..
        }) if !names.is_empty() => {
            for name in names {
                match name.parse() {
                    Ok(right) => drop(rights.insert(right)),
                    Err(unknown) => {
                        source.problem(place.clone(), format!("party.rights: {unknown}"))
                    }
                }
            }
        }
        _ => {
            let what = "party.rights is to be a list of rights, such as [\"see\", \"open-url\"]";
            source.problem(place.to_owned(), what.to_owned());
        }
    }
    rights
}
