//! What the core has done since it was started, for the operator.

/// How often; the process' own, nothing of it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stanzas that came in, on all links.
    pub received: u64,
    /// Stanzas that went out, on all links.
    pub sent: u64,
    /// Questions after presence that were let through: probes, queries, each user of a bulk query.
    pub questions: u64,
    /// Of them those that were refused: about somebody whom the watcher may not see, or who is not.
    pub refused: u64,
    /// Questions beyond the limits.
    pub beyond: u64,
}
