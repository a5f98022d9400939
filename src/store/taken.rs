//! Which changes take something away from somebody: what an older copy of the store would give back.

use std::collections::{BTreeMap, BTreeSet};

use super::codec;
use crate::component::authorization::Confirm;
use crate::component::record::{Change, Grant, Profile, Subscription, SubscriptionState, Token};

/// Whether writing `after` over `before` at `key` takes something away. In doubt it does.
pub(super) fn takes_away(key: &[u8], before: Option<&[u8]>, after: Option<&[u8]>) -> bool {
    if !codec::is_consent(key) {
        return false;
    }
    let read = |value: Option<&[u8]>| value.map(|value| codec::decode(key, value)).transpose();
    match (read(before), read(after)) {
        (Ok(before), Ok(after)) => narrows(before.as_ref(), after.as_ref()),
        _ => true,
    }
}

/// Who leaves in writes that are done together, in their order: the keys of profiles that go on the way,
/// whatever is there in the end, and whether each of them has joined by these writes before.
pub(super) fn leaving(writes: &[(Vec<u8>, Option<Vec<u8>>)]) -> BTreeMap<Vec<u8>, bool> {
    let (mut leaving, mut joined) = (BTreeMap::new(), BTreeSet::new());
    let profiles = writes
        .iter()
        .filter(|(key, _)| codec::profile_of(key).is_some());
    for (key, value) in profiles {
        match value {
            Some(_) => drop(joined.insert(key)),
            None => *leaving.entry(key.clone()).or_default() |= joined.contains(key),
        }
    }
    leaving
}

fn narrows(before: Option<&Change>, after: Option<&Change>) -> bool {
    match (before, after) {
        // A block takes away what was there without a record.
        (_, Some(Change::Block { .. } | Change::OperatorBlock { .. })) => before.is_none(),
        (Some(Change::Block { .. } | Change::OperatorBlock { .. }), None) | (None, _) => false,
        (
            Some(Change::Profile { value: before, .. }),
            Some(Change::Profile { value: after, .. }),
        ) => both(before, after, profile_narrows),
        (Some(Change::Grant { value: before, .. }), Some(Change::Grant { value: after, .. })) => {
            both(before, after, grant_narrows)
        }
        (
            Some(Change::Subscription { value: before, .. }),
            Some(Change::Subscription { value: after, .. }),
        ) => both(before, after, subscription_narrows),
        (Some(Change::Token { value: before, .. }), Some(Change::Token { value: after, .. })) => {
            both(before, after, token_narrows)
        }
        _ => true,
    }
}

fn both<T>(before: &Option<T>, after: &Option<T>, narrows: fn(&T, &T) -> bool) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => narrows(before, after),
        _ => true,
    }
}

/// Fields that are not named here, as all that come later, take away when they change.
#[allow(clippy::needless_update, reason = "for the fields that come later")]
fn profile_narrows(before: &Profile, after: &Profile) -> bool {
    let wider = Profile {
        joined: after.joined,
        visibility: after.visibility.max(before.visibility),
        show_when_offline: before.show_when_offline || after.show_when_offline,
        public_rights: match (&before.public_rights, &after.public_rights) {
            (Some(before), Some(after)) => Some(before | after),
            _ => None,
        },
        dormant: before.dormant && after.dormant,
        subscribed: after.subscribed,
        declined: after.declined,
        lost: after.lost,
        last_seen: before.last_seen.max(after.last_seen),
        share_idle: before.share_idle || after.share_idle,
        timezone: after.timezone.clone(),
        ..before.clone()
    };
    wider != *after
}

