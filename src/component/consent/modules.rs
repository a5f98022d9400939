//! Which programs of her agents a watcher may start, and whether its name stands beside a status that it
//! sets: the form in two pages, the line of chat, and the change. It is stored with the watcher's grant.

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::{DataForm, Field, FieldType};

use super::super::authorization::Right;
use super::super::ending::word;
use super::super::form::{Fields, choice, field};
use super::super::limits::{FORM_BYTES_MAX, MODULES_PER_GRANT_MAX};
use super::super::modules::is_name;
use super::super::record::{Change, Grant};
use super::super::reply::Refusal;
use super::super::setting::What;
use super::super::state::User;
use super::super::watcher::Watcher;
use super::super::whom::{self, Named};
use super::super::{Component, Turn, offer};
use super::{Own, bad};
use crate::address::{Address, Bare};
use crate::component::authorization::Interface;
use crate::stanza::size::value_bytes;

/// What she says about the grants of a watcher, a domain, or the addresses of a party; absent: as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Choice {
    pub(in super::super) who: Vec<Bare>,
    pub(in super::super) modules: Option<BTreeSet<String>>,
    pub(in super::super) unsigned: Option<bool>,
}

/// The grants that this is about.
fn concerned(known: &User) -> impl Iterator<Item = (&Bare, &Grant)> {
    known.grants().iter().filter(|(_, grant)| {
        grant.rights.contains(&Right::StartModule) || grant.rights.contains(&Right::SetStatus)
    })
}

/// What her agents can start now: name, and title with arguments.
fn offered(core: &Component, turn: &Turn, user: &Bare) -> Vec<(String, String)> {
    let own = Watcher {
        bare: user.clone(),
        interface: Interface::Public,
        token: None,
    };
    let Some(known) = core.state.user(user) else {
        return Vec::new();
    };
    offer::modules((user, known), &own, turn.now)
        .into_iter()
        .map(|(name, module)| (name.to_owned(), module.told()))
        .collect()
}

/// The form: about the one watcher that it can be about, else which; `None` where there is none.
pub(super) fn form(core: &Component, turn: &Turn, user: &Bare) -> Option<DataForm> {
    let known = core.state.user(user)?;
    let mut who = concerned(known);
    let first = who.next()?;
    let fields = match who.next() {
        None => about(core, turn, user, first),
        Some(_) => {
            let who: Vec<_> = concerned(known)
                .map(|(jid, _)| (jid, jid.shown()))
                .scan(0, |bytes, (jid, shown)| {
                    *bytes += 50 + value_bytes(jid.as_str()) + value_bytes(&shown);
                    (*bytes <= FORM_BYTES_MAX).then_some((jid.as_str(), shown))
                })
                .collect();
            let who: Vec<_> = who
                .iter()
                .map(|(jid, shown)| (*jid, shown.as_str()))
                .collect();
            vec![choice(
                "who",
                FieldType::ListSingle,
                "Whom it is about",
                &who,
                &[],
            )]
        }
    };
    Some(Own::Modules.filled(INSTRUCTIONS, fields))
}

const INSTRUCTIONS: &str =
    "Programs are those of your agents. What is not chosen cannot be started.";

/// The second page, where the first has named a watcher and no more.
pub(super) fn next_page(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    fields: &Fields,
) -> Option<DataForm> {
    let said = ["modules", "unsigned", "page"]
        .iter()
        .any(|var| fields.all(var).is_some());
    match said {
        true => None,
        false => of_whom(core, turn, user, fields),
    }
}

/// What there is to choose for the watcher that is named.
pub(super) fn of_whom(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    fields: &Fields,
) -> Option<DataForm> {
    let known = core.state.user(user)?;
    let who = Address::parse(&fields.text("who")?).ok()?.bare;
    let grant = concerned(known).find(|(jid, _)| **jid == who)?;
    Some(Own::Modules.filled(INSTRUCTIONS, about(core, turn, user, grant)))
}

