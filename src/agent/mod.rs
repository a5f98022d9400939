//! The program at the user's side: it executes the commands that the component passes on, as far as
//! the user's own file allows.
//!
//! [`policy`] decides and is pure, by [`rules`] and [`module`]; [`session`] is the edge to the network,
//! [`person`] the one to the person, [`program`] the one to other programs, [`journal`] the one to the
//! disk. What both sides say to each other stands in `docs/design/0007-agent.md`.

pub mod argument;
pub mod ask;
pub mod config;
pub mod desktop;
mod discovery;
mod guard;
pub mod journal;
pub mod logfile;
mod login;
pub mod module;
pub mod opener;
pub mod person;
mod plan;
pub mod policy;
pub mod program;
pub mod question;
mod reports;
mod request;
pub mod rules;
mod secret;
pub mod session;
pub mod template;
mod text;
mod work;

pub use request::{Request, Task, Wish};
pub use work::{Act, Key};

/// The feature of a resource that executes commands, the FORM_TYPE of their forms and the prefix of
/// their nodes (protocol.md §9.3).
pub const NS_AGENT: &str = "urn:x-presence-service:agent:0";
