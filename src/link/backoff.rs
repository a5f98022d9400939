//! How long to wait before the next attempt to attach.
//!
//! A value without clock or randomness: the random number comes as an argument. RFC 6120 §3.3 asks
//! for a random first delay and truncated binary exponential back-off.

use super::error::Kind;
use std::time::Duration;

/// Longest delay after an established stream was lost: a restart of the server is over in that time,
/// and its components do not come back in the same moment.
const AFTER_LOSS: Duration = Duration::from_secs(2);

/// Where the delays begin after `conflict`: the server may hold a dead connection of ours for a while.
const AFTER_CONFLICT: Duration = Duration::from_secs(5);

/// The delays between attempts: drawn evenly from zero up to a bound, which doubles with each failed
/// attempt in a row ("full jitter") and ends at a cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    /// Failed attempts since a stream was last established.
    failures: u32,
}

/// Bounds that make no back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first delay must be longer than zero and not longer than the last")]
pub struct Invalid;

impl Backoff {
    /// A back-off whose bound begins at `base` and ends at `cap`.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, Invalid> {
        if base.is_zero() || base > cap {
            return Err(Invalid);
        }
        Ok(Self {
            base,
            cap,
            failures: 0,
        })
    }

    /// The delay after an established stream was lost: at most 2 s, however often it happens.
    pub fn after_loss(&mut self, random: u64) -> Duration {
        self.failures = 0;
        drawn(AFTER_LOSS.min(self.cap), random)
    }

    /// The delay after an attempt that did not end in an established stream.
    ///
    /// With [`Kind::Configuration`] the bound is the cap at once.
    pub fn after_failure(&mut self, kind: Kind, random: u64) -> Duration {
        let first = match kind {
            Kind::Transient => self.base,
            Kind::Conflict => self.base.max(AFTER_CONFLICT),
            Kind::Configuration => self.cap,
        };
        let factor = 2u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        drawn(first.saturating_mul(factor).min(self.cap), random)
    }
}

impl Default for Backoff {
    /// From 1 s up to 60 s.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            failures: 0,
        }
    }
}

fn drawn(bound: Duration, random: u64) -> Duration {
    // 32 bits are fine enough, and they divide exactly.
    let fraction = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
    bound.mul_f64(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_bound_doubles_with_each_failure_up_to_the_cap() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..9)
            .map(|_| backoff.after_failure(Kind::Transient, u64::MAX).as_secs())
            .collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for _ in 0..100 {
            backoff.after_failure(Kind::Transient, 0);
        }
        assert_eq!(backoff.after_failure(Kind::Transient, u64::MAX), S(60));
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after_failure(Kind::Transient, 1);
        }
        for _ in 0..5 {
            assert_eq!(backoff.after_loss(u64::MAX), S(2));
        }
        assert_eq!(backoff.after_failure(Kind::Transient, u64::MAX), S(1));
    }

    #[test]
    fn a_conflict_begins_at_five_seconds_and_a_wrong_secret_at_the_cap() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after_failure(Kind::Conflict, u64::MAX), S(5));
        assert_eq!(backoff.after_failure(Kind::Conflict, u64::MAX), S(10));
        assert_eq!(
            Backoff::default().after_failure(Kind::Configuration, u64::MAX),
            S(60)
        );
    }

    #[test]
    fn the_delay_is_spread_over_the_whole_bound() {
        let delay = |random| Backoff::default().after_failure(Kind::Configuration, random);
        assert_eq!(delay(0), Duration::ZERO);
        assert_eq!(delay(u64::MAX / 2).as_secs(), 29);
        assert_eq!(delay(u64::MAX), S(60));
    }

    #[test]
    fn bounds_that_make_none_are_refused() {
        assert_eq!(Backoff::new(S(0), S(1)), Err(Invalid));
        assert_eq!(Backoff::new(S(2), S(1)), Err(Invalid));
        let mut short = Backoff::new(S(1), S(1)).unwrap();
        assert_eq!(short.after_loss(u64::MAX), S(1));
        assert_eq!(short.after_failure(Kind::Conflict, u64::MAX), S(1));
    }
}
