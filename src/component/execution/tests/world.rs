//! A user, her agents, a watcher, a disk and a server around the core, with one fault at one step.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use minidom::Element;

use super::kind::{By, Fault, Kind, Manner, Narrow, TOKEN, UNTIL, settings, stored};
use crate::address::{Address, Bare};
use crate::component::authorization::{Interface, Right};
use crate::component::clock::{Chance, Now, Wall};
use crate::component::execution::{Asker, request};
use crate::component::record::{Audit, Change, ExecutionState};
use crate::component::reply::Asked;
use crate::component::request::Request;
use crate::component::{Component, Effect, Event, Input, Ticket, Turn};
use crate::stanza::Arrival;

/// What happens on its own at a time.
pub(super) enum Act {
    Attach,
    AgentsBack,
    Arrive(String),
}

pub(crate) struct World {
    pub(super) kind: Kind,
    fault: Option<(usize, Fault)>,
    struck: Option<Fault>,
    core: Component,
    at: Duration,
    random: u128,
    /// What is durable.
    log: Vec<Change>,
    disk: VecDeque<(Ticket, Vec<Change>)>,
    full_until: Duration,
    inbox: VecDeque<String>,
    acts: BTreeMap<(Duration, usize), Act>,
    pub(super) attached: bool,
    pub(super) agents_there: bool,
    /// Inputs so far.
    pub(crate) steps: usize,
    /// How often each agent has got the command, by what name; how often it has run it.
    pub(super) got: Vec<Vec<String>>,
    /// Messages to her that are the command itself.
    pub(super) left: usize,
    /// What the watcher has been told at the end.
    pub(super) told: Vec<ExecutionState>,
    pub(super) refused: usize,
    pub(super) asked: usize,
    /// How often a command went out, to whomever.
    pub(super) tries: usize,
    /// What had gone out when she took the right away.
    frozen: Option<[usize; 3]>,
}

pub(super) const BOT: &str = "bot@remote.example";
pub(super) const ALICE: &str = "alice@localhost";

impl World {
    pub(crate) fn new(kind: &Kind, fault: Option<(usize, Fault)>) -> Self {
        let log = stored(kind, Wall(1_795_440_000_000));
        let mut world = Self {
            kind: *kind,
            fault: None,
            struck: None,
            core: Component::new(settings(kind), log.clone()),
            at: Duration::from_secs(1000),
            random: 1,
            log,
            disk: VecDeque::new(),
            full_until: Duration::ZERO,
            inbox: VecDeque::new(),
            acts: BTreeMap::new(),
            attached: false,
            agents_there: true,
            steps: 0,
            got: vec![Vec::new(); kind.agents.len()],
            left: 0,
            told: Vec::new(),
            refused: 0,
            asked: 0,
            tries: 0,
            frozen: None,
        };
        world.attach();
        world.pass(Duration::from_secs(20));
        world.steps = 0;
        world.fault = fault;
        world
    }

    /// The watcher asks, and a quarter of an hour goes by.
    pub(crate) fn play(&mut self) {
        self.request();
        self.pass(Duration::from_secs(15 * 60));
        if self.at >= UNTIL {
            self.pass(Duration::from_secs(15 * 60)); // The clock went on to there.
        }
    }

    fn request(&mut self) {
        let right = self.kind.right;
        let field = match right {
            Right::OpenUrl => ("url", "https://example.org/"),
            Right::StartModule => ("module", "m"),
            Right::SetStatus => ("status-message", "In a meeting"),
            _ => ("text", "Hello"),
        };
        let from: Address = Address::parse(&format!("{BOT}/x")).unwrap();
        let token = (self.kind.by == By::Shown).then(|| TOKEN.to_owned());
        let asked = Asked {
            from: r"alice\40localhost@presence.localhost".into(),
            to: from.clone(),
            interface: Interface::Public,
            id: Some("e1".into()),
            token: token.clone(),
        };
        let wish = Request {
            user: Bare::parse(ALICE).unwrap(),
            watcher: from,
            interface: Interface::Public,
            token,
            right,
            request_id: "r1".into(),
            fields: BTreeMap::from([(field.0.to_owned(), field.1.to_owned())]),
        };
        self.random += 1;
        let chance = Chance::new(self.random.to_be_bytes());
        let now = self.now();
        let asker = Asker::Iq {
            asked,
            session: "s".into(),
        };
        request(&mut self.core, &mut Turn { now, chance }, wish, asker);
        self.drain();
    }

    fn now(&self) -> Now {
        Now {
            mono: self.at,
            wall: Wall(1_795_440_000_000 + i64::try_from(self.at.as_millis()).unwrap()),
        }
    }

    fn tell(&mut self, event: Event) {
        self.steps += 1;
        self.random += 1;
        let chance = self.random.to_be_bytes();
        let now = self.now();
        self.core.handle(Input { event, chance }, now);
        self.drain();
    }

