//! Lines about what she gives by her word, and takes back.
//!
//! ```text
//! grant WHO… RIGHT… [ask first|always|never] [until TIME | for SPAN] [at most N a day]
//!       [quiet 22:00-07:00] [over public|dedicated|http…]
//! revoke WHO… [keep] [block]
//! ```
//!
//! Commas and “and” may stand anywhere between words; what is not understood grants nothing.

use chrono_tz::Tz;

use super::super::authorization::{Confirm, Interface, Right};
use super::super::clock::Wall;
use super::super::consent::{all_is_none, read_max};
use super::super::ending::{self, word};
use super::super::granting::{Offer, Withdrawal};
use super::super::limits::USES_PER_DAY_MAX;
use super::super::setting::What;
use super::super::{Component, whom};
use super::Line;

const WHOM: &str =
    "Whom? As in “grant bob@example.org notify, open-url”; a domain stands for all its users.";

/// Reads what stands after `grant`.
pub(super) fn grant(core: &Component, rest: &str, now: Wall, zone: Tz) -> Line {
    match read(core, rest, now, zone) {
        Ok(offer) => Line::Set(What::Grant(Box::new(offer))),
        Err(wrong) => Line::Wrong(wrong),
    }
}

fn read(core: &Component, rest: &str, now: Wall, zone: Tz) -> Result<Offer, String> {
    let line = rest.replace([',', ';'], " ");
    let (who, rest) = split_whom(&line);
    let who = whom::grantees(core, who.into_iter()).map_err(|_| WHOM.to_owned())?;
    let mut offer = Offer::new(who, [].into());
    let mut left = rest;
    while !left.is_empty() {
        let (first, rest) = word(left);
        left = match first.to_lowercase().as_str() {
            "and" | "may" | "can" | "only" | "me" => rest,
            "ask" | "asking" => {
                let (confirm, rest) = confirm(rest)?;
                offer.confirm = confirm;
                rest
            }
            "until" => match ending::time(rest, now, zone) {
                Some(Ok((until, rest))) => {
                    offer.until = Some(until);
                    rest
                }
                Some(Err(passed)) => return Err(passed),
                None => return Err("Until when? As in “until 2026-12-31” or “until 18:00”.".into()),
            },
            "for" => match ending::span(rest, now, zone) {
                Some((until, rest)) => {
                    offer.until = Some(until);
                    rest
                }
                None => return Err("For how long? As in “for 2d”, “for 4h” or “for today”.".into()),
            },
            "at" | "max" | "at-most" => {
                let (max, rest) = per_day(first, rest)?;
                offer.max_per_day = Some(max);
                rest
            }
            "quiet" => {
                let (hours, rest) = hours(rest);
                let wrong = "Quiet when? As in “quiet 22:00-07:00”, in your time zone.";
                offer.quiet = Some(hours.parse().map_err(|_| wrong.to_owned())?);
                rest
            }
            "over" | "via" => {
                let rest = interfaces(rest, &mut offer);
                if offer.interfaces.is_empty() {
                    return Err("Over what? Over public, dedicated or http.".into());
                }
                rest
            }
            name => {
                let right: Right = name.parse().map_err(|unknown| format!("{unknown}."))?;
                offer.rights.insert(right);
                rest
            }
        };
    }
    offer.interfaces = all_is_none(offer.interfaces);
    if offer.rights.is_empty() {
        let who = offer.who.first().map_or_else(String::new, |who| who.name());
        return Err(format!(
            "Which rights? As in “grant {who} see, open-url”; “help grant” lists them."
        ));
    }
    Ok(offer)
}

