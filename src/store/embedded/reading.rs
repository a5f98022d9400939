//! All records at a start: one thread reads them from sled, one sums them up and decodes them, and the
//! caller takes them over, all three at the same time.
//!
//! They come user by user, and not in the order of their keys, which is table by table: so the address of
//! a user is read once, she is looked for once, and what is known of her comes to lie together in memory.

use std::any::Any;
use std::iter;
use std::mem;
use std::ops::Bound;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use super::super::codec::{self, BY_USER};
use super::super::engine::{Engine, Fault};
use super::super::isolation;
use super::super::mark::Sum;
use crate::address::Bare;
use crate::component::record::Change;

/// Records that go from thread to thread in one go.
const PAGE_RECORDS: usize = 256;

/// How many times as many may wait before each of the two that take them.
const AHEAD: usize = 8;

/// Hands every record to `each`, and gives what they amount to.
pub(super) fn read(engine: &Engine, each: &mut dyn FnMut(Change)) -> Result<Sum, Fault> {
    thread::scope(|scope| {
        let (pages, read) = mpsc::sync_channel(AHEAD);
        let (decoded, changes) = mpsc::sync_channel(AHEAD);
        let reading = thread::Builder::new()
            .name("store-read".into())
            .spawn_scoped(scope, move || gather(engine, &pages))?;
        let decoding = thread::Builder::new()
            .name("store-decode".into())
            .spawn_scoped(scope, move || {
                let (mut sum, mut last) = (Sum::default(), None);
                for page in read {
                    if decoded.send(decode(&page, &mut sum, &mut last)?).is_err() {
                        break;
                    }
                }
                Ok::<_, Fault>(sum)
            })?;
        for change in changes.iter().flatten() {
            each(change);
        }
        let sum = decoding.join().map_err(panicked)??;
        reading.join().map_err(panicked)??;
        Ok(sum)
    })
}

fn panicked(panic: Box<dyn Any + Send>) -> Fault {
    Fault::Damaged(isolation::text(panic.as_ref()))
}

fn decode(page: &Page, sum: &mut Sum, last: &mut Option<Bare>) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::with_capacity(page.ends.len());
    for (key, value) in page.records() {
        sum.add(key, value);
        changes.push(codec::decode_next(key, value, last)?);
    }
    Ok(changes)
}

/// Reads all records: first those that are of no user, then those of one user after the other.
fn gather(engine: &Engine, pages: &SyncSender<Page>) -> Result<(), Fault> {
    let mut page = Page::default();
    let mut is_wanted = |key: &[u8], value: &[u8]| {
        page.push(key, value);
        // Nobody takes them any more where the next thread has found a fault.
        page.ends.len() < PAGE_RECORDS || pages.send(mem::take(&mut page)).is_ok()
    };
    let mut from = Vec::new();
    for table in BY_USER.map(Some).into_iter().chain([None]) {
        let to = table.map(|table| [table]);
        let to = to
            .as_ref()
            .map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        for record in engine.records_between(Bound::Included(&from), to) {
            let (key, value) = record?;
            if !is_wanted(&key, &value) {
                return Ok(());
            }
        }
        from = table.map(|table| table + 1).into_iter().collect();
    }
    let mut tables = Vec::with_capacity(BY_USER.len());
    for table in BY_USER {
        let (from, to) = ([table], [table + 1]);
        let mut records = engine.records_between(Bound::Included(&from), Bound::Excluded(&to));
        tables.push((records.next().transpose()?, records));
    }
    let mut user = Vec::new();
    loop {
        let heads = tables.iter().filter_map(|(head, _)| head.as_ref());
        let Some(first) = heads.map(|(key, _)| codec::user_of(key)).min() else {
            break;
        };
        user.clear();
        user.extend_from_slice(first);
        for (head, records) in &mut tables {
            while let Some((key, value)) = head.take_if(|(key, _)| codec::user_of(key) == user) {
                if !is_wanted(&key, &value) {
                    return Ok(());
                }
                *head = records.next().transpose()?;
            }
        }
    }
    let _ = pages.send(page);
    Ok(())
}

/// Some records, one behind the other. They are copied: what sled gives away is its own memory, and to
/// free that in another thread costs more.
#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    // Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Page {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((middle, self.bytes.len()));
    }

    /// Keys and values, in order.
    fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let begins = iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins
            .zip(&self.ends)
            .map(|(begin, &(middle, end))| (&self.bytes[begin..middle], &self.bytes[middle..end]))
    }
}
