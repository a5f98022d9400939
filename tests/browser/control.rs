//! Whether the proof can fail: a careless page, which puts every text where it should not be, is seen to
//! run it. So the corpus is alive, and what looks for scripts finds them.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::sleep;

use crate::site::Site;
use crate::support::Failure;
use crate::tab::Tab;
use crate::vectors::{self, Place};

/// What a page does after it has been loaded, it does within this time.
const SETTLE: Duration = Duration::from_millis(300);

/// Careless documents that are in frames of one page.
const AT_ONCE: usize = 40;

/// How many of the corpus must be alive, at least; a browser may learn to resist some.
const ALIVE_MIN: usize = 300;

#[tokio::test]
async fn a_careless_page_runs_the_corpus() -> Result<(), Failure> {
    let (pages, canary) = (Site::start().await?, Site::start().await?);
    let vectors = vectors::all(&canary.authority());
    let mut tab = Tab::open().await?;
    let (mut ran, mut asked, mut compiled) = (HashSet::new(), HashSet::new(), 0);
    for (turn, group) in vectors.chunks(AT_ONCE).enumerate() {
        let mut frames = String::from("<!doctype html><title>x</title>");
        for vector in group {
            if let Some((kind, document)) = vector.place.careless(&vector.text) {
                let address = pages.put(&format!("/{}", vector.number), kind, document);
                let _ = write!(frames, "<iframe src='{address}'></iframe>");
            }
        }
        let page = pages.put(&format!("/page-{turn}"), "text/html", frames);
        tab.go(&page).await?;
        sleep(SETTLE).await;
        let happened = tab.happened().await?;
        ran.extend(happened.said);
        compiled += happened.scripts.len();
        asked.extend(canary.take_asked());
    }
    // Of several documents one alone gets the focus, which some wait for.
    let mut dead = Vec::new();
    for vector in &vectors {
        let number = vector.number;
        let is_alive = ran.contains(&number.to_string()) || asked.contains(&format!("/{number}"));
        if vector.place == Place::Nowhere || is_alive {
            continue;
        }
        tab.go(&format!("{}/{number}", pages.origin())).await?;
        sleep(SETTLE).await;
        let happened = tab.happened().await?;
        compiled += happened.scripts.len();
        if happened.said.is_empty() && canary.take_asked().is_empty() {
            dead.push(vector);
        } else {
            ran.extend(happened.said);
        }
    }
    tab.close().await?;
    for one in &dead {
        println!("did nothing, in {:?}: {}", one.place, one.text);
    }
    let tried = vectors.iter().filter(|one| one.place != Place::Nowhere);
    let alive = tried.count() - dead.len();
    println!("{alive} of {} texts are alive", vectors.len());
    assert!(alive >= ALIVE_MIN, "only {alive} are alive");
    assert!(
        compiled >= ran.len(),
        "{compiled} scripts were seen, and {} ran",
        ran.len()
    );
    Ok(())
}
