//! What a user decides: her status, who sees her, who may do what. Each change is durable before it is
//! acknowledged; what takes something away holds at once.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::authorization::Right;
use super::border::{self, Lapse};
use super::clock::Wall;
use super::consent::{self, Choice};
use super::granting::{self, Offer, Withdrawal};
use super::overdue::End;
use super::record::{Change, Profile, SubscriptionState};
use super::reply::{Asked, Refusal};
use super::sight::Sight;
use super::state::{Narrowing, covers};
use super::wish::Wish;
use super::{
    Component, Turn, command, join, learning, overdue, set_status, standing, subscription, tell,
};
use crate::address::{Address, Bare};

/// One decision and where its acknowledgement goes.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) what: What,
    pub(super) reply: Reply,
    /// What is to be told her when it is done, found while planning.
    pub(super) answer: String,
    /// Whether this is what makes her a user, found while planning.
    pub(super) joins: bool,
    /// The subscriptions that it ends.
    pub(super) ends: Vec<(Bare, SubscriptionState)>,
}

/// What she decides.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// To be served at all.
    Join,
    /// The same with what she has chosen on the way ([`What::Sight`]); where she is served
    /// already, only that.
    Register(Option<Sight>),
    /// No longer to be served, and nothing to be kept.
    Leave,
    /// Not to be served for now: she has removed us from her contacts.
    Sleep,
    /// Not to be served for now: her account may be somebody else's.
    Lost,
    /// To be served on: it is hers.
    Found,
    /// Whether we see her presence (her server's word).
    Seen(bool),
    /// Her custom status, or a part of it.
    Status(Box<Wish>),
    /// No custom status: neither text nor state.
    ClearStatus,
    /// Not the text that somebody else has set.
    Undo,
    /// How she is told of what others do.
    Tell(tell::Choice),
    /// Nothing: it is time for a digest.
    Digest,
    /// Nothing: something in the status has ended by itself, by this time.
    Expiry(Wall),
    /// Her time zone.
    Zone(Tz),
    /// Who sees her, and what of her.
    Sight(Sight),
    /// Rights for watchers or domains.
    Grant(Box<Offer>),
    /// What a granted watcher may start, and whether its name stands by a status that it sets.
    Modules(Choice),
    /// No rights by grant for these.
    Revoke(Box<Withdrawal>),
    /// Nothing: a grant has ended by itself.
    Lapse(Lapse),
}

/// Where the acknowledgement goes.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Nobody waits for one.
    Nobody,
    /// A chat message: to whom, of which type.
    Chat(Address, String),
    /// The empty result of a registration, XEP-0077.
    Registration(Asked),
    /// The result of an ad-hoc command: the request, its node, its session.
    Command {
        asked: Asked,
        node: String,
        session: String,
    },
}

impl Setting {
    pub(super) fn new(what: What, reply: Reply) -> Self {
        Self {
            what,
            reply,
            answer: String::new(),
            joins: false,
            ends: Vec::new(),
        }
    }

    /// One that nobody waits for.
    pub(super) fn silent(what: What) -> Self {
        Self::new(what, Reply::Nobody)
    }
}

/// What holds before it is durable.
pub(super) fn narrowing(setting: &Setting, turn: &Turn) -> Vec<Narrowing> {
    match &setting.what {
        What::Leave | What::Sleep | What::Lost => vec![Narrowing::Absence],
        What::Revoke(withdrawal) => withdrawal.narrowing(turn.now.wall),
        What::Modules(choice) => {
            let modules = choice.modules.clone();
            let left = modules.map(|modules| {
                let each = choice.who.iter().cloned();
                each.map(|who| Narrowing::Modules(who, modules.clone()))
                    .collect()
            });
            left.unwrap_or_default()
        }
        What::Sight(sight) | What::Register(Some(sight)) => vec![Narrowing::Sight(sight.clone())],
        What::Expiry(met) => vec![Narrowing::EndedStatus(*met)],
        What::Lapse(lapse) => {
            let ends = watchers_of(&setting.ends).cloned().collect();
            vec![Narrowing::EndedGrant(lapse.who.clone(), lapse.since, ends)]
        }
        _ => Vec::new(),
    }
}

/// Whether a decision takes something away.
fn narrowing_of(what: &What) -> bool {
    matches!(
        what,
        What::Leave
            | What::Sleep
            | What::Lost
            | What::Revoke(_)
            | What::Modules(_)
            | What::Sight(_)
            | What::Register(Some(_))
    )
}

