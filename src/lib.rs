//! Vestibule: a presence component for XMPP (XEP-0114), and the agent at its users' side.
//!
//! ```text
//! link ──Arrival──► driver ──Input──► component (pure) ──Effect──► driver ──► link, store
//! ```
//!
//! The core, [`component`], is a value: inputs in, effects out, time and chance as arguments. Everything
//! that touches the world stands around it: [`driver`] feeds it, [`link`] carries stanzas, [`store`] keeps
//! records, [`web`] is the web face. [`agent`] is the program of `vestibule-agent`. `docs/architecture.md` has the whole map.

pub mod address;
pub mod agent;
pub mod component;
pub mod config;
pub mod driver;
pub mod link;
pub mod metrics;
pub mod reload;
pub mod stanza;
pub mod store;
pub mod web;
pub mod web_address;
