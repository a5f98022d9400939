//! The user's own commands on the component domain: forms in, settings out. protocol.md §9.5, §9.7.

use std::collections::BTreeSet;

use xmpp_parsers::data_forms::{DataForm, FieldType};

use super::authorization::{Confirm, Right, Visibility};
use super::clock::Wall;
use super::command;
use super::form::{self, Fields, choice, field, required};
use super::record::{Scope, ShownState, Status, SubscriptionState};
use super::reply::Refusal;
use super::setting::{Reply, Setting, What, list, meaning};
use super::{Component, Turn, face, lane};
use crate::address::{Address, Bare};

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
    pub(super) fn form(self, core: &Component, user: &Bare) -> Option<DataForm> {
        let known = core.state.user(user);
        let (instructions, fields) = match self {
            Self::Join | Self::Overview => return None,
            Self::Status => {
                let status = known.and_then(|known| known.status.as_ref());
                ("The text stays after you log out.", status_fields(status))
            }
            Self::Visibility => {
                let profile = known.and_then(|known| known.profile.as_ref())?;
                let visibilities = [
                    Visibility::Private,
                    Visibility::Subscribers,
                    Visibility::Public,
                ];
                let options = visibilities.map(|one| (one.as_str(), meaning(one)));
                let all: BTreeSet<_> = Right::ALL.into_iter().collect();
                let open = profile.public_rights.as_ref().unwrap_or(&all);
                let open: Vec<_> = open.iter().map(|right| right.as_str()).collect();
                let shown = if profile.show_when_offline { "1" } else { "0" };
                let fields = vec![
                    choice(
                        "visibility",
                        FieldType::ListSingle,
                        "Who sees my status",
                        &options,
                        &[profile.visibility.as_str()],
                    ),
                    field(
                        "show-when-offline",
                        FieldType::Boolean,
                        "Show my status text while I am offline",
                        Some(shown),
                    ),
                    choice(
                        "public-rights",
                        FieldType::ListMulti,
                        "What everyone may do",
                        &rights_options(),
                        &open,
                    ),
                ];
                ("The operator may allow less.", fields)
            }
            Self::Grant => {
                let confirm = [
                    ("always", "each time"),
                    ("first", "the first time"),
                    ("never", "never"),
                ];
                let fields = vec![
                    required(
                        "who",
                        FieldType::JidSingle,
                        "Address, or a domain for all its users",
                    ),
                    choice(
                        "rights",
                        FieldType::ListMulti,
                        "What they may do",
                        &rights_options(),
                        &["see"],
                    ),
                    choice(
                        "confirm",
                        FieldType::ListSingle,
                        "Ask me",
                        &confirm,
                        &["never"],
                    ),
                    field(
                        "until",
                        FieldType::TextSingle,
                        "Until (as 2026-12-31T18:00:00Z)",
                        None,
                    ),
                ];
                ("They may also see your status.", fields)
            }
            Self::Revoke => {
                let granted: Vec<_> = known?
                    .grants
                    .keys()
                    .map(|jid| (jid.as_str(), jid.as_str()))
                    .collect();
                let who = choice("who", FieldType::ListMulti, "Whose rights", &granted, &[]);
                ("It holds at once.", vec![who])
            }
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
                let text = overview(core, turn, user);
                return command::acknowledge(core, turn, reply, Ok(text));
            }
            Self::Status => read_status(turn, fields).map(|what| vec![what]),
            Self::Visibility => read_visibility(fields).map(|what| vec![what]),
            Self::Grant => read_grant(turn, fields).map(|what| vec![what]),
            Self::Revoke => read_revoke(fields),
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

const STATES: [ShownState; 6] = [
    ShownState::Online,
    ShownState::Chat,
    ShownState::Away,
    ShownState::Xa,
    ShownState::Dnd,
    ShownState::Invisible,
];

fn status_fields(status: Option<&Status>) -> Vec<xmpp_parsers::data_forms::Field> {
    let until = status
        .and_then(|status| status.until)
        .map(|until| until.to_string());
    let state = status
        .and_then(|status| status.state)
        .map_or("keep", face::state_word);
    let scope = match status.map(|status| status.scope) {
        Some(Scope::Offline) => "offline",
        _ => "always",
    };
    let states = [
        ("keep", "as my clients say"),
        ("online", "available"),
        ("chat", "free for chat"),
        ("away", "away"),
        ("xa", "extended away"),
        ("dnd", "do not disturb"),
        ("invisible", "invisible"),
    ];
    let scopes = [("always", "always"), ("offline", "while I am offline")];
    let text = status.map(|status| status.text.as_str());
    let mut message = field("status-message", FieldType::TextMulti, "Text", None);
    message.values = text
        .into_iter()
        .flat_map(str::lines)
        .map(ToOwned::to_owned)
        .collect();
    vec![
        message,
        choice("status", FieldType::ListSingle, "State", &states, &[state]),
        choice("scope", FieldType::ListSingle, "Shown", &scopes, &[scope]),
        field(
            "until",
            FieldType::TextSingle,
            "Until (as 2026-12-31T18:00:00Z)",
            until.as_deref(),
        ),
        field("clear", FieldType::Boolean, "Clear it", Some("0")),
    ]
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

fn read_status(turn: &Turn, fields: &Fields) -> Result<What, Refusal> {
    if fields.boolean("clear")? == Some(true) {
        return Ok(What::ClearStatus);
    }
    let state = match fields.text("status").as_deref() {
        None | Some("keep") => None,
        Some(word) => Some(
            STATES
                .into_iter()
                .find(|state| face::state_word(*state) == word)
                .ok_or_else(|| bad("The field status is not one of the offered states."))?,
        ),
    };
    let scope = match fields.text("scope").as_deref() {
        None | Some("always") => Scope::Always,
        Some("offline") => Scope::Offline,
        Some(_) => return Err(bad("The field scope is neither always nor offline.")),
    };
    let text = fields.text("status-message").unwrap_or_default();
    if text.is_empty() && state.is_none() {
        return Err(bad(
            "A status needs a text or a state; to remove it, set clear.",
        ));
    }
    let until = read_until(turn, fields)?;
    Ok(What::Status(Status {
        text,
        state,
        scope,
        set: turn.now.wall,
        until,
        author: None,
    }))
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

fn read_visibility(fields: &Fields) -> Result<What, Refusal> {
    let visibility = match fields.text("visibility") {
        None => None,
        Some(word) => Some(
            Visibility::parse(&word)
                .ok_or_else(|| bad("The visibility is private, subscribers or public."))?,
        ),
    };
    Ok(What::Visibility {
        visibility,
        show_when_offline: fields.boolean("show-when-offline")?,
        public_rights: fields.all("public-rights").map(read_rights).transpose()?,
    })
}

fn read_grant(turn: &Turn, fields: &Fields) -> Result<What, Refusal> {
    let watcher = Address::parse(&fields.required("who")?)
        .map_err(|_| bad("The field who is not an address."))?
        .bare;
    let rights = read_rights(fields.all("rights").unwrap_or_default())?;
    let confirm = match fields.text("confirm").as_deref() {
        None | Some("never") => Confirm::Never,
        Some("first") => Confirm::First,
        Some("always") => Confirm::Always,
        Some(_) => return Err(bad("The field confirm is always, first or never.")),
    };
    Ok(What::Grant {
        watcher,
        rights,
        confirm,
        until: read_until(turn, fields)?,
    })
}

fn read_revoke(fields: &Fields) -> Result<Vec<What>, Refusal> {
    let who = fields.all("who").unwrap_or_default();
    if who.is_empty() {
        return Err(bad("The field who is missing."));
    }
    who.iter()
        .map(|jid| {
            Address::parse(jid)
                .map(|who| What::Revoke(who.bare))
                .map_err(|_| bad("The field who is not an address."))
        })
        .collect()
}

/// Who may do what, in a person's words.
pub(super) fn overview(core: &Component, turn: &Turn, user: &Bare) -> String {
    let Some(known) = core.state.user(user) else {
        return "You have not joined.".into();
    };
    let visibility = known.profile.as_ref().map(|profile| profile.visibility);
    let mut lines = Vec::new();
    if let Some(visibility) = visibility {
        lines.push(format!(
            "Visibility {}: {}.",
            visibility.as_str(),
            meaning(visibility)
        ));
    }
    match face::in_force(known.status.as_ref(), known.live.best().is_some(), turn.now) {
        Some(status) if !status.text.is_empty() => {
            lines.push(format!("Status: “{}”.", status.text))
        }
        _ => lines.push("No custom status.".into()),
    }
    for (watcher, grant) in known.grants.iter().take(OVERVIEW_MAX) {
        let until = grant
            .until
            .map(|until| format!(", until {until}"))
            .unwrap_or_default();
        lines.push(format!("{watcher} may: {}{until}.", list(&grant.rights)));
    }
    for party in &core.settings.parties {
        lines.push(format!(
            "Party {} (by the operator) may: {}.",
            party.name,
            list(&party.rights)
        ));
    }
    let subscribed = |state| {
        let of_state = known
            .subscriptions
            .iter()
            .filter(move |(_, one)| one.state == state);
        of_state
            .map(|(jid, _)| jid.as_str())
            .take(OVERVIEW_MAX)
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (state, words) in [
        (SubscriptionState::Approved, "Get your presence"),
        (
            SubscriptionState::Preapproved,
            "Get your presence when they ask",
        ),
        (
            SubscriptionState::Pending,
            "Wait for your word (approve or deny)",
        ),
    ] {
        let who = subscribed(state);
        if !who.is_empty() {
            lines.push(format!("{words}: {who}."));
        }
    }
    if !known.blocks.is_empty() {
        let who: Vec<_> = known
            .blocks
            .keys()
            .take(OVERVIEW_MAX)
            .map(Bare::as_str)
            .collect();
        lines.push(format!("Blocked: {}.", who.join(", ")));
    }
    for ((at, _), audit) in known.history.iter().rev().take(HISTORY_SHOWN) {
        let (who, what, how) = (&audit.watcher, audit.right, audit.state.as_str());
        lines.push(format!("{at} {who} {what} {how}"));
    }
    lines.join("\n")
}

/// Addresses that a list names at most; the message must stay below 10,000 bytes.
const OVERVIEW_MAX: usize = 30;
/// Lines of history that the overview shows.
const HISTORY_SHOWN: usize = 5;
