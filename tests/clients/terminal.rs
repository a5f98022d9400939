//! A terminal with a client in it: tmux, with a server and a socket of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::confined::{self, missing, output};
use crate::scene::Scene;
use crate::story::{LOOK, PATIENCE};
use crate::support::Failure;
use crate::support::process::{Process, find_program};

/// Wide enough for every line that is looked for.
const COLUMNS: &str = "180";
const LINES: &str = "40";

/// How long tmux may take to answer on its socket.
const START: Duration = Duration::from_secs(20);

/// A running client and its screen. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Terminal {
    socket: PathBuf,
    home: PathBuf,
    // Everything in the terminal ends with it.
    _server: Process,
}

impl Terminal {
    /// Runs `program` in a terminal; its files are those in `home`.
    pub(crate) async fn run(scene: &Scene, program: &str, home: &Path) -> Result<Self, Failure> {
        let program = find_program(program).ok_or_else(|| missing(program))?;
        let socket = home.join("tmux");
        let mut server = confined::command("tmux", scene.authority(), home)?;
        server
            .arg("-S")
            .arg(&socket)
            .args(["-f", "/dev/null", "-D"]);
        let terminal = Self {
            socket,
            home: home.to_owned(),
            _server: Process::spawn("tmux", server, &home.join("tmux.log"))?,
        };
        let answering = async {
            while terminal.order(&["show-options", "-s"]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START, answering)
            .await
            .map_err(|_| Failure::new(format!("tmux did not answer within {START:?}")))?;
        // So that last words can be read.
        terminal
            .order(&["set-option", "-g", "remain-on-exit", "on"])
            .await?;
        let program = program.display().to_string();
        let size = ["-x", COLUMNS, "-y", LINES];
        let session = [&["new-session", "-d"][..], &size[..], &["--", &program]].concat();
        terminal.order(&session).await?;
        Ok(terminal)
    }

    /// The lines of the screen.
    pub(crate) async fn screen(&self) -> Result<Vec<String>, Failure> {
        let bytes = self.order(&["capture-pane", "-p"]).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Presses keys, by the names that tmux has for them.
    pub(crate) async fn press(&self, keys: &[&str]) -> Result<(), Failure> {
        self.order(&[&["send-keys"], keys].concat()).await.map(drop)
    }

    /// Types a line and sends it.
    pub(crate) async fn enter(&self, line: &str) -> Result<(), Failure> {
        self.order(&["send-keys", "-l", line]).await?;
        self.press(&["Enter"]).await
    }

    /// Tells whether the screen has these words in it; else what it has.
    pub(crate) async fn has(&self, words: &str) -> Result<(), Failure> {
        let screen = self.screen().await?.join("\n");
        if screen.contains(words) {
            return Ok(());
        }
        Err(Failure::new(format!("no {words:?} on\n{screen}")))
    }

    /// Waits until the screen has these words in it.
    pub(crate) async fn until(&self, words: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let result = self.has(words).await;
            if result.is_ok() || Instant::now() > end {
                return result;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Leaves the screen with its colours in `target/tmp`, for `cat`; returns it without them.
    pub(crate) async fn leave_picture(&self, name: &str) -> Result<String, Failure> {
        let coloured = self.order(&["capture-pane", "-p", "-e"]).await?;
        let file = crate::desktop::picture_file(name, "txt");
        std::fs::write(&file, coloured)
            .map_err(|error| Failure::new(format!("cannot write {file:?}: {error}")))?;
        Ok(self.screen().await?.join("\n"))
    }

    async fn order(&self, words: &[&str]) -> Result<Vec<u8>, Failure> {
        let mut command = confined::command_beside("tmux", &self.home)?;
        command.arg("-S").arg(&self.socket).args(words);
        output("tmux", command).await
    }
}
