//! Whose face may have changed since the last look, for those who follow it live; nothing is noted where
//! nobody looks.

use std::collections::BTreeSet;

use crate::address::Bare;

/// Users who were changed.
#[derive(Debug, Default)]
pub(in super::super) struct Touched {
    is_watched: bool,
    all: bool,
    users: BTreeSet<Bare>,
}

impl Touched {
    /// From here on it is noted.
    pub(in super::super) fn watch(&mut self) {
        self.is_watched = true;
    }

    pub(super) fn note(&mut self, user: &Bare) {
        if self.is_watched && !self.all {
            self.users.insert(user.clone());
        }
    }

    pub(super) fn note_all(&mut self) {
        self.all = self.is_watched;
        self.users.clear();
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        !self.all && self.users.is_empty()
    }

    /// Whether all, and else whom; each is told once.
    pub(in super::super) fn take(&mut self) -> (bool, BTreeSet<Bare>) {
        (
            std::mem::take(&mut self.all),
            std::mem::take(&mut self.users),
        )
    }
}
