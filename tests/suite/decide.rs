//! `decide` against the ceiling table of the design, cell by cell, and against how evidence combines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vestibule::address::Bare;
use vestibule::component::authorization::{
    Ceiling, Confirm, Decision, Evidence, Few, Interface, Level, Party, Policy, Reason, Right,
    Visibility, decide, expires, level,
};
use vestibule::component::clock::{Now, Wall};
use vestibule::component::record::{Digest, Grant, LastSeen, Profile, Token, Uses};

const NOW: Now = Now {
    mono: Duration::from_secs(1),
    wall: Wall(1_795_440_000_000),
};
const YES: Decision = Decision::Allow { confirm: false };
const ASK: Decision = Decision::Allow { confirm: true };
const NO: Decision = Decision::Deny(Reason::NotGranted);
const UNSEEN: Decision = Decision::Deny(Reason::Unseen);
const BLOCKED: Decision = Decision::Deny(Reason::Blocked);

fn jid(text: &str) -> Bare {
    Bare::parse(text).unwrap()
}

fn profile(visibility: Visibility) -> Profile {
    Profile {
        joined: Wall(0),
        visibility,
        show_when_offline: true,
        public_rights: None,
        dormant: false,
        declined: false,
        lost: false,
        subscribed: true,
        last_seen: LastSeen::Exact,
        share_idle: false,
        timezone: None,
        tell: Default::default(),
    }
}

fn grant(rights: &[Right], confirm: Confirm) -> Grant {
    Grant {
        rights: rights.iter().copied().collect(),
        confirm,
        confirmed: false,
        since: Wall(0),
        until: None,
        interfaces: BTreeSet::new(),
        max_per_day: None,
        quiet: None,
        uses: Uses::default(),
        unasked: BTreeSet::new(),
        modules: BTreeSet::new(),
        unsigned: false,
    }
}

fn party(rights: &[Right]) -> Party {
    Party {
        name: "acme".into(),
        jids: vec![jid("bot@acme.example")],
        rights: rights.iter().copied().collect(),
        has_link: false,
        has_web: false,
    }
}

/// One question, asked of `decide`.
struct Case<'a> {
    interface: Interface,
    profile: Profile,
    blocked: bool,
    counted: bool,
    evidence: Evidence<'a>,
}

impl<'a> Case<'a> {
    fn new(visibility: Visibility, evidence: Evidence<'a>) -> Self {
        Self {
            interface: Interface::Public,
            profile: profile(visibility),
            blocked: false,
            counted: false,
            evidence,
        }
    }

    fn of(&self, watcher: &str, right: Right) -> Decision {
        let user = jid("alice@localhost");
        let policy = Policy {
            user: &user,
            visibility: self.profile.visibility,
            public_rights: self.profile.public_rights.as_ref(),
            timezone: self.profile.timezone.as_deref(),
            blocked: self.blocked,
            zone: chrono_tz::Tz::UTC,
            counted: self.counted,
        };
        let (watcher, ceiling) = (jid(watcher), Ceiling::default());
        let evidence = self.evidence;
        decide(
            NOW,
            self.interface,
            &watcher,
            evidence,
            policy,
            &ceiling,
            right,
        )
    }

    fn row(&self) -> [Decision; 7] {
        Right::ALL.map(|right| self.of("bot@acme.example", right))
    }
}

/// design.md §4, the table: see, open-url, leave-message, notify, set-status, start-module,
/// activate-client.
#[test]
fn the_table_of_the_design() {
    let all = party(&Right::ALL);
    let granted = grant(&Right::ALL, Confirm::Never);
    let none = Evidence::default();
    let known = Evidence {
        subscribed: true,
        ..none
    };
    let of_party = Evidence {
        party: Some(&all),
        ..none
    };
    let of_grant = Evidence {
        grants: [Some(&granted), None],
        ..none
    };
    let both = Evidence {
        party: Some(&all),
        ..of_grant
    };
    let public = Case::new(Visibility::Public, none);
    assert_eq!(public.row(), [YES, ASK, YES, NO, NO, NO, NO], "public");
    let known = Case::new(Visibility::Subscribers, known);
    assert_eq!(known.row(), [YES, ASK, YES, YES, NO, NO, NO], "known");
    // set-status and start-module are the user's to give: the operator's word alone does not.
    let authorized = Case::new(Visibility::Subscribers, of_party);
    assert_eq!(authorized.row(), [YES, YES, YES, YES, NO, NO, ASK], "party");
    let authorized = Case::new(Visibility::Private, of_grant);
    assert_eq!(
        authorized.row(),
        [YES, YES, YES, YES, YES, ASK, ASK],
        "grant"
    );
    let mut trusted = Case::new(Visibility::Subscribers, of_party);
    trusted.interface = Interface::Dedicated;
    assert_eq!(trusted.row(), [YES, YES, YES, YES, NO, NO, YES], "trusted");
    let mut trusted = Case::new(Visibility::Subscribers, both);
    trusted.interface = Interface::Dedicated;
    assert_eq!(trusted.row(), [YES; 7], "trusted, by grant");
}

