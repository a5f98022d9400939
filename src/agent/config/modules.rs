//! The sections `[module.NAME]` and their arguments, and `[[on-outcome]]`.

use std::time::Duration;

use super::super::argument::{Argument, CHOICES_MAX, Pattern, Type, VALUE_CHARS_MAX, is_name};
use super::super::module::{ARGUMENTS_MAX, MODULES_MAX, Module, PLACES, REACTIONS_MAX, Reaction};
use super::super::program::{Manner, Tell};
use super::super::request::STATES;
use super::super::template::Template;
use super::reader::{Reader, Table};
use super::rules::{FROM, requester};

/// The keys of a module.
pub(super) const KEYS: [&str; 13] = [
    "title",
    "program",
    "arguments",
    "argument",
    "offered",
    "stays",
    "time-limit",
    "directory",
    "environment",
    "pass",
    "desktop",
    "memory",
    "tell",
];
/// The keys of an argument.
pub(super) const ARGUMENT_KEYS: [&str; 7] =
    ["label", "type", "of", "min", "max", "pattern", "default"];
/// The keys of what is run on a report.
pub(super) const REACTION_KEYS: [&str; 5] = ["from", "right", "state", "module", "arguments"];

/// The longest that a module may run, in seconds; one that is meant to stay has `stays`.
const TIME_MAX_S: i64 = 3_600;
/// How long it may run where the file does not say.
const TIME_S: i64 = 20;
/// Characters of titles and labels.
const TITLE_MAX: usize = 100;

const NAME: &str = "a name of a-z, 0-9 and -, at most 64 long";

pub(super) fn read<'a>(reader: &mut Reader<'a>, top: &Table<'a>) -> Vec<Module> {
    let section = reader.table(top, "module");
    let tables = reader.tables(&section);
    if tables.len() > MODULES_MAX {
        reader.wrong(
            top,
            "module",
            format!("expected at most {MODULES_MAX} modules"),
        );
    }
    let modules = tables.into_iter();
    modules
        .filter_map(|(name, table)| module(reader, name, &table))
        .collect()
}

fn module<'a>(reader: &mut Reader<'a>, name: String, table: &Table<'a>) -> Option<Module> {
    reader.only(table, &KEYS);
    if !is_name(&name) {
        reader.problem(table, "", table.line, format!("expected {NAME}"));
    }
    let title = title(reader, table, "title", &name);
    let program = reader.read(table, "program", None, "an absolute path", |text| {
        (text.starts_with('/') && !text.contains('\0')).then(|| text.to_owned())
    });
    let section = reader.table(table, "argument");
    let tables = reader.tables(&section);
    if tables.len() > ARGUMENTS_MAX {
        reader.wrong(
            table,
            "argument",
            format!("expected at most {ARGUMENTS_MAX} arguments"),
        );
    }
    let count = tables.len();
    let arguments: Vec<_> = tables
        .into_iter()
        .filter_map(|(name, table)| argument(reader, name, &table))
        .collect();
    let list = reader.list(table, "arguments").unwrap_or_default();
    let names: Vec<_> = arguments
        .iter()
        .map(|argument| argument.name.as_str())
        .collect();
    // A place whose argument is wrong itself is not told a second time.
    let template = if arguments.len() == count {
        Template::new(program.as_deref().unwrap_or_default(), &list, &names)
            .map_err(|text| reader.wrong(table, "arguments", text))
            .ok()
    } else {
        None
    };
    if let Some(template) = &template
        && let Some(unused) = names.iter().find(|name| !template.uses(name))
    {
        reader.wrong(
            table,
            "arguments",
            format!("{{{unused}}} stands nowhere in it"),
        );
    }
    let manner = manner(reader, table);
    let offered = reader.boolean(table, "offered", true);
    Some(Module {
        title,
        offered,
        program: program?,
        template: template?,
        arguments,
        manner: manner?,
        name,
    })
}

