//! The rates that the operator has set, in the buckets that keep them; who is to wait, and for how long.

use super::limits::{Limits, Rate};
use super::reply::Refusal;
use super::{Component, Turn};
use crate::address::Bare;

impl Limits {
    pub(super) fn probes(&self) -> Rate {
        Rate {
            per_s: self.probe_rate_per_watcher,
            burst: self.probe_burst_per_watcher,
        }
    }

    pub(super) fn probes_of_domain(&self) -> Rate {
        Rate {
            per_s: self.probe_rate_per_domain,
            burst: self.probe_burst_per_domain,
        }
    }

    pub(super) fn refusals(&self) -> Rate {
        Rate::a_minute(self.refusals_per_minute, self.refusals_burst)
    }

    pub(super) fn commands_by_watcher(&self) -> Rate {
        Rate::a_minute(
            self.commands_per_minute_per_watcher,
            self.commands_burst_per_watcher,
        )
    }

    pub(super) fn commands_for_user(&self) -> Rate {
        Rate::a_minute(
            self.commands_per_minute_per_user,
            self.commands_burst_per_user,
        )
    }

    /// What those of one foreign domain may take of a user's: half, so that many addresses of one domain
    /// leave room for others.
    pub(super) fn commands_for_user_by_domain(&self) -> Rate {
        let all = self.commands_for_user();
        Rate {
            per_s: all.per_s / 2.0,
            burst: (all.burst / 2.0).max(1.0),
        }
    }

    pub(super) fn broadcasts(&self) -> Rate {
        // A second's worth at once, at least one.
        Rate {
            per_s: self.broadcasts_per_second,
            burst: self.broadcasts_per_second.max(1.0),
        }
    }

    /// Seconds that a request waits for her word; `None`: without an end.
    pub(super) fn pending_life_s(&self) -> Option<i64> {
        (self.pending_days > 0).then(|| i64::from(self.pending_days) * 24 * 3600)
    }
}

impl Component {
    /// Goes on with the rates of the settings; what is in the buckets stays.
    pub(super) fn set_rates(&mut self) {
        let limits = self.settings.limits;
        self.probes.set_rate(limits.probes());
        self.probes_of_domain.set_rate(limits.probes_of_domain());
        self.refused_to.set_rate(limits.refusals());
        self.executions_by_watcher
            .set_rate(limits.commands_by_watcher());
        self.executions_for_user
            .set_rate(limits.commands_for_user());
        self.executions_for_user_by_domain
            .set_rate(limits.commands_for_user_by_domain());
        self.broadcast_rate.set_rate(limits.broadcasts());
        self.statuses.set_rate(limits.statuses());
        self.guesses.set_rate(limits.token_guesses());
        self.guesses_of_domain.set_rate(limits.token_guesses());
    }

    /// Whether a watcher is of one of our own servers, whose users are known to it one by one.
    pub(super) fn is_local(&self, watcher: &Bare) -> bool {
        self.settings.users.contains(&watcher.to_domain())
    }
}

/// Whether a refusal may be told to a watcher: one answer's worth of what it gets at all, and one of the
/// refusals. The same for blocked, private, unregistered and unknown in every kind of request.
pub(super) fn may_refuse(core: &mut Component, turn: &Turn, watcher: &Bare) -> Result<(), Refusal> {
    let at = turn.now.mono;
    if let Err(wait_s) = core.refused_to.room(watcher, 1, at) {
        return Err(Refusal::PolicyViolation(wait_s));
    }
    if !super::probe::has_token(core, turn, watcher) {
        return Err(Refusal::PolicyViolation(core.probes.retry_after_s()));
    }
    core.refused_to.take(watcher, at);
    core.counts.refused += 1;
    Ok(())
}

/// Takes a command's worth of what a watcher, a user, and a foreign domain with her, may have.
pub(super) fn admit_command(
    core: &mut Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Bare,
) -> Result<(), Refusal> {
    let at = turn.now.mono;
    let share = (user.clone(), watcher.to_domain());
    let is_local = core.is_local(watcher);
    let own = core.executions_by_watcher.room(watcher, 1, at);
    let hers = core.executions_for_user.room(user, 1, at);
    let of_domain = match is_local {
        true => Ok(1),
        false => core.executions_for_user_by_domain.room(&share, 1, at),
    };
    let waits = [own.err(), hers.err(), of_domain.err()];
    if let Some(wait_s) = waits.into_iter().flatten().max() {
        return Err(Refusal::PolicyViolation(wait_s));
    }
    // A table without room is as good as an empty bucket.
    let taken = core.executions_by_watcher.take(watcher, at)
        && (is_local || core.executions_for_user_by_domain.take(&share, at))
        && core.executions_for_user.take(user, at);
    if taken {
        return Ok(());
    }
    Err(Refusal::PolicyViolation(
        core.executions_by_watcher.retry_after_s(),
    ))
}