/// Seeing is what all else stands on.
#[test]
fn visibility_decides_who_sees() {
    let all = party(&Right::ALL);
    let none = Evidence::default();
    let known = Evidence {
        subscribed: true,
        ..none
    };
    let of_party = Evidence {
        party: Some(&all),
        ..none
    };
    for (visibility, evidence, sees) in [
        (Visibility::Private, none, false),
        (Visibility::Private, known, false),
        (Visibility::Private, of_party, false),
        (Visibility::Subscribers, none, false),
        (Visibility::Subscribers, known, true),
        (Visibility::Subscribers, of_party, true),
        (Visibility::Public, none, true),
    ] {
        let case = Case::new(visibility, evidence);
        for (right, decision) in Right::ALL.into_iter().zip(case.row()) {
            assert_eq!(
                decision == UNSEEN,
                !sees,
                "{visibility:?} {evidence:?} {right}"
            );
        }
    }
}

/// A block outweighs everything; she herself may do everything.
#[test]
fn a_block_and_herself() {
    let granted = grant(&Right::ALL, Confirm::Never);
    let evidence = Evidence {
        grants: [Some(&granted), None],
        ..Evidence::default()
    };
    let mut case = Case::new(Visibility::Public, evidence);
    case.blocked = true;
    assert_eq!(case.row(), [BLOCKED; 7]);
    for right in Right::ALL {
        assert_eq!(case.of("alice@localhost", right), YES);
    }
}

/// Each piece gives what it names; the mildest confirmation holds, but never one milder than hers.
#[test]
fn pieces_of_evidence_combine() {
    let of_party = party(&[Right::See, Right::OpenUrl]);
    let with = |granted: &Grant| {
        let evidence = Evidence {
            party: Some(&of_party),
            grants: [Some(granted), None],
            ..Evidence::default()
        };
        Case::new(Visibility::Subscribers, evidence).of("bot@acme.example", Right::OpenUrl)
    };
    assert_eq!(
        with(&grant(&[Right::See], Confirm::Always)),
        YES,
        "it does not name the right"
    );
    assert_eq!(with(&grant(&[Right::OpenUrl], Confirm::Always)), ASK);
    assert_eq!(with(&grant(&[Right::OpenUrl], Confirm::First)), ASK);
    let confirmed = Grant {
        confirmed: true,
        ..grant(&[Right::OpenUrl], Confirm::First)
    };
    assert_eq!(with(&confirmed), YES);
    let mut narrowed = Case::new(Visibility::Public, Evidence::default());
    narrowed.profile.public_rights = Some(BTreeSet::from([Right::LeaveMessage]));
    assert_eq!(narrowed.row(), [YES, NO, YES, NO, NO, NO, NO]);
}

/// A grant counts until it ends, and only on its interfaces.
#[test]
fn a_grant_has_its_limits() {
    let row = |granted: Grant| {
        let evidence = Evidence {
            grants: [None, Some(&granted)],
            ..Evidence::default()
        };
        Case::new(Visibility::Private, evidence).of("bot@acme.example", Right::See)
    };
    let granted = grant(&[Right::OpenUrl], Confirm::Never);
    assert_eq!(row(granted.clone()), YES, "any grant includes see");
    let until = |until| Grant {
        until: Some(until),
        ..granted.clone()
    };
    assert_eq!(row(until(Wall(NOW.wall.0 + 1))), YES);
    assert_eq!(row(until(NOW.wall)), UNSEEN);
    let elsewhere = Grant {
        interfaces: BTreeSet::from([Interface::Http]),
        modules: BTreeSet::new(),
        unsigned: false,
        ..granted
    };
    assert_eq!(row(elsewhere), UNSEEN);
}

