//! Running one program: an argument list, a cleared environment, bounds on everything, and no shell.
//! security.md T41.
//!
//! What is run is decided elsewhere and comes as a [`Job`], complete and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// A program that stays open and still runs after this long has been started.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a program's output that are kept; the rest is read and forgotten.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// How long the output is read on when the program has ended: a child of it may hold it open.
const DRAIN: Duration = Duration::from_millis(200);
/// What every program sees of the agent's own environment, where it is set.
const PLAIN: [&str; 3] = ["HOME", "LANG", "PATH"];
/// What a program with windows needs besides; also everything that begins with [`XDG`].
const DESKTOP: [&str; 4] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];
/// Where desktops keep what their programs need.
const XDG: &str = "XDG_";

/// What of a program's end is told to who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// That it was started; nothing of how it ended.
    Start,
    /// Whether it ended well.
    End,
    /// That, and the beginning of what it has written to standard output.
    Output,
}

/// How a program is run, whatever its arguments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Further names of the agent's environment that are passed on.
    pub pass: Vec<String>,
    /// Variables that are set.
    pub environment: BTreeMap<String, String>,
    /// Whether it needs the desktop.
    pub desktop: bool,
    /// Where it starts.
    pub directory: PathBuf,
    /// How long it may run; it stays open without one.
    pub time_limit: Option<Duration>,
    /// Bytes of memory that it may take.
    pub memory: Option<u64>,
    /// What is told.
    pub tell: Tell,
}

impl Manner {
    /// That of a program that opens a window and stays there.
    #[must_use]
    pub fn window() -> Self {
        Self {
            pass: Vec::new(),
            environment: BTreeMap::new(),
            desktop: true,
            directory: "/".into(),
            time_limit: None,
            memory: None,
            tell: Tell::End,
        }
    }
}

/// A program with its arguments, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is, in the words that are told: "opened", "started".
    pub done: String,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How.
    pub manner: Manner,
}

impl Job {
    /// Runs it to its end, or until it counts as started. A program that is over its time is killed
    /// with all that it has started in its process group; so is one whose run is dropped, unless it
    /// stays open.
    ///
    /// # Errors
    /// In words for the requester: it could not be started, failed, or took too long.
    pub async fn run(self) -> Result<String, String> {
        let told = self.manner.tell == Tell::Output;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment(std::env::vars_os()))
            .current_dir(&self.manner.directory)
            .stdin(Stdio::null())
            .stdout(if told { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::null())
            // Ctrl-C in our terminal is not meant for it, and all of it can be killed at once.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| {
            tracing::warn!("cannot start {}: {error}", self.program);
            "the program could not be started".to_owned()
        })?;
        let group = Group::of(&child, self.manner.time_limit.is_some());
        self.limit(&child);
        let output = child.stdout.take();
        let Some(limit) = self.manner.time_limit else {
            return match tokio::time::timeout(PATIENCE, child.wait()).await {
                Err(_) => Ok(self.done.clone()),
                Ok(ended) => self.ended(ended),
            };
        };
        let mut kept = Vec::new();
        let ended = {
            let mut reading = std::pin::pin!(read(output, &mut kept));
            let mut all_read = false;
            let ended = {
                let mut waiting = std::pin::pin!(tokio::time::timeout(limit, child.wait()));
                loop {
                    tokio::select! {
                        ended = &mut waiting => break ended,
                        () = &mut reading, if !all_read => all_read = true,
                    }
                }
            };
            if ended.is_err() {
                group.kill();
                // It is gone with the kill; without this it stays a zombie.
                let _ = child.wait().await;
            } else if !all_read {
                // A child of the program may hold it open for ever.
                let _ = tokio::time::timeout(DRAIN, reading).await;
            }
            ended
        };
        group.over();
        let Ok(ended) = ended else {
            tracing::warn!("{} was ended after {} s", self.program, limit.as_secs());
            return Err(match self.manner.tell {
                Tell::Start => return Ok(self.done),
                _ => format!("the program was ended after {} s", limit.as_secs()),
            });
        };
        let text = self.ended(ended)?;
        let written = String::from_utf8_lossy(&kept);
        if told && !written.trim().is_empty() {
            return Ok(written.trim().to_owned());
        }
        Ok(text)
    }

    fn ended(&self, ended: std::io::Result<ExitStatus>) -> Result<String, String> {
        let text = match ended {
            Ok(status) if status.success() => return Ok(self.done.clone()),
            Ok(status) => {
                tracing::warn!("{} ended with {status}", self.program);
                match status.code() {
                    Some(code) => format!("the program reported failure {code}"),
                    None => "the program was ended by a signal".to_owned(),
                }
            }
            Err(error) => {
                tracing::warn!("cannot wait for {}: {error}", self.program);
                "the program was lost".to_owned()
            }
        };
        match self.manner.tell {
            Tell::Start => Ok(self.done.clone()),
            Tell::End | Tell::Output => Err(text),
        }
    }

    /// What the program sees of an environment.
    fn environment(
        &self,
        all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        let manner = &self.manner;
        let mut kept: Vec<_> = all
            .filter(|(name, _)| {
                let name = name.to_string_lossy();
                PLAIN.contains(&&*name)
                    || manner.pass.iter().any(|passed| *passed == name)
                    || (manner.desktop && (DESKTOP.contains(&&*name) || name.starts_with(XDG)))
            })
            .collect();
        let set = manner.environment.iter();
        kept.extend(set.map(|(name, value)| (name.into(), value.into())));
        kept
    }

    /// Sets what the program may take. It runs already, for some microseconds: these are bounds on
    /// mistakes, not on an enemy, which the user would not have named.
    fn limit(&self, child: &Child) {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let Some(pid) = pid else { return };
        let set = |resource, value| {
            let limit = Rlimit {
                current: Some(value),
                maximum: Some(value),
            };
            if let Err(error) = prlimit(Some(pid), resource, limit) {
                // It may have ended already.
                tracing::debug!("no limit for {}: {error}", self.program);
            }
        };
        // A dump would have her data in it, in a folder of the program's choice.
        set(Resource::Core, 0);
        if let Some(bytes) = self.manner.memory {
            set(Resource::As, bytes);
        }
        if let Some(limit) = self.manner.time_limit {
            // Holds what has left the process group, too.
            set(Resource::Cpu, limit.as_secs().saturating_add(1));
        }
    }
}

