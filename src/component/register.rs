//! Joining, changing what she has chosen, and leaving by the registration of a client. XEP-0077,
//! XEP-0100 §4.1–§4.3.

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};
use xmpp_parsers::ns;

use super::about::is_bare;
use super::consent::{read_visibility, visibility_fields};
use super::form::{self, Fields};
use super::reply::{Asked, Refusal};
use super::setting::{Reply, Setting, What};
use super::sight::Sight;
use super::{Component, Turn, join, lane};
use crate::address::Bare;
use crate::stanza::compose::{Compose, element};

/// The fields that are offered; the FORM_TYPE is the XSF's, so ours stand in Clark notation (XEP-0068
/// §3.1). The others have forms of their own.
const OFFERED: [&str; 2] = ["visibility", "show-when-offline"];
const OURS: &str = "{urn:x-presence-service:consent:0}";

type Answer = Result<Option<Element>, Refusal>;

/// What is asked for in a set.
enum Request {
    /// To join, or what she has chosen instead of what was; `None`: nothing in particular.
    Register(Option<Sight>),
    /// To leave.
    Remove,
    /// Nothing: the person has thought better of it.
    Cancel,
}

/// What there is to fill in, with what is chosen now.
pub(super) fn get(core: &Component, turn: &Turn, asked: &Asked, payload: &Element) -> Answer {
    is_bare(payload)?;
    let user = &asked.to.bare;
    let known = core.state.user(user);
    may_register(core, user)?;
    let stored = core.state.stored(user).and_then(|one| one.profile());
    let profile = stored.unwrap_or_else(|| join::profile(core, turn.now));
    let instructions = if known.is_some() {
        "You have joined. Change what you like, or unregister to leave: that erases everything."
    } else {
        "Register to tell others whether you are there, and allow the request to see your presence that \
         follows."
    };
    let mut fields = visibility_fields(&profile);
    fields.retain(|field| {
        field
            .var
            .as_deref()
            .is_some_and(|var| OFFERED.contains(&var))
    });
    for field in &mut fields {
        field.var = field.var.take().map(|var| format!("{OURS}{var}"));
    }
    let form = form::form(ns::REGISTER, "Vestibule", instructions, fields);
    let mut words = element("instructions", ns::REGISTER, &[]);
    words.append_text_node(instructions);
    let registered = known.map(|_| element("registered", ns::REGISTER, &[]));
    let query = element("query", ns::REGISTER, &[])
        .with_some(registered)
        .with(words)
        .with(form.into());
    Ok(Some(query))
}

/// Joins, changes or leaves; the answer comes when that is durable.
pub(super) fn set(core: &mut Component, turn: &mut Turn, asked: Asked, payload: &Element) {
    let user = asked.to.bare.clone();
    let what = match read(payload) {
        Ok(Request::Cancel) => return answer(core, &asked, Ok(())),
        Ok(Request::Remove) if core.state.stored(&user).is_some() => Ok(What::Leave),
        Ok(Request::Remove) => Err(Refusal::RegistrationRequired),
        Ok(Request::Register(sight)) => may_register(core, &user).map(|()| What::Register(sight)),
        Err(refusal) => Err(refusal),
    };
    match what {
        Ok(what) => {
            let setting = Setting::new(what, Reply::Registration(asked));
            lane::submit(core, turn, &user, lane::Task::Setting(setting));
        }
        Err(refusal) => answer(core, &asked, Err(refusal)),
    }
}

/// Answers a set.
pub(super) fn answer(core: &mut Component, asked: &Asked, result: Result<(), Refusal>) {
    let stanza = match result {
        Ok(()) => asked.result(None),
        Err(refusal) => refused(asked, refusal),
    };
    core.send(stanza);
}

/// An error as registration has it: a form that is wrong is not acceptable, and clients from before
/// RFC 3920 read a number (XEP-0077 §9, XEP-0086).
pub(super) fn refused(asked: &Asked, refusal: Refusal) -> Element {
    let refusal = match refusal {
        Refusal::BadPayload(text) => Refusal::NotAcceptable(text),
        other => other,
    };
    asked.legacy_error(&refusal)
}

/// Who has joined once may always change it.
fn may_register(core: &Component, user: &Bare) -> Result<(), Refusal> {
    if core.settings.may_join(user) || core.state.user(user).is_some() {
        return Ok(());
    }
    Err(Refusal::NotAllowed(join::for_whom(core)))
}

fn read(payload: &Element) -> Result<Request, Refusal> {
    let (mut form, mut others, mut removes) = (None, 0_usize, false);
    for child in payload.children() {
        if child.is("x", ns::DATA_FORMS) {
            if form.replace(child).is_some() {
                return Err(Refusal::BadRequest);
            }
        } else if child.is("remove", ns::REGISTER) && !removes {
            removes = true;
        } else if child.ns() == ns::REGISTER {
            others += 1; // Fields that we never asked for, as a client without forms may send them.
        } else {
            return Err(Refusal::BadRequest);
        }
    }
    if removes {
        // XEP-0077 §3.2: nothing may stand beside it.
        return if form.is_none() && others == 0 {
            Ok(Request::Remove)
        } else {
            Err(Refusal::BadRequest)
        };
    }
    let Some(form) = form else {
        return Ok(Request::Register(None));
    };
    let unreadable = |_| Refusal::NotAcceptable("The form cannot be read.".into());
    let mut form = DataForm::try_from(form.clone()).map_err(unreadable)?;
    match form.type_ {
        DataFormType::Cancel => return Ok(Request::Cancel),
        DataFormType::Result_ => return Err(Refusal::BadRequest),
        DataFormType::Submit | DataFormType::Form => {} // Some clients send the form itself back.
    }
    for field in &mut form.fields {
        if let Some(name) = field.var.as_deref().and_then(|var| var.strip_prefix(OURS)) {
            field.var = Some(name.to_owned());
        }
    }
    let fields = Fields::read(&form, ns::REGISTER)?;
    Ok(Request::Register(Some(read_visibility(&fields)?)))
}
