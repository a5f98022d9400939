//! Transcripts: what comes in and goes out, as text files (tests/transcripts/README.md), and what
//! they are played on.

pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod mirror;
pub(crate) mod player;
pub(crate) mod script;
pub(crate) mod settings;
pub(crate) mod tcp;
pub(crate) mod tree;
pub(crate) mod wire;

mod compare;
mod gate;
mod pattern;
mod phrase;
mod records;
mod resources;
mod seal;
mod shorthand;
mod surroundings;

use std::fs;
use std::path::{Path, PathBuf};

use script::Script;

/// Every file of one topic, read, in the order of names. `VESTIBULE_TRANSCRIPT` narrows the choice to
/// the files whose path contains it.
pub(crate) fn read(topic: &str) -> Vec<Result<Script, String>> {
    let only = std::env::var("VESTIBULE_TRANSCRIPT").unwrap_or_default();
    let mut paths = list(&root().join(topic), Some("txt"));
    paths.retain(|path| path.to_string_lossy().contains(&only));
    assert!(
        !paths.is_empty() || !only.is_empty(),
        "no transcripts of {topic}"
    );
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let shown = path
                .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                .unwrap_or(&path);
            Script::parse(shown, &text).map_err(|error| error.to_string())
        })
        .collect()
}

/// The names of the topics.
pub(crate) fn topics() -> Vec<String> {
    list(&root(), None)
        .into_iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// The files with an ending, or without one the folders.
fn list(folder: &Path, ending: Option<&str>) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| match ending {
            Some(ending) => path.extension().is_some_and(|found| found == ending),
            None => path.is_dir(),
        })
        .collect();
    paths.sort();
    paths
}
