//! `docs/claims.md` is held against the tree: the modules and tests that it names are there, and the tests are
//! ones that run.

use crate::architecture::root;

const PAGE: &str = include_str!("../../docs/claims.md");
const STORIES: &str = include_str!("main_job.rs");
const CLIENTS: &str = include_str!("../clients/main.rs");

/// A row of its tables.
struct Row {
    claim: &'static str,
    state: &'static str,
    modules: Vec<&'static str>,
    tests: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let lines = PAGE.lines().filter(|line| line.starts_with('|'));
    let rows = lines.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [claim, state, modules, tests] = cells.as_slice() else {
            panic!("not four cells: {line}");
        };
        Row {
            claim,
            state,
            modules: quoted(modules),
            tests: quoted(tests),
        }
    });
    let rows: Vec<_> = rows
        .filter(|row| !row.state.starts_with('-') && row.state != "state")
        .collect();
    assert!(rows.len() > 40, "only {} rows were read", rows.len());
    rows
}

fn quoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_claim_has_its_modules_and_its_tests_or_says_what_is_missing() {
    let mut problems = Vec::new();
    for row in rows() {
        let missing = row.state.split_once(": ").map(|(state, _)| state);
        let is_whole = match (row.state, missing) {
            ("yes", _) | (_, Some("partly")) => !row.modules.is_empty() && !row.tests.is_empty(),
            (_, Some("no")) => row.modules.is_empty() && row.tests.is_empty(),
            _ => false,
        };
        if !is_whole {
            problems.push(format!("{}: {}", row.claim, row.state));
        }
        for module in row.modules {
            if !root().join("src").join(module).exists() {
                problems.push(format!("{}: there is no src/{module}", row.claim));
            }
        }
        for test in row.tests {
            if let Err(problem) = is_run(test) {
                problems.push(format!("{}: {problem}", row.claim));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Whether a test is there and is run: a transcript, a story of both servers, or a function.
fn is_run(test: &str) -> Result<(), String> {
    if test.ends_with(".txt") {
        let path = root().join("tests/transcripts").join(test);
        return path
            .exists()
            .then_some(())
            .ok_or_else(|| format!("there is no transcript {test}"));
    }
    let (file, name) = test
        .split_once("::")
        .ok_or_else(|| format!("not a test: {test}"))?;
    let folder = match file.split('/').next() {
        Some("src") => "",
        Some("clients") => "tests",
        _ => "tests/suite",
    };
    let text = std::fs::read_to_string(root().join(folder).join(file))
        .map_err(|error| format!("{file}: {error}"))?;
    let before = [format!("fn {name}("), format!("fn {name}<")]
        .iter()
        .find_map(|start| text.split_once(start))
        .map(|(before, _)| before)
        .ok_or_else(|| format!("there is no {name} in {file}"))?;
    let topic = file
        .strip_suffix(".rs")
        .and_then(|file| file.split_once('/'));
    let is_run = match topic {
        Some(("main_job", topic)) => STORIES.contains(&format!("{topic}::{name} as ")),
        Some(("clients", topic)) => [" as ", "::<"]
            .iter()
            .any(|end| CLIENTS.contains(&format!("{topic}::{name}{end}"))),
        _ => before
            .lines()
            .rev()
            .take(4)
            .any(|line| line.trim_start().starts_with("#[test") || line.contains("::test")),
    };
    is_run
        .then_some(())
        .ok_or_else(|| format!("{test} is not run"))
}

#[test]
fn what_is_not_run_would_be_found() {
    for (test, problem) in [
        ("probe/of-the-moon.txt", "there is no transcript"),
        ("claims.rs::is_nowhere", "there is no is_nowhere"),
        ("claims.rs::is_run", "is not run"),
        ("main_job/stage.rs::query", "is not run"),
        ("clients/forms.rs::own", "is not run"),
        ("nowhere.rs::it", "nowhere.rs: "),
    ] {
        let found = is_run(test).unwrap_err();
        assert!(found.contains(problem), "{found}");
    }
}
