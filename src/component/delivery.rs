//! A command between the component and the user's agent: sent, answered, reported late, passed on to
//! the next agent where that does no harm. XEP-0050 (as the requester); protocol.md §9.3.

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};
use xmpp_parsers::ns;

use super::caps::NS_AGENT;
use super::clock::Wall;
use super::execution::{EXPIRES_S, End, Way, finish};
use super::record::{Execution, ExecutionState};
use super::reply::{Asked, Refusal};
use super::request::denied;
use super::route::About;
use super::timer::Timer;
use super::watcher::Watcher;
use super::{Component, Turn};
use crate::address::Address;
use crate::stanza::command::{Action, Command, Severity, Status};
use crate::stanza::outcome::Outcome;
use crate::stanza::{Inbound, command as xep0050};
/// A client says within this that it has done it, or that it is asking; else it counts as silent
/// (protocol.md §9.3).
const SILENCE_S: u64 = 30;
/// Sends the command to the next agent, having decided once more.
pub(super) fn next(core: &mut Component, turn: &mut Turn, id: &str) {
    let Some(execution) = core.state.execution(id).cloned() else {
        return;
    };
    let Some(running) = core.running.get(id).filter(|running| !running.ending) else {
        return;
    };
    let user = execution.user.clone();
    let watcher = Watcher::of(&execution);
    if denied(core.decision_again(turn, &user, &watcher, execution.right)).is_err() {
        let text = Some("the right was taken away before the command was sent".to_owned());
        return finish(
            core,
            turn,
            id,
            End::new(ExecutionState::Refused, text, Way::Agent),
            None,
        );
    }
    if execution.confirm && turn.now.wall >= execution.expires {
        let state = if running.sent {
            ExecutionState::Unknown
        } else {
            ExecutionState::Expired
        };
        return finish(core, turn, id, End::new(state, None, Way::Agent), None);
    }
    let agents = core
        .state
        .user(&user)
        .map(|known| known.live.agents())
        .unwrap_or_default();
    let untried = agents
        .into_iter()
        .find(|agent| !running.tried.contains(agent));
    let may_go_on = !running.sent || execution.right.may_repeat();
    let Some(agent) = untried.filter(|_| may_go_on) else {
        return if running.sent {
            finish(
                core,
                turn,
                id,
                End::new(ExecutionState::Unknown, None, Way::Agent),
                None,
            )
        } else {
            finish(
                core,
                turn,
                id,
                End::new(ExecutionState::Completed, None, Way::Message),
                None,
            )
        };
    };
    let to = Address {
        bare: user,
        resource: Some(agent.clone()),
    };
    let payload = to_agent(&execution, turn.now.wall);
    let Some(iq) = core.ask(turn, "set", to, payload, About::Command(id.to_owned())) else {
        let text = Some("too many commands are on their way".to_owned());
        return finish(
            core,
            turn,
            id,
            End::new(ExecutionState::Failed, text, Way::Agent),
            None,
        );
    };
    core.send(iq);
    let at = turn.now.mono + std::time::Duration::from_secs(SILENCE_S);
    let key = core.timers.set(at, Timer::Silence(id.to_owned()));
    if let Some(running) = core.running.get_mut(id) {
        running.tried.push(agent.clone());
        running.resource = Some(agent);
        running.timers.push(key);
    }
}

/// The command as the agent gets it, protocol.md §9.3.
fn to_agent(execution: &Execution, now: Wall) -> Element {
    // Each agent that need not ask has its own time; a person's does not begin anew.
    let expires = if execution.confirm {
        execution.expires
    } else {
        now.plus_s(EXPIRES_S)
    };
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
        ("expires", expires.to_string()),
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
    let current = core.running.get_mut(id).filter(|running| {
        !running.ending && !running.accepted && running.resource == stanza.from.resource
    });
    let Some(running) = current else { return };
    if stanza.type_ == "error" {
        return match error_of(&stanza.element).as_str() {
            "forbidden" | "not-allowed" | "not-authorized" => {
                finish(
                    core,
                    turn,
                    id,
                    End::new(ExecutionState::Refused, None, Way::Agent),
                    None,
                );
            }
            // Everything else says that the agent was there.
            condition if !is_absence(condition) => {
                let text = error_text(&stanza.element);
                finish(
                    core,
                    turn,
                    id,
                    End::new(ExecutionState::Failed, text, Way::Agent),
                    None,
                );
            }
            _ => next(core, turn, id), // It was never there to run it.
        };
    }
    let command = stanza
        .element
        .get_child("command", xep0050::NS)
        .and_then(|command| Command::read(command).ok());
    match command {
        Some(command) if command.status == Some(Status::Executing) => running.accepted = true,
        Some(command) if command.status == Some(Status::Completed) => {
            let failed = command
                .notes
                .iter()
                .any(|(severity, _)| *severity == Severity::Error);
            let state = if failed {
                ExecutionState::Failed
            } else {
                ExecutionState::Completed
            };
            let text = command.notes.into_iter().next().map(|(_, text)| text);
            finish(core, turn, id, End::new(state, text, Way::Agent), None);
        }
        Some(command) if command.status == Some(Status::Canceled) => {
            finish(
                core,
                turn,
                id,
                End::new(ExecutionState::Refused, None, Way::Agent),
                None,
            );
        }
        _ => {
            let text = Some("the client's answer could not be read".to_owned());
            finish(
                core,
                turn,
                id,
                End::new(ExecutionState::Failed, text, Way::Agent),
                None,
            );
        }
    }
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
        !running.ending
            && running.user == from.bare
            && running.agent_request_id == outcome.request_id
            && running.right == outcome.right
            && running.resource.is_some()
            && running.resource == from.resource
    });
    match found.map(|(id, _)| id.clone()) {
        Some(id) => {
            let end = End::new(outcome.state, outcome.text, Way::Agent);
            finish(core, turn, &id, end, Some(asked));
        }
        None => core.answer(&asked, Err(Refusal::ItemNotFound)),
    }
}

/// What an agent may report.
fn is_report(state: ExecutionState) -> bool {
    matches!(
        state,
        ExecutionState::Completed | ExecutionState::Refused | ExecutionState::Failed
    )
}

/// The client that has the command has not said a word.
pub(super) fn silent(core: &mut Component, turn: &mut Turn, id: &str) {
    if let Some(running) = core
        .running
        .get_mut(id)
        .filter(|one| !one.accepted && !one.ending)
    {
        running.sent = true;
        next(core, turn, id);
    }
}

/// The command has expired: it was sent, and its end is not known.
pub(super) fn expired(core: &mut Component, turn: &mut Turn, id: &str) {
    finish(
        core,
        turn,
        id,
        End::new(ExecutionState::Unknown, None, Way::Agent),
        None,
    );
}
