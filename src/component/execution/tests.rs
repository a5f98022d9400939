//! Every way a command can go, with something breaking at every step of it: it ends exactly once, and what
//! must not be repeated happens once at most.

mod kind;
mod others;
mod world;

use super::super::authorization::Right;
use super::super::record::ExecutionState::{self, Completed, Expired, Refused, Unknown};
use kind::{By, Fault, Kind, Manner, Narrow};
use world::World;

use Manner::{Absent, Done, Forbidden, Late, Mute};

/// What the person at the chat window does about a question.
const WORDS: [&str; 4] = ["yes", "no", "always", ""];

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let for_agents = [
        Right::OpenUrl,
        Right::Notify,
        Right::StartModule,
        Right::ActivateClient,
    ];
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
                    by: By::Grant,
                });
            }
        }
    }
    kinds.push(Kind {
        right: Right::OpenUrl,
        confirm: true,
        agents: &[],
        word: "",
        by: By::Grant,
    });
    for right in [Right::LeaveMessage, Right::SetStatus] {
        for confirm in [false, true] {
            for word in WORDS {
                kinds.push(Kind {
                    right,
                    confirm,
                    agents: &[],
                    word,
                    by: By::Grant,
                });
            }
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
            (Right::LeaveMessage | Right::SetStatus, _) if !kind.confirm => Completed,
            (Right::LeaveMessage | Right::SetStatus, _) => match kind.word {
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

/// Whether it takes a status along that is set already: what ends by itself or is hidden does not, and what was
/// done with a token cannot be recalled (docs/tokens.md).
fn takes_back(narrow: Narrow) -> bool {
    matches!(narrow, Narrow::Revoke | Narrow::Block | Narrow::BlockDomain)
}

#[test]
fn a_token_is_used_once_whatever_breaks() {
    // A token names no modules, and how agents behave is played with grants.
    let with_tokens = kinds().into_iter().filter(|kind| {
        kind.right != Right::StartModule && [&[][..], &[Done], &[Mute, Done]].contains(&kind.agents)
    });
    for kind in with_tokens {
        for by in [By::Shown, By::Redeemed] {
            let kind = Kind { by, ..kind };
            let (_, steps) = undisturbed(&kind);
            for step in 0..steps {
                for fault in Fault::ALL {
                    let mut world = World::new(&kind, Some((step, fault)));
                    world.play();
                    world.check();
                    world.check_token();
                }
            }
        }
    }
}

#[test]
fn what_is_taken_away_at_whatever_step_goes_out_no_more() {
    let mut n_struck = 0;
    // Those whose commands go out at different steps.
    let of_all = kinds().into_iter().filter(|kind| {
        let agents = [&[][..], &[Done], &[Late], &[Mute, Done], &[Absent, Late]];
        kind.right != Right::ActivateClient && agents.contains(&kind.agents)
    });
    for kind in of_all {
        for by in By::ALL {
            // A token names no modules; what her words do is played with grants.
            let is_played = kind.right != Right::StartModule && ["", "yes"].contains(&kind.word);
            if by.is_token() && !is_played {
                continue;
            }
            let kind = Kind { by, ..kind };
            let (_, steps) = undisturbed(&kind);
            for narrow in Narrow::ALL {
                // By “always” she has given the watcher a grant, and neither hiding nor the end of a token takes a
                // grant away.
                let regranted = kind.word == "always" && !narrow.ends_grants();
                if !narrow.concerns(by) || regranted && by != By::Grant {
                    continue;
                }
                for step in 0..steps {
                    let mut world = World::new(&kind, Some((step, Fault::Narrow(narrow))));
                    world.play();
                    // What is set by then is taken back; she is told that it was set.
                    if kind.right != Right::SetStatus {
                        world.check_frozen();
                    } else if takes_back(narrow) {
                        world.check_taken_back();
                    }
                    if narrow != Narrow::Leave {
                        world.check();
                    }
                    n_struck += 1;
                }
            }
        }
    }
    assert!(n_struck > 1000, "{n_struck}");
}
