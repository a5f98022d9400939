//! The wire vocabulary that xmpp-parsers lacks, as types, and what the link hands to the core.
//!
//! Everything here stands in `jabber:client`; only `link/` knows the namespace of the stream.

pub mod arrival;
pub mod command;
pub mod compose;
pub mod inbound;
pub mod outbound;
pub mod outcome;
pub mod presented;
pub mod size;

pub use arrival::{Arrival, Fault, Probe, Refused};
pub use compose::Compose;
pub use inbound::{Inbound, Kind};
pub use outbound::Outbound;
