use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::agent::rules::Rules;
use std::collections::{BTreeMap, BTreeSet};

const ANNOTATED: &str = include_str!("../../../config/vestibule-agent.toml");

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(text, true, &|file| match file {
        "good" | "agent-password" => Ok("pw".to_owned()),
        other => Err(format!("cannot read {other}")),
    })
    .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

const LEAST: &str =
    "jid = 'alice@example.org'\npassword-file = 'good'\ncomponent = 'presence.example.org'\n";

#[test]
fn the_least_file_has_the_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.jid.as_str(), "alice@example.org");
    assert_eq!(config.password.0, "pw");
    assert_eq!(config.resource, "vestibule-agent");
    let settings = &config.settings;
    assert_eq!(settings.component.as_str(), "presence.example.org");
    assert_eq!(config.server, None);
    let rules = &settings.rules;
    assert_eq!(
        [
            rules.open_url,
            rules.notify,
            rules.start_module,
            rules.activate_client
        ],
        [Policy::Ask, Policy::Always, Policy::Ask, Policy::Ask]
    );
    assert!(format!("{:?}", settings.opener).contains("xdg-open"));
    assert!(settings.modules.is_empty() && settings.client.is_none());
    assert_eq!(config.ask, AskFrom::Auto);
    assert_eq!((config.level.as_str(), &config.log_file), ("info", &None));
    assert!(
        config
            .state_file()
            .ends_with("vestibule-agent/alice@example.org_vestibule-agent.jsonl")
    );
    assert!(!format!("{config:?}").contains("pw"));
}

/// The annotated file has every key, what stands there as a default is one, and its examples can be read.
#[test]
fn the_annotated_file_says_what_the_code_does() {
    let all: String = ANNOTATED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let table: toml::Table = all.parse().unwrap();
    let keys_of = |table: &toml::Table| -> BTreeSet<String> {
        let plain = table.iter().filter(|(_, value)| !value.is_table());
        plain.map(|(key, _)| key.clone()).collect()
    };
    let set =
        |keys: &[&str]| -> BTreeSet<String> { keys.iter().map(ToString::to_string).collect() };
    for (section, keys) in KEYS {
        let found = if section.is_empty() {
            &table
        } else {
            table[section].as_table().unwrap()
        };
        let mut found = keys_of(found);
        // Lists of tables are sections of their own.
        found.retain(|key| !SECTIONS.contains(&key.as_str()));
        let mut keys = set(keys);
        // The file shows the alternative to password-file in words: both at once are refused.
        keys.remove("password");
        assert_eq!(found, keys, "in [{section}]");
    }
    let modules = table["module"].as_table().unwrap().values();
    let modules: Vec<_> = modules.map(|module| module.as_table().unwrap()).collect();
    let mut found: BTreeSet<_> = modules
        .iter()
        .flat_map(|module| module.keys().cloned())
        .collect();
    assert_eq!(found, set(&modules::KEYS));
    let arguments = modules
        .iter()
        .filter_map(|module| module.get("argument")?.as_table());
    found = arguments
        .flat_map(toml::Table::values)
        .flat_map(|argument| keys_of(argument.as_table().unwrap()))
        .collect();
    assert_eq!(found, set(&modules::ARGUMENT_KEYS));
    for (name, keys) in [
        ("rule", &rules::KEYS[..]),
        ("on-outcome", &modules::REACTION_KEYS),
    ] {
        let tables = table[name].as_array().unwrap().iter();
        found = tables
            .flat_map(|one| one.as_table().unwrap().keys().cloned())
            .collect();
        assert_eq!(found, set(keys), "in [[{name}]]");
    }
    assert!(ANNOTATED.contains("# password = "));

    let plain = parse(ANNOTATED).unwrap();
    let full = parse(&all).unwrap();
    let least = parse(LEAST).unwrap();
    let settings = |config: &Config| format!("{:?}", config.settings);
    assert_eq!(settings(&plain), settings(&least));
    let rest = |config: &Config| {
        let Config {
            resource,
            ask,
            level,
            ..
        } = config;
        (resource.clone(), *ask, level.clone())
    };
    assert_eq!(rest(&plain), rest(&least));
    assert_eq!(rest(&full), rest(&least));
    // What is commented out shows defaults, but for what has none.
    let (shown, rules) = (&full.settings, &full.settings.rules);
    assert_eq!(rules.list.len(), 2);
    let without_rules = Rules {
        list: Vec::new(),
        ..rules.clone()
    };
    assert_eq!(
        (&without_rules, &shown.opener),
        (&least.settings.rules, &least.settings.opener)
    );
    let manner = |index: usize| shown.modules[index].manner.clone();
    let short = parse(&format!("{LEAST}[module.a]\nprogram = '/bin/a'\n")).unwrap();
    let default = short.settings.modules[0].manner.clone();
    let shown_default = Manner {
        pass: vec![],
        environment: BTreeMap::new(),
        memory: None,
        ..manner(0)
    };
    assert_eq!(shown_default, default);
    assert_eq!(manner(1).time_limit, None);
    assert_eq!(shown.modules[0].arguments.len(), 4);
    assert!(shown.client.is_some() && shown.reactions.len() == 1);
}

