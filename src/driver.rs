//! The one task that owns the core and feeds it: link, committer, clock and shutdown in; effects out.
//!
//! Nothing here blocks. What the server does not take piles up to [`QUEUED_MAX`], then reading stops,
//! so every answer that is still owed fits; broadcasts are drawn from the core only while there is
//! room. The committer's queues hold as many batches as the core lets be in flight, so handing one
//! over never waits, and the committer never waits for us.

mod alone;
mod chance;
mod clock;
mod connection;
mod exports;
mod look;
mod parties;
mod partners;
mod web;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::component::export::Written;
use crate::component::{self, Component, Effect, Event, Input, Ticket};
use crate::link::{self, Backoff, Instance};
use crate::metrics::Metrics;
use crate::stanza::Outbound;
use crate::store::Durability;
use crate::store::committer::{Batch, Committer, Outcome};
use crate::store::export::{Exported, Failure};
use crate::web::desk::Counter;
use alone::Alone;
use chance::Chance;
use connection::{Connection, Step, wait};
use exports::Exports;
use partners::Partners;

pub use clock::{Clock, SystemClock};
pub use exports::Schedule;
pub use partners::{Doors, Rate};

/// Bytes that wait for a server that does not read, before we stop reading too.
pub const QUEUED_MAX: usize = 1 << 20;
/// Broadcasts are drawn only while fewer bytes wait than this: answers come first.
const BROADCAST_ROOM: usize = 64 << 10;
/// Broadcasts drawn in one turn, so that answers and acknowledgements get their turn.
const BROADCASTS_PER_TURN: usize = 128;
/// A server that has taken nothing for so long is gone.
const STALL: Duration = Duration::from_secs(120);
/// A space is sent when nothing else was for so long (RFC 6120 §4.6.1).
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The longest sleep while something waits for the wall clock, which may be set in between.
const TICK: Duration = Duration::from_secs(1);
/// How long good-byes and open changes may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// What the driver needs.
#[derive(Debug)]
pub struct Parts<C> {
    /// The core, with what the store held.
    pub core: Component,
    /// Where batches are written.
    pub committer: Committer,
    /// Where the committer reports.
    pub outcomes: mpsc::Receiver<Outcome>,
    /// The server to attach to.
    pub link: link::Settings,
    /// What time it is.
    pub clock: C,
    /// Whether to try again when an attach fails.
    pub retry: bool,
    /// Where exports go, and how often; `None`: there are none.
    pub exports: Option<Schedule>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where partners come in; `None`: nowhere.
    pub doors: Option<Doors>,
    /// Where the web comes in; `None`: nowhere.
    pub web: Option<Counter>,
    /// Where a changed configuration comes in.
    pub reloads: Option<mpsc::Receiver<Reload>>,
}

/// A configuration that has changed, as far as it is the core's and the driver's.
#[derive(Debug)]
pub struct Reload {
    /// The core's part; the domain is what it was.
    pub settings: component::Settings,
    /// How many stanzas are taken of each partner.
    pub rate: Rate,
}

/// Why the driver ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be attached to, and no retry was wanted.
    #[error(transparent)]
    Unreachable(link::Error),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Chance(getrandom::Error),
    /// The thread that writes has ended.
    #[error("the store's thread has ended")]
    Committer,
}

/// Runs until `shutdown` is ready; then says good-bye, lets what is being written end, and closes.
pub async fn run<C: Clock>(
    parts: Parts<C>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut shutdown = pin!(shutdown);
    let Parts {
        mut core,
        committer,
        mut outcomes,
        link,
        clock,
        retry,
        exports,
        metrics,
        doors,
        web,
        mut reloads,
    } = parts;
    if web.is_some() {
        core.watch_changes();
    }
    let now = clock.now();
    let mut driver = Driver {
        core,
        committer,
        clock,
        settings: link,
        retry,
        chance: Chance::default(),
        backoff: Backoff::default(),
        connection: Connection::Waiting(Duration::ZERO),
        alone: None,
        taken: None,
        exports: Exports::new(exports, now),
        watch: clock::Watch::new(now),
        partners: Partners::new(doors, Arc::clone(&metrics)),
        metrics,
        web: web::Web(web),
        alarm: None,
    };
    let mut wake = pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        driver.pump_web()?;
        let busy = driver.pump()?;
        driver.look()?;
        let sleep = driver.sleep(busy);
        let now = driver.clock.now().mono;
        // Here, too, lest a server that never rests keeps partners from their turn.
        if let Some(turn) = driver.partners.wait(now).now_or_never() {
            driver.partner_moved(turn)?;
            driver.watch_partners()?;
            continue;
        }
        // Set anew only where it is to ring earlier: to wake for nothing costs less than that at each turn.
        let sooner = tokio::time::sleep(sleep);
        if wake.is_elapsed() || sooner.deadline() < wake.deadline() {
            wake.set(sooner);
        }
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            reload = next(&mut reloads) => driver.reload(reload)?,
            outcome = outcomes.recv() => {
                driver.committed(outcome.ok_or(Error::Committer)?)?;
                while let Ok(outcome) = outcomes.try_recv() {
                    driver.committed(outcome)?;
                }
            }
            step = wait(&mut driver.connection, &driver.clock) => driver.moved(step)?,
            result = driver.exports.ended() => driver.exported(result)?,
            turn = driver.partners.wait(now) => driver.partner_moved(turn)?,
            call = driver.web.next() => driver.called(call)?,
            () = &mut wake => {
                driver.feed(Event::Deadline)?;
                driver.keep_alive();
            }
        }
        driver.watch_partners()?;
    }
    driver.end(&mut outcomes).await
}

