//! The directory that a store lives in: whose it is, who may enter it, how much room is left.
//!
//! Knows nothing of what is stored.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::Error;

/// What is kept back in `reserve`, so that a store can be opened on a full disk.
///
/// Whenever it opens, sled writes up to one segment (512 KiB) over the end of its file, and a snapshot
/// of its page table (SNAPSHOT); where it cannot, it does not open at all.
const RESERVE_BYTES: u64 = 2 << 20;

/// How long a lock may be held by what is on its way out: threads of an earlier instance, or a child
/// between its fork and its exec.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A directory that this process alone uses.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    min_free: u64,
    // Bytes in `reserve`.
    held: u64,
    // A lock of our own beside sled's: the directory is made and examined before sled comes to it.
    // The operating system takes it back with the process, however that ends.
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is missing, parents too, and takes it for this process.
    pub(super) fn claim(path: &Path, min_free: u64) -> Result<Self, Error> {
        let unusable = |reason| Error::Unusable {
            path: path.to_owned(),
            reason,
        };
        create(path).map_err(unusable)?;
        let mode = fs::metadata(path).map_err(unusable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let lock = lock(path)?;
        let held = fs::metadata(path.join("reserve")).map_or(0, |reserve| reserve.len());
        Ok(Self {
            path: path.to_owned(),
            min_free,
            held: held.min(RESERVE_BYTES),
            _lock: lock,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses where there is too little room to write; called before each write.
    ///
    /// The reserve is filled up again here, and nothing is written without it: a store that was
    /// written to can be opened again.
    pub(super) fn room(&mut self) -> Result<(), Error> {
        let free = self.free().map_err(|reason| self.unusable(reason))?;
        self.enough(free)?;
        if self.held < RESERVE_BYTES {
            self.fill_reserve()
                .map_err(|reason| match is_full(&reason) {
                    true => Error::Full {
                        path: self.path.clone(),
                    },
                    false => self.unusable(reason),
                })?;
        }
        Ok(())
    }

    /// Whether `free` bytes suffice; else what is short of room, the operator's own margin first.
    fn enough(&self, free: u64) -> Result<(), Error> {
        let wanted = self.min_free.saturating_add(RESERVE_BYTES - self.held);
        if free >= wanted {
            return Ok(());
        }
        let (path, min_free) = (self.path.clone(), self.min_free);
        let lacking = wanted - free;
        Err(match free < min_free {
            true => Error::ReadOnly {
                path,
                free,
                min_free,
                lacking,
            },
            false => Error::NoReserve {
                path,
                free,
                lacking,
            },
        })
    }

    /// Whether `bytes` are free.
    pub(super) fn has_free(&self, bytes: u64) -> bool {
        self.free().is_ok_and(|free| free >= bytes)
    }

    /// Gives the reserve to whoever writes next; `false` where there was none.
    pub(super) fn release_reserve(&mut self) -> bool {
        let released = self.held > 0 && fs::remove_file(self.reserve()).is_ok();
        self.held = 0;
        released
    }

    /// Keeps back again what there is, as far as it goes.
    pub(super) fn refill_reserve(&mut self) {
        if self.held < RESERVE_BYTES
            && let Err(error) = self.fill_reserve()
            && !is_full(&error)
        {
            // Each write tries again, and says so.
            tracing::debug!("no reserve in {:?}: {error}", self.path);
        }
    }

    fn free(&self) -> io::Result<u64> {
        fs2::available_space(&self.path)
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    fn fill_reserve(&mut self) -> io::Result<()> {
        // Written, not only allocated: not every file system can allocate without writing.
        let block = [0; 4096];
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.reserve())?;
        while self.held < RESERVE_BYTES {
            let missing = block.len().min((RESERVE_BYTES - self.held) as usize);
            self.held += file.write(&block[..missing])? as u64;
        }
        file.sync_all()
    }

    fn unusable(&self, reason: io::Error) -> Error {
        Error::Unusable {
            path: self.path.clone(),
            reason,
        }
    }
}

/// Takes a directory for this process, for as long as the file is open.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let unusable = |reason| Error::Unusable {
        path: path.to_owned(),
        reason,
    };
    let lock = File::open(path).map_err(unusable)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a lock is waited for at start-up"
    )]
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(reason)) => return Err(unusable(reason)),
        }
    }
}

