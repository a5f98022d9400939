//! The agent's edge: it keeps a stream to the server, feeds the policy core with what arrives, and
//! carries out what it decides.
//!
//! Questions and programs go on while there is no stream; their reports wait for the next one.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;

use minidom::Element;
use tokio::task::JoinSet;
use xmpp_parsers::ns;

use super::ask::Asker;
use super::config::Config;
use super::discovery;
use super::login::{self, Elements, Lost};
use super::opener::Opener;
use super::policy::{Agent, Answer, Decision, Settings, Ticket};
use super::text::shown;
use crate::component::clock::Chance;
use crate::driver::{Clock, SystemClock};
use crate::link::{Backoff, Kind};
use crate::stanza::compose::{Compose, element};

/// Reports that wait for a stream. No more than eight commands are open at once, so this is hours of
/// work without a connection; the component has given the oldest up by then.
const REPORTS_MAX: usize = 64;

/// Characters of a line of the log that come from others.
const LINE_MAX: usize = 500;

/// Why the agent ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Trying again cannot help.
    #[error("{0}")]
    Refused(String),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Chance(getrandom::Error),
}

/// Everything on this side of the network.
struct Local {
    agent: Agent,
    asker: Option<Asker>,
    opener: Opener,
    opening: JoinSet<(Ticket, Result<(), String>)>,
    reports: VecDeque<Element>,
    clock: SystemClock,
}

/// What happened on this side.
enum Event {
    Answered(Ticket, Answer),
    Opened(Ticket, Result<(), String>),
}

/// Runs the agent until `shutdown` completes, then logs out.
///
/// # Errors
/// The login was refused, another program took the resource, or there are no random numbers.
/// A lost connection is none: it is tried again, after a growing random delay.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut shutdown = pin!(shutdown);
    let mut local = Local::new(&config);
    let mut backoff = Backoff::default();
    loop {
        let logged_in = tokio::select! {
            () = &mut shutdown => return Ok(()),
            logged_in = local.meanwhile(login::log_in(&config)) => logged_in?,
        };
        let (lost, online) = match logged_in {
            Err(lost) => (lost, false),
            Ok((mut stream, address)) => {
                local.agent.bound(&address);
                let end = tokio::select! {
                    () = &mut shutdown => None,
                    lost = local.serve(&mut stream, &address) => Some(lost),
                };
                match end {
                    None => {
                        login::close(stream).await;
                        return Ok(());
                    }
                    Some(Err(Failure::Lost(Lost::Replaced(_)))) => (Lost::Replaced(address), true),
                    Some(Err(Failure::Lost(lost))) => (lost, true),
                    Some(Err(Failure::Fatal(error))) => return Err(error),
                    Some(Ok(never)) => match never {},
                }
            }
        };
        let text = shown(&lost.to_string(), LINE_MAX);
        if !matches!(lost, Lost::Connection(_)) {
            return Err(Error::Refused(text));
        }
        let random = u64::from_ne_bytes(random()?);
        let delay = if online {
            backoff.after_loss(random)
        } else {
            backoff.after_failure(Kind::Transient, random)
        };
        tracing::warn!(
            "offline: {text}; trying again in {:.1} s",
            delay.as_secs_f64()
        );
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            slept = local.meanwhile(tokio::time::sleep(delay)) => slept?,
        }
    }
}

/// Why serving a stream ended.
enum Failure {
    Lost(Lost),
    Fatal(Error),
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

impl Local {
    fn new(config: &Config) -> Self {
        let asker = Asker::open(config.ask)
            .inspect_err(|error| {
                tracing::warn!("nobody can be asked, what would have to be is refused: {error}");
            })
            .ok();
        let settings = Settings {
            component: config.component.clone(),
            open_url: config.open_url,
            can_ask: asker.is_some(),
        };
        Self {
            agent: Agent::new(settings),
            asker,
            opener: config.opener.clone(),
            opening: JoinSet::new(),
            reports: VecDeque::new(),
            clock: SystemClock::default(),
        }
    }