/// The same.
#[allow(clippy::needless_update, reason = "for the fields that come later")]
fn grant_narrows(before: &Grant, after: &Grant) -> bool {
    let looked_at = Grant {
        rights: after.rights.clone(),
        confirm: after.confirm,
        confirmed: after.confirmed,
        since: after.since,
        until: after.until,
        max_per_day: after.max_per_day,
        quiet: after.quiet,
        uses: after.uses,
        modules: after.modules.clone(),
        unsigned: after.unsigned,
        ..before.clone()
    };
    let mildness = |grant: &Grant| match (grant.confirm, grant.confirmed) {
        (Confirm::Always, _) => 0,
        (Confirm::First, false) => 1,
        (Confirm::First, true) => 2,
        (Confirm::Never, _) => 3,
    };
    !after.rights.is_superset(&before.rights)
        || !after.modules.is_superset(&before.modules)
        || (before.unsigned && !after.unsigned)
        || mildness(after) < mildness(before)
        || after
            .until
            .is_some_and(|after| before.until.is_none_or(|before| after < before))
        || is_fewer(before.max_per_day, after.max_per_day)
        || (after.quiet.is_some() && after.quiet != before.quiet)
        || looked_at != *after
}

/// Whether a limit is lower than before; `None` is no limit.
fn is_fewer(before: Option<u32>, after: Option<u32>) -> bool {
    after.is_some_and(|after| before.is_none_or(|before| after < before))
}

/// The same. A use takes nothing away: an import leaves tokens without uses.
#[allow(clippy::needless_update, reason = "for the fields that come later")]
fn token_narrows(before: &Token, after: &Token) -> bool {
    let looked_at = Token {
        used: after.used,
        last_used: after.last_used,
        redeemed: after.redeemed.clone(),
        ..before.clone()
    };
    let is_gone = |watcher| !after.redeemed.contains_key(watcher);
    before.redeemed.keys().any(is_gone) || looked_at != *after
}

