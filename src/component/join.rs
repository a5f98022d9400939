//! Joining: a user adds the component domain as a contact. RFC 6121 §3, XEP-0100 §5.1.

use super::setting::{Reply, Setting, What};
use super::{Component, Effect, Report, Turn, broadcast, lane, learning, presence};
use crate::address::Bare;
use crate::stanza::Inbound;
use crate::stanza::compose::Compose;

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
    let id = turn.chance.id();
    core.send(Component::presence(&domain, user, "subscribed").attribute("id", Some(&id)));
    learning::greet(core, &user.clone().into());
    let Some(known) = core.state.user(user) else {
        return;
    };
    if known
        .profile
        .as_ref()
        .is_some_and(|profile| profile.subscribed)
    {
        return;
    }
    if let Some(live) = core.state.live(user) {
        live.subscribing = true;
    }
    core.send(Component::presence(&domain, user, "subscribe"));
}

/// She has joined. Where she asked for our presence by contact, that is approved; in chat the welcome
/// has been the answer.
pub(super) fn welcome(core: &mut Component, turn: &mut Turn, user: &Bare, reply: &Reply) {
    let report = Report::Joined(user.clone());
    core.effects.push_back(Effect::Report(report));
    if matches!(reply, Reply::Nobody) {
        approve(core, turn, user);
    } else {
        let domain = core.settings.domain.bare().clone();
        if let Some(live) = core.state.live(user) {
            live.subscribing = true;
        }
        core.send(Component::presence(&domain, user, "subscribe"));
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
pub(super) fn part(core: &mut Component, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    core.send(Component::presence(&domain, user, "unsubscribe"));
    core.send(broadcast::gone(&domain, user));
    core.send(Component::presence(&domain, user, "unsubscribed"));
}

/// She has removed us from her contacts (RFC 6121 §2.5.2): what is stored waits for her.
pub(super) fn sleep(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    core.send(broadcast::gone(&domain, user));
    core.send(Component::presence(&domain, user, "unsubscribed"));
    let id = turn.chance.id();
    let text = "You have removed me from your contacts, so nobody is told anything about you any more. \
                What you have set is kept: send “join” or add me again to go on, or “leave” to erase it.";
    let message = core.message(&user.clone().into(), "chat", &id, text);
    core.send(message);
}

pub(super) fn welcome_text(core: &Component, user: &Bare) -> String {
    let visibility = match core.settings.default_visibility.as_str() {
        "private" => "nobody but those you grant it",
        "public" => "everyone",
        _ => "those you approve and the operator's parties",
    };
    let parties: Vec<_> = core
        .settings
        .parties
        .iter()
        .map(|party| party.name.as_str())
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
    live.subscribing = false;
    lane::submit(
        core,
        turn,
        user,
        lane::Task::Setting(Setting::silent(What::Seen(true))),
    );
}

/// COMPAT(ejabberd 23.01): where she had approved before, no presence follows her `subscribed`, so it
/// is asked for.
pub(super) fn ask_for_presence(core: &mut Component, user: &Bare) {
    let domain = core.settings.domain.bare().clone();
    core.send(Component::presence(&domain, user, "probe"));
}

/// She no longer lets us see her presence; her custom status is still served.
pub(super) fn unsubscribed(core: &mut Component, turn: &mut Turn, user: &Bare) {
    let Some(live) = core.state.live(user) else {
        return;
    };
    live.subscribing = false;
    presence::unseen(core, turn, user);
    lane::submit(
        core,
        turn,
        user,
        lane::Task::Setting(Setting::silent(What::Seen(false))),
    );
}

/// She no longer wants to see ours: she has removed us from her contacts (RFC 6121 §3.3.3).
pub(super) fn unsubscribe(core: &mut Component, turn: &mut Turn, user: &Bare) {
    if core.state.user(user).is_some() {
        let sleep = lane::Task::Setting(Setting::silent(What::Sleep));
        lane::submit(core, turn, user, sleep);
    }
}
