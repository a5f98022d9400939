//! What the driver does for partners: it feeds the core what they send and do, and draws their broadcasts.

use std::collections::BTreeMap;

use super::partners::Move;
use super::{BROADCASTS_PER_TURN, Clock, Driver, Error, Reload};
use crate::component::{Event, PartyEvent};

impl<C: Clock> Driver<C> {
    /// The same for partners: some arrivals of each in turn, then some broadcasts.
    pub(super) fn pump_partners(&mut self) -> Result<bool, Error> {
        let mut turns = BTreeMap::new();
        let mut busy = false;
        let now = self.clock.now().mono;
        while let Some(next) = self.partners.next_arrival(&mut turns, now) {
            busy = true;
            match next {
                Ok((name, arrival)) => {
                    self.feed(Event::Party(name, PartyEvent::Received(arrival)))?;
                }
                Err(turn) => self.partner_moved(turn)?,
            }
        }
        for name in self.partners.with_room() {
            for _ in 0..BROADCASTS_PER_TURN {
                if !self.partners.has_room(&name) {
                    break;
                }
                let Some(stanza) = self.core.poll_partner(&name, self.clock.now()) else {
                    break;
                };
                busy = true;
                self.partners.send(&name, &stanza);
            }
        }
        Ok(busy)
    }

    pub(super) fn partner_moved(&mut self, turn: Move) -> Result<(), Error> {
        match turn {
            Move::Moved => Ok(()),
            Move::Gone(name) => self.feed(Event::Party(name, PartyEvent::Detached)),
            Move::Attached { name, replaces } => {
                if replaces {
                    self.feed(Event::Party(name.clone(), PartyEvent::Detached))?;
                }
                self.feed(Event::Party(name, PartyEvent::Attached))
            }
        }
    }

    pub(super) fn watch_partners(&mut self) -> Result<(), Error> {
        let now = self.clock.now().mono;
        let turns = self.partners.watch(now);
        turns
            .into_iter()
            .try_for_each(|turn| self.partner_moved(turn))
    }

    /// Takes up a changed configuration: the rights first, then who may be here.
    pub(super) fn reload(&mut self, reload: Reload) -> Result<(), Error> {
        self.feed(Event::Reload(Box::new(reload.settings)))?;
        let turns = self.partners.reload(reload.rate);
        turns
            .into_iter()
            .try_for_each(|turn| self.partner_moved(turn))
    }
}
