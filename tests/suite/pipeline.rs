//! The pipeline core → committer → link under slow syncs, a reader that stalls, SIGKILL and a full disk.
//!
//! What must hold: order per (from, to); nothing acknowledged is lost; nothing is sent after an
//! acknowledged revocation; many changes per sync; probes are not held up; no deadlock; bounded memory.

mod alarm;
mod kill_rounds;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::support::built_example;
use crate::support::far_end::{FarEnd, Stanza};

/// Whatever takes longer than this is a deadlock.
const PATIENCE: Duration = Duration::from_secs(60);
/// The watcher whose grants come and go.
const WATCHER: &str = "w@remote.example/x";

/// The component on its own store, attached to us.
struct Rig {
    child: Option<Child>,
    listener: TcpListener,
    /// Unmounted after the component has ended, before the folder goes.
    disk: Option<SmallDisk>,
    folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            child: None,
            listener,
            disk: None,
            folder,
        }
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    fn count(&self) -> u64 {
        std::fs::metadata(self.folder.path().join("count")).map_or(0, |data| data.len())
    }

    /// Starts the component; `None` where it died before it was attached.
    async fn start(&mut self, sync_ms: u64, kill_at: Option<u64>) -> Option<FarEnd> {
        let mut command = Command::new(built_example("pipeline").unwrap());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env(
                "PIPELINE_SERVER",
                self.listener.local_addr().unwrap().to_string(),
            )
            .env("PIPELINE_STORE", self.store())
            .env("PIPELINE_COUNT", self.folder.path().join("count"))
            .env("PIPELINE_SYNC_MS", sync_ms.to_string())
            .stdin(Stdio::null())
            .stderr(if std::env::var_os("PIPELINE_LOG").is_some() {
                Stdio::inherit()
            } else {
                Stdio::null()
            });
        if let Some(step) = kill_at {
            command.env("PIPELINE_KILL_AT", step.to_string());
        }
        let mut child = command.spawn().unwrap();
        let end = tokio::select! {
            accepted = self.listener.accept() => FarEnd::greet(accepted.unwrap().0).await,
            () = ended(&mut child) => None,
            () = sleep(PATIENCE) => panic!("the component did not attach"),
        };
        self.child = Some(child);
        end
    }

    /// Ends the component with SIGKILL.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The most memory that the component has had, in KiB.
    fn peak_kib(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn ended(child: &mut Child) {
    while child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(5)).await;
    }
}

fn user(n: usize) -> String {
    format!("u{n}@localhost")
}

fn mapped(n: usize) -> String {
    format!("u{n}\\40localhost@presence.localhost")
}

fn say(n: usize, text: &str) -> String {
    let from = user(n);
    format!(
        "<message type='chat' from='{from}/c' to='presence.localhost'><body>{text}</body></message>"
    )
}

fn probe(n: usize, from: &str) -> String {
    format!(
        "<presence type='probe' from='{from}' to='{}' id='p'/>",
        mapped(n)
    )
}

/// An acknowledgement in chat: whose, and what it says.
fn acknowledgement(stanza: &Stanza) -> Option<(String, String)> {
    let body = stanza.body()?;
    let to = stanza.attribute("to")?.split('/').next()?.to_owned();
    (stanza.name() == "message").then_some((to, body))
}

/// Users join, let the component see them, and are online.
async fn join(end: &mut FarEnd, users: usize) {
    for n in 0..users {
        end.send(&say(n, "join")).await;
    }
    for _ in 0..users {
        end.until(PATIENCE, |stanza| acknowledgement(stanza).is_some())
            .await;
    }
    for n in 0..users {
        let (from, to) = (user(n), "presence.localhost");
        end.send(&format!(
            "<presence type='subscribed' from='{from}' to='{to}'/>"
        ))
        .await;
        end.send(&format!("<presence from='{from}/c' to='{to}'/>"))
            .await;
    }
    for _ in 0..users {
        let probe = |stanza: &Stanza| stanza.attribute("type").as_deref() == Some("probe");
        end.until(PATIENCE, probe).await;
    }
}

