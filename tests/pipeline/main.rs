//! The component as the pipeline test runs it: the real driver on the real store, whose syncs can be
//! slowed down and which can kill the process at a chosen step.
//!
//! Environment: `PIPELINE_SERVER` (host:port), `PIPELINE_STORE` (folder), `PIPELINE_SYNC_MS`,
//! `PIPELINE_KILL_AT` (the step before which the process gets SIGKILL; each write has one before it
//! and one after), `PIPELINE_COUNT` (a file that grows by a byte for each synced write), `PIPELINE_USERS`
//! (so many have joined, in memory alone), `PIPELINE_WATCHERS` (so many watch one more of them).

mod population;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

// The malloc of the real component.
use tikv_jemalloc_sys as _;
use tokio::signal::unix::{SignalKind, signal};
use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::authorization::{Ceiling, Visibility};
use vestibule::component::limits::{IN_FLIGHT_MAX, Limits, SubscriptionRate};
use vestibule::component::record::Change;
use vestibule::component::{Component, Settings};
use vestibule::driver::{self, SystemClock};
use vestibule::link;
use vestibule::store::committer::Committer;
use vestibule::store::embedded::Embedded;
use vestibule::store::{Durability, Error, Origin, Store};

/// A store that is slow, and deadly at one step.
struct Faulty {
    store: Embedded,
    sync: Duration,
    kill_at: Option<u64>,
    step: u64,
    count: Option<String>,
}

impl Faulty {
    fn step(&mut self) {
        self.step += 1;
        if self.kill_at == Some(self.step) {
            let me = std::process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &me]).status();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

impl Store for Faulty {
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error> {
        self.store.load(each)
    }

    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error> {
        self.step();
        if durability == Durability::Synced {
            std::thread::sleep(self.sync);
            if let Some(path) = &self.count {
                let file = OpenOptions::new().create(true).append(true).open(path);
                file.and_then(|mut file| file.write_all(b"x"))
                    .expect("the count can be written");
            }
        }
        let applied = self.store.apply(batch, durability);
        self.step();
        applied
    }

    fn check(&mut self) -> Result<(), Error> {
        self.store.check()
    }

    fn begin_export(&mut self) -> Result<Origin, Error> {
        self.store.begin_export()
    }

    fn go_on_export(&mut self, most: usize, each: &mut dyn FnMut(Change)) -> Result<bool, Error> {
        self.store.go_on_export(most, each)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let domain = ComponentDomain::parse("presence.localhost").expect("a domain");
    let settings = Settings {
        domain: domain.clone(),
        users: vec![Bare::parse("localhost").expect("a domain")],
        admins: Vec::new(),
        neighbours: Vec::new(),
        default_visibility: Visibility::Private,
        timezone: vestibule::component::ending::zone("UTC").expect("a zone"),
        parties: Vec::new().into(),
        ceiling: Ceiling::default(),
        limits: Limits {
            probe_rate_per_watcher: 0.0,
            probe_burst_per_watcher: 0.0,
            probe_rate_per_domain: 0.0,
            probe_burst_per_domain: 0.0,
            refusals_per_minute: 0.0,
            subscriptions_per_minute: SubscriptionRate::PerMinute(0),
            ..Limits::default()
        },
        contacts: BTreeMap::new(),
    };
    let path = variable("PIPELINE_STORE").expect("a folder");
    let number = |name| variable(name).and_then(|text| text.parse::<u64>().ok());
    let mut store = Faulty {
        store: Embedded::open(path.as_ref(), 0).expect("the store opens"),
        sync: Duration::from_millis(number("PIPELINE_SYNC_MS").unwrap_or(0)),
        kill_at: number("PIPELINE_KILL_AT"),
        step: 0,
        count: variable("PIPELINE_COUNT"),
    };
    let mut stored = Vec::new();
    store
        .load(&mut |change| stored.push(change))
        .expect("the store loads");
    let users = number("PIPELINE_USERS").unwrap_or(0);
    let watchers = number("PIPELINE_WATCHERS").unwrap_or(0);
    let core = Component::new(
        settings,
        stored.into_iter().chain(population::of(users, watchers)),
    );
    let (committer, outcomes) = Committer::start(store, IN_FLIGHT_MAX);
    let server = variable("PIPELINE_SERVER").expect("an address");
    let link = link::Settings {
        server,
        tls: None,
        domain,
        secret: "sekrit".into(),
    };
    let clock = SystemClock::default();
    let parts = driver::Parts {
        core,
        committer,
        outcomes,
        link,
        clock,
        retry: true,
        exports: None,
        metrics: Arc::default(),
        doors: None,
        web: None,
        reloads: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).expect("a signal");
        driver::run(parts, async move {
            terminate.recv().await;
        })
        .await
    });
    if ended.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
