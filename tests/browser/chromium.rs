//! A headless Chromium with a profile of its own, told what to do through two pipes in the Chrome
//! DevTools Protocol: no port is opened, and no driver beside the browser is needed.
//!
//! It knows browsers, not what they show; [`super::tab`] is one tab of it.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::Failure;
use crate::support::process::{find_program, read_log};

/// For what a browser does at once; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events that are kept until somebody asks for them; the oldest are dropped. No test of one page comes near it.
const EVENTS_MAX: usize = 10_000;

/// The browser reads commands from file 3 and writes answers to file 4; ours are 0 and 1.
const PIPES: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// What it prints, in its profile.
const LOG: &str = "chromium.log";

/// A running browser. Dropping it kills it and removes its profile.
pub(crate) struct Chromium {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
    events: VecDeque<Event>,
    // Before the profile, so that the process is gone before it is.
    child: Child,
    profile: TempDir,
}

/// Something that the browser has told without being asked.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Its name, as `Page.loadEventFired`.
    pub(crate) name: String,
    pub(crate) parameters: Value,
}

impl Chromium {
    /// Starts it. It reaches nothing but this machine: every other name resolves to nothing.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let program = find_program("chromium").ok_or_else(|| {
            Failure::new(
                "chromium is not installed: run make test, or \
                 apt-get install --no-install-recommends chromium",
            )
        })?;
        let failure = |error| Failure::new(format!("cannot start chromium: {error}"));
        let profile = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .map_err(failure)?;
        let log = std::fs::File::create(profile.path().join(LOG)).map_err(failure)?;
        let mut child = command(&program, profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failure)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::new("chromium has no pipes"));
        };
        let mut browser = Self {
            input,
            output: BufReader::new(output),
            last_id: 0,
            events: VecDeque::new(),
            child,
            profile,
        };
        browser.call(None, "Browser.getVersion", json!({})).await?;
        Ok(browser)
    }

    /// Gives a command, to the tab of a session or to the browser itself, and returns the result.
    pub(crate) async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        let wrote = self.input.write_all(&bytes).await;
        wrote.map_err(|error| self.failure(&format!("takes no commands: {error}")))?;
        let answer = loop {
            let message = self.next(method).await?;
            if message["id"] == id {
                break message;
            }
            self.keep(message);
        };
        match answer.get("error") {
            Some(error) => Err(self.failure(&format!("refuses {method}: {error}"))),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Waits for an event with this name, later than those that were taken.
    pub(crate) async fn wait_for(&mut self, name: &str) -> Result<Event, Failure> {
        loop {
            if let Some(at) = self.events.iter().position(|event| event.name == name) {
                return self.events.remove(at).ok_or_else(|| Failure::new(name));
            }
            let message = self.next(name).await?;
            self.keep(message);
        }
    }

    /// Takes all events that have been read so far.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Ends it in order.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.call(None, "Browser.close", json!({})).await?;
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(self.failure("does not end")),
        }
    }

    async fn next(&mut self, what: &str) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.output.read_until(0, &mut bytes)).await;
        if bytes.pop() != Some(0) {
            return Err(self.failure(&format!("says nothing about {what}: {read:?}")));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| self.failure(&format!("does not speak JSON: {error}")))
    }

    fn keep(&mut self, mut message: Value) {
        let Some(name) = message["method"].as_str() else {
            return;
        };
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            name: name.to_owned(),
            parameters: message["params"].take(),
        });
    }

    fn failure(&self, what: &str) -> Failure {
        let log = read_log(&self.profile.path().join(LOG), 0);
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        Failure::new(format!("chromium {what}\n{}", lines.join("\n")))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its other processes end when it is gone; the profile can only be removed then.
        let _ = self.child.start_kill();
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn command(program: &Path, profile: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", PIPES, "sh"])
        .args(["setpriv", "--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(["--headless=new", "--remote-debugging-pipe", "about:blank"])
        .arg(format!("--user-data-dir={}", profile.display()))
        // Its sandbox wants an ordinary user, and rights that containers do not give. Tests load pages
        // of ours alone.
        .arg("--no-sandbox")
        // /dev/shm is small in containers.
        .args(["--disable-dev-shm-usage", "--disable-gpu"])
        // Nothing of its own: it looks for updates, and for sites that a person might like.
        .args(["--no-first-run", "--no-default-browser-check"])
        .args(["--disable-background-networking", "--disable-sync"])
        .args(["--disable-component-update", "--disable-extensions"])
        .args(["--disable-default-apps", "--metrics-recording-only"])
        .args(["--disable-breakpad", "--disable-crash-reporter"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
        .arg("--force-color-profile=srgb")
        .args(["--hide-scrollbars", "--font-render-hinting=none"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LANG", "C.UTF-8")
        .env("HOME", profile)
        .env("XDG_CONFIG_HOME", profile)
        .env("XDG_CACHE_HOME", profile);
    command
}
