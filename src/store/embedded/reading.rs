//! All records at a start: a thread for each table reads them from sled, one puts them together user by
//! user, sums them up and decodes them, and the caller takes them over, all at the same time.
//!
//! They come user by user, and not in the order of their keys, which is table by table: so the address of
//! a user is read once, she is looked for once, and what is known of her comes to lie together in memory.

use std::any::Any;
use std::io;
use std::iter;
use std::mem;
use std::ops::Bound;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::super::codec::{self, BY_USER};
use super::super::engine::{Engine, Fault};
use super::super::isolation;
use super::super::mark::Sum;
use crate::address::Bare;
use crate::component::record::Change;

/// Records that go from thread to thread in one go, or so many bytes of them.
const PAGE_RECORDS: usize = 256;
const PAGE_BYTES: usize = 64 << 10;

/// How many times as many may wait in each place where they are passed on.
const AHEAD: usize = 8;

/// Hands every record to `each`, and gives what they amount to.
pub(super) fn read(engine: &Engine, each: &mut dyn FnMut(Change)) -> Result<Sum, Fault> {
    thread::scope(|scope| {
        let mut tables = Vec::with_capacity(BY_USER.len());
        let mut reading = Vec::with_capacity(BY_USER.len());
        for table in BY_USER {
            let (pages, read) = mpsc::sync_channel(AHEAD);
            let thread = thread::Builder::new().name("store-read".into());
            reading.push(thread.spawn_scoped(scope, move || gather(engine, table, &pages))?);
            tables.push(Table::new(read));
        }
        let (decoded, changes) = mpsc::sync_channel(AHEAD);
        let decoding = thread::Builder::new()
            .name("store-decode".into())
            .spawn_scoped(scope, move || {
                let mut decoding = Decoding::new(decoded);
                decoding.without_user(engine)?;
                decoding.by_user(tables)?;
                decoding.finish()
            })?;
        for change in changes.iter().flatten() {
            each(change);
        }
        // All are joined before any is asked, for a panic that nobody has looked at goes on from here.
        let sum = decoding.join().map_err(panicked);
        let read: Vec<_> = reading.into_iter().map(|thread| thread.join()).collect();
        read.into_iter()
            .try_for_each(|read| read.map_err(panicked))?;
        sum?
    })
}

fn panicked(panic: Box<dyn Any + Send>) -> Fault {
    Fault::Damaged(isolation::text(panic.as_ref()))
}

/// Reads the records of a table, until nobody takes them any more.
fn gather(engine: &Engine, table: u8, pages: &SyncSender<Result<Page, Fault>>) {
    let mut page = Page::default();
    let (from, to) = ([table], [table + 1]);
    for record in engine.records_between(Bound::Included(&from), Bound::Excluded(&to)) {
        match record {
            Ok((key, value)) => page.push(&key, &value),
            Err(fault) => {
                let _ = pages.send(Err(fault));
                return;
            }
        }
        let is_full = page.ends.len() == PAGE_RECORDS || page.bytes.len() >= PAGE_BYTES;
        if is_full && pages.send(Ok(mem::take(&mut page))).is_err() {
            return;
        }
    }
    let _ = pages.send(Ok(page));
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
}

/// What a thread reads of a table, one record after the other.
struct Table {
    pages: Receiver<Result<Page, Fault>>,
    page: Page,
    // The record of `page` that is next, and where its key begins.
    next: usize,
    begin: usize,
}

impl Table {
    fn new(pages: Receiver<Result<Page, Fault>>) -> Self {
        Self {
            pages,
            page: Page::default(),
            next: 0,
            begin: 0,
        }
    }

    /// Key and value of the next record.
    fn head(&self) -> Option<(&[u8], &[u8])> {
        let &(middle, end) = self.page.ends.get(self.next)?;
        let bytes = &self.page.bytes;
        Some((&bytes[self.begin..middle], &bytes[middle..end]))
    }

    /// Has another page come where this one is at its end, and waits for it.
    fn fill(&mut self) -> Result<(), Fault> {
        while self.next == self.page.ends.len() {
            // The table is at its end, too, or its thread has panicked, which is seen when it is joined.
            let Ok(page) = self.pages.recv() else { break };
            (self.page, self.next, self.begin) = (page?, 0, 0);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Fault> {
        (_, self.begin) = self.page.ends[self.next];
        self.next += 1;
        self.fill()
    }
}

/// Sums records up, and makes changes of them.
struct Decoding {
    decoded: SyncSender<Vec<Change>>,
    changes: Vec<Change>,
    sum: Sum,
    // The user of the record before.
    last: Option<Bare>,
}

impl Decoding {
    fn new(decoded: SyncSender<Vec<Change>>) -> Self {
        Self {
            decoded,
            changes: Vec::with_capacity(PAGE_RECORDS),
            sum: Sum::default(),
            last: None,
        }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.sum.add(key, value);
        self.changes
            .push(codec::decode_next(key, value, &mut self.last)?);
        match self.changes.len() {
            PAGE_RECORDS => self.hand_on(),
            _ => Ok(()),
        }
    }

    fn hand_on(&mut self) -> Result<(), Fault> {
        let next = Vec::with_capacity(PAGE_RECORDS);
        let changes = mem::replace(&mut self.changes, next);
        // They are taken until there are no more, but by a caller that panics.
        let end = |_| Fault::Failed(io::Error::other("nobody takes what is read"));
        self.decoded.send(changes).map_err(end)
    }

    /// Takes what is in no table of [`BY_USER`]: little.
    fn without_user(&mut self, engine: &Engine) -> Result<(), Fault> {
        let mut from = Vec::new();
        for table in BY_USER.map(Some).into_iter().chain(iter::once(None)) {
            let to = table.map(|table| [table]);
            let to = to
                .as_ref()
                .map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
            for record in engine.records_between(Bound::Included(&from), to) {
                let (key, value) = record?;
                self.take(&key, &value)?;
            }
            from = table.map(|table| table + 1).into_iter().collect();
        }
        Ok(())
    }

    /// Takes the records of one user after the other.
    fn by_user(&mut self, mut tables: Vec<Table>) -> Result<(), Fault> {
        for table in &mut tables {
            table.fill()?;
        }
        let mut user = Vec::new();
        loop {
            let heads = tables.iter().filter_map(Table::head);
            let Some(first) = heads.map(|(key, _)| codec::user_of(key)).min() else {
                return Ok(());
            };
            user.clear();
            user.extend_from_slice(first);
            for table in &mut tables {
                while let Some((key, value)) = table.head()
                    && codec::user_of(key) == user
                {
                    self.take(key, value)?;
                    table.advance()?;
                }
            }
        }
    }

    /// What all that was taken amounts to.
    fn finish(mut self) -> Result<Sum, Fault> {
        self.hand_on()?;
        Ok(self.sum)
    }
}