/// Whether `error` says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Writes a file, whole or not at all, in place of one that may be there; on the disk when this returns.
pub(super) fn place(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let draft = path.with_extension("new");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync(path.parent().unwrap_or_else(|| Path::new(".")))?;
    Ok(file)
}

/// Makes the names in the directory at `path` durable.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes `path` and what is missing above it, for this user alone, and their names durable.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let first = path.ancestors().take_while(|above| !above.exists()).last();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in path.ancestors() {
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync(Path::new("."))?,
            Some(parent) => sync(parent)?,
            None => {}
        }
        if Some(made) == first {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_is_made_for_us_alone_with_its_parents() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b/c");
        Directory::claim(&path, 0).unwrap();
        for made in ["a", "a/b", "a/b/c"] {
            let mode = fs::metadata(parent.path().join(made)).unwrap().mode();
            assert_eq!(mode & 0o7777, 0o700, "{made}");
        }
    }

    #[test]
    fn one_that_others_may_enter_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o750, 0o701, 0o702] {
            fs::set_permissions(parent.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = Directory::claim(parent.path(), 0).unwrap_err();
            assert!(matches!(error, Error::Exposed { mode: told, .. } if told == mode));
            let text = error.to_string();
            assert!(text.contains("chmod 0700"), "{text}");
            assert!(text.contains(&format!("{mode:04o}")), "{text}");
        }
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        for path in [path.clone(), path.join("below")] {
            let error = Directory::claim(&path, 0).unwrap_err();
            assert!(matches!(&error, Error::Unusable { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }

    #[test]
    fn a_second_claim_is_refused_until_the_first_ends() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        let first = Directory::claim(&path, 0).unwrap();
        let error = Directory::claim(&path, 0).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }));
        drop(first);
        Directory::claim(&path, 0).unwrap();
    }

    #[test]
    fn below_the_least_it_is_read_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        let mut directory = Directory::claim(&path, u64::MAX).unwrap();
        let error = directory.room().unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }));
        directory.min_free = 1;
        directory.room().unwrap();
        let reserve = path.join("reserve");
        assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVE_BYTES);
        assert!(directory.release_reserve());
        assert!(!reserve.exists() && !directory.release_reserve());
        directory.room().unwrap();
        assert!(reserve.exists());
    }

    #[test]
    fn what_is_short_of_room_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let mut directory = Directory::claim(&parent.path().join("store"), 0).unwrap();
        for (min_free, held, free, words) in [
            (0, RESERVE_BYTES, 0, ""),
            (0, 0, RESERVE_BYTES, ""),
            (
                0,
                0,
                RESERVE_BYTES - 7,
                "reserve that a start on a full disk needs; free 7 bytes",
            ),
            (
                0,
                0,
                0,
                "its disk has 0 bytes left, too few for the reserve",
            ),
            (9, RESERVE_BYTES, 9, ""),
            (9, RESERVE_BYTES, 8, "store.min-free keeps 9; free 1 bytes"),
            (
                9,
                RESERVE_BYTES - 5,
                8,
                "store.min-free keeps 9; free 6 bytes",
            ),
            (
                9,
                RESERVE_BYTES - 5,
                9,
                "reserve that a start on a full disk needs; free 5 bytes",
            ),
        ] {
            (directory.min_free, directory.held) = (min_free, held);
            let said = directory
                .enough(free)
                .map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said.is_empty(), words.is_empty(), "{said}");
            assert!(said.contains(words), "{words:?} is not in {said}");
            assert!(min_free > 0 || !said.contains("min-free"), "{said}");
        }
    }
}
