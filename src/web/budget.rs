//! How much one network address, or one party, may ask; and how many live streams it may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::respond::Fault;
use crate::component::bucket::{Buckets, Rate};
use crate::component::web::Problem;
use crate::config::Http;
use crate::driver::{Clock, SystemClock};

/// Seconds after which a stream may be asked for again, where there are too many.
const STREAM_AGAIN_S: u64 = 30;

/// The budgets of all.
#[derive(Debug)]
pub(super) struct Budget {
    clock: SystemClock,
    requests: Mutex<Buckets<Arc<str>>>,
    streams: Arc<Mutex<Streams>>,
    streams_max: usize,
    streams_each: usize,
}

#[derive(Debug, Default)]
struct Streams {
    n: usize,
    by_payer: HashMap<Arc<str>, usize>,
}

/// A live stream's place, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamPlace {
    payer: Arc<str>,
    streams: Arc<Mutex<Streams>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    pub(super) fn new(settings: &Http) -> Self {
        let rate = Rate {
            per_s: settings.request_rate,
            burst: settings.request_burst,
        };
        Self {
            clock: SystemClock::default(),
            requests: Mutex::new(Buckets::new(rate)),
            streams: Arc::default(),
            streams_max: settings.streams,
            streams_each: settings.streams_per_address,
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().mono
    }

    /// Takes the worth of `n` requests.
    pub(super) fn take(&self, payer: &Arc<str>, n: usize) -> Result<(), Fault> {
        let now = self.now();
        let mut requests = lock(&self.requests);
        if requests.take_many(payer, n, now) {
            return Ok(());
        }
        let wait_s = requests.room(payer, n, now).err().unwrap_or(1);
        Err(Fault::Problem(Problem::TooOften(wait_s)))
    }

    /// A place for a live stream.
    pub(super) fn stream(&self, payer: &Arc<str>) -> Result<StreamPlace, Fault> {
        let mut streams = lock(&self.streams);
        let own = streams.by_payer.get(payer).copied().unwrap_or(0);
        if own >= self.streams_each {
            return Err(Fault::Problem(Problem::TooOften(STREAM_AGAIN_S)));
        }
        if streams.n >= self.streams_max {
            return Err(Fault::Problem(Problem::Unavailable));
        }
        streams.n += 1;
        streams.by_payer.insert(payer.clone(), own + 1);
        Ok(StreamPlace {
            payer: payer.clone(),
            streams: self.streams.clone(),
        })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut streams = lock(&self.streams);
        streams.n = streams.n.saturating_sub(1);
        if let Some(own) = streams.by_payer.get_mut(&self.payer) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                streams.by_payer.remove(&self.payer);
            }
        }
    }
}
