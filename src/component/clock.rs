//! Time and chance as values: the core reads neither a clock nor a source of randomness.
//!
//! Both arrive with each input; the driver is the only place that asks the operating system.

use std::fmt;
use std::time::Duration;

use chrono::{Datelike, Timelike};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A point of wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
///
/// For what must outlive a restart (expiry, "since"); time-outs use [`Now::mono`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// The point `seconds` later (earlier where negative).
    #[must_use]
    pub fn plus_s(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Reads an XEP-0082 DateTime; years outside 2000–9999 are refused (security: far-future stamps).
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = chrono::DateTime::parse_from_rfc3339(text.trim()).ok()?;
        let millis = parsed.timestamp_millis();
        (946_684_800_000..253_402_300_800_000)
            .contains(&millis)
            .then_some(Self(millis))
    }
}

impl fmt::Display for Wall {
    /// Writes an XEP-0082 DateTime in UTC to the second, as in `2026-11-23T13:20:05Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // chrono's own way to write it costs as much as the answer to a probe, and that of `fmt` a fifth of it.
        let time = chrono::DateTime::from_timestamp(self.0.div_euclid(1000), 0).unwrap_or_default();
        let (day, second) = (time.date_naive(), time.num_seconds_from_midnight());
        let Ok(year @ 0..=9999) = u32::try_from(day.year()) else {
            return write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ"));
        };
        let mut text = *b"0000-00-00T00:00:00Z";
        let pairs = [
            (0, year / 100),
            (2, year % 100),
            (5, day.month()),
            (8, day.day()),
            (11, second / 3600),
            (14, second / 60 % 60),
            (17, second % 60),
        ];
        for (at, two) in pairs {
            text[at] = b'0' + (two / 10) as u8;
            text[at + 1] = b'0' + (two % 10) as u8;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The present moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start that never goes backwards: for time-outs and rates.
    pub mono: Duration,
    /// Wall-clock time: for stamps and expiries.
    pub wall: Wall,
}

/// Random bytes of one input, from the operating system; every id made while it is handled derives
/// from them and nothing else.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: [u8; 16],
    drawn: u32,
}

impl Chance {
    /// Takes the bytes that came with an input.
    #[must_use]
    pub fn new(seed: [u8; 16]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// 32 bytes that no other draw repeats.
    pub fn bytes(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.drawn.to_be_bytes())
            .finalize()
            .into()
    }

    /// A fresh unguessable identifier of 128 bits, as 32 lower-case hexadecimal digits.
    pub fn id(&mut self) -> String {
        self.bytes()[..16]
            .iter()
            .fold(String::with_capacity(32), |mut text, byte| {
                use fmt::Write;
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let wall = Wall::parse("2026-11-23T13:20:05Z").unwrap();
        assert_eq!(wall.to_string(), "2026-11-23T13:20:05Z");
        assert_eq!(
            Wall::parse("2026-11-23T14:20:05.25+01:00"),
            Some(Wall(wall.0 + 250))
        );
        assert_eq!(Wall::parse("+99999-01-01T00:00:00Z"), None);
        assert_eq!(Wall::parse("tomorrow"), None);
    }

    #[test]
    fn a_stamp_is_written_as_chrono_writes_it() {
        // From before 1970 to beyond 9999, at all times of the day.
        for n in -100..30_000_i64 {
            let wall = Wall(n * 8_640_013_577);
            let time = chrono::DateTime::from_timestamp(wall.0.div_euclid(1000), 0).unwrap();
            let chrono = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            assert_eq!(wall.to_string(), chrono);
        }
    }

    #[test]
    fn draws_of_one_seed_differ() {
        let mut chance = Chance::new([7; 16]);
        assert_ne!(chance.id(), chance.id());
        assert_eq!(Chance::new([7; 16]).id().len(), 32);
    }
}
