//! The user's own commands on the component domain: forms in, settings out. protocol.md §9.5, §9.7.

mod block;
mod erase;
mod grant;
mod history;
mod modules;
mod overview;
mod pending;
mod requests;
mod status;
mod tell;
mod token;
mod visibility;

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::{DataForm, Field, FieldType};

use super::authorization::Right;
use super::command;
use super::decision;
use super::form::{self, Fields};
use super::limits::FORM_BYTES_MAX;
use super::reply::Refusal;
use super::setting::{Reply, Setting, What};
use super::table::Page;
use super::token::step::{self, Step};
use super::{Component, Turn, export, lane};
use crate::address::Bare;
use crate::stanza::size::value_bytes;
pub(super) use grant::{all_is_none, read_max};
pub(super) use history::{LINES as HISTORY_LINES, line as history_line, text as history};
pub(super) use modules::{
    Choice, line as modules_line, plan as plan_modules, read_line as read_modules,
};
pub(super) use overview::text as overview;
pub(super) use status::{read_zone, state};
pub(super) use token::{
    by_chat as token_by_chat, made as token_made, named as tokens_named, text as tokens,
};
pub(super) use visibility::{fields as visibility_fields, read as read_visibility};

/// One of her own commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Join,
    Status,
    Visibility,
    /// How she is told of what others do.
    Tell,
    Grant,
    Revoke,
    Modules,
    TokenNew,
    TokenRevoke,
    Pending,
    /// Her answers to questions about commands.
    Requests,
    Block,
    Overview,
    /// What watchers did.
    History,
    /// All that is stored of her.
    Export,
    /// No longer to be served, and nothing to be kept.
    Leave,
    /// The same, said twice.
    Erase,
    /// All that is stored of everybody, for the operator.
    ExportStore,
}

impl Own {
    pub(super) const ALL: [Self; 18] = [
        Self::Join,
        Self::Status,
        Self::Visibility,
        Self::Tell,
        Self::Grant,
        Self::Revoke,
        Self::Modules,
        Self::TokenNew,
        Self::TokenRevoke,
        Self::Pending,
        Self::Requests,
        Self::Block,
        Self::Overview,
        Self::History,
        Self::Export,
        Self::Leave,
        Self::Erase,
        Self::ExportStore,
    ];

    /// The node (design.md §4).
    pub(super) fn node(self) -> String {
        let name = match self {
            Self::Status => return form::STATUS.to_owned(),
            Self::Join => "join",
            Self::Visibility => "visibility",
            Self::Tell => "relay",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Modules => "modules",
            Self::TokenNew => "token-new",
            Self::TokenRevoke => "token-revoke",
            Self::Pending => "pending",
            Self::Requests => "requests",
            Self::Block => "block",
            Self::Overview => "overview",
            Self::Export => "export",
            Self::Leave => "leave",
            Self::History => "history",
            Self::Erase => "erase",
            Self::ExportStore => return format!("{}#export", form::ADMIN),
        };
        format!("{}#{name}", form::CONSENT)
    }

