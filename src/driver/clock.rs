//! The clocks of the operating system, and what is said where the wall clock jumps.
//!
//! Time-outs and rates go by the clock that never goes back, so a jump moves none of them. What ends at a
//! time of day (a status, a grant) ends when the wall clock says so, whichever way it came there.

use std::time::{Duration, Instant, SystemTime};

use crate::component::clock::{Now, Wall};

/// A jump of the wall clock that the operator is told of (security T70).
const JUMP: Duration = Duration::from_secs(5 * 60);

/// What time it is.
pub trait Clock: Send + 'static {
    /// The present moment on both clocks.
    fn now(&self) -> Now;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Now {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let wall = Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Now {
            mono: self.0.elapsed(),
            wall,
        }
    }
}

/// Notices jumps of the wall clock.
#[derive(Debug)]
pub(super) struct Watch(Now);

impl Watch {
    pub(super) fn new(now: Now) -> Self {
        Self(now)
    }

    /// By how many seconds the wall clock has jumped since the last call, where that is much.
    pub(super) fn jumped(&mut self, now: Now) -> Option<i64> {
        let passed = now.mono.saturating_sub(self.0.mono);
        let expected = self.0.wall.0.saturating_add(millis(passed));
        self.0 = now;
        let jump = now.wall.0.saturating_sub(expected);
        (jump.abs() > millis(JUMP)).then_some(jump / 1000)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_s: u64, wall_s: i64) -> Now {
        Now {
            mono: Duration::from_secs(mono_s),
            wall: Wall(0).plus_s(wall_s),
        }
    }

    #[test]
    fn only_what_the_other_clock_did_not_see_is_a_jump() {
        let mut watch = Watch::new(at(10, 1_000_000));
        assert_eq!(watch.jumped(at(20, 1_000_010)), None);
        // Asleep for a day, on both clocks.
        assert_eq!(watch.jumped(at(86_420, 1_086_410)), None);
        assert_eq!(watch.jumped(at(86_421, 1_086_411 - 299)), None);
        assert_eq!(watch.jumped(at(86_422, 1_082_513)), Some(-3600));
        assert_eq!(watch.jumped(at(86_423, 1_082_514)), None);
        assert_eq!(watch.jumped(at(86_424, 0)), Some(-1_082_515));
        assert_eq!(watch.jumped(at(86_425, 1_082_516)), Some(1_082_515));
    }
}