fn subscription_narrows(before: &Subscription, after: &Subscription) -> bool {
    before.state != SubscriptionState::Pending && after.state == SubscriptionState::Pending
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::component::authorization::{Right, Visibility};
    use crate::component::clock::Wall;
    use crate::component::record::{Digest, SubscriptionState};

    fn takes(before: Option<&Change>, after: Option<&Change>) -> bool {
        let encoded = |change: Option<&Change>| change.map(|change| codec::encode(change).unwrap());
        let (before, after) = (encoded(before), encoded(after));
        let key = before.as_ref().or(after.as_ref()).unwrap().0.clone();
        let value = |one: Option<(Vec<u8>, Option<Vec<u8>>)>| one.and_then(|(_, value)| value);
        let (before, after) = (value(before), value(after));
        takes_away(&key, before.as_deref(), after.as_deref())
    }

    fn profile(change: impl FnOnce(&mut Profile)) -> Change {
        let Change::Profile { user, value } = samples::all().remove(0) else {
            panic!("the first sample is a profile");
        };
        let mut value = value.unwrap();
        change(&mut value);
        Change::Profile {
            user,
            value: Some(value),
        }
    }

    fn grant(change: impl FnOnce(&mut Grant)) -> Change {
        let Change::Grant {
            user,
            watcher,
            value,
        } = samples::all().remove(2)
        else {
            panic!("the third sample is a grant");
        };
        let mut value = value.unwrap();
        change(&mut value);
        Change::Grant {
            user,
            watcher,
            value: Some(value),
        }
    }

    fn subscription(state: SubscriptionState) -> Change {
        Change::Subscription {
            user: samples::jid("juliet@capulet.example"),
            watcher: samples::jid("bot@acme.example"),
            value: Some(Subscription {
                state,
                since: Wall(1),
                waiting: None,
                by_grant: false,
            }),
        }
    }

    #[test]
    fn what_is_new_takes_nothing_away_but_for_a_block() {
        for change in samples::all() {
            let is_block = matches!(change, Change::Block { .. });
            assert_eq!(takes(None, Some(&change)), is_block, "{change:?}");
            assert!(!takes(Some(&change), Some(&change)), "{change:?}");
        }
    }

    #[test]
    fn a_block_of_the_operator_takes_away_and_its_end_does_not() {
        let block = samples::operator_block();
        assert!(takes(None, Some(&block)));
        assert!(!takes(Some(&block), Some(&block)));
        assert!(!takes(Some(&block), None));
    }

    #[test]
    fn what_is_gone_is_taken_away_where_somebody_had_something_by_it() {
        let taken: Vec<bool> = samples::all()
            .iter()
            .map(|change| takes(Some(change), None))
            .collect();
        // Profile, grant and subscription; not a status, a block, a command, its trace, a face.
        let expected = [true, false, true, true, false, false, false, false];
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_replacement_is_looked_at() {
        let (one, two) = (profile(|_| {}), grant(|_| {}));
        for (after, taken) in [
            (profile(|it| it.visibility = Visibility::Public), false),
            (profile(|it| it.visibility = Visibility::Private), true),
            (profile(|it| it.show_when_offline = true), false),
            (profile(|it| it.public_rights = None), false),
            (
                profile(|it| it.public_rights = Some([Right::See].into())),
                true,
            ),
            (profile(|it| it.dormant = true), true),
            (profile(|it| it.subscribed = false), false),
        ] {
            assert_eq!(takes(Some(&one), Some(&after)), taken, "{after:?}");
        }
        for (after, taken) in [
            (grant(|it| it.rights.extend([Right::OpenUrl])), false),
            (
                grant(|it| it.rights.retain(|right| *right == Right::See)),
                true,
            ),
            (grant(|it| it.confirm = Confirm::Never), false),
            (grant(|it| it.confirm = Confirm::Always), true),
            (grant(|it| it.confirmed = false), true),
            (grant(|it| it.until = None), false),
            (grant(|it| it.until = Some(Wall(5))), true),
            (grant(|it| it.interfaces.clear()), true),
            (grant(|it| it.modules = ["lock".to_owned()].into()), false),
            (grant(|it| it.unsigned = true), false),
        ] {
            assert_eq!(takes(Some(&two), Some(&after)), taken, "{after:?}");
        }
        let three = grant(|it| {
            it.modules = ["agenda".to_owned(), "lock".to_owned()].into();
            it.unsigned = true;
        });
        for after in [
            grant(|it| {
                it.modules = ["lock".to_owned()].into();
                it.unsigned = true;
            }),
            grant(|it| it.modules = ["agenda".to_owned(), "lock".to_owned()].into()),
        ] {
            assert!(takes(Some(&three), Some(&after)), "{after:?}");
        }
        use SubscriptionState::{Approved, Pending, Preapproved};
        for (before, after, taken) in [
            (Pending, Approved, false),
            (Preapproved, Approved, false),
            (Approved, Pending, true),
        ] {
            let taken_away = takes(Some(&subscription(before)), Some(&subscription(after)));
            assert_eq!(taken_away, taken, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_use_of_a_token_takes_nothing_away() {
        let Change::Token { user, id, value } = samples::token() else {
            panic!("that is a token");
        };
        let token = |change: &dyn Fn(&mut Token)| {
            let mut value = value.clone().unwrap();
            change(&mut value);
            Change::Token {
                user: user.clone(),
                id: id.clone(),
                value: Some(value),
            }
        };
        let one = token(&|_| {});
        assert!(!takes(None, Some(&one)) && takes(Some(&one), None));
        let other = samples::jid("other@capulet.example");
        for (after, taken) in [
            (token(&|it| it.used += 1), false),
            (token(&|it| it.last_used = Some(Wall(7))), false),
            (
                token(&|it| it.redeemed.extend([(other.clone(), Wall(7))])),
                false,
            ),
            (token(&|it| it.redeemed.clear()), true),
            (token(&|it| it.barred.extend([other.clone()])), true),
            (token(&|it| it.until = Wall(0)), true),
            (token(&|it| it.uses = 1), true),
            (token(&|it| it.digest = Digest::of("another")), true),
        ] {
            assert_eq!(takes(Some(&one), Some(&after)), taken, "{after:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_taken_away() {
        let (key, value) = codec::encode(&grant(|_| {})).unwrap();
        assert!(takes_away(&key, Some(b"?"), value.as_deref()));
    }
}
