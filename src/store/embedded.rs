//! The store in sled 0.34, fenced off: it may panic in `open` on damage, come back silently older, and
//! keeps refusing after a full disk until it is reopened.
//!
//! All records live in one tree, so that one `apply_batch` is atomic over all of them. A commit is:
//! the batch with its mark, `flush()` (which is no fsync on Linux), `sync_data()` on sled's own file,
//! the mark into the proof, and only then the acknowledgement.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use super::proof::{Mark, Proof, hash};
use super::{Durability, Error, Store, codec};
use crate::component::record::Change;

/// The key of the mark: no record's table is 0.
const MARK: &[u8] = &[0];
/// Pages that sled keeps in memory; all reading is at start-up.
const CACHE_BYTES: u64 = 64 << 20;
/// sled's own background flush, beside ours.
const FLUSH_MS: u64 = 500;
/// A broken store is reopened at most this often.
const REOPEN_EVERY: Duration = Duration::from_secs(1);
/// The thread in which sled may panic without a word.
const OPENING: &str = "store-open";

/// A store in a folder of its own.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    min_free: u64,
    /// `None` while it is broken.
    open: Option<Open>,
    /// What the last acknowledged commit left behind; `None` until everything has been read.
    mark: Option<Mark>,
    tried: Option<Instant>,
    why: String,
}

#[derive(Debug)]
struct Open {
    db: sled::Db,
    /// sled's own file, to sync it for good.
    file: File,
    proof: Proof,
}

impl Embedded {
    /// Opens the store in the folder `path`, making it where it is missing. Below `min_free` bytes of
    /// free disk every write is refused.
    pub fn open(path: &Path, min_free: u64) -> Result<Self, Error> {
        prepare(path)?;
        let open = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            min_free,
            open: Some(open),
            mark: None,
            tried: None,
            why: String::new(),
        })
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// Reads and checks every record against the mark in sled, and that against the proof.
    fn read(&mut self, each: &mut dyn FnMut(Change)) -> Result<Mark, Error> {
        let path = self.path.clone();
        let proof = path.join("proof");
        let access = |source| Error::Access {
            path: path.clone(),
            source,
        };
        let proven = Proof::open(&proof).map_err(access)?.1;
        let Some(open) = &self.open else {
            return Err(Error::Broken {
                path,
                what: self.why.clone(),
            });
        };
        let tree = sled::Tree::clone(&open.db);
        let read = quietly(move || scan(&tree));
        let Scan {
            mark,
            count,
            digest,
            changes,
        } = match read {
            Err(Panicked) => return Err(self.damaged("sled cannot read its own files")),
            Ok(Err(Trouble::Sled(what))) => return Err(self.damaged(what)),
            Ok(Err(Trouble::Record(codec::Error::TooNew(what)))) => {
                return Err(Error::TooNew {
                    path,
                    what: format!("{what} was written by a newer version"),
                });
            }
            Ok(Err(Trouble::Record(error))) => return Err(self.damaged(error.to_string())),
            Ok(Ok(scan)) => scan,
        };
        let mark = match (mark, proven) {
            (None, None) if count == 0 => self.begin()?,
            (None, None) => return Err(self.damaged("there are records, but no mark of a commit")),
            (None, Some(_)) => return Err(self.damaged("all records are gone")),
            (Some(_), None) => {
                return Err(self.damaged("the file “proof” is missing or unreadable"));
            }
            (Some(mark), Some(proven)) => {
                if mark.uuid != proven.uuid {
                    return Err(self.damaged("the file “proof” belongs to another store"));
                }
                if mark.seq < proven.seq {
                    let what = format!(
                        "the records are those of commit {}, but commit {} was acknowledged",
                        mark.seq, proven.seq
                    );
                    return Err(self.damaged(what));
                }
                if mark.seq == proven.seq && mark != proven {
                    return Err(self.damaged("records and “proof” disagree about the last commit"));
                }
                mark
            }
        };
        if (mark.count, mark.digest) != (count, digest) {
            return Err(self.damaged("the records are not those that were last written"));
        }
        if let Some(known) = &self.mark
            && mark.seq < known.seq
        {
            return Err(self.damaged("acknowledged records are missing after it was reopened"));
        }
        changes.into_iter().for_each(each);
        Ok(mark)
    }

    /// The first commit of a new store.
    fn begin(&mut self) -> Result<Mark, Error> {
        let mut uuid = [0; 16];
        let broken = |what: String| Error::Broken {
            path: self.path.clone(),
            what,
        };
        getrandom::fill(&mut uuid).map_err(|error| broken(error.to_string()))?;
        let uuid = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
        let mark = Mark {
            uuid,
            seq: 1,
            count: 0,
            digest: 0,
        };
        let Some(open) = &mut self.open else {
            return Err(broken(self.why.clone()));
        };
        open.write(sled::Batch::default(), &mark, Durability::Synced)
            .map_err(|error| Error::Broken {
                path: self.path.clone(),
                what: error.to_string(),
            })?;
        Ok(mark)
    }

    /// Opens a broken store again, at most once a second.
    #[expect(
        clippy::disallowed_methods,
        reason = "the pause between two tries, of no other effect"
    )]
    fn reopen(&mut self) -> Result<(), Error> {
        let refused = Error::Broken {
            path: self.path.clone(),
            what: self.why.clone(),
        };
        if self
            .tried
            .is_some_and(|tried| tried.elapsed() < REOPEN_EVERY)
        {
            return Err(refused);
        }
        self.tried = Some(Instant::now());
        let opened = open(&self.path).and_then(|open| {
            self.open = Some(open);
            self.read(&mut |_| {})
        });
        match opened {
            Ok(mark) => {
                self.mark = Some(mark);
                self.tried = None;
                Ok(())
            }
            Err(error) => {
                self.open = None;
                self.why = error.to_string();
                Err(error)
            }
        }
    }
}

