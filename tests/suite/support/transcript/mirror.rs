//! A wire that sends exactly what is expected, or nearly: it shows that a transcript can pass, and
//! that it fails when one stanza is missing or one too many comes.

use std::time::Duration;

use vestibule::component::Settings;
use vestibule::component::clock::{Now, Wall};
use vestibule::stanza::Fault;

use super::clock::{BEGINNING, later};
use super::compare;
use super::pattern::Captures;
use super::script::{Commit, Expected, Loss};
use super::tree::Tree;
use super::wire::{By, Wire};

/// What the mirror does wrong, at which of the expected stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Missing(usize),
    Twice(usize),
    Changed(usize),
}

/// The mirror.
pub(crate) struct Mirror {
    flaw: Flaw,
    sent: Vec<(By, Tree)>,
    /// How many stanzas were expected so far.
    pub(crate) n_expected: usize,
    now: Now,
}

impl Mirror {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            sent: Vec::new(),
            n_expected: 0,
            now: BEGINNING,
        }
    }
}

impl Wire for Mirror {
    fn hint(&mut self, expected: &Expected, captures: &Captures) {
        let mut stanza = compare::instance(&expected.tree, captures);
        let at = self.n_expected;
        self.n_expected += 1;
        if self.flaw == Flaw::Missing(at) {
            return;
        }
        let by = expected.by.clone();
        if self.flaw == Flaw::Twice(at) {
            self.sent.push((by.clone(), stanza.clone()));
        }
        if self.flaw == Flaw::Changed(at) {
            for name in ["from", "to"] {
                let stranger = "mallory@localhost".to_owned();
                stanza.attrs.insert(name.to_owned(), stranger);
            }
        }
        self.sent.push((by, stanza));
    }

    fn deliver(&mut self, _: &By, _: &str) {}

    fn refuse(&mut self, _: Fault, _: &str) {}

    fn sent(&mut self) -> Vec<(By, Tree)> {
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, at_most: Duration) -> Duration {
        later(&mut self.now, at_most);
        at_most
    }

    fn jump(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus_s(seconds);
    }

    fn now(&self) -> Wall {
        self.now.wall
    }

    fn hold(&mut self, _: bool) {}

    fn settle(&mut self, _: Commit) -> Result<(), String> {
        Ok(())
    }

    fn attach(&mut self, _: &By) {}

    fn detach(&mut self, _: &By) {}

    fn closed(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn reload(&mut self, _: &Settings) {}

    fn restart(&mut self, _: Loss) {}

    fn shutdown(&mut self) {}

    fn faults(&mut self) -> Vec<String> {
        Vec::new()
    }
}
