//! An export, read line by line and checked to the last.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Failure;
use crate::component::line;
use crate::component::record::Change;
use crate::store::codec;
use crate::store::export::{End, FORMAT, Header, hex};

/// Bytes of a line: a value of the largest size, each of its bytes written with an escape of six.
const LINE_BYTES_MAX: u64 = 6 * codec::VALUE_BYTES_MAX as u64 + 2 * codec::KEY_BYTES_MAX as u64;

/// An export, read line by line.
pub(super) struct Lines {
    path: PathBuf,
    input: BufReader<File>,
    hash: Sha256,
    line: u64,
}

/// Takes a record: as a change, as a key, as a value.
pub(super) type Each<'a> = &'a mut dyn FnMut(Change, Vec<u8>, Vec<u8>) -> Result<(), Failure>;

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|reason| Failure::Unreadable {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.to_owned(),
            input: BufReader::new(file),
            hash: Sha256::new(),
            line: 0,
        })
    }

    fn wrong(&self, what: impl Into<String>) -> Failure {
        Failure::Wrong {
            path: self.path.clone(),
            line: self.line,
            what: what.into(),
        }
    }

    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        self.line += 1;
        let mut bytes = Vec::new();
        let mut limited = (&mut self.input).take(LINE_BYTES_MAX + 1);
        match limited.read_until(b'\n', &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(reason) => {
                return Err(Failure::Unreadable {
                    path: self.path.clone(),
                    reason,
                });
            }
        }
        if bytes.pop() != Some(b'\n') {
            return Err(self.wrong("it has no end: the file is cut off, or this is no export"));
        }
        match String::from_utf8(bytes) {
            Ok(line) => Ok(Some(line)),
            Err(_) => Err(self.wrong("it is not UTF-8")),
        }
    }

    /// Reads all of it; gives its header and the hash of what is before its end.
    pub(super) fn read(mut self, each: Each<'_>) -> Result<(Header, [u8; 32]), Failure> {
        let header = self.header()?;
        let (mut n, mut last) = (0, Vec::new());
        loop {
            let Some(line) = self.next()? else {
                return Err(self.wrong("the file ends before its last line"));
            };
            if line.starts_with("{\"end\"") {
                let before: [u8; 32] = self.hash.clone().finalize().into();
                self.end(&line, n, &header, &before)?;
                return Ok((header, before));
            }
            let change = line::read(&line).map_err(|what| self.wrong(what))?;
            match codec::encode(&change) {
                Err(error) => return Err(self.wrong(error.to_string())),
                Ok((key, Some(value))) if key > last => {
                    last.clone_from(&key);
                    each(change, key, value)?;
                }
                Ok(_) => return Err(self.wrong("it is not in order, or stands there twice")),
            }
            self.count(&line);
            n += 1;
        }
    }

    fn header(&mut self) -> Result<Header, Failure> {
        let line = self.next()?.unwrap_or_default();
        let format = serde_json::from_str::<serde_json::Value>(&line)
            .ok()
            .filter(|header| header["vestibule"] == "export")
            .and_then(|header| header["format"].as_u64());
        match format {
            None => Err(self.wrong("this is no export of Vestibule")),
            Some(later) if later > u64::from(FORMAT) => Err(self.wrong(format!(
                "a newer Vestibule wrote it (format {later}, and this one reads {FORMAT})"
            ))),
            Some(_) => {
                self.count(&line);
                serde_json::from_str(&line).map_err(|error| self.wrong(error.to_string()))
            }
        }
    }

    fn end(&mut self, line: &str, n: u64, header: &Header, hash: &[u8]) -> Result<(), Failure> {
        let end: End = serde_json::from_str(line).map_err(|error| self.wrong(error.to_string()))?;
        if end.end != "export" || end.records != n || header.records != n {
            return Err(self.wrong(format!(
                "there are {n} records, and there were {}",
                header.records
            )));
        }
        if end.sha256 != hex(hash) {
            return Err(self.wrong("the SHA-256 of the lines before is another one"));
        }
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(self.wrong("there is something behind the end")),
        }
    }

    fn count(&mut self, line: &str) {
        self.hash.update(line);
        self.hash.update("\n");
    }
}
