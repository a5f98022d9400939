//! The annotated file against the code: each key, and each default.

use std::collections::BTreeSet;

use super::{Folder, LEAST, load};
use crate::config::key::{PARTY_KEYS, SECTIONS};

/// The annotated file, and the same with every default uncommented.
fn annotated() -> (&'static str, String) {
    let text = include_str!("../../../config/vestibule.toml");
    let uncommented = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if is_setting(rest) && !is_of_the_place(rest) => rest,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    (text, uncommented)
}

fn is_setting(line: &str) -> bool {
    line == "[[party]]"
        || line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ")
}

/// What has no default, or names files that are not here; not uncommented.
fn is_of_the_place(line: &str) -> bool {
    OF_THE_PLACE
        .iter()
        .flat_map(|(_, keys)| keys.iter())
        .any(|key| line.starts_with(&format!("{key} =")))
}

const OF_THE_PLACE: [(&str, &[&str]); 4] = [
    ("component", &["secret", "tls-ca", "tls-name"]),
    ("dedicated", &["tls-cert", "tls-key"]),
    ("http", &["base-url"]),
    (
        "party",
        &[
            "link-secret",
            "link-secret-file",
            "http-token",
            "http-token-file",
        ],
    ),
];

#[test]
fn the_annotated_file_has_the_defaults_of_the_code() {
    let (text, uncommented) = annotated();
    let environment = [("VESTIBULE_COMPONENT_SECRET", "s3cret")];
    let config = Folder::with(text).load(&environment).unwrap();
    assert_eq!(config, load(LEAST));
    let mut config = Folder::with(&uncommented).load(&environment).unwrap();
    assert_eq!(config.parties.len(), 1);
    config.parties.clear();
    // Off, until there is an address to listen at.
    config.metrics_listen = None;
    config.dedicated = None;
    config.http = None;
    assert_eq!(config, load(LEAST));
}

#[test]
fn the_annotated_file_has_the_keys_of_the_code() {
    let (text, uncommented) = annotated();
    let table: toml::Table = uncommented.parse().unwrap();
    let mut written: BTreeSet<String> = BTreeSet::new();
    for (section, value) in &table {
        let keys = match value {
            toml::Value::Array(parties) => parties[0].as_table().unwrap(),
            value => value.as_table().unwrap(),
        };
        written.extend(keys.keys().map(|key| format!("{section}.{key}")));
    }
    for (section, keys) in OF_THE_PLACE {
        for key in keys {
            let line = format!("\n#{key} = ");
            assert!(text.contains(&line), "{key}");
            written.insert(format!("{section}.{key}"));
        }
    }
    let known: BTreeSet<String> = SECTIONS
        .iter()
        .flat_map(|section| {
            section
                .keys
                .iter()
                .map(move |key| format!("{}.{key}", section.name))
        })
        .chain(PARTY_KEYS.iter().map(|key| format!("party.{key}")))
        .collect();
    assert_eq!(written, known);
}
