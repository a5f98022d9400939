//! The component's command line: exit codes, messages and the log.

use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
    says(
        &vestibule(&["fly"]),
        64,
        "vestibule: unrecognized subcommand 'fly'",
    );
    says(
        &vestibule(&["run", "--colour"]),
        64,
        "vestibule: unexpected argument '--colour'",
    );
    says(
        &vestibule(&["run", "--config", "/nowhere/at/all.toml"]),
        64,
        "vestibule: /nowhere/at/all.toml: cannot be read: No such file or directory",
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

/// It says so where it is told to confirm its options (docs/design/0013-malloc.md).
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn malloc_is_that_of_jemalloc() {
    let output = Command::new(built_binary("vestibule").unwrap())
        .arg("--version")
        .env("MALLOC_CONF", "confirm_conf:true")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("<jemalloc>: malloc_conf"), "{error:?}");
}

#[test]
fn a_wrong_configuration_is_64_with_every_problem_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let path = config(folder.path(), "colour = 1\n[log]\nlevel = \"loud\"\n");
    let path = path.to_str().unwrap();
    for command in ["run", "check-config"] {
        let output = Command::new(built_binary("vestibule").unwrap())
            .args([command, "--config", path])
            .env_clear()
            .env(
                "VESTIBULE_COMPONENT_SERVER",
                server.local_addr().unwrap().to_string(),
            )
            .env("VESTIBULE_STORE_MINFREE", "0")
            .output()
            .unwrap();
        says(&output, 64, "");
        let expected = format!(
            "vestibule: {path}:10: users.colour: unknown key, expected one of domains, admins, \
             neighbours, default-visibility, timezone\n\
             vestibule: {path}:12: log.level: found \"loud\", expected \"error\", \"warn\", \"info\", \
             \"debug\" or \"trace\"\n\
             vestibule: environment: VESTIBULE_STORE_MINFREE: unknown variable, expected one of \
             VESTIBULE_STORE_PATH, VESTIBULE_STORE_MIN_FREE, VESTIBULE_STORE_EXPORT_DIR, \
             VESTIBULE_STORE_EXPORT_EVERY, VESTIBULE_STORE_EXPORT_KEEP\n"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    }
    assert!(
        !folder.path().join("store").exists(),
        "the store was touched"
    );
    let called = server.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(
        called,
        Err(std::io::ErrorKind::WouldBlock),
        "the server was called"
    );
}

#[test]
fn a_secret_that_others_can_read_is_64() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = vestibule(&["run", "--config", path.to_str().unwrap()]);
    says(
        &output,
        64,
        "vestibule.toml:4: component.secret: stands in a file that others may read (its mode is 0644)",
    );
}

#[test]
fn a_good_configuration_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    let output = vestibule(&["check-config", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (fine, ceiling) = said.split_once('\n').unwrap();
    assert_eq!(fine, format!("{} is fine", path.display()));
    // And what it amounts to.
    assert_eq!(
        ceiling,
        "what watchers may do at most:
                  public        known         authorized    trusted
  see             yes           yes           yes           yes
  open-url        ask           ask           yes           yes
  leave-message   yes           yes           yes           yes
  notify          no            yes           yes           yes
  set-status      no            no            by-grant      by-grant
  start-module    no            no            ask-by-grant  by-grant
  activate-client no            no            ask           yes
"
    );
    assert!(output.stderr.is_empty());
    assert!(
        !folder.path().join("store").exists(),
        "the store was touched"
    );
}

#[test]
fn a_ceiling_that_differs_is_shown_for_each_interface() {
    let folder = tempfile::tempdir().unwrap();
    let row = "[ceiling-dedicated]\nsee = [\"no\", \"no\", \"no\", \"by-grant\"]\n";
    let path = config(folder.path(), row);
    let output = vestibule(&["check-config", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (server, link) = said.split_once("on the dedicated link:").unwrap();
    assert!(
        server.contains("see             yes           yes           yes           yes\n"),
        "{said}"
    );
    assert!(
        link.contains("see             no            no            no            by-grant\n"),
        "{said}"
    );
}

#[test]
fn a_port_that_is_taken_is_64() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = config(
        folder.path(),
        &format!("[dedicated]\nlisten = \"{address}\"\n"),
    );
    let output = vestibule(&["run", "--config", path.to_str().unwrap()]);
    says(
        &output,
        64,
        &format!("dedicated.listen: cannot listen on {address}: Address already in use"),
    );
}

#[test]
fn without_retry_an_unreachable_server_is_69() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "");
    let output = vestibule(&["run", "--no-retry", "--config", path.to_str().unwrap()]);
    says(&output, 69, "vestibule: cannot connect to 127.0.0.1:1");
}

#[test]
fn the_log_is_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "[log]\nformat = \"json\"\n");
    let mut component = Command::new(built_binary("vestibule").unwrap())
        .args(["run", "--config", path.to_str().unwrap()])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(component.stderr.take().unwrap());
    // The first export may be told before that there is no server.
    let warned = log.by_ref().lines().take(2).any(|line| {
        let line = line.unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        object["level"] == "WARN"
    });
    assert!(warned);

    // It tries again, and ends at once and well when it is told to, though there is no server.
    let id = component.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(component.wait().unwrap().code(), Some(0));

    let path = config(folder.path(), "[log]\nlevel = \"error\"\n");
    let output = vestibule(&["run", "--no-retry", "--config", path.to_str().unwrap()]);
    says(&output, 69, "vestibule: ");
    assert_eq!(
        output.stderr.iter().filter(|byte| **byte == b'\n').count(),
        1
    );
    assert!(!output.stderr.contains(&0x1b), "colours in a file");
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
