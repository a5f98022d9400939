//! CPU and time for each stanza, side by side: this component with all of its real work (normalised
//! addresses, decision, rights, limits), other libraries that answer a constant, and a loop that only
//! reads and writes as the floor. docs/performance.md says what came of it.
//!
//! `cargo bench --bench link -- [USERS]…` measures the component with so many users; without arguments
//! with 1,000, 100,000 and 1,000,000. `make bench` brings the others, too.
//!
//! The figure is CPU time from the scheduler, the best of several rounds, so a busy machine changes it
//! little.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement ends where something is not as it must be, and reads the clock"
)]

mod floor;
mod peers;
mod subject;
mod vestibule;

use subject::Cost;

/// Rounds, of which the best counts.
pub(crate) const ROUNDS: usize = 5;
/// Probes in one round.
pub(crate) const PROBES: usize = 200_000;

/// The users of one measurement, where nothing is said.
const USERS: [usize; 3] = [1_000, 100_000, 1_000_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(port) = arguments
        .iter()
        .find_map(|one| one.strip_prefix("--floor="))
    {
        return floor::run(port.parse().unwrap());
    }
    let mut users: Vec<usize> = arguments
        .iter()
        .filter_map(|one| one.parse().ok())
        .collect();
    if users.is_empty() {
        users = USERS.to_vec();
    }
    println!("CPU for each stanza, and stanzas a second of CPU; best of {ROUNDS} rounds");
    for n in users {
        vestibule::measure(n);
    }
    println!("\na probe answered with a constant");
    peers::measure();
}

/// One line of the table.
pub(crate) fn report(what: &str, cost: Cost) {
    let ns = cost.cpu.as_nanos();
    println!(
        "  {what:42} {ns:>7} ns {:>10}/s   ({:.1?} in all)",
        1_000_000_000 / ns.max(1),
        cost.wall
    );
}
