use std::os::unix::fs::PermissionsExt;

use super::*;

const GOOD: &str = "[component]\ndomain = \"presence.localhost\"\nsecret = \"s3kr1t\"\n[users]\ndomains = [\"localhost\"]\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vestibule.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let prefix = format!("{}/", folder.path().display());
    Config::load(&path, environment).map_err(|problems| {
        problems
            .0
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""))
            .collect()
    })
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load(text, environment).err().unwrap_or_default()
}

#[test]
fn the_least_has_defaults() {
    let config = load(GOOD, &[]).unwrap();
    assert_eq!(config.link.server, "127.0.0.1:5347");
    assert_eq!(config.link.secret, "s3kr1t");
    assert_eq!(config.store, PathBuf::from("/var/lib/vestibule"));
    assert_eq!(
        (config.min_free, config.level, config.format),
        (64 << 20, Level::Info, Format::Text)
    );
    assert_eq!(config.settings.default_visibility.as_str(), "subscribers");
}

#[test]
fn every_problem_is_named_with_its_place() {
    let text = "[component]\ndomian = \"x\"\nserver = \"nowhere\"\n[store]\nmin-free = \"much\"\n\
                [users]\ndomains = [\"a@b\"]\ndefault-visibility = \"friends\"\n[dedicated]\nlisten = \"x\"\n\
                [web]\n[limits]\nprobe-rate-per-watcher = -1\n[[party]]\nname = \"A\"\nrights = [\"fly\"]\n\
                http-token = \"t\"\n";
    let expected = [
        "vestibule.toml:2: unknown key component.domian, expected one of domain, server, secret, secret-file",
        "vestibule.toml:9: [dedicated] is not in this version yet: remove it",
        "vestibule.toml:11: unknown section [web], expected one of component, store, users, log, limits, party",
        "vestibule.toml:17: party.http-token is not in this version yet: remove it",
        "vestibule.toml:1: component.domain is missing, as \"presence.example.org\"",
        "vestibule.toml:3: component.server is \"nowhere\", not host:port",
        "vestibule.toml:1: component.secret is missing (or component.secret-file)",
        "vestibule.toml:5: store.min-free is to be a size such as \"64MiB\"",
        "vestibule.toml:7: users.domains: \"a@b\" is no domain",
        "vestibule.toml:8: users.default-visibility is to be one of private, subscribers, public",
        "vestibule.toml:13: limits.probe-rate-per-watcher is to be a number of 0 (no limit) or more",
        "vestibule.toml:14: party.name is to be 1 to 32 of a-z, 0-9 and -",
        "vestibule.toml:16: party.rights: \"fly\" is not a right; the rights are see, open-url, \
         leave-message, notify, set-status, start-module, activate-client",
    ];
    assert_eq!(problems(text, &[]), expected);
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    let found = problems("[component]\ndomain = presence\n", &[]);
    assert!(found[0].starts_with("vestibule.toml:2: "), "{found:?}");
}

#[test]
fn the_environment_overrides_every_key() {
    let environment = [
        ("VESTIBULE_COMPONENT_SERVER", "xmpp.example.org:5347"),
        ("VESTIBULE_STORE_MIN_FREE", "1GiB"),
        ("VESTIBULE_USERS_DOMAINS", "a.example, b.example"),
        ("VESTIBULE_LIMITS_PROBE_RATE_PER_WATCHER", "3.5"),
        ("VESTIBULE_TEST_LONG", "1"),
        ("HOME", "/nowhere"),
    ];
    let config = load(GOOD, &environment).unwrap();
    assert_eq!(config.link.server, "xmpp.example.org:5347");
    assert_eq!(config.min_free, 1 << 30);
    assert_eq!(config.settings.users.len(), 2);
    assert!((config.settings.limits.probe_rate_per_watcher - 3.5).abs() < 1e-9);
    assert_eq!(
        problems(
            GOOD,
            &[
                ("VESTIBULE_COMPONENT_SECRT", "x"),
                ("VESTIBULE_LOG_LEVEL", "loud")
            ]
        ),
        [
            "VESTIBULE_COMPONENT_SECRT: names no key of the configuration",
            "VESTIBULE_LOG_LEVEL: log.level is to be one of error, warn, info, debug",
        ]
    );
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vestibule.toml");
    std::fs::write(&path, GOOD).unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&path, 0o644);
    let error = Config::load(&path, []).err().unwrap().to_string();
    assert!(
        error.contains(":3: component.secret stands in a file that others may read"),
        "{error}"
    );
    assert!(!error.contains("s3kr1t"));
    mode(&path, 0o640);
    assert!(Config::load(&path, []).is_ok());

    let secret = folder.path().join("secret");
    std::fs::write(&secret, "from a file\n").unwrap();
    mode(&secret, 0o600);
    let file = secret.display().to_string();
    let text = GOOD.replace("secret = \"s3kr1t\"", &format!("secret-file = {file:?}"));
    std::fs::write(&path, text).unwrap();
    mode(&path, 0o644);
    assert_eq!(Config::load(&path, []).unwrap().link.secret, "from a file");
    mode(&secret, 0o604);
    assert!(
        Config::load(&path, [])
            .err()
            .unwrap()
            .to_string()
            .contains("may be read by others")
    );
}

/// The annotated file says what the code does: uncommented, its keys are just those that are known, and
/// its values the defaults.
#[test]
fn the_annotated_file_is_true() {
    let text = include_str!("../../config/vestibule.toml");
    let typed: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    for (section, keys) in KEYS {
        let head = if *section == "party" {
            "[[party]]".to_owned()
        } else {
            format!("[{section}]")
        };
        let body = typed
            .split(&head)
            .nth(1)
            .unwrap_or_else(|| panic!("{head} is missing"));
        let body = body.split("\n[").next().unwrap();
        let named: Vec<_> = body
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(key, _)| key))
            .filter(|key| !key.starts_with('#'))
            .collect();
        assert_eq!(&named, keys, "{head}");
    }
    // secret-file is the other way to give the secret; the party is an example.
    let without: String = typed
        .lines()
        .filter(|line| !line.starts_with("secret-file"))
        .fold(String::new(), |all, line| all + line + "\n");
    let (rest, party) = without.split_once("[[party]]").unwrap();
    let written = load(rest, &[]).unwrap();
    let least = load(GOOD, &[]).unwrap();
    assert_eq!(written.link.server, least.link.server);
    assert_eq!(
        (&written.store, written.min_free),
        (&least.store, least.min_free)
    );
    assert_eq!((written.level, written.format), (least.level, least.format));
    assert_eq!(written.settings.limits, least.settings.limits);
    assert_eq!(
        written.settings.default_visibility,
        least.settings.default_visibility
    );
    let with_party = load(&format!("{rest}[[party]]{party}"), &[]).unwrap();
    assert_eq!(with_party.settings.parties.len(), 1);
}
