//! The rules of the architecture that are mostly absences, each as a search through `src/`.

use std::path::{Path, PathBuf};

/// A file is looked hard at above 400 lines; this is where it ends.
const LINES_MAX: usize = 500;

/// What the core may not name: it is pure, and time and chance are its arguments.
const IMPURE: [&str; 10] = [
    "tokio",
    "sled",
    "SystemTime",
    "Instant",
    "rand::",
    "getrandom",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
];

/// The namespace of XEP-0114 streams.
const COMPONENT_STREAM: &str = "jabber:component:accept";

#[test]
fn the_core_and_the_vocabulary_are_pure() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_under("src/component") || source.is_under("src/stanza"))
        .flat_map(|source| source.code_naming(&IMPURE))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_link_knows_the_namespace_of_component_streams() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_under("src/link"))
        .flat_map(|source| source.code_naming(&[COMPONENT_STREAM]))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_small() {
    let found: Vec<String> = sources()
        .iter()
        .map(|source| (source.path.display(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines, more than {LINES_MAX}"))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_level_has_no_other_folders() {
    let known = ["src", "config", "tests", "docs", "target"];
    let others: Vec<String> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !known.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "{}", others.join(" "));
}

/// The searches themselves find what they are for.
#[test]
fn a_breach_would_be_found() {
    let source = Source {
        path: "src/component/example.rs".into(),
        text: "//! No tokio here.\nlet now = Instant::now(); // XEP-9999\nuse sled::Db;\n".into(),
    };
    let found = source.code_naming(&IMPURE);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("src/component/example.rs:2"),
        "{found:?}"
    );
    assert_eq!(specifications(&source.text), ["XEP-9999"]);
    assert_eq!(
        specifications("RFC 6120 §4, XEP-0045, RFC 61, XEP-45."),
        ["RFC 6120", "XEP-0045"]
    );
}

/// A file of `src/`.
pub(crate) struct Source {
    /// From the root of the package.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder) || self.path == Path::new(folder).with_extension("rs")
    }

    /// The lines of code, comments left out, that name one of `words`.
    fn code_naming(&self, words: &[&str]) -> Vec<String> {
        self.text
            .lines()
            .enumerate()
            .filter_map(|(index, line)| {
                let code = without_comment(line);
                let word = words.iter().find(|word| code.contains(*word))?;
                let path = self.path.display();
                Some(format!(
                    "{path}:{} names {word}: {}",
                    index + 1,
                    line.trim()
                ))
            })
            .collect()
    }
}

/// A line up to its comment; `//` behind a colon, as in an address, begins none.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Every `XEP-NNNN` and `RFC NNNN` in a text, in order.
pub(crate) fn specifications(text: &str) -> Vec<String> {
    let mut found: Vec<(usize, String)> = ["XEP-", "RFC "]
        .iter()
        .flat_map(|prefix| text.match_indices(prefix))
        .filter_map(|(at, prefix)| {
            let rest = &text[at + prefix.len()..];
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            (digits == 4).then(|| (at, format!("{prefix}{}", &rest[..digits])))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source {
                    text: std::fs::read_to_string(&path).unwrap(),
                    path: path.strip_prefix(root()).unwrap().to_owned(),
                });
            }
        }
    }
    assert!(found.len() > 3, "only {} files found in src/", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