/// Takes down whose subscriptions are about to end.
pub(super) fn look(core: &Component, turn: &Turn, user: &Bare, setting: &mut Setting) {
    let Some(known) = core.state.stored(user) else {
        return;
    };
    setting.ends = match &mut setting.what {
        What::Revoke(withdrawal) => withdrawal.look(known),
        What::Lapse(lapse) => border::end_with(turn, (user, known), &lapse.who),
        What::Leave => known
            .subscriptions
            .iter()
            .map(|(jid, one)| (jid.clone(), one.state))
            .collect(),
        _ => Vec::new(),
    };
}

/// Finds the changes; an empty list where everything is so already.
pub(super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    setting: &mut Setting,
) -> Result<Vec<Change>, Refusal> {
    let now = turn.now;
    match setting.what {
        What::Join | What::Register(None) => return join::plan(core, now, user, setting),
        What::Register(Some(_)) if core.state.user(user).is_none() => {
            return join::plan(core, now, user, setting);
        }
        What::Leave => return join::plan_leaving(core, user, setting),
        _ => {}
    }
    let known = match setting.what {
        // She is dormant in memory already; and time passes for the dormant too.
        What::Sleep | What::Lost | What::Found | What::Lapse(_) | What::Expiry(_) => {
            core.state.stored(user)
        }
        _ => core.state.user(user),
    };
    let known = known.ok_or(Refusal::Forbidden)?;
    let profile = known.profile().ok_or(Refusal::Forbidden)?;
    let owner = user.clone();
    let put = |value| Change::Profile {
        user: user.clone(),
        value: Some(value),
    };
    let answer = &mut setting.answer;
    let change = match &setting.what {
        What::Join | What::Leave | What::Register(None) => return Ok(Vec::new()),
        what @ (What::Sleep | What::Lost | What::Found | What::Seen(_)) => {
            match standing::plan(what, profile, answer) {
                Some(value) => put(value),
                None => return Ok(Vec::new()),
            }
        }
        What::Status(wish) => {
            let standing = known.status().unwrap_or_default();
            let zone = wish.zone.unwrap_or_else(|| core.zone(user));
            let (status, told) = wish.applied(&standing, now.wall, zone)?;
            *answer = told;
            let mut changes = Vec::new();
            if wish.zone.is_some_and(|zone| zone != core.zone(user)) {
                changes.push(Change::Profile {
                    user: owner.clone(),
                    value: Some(Profile {
                        timezone: Some(zone.to_string()),
                        ..profile
                    }),
                });
            }
            if status != standing {
                changes.push(Change::Status {
                    user: owner,
                    value: Some(status).filter(|status| !status.is_empty()),
                });
            }
            return Ok(changes);
        }
        What::ClearStatus => {
            if known.status().is_none() {
                "You have no custom status.".clone_into(answer);
                return Ok(Vec::new());
            }
            "Your custom status is cleared.".clone_into(answer);
            Change::Status {
                user: owner,
                value: None,
            }
        }
        What::Undo => {
            let (change, told) = set_status::undo(core, turn, user)?;
            *answer = told;
            change
        }
        What::Modules(choice) => {
            let (changes, told) = consent::plan_modules(known, user, choice)?;
            *answer = told;
            return Ok(changes);
        }
        // In memory it is so already.
        What::Expiry(met) => Change::Status {
            user: owner,
            value: known
                .status()
                .map(|status| status.tidied(*met))
                .filter(|status| !status.is_empty()),
        },
        What::Tell(choice) => {
            let value = tell::applied(choice, profile);
            *answer = tell::told(&value);
            put(value)
        }
        What::Digest => {
            let (changes, told) = tell::plan(user, known, core.zone(user));
            *answer = told;
            return Ok(changes);
        }
        What::Zone(zone) => {
            *answer = format!("Your time zone is now {zone}. What has an end keeps it.");
            put(Profile {
                timezone: Some(zone.to_string()),
                ..profile
            })
        }
        What::Sight(sight) | What::Register(Some(sight)) => {
            let value = sight.applied(profile);
            *answer = sight.told(&value);
            put(value)
        }
        What::Grant(offer) => {
            let (changes, told) = granting::plan(core, turn, user, offer)?;
            *answer = told;
            return Ok(changes);
        }
        What::Revoke(withdrawal) => {
            let (mut changes, told) = granting::plan_withdrawal(core, turn, user, withdrawal)?;
            *answer = told;
            changes.extend(set_status::without(known, user, |author| {
                withdrawal.each().any(|(who, _)| covers(who, author))
            }));
            changes.extend(ended(user, watchers_of(&setting.ends)));
            return Ok(changes);
        }
        What::Lapse(lapse) => {
            return Ok(border::plan(turn, (user, known), lapse, &mut setting.ends));
        }
    };
    Ok(vec![change])
}

