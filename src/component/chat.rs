//! The chat twins of the user's commands: many clients have no interface for ad-hoc commands.

mod granting;
mod help;
mod prompt;
mod status;

use chrono_tz::Tz;
use minidom::Element;
use xmpp_parsers::ns;

use super::authorization::Visibility;
use super::clock::Wall;
use super::decision::{self, Verdict};
use super::prompt::{self as question, Word};
use super::reply::Refusal;
use super::setting::{Reply, Setting, What};
use super::sight::{self, Sight};
use super::token::step::{self, Step};
use super::{
    Component, Turn, admin, command, consent, ending, export, join, lane, pending, tell, whom, wish,
};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;

const NOT_UNDERSTOOD: &str = "I did not understand that. Send “help” for what you can say.";

/// What a line says.
#[derive(Debug)]
enum Line {
    /// What she can say, or about one word.
    Help(String),
    Overview,
    /// So many lines of it, of those whom she names.
    History(usize, Vec<Bare>),
    /// She wants everything erased, and has not typed her address.
    EraseHow,
    /// All that is stored of her.
    Export,
    /// All that is stored of everybody.
    ExportStore,
    ShowStatus,
    ShowZone,
    ShowSight,
    ShowTold,
    Questions,
    Set(What),
    /// About programs, and names by a status: the first word and the rest.
    Modules(&'static str, String),
    Pending(u32),
    Decide(Verdict, String),
    /// Her answer to a question, with its code.
    Answer(Word, Option<String>),
    Tokens,
    /// How to make one.
    NewToken,
    /// The labels or names of those that end.
    RevokeTokens(String),
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
    if let Some(rest) = admin::chat::rest_of(&body).filter(|_| admin::is_admin(core, user)) {
        return admin::chat::received(core, turn, rest, reply);
    }
    let line = read(core, user, &body, turn.now.wall, core.zone(user));
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
        Line::Help(word) => command::acknowledge(core, turn, reply, Ok(help::text(&word))),
        Line::Wrong(text) => command::acknowledge(core, turn, reply, Ok(text)),
        Line::Set(What::Join) => submit(core, turn, user, What::Join, reply),
        Line::Export if core.state.stored(user).is_some() => export::own(core, turn, user, reply),
        Line::Set(What::Leave) if core.state.stored(user).is_some() => {
            submit(core, turn, user, What::Leave, reply);
        }
        Line::EraseHow if core.state.stored(user).is_some() => {
            let text = format!(
                "Everything that is stored of you goes, and cannot be brought back; “export” gives you all \
                 of it before. Send “erase {user}” to go on."
            );
            command::acknowledge(core, turn, reply, Ok(text));
        }
        _ if !joined => {
            let text = if core.state.stored(user).is_some() {
                "You are not served now. Send “join” to go on with what you had set."
            } else {
                "You have not joined yet. Send “join” to be served here."
            };
            command::acknowledge(core, turn, reply, Ok(text.to_owned()));
        }
        Line::Export | Line::EraseHow => {} // Who has joined has something stored.
        // To everybody else there is no such thing.
        Line::ExportStore => command::acknowledge(core, turn, reply, Ok(NOT_UNDERSTOOD.to_owned())),
        Line::Overview => {
            let text = consent::overview(core, turn, user);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::History(n, who) => {
            let text = consent::history(core, user, n, &who);
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
        Line::Questions => {
            let text = question::listed(core, user);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::ShowTold => {
            let known = core.state.user(user);
            let profile = known.and_then(|known| known.profile());
            let text = profile.as_ref().map(tell::told).ok_or(Refusal::Forbidden);
            command::acknowledge(core, turn, reply, text);
        }
        Line::Set(what) => submit(core, turn, user, what, reply),
        Line::Answer(word, code) => {
            question::answer(core, turn, user, (word, code.as_deref()), reply);
        }
        Line::Modules(first, rest) => match consent::read_modules(core, turn, user, first, &rest) {
            Ok(what) => submit(core, turn, user, what, reply),
            Err(text) => command::acknowledge(core, turn, reply, Ok(text)),
        },
        Line::Tokens => {
            let text = consent::tokens(core, turn, user);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::NewToken => {
            let text = consent::token_by_chat(core);
            command::acknowledge(core, turn, reply, Ok(text));
        }
        Line::RevokeTokens(words) => match consent::tokens_named(core, user, &words) {
            Ok(ids) => step::submit(core, turn, user, Step::revoke(ids, reply)),
            Err(text) => command::acknowledge(core, turn, reply, Ok(text)),
        },
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
    let profile = core.state.user(user).and_then(|known| known.settings());
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
fn read(core: &Component, user: &Bare, body: &str, now: Wall, zone: Tz) -> Line {
    let body = body.trim();
    let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let rest = rest.trim();
    let first = word.to_lowercase();
    if let Some(line) = prompt::read(&first, rest) {
        return line;
    }
    match first.as_str() {
        "help" | "?" => Line::Help(rest.to_owned()),
        "join" => Line::Set(What::Join),
        "leave" => Line::Set(What::Leave),
        "erase" if rest.is_empty() => Line::EraseHow,
        "erase" => match Address::parse(rest) {
            Ok(typed) if typed.bare == *user => Line::Set(What::Leave),
            _ => Line::Wrong("That is not your address; nothing is erased.".to_owned()),
        },
        "overview" => Line::Overview,
        "history" if rest.eq_ignore_ascii_case("export") => Line::Export,
        "history" => history(core, rest),
        "export" if rest.eq_ignore_ascii_case("store") => Line::ExportStore,
        "export" => Line::Export,
        "visibility" => match Visibility::parse(&rest.to_lowercase()) {
            Some(visibility) => Line::Set(What::Sight(Sight {
                visibility: Some(visibility),
                ..Sight::default()
            })),
            None => Line::Wrong("Visibility is private, subscribers or public.".to_owned()),
        },
        "questions" => Line::Questions,
        "tell" if rest.is_empty() => Line::ShowTold,
        "tell" => match tell::read(rest) {
            Ok(choice) => Line::Set(What::Tell(choice)),
            Err(text) => Line::Wrong(text),
        },
        "grant" => granting::grant(core, rest, now, zone),
        "revoke" => granting::revoke(core, rest),
        "modules" => Line::Modules("modules", rest.to_owned()),
        "unsigned" => Line::Modules("unsigned", rest.to_owned()),
        "undo" | "revert" => Line::Set(What::Undo),
        "tokens" => Line::Tokens,
        "token" => token(rest),
        "pending" => match rest.parse() {
            Ok(from) => Line::Pending(from),
            Err(_) => Line::Pending(0),
        },
        "approve" => Line::Decide(Verdict::Approve, rest.to_owned()),
        "deny" => Line::Decide(Verdict::Deny, rest.to_owned()),
        "block" => Line::Decide(Verdict::Block, rest.to_owned()),
        "unblock" => Line::Decide(Verdict::Unblock, rest.to_owned()),
        first => status::read(first, rest, now, zone)
            .unwrap_or_else(|| Line::Wrong(NOT_UNDERSTOOD.to_owned())),
    }
}

fn token(rest: &str) -> Line {
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match (word.to_lowercase().as_str(), rest.trim()) {
        ("" | "list", _) => Line::Tokens,
        ("new", _) => Line::NewToken,
        ("revoke", "") => Line::Wrong("Which? As in “token revoke blog”.".to_owned()),
        ("revoke", labels) => Line::RevokeTokens(labels.to_owned()),
        _ => Line::Wrong("It is “token new”, “token revoke LABEL” or “tokens”.".to_owned()),
    }
}

/// `history`, `history 20`, `history bob@example.org`, and both.
fn history(core: &Component, rest: &str) -> Line {
    let (first, others) = ending::word(rest);
    let (n, names) = match first.parse::<usize>() {
        Ok(n) => (Some(n), others),
        Err(_) => (None, rest),
    };
    let words = names.split([' ', ',', ';', '\t', '\n', '\r']);
    let (who, unread) = match whom::grantees(core, words) {
        Ok(who) => (who, None),
        Err(unread) => (Vec::new(), unread),
    };
    match (unread, n) {
        (Some(_), _) | (_, Some(0)) => {
            Line::Wrong("As in “history”, “history 20”, “history bob@example.org”.".to_owned())
        }
        (None, n) => {
            let who = who.iter().flat_map(whom::Named::addresses).cloned();
            Line::History(n.unwrap_or(consent::HISTORY_LINES), who.collect())
        }
    }
}