/// The words before the first that is a right or begins a limit.
fn split_whom(line: &str) -> (Vec<&str>, &str) {
    const LIMITS: [&str; 13] = [
        "ask", "asking", "until", "for", "at", "max", "at-most", "quiet", "over", "via", "may",
        "can", "only",
    ];
    let mut who = Vec::new();
    let mut left = line.trim();
    while !left.is_empty() {
        let (first, rest) = word(left);
        let name = first.to_lowercase();
        let begins_more = name.parse::<Right>().is_ok() || LIMITS.contains(&name.as_str());
        // What names nobody and no right is told as a right that does not exist.
        if begins_more || (!who.is_empty() && name != "and" && !names_somebody(&name)) {
            break;
        }
        if name != "and" {
            who.push(first);
        }
        left = rest;
    }
    (who, left)
}

/// Whether a word after the first is meant as somebody.
fn names_somebody(word: &str) -> bool {
    word.contains(['@', '.'])
}

fn confirm(rest: &str) -> Result<(Confirm, &str), String> {
    let (mut how, mut rest) = word(rest);
    if how.eq_ignore_ascii_case("me") {
        (how, rest) = word(rest);
    }
    let confirm = match how.to_lowercase().as_str() {
        "first" | "once" => Confirm::First,
        "always" => Confirm::Always,
        "never" => Confirm::Never,
        _ => return Err("Ask how often? “ask first”, “ask always” or “ask never”.".into()),
    };
    Ok((confirm, rest))
}

/// `at most 5 a day`, `max 5 per day`, `at-most 5`.
fn per_day<'a>(first: &str, rest: &'a str) -> Result<(u32, &'a str), String> {
    let wrong = || format!("How often? As in “at most 5 a day”; at most {USES_PER_DAY_MAX}.");
    let mut rest = rest;
    if first.eq_ignore_ascii_case("at") {
        let (most, after) = word(rest);
        if !most.eq_ignore_ascii_case("most") {
            return Err(wrong());
        }
        rest = after;
    }
    let (number, after) = word(rest);
    let max = read_max(number).ok_or_else(wrong)?;
    let (a, after_a) = word(after);
    let (day, after_day) = word(after_a);
    let says_day = matches!(a, "a" | "per" | "times") && matches!(day, "day" | "a" | "per");
    let mut rest = if says_day { after_day } else { after };
    if a == "times" && says_day {
        rest = word(after_day).1; // “5 times a day”
    }
    Ok((max, rest))
}

/// `22:00-07:00`, `22:00 - 07:00`, `from 22:00 to 07:00`.
fn hours(rest: &str) -> (String, &str) {
    let (mut first, mut rest) = word(rest);
    if first.eq_ignore_ascii_case("from") {
        (first, rest) = word(rest);
    }
    if first.contains(['-', '–', '—']) && !first.ends_with(['-', '–', '—']) {
        return (first.to_owned(), rest);
    }
    let (second, after) = word(rest);
    let (end, after) = match second {
        "-" | "–" | "—" | "to" | "until" => word(after),
        end => (end, after),
    };
    let first = first.trim_end_matches(['-', '–', '—']);
    (
        format!("{first}-{}", end.trim_start_matches(['-', '–', '—'])),
        after,
    )
}

fn interfaces<'a>(rest: &'a str, offer: &mut Offer) -> &'a str {
    let mut left = rest;
    loop {
        let (name, rest) = word(left);
        match Interface::parse(&name.to_lowercase()) {
            Some(interface) => {
                offer.interfaces.insert(interface);
            }
            None if name == "and" || name == "or" => {}
            None => return left,
        }
        left = rest;
    }
}

/// Reads what stands after `revoke`.
pub(super) fn revoke(core: &Component, rest: &str) -> Line {
    let mut withdrawal = Withdrawal::default();
    let mut who = Vec::new();
    for word in rest.split([' ', ',', ';', '\t', '\n', '\r']) {
        match word.to_lowercase().as_str() {
            "and" => {}
            "keep" => withdrawal.keeps_presence = true,
            "block" => withdrawal.blocks = true,
            _ => who.push(word),
        }
    }
    match whom::grantees(core, who.into_iter()) {
        Ok(who) => Line::Set(What::Revoke(Box::new(Withdrawal { who, ..withdrawal }))),
        Err(_) => Line::Wrong("Whom? As in “revoke bob@example.org”.".to_owned()),
    }
}
