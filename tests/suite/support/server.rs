//! A real XMPP server, Prosody or ejabberd, in a temporary folder on free loopback ports.
//!
//! It serves the domain `localhost`, without TLS unless it is given a certificate, lets anyone register,
//! and takes one external component. What the two servers need for that is in [`super::prosody`] and [`super::ejabberd`].

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::Client;
use super::ports::Port;
use super::process::{self, Process};
use super::{Failure, ejabberd, prosody};

/// The domain that every server serves.
pub(crate) const DOMAIN: &str = "localhost";

/// How long a server may take to answer: 2 s measured cold, and the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// How long a server may take to end on SIGTERM: 1 s measured, once 13 s (ejabberd).
const STOP: Duration = Duration::from_secs(40);

/// How long a server waits for its turn while others run.
const TURN: Duration = Duration::from_secs(900);

/// How often a starting server is asked whether it answers.
const POLL: Duration = Duration::from_millis(20);

/// Servers at the same time: two run well on two cores.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)))
});

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Prosody 0.12.
    Prosody,
    /// ejabberd 23.01.
    Ejabberd,
}

impl Kind {
    /// Both, for tests that hold everywhere.
    pub(crate) const ALL: [Self; 2] = [Self::Prosody, Self::Ejabberd];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        })
    }
}

/// What a test may want otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The domain of the external component.
    pub(crate) component: String,
    /// The secret of the external component; letters and digits.
    pub(crate) secret: String,
    /// With it the server offers TLS to clients; it never asks for it.
    pub(crate) certificate: Option<Certificate>,
    /// With it the component's port is one of TLS alone. ejabberd only.
    pub(crate) component_certificate: Option<Certificate>,
    /// For how long a session with XEP-0198 outlives its connection, in seconds; the server's default
    /// is minutes.
    pub(crate) hibernation_s: Option<u32>,
    /// Accounts, `name` with the password `name`, made before the server runs with Debian's own
    /// configuration, which registers nobody; empty: the tests' configuration. ejabberd only.
    pub(crate) debian: Vec<String>,
    /// Whether it shows its users' presence on the web by a module of its own, `mod_webpresence`.
    pub(crate) web_presence: bool,
}

/// Who the server says it is, as two files in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The certificate of the server.
    pub(crate) public: PathBuf,
    /// Its private key.
    pub(crate) private: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            component: "presence.localhost".to_owned(),
            secret: "sekrit".to_owned(),
            certificate: None,
            component_certificate: None,
            hibernation_s: None,
            debian: Vec::new(),
            web_presence: false,
        }
    }
}

/// A server: running, stopped or killed. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    options: Options,
    // Before the folder and the ports, so that the process is gone before they are.
    process: Option<Process>,
    folder: TempDir,
    c2s: Port,
    component: Port,
    web: Port,
    /// Of what else Debian's configuration listens for.
    spare: Vec<Port>,
    _turn: SemaphorePermit<'static>,
}

impl Server {
    /// Starts a server and waits until it answers.
    ///
    /// Only so many run at once as the machine has cores (at least two); others wait here for their
    /// turn. So a test must not hold more than one unless all are started before anything else waits.
    pub(crate) async fn start(kind: Kind, options: Options) -> Result<Self, Failure> {
        let turn = tokio::time::timeout(TURN, TURNS.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Failure::new(format!("{kind} did not get its turn in {TURN:?}")))?;
        let folder = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        let mut server = Self {
            kind,
            options,
            process: None,
            folder,
            c2s: Port::reserve()?,
            component: Port::reserve()?,
            web: Port::reserve()?,
            spare: Vec::new(),
            _turn: turn,
        };
        let prepared = match kind {
            Kind::Prosody => prosody::prepare(&server),
            Kind::Ejabberd => ejabberd::prepare(&server),
        };
        prepared.map_err(|error| Failure::new(format!("cannot configure {kind}: {error}")))?;
        server.run().await?;
        if !server.options.debian.is_empty() {
            for user in server.options.debian.clone() {
                Client::register(&server, &user, &user).await?;
            }
            server.stop().await?;
            server.spare = (0..ejabberd::DEBIAN_PORTS.len())
                .map(|_| Port::reserve())
                .collect::<Result<_, _>>()?;
            ejabberd::prepare_as_debian(&server)?;
            server.run().await?;
        }
        Ok(server)
    }

    /// Stops it by SIGTERM and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await?;
        }
        Ok(())
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, after stopping it if it runs: the same folder, ports and accounts.
    pub(crate) async fn restart(&mut self) -> Result<(), Failure> {
        self.stop().await?;
        self.run().await
    }

    /// Ports for what else Debian's configuration listens for.
    pub(super) fn spare_ports(&self) -> impl Iterator<Item = u16> {
        self.spare.iter().map(|port| port.address().port())
    }

    /// What the test wants otherwise.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Which server it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Where clients connect.
    pub(crate) fn c2s_address(&self) -> SocketAddr {
        self.c2s.address()
    }

    /// Where it shows presence on the web, where it does.
    pub(crate) fn web_address(&self) -> SocketAddr {
        self.web.address()
    }

    /// Where the component connects.
    pub(crate) fn component_address(&self) -> SocketAddr {
        self.component.address()
    }

    /// The domain of the external component.
    pub(crate) fn component_domain(&self) -> &str {
        &self.options.component
    }

    /// The secret of the external component.
    pub(crate) fn secret(&self) -> &str {
        &self.options.secret
    }

    /// What it proves itself with to clients that ask for TLS.
    pub(crate) fn certificate(&self) -> Option<&Certificate> {
        self.options.certificate.as_ref()
    }

    /// The folder that holds its configuration, data and logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id while it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        process::read_log(&self.folder().join(LOG), 0)
    }

    async fn run(&mut self) -> Result<(), Failure> {
        let program = match self.kind {
            Kind::Prosody => prosody::command(self),
            Kind::Ejabberd => ejabberd::command(self),
        };
        let command: Command = program.ok_or_else(|| missing(self.kind))?;
        let mut process =
            Process::spawn(&self.kind.to_string(), command, &self.folder().join(LOG))?;
        let answering = async {
            while process.ended().is_none() {
                if self.answers().await {
                    return true;
                }
                tokio::time::sleep(POLL).await;
            }
            false
        };
        match tokio::time::timeout(START, answering).await {
            Ok(true) => {
                self.process = Some(process);
                Ok(())
            }
            Ok(false) => Err(process.failure("ended while it was starting")),
            Err(_) => Err(process.failure(&format!("did not answer within {START:?}"))),
        }
    }

    /// Tells whether both ports accept and a client's stream header is answered: ejabberd opens its
    /// ports half a second before that.
    async fn answers(&self) -> bool {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        let ask = async {
            TcpStream::connect(self.component_address()).await?;
            let mut stream = TcpStream::connect(self.c2s_address()).await?;
            stream.write_all(header.as_bytes()).await?;
            let mut answer = [0; 1];
            stream.read_exact(&mut answer).await
        };
        matches!(
            tokio::time::timeout(Duration::from_secs(2), ask).await,
            Ok(Ok(_))
        )
    }
}

/// The name of the log file in the server's folder.
pub(crate) const LOG: &str = "server.log";

fn missing(kind: Kind) -> Failure {
    Failure::new(format!(
        "{kind} is not installed: run make test, or apt-get install --no-install-recommends {kind}"
    ))
}
