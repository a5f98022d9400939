//! The chat twins of the user's commands: many clients have no interface for ad-hoc commands.

mod granting;
mod status;

use chrono_tz::Tz;
use minidom::Element;
use xmpp_parsers::ns;

use super::authorization::Visibility;
use super::clock::Wall;
use super::decision::{self, Verdict};
use super::reply::Refusal;
use super::setting::{Reply, Setting, What};
use super::sight::{self, Sight};
use super::{Component, Turn, command, consent, export, join, lane, pending, whom, wish};
use crate::address::Bare;
use crate::stanza::Inbound;

const HELP: &str = "\
join – be served here; leave – end it and erase everything
status TEXT – set your status text; it stays after you log out; an emoji may stand before it
status – show it; status clear – remove it
for 1h TEXT, until 15:00 TEXT – the same for a time (30m, 4h, 2d, today, week; 2026-12-24, 2026-12-24 18:00)
meanwhile 1h TEXT – the same, and then the text before again
away, dnd, xa, chat, online, invisible – be shown so; with a time or a text, as in “dnd for 1h Writing”
state keep – be shown as your clients say
timezone Europe/Berlin – in which times are meant
visibility private, subscribers or public – who sees you
last-seen exact, hour, day or never – how precisely others learn it
share-idle yes or no – whether others see for how long you have been idle
grant WHO RIGHT… – let an address or a domain do things (see, open-url, leave-message, …)
revoke WHO – take it back
pending – who asks to see your presence; approve, deny or block WHO – answer, with an address or a number
block WHO, unblock WHO – an address or a domain
overview – who may do what
export – get all that is stored of you";

/// What a line says.
#[derive(Debug)]
enum Line {
    Help,
    Overview,
    /// All that is stored of her.
    Export,
    /// All that is stored of everybody.
    ExportStore,
    ShowStatus,
    ShowZone,
    ShowSight,
    Set(What),
    Pending(u32),
    Decide(Verdict, String),
    /// It cannot be followed: why.
    Wrong(String),
}

/// A message to the component domain.
pub(super) fn received(core: &mut Component, turn: &mut Turn, stanza: &Inbound) {
    if !matches!(stanza.type_.as_str(), "" | "normal" | "chat") {
        return;
    }
    let user = &stanza.from.bare;
    let body = stanza
        .element
        .get_child("body", ns::JABBER_CLIENT)
        .map(Element::text);
    let Some(body) = body.filter(|body| !body.trim().is_empty()) else {
        return;
    };
    if !core.chats.take(user, turn.now.mono) {
        return;
    }
    let type_ = if stanza.type_ == "chat" {
        "chat"
    } else {
        "normal"
    };
    let reply = Reply::Chat(stanza.from.clone(), type_.to_owned());
    let line = read(core, &body, turn.now.wall, core.zone(user));
    if let Line::ExportStore = line
        && core.settings.admins.contains(user)
    {
        return export::of_all(core, turn, reply);
    }
    if !core.settings.may_join(user) {
        // Only a clear wish of a stranger is answered: else two programs could answer each other for
        // ever.
        if let Line::Set(What::Join) = line {
            let text = join::for_whom(core);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        return;
    }
    let joined = core.state.user(user).is_some();
    match line {
        Line::Help => command::acknowledge(core, turn, reply, Ok(HELP.to_owned())),
        Line::Wrong(text) => command::acknowledge(core, turn, reply, Ok(text)),
        Line::Set(What::Join) => submit(core, turn, user, What::Join, reply),
        Line::Export if core.state.stored(user).is_some() => export::own(core, turn, user, reply),
        Line::Set(What::Leave) if core.state.stored(user).is_some() => {
            submit(core, turn, user, What::Leave, reply);
        }
        _ if !joined => {
            let text = if core.state.stored(user).is_some() {
                "You are not served now. Send “join” to go on with what you had set."
            } else {
                "You have not joined yet. Send “join” to be served here."
            };
            command::acknowledge(core, turn, reply, Ok(text.to_owned()));
        }
        Line::Export => {} // Who has joined has something stored.
        Line::ExportStore => {
            command::acknowledge(core, turn, reply, Err(Refusal::Forbidden));
        }
        Line::Overview => {
            let text = consent::overview(core, turn, user);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::ShowStatus => {
            let text = wish::standing(core, turn, user);
            let text = text.unwrap_or_else(|| Refusal::Forbidden.sentence());
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::ShowZone => {
            let text = format!("Your time zone is {}.", core.zone(user));
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::ShowSight => {
            let text = seen(core, user);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::Set(what) => submit(core, turn, user, what, reply),
        Line::Pending(from) => pending::show(core, turn, user, from, reply),
        Line::Decide(verdict, words) => match whom::read(core, user, verdict, &words) {
            Ok(read) => decision::submit(core, turn, user, read, reply),
            Err(text) => command::acknowledge(core, turn, reply, Ok(text)),
        },
    }
}

fn submit(core: &mut Component, turn: &mut Turn, user: &Bare, what: What, reply: Reply) {
    lane::submit(
        core,
        turn,
        user,
        lane::Task::Setting(Setting::new(what, reply)),
    );
}

/// How much is told of when she was there.
fn seen(core: &Component, user: &Bare) -> String {
    let profile = core
        .state
        .user(user)
        .and_then(|known| known.profile.as_ref());
    profile.map_or_else(
        || Refusal::Forbidden.sentence(),
        |profile| {
            let (seen, idle) = (
                sight::seen(profile.last_seen),
                sight::idle(profile.share_idle),
            );
            format!("{seen} {idle}")
        },
    )
}

/// Reads a line. The first word decides and its case does not matter (phones write “Status …”).
fn read(core: &Component, body: &str, now: Wall, zone: Tz) -> Line {
    let body = body.trim();
    let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let rest = rest.trim();
    match word.to_lowercase().as_str() {
        "help" | "?" => Line::Help,
        "join" => Line::Set(What::Join),
        "leave" => Line::Set(What::Leave),
        "overview" => Line::Overview,
        "export" if rest.eq_ignore_ascii_case("store") => Line::ExportStore,
        "export" => Line::Export,
        "visibility" => match Visibility::parse(&rest.to_lowercase()) {
            Some(visibility) => Line::Set(What::Sight(Sight {
                visibility: Some(visibility),
                ..Sight::default()
            })),
            None => Line::Wrong("Visibility is private, subscribers or public.".to_owned()),
        },
        "grant" => granting::grant(core, rest, now, zone),
        "revoke" => granting::revoke(core, rest),
        "pending" => match rest.parse() {
            Ok(from) => Line::Pending(from),
            Err(_) => Line::Pending(0),
        },
        "approve" => Line::Decide(Verdict::Approve, rest.to_owned()),
        "deny" => Line::Decide(Verdict::Deny, rest.to_owned()),
        "block" => Line::Decide(Verdict::Block, rest.to_owned()),
        "unblock" => Line::Decide(Verdict::Unblock, rest.to_owned()),
        first => status::read(first, rest, now, zone).unwrap_or_else(|| {
            Line::Wrong("I did not understand that. Send “help” for what you can say.".to_owned())
        }),
    }
}
