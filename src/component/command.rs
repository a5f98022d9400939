//! Ad-hoc commands that we serve: a watcher's on a presentity, a user's own on the component domain.
//! XEP-0050; sessions belong to the full JID that began them.

use std::collections::{HashMap, VecDeque};

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};

use super::authorization::{Decision, Interface, Right};
use super::execution;
use super::form::{self, Fields};
use super::limits::{SESSION_LIFE, SESSIONS_MAX, SESSIONS_PER_WATCHER_MAX};
use super::reply::{Asked, Refusal};
use super::request::Request;
use super::setting::Reply;
use super::timer::Timer;
use super::{Component, Turn, consent, face};
use crate::address::{Address, Bare};
use crate::stanza::command::{Action, Command, Malformed, Severity, Status};

/// The nodes of watchers' commands: this, `#`, the name of the right (design.md §4).
const NODE_CMD: &str = form::CMD;

/// How far a session has come.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// The form is out.
    Form,
    /// A change is being written, or a command is on its way: its id.
    Running(Option<String>),
    /// The command has ended and nobody has been told in this session: how.
    Ended(Box<End>),
    /// It has ended.
    Done,
}

/// How a command has ended, as its session tells it.
pub(super) type End = (Severity, String, DataForm);

#[derive(Debug)]
struct Session {
    owner: Address,
    /// The presentity, or ourselves.
    at: Bare,
    node: String,
    stage: Stage,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
    /// Sessions with an open form by who owns them, the oldest first.
    forms: HashMap<Bare, VecDeque<String>>,
}

impl Sessions {
    /// Ends a session and remembers for a while that it has been.
    fn end(&mut self, id: &str) {
        self.set(id, Stage::Done);
    }

    fn set(&mut self, id: &str, stage: Stage) {
        let Some(session) = self.by_id.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Form && stage != Stage::Form {
            self.forget_form(id);
        }
        if let Some(session) = self.by_id.get_mut(id) {
            session.stage = stage;
        }
    }

