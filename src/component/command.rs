//! Ad-hoc commands that we serve: a watcher's on a presentity, a user's own on the component domain.
//! XEP-0050.

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};

use super::authorization::{Decision, Right};
use super::form::{self, Fields};
use super::reply::{Asked, Refusal};
use super::request::{Request, denied};
use super::session::{Move, Stage, open, read};
use super::setting::Reply;
use super::table::Page;
use super::watcher::Watcher;
use super::{Component, Turn, admin, concluding, consent, execution, face, offer, probe, register};
use crate::address::Bare;
use crate::stanza::command::{Action, Command, Malformed, Severity, Status};

/// The nodes of watchers' commands: this, `#`, the name of the right (design.md §4).
const NODE_CMD: &str = form::CMD;

fn parse(core: &mut Component, asked: &Asked, payload: &Element) -> Option<Command> {
    let refusal = match Command::read(payload) {
        Ok(command) => return Some(command),
        Err(Malformed::NoNode) => Refusal::BadRequest,
        Err(Malformed::Action) => Refusal::MalformedAction,
        Err(Malformed::Payload) => Refusal::BadPayload("The form cannot be read.".into()),
    };
    core.answer(asked, Err(refusal));
    None
}

/// Offers a form; with `has_next` another one follows it.
pub(super) fn offer(
    core: &mut Component,
    asked: &Asked,
    node: &str,
    session: String,
    form: DataForm,
    has_next: bool,
) {
    core.sessions.expect_next(&session, has_next);
    let action = match has_next {
        true => Action::Next,
        false => Action::Complete,
    };
    let command = Command {
        node: node.to_owned(),
        sessionid: Some(session),
        status: Some(Status::Executing),
        actions: vec![action],
        form: Some(form),
        ..Command::default()
    };
    core.answer(asked, Ok(Some(command.write())));
}

pub(super) fn canceled(core: &mut Component, asked: &Asked, node: &str, session: String) {
    core.sessions.end(&session);
    let status = Some(Status::Canceled);
    let command = Command {
        node: node.to_owned(),
        sessionid: Some(session),
        status,
        ..Command::default()
    };
    core.answer(asked, Ok(Some(command.write())));
}

/// A command of a watcher on a presentity that it may see.
pub(super) fn watcher(
    core: &mut Component,
    turn: &mut Turn,
    asked: Asked,
    payload: &Element,
    user: &Bare,
) {
    let Some(command) = parse(core, &asked, payload) else {
        return;
    };
    let watcher = asked.watcher();
    let refusal = match right_of(&command.node) {
        None => Some(Refusal::ItemNotFound),
        Some(Right::See) => Some(Refusal::Forbidden),
        Some(right) => match denied(core.decision(turn, user, &watcher, right)) {
            Err(refusal) => Some(refusal),
            Ok(_) if !runs(core, turn, user, &watcher, right) => Some(Refusal::Forbidden),
            Ok(_) => None,
        },
    };
    let (right, step) = match (
        refusal,
        right_of(&command.node),
        read(core, &asked, user, &command),
    ) {
        (Some(refusal), ..) | (None, _, Err(refusal)) => return core.answer(&asked, Err(refusal)),
        (None, Some(right), Ok(step)) => (right, step),
        (None, None, _) => return core.answer(&asked, Err(Refusal::ItemNotFound)),
    };
    // A form is an answer like others; what is submitted has rates of its own.
    if matches!(step, Move::Begin(None)) && !probe::has_token(core, turn, &asked.to.bare) {
        let refusal = Refusal::PolicyViolation(core.probes.retry_after_s());
        return core.answer(&asked, Err(refusal));
    }
    let opened = match &step {
        Move::Begin(_) => open(core, turn, &asked, user, &command.node),
        Move::Submit(id, _)
        | Move::Cancel(id)
        | Move::Poll(id, _)
        | Move::Turn(id, _)
        | Move::Close(id) => Ok(id.clone()),
    };
    let session = match opened {
        Ok(session) => session,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    match step {
        Move::Cancel(_) => canceled(core, &asked, &command.node, session),
        Move::Poll(_, execution) => {
            concluding::poll(core, asked, &session, execution.as_deref(), right);
        }
        // A watcher's command has no pages.
        Move::Turn(..) | Move::Close(_) => core.answer(&asked, Err(Refusal::BadAction)),
        // It has no fields, so there is nothing to be filled in.
        Move::Begin(None) if right == Right::ActivateClient => {
            let form = DataForm::new(DataFormType::Submit, form::CMD, Vec::new());
            submitted(core, turn, user, asked, session, right, &form);
        }
        Move::Begin(None) => {
            let known = core.state.user(user);
            let modules = known.map(|known| offer::modules((user, known), &watcher, turn.now));
            let id = turn.chance.id();
            let form = form::of_right(right, title(right), &modules.unwrap_or_default(), &id);
            offer(core, &asked, &command.node, session, form, false);
        }
        Move::Begin(Some(form)) | Move::Submit(_, form) => {
            submitted(core, turn, user, asked, session, right, &form);
        }
    }
}

/// Runs a right with what was filled in.
fn submitted(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    asked: Asked,
    session: String,
    right: Right,
    form: &DataForm,
) {
    match Request::read(core, turn, user, &asked, right, form) {
        Err(refusal) => refused(core, &asked, &session, refusal),
        Ok(request) => {
            core.sessions.set(&session, Stage::Running(None));
            let asker = execution::Asker::Iq { asked, session };
            execution::request(core, turn, request, asker);
        }
    }
}

/// Whether the watcher may run the right now, and it is one that can be run.
fn runs(core: &Component, turn: &Turn, user: &Bare, watcher: &Watcher, right: Right) -> bool {
    let may = core.decision(turn, user, watcher, right).is_allowed();
    let works = |known| offer::works((user, known), watcher, turn.now, right);
    may && right != Right::See && core.state.user(user).is_some_and(works)
}

/// Refuses what was submitted. A form that can be corrected stays open.
pub(super) fn refused(core: &mut Component, asked: &Asked, session: &str, refusal: Refusal) {
    if !matches!(refusal, Refusal::BadPayload(_)) {
        core.sessions.end(session);
    }
    core.answer(asked, Err(refusal));
}

/// The right of a watcher's command node.
fn right_of(node: &str) -> Option<Right> {
    node.strip_prefix(NODE_CMD)?.strip_prefix('#')?.parse().ok()
}

/// The commands of a presentity that a watcher may run now: node and title.
pub(super) fn offered(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
) -> Vec<(String, &'static str)> {
    Right::ALL
        .into_iter()
        .filter(|right| runs(core, turn, user, watcher, *right))
        .map(|right| (format!("{NODE_CMD}#{right}"), title(right)))
        .collect()
}

/// The name of a command for people.
pub(super) fn title(right: Right) -> &'static str {
    match right {
        Right::See => "See the status",
        Right::OpenUrl => "Open a web page",
        Right::LeaveMessage => "Leave a message",
        Right::Notify => "Show a notification",
        Right::SetStatus => "Set the status text",
        Right::StartModule => "Start a program",
        Right::ActivateClient => "Activate the chat client",
    }
}

