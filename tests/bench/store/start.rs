//! How long the component takes to be ready, and how much memory, after SIGKILL.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::authorization::{Ceiling, Confirm, Right, Visibility};
use vestibule::component::clock::Wall;
use vestibule::component::limits::Limits;
use vestibule::component::record::{Change, Grant, LastFace, LastSeen, Profile, ShownState, Uses};
use vestibule::component::{Component, Settings};
use vestibule::store::embedded::Embedded;
use vestibule::store::{Durability, Store};

use super::rate::status;

/// Tells the child which store to start on.
pub(crate) const STORE: &str = "VESTIBULE_BENCH_STORE";
/// The most users.
const USERS: &str = "VESTIBULE_BENCH_USERS";
const SINCE: Wall = Wall(1_795_438_800_000);

/// What is stored of user `n`: settings, a status, the last face, and of each tenth a grant.
fn records(n: u64) -> Vec<Change> {
    let user = Bare::parse(&format!("user{n}@example.org")).unwrap();
    let mut records = vec![
        Change::Profile {
            user: user.clone(),
            value: Some(Profile {
                joined: SINCE,
                visibility: Visibility::Subscribers,
                show_when_offline: true,
                public_rights: None,
                dormant: false,
                subscribed: true,
                declined: false,
                lost: false,
                last_seen: LastSeen::default(),
                share_idle: false,
                timezone: None,
                tell: std::collections::BTreeMap::new(),
            }),
        },
        status(n, 1),
        Change::Face {
            user: user.clone(),
            value: Some(LastFace {
                state: Some(ShownState::Away),
                text: Some("out for lunch".to_owned()),
                since: SINCE,
            }),
        },
    ];
    if n.is_multiple_of(10) {
        records.push(Change::Grant {
            user,
            watcher: Bare::parse("bot@acme.example").unwrap(),
            value: Some(Grant {
                rights: BTreeSet::from([Right::See, Right::OpenUrl]),
                confirm: Confirm::Never,
                confirmed: false,
                since: SINCE,
                until: None,
                interfaces: BTreeSet::new(),
                max_per_day: None,
                quiet: None,
                uses: Uses::default(),
                unasked: BTreeSet::new(),
                modules: BTreeSet::new(),
                unsigned: false,
            }),
        });
    }
    records
}

/// Writes a store of so many users and leaves it as SIGKILL would: nothing is closed.
fn write(path: &Path, users: u64) {
    let mut store = Embedded::open(path, 0).unwrap();
    for first in (0..users).step_by(1000) {
        let batch: Vec<_> = (first..first + 1000).flat_map(records).collect();
        store.apply(&batch, Durability::Synced).unwrap();
    }
}

/// Starts as `vestibule run` does, up to where it would attach.
pub(crate) fn child(path: &Path) {
    if let Ok(users) = std::env::var(USERS) {
        write(path, users.parse().unwrap());
        std::process::abort();
    }
    let settings = Settings {
        domain: ComponentDomain::parse("presence.example.org").unwrap(),
        users: vec![Bare::parse("example.org").unwrap()],
        admins: Vec::new(),
        neighbours: Vec::new(),
        contacts: Default::default(),
        timezone: vestibule::component::ending::zone("UTC").unwrap(),
        default_visibility: Visibility::Subscribers,
        parties: Vec::new().into(),
        ceiling: Ceiling::default(),
        limits: Limits::default(),
    };
    let began = Instant::now();
    let mut component = Component::new(settings, []);
    let mut store = Embedded::open(path, 0).unwrap();
    let opened = began.elapsed();
    component.expect(store.n_records());
    store
        .load(&mut |change| component.restore(&change))
        .unwrap();
    let ready = began.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    };
    println!(
        "ready in {:.2} s (sled alone {:.2} s; CPU {:.2} s), {} MiB, at most {} MiB",
        ready.as_secs_f64(),
        opened.as_secs_f64(),
        cpu_s(),
        mib("VmRSS"),
        mib("VmHWM")
    );
    drop(component);
}

/// CPU time of this process, all its threads: a busy machine changes it less than it does the time.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = |at: usize| -> f64 { fields.split_whitespace().nth(at).unwrap().parse().unwrap() };
    // utime and stime, in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

fn run(path: &Path, users: Option<u64>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(STORE, path).env_remove(USERS);
    if let Some(users) = users {
        command.env(USERS, users.to_string()).stderr(Stdio::null());
    }
    let status = command.status().unwrap();
    assert!(users.is_some() || status.success());
}

pub(crate) fn measure() {
    let most: u64 = std::env::var(USERS).map_or(1_000_000, |text| text.parse().unwrap());
    for users in [100_000, 1_000_000] {
        if users > most {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        run(&path, Some(users));
        println!("Start at {users} users, after SIGKILL and again:");
        for _ in 0..3 {
            run(&path, None);
        }
    }
}