/// 256 changes in flight beside probes, with syncs of 50 ms.
#[tokio::test]
async fn changes_in_flight_do_not_hold_up_probes() {
    const USERS: usize = 64;
    let mut rig = Rig::new().await;
    let mut end = rig.start(50, None).await.unwrap();
    join(&mut end, USERS).await;
    let before = rig.count();

    let mut burst = String::new();
    for round in 0..4 {
        for n in 0..USERS {
            burst += &match round {
                0 => say(n, "status one"),
                1 => say(n, "grant w@remote.example see"),
                2 => say(n, "status two"),
                _ => say(n, "revoke w@remote.example"),
            };
            burst += &probe(n, &format!("{}/c", user(n)));
            burst += &probe(n, WATCHER);
        }
    }
    end.send(&burst).await;

    let mut acknowledged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    let (mut n_acks, mut n_answers, mut n_early) = (0, 0, 0);
    while n_acks < 4 * USERS || n_answers < 2 * 4 * USERS {
        let stanza = end.next(PATIENCE).await;
        if let Some((who, text)) = acknowledgement(&stanza) {
            n_acks += 1;
            let acks = acknowledged.entry(who.clone()).or_default();
            acks.push(text);
            // Her own probe came right behind each change: its answer did not wait for the disk.
            let answers = answered.get(&who).copied().unwrap_or_default();
            assert!(
                answers >= acks.len(),
                "{who}: a probe waited for change {}",
                acks.len()
            );
        } else if stanza.answers_probe() {
            n_answers += 1;
            n_early += usize::from(n_acks == 0);
            let from = stanza.attribute("from").unwrap();
            let who = from.split('@').next().unwrap().replace("\\40", "@");
            if stanza.attribute("to").unwrap().starts_with("w@") {
                let type_ = stanza.attribute("type");
                let revoked = acknowledged.get(&who).is_some_and(|acks| acks.len() == 4);
                let refused = type_.as_deref() == Some("unsubscribed");
                assert!(
                    !revoked || refused,
                    "after the acknowledged revocation: {stanza}"
                );
            } else {
                *answered.entry(who).or_default() += 1;
            }
        }
    }
    let n_syncs = rig.count() - before;
    println!(
        "256 changes: {n_syncs} syncs; {n_early} of 512 probes answered before the first change"
    );
    assert!(
        n_syncs * 4 <= 256,
        "too few changes per sync: {n_syncs} syncs"
    );
    for (who, texts) in &acknowledged {
        let order = ["“one”", "may now", "“two”", "nothing by your word"];
        assert_eq!(texts.len(), 4, "{who}: {texts:?}");
        for (text, word) in texts.iter().zip(order) {
            assert!(text.contains(word), "{who}: {texts:?}");
        }
    }
    for n in 0..USERS {
        end.send(&probe(n, WATCHER)).await;
        let answer = end
            .until(PATIENCE, |stanza| stanza.name() == "presence")
            .await;
        assert_eq!(
            answer.attribute("type").as_deref(),
            Some("unsubscribed"),
            "{answer}"
        );
    }
}

