//! A user, her agents, a watcher, a disk and a server around the core, with one fault at one step.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use crate::address::{Address, Bare, ComponentDomain};
use crate::component::authorization::{Ceiling, Cell, Confirm, Interface, Right, Visibility};
use crate::component::clock::{Chance, Now, Wall};
use crate::component::ending::zone;
use crate::component::execution::{Asker, request};
use crate::component::limits::Limits;
use crate::component::record::{Audit, Change, ExecutionState, Grant, Profile};
use crate::component::reply::Asked;
use crate::component::request::Request;
use crate::component::{Component, Effect, Event, Input, Settings, Ticket, Turn, record};
use crate::stanza::outcome::Outcome;
use crate::stanza::{Arrival, command, outcome};

/// How an agent takes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Does it and says so.
    Done,
    /// Says that it is at work, and a minute (without a question 5 s) later that it is done.
    Late,
    /// She says no.
    Forbidden,
    /// Does it and never says a word.
    Mute,
    /// The server answers that it is not there.
    Absent,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) right: Right,
    /// Whether she is asked.
    pub(crate) confirm: bool,
    /// The first is the one that gets it first.
    pub(crate) agents: &'static [Manner],
    /// What she answers to a question in chat; nothing where it is empty.
    pub(crate) word: &'static str,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL; what was being written is lost.
    Kill,
    /// SIGKILL; what was being written had become durable.
    KillAfterWrite,
    /// The server is restarted; what is under way is lost.
    Link,
    /// Her agents lose their connections and come back.
    Agents,
    /// One batch cannot be written.
    Disk,
    /// Nothing can be written for a minute.
    DiskFull,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Kill,
        Self::KillAfterWrite,
        Self::Link,
        Self::Agents,
        Self::Disk,
        Self::DiskFull,
    ];
}

/// What happens on its own at a time.
enum Act {
    Attach,
    AgentsBack,
    Arrive(String),
}

pub(crate) struct World {
    kind: Kind,
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
    attached: bool,
    agents_there: bool,
    /// Inputs so far.
    pub(crate) steps: usize,
    /// How often each agent has got the command, by what name; how often it has run it.
    got: Vec<Vec<String>>,
    /// Messages to her that are the command itself.
    left: usize,
    /// What the watcher has been told at the end.
    told: Vec<ExecutionState>,
    refused: usize,
    asked: usize,
    /// How often a command went out, to whomever.
    tries: usize,
}

const BOT: &str = "bot@remote.example";
const ALICE: &str = "alice@localhost";

fn settings(kind: &Kind) -> Settings {
    let domain = |text| Bare::parse(text).unwrap();
    let mut ceiling = Ceiling::default();
    // What a grant says decides whether she is asked.
    ceiling.set(None, kind.right, [Cell::Yes; 4]);
    Settings {
        domain: ComponentDomain::parse("presence.localhost").unwrap(),
        users: vec![domain("localhost")],
        admins: Vec::new(),
        default_visibility: Visibility::Subscribers,
        timezone: zone("UTC").unwrap(),
        parties: Vec::new().into(),
        ceiling,
        contacts: BTreeMap::new(),
        limits: Limits::default(),
    }
}

