//! The web face: a user's status as JSON, text, picture, page and live stream, and commands, over HTTP/1.1.
//!
//! ```text
//! listener ─► routes ─► who asks, budget ─► desk ─► driver ─► core … Answer ─► JSON │ text │ SVG │ HTML
//! ```
//!
//! Nothing is decided here but how it is said: who may see what is the core's. docs/web.md,
//! docs/design/0012-web.md.

mod act;
mod asker;
mod badge;
mod budget;
pub mod desk;
mod escape;
mod events;
mod json;
pub mod listener;
mod page;
mod read;
mod respond;
mod routes;
mod width;

use std::sync::Arc;

use tokio::sync::watch;

use crate::address::ComponentDomain;
use crate::config::Http;
use crate::metrics::Metrics;
pub use asker::Tokens;
use budget::Budget;
use desk::Desk;

/// What all requests share.
#[derive(Debug)]
pub struct Face {
    settings: Http,
    domain: ComponentDomain,
    desk: Desk,
    tokens: watch::Receiver<Arc<Tokens>>,
    budget: Budget,
    metrics: Arc<Metrics>,
    /// Whether the process is about to end.
    stopping: watch::Receiver<bool>,
}

impl Face {
    /// The web face with these settings; parties are known by `tokens`.
    #[must_use]
    pub fn new(
        settings: Http,
        domain: ComponentDomain,
        desk: Desk,
        tokens: watch::Receiver<Arc<Tokens>>,
        metrics: Arc<Metrics>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            budget: Budget::new(&settings),
            settings,
            domain,
            desk,
            tokens,
            metrics,
            stopping,
        }
    }
}
