//! The component's command line: arguments, configuration, log, store, driver, exit code.

use std::io::{self, IsTerminal, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
// It takes the place of malloc (docs/design/0013-malloc.md).
use tikv_jemalloc_sys as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{Handle, Layer};
use tracing_subscriber::util::SubscriberInitExt;
use vestibule::component::Component;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::config::{Config, LogFormat};
use vestibule::driver::{self, Clock, Doors, Parts, SystemClock};
use vestibule::link::dedicated::{self, Admission};
use vestibule::metrics::{Metrics, listener};
use vestibule::reload::Reloading;
use vestibule::store::Store;
use vestibule::store::committer::Committer;
use vestibule::store::embedded::Embedded;
use vestibule::store::export;
use vestibule::store::import::{self, Import};
use vestibule::web::desk::{self, Counter};
use vestibule::web::{self, Tokens};

/// Bad usage or configuration (sysexits: `EX_USAGE`).
const USAGE: u8 = 64;
/// The server cannot be reached, and no retry was wanted (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Something that should not happen (`EX_SOFTWARE`).
const INTERNAL: u8 = 70;
/// The store cannot be opened (`EX_CANTCREAT`).
const STORE: u8 = 73;
/// Partners that have attached and wait for the driver.
const ARRIVING: usize = 16;
/// Batches whose outcome has not been read: what the core lets be in flight, and the write-behind of
/// last faces beside it.
const CAPACITY: usize = 2 * IN_FLIGHT_MAX;

/// A presence component for XMPP: who is there, what you may do, and the command carried to her client.
#[derive(Parser)]
#[command(name = "vestibule", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(default_value = "/etc/vestibule/vestibule.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Attaches to the server and serves until SIGTERM or SIGINT.
    Run {
        /// Ends with 69 where the first attempt to attach fails, instead of trying again.
        #[arg(long)]
        no_retry: bool,
    },
    /// Reads the configuration and says all that is wrong with it.
    CheckConfig,
    /// Writes all that is stored to a file, while the component is stopped; while it runs, an
    /// administrator says "export store" to it.
    Export {
        /// The file: lines of JSON, for the eyes of its owner alone.
        file: PathBuf,
    },
    /// Makes a store from an export. Who has left since does not come back, grants do not, and approved
    /// contacts wait for the user's word again, unless it is known that nothing was taken away since.
    Import {
        /// The export.
        file: PathBuf,
        /// The directory of the store that the export is of, as it was last, even damaged: it knows who
        /// has left since, and whether anything was taken away.
        #[arg(long, value_name = "DIRECTORY")]
        since: Option<PathBuf>,
        /// All users of the export come back, where it is not known who has left since.
        #[arg(long)]
        all_users: bool,
        /// Everything comes back, what was taken away since as well.
        #[arg(long)]
        revive: bool,
    },
}

fn main() -> ExitCode {
    let Arguments { command, config } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are no errors; where they cannot be printed nothing else can.
        Err(told) if !told.use_stderr() => {
            let _ = told.print();
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            let text = wrong.to_string();
            return fail(USAGE, text.trim_start_matches("error: ").trim_end());
        }
    };
    let checked = match Config::load(&config, std::env::vars_os()) {
        Ok(checked) => checked,
        Err(problems) => {
            for problem in &problems.0 {
                fail(USAGE, problem);
            }
            return ExitCode::from(USAGE);
        }
    };
    match command {
        Command::CheckConfig => {
            let _ = writeln!(io::stdout(), "{} is fine", config.display());
            let _ = write!(io::stdout(), "{}", checked.ceiling);
            ExitCode::SUCCESS
        }
        Command::Export { file } => {
            export(&checked, &file).map_or_else(|error| fail(STORE, error), printed)
        }
        Command::Import {
            file,
            since,
            all_users,
            revive,
        } => {
            let what = Import {
                file: &file,
                store: &checked.store_path,
                min_free: checked.store_min_free,
                default_visibility: checked.default_visibility,
                since: since.as_deref(),
                now: SystemClock::default().now().wall,
                all_users,
                revive,
            };
            match import::import(&what) {
                Ok(imported) => printed(imported.to_string()),
                Err(error @ import::Failure::Store(_)) => fail(STORE, error),
                Err(error) => fail(USAGE, error),
            }
        }
        Command::Run { no_retry } => {
            let level = log(&checked);
            let reloading = Reloading {
                file: config,
                set_level: Box::new(move |new| {
                    // Fails only where the log is gone already.
                    let _ = level.reload(targets(new));
                }),
            };
            // The panic has been told by then, with its place.
            panic::catch_unwind(AssertUnwindSafe(|| start(checked, reloading, !no_retry)))
                .unwrap_or_else(|_| fail(INTERNAL, "ended by a fault of its own, see above"))
        }
    }
}

/// Exports the store that the configuration names; a sentence for the operator.
fn export(config: &Config, file: &Path) -> Result<String, export::Failure> {
    let mut store = Embedded::open_present(&config.store_path, config.store_min_free)?;
    let made = SystemClock::default().now().wall;
    let exported = export::export(&mut store, file, made)?;
    Ok(format!(
        "{} records are in {}",
        exported.records,
        exported.path.display()
    ))
}

