//! The policies of the sections, and `[[rule]]`.

use super::super::request::{INTERFACES, LEVELS, Task};
use super::super::rules::{Policy, RULES_MAX, Rule, Rules};
use super::reader::{Reader, Table};
use crate::address::Bare;

/// The keys of a rule.
pub(super) const KEYS: [&str; 7] = [
    "policy",
    "from",
    "level",
    "interface",
    "right",
    "domain",
    "module",
];
/// What requesters are.
pub(super) const FROM: &str = "addresses without a resource, or domains";

/// A requester as a file names it.
pub(super) fn requester(text: &str) -> Option<Bare> {
    Bare::parse(text).ok()
}

pub(super) fn policy<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    default: Option<&str>,
) -> Option<Policy> {
    let word = reader.word(table, "policy", default, &["ask", "always", "never"])?;
    Some(match word.as_str() {
        "always" => Policy::Always,
        "never" => Policy::Never,
        _ => Policy::Ask,
    })
}

/// All of them; `defaults` are those of `open-url`, `notify`, `start-module` and `activate-client`.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    top: &Table<'a>,
    defaults: [Option<Policy>; 4],
) -> Option<Rules> {
    let tables = reader.list_of_tables(top, "rule", RULES_MAX);
    // By the names alone, so that a module that is wrong itself is not told twice.
    let named = top
        .value("module")
        .and_then(|value| value.get_ref().as_table());
    let names: Vec<_> = named
        .into_iter()
        .flatten()
        .map(|(name, _)| name.get_ref().to_string())
        .collect();
    let list: Vec<_> = tables
        .iter()
        .map(|table| rule(reader, table, &names))
        .collect();
    let [open_url, notify, start_module, activate_client] = defaults;
    Some(Rules {
        open_url: open_url?,
        notify: notify?,
        start_module: start_module?,
        activate_client: activate_client?,
        list: list.into_iter().collect::<Option<_>>()?,
    })
}

fn rule<'a>(reader: &mut Reader<'a>, table: &Table<'a>, modules: &[String]) -> Option<Rule> {
    reader.only(table, &KEYS);
    let policy = policy(reader, table, None);
    let words = |reader: &mut Reader<'a>, key, words: &[&str]| {
        reader.list_of(table, key, &words.join(", "), |text| {
            words.contains(&text).then(|| text.to_owned())
        })
    };
    let level = words(reader, "level", &LEVELS);
    let interface = words(reader, "interface", &INTERFACES);
    let from = reader.list_of(table, "from", FROM, requester);
    let rights = "open-url, notify, start-module, activate-client";
    let right = reader.list_of(table, "right", rights, |text| {
        Task::named(text).filter(|task| *task != Task::Outcome)
    });
    let domain = reader.list_of(table, "domain", "domains as example.org", domain);
    // A name that is mistyped in a rule that forbids would forbid nothing.
    let module = reader.list_of(table, "module", "names of modules of this file", |text| {
        modules
            .iter()
            .any(|name| name == text)
            .then(|| text.to_owned())
    });
    let mut only = |key: &str, task: Task| {
        let other = right.iter().any(|one| *one != task);
        if table.value(key).is_some() && other {
            let text = format!("{key} is for {} only", task.as_str());
            reader.wrong(table, key, text);
        }
    };
    only("domain", Task::OpenUrl);
    only("module", Task::StartModule);
    Some(Rule {
        from,
        level,
        interface,
        right,
        domain,
        module,
        policy: policy?,
    })
}

/// A domain as it stands in a checked address: in lower case and punycode.
fn domain(text: &str) -> Option<String> {
    let address = crate::web_address::check(&format!("https://{text}/")).ok()?;
    // Nothing but a host: no port, no path, no user.
    (address.as_str() == format!("https://{}/", address.host())).then(|| address.host().to_owned())
}
