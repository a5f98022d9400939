//! The operator's commands, for administrators only: their nodes, forms and results; to everybody else they do
//! not exist. XEP-0050; design.md §4 `[users] admins`.
//!
//! Administrators see accounts and settings, never a state or a text: of presence they see what other watchers
//! see. Each thing that is done here is in the log, with who did it.

pub(super) mod bars;
pub(super) mod chat;
mod delete;
mod list;
mod numbers;

pub(super) use bars::Bars;
pub(super) use delete::{Removal, done as removed, plan as plan_removal};

use xmpp_parsers::data_forms::{DataForm, DataFormType, Field};

use super::command::{canceled, offer, refused};
use super::form::{self, ADMIN, Fields};
use super::reply::{Asked, Refusal};
use super::session::{Move, Stage, open, read};
use super::setting::Reply;
use super::{Component, Effect, Report, Turn, command};
use crate::address::Bare;
use crate::stanza::command::{Command, Severity, Status};

/// One of the operator's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admin {
    Numbers,
    List,
    Delete,
    BlockList,
}

impl Admin {
    const ALL: [Self; 4] = [Self::Numbers, Self::List, Self::Delete, Self::BlockList];

    fn node(self) -> String {
        let name = match self {
            Self::Numbers => "numbers",
            Self::List => "list",
            Self::Delete => "delete",
            Self::BlockList => "block-list",
        };
        format!("{ADMIN}#{name}")
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Numbers => "Numbers (operator)",
            Self::List => "List users (operator)",
            Self::Delete => "Delete a user (operator)",
            Self::BlockList => "Block watchers for everybody (operator)",
        }
    }

    fn form(self, core: &Component) -> Option<DataForm> {
        let (instructions, fields) = match self {
            Self::Numbers => return None,
            Self::List => list::form(),
            Self::Delete => delete::form(),
            Self::BlockList => bars::form(core),
        };
        Some(form::form(ADMIN, self.title(), instructions, fields))
    }
}

/// The command at a node, for one who may run it; to all others there is none.
pub(super) fn of_node(core: &Component, node: &str, who: &Bare) -> Option<Admin> {
    let mut all = Admin::ALL.into_iter().filter(|_| is_admin(core, who));
    all.find(|one| one.node() == node)
}

/// Those that somebody may run: node and title.
pub(super) fn offered(
    core: &Component,
    who: &Bare,
) -> impl Iterator<Item = (String, &'static str)> + use<> {
    let all = Admin::ALL.into_iter().filter({
        let may = is_admin(core, who);
        move |_| may
    });
    all.map(|one| (one.node(), one.title()))
}

/// Whether a node is one of the operator's, for whomever it is asked.
pub(super) fn is_of_operator(node: &str) -> bool {
    node.strip_prefix(ADMIN)
        .is_some_and(|rest| rest.starts_with('#'))
}

pub(super) fn is_admin(core: &Component, who: &Bare) -> bool {
    core.settings.admins.contains(who)
}

/// An administrator's command, read; at the component domain.
pub(super) fn received(
    core: &mut Component,
    turn: &mut Turn,
    asked: Asked,
    command: &Command,
    what: Admin,
) {
    let domain = core.settings.domain.bare().clone();
    let step = match read(core, &asked, &domain, command) {
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
    let fields = match step {
        Move::Cancel(_) => return canceled(core, &asked, &command.node, session),
        Move::Poll(..) | Move::Turn(..) | Move::Close(_) => {
            return core.answer(&asked, Err(Refusal::BadAction));
        }
        Move::Begin(None) => match what.form(core) {
            Some(form) => return offer(core, &asked, &command.node, session, form, false),
            None => Fields::default(),
        },
        Move::Begin(Some(form)) | Move::Submit(_, form) => match Fields::read(&form, ADMIN) {
            Ok(fields) => fields.by_value(what.form(core).as_ref()),
            Err(refusal) => return refused(core, &asked, &session, refusal),
        },
    };
    if let (Admin::Delete, Some((instructions, more))) = (what, delete::second_form(core, &fields))
    {
        let form = form::form(ADMIN, what.title(), &instructions, more);
        return offer(core, &asked, &command.node, session, form, false);
    }
    core.sessions.set(&session, Stage::Running(None));
    let reply = Reply::Command {
        asked,
        node: command.node.clone(),
        session,
    };
    match what {
        Admin::Numbers => numbers::tell(core, turn, reply),
        Admin::List => match list::Wanted::of_fields(&fields) {
            Ok(wanted) => list::tell(core, turn, &wanted, reply),
            Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
        },
        Admin::Delete => delete::submitted(core, turn, &fields, reply),
        Admin::BlockList => bars::submitted(core, turn, &fields, reply),
    }
}

/// Tells what was asked for: to a program as a result form, to a person in words.
fn told(core: &mut Component, turn: &mut Turn, reply: Reply, text: String, fields: Vec<Field>) {
    let Reply::Command {
        asked,
        node,
        session,
    } = reply
    else {
        return command::acknowledge(core, turn, reply, Ok(text));
    };
    core.sessions.end(&session);
    let notes = vec![(Severity::Info, text)];
    let command = Command {
        node,
        sessionid: Some(session),
        status: Some(Status::Completed),
        notes,
        form: Some(DataForm::new(DataFormType::Result_, ADMIN, fields)),
        ..Command::default()
    };
    core.answer(&asked, Ok(Some(command.write())));
}

/// Who asks.
fn by(reply: &Reply) -> Option<Bare> {
    match reply {
        Reply::Chat(to, _) => Some(to.bare.clone()),
        Reply::Command { asked, .. } => Some(asked.to.bare.clone()),
        Reply::Nobody | Reply::Registration(_) => None,
    }
}

/// Puts down in the log what an administrator does.
pub(super) fn log(core: &mut Component, reply: &Reply, did: String) {
    if let Some(who) = by(reply) {
        core.effects
            .push_back(Effect::Report(Report::Admin(who, did)));
    }
}
