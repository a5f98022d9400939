//! The component's command line: arguments, configuration, log, store, driver, exit code.

use std::io::{self, IsTerminal, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vestibule::component::Component;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::config::{Config, LogFormat};
use vestibule::driver::{self, Parts, SystemClock};
use vestibule::store::Store;
use vestibule::store::committer::Committer;
use vestibule::store::embedded::Embedded;

/// Bad usage or configuration (sysexits: `EX_USAGE`).
const USAGE: u8 = 64;
/// The server cannot be reached, and no retry was wanted (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Something that should not happen (`EX_SOFTWARE`).
const INTERNAL: u8 = 70;
/// The store cannot be opened (`EX_CANTCREAT`).
const STORE: u8 = 73;
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
            ExitCode::SUCCESS
        }
        Command::Run { no_retry } => {
            log(&checked);
            // The panic has been told by then, with its place.
            panic::catch_unwind(AssertUnwindSafe(|| start(&checked, !no_retry)))
                .unwrap_or_else(|_| fail(INTERNAL, "ended by a fault of its own, see above"))
        }
    }
}

/// Says why it ends; standard error may be gone, and that is no reason to panic.
fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "vestibule: {why}");
    ExitCode::from(code)
}

/// Writes the log to standard error, at the configured level; of libraries only what goes wrong, for
/// their words may hold stanzas.
fn log(config: &Config) {
    let level = LevelFilter::from_level(config.log_level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("vestibule", level);
    let text = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets);
    match config.log_format {
        LogFormat::Text => registry.with(text).init(),
        LogFormat::Json => registry.with(text.json().with_ansi(false)).init(),
    }
}

/// Opens the store, attaches, and serves until told to end.
fn start(config: &Config, retry: bool) -> ExitCode {
    let mut stored = Vec::new();
    let opened = Embedded::open(&config.store_path, config.store_min_free).and_then(|mut store| {
        store.load(&mut |change| stored.push(change))?;
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
    let (committer, outcomes) = Committer::start(store, CAPACITY);
    let parts = Parts {
        core: Component::new(config.settings(), stored),
        committer,
        outcomes,
        link: config.link(),
        clock: SystemClock::default(),
        retry,
    };
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return fail(INTERNAL, error),
        };
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        match driver::run(parts, shutdown).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error @ driver::Error::Unreachable(_)) => fail(UNAVAILABLE, error),
            Err(error) => fail(INTERNAL, error),
        }
    })
}