/// The subscriptions that a revocation ends, or her leaving.
pub(super) fn ended<'a>(
    user: &'a Bare,
    watchers: impl Iterator<Item = &'a Bare>,
) -> impl Iterator<Item = Change> {
    watchers.map(|watcher| Change::Subscription {
        user: user.clone(),
        watcher: watcher.clone(),
        value: None,
    })
}

/// Whose subscriptions end.
pub(super) fn watchers_of(ends: &[(Bare, SubscriptionState)]) -> impl Iterator<Item = &Bare> {
    ends.iter().map(|(watcher, _)| watcher)
}

/// Acknowledges, and tells those whom it concerns.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    setting: Setting,
    result: Result<(), Refusal>,
) {
    let Setting {
        what,
        reply,
        mut answer,
        joins,
        ends,
    } = setting;
    if let What::Digest = what {
        return tell::digested(core, turn, user, &answer, result);
    }
    let end = match &what {
        What::Expiry(met) => Some(End::Status(*met)),
        What::Lapse(lapse) => Some(End::Grant(Lapse {
            gone: watchers_of(&ends).chain(&lapse.gone).cloned().collect(),
            ..lapse.clone()
        })),
        _ => None,
    };
    if let (Some(end), Err(refusal)) = (end, &result) {
        overdue::refused(core, turn, user, end, refusal);
    }
    let changed = result.is_ok();
    let narrows = narrowing_of(&what);
    let result = result.map_err(|refusal| match refusal {
        Refusal::ResourceConstraint if narrows => Refusal::Unsaved,
        refusal => refusal,
    });
    if changed && joins && matches!(reply, Reply::Chat(..)) {
        answer = join::welcome_text(core, user); // One message, not two.
    }
    let said = answer == standing::UNSEEN;
    command::acknowledge(core, turn, reply.clone(), result.map(|()| answer));
    if let What::Seen(true) | What::Found = what {
        learning::ask_one(core, turn, user);
    }
    if let What::Expiry(_) = what {
        core.state.rearm(user, turn.now.wall); // Even unwritten: the clock may have been set back.
    }
    // What a revocation ends has ended in memory even where it could not be written: who would go on showing
    // her is told.
    if !changed && !matches!(what, What::Revoke(_) | What::Lapse(_)) {
        return;
    }
    // Of one who is dormant nobody is told anything.
    let is_told = core.state.user(user).is_some() || !matches!(what, What::Lapse(_));
    if let Some(presentity) = core.settings.domain.presentity(user).filter(|_| is_told) {
        let is_lapse = matches!(what, What::Lapse(_));
        for (watcher, state) in ends {
            // Whom she has approved herself meanwhile stays.
            let known = core.state.user(user);
            let stays = known.is_some_and(|known| known.subscriptions.contains_key(&watcher));
            if !(is_lapse && stays) {
                subscription::end(core, turn, &presentity, &watcher, Some(state));
            }
        }
    }
    match what {
        What::Join | What::Register(_) if joins => {
            join::welcome(core, turn, user, &reply);
            core.tell_each(user);
        }
        What::Join | What::Register(None) => join::request(core, turn, user),
        What::Leave => join::part(core, turn, user),
        What::Sleep => join::sleep(core, turn, user),
        What::Lost => join::estranged(core, turn, user),
        What::Found => core.tell_each(user),
        What::Seen(false) if said => join::unseen(core, turn, user, standing::UNSEEN),
        What::Status(wish) if wish.zone.is_some() => core.quiet_anew(turn, user),
        What::Modules(choice) => {
            for watcher in &choice.who {
                core.tell_covered(turn, user, watcher);
            }
        }
        What::Sight(_) | What::Register(Some(_)) => core.tell_each(user),
        What::Grant(offer) => {
            for watcher in offer.watchers() {
                core.tell_covered(turn, user, watcher);
            }
        }
        // With the zone the quiet hours are at another time.
        What::Zone(_) => core.quiet_anew(turn, user),
        What::Revoke(withdrawal) => {
            let had = withdrawal.had.iter().map(|(watcher, _)| watcher);
            let redeemed = withdrawal.had_tokens.iter().map(|(watcher, _)| watcher);
            for watcher in had.chain(redeemed) {
                core.tell_covered(turn, user, watcher); // Whose subscription stays.
            }
        }
        What::Seen(_)
        | What::Lapse(_)
        | What::Status(_)
        | What::ClearStatus
        | What::Undo
        | What::Tell(_)
        | What::Digest
        | What::Expiry(_) => {}
    }
}

/// Rights as a list of names.
pub(super) fn list(rights: &BTreeSet<Right>) -> String {
    rights
        .iter()
        .map(|right| right.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
