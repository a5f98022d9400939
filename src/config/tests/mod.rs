//! What is read, from where, and which secrets are refused.

mod annotated;
mod dedicated;
mod http;
mod problems;
mod tls;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use std::time::Duration;

use crate::component::authorization::Right;
use crate::component::limits::SubscriptionRate;

/// The least that is a configuration.
const LEAST: &str = "\
[component]
domain = \"presence.example.org\"
secret = \"s3cret\"
[users]
domains = [\"example.org\"]
";

/// A configuration file, and what else the test needs, in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("c.toml", text, 0o600);
        folder
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, Problems> {
        let environment = environment
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::load(&self.0.path().join("c.toml"), environment)
    }

    /// What is wrong, without the name of the folder.
    fn problems(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        match self.load(environment) {
            Ok(_) => Vec::new(),
            Err(Problems(problems)) => problems
                .iter()
                .map(|problem| problem.to_string().replace(&folder, ""))
                .collect(),
        }
    }
}

fn load(text: &str) -> Config {
    Folder::with(text).load(&[]).unwrap()
}

#[test]
fn the_least_has_the_defaults() {
    let folder = Folder::with(LEAST);
    let config = folder
        .load(&[("VESTIBULE_TEST_LONG", "1"), ("PATH", "/bin")])
        .unwrap();
    assert_eq!(config.domain.bare().as_str(), "presence.example.org");
    assert_eq!(config.server, "127.0.0.1:5347");
    assert_eq!(config.secret.expose(), "s3cret");
    assert_eq!(config.store_path, Path::new("/var/lib/vestibule"));
    assert_eq!(config.store_min_free, 64 * 1024 * 1024);
    assert_eq!(config.users, [Bare::parse("example.org").unwrap()]);
    assert_eq!(config.admins, []);
    assert_eq!(config.default_visibility, Visibility::Subscribers);
    assert_eq!(config.timezone.name(), "UTC");
    assert_eq!(config.log_level, tracing::Level::INFO);
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.parties, []);
    assert!(config.contacts.is_empty());
    assert_eq!(config.link().secret, "s3cret");
    assert_eq!(config.settings().users, config.users);
}

#[test]
fn every_key_is_read() {
    let config = load(
        "component = { domain = 'Presence.Example.ORG.', server = '[::1]:5348', secret = ' \"s ' }
        store = { path = 'kept', min-free = 1_000 }
        contact = { abuse = ['mailto:abuse@example.org', 'xmpp:abuse@example.org'], sales = [] }
        log.level = 'trace'
        log.format = 'json'
        [users]
        domains = ['example.org', 'Bücher.example']
        admins = ['Admin@example.org']
        neighbours = ['Bots.example.org']
        default-visibility = 'public'
        timezone = 'europe/Berlin'
        [limits]
        probe-rate-per-watcher = 0
        probe-burst-per-watcher = 0
        probe-rate-per-domain = 0.5
        probe-burst-per-domain = 1
        refusals-per-minute = 11
        refusals-burst = 0
        commands-per-minute-per-watcher = 12
        commands-burst-per-watcher = 13
        commands-per-minute-per-user = 14
        commands-burst-per-user = 15
        open-commands-per-watcher = 16
        open-commands-per-user = 17
        pending-per-user = 18
        pending-per-domain = 19
        pending-days = 0
        prompt-minutes = 0
        sessions-per-watcher = 20
        sessions = 21
        broadcasts-per-second = 22
        subscriptions-per-minute = 30
        relearn-minutes = 0.5
        statuses-per-hour = 12
        token-guesses-per-hour = 13
        [[party]]
        name = 'acme'
        jids = ['bot@acme.example', 'acme.example']
        rights = ['see', 'notify', 'see']
        [[party]]
        name = 'other-1'
        rights = ['activate-client']",
    );
    assert_eq!(config.domain.bare().as_str(), "presence.example.org");
    assert_eq!(config.server, "[::1]:5348");
    assert_eq!(config.secret.expose(), " \"s ");
    assert!(config.store_path.ends_with("kept") && config.store_path.is_absolute());
    assert_eq!(config.store_min_free, 1000);
    assert_eq!(config.users[1].as_str(), "bücher.example");
    assert_eq!(config.admins[0].as_str(), "admin@example.org");
    assert_eq!(config.settings().neighbours[0].as_str(), "bots.example.org");
    assert_eq!(config.default_visibility, Visibility::Public);
    assert_eq!(config.timezone.name(), "Europe/Berlin");
    assert_eq!(
        config.settings().contacts,
        BTreeMap::from([(
            "abuse".to_owned(),
            vec![
                "mailto:abuse@example.org".to_owned(),
                "xmpp:abuse@example.org".to_owned()
            ]
        )])
    );
    assert_eq!(config.log_level, tracing::Level::TRACE);
    assert_eq!(config.log_format, LogFormat::Json);
    let limits = Limits {
        probe_rate_per_watcher: 0.0,
        probe_burst_per_watcher: f64::INFINITY,
        probe_rate_per_domain: 0.5,
        probe_burst_per_domain: 1.0,
        refusals_per_minute: 11.0,
        refusals_burst: f64::INFINITY,
        commands_per_minute_per_watcher: 12.0,
        commands_burst_per_watcher: 13.0,
        commands_per_minute_per_user: 14.0,
        commands_burst_per_user: 15.0,
        open_commands_per_watcher: 16,
        open_commands_per_user: 17,
        pending_per_user: 18,
        pending_per_domain: 19,
        pending_days: 0,
        prompt_every: Duration::ZERO,
        sessions_per_watcher: 20,
        sessions: 21,
        broadcasts_per_second: 22.0,
        subscriptions_per_minute: SubscriptionRate::PerMinute(30),
        relearn_every: Duration::from_secs(30),
        statuses_per_hour: 12.0,
        token_guesses_per_hour: 13.0,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.parties[0].name, "acme");
    assert_eq!(config.parties[0].jids.len(), 2);
    assert_eq!(config.parties[0].rights, [Right::See, Right::Notify].into());
    assert_eq!(config.parties[1].jids, []);
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let folder = Folder::with(LEAST);
    for (mode, is_refused) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        folder.write("c.toml", LEAST, mode);
        let expected = format!(
            "c.toml:3: component.secret: stands in a file that others may read (its mode is {mode:04o}), \
             expected mode 0640 or 0600, or a secret-file"
        );
        let expected = if is_refused { vec![expected] } else { vec![] };
        assert_eq!(folder.problems(&[]), expected);
    }
    // One that is not used need not be kept.
    assert_eq!(
        folder
            .problems(&[("VESTIBULE_COMPONENT_SECRET", "other")])
            .len(),
        0
    );
}