/// A user's own command on the component domain.
pub(super) fn user(core: &mut Component, turn: &mut Turn, asked: Asked, payload: &Element) {
    let Some(command) = parse(core, &asked, payload) else {
        return;
    };
    let owner = asked.to.bare.clone();
    let domain = core.settings.domain.bare().clone();
    if let Some(what) = admin::of_node(core, &command.node, &owner) {
        return admin::received(core, turn, asked, &command, what);
    }
    let Some(own) = consent::Own::of_node(&command.node) else {
        return core.answer(&asked, Err(Refusal::ItemNotFound));
    };
    if !own.is_open_to(core, &owner) {
        // What is the operator's does not exist for others.
        let refusal = match admin::is_of_operator(&command.node) {
            true => Refusal::ItemNotFound,
            false => Refusal::Forbidden,
        };
        return core.answer(&asked, Err(refusal));
    }
    let step = match read(core, &asked, core.settings.domain.bare(), &command) {
        Ok(step) => step,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let opened = match &step {
        Move::Begin(_) => open(core, turn, &asked, &domain, &command.node),
        Move::Submit(id, _)
        | Move::Cancel(id)
        | Move::Poll(id, _)
        | Move::Turn(id, _)
        | Move::Close(id) => Ok(id.clone()),
    };
    let session = match opened {
        Ok(session) => session,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let submitted = match step {
        Move::Cancel(_) => return canceled(core, &asked, &command.node, session),
        Move::Poll(..) => return core.answer(&asked, Err(Refusal::BadAction)),
        Move::Turn(_, page) => return turn_page(core, turn, own, (asked, session), page),
        Move::Close(_) => return close(core, &asked, &command.node, session),
        Move::Begin(_) if own.has_pages() => {
            return turn_page(core, turn, own, (asked, session), 0);
        }
        Move::Begin(None) => match own.form(core, turn, &owner) {
            Some(form) => {
                let has_next = own.has_second_stage();
                return offer(core, &asked, &command.node, session, form, has_next);
            }
            None => Fields::default(),
        },
        Move::Begin(Some(form)) | Move::Submit(_, form) => {
            match Fields::read(&form, own.form_type()) {
                Ok(fields) => fields,
                Err(refusal) => return refused(core, &asked, &session, refusal),
            }
        }
    };
    if let Some(form) = own.next_page(core, turn, &owner, &submitted) {
        return offer(core, &asked, &command.node, session, form, false);
    }
    core.sessions.set(&session, Stage::Running(None));
    let node = command.node.clone();
    let reply = Reply::Command {
        asked,
        node,
        session,
    };
    own.run(core, turn, &owner, submitted, reply);
}

/// Shows a page of a result. While others follow the command goes on, and the requester asks for the next
/// one, or completes it (XEP-0050 §3.4).
fn turn_page(
    core: &mut Component,
    turn: &Turn,
    own: consent::Own,
    (asked, session): (Asked, String),
    number: usize,
) {
    let user = asked.to.bare.clone();
    let (note, page) = own.page(core, turn, &user, number);
    let has_next = page.as_ref().is_some_and(Page::has_next);
    let stage = match has_next {
        true => Stage::Page(number),
        false => Stage::Done,
    };
    core.sessions.set(&session, stage);
    let (status, actions) = match has_next {
        true => (Status::Executing, vec![Action::Next, Action::Complete]),
        false => (Status::Completed, Vec::new()),
    };
    let place = page.as_ref().map(|page| page.place);
    let note = match place.filter(|(_, n)| *n > 1) {
        Some((at, n)) => format!("{note}\nPage {at} of {n}."),
        None => note,
    };
    let command = Command {
        node: own.node(),
        sessionid: Some(session),
        status: Some(status),
        actions,
        notes: vec![(Severity::Info, note)],
        tables: page.map_or_else(Vec::new, |page| page.forms.into()),
        ..Command::default()
    };
    core.answer(&asked, Ok(Some(command.write())));
}

/// Tells a user how her own command ended, with a result form; a form can only be the answer to one.
pub(super) fn complete(
    core: &mut Component,
    turn: &mut Turn,
    reply: Reply,
    note: String,
    form: DataForm,
) {
    let Reply::Command {
        asked,
        node,
        session,
    } = reply
    else {
        return acknowledge(core, turn, reply, Ok(note));
    };
    core.sessions.end(&session);
    let command = Command {
        node,
        sessionid: Some(session),
        status: Some(Status::Completed),
        notes: vec![(Severity::Info, note)],
        form: Some(form),
        ..Command::default()
    };
    core.answer(&asked, Ok(Some(command.write())));
}

/// The requester has seen enough.
fn close(core: &mut Component, asked: &Asked, node: &str, session: String) {
    core.sessions.end(&session);
    let command = Command {
        node: node.to_owned(),
        sessionid: Some(session),
        status: Some(Status::Completed),
        ..Command::default()
    };
    core.answer(asked, Ok(Some(command.write())));
}

/// Tells a user how her own command ended, by the way it came.
pub(super) fn acknowledge(
    core: &mut Component,
    turn: &mut Turn,
    reply: Reply,
    result: Result<String, Refusal>,
) {
    match reply {
        Reply::Nobody => {}
        Reply::Registration(asked) => register::answer(core, &asked, result.map(drop)),
        Reply::Chat(to, type_) => {
            let text = result.unwrap_or_else(|refusal| refusal.sentence());
            let id = turn.chance.id();
            let message = core.message(&to, &type_, &id, &text);
            core.send(message);
        }
        Reply::Command {
            asked,
            node,
            session,
        } => match result {
            Ok(text) => {
                core.sessions.end(&session);
                let notes = vec![(Severity::Info, text)];
                let status = Some(Status::Completed);
                let sessionid = Some(session);
                let command = Command {
                    node,
                    sessionid,
                    status,
                    notes,
                    ..Command::default()
                };
                core.answer(&asked, Ok(Some(command.write())));
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::BadPayload(_)) {
                    core.sessions.reopen(&session);
                }
                refused(core, &asked, &session, refusal);
            }
        },
    }
}

/// The answer about a watcher's command: where it stands, in words and as a result form.
pub(super) fn progress(
    core: &mut Component,
    asked: &Asked,
    session: &str,
    right: Right,
    status: Status,
    note: (Severity, String),
    result: Option<DataForm>,
) {
    if status == Status::Completed {
        core.sessions.end(session);
    }
    let actions = if status == Status::Executing {
        vec![Action::Next]
    } else {
        Vec::new()
    };
    let command = Command {
        node: format!("{NODE_CMD}#{right}"),
        sessionid: Some(session.to_owned()),
        status: Some(status),
        actions,
        notes: vec![note],
        form: result,
        ..Command::default()
    };
    core.answer(asked, Ok(Some(command.write())));
}

impl Component {
    /// Refuses what runs in a session.
    pub(super) fn refuse_in(&mut self, asked: &Asked, session: &str, refusal: Refusal) {
        refused(self, asked, session, refusal);
    }

    /// Whether a watcher's right is allowed, and whether she is to be asked.
    pub(super) fn decision(
        &self,
        turn: &Turn,
        user: &Bare,
        watcher: &Watcher,
        right: Right,
    ) -> Decision {
        match self.state.user(user).filter(|_| !self.bars(user, watcher)) {
            None => Decision::Deny(super::authorization::Reason::Unseen),
            Some(known) => face::decide(&self.settings, (user, known), watcher, turn.now, right),
        }
    }

    /// The same once more for a command that has been accepted, before it is sent: its own use counts
    /// among those of the day, and does not stand in its way.
    pub(super) fn decision_again(
        &self,
        turn: &Turn,
        user: &Bare,
        watcher: &Watcher,
        right: Right,
    ) -> Decision {
        let (settings, now) = (&self.settings, turn.now);
        match self.state.user(user).filter(|_| !self.bars(user, watcher)) {
            None => Decision::Deny(super::authorization::Reason::Unseen),
            Some(known) => face::decide_on(settings, (user, known), watcher, now, right, true),
        }
    }
}
