//! A child process: started, read, told to end and killed by its own id, and gone when we are gone.
//!
//! It does not know what it runs; [`super::server`] and [`super::component_process`] do.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use super::Failure;

/// How often a running process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// The most of a log that is read at once: no test writes so much that it would matter.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Lines of a log that are shown when something failed.
const TAIL_LINES: usize = 40;

/// How far from the end of a log those lines are looked for.
const TAIL_BYTES: u64 = 64 << 10;

/// A running child process that writes to a log file.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// A command with an empty environment but for `PATH`, so that nothing set by the person who runs
    /// the tests reaches the program; arguments are added by the caller.
    ///
    /// It goes through `setpriv` (util-linux, essential on Debian), so that the kernel kills the
    /// program when we die without a chance to do so, as by SIGKILL or a time limit of a CI.
    pub(crate) fn command(program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .env_clear()
            .env("PATH", search_path())
            .env("LANG", "C.UTF-8");
        command
    }

    /// Starts `command`; what it prints is appended to the file `log`.
    pub(crate) fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| Failure::new(format!("cannot start {name}: {error}"));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failure)?;
        let errors = output.try_clone().map_err(failure)?;
        command
            // Ctrl-C on a terminal reaches us alone; what we then do with the others is up to us.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors));
        Ok(Self {
            name: name.to_owned(),
            child: spawn_on_lasting_thread(command).map_err(failure)?,
            log: log.to_owned(),
            ended: None,
        })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn wait(&mut self, at_most: Duration) -> Result<ExitStatus, Failure> {
        let polling = async {
            loop {
                if let Some(status) = self.ended() {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        if let Ok(status) = tokio::time::timeout(at_most, polling).await {
            return Ok(status);
        }
        Err(self.failure(&format!("did not end within {at_most:?}")))
    }

    /// Sends a signal, named without SIG, to what runs.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Failure> {
        // The id cannot be anyone else's: a child that has not been waited for keeps it.
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", name])
            .arg(self.id().to_string())
            .status();
        if sent.is_ok_and(|status| status.success()) {
            Ok(())
        } else {
            Err(self.failure(&format!("could not be sent SIG{name}")))
        }
    }

    /// Sends SIGTERM and waits; what does not obey is killed and is a failure.
    pub(crate) async fn terminate(&mut self, at_most: Duration) -> Result<ExitStatus, Failure> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal("TERM")?;
        let waited = self.wait(at_most).await;
        if waited.is_err() {
            self.kill();
        }
        waited
    }

    /// Sends SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            // Fails only for a process that has ended meanwhile.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// What it has printed since `offset` bytes, which is 0 for everything.
    pub(crate) fn log_since(&self, offset: u64) -> String {
        read_log(&self.log, offset)
    }

    /// The length of what it has printed, in bytes.
    pub(crate) fn log_length(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// A failure that says what happened and shows the end of the log.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        Failure::new(format!(
            "{} {what}\n{}",
            self.name,
            tail(&self.name, &self.log)
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", tail(&self.name, &self.log));
        }
    }
}

/// The last lines of a log, with a headline.
fn tail(name: &str, log: &Path) -> String {
    let length = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    let text = read_log(log, length.saturating_sub(TAIL_BYTES));
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("-- the log of {name} ends:\n{}\n--", last.join("\n"))
}

/// Reads a log from `offset` bytes on, at most [`LOG_BYTES_MAX`]; nothing where there is none.
pub(crate) fn read_log(file: &Path, offset: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// Finds a program as a shell does, and where Debian keeps what is meant for the administrator.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    path
}

/// Spawns on one thread that lives as long as this process: the kernel sends the signal of
/// `setpriv --pdeathsig` when the *thread* that spawned ends, and a test's thread may end before what
/// it started is to.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    type Request = (Command, mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::SyncSender<Request>> = LazyLock::new(|| {
        let (requests, queue) = mpsc::sync_channel::<Request>(0);
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                // Fails only if the one who asked is gone.
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, result) = mpsc::sync_channel(1);
    SPAWNER
        .send((command, answer))
        .map_err(|_| io::Error::other("the thread that spawns is gone"))?;
    result
        .recv()
        .map_err(|_| io::Error::other("the thread that spawns is gone"))?
}
