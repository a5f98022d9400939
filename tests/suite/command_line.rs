//! The component's command line: exit codes and messages, before any socket is opened.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::built_binary;

fn vestibule(arguments: &[&str]) -> Output {
    Command::new(built_binary("vestibule").unwrap())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

/// A configuration whose server nobody listens at.
fn config(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("vestibule.toml");
    let store = folder.join("store").display().to_string();
    let text = format!(
        "[component]\ndomain = \"presence.localhost\"\nserver = \"127.0.0.1:1\"\nsecret = \"s3kr1t\"\n\
         [store]\npath = {store:?}\nmin-free = 0\n[users]\ndomains = [\"localhost\"]\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn says(output: &Output, code: i32, words: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(words), "{words:?} is not in {error:?}");
    assert!(!error.contains("s3kr1t"), "a secret is told: {error}");
    assert!(output.stdout.is_empty(), "an error went to standard output");
}

#[test]
fn bad_usage_is_64() {
    says(&vestibule(&[]), 64, "Usage");
    says(&vestibule(&["fly"]), 64, "fly");
    says(
        &vestibule(&["run", "--config", "/nowhere/at/all.toml"]),
        64,
        "/nowhere/at/all.toml",
    );
}

#[test]
fn help_and_version_are_no_errors() {
    for option in ["--help", "--version"] {
        let output = vestibule(&[option]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("vestibule"));
    }
}

#[test]
fn a_wrong_configuration_is_64_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "colour = 1\n[log]\nlevel = \"loud\"\n");
    let path = path.to_str().unwrap();
    for command in ["run", "check-config"] {
        let output = vestibule(&[command, "--config", path]);
        says(
            &output,
            64,
            "vestibule.toml:10: unknown key users.colour, expected one of domains",
        );
        says(
            &output,
            64,
            "vestibule.toml:12: log.level is to be one of error, warn, info, debug",
        );
    }
    assert!(
        !folder.path().join("store").exists(),
        "the store was touched"
    );
}

#[test]
fn a_good_configuration_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    let output = vestibule(&["check-config", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("is fine\n"));
}

#[test]
fn without_retry_an_unreachable_server_is_69() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    let output = vestibule(&["run", "--no-retry", "--config", path.to_str().unwrap()]);
    says(&output, 69, "127.0.0.1:1");
}

#[test]
fn a_store_that_cannot_be_opened_is_73() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    std::fs::write(folder.path().join("store"), "not a folder").unwrap();
    let output = vestibule(&["run", "--no-retry", "--config", path.to_str().unwrap()]);
    says(&output, 73, "store");
    std::fs::remove_file(folder.path().join("store")).unwrap();

    std::fs::create_dir(folder.path().join("store")).unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path().join("store"), open).unwrap();
    let output = vestibule(&["run", "--no-retry", "--config", path.to_str().unwrap()]);
    says(&output, 73, "store");
}
