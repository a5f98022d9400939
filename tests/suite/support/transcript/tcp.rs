//! The wire of the whole component: the real driver, link and committer on one side of a loopback
//! connection, a server under the transcript's control on the other.
//!
//! A ping marks where the component has come to: what it sends before the answer was sent because of
//! what it got before the ping. What waits for the committer's thread comes later; the wire asks again
//! until nothing moves any more.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use vestibule::component::clock::Wall;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::component::{Component, Settings};
use vestibule::driver::{self, Clock as _};
use vestibule::link;
use vestibule::stanza::Fault;
use vestibule::store::committer::Committer;

use super::clock::Clock;
use super::gate::Gate;
use super::script::{Commit, Loss};
use super::shorthand::DOMAIN;
use super::tree::Tree;
use super::wire::Wire;
use crate::support::fake_server::{FakeServer, Peer};

const SECRET: &str = "s3cr<t";
const FENCE: &str = "fence.invalid";
/// How long the committer's thread may take to take up what it was given; twice in a row nothing
/// must have moved for so long.
const LULL: Duration = Duration::from_millis(1);
/// How long an expected stanza may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time passes in steps, so that what becomes due on the way is done on the way.
const STEP: Duration = Duration::from_secs(1);
/// What is left of a long time passes in steps of one in so many.
const LONG_STEPS: u64 = 20;

/// The component as a process would be, and its server.
pub(crate) struct Tcp {
    runtime: Runtime,
    server: FakeServer,
    settings: Settings,
    clock: Clock,
    gate: Gate,
    process: Option<Process>,
    peer: Option<Peer>,
    sent: Vec<Tree>,
    n_fences: u64,
    faults: Vec<String>,
}

/// A running driver.
struct Process {
    thread: JoinHandle<()>,
    /// Dropped: it dies. Told: it ends.
    end: oneshot::Sender<()>,
    shutdown: oneshot::Sender<()>,
}

impl Tcp {
    pub(crate) fn new(settings: Settings) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime
            .block_on(FakeServer::bind(DOMAIN, SECRET))
            .expect("a free port");
        let mut tcp = Self {
            runtime,
            server,
            settings,
            clock: Clock::new(),
            gate: Gate::default(),
            process: None,
            peer: None,
            sent: Vec::new(),
            n_fences: 0,
            faults: Vec::new(),
        };
        tcp.start(Loss::None);
        tcp
    }

    fn start(&mut self, loss: Loss) {
        let (store, stored) = self.gate.start(loss);
        let core = Component::new(self.settings.clone(), stored);
        let (committer, outcomes) = Committer::start(store, IN_FLIGHT_MAX);
        let address = self.server.address().expect("it listens");
        let parts = driver::Parts {
            core,
            committer,
            outcomes,
            link: link::Settings {
                server: address.to_string(),
                domain: self.settings.domain.clone(),
                secret: SECRET.to_owned(),
            },
            clock: self.clock.clone(),
            retry: true,
            exports: None,
            metrics: std::sync::Arc::default(),
            doors: None,
            reloads: None,
        };
        let (shutdown, told) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let run = driver::run(parts, async {
                    if told.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                });
                tokio::select! {
                    result = run => result.expect("the driver ends when it is told"),
                    _ = ended => {}
                }
            });
        });
        self.process = Some(Process {
            thread,
            end,
            shutdown,
        });
    }

    /// Ends the driver between two steps, as a kill does.
    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            drop(process.end);
            drop(process.shutdown);
            if process.thread.join().is_err() {
                self.faults.push("the driver has panicked".to_owned());
            }
        }
    }

    fn send(&mut self, xml: &str) {
        let Some(peer) = &mut self.peer else {
            self.faults.push(format!("delivered while detached: {xml}"));
            return;
        };
        if let Err(failure) = self.runtime.block_on(peer.send_raw(xml.as_bytes())) {
            self.faults.push(failure.to_string());
        }
    }

    /// Reads up to the answer of a ping; `false` where the component has closed.
    fn fence(&mut self) -> bool {
        self.n_fences += 1;
        let id = format!("fence-{}", self.n_fences);
        let ping = format!(
            "<iq type='get' id='{id}' from='{FENCE}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        self.send(&ping);
        while let Some(peer) = &mut self.peer {
            match self.runtime.block_on(peer.next()) {
                Ok(Some(stanza)) if stanza.attr("id") == Some(&id) => return true,
                Ok(Some(stanza)) => self.take(stanza),
                Ok(None) => return false,
                Err(failure) => {
                    self.faults.push(failure.to_string());
                    return false;
                }
            }
        }
        false
    }

    fn take(&mut self, stanza: Tree) {
        if let Err(why) = super::seal::check(&stanza) {
            self.faults.push(format!("{why}: {stanza}"));
        }
        self.sent.push(stanza);
    }

    /// Asks until nothing moves any more.
    fn settle_down(&mut self) {
        let mut still = 0;
        while still < 2 {
            let before = (self.sent.len(), self.gate.n_ended());
            if self.peer.is_some() && !self.fence() {
                return;
            }
            std::thread::sleep(LULL);
            let moved = before != (self.sent.len(), self.gate.n_ended());
            still = if moved { 0 } else { still + 1 };
        }
    }
}

