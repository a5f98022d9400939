//! The agent's executable: command line, configuration, log, signals and exit codes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use vestibule::agent::config::Config;
use vestibule::agent::logfile::LogFile;
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
    Run(File),
    /// Reads the file and says what is wrong with it, or what it allows.
    CheckConfig(File),
}

#[derive(clap::Args)]
struct File {
    /// The user's own file [default: ~/.config/vestibule/agent.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl File {
    /// The file, by default the one in her folder of configurations.
    fn path(self) -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|path| Path::new(path).is_absolute());
        self.config.unwrap_or_else(|| {
            let folder = set("XDG_CONFIG_HOME").map(PathBuf::from);
            let home = || PathBuf::from(set("HOME").unwrap_or_default()).join(".config");
            folder.unwrap_or_else(home).join("vestibule/agent.toml")
        })
    }
}

/// First of descriptors that are not standard input, output and error.
const FIRST_OTHER: i32 = 3;

fn main() -> ExitCode {
    // No program that is started inherits what the agent itself was given, as an open file or a socket.
    close_fds::set_fds_cloexec(FIRST_OTHER, &[]);
    let task = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => {
            // A closed standard error cannot be told of.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let (path, check) = match task {
        Task::Run(file) => (file.path(), false),
        Task::CheckConfig(file) => (file.path(), true),
    };
    let config = match Config::read(&path) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                eprintln!("vestibule-agent: {}: {problem}", path.display());
            }
            return ExitCode::from(USAGE);
        }
    };
    for warning in config.warnings() {
        eprintln!("vestibule-agent: {}: warning: {warning}", path.display());
    }
    if check {
        print!("{}", config.summary());
        return ExitCode::SUCCESS;
    }
    match log(&config) {
        Ok(()) => run(config),
        Err(error) => {
            eprintln!("vestibule-agent: cannot write the log: {error}");
            ExitCode::from(INTERNAL)
        }
    }
}

/// Begins the log where the file says.
fn log(config: &Config) -> std::io::Result<()> {
    // Of the libraries only what is wrong: at a lower level they write down stanzas and passwords.
    let filter = EnvFilter::new(format!("warn,vestibule={}", config.level));
    let writer = match &config.log_file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(path) => BoxMakeWriter::new(LogFile::open(path)?),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(false)
        .with_writer(writer)
        .init();
    Ok(())
}

fn run(config: Config) -> ExitCode {
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
