//! The core: pure, synchronous, deterministic. No tokio, no sled, no clock, no randomness of its own.
//!
//! `handle` is the only way in, `poll_effect` and `poll_broadcast` the only ways out, `deadline` says
//! when to come back. After every `handle`, drain `poll_effect` before the next.
//!
//! ```text
//! route ─► probe │ presence │ subscription │ disco │ command │ chat ─► lane ─► Persist … Committed ─► answer
//! ```

mod abilities;
mod about;
mod admin;
mod askers;
pub mod authorization;
mod behind;
mod border;
mod broadcast;
pub(crate) mod bucket;
mod bulk;
mod caps;
mod ceiling;
mod chat;
pub mod clock;
mod command;
mod concluding;
mod consent;
mod counts;
mod decision;
mod delivery;
mod disco;
pub mod ending;
mod execution;
pub mod export;
mod face;
mod few;
mod form;
mod gateway;
mod granting;
mod identity;
mod join;
mod lane;
mod learning;
pub mod limits;
pub mod line;
mod live;
mod modules;
mod names;
mod offer;
mod overdue;
mod pace;
pub mod parties;
mod partners;
mod pending;
mod presence;
mod probe;
mod prompt;
pub mod quiet;
mod rates;
pub mod record;
mod register;
mod relay;
mod reply;
mod report;
mod reported;
mod request;
mod resume;
mod right;
mod route;
mod running;
mod session;
mod set_status;
mod setting;
mod settings;
mod sight;
mod standing;
mod state;
pub mod status;
mod subscription;
mod table;
mod tell;
mod text;
mod timer;
mod token;
mod unreachable;
pub mod uses;
mod watcher;
pub mod web;
mod whom;
mod wish;
mod words;
mod written;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use minidom::Element;

use crate::address::Bare;
use crate::stanza::{Arrival, Outbound};
use clock::{Chance, Now};
pub use counts::Counts;
use limits::Buckets;
pub use partners::partner_of;
use record::Change;
pub use report::Report;
pub use settings::Settings;
use timer::Timers;

/// Names one batch of durable changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One thing that happened, with the random bytes that everything made for it derives from.
#[derive(Clone, Debug)]
pub struct Input {
    /// What happened.
    pub event: Event,
    /// 16 bytes from the operating system.
    pub chance: [u8; 16],
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The link is up, the handshake done.
    Attached,
    /// The link is gone.
    Detached,
    /// Something came in from the server.
    Received(Arrival),
    /// Something happened on a party's own link.
    Party(Arc<str>, PartyEvent),
    /// The operator has decided anew; the domain is what it was.
    Reload(Box<Settings>),
    /// A batch is durable.
    Committed(Ticket),
    /// A batch could not be written.
    Failed(Ticket),
    /// Why the store takes no changes now; `None`: it takes them again.
    Alarm(Option<String>),
    /// An export of everybody has ended: as it was written, or why there is none.
    Exported(Result<export::Written, String>),
    /// Somebody asks over the web.
    Web(web::Call),
    /// The time that [`Component::deadline`] named has come.
    Deadline,
    /// The process is about to end: say good-bye.
    Shutdown,
}

/// What happened on a party's own link.
#[derive(Clone, Debug)]
pub enum PartyEvent {
    /// The party has attached.
    Attached,
    /// Its link is gone.
    Detached,
    /// Something came in from it.
    Received(Arrival),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make `changes` durable, all or none, and report `Committed` or `Failed`.
    Persist {
        /// Names the batch.
        ticket: Ticket,
        /// In order.
        changes: Vec<Change>,
    },
    /// Write `changes` behind, without a sync, and report all the same.
    Remember {
        /// Names the batch.
        ticket: Ticket,
        /// In order.
        changes: Vec<Change>,
    },
    /// Export everything that is stored, and report `Exported`.
    Export,
    /// Send a stanza (`jabber:client`).
    Send(Outbound),
    /// Tell the web.
    Web(web::News),
    /// Tell the operator.
    Report(Report),
}

/// How much there is of what the operator may want to see grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Users who have joined, served now or not.
    pub users: usize,
    /// Commands under way.
    pub executions: usize,
    /// Durable changes that are being written or wait for it.
    pub in_flight: usize,
    /// What was done since the start.
    pub counts: Counts,
}

