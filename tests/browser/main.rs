//! The web face in a real browser.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as it must be, and real peers live in real time"
)]

mod chromium;
mod control;

mod face;
mod hostile;
mod nginx;
mod proxied;
mod seen;
mod site;
#[path = "../suite/main_job/stage.rs"]
#[allow(dead_code, reason = "the stories of the suite say more")]
mod stage;
#[path = "../suite/support/mod.rs"]
mod support;
mod tab;
mod tree;
mod vectors;
