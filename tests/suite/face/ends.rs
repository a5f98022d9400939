//! Ends hold to the second, whatever the clocks do.

use super::{ALICE, Scene};
use crate::support::transcript::wire::Wire;

const CAROL: &str = "carol@remote.example";

fn subscribed() -> Scene {
    let mut scene = Scene::new();
    scene.deliver(&format!(
        "<presence type='subscribe' from='{CAROL}' to='{ALICE}'/>"
    ));
    scene.presence("desk", "", "");
    scene.says(&format!("approve {CAROL}"));
    scene.says("status Always");
    scene.pass(60);
    scene.heard_by(CAROL);
    scene
}

fn shown(scene: &mut Scene) -> String {
    scene.heard_by("bot@remote.example");
    scene.deliver(&format!(
        "<presence type='probe' from='bot@remote.example' to='{ALICE}'/>"
    ));
    scene.heard_by("bot@remote.example").concat()
}

#[test]
fn a_clock_set_forward_ends_it_at_the_next_look() {
    let mut scene = subscribed();
    scene.says("meanwhile 1h Lunch");
    scene.pass(3);
    assert!(scene.heard_by(CAROL).concat().contains("Lunch"));
    let now = scene.core.now();
    scene.core.set_wall(now.plus_s(3600));
    // The driver looks at the clock every second while an end is waited for.
    scene.pass(2);
    assert!(scene.heard_by(CAROL).concat().contains("Always"));
    assert!(shown(&mut scene).contains("Always"));
}

#[test]
fn a_clock_set_back_makes_it_last_until_its_time_comes_again() {
    let mut scene = subscribed();
    scene.says("meanwhile 1h Lunch");
    scene.pass(1800);
    let now = scene.core.now();
    scene.core.set_wall(now.plus_s(-7200));
    scene.pass(3600);
    assert!(shown(&mut scene).contains("Lunch"));
    scene.heard_by(CAROL);
    scene.pass(3600 + 1800 - 4);
    assert!(shown(&mut scene).contains("Lunch"));
    scene.pass(4);
    assert!(shown(&mut scene).contains("Always"));
    scene.pass(2);
    assert!(
        scene.heard_by(CAROL).concat().contains("Always"),
        "told without a question"
    );
}

#[test]
fn an_end_set_back_while_it_is_written_is_not_forgotten() {
    let mut scene = subscribed();
    scene.says("meanwhile 1h Lunch");
    scene.core.hold(true);
    scene.pass(3600);
    let now = scene.core.now();
    scene.core.set_wall(now.plus_s(-60));
    scene.core.hold(false);
    scene.pass(61);
    assert!(shown(&mut scene).contains("Always"));
    scene.pass(3);
    let told = scene.heard_by(CAROL);
    assert!(told.last().unwrap().contains("Always"), "{told:?}");
}

#[test]
fn many_ends_each_hold_to_the_second() {
    let mut scene = subscribed();
    for minutes in [30, 20, 10] {
        scene.says(&format!("meanwhile {minutes}m for {minutes}"));
    }
    let begin = scene.core.now();
    for (at, text) in [
        (599, "for 10"),
        (600, "for 20"),
        (1199, "for 20"),
        (1200, "for 30"),
        (1799, "for 30"),
        (1800, "Always"),
    ] {
        let now = scene.core.now();
        let left = (begin.0 + at * 1000 - now.0) / 1000;
        scene.pass(u64::try_from(left).unwrap());
        let shown = shown(&mut scene);
        assert!(
            shown.contains(&format!("<status>{text}</status>")),
            "at {at}: {shown}"
        );
    }
}
