//! `docs/xeps.md` is held against the source: what it says is built, and where, is there, and what the
//! source follows is in the table.

use std::collections::BTreeSet;
use std::path::Path;

use crate::architecture::{Source, root, sources, specifications};

/// A row of the table.
struct Row {
    document: String,
    version: String,
    state: String,
    /// The modules that follow the document, below `src/`: files, or folders with a slash at the end.
    modules: Vec<String>,
    line: String,
}

fn rows() -> Vec<Row> {
    let table = include_str!("../../docs/xeps.md");
    let rows: Vec<_> = table.lines().filter_map(row).collect();
    assert!(rows.len() > 20, "only {} rows were read", rows.len());
    rows
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [document, _title, version, state, place, ..] = cells.as_slice() else {
        return None;
    };
    if specifications(document) != [*document] {
        return None; // The head of the table.
    }
    let quoted = place.split('`').skip(1).step_by(2);
    let modules = quoted.filter(|word| word.ends_with('/') || word.ends_with(".rs"));
    Some(Row {
        document: (*document).to_owned(),
        version: (*version).to_owned(),
        state: (*state).to_owned(),
        modules: modules.map(ToOwned::to_owned).collect(),
        line: line.to_owned(),
    })
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "docs/xeps.md: {}", problems.join("\n"));
}

#[test]
fn each_document_has_one_row_with_its_version_and_state() {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for row in rows() {
        if !seen.insert(row.document.clone()) {
            problems.push(format!("{} stands twice", row.document));
        }
        if !row.version.starts_with(|c: char| c.is_ascii_digit()) {
            problems.push(format!("no version: {}", row.line));
        }
        if !matches!(row.state.as_str(), "yes" | "partial" | "no") {
            problems.push(format!("neither yes, partial nor no: {}", row.line));
        }
        if (row.state == "no") != row.modules.is_empty() {
            problems.push(format!(
                "a module is named where one follows it, and only there: {}",
                row.line
            ));
        }
    }
    assert_none(&problems);
}

#[test]
fn what_is_built_is_where_the_table_says() {
    let sources = sources();
    let mut problems = Vec::new();
    for row in rows() {
        for module in &row.modules {
            if !root().join("src").join(module).exists() {
                problems.push(format!("{}: there is no src/{module}", row.document));
                continue;
            }
            let names = |source: &Source| {
                source.path.starts_with(Path::new("src").join(module))
                    && specifications(&source.text).contains(&row.document)
            };
            if !sources.iter().any(names) {
                problems.push(format!("src/{module} does not name {}", row.document));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn what_the_source_follows_is_in_the_table() {
    let rows = rows();
    let followed = |document: &str| {
        rows.iter()
            .any(|row| row.document == document && row.state != "no")
    };
    let mut problems = BTreeSet::new();
    for source in sources() {
        for document in specifications(&source.text) {
            if !followed(&document) {
                let path = source.path.display();
                problems.insert(format!("{path} names {document}, which has no row or a no"));
            }
        }
    }
    assert_none(&problems.into_iter().collect::<Vec<_>>());
}

/// A row is read as it is meant.
#[test]
fn a_row_is_read() {
    let line =
        "| XEP-0012 | Last Activity | 2.0 | partial | `component/last.rs`, `link/`: not `<os/>` |";
    let row = row(line).unwrap();
    assert_eq!(row.document, "XEP-0012");
    assert_eq!(
        (row.version.as_str(), row.state.as_str()),
        ("2.0", "partial")
    );
    assert_eq!(row.modules, ["component/last.rs", "link/"]);
}
