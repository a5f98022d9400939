//! When something ends: spans and times as a person writes them, in her time zone, and shown to her.

use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::clock::Wall;
use super::limits::SPAN_MAX;

/// Why no end was found, for the person.
pub(super) type Wrong = String;

/// A time zone by its IANA name, in any case.
#[must_use]
pub fn zone(name: &str) -> Option<Tz> {
    let name = name.trim();
    Tz::from_str(name).ok().or_else(|| {
        let same = |zone: &&Tz| zone.name().eq_ignore_ascii_case(name);
        chrono_tz::TZ_VARIANTS.iter().find(same).copied()
    })
}

/// The time zone of that name, or the operator's.
pub(super) fn zone_of(name: Option<&str>, operators: Tz) -> Tz {
    name.and_then(zone).unwrap_or(operators)
}

/// A span at the beginning of a line (`30m`, `1h`, `4 hours`, `2d`, `today`, `week`, `this week`), as the
/// time at which it ends, and the rest of the line. `None` where the line does not begin with one.
pub(super) fn span(line: &str, now: Wall, zone: Tz) -> Option<(Wall, &str)> {
    let (first, rest) = word(line);
    let day = local(now, zone).date();
    match first.to_lowercase().as_str() {
        "today" => return Some((midnight(day.checked_add_days(Days::new(1))?, zone), rest)),
        "week" => return Some((midnight(after_sunday(day)?, zone), rest)),
        "this" if word(rest).0.eq_ignore_ascii_case("week") => {
            return Some((midnight(after_sunday(day)?, zone), word(rest).1));
        }
        _ => {}
    }
    if first.bytes().all(|byte| byte.is_ascii_digit()) {
        let (unit, rest) = word(rest);
        let seconds = seconds(first, unit)?;
        return Some((now.plus_s(seconds), rest));
    }
    // One number and unit, or several, as in 1h30m.
    let mut left = first;
    let mut total = 0_i64;
    while !left.is_empty() {
        let digits = left.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = left.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        total = total.checked_add(seconds(number, &tail[..unit])?)?;
        left = &tail[unit..];
    }
    (total <= longest_s()).then(|| (now.plus_s(total), rest))
}

fn longest_s() -> i64 {
    i64::try_from(SPAN_MAX.as_secs()).unwrap_or(i64::MAX)
}

fn seconds(number: &str, unit: &str) -> Option<i64> {
    let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
    let unit = match unit.to_lowercase().as_str() {
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    number
        .checked_mul(unit)
        .filter(|total| *total <= longest_s())
}

/// A time at the beginning of a line (`15:00`: the next one; `2026-12-24`: the end of that day;
/// `2026-12-24 18:00`; a DateTime of XEP-0082), and the rest. `None` where the line does not begin with
/// one; wrong where it has passed.
pub(super) fn time(line: &str, now: Wall, zone: Tz) -> Option<Result<(Wall, &str), Wrong>> {
    let (first, rest) = word(line);
    let today = local(now, zone).date();
    let (end, rest) = if let Some(end) = Wall::parse(first) {
        (end, rest)
    } else if let Some(clock) = clock_time(first) {
        let on = |day: NaiveDate| at(day, clock, zone);
        let end = Some(on(today)).filter(|end| *end > now);
        (
            end.or_else(|| Some(on(today.checked_add_days(Days::new(1))?)))?,
            rest,
        )
    } else {
        let day_and_clock = first.split_once(['T', 't']);
        let day = day(day_and_clock.map_or(first, |(day, _)| day))?;
        match day_and_clock {
            Some((_, clock)) => (at(day, clock_time(clock)?, zone), rest),
            None => match clock_time(word(rest).0) {
                Some(clock) => (at(day, clock, zone), word(rest).1),
                None => (midnight(day.checked_add_days(Days::new(1))?, zone), rest),
            },
        }
    };
    Some(if end > now {
        Ok((end, rest))
    } else {
        Err(format!("That time has passed: {}.", shown(end, now, zone)))
    })
}

/// A day of the years that [`Wall::parse`] takes.
fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (2000..9999).contains(&day.year()).then_some(day)
}

