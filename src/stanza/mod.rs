//! The wire vocabulary that xmpp-parsers lacks, as types, and what the link hands to the core.
//!
//! Everything here stands in `jabber:client`; only `link/` knows the namespace of the stream.

pub mod arrival;
pub mod command;
pub mod compose;
pub mod inbound;
pub mod outcome;
pub mod size;

pub use arrival::{Arrival, Fault, Refused};
pub use compose::Compose;
pub use inbound::{Inbound, Kind};
