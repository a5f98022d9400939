//! Who has asked to see whom and has had no answer: for real users and for nobody alike.
//!
//! A probe of one who has asked is silence: `unsubscribed` would cancel his own request at his server
//! (RFC 6121 A.3.4). That silence must not tell whether the user exists, so it hangs on this memory alone
//! and never on a record; what is evicted, or lost at a restart, is lost for both.

use indexmap::IndexSet;

use super::limits::ASKERS_MAX;
use crate::address::Bare;

/// The last `ASKERS_MAX` of them: (presentity, watcher).
#[derive(Debug, Default)]
pub(super) struct Askers(IndexSet<(Bare, Bare)>);

impl Askers {
    /// He has asked.
    pub(super) fn note(&mut self, presentity: &Bare, watcher: &Bare) {
        let key = (presentity.clone(), watcher.clone());
        if !self.0.contains(&key) {
            // From the front one by one would move all that is behind: a few go at once.
            if self.0.len() >= ASKERS_MAX {
                self.0.drain(..ASKERS_MAX / 10);
            }
            self.0.insert(key);
        }
    }

    /// It is answered, or taken back; whether it was there.
    pub(super) fn forget(&mut self, presentity: &Bare, watcher: &Bare) -> bool {
        self.0.shift_remove(&(presentity.clone(), watcher.clone()))
    }

    /// Whether he has.
    pub(super) fn has(&self, presentity: &Bare, watcher: &Bare) -> bool {
        self.0.contains(&(presentity.clone(), watcher.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_and_keeps_the_latest() {
        let jid = |n: usize| Bare::parse(&format!("w{n}@remote.example")).unwrap();
        let presentity = Bare::parse(r"alice\40localhost@presence.localhost").unwrap();
        let mut askers = Askers::default();
        for n in 0..2 * ASKERS_MAX {
            askers.note(&presentity, &jid(n));
            assert!(askers.0.len() <= ASKERS_MAX && askers.has(&presentity, &jid(n)));
        }
        assert!(!askers.has(&presentity, &jid(0)));
        assert!(askers.forget(&presentity, &jid(2 * ASKERS_MAX - 1)));
        assert!(!askers.has(&presentity, &jid(2 * ASKERS_MAX - 1)));
    }
}
