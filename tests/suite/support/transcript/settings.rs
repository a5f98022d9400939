//! The `set` lines of a transcript: how the component is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::Settings;
use vestibule::component::authorization::{Ceiling, Cell, Interface, Party, Right, Visibility};
use vestibule::component::ending::zone;
use vestibule::component::limits::{Limits, SubscriptionRate};

use super::shorthand::DOMAIN;

/// What holds where a transcript says nothing.
pub(crate) fn default() -> Settings {
    Settings {
        domain: ComponentDomain::parse(DOMAIN).expect("a fixed domain"),
        users: vec![Bare::parse("localhost").expect("a fixed domain")],
        admins: vec![Bare::parse("admin@localhost").expect("a fixed address")],
        neighbours: Vec::new(),
        default_visibility: Visibility::Subscribers,
        timezone: zone("UTC").expect("a fixed zone"),
        parties: Vec::new().into(),
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
pub(crate) fn apply(settings: &mut Settings, line: &str) -> Result<(), String> {
    let (key, value) = line
        .split_once(' ')
        .ok_or_else(|| format!("no value for {line:?}"))?;
    match key {
        "visibility" => {
            settings.default_visibility =
                Visibility::parse(value).ok_or_else(|| format!("no visibility: {value:?}"))?;
        }
        "timezone" => {
            settings.timezone = zone(value).ok_or_else(|| format!("no time zone: {value:?}"))?;
        }
        "users" => settings.users = addresses(value.split(' '))?,
        "neighbours" => settings.neighbours = addresses(value.split(' '))?,
        "admins" => settings.admins = addresses(value.split(' '))?,
        "party" => settings.parties.push(party(value)?),
        "ceiling" => ceiling(settings, value)?,
        "contact" => {
            let (purpose, addresses) = value
                .split_once(' ')
                .ok_or_else(|| format!("no address for {value:?}"))?;
            let addresses = addresses.split(' ').map(ToOwned::to_owned).collect();
            settings.contacts.insert(purpose.to_owned(), addresses);
        }
        "refusals-per-minute" => settings.limits.refusals_per_minute = number(value)?,
        "refusals-burst" => settings.limits.refusals_burst = number(value)?,
        "commands-per-minute-per-watcher" => {
            settings.limits.commands_per_minute_per_watcher = number(value)?;
        }
        "commands-burst-per-watcher" => {
            settings.limits.commands_burst_per_watcher = number(value)?;
        }
        "commands-per-minute-per-user" => {
            settings.limits.commands_per_minute_per_user = number(value)?;
        }
        "commands-burst-per-user" => settings.limits.commands_burst_per_user = number(value)?,
        "open-commands-per-watcher" => {
            settings.limits.open_commands_per_watcher = number(value)? as usize;
        }
        "open-commands-per-user" => {
            settings.limits.open_commands_per_user = number(value)? as usize;
        }
        "statuses-per-hour" => settings.limits.statuses_per_hour = number(value)?,
        "token-guesses-per-hour" => settings.limits.token_guesses_per_hour = number(value)?,
        "pending-per-user" => settings.limits.pending_per_user = number(value)? as usize,
        "pending-per-domain" => settings.limits.pending_per_domain = number(value)? as usize,
        "pending-days" => settings.limits.pending_days = number(value)? as u32,
        "prompt-minutes" => {
            settings.limits.prompt_every = Duration::from_secs_f64(number(value)? * 60.0);
        }
        "sessions-per-watcher" => settings.limits.sessions_per_watcher = number(value)? as usize,
        "sessions" => settings.limits.sessions = number(value)? as usize,
        "broadcasts-per-second" => settings.limits.broadcasts_per_second = number(value)?,
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

/// Applies a `reload` line: a party of the same name is replaced, `without acme` takes one away.
pub(crate) fn change(settings: &mut Settings, line: &str) -> Result<(), String> {
    if let Some(name) = line.strip_prefix("without ") {
        settings.parties.retain(|party| party.name != name);
        return Ok(());
    }
    if let Some(text) = line.strip_prefix("party ") {
        let party = party(text)?;
        settings.parties.retain(|other| other.name != party.name);
    }
    apply(settings, line)
}

/// `open-url ask,ask,no,no` on all interfaces, `dedicated open-url …` on one.
fn ceiling(settings: &mut Settings, text: &str) -> Result<(), String> {
    let mut words: Vec<_> = text.split(' ').collect();
    let interface = match words.first() {
        Some(&"public") => Some(Interface::Public),
        Some(&"dedicated") => Some(Interface::Dedicated),
        _ => None,
    };
    if interface.is_some() {
        words.remove(0);
    }
    let [right, row] = words[..] else {
        return Err(format!("not a right and its row: {text:?}"));
    };
    let right: Right = right.parse().map_err(|error| format!("{error}"))?;
    let cells = row.split(',').map(|word| Cell::parse(word).ok_or(word));
    let cells: Vec<_> = cells
        .collect::<Result<_, _>>()
        .map_err(|word| format!("no such word: {word:?}"))?;
    let row = cells.try_into().map_err(|_| "a row has four words")?;
    settings.ceiling.set(interface, right, row);
    Ok(())
}

/// `acme jids=bot@acme.example,acme.example rights=see,open-url`.
fn party(text: &str) -> Result<Party, String> {
    let mut words = text.split(' ');
    let mut party = Party {
        name: words.next().unwrap_or_default().to_owned(),
        jids: Vec::new(),
        rights: BTreeSet::new(),
        has_link: true,
        has_web: true,
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
