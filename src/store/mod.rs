//! The durable record of the working state.
//!
//! The interface is narrow on purpose: load everything, apply a batch durably. All reading at run
//! time is from memory (`component::state`).

use crate::component::record::Change;

/// What a store must be able to do. Calls block; only the committer's thread makes them.
pub trait Store: Send + 'static {
    /// Hands every record to `each`, as the change that would put it.
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error>;

    /// Applies `batch` in order; when it returns `Ok` with [`Durability::Synced`], all of it survives
    /// power loss.
    fn apply(&mut self, batch: &[Change], durability: Durability) -> Result<(), Error>;
}

/// How far a batch must have come before `apply` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk.
    Synced,
    /// Written behind: it may be lost in a crash, and costs no sync of its own.
    Behind,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
