//! Commands that came over the web: found again by the name that their caller was told, and by the caller's own.
//!
//! In memory the last ten thousand are known for a day; over a restart those that are open, and those of the
//! users' histories.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;

use super::super::authorization::{Interface, Right};
use super::super::clock::{Now, Wall};
use super::super::limits::WEB_JOBS_MAX;
use super::super::names::KEPT_S;
use super::super::record::{Execution, ExecutionState};
use super::super::watcher::Watcher;
use super::super::{Component, Turn};
use super::{Answer, Problem, View, Who, asker, view};
use crate::address::Bare;

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits, or is being done.
    Open,
    /// It has ended so.
    Ended(ExecutionState),
}

/// A command, as its caller is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: String,
    /// Which command.
    pub right: Right,
    /// How far it has come.
    pub state: JobState,
    /// What there is to say about its end; words of a client, untrusted.
    pub text: Option<String>,
    /// What the caller sees of the user now; absent where that is nothing.
    pub view: Option<View>,
}

/// What is known of one.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) user: Bare,
    pub(super) watcher: Watcher,
    pub(super) right: Right,
    /// The caller's own name for it.
    pub(super) key: String,
    /// What was filled in, as a digest; `None` after a restart.
    pub(super) asked: Option<[u8; 32]>,
    pub(super) state: JobState,
    pub(super) text: Option<String>,
}

type Key = (Bare, Bare, String);

/// All of them.
#[derive(Debug, Default)]
pub(in super::super) struct Jobs {
    known: HashMap<String, Known>,
    by_key: HashMap<Key, String>,
    /// The oldest first.
    order: VecDeque<(Wall, String)>,
}

impl Known {
    fn key(&self) -> Key {
        let watcher = self.watcher.bare.clone();
        (self.user.clone(), watcher, self.key.clone())
    }
}

impl Jobs {
    pub(super) fn put(&mut self, id: String, known: Known, at: Wall) {
        self.by_key.insert(known.key(), id.clone());
        self.known.insert(id.clone(), known);
        self.order.push_back((at, id));
        while let Some((since, _)) = self.order.front() {
            if self.order.len() <= WEB_JOBS_MAX && at < since.plus_s(KEPT_S) {
                break;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.forget(&id);
            }
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        if let Some(known) = self.known.remove(id) {
            let key = known.key();
            if self.by_key.get(&key).is_some_and(|one| one == id) {
                self.by_key.remove(&key);
            }
        }
    }

    pub(super) fn named(&self, user: &Bare, watcher: &Bare, key: &str) -> Option<(&str, &Known)> {
        let key = (user.clone(), watcher.clone(), key.to_owned());
        let id = self.by_key.get(&key)?;
        Some((id, self.known.get(id)?))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Known> {
        self.known.get(id)
    }

    pub(super) fn end(&mut self, id: &str, state: ExecutionState, text: Option<String>) {
        if let Some(known) = self.known.get_mut(id) {
            (known.state, known.text) = (JobState::Ended(state), text);
        }
    }
}

/// A command as its caller is told of it.
pub(super) fn told(
    core: &Component,
    turn: &Turn,
    (id, known): (&str, &Known),
    watcher: &Watcher,
) -> Answer {
    Answer::Job(Box::new(Job {
        id: id.to_owned(),
        right: known.right,
        state: known.state,
        text: known.text.clone(),
        view: view::of(core, turn, &known.user, watcher),
    }))
}

/// Tells how far a command has come. That of a visitor is his who knows its name, which nobody can guess; that of
/// others is for themselves. Who may not see her any more is told nothing.
pub(super) fn look_up(core: &mut Component, turn: &Turn, call: u64, who: &Who, id: &str) {
    let none = Answer::Refused(Problem::NotFound);
    let Some(known) = core.jobs.get(id).cloned() else {
        return super::answered(core, call, none);
    };
    let watcher = match asker::is_visitor(&core.settings.domain, &known.watcher.bare) {
        true => known.watcher.clone(),
        false => match asker::identify(core, turn, who, Some(&known.user), true) {
            Ok(watcher) => watcher,
            Err(refusal) => return super::problem(core, call, &refusal),
        },
    };
    let answer = told(core, turn, (id, &known), &watcher);
    let is_seen = matches!(&answer, Answer::Job(job) if job.view.is_some());
    let is_his = watcher.bare == known.watcher.bare;
    let answer = if is_his && is_seen { answer } else { none };
    super::answered(core, call, answer);
}

/// Takes up what is stored.
pub(in super::super) fn resume(core: &mut Component, now: Now) {
    let since = now.wall.plus_s(-KEPT_S);
    let ours = core.settings.domain.clone();
    let of_web = |watcher: &Bare| ours.below(watcher).is_some();
    let mut found: Vec<(Wall, String, Known)> = Vec::new();
    for (user, known) in core.state.users() {
        for ((at, id), line) in known
            .history()
            .from(Bound::Included(&(since, String::new())))
        {
            if let Some(key) = line.request_id.clone().filter(|_| of_web(&line.watcher)) {
                let watcher = Watcher {
                    bare: line.watcher.clone(),
                    interface: Interface::Http,
                    token: None,
                };
                let job = Known {
                    user: user.clone(),
                    watcher,
                    right: line.right,
                    key,
                    asked: None,
                    state: super::state_of(line.state),
                    text: None,
                };
                found.push((*at, id.clone(), job));
            }
        }
    }
    for (id, open) in core.state.executions() {
        if open.interface == Interface::Http {
            found.push((open.issued, id.clone(), of_open(open)));
        }
    }
    found.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (at, id, known) in found {
        core.jobs.put(id, known, at);
    }
}

fn of_open(open: &Execution) -> Known {
    Known {
        user: open.user.clone(),
        watcher: Watcher::of(open),
        right: open.right,
        key: open.request_id.clone(),
        asked: None,
        state: JobState::Open,
        text: None,
    }
}
