//! How ejabberd 23.01 is configured and started for tests.
//!
//! Erlang is started directly: Debian's `ejabberdctl` changes the user and starts `epmd`, a daemon
//! that would stay behind. Without a node name there is no Erlang distribution and no `epmd`.

use std::io;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;

use super::Failure;
use super::process::{Process, find_program};
use super::server::{Certificate, DOMAIN, Server};

/// Debian's configuration, and the certificate that comes with it.
const DEBIAN: &str = "/etc/ejabberd/ejabberd.yml";
const DEBIAN_CERTIFICATE: &str = "/etc/ejabberd/ejabberd.pem";

/// The icons of `mod_webpresence`, where Debian has them.
const PIXMAPS: &str = "/usr/share/ejabberd-mod-webpresence/pixmaps";

/// The TCP ports in it: clients, clients over TLS, servers, two for HTTP, MQTT.
pub(super) const DEBIAN_PORTS: [u16; 6] = [5222, 5223, 5269, 5443, 5280, 1883];
/// The UDP port in it: STUN. Our reservations are UDP ports themselves.
const DEBIAN_STUN: u16 = 3478;

/// Writes the configuration.
pub(super) fn prepare(server: &Server) -> io::Result<()> {
    let folder = server.folder();
    std::fs::create_dir(folder.join("spool"))?;
    std::fs::write(folder.join("ejabberd.yml"), configuration(server)?)
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

/// Writes Debian's own configuration, as it is installed, over the tests' one. Changed are the ports, the
/// addresses (loopback) and the path of the certificate; added are the component, as its operator adds
/// it, and a port for clients without TLS, with the shaper and the access of the one beside it.
pub(super) fn prepare_as_debian(server: &Server) -> Result<(), Failure> {
    let certificate = server.folder().join("ejabberd.pem");
    let failure = |error: io::Error| Failure::new(format!("cannot configure ejabberd: {error}"));
    std::fs::write(&certificate, installed(DEBIAN_CERTIFICATE)?).map_err(failure)?;
    let mut text = installed(DEBIAN)?;
    for needed in [
        "  mod_pres_counter:\n    count: 5\n    interval: 60\n",
        "hosts:\n  - localhost\n",
    ] {
        if !text.contains(needed) {
            return Err(Failure::new(format!(
                "{DEBIAN} is not as Debian has it: no {needed:?}"
            )));
        }
    }
    let stun = UdpSocket::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let stun = (&DEBIAN_STUN, stun.map_err(failure)?.port());
    for (theirs, ours) in DEBIAN_PORTS.iter().zip(server.spare_ports()).chain([stun]) {
        text = text.replace(
            &format!("    port: {theirs}\n"),
            &format!("    port: {ours}\n"),
        );
    }
    text = text
        .replace("    ip: \"::\"\n", "    ip: \"127.0.0.1\"\n")
        .replace(DEBIAN_CERTIFICATE, &certificate.display().to_string());
    let added = format!(
        r#"listen:
  -
    port: {c2s}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
  -
    port: {component}
    ip: "127.0.0.1"
    module: ejabberd_service
    hosts:
      "{domain}":
        password: "{secret}"
"#,
        c2s = server.c2s_address().port(),
        component = server.component_address().port(),
        domain = server.component_domain(),
        secret = server.secret(),
    );
    text = text.replacen("listen:\n", &added, 1);
    std::fs::write(server.folder().join("ejabberd.yml"), text).map_err(failure)
}

/// A file that the package has installed, which only root and the server's user may read.
fn installed(path: &str) -> Result<String, Failure> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text);
    }
    let read = Command::new("sudo").args(["-n", "cat", path]).output();
    let text = read.ok().filter(|read| read.status.success());
    text.and_then(|read| String::from_utf8(read.stdout).ok())
        .ok_or_else(|| {
            Failure::new(format!(
                "cannot read {path}: run the tests as root or with sudo"
            ))
        })
}

fn configuration(server: &Server) -> io::Result<String> {
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
    let component_tls = match &server.options().component_certificate {
        Some(Certificate { public, private }) => {
            // One file holds both.
            let whole = [public, private].map(std::fs::read_to_string);
            let whole = whole.into_iter().collect::<io::Result<String>>()?;
            let file = server.folder().join("component.pem");
            std::fs::write(&file, whole)?;
            format!("    tls: true\n    certfile: {file:?}\n")
        }
        None => String::new(),
    };
    let hibernation = match server.options().hibernation_s {
        Some(seconds) => format!("\n    resume_timeout: {seconds}"),
        None => " {}".to_owned(),
    };
    let (web_port, web) = match server.options().web_presence {
        true => (
            format!(
                "  - port: {}\n    ip: \"127.0.0.1\"\n    module: ejabberd_http\n    \
                 request_handlers:\n      /presence: mod_webpresence\n",
                server.web_address().port()
            ),
            format!("  mod_webpresence:\n    pixmaps_path: {PIXMAPS:?}\n"),
        ),
        false => (String::new(), String::new()),
    };
    // `mod_muc`: without it `mod_caps` crashes a hook at every presence from a component.
    // No `mod_pres_counter`: it drops all but 5 subscription stanzas a minute, without a word.
    // `registration_timeout`: else one registration per address in ten minutes.
    Ok(format!(
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
{component_tls}    hosts:
      "{component_domain}":
        password: "{secret}"
{web_port}access_rules:
  register_ok:
    allow: all
  webpresence_auto:
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
  mod_stream_mgmt:{hibernation}
  mod_version: {{}}
{web}"#
    ))
}
