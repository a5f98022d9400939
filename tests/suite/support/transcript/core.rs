//! The wire of the pure core: inputs are calls, effects are a list, time is a number.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use vestibule::component::clock::{Chance, Now, Wall};
use vestibule::component::record::Change;
use vestibule::component::{Component, Effect, Event, Input, PartyEvent, Settings, Ticket};
use vestibule::stanza::{Arrival, Fault, Refused};

use super::clock::{BEGINNING, later};
use super::records::Records;
use super::script::{Commit, Loss};
use super::tree::{Tree, element};
use super::wire::{By, Wire};

/// Events that may follow each other without an input from outside: more than a real backlog needs.
const BUSY_MAX: usize = 100_000;

/// The core between a list of stanzas and a list of changes.
pub(crate) struct Core {
    settings: Settings,
    component: Component,
    now: Now,
    chance: Chance,
    attached: bool,
    sent: Vec<(By, Tree)>,
    /// The parties that are attached.
    parties: BTreeSet<String>,
    records: Records,
    /// Asked for, and neither committed nor failed yet.
    queue: VecDeque<Batch>,
    held: bool,
    /// How many held commits may go through.
    commits: VecDeque<Commit>,
    /// Exports that were asked for.
    exports: usize,
    faults: Vec<String>,
}

/// What the effects of one event were.
#[derive(Default)]
struct Done {
    persists: bool,
    revealing: Option<String>,
}

struct Batch {
    ticket: Ticket,
    changes: Vec<Change>,
    synced: bool,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let component = Component::new(settings.clone(), []);
        Self {
            settings,
            component,
            now: BEGINNING,
            chance: Chance::new([0x5a; 16]),
            attached: false,
            sent: Vec::new(),
            parties: BTreeSet::new(),
            records: Records::default(),
            queue: VecDeque::new(),
            held: false,
            commits: VecDeque::new(),
            exports: 0,
            faults: Vec::new(),
        }
    }

    /// Sets the wall clock, as an administrator or a time server does; the other clock goes on.
    pub(crate) fn set_wall(&mut self, wall: Wall) {
        self.now.wall = wall;
    }

    /// Hands over one event and carries out all that follows from it.
    fn handle(&mut self, event: Event) {
        self.one(event);
        for _ in 0..BUSY_MAX {
            if let Some(event) = self.committed() {
                self.one(event);
            } else if self.exports > 0 {
                self.exports -= 1;
                let why = "exports are not set up here".to_owned();
                self.one(Event::Exported(Err(why)));
            } else if let Some(stanza) = self.broadcast() {
                self.send(stanza);
                self.drain();
            } else if self.component.deadline(self.now) == Some(Duration::ZERO) {
                self.one(Event::Deadline);
            } else {
                return;
            }
        }
        self.faults.push("it is busy without end".to_owned());
    }

    fn one(&mut self, event: Event) {
        let received = matches!(
            event,
            Event::Received(_) | Event::Party(_, PartyEvent::Received(_))
        );
        let chance = self.draw();
        self.component.handle(Input { event, chance }, self.now);
        let done = self.drain();
        // What one stanza asks for is answered once it is durable, not with the same breath.
        if let (true, true, Some(stanza)) = (received, done.persists, done.revealing) {
            self.faults
                .push(format!("sent before what it tells is durable: {stanza}"));
        }
    }

    /// The server's first: of those that it would be sent, a party's are set apart.
    fn broadcast(&mut self) -> Option<Tree> {
        if self.attached {
            let chance = self.draw();
            if let Some(element) = self.component.poll_broadcast(chance, self.now) {
                return Some(Tree::from(&element.into()));
            }
        }
        let mut parties = self.parties.iter();
        let element = parties.find_map(|party| self.component.poll_partner(party, self.now))?;
        Some(Tree::from(&element.into()))
    }

    fn drain(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(effect) = self.component.poll_effect() {
            match effect {
                Effect::Persist { ticket, changes } => {
                    done.persists = true;
                    self.enqueue(ticket, changes, true);
                }
                Effect::Remember { ticket, changes } => self.enqueue(ticket, changes, false),
                Effect::Send(element) => {
                    let stanza = Tree::from(&element.into());
                    if !reveals_nothing(&stanza) {
                        done.revealing = Some(stanza.to_string());
                    }
                    self.send(stanza);
                }
                // As the driver answers where nothing is set up for it.
                Effect::Export => self.exports += 1,
                Effect::Report(_) | Effect::Web(_) => {}
            }
        }
        done
    }

    fn enqueue(&mut self, ticket: Ticket, changes: Vec<Change>, synced: bool) {
        self.queue.push_back(Batch {
            ticket,
            changes,
            synced,
        });
    }

    fn draw(&mut self) -> [u8; 16] {
        let bytes = self.chance.bytes();
        let mut drawn = [0; 16];
        drawn.copy_from_slice(&bytes[..16]);
        drawn
    }

    fn send(&mut self, stanza: Tree) {
        let to = stanza.attr("to").unwrap_or_default();
        let by = self.settings.domain.below_in(to).map(ToOwned::to_owned);
        let attached = match &by {
            None => self.attached,
            Some(party) => self.parties.contains(party),
        };
        if !attached {
            self.faults
                .push(format!("sent while not attached: {stanza}"));
        }
        if let Err(why) = super::seal::check(&stanza) {
            self.faults.push(format!("{why}: {stanza}"));
        }
        self.sent.push((by, stanza));
    }

    /// Ends the next commit that is not held, in the order in which they were asked for.
    fn committed(&mut self) -> Option<Event> {
        let next = self.queue.front()?;
        let commit = if next.synced && self.held {
            self.commits.pop_front()?
        } else {
            Commit::Done
        };
        let batch = self.queue.pop_front()?;
        match commit {
            Commit::Done => {
                let ticket = batch.ticket;
                self.records.apply(&batch.changes, batch.synced);
                Some(Event::Committed(ticket))
            }
            Commit::Failed => Some(Event::Failed(batch.ticket)),
        }
    }
}

