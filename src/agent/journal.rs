//! The agent's state file: which requests it has begun, and how they ended, so that none runs twice
//! across a restart and no report is lost with the agent.
//!
//! One line of JSON for each step, synced before the step is taken. A file belongs to one agent at a
//! time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fs2::FileExt as _;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::work::Key;
use crate::component::clock::Wall;
use crate::component::record::ExecutionState;

/// Lines after which the file is written anew with what is still of use.
const LINES_MAX: usize = 8_000;
/// Bytes of one line: a name, an address and a result.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// What has ended is kept so long, in seconds: a name for ten minutes, a report for fifteen.
const KEPT_S: i64 = 16 * 60;

/// One step of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is asked about, in this session; `executing` is answered.
    Asked(String),
    /// It is about to be run, in this session.
    Begun(String),
    /// It runs for long, and `executing` is answered.
    Answered,
    /// It has ended.
    Ended(ExecutionState, String),
    /// Its report has been taken, or was given up.
    Told,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub(super) at: Wall,
    /// Which request.
    pub(super) key: Key,
    /// What.
    pub(super) step: Step,
}

/// What is known of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the last step was taken.
    pub(super) at: Wall,
    pub(super) sessionid: String,
    pub(super) answered: bool,
    pub(super) begun: bool,
    pub(super) ended: Option<(ExecutionState, String)>,
    pub(super) told: bool,
}

impl Entry {
    fn take(&mut self, record: &Record) {
        self.at = record.at;
        match &record.step {
            Step::Asked(session) => {
                self.sessionid.clone_from(session);
                self.answered = true;
            }
            Step::Begun(session) => {
                self.sessionid.clone_from(session);
                self.begun = true;
            }
            Step::Answered => self.answered = true,
            Step::Ended(state, text) => self.ended = Some((*state, text.clone())),
            Step::Told => self.told = true,
        }
    }

    /// The steps that lead to it.
    fn steps(&self) -> Vec<Step> {
        let session = || self.sessionid.clone();
        [
            (self.answered && !self.begun).then(|| Step::Asked(session())),
            self.begun.then(|| Step::Begun(session())),
            (self.answered && self.begun).then_some(Step::Answered),
            self.ended
                .clone()
                .map(|(state, text)| Step::Ended(state, text)),
            self.told.then_some(Step::Told),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

type Entries = IndexMap<Key, Entry>;

pub(super) fn take(entries: &mut Entries, record: &Record) {
    let fresh = || Entry {
        at: record.at,
        sessionid: String::new(),
        answered: false,
        begun: false,
        ended: None,
        told: false,
    };
    entries
        .entry(record.key.clone())
        .or_insert_with(fresh)
        .take(record);
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Keeps other agents away as long as it lives; the file itself is replaced now and then.
    _lock: File,
    entries: Entries,
    lines: usize,
}

impl Journal {
    /// Opens the file, with the folders that it stands in, and reads what it holds.
    ///
    /// # Errors
    /// Another agent has it, or it cannot be read or written. A line that was cut off by a crash is
    /// dropped: its step was not taken.
    pub fn open(path: &Path, now: Wall) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let lock = options().open(beside(path, "lock"))?;
        lock.try_lock_exclusive().map_err(|error| {
            io::Error::new(error.kind(), format!("another agent uses it: {error}"))
        })?;
        let entries = match File::open(path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entries::new(),
            Err(error) => return Err(error),
        };
        let mut journal = Self {
            path: path.to_owned(),
            file: lock.try_clone()?,
            _lock: lock,
            entries,
            lines: 0,
        };
        journal.rewrite(now)?;
        Ok(journal)
    }

    /// What is known of each request, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<(Key, Entry)> {
        let entries = self.entries.iter();
        entries
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }

    /// Writes one step, and returns when it is on the disk.
    ///
    /// # Errors
    /// It may not be there: the step must not be taken.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        if self.lines >= LINES_MAX {
            self.rewrite(record.at)?;
        }
        let line = line(record)?;
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Part of the line may stand there: the next step goes to a new file.
            self.lines = LINES_MAX;
            return Err(error);
        }
        self.lines += 1;
        take(&mut self.entries, record);
        Ok(())
    }

    /// Writes the file anew with what is still of use, beside the old one, and puts it in its place.
    fn rewrite(&mut self, now: Wall) -> io::Result<()> {
        let end = |entry: &Entry| entry.at.plus_s(KEPT_S);
        // One from the future is from before the clock was set; it goes with the others.
        self.entries
            .retain(|_, entry| end(entry) > now && entry.at <= now.plus_s(KEPT_S));
        let new = beside(&self.path, "new");
        let mut file = options().truncate(true).open(&new)?;
        let mut lines = 0;
        for (key, entry) in &self.entries {
            for step in entry.steps() {
                let record = Record {
                    at: entry.at,
                    key: key.clone(),
                    step,
                };
                file.write_all(&line(&record)?)?;
                lines += 1;
            }
        }
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(folder) = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty())
        {
            File::open(folder)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.lines = lines;
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

fn read(file: File) -> io::Result<Entries> {
    let mut entries = Entries::new();
    let mut reader = BufReader::new(file);
    loop {
        let mut bytes = Vec::new();
        reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(entries);
        }
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
            tracing::warn!("a line of the state file cannot be read and is dropped");
            continue;
        };
        take(&mut entries, &record);
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Task;
    use super::*;
    use crate::address::Bare;

    const START: Wall = Wall(1_800_000_000_000);

    fn record(request_id: &str, seconds: i64, step: Step) -> Record {
        Record {
            at: START.plus_s(seconds),
            key: Key {
                task: Task::StartModule,
                requester: Bare::parse("bob@remote.example").unwrap(),
                request_id: request_id.into(),
            },
            step,
        }
    }

    #[test]
    fn what_was_written_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/state");
        let mut journal = Journal::open(&path, START).unwrap();
        let other = Journal::open(&path, START).unwrap_err();
        assert!(other.to_string().contains("another agent"), "{other}");
        let failed = Step::Ended(ExecutionState::Failed, "a\nb".into());
        for step in [
            record("1", 0, Step::Begun("s1".into())),
            record("2", 1, Step::Asked("s2".into())),
            record("2", 2, Step::Begun("s2".into())),
            record("2", 3, failed),
            record("3", 4, Step::Asked("s3".into())),
            record("2", 5, Step::Told),
        ] {
            journal.write(&step).unwrap();
        }
        let before = journal.entries();
        drop(journal);
        // A crash in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"at\":18000").unwrap();
        let journal = Journal::open(&path, START.plus_s(60)).unwrap();
        assert_eq!(journal.entries(), before);
        assert_eq!(before.len(), 3);
        assert!(before[1].1.told && before[1].1.begun && before[1].1.answered);
        drop(journal);
        // The file was written anew by the opening, and says the same.
        let journal = Journal::open(&path, START.plus_s(60)).unwrap();
        assert_eq!(journal.entries(), before);
        drop(journal);
        let journal = Journal::open(&path, START.plus_s(KEPT_S + 4)).unwrap();
        assert_eq!(journal.entries().len(), 1, "what is old is gone");
    }

    #[test]
    fn the_file_is_private_and_stays_small() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut journal = Journal::open(&path, START).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        journal.lines = LINES_MAX;
        journal
            .write(&record("1", 0, Step::Begun("s".into())))
            .unwrap();
        assert_eq!(journal.lines, 1);
    }
}
