//! The user's own commands on the component domain: forms in, settings out. protocol.md §9.5, §9.7.

mod grant;
mod overview;
mod status;
mod visibility;

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::DataForm;

use super::authorization::Right;
use super::clock::Wall;
use super::command;
use super::form::{self, Fields};
use super::reply::Refusal;
use super::setting::{Reply, Setting, What};
use super::{Component, Turn, lane};
use crate::address::Bare;
pub(super) use overview::text as overview;
pub(super) use status::{read_zone, state};
pub(super) use visibility::{fields as visibility_fields, read as read_visibility};

/// One of her own commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Join,
    Status,
    Visibility,
    Grant,
    Revoke,
    Overview,
}

impl Own {
    pub(super) const ALL: [Self; 6] = [
        Self::Join,
        Self::Status,
        Self::Visibility,
        Self::Grant,
        Self::Revoke,
        Self::Overview,
    ];

    /// The node (design.md §4).
    pub(super) fn node(self) -> String {
        let name = match self {
            Self::Status => return form::STATUS.to_owned(),
            Self::Join => "join",
            Self::Visibility => "visibility",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Overview => "overview",
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
            Self::Grant => "Grant rights",
            Self::Revoke => "Revoke rights",
            Self::Overview => "Who may do what",
        }
    }

    /// Joining is for users of our domains, the rest for those who have joined.
    pub(super) fn is_open_to(self, core: &Component, user: &Bare) -> bool {
        match self {
            Self::Join => core.settings.may_join(user),
            _ => core.state.user(user).is_some(),
        }
    }

    pub(super) fn form_type(self) -> &'static str {
        if self == Self::Status {
            form::STATUS
        } else {
            form::CONSENT
        }
    }

    /// The form with what is set now; `None` for a command that needs none.
    pub(super) fn form(self, core: &Component, turn: &Turn, user: &Bare) -> Option<DataForm> {
        let known = core.state.user(user);
        let (instructions, fields) = match self {
            Self::Join | Self::Overview => return None,
            Self::Status => (
                "The text stays after you log out. Times without a zone are those of your time zone.",
                status::fields(
                    known.and_then(|known| known.status.as_ref()),
                    turn.now.wall,
                    core.zone(user),
                ),
            ),
            Self::Visibility => (
                "The operator may allow less.",
                visibility::fields(known?.profile.as_ref()?),
            ),
            Self::Grant => ("They may also see your status.", grant::fields()),
            Self::Revoke => ("It holds at once.", grant::fields_to_revoke(known?)),
        };
        Some(form::form(
            self.form_type(),
            self.title(),
            instructions,
            fields,
        ))
    }

    /// Runs it with what was submitted.
    pub(super) fn run(
        self,
        core: &mut Component,
        turn: &mut Turn,
        user: &Bare,
        fields: &Fields,
        reply: Reply,
    ) {
        let whats = match self {
            Self::Join => Ok(vec![What::Join]),
            Self::Overview => {
                let text = overview::text(core, turn, user);
                return command::acknowledge(core, turn, reply, Ok(text));
            }
            Self::Status => status::read(turn, fields, core.zone(user)).map(|what| vec![what]),
            Self::Visibility => visibility::read(fields).map(|sight| vec![What::Sight(sight)]),
            Self::Grant => grant::read(turn, fields).map(|what| vec![what]),
            Self::Revoke => grant::read_revocations(fields),
        };
        let mut whats = match whats {
            Ok(whats) => whats,
            Err(refusal) => return command::acknowledge(core, turn, reply, Err(refusal)),
        };
        // Of several revocations the last carries the acknowledgement: they are written in order.
        let last = whats.pop();
        for what in whats {
            lane::submit(core, turn, user, lane::Task::Setting(Setting::silent(what)));
        }
        if let Some(what) = last {
            lane::submit(
                core,
                turn,
                user,
                lane::Task::Setting(Setting::new(what, reply)),
            );
        }
    }
}

fn rights_options() -> [(&'static str, &'static str); 7] {
    Right::ALL.map(|right| (right.as_str(), command::title(right)))
}

fn bad(text: &str) -> Refusal {
    Refusal::BadPayload(text.to_owned())
}

fn read_until(turn: &Turn, fields: &Fields) -> Result<Option<Wall>, Refusal> {
    let Some(text) = fields.text("until") else {
        return Ok(None);
    };
    let until = Wall::parse(&text)
        .ok_or_else(|| bad("The field until is not a time such as 2026-12-31T18:00:00Z."))?;
    if until <= turn.now.wall {
        return Err(bad("The time in the field until has passed."));
    }
    Ok(Some(until))
}

fn read_rights(values: &[String]) -> Result<BTreeSet<Right>, Refusal> {
    values
        .iter()
        .map(|name| {
            name.parse::<Right>()
                .map_err(|unknown| Refusal::BadPayload(unknown.to_string()))
        })
        .collect()
}
