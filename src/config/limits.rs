//! The section of limits: rates, bursts, numbers and times, each with what 0 means.

use std::time::Duration;

use super::check::Check;
use super::value::Value;
use crate::component::limits::{Limits, RECORDS_PER_USER_MAX, SubscriptionRate};

/// A day: who is told of requests more seldom might as well not be told.
const PROMPT_MINUTES_MAX: f64 = 1440.0;
/// Ten years; what never ends is 0.
const PENDING_DAYS_MAX: f64 = 3650.0;
/// Sessions take about 1 KiB each.
const SESSIONS_MAX: usize = 1_000_000;
/// A person with so many open commands is not asked about them any more; each is looked through for each
/// new one.
const OPEN_COMMANDS_MAX: usize = 10_000;

impl Check<'_> {
    pub(super) fn limits(&mut self) -> Limits {
        let default = Limits::default();
        Limits {
            probe_rate_per_watcher: self
                .rate("probe-rate-per-watcher", "answers a second")
                .unwrap_or(default.probe_rate_per_watcher),
            probe_burst_per_watcher: self
                .burst("probe-burst-per-watcher", "answer")
                .unwrap_or(default.probe_burst_per_watcher),
            probe_rate_per_domain: self
                .rate("probe-rate-per-domain", "answers a second")
                .unwrap_or(default.probe_rate_per_domain),
            probe_burst_per_domain: self
                .burst("probe-burst-per-domain", "answer")
                .unwrap_or(default.probe_burst_per_domain),
            refusals_per_minute: self
                .rate("refusals-per-minute", "refusals a minute")
                .unwrap_or(default.refusals_per_minute),
            refusals_burst: self
                .burst("refusals-burst", "refusal")
                .unwrap_or(default.refusals_burst),
            commands_per_minute_per_watcher: self
                .rate("commands-per-minute-per-watcher", "commands a minute")
                .unwrap_or(default.commands_per_minute_per_watcher),
            commands_burst_per_watcher: self
                .burst("commands-burst-per-watcher", "command")
                .unwrap_or(default.commands_burst_per_watcher),
            commands_per_minute_per_user: self
                .rate("commands-per-minute-per-user", "commands a minute")
                .unwrap_or(default.commands_per_minute_per_user),
            commands_burst_per_user: self
                .burst("commands-burst-per-user", "command")
                .unwrap_or(default.commands_burst_per_user),
            open_commands_per_watcher: self
                .count("open-commands-per-watcher", OPEN_COMMANDS_MAX)
                .unwrap_or(default.open_commands_per_watcher),
            open_commands_per_user: self
                .count("open-commands-per-user", OPEN_COMMANDS_MAX)
                .unwrap_or(default.open_commands_per_user),
            pending_per_user: self
                .count("pending-per-user", RECORDS_PER_USER_MAX)
                .unwrap_or(default.pending_per_user),
            pending_per_domain: self
                .count("pending-per-domain", RECORDS_PER_USER_MAX)
                .unwrap_or(default.pending_per_domain),
            pending_days: self.pending_days().unwrap_or(default.pending_days),
            prompt_every: self
                .minutes("prompt-minutes", 0.0, PROMPT_MINUTES_MAX)
                .unwrap_or(default.prompt_every),
            sessions_per_watcher: self
                .count("sessions-per-watcher", SESSIONS_MAX)
                .unwrap_or(default.sessions_per_watcher),
            sessions: self
                .count("sessions", SESSIONS_MAX)
                .unwrap_or(default.sessions),
            broadcasts_per_second: self
                .rate("broadcasts-per-second", "presences a second")
                .unwrap_or(default.broadcasts_per_second),
            subscriptions_per_minute: self
                .subscriptions()
                .unwrap_or(default.subscriptions_per_minute),
            relearn_every: self
                .minutes("relearn-minutes", 0.1, 1440.0)
                .unwrap_or(default.relearn_every),
            statuses_per_hour: self
                .an_hour("statuses-per-hour")
                .unwrap_or(default.statuses_per_hour),
            token_guesses_per_hour: self
                .an_hour("token-guesses-per-hour")
                .unwrap_or(default.token_guesses_per_hour),
        }
    }

    fn rate(&mut self, key: &str, of: &str) -> Option<f64> {
        let expected = format!("{of}, 0 for no limit");
        self.read(&format!("limits.{key}"), &expected, Value::number)
    }

    /// A bucket that never holds a whole token would give nothing at all.
    fn burst(&mut self, key: &str, of: &str) -> Option<f64> {
        let expected = format!("at least 1 {of}, or 0 for no limit");
        self.read(&format!("limits.{key}"), &expected, |value| {
            match value.number()? {
                0.0 => Some(f64::INFINITY),
                burst => (burst >= 1.0).then_some(burst),
            }
        })
    }

    /// So many at most; what is bounded in memory has a number and no 0.
    fn count(&mut self, key: &str, max: usize) -> Option<usize> {
        let expected = format!("a whole number from 1 to {max}");
        self.read(&format!("limits.{key}"), &expected, |value| {
            let n = value.number()?;
            (n.fract() == 0.0 && n >= 1.0 && n <= max as f64).then_some(n as usize)
        })
    }

    fn minutes(&mut self, key: &str, min: f64, max: f64) -> Option<Duration> {
        let expected = format!("{min} to {max} minutes");
        self.read(&format!("limits.{key}"), &expected, |value| {
            let minutes = value.number()?;
            (min..=max)
                .contains(&minutes)
                .then(|| Duration::from_secs_f64(minutes * 60.0))
        })
    }

    /// Less than one at once would be none at all.
    fn an_hour(&mut self, key: &str) -> Option<f64> {
        let expected = "at least 1, or 0 for no limit";
        self.read(&format!("limits.{key}"), expected, |value| {
            value.number().filter(|n| *n == 0.0 || *n >= 1.0)
        })
    }

    fn pending_days(&mut self) -> Option<u32> {
        let expected = format!("a whole number of days up to {PENDING_DAYS_MAX}, 0 for no end");
        self.read("limits.pending-days", &expected, |value| {
            let days = value.number()?;
            (days.fract() == 0.0 && days <= PENDING_DAYS_MAX).then_some(days as u32)
        })
    }

    fn subscriptions(&mut self) -> Option<SubscriptionRate> {
        self.read(
            "limits.subscriptions-per-minute",
            "\"auto\", or a whole number of stanzas, 0 for no limit",
            |value| match (value.text(), value.number()) {
                (Some("auto"), _) => Some(SubscriptionRate::Auto),
                (_, Some(n)) if n.fract() == 0.0 && n <= f64::from(u32::MAX) => {
                    Some(SubscriptionRate::PerMinute(n as u32))
                }
                _ => None,
            },
        )
    }
}
