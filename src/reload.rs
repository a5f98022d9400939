//! What a SIGHUP does: the configuration is read again, and taken up as far as that can be at run time.
//!
//! A file with anything wrong in it changes nothing; what is wrong is logged, as `check-config` tells it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tracing::Level;

use crate::config::Config;
use crate::driver::Reload;
use crate::link::dedicated::Admission;
use crate::web::Tokens;

/// Where the configuration is, and what is neither the core's nor the driver's.
pub struct Reloading {
    /// The file.
    pub file: PathBuf,
    /// Sets the level of the log.
    pub set_level: Box<dyn Fn(Level) + Send>,
}

impl Reloading {
    /// Runs until the driver has ended. `config` is what the component was started with.
    pub async fn run(
        self,
        mut config: Config,
        mut hangup: Signal,
        admission: watch::Sender<Arc<Admission>>,
        tokens: watch::Sender<Arc<Tokens>>,
        driver: mpsc::Sender<Reload>,
    ) {
        while hangup.recv().await.is_some() {
            let Some(next) = self.read(&config) else {
                continue;
            };
            match next.admission() {
                Ok(new) => admission.send_replace(Arc::new(new)),
                Err(error) => {
                    tracing::error!("configuration not taken up: dedicated.tls-cert: {error}");
                    continue;
                }
            };
            // Streams of parties end with it, so only where it is another.
            let secrets = Tokens::of(&next);
            tokens.send_if_modified(|now| {
                let is_other = **now != secrets;
                if is_other {
                    *now = Arc::new(secrets);
                }
                is_other
            });
            (self.set_level)(next.log_level);
            let reload = Reload {
                settings: next.settings(),
                rate: next.stanza_rate(),
            };
            if driver.send(reload).await.is_err() {
                return;
            }
            config = next;
            tracing::info!("configuration taken up from {}", self.file.display());
        }
    }

    fn read(&self, config: &Config) -> Option<Config> {
        let new = match Config::load(&self.file, std::env::vars_os()) {
            Ok(new) => new,
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!("configuration not taken up: {problem}");
                }
                return None;
            }
        };
        let (next, kept) = config.adopt(new);
        for key in kept {
            tracing::warn!("{key} has changed: that waits for the next start");
        }
        Some(next)
    }
}
