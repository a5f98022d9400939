//! `vestibule run` on a disk that fills up, below `store.min-free` and to its end: what users, programs,
//! watchers and the operator see of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::support::built_binary;
use crate::support::component_process::{ComponentProcess, Config};

const USERS: usize = 16;
/// Less than the small disk has free before it is filled.
const MIN_FREE: &str = "8MiB";

/// What the monitoring says.
fn metrics(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    }
    answer
}

async fn told(address: SocketAddr, path: &'static str, word: &str) {
    let told = async {
        while !metrics(address, path).contains(word) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let what = format!("{path} does not say {word:?}");
    timeout(PATIENCE, told).await.expect(&what);
}

/// She sets her status by command, as a program does; the answer.
async fn set(end: &mut FarEnd, n: usize, text: &str) -> Stanza {
    let from = user(n);
    end.send(&format!(
        "<iq type='set' id='s{n}' from='{from}/c' to='presence.localhost'><command \
         xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:status:0'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>urn:x-presence-service:status:0</value></field>\
         <field var='status-message'><value>{text}</value></field></x></command></iq>"
    ))
    .await;
    let id = format!("s{n}");
    end.until(PATIENCE, |stanza| {
        stanza.name() == "iq" && stanza.attribute("id").as_deref() == Some(&id)
    })
    .await
}

fn is_refused(answer: &Stanza) -> bool {
    let is_error = answer.attribute("type").as_deref() == Some("error");
    assert!(
        !is_error || answer.to_string().contains("<resource-constraint"),
        "{answer}"
    );
    is_error
}

/// What she sees of her own status.
async fn shown(end: &mut FarEnd, n: usize) -> Option<String> {
    end.send(&probe(n, &format!("{}/c", user(n)))).await;
    let mapped = mapped(n);
    let answer = end
        .until(PATIENCE, |stanza| {
            stanza.answers_probe()
                && stanza
                    .attribute("from")
                    .is_some_and(|from| from.starts_with(&mapped))
        })
        .await;
    answer.text_of("status")
}

async fn fills_up(min_free: &str, alarm: &str) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let disk = SmallDisk::mount(&store);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let monitoring = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let config = Config::alone().with(&format!(
        "[component]\nserver = \"{}\"\n[store]\npath = {:?}\nmin-free = \"{min_free}\"\n\
         [metrics]\nlisten = \"{monitoring}\"\n[limits]\nsubscriptions-per-minute = 0\n",
        listener.local_addr().unwrap(),
        store.display().to_string(),
    ));
    let mut component =
        ComponentProcess::spawn(&built_binary("vestibule").unwrap(), &config).unwrap();
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut end = FarEnd::greet(stream).await.unwrap();
    join(&mut end, USERS).await;
    told(monitoring, "/metrics", "vestibule_store_writable 1").await;

    disk.fill();
    // Each with her last acknowledged status, short enough to be shown whole; what sled has in its file it
    // may still use.
    let mut acknowledged = vec![None; USERS];
    let mut n = 0;
    loop {
        assert!(n < 10_000, "the disk does not fill up");
        let text = format!("{n} {}", "x".repeat(500));
        if is_refused(&set(&mut end, n % USERS, &text).await) {
            break;
        }
        acknowledged[n % USERS] = Some(text);
        n += 1;
    }
    // By chat she is told so in words; reads go on; the operator knows.
    end.send(&say(0, "status refused")).await;
    let words = end.acknowledged().await;
    assert!(words.contains("could not be saved"), "{words}");
    for (n, text) in acknowledged.iter().enumerate() {
        assert_eq!(&shown(&mut end, n).await, text, "u{n}");
    }
    told(monitoring, "/metrics", "vestibule_store_writable 0").await;
    told(monitoring, "/readyz", "read-only").await;
    let log = component.log();
    assert!(
        log.contains("no change is stored") && log.contains(alarm),
        "{log}"
    );
    // Of a full disk it may say next that the reserve has no room; and names the key only where it is
    // what keeps it from writing. The same to whoever reads it.
    for text in [log, metrics(monitoring, "/readyz")] {
        assert!(text.contains("then it goes on by itself"), "{text}");
        assert_eq!(text.contains("min-free"), min_free != "0", "{text}");
    }

    // It ends by itself, before anybody tries.
    disk.free();
    told(monitoring, "/metrics", "vestibule_store_writable 1").await;
    let log = component.log();
    assert!(log.contains("takes changes again"), "{log}");
    assert!(!is_refused(&set(&mut end, 0, "after").await));
    acknowledged[0] = Some("after".to_owned());

    component.kill();
    component.respawn().unwrap();
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut end = FarEnd::greet(stream).await.unwrap();
    for n in 0..USERS {
        let presence = format!("<presence from='{}/c' to='presence.localhost'/>", user(n));
        end.send(&presence).await;
    }
    for (n, text) in acknowledged.iter().enumerate() {
        assert_eq!(&shown(&mut end, n).await, text, "u{n}, after SIGKILL");
    }
    component.kill();
}

#[tokio::test]
async fn to_its_end_refuses_reads_on_and_recovers() {
    fills_up("0", "disk is full").await;
}

#[tokio::test]
async fn below_min_free_nothing_is_written_and_all_is_read() {
    fills_up(MIN_FREE, "store.min-free").await;
}
