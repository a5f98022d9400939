//! How commands end: the answer or the late report, what waits for time to pass, and what is found in
//! the state file after a restart.

use std::time::Duration;

use minidom::Element;

use super::super::journal::{Entry, Record, Step};
use super::super::reports::{REPORT_LIFE, REPORTS_MAX};
use super::super::request::Task;
use super::super::text::shown;
use super::super::work::{Key, RESULT_MAX, Work, completed, executing, log, outcome, reply};
use super::{Agent, Decision, First, IMPATIENCE, KEPT, Kept, OPEN_MAX, Ticket};
use crate::component::clock::{Chance, Now, Wall};
use crate::component::record::ExecutionState;

/// How long after a direct answer it may still have been lost: the component waits 30 s for it.
const DOUBT: Duration = Duration::from_secs(60);
/// What was answered so shortly before the agent was stopped may have been lost with it, in seconds.
const JUST_S: i64 = 2;
/// What is said of a program that was running when the agent was stopped.
const LOST: &str = "the agent was stopped meanwhile; it is not known whether it was done";
/// What is said of a question that was open then.
const UNASKED: &str = "the agent was stopped before the user answered";

/// A command that has ended with a direct answer, which may be lost with the stream.
#[derive(Debug)]
pub(super) struct Recent {
    until: Duration,
    key: Key,
    at: Wall,
    state: ExecutionState,
    text: String,
}

impl Agent {
    pub(super) fn end(
        &mut self,
        now: Now,
        chance: &mut Chance,
        ticket: Ticket,
        state: ExecutionState,
        text: &str,
    ) -> Vec<Decision> {
        let Some(work) = self.works.shift_remove(&ticket) else {
            return Vec::new();
        };
        let text = shown(text, RESULT_MAX);
        let key = work.key;
        let mut out = vec![log(&key, &format!("{}: {text}", state.as_str()))];
        let step = Step::Ended(state, text.clone());
        out.push(Decision::Keep(record(now.wall, &key, step)));
        // The ten minutes of a name begin anew, so that a repeat cannot begin after a long question.
        if let Some(kept) = self.kept.get_mut(&key) {
            kept.until = now.mono + KEPT;
            if let First::Awaited(waiting) = &mut kept.first {
                let waiting = std::mem::take(waiting);
                let done = completed(key.task, &work.sessionid, state, text.clone());
                let answers = waiting.iter();
                out.extend(answers.map(|header| reply(header, Ok(Some(done.clone())))));
                kept.first = First::Given(Ok(done));
            }
        }
        if work.answered {
            let end = now.mono + REPORT_LIFE;
            self.report(now, end, key, now.wall, (state, text), &mut out);
            out.extend(self.due(now, chance));
        } else {
            self.recent.retain(|recent| now.mono < recent.until);
            if self.recent.len() < REPORTS_MAX {
                self.recent.push(Recent {
                    until: now.mono + DOUBT,
                    key,
                    at: now.wall,
                    state,
                    text,
                });
            }
        }
        out
    }

    fn report(
        &mut self,
        now: Now,
        end: Duration,
        key: Key,
        at: Wall,
        (state, text): (ExecutionState, String),
        out: &mut Vec<Decision>,
    ) {
        let Some(payload) = outcome(&key, at, state, text) else {
            return;
        };
        if let Some(dropped) = self.reports.add(now.mono, end, key, payload) {
            out.extend(given_up(now, &dropped));
        }
    }

    /// Takes the component's answer to a report.
    pub(super) fn acknowledged(&mut self, now: Now, id: &str, iq: &Element) -> Vec<Decision> {
        let taken = self.reports.answered(now.mono, id, iq);
        taken.map_or_else(Vec::new, |key| {
            vec![Decision::Keep(record(now.wall, &key, Step::Told))]
        })
    }

    /// A stream is there, with this full JID; what is on its way goes out again. So does what ended
    /// shortly before the last stream was lost: its answer may have been lost with it.
    pub fn online(&mut self, now: Now, chance: &mut Chance, address: &str) -> Vec<Decision> {
        self.own_address = Some(address.to_owned());
        let mut out = Vec::new();
        for recent in std::mem::take(&mut self.recent) {
            if now.mono < recent.until {
                let end = (recent.state, recent.text);
                self.report(now, now.mono + DOUBT, recent.key, recent.at, end, &mut out);
            }
        }
        self.reports.online(now.mono);
        out.extend(self.due(now, chance));
        out
    }

    /// The stream is gone. What would have been an answer on it becomes a report.
    pub fn offline(&mut self, now: Now) -> Vec<Decision> {
        self.reports.offline();
        let began = |work: &Work| work.began.is_some();
        self.executing(now, began)
            .into_iter()
            .filter(|decision| !matches!(decision, Decision::Send(_)))
            .collect()
    }

