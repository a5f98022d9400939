//! An administrator deletes a user: all that is stored of her goes, as when she leaves; her watchers see it end,
//! and she is told.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::form::{Fields, field, required};
use super::super::record::Change;
use super::super::reply::Refusal;
use super::super::setting::{self, Reply, Setting, What};
use super::super::{Component, Turn, command, lane};
use crate::address::{Address, Bare};

/// A deletion on its way: what she would do herself by leaving, and who is told that it is done.
#[derive(Clone, Debug)]
pub(in super::super) struct Removal {
    pub(in super::super) leaving: Setting,
    reply: Reply,
}

/// Whom it is about.
pub(super) fn form() -> (&'static str, Vec<Field>) {
    let user = required("user", FieldType::JidSingle, "Her address");
    ("All that is stored of a user is erased.", vec![user])
}

/// The second form, where the address stands in the first and is not typed again yet.
pub(super) fn second_form(core: &Component, fields: &Fields) -> Option<(String, Vec<Field>)> {
    let user = user(core, &fields.text("user")?).ok()?;
    if fields.text("confirm").is_some() {
        return None;
    }
    let shown = user.shown();
    let instructions = format!(
        "This erases all that is stored of {shown}: settings, status, grants, contacts, history. It cannot be \
         undone. Type her address once more."
    );
    let hidden = field("user", FieldType::Hidden, "", Some(user.as_str()));
    let label = format!("The address {shown}");
    Some((
        instructions,
        vec![hidden, required("confirm", FieldType::TextSingle, &label)],
    ))
}

/// What was submitted with both.
pub(super) fn submitted(core: &mut Component, turn: &mut Turn, fields: &Fields, reply: Reply) {
    let read = |core: &Component| {
        let wanted = user(core, &fields.required("user")?)?;
        let typed = fields.required("confirm")?;
        match Address::parse(&typed) {
            Ok(typed) if typed.bare == wanted => Ok(wanted),
            _ => Err(Refusal::BadPayload(
                "What was typed is not her address; nothing is erased.".into(),
            )),
        }
    };
    match read(core) {
        Ok(user) => begin(core, turn, &user, reply),
        Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
    }
}

/// `alice@example.org`, and with the word for it `alice@example.org for good`.
pub(super) fn said(core: &mut Component, turn: &mut Turn, words: &str, reply: Reply) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let (who, confirmed) = match words[..] {
        [who] => (who, false),
        [who, "for", "good"] => (who, true),
        _ => {
            let text = "Whom? As in “admin delete alice@example.org”.".to_owned();
            return command::acknowledge(core, turn, reply, Ok(text));
        }
    };
    match user(core, who) {
        Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
        Ok(user) if confirmed => begin(core, turn, &user, reply),
        Ok(user) => {
            let text = format!(
                "This erases all that is stored of {}: settings, status, grants, contacts, history. It cannot \
                 be undone. If you mean it, send “admin delete {user} for good”.",
                user.shown()
            );
            command::acknowledge(core, turn, reply, Ok(text));
        }
    }
}

fn user(core: &Component, text: &str) -> Result<Bare, Refusal> {
    let none = || Refusal::BadPayload("There is no user with that address.".into());
    let user = Address::parse(text).map_err(|_| none())?.bare;
    let is_one = core.state.stored(&user).is_some();
    is_one.then_some(user).ok_or_else(none)
}

fn begin(core: &mut Component, turn: &mut Turn, user: &Bare, reply: Reply) {
    let removal = Removal {
        leaving: Setting::silent(What::Leave),
        reply,
    };
    lane::submit(core, turn, user, lane::Task::Removal(removal));
}

/// Finds the changes: those of her own leaving.
pub(in super::super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    removal: &mut Removal,
) -> Result<Vec<Change>, Refusal> {
    setting::plan(core, turn, user, &mut removal.leaving)
}

/// Tells the administrator, her watchers, and her.
pub(in super::super) fn done(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    removal: Removal,
    result: Result<(), Refusal>,
) {
    let Removal { leaving, reply } = removal;
    let answer = match &result {
        Ok(()) => {
            super::log(core, &reply, format!("deleted {user}"));
            Ok(format!(
                "All that was stored of {} is erased. Exports that were made before still hold it.",
                user.shown()
            ))
        }
        // She had left when its turn came.
        Err(Refusal::Forbidden) => Err(Refusal::BadPayload(
            "There is no user with that address.".into(),
        )),
        Err(Refusal::ResourceConstraint) => {
            super::log(core, &reply, format!("could not delete {user}"));
            Err(Refusal::Unsaved)
        }
        Err(refusal) => Err(refusal.clone()),
    };
    let erased = result.is_ok();
    command::acknowledge(core, turn, reply, answer);
    setting::done(core, turn, user, leaving, result);
    if erased {
        let id = turn.chance.id();
        let text = format!(
            "The operator of {} has deleted you here: everything that was stored of you is erased, and nobody \
             is told anything about you any more.",
            core.settings.domain.bare()
        );
        let message = core.message(&user.clone().into(), "chat", &id, &text);
        core.send(message);
    }
}