impl Store for Embedded {
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error> {
        self.mark = Some(self.read(each)?);
        Ok(())
    }

    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error> {
        // The last word on each key, so that the digest is right whatever the order.
        let mut entries = BTreeMap::new();
        for change in batch {
            let (key, value) = codec::encode(change)?;
            entries.insert(key, value);
        }
        let access = |source| Error::Access {
            path: self.path.clone(),
            source,
        };
        let free = fs2::available_space(&self.path).map_err(access)?;
        if free < self.min_free {
            return Err(Error::ReadOnly {
                path: self.path.clone(),
                free,
                min: self.min_free,
            });
        }
        if self.open.is_none() {
            self.reopen()?;
        }
        let (Some(open), Some(mark)) = (&mut self.open, &self.mark) else {
            let what = "it has not been read yet".to_owned();
            return Err(Error::Broken {
                path: self.path.clone(),
                what,
            });
        };
        let next = open.commit(entries, mark, durability);
        match next {
            Ok(next) => {
                self.mark = Some(next);
                Ok(())
            }
            Err(error) => {
                // sled keeps refusing after a failed write, even when there is room again.
                self.open = None;
                self.why = error.to_string();
                Err(Error::Broken {
                    path: self.path.clone(),
                    what: self.why.clone(),
                })
            }
        }
    }
}

impl Open {
    fn commit(
        &mut self,
        entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        mark: &Mark,
        durability: Durability,
    ) -> io::Result<Mark> {
        let mut next = Mark {
            seq: mark.seq + 1,
            ..mark.clone()
        };
        let mut batch = sled::Batch::default();
        for (key, value) in entries {
            if let Some(before) = self.db.get(&key)? {
                next.count -= 1;
                next.digest = next.digest.wrapping_sub(hash(&key, &before));
            }
            match value {
                Some(value) => {
                    next.count += 1;
                    next.digest = next.digest.wrapping_add(hash(&key, &value));
                    batch.insert(key, value);
                }
                None => batch.remove(key),
            }
        }
        self.write(batch, &next, durability)?;
        Ok(next)
    }

    fn write(
        &mut self,
        mut batch: sled::Batch,
        mark: &Mark,
        durability: Durability,
    ) -> io::Result<()> {
        batch.insert(MARK, serde_json::to_vec(mark)?);
        self.db.apply_batch(batch)?;
        if durability == Durability::Synced {
            self.db.flush()?;
            self.file.sync_data()?;
            self.proof.write(mark)?;
        }
        Ok(())
    }
}

/// Makes the folder, or checks that nobody else may look into it.
fn prepare(path: &Path) -> Result<(), Error> {
    let access = |source| Error::Access {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(access)?;
    let mode = path.metadata().map_err(access)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let probe = path.join("probe");
    File::create(&probe)
        .and_then(|_| std::fs::remove_file(&probe))
        .map_err(access)
}

fn open(path: &Path) -> Result<Open, Error> {
    let folder = path.join("sled");
    let opened = quietly({
        let folder = folder.clone();
        move || {
            sled::Config::new()
                .path(folder)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(Some(FLUSH_MS))
                .open()
        }
    });
    let path = path.to_owned();
    let db = match opened {
        Ok(Ok(db)) => db,
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            return Err(Error::Locked { path });
        }
        Ok(Err(sled::Error::Io(source))) if source.raw_os_error().is_some() => {
            return Err(Error::Access { path, source });
        }
        Ok(Err(error)) => {
            return Err(Error::Damaged {
                path,
                what: error.to_string(),
            });
        }
        Err(Panicked) => {
            return Err(Error::Damaged {
                path,
                what: "sled cannot open its own files".into(),
            });
        }
    };
    let access = |source| Error::Access {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join("db"))
        .map_err(access)?;
    let proof = Proof::open(&path.join("proof")).map_err(access)?.0;
    Ok(Open { db, file, proof })
}

struct Scan {
    mark: Option<Mark>,
    count: u64,
    digest: u128,
    changes: Vec<Change>,
}

enum Trouble {
    Sled(String),
    Record(codec::Error),
}

fn scan(tree: &sled::Tree) -> Result<Scan, Trouble> {
    let mut scan = Scan {
        mark: None,
        count: 0,
        digest: 0,
        changes: Vec::new(),
    };
    for entry in tree.iter() {
        let (key, value) = entry.map_err(|error| Trouble::Sled(error.to_string()))?;
        if key == MARK {
            let mark = serde_json::from_slice(&value);
            scan.mark = Some(mark.map_err(|_| Trouble::Sled("its mark cannot be read".into()))?);
            continue;
        }
        scan.changes
            .push(codec::decode(&key, &value).map_err(Trouble::Record)?);
        scan.count += 1;
        scan.digest = scan.digest.wrapping_add(hash(&key, &value));
    }
    Ok(scan)
}

/// What sled did instead of returning an error.
struct Panicked;

/// Runs what may panic inside sled, without the panic's message: the caller says what is wrong.
fn quietly<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(OPENING) {
                before(info);
            }
        }));
    });
    let thread = std::thread::Builder::new().name(OPENING.into()).spawn(run);
    thread.map_err(|_| Panicked)?.join().map_err(|_| Panicked)
}