fn about(core: &Component, turn: &Turn, user: &Bare, who: (&Bare, &Grant)) -> Vec<Field> {
    let (jid, grant) = who;
    let mut fields = vec![
        Field::new("who", FieldType::Hidden).with_value(jid.as_str()),
        // Some clients leave out a field of which nothing is chosen.
        Field::new("page", FieldType::Hidden).with_value("2"),
    ];
    if grant.rights.contains(&Right::StartModule) {
        let mut options = offered(core, turn, user);
        let away = grant.modules.iter().filter(|name| {
            let is_it = |(offered, _): &(String, String)| offered == *name;
            !options.iter().any(is_it)
        });
        let away: Vec<_> = away
            .map(|name| (name.clone(), format!("{name} (not there now)")))
            .collect();
        options.extend(away);
        let mut bytes = 0;
        options.retain(|(name, told)| {
            bytes += 50 + name.len() + value_bytes(told);
            bytes <= FORM_BYTES_MAX
        });
        let options: Vec<_> = options
            .iter()
            .map(|(name, told)| (name.as_str(), told.as_str()))
            .collect();
        let chosen: Vec<_> = grant.modules.iter().map(String::as_str).collect();
        let label = format!("Programs that {} may start", jid.shown());
        fields.push(choice(
            "modules",
            FieldType::ListMulti,
            &label,
            &options,
            &chosen,
        ));
    }
    if grant.rights.contains(&Right::SetStatus) {
        let label = format!("Do not show others that {} has set my status", jid.shown());
        let unsigned = if grant.unsigned { "1" } else { "0" };
        fields.push(field(
            "unsigned",
            FieldType::Boolean,
            &label,
            Some(unsigned),
        ));
    }
    fields
}

/// What was submitted.
pub(super) fn read(fields: &Fields) -> Result<What, Refusal> {
    let watcher = Address::parse(&fields.required("who")?)
        .map_err(|_| bad("The field who is not an address."))?
        .bare;
    let names = fields.all("modules");
    let is_page = fields.all("page").is_some();
    let modules = match names {
        Some(names) => Some(read_names(names.iter().map(String::as_str))?),
        None => is_page.then(BTreeSet::new),
    };
    let unsigned = fields.boolean("unsigned")?;
    Ok(What::Modules(Choice {
        who: vec![watcher],
        modules,
        unsigned,
    }))
}

fn read_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<BTreeSet<String>, Refusal> {
    let read = |name: &'a str| match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Refusal::BadPayload(format!(
            "“{name}” is not the name of a program."
        ))),
    };
    let names: BTreeSet<_> = names
        .filter(|name| !name.is_empty())
        .map(read)
        .collect::<Result<_, _>>()?;
    match names.len() <= MODULES_PER_GRANT_MAX {
        true => Ok(names),
        false => Err(Refusal::BadPayload(format!(
            "At most {MODULES_PER_GRANT_MAX} programs can be named."
        ))),
    }
}

/// What a line of chat says behind its first word, `modules` or `unsigned`; without more it asks how it is.
pub(in super::super) fn read_line(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    first: &str,
    rest: &str,
) -> Result<What, String> {
    if rest.is_empty() {
        return Err(standing(core, turn, user));
    }
    let (who, rest) = word(rest);
    let whom = || format!("Whom? As in “{first} bot@example.org {}”.", example(first));
    let named = whom::grantees(core, std::iter::once(who)).map_err(|_| whom())?;
    let mut choice = Choice {
        who: named.iter().flat_map(Named::addresses).cloned().collect(),
        modules: None,
        unsigned: None,
    };
    if first == "unsigned" {
        choice.unsigned = match rest.to_lowercase().as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => return Err(whom()),
        };
        return Ok(What::Modules(choice));
    }
    let names = match rest.to_lowercase().as_str() {
        "" => return Err(whom()),
        "none" => BTreeSet::new(),
        "all" => offered(core, turn, user)
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        _ => {
            let words = rest.split([' ', ',', '\t', '\n']);
            read_names(words).map_err(|refusal| refusal.sentence())?
        }
    };
    choice.modules = Some(names);
    Ok(What::Modules(choice))
}

