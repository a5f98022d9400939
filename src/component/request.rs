//! What a watcher asks for: its form read under limits, and whether there is room for one more.

use std::collections::BTreeMap;

use xmpp_parsers::data_forms::DataForm;

use super::authorization::{Decision, Interface, Reason, Right};
use super::execution::Running;
use super::face::cut;
use super::form::{self, Fields};
use super::limits::{
    EXECUTIONS_MAX, EXECUTIONS_PER_PARTY_MAX, MESSAGE_CHARS_MAX, OUTCOME_CHARS_MAX,
};
use super::reply::{Asked, Refusal};
use super::watcher::Watcher;
use super::{Component, Turn, rates};
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

    /// Reads the form of a right.
    pub(super) fn read(
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
        let mut fields = BTreeMap::new();
        if right == Right::OpenUrl {
            let url = web_address::check(&given.required("url")?)
                .map_err(|refusal| Refusal::BadPayload(format!("The field url: {refusal}.")))?;
            fields.insert("url".into(), url.as_str().to_owned());
            if let Some(reason) = given.text("reason") {
                fields.insert("reason".into(), one_line(&cut(&reason, OUTCOME_CHARS_MAX)));
            }
        } else {
            let text = given.required("text")?;
            if text.chars().count() > MESSAGE_CHARS_MAX {
                let text = format!("A message has at most {MESSAGE_CHARS_MAX} characters.");
                return Err(Refusal::BadPayload(text));
            }
            fields.insert("text".into(), text);
        }
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
    denied(core.decision(turn, user, &request.asker(), *right))?;
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
    rates::admit_command(core, turn, user, watcher)
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
