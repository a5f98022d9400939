//! Vestibule: a presence component for XMPP (XEP-0114).
pub mod address;
pub mod agent;
pub mod component;
pub mod config;
pub mod driver;
pub mod link;
pub mod stanza;
pub mod store;
pub mod web_address;
