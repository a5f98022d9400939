//! Joining and leaving: what is written, and what both sides see of it. RFC 6121 §3, XEP-0100 §4.1, §5.1.

use super::authorization::Visibility;
use super::clock::Now;
use super::pace::{self, Urgency, Word};
use super::record::{Change, LastSeen, Profile, SubscriptionState};
use super::reply::Refusal;
use super::route::About;
use super::setting::{self, Reply, Setting, What};
use super::{Component, Effect, Report, Turn, broadcast, lane, learning, presence};
use crate::address::Bare;
use crate::stanza::Inbound;

/// A `subscribe` to the component domain: a user who may join joins by it.
pub(super) fn subscribe(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    let user = stanza.from.bare.clone();
    if !core.settings.may_join(&user) {
        let domain = core.settings.domain.bare();
        return core.send(Component::presence(domain, &user, "unsubscribed"));
    }
    if core.state.user(&user).is_some() {
        return approve(core, turn, &user);
    }
    lane::submit(
        core,
        turn,
        &user,
        lane::Task::Setting(Setting::silent(What::Join)),
    );
}

/// Approves her subscription to us, shows that we are there, and asks for hers where that is open.
fn approve(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    let pair = (&domain, user);
    pace::say(core, turn, pair, Word::Subscribed, Urgency::Awaited);
    request(core, turn, user);
}

/// Asks to see her presence, unless she lets us already.
pub(super) fn request(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    let profile = core.state.user(user).and_then(|known| known.settings());
    if profile.is_some_and(|profile| !profile.subscribed) {
        pace::say(
            core,
            turn,
            (&domain, user),
            Word::Subscribe,
            Urgency::Awaited,
        );
    }
}

/// She has joined. Where she asked for our presence by contact, that is approved; in chat the welcome
/// has been the answer.
pub(super) fn welcome(core: &mut Component, turn: &mut Turn, user: &Bare, reply: &Reply) {
    let report = Report::Joined(user.clone());
    core.effects.push_back(Effect::Report(report));
    if matches!(reply, Reply::Nobody) {
        approve(core, turn, user);
    } else {
        request(core, turn, user);
    }
    if matches!(reply, Reply::Chat(..)) {
        return;
    }
    let id = turn.chance.id();
    let text = welcome_text(core, user);
    let message = core.message(&user.clone().into(), "chat", &id, &text);
    core.send(message);
}

/// She has left: neither sees the other any more.
pub(super) fn part(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    let pair = (&domain, user);
    pace::answered(core, user);
    pace::say(core, turn, pair, Word::Unsubscribe, Urgency::Awaited);
    core.send(broadcast::gone(&domain, user));
    pace::say(core, turn, pair, Word::Unsubscribed, Urgency::Awaited);
}

/// She has removed us from her contacts (RFC 6121 §2.5.2): what is stored waits for her.
pub(super) fn sleep(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    pace::answered(core, user);
    hide(core, user);
    core.send(broadcast::gone(&domain, user));
    let pair = (&domain, user);
    pace::say(core, turn, pair, Word::Unsubscribed, Urgency::Awaited);
    let id = turn.chance.id();
    let text = "You have removed me from your contacts, so nobody is told anything about you any more. \
                What you have set is kept: send “join” or add me again to go on, or “leave” to erase it.";
    let message = core.message(&user.clone().into(), "chat", &id, text);
    core.send(message);
}

/// Deletes all that is stored of a user; her profile last, which takes the rest along in memory.
pub(super) fn plan_leaving(
    core: &Component,
    user: &Bare,
    setting: &mut Setting,
) -> Result<Vec<Change>, Refusal> {
    let known = core.state.stored(user).ok_or(Refusal::Forbidden)?;
    "You have left; everything that was stored is erased.".clone_into(&mut setting.answer);
    let owner = || user.clone();
    let mut changes: Vec<_> = setting::ended(user, setting::watchers_of(&setting.ends)).collect();
    changes.extend(known.grants().keys().map(|watcher| Change::Grant {
        user: owner(),
        watcher: watcher.clone(),
        value: None,
    }));
    changes.extend(known.tokens().keys().map(|id| Change::Token {
        user: owner(),
        id: id.clone(),
        value: None,
    }));
    changes.extend(known.blocks().keys().map(|watcher| Change::Block {
        user: owner(),
        watcher: watcher.clone(),
        value: None,
    }));
    changes.extend(known.history().keys().map(|(at, id)| Change::Audit {
        user: owner(),
        at: *at,
        id: id.clone(),
        value: None,
    }));
    changes.push(Change::Status {
        user: owner(),
        value: None,
    });
    changes.push(Change::Face {
        user: owner(),
        value: None,
    });
    changes.push(Change::Profile {
        user: owner(),
        value: None,
    });
    Ok(changes)
}

/// Makes her a user, with what was stored of her and what she has chosen on the way.
pub(super) fn plan(
    core: &Component,
    now: Now,
    user: &Bare,
    setting: &mut Setting,
) -> Result<Vec<Change>, Refusal> {
    if !core.settings.may_join(user) {
        return Err(Refusal::Forbidden);
    }
    if core.state.user(user).is_some() {
        "You have joined already. Send “help” for what you can do.".clone_into(&mut setting.answer);
        return Ok(Vec::new());
    }
    "You have joined.".clone_into(&mut setting.answer);
    setting.joins = true;
    let stored = core.state.stored(user).and_then(|known| known.profile());
    let value = match stored {
        Some(profile) => Profile {
            dormant: false,
            declined: false,
            lost: false,
            ..profile
        },
        None => profile(core, now),
    };
    let value = match &setting.what {
        What::Register(Some(sight)) => sight.applied(value),
        _ => value,
    };
    Ok(vec![Change::Profile {
        user: user.clone(),
        value: Some(value),
    }])
}