/// What a grant names is under its limits, whatever else gives it: nothing but `see` in quiet hours, and so
/// many uses a day; the grant to the address itself before that to its domain.
#[test]
fn a_grant_s_limits_hold_for_what_it_names() {
    const DAY: i64 = 86_400_000;
    let midnight = Wall((NOW.wall.0 / DAY + 1) * DAY);
    let used_up = Decision::Deny(Reason::UsedUp(
        u64::try_from((midnight.0 - NOW.wall.0) / 1000).unwrap(),
    ));
    let rights = [Right::OpenUrl, Right::Notify];
    let plain = grant(&rights, Confirm::Never);
    let quiet = |hours: &str| Grant {
        quiet: Some(hours.parse().unwrap()),
        ..plain.clone()
    };
    let used = |times: u32, day_ends| Grant {
        max_per_day: Some(2),
        uses: Uses {
            total: 9,
            of_day: times,
            day_ends: Some(day_ends),
            last: None,
        },
        ..plain.clone()
    };
    let row = |own: Option<&Grant>, of_domain: Option<&Grant>| {
        let evidence = Evidence {
            grants: [own, of_domain],
            subscribed: true,
            ..Evidence::default()
        };
        Case::new(Visibility::Subscribers, evidence).row()
    };
    // 2026-11-23T13:20:00Z; everybody may open a page and leave a message, a subscriber also notify.
    let resting = [YES, NO, YES, NO, NO, NO, NO];
    let giving = [YES, YES, YES, YES, NO, NO, NO];
    let (day, night) = (quiet("13:20-13:21"), quiet("22:00-07:00"));
    assert_eq!(row(Some(&day), None), resting);
    assert_eq!(row(Some(&night), None), giving);
    assert_eq!(row(Some(&used(1, midnight)), None), giving);
    assert_eq!(
        row(Some(&used(2, Wall(midnight.0 - DAY))), None),
        giving,
        "yesterday"
    );
    let full = used(2, midnight);
    assert_eq!(
        row(Some(&full), None),
        [YES, used_up, YES, used_up, NO, NO, NO]
    );
    // The address itself before its domain, either way.
    assert_eq!(row(Some(&plain), Some(&day)), giving);
    assert_eq!(row(Some(&day), Some(&plain)), resting);
    let ended = Grant {
        until: Some(NOW.wall),
        ..plain.clone()
    };
    assert_eq!(
        row(Some(&ended), Some(&day)),
        resting,
        "it rules nothing any more"
    );
    let sees = grant(&[Right::See], Confirm::Never);
    assert_eq!(
        row(Some(&sees), Some(&full))[1],
        used_up,
        "it does not name the right"
    );
    // A use that has been counted does not stand in its own way; quiet hours do.
    for (granted, expected) in [(&full, YES), (&day, NO)] {
        let evidence = Evidence {
            grants: [Some(granted), None],
            ..Evidence::default()
        };
        let mut case = Case::new(Visibility::Private, evidence);
        case.counted = true;
        assert_eq!(case.of("bot@acme.example", Right::OpenUrl), expected);
    }
    // Her own time zone counts, where she has one.
    let evidence = Evidence {
        grants: [Some(&day), None],
        ..Evidence::default()
    };
    let mut case = Case::new(Visibility::Private, evidence);
    case.profile.timezone = Some("Europe/Berlin".into());
    assert_eq!(case.of("bot@acme.example", Right::OpenUrl), YES);
}

