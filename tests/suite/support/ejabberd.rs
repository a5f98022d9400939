//! How ejabberd 23.01 is configured and started for tests.
//!
//! Erlang is started directly: Debian's `ejabberdctl` changes the user and starts `epmd`, a daemon
//! that would stay behind. Without a node name there is no Erlang distribution and no `epmd`.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::process::{Process, find_program};
use super::server::{Certificate, DOMAIN, Server};

/// Writes the configuration.
pub(super) fn prepare(server: &Server) -> io::Result<()> {
    let folder = server.folder();
    std::fs::create_dir(folder.join("spool"))?;
    std::fs::write(folder.join("ejabberd.yml"), configuration(server))
}

/// The command that runs it in the foreground; `None` if it is not installed.
pub(super) fn command(server: &Server) -> Option<Command> {
    let folder = server.folder();
    let spool = folder.join("spool");
    let mut command = Process::command(&find_program("erl")?);
    command
        // Schedulers that spin while they wait would take the processor from what is tested.
        .args(["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"])
        .args(["-mnesia", "dir"])
        // Erlang reads the value as a term of its own, hence the quotes.
        .arg(format!("{:?}", spool.display().to_string()))
        .args(["-s", "ejabberd", "-noinput"])
        .env("HOME", folder)
        .env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"))
        .env("EJABBERD_PID_PATH", folder.join("ejabberd.pid"))
        .env("ERL_LIBS", libraries()?)
        .env("ERL_CRASH_DUMP", folder.join("crash.dump"))
        .env("CONTRIB_MODULES_CONF_DIR", folder.join("modules.d"))
        .current_dir(spool);
    Some(command)
}

/// The folder that holds `ejabberd-VERSION/ebin`: /usr/lib/TRIPLET on Debian.
fn libraries() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|folder| {
            std::fs::read_dir(folder).is_ok_and(|entries| {
                entries.filter_map(Result::ok).any(|entry| {
                    entry.file_name().to_string_lossy().starts_with("ejabberd-")
                        && entry.path().join("ebin").is_dir()
                })
            })
        })
}

fn configuration(server: &Server) -> String {
    let c2s = server.c2s_address().port();
    let component = server.component_address().port();
    let component_domain = server.component_domain();
    let secret = server.secret();
    let (certificate, tls) = match server.certificate() {
        Some(Certificate { public, private }) => (
            format!("certfiles:\n  - {public:?}\n  - {private:?}\n"),
            "    starttls: true\n",
        ),
        None => (String::new(), ""),
    };
    // `mod_muc`: without it `mod_caps` crashes a hook at every presence from a component.
    // No `mod_pres_counter`: it drops all but 5 subscription stanzas a minute, without a word.
    // `registration_timeout`: else one registration per address in ten minutes.
    format!(
        r#"hosts: ["{DOMAIN}"]
loglevel: info
log_rotate_count: 0
auth_method: internal
auth_password_format: plain
registration_timeout: infinity
{certificate}listen:
  - port: {c2s}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    shaper: none
{tls}  - port: {component}
    ip: "127.0.0.1"
    module: ejabberd_service
    hosts:
      "{component_domain}":
        password: "{secret}"
access_rules:
  register_ok:
    allow: all
modules:
  mod_adhoc: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam:
    default: always
  mod_muc: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_register:
    ip_access: all
    access: register_ok
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
  mod_version: {{}}
"#
    )
}
