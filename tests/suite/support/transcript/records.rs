//! A store in memory: what is on the disk, and what would not survive a crash.

use std::collections::BTreeMap;

use vestibule::component::record::Change;

use super::script::Loss;

/// What a component has written.
#[derive(Debug, Default)]
pub(crate) struct Records {
    synced: BTreeMap<String, Change>,
    behind: Vec<Change>,
}

impl Records {
    /// Writes changes; with `synced` all that was written behind before becomes durable too.
    pub(crate) fn apply(&mut self, changes: &[Change], synced: bool) {
        self.behind.extend_from_slice(changes);
        if synced {
            self.sync();
        }
    }

    /// What a new process finds, as the changes that would put it.
    pub(crate) fn reopen(&mut self, loss: Loss) -> Vec<Change> {
        match loss {
            Loss::None => self.sync(),
            Loss::Behind => self.behind.clear(),
        }
        self.synced.values().cloned().collect()
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.behind) {
            let (key, put) = key(&change);
            if put {
                self.synced.insert(key, change);
            } else {
                self.synced.remove(&key);
            }
        }
    }
}

/// The record that a change is about, and whether it is put or deleted.
fn key(change: &Change) -> (String, bool) {
    match change {
        Change::Profile { user, value } => (format!("profile {user}"), value.is_some()),
        Change::Status { user, value } => (format!("status {user}"), value.is_some()),
        Change::Face { user, value } => (format!("face {user}"), value.is_some()),
        Change::OperatorBlock { watcher, value } => {
            (format!("operator-block {watcher}"), value.is_some())
        }
        Change::Execution { id, value } => (format!("execution {id}"), value.is_some()),
        Change::Grant {
            user,
            watcher,
            value,
        } => (format!("grant {user} {watcher}"), value.is_some()),
        Change::Subscription {
            user,
            watcher,
            value,
        } => (format!("subscription {user} {watcher}"), value.is_some()),
        Change::Token { user, id, value } => (format!("token {user} {id}"), value.is_some()),
        Change::Block {
            user,
            watcher,
            value,
        } => (format!("block {user} {watcher}"), value.is_some()),
        Change::Audit {
            user,
            at,
            id,
            value,
        } => (format!("audit {user} {} {id}", at.0), value.is_some()),
    }
}