fn example(first: &str) -> &'static str {
    match first {
        "unsigned" => "yes",
        _ => "agenda",
    }
}

/// What can be started, and who may.
pub(super) fn standing(core: &Component, turn: &Turn, user: &Bare) -> String {
    let mut lines: Vec<_> = offered(core, turn, user)
        .into_iter()
        .map(|(name, told)| format!("{name} – {told}"))
        .collect();
    if lines.is_empty() {
        lines.push("No agent of yours that can start a program is online.".to_owned());
    }
    if let Some(known) = core.state.user(user) {
        lines.extend(concerned(known).map(|(who, grant)| line(who, grant)));
    }
    super::super::words::lines(&lines, super::super::limits::BODY_BYTES_MAX)
}

/// What a grant says of programs and names, in a person's words.
pub(in super::super) fn line(who: &Bare, grant: &Grant) -> String {
    let mut parts = Vec::new();
    if grant.rights.contains(&Right::StartModule) {
        let names: Vec<_> = grant.modules.iter().map(String::as_str).collect();
        parts.push(match names.is_empty() {
            true => "may start no program yet (“modules WHO NAME…” names them)".to_owned(),
            false => format!("may start: {}", names.join(", ")),
        });
    }
    if grant.rights.contains(&Right::SetStatus) && grant.unsigned {
        parts.push("may set your status without its name".to_owned());
    }
    format!("{} {}.", who.shown(), parts.join("; "))
}

/// Finds the changes, and what she is told of them.
pub(in super::super) fn plan(
    known: &User,
    user: &Bare,
    choice: &Choice,
) -> Result<(Vec<Change>, String), Refusal> {
    let needed = match choice.modules {
        Some(_) => Right::StartModule,
        None => Right::SetStatus,
    };
    let takes = choice.modules.as_ref().is_some_and(BTreeSet::is_empty);
    let mut changes = Vec::new();
    let mut told = Vec::new();
    for watcher in &choice.who {
        let grant = known.grants().get(watcher);
        let Some(grant) = grant.filter(|grant| takes || grant.rights.contains(&needed)) else {
            continue;
        };
        let mut value = grant.clone();
        if let Some(modules) = &choice.modules {
            value.modules.clone_from(modules);
        }
        if let Some(unsigned) = choice.unsigned {
            value.unsigned = unsigned;
        }
        told.extend(sentences(watcher, choice, &value));
        changes.push(Change::Grant {
            user: user.clone(),
            watcher: watcher.clone(),
            value: Some(value),
        });
    }
    if changes.is_empty() {
        let who: Vec<_> = choice.who.iter().map(Bare::shown).collect();
        let who = who.join(", ");
        return Err(Refusal::BadPayload(format!(
            "{who} has no grant of {needed}. Give it first, as in “grant {who} {needed}”."
        )));
    }
    Ok((changes, told.join(" ")))
}

fn sentences(watcher: &Bare, choice: &Choice, grant: &Grant) -> Vec<String> {
    let who = watcher.shown();
    let mut told = Vec::new();
    if grant.rights.contains(&Right::StartModule) {
        let names: Vec<_> = grant.modules.iter().map(String::as_str).collect();
        told.push(match names.is_empty() {
            true => format!("{who} may start no program."),
            false => format!("{who} may now start: {}.", names.join(", ")),
        });
    }
    if grant.rights.contains(&Right::SetStatus) && choice.unsigned.is_some() {
        told.push(match grant.unsigned {
            true => format!("A status that {who} sets from now on is shown without its name."),
            false => format!("A status that {who} sets from now on is shown with its name."),
        });
    }
    told
}
