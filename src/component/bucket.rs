//! Token buckets: how often something may be done, by whom.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::address::Bare;

/// Buckets of one kind that are kept; full ones are dropped first, they say nothing.
const BUCKETS_MAX: usize = 100_000;

/// How often full ones are dropped at most.
const CLEAR_EVERY: Duration = Duration::from_secs(1);

/// A rate with its burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Tokens a second; 0 is no limit.
    pub(crate) per_s: f64,
    /// Tokens at most.
    pub(crate) burst: f64,
}

/// Token buckets by address, or by something else.
#[derive(Debug)]
pub(crate) struct Buckets<K = Bare> {
    rate: Rate,
    levels: HashMap<K, (f64, Duration)>,
    /// When there was last no room, and full ones were dropped.
    cleared: Option<Duration>,
}

impl Rate {
    /// So many a minute in the long run; 0 is no limit.
    pub(crate) fn a_minute(n: f64, burst: f64) -> Self {
        Self {
            per_s: n / 60.0,
            burst,
        }
    }

    /// So many an hour, in the long run and at once; 0 is no limit.
    pub(super) fn an_hour(n: f64) -> Self {
        Self {
            per_s: n / 3600.0,
            burst: n,
        }
    }

    /// What two nanoseconds give: less than that is lacking by rounding alone.
    fn crumb(self) -> f64 {
        self.per_s * 2e-9
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            levels: HashMap::new(),
            cleared: None,
        }
    }

    /// Goes on at another rate; what is in the buckets stays.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Takes one token; `false` where there is none.
    pub(crate) fn take(&mut self, who: &K, at: Duration) -> bool {
        self.take_many(who, 1, at)
    }

    /// Takes all of `n` tokens, or none; `false` where there are fewer.
    pub(crate) fn take_many(&mut self, who: &K, n: usize, at: Duration) -> bool {
        let (rate, n) = (self.rate, n as f64);
        if rate.per_s <= 0.0 {
            return true;
        }
        if !self.levels.contains_key(who) && self.levels.len() >= BUCKETS_MAX && !self.clear(at) {
            return false;
        }
        let (level, since) = self.levels.entry(who.clone()).or_insert((rate.burst, at));
        let filled = refilled(rate, *level, *since, at);
        let taken = n - filled <= rate.crumb();
        *level = if taken { (filled - n).max(0.0) } else { filled };
        *since = at;
        taken
    }

    /// Drops the full ones; whether there is room now. Not more often than once a second: a flood of new
    /// addresses must not cost a walk through all of them each.
    fn clear(&mut self, at: Duration) -> bool {
        if self.cleared.is_some_and(|last| at < last + CLEAR_EVERY) {
            return false;
        }
        self.cleared = Some(at);
        let rate = self.rate;
        self.levels
            .retain(|_, (level, since)| refilled(rate, *level, *since, at) < rate.burst);
        self.levels.len() < BUCKETS_MAX
    }

    /// How long until there is a token; `None` where there is one.
    pub(crate) fn until(&self, who: &K, at: Duration) -> Option<Duration> {
        let rate = self.rate;
        let (level, since) = self.levels.get(who).filter(|_| rate.per_s > 0.0)?;
        let lacking = 1.0 - refilled(rate, *level, *since, at);
        (lacking > rate.crumb()).then(|| Duration::from_secs_f64(lacking / rate.per_s))
    }

    /// How many of `n` tokens are there: all of them, or as many as a bucket ever holds. Where there
    /// are fewer: whole seconds until then, at least one.
    pub(crate) fn room(&self, who: &K, n: usize, at: Duration) -> Result<usize, u64> {
        let rate = self.rate;
        if rate.per_s <= 0.0 {
            return Ok(n);
        }
        let level = match self.levels.get(who) {
            Some((level, since)) => refilled(rate, *level, *since, at),
            None => rate.burst,
        };
        let wanted = (n as f64).min(rate.burst.floor());
        if level >= wanted && wanted >= 1.0 {
            return Ok(wanted as usize);
        }
        Err(((wanted.max(1.0) - level) / rate.per_s).ceil().max(1.0) as u64)
    }

    /// Whole seconds until the next token, at least one.
    pub(crate) fn retry_after_s(&self) -> u64 {
        (1.0 / self.rate.per_s.max(0.001)).ceil() as u64
    }
}

fn refilled(rate: Rate, level: f64, since: Duration, at: Duration) -> f64 {
    (level + at.saturating_sub(since).as_secs_f64() * rate.per_s).min(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(Rate {
            per_s: 2.0,
            burst: 3.0,
        });
        let who = Bare::parse("bot@localhost").unwrap();
        let at = Duration::from_secs;
        assert_eq!((0..5).filter(|_| buckets.take(&who, at(0))).count(), 3);
        assert_eq!((0..5).filter(|_| buckets.take(&who, at(1))).count(), 2);
        assert!(buckets.take(&Bare::parse("other@localhost").unwrap(), at(1)));
    }

    #[test]
    fn many_tokens_are_taken_together_or_not_at_all() {
        let mut buckets = Buckets::new(Rate {
            per_s: 2.0,
            burst: 10.0,
        });
        let who = Bare::parse("bot@localhost").unwrap();
        let at = Duration::from_secs;
        assert_eq!(buckets.room(&who, 7, at(0)), Ok(7));
        assert!(buckets.take_many(&who, 7, at(0)));
        assert!(!buckets.take_many(&who, 4, at(0)));
        assert_eq!(buckets.room(&who, 8, at(0)), Err(3));
        assert_eq!(buckets.room(&who, 8, at(3)), Ok(8));
        // More than a bucket ever holds is never there: a full bucket is enough.
        assert_eq!(buckets.room(&who, 50, at(0)), Err(4));
        assert_eq!(buckets.room(&who, 50, at(4)), Ok(10));
    }

    #[test]
    fn a_full_table_lets_in_new_ones_as_soon_as_old_ones_are_full() {
        let mut buckets = Buckets::new(Rate {
            per_s: 1.0,
            burst: 2.0,
        });
        let at = Duration::from_millis;
        for n in 0..BUCKETS_MAX {
            assert!(buckets.take(&n, at(0)));
        }
        assert!(!buckets.take(&BUCKETS_MAX, at(0)));
        assert!(buckets.take(&7, at(0)), "who is in it is served on");
        // Those that have their token back say nothing any more; they are looked for once in a second.
        assert!(!buckets.take(&BUCKETS_MAX, at(999)));
        assert!(buckets.take(&BUCKETS_MAX, at(1000)));
        assert_eq!(buckets.levels.len(), 2);
    }

    #[test]
    fn the_next_token_comes_when_it_is_said_to_come() {
        let mut buckets = Buckets::new(Rate {
            per_s: 3.0,
            burst: 1.0,
        });
        let mut at = Duration::ZERO;
        assert_eq!(buckets.until(&(), at), None);
        for _ in 0..1000 {
            assert!(buckets.take(&(), at));
            let wait = buckets.until(&(), at).unwrap();
            assert!(!buckets.take(&(), at + wait / 2));
            let wait = buckets.until(&(), at + wait / 2).unwrap() + wait / 2;
            at += wait;
        }
        assert!(at.abs_diff(Duration::from_secs_f64(1000.0 / 3.0)) < Duration::from_millis(1));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut buckets = Buckets::new(Rate {
            per_s: 0.0,
            burst: 0.0,
        });
        let who = Bare::parse("bot@localhost").unwrap();
        assert!((0..10_000).all(|_| buckets.take(&who, Duration::ZERO)));
        assert_eq!(buckets.room(&who, 100, Duration::ZERO), Ok(100));
    }
}