/// One thing wrong in a module or a rule, and how it is told.
#[test]
fn what_is_wrong_with_modules_and_rules_is_told() {
    let module = "[module.m]\nprogram = '/bin/m'\narguments = ['{a}']\n[module.m.argument.a]\ntype = 'text'\nmax = 5\n";
    assert_eq!(
        parse(&format!("{LEAST}{module}"))
            .unwrap()
            .settings
            .modules
            .len(),
        1
    );
    let changed = |from: &str, to: &str| format!("{LEAST}{}", module.replace(from, to));
    let added = |text: &str| format!("{LEAST}{module}{text}");
    for (text, expected) in [
        (changed("module.m", "module.M"), "module.M: expected a name"),
        (
            changed("'/bin/m'", "'m'"),
            "module.m.program: expected an absolute path",
        ),
        (
            changed("'{a}'", "'{b}'"),
            "module.m.arguments: there is no argument b",
        ),
        (
            changed("'{a}'", "'x{a}'"),
            "module.m.arguments: {a} stands alone",
        ),
        (
            changed("'{a}'", "'x'"),
            "module.m.arguments: {a} stands nowhere",
        ),
        (
            changed("/bin/m", "/bin/sh"),
            "module.m.arguments: sh would read the value",
        ),
        (
            changed("'text'", "'words'"),
            "module.m.argument.a.type: expected one of choice",
        ),
        (changed("max = 5", ""), "module.m.argument.a.max: missing"),
        (
            changed("max = 5", "max = 0"),
            "module.m.argument.a.max: expected a whole number",
        ),
        (
            changed("max = 5", "max = 5\nmin = 1"),
            "module.m.argument.a.min: not a key of a text",
        ),
        (
            changed("max = 5", "max = 5\ndefault = 'abcdef'"),
            "module.m.argument.a.default: a is longer",
        ),
        (
            changed("'text'\nmax = 5", "'number'\nmin = 2\nmax = 1"),
            "module.m.argument.a.max: expected at least min",
        ),
        (
            changed("'text'\nmax = 5", "'pattern'\npattern = '('"),
            "module.m.argument.a.pattern: expected a regular",
        ),
        (
            changed("'text'\nmax = 5", "'choice'\nof = []"),
            "module.m.argument.a.of: expected",
        ),
        (
            changed("arguments =", "time-limit = 0\narguments ="),
            "module.m.time-limit: expected a whole number",
        ),
        (
            changed("arguments =", "stays = true\ntime-limit = 5\narguments ="),
            "module.m.time-limit: expected either",
        ),
        (
            changed("arguments =", "memory = 'much'\narguments ="),
            "module.m.memory: expected a size",
        ),
        (
            changed("arguments =", "tell = 'all'\narguments ="),
            "module.m.tell: expected one of start",
        ),
        (
            changed("arguments =", "pass = ['A=B']\narguments ="),
            "module.m.pass: expected a list of names",
        ),
        (
            changed("arguments =", "shell = true\narguments ="),
            "module.m.shell: not a key of this section",
        ),
        (
            added("[[rule]]\nright = ['notify']\n"),
            "rule.policy: missing",
        ),
        (
            added("[[rule]]\npolicy = 'ask'\nright = ['see']\n"),
            "rule.right: expected a list of open-url",
        ),
        (
            added("[[rule]]\npolicy = 'ask'\nfrom = []\n"),
            "rule.from: expected a list of addresses",
        ),
        (
            added("[[rule]]\npolicy = 'ask'\nfrom = ['a@b/c']\n"),
            "rule.from: expected a list of addresses",
        ),
        (
            added("[[rule]]\npolicy = 'ask'\ndomain = ['a.example/x']\n"),
            "rule.domain: expected a list of domains",
        ),
        (
            added("[[rule]]\npolicy = 'ask'\nright = ['notify']\ndomain = ['a.example']\n"),
            "rule.domain: domain is for open-url",
        ),
        (
            added("[[rule]]\npolicy = 'never'\nmodule = ['n']\n"),
            "rule.module: expected a list of names of modules of this file",
        ),
        (
            added("[[on-outcome]]\nmodule = 'x'\n"),
            "on-outcome.module: there is no such module",
        ),
        (
            added("[[on-outcome]]\nmodule = 'm'\n"),
            "on-outcome.arguments: a is missing",
        ),
        (
            added("[[on-outcome]]\nmodule = 'm'\narguments = { a = '{txt}', b = '' }\n"),
            "on-outcome.arguments: m has no argument b",
        ),
        (
            added("[[on-outcome]]\nmodule = 'm'\narguments = { a = 'abcdef' }\n"),
            "on-outcome.arguments: a is longer",
        ),
        (added("[rule]\npolicy = 'ask'\n"), "rule: expected [[rule]]"),
        (
            format!("{LEAST}[activate-client]\nprogram = []\n"),
            "activate-client.program: expected a list",
        ),
    ] {
        let problems = parse(&text).map(|_| ()).unwrap_err();
        assert!(
            problems[0].contains(expected),
            "{problems:?}, expected {expected:?}"
        );
    }
}