/// Seconds after midnight; `24:00` is the end of the day.
pub(super) fn clock_time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || hours.len() > 2 || minutes.len() != 2 || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    (minutes < 60 && seconds <= 86_400).then_some(seconds)
}

/// The first word of a line and the rest.
pub(super) fn word(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (first, rest.trim_start())
}

/// What the clocks of a zone show.
pub(super) fn local(now: Wall, zone: Tz) -> NaiveDateTime {
    let utc = DateTime::from_timestamp_millis(now.0).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    utc.with_timezone(&zone).naive_local()
}

fn after_sunday(day: NaiveDate) -> Option<NaiveDate> {
    day.checked_add_days(Days::new(
        7 - u64::from(day.weekday().num_days_from_monday()),
    ))
}

fn midnight(day: NaiveDate, zone: Tz) -> Wall {
    instant(day.and_time(NaiveTime::MIN), zone)
}

/// The midnight at which the day ends.
pub(super) fn end_of_day(now: Wall, zone: Tz) -> Wall {
    let day = local(now, zone).date();
    midnight(day.checked_add_days(Days::new(1)).unwrap_or(day), zone)
}

fn at(day: NaiveDate, seconds: u32, zone: Tz) -> Wall {
    let time = day.and_time(NaiveTime::MIN) + chrono::TimeDelta::seconds(i64::from(seconds));
    instant(time, zone)
}

/// A local time as a point in time. Of one that comes twice the later is meant; one that is left out by
/// the change of the clocks is the first that comes after.
fn instant(time: NaiveDateTime, zone: Tz) -> Wall {
    // A zone may leave out a whole day (Samoa, 2011).
    let steps = (0..=26 * 4).map(|quarters| time + chrono::TimeDelta::minutes(15 * quarters));
    let known = steps.filter_map(|time| zone.from_local_datetime(&time).latest());
    let found = known.map(|time| time.timestamp_millis()).next();
    Wall(found.unwrap_or_else(|| time.and_utc().timestamp_millis()))
}

/// When the clocks of a zone show this: once, twice, or where they leave it out, the first moment after it.
pub(super) fn instants(time: NaiveDateTime, zone: Tz) -> [Wall; 2] {
    let last = instant(time, zone);
    let first = zone.from_local_datetime(&time).earliest();
    [
        first.map_or(last, |time| Wall(time.timestamp_millis())),
        last,
    ]
}

/// A point in time for the person, in her zone, which is not named.
pub(super) fn stamp(at: Wall, zone: Tz) -> String {
    local(at, zone).format("%Y-%m-%d %H:%M").to_string()
}

