//! Users who have joined, for measurements: each is public and has a custom status.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vestibule::address::Bare;
use vestibule::component::record::Change;

/// Some time in the past, in milliseconds.
const THEN: i64 = 1_790_000_000_000;
/// Users who have one watcher.
const WATCHED: u64 = 1_000;

/// `u0@localhost` and so on, `n` of them; and where there are `watchers`, `star@localhost` with those.
pub(crate) fn of(n: u64, watchers: u64) -> impl Iterator<Item = Change> {
    let star = (watchers > 0).then(|| jid("star@localhost"));
    let watched = star.clone().into_iter().flat_map(move |star| {
        (0..watchers).map(move |one| subscription(&star, &format!("w{one}@remote.example")))
    });
    let others = (0..n).flat_map(|one| {
        let user = jid(&format!("u{one}@localhost"));
        let watcher = (one < WATCHED).then(|| subscription(&user, "watcher@remote.example"));
        joined(user).into_iter().chain(watcher)
    });
    star.into_iter()
        .flat_map(joined)
        .chain(watched)
        .chain(others)
}

fn joined(user: Bare) -> [Change; 2] {
    [
        Change::Profile {
            user: user.clone(),
            value: Some(record(json!({
                "joined": THEN, "visibility": "public", "subscribed": true,
            }))),
        },
        Change::Status {
            user,
            value: Some(record(json!({
                "text": "in the office until five", "scope": "always", "set": THEN,
            }))),
        },
    ]
}

fn subscription(user: &Bare, watcher: &str) -> Change {
    Change::Subscription {
        user: user.clone(),
        watcher: jid(watcher),
        value: Some(record(json!({ "state": "approved", "since": THEN }))),
    }
}

/// As the store has it: what a record has beyond that is as for an old one.
fn record<T: DeserializeOwned>(stored: Value) -> T {
    serde_json::from_value(stored).expect("a record")
}

fn jid(text: &str) -> Bare {
    Bare::parse(text).expect("an address")
}
