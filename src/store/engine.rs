//! sled 0.34.7 behind a fence: everything that its version is known to do wrong is dealt with here.
//!
//! - It panics on damage: each call is contained.
//! - `flush()` is no sync on Linux: the file is synced through a handle of our own, and so are pages that
//!   sled puts into files of their own.
//! - An interrupted start leaves a half-written snapshot, which the next start takes for the newest one
//!   and refuses: such files are removed first; they were never in force.
//! - A failed write can leave `flush()` waiting for ever: it is nudged.
//! - It may wait for ever for its own threads when it is closed after one of them has panicked.
//!
//! `flush_async()` is never called: it deadlocks at seven callers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::iter;
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::codec::{BY_USER, Flaw};
use super::directory::{self, LOCK_PATIENCE};
use super::isolation::contain;
use super::mark::{Mark, NoMark, Sum};

/// sled's page cache: records are read once, at start-up, so only what is written again must fit, for sled
/// reads a page before it changes it. It takes several times as much.
const CACHE_BYTES: u64 = 64 << 20;

/// The same of a store whose file is larger than [`LARGE_BYTES`]: not all pages would fit, and the start
/// would fill it for nothing.
const CACHE_BYTES_OF_LARGE: u64 = 16 << 20;

/// About what 300,000 users take.
const LARGE_BYTES: u64 = 256 << 20;

/// How often sled writes and syncs by itself what was written behind.
const WRITE_BEHIND: Duration = Duration::from_millis(500);

/// How long a flush may take before it is looked after.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// How long closing may take before its thread is left behind.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// The key of the mark: table 0, which no record has.
const MARK_KEY: &[u8] = &[0];

/// New values by key (`None`: delete).
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What went wrong, before it has a path.
#[derive(Debug)]
pub(super) enum Fault {
    /// Somebody else has sled's lock.
    Locked,
    /// No room on the disk.
    Full,
    /// What sled holds is not what was written.
    Damaged(String),
    /// A later version wrote it.
    TooNew(String),
    /// Anything else that the operating system or sled said.
    Failed(io::Error),
}

impl From<Flaw> for Fault {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Damaged(what) => Self::Damaged(what),
            Flaw::TooNew(what) => Self::TooNew(what),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match directory::is_full(&error) {
            true => Self::Full,
            false => Self::Failed(error),
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            // The words of the pinned version; nothing else tells it from other failures.
            sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
                Self::Locked
            }
            sled::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Damaged("a file of sled ends too early".into())
            }
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { .. } => {
                Self::Damaged("sled found a wrong checksum in its files".into())
            }
            other => Self::Damaged(format!("sled says: {other}")),
        }
    }
}

/// Calls sled. Wherever it panics, its files are not what it has written.
fn call<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match contain(work) {
        Ok(result) => result.map_err(Fault::from),
        Err(panic) => {
            let line = panic.lines().next().unwrap_or_default();
            Err(Fault::Damaged(format!(
                "sled stumbled over its files: {line}"
            )))
        }
    }
}

/// A key and its value, as sled gives them away.
pub(super) type Record = Result<(sled::IVec, sled::IVec), Fault>;

