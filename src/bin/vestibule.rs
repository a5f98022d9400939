//! The component's command line: arguments, configuration, log, store, driver, exit code.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vestibule::component::Component;
use vestibule::component::limits::IN_FLIGHT_MAX;
use vestibule::config::{Config, Format, Level};
use vestibule::driver::{self, Parts, SystemClock};
use vestibule::store::Store;
use vestibule::store::committer::Committer;
use vestibule::store::embedded::Embedded;

/// Bad usage or configuration (sysexits: `EX_USAGE`).
const USAGE: u8 = 64;
/// The server cannot be reached, and no retry was wanted.
const UNAVAILABLE: u8 = 69;
/// Something that should not happen.
const INTERNAL: u8 = 70;
/// The store cannot be opened.
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
}

#[derive(Subcommand)]
enum Command {
    /// Attaches to the server and serves until SIGTERM or SIGINT.
    Run {
        /// The configuration.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/vestibule/vestibule.toml"
        )]
        config: PathBuf,
        /// Ends with 69 where the first attempt to attach fails, instead of trying again.
        #[arg(long)]
        no_retry: bool,
    },
    /// Reads the configuration and says what is wrong with it.
    CheckConfig {
        /// The configuration.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/vestibule/vestibule.toml"
        )]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; where they cannot be printed nothing else can.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let (Command::Run { config: path, .. } | Command::CheckConfig { config: path }) =
        &arguments.command;
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((
            name.into_string().ok()?,
            value.to_string_lossy().into_owned(),
        ))
    });
    let config = match Config::load(path, variables) {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems.0 {
                eprintln!("vestibule: {problem}");
            }
            return ExitCode::from(USAGE);
        }
    };
    match arguments.command {
        Command::CheckConfig { config: path } => {
            println!("{} is fine", path.display());
            ExitCode::SUCCESS
        }
        Command::Run { no_retry, .. } => {
            log(&config);
            run(config, !no_retry)
        }
    }
}

/// Writes the log to standard error, at the configured level; of libraries only what goes wrong, for
/// their words may hold stanzas.
fn log(config: &Config) {
    let level = match config.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("vestibule", level);
    let text = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets);
    match config.format {
        Format::Text => registry.with(text).init(),
        Format::Json => registry.with(text.json()).init(),
    }
}

/// Opens the store, attaches, and serves until told to end.
fn run(config: Config, retry: bool) -> ExitCode {
    let mut stored = Vec::new();
    let opened = Embedded::open(&config.store, config.min_free).and_then(|mut store| {
        store
            .load(&mut |change| stored.push(change))
            .map(|()| store)
    });
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            eprintln!("vestibule: {error}");
            return ExitCode::from(STORE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vestibule: {error}");
            return ExitCode::from(INTERNAL);
        }
    };
    let (committer, outcomes) = Committer::start(store, CAPACITY);
    let parts = Parts {
        core: Component::new(config.settings, stored),
        committer,
        outcomes,
        link: config.link,
        clock: SystemClock::default(),
        retry,
    };
    let ended = runtime.block_on(async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            return None;
        };
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Some(driver::run(parts, shutdown).await)
    });
    match ended {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error @ driver::Error::Unreachable(_))) => {
            eprintln!("vestibule: {error}");
            ExitCode::from(UNAVAILABLE)
        }
        Some(Err(error)) => {
            eprintln!("vestibule: {error}");
            ExitCode::from(INTERNAL)
        }
        None => {
            eprintln!("vestibule: signals cannot be listened to");
            ExitCode::from(INTERNAL)
        }
    }
}
