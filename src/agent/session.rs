//! The agent's edge: it keeps a stream to the server, feeds the policy core with what arrives, and
//! carries out what it decides.
//!
//! Questions and programs go on while there is no stream; their reports wait for the next one.

use std::future::Future;
use std::pin::pin;

use minidom::Element;
use tokio::task::JoinSet;
use xmpp_parsers::ns;

use super::config::Config;
use super::discovery;
use super::journal::Journal;
use super::login::{self, Elements, Lost};
use super::person::Person;
use super::policy::{Agent, Answer, Decision, Ticket};
use super::text::shown;
use super::work::Act;
use crate::component::clock::Chance;
use crate::driver::{Clock, SystemClock};
use crate::link::{Backoff, Kind};
use crate::stanza::compose::{Compose, element};

/// Characters of a line of the log that come from others.
const LINE_MAX: usize = 1_000;

/// Why the agent ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Trying again cannot help.
    #[error("{0}")]
    Refused(String),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Chance(getrandom::Error),
    /// The state file, without which a request could run twice.
    #[error("cannot open the state file {0}: {1}")]
    State(String, std::io::Error),
}

/// Everything on this side of the network.
struct Local {
    agent: Agent,
    person: Person,
    journal: Journal,
    doing: JoinSet<(Ticket, Result<String, String>)>,
    clock: SystemClock,
}

/// What happened on this side.
enum Event {
    Answered(Ticket, Answer),
    Ended(Ticket, Result<String, String>),
    Due,
}

/// Runs the agent until `shutdown` completes, then logs out.
///
/// # Errors
/// The login was refused, another program took the resource, the state file cannot be opened, or there
/// are no random numbers.
/// A lost connection is none: it is tried again, after a growing random delay.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut shutdown = pin!(shutdown);
    let mut local = Local::new(&config)?;
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        () = local.person.looked() => {}
    }
    let mut backoff = Backoff::default();
    loop {
        let logged_in = tokio::select! {
            () = &mut shutdown => return Ok(()),
            logged_in = local.meanwhile(login::log_in(&config)) => logged_in?,
        };
        let (lost, online) = match logged_in {
            Err(lost) => (lost, false),
            Ok((mut stream, address)) => {
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
        if online {
            local.offline();
        }
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
    fn new(config: &Config) -> Result<Self, Error> {
        let clock = SystemClock::default();
        let path = config.state_file();
        let journal = Journal::open(&path, clock.now().wall)
            .map_err(|error| Error::State(path.display().to_string(), error))?;
        let mut local = Self {
            agent: Agent::new(config.settings.clone()),
            person: Person::find(config.ask, clock),
            journal,
            doing: JoinSet::new(),
            clock,
        };
        let entries = local.journal.entries();
        let decisions = local.agent.restore(clock.now(), entries);
        local.carry_out(decisions);
        Ok(local)
    }

    fn offline(&mut self) {
        let decisions = self.agent.offline(self.clock.now());
        self.carry_out(decisions);
    }

    /// Serves one stream; ends only when it is lost.
    async fn serve(
        &mut self,
        stream: &mut Elements,
        address: &str,
    ) -> Result<std::convert::Infallible, Failure> {
        login::send(stream, &discovery::presence()).await?;
        tracing::info!("online as {}", shown(address, LINE_MAX));
        let decisions = self.agent.online(self.clock.now(), &mut chance()?, address);
        for stanza in self.carry_out(decisions) {
            login::send(stream, &stanza).await?;
        }
        loop {
            let stanzas = tokio::select! {
                event = self.event() => self.take(event)?,
                arrived = login::next(stream) => match arrived? {
                    Some(stanza) => {
                        let (now, mut chance) = (self.clock.now(), chance()?);
                        self.agent.can_ask(self.person.can_be_asked());
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
        let due = self.agent.deadline();
        let waiting = async {
            match due {
                Some(due) => tokio::time::sleep(due.saturating_sub(clock.now().mono)).await,
                None => std::future::pending().await,
            }
        };
        let doing = &mut self.doing;
        let ended = async {
            loop {
                match doing.join_next().await {
                    Some(Ok(done)) => return done,
                    // The task neither panics nor is it aborted.
                    Some(Err(error)) => tracing::error!("a command was lost: {error}"),
                    None => return std::future::pending().await,
                }
            }
        };
        tokio::select! {
            (ticket, answer) = self.person.next(|| clock.now().wall) => Event::Answered(ticket, answer),
            (ticket, result) = ended => Event::Ended(ticket, result),
            () = waiting => Event::Due,
        }
    }

    fn take(&mut self, event: Event) -> Result<Vec<Element>, Error> {
        let (now, mut chance) = (self.clock.now(), chance()?);
        let decisions = match event {
            Event::Answered(ticket, answer) => {
                self.agent.answered(now, &mut chance, ticket, answer)
            }
            Event::Ended(ticket, result) => self.agent.ended(now, &mut chance, ticket, result),
            Event::Due => self.agent.due(now, &mut chance),
        };
        Ok(self.carry_out(decisions))
    }

    /// Does what was decided; what is to be sent now is given back.
    fn carry_out(&mut self, decisions: Vec<Decision>) -> Vec<Element> {
        let mut stanzas = Vec::new();
        for decision in decisions {
            match decision {
                Decision::Send(stanza) => stanzas.push(stanza),
                Decision::Ask(question) => self.person.ask(question),
                Decision::Withdraw(ticket) => self.person.withdraw(ticket),
                Decision::Do(ticket, act, record) => match self.journal.write(&record) {
                    Ok(()) => self.begin(ticket, act),
                    Err(error) => {
                        tracing::error!("cannot write the state file, nothing is run: {error}");
                        let text = "the agent cannot write its state file".to_owned();
                        self.doing.spawn(async move { (ticket, Err(text)) });
                    }
                },
                Decision::Keep(record) => {
                    if let Err(error) = self.journal.write(&record) {
                        // What this is for, an answer after a restart, is lost; nothing runs twice by it.
                        tracing::error!("cannot write the state file: {error}");
                    }
                }
                Decision::Log(line) => tracing::info!("{}", shown(&line, LINE_MAX)),
            }
        }
        stanzas
    }

    fn begin(&mut self, ticket: Ticket, act: Act) {
        match act {
            Act::Run(job) => {
                self.doing.spawn(async move { (ticket, job.run().await) });
            }
            Act::Show { title, text } => {
                let shown = self.person.show(&title, &text);
                self.doing.spawn(async move { (ticket, shown.await) });
            }
        }
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