#[test]
fn a_secret_comes_from_a_file_or_the_environment_too() {
    let least = LEAST.replace("secret = \"s3cret\"", "secret-file = \"secret\"");
    let folder = Folder::with(&least);
    folder.write("c.toml", &least, 0o644);
    assert_eq!(
        folder.problems(&[]),
        [
            "c.toml:3: component.secret-file: secret cannot be read: No such file or directory (os error 2)"
        ]
    );
    for (text, secret) in [("p w\n", "p w"), ("pw\r\n", "pw"), ("pw", "pw")] {
        folder.write("secret", text, 0o640);
        assert_eq!(folder.load(&[]).unwrap().secret.expose(), secret);
    }
    for text in ["", "\n", "a\nb\n", "\u{7f}"] {
        folder.write("secret", text, 0o600);
        assert_eq!(
            folder.problems(&[]),
            [
                "c.toml:3: component.secret-file: secret does not hold 1 to 1024 bytes without control \
              characters"
            ]
        );
    }
    folder.write("secret", &"x".repeat(5000), 0o600);
    assert!(folder.problems(&[])[0].ends_with("it has more than 1026 bytes"));
    folder.write("secret", "s3cret", 0o644);
    assert_eq!(
        folder.problems(&[]),
        [
            "c.toml:3: component.secret-file: others may read secret (its mode is 0644), expected mode 0640 or \
          0600"
        ]
    );

    let from = |name, value| folder.load(&[(name, value)]);
    let config = from("VESTIBULE_COMPONENT_SECRET", "from outside").unwrap();
    assert_eq!(config.secret.expose(), "from outside");
    folder.write("other", "elsewhere", 0o600);
    let path = folder.0.path().join("other").display().to_string();
    let config = from("VESTIBULE_COMPONENT_SECRET_FILE", &path).unwrap();
    assert_eq!(config.secret.expose(), "elsewhere");
    let both = [
        ("VESTIBULE_COMPONENT_SECRET", "x"),
        ("VESTIBULE_COMPONENT_SECRET_FILE", &path),
    ];
    assert_eq!(
        folder.problems(&both),
        [
            "environment: VESTIBULE_COMPONENT_SECRET_FILE: stands beside secret, expected only one of the two"
        ]
    );
}

#[test]
fn a_secret_is_never_shown() {
    for wrong in [
        "secret = [\"hush\"]",
        "secret = \"hush\\u0000\"",
        "secret = \"hush",
        "secret = hush",
    ] {
        let text = LEAST.replace("secret = \"s3cret\"", wrong);
        let problems = Folder::with(&text).load(&[]).unwrap_err();
        assert!(
            !format!("{problems} {problems:?}").contains("hush"),
            "{problems}"
        );
    }
    let problems = Folder::with(LEAST).load(&[("VESTIBULE_COMPONENT_SECRET", "hush\n")]);
    assert!(!format!("{problems:?}").contains("hush"));
    assert!(!format!("{:?}", load(LEAST)).contains("s3cret"));
}