/// The server writes and does not read for 10 s: the component stops reading too, loses no answer, and
/// takes no memory for what it cannot send.
#[tokio::test]
async fn a_reader_that_stalls_loses_nothing() {
    const USERS: usize = 16;
    let mut rig = Rig::new().await;
    let mut end = rig.start(50, None).await.unwrap();
    join(&mut end, USERS).await;
    let before = rig.peak_kib();
    for n in 0..USERS {
        end.send(&say(n, "status stalled")).await;
    }
    let one = probe(0, "u0@localhost/c");
    let mut n_sent = 0_u64;
    let stalled = tokio::time::Instant::now();
    while stalled.elapsed() < Duration::from_secs(10) {
        // A batch that does not fit the sockets' buffers is finished by the far end later.
        if end
            .offer(one.repeat(100).as_bytes(), Duration::from_millis(200))
            .await
        {
            n_sent += 100;
        }
    }
    let (rest, mut n_answers, mut n_acks) = (end.take_unsent(), 0_u64, 0);
    n_sent += rest.1 * 100;
    end.send_while_reading(rest.0);
    while n_answers < n_sent || n_acks < USERS {
        let stanza = end.next(PATIENCE).await;
        n_acks += usize::from(acknowledgement(&stanza).is_some());
        n_answers += u64::from(stanza.answers_probe());
    }
    let grown = rig.peak_kib().saturating_sub(before);
    println!("stalled for 10 s: {n_sent} probes, all answered; memory grew by {grown} KiB");
    assert!(n_sent > 1_000, "the server could hardly write: {n_sent}");
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB");
    end.quiet(Duration::from_millis(200)).await;
}

/// What has been acknowledged to each user.
#[derive(Default)]
struct Ledger {
    /// The status that was acknowledged last, and one that was asked for after it.
    status: [Option<String>; 2],
    /// The same of the grant to the watcher: whether there is one.
    grant: [Option<bool>; 2],
}

/// The changes of one run, in lockstep: the next is asked for when the last is acknowledged.
const SCRIPT: [&str; 6] = [
    "status one",
    "grant w@remote.example see",
    "status two",
    "revoke w@remote.example",
    "status three",
    "grant w@remote.example see",
];

/// Plays the script; `false` where the component died in it. `kill_after` kills it as soon as so many
/// acknowledgements have come.
async fn play(
    rig: &mut Rig,
    end: &mut FarEnd,
    ledger: &mut Ledger,
    kill_after: Option<usize>,
) -> bool {
    for (n_acks, line) in SCRIPT.into_iter().enumerate() {
        if kill_after == Some(n_acks) {
            rig.kill();
            return false;
        }
        match line.strip_prefix("status ") {
            Some(text) => ledger.status[1] = Some(text.to_owned()),
            None => ledger.grant[1] = Some(line.starts_with("grant")),
        }
        if !end.try_send(&say(0, line)).await {
            return false;
        }
        loop {
            match end.try_next(PATIENCE).await {
                None => return false,
                Some(stanza) if acknowledgement(&stanza).is_some() => break,
                Some(_) => {}
            }
        }
        match line.strip_prefix("status ") {
            Some(_) => ledger.status[0] = ledger.status[1].clone(),
            None => ledger.grant[0] = ledger.grant[1],
        }
    }
    true
}

/// Holds what the restarted component says against the ledger.
async fn hold(end: &mut FarEnd, ledger: &Ledger, what: &str) {
    end.send(&probe(0, "u0@localhost/c")).await;
    let face = end.until(PATIENCE, Stanza::answers_probe).await;
    let shown = face.text_of("status");
    assert!(
        ledger.status.contains(&shown),
        "{what}: {shown:?} is not in {:?}",
        ledger.status
    );
    end.send(&probe(0, WATCHER)).await;
    let answer = end.until(PATIENCE, Stanza::answers_probe).await;
    let granted = answer.attribute("type").as_deref() != Some("unsubscribed");
    let none = ledger.grant[0].is_none() && !granted;
    assert!(
        none || ledger.grant.contains(&Some(granted)),
        "{what}: granted is {granted}"
    );
}

async fn killed(kill_at: Option<u64>, kill_after: Option<usize>) -> bool {
    let what = format!("killed at step {kill_at:?}, after {kill_after:?} acknowledgements");
    let mut rig = Rig::new().await;
    let mut end = rig.start(0, None).await.unwrap();
    join(&mut end, 1).await;
    rig.kill();
    let mut ledger = Ledger::default();
    let survived = match rig.start(0, kill_at).await {
        Some(mut end) => play(&mut rig, &mut end, &mut ledger, kill_after).await,
        None => false,
    };
    rig.kill();
    let mut end = rig
        .start(0, None)
        .await
        .unwrap_or_else(|| panic!("{what}: does not start again"));
    hold(&mut end, &ledger, &what).await;
    survived
}