/// The component as a value.
#[derive(Debug)]
pub struct Component {
    settings: Settings,
    identity: identity::Identity,
    state: state::State,
    lanes: lane::Lanes,
    effects: VecDeque<Effect>,
    /// Messages made while detached; they go out at the next attach.
    deferred: VecDeque<Element>,
    attached: bool,
    /// When, on the clock that never goes back.
    attached_at: Duration,
    timers: Timers,
    learning: learning::Learning,
    pace: pace::Pace,
    broadcasts: broadcast::Broadcasts,
    partners: partners::Partners,
    awaited: HashMap<String, route::Awaited>,
    sessions: session::Sessions,
    running: HashMap<String, execution::Running>,
    caps: caps::Caps,
    /// Users whose last face has changed since it was written.
    unwritten: BTreeSet<Bare>,
    overdue: overdue::Overdue,
    askers: askers::Askers,
    refusals: pending::Refusals,
    unreachable: unreachable::Unreachable,
    probes: Buckets,
    probes_of_domain: Buckets,
    /// Refusals, by the watcher that is told.
    refused_to: Buckets,
    chats: Buckets,
    exports_of_users: Buckets,
    /// Who is to be told of the export of everybody.
    exporting: export::Waiting,
    /// Wrong tokens.
    guesses: Buckets,
    guesses_of_domain: Buckets,
    executions_by_watcher: Buckets,
    executions_for_user: Buckets,
    prompts: prompt::Prompts,
    names: names::Names,
    jobs: web::Jobs,
    pseudonyms: web::Pseudonyms,
    /// By user, and the watcher that sets her status.
    statuses: Buckets<(Bare, Bare)>,
    /// The same of each foreign domain: (user, domain).
    executions_for_user_by_domain: Buckets<(Bare, Bare)>,
    /// Presence to watchers that are told of changes; there is one bucket.
    broadcast_rate: Buckets<()>,
    counts: Counts,
    /// Why the store takes no changes now.
    alarm: Option<String>,
    /// Subscriptions that are still to end by a block of the operator.
    endings: admin::bars::Endings,
    /// Keys `rev`; drawn at the first input.
    key: Option<[u8; 32]>,
    /// Counts presences in order of arrival.
    order: u64,
    /// When the first input came.
    started: Option<Now>,
}

/// What holds while one input is handled.
#[derive(Debug)]
struct Turn {
    now: Now,
    chance: Chance,
}

impl Component {
    /// Makes a component from its settings and what the store holds.
    #[must_use]
    pub fn new(settings: Settings, stored: impl IntoIterator<Item = Change>) -> Self {
        let mut state = state::State::default();
        for change in stored {
            state.apply(&change);
        }
        let limits = settings.limits;
        Self {
            identity: identity::Identity::new(&settings.contacts),
            settings,
            state,
            lanes: lane::Lanes::default(),
            effects: VecDeque::new(),
            deferred: VecDeque::new(),
            attached: false,
            attached_at: Duration::ZERO,
            timers: Timers::default(),
            learning: learning::Learning::default(),
            pace: pace::Pace::default(),
            broadcasts: broadcast::Broadcasts::default(),
            partners: partners::Partners::default(),
            awaited: HashMap::new(),
            sessions: session::Sessions::default(),
            running: HashMap::new(),
            caps: caps::Caps::default(),
            unwritten: BTreeSet::new(),
            overdue: overdue::Overdue::default(),
            askers: askers::Askers::default(),
            refusals: pending::Refusals::default(),
            unreachable: unreachable::Unreachable::default(),
            probes: Buckets::new(limits.probes()),
            probes_of_domain: Buckets::new(limits.probes_of_domain()),
            refused_to: Buckets::new(limits.refusals()),
            chats: Buckets::new(limits::CHAT_RATE),
            exports_of_users: Buckets::new(limits::EXPORT_RATE),
            exporting: export::Waiting::new(),
            guesses: Buckets::new(limits.token_guesses()),
            guesses_of_domain: Buckets::new(limits.token_guesses()),
            prompts: prompt::Prompts::default(),
            names: names::Names::default(),
            jobs: web::Jobs::default(),
            pseudonyms: web::Pseudonyms::default(),
            statuses: Buckets::new(limits.statuses()),
            executions_by_watcher: Buckets::new(limits.commands_by_watcher()),
            executions_for_user: Buckets::new(limits.commands_for_user()),
            executions_for_user_by_domain: Buckets::new(limits.commands_for_user_by_domain()),
            broadcast_rate: Buckets::new(limits.broadcasts()),
            counts: Counts::default(),
            alarm: None,
            endings: admin::bars::Endings::default(),
            key: None,
            order: 0,
            started: None,
        }
    }

    /// So many records will be restored, all of one user one after the other: room for them is made.
    pub fn expect(&mut self, records: u64) {
        self.state.expect(records);
    }

    /// Takes over one record that is stored; before the first input.
    pub fn restore(&mut self, stored: &Change) {
        self.state.restore(stored);
    }

