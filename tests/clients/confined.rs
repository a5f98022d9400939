//! Runs a client where it trusts our authority, is not root, and leaves nothing behind.
//!
//! Linux namespaces do all three without touching the system. In its own mount namespace the file of
//! trusted authorities is ours (Dino and Gajim have no setting for it). In its own user namespace it is
//! an ordinary user, also where the tests are run by root: Gajim and poezio refuse to start as root. And
//! it is in a process namespace of its own, with all that it starts, which ends with its first process.

use std::path::Path;
use std::process::Command;

use crate::support::Failure;
use crate::support::process::{Process, find_program};

/// Where Debian's libraries look for trusted authorities.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the user an ordinary one; the files of who runs the tests are then that user's.
const AS_USER: [&str; 4] = ["unshare", "--map-user=1000", "--map-group=1000", "--"];

/// Debian's Python, which has Debian's modules; another one may come first in the path.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// A command that runs `program` confined, trusting `authority` alone, with `home` as its home.
/// Arguments are added by the caller.
pub(crate) fn command(program: &str, authority: &Path, home: &Path) -> Result<Command, Failure> {
    let program = find_program(program).ok_or_else(|| missing(program))?;
    let unshare = find_program("unshare").ok_or_else(|| missing("unshare"))?;
    let mut command = Process::command(&unshare);
    command
        // Changing the user makes the kernel forget that this process is to die with its parent.
        .args(["--map-root-user", "--"])
        .args(["setpriv", "--pdeathsig", "KILL", "--"])
        .args([
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--",
        ])
        .args([
            "sh",
            "-ec",
            r#"mount --bind "$1" "$2"; shift 2; exec "$@""#,
            "sh",
        ])
        .arg(authority)
        .arg(TRUSTED)
        .args(AS_USER)
        .arg(program)
        .env("HOME", home)
        .current_dir(home);
    Ok(command)
}

/// A command that is taken for the same user by what is confined, but runs outside.
pub(crate) fn command_beside(program: &str, home: &Path) -> Result<Command, Failure> {
    let program = find_program(program).ok_or_else(|| missing(program))?;
    let unshare = find_program(AS_USER[0]).ok_or_else(|| missing(AS_USER[0]))?;
    let mut command = Process::command(&unshare);
    command
        .args(&AS_USER[1..])
        .arg(program)
        .env("HOME", home)
        .current_dir(home);
    Ok(command)
}

/// Runs `command` to its end and returns what it printed.
pub(crate) async fn output(name: &str, command: Command) -> Result<Vec<u8>, Failure> {
    let failure = |text: String| Failure::new(format!("{name}: {text}"));
    let output = tokio::process::Command::from(command)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::story::PATIENCE, output)
        .await
        .map_err(|_| failure("no end".to_owned()))?
        .map_err(|error| failure(error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(failure(format!("{}\n{errors}", output.status)))
    }
}

/// What to do where a program is not there.
pub(crate) fn missing(program: &str) -> Failure {
    Failure::new(format!(
        "{program} is not installed: run make test-long, or tests/install.sh clients"
    ))
}
