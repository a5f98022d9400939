//! Tables of wrong configurations and of the lines that name them.

use super::{Folder, LEAST, load};

/// Problems of `text` after what must be there, so that its first line is line 6.
fn problems_after_least(text: &str) -> Vec<String> {
    Folder::with(&format!("{LEAST}{text}")).problems(&[])
}

#[test]
fn wrong_values_are_named_with_line_and_expectation() {
    for (text, expected) in [
        (
            "[store]\npath = ''",
            "7: store.path: found \"\", expected a directory",
        ),
        (
            "[store]\nmin-free = '64MB'",
            "7: store.min-free: found \"64MB\", expected a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB)",
        ),
        (
            "[store]\nexport-every = '5s'",
            "7: store.export-every: found \"5s\", expected a time of at least \"1min\" such as \"24h\" (s, \
             min, h, d), or 0 for never",
        ),
        (
            "[store]\nexport-keep = 0",
            "7: store.export-keep: found 0, expected a whole number of at least 1",
        ),
        (
            "[metrics]\nlisten = '192.0.2.1:9090'",
            "7: metrics.listen: found \"192.0.2.1:9090\", expected an address of this machine alone and a \
             port, such as \"127.0.0.1:9090\"",
        ),
        (
            "[store]\nmin-free = -1",
            "7: store.min-free: found -1, expected a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB)",
        ),
        (
            "[store]\nmin-free = '99999999999TiB'",
            "7: store.min-free: found \"99999999999TiB\", expected a size such as \"64MiB\" (B, KiB, \
             MiB, GiB, TiB)",
        ),
        (
            "[log]\nlevel = 'verbose'",
            "7: log.level: found \"verbose\", expected \"error\", \"warn\", \"info\", \"debug\" or \
             \"trace\"",
        ),
        (
            "[log]\nformat = true",
            "7: log.format: found true, expected \"text\" or \"json\"",
        ),
        (
            "[limits]\nprobe-rate-per-watcher = nan",
            "7: limits.probe-rate-per-watcher: found NaN, expected answers a second, 0 for no limit",
        ),
        (
            "[limits]\nprobe-rate-per-domain = -0.5",
            "7: limits.probe-rate-per-domain: found -0.5, expected answers a second, 0 for no limit",
        ),
        (
            "[limits]\nprobe-rate-per-domain = inf",
            "7: limits.probe-rate-per-domain: found inf, expected answers a second, 0 for no limit",
        ),
        (
            "[limits]\nprobe-burst-per-domain = 0.5",
            "7: limits.probe-burst-per-domain: found 0.5, expected at least 1 answer, or 0 for no limit",
        ),
        (
            "[limits]\nsubscriptions-per-minute = 2.5",
            "7: limits.subscriptions-per-minute: found 2.5, expected \"auto\", or a whole number of stanzas, \
             0 for no limit",
        ),
        (
            "[limits]\ntoken-guesses-per-hour = 0.5",
            "7: limits.token-guesses-per-hour: found 0.5, expected at least 1, or 0 for no limit",
        ),
        (
            "[limits]\nstatuses-per-hour = 0.5",
            "7: limits.statuses-per-hour: found 0.5, expected at least 1, or 0 for no limit",
        ),
        (
            "[limits]\nrefusals-per-minute = -1",
            "7: limits.refusals-per-minute: found -1, expected refusals a minute, 0 for no limit",
        ),
        (
            "[limits]\ncommands-burst-per-user = 0.5",
            "7: limits.commands-burst-per-user: found 0.5, expected at least 1 command, or 0 for no limit",
        ),
        (
            "[limits]\npending-per-user = 1001",
            "7: limits.pending-per-user: found 1001, expected a whole number from 1 to 1000",
        ),
        (
            "[limits]\nsessions-per-watcher = 0",
            "7: limits.sessions-per-watcher: found 0, expected a whole number from 1 to 1000000",
        ),
        (
            "[limits]\npending-days = 0.5",
            "7: limits.pending-days: found 0.5, expected a whole number of days up to 3650, 0 for no end",
        ),
        (
            "[limits]\nprompt-minutes = 1441",
            "7: limits.prompt-minutes: found 1441, expected 0 to 1440 minutes",
        ),
        (
            "neighbours = [\"a@b.example\"]",
            "6: users.neighbours: found \"a@b.example\", expected a domain such as \"bots.example.org\"",
        ),
        (
            "[limits]\nrelearn-minutes = 0",
            "7: limits.relearn-minutes: found 0, expected 0.1 to 1440 minutes",
        ),
        (
            "[limits]\nprobe-burst-per-watcher = \"2000\"",
            "7: limits.probe-burst-per-watcher: found \"2000\", expected at least 1 answer, or 0 for no \
             limit",
        ),
        (
            "admins = 'admin@example.org'",
            "6: users.admins: found \"admin@example.org\", expected a list of addresses such as \
             [\"admin@example.org\"]",
        ),
        (
            "admins = [\n'a@example.org',\n'example.org',\n5]",
            "8: users.admins: found \"example.org\", expected an address such as \"admin@example.org\"\n\
             9: users.admins: found 5, expected an address such as \"admin@example.org\"",
        ),
        (
            "default-visibility = 'all'",
            "6: users.default-visibility: found \"all\", expected \"private\", \"subscribers\" or \
             \"public\"",
        ),
        (
            "timezone = 'Europe/Atlantis'",
            "6: users.timezone: found \"Europe/Atlantis\", expected the name of a time zone such as \
             \"Europe/Berlin\"",
        ),
        (
            "[contact]\nabuse = 'mailto:a@example.org'\nadmin = ['mailto:a@example.org',\n'a@example.org',\n\
             'https://', 'tel:1']\nstatus = ['xmpp:a@x', 'xmpp:b@x', 'xmpp:c@x', 'xmpp:d@x', 'xmpp:e@x']",
            "7: contact.abuse: found \"mailto:a@example.org\", expected a list of addresses such as \
             [\"mailto:abuse@example.org\"]\n\
             9: contact.admin: found \"a@example.org\", expected a mailto:, xmpp: or https: address of at \
             most 200 ASCII characters, none of them a quote or &\n\
             10: contact.admin: found \"https://\", expected a mailto:, xmpp: or https: address of at \
             most 200 ASCII characters, none of them a quote or &\n\
             10: contact.admin: found \"tel:1\", expected a mailto:, xmpp: or https: address of at \
             most 200 ASCII characters, none of them a quote or &\n\
             11: contact.status: found 5 addresses, expected at most 4",
        ),
        (
            "[[party]]\nname = 'Acme'\nrights = ['see', 'fly']\njids = ['@']\n[[party]]\njids = 5",
            "7: party.name: found \"Acme\", expected 1 to 32 characters of a-z, 0-9 and -\n\
             8: party.rights: found \"fly\", expected one of see, open-url, leave-message, notify, \
             set-status, start-module, activate-client\n\
             9: party.jids: found \"@\", expected an address or a domain such as \"bot@acme.example\"\n\
             10: party.name: missing, expected 1 to 32 characters of a-z, 0-9 and -\n\
             10: party.rights: missing, expected a list of see, open-url, leave-message, notify, \
             set-status, start-module, activate-client\n\
             11: party.jids: found 5, expected a list of addresses and domains such as \
             [\"bot@acme.example\"]",
        ),
        (
            "[[party]]\nname = 'a'\nrights = []\njids = ['b@x']\n[[party]]\nname = 'a'\nrights = ['see']\n\
             jids = ['B@X.']",
            "8: party.rights: found nothing, expected a list of see, open-url, leave-message, notify, \
             set-status, start-module, activate-client\n\
             11: party.name: found \"a\", expected a name that no other party has\n\
             13: party.jids: found \"B@X.\", expected an address that stands nowhere else; party \"a\" \
             has it",
        ),
    ] {
        let expected: Vec<_> = expected
            .lines()
            .map(|line| format!("c.toml:{line}"))
            .collect();
        assert_eq!(problems_after_least(text), expected, "{text}");
    }
}