    fn forget_form(&mut self, id: &str) {
        let Some(session) = self.by_id.get(id) else {
            return;
        };
        let owner = session.owner.bare.clone();
        if let Some(open) = self.forms.get_mut(&owner) {
            open.retain(|other| other != id);
            if open.is_empty() {
                self.forms.remove(&owner);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        self.forget_form(id);
        self.by_id.remove(id);
    }
}

/// A session has lived long enough; one whose command is on its way stays.
pub(super) fn expire(core: &mut Component, turn: &Turn, id: &str) {
    let stage = core
        .sessions
        .by_id
        .get(id)
        .map(|session| session.stage.clone());
    match stage {
        Some(Stage::Done) | None => return core.sessions.remove(id),
        Some(Stage::Running(_)) => {}
        // For as long again it is remembered that it has been.
        Some(Stage::Form | Stage::Ended(_)) => core.sessions.end(id),
    }
    core.timers
        .set(turn.now.mono + SESSION_LIFE, Timer::Session(id.to_owned()));
}

/// What a request means in its session.
enum Move {
    /// A new command, with the form if it came along.
    Begin(Option<DataForm>),
    /// The form of an open session.
    Submit(String, DataForm),
    /// The requester gives up.
    Cancel(String),
    /// The requester asks how the command goes on.
    Poll(String, Option<String>),
}

fn read(core: &Component, asked: &Asked, at: &Bare, command: &Command) -> Result<Move, Refusal> {
    let given_up = command
        .form
        .as_ref()
        .is_some_and(|form| form.type_ == DataFormType::Cancel);
    let Some(id) = &command.sessionid else {
        return match command.action {
            Some(Action::Cancel) => Err(Refusal::BadSession),
            Some(Action::Prev) => Err(Refusal::BadAction),
            _ => Ok(Move::Begin(command.form.clone())),
        };
    };
    let session = core
        .sessions
        .by_id
        .get(id)
        .filter(|session| {
            session.owner == asked.to && session.at == *at && session.node == command.node
        })
        .ok_or(Refusal::BadSession)?;
    if session.stage == Stage::Done {
        return Err(Refusal::SessionExpired);
    }
    if session.stage == Stage::Form && command.action == Some(Action::Next) {
        return Err(Refusal::BadAction);
    }
    if given_up || command.action == Some(Action::Cancel) {
        return Ok(Move::Cancel(id.clone()));
    }
    if command.action == Some(Action::Prev) {
        return Err(Refusal::BadAction);
    }
    match (&session.stage, &command.form) {
        (Stage::Ended(_), _) => Ok(Move::Poll(id.clone(), None)),
        (Stage::Running(execution), _) => Ok(Move::Poll(id.clone(), execution.clone())),
        (_, Some(form)) => Ok(Move::Submit(id.clone(), form.clone())),
        (_, None) => Err(Refusal::BadPayload("The form is missing.".into())),
    }
}

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

/// Opens a session; of too many open forms of one requester the oldest gives way.
fn open(
    core: &mut Component,
    turn: &mut Turn,
    owner: &Address,
    at: &Bare,
    node: &str,
) -> Result<String, Refusal> {
    if core.sessions.by_id.len() >= SESSIONS_MAX {
        return Err(Refusal::TooManySessions);
    }
    let forms = core.sessions.forms.entry(owner.bare.clone()).or_default();
    let oldest = (forms.len() >= SESSIONS_PER_WATCHER_MAX)
        .then(|| forms.pop_front())
        .flatten();
    let id = turn.chance.id();
    forms.push_back(id.clone());
    if let Some(oldest) = oldest {
        core.sessions.by_id.remove(&oldest);
    }
    let session = Session {
        owner: owner.clone(),
        at: at.clone(),
        node: node.to_owned(),
        stage: Stage::Form,
    };
    core.sessions.by_id.insert(id.clone(), session);
    core.timers
        .set(turn.now.mono + SESSION_LIFE, Timer::Session(id.clone()));
    Ok(id)
}

fn offer(core: &mut Component, asked: &Asked, node: &str, session: String, form: DataForm) {
    let command = Command {
        node: node.to_owned(),
        sessionid: Some(session),
        status: Some(Status::Executing),
        actions: vec![Action::Complete],
        form: Some(form),
        ..Command::default()
    };
    core.answer(asked, Ok(Some(command.write())));
}

fn canceled(core: &mut Component, asked: &Asked, node: &str, session: String) {
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
    let refusal = match right_of(&command.node) {
        None => Some(Refusal::ItemNotFound),
        Some(right) if !runs(core, turn, user, &asked.to.bare, right) => Some(Refusal::Forbidden),
        Some(_) => None,
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
    let opened = match &step {
        Move::Begin(_) => open(core, turn, &asked.to, user, &command.node),
        Move::Submit(id, _) | Move::Cancel(id) | Move::Poll(id, _) => Ok(id.clone()),
    };
    let session = match opened {
        Ok(session) => session,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    match step {
        Move::Cancel(_) => canceled(core, &asked, &command.node, session),
        Move::Poll(_, execution) => {
            execution::poll(core, asked, &session, execution.as_deref(), right);
        }
        Move::Begin(None) => {
            let form = form::of_right(right, title(right), &turn.chance.id());
            offer(core, &asked, &command.node, session, form);
        }
        Move::Begin(Some(form)) | Move::Submit(_, form) => {
            match Request::read(turn, user, &asked.to, right, &form) {
                Err(refusal) => refused(core, &asked, &session, refusal),
                Ok(request) => {
                    core.sessions.set(&session, Stage::Running(None));
                    let asker = execution::Asker::Iq { asked, session };
                    execution::request(core, turn, request, asker);
                }
            }
        }
    }
}

/// Whether the watcher may run the right now, and it is one that can be run.
fn runs(core: &Component, turn: &Turn, user: &Bare, watcher: &Bare, right: Right) -> bool {
    right != Right::See && face::is_offered(right) && core.may(user, watcher, turn, right)
}

/// Refuses what was submitted. A form that can be corrected stays open.
fn refused(core: &mut Component, asked: &Asked, session: &str, refusal: Refusal) {
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
    watcher: &Bare,
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
    let Some(own) = consent::Own::of_node(&command.node) else {
        return core.answer(&asked, Err(Refusal::ItemNotFound));
    };
    if !own.is_open_to(core, &owner) {
        return core.answer(&asked, Err(Refusal::Forbidden));
    }
    let step = match read(core, &asked, core.settings.domain.bare(), &command) {
        Ok(step) => step,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let opened = match &step {
        Move::Begin(_) => open(core, turn, &asked.to, &domain, &command.node),
        Move::Submit(id, _) | Move::Cancel(id) | Move::Poll(id, _) => Ok(id.clone()),
    };
    let session = match opened {
        Ok(session) => session,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let submitted = match step {
        Move::Cancel(_) => return canceled(core, &asked, &command.node, session),
        Move::Poll(..) => return core.answer(&asked, Err(Refusal::BadAction)),
        Move::Begin(None) => match own.form(core, &owner) {
            Some(form) => return offer(core, &asked, &command.node, session, form),
            None => Fields::default(),
        },
        Move::Begin(Some(form)) | Move::Submit(_, form) => {
            match Fields::read(&form, own.form_type()) {
                Ok(fields) => fields,
                Err(refusal) => return refused(core, &asked, &session, refusal),
            }
        }
    };
    core.sessions.set(&session, Stage::Running(None));
    let node = command.node.clone();
    let reply = Reply::Command {
        asked,
        node,
        session,
    };
    own.run(core, turn, &owner, &submitted, reply);
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
    /// Ties a session to the command that runs in it.
    pub(super) fn run_in(&mut self, session: &str, execution: &str) {
        self.sessions
            .set(session, Stage::Running(Some(execution.to_owned())));
    }

    /// Keeps the end of a command for the watcher to ask for.
    pub(super) fn keep_end(&mut self, session: &str, end: End) {
        self.sessions.set(session, Stage::Ended(Box::new(end)));
    }

    /// Takes it, once.
    pub(super) fn take_end(&mut self, session: &str) -> Option<End> {
        match self
            .sessions
            .by_id
            .get(session)
            .map(|session| &session.stage)
        {
            Some(Stage::Ended(end)) => {
                let end = (**end).clone();
                self.sessions.end(session);
                Some(end)
            }
            _ => None,
        }
    }

    /// Refuses what runs in a session.
    pub(super) fn refuse_in(&mut self, asked: &Asked, session: &str, refusal: Refusal) {
        refused(self, asked, session, refusal);
    }

    /// Whether a watcher's right is allowed, and whether she is to be asked.
    pub(super) fn decision(
        &self,
        turn: &Turn,
        user: &Bare,
        watcher: &Bare,
        right: Right,
    ) -> Decision {
        match self.state.user(user) {
            None => Decision::Deny(super::authorization::Reason::Unseen),
            Some(known) => {
                let user = (user, known);
                face::decide(
                    &self.settings,
                    user,
                    watcher,
                    Interface::Public,
                    turn.now,
                    right,
                )
            }
        }
    }
}

impl Sessions {
    /// Lets a form be corrected.
    fn reopen(&mut self, id: &str) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.stage = Stage::Form;
            self.forms
                .entry(session.owner.bare.clone())
                .or_default()
                .push_back(id.to_owned());
        }
    }
}
