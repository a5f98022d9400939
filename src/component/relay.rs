//! Words to people and programs about a command: the message to the user, the outcome to the watcher;
//! and a plain message to a presentity, which is `leave-message`. protocol.md §4.6, §9.4.
//!
//! What she must read has type `normal`, goes to her bare address, so that her server keeps it for her
//! (XEP-0160 §3), and carries a hint to store it (XEP-0334); so has the end of a command, which a program that has
//! gone finds when it comes back. A link
//! stands beside the words as XEP-0066 §3 has it.

use std::collections::BTreeMap;

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, FieldType};
use xmpp_parsers::ns;

use super::authorization::{Level, Right};
use super::execution::{self, Asker, End, Way};
use super::form;
use super::limits::MESSAGE_CHARS_MAX;
use super::modules::ARGUMENT;
use super::record::ExecutionState;
use super::reply::{NS_HINTS, Refusal, message_error};
use super::request::Request;
use super::route::About;
use super::watcher::Watcher;
use super::{Component, Turn, command, rates, set_status, tell};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;
use crate::stanza::compose::{Compose, element};
use crate::stanza::outcome::Outcome;

/// A message to a presentity. Types as in RFC 6121 §8.5.4 for a user without resources.
pub(super) fn message(
    core: &mut Component,
    turn: &mut Turn,
    stanza: &Inbound,
    user: Option<&Bare>,
) {
    if stanza.type_ == "groupchat" {
        return core.send(message_error(stanza, &Refusal::ServiceUnavailable));
    }
    let body = stanza
        .element
        .get_child("body", ns::JABBER_CLIENT)
        .map(Element::text);
    let body = body
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    let (true, Some(text)) = (
        matches!(stanza.type_.as_str(), "" | "normal" | "chat"),
        body,
    ) else {
        return; // Headlines, errors, chat states and receipts are ignored.
    };
    let watcher = Watcher::new(&stanza.from, stanza.interface);
    let Some(user) = user.filter(|user| core.may(user, &watcher, turn, Right::See)) else {
        // The same for blocked, private, unregistered and unknown, out of the same bucket.
        if rates::may_refuse(core, turn, &watcher.bare).is_ok() {
            core.send(message_error(stanza, &Refusal::ServiceUnavailable));
        }
        return;
    };
    if text.chars().count() > MESSAGE_CHARS_MAX {
        let words = format!("A message has at most {MESSAGE_CHARS_MAX} characters.");
        return core.send(message_error(stanza, &Refusal::BadPayload(words)));
    }
    let request = Request {
        user: user.clone(),
        watcher: stanza.from.clone(),
        interface: stanza.interface,
        token: None,
        right: Right::LeaveMessage,
        request_id: turn.chance.id(),
        fields: BTreeMap::from([("text".to_owned(), text)]),
    };
    execution::request(
        core,
        turn,
        request,
        Asker::Message(Box::new(stanza.clone())),
    );
}

/// Does by a message what the component does itself: leaves a message, or passes a link on.
pub(super) fn deliver(core: &mut Component, turn: &mut Turn, request: &Request, level: Level) {
    let watcher = request.watcher.bare.shown();
    let level = level.as_str();
    let field = |name: &str| request.fields.get(name).map(String::as_str);
    let (body, link) = match request.right {
        Right::OpenUrl => {
            let url = field("url").unwrap_or_default();
            let reason = field("reason")
                .map(|reason| format!("\nReason: {reason}"))
                .unwrap_or_default();
            let link = element("x", ns::OOB, &[]).with(text("url", ns::OOB, url));
            let link = link.with_some(field("reason").map(|reason| text("desc", ns::OOB, reason)));
            (
                format!("{watcher} ({level}) sends you a link: {url}{reason}"),
                Some(link),
            )
        }
        Right::SetStatus => (set_status::told(core, turn, request, level), None),
        Right::Notify => {
            let words = field("text").unwrap_or_default();
            (format!("{watcher} ({level}) notifies you:\n{words}"), None)
        }
        _ => {
            let words = field("text").unwrap_or_default();
            (format!("Message from {watcher} ({level}):\n{words}"), None)
        }
    };
    tell(core, turn, request, ExecutionState::Completed, &body, link);
}

/// Tells the user of a command that has ended: the message that does it, or how it went.
pub(super) fn end(
    core: &mut Component,
    turn: &mut Turn,
    (id, request): (&str, &Request),
    level: Level,
    end: &End,
) {
    let (user, right) = (&request.user, request.right);
    match end.way {
        Way::Message if right != Right::SetStatus => deliver(core, turn, request, level),
        Way::Prompt(_) => {} // She knows what she has said; and silence is no.
        _ if !tell::is_now(core, turn, user, id, (right, level)) => {}
        Way::Message => deliver(core, turn, request, level),
        Way::Agent => report(core, turn, request, end.state, end.text.as_deref()),
    }
}

