//! Lines about her status: text, state, ends, time zone, and what of it others see.
//!
//! After `status` everything is text. Ends are read only behind words that name one (`for`, `until`,
//! `meanwhile`), and what was understood is always told her.

use chrono_tz::Tz;

use super::super::clock::Wall;
use super::super::consent;
use super::super::ending::{self, word};
use super::super::record::LastSeen;
use super::super::setting::What;
use super::super::sight::Sight;
use super::super::wish::Wish;
use super::Line;

const SPANS: &str = "as in “for 1h In a meeting”; also 30m, 4h, 2d, today, week";
const TIMES: &str = "as in “until 15:00 In a meeting”; also 2026-12-24, 2026-12-24 18:00";
const STATES: &str = "A state is online, chat, away, xa, dnd or invisible; “state keep” shows what your clients say.";

/// An end at the beginning of a line.
struct Ending<'a> {
    until: Option<Wall>,
    restore: bool,
    rest: &'a str,
}

/// Reads a line that begins with `first`; `None` where it is about something else.
pub(super) fn read(first: &str, rest: &str, now: Wall, zone: Tz) -> Option<Line> {
    Some(match first {
        "status" if rest.is_empty() => Line::ShowStatus,
        "status" if rest.eq_ignore_ascii_case("clear") => set(Wish {
            text: Some(String::new()),
            ..Wish::default()
        }),
        "status" => set(Wish::of_text(rest)),
        "for" | "until" | "meanwhile" => limited(first, rest, now, zone),
        "state" if rest.is_empty() => Line::ShowStatus,
        "state" => {
            let (name, rest) = word(rest);
            state(&name.to_lowercase(), rest, now, zone)
                .unwrap_or_else(|| Line::Wrong(STATES.to_owned()))
        }
        "timezone" if rest.is_empty() => Line::ShowZone,
        "timezone" => match consent::read_zone(rest) {
            Ok(zone) => Line::Set(What::Zone(zone)),
            Err(refusal) => Line::Wrong(refusal.sentence()),
        },
        "last-seen" if rest.is_empty() => Line::ShowSight,
        "last-seen" => match LastSeen::parse(&rest.to_lowercase()) {
            Some(last_seen) => Line::Set(What::Sight(Sight {
                last_seen: Some(last_seen),
                ..Sight::default()
            })),
            None => Line::Wrong("Last seen is told exact, hour, day or never.".to_owned()),
        },
        "share-idle" if rest.is_empty() => Line::ShowSight,
        "share-idle" => match yes_or_no(rest) {
            Some(share_idle) => Line::Set(What::Sight(Sight {
                share_idle: Some(share_idle),
                ..Sight::default()
            })),
            None => Line::Wrong("Share-idle is yes or no.".to_owned()),
        },
        "keep" | "visible" | "busy" | "invisible" | "online" | "chat" | "away" | "xa" | "dnd" => {
            return state(first, rest, now, zone);
        }
        _ => return None,
    })
}

fn set(wish: Wish) -> Line {
    Line::Set(What::Status(Box::new(wish)))
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "on" | "true" | "1" => Some(true),
        "no" | "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// A state, for a time if she says so, with a text if there is one.
fn state(name: &str, rest: &str, now: Wall, zone: Tz) -> Option<Line> {
    let state = match name {
        "keep" | "visible" if rest.is_empty() => None,
        "keep" | "visible" => return None,
        "busy" => consent::state("dnd"),
        name => Some(consent::state(name)?),
    };
    let plain = Ending {
        until: None,
        restore: false,
        rest,
    };
    let ending = match end(rest, now, zone) {
        Some(Err(wrong)) => return Some(Line::Wrong(wrong)),
        Some(Ok(ending)) => ending,
        None => plain, // Such as “away for lunch”.
    };
    let text = match ending.rest {
        "" => Wish::default(),
        text => Wish::of_text(text),
    };
    Some(set(Wish {
        state: Some(state),
        until: ending.until,
        restore: ending.restore,
        ..text
    }))
}

/// A text for a time.
fn limited(first: &str, rest: &str, now: Wall, zone: Tz) -> Line {
    match end(&format!("{first} {rest}"), now, zone) {
        Some(Ok(Ending { rest: "", .. })) => Line::Wrong(format!(
            "Which text? {}.",
            if first == "until" {
                capital(TIMES)
            } else {
                capital(SPANS)
            }
        )),
        Some(Ok(ending)) => set(Wish {
            until: ending.until,
            restore: ending.restore,
            ..Wish::of_text(ending.rest)
        }),
        Some(Err(wrong)) => Line::Wrong(wrong),
        None if first == "until" => Line::Wrong(format!("Until when? {}.", capital(TIMES))),
        None => Line::Wrong(format!("For how long? {}.", capital(SPANS))),
    }
}

fn capital(text: &str) -> String {
    text.replacen("as in", "As in", 1)
}

/// `for SPAN`, `until TIME`, or either after `meanwhile`, which may leave out the `for`.
fn end(line: &str, now: Wall, zone: Tz) -> Option<Result<Ending<'_>, String>> {
    let (first, rest) = word(line);
    let found = |(until, rest), restore| Ending {
        until: Some(until),
        restore,
        rest,
    };
    match first.to_lowercase().as_str() {
        "for" => ending::span(rest, now, zone).map(|end| Ok(found(end, false))),
        "until" => Some(ending::time(rest, now, zone)?.map(|end| found(end, false))),
        "meanwhile" => {
            let end = match end(rest, now, zone) {
                Some(end) => end,
                None => Ok(found(ending::span(rest, now, zone)?, true)),
            };
            Some(end.map(|end| Ending {
                restore: true,
                ..end
            }))
        }
        _ => None,
    }
}