impl Wire for Core {
    fn deliver(&mut self, by: &By, xml: &str) {
        match (element(xml), by) {
            (Ok(element), None) => self.handle(Event::Received(Arrival::of(element))),
            (Ok(element), Some(party)) => {
                let received = PartyEvent::Received(Arrival::of(element));
                self.handle(Event::Party(party.as_str().into(), received));
            }
            (Err(why), _) => self.faults.push(why),
        }
    }

    fn refuse(&mut self, fault: Fault, head: &str) {
        let head = element(head).ok();
        self.handle(Event::Received(Arrival::Refused(Refused { head, fault })));
    }

    fn sent(&mut self) -> Vec<(By, Tree)> {
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, at_most: Duration) -> Duration {
        let deadline = self.component.deadline(self.now);
        let passed = deadline.map_or(at_most, |deadline| deadline.min(at_most));
        later(&mut self.now, passed);
        if deadline == Some(passed) {
            self.handle(Event::Deadline);
        }
        passed
    }

    fn jump(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus_s(seconds);
        self.handle(Event::Deadline);
    }

    fn now(&self) -> Wall {
        self.now.wall
    }

    fn hold(&mut self, held: bool) {
        self.held = held;
        if let Some(event) = self.committed() {
            self.handle(event);
        }
    }

    fn settle(&mut self, commit: Commit) -> Result<(), String> {
        self.commits.push_back(commit);
        match self.committed() {
            Some(event) => {
                self.handle(event);
                Ok(())
            }
            None => Err("no commit is held".to_owned()),
        }
    }

    fn attach(&mut self, by: &By) {
        match by {
            None => {
                self.attached = true;
                self.handle(Event::Attached);
            }
            Some(party) => {
                self.parties.insert(party.clone());
                self.handle(Event::Party(party.as_str().into(), PartyEvent::Attached));
            }
        }
    }

    fn detach(&mut self, by: &By) {
        match by {
            None => {
                self.attached = false;
                self.handle(Event::Detached);
            }
            Some(party) => {
                self.parties.remove(party);
                self.handle(Event::Party(party.as_str().into(), PartyEvent::Detached));
            }
        }
    }

    /// What the driver does for those who are not admitted any more.
    fn closed(&mut self, party: &str) -> Result<(), String> {
        self.detach(&Some(party.to_owned()));
        Ok(())
    }

    fn reload(&mut self, settings: &Settings) {
        self.settings = settings.clone();
        self.handle(Event::Reload(Box::new(settings.clone())));
    }

    fn restart(&mut self, loss: Loss) {
        self.attached = false;
        self.parties.clear();
        self.sent.clear();
        self.queue.clear();
        self.commits.clear();
        let stored = self.records.reopen(loss);
        self.component = Component::new(self.settings.clone(), stored);
    }

    fn shutdown(&mut self) {
        self.handle(Event::Shutdown);
    }

    fn faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }
}

/// Questions tell nothing, and what takes something away may be told at once: it holds even if its
/// commit fails (design.md §3).
fn reveals_nothing(stanza: &Tree) -> bool {
    let kind = stanza.attr("type");
    match stanza.name.as_str() {
        "presence" => matches!(
            kind,
            Some("probe" | "unavailable" | "unsubscribed" | "unsubscribe")
        ),
        "iq" => kind == Some("get"),
        _ => false,
    }
}