    pub(super) fn of_node(node: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.node() == node)
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Join => "Join",
            Self::Status => "Set my status",
            Self::Visibility => "Who sees my status",
            Self::Tell => "What I am told of",
            Self::Grant => "Grant rights",
            Self::Revoke => "Revoke rights",
            Self::Modules => "Programs they may start",
            Self::TokenNew => "Make a token",
            Self::TokenRevoke => "Take tokens back",
            Self::Pending => "Who asks to see me",
            Self::Requests => "Questions that wait for me",
            Self::Block => "Block and unblock",
            Self::Overview => "Who may do what",
            Self::Export => "What is stored of me",
            Self::History => "What was done",
            Self::Leave => "Leave and erase everything",
            Self::Erase => "Erase everything, asked twice",
            Self::ExportStore => "Export everything (operator)",
        }
    }

    /// Joining is for users of our domains, what is about the store for the operator, the rest for those
    /// who have joined; who is not served now still gets at what is stored.
    pub(super) fn is_open_to(self, core: &Component, user: &Bare) -> bool {
        match self {
            Self::Join => core.settings.may_join(user),
            Self::ExportStore => core.settings.admins.contains(user),
            Self::Export | Self::Leave | Self::Erase => core.state.stored(user).is_some(),
            _ => core.state.user(user).is_some(),
        }
    }

    pub(super) fn form_type(self) -> &'static str {
        match self {
            Self::Status => form::STATUS,
            Self::ExportStore => form::ADMIN,
            _ => form::CONSENT,
        }
    }

    /// The form with what is set now; `None` for a command that needs none.
    pub(super) fn form(self, core: &Component, turn: &Turn, user: &Bare) -> Option<DataForm> {
        let known = core.state.user(user);
        let (instructions, fields) = match self {
            Self::Join | Self::Overview | Self::History | Self::Export | Self::ExportStore => {
                return None;
            }
            // Some clients run a command at a click.
            Self::Leave => ("It cannot be undone.", erase::fields()),
            Self::Erase => (ERASE, erase::fields()),
            Self::Status => (
                "The text stays after you log out. Times without a zone are those of your time zone.",
                status::fields(
                    known.and_then(|known| known.status()).as_ref(),
                    turn.now.wall,
                    core.zone(user),
                ),
            ),
            Self::Visibility => (
                "The operator may allow less.",
                visibility::fields(&known?.profile()?),
            ),
            Self::Tell => (TELL, tell::fields(&known?.profile()?)),
            Self::Grant => (GRANT, grant::fields(core.zone(user))),
            Self::Revoke => ("It holds at once.", grant::fields_to_revoke(core, known?)),
            Self::Modules => return modules::form(core, turn, user),
            Self::TokenNew => (
                "Whoever shows the token has these rights. You see it once.",
                token::fields(),
            ),
            Self::TokenRevoke => (
                "It holds at once, also for what was redeemed with them.",
                token::fields_to_revoke(known?, turn.now.wall, core.zone(user)),
            ),
            Self::Pending => (PENDING, pending::fields(known?, 0)?),
            Self::Requests => ("No answer is a no.", requests::fields(core, turn, user)?),
            Self::Block => (
                "Who is blocked gets the answer of an unknown user.",
                block::fields(known?),
            ),
        };
        Some(self.filled(instructions, fields))
    }

    fn filled(self, instructions: &str, fields: Vec<Field>) -> DataForm {
        form::form(self.form_type(), self.title(), instructions, fields)
    }

    /// The form that follows in the same session, where what was submitted asks for another page.
    pub(super) fn next_page(
        self,
        core: &Component,
        turn: &Turn,
        user: &Bare,
        fields: &Fields,
    ) -> Option<DataForm> {
        if self == Self::Erase {
            return Some(self.filled(ERASE, erase::second(fields)?));
        }
        if self == Self::Modules {
            return modules::next_page(core, turn, user, fields);
        }
        let known = core.state.user(user).filter(|_| self == Self::Pending)?;
        Some(self.filled(PENDING, pending::next_page(known, fields)?))
    }

    /// Whether a second form follows the first.
    pub(super) fn has_second_stage(self) -> bool {
        self == Self::Erase
    }

    /// Whether its result is a table that may have pages.
    pub(super) fn has_pages(self) -> bool {
        matches!(self, Self::Overview | Self::History)
    }

    /// What is said beside the table, and the page with a number, where there is anything to show.
    pub(super) fn page(
        self,
        core: &Component,
        turn: &Turn,
        user: &Bare,
        number: usize,
    ) -> (String, Option<Page>) {
        let (note, table) = match self {
            Self::History => (history::note(core, user), history::table(core, user)),
            _ => (
                overview::note(core, turn, user),
                overview::table(core, turn, user),
            ),
        };
        (note, table.and_then(|table| table.page(number)))
    }

    /// Runs it with what was submitted.
    pub(super) fn run(
        self,
        core: &mut Component,
        turn: &mut Turn,
        user: &Bare,
        fields: Fields,
        reply: Reply,
    ) {
        let offered = match self {
            Self::Modules => modules::of_whom(core, turn, user, &fields),
            _ => self.form(core, turn, user),
        };
        let fields = &fields.by_value(offered.as_ref());
        let what = match self {
            Self::Join => Ok(What::Join),
            Self::Overview | Self::History => return, // They are shown page by page.
            // Where there is no form there is nothing to choose.
            Self::Modules if fields.all("who").is_none() => {
                let text = modules::standing(core, turn, user);
                return command::acknowledge(core, turn, reply, Ok(text));
            }
            Self::Modules => modules::read(fields),
            Self::Export => return export::own(core, turn, user, reply),
            Self::ExportStore => return export::of_all(core, turn, reply),
            Self::Requests => return requests::run(core, turn, user, fields, reply),
            Self::Leave => erase::read_tick(fields),
            Self::Erase => erase::read_address(user, fields),
            Self::TokenNew => {
                return match token::read(turn, fields, core.zone(user)) {
                    Ok(wanted) => {
                        let made = None;
                        let step = Step::New {
                            wanted,
                            reply,
                            made,
                        };
                        step::submit(core, turn, user, step);
                    }
                    Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
                };
            }
            Self::TokenRevoke => {
                return match token::read_revocations(fields) {
                    Ok(ids) => step::submit(core, turn, user, Step::revoke(ids, reply)),
                    Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
                };
            }
            Self::Pending | Self::Block => {
                let known = core.state.user(user);
                let read = match (self, known) {
                    (Self::Pending, Some(known)) => pending::read(known, fields),
                    (Self::Block, Some(_)) => block::read(fields),
                    _ => Err(Refusal::Forbidden),
                };
                return match read {
                    Ok(read) if read.is_empty() => {
                        let waits = known.is_some_and(|known| pending::fields(known, 0).is_some());
                        let text = if waits {
                            "Nothing has changed."
                        } else {
                            "Nobody waits for your word."
                        };
                        command::acknowledge(core, turn, reply, Ok(text.to_owned()));
                    }
                    Ok(read) => decision::submit(core, turn, user, read, reply),
                    Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
                };
            }
            Self::Status => status::read(turn, fields, core.zone(user)),
            Self::Visibility => visibility::read(fields).map(What::Sight),
            Self::Tell => tell::read(fields).map(What::Tell),
            Self::Grant => grant::read(core, turn, user, fields),
            Self::Revoke => grant::read_revocations(core, fields),
        };
        match what {
            Ok(what) => {
                let setting = Setting::new(what, reply);
                lane::submit(core, turn, user, lane::Task::Setting(setting));
            }
            Err(refusal) => command::acknowledge(core, turn, reply, Err(refusal)),
        }
    }
}

