//! Commands over the web: accepted as those of other watchers are, answered with their end or with a name to
//! ask by.

use minidom::Element;
use minidom::rxml::xml_ncname;
use sha2::{Digest as _, Sha256};
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

use super::super::authorization::{Interface, Right};
use super::super::execution::{self, Asker};
use super::super::record::ExecutionState;
use super::super::reply::{Asked, Refusal};
use super::super::request::Request;
use super::super::token::step as token;
use super::super::watcher::Watcher;
use super::super::{Component, Turn, form, offer};
use super::jobs::{JobState, Known, told};
use super::{Answer, News, Problem, Who, asker, named};
use crate::address::{Address, Bare};

/// What is asked for.
pub(super) struct Wanted {
    pub(super) right: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) key: Option<String>,
    pub(super) wait_s: u64,
}

fn asked_by(watcher: &Watcher, call: u64) -> Asked {
    Asked {
        from: String::new(),
        to: Address::from(watcher.bare.clone()),
        interface: Interface::Http,
        id: Some(call.to_string()),
        token: watcher.token.clone(),
    }
}

/// Runs a command.
pub(super) fn command(
    core: &mut Component,
    turn: &mut Turn,
    call: u64,
    who: &Who,
    typed: &str,
    wanted: Wanted,
) {
    let user = named(core, typed);
    // The use of a token is written with the command; who says a command again may have used it up with that.
    let mut watcher = match asker::identify(core, turn, who, user.as_ref(), true) {
        Ok(watcher) => watcher,
        Err(refusal) => return super::problem(core, call, &refusal),
    };
    if let Some((user, key)) = user.as_ref().zip(wanted.key.as_deref())
        && repeated(core, turn, call, &watcher, (user, key), &wanted)
    {
        return;
    }
    if watcher.token.is_some() {
        watcher = match asker::identify(core, turn, who, user.as_ref(), false) {
            Ok(watcher) => watcher,
            Err(refusal) => return super::problem(core, call, &refusal),
        };
    }
    let user = user.filter(|user| core.may(user, &watcher, turn, Right::See));
    let Some(user) = user else {
        return super::answered(core, call, Answer::Refused(Problem::NotFound));
    };
    let right = match wanted.right.parse() {
        Ok(Right::See) => return super::problem(core, call, &Refusal::Forbidden),
        Ok(right) => right,
        Err(_) => {
            let text = "There is no such command.".to_owned();
            return super::answered(core, call, Answer::Refused(Problem::Invalid(text)));
        }
    };
    // Before what was filled in is looked at: of a right that is not given nothing is said.
    let module = None;
    if let Err(refusal) = offer::permit(core, turn, &user, &watcher, right, module) {
        return super::problem(core, call, &refusal);
    }
    let known = core.state.user(&user);
    if !known.is_some_and(|known| offer::works((&user, known), &watcher, turn.now, right)) {
        return super::problem(core, call, &Refusal::Forbidden);
    }
    let asked = asked_by(&watcher, call);
    match Request::read(core, turn, &user, &asked, right, &filled_in(&wanted)) {
        Err(refusal) => super::problem(core, call, &refusal),
        Ok(request) => {
            let asker = Asker::Web {
                call: Some(call),
                asked: digest(&wanted),
                wait_s: wanted.wait_s,
            };
            execution::request(core, turn, request, asker);
        }
    }
}

/// Whether a caller's name means a command that there is; it is answered then.
fn repeated(
    core: &mut Component,
    turn: &Turn,
    call: u64,
    watcher: &Watcher,
    (user, key): (&Bare, &str),
    wanted: &Wanted,
) -> bool {
    let Some((id, known)) = core.jobs.named(user, &watcher.bare, key) else {
        return false;
    };
    if !core.may(user, watcher, turn, Right::See) {
        return false;
    }
    let is_same = known.right.as_str() == wanted.right
        && known.asked.is_none_or(|asked| asked == digest(wanted));
    let answer = match is_same {
        true => told(core, turn, (id, known), watcher),
        false => {
            let text = "This Idempotency-Key was used for another command.".to_owned();
            Answer::Refused(Problem::Conflict(text))
        }
    };
    super::answered(core, call, answer);
    true
}

