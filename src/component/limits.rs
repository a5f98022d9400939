//! Every limit of the core, with its reason.

/// Rates that the operator may set; 0 is no limit (design.md §4 `[limits]`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Answers a second to one watcher, sustained.
    pub probe_rate_per_watcher: f64,
    /// Answers to one watcher at once: it may log in with 1,000 contacts.
    pub probe_burst_per_watcher: f64,
    /// Answers a second to all watchers of one foreign domain.
    pub probe_rate_per_domain: f64,
    /// Answers to one foreign domain at once.
    pub probe_burst_per_domain: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe_rate_per_watcher: 20.0,
            probe_burst_per_watcher: 2000.0,
            probe_rate_per_domain: 500.0,
            probe_burst_per_domain: 20_000.0,
        }
    }
}

/// Characters of a custom status that are kept (protocol.md §9.1).
pub const STATUS_CHARS_MAX: usize = 1024;
