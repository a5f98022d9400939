//! Both ends of a subscription under random orders of what watchers and she do, with a disk that is slow
//! and sometimes full: nobody is left with presence that he should not have. RFC 6121 §3, Appendix A.

use std::collections::VecDeque;
use std::time::Duration;

use minidom::Element;
use vestibule::component::clock::{Now, Wall};
use vestibule::component::{Component, Effect, Event, Input, Ticket};
use vestibule::stanza::Arrival;

use crate::support::stanza;
use crate::support::transcript::settings;

const SEEDS: u64 = 200;
/// Each round ends with a look at all.
const ROUNDS: usize = 10;
const STEPS: usize = 12;
const WATCHERS: [&str; 3] = ["w0@a.example", "w1@a.example", "w2@b.example"];
const ALICE: &str = r"alice\40localhost@presence.localhost";

#[test]
fn no_watcher_keeps_what_was_taken_from_it() {
    let mut n_shown = 0;
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..ROUNDS {
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            n_shown += world.check(seed);
        }
    }
    // Enough of them had something to lose.
    let n = SEEDS as usize * ROUNDS * WATCHERS.len();
    assert!(n_shown > n / 8 && n_shown < n * 7 / 8, "{n_shown} of {n}");
}

/// A watcher's account at its own server (RFC 6121 A.2, A.3): it asks, it is subscribed; and the last that
/// its client has been told.
#[derive(Debug, Default)]
struct Account {
    asks: bool,
    subscribed: bool,
    shown: Option<String>,
}

