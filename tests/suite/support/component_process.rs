//! The built component, `vestibule run --config FILE`, as a process of its own with a configuration
//! and a store in a temporary folder.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use toml::{Table, Value};

use super::process::Process;
use super::server::{DOMAIN, Kind, Server};
use super::{Failure, process};

/// How long it may take to attach to a server that runs.
const ATTACH: Duration = Duration::from_secs(30);

/// How long it may take to end on SIGTERM.
const STOP: Duration = Duration::from_secs(30);

/// How often the log is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What the component logs when it is attached: `attached to SERVER as DOMAIN`.
const ATTACHED: &str = "attached to ";

/// What is written to the configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Config(Table);

impl Config {
    /// The least that attaches to `server` and lets its users join.
    pub(crate) fn for_server(server: &Server) -> Self {
        Self(toml::toml! {
            [users]
            domains = [DOMAIN]
            [log]
            level = "info"
            format = "text"
        })
        .with(match server.kind() {
            // The tests' ejabberd has no `mod_pres_counter`.
            Kind::Ejabberd => "[limits]\nsubscriptions-per-minute = 0\n",
            Kind::Prosody => "",
        })
        .with(&format!(
            "[component]\ndomain = {:?}\nserver = {:?}\nsecret = {:?}\n",
            server.component_domain(),
            server.component_address().to_string(),
            server.secret()
        ))
    }

    /// The least that starts, with a server where nobody listens.
    pub(crate) fn alone() -> Self {
        Self(toml::toml! {
            [component]
            domain = "presence.localhost"
            server = "127.0.0.1:1"
            secret = "secret"
            [store]
            min-free = 0
            [users]
            domains = [DOMAIN]
        })
    }

    /// Adds TOML text: tables are merged, values replace those of the same name, and an array of
    /// tables such as `[[party]]` is added to.
    ///
    /// # Panics
    ///
    /// If `text` is not TOML; it is written by the author of the test.
    #[track_caller]
    pub(crate) fn with(mut self, text: &str) -> Self {
        match text.parse::<Table>() {
            Ok(table) => merge(&mut self.0, table),
            Err(error) => panic!("not TOML: {error}\n{text}"),
        }
        self
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if new.iter().all(Value::is_table) => {
                old.extend(new);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The component: running, stopped or killed. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(crate) struct ComponentProcess {
    binary: PathBuf,
    // Before the folder, so that the process is gone before it is.
    process: Process,
    folder: TempDir,
    /// Up to where the log has been looked at, in bytes.
    looked_at: u64,
}

impl ComponentProcess {
    /// Starts it and waits until it is attached. For `binary` see [`super::built_binary`].
    pub(crate) async fn start(binary: &Path, config: &Config) -> Result<Self, Failure> {
        let mut component = Self::spawn(binary, config)?;
        component.attached().await?;
        Ok(component)
    }

    /// Starts it without waiting for anything. The store is `store` in its folder unless `config`
    /// names another one.
    pub(crate) fn spawn(binary: &Path, config: &Config) -> Result<Self, Failure> {
        let failure = |error| Failure::new(format!("cannot make a temporary folder: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .map_err(failure)?;
        let store = Value::String(folder.path().join("store").display().to_string());
        let mut table = Table::new();
        table.insert(
            "store".to_owned(),
            Table::from_iter([("path".to_owned(), store)]).into(),
        );
        merge(&mut table, config.0.clone());
        let file = folder.path().join(CONFIG);
        std::fs::write(&file, table.to_string()).map_err(failure)?;
        // It holds the secret: a file that others may read is refused.
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, private).map_err(failure)?;
        Ok(Self {
            binary: binary.to_owned(),
            process: run(binary, folder.path())?,
            folder,
            looked_at: 0,
        })
    }

    /// Starts it again with the same configuration and store, after stopping it if it runs, and waits
    /// until it is attached.
    pub(crate) async fn restart(&mut self) -> Result<(), Failure> {
        self.process.terminate(STOP).await?;
        self.respawn()?;
        self.attached().await
    }

    /// Starts it again after it has ended, without waiting for anything.
    pub(crate) fn respawn(&mut self) -> Result<(), Failure> {
        self.looked_at = self.process.log_length();
        self.process = run(&self.binary, self.folder.path())?;
        Ok(())
    }

    /// Waits until it logs, after what has been waited for before, that it is attached.
    pub(crate) async fn attached(&mut self) -> Result<(), Failure> {
        self.logged(ATTACHED, ATTACH).await.map(drop)
    }

    /// Waits for a line of the log with `text` in it, after the last one waited for, and returns it.
    pub(crate) async fn logged(
        &mut self,
        text: &str,
        at_most: Duration,
    ) -> Result<String, Failure> {
        let looking = async {
            loop {
                // Asked first: what it logs before it ends is there when it has ended.
                let ended = self.process.ended().is_some();
                let log = self.process.log_since(self.looked_at);
                // A line without its end is still being written.
                for line in log
                    .split_inclusive('\n')
                    .filter(|line| line.ends_with('\n'))
                {
                    self.looked_at += line.len() as u64;
                    if line.contains(text) {
                        return Some(line.trim_end().to_owned());
                    }
                }
                if ended {
                    return None;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(at_most, looking).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self
                .process
                .failure(&format!("ended without logging {text:?}"))),
            Err(_) => Err(self
                .process
                .failure(&format!("did not log {text:?} within {at_most:?}"))),
        }
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) -> Result<(), Failure> {
        self.process.signal("HUP")
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) async fn stop(&mut self) -> Result<i32, Failure> {
        self.process.terminate(STOP).await?;
        self.exit_code(STOP).await
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until it ends by itself, and returns the exit code.
    pub(crate) async fn exit_code(&mut self, at_most: Duration) -> Result<i32, Failure> {
        let status = self.process.wait(at_most).await?;
        status
            .code()
            .ok_or_else(|| self.process.failure(&format!("was ended by {status}")))
    }

    /// The process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged, over all its starts.
    pub(crate) fn log(&self) -> String {
        process::read_log(&self.folder.path().join(LOG), 0)
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// The folder that holds its configuration, store and log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

const CONFIG: &str = "vestibule.toml";
const LOG: &str = "component.log";

fn run(binary: &Path, folder: &Path) -> Result<Process, Failure> {
    let mut command = Process::command(binary);
    command
        .args(["run", "--config"])
        .arg(folder.join(CONFIG))
        .env("HOME", folder)
        .env("RUST_BACKTRACE", "1")
        .current_dir(folder);
    Process::spawn("vestibule", command, &folder.join(LOG))
}
