//! What a request costs on the web: the status of a user as data and as a picture, side by side with the
//! web presence of the servers themselves and with a constant answer as the floor; and how long it takes
//! until a thousand pages that watch her know of a change. docs/performance.md says what came of it.
//!
//! All show the same users: the component is attached to the server that it is measured beside. Each
//! process is pinned to one core; the figure is CPU time from the scheduler, the best of several rounds,
//! so a busy machine changes it little.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement ends where something is not as it must be, and reads the clock"
)]

mod floor;
mod load;
mod scene;
#[path = "../../suite/main_job/stage.rs"]
#[allow(dead_code, reason = "the stories of the suite say more")]
mod stage;
#[path = "../../suite/support/mod.rs"]
#[allow(unused_imports, reason = "its own tests have no harness here")]
mod support;
mod watchers;

use floor::Floor;
use load::{Cost, Work, measure};
use scene::Scene;
use support::Failure;
use support::ports::Port;
use support::server::Kind;

/// Rounds, of which the best counts.
const ROUNDS: usize = 5;

/// Requests in one round.
const REQUESTS: usize = 16_000;

fn main() -> Result<(), Failure> {
    if let Some(address) =
        std::env::args().find_map(|one| one.strip_prefix("--floor=").map(str::to_owned))
    {
        floor::run(address.parse().unwrap());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    println!(
        "CPU for each request at {} connections, requests a second of CPU; best of {ROUNDS} rounds",
        load::CONNECTIONS
    );
    let own = std::env::current_exe().unwrap();
    for kind in Kind::ALL {
        let scene = Scene::set(kind).await?;
        let port = Port::reserve()?;
        let floor = Floor::start(&own, port.address());
        scene::answers(floor.address).await;
        scene::pin(floor.process_id());
        let constant = Work {
            address: floor.address,
            paths: vec!["/".to_owned()],
            mark: "\"success\":true",
            process: floor.process_id(),
        };
        let mut works = vec![("a constant, by axum".to_owned(), constant)];
        works.extend(scene.works());
        println!("\nbeside {kind}, {} users online", scene::USERS);
        let mut costs: Vec<Option<Cost>> = vec![None; works.len()];
        for _ in 0..ROUNDS {
            for ((_, work), cost) in works.iter().zip(&mut costs) {
                let new = measure(work, REQUESTS).await;
                *cost = Some(cost.map_or(new, |best| best.best(new)));
            }
        }
        for ((name, _), cost) in works.iter().zip(costs) {
            report(name, cost.unwrap());
        }
        if kind == Kind::Prosody {
            watchers::measure(scene).await?;
        }
    }
    Ok(())
}

/// One line of the table.
fn report(what: &str, cost: Cost) {
    let us = cost.cpu.as_secs_f64() * 1e6;
    println!(
        "  {what:42} {us:>7.1} µs {:>9.0}/s   ({} bytes; {:.1?} in all)",
        1e6 / us,
        cost.bytes,
        cost.wall
    );
}