struct World {
    core: Component,
    at: Duration,
    random: u64,
    disk: VecDeque<Ticket>,
    accounts: [Account; 3],
    shows: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            core: Component::new(settings::default(), []),
            at: Duration::ZERO,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            disk: VecDeque::new(),
            accounts: Default::default(),
            shows: 0,
        };
        world.tell(Event::Attached);
        world
            .receive("<presence type='subscribe' from='alice@localhost' to='presence.localhost'/>");
        world.settle();
        world.receive(
            "<presence type='subscribed' from='alice@localhost' to='presence.localhost'/>",
        );
        world.receive("<presence from='alice@localhost/desk' to='presence.localhost'/>");
        world.settle();
        world
    }

    /// A number below `n`.
    fn roll(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % n as u64) as usize
    }

    fn step(&mut self) {
        let n = self.roll(3);
        let who = WATCHERS[n];
        match self.roll(24) {
            0..=4 => {
                self.accounts[n].asks |= !self.accounts[n].subscribed;
                self.receive(&format!(
                    "<presence type='subscribe' from='{who}' to='{ALICE}'/>"
                ));
            }
            5 => {
                self.accounts[n].asks = false;
                self.accounts[n].subscribed = false;
                self.receive(&format!(
                    "<presence type='unsubscribe' from='{who}' to='{ALICE}'/>"
                ));
            }
            6..=8 => self.says(&format!("approve {who}")),
            9 => self.says("approve 1-99"),
            10 => self.says(&format!("deny {who}")),
            11 => self.says(["deny all", "deny a.example", "block a.example"][n]),
            12 => self.says(&format!("block {who}")),
            13..=15 => self.says(&format!("unblock {who} a.example")),
            16 => self.says(&format!("revoke {who}")),
            17 | 18 => {
                self.shows += 1;
                let show = ["away", "dnd", "xa"][self.shows % 3];
                self.receive(&format!(
                    "<presence from='alice@localhost/desk' to='presence.localhost'>\
                     <show>{show}</show></presence>"
                ));
            }
            19..=22 => self.write(),
            _ => self.pass(Duration::from_secs(3)),
        }
    }

    fn says(&mut self, words: &str) {
        self.receive(&format!(
            "<message type='chat' from='alice@localhost/desk' to='presence.localhost'>\
             <body>{words}</body></message>"
        ));
    }

    /// The oldest batch is written, or one in eight times cannot be.
    fn write(&mut self) {
        if let Some(ticket) = self.disk.pop_front() {
            let full = self.roll(8) == 0;
            self.tell(if full {
                Event::Failed(ticket)
            } else {
                Event::Committed(ticket)
            });
        }
    }

    fn settle(&mut self) {
        while let Some(ticket) = self.disk.pop_front() {
            self.tell(Event::Committed(ticket));
        }
        self.pass(Duration::from_secs(10));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.at + time;
        while let Some(left) = self.core.deadline(self.now()) {
            if self.at + left > end {
                break;
            }
            self.at += left;
            self.tell(Event::Deadline);
        }
        self.at = end;
        self.tell(Event::Deadline);
    }

    fn receive(&mut self, text: &str) {
        self.tell(Event::Received(Arrival::Stanza(stanza(text))));
    }

    fn now(&self) -> Now {
        Now {
            mono: self.at,
            wall: Wall(1_795_440_000_000 + self.at.as_millis() as i64),
        }
    }

    fn chance(&mut self) -> [u8; 16] {
        let high = self.roll(usize::MAX) as u128;
        (high << 64 | self.roll(usize::MAX) as u128).to_be_bytes()
    }

    fn tell(&mut self, event: Event) {
        let (now, chance) = (self.now(), self.chance());
        self.core.handle(Input { event, chance }, now);
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send(sent) => self.deliver(&sent.into()),
                Effect::Persist { ticket, .. } => self.disk.push_back(ticket),
                _ => {}
            }
        }
        loop {
            let chance = self.chance();
            let Some(sent) = self.core.poll_broadcast(chance, now) else {
                return;
            };
            self.deliver(&sent.into());
        }
    }

    /// What the watcher's server makes of a stanza.
    fn deliver(&mut self, sent: &Element) {
        let to = sent.attr("to").unwrap_or_default().split('/').next();
        let Some(n) = WATCHERS.iter().position(|who| Some(*who) == to) else {
            return;
        };
        if sent.name() != "presence" {
            return;
        }
        let account = &mut self.accounts[n];
        match sent.attr("type") {
            Some("subscribed") => {
                account.subscribed |= account.asks;
                account.asks = false;
            }
            Some("unsubscribed") => {
                account.asks = false;
                account.subscribed = false;
            }
            None => {
                let show = sent.get_child("show", "jabber:client").map(Element::text);
                account.shown = Some(show.unwrap_or_default());
            }
            _ => account.shown = None,
        }
    }

    /// What each watcher has, against what a probe of his would be answered.
    ///
    /// Returns how many see her.
    fn check(&mut self, seed: u64) -> usize {
        let mut n_shown = 0;
        for (n, who) in WATCHERS.into_iter().enumerate() {
            let answer = self.probe(who);
            let account = &self.accounts[n];
            match answer {
                Some(show) => {
                    n_shown += 1;
                    let told = account.shown.as_ref();
                    assert_eq!(told, Some(&show), "seed {seed}, {}: {account:?}", who);
                }
                None => assert!(
                    !account.subscribed && account.shown.is_none(),
                    "seed {seed}: {} keeps {account:?}",
                    who
                ),
            }
        }
        n_shown
    }

    /// The show of the available presence that answers a probe; `None` where it is refused.
    fn probe(&mut self, who: &str) -> Option<String> {
        let text = format!("<presence type='probe' from='{who}' to='{ALICE}'/>");
        let event = Event::Received(Arrival::Stanza(stanza(&text)));
        let (now, chance) = (self.now(), self.chance());
        self.core.handle(Input { event, chance }, now);
        let mut answer = None;
        while let Some(effect) = self.core.poll_effect() {
            let Effect::Send(sent) = effect else { continue };
            let sent = Element::from(sent);
            if sent.attr("type").is_none() {
                let show = sent.get_child("show", "jabber:client").map(Element::text);
                answer = Some(show.unwrap_or_default());
            }
        }
        answer
    }
}
