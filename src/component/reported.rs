//! A watcher's own result of a request that it opened: she reads it, and her agent gets it. design.md §4
//! “No answer”.

use std::collections::BTreeMap;

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

use super::authorization::Right;
use super::caps::NS_AGENT;
use super::clock::Wall;
use super::execution::{EXPIRES_S, Step};
use super::face::cut;
use super::limits::OUTCOME_CHARS_MAX;
use super::record::{Audit, Change, ExecutionState};
use super::reply::{Asked, Refusal};
use super::request::Request;
use super::route::About;
use super::state::User;
use super::words::quotable;
use super::written::level;
use super::{Component, Turn, delivery, lane, relay};
use crate::address::{Address, Bare};
use crate::stanza::command::{Action, Command};
use crate::stanza::outcome::Outcome;

/// Characters of an address in a message to her.
const ADDRESS_SHOWN: usize = 150;

/// Takes the report of a watcher that may see her; it is answered when it is durable.
pub(super) fn received(
    core: &mut Component,
    turn: &mut Turn,
    asked: Asked,
    payload: &Element,
    user: &Bare,
) {
    let outcome = Outcome::read(payload).filter(|outcome| delivery::is_report(outcome.state));
    let Some(mut outcome) = outcome else {
        return core.answer(&asked, Err(Refusal::BadRequest));
    };
    let words = outcome.text.as_deref();
    outcome.text = words.and_then(|words| quotable(words, OUTCOME_CHARS_MAX));
    if !core
        .executions_by_watcher
        .take(&asked.to.bare, turn.now.mono)
    {
        let wait_s = core.executions_by_watcher.retry_after_s();
        return core.answer(&asked, Err(Refusal::PolicyViolation(wait_s)));
    }
    let step = Step::Report { asked, outcome };
    lane::submit(core, turn, user, lane::Task::Execution(step));
}

/// The line of history of the request.
fn line<'a>(
    known: &'a User,
    watcher: &Bare,
    outcome: &Outcome,
) -> Option<(&'a (Wall, String), &'a Audit)> {
    let mut lines = known.history().iter().rev();
    lines.find(|(_, line)| {
        line.watcher == *watcher
            && line.right == outcome.right
            && line.request_id.as_ref() == Some(&outcome.request_id)
    })
}

/// Notes down that it has reported.
pub(super) fn plan(
    core: &Component,
    user: &Bare,
    asked: &Asked,
    outcome: &Outcome,
) -> Result<Vec<Change>, Refusal> {
    let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
    let ((at, id), audit) = line(known, &asked.to.bare, outcome).ok_or(Refusal::ItemNotFound)?;
    if audit.reported {
        let text = "The result of this request has been reported.".to_owned();
        return Err(Refusal::NotAllowed(text));
    }
    Ok(vec![Change::Audit {
        user: user.clone(),
        at: *at,
        id: id.clone(),
        value: Some(Audit {
            reported: true,
            ..audit.clone()
        }),
    }])
}

/// Tells her and her agent, where the watcher may still see her.
pub(super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    (asked, outcome): (&Asked, Outcome),
    result: Result<(), Refusal>,
) {
    let watcher = asked.watcher();
    let result = match core.may(user, &watcher, turn, Right::See) {
        true => result,
        false => Err(Refusal::ServiceUnavailable),
    };
    let told = result.is_ok();
    core.answer(asked, result.map(|()| None));
    if !told {
        return;
    }
    let detail = core.state.user(user).and_then(|known| {
        let (_, audit) = line(known, &asked.to.bare, &outcome)?;
        quotable(&audit.detail, OUTCOME_CHARS_MAX)
    });
    let who = cut(&asked.to.bare.shown(), ADDRESS_SHOWN);
    let what = detail.map_or(String::new(), |detail| format!(" “{detail}”"));
    let state = match outcome.state {
        ExecutionState::Completed => "it is done on their side",
        ExecutionState::Refused => "it was refused on their side",
        _ => "it has failed on their side",
    };
    let words = outcome.text.as_ref();
    let words = words.map_or(String::new(), |words| format!("\nThey write: “{words}”"));
    let body = format!(
        "{who} reports about {}{what}: {state}.{words}",
        outcome.right
    );
    let request = Request {
        user: user.clone(),
        watcher: asked.to.clone(),
        interface: asked.interface,
        token: None,
        right: outcome.right,
        request_id: outcome.request_id.clone(),
        fields: BTreeMap::new(),
    };
    relay::tell(core, turn, &request, outcome.state, &body, None);
    pass_on(core, turn, user, asked, &outcome);
}

/// The command `agent:0#outcome`, to the agent that would be asked first; nobody waits for what it says.
fn pass_on(core: &mut Component, turn: &mut Turn, user: &Bare, asked: &Asked, outcome: &Outcome) {
    let known = core.state.user(user);
    let agent = known.and_then(|known| known.live.agent_for_outcomes());
    let Some(agent) = agent.filter(|_| core.attached) else {
        return;
    };
    let now = turn.now.wall;
    let level = level(core, turn.now, user, &asked.watcher());
    let (issued, expires) = (now.to_string(), now.plus_s(EXPIRES_S).to_string());
    let text = outcome.text.clone().unwrap_or_default();
    let mut fields: Vec<_> = [
        ("request-id", outcome.request_id.as_str()),
        ("requester", asked.to.bare.as_str()),
        ("level", level.as_str()),
        ("interface", asked.interface.as_str()),
        ("confirm", "0"),
        ("issued", &issued),
        ("expires", &expires),
        ("right", outcome.right.as_str()),
        ("state", outcome.state.as_str()),
        ("text", &text),
        ("at", &issued),
    ]
    .into_iter()
    .map(|(var, value)| Field::text_single(var, value))
    .collect();
    for field in &mut fields {
        match field.var.as_deref() {
            Some("requester") => field.type_ = FieldType::JidSingle,
            Some("confirm") => field.type_ = FieldType::Boolean,
            _ => {}
        }
    }
    let command = Command {
        node: format!("{NS_AGENT}#outcome"),
        action: Some(Action::Execute),
        form: Some(DataForm::new(DataFormType::Submit, NS_AGENT, fields)),
        ..Command::default()
    };
    let to = Address {
        bare: user.clone(),
        resource: Some(agent),
    };
    if let Some(iq) = core.ask(turn, "set", to, command.write(), About::Passed) {
        core.send(iq);
    }
}
