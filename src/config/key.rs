//! The names: every section and key there is, and their environment variables.

use crate::component::authorization::Interface;

/// The section of registered third parties, an array of tables.
pub(super) const PARTY: &str = "party";

/// The keys of a section.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) keys: &'static [&'static str],
}

/// Every section but [`PARTY`].
pub(super) const SECTIONS: [Section; 13] = [
    Section {
        name: "component",
        keys: &[
            "domain",
            "server",
            "tls",
            "tls-ca",
            "tls-name",
            "secret",
            "secret-file",
        ],
    },
    Section {
        name: "store",
        keys: &[
            "path",
            "min-free",
            "export-dir",
            "export-every",
            "export-keep",
        ],
    },
    Section {
        name: "users",
        keys: &[
            "domains",
            "admins",
            "neighbours",
            "default-visibility",
            "timezone",
        ],
    },
    Section {
        name: "contact",
        keys: &CONTACT_KEYS,
    },
    Section {
        name: "metrics",
        keys: &["listen"],
    },
    Section {
        name: "dedicated",
        keys: &[
            "listen",
            "tls-cert",
            "tls-key",
            "stanza-rate",
            "stanza-burst",
        ],
    },
    Section {
        name: CEILINGS[0].0,
        keys: &RIGHTS,
    },
    Section {
        name: CEILINGS[1].0,
        keys: &RIGHTS,
    },
    Section {
        name: CEILINGS[2].0,
        keys: &RIGHTS,
    },
    Section {
        name: CEILINGS[3].0,
        keys: &RIGHTS,
    },
    Section {
        name: "http",
        keys: &[
            "listen",
            "base-url",
            "trusted-proxies",
            "requests-per-second",
            "requests-burst",
            "streams",
            "streams-per-address",
        ],
    },
    Section {
        name: "log",
        keys: &["level", "format"],
    },
    Section {
        name: "limits",
        keys: &[
            "probe-rate-per-watcher",
            "probe-burst-per-watcher",
            "probe-rate-per-domain",
            "probe-burst-per-domain",
            "refusals-per-minute",
            "refusals-burst",
            "commands-per-minute-per-watcher",
            "commands-burst-per-watcher",
            "commands-per-minute-per-user",
            "commands-burst-per-user",
            "open-commands-per-watcher",
            "open-commands-per-user",
            "pending-per-user",
            "pending-per-domain",
            "pending-days",
            "prompt-minutes",
            "sessions-per-watcher",
            "sessions",
            "broadcasts-per-second",
            "subscriptions-per-minute",
            "relearn-minutes",
            "statuses-per-hour",
            "token-guesses-per-hour",
        ],
    },
];

/// For what the operator can be reached (XEP-0157 §3): each is a field of the same name there.
pub(super) const CONTACT_KEYS: [&str; 7] = [
    "abuse", "admin", "feedback", "sales", "security", "status", "support",
];

/// The sections of the ceiling, and the interface that each is about; the first is about all.
pub(super) const CEILINGS: [(&str, Option<Interface>); 4] = [
    ("ceiling", None),
    ("ceiling-public", Some(Interface::Public)),
    ("ceiling-dedicated", Some(Interface::Dedicated)),
    ("ceiling-http", Some(Interface::Http)),
];

/// The keys of a ceiling; a test holds them against the rights.
pub(super) const RIGHTS: [&str; 7] = [
    "see",
    "open-url",
    "leave-message",
    "notify",
    "set-status",
    "start-module",
    "activate-client",
];

/// The keys of a party.
pub(super) const PARTY_KEYS: [&str; 7] = [
    "name",
    "jids",
    "rights",
    "link-secret",
    "link-secret-file",
    "http-token",
    "http-token-file",
];

/// Those of them that a variable may override; by the name the party is found.
pub(super) const PARTY_VARIABLES: [&str; 6] = [
    "jids",
    "rights",
    "link-secret",
    "link-secret-file",
    "http-token",
    "http-token-file",
];

/// What every environment variable of ours begins with.
pub(super) const PREFIX: &str = "VESTIBULE_";

/// What variables that are meant for the tests alone begin with.
pub(super) const TEST_PREFIX: &str = "VESTIBULE_TEST_";

/// The variable that overrides a key; of a party, `section` is `party.NAME`.
pub(super) fn variable(section: &str, key: &str) -> String {
    let path = format!("{section}.{key}").replace(['.', '-'], "_");
    format!("{PREFIX}{}", path.to_ascii_uppercase())
}

/// The other way to give the same secret: `secret` and `secret-file` exclude each other.
pub(super) fn twin(key: &str) -> Option<String> {
    match key.strip_suffix("-file") {
        Some(inline) if is_secret(inline) => Some(inline.to_owned()),
        None if is_secret(key) => Some(format!("{key}-file")),
        _ => None,
    }
}

/// Whether the value of a key is not to be shown to anybody.
pub(super) fn is_secret(key: &str) -> bool {
    key.ends_with("secret") || key.ends_with("token")
}