    /// Takes one input. Drain [`Self::poll_effect`] before the next.
    pub fn handle(&mut self, input: Input, now: Now) {
        let mut chance = Chance::new(input.chance);
        if self.key.is_none() {
            self.key = Some(chance.bytes());
            self.started = Some(now);
            resume::resume(self, now);
        }
        let mut turn = Turn { now, chance };
        overdue::fire(self, &mut turn); // Before anything is answered from what has ended.
        match input.event {
            Event::Attached => self.attach(&mut turn),
            Event::Detached => self.detach(&mut turn),
            Event::Received(arrival) => {
                self.counts.received += 1;
                route::received(self, &mut turn, &route::Origin::Server, arrival);
            }
            Event::Party(name, event) => partners::take(self, &mut turn, name, event),
            Event::Reload(settings) => partners::reload(self, &turn, *settings),
            Event::Committed(ticket) => lane::settled(self, &mut turn, ticket, true),
            Event::Failed(ticket) => lane::settled(self, &mut turn, ticket, false),
            Event::Exported(result) => export::ended(self, &mut turn, &result),
            Event::Alarm(alarm) => self.alarm = alarm,
            Event::Web(call) => web::take(self, &mut turn, call),
            Event::Deadline => {}
            Event::Shutdown => {
                behind::remember(self, &turn);
                learning::farewell(self);
            }
        }
        self.fire(&mut turn);
        web::flush(self);
    }

    /// Gets ready for what is about to be handled, as far as time can be saved by that; changes nothing.
    pub fn anticipate(&self, arrivals: &VecDeque<Arrival>) {
        let presentities = arrivals.iter().filter_map(|arrival| match arrival {
            Arrival::Probe(probe) => Some(&probe.to.bare),
            _ => None,
        });
        std::hint::black_box(self.state.anticipate(presentities));
    }

    /// How many arrivals it is worth to anticipate together.
    pub const AHEAD: usize = state::AHEAD;

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        self.counts.sent += u64::from(matches!(effect, Some(Effect::Send(_))));
        effect
    }

    /// The next broadcast, rendered from the state as it is now; to be called only while the link has
    /// room, so that what piles up is a set of addresses and never stanzas.
    pub fn poll_broadcast(&mut self, input: [u8; 16], now: Now) -> Option<Outbound> {
        if !self.attached {
            return None;
        }
        let mut turn = Turn {
            now,
            chance: Chance::new(input),
        };
        let stanza = broadcast::paced(self, &turn)
            .or_else(|| learning::poll(self, &mut turn).map(Outbound::from));
        self.counts.sent += u64::from(stanza.is_some());
        stanza
    }

    /// The next broadcast to a party on its own link, rendered as the others are; to be called only while
    /// that link has room.
    pub fn poll_partner(&mut self, name: &str, now: Now) -> Option<Outbound> {
        let stanza = partners::poll(self, name, now);
        self.counts.sent += u64::from(stanza.is_some());
        stanza
    }

    /// How long until [`Event::Deadline`] is due.
    #[must_use]
    pub fn deadline(&self, now: Now) -> Option<Duration> {
        let timer = self.timers.first().map(|at| at.saturating_sub(now.mono));
        let until = |at: clock::Wall| {
            Duration::from_millis(u64::try_from(at.0.saturating_sub(now.wall.0)).unwrap_or(0))
        };
        let expiry = self.state.next_expiry().map(|(at, _)| until(*at));
        let lapse = self
            .settings
            .limits
            .pending_life_s()
            .and_then(|life_s| self.state.next_lapse(life_s))
            .map(until);
        let border = self.state.next_border().map(until);
        let token = self.state.next_token_end().map(until);
        let broadcast = self.next_broadcast(now);
        let waits = [timer, expiry, lapse, border, token, broadcast];
        waits.into_iter().flatten().min()
    }

    /// What there is at this moment.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            users: self.state.n_users(),
            executions: self.running.len(),
            in_flight: self.lanes.n_in_flight(),
            counts: self.counts,
        }
    }

    /// Changes that are being written or wait for it; tests hold this against its bound.
    #[must_use]
    pub fn n_in_flight(&self) -> usize {
        self.lanes.n_in_flight()
    }

    fn attach(&mut self, turn: &mut Turn) {
        self.attached = true;
        while let Some(message) = self.deferred.pop_front() {
            self.send(message);
        }
        resume::attached(self, turn.now);
        pace::attached(self, turn);
        learning::begin(self, turn);
        admin::bars::end_subscriptions(self, turn);
    }

    fn detach(&mut self, turn: &mut Turn) {
        behind::remember(self, turn); // What was seen since the last time is about to be forgotten.
        self.attached = false;
        self.awaited.clear();
        self.broadcasts.clear();
        self.unreachable.clear();
        self.partners.forget_broadcasts();
        probe::release_partners(self, turn);
        learning::end(self, turn);
        pace::detached(self);
        self.state.forget_live();
    }
}
