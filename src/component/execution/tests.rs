//! Every way a command can go, with something breaking at every step of it: it ends exactly once, and what
//! must not be repeated happens once at most.

mod world;

use super::super::authorization::Right;
use super::super::record::ExecutionState::{self, Completed, Expired, Refused, Unknown};
use world::{Fault, Kind, Manner, World};

use Manner::{Absent, Done, Forbidden, Late, Mute};

/// What the person at the chat window does about a question.
const WORDS: [&str; 4] = ["yes", "no", "always", ""];

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let for_agents = [Right::OpenUrl, Right::StartModule, Right::ActivateClient];
    for right in for_agents {
        for confirm in [false, true] {
            for agents in [
                &[Done][..],
                &[Late],
                &[Forbidden],
                &[Mute],
                &[Absent],
                &[Mute, Done],
                &[Absent, Late],
                &[Mute, Mute],
            ] {
                kinds.push(Kind {
                    right,
                    confirm,
                    agents,
                    word: "",
                });
            }
        }
    }
    kinds.push(Kind {
        right: Right::OpenUrl,
        confirm: true,
        agents: &[],
        word: "",
    });
    for confirm in [false, true] {
        for word in WORDS {
            kinds.push(Kind {
                right: Right::LeaveMessage,
                confirm,
                agents: &[],
                word,
            });
        }
    }
    kinds
}

/// Plays a kind undisturbed; how it ends, and in how many steps.
fn undisturbed(kind: &Kind) -> (Option<ExecutionState>, usize) {
    let mut world = World::new(kind, None);
    world.play();
    world.check();
    (world.final_state(), world.steps)
}

#[test]
fn undisturbed_each_ends_as_it_should() {
    for kind in kinds() {
        let (state, _) = undisturbed(&kind);
        let repeats = kind.right.may_repeat();
        let expected = match (kind.right, kind.agents) {
            (Right::LeaveMessage, _) if !kind.confirm => Completed,
            (Right::LeaveMessage, _) => match kind.word {
                "yes" | "always" => Completed,
                "no" => Refused,
                _ => Expired,
            },
            (_, [] | [Done] | [Late] | [Absent, Late]) => Completed,
            (_, [Forbidden]) => Refused,
            (Right::OpenUrl | Right::Notify, [Absent]) => Completed, // By a message.
            (_, [Absent]) => Expired,
            (_, [Mute, Done]) if repeats => Completed,
            _ => Unknown,
        };
        assert_eq!(state, Some(expected), "{kind:?}");
    }
}

#[test]
fn whatever_breaks_at_whatever_step_it_ends_once_and_happens_once() {
    let mut n = 0;
    let mut ends = std::collections::BTreeMap::new();
    for kind in kinds() {
        let (_, steps) = undisturbed(&kind);
        for step in 0..steps {
            for fault in Fault::ALL {
                let mut world = World::new(&kind, Some((step, fault)));
                world.play();
                world.check();
                let end = world.final_state().map(ExecutionState::as_str);
                *ends.entry(end).or_insert(0) += 1;
                n += 1;
            }
        }
    }
    // Each end is reached, also that a command was lost before it was accepted.
    assert_eq!(ends.len(), 6, "{ends:?} of {n}");
}
