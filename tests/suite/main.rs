//! The one integration binary: everything that is tested from outside the library.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as it must be, and real peers live in real time"
)]

mod addresses;
mod agent;
mod architecture;
mod bulk;
mod claims;
mod command_line;
mod convergence;
mod decide;
mod dependencies;
mod deputy;
mod face;
mod floods;
mod forged;
mod help;
mod in_step;
mod learning;
mod liveness;
mod main_job;
mod oracle;
mod pipeline;
mod privacy;
mod real_servers_smoke;
mod requests;
mod robustness;
mod specifications;
mod store;
mod support;
mod support_smoke;
mod third_parties;
mod tokens;
mod transcripts;
mod web;
mod world;
