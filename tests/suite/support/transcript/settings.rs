//! The `set` lines of a transcript: how the component is configured.

use std::collections::{BTreeMap, BTreeSet};

use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::Settings;
use vestibule::component::authorization::{Ceiling, Party, Right, Visibility};
use vestibule::component::ending::zone;
use vestibule::component::limits::{Limits, SubscriptionRate};

use super::script::Script;
use super::shorthand::DOMAIN;

/// What holds where a transcript says nothing.
pub(crate) fn default() -> Settings {
    Settings {
        domain: ComponentDomain::parse(DOMAIN).expect("a fixed domain"),
        users: vec![Bare::parse("localhost").expect("a fixed domain")],
        admins: vec![Bare::parse("admin@localhost").expect("a fixed address")],
        default_visibility: Visibility::Subscribers,
        timezone: zone("UTC").expect("a fixed zone"),
        parties: Vec::new(),
        ceiling: Ceiling::default(),
        limits: Limits {
            // A file that is about the pace says so.
            subscriptions_per_minute: SubscriptionRate::PerMinute(0),
            ..Limits::default()
        },
        contacts: BTreeMap::new(),
    }
}

/// Applies one line without its `set`.
pub(crate) fn apply(script: &mut Script, line: &str) -> Result<(), String> {
    let (key, value) = line
        .split_once(' ')
        .ok_or_else(|| format!("no value for {line:?}"))?;
    let settings = &mut script.settings;
    match key {
        "visibility" => {
            settings.default_visibility =
                Visibility::parse(value).ok_or_else(|| format!("no visibility: {value:?}"))?;
        }
        "timezone" => {
            settings.timezone = zone(value).ok_or_else(|| format!("no time zone: {value:?}"))?;
        }
        "users" => settings.users = addresses(value.split(' '))?,
        "admins" => settings.admins = addresses(value.split(' '))?,
        "party" => settings.parties.push(party(value)?),
        "contact" => {
            let (purpose, addresses) = value
                .split_once(' ')
                .ok_or_else(|| format!("no address for {value:?}"))?;
            let addresses = addresses.split(' ').map(ToOwned::to_owned).collect();
            settings.contacts.insert(purpose.to_owned(), addresses);
        }
        "probe-rate-per-watcher" => settings.limits.probe_rate_per_watcher = number(value)?,
        "probe-burst-per-watcher" => settings.limits.probe_burst_per_watcher = number(value)?,
        "probe-rate-per-domain" => settings.limits.probe_rate_per_domain = number(value)?,
        "probe-burst-per-domain" => settings.limits.probe_burst_per_domain = number(value)?,
        "subscriptions-per-minute" if value == "auto" => {
            settings.limits.subscriptions_per_minute = SubscriptionRate::Auto;
        }
        "subscriptions-per-minute" => {
            let n = value
                .parse()
                .map_err(|_| format!("not a number: {value:?}"))?;
            settings.limits.subscriptions_per_minute = SubscriptionRate::PerMinute(n);
        }
        _ => return Err(format!("no such setting: {line:?}")),
    }
    Ok(())
}

/// `acme jids=bot@acme.example,acme.example rights=see,open-url`.
fn party(text: &str) -> Result<Party, String> {
    let mut words = text.split(' ');
    let mut party = Party {
        name: words.next().unwrap_or_default().to_owned(),
        jids: Vec::new(),
        rights: BTreeSet::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("jids", jids)) => party.jids = addresses(jids.split(','))?,
            Some(("rights", rights)) => {
                party.rights = rights
                    .split(',')
                    .map(|right| right.parse::<Right>().map_err(|error| error.to_string()))
                    .collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("what does this mean for a party? {word:?}")),
        }
    }
    Ok(party)
}

fn addresses<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<Bare>, String> {
    words
        .map(|word| Bare::parse(word).map_err(|error| error.to_string()))
        .collect()
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}
