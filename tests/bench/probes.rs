//! CPU for each probe answered, at the raw stream: the component does all of its real work (normalised
//! addresses, decision, rights, limits' look-ups) against a server that is a loop writing probes.
//!
//! The figure is the component's own CPU time from the scheduler, so a busy machine changes it little.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement ends where something is not as it must be, and reads the clock"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Probes in one round.
const PROBES: usize = 200_000;
/// Probes in one write.
const CHUNK: usize = 1_000;
const ROUNDS: usize = 3;

struct Component {
    child: Child,
    stream: TcpStream,
}

impl Component {
    fn attach(store: &std::path::Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = std::env::current_exe().unwrap();
        let program = own
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples/pipeline");
        let child = Command::new(program)
            .env(
                "PIPELINE_SERVER",
                listener.local_addr().unwrap().to_string(),
            )
            .env("PIPELINE_STORE", store)
            .stderr(Stdio::null())
            .spawn()
            .expect("examples/pipeline is built: use make bench");
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut component = Self { child, stream };
        component.until(b">");
        component.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' from='presence.localhost' id='s1'>",
        );
        component.until(b"</handshake>");
        component.send("<handshake/>");
        component
    }

    fn send(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).unwrap();
    }

    fn until(&mut self, mark: &[u8]) {
        let (mut read, mut bytes) = (Vec::new(), [0; 4096]);
        while !read.windows(mark.len()).any(|window| window == mark) {
            let n = self.stream.read(&mut bytes).unwrap();
            assert!(n > 0, "the component is gone");
            read.extend_from_slice(&bytes[..n]);
        }
    }

    /// CPU time used so far.
    fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Writes probes and counts answers; CPU and wall time of one.
    fn round(&mut self, probe: &str, answer: &[u8]) -> (Duration, Duration) {
        let (cpu, began) = (self.cpu(), Instant::now());
        let mut writer = self.stream.try_clone().unwrap();
        let chunk = probe.repeat(CHUNK);
        let writing = std::thread::spawn(move || {
            for _ in 0..PROBES / CHUNK {
                writer.write_all(chunk.as_bytes()).unwrap();
            }
        });
        let (mut n, mut rest, mut bytes) = (0, Vec::new(), vec![0; 256 << 10]);
        while n < PROBES {
            let read = self.stream.read(&mut bytes).unwrap();
            rest.extend_from_slice(&bytes[..read]);
            let mut taken = 0;
            while let Some(at) = memchr::memmem::find(&rest[taken..], answer) {
                n += 1;
                taken += at + answer.len();
            }
            rest.drain(..taken);
        }
        writing.join().unwrap();
        let each = |time: Duration| time / u32::try_from(PROBES).unwrap();
        (each(self.cpu() - cpu), each(began.elapsed()))
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut component = Component::attach(&folder.path().join("store"));
    let say = |text: &str| {
        format!(
            "<message type='chat' from='u0@localhost/c' to='presence.localhost'><body>{text}</body></message>"
        )
    };
    component.send(&say("join"));
    component.until(b"</message>");
    component.send("<presence type='subscribed' from='u0@localhost' to='presence.localhost'/>");
    component.until(b"'probe'/>");
    component.send(
        "<presence from='u0@localhost/c' to='presence.localhost'><show>away</show>\
         <status>lunch</status></presence>",
    );
    component.send(&say("visibility public"));
    component.until(b"</message>");
    let to = "u0\\40localhost@presence.localhost";
    let seen = format!("<presence type='probe' from='bot@remote.example/x' to='{to}' id='p'/>");
    let refused = seen.replace("u0", "nobody");
    println!("{PROBES} probes a round, {ROUNDS} rounds; per probe, of the component alone:");
    for (what, probe, answer) in [
        (
            "answered with state, text and rights",
            &seen,
            &b"</presence>"[..],
        ),
        ("refused, no such user", &refused, &b"'unsubscribed'/>"[..]),
    ] {
        for _ in 0..ROUNDS {
            let (cpu, wall) = component.round(probe, answer);
            println!("{what}: {cpu:.1?} CPU, {wall:.1?} wall");
        }
    }
}