#[test]
fn the_environment_overrides_every_key() {
    let text = format!("{LEAST}[[party]]\nname = 'a-b'\nrights = ['see']\n");
    let folder = Folder::with(&text);
    let config = folder
        .load(&[
            ("VESTIBULE_COMPONENT_DOMAIN", "p.example.com"),
            ("VESTIBULE_COMPONENT_SERVER", "localhost:1"),
            ("VESTIBULE_COMPONENT_SECRET", "x"),
            ("VESTIBULE_STORE_PATH", "/s"),
            ("VESTIBULE_STORE_MIN_FREE", "1GiB"),
            ("VESTIBULE_USERS_DOMAINS", "example.com, example.net"),
            ("VESTIBULE_USERS_ADMINS", "a@example.com"),
            ("VESTIBULE_USERS_NEIGHBOURS", "bots.example.com"),
            ("VESTIBULE_USERS_DEFAULT_VISIBILITY", "private"),
            (
                "VESTIBULE_CONTACT_SECURITY",
                "mailto:s@x.example, https://x.example",
            ),
            ("VESTIBULE_LOG_LEVEL", "debug"),
            ("VESTIBULE_LOG_FORMAT", "json"),
            ("VESTIBULE_LIMITS_PROBE_RATE_PER_WATCHER", "1.5"),
            ("VESTIBULE_LIMITS_PROBE_BURST_PER_WATCHER", "2"),
            ("VESTIBULE_LIMITS_PROBE_RATE_PER_DOMAIN", "3"),
            ("VESTIBULE_LIMITS_PROBE_BURST_PER_DOMAIN", "4"),
            ("VESTIBULE_LIMITS_REFUSALS_PER_MINUTE", "7"),
            ("VESTIBULE_LIMITS_REFUSALS_BURST", "8"),
            ("VESTIBULE_LIMITS_COMMANDS_PER_MINUTE_PER_WATCHER", "9"),
            ("VESTIBULE_LIMITS_COMMANDS_BURST_PER_WATCHER", "10"),
            ("VESTIBULE_LIMITS_COMMANDS_PER_MINUTE_PER_USER", "11"),
            ("VESTIBULE_LIMITS_COMMANDS_BURST_PER_USER", "12"),
            ("VESTIBULE_LIMITS_OPEN_COMMANDS_PER_WATCHER", "13"),
            ("VESTIBULE_LIMITS_OPEN_COMMANDS_PER_USER", "14"),
            ("VESTIBULE_LIMITS_PENDING_PER_USER", "15"),
            ("VESTIBULE_LIMITS_PENDING_PER_DOMAIN", "16"),
            ("VESTIBULE_LIMITS_PENDING_DAYS", "17"),
            ("VESTIBULE_LIMITS_PROMPT_MINUTES", "18"),
            ("VESTIBULE_LIMITS_SESSIONS_PER_WATCHER", "19"),
            ("VESTIBULE_LIMITS_SESSIONS", "20"),
            ("VESTIBULE_LIMITS_BROADCASTS_PER_SECOND", "21"),
            ("VESTIBULE_LIMITS_SUBSCRIPTIONS_PER_MINUTE", "5"),
            ("VESTIBULE_LIMITS_RELEARN_MINUTES", "6"),
            ("VESTIBULE_LIMITS_STATUSES_PER_HOUR", "7"),
            ("VESTIBULE_LIMITS_TOKEN_GUESSES_PER_HOUR", "8"),
            ("VESTIBULE_PARTY_A_B_JIDS", "bot@x"),
            ("VESTIBULE_PARTY_A_B_RIGHTS", "notify see"),
        ])
        .unwrap();
    let same = load(
        "[component]
        domain = 'p.example.com'
        server = 'localhost:1'
        secret = 'x'
        [store]
        path = '/s'
        min-free = '1GiB'
        [users]
        domains = ['example.com', 'example.net']
        admins = ['a@example.com']
        neighbours = ['bots.example.com']
        default-visibility = 'private'
        [contact]
        security = ['mailto:s@x.example', 'https://x.example']
        [log]
        level = 'debug'
        format = 'json'
        [limits]
        probe-rate-per-watcher = 1.5
        probe-burst-per-watcher = 2
        probe-rate-per-domain = 3
        probe-burst-per-domain = 4
        refusals-per-minute = 7
        refusals-burst = 8
        commands-per-minute-per-watcher = 9
        commands-burst-per-watcher = 10
        commands-per-minute-per-user = 11
        commands-burst-per-user = 12
        open-commands-per-watcher = 13
        open-commands-per-user = 14
        pending-per-user = 15
        pending-per-domain = 16
        pending-days = 17
        prompt-minutes = 18
        sessions-per-watcher = 19
        sessions = 20
        broadcasts-per-second = 21
        subscriptions-per-minute = 5
        relearn-minutes = 6
        statuses-per-hour = 7
        token-guesses-per-hour = 8
        [[party]]
        name = 'a-b'
        jids = ['bot@x']
        rights = ['see', 'notify']",
    );
    assert_eq!(config, same);
}
