//! Whether ours stays the only stream of its name, and whether the server still brings anything.
//!
//! Once a minute the component says through the server, to itself, which stream it is. Another stream of the name
//! hears some of that, and one of the two goes; and a server that brings nothing at all any more, not even
//! this, hangs, though its machine acknowledges every byte.

use std::time::Duration;

use super::{Clock, Connection, Driver, Error};
use crate::link::{ANNOUNCED, Error as LinkError, Heard, Instance, Stage};
use crate::stanza::Arrival;

/// How often it is said; the keepalive of a stream, too.
const EVERY: Duration = Duration::from_secs(60);

/// Announcements after which nothing came, until the server counts as hanging.
const SILENT_MAX: u32 = 2;

/// Another stream is told that it has to go, so often at most.
const TELL_AGAIN: Duration = Duration::from_millis(500);

/// The stream under way, among others of its name.
#[derive(Debug)]
pub(super) struct Alone {
    instance: Instance,
    /// When it is announced next.
    due: Duration,
    /// Whether the server brings our own messages back.
    comes_back: bool,
    /// Announcements since anything has come.
    silent: u32,
    /// The last other stream that is named in the log, and when it was told to go.
    told: Option<(String, Duration)>,
}

impl Alone {
    /// A stream that has been proved the only one; `missing` messages of the proof did not come back.
    pub(super) fn new(instance: Instance, missing: usize, now: Duration) -> Self {
        match missing {
            0 => {}
            ANNOUNCED => tracing::info!(
                "the server does not bring back what the component sends to itself: another component of \
                 this name would not be noticed"
            ),
            _ => tracing::warn!(
                "{missing} of {ANNOUNCED} messages of the component to itself did not come back: somebody else, \
                 or a connection that has broken, has attached with its name and gets a part of what is for it"
            ),
        }
        Self {
            instance,
            due: now + EVERY,
            comes_back: missing < ANNOUNCED,
            silent: 0,
            told: None,
        }
    }

    /// How long until something is to be said.
    pub(super) fn deadline(&self, now: Duration) -> Duration {
        self.due.saturating_sub(now)
    }
}

impl<C: Clock> Driver<C> {
    /// Takes what is about streams of our name; whether it was that.
    pub(super) fn hear(&mut self, arrival: &Arrival) -> Result<bool, Error> {
        let Some(alone) = &mut self.alone else {
            return Ok(false);
        };
        alone.silent = 0;
        let Some(heard) = alone.instance.hear(arrival, &self.settings.domain) else {
            return Ok(false);
        };
        match heard {
            Heard::Own => alone.comes_back = true,
            Heard::Older => self.lost(LinkError::Second)?,
            Heard::Younger(id) => {
                let now = self.clock.now().mono;
                let before = alone.told.replace((id.clone(), now));
                let known = before.filter(|(before, _)| *before == id);
                if known.is_none() {
                    tracing::warn!(
                        "another component has attached with this one's name, and is told to go: run one alone"
                    );
                }
                match known {
                    Some((id, then)) if now < then + TELL_AGAIN => alone.told = Some((id, then)),
                    _ => self.announce(ANNOUNCED),
                }
            }
        }
        Ok(true)
    }

    /// Announces the stream when that is due; gives up a server that has gone silent.
    pub(super) fn stay_alone(&mut self) -> Result<(), Error> {
        let now = self.clock.now().mono;
        let (Some(alone), Connection::Attached(link)) = (&mut self.alone, &self.connection) else {
            return Ok(());
        };
        if alone.due > now {
            return Ok(());
        }
        if alone.comes_back && alone.silent >= SILENT_MAX {
            let stage = Stage::Stanzas;
            return self.lost(LinkError::Timeout { stage });
        }
        alone.due = now + EVERY;
        // Where something waits already, the server is one that does not read, which is looked after elsewhere.
        if link.queued() == 0 {
            alone.silent += 1;
            self.announce(1);
        }
        Ok(())
    }

    fn announce(&mut self, times: usize) {
        if let (Some(alone), Connection::Attached(link)) = (&self.alone, &mut self.connection) {
            for _ in 0..times {
                alone.instance.announce(link);
            }
        }
    }
}