#[test]
fn unknown_names_are_told() {
    for (text, expected) in [
        (
            "[store]\nmin-fre = 5",
            "7: store.min-fre: unknown key, expected one of path, min-free, export-dir, export-every, \
             export-keep",
        ),
        (
            "Admins = []",
            "6: users.Admins: unknown key, expected one of domains, admins, neighbours, default-visibility, timezone",
        ),
        (
            "[[party]]\nname = 'a'\nrights = ['see']\nlink_secret = 'hidden'",
            "9: party.link_secret: unknown key, expected one of name, jids, rights, link-secret, \
             link-secret-file, http-token, http-token-file",
        ),
        (
            "[stor]\npath = 5",
            "6: stor: unknown section, expected one of component, store, users, contact, \
             metrics, dedicated, ceiling, ceiling-public, ceiling-dedicated, ceiling-http, http, log, limits, party",
        ),
        (
            "[\"a\\u001b[31mb\"]",
            "6: \"a\\u{1b}[31mb\": unknown section, expected one of component, store, users, contact, \
             metrics, dedicated, ceiling, ceiling-public, ceiling-dedicated, ceiling-http, http, log, limits, party",
        ),
        (
            "[party]\nname = 'a'",
            "6: party: found a table, expected [[party]]",
        ),
        (
            "[[store]]\npath = 'x'",
            "6: store: found a list, expected a section [store]",
        ),
    ] {
        let expected: Vec<_> = expected
            .lines()
            .map(|line| format!("c.toml:{line}"))
            .collect();
        assert_eq!(problems_after_least(text), expected, "{text}");
    }
}

