//! What a watcher asks for: its form read under limits, and whether there is room for one more.

use std::collections::BTreeMap;

use xmpp_parsers::data_forms::DataForm;

use super::authorization::{Decision, Interface, Reason, Right};
use super::execution::Running;
use super::face::cut;
use super::form::{self, Fields};
use super::limits::{
    EXECUTIONS_MAX, EXECUTIONS_PER_PARTY_MAX, MESSAGE_CHARS_MAX, NOTIFY_CHARS_MAX,
    OUTCOME_CHARS_MAX,
};
use super::record::Execution;
use super::reply::{Asked, Refusal};
use super::watcher::Watcher;
use super::{Component, Turn, offer, rates, set_status};
use crate::address::{Address, Bare};
use crate::web_address;

/// A watcher's own name for its request.
const REQUEST_ID_MAX: usize = 128;

/// What a watcher asks for, read and checked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) user: Bare,
    pub(super) watcher: Address,
    /// Where it came in.
    pub(super) interface: Interface,
    /// The public name of the token that was shown.
    pub(super) token: Option<String>,
    pub(super) right: Right,
    pub(super) request_id: String,
    /// The right's own fields; nothing else of the watcher's form travels on (security T45).
    pub(super) fields: BTreeMap<String, String>,
}

impl Request {
    /// Who asks, as `decide` knows it.
    pub(super) fn asker(&self) -> Watcher {
        Watcher::new(&self.watcher, self.interface).with_token(self.token.as_deref())
    }

    /// Reads the form of a right. Only the fields that the right has are taken over, whatever else stands
    /// in it: what the agent is told of the request is ours to say (security T45).
    pub(super) fn read(
        core: &Component,
        turn: &mut Turn,
        user: &Bare,
        asked: &Asked,
        right: Right,
        form: &DataForm,
    ) -> Result<Self, Refusal> {
        let given = Fields::read(form, form::CMD)?;
        let request_id = given.text("request-id").unwrap_or_else(|| turn.chance.id());
        if request_id.len() > REQUEST_ID_MAX
            || !request_id.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let text =
                format!("The field request-id is not up to {REQUEST_ID_MAX} plain characters.");
            return Err(Refusal::BadPayload(text));
        }
        let fields = match right {
            Right::OpenUrl => page(&given)?,
            Right::See | Right::ActivateClient => BTreeMap::new(),
            Right::LeaveMessage => text(&given, "A message", MESSAGE_CHARS_MAX)?,
            Right::Notify => text(&given, "A notification", NOTIFY_CHARS_MAX)?,
            Right::SetStatus => set_status::read(core, turn, user, &given)?,
            Right::StartModule => module(core, turn, user, &asked.watcher(), &given)?,
        };
        Ok(Self {
            user: user.clone(),
            watcher: asked.to.clone(),
            interface: asked.interface,
            token: asked.token.clone(),
            right,
            request_id,
            fields,
        })
    }

    /// What has been accepted.
    pub(super) fn of(execution: &Execution) -> Self {
        Self {
            user: execution.user.clone(),
            watcher: execution.watcher.clone(),
            interface: execution.interface,
            token: execution.token.clone(),
            right: execution.right,
            request_id: execution.request_id.clone(),
            fields: execution.fields.clone(),
        }
    }

    /// The module that it wants to start.
    pub(super) fn module(&self) -> Option<&str> {
        named_module(self.right, &self.fields)
    }
}

/// The module that the fields of a command name.
pub(super) fn named_module(right: Right, fields: &BTreeMap<String, String>) -> Option<&str> {
    let module = fields.get("module").map(String::as_str);
    module.filter(|_| right == Right::StartModule)
}

fn page(given: &Fields) -> Result<BTreeMap<String, String>, Refusal> {
    let url = web_address::check(&given.required("url")?)
        .map_err(|refusal| Refusal::BadPayload(format!("The field url: {refusal}.")))?;
    let mut fields = BTreeMap::from([("url".to_owned(), url.as_str().to_owned())]);
    if let Some(reason) = given.text("reason") {
        let reason = one_line(&cut(&reason, OUTCOME_CHARS_MAX));
        fields.insert("reason".to_owned(), reason);
    }
    Ok(fields)
}

