use std::os::unix::fs::PermissionsExt as _;

use super::*;

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
    assert_eq!(config.component.as_str(), "presence.example.org");
    assert_eq!(config.server, None);
    assert_eq!(config.open_url, Policy::Ask);
    assert_eq!(config.opener.to_string(), "xdg-open");
    assert_eq!(config.ask, AskFrom::Terminal);
    assert_eq!(config.level, "info");
    assert!(!format!("{config:?}").contains("pw"));
}

/// The annotated file has every key once, and what stands there as a default is one.
#[test]
fn the_annotated_file_says_what_the_code_does() {
    let all: String = ANNOTATED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let table: toml::Table = all.parse().unwrap();
    for (section, keys) in KEYS {
        let found = if section.is_empty() {
            &table
        } else {
            table[section].as_table().unwrap()
        };
        let found: Vec<_> = found
            .iter()
            .filter(|(_, v)| !v.is_table())
            .map(|(k, _)| k)
            .collect();
        let mut keys = keys.to_vec();
        // The file shows the alternative to password-file in words: both at once are refused.
        keys.retain(|key| *key != "password");
        keys.sort_unstable();
        let mut found: Vec<_> = found.into_iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, keys, "in [{section}]");
    }
    assert!(ANNOTATED.contains("# password = "));
    let plain = parse(ANNOTATED).unwrap();
    let full = parse(&all).unwrap();
    assert_eq!(
        full.server.map(|s| s.to_string()).as_deref(),
        Some("127.0.0.1:5222")
    );
    assert_eq!(
        Config {
            server: None,
            ..full
        },
        plain
    );
    let least = parse(LEAST).unwrap();
    assert_eq!(
        (plain.resource, plain.opener),
        (least.resource, least.opener)
    );
    assert_eq!(
        (plain.open_url, plain.ask, plain.level),
        (least.open_url, least.ask, least.level)
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
