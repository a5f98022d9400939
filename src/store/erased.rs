//! Who has left: the small file beside sled by which an older export gives nobody's records back.
//!
//! Damage of sled takes the records of what was erased with it, and an export is older than that. So each
//! user who leaves gets an entry here, synced before it is acknowledged: a keyed hash of her address, from
//! which nobody reads it, and the number of the batch that erased her. No clock is in it. The file is
//! bounded: past [`ENTRIES_MAX`] the older half gives way, and the file says from which batch on it is
//! complete. How many have left in all stands in the mark, so that a list that is cut off is known to be.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::directory;
use super::mark::Mark;
use crate::component::record::Change;

/// Its name in the directory of the store.
pub(super) const NAME: &str = "left";

const MAGIC: &[u8; 8] = b"vestleft";
const FORMAT: u16 = 1;

/// Bytes of the first line, and of each entry: none of them crosses a sector.
const LINE_BYTES: usize = 64;

/// Entries, about: 4 MiB. Exports from before so many departures are not among those kept.
const ENTRIES_MAX: usize = 1 << 16;

/// A user by her hash, and the batch that erased her.
type Entry = ([u8; 16], u64);

/// The file of a store that is open.
#[derive(Debug)]
pub(super) struct Erased {
    path: PathBuf,
    // `None` until it can be written anew.
    file: Option<File>,
    list: List,
}

/// What such a file holds.
#[derive(Debug)]
struct List {
    store: [u8; 16],
    /// It knows of all who have left after this batch.
    complete_from: u64,
    /// So many entries have given way.
    before: u64,
    entries: Vec<Entry>,
}

impl List {
    fn new(store: [u8; 16], mark: Mark) -> Self {
        Self {
            store,
            complete_from: mark.seq,
            before: mark.left,
            entries: Vec::new(),
        }
    }

    /// Cuts off what was entered for batches that were never acknowledged; `false` where something is
    /// missing.
    fn fit(&mut self, mark: Mark) -> bool {
        let count = mark.left.checked_sub(self.before);
        let count = count.and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| *count <= self.entries.len() && self.store == mark.store);
        self.entries.truncate(count.unwrap_or(0));
        count.is_some()
    }

    fn lines(&self) -> Vec<u8> {
        let header = sealed(FORMAT, self.store, self.complete_from, self.before);
        header
            .into_iter()
            .chain(self.entries.iter().flat_map(line))
            .collect()
    }
}

/// Who has left since an export was made.
#[derive(Debug)]
pub(super) struct Left {
    store: [u8; 16],
    users: BTreeSet<[u8; 16]>,
}

impl Erased {
    /// Opens the file of a store that has come to `mark`; one that is not whole is told and given up.
    ///
    /// On a full disk it may have to be written anew later: no reason not to start.
    pub(super) fn open(path: &Path, mark: Mark) -> io::Result<Self> {
        let mut found = read(path)?;
        let is_whole = found.as_mut().is_some_and(|list| list.fit(mark));
        if !is_whole && mark.left > 0 {
            tracing::warn!(
                file = ?path,
                "the list of who has left is damaged and begins anew: whether they come back by an \
                 import of an export from before, it will ask"
            );
        }
        let list = found.filter(|_| is_whole);
        let mut this = Self {
            path: path.to_owned(),
            file: None,
            list: list.unwrap_or_else(|| List::new(mark.store, mark)),
        };
        if is_whole && fs::metadata(path)?.len() == this.end() {
            this.file = Some(OpenOptions::new().write(true).open(path)?);
        } else if let Err(error) = this.create() {
            tracing::debug!("no list of who has left yet: {error}");
        }
        Ok(this)
    }

    /// Writes the file anew, whole or not at all.
    fn create(&mut self) -> io::Result<&File> {
        self.file = None;
        let file = directory::place(&self.path, &self.list.lines())?;
        Ok(self.file.insert(file))
    }

    /// Where the next entry goes.
    fn end(&self) -> u64 {
        (LINE_BYTES * (1 + self.list.entries.len())) as u64
    }