/// The process group of a child; ended when it is dropped, unless it may stay or is over.
struct Group {
    pid: Option<Pid>,
    armed: std::cell::Cell<bool>,
}

impl Group {
    fn of(child: &Child, armed: bool) -> Self {
        Self {
            pid: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            armed: std::cell::Cell::new(armed),
        }
    }

    /// The leader has ended and its number may be given to another.
    fn over(&self) {
        self.armed.set(false);
    }

    fn kill(&self) {
        if let Some(pid) = self.pid {
            // Fails only for a group that is gone.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed.get() {
            self.kill();
        }
    }
}

/// Reads what a program writes to its end, so that it never waits for us, and keeps the beginning.
async fn read(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else { return };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut piece).await {
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&piece[..length.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(program: &str, arguments: &[&str]) -> Job {
        Job {
            done: "done".into(),
            program: program.into(),
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            manner: Manner {
                time_limit: Some(Duration::from_secs(5)),
                tell: Tell::Output,
                desktop: false,
                ..Manner::window()
            },
        }
    }

    fn with(job: Job, change: impl FnOnce(&mut Manner)) -> Job {
        let mut job = job;
        change(&mut job.manner);
        job
    }

    #[tokio::test]
    async fn the_end_is_told_as_far_as_it_may() {
        let fails = || job("/bin/sh", &["-c", "echo no; exit 3"]);
        assert_eq!(
            fails().run().await,
            Err("the program reported failure 3".into())
        );
        let silent = with(fails(), |manner| manner.tell = Tell::Start);
        assert_eq!(silent.run().await, Ok("done".into()));
        assert_eq!(job("/bin/true", &[]).run().await, Ok("done".into()));
        assert_eq!(job("/bin/echo", &["hello"]).run().await, Ok("hello".into()));
        let end = with(job("/bin/echo", &["hello"]), |manner| {
            manner.tell = Tell::End
        });
        assert_eq!(end.run().await, Ok("done".into()));
        let missing = job("/nonexistent/program", &[]).run().await;
        assert_eq!(missing, Err("the program could not be started".into()));
        let killed = job("/bin/sh", &["-c", "kill -9 $$"]).run().await;
        assert_eq!(killed, Err("the program was ended by a signal".into()));
    }

    #[tokio::test]
    async fn the_output_is_bounded_and_never_blocks_the_program() {
        let much = job("/bin/sh", &["-c", "yes | head -c 1000000"]);
        assert_eq!(much.run().await.unwrap().len(), OUTPUT_BYTES_MAX - 1);
        // A child that goes on with the output open does not keep the program from ending.
        let left = with(job("/bin/sh", &["-c", "echo a; sleep 20 &"]), |manner| {
            manner.time_limit = Some(Duration::from_secs(15));
        });
        let ended = tokio::time::timeout(Duration::from_secs(10), left.run()).await;
        assert_eq!(ended.unwrap(), Ok("a".into()));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pids");
        let script = format!(
            "sleep 50 & echo $! > {0}; echo $$ >> {0}; wait",
            file.display()
        );
        let slow = with(job("/bin/sh", &["-c", &script]), |manner| {
            manner.time_limit = Some(Duration::from_secs(1));
        });
        assert_eq!(
            slow.run().await,
            Err("the program was ended after 1 s".into())
        );
        let pids = std::fs::read_to_string(&file).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            // A zombie has been killed; nobody but init waits for the child.
            let gone = || {
                let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                !state.is_ok_and(|state| !state.contains(") Z "))
            };
            for _ in 0..500 {
                if gone() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(gone(), "{pid} goes on");
        }
    }

    #[tokio::test]
    async fn the_limits_hold() {
        let limits = with(
            job(
                "/bin/sh",
                &["-c", "sleep 0.3; ulimit -c; ulimit -v; ulimit -t"],
            ),
            |manner| {
                manner.memory = Some(512 << 20);
            },
        );
        assert_eq!(limits.run().await.unwrap(), "0\n524288\n6");
    }

    #[test]
    fn the_environment_is_what_was_named() {
        let all = || {
            [
                "PATH",
                "HOME",
                "LD_PRELOAD",
                "DISPLAY",
                "XDG_DATA_DIRS",
                "SECRET",
                "MINE",
            ]
            .map(|name| (name.into(), "x".into()))
            .into_iter()
        };
        let names = |job: &Job| -> Vec<String> {
            let kept = job.environment(all());
            kept.iter()
                .map(|(name, _)| name.to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names(&job("a", &[])), ["PATH", "HOME"]);
        let more = with(job("a", &[]), |manner| {
            manner.desktop = true;
            manner.pass = vec!["MINE".into()];
            manner.environment.insert("SET".into(), "y".into());
        });
        assert_eq!(
            names(&more),
            ["PATH", "HOME", "DISPLAY", "XDG_DATA_DIRS", "MINE", "SET"]
        );
    }
}
