//! All records as they were at one moment, read bit by bit while changes go on being written.
//!
//! What a change overwrites or deletes that has not been read yet is kept until it has been; so nothing
//! waits, and what comes out is what the store was at the beginning, which its mark proves in the end.

use std::collections::BTreeMap;

use super::engine::{Engine, Fault, Writes};
use super::mark::{Mark, Sum};
use super::{Origin, codec};
use crate::component::record::Change;

/// Bytes that are kept at most; an export that needs more has lasted for too long.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A reading under way.
pub(super) struct Snapshot {
    mark: Mark,
    /// The last key that has been handed over.
    read: Vec<u8>,
    /// What was there at the beginning and has been changed since, behind `read`.
    kept: Writes,
    kept_bytes: usize,
    sum: Sum,
}

impl Snapshot {
    pub(super) fn new(mark: Mark) -> Self {
        Self {
            mark,
            read: Vec::new(),
            kept: Writes::new(),
            kept_bytes: 0,
            sum: Sum::default(),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            store: self.mark.store,
            batch: self.mark.seq,
            records: self.mark.sum.count,
        }
    }

    /// Keeps the values from before a batch; `false` where that is too much.
    pub(super) fn keep(&mut self, before: &Writes) -> bool {
        for (key, value) in before {
            if *key > self.read && !self.kept.contains_key(key) {
                self.kept_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                self.kept.insert(key.clone(), value.clone());
            }
        }
        self.kept_bytes <= KEPT_BYTES_MAX
    }

    /// Hands over the next records, `most` or so; `true` where those were the last.
    pub(super) fn go_on(
        &mut self,
        engine: &Engine,
        most: usize,
        each: &mut dyn FnMut(Change),
    ) -> Result<bool, Fault> {
        let mut page = BTreeMap::new();
        for record in engine.records_behind(&self.read).take(most) {
            let (key, value) = record?;
            page.insert(key.to_vec(), value.to_vec());
        }
        let last = page.len() < most;
        let end = page.last_key_value().map(|(key, _)| key.clone());
        let rest = match &end {
            // Strictly behind the end of this page.
            Some(end) if !last => self.kept.split_off(&[end.as_slice(), &[0]].concat()),
            _ => Writes::new(),
        };
        for (key, value) in std::mem::replace(&mut self.kept, rest) {
            match value {
                Some(value) => page.insert(key, value),
                None => page.remove(&key),
            };
        }
        for (key, value) in &page {
            self.sum.add(key, value);
            each(codec::decode(key, value)?);
        }
        if let Some(end) = end {
            self.read = end;
        }
        if last && self.sum != self.mark.sum {
            return Err(Fault::Damaged(format!(
                "its {} records are not the {} that were there when the export began",
                self.sum.count, self.mark.sum.count
            )));
        }
        Ok(last)
    }
}
