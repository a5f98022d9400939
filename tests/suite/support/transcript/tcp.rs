//! The wire of the whole component: the real driver, link and committer on one side of a loopback
//! connection, a server under the transcript's control on the other.
//!
//! A ping marks where the component has come to: what it sends before the answer was sent because of
//! what it got before the ping. What waits for the committer's thread comes later; the wire asks again
//! until nothing moves any more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use vestibule::component::clock::Wall;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::component::{Component, Settings};
use vestibule::driver::{self, Clock as _, Doors, Rate, Reload};
use vestibule::link;
use vestibule::link::dedicated::{self, Admission};
use vestibule::stanza::Fault;
use vestibule::store::committer::Committer;

use super::clock::Clock;
use super::gate::Gate;
use super::script::{Commit, Loss};
use super::shorthand::DOMAIN;
use super::tree::Tree;
use super::wire::{By, Wire};
use crate::support::fake_server::{FakeServer, Peer};
use crate::support::{Failure, partner};

const SECRET: &str = "s3cr<t";
const PARTY_SECRET: &str = "sesame";
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
    /// The streams that are open.
    peers: BTreeMap<By, Peer>,
    /// Where parties attach.
    door: Option<SocketAddr>,
    sent: Vec<(By, Tree)>,
    n_fences: u64,
    faults: Vec<String>,
}

/// A running driver.
struct Process {
    thread: JoinHandle<()>,
    /// Dropped: it dies. Told: it ends.
    end: oneshot::Sender<()>,
    shutdown: oneshot::Sender<()>,
    reload: mpsc::Sender<Reload>,
    admission: watch::Sender<Arc<Admission>>,
}

/// As many stanzas of a party as it likes.
const RATE: Rate = Rate {
    per_s: 0.0,
    burst: 1.0,
};

