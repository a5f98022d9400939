//! The agent's executable: command line, configuration, log, signals and exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use vestibule::agent::config::Config;
use vestibule::agent::session;

/// Bad usage or configuration.
const USAGE: u8 = 64;
/// The server refuses us.
const UNAVAILABLE: u8 = 69;
/// The operating system does not give what is needed.
const INTERNAL: u8 = 70;

/// Executes at the user's side what she has allowed.
#[derive(Parser)]
#[command(name = "vestibule-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Logs in and waits for commands.
    Run {
        /// The user's own file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let Task::Run { config } = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => {
            // A closed standard error cannot be told of.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match Config::read(&config) {
        Ok(settings) => run(settings),
        Err(problems) => {
            for problem in problems {
                eprintln!("vestibule-agent: {}: {problem}", config.display());
            }
            ExitCode::from(USAGE)
        }
    }
}

fn run(config: Config) -> ExitCode {
    // Of the libraries only what is wrong: at a lower level they write down stanzas and passwords.
    let filter = EnvFilter::new(format!("warn,vestibule={}", config.level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let shutdown = async {
                tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            };
            session::run(config, shutdown)
                .await
                .map_err(Box::<dyn std::error::Error>::from)
        })
    });
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };
    eprintln!("vestibule-agent: {error}");
    let refused = matches!(error.downcast_ref(), Some(session::Error::Refused(_)));
    ExitCode::from(if refused { UNAVAILABLE } else { INTERNAL })
}