    /// Answers `executing` to what is being run and not answered, as far as it is meant.
    fn executing(&mut self, now: Now, meant: impl Fn(&Work) -> bool) -> Vec<Decision> {
        let mut out = Vec::new();
        for work in self.works.values_mut() {
            if work.answered || work.key.task == Task::Outcome || !meant(work) {
                continue;
            }
            work.answered = true;
            out.push(Decision::Keep(record(now.wall, &work.key, Step::Answered)));
            let given = executing(work.key.task, &work.sessionid);
            if let Some(kept) = self.kept.get_mut(&work.key)
                && let First::Awaited(waiting) = &kept.first
            {
                let answers = waiting.iter();
                out.extend(answers.map(|header| reply(header, Ok(Some(given.clone())))));
                kept.first = First::Given(Ok(given));
            }
        }
        out
    }

    /// When [`Self::due`] has something to do; `None` while it has not.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let open = |work: &&Work| !work.answered && work.key.task != Task::Outcome;
        let impatient = self.works.values().filter(open);
        let impatient = impatient.filter_map(|work| Some(work.began? + IMPATIENCE));
        impatient.chain(self.reports.deadline()).min()
    }

    /// Does what it is time for: `executing` for what runs long, reports that were not taken.
    pub fn due(&mut self, now: Now, chance: &mut Chance) -> Vec<Decision> {
        let long = |work: &Work| {
            work.began
                .is_some_and(|began| began + IMPATIENCE <= now.mono)
        };
        let mut out = self.executing(now, long);
        let to = self.settings.component.as_str();
        let (stanzas, old) = self.reports.due(now.mono, chance, to);
        out.extend(old.iter().flat_map(|key| given_up(now, key)));
        out.extend(stanzas.into_iter().map(Decision::Send));
        out
    }

    /// Takes what the state file holds, before anything else: names go on being kept, and what was
    /// open ends without being run again.
    pub fn restore(&mut self, now: Now, entries: Vec<(Key, Entry)>) -> Vec<Decision> {
        let mut out = Vec::new();
        let newest = entries.iter().map(|(_, entry)| entry.at).max();
        let doubtful = |entry: &Entry| {
            let direct = !entry.answered && entry.ended.is_some() && !entry.told;
            direct && newest.is_some_and(|newest| newest <= entry.at.plus_s(JUST_S))
        };
        let doubted = entries.iter().filter(|(_, entry)| doubtful(entry)).count();
        let mut settled = doubted.saturating_sub(OPEN_MAX);
        for (key, entry) in entries {
            let left = left_of(KEPT, now.wall, entry.at);
            let (state, text) = entry.ended.clone().unwrap_or_else(|| {
                let (state, text) = if entry.begun {
                    (ExecutionState::Failed, LOST)
                } else {
                    (ExecutionState::Refused, UNASKED)
                };
                out.push(log(&key, &format!("{}: {text}", state.as_str())));
                let step = Step::Ended(state, text.to_owned());
                out.push(Decision::Keep(record(now.wall, &key, step)));
                (state, text.to_owned())
            });
            let first = if entry.answered {
                executing(key.task, &entry.sessionid)
            } else {
                completed(key.task, &entry.sessionid, state, text.clone())
            };
            if !left.is_zero() || entry.ended.is_none() {
                let left = if entry.ended.is_none() { KEPT } else { left };
                let kept = Kept {
                    until: now.mono + left,
                    first: First::Given(Ok(first)),
                };
                self.kept.insert(key.clone(), kept);
            }
            // Of what was answered directly, the last may have been lost with the agent.
            let direct = !entry.answered && entry.ended.is_some();
            if direct && (!doubtful(&entry) || settled > 0) {
                settled = settled.saturating_sub(usize::from(doubtful(&entry)));
                continue;
            }
            let life = if direct { DOUBT } else { REPORT_LIFE };
            let at = if entry.ended.is_some() {
                entry.at
            } else {
                now.wall
            };
            let left = left_of(life, now.wall, at);
            if !entry.told && !left.is_zero() {
                self.report(now, now.mono + left, key, at, (state, text), &mut out);
            }
        }
        out
    }
}

/// What is left of a span that began at a point of wall-clock time; the clock may have been set.
fn left_of(span: Duration, now: Wall, began: Wall) -> Duration {
    let passed = now.0.saturating_sub(began.0).max(0);
    span.saturating_sub(Duration::from_millis(passed.unsigned_abs()))
}

fn record(at: Wall, key: &Key, step: Step) -> Record {
    let key = key.clone();
    Record { at, key, step }
}

fn given_up(now: Now, key: &Key) -> [Decision; 2] {
    [
        log(key, "its report was not taken and is given up"),
        Decision::Keep(record(now.wall, key, Step::Told)),
    ]
}
