//! A command between the component and the user's agent: sent, answered, reported late, passed on to
//! the next agent where that does no harm. XEP-0050 (as the requester); protocol.md §9.3.

use std::time::Duration;

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};
use xmpp_parsers::ns;

use super::authorization::Right;
use super::caps::NS_AGENT;
use super::clock::Wall;
use super::execution::{End, Stage, Step, Way, finish};
use super::presence::ResourceName;
use super::record::{Execution, ExecutionState};
use super::reply::{Asked, Refusal};
use super::request::named_module;
use super::route::About;
use super::state::User;
use super::timer::Timer;
use super::watcher::Watcher;
use super::{Component, Turn, lane, offer, resume};
use crate::address::Address;
use crate::stanza::command::{Action, Command, Severity, Status};
use crate::stanza::outcome::Outcome;
use crate::stanza::{Inbound, command as xep0050};

/// A client says within this that it has done it, or that it is asking; else it counts as silent
/// (protocol.md §9.3).
const SILENCE: Duration = Duration::from_secs(30);

/// Whether agents do what the right is about; the rest the component does itself.
pub(super) fn is_for_agents(right: Right) -> bool {
    matches!(
        right,
        Right::OpenUrl | Right::Notify | Right::StartModule | Right::ActivateClient
    )
}

/// Whether the component can say in a message what no agent is there to do. A link that she has to follow
/// herself asks nothing of her before (design.md §4).
pub(super) fn becomes_a_message(right: Right) -> bool {
    matches!(right, Right::OpenUrl | Right::Notify)
}

/// Her agents that can run a command, the first to be asked first.
fn agents_for(known: &User, execution: &Execution, now: Wall) -> Vec<ResourceName> {
    let module = named_module(execution.right, &execution.fields);
    let user = (&execution.user, known);
    offer::agents(user, &execution.watcher.bare, now, execution.right, module)
}

/// Sends a command that has been accepted: to the resource that its record names, or waits.
pub(super) fn begin(core: &mut Component, turn: &mut Turn, id: &str) {
    let resource = core
        .state
        .execution(id)
        .and_then(|known| known.resource.clone());
    if let Some(running) = core.running.get_mut(id) {
        running.stage = Stage::Waiting;
    }
    match resource {
        Some(resource) => go(core, turn, id, &resource.into()),
        None => next(core, turn, id),
    }
}

