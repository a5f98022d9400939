//! A clock that stands still until it is moved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vestibule::component::clock::{Now, Wall};
use vestibule::driver;

/// When every transcript begins: 2026-11-23T13:00:00Z.
pub(crate) const BEGINNING: Now = Now {
    mono: Duration::from_secs(1000),
    wall: Wall(1_795_438_800_000),
};

/// The clock, shared between a driver and its test.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<Mutex<Now>>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(BEGINNING)))
    }

    /// Moves both clocks forward.
    pub(crate) fn advance(&self, time: Duration) {
        later(
            &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
            time,
        );
    }
}

impl Clock {
    /// Sets the wall clock so many seconds forward.
    pub(crate) fn jump(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall = now.wall.plus_s(seconds);
    }
}

impl driver::Clock for Clock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves both clocks forward.
pub(crate) fn later(now: &mut Now, time: Duration) {
    now.mono += time;
    now.wall.0 += i64::try_from(time.as_millis()).expect("transcripts are short");
}