#[test]
fn all_is_told_at_once() {
    let folder = Folder::with("[component]\nserver = 'localhost'\n[users]\ndomains = []\n[x]\n");
    let environment = [
        ("VESTIBULE_LOG_LEVEL", "loud"),
        ("VESTIBULE_LOG_COLOUR", "1"),
    ];
    assert_eq!(
        folder.problems(&environment),
        [
            "c.toml:2: component.server: found \"localhost\", expected a host and a port such as \
             \"127.0.0.1:5347\"",
            "c.toml:4: users.domains: found nothing, expected a list of the domains whose users may join, \
             such as [\"example.org\"]",
            "c.toml:5: x: unknown section, expected one of component, store, users, contact, \
             metrics, dedicated, ceiling, ceiling-public, ceiling-dedicated, ceiling-http, http, log, limits, party",
            "c.toml: component.secret: missing, expected the secret that the server has for this \
             component, or secret-file",
            "c.toml: component.domain: missing, expected a domain such as \"presence.example.org\"",
            "environment: VESTIBULE_LOG_COLOUR: unknown variable, expected one of VESTIBULE_LOG_LEVEL, \
             VESTIBULE_LOG_FORMAT",
            "environment: VESTIBULE_LOG_LEVEL: found \"loud\", expected \"error\", \"warn\", \"info\", \
             \"debug\" or \"trace\"",
        ]
    );
    assert_eq!(
        Folder::with("").problems(&[]),
        [
            "c.toml: component.secret: missing, expected the secret that the server has for this \
             component, or secret-file",
            "c.toml: component.domain: missing, expected a domain such as \"presence.example.org\"",
            "c.toml: users.domains: missing, expected a list of the domains whose users may join, such as \
             [\"example.org\"]",
        ]
    );
}