    /// Serves one stream; ends only when it is lost.
    async fn serve(
        &mut self,
        stream: &mut Elements,
        address: &str,
    ) -> Result<std::convert::Infallible, Failure> {
        login::send(stream, &discovery::presence()).await?;
        tracing::info!("online as {}", shown(address, LINE_MAX));
        loop {
            while let Some(report) = self.reports.front() {
                login::send(stream, report).await?;
                self.reports.pop_front();
            }
            let stanzas = tokio::select! {
                event = self.event() => self.take(event)?,
                arrived = login::next(stream) => match arrived? {
                    Some(stanza) => {
                        let (now, mut chance) = (self.clock.now(), chance()?);
                        let decisions = self.agent.stanza(now, &mut chance, &stanza);
                        self.carry_out(decisions)
                    }
                    None => vec![sign_of_life()],
                },
            };
            for stanza in stanzas {
                login::send(stream, &stanza).await?;
            }
        }
    }

    /// Waits for `future`, and lets questions and programs go on meanwhile.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return Ok(output),
                // An IQ answer is worth nothing on another stream; its repeat gets it again.
                event = self.event() => drop(self.take(event)?),
            }
        }
    }

    /// The next thing that happens on this side; for ever where nothing is open.
    async fn event(&mut self) -> Event {
        let clock = self.clock;
        let asker = &mut self.asker;
        let answering = async {
            match asker {
                Some(asker) => asker.next(|| clock.now().wall).await,
                None => std::future::pending().await,
            }
        };
        let opening = &mut self.opening;
        let opened = async {
            loop {
                match opening.join_next().await {
                    Some(Ok(done)) => return done,
                    // The task neither panics nor is it aborted.
                    Some(Err(error)) => tracing::error!("an opening was lost: {error}"),
                    None => return std::future::pending().await,
                }
            }
        };
        tokio::select! {
            (ticket, answer) = answering => Event::Answered(ticket, answer),
            (ticket, result) = opened => Event::Opened(ticket, result),
        }
    }

    fn take(&mut self, event: Event) -> Result<Vec<Element>, Error> {
        let (now, mut chance) = (self.clock.now(), chance()?);
        let decisions = match event {
            Event::Answered(ticket, answer) => {
                self.agent.answered(now, &mut chance, ticket, answer)
            }
            Event::Opened(ticket, result) => self.agent.opened(now, &mut chance, ticket, result),
        };
        Ok(self.carry_out(decisions))
    }

    /// Does what was decided; what is to be sent now is given back.
    fn carry_out(&mut self, decisions: Vec<Decision>) -> Vec<Element> {
        let mut stanzas = Vec::new();
        for decision in decisions {
            match decision {
                Decision::Send(stanza) => stanzas.push(stanza),
                Decision::Report(report) => {
                    if self.reports.len() >= REPORTS_MAX {
                        self.reports.pop_front();
                    }
                    self.reports.push_back(report);
                }
                Decision::Ask(question) => {
                    if let Some(asker) = &mut self.asker {
                        asker.ask(question);
                    }
                }
                Decision::Withdraw(ticket) => {
                    if let Some(asker) = &mut self.asker {
                        asker.withdraw(ticket);
                    }
                }
                Decision::Open(ticket, address) => {
                    let opening = self.opener.clone().open(address);
                    self.opening.spawn(async move { (ticket, opening.await) });
                }
                Decision::Log(line) => tracing::info!("{}", shown(&line, LINE_MAX)),
            }
        }
        stanzas
    }
}

/// A ping to our own server (XEP-0199 §4.2), whose answer shows that it is there.
fn sign_of_life() -> Element {
    let head = [("type", "get"), ("id", "alive")];
    element("iq", ns::JABBER_CLIENT, &head).with(element("ping", ns::PING, &[]))
}

fn chance() -> Result<Chance, Error> {
    Ok(Chance::new(random()?))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Chance)?;
    Ok(bytes)
}
