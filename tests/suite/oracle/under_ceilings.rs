//! Tokens, in each way in which one may stand to the watcher, beside everything else that gives rights; and all
//! that under the ceilings of other operators.

use super::compared::compare;
use super::{
    Case, Ceiling, Cell, Confirm, Grant, Interface, Names, RIGHTS, Rest, STANDS, Token, Visibility,
};

/// Nobody can be asked before seeing: the configuration takes no such word there.
const CEILINGS: [Ceiling; 8] = [
    Ceiling::Default,
    Ceiling::All(Cell::Yes),
    Ceiling::All(Cell::Ask),
    Ceiling::All(Cell::No),
    Ceiling::All(Cell::YesByGrant),
    Ceiling::All(Cell::AskByGrant),
    Ceiling::Even(Cell::No),
    Ceiling::Even(Cell::YesByGrant),
];

/// No token, and one that names this or that in each way in which it may stand.
fn tokens() -> Vec<Option<Token>> {
    let mut tokens = vec![None];
    for stands in STANDS {
        for names in [Names::This, Names::See, Names::Other] {
            tokens.push(Some(Token { names, stands }));
        }
    }
    tokens
}

/// What else she has stored, less than where there are no tokens: a grant, and whether she approved a contact.
fn stored() -> Vec<(Option<Grant>, bool)> {
    let of = |names, confirm, ended, rest| {
        Some(Grant {
            names,
            confirm,
            ended,
            elsewhere: false,
            rest,
        })
    };
    vec![
        (None, false),
        (None, true),
        (of(Names::This, Confirm::Never, false, Rest::Nothing), false),
        (
            of(Names::This, Confirm::Always, false, Rest::Nothing),
            false,
        ),
        (of(Names::This, Confirm::Never, true, Rest::Nothing), false),
        (of(Names::This, Confirm::Never, false, Rest::UsedUp), false),
        (of(Names::Other, Confirm::Always, false, Rest::Quiet), true),
    ]
}

fn every_case(each: &mut dyn FnMut(Case)) {
    for ceiling in CEILINGS {
        for token in tokens() {
            for right in RIGHTS {
                for interface in [Interface::Public, Interface::Dedicated] {
                    for party in [None, Some(Names::This), Some(Names::See)] {
                        for (grant, subscribed) in stored() {
                            for (blocked, visibility) in [
                                (true, Visibility::Public),
                                (false, Visibility::Private),
                                (false, Visibility::Subscribers),
                                (false, Visibility::Public),
                            ] {
                                each(Case {
                                    ceiling,
                                    token,
                                    right,
                                    interface,
                                    party,
                                    subscribed,
                                    grant,
                                    domain_grant: None,
                                    blocked,
                                    visibility,
                                    public_rights: None,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn tokens_and_the_operator_s_ceilings_are_as_the_documents_say() {
    let (n, n_of_answers) = compare(every_case);
    // The oracle tells cases apart, and none is left out.
    assert_eq!(n, 8 * (1 + 10 * 3) * 7 * 2 * 3 * 7 * 4);
    assert!(n_of_answers.iter().all(|n| *n > 10_000), "{n_of_answers:?}");
}
