//! A log file that stays small: when it is full it becomes `NAME.1`, and a new one begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of one file; there are two at most.
pub const BYTES_MAX: u64 = 1 << 20;

/// The open file.
#[derive(Debug)]
pub struct LogFile(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    length: u64,
    max: u64,
}

impl LogFile {
    /// Opens it for appending; only its owner may read it.
    ///
    /// # Errors
    /// It cannot be opened or created.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_max(path, BYTES_MAX)
    }

    fn with_max(path: &Path, max: u64) -> io::Result<Self> {
        let file = open(path)?;
        let length = file.metadata()?.len();
        let path = path.to_owned();
        let inner = Inner {
            path,
            file,
            length,
            max,
        };
        Ok(Self(Mutex::new(inner)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// One line on its way to the file.
#[derive(Debug)]
pub struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self
            .0
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if inner.length > 0 && inner.length + bytes.len() as u64 > inner.max {
            let mut old = inner.path.as_os_str().to_owned();
            old.push(".1");
            fs::rename(&inner.path, old)?;
            inner.file = open(&inner.path)?;
            inner.length = 0;
        }
        inner.file.write_all(bytes)?;
        inner.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_room_and_only_one_old_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = LogFile::with_max(&path, 10).unwrap();
        for text in ["1234\n", "5678\n", "9\n", "abcdefghijkl\n", "z\n"] {
            log.make_writer().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "z\n");
        let old = fs::read_to_string(folder.path().join("log.1")).unwrap();
        assert_eq!(old, "abcdefghijkl\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
