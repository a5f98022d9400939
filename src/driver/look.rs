//! What the driver looks after between other things: exports that are due, the clock, the figures, the store's
//! alarm, an idle or stalled link.

use super::{Clock, Connection, Driver, Error, KEEPALIVE, STALL};
use crate::component::Event;
use crate::link;

impl<C: Clock> Driver<C> {
    /// Begins an export that is due, and looks after the clock and the figures.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        if self.exports.is_due(now) {
            // Where that cannot be, it is tried again.
            let _ = self.exports.begin(&self.committer, now);
        }
        if let Some(seconds) = self.watch.jumped(now) {
            self.metrics.clock_jumps.add(1);
            tracing::error!(
                "the clock has jumped by {seconds} s: what ends at a time of day ends by the new one"
            );
        }
        self.watch_stall()?;
        self.stay_alone()?;
        self.metrics.figures(self.core.figures());
        let alarm = self.metrics.store_alarm();
        if alarm != self.alarm {
            self.alarm.clone_from(&alarm);
            self.feed(Event::Alarm(alarm))?;
        }
        Ok(())
    }

    /// Keeps an idle link alive.
    pub(super) fn keep_alive(&mut self) {
        if let Connection::Attached(link) = &mut self.connection
            && link.last_sent().elapsed() >= KEEPALIVE
        {
            link.keepalive();
        }
    }

    /// Gives up a server that takes nothing of what waits for it.
    fn watch_stall(&mut self) -> Result<(), Error> {
        let Connection::Attached(link) = &self.connection else {
            return Ok(());
        };
        let now = self.clock.now().mono;
        // From when it was first seen: how long nothing was looked at before says nothing of the server.
        let (taken, since) = match self.taken {
            Some(before) if before.0 == link.taken() => before,
            _ => (link.taken(), now),
        };
        self.taken = (link.queued() > 0).then_some((taken, since));
        if self.taken.is_some() && now.saturating_sub(since) >= STALL {
            let stage = link::Stage::Stanzas;
            return self.lost(link::Error::Timeout { stage });
        }
        Ok(())
    }
}