#[test]
fn programs_that_are_not_there_are_warned_about() {
    let text = format!(
        "{LEAST}[module.a]\nprogram = '/bin/true'\n[module.b]\nprogram = '/nonexistent'\n[module.c]\nprogram = '/etc/passwd'\n"
    );
    assert_eq!(
        parse(&text).unwrap().warnings(),
        [
            "module.b.program: /nonexistent is not there",
            "module.c.program: /etc/passwd is not a program"
        ]
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let text = "jid = 'example.org'\n\
                password = 'x'\n\
                password-file = 'good'\n\
                server = '192.0.2.1:5222'\n\
                resource = ''\n\
                colour = 'red'\n\
                [open-url]\n\
                policy = 'sometimes'\n\
                opener = ['sh', '-c', 'xdg-open {url}']\n\
                when = 1\n\
                [ask]\n\
                from = 1\n\
                [log]\n\
                level = 'loud'\n\
                [extra]\n";
    let problems = parse(text).unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|problem| problem.split(": expected").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "line 1: jid",
            "line 3: password-file",
            "line 4: server",
            "line 5: resource",
            "line 6: colour: not a key of this file",
            "line 8: open-url.policy",
            "line 9: open-url.opener",
            "line 10: open-url.when: not a key of this section",
            "line 12: ask.from",
            "line 14: log.level",
            "line 15: extra: not a key of this file",
            "component: missing; expected a domain as presence.example.org",
        ]
    );
}

#[test]
fn what_is_no_toml_and_no_section_is_told() {
    assert!(parse("jid = ").unwrap_err()[0].starts_with("line 1: "));
    let problems = parse(&format!("{LEAST}log = 'info'\n")).unwrap_err();
    assert_eq!(problems, ["line 4: log: expected a section [log]"]);
    let problems = parse(&LEAST.replace("'good'", "'bad'")).unwrap_err();
    assert_eq!(problems, ["line 2: password-file: cannot read bad"]);
    let problems = parse(&LEAST.replace("password-file = 'good'", "")).unwrap_err();
    assert_eq!(
        problems,
        ["password-file: missing; expected this or password"]
    );
    let address = format!("{LEAST}server = '[::1]:5222'\n");
    assert!(parse(&address).unwrap().server.is_some());
}

#[test]
fn passwords_that_others_may_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let told = |path: &Path| Config::read(path).map_err(|problems| problems[0].to_string());
    file("good", "pw\n", 0o600);
    let path = file("agent.toml", LEAST, 0o644);
    assert_eq!(told(&path).unwrap().password.0, "pw");
    file("good", "pw\n", 0o640);
    assert!(
        told(&path)
            .unwrap_err()
            .starts_with("line 2: password-file: others may read")
    );
    file("good", "\n", 0o600);
    assert!(told(&path).unwrap_err().ends_with("is empty"));
    let inline = LEAST.replace("password-file = 'good'", "password = 'pw'");
    let path = file("inline.toml", &inline, 0o600);
    assert_eq!(told(&path).unwrap().password.0, "pw");
    let path = file("inline.toml", &inline, 0o604);
    assert!(
        told(&path)
            .unwrap_err()
            .starts_with("line 2: password: others may read this file")
    );
    assert!(
        told(&folder.path().join("none"))
            .unwrap_err()
            .starts_with("cannot read it")
    );
}