/// Every party may attach with this.
fn admission(settings: &Settings) -> Arc<Admission> {
    let names = settings.parties.iter().map(|party| party.name.clone());
    Arc::new(Admission {
        domain: settings.domain.clone(),
        secrets: names.map(|name| (name, PARTY_SECRET.to_owned())).collect(),
        tls: None,
    })
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
            peers: BTreeMap::new(),
            door: None,
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
        let (reload, reloads) = mpsc::channel(1);
        let (admission, admitted) = watch::channel(admission(&self.settings));
        let mut parts = driver::Parts {
            core,
            committer,
            outcomes,
            link: link::Settings {
                server: address.to_string(),
                tls: None,
                domain: self.settings.domain.clone(),
                secret: SECRET.to_owned(),
            },
            clock: self.clock.clone(),
            retry: true,
            exports: None,
            metrics: Arc::default(),
            doors: None,
            web: None,
            reloads: Some(reloads),
        };
        let (listener, address) = self
            .runtime
            .block_on(async {
                let listener = dedicated::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
                let address = listener.local_addr()?;
                Ok::<_, std::io::Error>((listener.into_std()?, address))
            })
            .expect("a free port");
        self.door = Some(address);
        let (shutdown, told) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
                let (partners, arriving) = mpsc::channel(8);
                let metrics = parts.metrics.clone();
                tokio::spawn(dedicated::serve(
                    listener,
                    admitted.clone(),
                    partners,
                    metrics,
                ));
                parts.doors = Some(Doors {
                    arriving,
                    admission: admitted,
                    rate: RATE,
                });
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
            reload,
            admission,
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

    fn send(&mut self, by: &By, xml: &str) {
        let Some(peer) = self.peers.get_mut(by) else {
            self.faults.push(format!("delivered while detached: {xml}"));
            return;
        };
        if let Err(failure) = self.runtime.block_on(peer.send_raw(xml.as_bytes())) {
            self.faults.push(failure.to_string());
        }
    }

    /// Reads up to the answer of a ping; `false` where the component has closed.
    fn fence(&mut self, by: &By) -> bool {
        self.n_fences += 1;
        let id = format!("fence-{}", self.n_fences);
        let from = match by {
            None => FENCE.to_owned(),
            Some(party) => format!("fence@{party}.{DOMAIN}"),
        };
        let ping = format!(
            "<iq type='get' id='{id}' from='{from}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        self.send(by, &ping);
        while let Some(peer) = self.peers.get_mut(by) {
            match self.runtime.block_on(peer.next()) {
                Ok(Some(stanza)) if stanza.attr("id") == Some(&id) => return true,
                Ok(Some(stanza)) if stanza.name == "error" => return false,
                Ok(Some(stanza)) => self.take(by, stanza),
                Ok(None) => return false,
                Err(failure) => {
                    self.faults.push(failure.to_string());
                    return false;
                }
            }
        }
        false
    }

    /// The same on every stream that is open.
    fn fence_all(&mut self) -> bool {
        let open: Vec<By> = self.peers.keys().cloned().collect();
        open.iter().all(|by| self.fence(by))
    }

    fn take(&mut self, by: &By, stanza: Tree) {
        if let Err(why) = super::seal::check(&stanza) {
            self.faults.push(format!("{why}: {stanza}"));
        }
        self.sent.push((by.clone(), stanza));
    }

    /// Asks until nothing moves any more.
    fn settle_down(&mut self) {
        let mut still = 0;
        while still < 2 {
            let before = (self.sent.len(), self.gate.n_ended());
            if !self.fence_all() {
                return;
            }
            std::thread::sleep(LULL);
            let moved = before != (self.sent.len(), self.gate.n_ended());
            still = if moved { 0 } else { still + 1 };
        }
    }
}

impl Wire for Tcp {
    fn deliver(&mut self, by: &By, xml: &str) {
        self.send(by, xml);
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
        self.send(&None, &format!("{start}{inside}</{name}>"));
    }

    fn sent(&mut self) -> Vec<(By, Tree)> {
        self.settle_down();
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, at_most: Duration) -> Duration {
        let step = Duration::from_secs(at_most.as_secs() / LONG_STEPS);
        let step = step.max(STEP).min(at_most);
        self.clock.advance(step);
        // The first ping wakes the driver, which does what is due; the second waits for that.
        if self.fence_all() {
            self.fence_all();
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

    fn attach(&mut self, by: &By) {
        let attached = match (by, self.door) {
            (None, _) => self.runtime.block_on(self.server.attach()),
            (Some(party), Some(door)) => {
                let domain = format!("{party}.{DOMAIN}");
                let attaching = partner::attach(door, &domain, PARTY_SECRET);
                self.runtime.block_on(attaching)
            }
            (Some(_), None) => Err(Failure::new("parties cannot attach")),
        };
        match attached {
            Ok(peer) => {
                self.peers.insert(by.clone(), peer);
            }
            Err(failure) => self.faults.push(failure.to_string()),
        }
    }

    fn detach(&mut self, by: &By) {
        if let Some(mut peer) = self.peers.remove(by)
            && let Err(failure) = self.runtime.block_on(peer.close())
        {
            self.faults.push(failure.to_string());
        }
    }

    fn closed(&mut self, party: &str) -> Result<(), String> {
        let by = Some(party.to_owned());
        if self.fence(&by) {
            return Err("it is still open".to_owned());
        }
        self.peers.remove(&by);
        Ok(())
    }

    fn reload(&mut self, settings: &Settings) {
        self.settings = settings.clone();
        let Some(process) = &self.process else {
            return;
        };
        process.admission.send_replace(admission(settings));
        let reload = Reload {
            settings: settings.clone(),
            rate: RATE,
        };
        if process.reload.blocking_send(reload).is_err() {
            self.faults.push("the driver has ended".to_owned());
        }
    }

    fn restart(&mut self, loss: Loss) {
        self.kill();
        self.peers.clear();
        self.sent.clear();
        self.start(loss);
    }

    fn shutdown(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        // It goes on for a grace time; what it says is read up to its end.
        if process.shutdown.send(()).is_ok() {
            while let Some(peer) = self.peers.get_mut(&None) {
                match self.runtime.block_on(peer.next()) {
                    Ok(Some(stanza)) => self.take(&None, stanza),
                    _ => self.detach(&None),
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
        while !self.peers.is_empty() && self.sent.is_empty() && since.elapsed() < PATIENCE {
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
