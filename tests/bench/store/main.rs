//! What the store does on this disk, side by side in one run: durable status changes beside SQLite and
//! the disk's own syncs, and how long a start takes and how much memory.
//!
//! Ratios count, for a disk that others use swings by itself. `VESTIBULE_BENCH_USERS=100000` leaves out
//! the larger start; `TMPDIR` says which disk.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement ends where something is not as it must be, and reads the clock"
)]

mod rate;
mod sqlite;
mod start;

// The malloc of the real component.
use tikv_jemalloc_sys as _;

fn main() {
    if let Some(path) = std::env::var_os(start::STORE) {
        return start::child(path.as_ref());
    }
    rate::measure();
    start::measure();
}
