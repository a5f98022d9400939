//! The oracle against `decide` and the level, over every combination of all that the answer may hang on.

use std::collections::BTreeSet;
use std::time::Duration;

use vestibule::address::Bare;
use vestibule::component::clock::{Now, Wall};
use vestibule::component::{authorization, record};

use super::{
    Answer, Case, Ceiling, Cell, Confirm, Grant, Interface, Level, Names, RIGHTS, Rest, Right,
    Stands, Token, Visibility,
};

/// Goes through every combination. Whether she is online is no part of it: `decide` is not told, what is
/// offered hangs on it besides.
fn every_case(mut each: impl FnMut(Case)) {
    use Names::{All, Nothing, Other, See, This};
    for right in RIGHTS {
        for interface in [Interface::Public, Interface::Dedicated, Interface::Http] {
            for party in [
                None,
                Some(Nothing),
                Some(This),
                Some(See),
                Some(Other),
                Some(All),
            ] {
                for (grant, domain_grant, subscribed) in stored() {
                    for blocked in [false, true] {
                        for visibility in [
                            Visibility::Private,
                            Visibility::Subscribers,
                            Visibility::Public,
                        ] {
                            for public_rights in [None, Some(Nothing), Some(This), Some(Other)] {
                                each(Case {
                                    ceiling: Ceiling::Default,
                                    token: None,
                                    right,
                                    interface,
                                    party,
                                    subscribed,
                                    grant,
                                    domain_grant,
                                    blocked,
                                    visibility,
                                    public_rights,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What she has stored: grants to the address and to the domain, and whether she approved a subscription.
fn stored() -> Vec<(Option<Grant>, Option<Grant>, bool)> {
    let mut stored = vec![(None, None, false), (None, None, true)];
    for (confirm, ended, elsewhere, rest) in conditions() {
        let of = |names| {
            Some(Grant {
                names,
                confirm,
                ended,
                elsewhere,
                rest,
            })
        };
        // Beside the first, one that always holds and asks otherwise.
        let beside = Some(Grant {
            names: Names::This,
            confirm: match confirm {
                Confirm::Never | Confirm::FirstConfirmed => Confirm::Always,
                Confirm::Always | Confirm::First => Confirm::Never,
            },
            ended: false,
            elsewhere: false,
            rest: Rest::Nothing,
        });
        stored.extend([
            (of(Names::This), None, false),
            (of(Names::This), None, true),
            (of(Names::See), None, false),
            (of(Names::Other), None, true),
            (of(Names::All), None, false),
            (None, of(Names::This), false),
            (of(Names::This), beside, false),
            (beside, of(Names::This), false),
            (of(Names::Other), of(Names::This), true),
        ]);
    }
    stored
}

/// The ways in which a grant may stand: how it asks, whether it has ended or is for another interface; and,
/// where it holds, what holds it back.
fn conditions() -> Vec<(Confirm, bool, bool, Rest)> {
    let mut conditions = Vec::new();
    for confirm in [
        Confirm::Always,
        Confirm::First,
        Confirm::FirstConfirmed,
        Confirm::Never,
    ] {
        for (ended, elsewhere) in [(false, false), (true, false), (false, true)] {
            conditions.push((confirm, ended, elsewhere, Rest::Nothing));
        }
    }
    for confirm in [Confirm::Always, Confirm::Never] {
        for rest in [Rest::Quiet, Rest::UsedUp] {
            conditions.push((confirm, false, false, rest));
        }
    }
    conditions
}

/// Holds the oracle against the crate in all cases; the number of cases, and of denials, of permissions without
/// and with a question among them.
pub(super) fn compare(every: impl FnOnce(&mut dyn FnMut(Case))) -> (usize, [usize; 3]) {
    let crates = Crate::new();
    let (mut n, mut wrong) = (0_usize, Vec::new());
    let mut n_of_answers = [0_usize; 3];
    every(&mut |case| {
        n += 1;
        let expected = (case.answer(), case.level());
        n_of_answers[match expected.0 {
            Answer::Deny => 0,
            Answer::Allow { confirm } => 1 + usize::from(confirm),
        }] += 1;
        let (answer, level) = crates.decided(&case);
        // Who is blocked is shown no level.
        if answer != expected.0 || (!case.blocked && level != expected.1) {
            wrong.push(format!(
                "{case:?}\n  is {:?}, expected {expected:?}",
                (answer, level)
            ));
        }
    });
    let first = wrong.iter().step_by(1 + wrong.len() / 20);
    let first: Vec<_> = first.map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {n} cases:\n{}",
        wrong.len(),
        first.join("\n")
    );
    (n, n_of_answers)
}

#[test]
fn decide_and_the_level_are_as_the_documents_say() {
    let (n, n_of_answers) = compare(|each| every_case(each));
    // The oracle tells cases apart, and none is left out.
    assert_eq!(n, 7 * 3 * 6 * (2 + (4 * 3 + 4) * 9) * 2 * 3 * 4);
    assert!(n_of_answers.iter().all(|n| *n > 10_000), "{n_of_answers:?}");
}

/// From here on: a case in the types of the crate.
struct Crate {
    user: Bare,
    watcher: Bare,
}

impl Crate {
    fn new() -> Self {
        let jid = |text| Bare::parse(text).unwrap();
        Self {
            user: jid("alice@example.org"),
            watcher: jid("bot@acme.example"),
        }
    }

    fn decided(&self, case: &Case) -> (Answer, Level) {
        let names = |names: Names| -> BTreeSet<authorization::Right> {
            let named = RIGHTS
                .into_iter()
                .filter(|right| names.name(case.right, *right));
            named.map(right).collect()
        };
        let interface = match case.interface {
            Interface::Public => authorization::Interface::Public,
            Interface::Dedicated => authorization::Interface::Dedicated,
            Interface::Http => authorization::Interface::Http,
        };
        let party = case.party.map(|named| authorization::Party {
            name: "acme".to_owned(),
            jids: Vec::new(),
            rights: names(named),
            has_link: true,
            has_web: true,
        });
        let grant = |grant: Grant| record::Grant {
            confirm: match grant.confirm {
                Confirm::Always => authorization::Confirm::Always,
                Confirm::First | Confirm::FirstConfirmed => authorization::Confirm::First,
                Confirm::Never => authorization::Confirm::Never,
            },
            confirmed: grant.confirm == Confirm::FirstConfirmed,
            until: grant.ended.then_some(NOW.wall),
            interfaces: grant
                .elsewhere
                .then_some(match interface {
                    authorization::Interface::Public => authorization::Interface::Http,
                    _ => authorization::Interface::Public,
                })
                .into_iter()
                .collect(),
            quiet: (grant.rest == Rest::Quiet).then(|| QUIET.parse().unwrap()),
            max_per_day: (grant.rest == Rest::UsedUp).then_some(1),
            uses: record::Uses {
                total: 9,
                of_day: 1,
                day_ends: Some(Wall(NOW.wall.0 + 1)),
                last: None,
            },
            ..record::Grant::new(names(grant.names), Wall(0))
        };
        let tokens = case
            .token
            .map(|token| self.tokens(token, names(token.names)))
            .unwrap_or_default();
        let shown = case.token.and_then(shown);
        let grants = [case.grant.map(grant), case.domain_grant.map(grant)];
        let profile = record::Profile {
            joined: Wall(0),
            visibility: match case.visibility {
                Visibility::Private => authorization::Visibility::Private,
                Visibility::Subscribers => authorization::Visibility::Subscribers,
                Visibility::Public => authorization::Visibility::Public,
            },
            show_when_offline: true,
            public_rights: case.public_rights.map(names),
            dormant: false,
            subscribed: true,
            declined: false,
            lost: false,
            last_seen: record::LastSeen::Exact,
            share_idle: false,
            timezone: None,
            tell: Default::default(),
        };
        let (user, watcher) = (&self.user, &self.watcher);
        let evidence = authorization::Evidence {
            party: party.as_ref(),
            grants: [grants[0].as_ref(), grants[1].as_ref()],
            subscribed: case.subscribed,
            tokens: Some(&tokens),
            shown,
        };
        let policy = authorization::Policy {
            user,
            visibility: profile.visibility,
            public_rights: profile.public_rights.as_ref(),
            timezone: profile.timezone.as_deref(),
            blocked: case.blocked,
            zone: chrono_tz::Tz::UTC,
            counted: false,
        };
        let asked = right(case.right);
        let decision = authorization::decide(
            NOW,
            interface,
            watcher,
            evidence,
            policy,
            &ceiling(case.ceiling),
            asked,
        );
        let answer = match decision {
            authorization::Decision::Allow { confirm } => Answer::Allow { confirm },
            authorization::Decision::Deny(_) => Answer::Deny,
        };
        let level = match authorization::level(NOW, interface, watcher, evidence, user) {
            authorization::Level::Public => Level::Public,
            authorization::Level::Known => Level::Known,
            authorization::Level::Authorized => Level::Authorized,
            authorization::Level::Trusted => Level::Trusted,
            authorization::Level::Own => panic!("nobody asks about himself here"),
        };
        (answer, level)
    }

    /// Her tokens, of which this one is the only one.
    fn tokens(
        &self,
        token: Token,
        rights: BTreeSet<authorization::Right>,
    ) -> authorization::Few<String, record::Token> {
        use Stands::{
            Others, Redeemed, RedeemedAndShown, RedeemedEnded, RedeemedUsedUp, ShownBarred,
            ShownEnded, TakenBack,
        };
        let by = match token.stands {
            Redeemed | RedeemedUsedUp | RedeemedAndShown | RedeemedEnded => {
                Some(self.watcher.clone())
            }
            Others => Some(Bare::parse("other@acme.example").unwrap()),
            _ => None,
        };
        let has_ended = matches!(token.stands, ShownEnded | RedeemedEnded);
        let record = record::Token {
            digest: record::Digest::of("its text"),
            label: "blog".to_owned(),
            rights,
            since: Wall(0),
            // It has ended at its end, and holds until then.
            until: Wall(NOW.wall.0 + i64::from(!has_ended)),
            uses: 2,
            used: 1 + u32::from(token.stands == RedeemedUsedUp),
            last_used: None,
            redeemed: by.map(|by| (by, Wall(0))).into_iter().collect(),
            barred: (token.stands == ShownBarred)
                .then(|| self.watcher.clone())
                .into_iter()
                .collect(),
        };
        let kept = token.stands != TakenBack;
        kept.then(|| (NAME.to_owned(), record))
            .into_iter()
            .collect()
    }
}

/// The public name of the token.
const NAME: &str = "tok3nA";

fn shown(token: Token) -> Option<&'static str> {
    use Stands::{RedeemedAndShown, Shown, ShownBarred, ShownEnded, TakenBack};
    matches!(
        token.stands,
        Shown | RedeemedAndShown | ShownEnded | ShownBarred | TakenBack
    )
    .then_some(NAME)
}

fn ceiling(written: Ceiling) -> authorization::Ceiling {
    let mut ceiling = authorization::Ceiling::default();
    let (cell, even) = match written {
        Ceiling::Default => return ceiling,
        Ceiling::All(cell) => (cell, false),
        Ceiling::Even(cell) => (cell, true),
    };
    let cell = match cell {
        Cell::No => authorization::Cell::No,
        Cell::Ask => authorization::Cell::Ask,
        Cell::Yes => authorization::Cell::Yes,
        Cell::AskByGrant => authorization::Cell::AskByGrant,
        Cell::YesByGrant => authorization::Cell::YesByGrant,
    };
    for one in RIGHTS {
        if even || one != Right::See {
            ceiling.set(None, right(one), [cell; 4]);
        }
    }
    ceiling
}

/// Around that time of the day.
const QUIET: &str = "13:00-14:00";

/// 2026-11-23T13:20:00Z.
const NOW: Now = Now {
    mono: Duration::from_secs(1),
    wall: Wall(1_795_440_000_000),
};

fn right(right: Right) -> authorization::Right {
    match right {
        Right::See => authorization::Right::See,
        Right::OpenUrl => authorization::Right::OpenUrl,
        Right::LeaveMessage => authorization::Right::LeaveMessage,
        Right::Notify => authorization::Right::Notify,
        Right::SetStatus => authorization::Right::SetStatus,
        Right::ActivateClient => authorization::Right::ActivateClient,
        Right::StartModule => authorization::Right::StartModule,
    }
}