/// Why a command is not sent to anybody now.
enum Stop {
    End(ExecutionState, Option<&'static str>),
    /// There is no such command, or it has ended.
    Gone,
}

/// Decides once more, just before a command is sent.
fn check(core: &Component, turn: &Turn, id: &str) -> Result<Execution, Stop> {
    let running = core.running.get(id).filter(|one| !one.is_ending());
    let (Some(running), Some(execution)) = (running, core.state.execution(id)) else {
        return Err(Stop::Gone);
    };
    let watcher = Watcher::of(execution);
    let sent = running.may_be_sent();
    let module = named_module(execution.right, &execution.fields);
    let user = &execution.user;
    match offer::permit_again(core, turn, user, &watcher, execution.right, module) {
        Err(_) if sent => return Err(Stop::End(ExecutionState::Unknown, None)),
        Err(_) => {
            let text = "the right was taken away before the command was sent";
            return Err(Stop::End(ExecutionState::Refused, Some(text)));
        }
        // She has come to want to be asked: whoever has it by now was not told so.
        Ok(true) if !execution.confirm => {
            let text = "she wants to be asked now";
            return Err(match sent {
                true => Stop::End(ExecutionState::Unknown, None),
                false => Stop::End(ExecutionState::Refused, Some(text)),
            });
        }
        Ok(_) => {}
    }
    // Each agent that need not ask has its own time; a person's does not begin anew.
    if turn.now.wall >= execution.expires && (execution.confirm || !sent) {
        let state = match sent {
            true => ExecutionState::Unknown,
            false => ExecutionState::Expired,
        };
        return Err(Stop::End(state, None));
    }
    Ok(execution.clone())
}

fn stop(core: &mut Component, turn: &mut Turn, id: &str, stop: Stop) {
    if let Stop::End(state, text) = stop {
        let text = text.map(ToOwned::to_owned);
        finish(core, turn, id, End::new(state, text, Way::Agent), None);
    }
}

/// Finds the next agent for a command that none has, having decided once more, and writes down that it goes
/// there.
pub(super) fn next(core: &mut Component, turn: &mut Turn, id: &str) {
    let execution = match check(core, turn, id) {
        Ok(execution) => execution,
        Err(why) => return stop(core, turn, id, why),
    };
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    let right = execution.right;
    let sent = running.may_be_sent();
    if sent && !right.may_repeat() {
        let why = Stop::End(ExecutionState::Unknown, None);
        return stop(core, turn, id, why);
    }
    let agents = core
        .state
        .user(&execution.user)
        .map(|known| agents_for(known, &execution, turn.now.wall))
        .unwrap_or_default();
    let of_before = agents.iter().find(|agent| running.holder() == Some(agent));
    let untried = of_before.or_else(|| agents.iter().find(|one| !running.tried.contains(one)));
    let settled = resume::is_settled(core, turn.now);
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    match untried.filter(|_| core.attached) {
        Some(agent) => {
            running.sent = sent;
            running.stage = Stage::Sending(agent.clone());
            let step = Step::Send {
                id: id.to_owned(),
                resource: agent.clone(),
            };
            lane::submit(core, turn, &execution.user, lane::Task::Execution(step));
        }
        // It is not known yet who is there; or one may come in time.
        None if !settled || !(sent || becomes_a_message(right)) => {
            running.sent = sent;
            running.stage = Stage::Waiting;
        }
        None if sent => stop(core, turn, id, Stop::End(ExecutionState::Unknown, None)),
        None => {
            let end = End::new(ExecutionState::Completed, None, Way::Message);
            finish(core, turn, id, end, None);
        }
    }
}

/// That the command goes to a resource is written down, or could not be.
pub(super) fn recorded(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    resource: &ResourceName,
    result: Result<(), Refusal>,
) {
    let is_current = core
        .running
        .get(id)
        .is_some_and(|one| matches!(&one.stage, Stage::Sending(current) if current == resource));
    if !is_current {
        return;
    }
    if let Some(running) = core.running.get_mut(id) {
        running.stage = Stage::Waiting;
    }
    match result {
        Ok(()) => {
            resume::set_expiry(core, turn.now, id);
            go(core, turn, id, resource);
        }
        Err(Refusal::ResourceConstraint) => {
            let sent = core.running.get(id).is_some_and(|one| one.sent);
            let why = match sent {
                true => Stop::End(ExecutionState::Unknown, None),
                false => Stop::End(
                    ExecutionState::Failed,
                    Some("it could not be recorded before it was sent"),
                ),
            };
            stop(core, turn, id, why);
        }
        Err(_) => next(core, turn, id), // It says why not.
    }
}

/// Sends a command whose record names the resource, having decided once more.
fn go(core: &mut Component, turn: &mut Turn, id: &str, resource: &ResourceName) {
    let execution = match check(core, turn, id) {
        Ok(execution) => execution,
        Err(why) => return stop(core, turn, id, why),
    };
    let is_there = core
        .state
        .user(&execution.user)
        .is_some_and(|known| agents_for(known, &execution, turn.now.wall).contains(resource));
    if !is_there || !core.attached {
        return next(core, turn, id);
    }
    let to = Address {
        bare: execution.user.clone(),
        resource: Some(resource.clone()),
    };
    let about = About::Command(id.to_owned());
    let Some(iq) = core.ask(turn, "set", to, to_agent(&execution), about) else {
        let sent = core.running.get(id).is_some_and(|one| one.sent);
        let why = match sent {
            true => Stop::End(ExecutionState::Unknown, None),
            false => Stop::End(
                ExecutionState::Failed,
                Some("too many commands are on their way"),
            ),
        };
        return stop(core, turn, id, why);
    };
    core.send(iq);
    let at = turn.now.mono + SILENCE;
    let key = core.timers.set(at, Timer::Silence(id.to_owned()));
    let before = core.running.get_mut(id).and_then(|running| {
        running.tried.push(resource.clone());
        running.stage = Stage::Sent(resource.clone());
        running.silence.replace(key)
    });
    if let Some(before) = before {
        core.timers.cancel(before);
    }
}

/// The command as the agent gets it, protocol.md §9.3.
fn to_agent(execution: &Execution) -> Element {
    let mut fields: Vec<_> = [
        ("request-id", execution.agent_request_id().to_owned()),
        ("requester", execution.watcher.bare.to_string()),
        ("level", execution.level.as_str().to_owned()),
        ("interface", execution.interface.as_str().to_owned()),
        (
            "confirm",
            if execution.confirm { "1" } else { "0" }.to_owned(),
        ),
        ("issued", execution.issued.to_string()),
        ("expires", execution.expires.to_string()),
    ]
    .into_iter()
    .map(|(var, value)| Field::text_single(var, &value))
    .collect();
    fields.extend(
        execution
            .fields
            .iter()
            .map(|(var, value)| Field::text_single(var, value)),
    );
    for field in &mut fields {
        match field.var.as_deref() {
            Some("requester") => field.type_ = FieldType::JidSingle,
            Some("confirm") => field.type_ = FieldType::Boolean,
            _ => {}
        }
    }
    let command = Command {
        node: format!("{NS_AGENT}#{}", execution.right),
        action: Some(Action::Execute),
        form: Some(DataForm::new(DataFormType::Submit, NS_AGENT, fields)),
        ..Command::default()
    };
    command.write()
}

/// Takes the agent's answer to the command.
pub(super) fn answered(core: &mut Component, turn: &mut Turn, id: &str, stanza: &Inbound) {
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    let Stage::Sent(resource) = running.stage.clone() else {
        return;
    };
    if stanza.from.resource.as_ref() != Some(&resource) {
        return;
    }
    if stanza.type_ == "error" {
        return match error_of(&stanza.element).as_str() {
            "forbidden" | "not-allowed" | "not-authorized" => {
                ended(core, turn, id, ExecutionState::Refused, None)
            }
            // Everything else says that the agent was there.
            condition if !is_absence(condition) => {
                ended(
                    core,
                    turn,
                    id,
                    ExecutionState::Failed,
                    error_text(&stanza.element),
                );
            }
            // It was never there to run it.
            _ => {
                running.stage = Stage::Waiting;
                next(core, turn, id);
            }
        };
    }
    let mut children = stanza.element.children();
    let only = children.next().filter(|_| children.next().is_none());
    let command = only
        .filter(|child| child.is("command", xep0050::NS))
        .and_then(|command| Command::read(command).ok());
    let Some(command) = command else {
        let text = "the client's answer could not be read".to_owned();
        return ended(core, turn, id, ExecutionState::Failed, Some(text));
    };
    let is_error = |(severity, _): &(Severity, String)| *severity == Severity::Error;
    match command.status {
        Some(Status::Executing) => {
            running.stage = Stage::Accepted(resource);
            let user = running.user.clone();
            let step = Step::Accept { id: id.to_owned() };
            lane::submit(core, turn, &user, lane::Task::Execution(step));
        }
        Some(Status::Completed) => {
            let failed = command.notes.iter().any(is_error);
            let state = match failed {
                true => ExecutionState::Failed,
                false => ExecutionState::Completed,
            };
            ended(
                core,
                turn,
                id,
                state,
                command.notes.into_iter().next().map(|(_, text)| text),
            );
        }
        Some(Status::Canceled) => ended(core, turn, id, ExecutionState::Refused, None),
        None => {
            let text = "the client's answer could not be read".to_owned();
            ended(core, turn, id, ExecutionState::Failed, Some(text));
        }
    }
}

/// The agent has said how it ended.
fn ended(
    core: &mut Component,
    turn: &mut Turn,
    id: &str,
    state: ExecutionState,
    text: Option<String>,
) {
    finish(core, turn, id, End::new(state, text, Way::Agent), None);
}

fn error_of(iq: &Element) -> String {
    iq.get_child("error", ns::JABBER_CLIENT)
        .and_then(|error| error.children().find(|child| child.name() != "text"))
        .map_or_else(
            || "undefined-condition".to_owned(),
            |child| child.name().to_owned(),
        )
}

/// Whether an error says that there was nobody to run it.
fn is_absence(condition: &str) -> bool {
    matches!(
        condition,
        "service-unavailable"
            | "recipient-unavailable"
            | "remote-server-not-found"
            | "remote-server-timeout"
            | "gone"
    )
}

fn error_text(iq: &Element) -> Option<String> {
    let error = iq.get_child("error", ns::JABBER_CLIENT)?;
    error
        .children()
        .find(|child| child.name() == "text")
        .map(Element::text)
}

/// Takes an agent's late report: only from the full JID that has the command, only while it is open.
/// It is acknowledged when the end is durable.
pub(super) fn reported(core: &mut Component, turn: &mut Turn, asked: Asked, payload: &Element) {
    let Some(outcome) = Outcome::read(payload).filter(|outcome| is_report(outcome.state)) else {
        return core.answer(&asked, Err(Refusal::BadRequest));
    };
    let from = &asked.to;
    let found = core.running.iter().find(|(_, running)| {
        running.user == from.bare
            && running.agent_request_id == outcome.request_id
            && running.right == outcome.right
            && running.holder().is_some()
            && running.holder() == from.resource.as_ref()
    });
    match found.map(|(id, _)| id.clone()) {
        Some(id) => {
            let end = End::new(outcome.state, outcome.text, Way::Agent);
            finish(core, turn, &id, end, Some(asked));
        }
        None => core.answer(&asked, Err(Refusal::ItemNotFound)),
    }
}

/// What an agent may report, or a watcher of its own side.
pub(super) fn is_report(state: ExecutionState) -> bool {
    matches!(
        state,
        ExecutionState::Completed | ExecutionState::Refused | ExecutionState::Failed
    )
}

/// The client that has the command has not said a word.
pub(super) fn silent(core: &mut Component, turn: &mut Turn, id: &str) {
    if let Some(running) = core.running.get_mut(id)
        && let Stage::Sent(_) = running.stage
    {
        running.sent = true;
        running.stage = Stage::Waiting;
        next(core, turn, id);
    }
}