    fn strike(&mut self, fault: Fault) {
        self.struck = Some(fault);
        match fault {
            Fault::Kill | Fault::KillAfterWrite => {
                for (_, changes) in std::mem::take(&mut self.disk) {
                    if fault == Fault::KillAfterWrite {
                        self.log.extend(changes);
                    }
                }
                self.core = Component::new(settings(&self.kind), self.log.clone());
                self.attached = false;
                self.later(1, Act::Attach);
            }
            Fault::Link => {
                self.attached = false;
                self.inbox.clear();
                self.tell(Event::Detached);
                self.later(2, Act::Attach);
            }
            Fault::Agents => {
                self.agents_there = false;
                for n in 0..self.kind.agents.len() {
                    self.inbox.push_back(format!(
                        "<presence xmlns='jabber:client' type='unavailable' from='{ALICE}/a{n}' \
                         to='presence.localhost'/>"
                    ));
                }
                self.later(2, Act::AgentsBack);
            }
            Fault::Disk => {
                if let Some((ticket, _)) = self.disk.pop_front() {
                    self.tell(Event::Failed(ticket));
                }
            }
            Fault::DiskFull => self.full_until = self.at + Duration::from_secs(60),
            Fault::Narrow(narrow) => self.narrow(narrow),
        }
    }

    /// She takes the right away: from here on, before that is durable, nothing of it goes out.
    fn narrow(&mut self, narrow: Narrow) {
        let words = match narrow {
            Narrow::Revoke | Narrow::RevokeUnwritten => "revoke bot@remote.example",
            Narrow::TakeBack | Narrow::TakeBackUnwritten => "token revoke blog",
            Narrow::Block => "block bot@remote.example",
            Narrow::BlockDomain => "block remote.example",
            Narrow::Leave => "leave",
            Narrow::Private => "visibility private",
            Narrow::Operator => "admin block remote.example",
            Narrow::Expiry => {
                self.at = self.at.max(UNTIL);
                self.frozen = Some([self.tries, self.left, self.asked]);
                return;
            }
        };
        let who = match narrow {
            Narrow::Operator => "admin@localhost",
            _ => ALICE,
        };
        let text = format!(
            "<message xmlns='jabber:client' type='chat' from='{who}/desk' to='presence.localhost'>\
             <body>{words}</body></message>"
        );
        let n = self.disk.len();
        self.frozen = Some([self.tries, self.left, self.asked]);
        self.tell(Event::Received(Arrival::Stanza(text.parse().unwrap())));
        if matches!(narrow, Narrow::RevokeUnwritten | Narrow::TakeBackUnwritten)
            && let Some((ticket, _)) = (self.disk.len() > n)
                .then(|| self.disk.pop_back())
                .flatten()
        {
            self.tell(Event::Failed(ticket));
        }
    }

    pub(super) fn later(&mut self, seconds: u64, act: Act) {
        let at = self.at + Duration::from_secs(seconds);
        self.acts.insert((at, self.acts.len() + self.steps), act);
    }

    fn attach(&mut self) {
        self.attached = true;
        self.tell(Event::Attached);
    }

    /// Everything that happens until nothing does, for so long.
    fn pass(&mut self, time: Duration) {
        let end = self.at + time;
        loop {
            if let Some((_, fault)) = self.fault.take_if(|(step, _)| *step <= self.steps) {
                self.strike(fault);
            }
            if let Some(text) = self.inbox.pop_front() {
                if self.attached {
                    let element: Element = text.parse().unwrap();
                    self.tell(Event::Received(Arrival::Stanza(element)));
                }
                continue;
            }
            if let Some((ticket, changes)) = self.disk.pop_front() {
                if self.at < self.full_until {
                    self.tell(Event::Failed(ticket));
                } else {
                    self.log.extend(changes);
                    self.tell(Event::Committed(ticket));
                }
                continue;
            }
            let act = self.acts.first_key_value().map(|((at, _), _)| *at);
            let timer = self.core.deadline(self.now()).map(|left| self.at + left);
            let next = act.into_iter().chain(timer).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.at = self.at.max(next);
            if act == Some(next) {
                match self.acts.pop_first().unwrap().1 {
                    Act::Attach => self.attach(),
                    Act::AgentsBack => {
                        self.agents_there = true;
                        self.greet();
                    }
                    Act::Arrive(text) => self.inbox.push_back(text),
                }
            } else {
                self.tell(Event::Deadline);
            }
        }
        self.at = self.at.max(end);
    }

    /// Her resources say that they are there.
    pub(super) fn greet(&mut self) {
        self.arrive(&format!(
            "<presence from='{ALICE}/desk' to='presence.localhost'/>"
        ));
        if self.agents_there {
            // The last to come is asked first.
            for n in (0..self.kind.agents.len()).rev() {
                self.arrive(&format!(
                    "<presence from='{ALICE}/a{n}' to='presence.localhost'>\
                     <priority>-1</priority></presence>"
                ));
            }
        }
    }