impl Wire for Tcp {
    fn deliver(&mut self, xml: &str) {
        self.send(xml);
    }

    fn refuse(&mut self, fault: Fault, head: &str) {
        let start = head.trim().trim_end_matches("/>");
        let name = start[1..].split(' ').next().unwrap_or_default();
        let inside = match fault {
            Fault::TooLarge => format!("><body>{}</body>", "x".repeat(70_000)),
            Fault::TooDeep => format!(">{}{}", "<d>".repeat(40), "</d>".repeat(40)),
            Fault::TooManyChildren => format!(">{}", "<c/>".repeat(2000)),
            Fault::TooManyAttributes => {
                let many: String = (0..100).map(|n| format!(" a{n}=''")).collect();
                format!("><a{many}/>")
            }
            Fault::NotAStanza => ">".to_owned(),
        };
        self.send(&format!("{start}{inside}</{name}>"));
    }

    fn sent(&mut self) -> Vec<Tree> {
        self.settle_down();
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, at_most: Duration) -> Duration {
        let step = Duration::from_secs(at_most.as_secs() / LONG_STEPS);
        let step = step.max(STEP).min(at_most);
        self.clock.advance(step);
        // The first ping wakes the driver, which does what is due; the second waits for that.
        if self.peer.is_some() && self.fence() {
            self.fence();
        }
        step
    }

    fn jump(&mut self, seconds: i64) {
        self.clock.jump(seconds);
        // As time does that passes.
        self.pass(Duration::ZERO);
    }

    fn now(&self) -> Wall {
        self.clock.now().wall
    }

    fn hold(&mut self, held: bool) {
        self.gate.hold(held);
    }

    fn settle(&mut self, commit: Commit) -> Result<(), String> {
        self.gate.settle(commit)
    }

    fn attach(&mut self) {
        match self.runtime.block_on(self.server.attach()) {
            Ok(peer) => self.peer = Some(peer),
            Err(failure) => self.faults.push(failure.to_string()),
        }
    }

    fn detach(&mut self) {
        if let Some(mut peer) = self.peer.take()
            && let Err(failure) = self.runtime.block_on(peer.close())
        {
            self.faults.push(failure.to_string());
        }
    }

    fn restart(&mut self, loss: Loss) {
        self.kill();
        self.peer = None;
        self.sent.clear();
        self.start(loss);
    }

    fn shutdown(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        // It goes on for a grace time; what it says is read up to its end.
        if process.shutdown.send(()).is_ok() {
            while let Some(peer) = &mut self.peer {
                match self.runtime.block_on(peer.next()) {
                    Ok(Some(stanza)) => self.take(stanza),
                    _ => self.detach(),
                }
            }
        }
        if process.thread.join().is_err() {
            self.faults.push("the driver has panicked".to_owned());
        }
    }

    fn faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    fn wait(&mut self) -> bool {
        let since = Instant::now();
        while self.peer.is_some() && self.sent.is_empty() && since.elapsed() < PATIENCE {
            std::thread::sleep(LULL);
            self.settle_down();
        }
        !self.sent.is_empty()
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.gate.hold(false);
        self.kill();
    }
}