/// The next one, where any can come.
async fn next(reloads: &mut Option<mpsc::Receiver<Reload>>) -> Reload {
    if let Some(receiver) = reloads
        && let Some(reload) = receiver.recv().await
    {
        return reload;
    }
    std::future::pending().await
}

struct Driver<C> {
    core: Component,
    committer: Committer,
    clock: C,
    settings: link::Settings,
    retry: bool,
    chance: Chance,
    backoff: Backoff,
    connection: Connection,
    /// The stream among others of its name, while attached.
    alone: Option<Alone>,
    /// While anything waits for the server: how many bytes it has taken, and since when no more.
    taken: Option<(u64, Duration)>,
    exports: Exports,
    watch: clock::Watch,
    metrics: Arc<Metrics>,
    partners: Partners,
    web: web::Web,
    /// Why the store takes no changes, as the core knows it.
    alarm: Option<String>,
}

impl<C: Clock> Driver<C> {
    /// Feeds the core one event and does what it says.
    fn feed(&mut self, event: Event) -> Result<(), Error> {
        let chance = self.chance.draw()?;
        self.core.handle(Input { event, chance }, self.clock.now());
        self.drain()
    }

    fn drain(&mut self) -> Result<(), Error> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Persist { ticket, changes } => {
                    self.write(Batch {
                        ticket,
                        changes,
                        durability: Durability::Synced,
                    })?;
                }
                Effect::Remember { ticket, changes } => {
                    self.write(Batch {
                        ticket,
                        changes,
                        durability: Durability::Behind,
                    })?;
                }
                Effect::Export => {
                    let now = self.clock.now();
                    if let Err(why) = self.exports.begin(&self.committer, now) {
                        self.feed(Event::Exported(Err(why)))?;
                    }
                }
                Effect::Send(stanza) => self.send(&stanza),
                Effect::Report(report) => tracing::info!("{report}"),
                Effect::Web(news) => self.web.told(news),
            }
        }
        Ok(())
    }

    /// Hands a batch over. Where the queue is full it has failed, and nothing has changed.
    fn write(&mut self, batch: Batch) -> Result<(), Error> {
        let ticket: Ticket = batch.ticket;
        if self.committer.submit(batch).is_err() {
            let chance = self.chance.draw()?;
            let input = Input {
                event: Event::Failed(ticket),
                chance,
            };
            self.core.handle(input, self.clock.now());
        }
        Ok(())
    }

    /// Sends a stanza the way that its `to` lies: what is below our domain is a partner's, all else the
    /// server's. The seal of each link refuses what is not for it.
    fn send(&mut self, stanza: &Outbound) {
        if let Some(name) = component::partner_of(&self.settings.domain, stanza) {
            self.partners.send(name, stanza);
            return;
        }
        let Connection::Attached(link) = &mut self.connection else {
            return;
        };
        match link.send_outbound(stanza) {
            Ok(()) => self.metrics.sent.add(1),
            Err(unsealed) => tracing::error!("a stanza was not sent: {unsealed}"),
        }
    }

    /// Says how an export has ended.
    fn exported(&mut self, result: Result<Exported, Failure>) -> Result<(), Error> {
        self.exports.settle(result.is_ok(), self.clock.now());
        let told = match result {
            Ok(exported) => {
                let file = exported.path.display().to_string();
                tracing::info!("exported {} records to {file}", exported.records);
                self.metrics.exported(exported.made);
                Ok(Written {
                    file,
                    records: exported.records,
                })
            }
            Err(failure) => {
                tracing::error!("no export was made: {failure}");
                self.metrics.export_failures.add(1);
                Err(failure.to_string())
            }
        };
        self.feed(Event::Exported(told))
    }

    fn committed(&mut self, outcome: Outcome) -> Result<(), Error> {
        let Outcome { ticket, committed } = outcome;
        self.feed(if committed {
            Event::Committed(ticket)
        } else {
            Event::Failed(ticket)
        })
    }

    /// Takes what has come in and draws broadcasts, as far as there is room; whether more is at hand.
    fn pump(&mut self) -> Result<bool, Error> {
        let busy = self.pump_server()?;
        Ok(self.pump_partners()? || busy)
    }

    fn pump_server(&mut self) -> Result<bool, Error> {
        loop {
            let Connection::Attached(link) = &mut self.connection else {
                return Ok(false);
            };
            if link.queued() >= QUEUED_MAX {
                return Ok(false);
            }
            if let Some(arrivals) = link.read_ahead(Component::AHEAD) {
                self.core.anticipate(arrivals);
            }
            match link.next_arrival() {
                Ok(Some(arrival)) => {
                    if self.hear(&arrival)? {
                        continue;
                    }
                    self.metrics.received.add(1);
                    self.feed(Event::Received(arrival))?;
                }
                Ok(None) => break,
                Err(error) => {
                    self.lost(error)?;
                    return Ok(true);
                }
            }
        }
        for _ in 0..BROADCASTS_PER_TURN {
            let Connection::Attached(link) = &mut self.connection else {
                return Ok(false);
            };
            if link.queued() >= BROADCAST_ROOM {
                return Ok(false);
            }
            let chance = self.chance.draw()?;
            let Some(stanza) = self.core.poll_broadcast(chance, self.clock.now()) else {
                self.drain()?;
                return Ok(false);
            };
            self.send(&stanza);
            self.drain()?;
        }
        Ok(true)
    }

    /// How long to sleep where nothing else happens.
    fn sleep(&self, busy: bool) -> Duration {
        if busy {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        let core = self.core.deadline(now).map(|due| due.min(TICK));
        let waits = match &self.connection {
            Connection::Attached(link) if link.queued() > 0 => Some(TICK),
            _ => None,
        };
        core.into_iter()
            .chain(waits)
            .chain(self.alone.as_ref().map(|alone| alone.deadline(now.mono)))
            .chain(self.exports.deadline(now))
            .chain(self.partners.rest())
            .min()
            .map_or(KEEPALIVE, |due| due.min(KEEPALIVE))
    }

    fn moved(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Due => {
                let settings = self.settings.clone();
                let instance = Instance::new(self.chance.draw()?, self.clock.now().wall.0);
                self.connection = Connection::attach(settings, instance);
                Ok(())
            }
            Step::Attach(Ok((link, instance, missing))) => {
                let (server, domain) = (&self.settings.server, &self.settings.domain);
                tracing::info!("attached to {server} as {}", domain.bare());
                self.connection = Connection::Attached(link);
                self.alone = Some(Alone::new(instance, missing, self.clock.now().mono));
                self.metrics.attached(true);
                self.feed(Event::Attached)
            }
            Step::Attach(Err(error)) if !self.retry => Err(Error::Unreachable(error)),
            Step::Attach(Err(error)) => {
                let random = self.chance.number()?;
                let delay = self.backoff.after_failure(error.kind(), random);
                self.wait_for(&error, delay);
                Ok(())
            }
            Step::Moved(Err(error)) => self.lost(error),
            Step::Moved(Ok(())) => Ok(()),
        }
    }

    /// The link is gone: everything that was queued on it is lost, and it is attached again.
    fn lost(&mut self, error: link::Error) -> Result<(), Error> {
        let random = self.chance.number()?;
        let delay = match error.kind() {
            // Two that push one another out must not go on with that.
            link::Kind::Conflict => self.backoff.after_failure(link::Kind::Conflict, random),
            _ => self.backoff.after_loss(random),
        };
        (self.alone, self.taken) = (None, None);
        if let Connection::Attached(link) = self.wait_for(&error, delay) {
            // The server is told what was wrong, if it still listens.
            tokio::spawn(link.close(GRACE));
        }
        self.metrics.attached(false);
        self.feed(Event::Detached)
    }

    /// Says what went wrong, once, and when it is tried again.
    fn wait_for(&mut self, error: &link::Error, delay: Duration) -> Connection {
        tracing::warn!("{error}; next attempt in {:.1} s", delay.as_secs_f64());
        let next = Connection::Waiting(self.clock.now().mono + delay);
        std::mem::replace(&mut self.connection, next)
    }

    /// Says good-bye and lets what is open end, within a grace time.
    async fn end(mut self, outcomes: &mut mpsc::Receiver<Outcome>) -> Result<(), Error> {
        tracing::info!("shutting down");
        self.feed(Event::Shutdown)?;
        let until = self.clock.now().mono + GRACE;
        loop {
            let busy = self.pump()?;
            let queued = match &self.connection {
                Connection::Attached(link) => link.queued(),
                _ => 0,
            };
            let left = until.saturating_sub(self.clock.now().mono);
            if left.is_zero() || (!busy && queued == 0 && self.core.n_in_flight() == 0) {
                break;
            }
            let attached = matches!(self.connection, Connection::Attached(_));
            tokio::select! {
                biased;
                Some(outcome) = outcomes.recv() => self.committed(outcome)?,
                step = wait(&mut self.connection, &self.clock), if attached => self.moved(step)?,
                () = tokio::time::sleep(if busy { Duration::ZERO } else { left }) => {}
            }
        }
        let server = async {
            if let Connection::Attached(link) = self.connection {
                link.close(GRACE).await;
            }
        };
        tokio::join!(server, self.partners.end());
        self.committer.stop();
        Ok(())
    }
}
