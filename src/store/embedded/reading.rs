//! All records at a start: one thread reads them from sled, one sums them up and decodes them, and the
//! caller takes them over, all three at the same time.

use std::any::Any;
use std::sync::mpsc;
use std::thread;

use super::super::codec;
use super::super::engine::{Engine, Fault, Page};
use super::super::isolation;
use super::super::mark::Sum;
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
            .spawn_scoped(scope, move || {
                // Nobody takes them any more where the next thread has found a fault.
                engine.read(PAGE_RECORDS, &mut |page| pages.send(page).is_ok())
            })?;
        let decoding = thread::Builder::new()
            .name("store-decode".into())
            .spawn_scoped(scope, move || {
                let mut sum = Sum::default();
                for page in read {
                    if decoded.send(decode(&page, &mut sum)?).is_err() {
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

fn decode(page: &Page, sum: &mut Sum) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::with_capacity(page.len());
    for (key, value) in page.records() {
        sum.add(key, value);
        changes.push(codec::decode(key, value)?);
    }
    Ok(changes)
}