fn text(given: &Fields, what: &str, max: usize) -> Result<BTreeMap<String, String>, Refusal> {
    let text = given.required("text")?;
    if text.chars().count() > max {
        let text = format!("{what} has at most {max} characters.");
        return Err(Refusal::BadPayload(text));
    }
    Ok(BTreeMap::from([("text".to_owned(), text)]))
}

/// A module that the watcher may start now, and its arguments by the types that the agent has declared.
fn module(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    watcher: &Watcher,
    given: &Fields,
) -> Result<BTreeMap<String, String>, Refusal> {
    let name = given.required("module")?;
    let known = core.state.user(user).ok_or(Refusal::ServiceUnavailable)?;
    let modules = offer::modules((user, known), watcher, turn.now);
    let Some(module) = modules.get(name.as_str()) else {
        // One that she has and one that nobody has are the same to who may start neither.
        let text = "The field module names none of the programs that you may start now.";
        return Err(Refusal::BadPayload(text.to_owned()));
    };
    let mut fields = module.check(given)?;
    fields.insert("module".to_owned(), name);
    Ok(fields)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether there is room for one more; attempts that `decide` refuses do not use up the rates.
pub(super) fn admit(core: &mut Component, turn: &Turn, request: &Request) -> Result<(), Refusal> {
    let Request {
        user,
        watcher,
        right,
        request_id,
        ..
    } = request;
    offer::permit(core, turn, user, &request.asker(), *right, request.module())?;
    let watcher = &watcher.bare;
    let of =
        |test: &dyn Fn(&Running) -> bool| core.running.values().filter(|one| test(one)).count();
    let limits = &core.settings.limits;
    let of_party = |one: &Running| one.watcher.bare.domain() == watcher.domain();
    if core.running.len() >= EXECUTIONS_MAX
        || (request.interface == Interface::Dedicated && of(&of_party) >= EXECUTIONS_PER_PARTY_MAX)
        || of(&|one| one.watcher.bare == *watcher) >= limits.open_commands_per_watcher
        || of(&|one| one.user == *user) >= limits.open_commands_per_user
    {
        return Err(Refusal::ResourceConstraint);
    }
    if of(&|one| one.user == *user && one.watcher.bare == *watcher && one.request_id == *request_id)
        > 0
    {
        return Err(Refusal::BadPayload(
            "The field request-id names an open request.".into(),
        ));
    }
    if core.names.is_used(user, watcher, request_id, turn.now.wall) {
        return Err(Refusal::BadPayload(
            "The field request-id names an earlier request.".into(),
        ));
    }
    // What takes a status back costs nothing of this.
    let sets = *right == Right::SetStatus
        && watcher != user
        && request
            .fields
            .get("status-message")
            .is_some_and(|text| !text.is_empty());
    let setter = match request.interface {
        Interface::Dedicated => watcher.to_domain(), // Its addresses are its own to make.
        _ => watcher.clone(),
    };
    let of_user = (user.clone(), setter);
    if sets && let Err(wait_s) = core.statuses.room(&of_user, 1, turn.now.mono) {
        return Err(Refusal::PolicyViolation(wait_s));
    }
    rates::admit_command(core, turn, user, watcher)?;
    if sets {
        core.statuses.take(&of_user, turn.now.mono);
    }
    Ok(())
}

/// A denial as the watcher is told it: one that cannot see her learns nothing.
pub(super) fn denied(decision: Decision) -> Result<bool, Refusal> {
    match decision {
        Decision::Allow { confirm } => Ok(confirm),
        Decision::Deny(Reason::NotGranted) => Err(Refusal::Forbidden),
        Decision::Deny(Reason::UsedUp(seconds)) => Err(Refusal::PolicyViolation(seconds)),
        Decision::Deny(Reason::Blocked | Reason::Unseen) => Err(Refusal::ServiceUnavailable),
    }
}