    /// Enters users, by their addresses, whom batch `seq` erases; on the disk when this returns.
    pub(super) fn enter(&mut self, users: &[&[u8]], seq: u64) -> io::Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        if self.list.entries.len() >= ENTRIES_MAX {
            let kept = self.list.entries.split_off(ENTRIES_MAX / 2);
            let gone = mem::replace(&mut self.list.entries, kept);
            self.list.complete_from = gone.last().map_or(seq, |last| last.1);
            self.list.before += gone.len() as u64;
            self.file = None;
        }
        let end = self.end();
        let store = &self.list.store;
        let new: Vec<Entry> = users.iter().map(|user| (hash(store, user), seq)).collect();
        let bytes: Vec<u8> = new.iter().flat_map(line).collect();
        let file = match &self.file {
            Some(file) => file,
            None => self.create()?,
        };
        file.write_all_at(&bytes, end)?;
        file.sync_data()?;
        self.list.entries.extend(new);
        Ok(())
    }

    /// Takes back what was entered for batches that were refused.
    pub(super) fn fit(&mut self, mark: Mark) {
        self.list.fit(mark);
    }
}

impl Left {
    /// Who has left after batch `batch`, as is known in the directory of a store, even a damaged one, that
    /// came to `mark`, or `further`; `None` where it is not known.
    ///
    /// Where it came further the list counts to its end: who asked to leave and was not answered is
    /// left out too.
    pub(super) fn after(directory: &Path, mark: Mark, further: bool, batch: u64) -> Option<Self> {
        let path = directory.join(NAME);
        let mut list = read(&path).ok()??;
        let store = mark.store;
        let is_whole = match further {
            false => list.fit(mark),
            true => {
                let least = mark.left.saturating_sub(list.before);
                let bytes = LINE_BYTES * (1 + list.entries.len());
                let length = fs::metadata(&path).ok()?.len();
                list.store == store && list.entries.len() as u64 >= least && length == bytes as u64
            }
        };
        (is_whole && list.complete_from <= batch).then(|| Self {
            store,
            users: (list.entries.into_iter())
                .filter_map(|(user, left)| (left > batch).then_some(user))
                .collect(),
        })
    }

    /// Whether this is a record of one of them.
    pub(super) fn has(&self, change: &Change) -> bool {
        let user = match change {
            Change::Profile { user, .. }
            | Change::Status { user, .. }
            | Change::Grant { user, .. }
            | Change::Subscription { user, .. }
            | Change::Block { user, .. }
            | Change::Audit { user, .. }
            | Change::Token { user, .. }
            | Change::Face { user, .. } => user,
            Change::Execution { value, .. } => match value {
                Some(execution) => &execution.user,
                None => return false,
            },
            Change::OperatorBlock { .. } => return false,
        };
        !self.users.is_empty()
            && self
                .users
                .contains(&hash(&self.store, user.as_str().as_bytes()))
    }
}

/// Reads a file as far as that goes; `None` where there is none, or it is none of these.
fn read(path: &Path) -> io::Result<Option<List>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let mut lines = bytes.chunks(LINE_BYTES).map_while(parts);
    Ok(match lines.next() {
        Some((FORMAT, store, complete_from, before)) => Some(List {
            store,
            complete_from,
            before,
            entries: lines.map(|(_, user, batch, _)| (user, batch)).collect(),
        }),
        _ => None,
    })
}

fn line((user, batch): &Entry) -> [u8; LINE_BYTES] {
    sealed(0, *user, *batch, 0)
}

