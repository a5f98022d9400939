//! Watchers converge on the true face within 10 s after the component could learn of it (design.md §7
//! C5): random lives of users on a server as servers.md §3 measured them, drawn from a seed.
//!
//! The server tells presence late, out of order where ejabberd does, or not at all; the link goes down,
//! the server dies. After each quiet time what every approved watcher heard last is compared with what
//! the server knows. A failure names its seed; `VESTIBULE_SEED=N` plays that one alone.

mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use minidom::Element;
use minidom::rxml::xml_ncname;
use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::authorization::{Ceiling, Visibility};
use vestibule::component::clock::{Chance, Now, Wall};
use vestibule::component::ending::zone;
use vestibule::component::limits::Limits;
use vestibule::component::record::{Change, LastSeen, Profile, Subscription, SubscriptionState};
use vestibule::component::{Component, Effect, Event, Input, Settings};
use vestibule::stanza::Arrival;

use crate::support::long;
use server::{Kind, Server};

const HOME: &str = "presence.localhost";
const USERS: [&str; 3] = ["alice", "bob", "carol"];
const WATCHERS: [&str; 2] = ["bot@localhost", "friend@remote.example"];
/// What watchers may lag.
const CONVERGED: Duration = Duration::from_secs(10);
/// What a server never tells is asked again.
const RELEARN: Duration = Duration::from_secs(15 * 60);
/// Acts of one life.
const ACTS: usize = 60;

#[test]
fn watchers_hear_the_truth_in_the_end() {
    let only = std::env::var("VESTIBULE_SEED").ok();
    let only = only.and_then(|seed| seed.parse::<u64>().ok());
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None if long() => 0..5000,
        None => 0..150,
    };
    for seed in seeds {
        for kind in [Kind::Prosody, Kind::Ejabberd] {
            if let Err(why) = live(seed, kind) {
                panic!("seed {seed} on {kind:?}: {why}");
            }
        }
    }
}

/// Numbers from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A state and a text; `None` is offline.
type Shown = Option<(String, Option<String>)>;

/// The component, the server, and what watchers have heard last.
struct World {
    component: Component,
    server: Server,
    now: Now,
    chance: Chance,
    attached: bool,
    heard: BTreeMap<(String, String), Shown>,
    log: Vec<String>,
}

fn live(seed: u64, kind: Kind) -> Result<(), String> {
    let mut dice = Dice(seed);
    let mut world = World::new(kind, &mut dice);
    world.attach();
    for _ in 0..ACTS {
        world.act(&mut dice);
        // Whole seconds between acts, so that which of two changes was the later one is not in doubt.
        let pause = [1, 1, 2, 3, 5, 9][dice.below(6) as usize];
        world.pass(Duration::from_secs(pause));
        if dice.below(8) == 0 {
            world.compare()?;
        }
    }
    world.compare()
}

