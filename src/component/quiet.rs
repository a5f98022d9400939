//! Quiet hours of a grant: every day from one time to another, by the clock on her wall.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveTime, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::clock::Wall;
use super::ending;

const DAY_MIN: u16 = 24 * 60;

/// From one time of the day to another, past midnight where the second is earlier. In minutes after
/// midnight, both below 1,440 and not the same.
///
/// What counts is what the clock in her time zone shows. So on a day when the clocks change the hours are
/// longer or shorter by what was changed, and begin and end by the clock all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quiet {
    from: u16,
    to: u16,
}

/// No quiet hours can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quiet hours are two times of the day, as in 22:00-07:00")]
pub struct NotQuiet;

impl Quiet {
    /// Whether it is quiet now.
    #[must_use]
    pub fn holds(self, now: Wall, zone: Tz) -> bool {
        let utc = DateTime::from_timestamp_millis(now.0).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
        let time = utc.with_timezone(&zone).time();
        let minute = time.hour() * 60 + time.minute();
        let (from, to) = (u32::from(self.from), u32::from(self.to));
        if from < to {
            (from..to).contains(&minute)
        } else {
            minute >= from || minute < to
        }
    }

    /// When they next begin or end. While the clocks are set back it may name a time at which neither is so.
    #[must_use]
    pub fn next_border(self, now: Wall, zone: Tz) -> Option<Wall> {
        let today = ending::local(now, zone).date();
        let yesterday = today.checked_sub_days(Days::new(1))?;
        // Not more than one whole day is left out anywhere.
        let days = (0..5).filter_map(|n| yesterday.checked_add_days(Days::new(n)));
        days.flat_map(|day| [(day, self.from), (day, self.to)])
            .flat_map(|(day, minute)| {
                let minute = u32::from(minute);
                let time = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0);
                ending::instants(day.and_time(time.unwrap_or_default()), zone)
            })
            .filter(|at| *at > now)
            .min()
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

impl FromStr for Quiet {
    type Err = NotQuiet;

    /// Reads `22:00-07:00`; `22-7` is the same, and so are all dashes.
    fn from_str(text: &str) -> Result<Self, NotQuiet> {
        let (from, to) = text.split_once(['-', '–', '—']).ok_or(NotQuiet)?;
        let minutes = |text: &str| {
            let text = text.trim();
            let seconds = match text.contains(':') {
                true => ending::clock_time(text),
                false => ending::clock_time(&format!("{text}:00")),
            };
            // 24:00 is the midnight at the end of a day, and there is one every day.
            let minutes = u16::try_from(seconds.ok_or(NotQuiet)? / 60).map_err(|_| NotQuiet)?;
            Ok(minutes % DAY_MIN)
        };
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == to {
            return Err(NotQuiet);
        }
        Ok(Self { from, to })
    }
}

impl TryFrom<String> for Quiet {
    type Error = NotQuiet;

    fn try_from(text: String) -> Result<Self, NotQuiet> {
        text.parse()
    }
}

impl From<Quiet> for String {
    fn from(quiet: Quiet) -> Self {
        quiet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Wall {
        Wall::parse(text).unwrap()
    }

    fn quiet(text: &str) -> Quiet {
        text.parse().unwrap()
    }

    #[test]
    fn they_are_read_as_people_write_them() {
        for (text, shown) in [
            ("22:00-07:00", "22:00-07:00"),
            ("22-7", "22:00-07:00"),
            (" 9:30 – 17 ", "09:30-17:00"),
            ("20:00-24:00", "20:00-00:00"),
        ] {
            assert_eq!(quiet(text).to_string(), shown);
        }
        for text in [
            "", "22", "22-", "25-7", "22:60-7", "7-7", "0-24", "-", "a-b", "1:2-3",
        ] {
            assert_eq!(text.parse::<Quiet>(), Err(NotQuiet), "{text}");
        }
    }

    #[test]
    fn they_follow_the_clock_on_her_wall() {
        let (night, berlin) = (quiet("22:00-07:00"), Tz::Europe__Berlin);
        for (now, is_quiet) in [
            ("2026-11-23T20:59:59Z", false),
            ("2026-11-23T21:00:00Z", true),
            ("2026-11-24T05:59:59Z", true),
            ("2026-11-24T06:00:00Z", false),
            // In summer an hour earlier by the sun.
            ("2026-07-01T20:00:00Z", true),
            ("2026-07-02T05:00:00Z", false),
        ] {
            assert_eq!(night.holds(at(now), berlin), is_quiet, "{now}");
        }
        let noon = quiet("12:00-13:00");
        assert!(!noon.holds(at("2026-11-23T10:59:59Z"), berlin));
        assert!(noon.holds(at("2026-11-23T11:00:00Z"), berlin));
        assert!(!noon.holds(at("2026-11-23T12:00:00Z"), berlin));
    }

    #[test]
    fn the_next_border_is_found_over_a_change_of_the_clocks() {
        let berlin = Tz::Europe__Berlin;
        for (hours, now, border) in [
            (
                "22:00-07:00",
                "2026-11-23T13:00:00Z",
                "2026-11-23T21:00:00Z",
            ),
            (
                "22:00-07:00",
                "2026-11-23T21:00:00Z",
                "2026-11-24T06:00:00Z",
            ),
            // The night of the change: the quiet hours have eight hours, or ten.
            (
                "22:00-07:00",
                "2027-03-27T21:00:00Z",
                "2027-03-28T05:00:00Z",
            ),
            (
                "22:00-07:00",
                "2026-10-24T20:00:00Z",
                "2026-10-25T06:00:00Z",
            ),
            // 02:30 is left out; it is 03:00 at once.
            (
                "02:30-04:00",
                "2027-03-27T21:00:00Z",
                "2027-03-28T01:00:00Z",
            ),
            // 02:30 comes twice, and so do the quiet hours.
            (
                "02:30-02:45",
                "2026-10-24T21:00:00Z",
                "2026-10-25T00:30:00Z",
            ),
            (
                "02:30-02:45",
                "2026-10-25T00:45:00Z",
                "2026-10-25T01:30:00Z",
            ),
        ] {
            let found = quiet(hours).next_border(at(now), berlin);
            assert_eq!(found, Some(at(border)), "{hours} after {now}");
        }
    }

    proptest! {
        /// Between two borders nothing changes, but where the clocks are set back.
        #[test]
        fn nothing_changes_before_the_next_border(
            from in 0u16..1440,
            length in 1u16..1440,
            minute in 0i64..400_000,
        ) {
            let hours = Quiet { from, to: (from + length) % DAY_MIN };
            let now = at("2026-11-01T00:00:00Z").plus_s(minute * 60);
            prop_assume!(minute < 150_000); // Until the end of winter time, in this zone.
            let zone = Tz::America__New_York;
            prop_assume!(now > at("2026-11-02T00:00:00Z"));
            let border = hours.next_border(now, zone).unwrap();
            let before = Wall(border.0 - 1);
            prop_assert_eq!(hours.holds(now, zone), hours.holds(before, zone));
            prop_assert_ne!(hours.holds(before, zone), hours.holds(border, zone));
            prop_assert_eq!(quiet(&hours.to_string()), hours);
        }
    }
}