/// A token counts for who shows it and for who has redeemed it, until it ends, as her own word does: at the
/// level `authorized`, `see` included, within the ceiling.
#[test]
fn a_token_is_evidence_of_its_own() {
    let bot = jid("bot@acme.example");
    let token = |rights: &[Right]| Token {
        digest: Digest::of("1:Ab-_09and the rest"),
        label: "blog".into(),
        rights: rights.iter().copied().collect(),
        since: Wall(0),
        until: Wall(NOW.wall.0 + 1),
        uses: 1,
        used: 1, // Whose use it is has been counted.
        last_used: None,
        redeemed: BTreeMap::new(),
        barred: BTreeSet::new(),
    };
    let case = |token: Token, shown: bool, visibility: Visibility| {
        let tokens = Few::from_iter([("Ab-_09".to_owned(), token)]);
        let evidence = Evidence {
            tokens: Some(&tokens),
            shown: shown.then_some("Ab-_09"),
            ..Evidence::default()
        };
        let row = Case::new(visibility, evidence).row();
        let shown = level(
            NOW,
            Interface::Public,
            &bot,
            evidence,
            &jid("alice@localhost"),
        );
        (row, shown, expires(NOW, Interface::Public, &bot, evidence))
    };
    let all = token(&Right::ALL);
    let redeemed = Token {
        redeemed: BTreeMap::from([(bot.clone(), Wall(0))]),
        ..all.clone()
    };
    let granted = [YES, YES, YES, YES, YES, ASK, ASK];
    let until = Some(all.until);
    for (one, shown) in [(&all, true), (&redeemed, false), (&redeemed, true)] {
        let found = case(one.clone(), shown, Visibility::Private);
        assert_eq!(found, (granted, Level::Authorized, until));
    }
    // What it names, and seeing; the rest as without it.
    let one = token(&[Right::Notify]);
    let found = case(one, true, Visibility::Private);
    assert_eq!(found.0, [YES, ASK, YES, YES, NO, NO, NO]);
    // It is not shown, has ended, or is barred for the watcher.
    let ended = Token {
        until: NOW.wall,
        ..redeemed
    };
    let barred = Token {
        barred: BTreeSet::from([bot.clone()]),
        ..all.clone()
    };
    for (one, shown) in [
        (&all, false),
        (&ended, true),
        (&ended, false),
        (&barred, true),
    ] {
        let found = case(one.clone(), shown, Visibility::Private);
        assert_eq!(found, ([UNSEEN; 7], Level::Public, None));
    }
}

/// Confirmation is what she set in a grant that names the right, also beside a token; a block outweighs it.
#[test]
fn a_token_is_no_milder_than_her_grant() {
    let tokens = Few::from_iter([(
        "Ab-_09".to_owned(),
        Token {
            digest: Digest::of("1:Ab-_09and the rest"),
            label: "blog".into(),
            rights: BTreeSet::from([Right::OpenUrl]),
            since: Wall(0),
            until: Wall(NOW.wall.0 + 1),
            uses: 1,
            used: 0,
            last_used: None,
            redeemed: BTreeMap::new(),
            barred: BTreeSet::new(),
        },
    )]);
    let granted = grant(&[Right::OpenUrl], Confirm::Always);
    let evidence = Evidence {
        tokens: Some(&tokens),
        shown: Some("Ab-_09"),
        ..Evidence::default()
    };
    let alone = Case::new(Visibility::Private, evidence);
    assert_eq!(alone.of("bot@acme.example", Right::OpenUrl), YES);
    let beside = Evidence {
        grants: [Some(&granted), None],
        ..evidence
    };
    let mut beside = Case::new(Visibility::Private, beside);
    assert_eq!(beside.of("bot@acme.example", Right::OpenUrl), ASK);
    beside.blocked = true;
    assert_eq!(beside.row(), [BLOCKED; 7]);
}

/// The level shown is the highest that the evidence reaches.
#[test]
fn the_level_is_the_highest() {
    let all = party(&Right::ALL);
    let granted = grant(&[Right::See], Confirm::Never);
    let none = Evidence::default();
    let known = Evidence {
        subscribed: true,
        ..none
    };
    let of_grant = Evidence {
        grants: [Some(&granted), None],
        ..known
    };
    let of_party = Evidence {
        party: Some(&all),
        ..known
    };
    let user = jid("alice@localhost");
    for (evidence, interface, expected) in [
        (none, Interface::Public, Level::Public),
        (known, Interface::Public, Level::Known),
        (of_grant, Interface::Public, Level::Authorized),
        (of_party, Interface::Public, Level::Authorized),
        (of_party, Interface::Dedicated, Level::Trusted),
    ] {
        let found = level(NOW, interface, &jid("bot@acme.example"), evidence, &user);
        assert_eq!(found, expected);
    }
    assert_eq!(
        level(NOW, Interface::Public, &user, none, &user),
        Level::Own
    );
}
