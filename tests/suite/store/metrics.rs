//! The metrics listener, the schedule of exports and the command line, on the built component.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::built_binary;
use crate::support::component_process::{ComponentProcess, Config};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// The least that starts; nobody listens at its server.
fn config(more: &str) -> Config {
    Config::alone().with(more)
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A request and its answer; nothing while nobody listens.
fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// Waits until an answer has `word` in it.
fn until(address: SocketAddr, path: &str, word: &str) -> String {
    let began = Instant::now();
    loop {
        let answer = get(address, path);
        if let Some(answer) = answer.as_ref().filter(|answer| answer.contains(word)) {
            return answer.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{word:?} is not in {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn monitoring_is_answered_within_limits() {
    let address = free_address();
    let more = format!("[metrics]\nlisten = \"{address}\"\n");
    let _component =
        ComponentProcess::spawn(&built_binary("vestibule").unwrap(), &config(&more)).unwrap();
    let healthy = until(address, "/healthz", "ok");
    assert!(healthy.starts_with("HTTP/1.1 200 "), "{healthy}");
    let ready = get(address, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.contains("not attached"), "{ready}");
    let metrics = get(address, "/metrics?x=1").unwrap();
    assert!(metrics.contains("\nvestibule_attached 0\n"), "{metrics}");
    assert!(
        metrics.contains("\nvestibule_store_writable 1\n"),
        "{metrics}"
    );
    assert!(get(address, "/").unwrap().starts_with("HTTP/1.1 404 "));
    let posted = ask(
        address,
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(posted.unwrap().starts_with("HTTP/1.1 405 "));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let refused = ask(address, &long).unwrap_or_default();
    assert!(!refused.contains(" 200 "), "{refused}");
    // Who only connects takes a place for ten seconds, and then others have their turn.
    let idle: Vec<_> = (0..16)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let began = Instant::now();
    assert!(get(address, "/healthz").unwrap().contains("ok"));
    let waited = began.elapsed();
    assert!(
        (Duration::from_secs(5)..PATIENCE).contains(&waited),
        "{waited:?}"
    );
    drop(idle);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let more = format!("[metrics]\nlisten = \"{address}\"\n");
    let mut component =
        ComponentProcess::spawn(&built_binary("vestibule").unwrap(), &config(&more)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let code = runtime.block_on(component.exit_code(PATIENCE)).unwrap();
    assert_eq!(code, 64);
    let log = component.log();
    assert!(log.contains("metrics.listen: cannot listen on"), "{log}");
}

#[test]
fn a_full_disk_raises_an_alarm_that_ends_by_itself() {
    // So much is never free; then the same disk without that wish.
    let address = free_address();
    let more = format!("[metrics]\nlisten = \"{address}\"\n[store]\nmin-free = \"8000000TiB\"\n");
    let component =
        ComponentProcess::spawn(&built_binary("vestibule").unwrap(), &config(&more)).unwrap();
    // Nobody has tried to change anything.
    let metrics = until(address, "/metrics", "\nvestibule_store_writable 0\n");
    assert!(metrics.contains("vestibule_export_failures_total"));
    let ready = get(address, "/readyz").unwrap();
    assert!(ready.contains("store.min-free"), "{ready}");
    assert!(
        component.log().contains("no change is stored"),
        "{}",
        component.log()
    );
}

#[test]
fn a_new_store_is_exported_at_once_and_then_by_its_age() {
    let address = free_address();
    let more = format!("[metrics]\nlisten = \"{address}\"\n[store]\nexport-keep = 2\n");
    let mut component =
        ComponentProcess::spawn(&built_binary("vestibule").unwrap(), &config(&more)).unwrap();
    let exports = component.folder().join("store/exports");
    let began = Instant::now();
    while export_names(&exports).len() != 1 {
        assert!(began.elapsed() < PATIENCE, "{}", component.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    until(address, "/metrics", "vestibule_export_timestamp_seconds 17");
    component.kill();
    component.respawn().unwrap();
    until(address, "/healthz", "ok");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(export_names(&exports).len(), 1, "that is not a day old");
    component.kill();

    // What was exported can be imported, by the command line too.
    let file = exports.join(&export_names(&exports)[0]);
    let folder = component.folder().to_owned();
    let run = |arguments: &[&str]| -> Output {
        Command::new(built_binary("vestibule").unwrap())
            .args(arguments)
            .arg("--config")
            .arg(component.config_file())
            .env_clear()
            .output()
            .unwrap()
    };
    let told = |output: Output, code: i32, word: &str| {
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(word), "{word:?} is not in {text}");
    };
    let by_hand = folder.join("by-hand.jsonl");
    told(
        run(&["export", by_hand.to_str().unwrap()]),
        0,
        "0 records are in",
    );
    told(run(&["import", "/nowhere"]), 64, "cannot be read");
    told(
        run(&["import", component.config_file().to_str().unwrap()]),
        64,
        "no export",
    );
    told(run(&["import", file.to_str().unwrap()]), 0, "0 records");
    std::fs::remove_dir_all(folder.join("store/sled")).unwrap();
    std::fs::remove_file(folder.join("store/proof")).unwrap();
    told(
        run(&["export", by_hand.to_str().unwrap()]),
        73,
        "there is no store",
    );
    told(
        run(&["import", "--revive", by_hand.to_str().unwrap()]),
        0,
        "as it was then",
    );
    told(
        run(&["export", folder.to_str().unwrap()]),
        73,
        "something else is there",
    );
}

fn export_names(exports: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(exports) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jsonl"))
        .collect()
}