fn stored(kind: &Kind, at: Wall) -> Vec<Change> {
    let user = Bare::parse(ALICE).unwrap();
    let profile = Profile {
        joined: at,
        visibility: Visibility::Subscribers,
        show_when_offline: true,
        public_rights: None,
        dormant: false,
        subscribed: true,
        declined: false,
        lost: false,
        last_seen: record::LastSeen::Exact,
        share_idle: false,
        timezone: None,
    };
    let confirm = match kind.confirm {
        true => Confirm::Always,
        false => Confirm::Never,
    };
    let grant = Grant {
        rights: Right::ALL.into(),
        confirm,
        confirmed: false,
        since: at,
        until: None,
        interfaces: [].into(),
        unasked: [].into(),
        max_per_day: None,
        quiet: None,
        uses: Default::default(),
    };
    let watcher = Bare::parse(BOT).unwrap();
    vec![
        Change::Profile {
            user: user.clone(),
            value: Some(profile),
        },
        Change::Grant {
            user,
            watcher,
            value: Some(grant),
        },
    ]
}

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
    }

    fn request(&mut self) {
        let right = self.kind.right;
        let field = match right {
            Right::OpenUrl => ("url", "https://example.org/"),
            Right::StartModule => ("module", "m"),
            _ => ("text", "Hello"),
        };
        let from: Address = Address::parse(&format!("{BOT}/x")).unwrap();
        let asked = Asked {
            from: r"alice\40localhost@presence.localhost".into(),
            to: from.clone(),
            interface: Interface::Public,
            id: Some("e1".into()),
        };
        let wish = Request {
            user: Bare::parse(ALICE).unwrap(),
            watcher: from,
            interface: Interface::Public,
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
        }
    }

    fn later(&mut self, seconds: u64, act: Act) {
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
        self.at = end;
    }

    /// Her resources say that they are there.
    fn greet(&mut self) {
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

    fn arrive(&mut self, text: &str) {
        let text = text.replacen(' ', " xmlns='jabber:client' ", 1);
        self.inbox.push_back(text);
    }

    fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send(sent) => self.sent(&sent),
                Effect::Persist { ticket, changes } => self.disk.push_back((ticket, changes)),
                Effect::Remember { ticket, changes } => self.disk.push_back((ticket, changes)),
                _ => {}
            }
        }
        loop {
            self.random += 1;
            let (chance, now) = (self.random.to_be_bytes(), self.now());
            match self.core.poll_broadcast(chance, now) {
                Some(sent) => self.sent(&sent),
                None => return,
            }
        }
    }

    fn sent(&mut self, stanza: &Element) {
        assert!(self.attached, "{stanza:?} while detached");
        let attr = |name| stanza.attr(name).unwrap_or_default().to_owned();
        let (to, id) = (attr(xml_ncname!("to")), attr(xml_ncname!("id")));
        let type_ = attr(xml_ncname!("type"));
        if to.starts_with(BOT) {
            return self.watcher_hears(stanza, &type_);
        }
        let agent = to.strip_prefix("alice@localhost/a");
        let agent: Option<usize> = agent.and_then(|n| n.parse().ok());
        match (stanza.name(), type_.as_str()) {
            ("presence", "probe") => self.greet(),
            ("iq", "get") => {
                let feature = match agent {
                    Some(_) => "<feature var='urn:x-presence-service:agent:0'/>",
                    None => "",
                };
                self.arrive(&format!(
                    "<iq type='result' id='{id}' from='{to}' to='presence.localhost'><query \
                     xmlns='{}'><identity category='client' type='bot'/>{feature}</query></iq>",
                    ns::DISCO_INFO
                ));
            }
            ("iq", "set") => self.agent_gets(agent.unwrap(), stanza, &to, &id),
            ("message", "chat") => {
                let body = stanza.get_child("body", ns::JABBER_CLIENT).unwrap().text();
                let code = body.split_once("Answer “yes ");
                if let Some(code) = code.and_then(|(_, rest)| rest.split('”').next()) {
                    self.asked += 1;
                    if !self.kind.word.is_empty() {
                        self.arrive(&format!(
                            "<message type='chat' from='{ALICE}/desk' to='presence.localhost'>\
                             <body>{} {code}</body></message>",
                            self.kind.word
                        ));
                    }
                }
            }
            ("message", _) => {
                let body = stanza.get_child("body", ns::JABBER_CLIENT);
                let body = body.map(Element::text).unwrap_or_default();
                let is_it = body.starts_with("Message from") || body.contains("sends you a link");
                self.left += usize::from(is_it);
            }
            _ => {}
        }
    }

    fn watcher_hears(&mut self, stanza: &Element, type_: &str) {
        if let Some(ended) = stanza.get_child("outcome", outcome::NS) {
            let ended = Outcome::read(ended).unwrap();
            assert_eq!(ended.request_id, "r1");
            return self.told.push(ended.state);
        }
        if stanza.name() != "iq" {
            return;
        }
        if type_ == "error" {
            self.refused += 1;
            return;
        }
        let Some(answer) = stanza.get_child("command", command::NS) else {
            return;
        };
        if answer.attr(xml_ncname!("status")) == Some("completed") {
            let text = String::from(answer);
            let words = [
                ExecutionState::Completed,
                ExecutionState::Refused,
                ExecutionState::Failed,
                ExecutionState::Expired,
                ExecutionState::Unknown,
            ];
            let state = words
                .into_iter()
                .find(|state| text.contains(&format!("<value>{}</value>", state.as_str())));
            self.told.push(state.unwrap());
        }
    }

    fn agent_gets(&mut self, n: usize, stanza: &Element, to: &str, id: &str) {
        let head = format!("id='{id}' from='{to}' to='presence.localhost'");
        let manner = self.kind.agents[n];
        self.tries += 1;
        if manner == Manner::Absent || !self.agents_there {
            return self.arrive(&format!(
                "<iq type='error' {head}><error type='cancel'><service-unavailable \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            ));
        }
        let text = String::from(stanza);
        let name = text
            .split_once("var=\"request-id\"")
            .or_else(|| text.split_once("var='request-id'"));
        let name = name.unwrap().1.split_once("<value>").unwrap().1;
        let name = name.split_once('<').unwrap().0.to_owned();
        let repeat = self.got[n].contains(&name);
        self.got[n].push(name.clone());
        let right = self.kind.right;
        let answer = |rest: &str| {
            format!(
                "<iq type='result' {head}><command xmlns='{}' sessionid='s' \
                 node='urn:x-presence-service:agent:0#{right}' {rest}/></iq>",
                command::NS
            )
        };
        match manner {
            Manner::Done => self.arrive(&answer("status='completed'")),
            Manner::Forbidden => self.arrive(&format!(
                "<iq type='error' {head}><error type='auth'><forbidden \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )),
            Manner::Late => {
                self.arrive(&answer("status='executing'"));
                if !repeat {
                    let seconds = if self.kind.confirm { 60 } else { 5 };
                    let report = format!(
                        "<iq xmlns='jabber:client' type='set' id='o' from='{to}' \
                         to='presence.localhost'><outcome xmlns='{}' request-id='{name}' \
                         right='{right}' state='completed'/></iq>",
                        outcome::NS
                    );
                    self.later(seconds, Act::Arrive(report));
                }
            }
            Manner::Mute | Manner::Absent => {}
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
        if self.kind.right.may_repeat() && self.kind.agents == [Manner::Done] && state.is_some() {
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