    pub(super) fn arrive(&mut self, text: &str) {
        let text = text.replacen(' ', " xmlns='jabber:client' ", 1);
        self.inbox.push_back(text);
    }

    fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send(sent) => self.sent(&sent.into()),
                Effect::Persist { ticket, changes } => self.disk.push_back((ticket, changes)),
                Effect::Remember { ticket, changes } => self.disk.push_back((ticket, changes)),
                _ => {}
            }
        }
        loop {
            self.random += 1;
            let (chance, now) = (self.random.to_be_bytes(), self.now());
            match self.core.poll_broadcast(chance, now) {
                Some(sent) => self.sent(&sent.into()),
                None => return,
            }
        }
    }

    /// What the history says in the end.
    fn history(&self) -> Vec<Audit> {
        let mut lines = BTreeMap::new();
        let mut open = BTreeMap::new();
        for change in &self.log {
            match change {
                Change::Audit { at, id, value, .. } => {
                    lines.insert((*at, id.clone()), value.clone());
                }
                Change::Execution { id, value } => {
                    open.insert(id.clone(), value.clone());
                }
                _ => {}
            }
        }
        let left: Vec<_> = open.into_values().flatten().collect();
        assert!(left.is_empty(), "{:?}: still open: {left:?}", self.kind);
        lines.into_values().flatten().collect()
    }

    pub(crate) fn final_state(&self) -> Option<ExecutionState> {
        self.history().first().map(|line| line.state)
    }

    /// The watcher's text is not hers any more.
    pub(crate) fn check_taken_back(&self) {
        let mut status = None;
        for change in &self.log {
            if let Change::Status { value, .. } = change {
                status = value.clone();
            }
        }
        let texts = status.map(|status| status.texts).unwrap_or_default();
        let left = texts.iter().any(|text| text.author.is_some());
        assert!(!left, "{:?} at {:?}", self.kind, self.struck);
    }

    /// Nothing has gone out since she took the right away.
    pub(crate) fn check_frozen(&self) {
        let now = [self.tries, self.left, self.asked];
        let struck = self.frozen.unwrap_or(now);
        assert_eq!(struck, now, "{:?} at {:?}", self.kind, self.struck);
    }

    /// A command that was accepted with a token that is shown has used it; nothing else has, and none twice.
    pub(crate) fn check_token(&self) {
        let mut tokens = self.log.iter().filter_map(|change| match change {
            Change::Token { value, .. } => value.as_ref(),
            _ => None,
        });
        let used = tokens.next_back().unwrap().used;
        let expected = match self.kind.by {
            By::Shown => u32::from(self.final_state().is_some()),
            _ => 1,
        };
        assert_eq!(used, expected, "{:?} at {:?}", self.kind, self.struck);
    }

    /// What must hold however it went.
    pub(crate) fn check(&self) {
        let at = format!(
            "{:?}, {:?}: agents got {:?}, left {}, told {:?}, refused {}",
            self.struck, self.kind, self.got, self.left, self.told, self.refused
        );
        let history = self.history();
        assert!(history.len() <= 1, "{at}: {history:?}");
        let state = self.final_state();
        assert!(self.told.len() + self.refused <= 1, "{at}");
        if let Some(told) = self.told.first() {
            assert_eq!(state, Some(*told), "{at}");
        }
        let got: usize = self.got.iter().map(Vec::len).sum();
        if !self.kind.right.may_repeat() {
            assert!(got + self.left <= 1, "{at}");
        }
        assert!(self.left <= 1, "{at}");
        if self.frozen.is_none()
            && self.kind.right.may_repeat()
            && self.kind.agents == [Manner::Done]
            && state.is_some()
        {
            assert!(got + self.left >= 1, "{at}: accepted and never done");
        }
        match state {
            None => assert_eq!((got, self.left), (0, 0), "{at}"),
            Some(ExecutionState::Expired) => assert_eq!((got, self.left), (0, 0), "{at}"),
            Some(ExecutionState::Completed) => {
                let told = !self.told.is_empty();
                assert!(!told || got + self.left > 0, "{at}");
            }
            // A crash between the writing and the sending leaves a command that may have been sent.
            Some(ExecutionState::Unknown) => {
                let killed = matches!(self.struck, Some(Fault::Kill | Fault::KillAfterWrite));
                assert!(self.tries > 0 || killed, "{at}");
            }
            _ => {}
        }
        // By the same name each time, so that an agent knows a repeat.
        let mut names: Vec<_> = self.got.iter().flatten().collect();
        names.dedup();
        assert!(names.len() <= 1, "{at}");
        assert!(self.asked <= 1, "{at}");
    }
}
