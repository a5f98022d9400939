//! What the tests and the demo stand on: real servers, real clients and the built component, each a
//! process or a connection of its own on 127.0.0.1.
//!
//! Nothing here asserts anything about Vestibule, and nothing needs a test runner: the demo takes the
//! same files in. What cannot be set up is a [`Failure`]; what a client did not receive is a panic.
#![allow(dead_code, reason = "the tests and the demo use different parts")]

pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod component_process;
mod connection;
mod ejabberd;
pub(crate) mod fake_server;
pub(crate) mod far_end;
pub(crate) mod http;
pub(crate) mod partner;
pub(crate) mod ports;
pub(crate) mod process;
mod prosody;
pub(crate) mod server;
mod stream;
pub(crate) mod transcript;

use std::fmt;
use std::path::{Path, PathBuf};

use minidom::Element;

/// Why something could not be set up, in words for the person who started it.
#[derive(Clone)]
pub(crate) struct Failure(String);

impl Failure {
    /// Says what went wrong.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As [`fmt::Display`]: `unwrap` and a test that returns it shall show lines, not escapes.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// True in `make test-long`, where tests take larger numbers.
pub(crate) fn long() -> bool {
    std::env::var_os("VESTIBULE_TEST_LONG").is_some_and(|value| value == "1")
}

/// Reads one stanza in the namespace `jabber:client`.
///
/// # Panics
///
/// If `text` is not XML; it is written by the author of the test.
#[track_caller]
pub(crate) fn stanza(text: &str) -> Element {
    match Element::from_reader_with_prefixes(text.as_bytes(), "jabber:client".to_owned()) {
        Ok(element) => element,
        Err(error) => panic!("not a stanza: {error}\n{text}"),
    }
}

/// The path of a binary of this package that was built beside the running test or example.
pub(crate) fn built_binary(name: &str) -> Result<PathBuf, Failure> {
    built(Path::new(name))
}

/// The path of an example of this package that was built beside the running test.
pub(crate) fn built_example(name: &str) -> Result<PathBuf, Failure> {
    built(&Path::new("examples").join(name))
}

fn built(name: &Path) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find the running program: {error}")))?;
    // target/debug/deps/suite-… and target/debug/examples/demo both lie one folder deeper.
    let path = own
        .parent()
        .and_then(|folder| folder.parent())
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file());
    path.ok_or_else(|| {
        Failure::new(format!(
            "{} is not built; run `cargo build --locked --bins --examples`",
            name.display()
        ))
    })
}
