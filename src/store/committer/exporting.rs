//! An export in the committer's thread: pages are read between the writes, and never waited for. A
//! thread of its own makes them into a file.

use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Writer;
use crate::component::clock::Wall;
use crate::store::export::{self, Exported, Failure, PAGE_RECORDS, Page, Place};
use crate::store::{Error, Store};

/// Pages between the store and the file.
const PAGES: usize = 4;

/// How long to wait for the file to take a page, where nothing is to be written meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// An export that is asked for.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) place: Place,
    pub(super) made: Wall,
    pub(super) done: oneshot::Sender<Result<Exported, Failure>>,
}

/// An export under way.
pub(super) struct Exporting {
    pages: SyncSender<Page>,
    /// Read, and not taken yet.
    waiting: Option<Page>,
}

impl Order {
    /// Begins; `None` where that fails, and the asker is told.
    pub(super) fn begin(self, writer: &mut Writer<impl Store>) -> Option<Exporting> {
        let Self { place, made, done } = self;
        let origin = match writer.call(Store::begin_export) {
            Some(Ok(origin)) => origin,
            Some(Err(error)) => {
                let _ = done.send(Err(error.into()));
                return None;
            }
            None => {
                let _ = done.send(Err(Failure::Closed));
                return None;
            }
        };
        let (pages, taken) = mpsc::sync_channel(PAGES);
        let writing = thread::Builder::new().name("store-export".into());
        let writing = writing.spawn(move || {
            let _ = done.send(export::receive(&place, origin, made, &taken));
        });
        // Where there is no thread for it, `done` went with it.
        writing.ok().map(|_| Exporting {
            pages,
            waiting: None,
        })
    }
}

impl Exporting {
    /// How long the thread may wait for something to write.
    pub(super) fn pause(&self) -> Duration {
        match self.waiting {
            Some(_) => PAUSE,
            None => Duration::ZERO,
        }
    }

    /// Reads the next page, if the last one is taken; `None` when that was all.
    pub(super) fn go_on(mut self, writer: &mut Writer<impl Store>) -> Option<Self> {
        let page = match self.waiting.take() {
            Some(page) => page,
            None => next(writer),
        };
        let is_last = !matches!(page, Page::Records(_));
        match self.pages.try_send(page) {
            Ok(()) if is_last => None,
            Ok(()) => Some(self),
            Err(TrySendError::Full(page)) => {
                self.waiting = Some(page);
                Some(self)
            }
            // The file could not be written; who asked has been told why.
            Err(TrySendError::Disconnected(_)) => None,
        }
    }
}

fn next(writer: &mut Writer<impl Store>) -> Page {
    let mut records = Vec::with_capacity(PAGE_RECORDS);
    let read = writer.call(|store| store.go_on_export(PAGE_RECORDS, &mut |one| records.push(one)));
    match read {
        Some(Ok(true)) => Page::Last(records),
        Some(Ok(false)) => Page::Records(records),
        Some(Err(error)) => Page::Failed(error),
        None => Page::Failed(Error::Broken {
            path: "store".into(),
            what: "it has failed for good".into(),
        }),
    }
}