/// The settings of somebody who has just joined.
pub(super) fn profile(core: &Component, now: Now) -> Profile {
    Profile {
        joined: now.wall,
        visibility: core.settings.default_visibility,
        show_when_offline: true,
        public_rights: None,
        dormant: false,
        subscribed: false,
        declined: false,
        lost: false,
        last_seen: LastSeen::default(),
        share_idle: false,
        timezone: None,
        tell: std::collections::BTreeMap::new(),
    }
}

/// Who may join, for those who may not.
pub(super) fn for_whom(core: &Component) -> String {
    let domains: Vec<_> = core.settings.users.iter().map(Bare::as_str).collect();
    format!("Only users of {} may join.", domains.join(", "))
}

/// Her watchers see her go, and keep their subscriptions for when she is back.
fn hide(core: &mut Component, user: &Bare) {
    let Some(presentity) = core.settings.domain.presentity(user) else {
        return;
    };
    let known = core.state.stored(user);
    let approved: Vec<_> = known
        .into_iter()
        .flat_map(|known| &known.subscriptions)
        .filter(|(_, one)| one.state == SubscriptionState::Approved)
        .map(|(watcher, _)| watcher.clone())
        .collect();
    for watcher in approved {
        core.send(broadcast::gone(&presentity, &watcher));
    }
}

/// She no longer lets us see her presence. A server that does not know the account returns what she is
/// told: then it has been deleted.
pub(super) fn unseen(core: &mut Component, turn: &mut Turn, user: &Bare, text: &str) {
    if core.state.user(user).is_none() {
        return; // She has removed us from her contacts, and is told that.
    }
    let id = turn.chance.id();
    let message = core.message(&user.clone().into(), "chat", &id, text);
    core.send(message);
    core.watch(turn, id, user.clone().into(), About::Notice(user.clone()));
}

/// What we told a user has come back.
pub(super) fn bounced(core: &mut Component, turn: &mut Turn, user: &Bare, error: &Inbound) {
    if learning::is_denial(error) && core.state.user(user).is_some() {
        lane::submit(
            core,
            turn,
            user,
            lane::Task::Setting(Setting::silent(What::Lost)),
        );
    }
}

/// Her account may be somebody else's by now (accounts are deleted and registered again).
pub(super) fn estranged(core: &mut Component, turn: &mut Turn, user: &Bare) {
    pace::answered(core, user);
    hide(core, user);
    let id = turn.chance.id();
    let text = "Your server says that you do not let me see your presence any more, so nobody is told \
                anything about this address. What was set is kept: send “join” or add me again to go on, or \
                “leave” to erase it.";
    let message = core.message(&user.clone().into(), "chat", &id, text);
    core.send(message);
}

pub(super) fn welcome_text(core: &Component, user: &Bare) -> String {
    let known = core.state.user(user).and_then(|known| known.settings());
    let visibility = known.map_or(core.settings.default_visibility, |one| one.visibility);
    let visibility = match visibility {
        Visibility::Private => "nobody but those you grant it",
        Visibility::Public => "everyone",
        Visibility::Subscribers => "those you approve and the operator's parties",
    };
    let parties: Vec<_> = core
        .settings
        .parties
        .iter()
        .map(|party| core.settings.name_of(party))
        .collect();
    let parties = if parties.is_empty() {
        "The operator has registered no parties.".to_owned()
    } else {
        format!(
            "The operator's parties are: {}. You can block each of them.",
            parties.join(", ")
        )
    };
    let presentity = core
        .settings
        .domain
        .presentity(user)
        .map_or_else(String::new, |p| p.to_string());
    format!(
        "Welcome to {domain}. Please approve its request to see your presence, so that it can tell \
         others whether you are there.\n\
         Your address for others is {presentity}. For now {visibility} can see you. {parties}\n\
         Try “status In a meeting until 3”, “visibility public”, or “help”.",
        domain = core.settings.domain.bare(),
    )
}

/// She lets us see her presence.
pub(super) fn subscribed(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let Some(live) = core.state.live(user) else {
        return;
    };
    if !std::mem::take(&mut live.subscribing) {
        // COMPAT(ejabberd 23.01): it does not know pre-approval and passes on a `subscribed` that nobody
        // has asked for (servers.md §3.1). A server that holds to it answers our request at once.
        return request(core, turn, user);
    }
    pace::answered(core, user);
    let seen = lane::Task::Setting(Setting::silent(What::Seen(true)));
    lane::submit(core, turn, user, seen);
}

/// She no longer lets us see her presence, or never will; her custom status is still served.
pub(super) fn unsubscribed(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let Some(live) = core.state.live(user) else {
        return;
    };
    live.subscribing = false;
    pace::answered(core, user);
    presence::unseen(core, turn, user);
    let unseen = lane::Task::Setting(Setting::silent(What::Seen(false)));
    lane::submit(core, turn, user, unseen);
}

/// She no longer wants to see ours: she has removed us from her contacts (RFC 6121 §3.3.3).
pub(super) fn unsubscribe(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core.state.user(user).is_some() {
        let sleep = lane::Task::Setting(Setting::silent(What::Sleep));
        lane::submit(core, turn, user, sleep);
    }
}
