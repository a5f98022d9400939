//! The program at the user's side: it executes the commands that the component passes on, as far as
//! the user's own file allows.
//!
//! [`policy`] decides and is pure; [`session`] is the edge to the network, [`ask`] the one to the
//! person, [`opener`] the one to other programs.

pub mod ask;
pub mod config;
mod discovery;
mod guard;
mod login;
pub mod opener;
pub mod policy;
mod request;
mod secret;
pub mod session;
mod text;
mod work;

pub use request::Request;

/// The feature of a resource that executes commands, the FORM_TYPE of their forms and the prefix of
/// their nodes (protocol.md §9.3).
pub const NS_AGENT: &str = "urn:x-presence-service:agent:0";

/// The node of the one command that this agent has.
pub const NODE_OPEN_URL: &str = "urn:x-presence-service:agent:0#open-url";