fn sealed(kind: u16, name: [u8; 16], number: u64, another: u64) -> [u8; LINE_BYTES] {
    let mut bytes = [0; LINE_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&kind.to_be_bytes());
    bytes[16..32].copy_from_slice(&name);
    bytes[32..40].copy_from_slice(&number.to_be_bytes());
    bytes[40..48].copy_from_slice(&another.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn parts(line: &[u8]) -> Option<(u16, [u8; 16], u64, u64)> {
    let checksum = line.get(60..LINE_BYTES)?;
    if !line.starts_with(MAGIC) || crc32fast::hash(&line[..60]).to_be_bytes() != *checksum {
        return None;
    }
    let kind = u16::from_be_bytes(*line[8..].first_chunk()?);
    let number = u64::from_be_bytes(*line[32..].first_chunk()?);
    let another = u64::from_be_bytes(*line[40..].first_chunk()?);
    Some((kind, *line[16..].first_chunk()?, number, another))
}

/// The store's name is the key: the same address has another hash in another store.
fn hash(store: &[u8; 16], user: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"left")
        .chain_update(store)
        .chain_update(user)
        .finalize()
        .into();
    *hash.first_chunk().expect("32 bytes hold 16")
}

#[cfg(test)]
mod tests {
    use super::super::proof::Proof;
    use super::super::samples;
    use super::*;

    fn mark(seq: u64, left: u64) -> Mark {
        Mark {
            seq,
            left,
            ..Mark::of_new([7; 16])
        }
    }

    fn user(n: u64) -> String {
        format!("user{n}@example.org")
    }

    fn enter(list: &mut Erased, n: u64) {
        list.enter(&[user(n).as_bytes()], n).unwrap();
    }

    /// Which of the first `most` users have left after a batch; `None` where that is not known.
    fn left(folder: &Path, batch: u64, most: u64) -> Option<Vec<u64>> {
        let (mark, spoilt) = Proof::read(&folder.join("proof")).unwrap();
        let left = Left::after(folder, mark, spoilt, batch)?;
        Some(
            (1..=most)
                .filter(|n| left.has(&samples::status(*n, 1)))
                .collect(),
        )
    }

    #[test]
    fn who_has_left_since_is_known_as_far_as_it_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut proof = Proof::create(&folder.path().join("proof"), mark(0, 0)).unwrap();
        assert_eq!(left(folder.path(), 0, 9), None, "there is no list");
        let mut list = Erased::open(&path, mark(0, 0)).unwrap();
        assert_eq!(left(folder.path(), 0, 9), Some(vec![]));
        for n in 1..=3 {
            enter(&mut list, n);
        }
        proof.write(mark(3, 3)).unwrap();
        assert_eq!(left(folder.path(), 0, 9), Some(vec![1, 2, 3]));
        assert_eq!(left(folder.path(), 2, 9), Some(vec![3]));
        let other = Mark::of_new([8; 16]);
        assert!(Left::after(folder.path(), other, false, 0).is_none());
        assert!(Left::after(folder.path(), other, true, 0).is_none());

        // The power went before batch 4 was there; then another one is.
        enter(&mut list, 4);
        assert_eq!(left(folder.path(), 2, 9), Some(vec![3]));
        let mut list = Erased::open(&path, mark(3, 3)).unwrap();
        enter(&mut list, 5);
        proof.write(mark(5, 4)).unwrap();
        assert_eq!(left(folder.path(), 0, 9), Some(vec![1, 2, 3, 5]));
        // One that was refused, and the next.
        enter(&mut list, 6);
        list.fit(mark(5, 4));
        enter(&mut list, 7);
        proof.write(mark(7, 5)).unwrap();
        assert_eq!(left(folder.path(), 0, 9), Some(vec![1, 2, 3, 5, 7]));
    }

    #[test]
    fn a_damaged_list_says_that_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut proof = Proof::create(&folder.path().join("proof"), mark(0, 0)).unwrap();
        let mut list = Erased::open(&path, mark(0, 0)).unwrap();
        for n in 1..=4 {
            enter(&mut list, n);
        }
        proof.write(mark(4, 4)).unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 5 * LINE_BYTES);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            assert_eq!(left(folder.path(), 0, 4), None, "{at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(left(folder.path(), 0, 4), None, "cut off at {at}");
        }
        // It begins anew, and knows who leaves from then on.
        let mut list = Erased::open(&path, mark(4, 4)).unwrap();
        enter(&mut list, 5);
        proof.write(mark(5, 5)).unwrap();
        assert_eq!(left(folder.path(), 3, 9), None);
        assert_eq!(left(folder.path(), 4, 9), Some(vec![5]));
    }

    #[test]
    fn the_oldest_give_way_and_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut proof = Proof::create(&folder.path().join("proof"), mark(0, 0)).unwrap();
        let mut list = Erased::open(&path, mark(0, 0)).unwrap();
        let most = ENTRIES_MAX as u64;
        let users: Vec<String> = (1..=most).map(user).collect();
        let users: Vec<&[u8]> = users.iter().map(String::as_bytes).collect();
        for (n, some) in users.chunks(ENTRIES_MAX / 4).enumerate() {
            list.enter(some, n as u64 + 1).unwrap();
        }
        list.enter(&[user(most + 1).as_bytes()], 5).unwrap();
        proof.write(mark(5, most + 1)).unwrap();
        assert_eq!(left(folder.path(), 1, 9), None);
        assert_eq!(left(folder.path(), 2, 9), Some(vec![]));
        assert_eq!(left(folder.path(), 4, most + 1), Some(vec![most + 1]));
        let bytes = fs::metadata(&path).unwrap().len();
        assert_eq!(bytes, (LINE_BYTES * (ENTRIES_MAX / 2 + 2)) as u64);
        let list = Erased::open(&path, mark(5, most + 1)).unwrap();
        assert_eq!(list.list.entries.len(), ENTRIES_MAX / 2 + 1);
    }
}