fn title<'a>(reader: &mut Reader<'a>, table: &Table<'a>, key: &str, name: &str) -> String {
    let expected = format!("a text of at most {TITLE_MAX} characters");
    let read = reader.read(table, key, Some(name), &expected, |text| {
        let count = text.chars().count();
        let plain = !text.chars().any(crate::web_address::is_unseen);
        ((1..=TITLE_MAX).contains(&count) && plain).then(|| text.to_owned())
    });
    read.unwrap_or_default()
}

fn manner<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Manner> {
    let stays = reader.boolean(table, "stays", false);
    let limit = reader.number(table, "time-limit", 1, TIME_MAX_S);
    if stays && table.value("time-limit").is_some() {
        reader.wrong(
            table,
            "time-limit",
            "expected either this or stays, not both",
        );
    }
    let directory = reader.read(table, "directory", Some("/"), "an absolute path", |text| {
        (text.starts_with('/') && !text.contains('\0')).then(|| text.into())
    });
    let variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    let pass = reader.list_of(table, "pass", "names of variables", |name| {
        variable(name).then(|| name.to_owned())
    });
    let environment = reader.texts(table, "environment");
    if environment
        .iter()
        .any(|(name, value)| !variable(name) || value.contains('\0'))
    {
        reader.wrong(
            table,
            "environment",
            "expected names of variables with their texts",
        );
    }
    let memory = reader.read(
        table,
        "memory",
        Some("-"),
        "a size as 512MiB or 2GiB",
        |text| {
            if text == "-" {
                Some(None)
            } else {
                size(text).map(Some)
            }
        },
    );
    let tell = reader.word(table, "tell", Some("end"), &["start", "end", "output"]);
    let desktop = reader.boolean(table, "desktop", false);
    let tell = match tell?.as_str() {
        "start" => Tell::Start,
        "output" => Tell::Output,
        _ => Tell::End,
    };
    if stays && tell == Tell::Output {
        reader.wrong(
            table,
            "tell",
            "expected start or end: what stays has no output yet",
        );
    }
    let limit = Duration::from_secs(limit.unwrap_or(TIME_S).unsigned_abs());
    Some(Manner {
        pass,
        environment,
        desktop,
        directory: directory?,
        time_limit: (!stays).then_some(limit),
        memory: memory?,
        tell,
    })
}

/// A size with its unit.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = [("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    let number: u64 = number.parse().ok()?;
    (1..=1 << 20).contains(&number).then(|| number << unit)
}

fn argument<'a>(reader: &mut Reader<'a>, name: String, table: &Table<'a>) -> Option<Argument> {
    reader.only(table, &ARGUMENT_KEYS);
    if !is_name(&name) {
        reader.problem(table, "", table.line, format!("expected {NAME}"));
    }
    let label = title(reader, table, "label", &name);
    let kinds = ["choice", "number", "pattern", "text"];
    let kind = reader.word(table, "type", None, &kinds)?;
    let of_kind: &[&str] = match kind.as_str() {
        "choice" => &["of"],
        "number" => &["min", "max"],
        "pattern" => &["pattern"],
        _ => &["max"],
    };
    for key in ["of", "min", "max", "pattern"] {
        if table.value(key).is_some() && !of_kind.contains(&key) {
            reader.wrong(table, key, format!("not a key of a {kind}"));
        }
    }
    let type_ = type_(reader, table, &kind)?;
    let mut argument = Argument {
        name,
        label,
        type_,
        default: None,
    };
    if table.value("default").is_some() {
        let default = reader.read(table, "default", None, "a text", |text| {
            Some(text.to_owned())
        })?;
        if let Err(text) = argument.check(&default) {
            reader.wrong(table, "default", text);
        }
        argument.default = Some(default);
    }
    Some(argument)
}