#[test]
fn what_is_no_toml_is_named_beside_the_rest() {
    let text = "[component]\ndomain = presence.example.org\nsecret = \"s3cret\\q\"\n[log]\nlevel = 5\n\
                level = 'info'\n";
    assert_eq!(
        Folder::with(text).problems(&[("VESTIBULE_STORE_MIN_FREE", "x")]),
        [
            "c.toml:2: not TOML: string values must be quoted, expected literal string",
            "c.toml:3: not TOML: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, \
             `u`, `U`",
            "c.toml:5: log.level: found 5, expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
            "c.toml:6: not TOML: duplicate key",
            "environment: VESTIBULE_STORE_MIN_FREE: found \"x\", expected a size such as \"64MiB\" (B, \
             KiB, MiB, GiB, TiB)",
        ]
    );
}

#[test]
fn servers_and_domains_are_checked() {
    for server in [
        "xmpp.example.org:5347",
        "127.0.0.1:1",
        "[2001:db8::1]:65535",
        "x_y:5347",
    ] {
        let text = LEAST.replace("secret =", &format!("server = '{server}'\nsecret ="));
        assert_eq!(load(&text).server, server);
    }
    for server in [
        "",
        ":5347",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:+1",
        "::1:5347",
        "[x]:1",
        "h h:1",
    ] {
        let text = LEAST.replace("secret =", &format!("server = '{server}'\nsecret ="));
        assert_eq!(Folder::with(&text).problems(&[]).len(), 1, "{server}");
    }
    for domain in ["", "a@b", "a/b", "a b", ".", "xn--a"] {
        let text = LEAST.replace("presence.example.org", domain);
        let problems = Folder::with(&text).problems(&[]);
        assert_eq!(
            problems,
            [format!(
                "c.toml:2: component.domain: found {domain:?}, expected a domain such as \
                 \"presence.example.org\""
            )]
        );
    }
    let text = LEAST.replace(
        "[\"example.org\"]",
        "['a@b', 'Presence.example.org.', 'acme.presence.example.org']",
    );
    assert_eq!(
        Folder::with(&text).problems(&[]),
        [
            "c.toml:5: users.domains: found \"a@b\", expected a domain such as \"example.org\"",
            "c.toml:5: users.domains: found \"Presence.example.org.\", expected a domain of users; this \
             one is component.domain",
            "c.toml:5: users.domains: found \"acme.presence.example.org\", expected a domain of users; those \
             below component.domain are of parties on the dedicated link",
        ]
    );
}

#[test]
fn unknown_variables_are_named() {
    let folder = Folder::with(LEAST);
    for (name, expected) in [
        (
            "VESTIBULE_STORE_MINFREE",
            "unknown variable, expected one of VESTIBULE_STORE_PATH, VESTIBULE_STORE_MIN_FREE, VESTIBULE_STORE_EXPORT_DIR, VESTIBULE_STORE_EXPORT_EVERY, VESTIBULE_STORE_EXPORT_KEEP",
        ),
        (
            "VESTIBULE_",
            "unknown variable, expected one of VESTIBULE_<SECTION>_<KEY>",
        ),
        (
            "VESTIBULE_PARTY_ACME_RIGHTS",
            "unknown variable, expected VESTIBULE_PARTY_<NAME>_<KEY> with one of JIDS, RIGHTS, \
             LINK_SECRET, LINK_SECRET_FILE, HTTP_TOKEN, HTTP_TOKEN_FILE of a party that stands in c.toml",
        ),
    ] {
        assert_eq!(
            folder.problems(&[(name, "hush")]),
            [format!("environment: {name}: {expected}")]
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder(tempfile::tempdir().unwrap());
    assert_eq!(
        folder.problems(&[]),
        ["c.toml: cannot be read: No such file or directory (os error 2)"]
    );
    folder.write("c.toml", &"#".repeat(2 << 20), 0o600);
    assert_eq!(
        folder.problems(&[]),
        ["c.toml: cannot be read: it has more than 1048576 bytes"]
    );
}