/// An end for the person, in her zone.
pub(super) fn shown(end: Wall, now: Wall, zone: Tz) -> String {
    let (time, today) = (local(end, zone), local(now, zone).date());
    if time.time() == NaiveTime::MIN
        && let Some(day) = time.date().checked_sub_days(Days::new(1))
    {
        return match day == today {
            true => format!("the end of today ({zone})"),
            false => format!("the end of {day} ({zone})"),
        };
    }
    let clock = time.format("%H:%M");
    match time.date() == today {
        true => format!("{clock} ({zone})"),
        false => format!("{} {clock} ({zone})", time.date()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Wall {
        Wall::parse(text).unwrap()
    }

    fn berlin() -> Tz {
        zone("europe/berlin").unwrap()
    }

    /// A Wednesday, 14:20 in Berlin.
    fn now() -> Wall {
        at("2026-11-25T13:20:05Z")
    }

    #[test]
    fn spans_are_read_in_her_zone() {
        for (line, end, rest) in [
            ("30m In a meeting", "2026-11-25T13:50:05Z", "In a meeting"),
            ("30 min", "2026-11-25T13:50:05Z", ""),
            ("1h30m x", "2026-11-25T14:50:05Z", "x"),
            ("2d", "2026-11-27T13:20:05Z", ""),
            ("Today out", "2026-11-25T23:00:00Z", "out"),
            ("week", "2026-11-29T23:00:00Z", ""),
            ("this week off", "2026-11-29T23:00:00Z", "off"),
        ] {
            assert_eq!(span(line, now(), berlin()), Some((at(end), rest)), "{line}");
        }
        for line in [
            "",
            "lunch",
            "0m",
            "h",
            "1x",
            "400d",
            "99999999999999999999h",
            "1h2",
            "this is",
        ] {
            assert_eq!(span(line, now(), berlin()), None, "{line}");
        }
    }

    #[test]
    fn sunday_and_midnight_belong_to_the_day_that_ends() {
        let sunday = at("2026-11-29T22:59:59Z");
        assert_eq!(span("week", sunday, berlin()), Some((sunday.plus_s(1), "")));
        assert_eq!(
            span("today", sunday, berlin()),
            Some((sunday.plus_s(1), ""))
        );
        let monday = sunday.plus_s(1);
        assert_eq!(
            span("today", monday, berlin()),
            Some((monday.plus_s(86_400), ""))
        );
        assert_eq!(
            span("week", monday, berlin()),
            Some((monday.plus_s(7 * 86_400), ""))
        );
    }

    #[test]
    fn a_day_with_a_change_of_the_clocks_has_its_own_length() {
        let spring = at("2027-03-27T23:00:00Z"); // Midnight; the day has 23 hours.
        assert_eq!(
            span("today", spring, berlin()),
            Some((spring.plus_s(23 * 3600), ""))
        );
        let gap = time("2027-03-28 02:30", spring, berlin());
        assert_eq!(gap, Some(Ok((at("2027-03-28T01:00:00Z"), ""))));
        let twice = time("2026-10-25 02:30", at("2026-10-24T12:00:00Z"), berlin());
        assert_eq!(twice, Some(Ok((at("2026-10-25T01:30:00Z"), ""))));
        let samoa = zone("Pacific/Apia").unwrap();
        let skipped = time("2011-12-30 12:00", at("2011-12-01T00:00:00Z"), samoa);
        assert_eq!(skipped, Some(Ok((at("2011-12-30T10:00:00Z"), ""))));
    }

    #[test]
    fn times_are_read_in_her_zone() {
        for (line, end, rest) in [
            ("15:00 Lunch", "2026-11-25T14:00:00Z", "Lunch"),
            ("9:30", "2026-11-26T08:30:00Z", ""),
            ("24:00", "2026-11-25T23:00:00Z", ""),
            ("2026-12-24 Holiday", "2026-12-24T23:00:00Z", "Holiday"),
            (
                "2026-12-24 18:00 Holiday",
                "2026-12-24T17:00:00Z",
                "Holiday",
            ),
            ("2026-12-24T18:00", "2026-12-24T17:00:00Z", ""),
            ("2026-12-24T18:00:00Z x", "2026-12-24T18:00:00Z", "x"),
        ] {
            assert_eq!(
                time(line, now(), berlin()),
                Some(Ok((at(end), rest))),
                "{line}"
            );
        }
        assert!(matches!(time("2026-11-24", now(), berlin()), Some(Err(_))));
        for line in [
            "",
            "tomorrow",
            "25:00",
            "1:5",
            ":",
            "2026-13-01",
            "99999-01-01",
            "+1:00",
            "15:60",
        ] {
            assert_eq!(time(line, now(), berlin()), None, "{line}");
        }
    }

    #[test]
    fn ends_are_shown_in_her_zone() {
        let shown = |end| shown(at(end), now(), berlin());
        assert_eq!(shown("2026-11-25T14:00:00Z"), "15:00 (Europe/Berlin)");
        assert_eq!(
            shown("2026-11-25T23:00:00Z"),
            "the end of today (Europe/Berlin)"
        );
        assert_eq!(
            shown("2026-11-29T23:00:00Z"),
            "the end of 2026-11-29 (Europe/Berlin)"
        );
        assert_eq!(
            shown("2026-12-24T17:00:00Z"),
            "2026-12-24 18:00 (Europe/Berlin)"
        );
    }

    proptest! {
        #[test]
        fn no_line_panics_and_no_end_has_passed(line in "\\PC{0,30}|[0-9:T hmd-]{0,24}", wall in any::<i64>()) {
            for (now, zone) in [(now(), berlin()), (Wall(wall), Tz::Pacific__Apia)] {
                let _ = span(&line, now, zone);
                let _ = shown(now, Wall(0), zone);
                if let Some(Ok((end, _))) = time(&line, now, zone) {
                    prop_assert!(end > now);
                }
            }
        }
    }
}