const ERASE: &str = "It cannot be undone. “export” gives you all of it before.";

const GRANT: &str = "They may also see your status. A grant takes the place of the one before. In quiet hours it gives \
                     nothing but that.";

const TELL: &str = "Messages and links that are left for you always reach you. What those do whom you granted it, and \
                    parties, is told at least in the hourly message. The history has all of it.";

const PENDING: &str = "What they write of themselves is nobody's word but theirs.";

/// A choice among addresses, as many as a form holds; the others can be named in chat.
fn addresses<'a>(var: &str, word: &str, label: &str, who: impl Iterator<Item = &'a Bare>) -> Field {
    let mut options = Vec::new();
    let (mut bytes, mut n_left) = (0, 0);
    for jid in who {
        let shown = jid.shown();
        bytes += OPTION_BYTES + value_bytes(jid.as_str()) + value_bytes(&shown);
        if bytes > FORM_BYTES_MAX {
            n_left += 1;
        } else {
            options.push((jid.as_str(), shown));
        }
    }
    let options: Vec<_> = options
        .iter()
        .map(|(value, label)| (*value, label.as_str()))
        .collect();
    let label = match n_left {
        0 => label.to_owned(),
        n => format!("{label} (and {n} more, by a message as in “{word} bob@example.org”)"),
    };
    form::choice(var, FieldType::ListMulti, &label, &options, &[])
}

/// Bytes of an option beside its value and its label.
const OPTION_BYTES: usize = 50;

fn rights_options() -> [(&'static str, &'static str); 7] {
    Right::ALL.map(|right| (right.as_str(), command::title(right)))
}

fn bad(text: &str) -> Refusal {
    Refusal::BadPayload(text.to_owned())
}

fn read_rights(values: &[String]) -> Result<BTreeSet<Right>, Refusal> {
    values
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            name.parse::<Right>()
                .map_err(|unknown| Refusal::BadPayload(unknown.to_string()))
        })
        .collect()
}