/// Tells the user who did what at her client, and how it ended.
pub(super) fn report(
    core: &mut Component,
    turn: &mut Turn,
    request: &Request,
    state: ExecutionState,
    words: Option<&str>,
) {
    let watcher = request.watcher.bare.shown();
    let what = what(request.right, &request.fields);
    let (did, asked) = match request.right {
        Right::OpenUrl => (format!("opened {what}"), format!("open {what}")),
        Right::Notify => (format!("showed “{what}”"), format!("show “{what}”")),
        Right::StartModule => (format!("started {what}"), format!("start {what}")),
        Right::ActivateClient => (
            "activated your chat client".to_owned(),
            "activate your chat client".to_owned(),
        ),
        Right::SetStatus => ("set your status".to_owned(), "set your status".to_owned()),
        Right::See | Right::LeaveMessage => {
            ("left a message".to_owned(), "leave a message".to_owned())
        }
    };
    let body = match state {
        ExecutionState::Completed => format!("{watcher} {did} at your client (done)."),
        ExecutionState::Refused => format!("{watcher} asked to {asked}; it was refused."),
        ExecutionState::Failed => format!("{watcher} asked to {asked}; it failed."),
        ExecutionState::Expired => {
            format!("{watcher} asked to {asked}; it was not sent in time.")
        }
        _ => format!("{watcher} asked to {asked}; your client has not said how it ended."),
    };
    let body = match words {
        Some(words) if !words.is_empty() => format!("{body}\nYour client says: {words}"),
        _ => body,
    };
    tell(core, turn, request, state, &body, None);
}

/// What a command is about, in one line, for her.
pub(super) fn what(right: Right, fields: &BTreeMap<String, String>) -> String {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    match right {
        Right::OpenUrl => field("url").to_owned(),
        Right::SetStatus => field("status-message").to_owned(),
        Right::StartModule => {
            let arguments = fields
                .iter()
                .filter_map(|(var, value)| Some((var.strip_prefix(ARGUMENT)?, value)));
            let arguments: Vec<_> = arguments
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            match arguments.is_empty() {
                true => field("module").to_owned(),
                false => format!("{} ({})", field("module"), arguments.join(", ")),
            }
        }
        Right::See | Right::ActivateClient => String::new(),
        Right::LeaveMessage | Right::Notify => field("text").to_owned(),
    }
}

/// What the watcher is told of what the component has done itself.
pub(super) fn delivered(request: &Request) -> String {
    let told = match request.right {
        Right::OpenUrl => "She got the link as a message.",
        Right::Notify => "She got it as a message.",
        Right::SetStatus => return set_status::note(request),
        _ => "The message is on its way to her.",
    };
    told.to_owned()
}

pub(super) fn tell(
    core: &mut Component,
    turn: &mut Turn,
    request: &Request,
    state: ExecutionState,
    body: &str,
    link: Option<Element>,
) {
    let outcome = Outcome {
        request_id: request.request_id.clone(),
        right: request.right,
        state,
        at: Some(turn.now.wall),
        text: None,
    };
    let id = turn.chance.id();
    let message = core
        .message(&request.user.clone().into(), "normal", &id, body)
        .with_some(link)
        .with(outcome.write())
        .with(element("store", NS_HINTS, &[]));
    core.send(message);
}

fn text(name: &str, namespace: &str, text: &str) -> Element {
    let mut child = element(name, namespace, &[]);
    child.append_text_node(text);
    child
}

/// Tells a watcher the end of a command whose IQ has been answered before, unless she blocks it: for one whom
/// she blocks she is not there. It goes to the full JID that asked; when that is gone, its server passes a
/// message of this type on or keeps it (RFC 6121 §8.5.3), or sends it back.
pub(super) fn push(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: &Address,
    outcome: Outcome,
) {
    let known = core.state.user(user);
    let zone = core.settings.timezone;
    let policy = known.and_then(|known| known.policy(user, &watcher.bare, zone));
    let presentity = core.settings.domain.presentity(user);
    let (false, Some(presentity)) = (policy.is_some_and(|policy| policy.blocked), presentity)
    else {
        return;
    };
    let (to, id) = (watcher.to_string(), turn.chance.id());
    let head = [
        ("type", "normal"),
        ("from", presentity.as_str()),
        ("to", to.as_str()),
        ("id", id.as_str()),
    ];
    let message = element("message", ns::JABBER_CLIENT, &head)
        .with(outcome.write())
        .with(element("store", NS_HINTS, &[]));
    if watcher.resource.is_some() {
        let about = About::Outcome(user.clone(), Box::new(outcome));
        core.watch(turn, id, watcher.clone(), about);
    }
    core.send(message);
}

/// It has come back: once more, to the bare JID. What comes back from there is of no interest.
pub(super) fn returned(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: &Bare,
    outcome: Outcome,
) {
    push(core, turn, user, &watcher.clone().into(), outcome);
}

/// The end of a command as a result form (protocol.md §9.4).
pub(super) fn result_form(outcome: &Outcome, words: &str) -> DataForm {
    let shown = |var, label, value| form::field(var, FieldType::TextSingle, label, Some(value));
    let fields = vec![
        shown("text", "Result", words),
        shown("outcome", "State", outcome.state.as_str()),
        shown("request-id", "Number", &outcome.request_id),
    ];
    let mut form = DataForm::new(DataFormType::Result_, form::CMD, fields);
    form.title = Some(command::title(outcome.right).to_owned());
    form
}

/// A final state in a sentence.
pub(super) fn sentence(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Completed => "Done.",
        ExecutionState::Refused => "The user said no.",
        ExecutionState::Failed => "It did not work.",
        ExecutionState::Expired => "It expired before it could be sent.",
        _ => "It was sent; how it ended is not known.",
    }
}