/// Says what was done.
fn printed(what: String) -> ExitCode {
    let _ = writeln!(io::stdout(), "{what}");
    ExitCode::SUCCESS
}

/// Says why it ends; standard error may be gone, and that is no reason to panic.
fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "vestibule: {why}");
    ExitCode::from(code)
}

/// Writes the log to standard error, at the configured level; of libraries only what goes wrong, for
/// their words may hold stanzas.
///
/// What it returns can change the level.
fn log(config: &Config) -> Handle<Targets, Registry> {
    let (targets, handle) = Layer::new(targets(config.log_level));
    let text = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets);
    match config.log_format {
        LogFormat::Text => registry.with(text).init(),
        LogFormat::Json => registry.with(text.json().with_ansi(false)).init(),
    }
    handle
}

fn targets(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("vestibule", level)
}

/// Opens the door for partners, where there is one.
async fn open_doors(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<(watch::Sender<Arc<Admission>>, Option<Doors>), String> {
    let admission = config.admission().map_err(|error| error.to_string())?;
    let (sender, admission) = watch::channel(Arc::new(admission));
    let Some(dedicated) = &config.dedicated else {
        return Ok((sender, None));
    };
    let listen = dedicated.listen;
    let listener = dedicated::bind(listen)
        .await
        .map_err(|error| format!("dedicated.listen: cannot listen on {listen}: {error}"))?;
    tracing::info!("parties attach to the dedicated link at {listen}");
    let (partners, arriving) = mpsc::channel(ARRIVING);
    tokio::spawn(dedicated::serve(
        listener,
        admission.clone(),
        partners,
        metrics,
    ));
    let rate = config.stanza_rate();
    let doors = Doors {
        arriving,
        admission,
        rate,
    };
    Ok((sender, Some(doors)))
}

/// What the web face needs beside its calls: whom it knows, and when to end.
struct WebFace {
    tokens: watch::Sender<Arc<Tokens>>,
    stopping: watch::Sender<bool>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl WebFace {
    /// Takes no more requests, and lets those under way end.
    async fn stop(self) {
        self.stopping.send_replace(true);
        if let Some(serving) = self.serving {
            let _ = serving.await;
        }
    }
}

/// Opens the web face, where there is one.
async fn open_web(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<(WebFace, Option<Counter>), String> {
    let (sender, tokens) = watch::channel(Arc::new(Tokens::of(config)));
    let (stopping, stopped) = watch::channel(false);
    let mut opened = WebFace {
        tokens: sender,
        stopping,
        serving: None,
    };
    let Some(http) = &config.http else {
        return Ok((opened, None));
    };
    let listener = web::listener::bind(http.listen).await?;
    tracing::info!("the web face listens on {}", http.listen);
    let (desk, counter) = desk::desk();
    let domain = config.domain.clone();
    let face = web::Face::new(http.clone(), domain, desk, tokens, metrics, stopped);
    opened.serving = Some(tokio::spawn(web::listener::serve(listener, face)));
    Ok((opened, Some(counter)))
}

/// Opens the store, attaches, and serves until told to end.
fn start(config: Config, reloading: Reloading, retry: bool) -> ExitCode {
    let mut core = Component::new(config.settings(), []);
    let opened = Embedded::open(&config.store_path, config.store_min_free).and_then(|mut store| {
        core.expect(store.n_records());
        store.load(&mut |change| core.restore(&change))?;
        Ok(store)
    });
    let store = match opened {
        Ok(store) => store,
        Err(error) => return fail(STORE, error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(INTERNAL, error),
    };
    let listener = match config.metrics_listen.map(listener::bind).transpose() {
        Ok(listener) => listener,
        Err(error) => return fail(USAGE, error),
    };
    let (committer, outcomes) = Committer::start(store, CAPACITY);
    let metrics = Arc::new(Metrics::new(committer.health()));
    runtime.block_on(async {
        match listener.map(TcpListener::from_std).transpose() {
            Ok(Some(listener)) => drop(tokio::spawn(listener::serve(listener, metrics.clone()))),
            Ok(None) => {}
            Err(error) => return fail(INTERNAL, error),
        }
        let (mut terminate, mut interrupt, hangup) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ) {
            (Ok(terminate), Ok(interrupt), Ok(hangup)) => (terminate, interrupt, hangup),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return fail(INTERNAL, error);
            }
        };
        let (admission, doors) = match open_doors(&config, metrics.clone()).await {
            Ok(opened) => opened,
            Err(why) => return fail(USAGE, why),
        };
        let (web_face, web) = match open_web(&config, metrics.clone()).await {
            Ok(opened) => opened,
            Err(why) => return fail(USAGE, why),
        };
        let (reload, reloads) = mpsc::channel(1);
        let parts = Parts {
            core,
            committer,
            outcomes,
            link: config.link(),
            clock: SystemClock::default(),
            retry,
            exports: Some(config.exports()),
            metrics,
            doors,
            web,
            reloads: Some(reloads),
        };
        tokio::spawn(reloading.run(config, hangup, admission, web_face.tokens.clone(), reload));
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            web_face.stop().await; // While the core still answers.
        };
        match driver::run(parts, shutdown).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error @ driver::Error::Unreachable(_)) => fail(UNAVAILABLE, error),
            Err(error) => fail(INTERNAL, error),
        }
    })
}
