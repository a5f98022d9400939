//! Names that watchers gave their requests: one that has been used means a request that is over, for a day, so
//! that a copy of it does nothing. security.md T43.
//!
//! In memory the last hundred thousand are known; over a restart those of open commands and of the users'
//! histories.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;

use super::Component;
use super::clock::Wall;
use super::limits::NAMES_MAX;
use crate::address::Bare;

/// How long a name is kept, in seconds.
pub(super) const KEPT_S: i64 = 24 * 3600;

type Key = (Bare, Bare, String);

/// Names by user and watcher.
#[derive(Debug, Default)]
pub(super) struct Names {
    used: HashMap<Key, Wall>,
    /// The oldest first.
    order: VecDeque<(Wall, Key)>,
}

impl Names {
    /// Whether a watcher has used a name for a user lately.
    pub(super) fn is_used(&self, user: &Bare, watcher: &Bare, name: &str, now: Wall) -> bool {
        let key = (user.clone(), watcher.clone(), name.to_owned());
        self.used
            .get(&key)
            .is_some_and(|at| now < at.plus_s(KEPT_S))
    }

    /// It has used it.
    pub(super) fn note(&mut self, user: &Bare, watcher: &Bare, name: &str, at: Wall) {
        let key = (user.clone(), watcher.clone(), name.to_owned());
        self.used.insert(key.clone(), at);
        self.order.push_back((at, key));
        while let Some((since, _)) = self.order.front() {
            if self.order.len() <= NAMES_MAX && at < since.plus_s(KEPT_S) {
                break;
            }
            if let Some((since, key)) = self.order.pop_front()
                && self.used.get(&key) == Some(&since)
            {
                self.used.remove(&key);
            }
        }
    }
}

/// Takes up the names that are stored.
pub(super) fn resume(core: &mut Component, now: Wall) {
    let since = now.plus_s(-KEPT_S);
    let mut used: Vec<(Wall, Key)> = Vec::new();
    for (user, known) in core.state.users() {
        let lately = known
            .history()
            .from(Bound::Included(&(since, String::new())));
        used.extend(lately.filter_map(|((at, _), line)| {
            let name = line.request_id.clone()?;
            Some((*at, (user.clone(), line.watcher.clone(), name)))
        }));
    }
    for (_, open) in core.state.executions() {
        let key = (
            open.user.clone(),
            open.watcher.bare.clone(),
            open.request_id.clone(),
        );
        used.push((open.issued, key));
    }
    used.sort_unstable();
    for (at, (user, watcher, name)) in used {
        core.names.note(&user, &watcher, &name, at);
    }
}