fn type_<'a>(reader: &mut Reader<'a>, table: &Table<'a>, kind: &str) -> Option<Type> {
    Some(match kind {
        "choice" => {
            let of = reader.list_of(table, "of", "texts that can be seen", |text| {
                let plain = !text
                    .chars()
                    .any(|c| c.is_control() || crate::web_address::is_unseen(c));
                (plain && text.len() <= VALUE_CHARS_MAX).then(|| text.to_owned())
            });
            if of.is_empty() || of.len() > CHOICES_MAX {
                reader.wrong(table, "of", format!("expected one to {CHOICES_MAX} texts"));
            }
            Type::Choice(of)
        }
        "number" => {
            let bound = |reader: &mut Reader<'a>, key| {
                if table.value(key).is_none() {
                    reader.wrong(table, key, "missing; expected a whole number");
                }
                reader.number(table, key, i64::MIN, i64::MAX)
            };
            let (min, max) = (bound(reader, "min"), bound(reader, "max"));
            let (min, max) = (min?, max?);
            if min > max {
                reader.wrong(table, "max", "expected at least min");
            }
            Type::Number(min, max)
        }
        "pattern" => {
            let source = reader.read(table, "pattern", None, "a regular expression", |text| {
                Some(text.to_owned())
            })?;
            match Pattern::new(&source) {
                Ok(pattern) => Type::Pattern(pattern),
                Err(error) => {
                    let text = format!("expected a regular expression: {error}");
                    reader.wrong(table, "pattern", text.lines().collect::<Vec<_>>().join(" "));
                    return None;
                }
            }
        }
        _ => {
            if table.value("max").is_none() {
                reader.wrong(
                    table,
                    "max",
                    "missing; expected the greatest number of characters",
                );
            }
            let max = reader.number(
                table,
                "max",
                1,
                VALUE_CHARS_MAX.try_into().unwrap_or(i64::MAX),
            )?;
            Type::Text(usize::try_from(max).unwrap_or(VALUE_CHARS_MAX))
        }
    })
}

/// What is run on reports.
pub(super) fn reactions<'a>(
    reader: &mut Reader<'a>,
    top: &Table<'a>,
    modules: &[Module],
) -> Vec<Reaction> {
    let tables = reader.list_of_tables(top, "on-outcome", REACTIONS_MAX);
    let mut found = Vec::new();
    for table in tables {
        reader.only(&table, &REACTION_KEYS);
        let from = reader.list_of(&table, "from", FROM, requester);
        let right = reader.list_of(&table, "right", "rights", |text| text.parse().ok());
        let states = STATES.join(", ");
        let state = reader.list_of(&table, "state", &states, |text| {
            STATES.contains(&text).then(|| text.to_owned())
        });
        let arguments = reader.texts(&table, "arguments");
        let name = reader.read(&table, "module", None, "the name of a module", |text| {
            Some(text.to_owned())
        });
        let Some(name) = name else { continue };
        let Some(module) = modules.iter().find(|module| module.name == name) else {
            reader.wrong(&table, "module", "there is no such module");
            continue;
        };
        check(reader, &table, module, &arguments);
        found.push(Reaction {
            from,
            right,
            state,
            module: name,
            arguments,
        });
    }
    found
}

/// Whether a module takes these arguments, as far as they are known before a report.
fn check<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    module: &Module,
    arguments: &std::collections::BTreeMap<String, String>,
) {
    for (name, text) in arguments {
        let Some(argument) = module.arguments.iter().find(|one| one.name == *name) else {
            let text = format!("{} has no argument {name}", module.name);
            reader.wrong(table, "arguments", text);
            continue;
        };
        let place = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        if place.is_some_and(|place| PLACES.contains(&place)) {
            continue;
        }
        if let Err(problem) = argument.check(text) {
            let places = PLACES.map(|place| format!("{{{place}}}")).join(", ");
            let text = format!("{problem}; a place is one of {places}");
            reader.wrong(table, "arguments", text);
        }
    }
    let missing = module
        .arguments
        .iter()
        .find(|one| one.default.is_none() && !arguments.contains_key(&one.name));
    if let Some(missing) = missing {
        reader.wrong(table, "arguments", format!("{} is missing", missing.name));
    }
}
