//! The component.
use std::collections::BTreeSet;
use std::process::ExitCode;

use serde::Deserialize;
use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::authorization::{Ceiling, Party, Visibility};
use vestibule::component::limits::{IN_FLIGHT_MAX, Limits};
use vestibule::component::{Component, Settings};
use vestibule::driver::{self, SystemClock};
use vestibule::store::{Store, committer::Committer, embedded::Embedded};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    component: RawComponent,
    store: RawStore,
    users: RawUsers,
    #[serde(default)]
    party: Vec<RawParty>,
}
#[derive(Deserialize)]
struct RawComponent {
    domain: String,
    server: String,
    secret: String,
}
#[derive(Deserialize)]
struct RawStore {
    path: String,
}
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawUsers {
    domains: Vec<String>,
    default_visibility: Option<String>,
}
#[derive(Deserialize)]
struct RawParty {
    name: String,
    #[serde(default)]
    jids: Vec<String>,
    rights: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    let path = args
        .iter()
        .position(|a| a == "--config")
        .map(|i| args[i + 1].clone())
        .expect("--config");
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let raw: Raw = toml::from_str(&std::fs::read_to_string(path).expect("config")).expect("toml");
    let domain = ComponentDomain::parse(&raw.component.domain).expect("domain");
    let settings = Settings {
        domain: domain.clone(),
        users: raw
            .users
            .domains
            .iter()
            .map(|d| Bare::parse(d).expect("domain"))
            .collect(),
        admins: vec![],
        default_visibility: raw
            .users
            .default_visibility
            .and_then(|v| Visibility::parse(&v))
            .unwrap_or(Visibility::Subscribers),
        parties: raw
            .party
            .iter()
            .map(|p| Party {
                name: p.name.clone(),
                jids: p
                    .jids
                    .iter()
                    .map(|d| Bare::parse(d).expect("jid"))
                    .collect(),
                rights: p
                    .rights
                    .iter()
                    .map(|r| r.parse().expect("right"))
                    .collect::<BTreeSet<_>>(),
            })
            .collect(),
        ceiling: Ceiling::default(),
        limits: Limits::default(),
    };
    let mut store = match Embedded::open(raw.store.path.as_ref(), 0) {
        Ok(s) => s,
        Err(e) => {
            eprintln!("vestibule: {e}");
            return ExitCode::from(73);
        }
    };
    let mut changes = vec![];
    if let Err(e) = store.load(&mut |c| changes.push(c)) {
        eprintln!("vestibule: {e}");
        return ExitCode::from(73);
    }
    let core = Component::new(settings, changes);
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let (committer, outcomes) = Committer::start(store, IN_FLIGHT_MAX);
    let link = vestibule::link::Settings {
        server: raw.component.server,
        domain,
        secret: raw.component.secret,
    };
    let parts = driver::Parts {
        core,
        committer,
        outcomes,
        link,
        clock: SystemClock::default(),
        retry: true,
    };
    let r = rt.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut t = signal(SignalKind::terminate()).expect("signal");
        let mut i = signal(SignalKind::interrupt()).expect("signal");
        driver::run(parts, async {
            tokio::select! { _ = t.recv() => {}, _ = i.recv() => {} }
        })
        .await
    });
    match r {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("vestibule: {e}");
            ExitCode::from(69)
        }
    }
}
