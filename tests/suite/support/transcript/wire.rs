//! What a transcript is played on: the pure core, or the whole component over TCP.

use std::time::Duration;

use vestibule::component::Settings;
use vestibule::component::clock::Wall;
use vestibule::stanza::Fault;

use super::pattern::Captures;
use super::script::{Commit, Expected, Loss};
use super::tree::Tree;

/// A stream of the component: that of the party with this name, or without one that of the server.
pub(crate) type By = Option<String>;

/// The component, seen from its server and its store.
pub(crate) trait Wire {
    /// The server, or a party on its own link, delivers a stanza, written without the namespace of the
    /// stream.
    fn deliver(&mut self, by: &By, xml: &str);

    /// The server delivers an element with this start tag and this fault.
    fn refuse(&mut self, fault: Fault, head: &str);

    /// All that has been sent since the last call, and on which stream, once the component has nothing more
    /// to do.
    fn sent(&mut self) -> Vec<(By, Tree)>;

    /// Lets time pass, at most so much that nothing due is left out; says how much.
    fn pass(&mut self, at_most: Duration) -> Duration;

    /// The wall clock is set so many seconds forward, and the component comes to see it.
    fn jump(&mut self, seconds: i64);

    /// The wall clock of the component.
    fn now(&self) -> Wall;

    /// Commits from now on wait for [`Self::settle`] (or no longer do).
    fn hold(&mut self, held: bool);

    /// Ends the oldest held commit; an error where none is held.
    fn settle(&mut self, commit: Commit) -> Result<(), String>;

    /// The link to the server comes up, or a party attaches.
    fn attach(&mut self, by: &By);

    /// It goes down.
    fn detach(&mut self, by: &By);

    /// The component has closed the link of a party, or is about to.
    fn closed(&mut self, party: &str) -> Result<(), String>;

    /// The operator decides anew.
    fn reload(&mut self, settings: &Settings);

    /// The process dies; a new one starts from the store.
    fn restart(&mut self, loss: Loss);

    /// The process is asked to end.
    fn shutdown(&mut self);

    /// Rules broken that hold in every transcript.
    fn faults(&mut self) -> Vec<String>;

    /// Waits for more to be sent than there is; whether something was.
    fn wait(&mut self) -> bool {
        false
    }

    /// What is expected next. Only a wire that plays the component itself wants to know.
    fn hint(&mut self, expected: &Expected, captures: &Captures) {
        let _ = (expected, captures);
    }
}