impl World {
    fn new(kind: Kind, dice: &mut Dice) -> Self {
        let now = Now {
            mono: Duration::from_secs(1000),
            wall: Wall(1_795_438_800_000),
        };
        let domain = |text| Bare::parse(text).unwrap();
        let settings = Settings {
            domain: ComponentDomain::parse(HOME).unwrap(),
            users: vec![domain("localhost")],
            admins: Vec::new(),
            neighbours: Vec::new(),
            default_visibility: Visibility::Subscribers,
            timezone: zone("UTC").unwrap(),
            parties: Vec::new().into(),
            ceiling: Ceiling::default(),
            contacts: BTreeMap::new(),
            limits: Limits::default(),
        };
        let mut stored = Vec::new();
        for user in USERS {
            let user = Bare::parse(&format!("{user}@localhost")).unwrap();
            let profile = Profile {
                joined: now.wall,
                visibility: Visibility::Subscribers,
                show_when_offline: true,
                public_rights: None,
                dormant: false,
                subscribed: true,
                declined: false,
                lost: false,
                last_seen: LastSeen::default(),
                share_idle: false,
                timezone: None,
                tell: Default::default(),
            };
            stored.push(Change::Profile {
                user: user.clone(),
                value: Some(profile),
            });
            stored.extend(WATCHERS.map(|watcher| Change::Subscription {
                user: user.clone(),
                watcher: Bare::parse(watcher).unwrap(),
                value: Some(Subscription {
                    state: SubscriptionState::Approved,
                    since: now.wall,
                    waiting: None,
                    by_grant: false,
                }),
            }));
        }
        Self {
            component: Component::new(settings, stored),
            server: Server::new(kind, dice.below(u64::MAX)),
            now,
            chance: Chance::new([7; 16]),
            attached: false,
            heard: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// One thing happens to one user, or to the link.
    fn act(&mut self, dice: &mut Dice) {
        let user = USERS[dice.below(USERS.len() as u64) as usize];
        let name = ["phone", "desk", "web"][dice.below(3) as usize];
        let now = self.now;
        let act = dice.below(21);
        self.log.push(format!("{:?} {act} {user}/{name}", now.mono));
        match act {
            0..=7 => self.server.presence(user, name, dice, now),
            8..=10 => self.server.end(user, name, now),
            11..=14 => self.server.reconnect(user, name, dice, now),
            15 => self.server.hide(user, true, now),
            16 => self.server.hide(user, false, now),
            17 => {
                self.detach();
                // What happens now is told to nobody.
                self.server.presence(user, name, dice, now);
                self.server.end(user, "desk", now);
                self.attach();
            }
            18 => {
                self.detach();
                self.server.die();
                self.attach();
            }
            19 => {
                // A privacy list while one of her clients goes: ejabberd tells neither.
                self.server.hide(user, true, now);
                self.server.end(user, name, now);
                self.server.hide(user, false, now);
            }
            _ => self.pass(RELEARN),
        }
    }

    fn attach(&mut self) {
        self.attached = true;
        self.server.attached();
        self.handle(Event::Attached);
    }

    fn detach(&mut self) {
        self.attached = false;
        self.server.detached();
        self.handle(Event::Detached);
    }

    /// Time goes by: what is under way arrives, what is due is done.
    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            let due = self
                .component
                .deadline(self.now)
                .map(|due| self.now.mono + due);
            let next = [self.server.next(), due].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break self.move_to(until);
            };
            self.move_to(next.max(self.now.mono));
            match self.server.take(self.now.mono) {
                Some(stanza) => self.handle(Event::Received(Arrival::Stanza(stanza))),
                None => self.handle(Event::Deadline),
            }
        }
    }

    fn move_to(&mut self, mono: Duration) {
        let passed = mono - self.now.mono;
        self.now.mono = mono;
        self.now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
    }

    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let chance = self.draw();
            self.component.handle(Input { event, chance }, self.now);
            loop {
                while let Some(effect) = self.component.poll_effect() {
                    match effect {
                        Effect::Send(stanza) => self.sent(&stanza.into()),
                        Effect::Persist { ticket, .. } | Effect::Remember { ticket, .. } => {
                            events.push(Event::Committed(ticket));
                        }
                        Effect::Report(_) | Effect::Export | Effect::Web(_) => {}
                    }
                }
                let chance = self.draw();
                match self.component.poll_broadcast(chance, self.now) {
                    Some(stanza) => self.sent(&stanza.into()),
                    None => break,
                }
            }
        }
    }

    fn draw(&mut self) -> [u8; 16] {
        let mut drawn = [0; 16];
        drawn.copy_from_slice(&self.chance.bytes()[..16]);
        drawn
    }

    fn sent(&mut self, stanza: &Element) {
        assert!(self.attached, "sent while detached: {stanza:?}");
        let attr = |name| stanza.attr(name).unwrap_or_default().to_owned();
        let (from, to) = (attr(xml_ncname!("from")), attr(xml_ncname!("to")));
        let Some((user, _)) = from.split_once("\\40") else {
            return self.server.asked(stanza, self.now);
        };
        let text = |name| stanza.get_child(name, "jabber:client").map(Element::text);
        let shown = match stanza.attr(xml_ncname!("type")) {
            Some("unavailable") => None,
            None => Some((text("show").unwrap_or_default(), text("status"))),
            Some(other) => panic!("a watcher got {other}"),
        };
        self.log
            .push(format!("{:?} {to} hears {user} {shown:?}", self.now.mono));
        self.heard.insert((user.to_owned(), to), shown);
    }

    /// After a quiet time all have heard the truth, and hear no more.
    fn compare(&mut self) -> Result<(), String> {
        if self.server.has_secrets() {
            // What a server never tells is learned within a round.
            self.pass(RELEARN);
            self.server.secrets_told();
        }
        self.pass(CONVERGED);
        for user in USERS {
            let truth = self.server.truth(user);
            for watcher in WATCHERS {
                let key = (user.to_owned(), watcher.to_owned());
                // Who has heard nothing since the beginning takes her for offline.
                let heard = self.heard.get(&key).cloned().flatten();
                if heard != truth {
                    return Err(format!(
                        "{watcher} heard last of {user} {heard:?}, the truth is {truth:?}\n{}",
                        self.log.join("\n")
                    ));
                }
            }
        }
        Ok(())
    }
}
