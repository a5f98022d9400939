//! When an export of everybody is made: on a schedule, and when an administrator asks; one at a time.

use std::future;
use std::time::Duration;

use tokio::sync::oneshot::Receiver;

use crate::component::clock::Now;
use crate::store::committer::Committer;
use crate::store::export::{self, Exported, Failure, Place};

/// After this an export that has failed is tried again, where the schedule does not come sooner.
const AGAIN: Duration = Duration::from_secs(600);

/// Where exports go, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Where to.
    pub place: Place,
    /// How often; `None`: when an administrator asks.
    pub every: Option<Duration>,
}

/// The export under way and the next one.
#[derive(Debug)]
pub(super) struct Exports {
    schedule: Option<Schedule>,
    /// When the next is due, on the clock that does not jump.
    due: Option<Duration>,
    running: Option<Receiver<Result<Exported, Failure>>>,
}

impl Exports {
    pub(super) fn new(schedule: Option<Schedule>, now: Now) -> Self {
        let due = schedule.as_ref().and_then(|schedule| {
            let every = schedule.every?;
            let age = export::newest(&schedule.place.directory).map_or(every, |made| {
                let age = Duration::from_millis(now.wall.0.abs_diff(made.0));
                match made <= now.wall {
                    true => age,
                    // A little ahead it may be one of several in a second. From farther in the future
                    // it says nothing: the clock has been set back.
                    false if age < every => Duration::ZERO,
                    false => every,
                }
            });
            Some(now.mono + every.saturating_sub(age))
        });
        Self {
            schedule,
            due,
            running: None,
        }
    }

    /// Begins one; the error says why that is impossible. One under way is the answer to this, too.
    pub(super) fn begin(&mut self, committer: &Committer, now: Now) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let Some(schedule) = &self.schedule else {
            return Err("exports are not set up here".to_owned());
        };
        self.running = committer.export(schedule.place.clone(), now.wall);
        if self.running.is_none() {
            self.settle(false, now);
            return Err("the store is busy or closed".to_owned());
        }
        Ok(())
    }

    /// The next one, after one that has ended.
    pub(super) fn settle(&mut self, made: bool, now: Now) {
        self.running = None;
        let every = self.schedule.as_ref().and_then(|schedule| schedule.every);
        self.due = every.map(|every| now.mono + if made { every } else { every.min(AGAIN) });
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.running.is_none() && self.due.is_some_and(|due| due <= now.mono)
    }

    /// How long until the next is due.
    pub(super) fn deadline(&self, now: Now) -> Option<Duration> {
        let due = self.due.filter(|_| self.running.is_none())?;
        Some(due.saturating_sub(now.mono))
    }

    /// How the one under way ends; never, where there is none. Cancel safe.
    pub(super) async fn ended(&mut self) -> Result<Exported, Failure> {
        match &mut self.running {
            Some(running) => running.await.unwrap_or(Err(Failure::Closed)),
            None => future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::component::clock::Wall;

    #[test]
    fn the_next_is_due_by_the_age_of_the_newest_whatever_the_clock_did() {
        let folder = tempfile::tempdir().unwrap();
        let now = Now {
            mono: Duration::from_secs(10),
            wall: Wall::parse("2026-11-23T13:00:00Z").unwrap(),
        };
        let hour = Duration::from_secs(3600);
        let due_in = || {
            let schedule = Schedule {
                place: Place {
                    directory: folder.path().to_owned(),
                    keep: 7,
                    min_free: 0,
                },
                every: Some(24 * hour),
            };
            Exports::new(Some(schedule), now).deadline(now).unwrap()
        };
        assert_eq!(due_in(), Duration::ZERO, "the first");
        for (name, due) in [
            ("20261121T130000Z", Duration::ZERO),
            ("20261123T120000Z", 23 * hour),
            ("20261123T130002Z", 24 * hour),
            ("20261124T125959Z", 24 * hour),
            ("20271123T130000Z", Duration::ZERO),
        ] {
            let file = folder.path().join(format!("vestibule-{name}.jsonl"));
            fs::write(&file, "").unwrap();
            assert_eq!(due_in(), due, "{name}");
            fs::remove_file(file).unwrap();
        }
    }
}
