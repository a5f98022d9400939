//! A watcher that floods: it gets what its limits allow, and others their answers as if it were not there.

use std::cell::Cell;
use std::time::Duration;

use minidom::Element;

use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::stage::{
    ALICE, NS_RIGHTS, Stage, condition, is_of_alice, query, reach_component, rights,
};

/// What the one who floods asks, and how many of that it has under way at any time.
const QUERIES: usize = 3000;
const WINDOW: usize = 200;

/// What its limit allows at once; a tenth of one comes back in a second.
const BURST: usize = 100;

pub(super) async fn of_a_watcher_slow_nobody_down(kind: Kind) -> Result<(), Failure> {
    let limits = format!(
        "[limits]\nprobe-burst-per-watcher = {BURST}\nprobe-rate-per-watcher = 0.1\n\
         [users]\ndefault-visibility = \"public\"\n"
    );
    let stage = Stage::set_with(kind, Options::default(), &limits).await?;
    let _alice = stage.alice_joined("phone").await?;
    let mut stranger = stage.login("stranger", "flood").await?;
    let mut bot = stage.bot().await?;

    let (answered, is_over) = (Cell::new(0), Cell::new(false));
    let flood = async {
        for n in 0..QUERIES {
            stranger
                .send(stanza(&format!(
                    "<iq type='get' id='flood-{n}' to='{ALICE}'><query xmlns='{NS_RIGHTS}'/></iq>"
                )))
                .await;
            loop {
                answered.set(flooded(stranger.received()).count());
                if n < answered.get() + WINDOW {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        is_over.set(true);
    };
    let calm = async {
        let mut n = 0;
        while !is_over.get() {
            let before = answered.get();
            assert_eq!(rights(&query(&mut bot).await).0, "authorized");
            // What was under way before it, and what has come up meanwhile; never all of it.
            let between = answered.get() - before;
            assert!(between <= 2 * WINDOW, "{between} went first");
            n += 1;
            // It keeps to its own limit.
            while !is_over.get() && answered.get() < n * QUERIES / (BURST / 2) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        n
    };
    let ((), n_calm) = tokio::join!(flood, calm);
    assert!(n_calm >= QUERIES / (4 * WINDOW), "only {n_calm}");

    // Each query has its one answer: as many results as the limit allows, and the rest is told to wait.
    reach_component(&mut stranger).await;
    let (results, errors): (Vec<_>, Vec<_>) =
        flooded(stranger.received()).partition(|one| one.attr("type") == Some("result"));
    assert_eq!(results.len() + errors.len(), QUERIES);
    // The rate gives one in ten seconds; the flood takes less than some minutes.
    assert!(
        (BURST..BURST + 30).contains(&results.len()),
        "{} results",
        results.len()
    );
    for error in errors {
        assert_eq!(condition(error), "policy-violation");
    }

    // A probe beyond the limit is silence, and its bucket is the same.
    stranger.forget();
    for _ in 0..100 {
        let probe = stanza(&format!("<presence type='probe' to='{ALICE}'/>"));
        stranger.send(probe).await;
    }
    reach_component(&mut stranger).await;
    let told = stranger.received().iter().filter(|one| is_of_alice(one));
    assert!(told.count() < 30);
    query(&mut bot).await;
    Ok(())
}

/// The answers to the flood.
fn flooded(received: &[Element]) -> impl Iterator<Item = &Element> {
    let is_one = |one: &&Element| one.attr("id").is_some_and(|id| id.starts_with("flood-"));
    received.iter().filter(is_one)
}
