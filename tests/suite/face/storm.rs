//! A storm of changes: protocol.md §4.4, security T32.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ALICE, Scene};
use crate::support::long;

/// 50 changes a second for a minute; the last is the truth for everyone, and nobody hears of one user
/// more often than every two seconds.
#[test]
fn each_watcher_ends_with_the_truth() {
    let n_watchers = if long() { 1000 } else { 200 };
    let mut scene = Scene::new();
    scene.presence("desk", "", "");
    for n in 0..n_watchers {
        let watcher = format!("w{n}@remote.example");
        scene.says(&format!("approve {watcher}"));
        scene.deliver(&format!(
            "<presence type='subscribe' from='{watcher}' to='{ALICE}'/>"
        ));
    }
    scene.pass(10);
    scene.sent.clear();
    let flaps = [
        "<show>away</show>",
        "<show>dnd</show>",
        "<status>here</status>",
        "",
        "gone",
    ];
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut n_heard = 0;
    for turn in 0..3000 {
        match flaps[turn * 7 % flaps.len()] {
            "gone" => scene.presence("desk", " type='unavailable'", ""),
            children => scene.presence("desk", "", children),
        }
        scene.pass_for(Duration::from_millis(20));
        take(&mut scene, &mut last, &mut n_heard);
    }
    scene.presence("desk", "", "<show>xa</show><status>the end</status>");
    scene.pass(5);
    take(&mut scene, &mut last, &mut n_heard);
    assert_eq!(last.len(), n_watchers);
    for (watcher, stanza) in &last {
        assert!(stanza.contains("<show>xa</show>"), "{watcher}: {stanza}");
        assert!(
            stanza.contains("<status>the end</status>"),
            "{watcher}: {stanza}"
        );
    }
    let most = n_watchers * (65 / 2 + 1);
    assert!(n_heard <= most, "{n_heard} presences, more than {most}");
}

fn take(scene: &mut Scene, last: &mut BTreeMap<String, String>, n_heard: &mut usize) {
    for stanza in scene.sent.drain(..) {
        let to = stanza
            .split("to='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let to = to.unwrap_or_default().to_owned();
        if stanza.starts_with("<presence") && to.starts_with('w') {
            *n_heard += 1;
            last.insert(to, stanza);
        }
    }
}
