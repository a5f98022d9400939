//! The durable record of the working state.
//!
//! The interface is narrow on purpose: load everything, apply a batch durably. All reading at run
//! time is from memory (`component::state`). [`Embedded`] keeps it in sled; [`Committer`] is the one
//! thread that writes.

mod codec;
mod committer;
mod embedded;
mod error;
mod proof;

use crate::component::record::Change;

pub use committer::{Batch, Committer, Outcome};
pub use embedded::Embedded;
pub use error::Error;

/// What a store must be able to do. Calls block; only the committer's thread makes them.
pub trait Store: Send + 'static {
    /// Hands every record to `each`, as the change that would put it, and checks all of them.
    fn load(&mut self, each: &mut dyn FnMut(Change)) -> Result<(), Error>;

    /// Applies `batch` in order, all or nothing; when it returns `Ok` with [`Durability::Synced`], all
    /// of it survives power loss. After an error nothing has been acknowledged, and nothing of the
    /// batch is promised to be absent.
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

/// Whether a change can be written at all.
fn is_writable(change: &Change) -> Result<(), Error> {
    codec::encode(change).map(|_| ()).map_err(Error::from)
}
