//! A component under measurement: a process of its own, at the raw stream of a server that is a loop.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;

/// The core that the component runs on; the server has the other ones.
const CORE: &str = "0";
/// Bytes in one write, about.
const CHUNK_BYTES: usize = 128 << 10;
/// How long a process may take to come up, or to answer at all.
const PATIENCE: Duration = Duration::from_secs(300);

/// What one stanza costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU time of the component's thread.
    pub(crate) cpu: Duration,
    /// Time in all.
    pub(crate) wall: Duration,
}

impl Cost {
    /// The better of two, each by itself: what disturbs a measurement only ever adds.
    pub(crate) fn best(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            wall: self.wall.min(other.wall),
        }
    }
}

/// A process that has attached.
pub(crate) struct Subject {
    child: Child,
    stream: TcpStream,
}

impl Subject {
    /// Starts a component and lets it attach. `make` gets the port of the server.
    pub(crate) fn attach(make: impl FnOnce(u16) -> Command) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = make(listener.local_addr().unwrap().port());
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(plain.get_program());
        command.args(plain.get_args());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{:?}: {error}", plain.get_program()))?;
        listener.set_nonblocking(true).unwrap();
        let began = Instant::now();
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if began.elapsed() > PATIENCE => return Err("did not attach".into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
            if let Some(status) = child.try_wait().unwrap() {
                return Err(format!("ended with {status}"));
            }
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut subject = Self { child, stream };
        subject.until("<stream:stream ");
        subject.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' from='presence.localhost' id='s1'>",
        );
        subject.until("</handshake>");
        subject.send("<handshake/>");
        Ok(subject)
    }

    /// Brings back, as a server does, what a component of ours says to itself when it has attached.
    pub(crate) fn bring_back(&mut self) {
        let mut announced = String::new();
        while announced.matches("</message>").count() < ::vestibule::link::ANNOUNCED {
            announced += &self.until(">");
        }
        self.send(&announced);
    }

    pub(crate) fn send(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).unwrap();
    }

    /// Reads up to `mark`; all that was read.
    pub(crate) fn until(&mut self, mark: &str) -> String {
        let (mut read, mut bytes) = (Vec::new(), [0; 4096]);
        while memchr::memmem::find(&read, mark.as_bytes()).is_none() {
            let n = self.stream.read(&mut bytes).unwrap();
            assert!(n > 0, "the component is gone");
            read.extend_from_slice(&bytes[..n]);
        }
        String::from_utf8(read).unwrap()
    }

    /// Lets all that is under way come, until nothing more does for a while.
    pub(crate) fn settle(&mut self) {
        let quiet = Duration::from_millis(300);
        self.stream.set_read_timeout(Some(quiet)).unwrap();
        let mut bytes = [0; 65536];
        while self.stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// CPU time that its main thread has used so far, by the scheduler's account.
    fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Memory that it holds, in MB (10^6 bytes).
    pub(crate) fn memory_mb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024 / 1_000_000
    }

    /// Sends what `stanzas` makes of each number up to `n`, and waits for as many marks; the cost of one.
    pub(crate) fn round(&mut self, n: usize, stanzas: &Work<'_>) -> Cost {
        let chunks = chunks(n, stanzas);
        let (cpu, began) = (self.cpu(), Instant::now());
        let mut writer = self.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for chunk in &chunks {
                    writer.write_all(chunk).unwrap();
                }
            });
            self.count(stanzas.mark, stanzas.marks.unwrap_or(n));
        });
        let each =
            |time: Duration| time / u32::try_from(stanzas.marks.unwrap_or(n).max(n)).unwrap();
        Cost {
            cpu: each(self.cpu() - cpu),
            wall: each(began.elapsed()),
        }
    }

    fn count(&mut self, mark: &str, n: usize) {
        let finder = Finder::new(mark);
        let (mut found, mut rest, mut bytes) = (0, Vec::new(), vec![0; 256 << 10]);
        while found < n {
            let read = self.stream.read(&mut bytes).unwrap();
            assert!(read > 0, "the component is gone");
            rest.extend_from_slice(&bytes[..read]);
            let mut taken = 0;
            while let Some(at) = finder.find(&rest[taken..]) {
                found += 1;
                taken += at + mark.len();
            }
            // A mark may be cut.
            taken = taken.max(rest.len().saturating_sub(mark.len()));
            rest.drain(..taken);
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is sent, and how an answer is known.
pub(crate) struct Work<'a> {
    /// The stanza with a number.
    pub(crate) stanza: &'a dyn Fn(usize) -> String,
    /// Stands in each answer once.
    pub(crate) mark: &'a str,
    /// How many there are, where that is not one for each stanza.
    pub(crate) marks: Option<usize>,
}

fn chunks(n: usize, work: &Work<'_>) -> Vec<Vec<u8>> {
    let mut chunks = vec![Vec::new()];
    for number in 0..n {
        let last = chunks.last_mut().unwrap();
        last.extend_from_slice((work.stanza)(number).as_bytes());
        if last.len() >= CHUNK_BYTES {
            chunks.push(Vec::new());
        }
    }
    chunks
}
