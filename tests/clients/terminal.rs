//! A terminal with a client in it: tmux, with a server and a socket of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::confined::{self, missing, output};
use crate::conversation::one_line;
use crate::scene::Scene;
use crate::story::{LOOK, PATIENCE};
use crate::support::Failure;
use crate::support::process::{Process, find_program};

/// Wide enough for every line that is looked for.
const COLUMNS: &str = "180";
const LINES: &str = "40";

/// How long tmux may take to answer on its socket.
const START: Duration = Duration::from_secs(20);

/// What was typed and is not there by then was lost.
const TYPED: Duration = Duration::from_secs(5);

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

    /// Types these words.
    pub(crate) async fn type_in(&self, words: &str) -> Result<(), Failure> {
        if words.is_empty() {
            return Ok(());
        }
        self.order(&["send-keys", "-l", words]).await.map(drop)
    }

    /// Types a line where the cursor is, sees that it is there, and sends it. A busy client loses keys.
    pub(crate) async fn enter(&self, line: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.type_in(line).await?;
            let seen = Instant::now() + TYPED;
            while Instant::now() < seen {
                if self.screen().await?.iter().any(|one| one.trim() == line) {
                    return self.press(&["Enter"]).await;
                }
                tokio::time::sleep(LOOK).await;
            }
            if Instant::now() > end {
                return self.has(line).await;
            }
            // What is there of it is taken back.
            self.press(&["C-u"]).await?;
        }
    }

    /// Tells whether the screen has these words in it; else what it has.
    pub(crate) async fn has(&self, words: &str) -> Result<(), Failure> {
        let screen = self.screen().await?.join("\n");
        if screen.contains(words) {
            return Ok(());
        }
        Err(Failure::new(format!("no {words:?} on\n{screen}")))
    }

    /// The words of the screen, wherever its lines are broken.
    pub(crate) async fn words(&self) -> Result<String, Failure> {
        Ok(one_line(&self.screen().await?.join(" ")))
    }

    /// Waits until the screen has these words in it, wherever its lines are broken.
    pub(crate) async fn until_words(&self, words: &str) -> Result<(), Failure> {
        self.until_words_within(words, PATIENCE).await
    }

    /// The same, so long.
    pub(crate) async fn until_words_within(
        &self,
        words: &str,
        patience: Duration,
    ) -> Result<(), Failure> {
        let end = Instant::now() + patience;
        while !self.words().await?.contains(words) {
            if Instant::now() > end {
                return self.has(words).await;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until these words are a line of the screen.
    pub(crate) async fn until_line(&self, words: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while !self.screen().await?.iter().any(|line| line.trim() == words) {
            if Instant::now() > end {
                return self.has(words).await;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until the screen has these words in it.
    pub(crate) async fn until(&self, words: &str) -> Result<(), Failure> {
        self.until_within(words, PATIENCE).await
    }

    /// Waits until the screen has these words no longer in it.
    pub(crate) async fn until_without(&self, words: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while self.has(words).await.is_ok() {
            if Instant::now() > end {
                return Err(Failure::new(format!("{words:?} is still there")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits so long until the screen has these words in it.
    pub(crate) async fn until_within(
        &self,
        words: &str,
        patience: Duration,
    ) -> Result<(), Failure> {
        let end = Instant::now() + patience;
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