fn digest(wanted: &Wanted) -> [u8; 32] {
    let mut fields: Vec<_> = wanted.fields.iter().collect();
    fields.sort_unstable();
    let mut hash = Sha256::new().chain_update(&wanted.right);
    for (var, value) in fields {
        for text in [var, value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    hash.finalize().into()
}

fn filled_in(wanted: &Wanted) -> DataForm {
    let named = wanted.key.iter().map(|key| ("request-id", key));
    let fields = wanted
        .fields
        .iter()
        .map(|(var, value)| (var.as_str(), value));
    let fields = fields.filter(|(var, _)| !matches!(*var, "request-id" | "FORM_TYPE"));
    let field =
        |(var, value): (&str, &String)| Field::new(var, FieldType::TextMulti).with_value(value);
    let fields = fields.chain(named).map(field).collect();
    DataForm::new(DataFormType::Submit, form::CMD, fields)
}

/// A command has been let in: it can be asked for from here on.
pub(in super::super) fn admitted(
    core: &mut Component,
    turn: &Turn,
    id: &str,
    request: &Request,
    asked: [u8; 32],
) {
    let known = Known {
        user: request.user.clone(),
        watcher: request.asker(),
        right: request.right,
        key: request.request_id.clone(),
        asked: Some(asked),
        state: JobState::Open,
        text: None,
    };
    core.jobs.put(id.to_owned(), known, turn.now.wall);
}

/// A command was not accepted.
pub(in super::super) fn refused(
    core: &mut Component,
    id: Option<&str>,
    call: Option<u64>,
    refusal: &Refusal,
) {
    if let Some(id) = id {
        core.jobs.forget(id);
        super::tell(core, News::Ended(id.to_owned()));
    }
    let Some(call) = call else { return };
    let problem = match refusal {
        Refusal::BadPayload(text) if text.contains("request-id names") => {
            let text =
                "This Idempotency-Key was used before, and what came of it is not known any more.";
            Problem::Conflict(text.to_owned())
        }
        refusal => refusal.into(),
    };
    super::answered(core, call, Answer::Refused(problem));
}

/// The caller cannot wait any longer.
pub(in super::super) fn answer_late(core: &mut Component, turn: &Turn, id: &str) {
    let Some(running) = core.running.get_mut(id) else {
        return;
    };
    let Asker::Web { call, .. } = &mut running.asker else {
        return;
    };
    if let (Some(call), Some(known)) = (call.take(), core.jobs.get(id)) {
        let answer = told(core, turn, (id, known), &known.watcher);
        super::answered(core, call, answer);
    }
}

/// A command has ended.
pub(in super::super) fn concluded(
    core: &mut Component,
    turn: &Turn,
    (id, call): (&str, Option<u64>),
    state: ExecutionState,
    text: Option<String>,
) {
    core.jobs.end(id, state, text);
    super::tell(core, News::Ended(id.to_owned()));
    if let (Some(call), Some(known)) = (call, core.jobs.get(id)) {
        let answer = told(core, turn, (id, known), &known.watcher);
        super::answered(core, call, answer);
    }
}

/// Redeems a token for whoever shows it over the web.
pub(super) fn redeem(core: &mut Component, turn: &mut Turn, call: u64, who: &Who, typed: &str) {
    let user = named(core, typed);
    match asker::identify(core, turn, who, user.as_ref(), false) {
        Err(refusal) => super::problem(core, call, &refusal),
        Ok(watcher) => match user.filter(|_| watcher.token.is_some()) {
            Some(user) => {
                let (asked, news) = (asked_by(&watcher, call), None);
                token::submit(core, turn, &user, token::Step::Redeem { asked, news });
            }
            None => super::answered(core, call, Answer::Refused(Problem::NotFound)),
        },
    }
}

/// The answer to a redemption.
pub(in super::super) fn redeemed(
    core: &mut Component,
    asked: &Asked,
    answer: Result<Option<Element>, Refusal>,
) {
    let Some(call) = asked.id.as_deref().and_then(|id| id.parse().ok()) else {
        return;
    };
    match answer {
        Ok(grant) => {
            let until = grant.and_then(|grant| {
                let until = grant.attr(xml_ncname!("expires"));
                until.map(ToOwned::to_owned)
            });
            super::answered(core, call, Answer::Redeemed(until.unwrap_or_default()));
        }
        Err(refusal) => super::problem(core, call, &refusal),
    }
}