/// An open sled database with one tree.
pub(super) struct Engine {
    // `None` only while it is being dropped.
    db: Option<sled::Db>,
    file: File,
    blobs: PathBuf,
    synced_blobs: BTreeSet<OsString>,
    // Grows by one when a flush begins and when it ends: odd while one is under way.
    flushes: Arc<AtomicU64>,
    // The thread that looks after flushes, until its sender is dropped.
    nudge: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Engine {
    /// Whether something that sled wrote is at `path`.
    pub(super) fn exists(path: &Path) -> bool {
        path.join("db").exists()
    }

    /// Opens, and creates where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        discard_half_written_snapshots(path)?;
        let is_large = fs::metadata(path.join("db")).is_ok_and(|db| db.len() > LARGE_BYTES);
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(match is_large {
                true => CACHE_BYTES_OF_LARGE,
                false => CACHE_BYTES,
            })
            .flush_every_ms(Some(WRITE_BEHIND.as_millis() as u64));
        #[expect(
            clippy::disallowed_methods,
            reason = "how long a lock is waited for at start-up"
        )]
        let began = Instant::now();
        let db = loop {
            match call(|| config.open()) {
                Err(Fault::Locked) if began.elapsed() < LOCK_PATIENCE => {
                    thread::sleep(Duration::from_millis(10));
                }
                opened => break opened?,
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("db"))?;
        let flushes = Arc::new(AtomicU64::new(0));
        let nudge = look_after(db.clone(), flushes.clone())?;
        let engine = Self {
            db: Some(db),
            file,
            blobs: path.join("blobs"),
            synced_blobs: BTreeSet::new(),
            flushes,
            nudge: Some(nudge),
        };
        // sled does not make the names of its files durable.
        File::open(path.join("conf"))?.sync_all()?;
        directory::sync(path)?;
        if let Some(parent) = path.parent() {
            directory::sync(parent)?;
        }
        Ok(engine)
    }

    /// The mark of the last batch; `None` in a new database.
    pub(super) fn mark(&self) -> Result<Option<Mark>, Fault> {
        let Some(bytes) = call(|| self.db().get(MARK_KEY))? else {
            return match call(|| self.db().first())? {
                None => Ok(None),
                Some(_) => Err(Fault::Damaged("its records have lost their mark".into())),
            };
        };
        match Mark::from_bytes(&bytes) {
            Ok(mark) => Ok(Some(mark)),
            Err(NoMark::Damaged) => Err(Fault::Damaged("the mark of its records is wrong".into())),
            Err(NoMark::TooNew(format)) => {
                Err(Fault::TooNew(format!("its records have format {format}")))
            }
        }
    }

    /// The value at `key`.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(call(|| self.db().get(key))?.map(|value| value.to_vec()))
    }

    /// Every key and value but the mark, in the order of keys.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> + use<> {
        self.records_between(Bound::Unbounded, Bound::Unbounded)
    }

    /// The same, of keys behind `key` alone.
    pub(super) fn records_behind(&self, key: &[u8]) -> impl Iterator<Item = Record> + use<> {
        self.records_between(Bound::Excluded(key), Bound::Unbounded)
    }

    /// The same, of keys between two bounds.
    pub(super) fn records_between(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = Record> + use<> {
        let mut records = self.db().range::<&[u8], _>((from, to));
        iter::from_fn(move || {
            loop {
                return match call(|| records.next().transpose()) {
                    Ok(Some((key, _))) if key == MARK_KEY => continue,
                    item => item.transpose(),
                };
            }
        })
    }

    /// The keys of all that is stored of a user.
    pub(super) fn keys_of(&self, user: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let mut keys = Vec::new();
        for table in BY_USER {
            let from = [&[table], user].concat();
            // Behind an address comes nothing, or 0x00.
            let to = [&from[..], &[1]].concat();
            for record in self.records_between(Bound::Included(&from), Bound::Excluded(&to)) {
                keys.push(record?.0.to_vec());
            }
        }
        Ok(keys)
    }

    /// The sum over all records.
    pub(super) fn sum(&self) -> Result<Sum, Fault> {
        let mut sum = Sum::default();
        for record in self.records() {
            let (key, value) = record?;
            sum.add(&key, &value);
        }
        Ok(sum)
    }

    /// Applies `writes` and the mark that they lead to, all or nothing; not yet durable.
    pub(super) fn write(&self, writes: &Writes, mark: Mark) -> Result<(), Fault> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        batch.insert(MARK_KEY, mark.to_bytes().as_slice());
        call(|| self.db().apply_batch(batch))
    }

    /// Makes durable all that was written.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        self.flush()?;
        self.sync_blobs()?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Has sled write what it holds in memory.
    ///
    /// A background write that fails last of all wakes nobody who waits for it; any other flush finds
    /// the error and wakes the first.
    fn flush(&self) -> Result<(), Fault> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let flushed = call(|| self.db().flush());
        self.flushes.fetch_add(1, Ordering::SeqCst);
        flushed.map(drop)
    }

    /// Syncs what sled has put into files of their own: pages over 128 KiB, which need many records of
    /// the largest size side by side. sled itself never syncs them.
    fn sync_blobs(&mut self) -> io::Result<()> {
        let mut present = BTreeSet::new();
        let mut fresh = false;
        for entry in fs::read_dir(&self.blobs)? {
            let name = entry?.file_name();
            if !self.synced_blobs.contains(&name) {
                match File::open(self.blobs.join(&name)) {
                    Ok(blob) => blob.sync_all()?,
                    // Its page has been written anew meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                fresh = true;
            }
            present.insert(name);
        }
        if fresh {
            directory::sync(&self.blobs)?;
        }
        self.synced_blobs = present;
        Ok(())
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("it is taken by drop alone")
    }
}

/// Looks after flushes until the sender is dropped: one that takes too long is helped by another.
fn look_after(
    db: sled::Db,
    flushes: Arc<AtomicU64>,
) -> io::Result<(SyncSender<()>, JoinHandle<()>)> {
    let (nudge, ended) = mpsc::sync_channel(0);
    let thread = thread::Builder::new()
        .name("store-nudge".into())
        .spawn(move || {
            let mut before = 0;
            while ended.recv_timeout(FLUSH_PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let now = flushes.load(Ordering::SeqCst);
                if now == before && now % 2 == 1 {
                    // Its result is the same as that of the one it helps.
                    let _ = contain(|| db.flush());
                }
                before = now;
            }
        })?;
    Ok((nudge, thread))
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its handle goes first: sled closes, and gives its lock back, with the last one.
        let nudge = self.nudge.take().map(|(sender, thread)| {
            drop(sender);
            thread
        });
        let db = self.db.take();
        let (done, closed) = mpsc::sync_channel(1);
        let closing = thread::Builder::new()
            .name("store-close".into())
            .spawn(move || {
                if let Some(nudge) = nudge {
                    let _ = nudge.join();
                }
                let _ = contain(|| drop(db));
                let _ = done.send(());
            });
        if closing.is_ok() && closed.recv_timeout(CLOSE_PATIENCE) == Err(RecvTimeoutError::Timeout)
        {
            tracing::error!("sled does not close; it is left alone");
        }
    }
}

fn discard_half_written_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(file = ?entry.path(), "a start was interrupted; its snapshot is discarded");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
