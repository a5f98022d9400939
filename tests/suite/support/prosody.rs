//! How Prosody 0.12 is configured and started for tests.

use std::io;
use std::process::Command;

use super::process::{Process, find_program};
use super::server::{Certificate, DOMAIN, Server};

/// Writes the configuration.
pub(super) fn prepare(server: &Server) -> io::Result<()> {
    let folder = server.folder();
    // Prosody makes neither; without the second it logs an error that means nothing here.
    std::fs::create_dir(folder.join("data"))?;
    std::fs::create_dir(folder.join("certs"))?;
    std::fs::write(folder.join("prosody.cfg.lua"), configuration(server))
}

/// The command that runs it in the foreground; `None` if it is not installed.
pub(super) fn command(server: &Server) -> Option<Command> {
    let mut command = Process::command(&find_program("prosody")?);
    command
        .arg("--config")
        .arg(server.folder().join("prosody.cfg.lua"))
        .arg("-F")
        .env("HOME", server.folder())
        .current_dir(server.folder());
    Some(command)
}

fn configuration(server: &Server) -> String {
    let folder = server.folder().display();
    let c2s = server.c2s_address().port();
    let component = server.component_address().port();
    let component_domain = server.component_domain();
    let secret = server.secret();
    let (tls, no_tls, certificate) = match server.certificate() {
        Some(certificate) => {
            let Certificate { public, private } = certificate;
            let line = format!("ssl = {{ certificate = {public:?}, key = {private:?} }}");
            (r#", "tls""#, "", line)
        }
        None => ("", r#""tls", "#, String::new()),
    };
    let hibernation = server
        .options()
        .hibernation_s
        .map_or_else(String::new, |seconds| {
            format!("smacks_hibernation_time = {seconds}")
        });
    let (web_port, web) = match server.options().web_presence {
        true => (
            server.web_address().port().to_string(),
            r#", "webpresence""#,
        ),
        false => (String::new(), ""),
    };
    // `nagle = false`: with Nagle on and 32 probes in flight it stalls at 1,000 a second instead of 11,000.
    // `run_as_root`: else it refuses to start as root, as in most containers.
    format!(
        r#"pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
run_as_root = true
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
c2s_direct_tls_ports = {{}}
legacy_ssl_ports = {{}}
component_ports = {{ {component} }}
component_interfaces = {{ "127.0.0.1" }}
s2s_ports = {{}}
http_ports = {{ {web_port} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{}}
network_settings = {{ nagle = false }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
allow_registration = true
modules_enabled = {{
    "roster", "saslauth", "disco", "presence", "message", "iq", "ping", "pep", "register", "carbons",
    "mam", "offline", "smacks", "blocklist", "private", "lastactivity", "version", "time"{tls}{web}
}}
modules_disabled = {{ {no_tls}"s2s" }}
{certificate}
{hibernation}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
VirtualHost "{DOMAIN}"
Component "{component_domain}"
    component_secret = "{secret}"
"#
    )
}