/// SIGKILL before and after each write, and after each acknowledgement.
#[tokio::test]
async fn nothing_acknowledged_is_lost_by_sigkill() {
    let mut steps = 0;
    while !killed(Some(steps + 1), None).await {
        steps += 1;
        assert!(steps < 200, "the script has no end");
    }
    assert!(
        steps >= 2 * SCRIPT.len() as u64,
        "the process was killed at {steps} steps only"
    );
    for n_acks in 0..SCRIPT.len() {
        assert!(!killed(None, Some(n_acks)).await);
    }
    println!(
        "SIGKILL at {steps} steps of the store and after each of {} answers",
        SCRIPT.len()
    );
}

/// A disk that can be filled.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: &Path) -> Self {
        std::fs::create_dir(path).unwrap();
        let options = "size=24m,mode=0700,nosuid,nodev";
        let run = |program: &str, extra: &[&str]| {
            let mount = ["-t", "tmpfs", "-o", options, "vestibule-test"];
            let command = Command::new(program)
                .args(extra)
                .args(mount)
                .arg(path)
                .status();
            command.is_ok_and(|status| status.success())
        };
        let mounted = run("mount", &[]) || run("sudo", &["-n", "mount"]);
        assert!(
            mounted,
            "a file system of 24 MB is needed: run the tests as root or with sudo"
        );
        Self(path.to_owned())
    }

    fn fill(&self) {
        let mut block = vec![7_u8; 64 << 10];
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        while !block.is_empty() {
            if std::io::Write::write_all(&mut file, &block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = Command::new("sudo")
                .args(["-n", "umount"])
                .arg(&self.0)
                .status();
        }
    }
}

/// The disk fills up, until changes are refused, before each kind of change in turn: probes go on, when
/// there is room again so do changes, and after a restart nothing acknowledged is missing.
#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    const FILLERS: usize = 16;
    let mut rig = Rig::new().await;
    rig.disk = Some(SmallDisk::mount(&rig.store()));
    let mut end = rig.start(0, None).await.unwrap();
    join(&mut end, 1 + FILLERS).await;
    let (mut ledger, mut n_written) = (Ledger::default(), 0);
    for (round, line) in SCRIPT.into_iter().enumerate() {
        let said = |text: String| {
            if text.contains("could not be saved") {
                None
            } else {
                Some(text)
            }
        };
        rig.disk.as_ref().unwrap().fill();
        // What sled has in its file already it can still use; so others write it full.
        let text = "x".repeat(1000);
        for n in 0.. {
            assert!(n < 10_000, "the disk does not fill up");
            end.send(&say(1 + n % FILLERS, &format!("status {round} {n} {text}")))
                .await;
            if said(end.acknowledged().await).is_none() {
                break;
            }
            n_written += 1;
        }
        end.send(&say(0, line)).await;
        // Whether it is refused, or finds room that the store has kept back, is the store's to say; what
        // it says must be true.
        end.acknowledged().await;
        end.send(&probe(0, "u0@localhost/c")).await;
        end.until(PATIENCE, Stanza::answers_probe).await;
        rig.disk.as_ref().unwrap().free();
        let written = async {
            loop {
                end.send(&say(0, line)).await;
                if said(end.acknowledged().await).is_some() {
                    break;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(PATIENCE, written)
            .await
            .expect("the store can be written again");
        match line.strip_prefix("status ") {
            Some(text) => ledger.status = [Some(text.to_owned()), None],
            None => ledger.grant = [Some(line.starts_with("grant")), None],
        }
        rig.kill();
        end = rig.start(0, None).await.unwrap();
        hold(&mut end, &ledger, &format!("full before “{line}”")).await;
    }
    println!(
        "a full disk before each of {} changes; {n_written} written on the way",
        SCRIPT.len()
    );
}
