//! A command of the component as the agent reads it, and the refusals it answers. protocol.md §9.3.
//!
//! Pure. It reads and judges form; whether the command is run is decided in [`super::policy`].

use minidom::Element;
use serde::{Deserialize, Serialize};
use xmpp_parsers::data_forms::{DataForm, DataFormType};
use xmpp_parsers::ns;

use super::NS_AGENT;
use super::argument::{PREFIX, VALUE_CHARS_MAX};
use crate::address::Bare;
use crate::component::authorization::Right;
use crate::component::clock::Wall;
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

/// Fields of one form: the component sends eight, and those of the command; a module has 16 arguments.
pub(super) const FIELDS_MAX: usize = 32;
/// Bytes of a request's name: they are kept for ten minutes, and a UUID has 36.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;

/// What the agent reads, besides `arg-…`; any other field is ignored (XEP-0004 §3.1).
const KNOWN: [&str; 14] = [
    "FORM_TYPE",
    "request-id",
    "requester",
    "level",
    "interface",
    "confirm",
    "issued",
    "expires",
    "url",
    "reason",
    "text",
    "module",
    "right",
    "state",
];

/// How a watcher says that its request has ended.
pub(super) const STATES: [&str; 3] = ["completed", "refused", "failed"];
/// The levels of requesters.
pub(super) const LEVELS: [&str; 4] = ["public", "known", "authorized", "trusted"];
/// The ways on which a request comes to the component.
pub(super) const INTERFACES: [&str; 3] = ["public", "dedicated", "http"];

/// The commands, each a node (docs/design/0007-agent.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Open a web page.
    OpenUrl,
    /// Show a notification.
    Notify,
    /// Start a module.
    StartModule,
    /// Start or raise the chat client.
    ActivateClient,
    /// Take what a watcher reports for its own request.
    Outcome,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::OpenUrl,
        Self::Notify,
        Self::StartModule,
        Self::ActivateClient,
        Self::Outcome,
    ];

    /// The name behind the `#` of its node.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenUrl => "open-url",
            Self::Notify => "notify",
            Self::StartModule => "start-module",
            Self::ActivateClient => "activate-client",
            Self::Outcome => "outcome",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == name)
    }

    /// The node of the command.
    #[must_use]
    pub fn node(self) -> String {
        format!("{NS_AGENT}#{}", self.as_str())
    }

    /// The task of a node.
    pub(super) fn of_node(node: &str) -> Option<Self> {
        Self::named(node.strip_prefix(NS_AGENT)?.strip_prefix('#')?)
    }

    /// The right that it carries out; a report of another is none.
    #[must_use]
    pub fn right(self) -> Option<Right> {
        match self {
            Self::OpenUrl => Some(Right::OpenUrl),
            Self::Notify => Some(Right::Notify),
            Self::StartModule => Some(Right::StartModule),
            Self::ActivateClient => Some(Right::ActivateClient),
            Self::Outcome => None,
        }
    }
}

/// What is to be done, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `open-url`.
    OpenUrl {
        /// The address.
        url: String,
        /// Why, in the requester's words; untrusted.
        reason: Option<String>,
    },
    /// `notify`.
    Notify {
        /// The words; untrusted.
        text: String,
    },
    /// `start-module`.
    StartModule {
        /// Its name.
        module: String,
        /// Names without `arg-`, and values.
        arguments: Vec<(String, String)>,
    },
    /// `activate-client`.
    ActivateClient,
    /// `outcome`.
    Outcome {
        /// The right that was asked for.
        right: Right,
        /// How it ended, in a word of the component.
        state: String,
        /// The watcher's own words; untrusted.
        text: String,
    },
}

impl Wish {
    /// Which command it is.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::OpenUrl { .. } => Task::OpenUrl,
            Self::Notify { .. } => Task::Notify,
            Self::StartModule { .. } => Task::StartModule,
            Self::ActivateClient => Task::ActivateClient,
            Self::Outcome { .. } => Task::Outcome,
        }
    }
}

/// Why an IQ is answered with an error (RFC 6120 §8.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    condition: &'static str,
    /// The condition of XEP-0050 §4.4 that says more.
    specific: Option<&'static str>,
    text: String,
}

impl Refusal {
    pub(super) fn new(condition: &'static str, text: impl Into<String>) -> Self {
        Self {
            condition,
            specific: None,
            text: text.into(),
        }
    }

    /// A `bad-request` of XEP-0050, with its own condition.
    pub(super) fn command(specific: &'static str, text: impl Into<String>) -> Self {
        Self {
            condition: "bad-request",
            specific: Some(specific),
            text: text.into(),
        }
    }

    fn payload(text: impl Into<String>) -> Self {
        Self::command("bad-payload", text)
    }

    /// What is wrong, for a person.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The `<error/>`. Its type says what the sender can do: try later, change it, or give up.
    pub(super) fn write(&self) -> Element {
        let kind = match self.condition {
            "resource-constraint" => "wait",
            "bad-request" | "not-acceptable" => "modify",
            _ => "cancel",
        };
        let condition = |name, namespace| element(name, namespace, &[]);
        let mut text = condition("text", ns::XMPP_STANZAS);
        text.append_text_node(self.text.as_str());
        element("error", ns::JABBER_CLIENT, &[("type", kind)])
            .with(condition(self.condition, ns::XMPP_STANZAS))
            .with(text)
            .with_some(self.specific.map(|name| condition(name, NS_COMMANDS)))
    }
}

/// What the component asks for, read but not yet allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The request's name, chosen by the requester.
    pub request_id: String,
    /// Who wants it.
    pub requester: Bare,
    /// How well it is known: `public`, `known`, `authorized` or `trusted`.
    pub level: String,
    /// How it came: `public`, `dedicated` or `http`.
    pub interface: String,
    /// Whether the person must be asked.
    pub confirm: bool,
    /// When it is too late.
    pub expires: Wall,
    /// What.
    pub wish: Wish,
}

impl Request {
    /// Reads the submitted form of a command.
    pub(super) fn read(task: Task, form: Option<&DataForm>) -> Result<Self, Refusal> {
        let form = form.ok_or_else(|| Refusal::payload("the form is missing"))?;
        if form.type_ != DataFormType::Submit {
            return Err(Refusal::payload("the form is not a submitted one"));
        }
        let fields = Fields::read(form)?;
        if fields.get("FORM_TYPE") != Some(NS_AGENT) {
            return Err(Refusal::payload(format!("FORM_TYPE is not {NS_AGENT}")));
        }
        let request_id = fields.required("request-id")?.to_owned();
        if request_id.len() > REQUEST_ID_BYTES_MAX {
            return Err(Refusal::payload("request-id is too long"));
        }
        let requester = Bare::parse(fields.required("requester")?)
            .map_err(|_| Refusal::payload("requester is not a JID without a resource"))?;
        fields.time("issued")?;
        Ok(Self {
            request_id,
            requester,
            level: fields.one_of("level", &LEVELS)?,
            interface: fields.one_of("interface", &INTERFACES)?,
            confirm: match fields.get("confirm") {
                // Not said is not "no": the milder reading would run it without asking.
                None | Some("1" | "true") => true,
                Some("0" | "false") => false,
                Some(_) => return Err(Refusal::payload("confirm is neither 1 nor 0")),
            },
            expires: fields
                .time("expires")?
                .ok_or_else(|| Refusal::payload("expires is missing"))?,
            wish: fields.wish(task)?,
        })
    }
}

/// The fields that are read, each once; empty ones count as missing, except arguments.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn read(form: &'a DataForm) -> Result<Self, Refusal> {
        if form.fields.len() > FIELDS_MAX {
            return Err(Refusal::payload("the form has too many fields"));
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut values = Vec::new();
        for field in &form.fields {
            let name = field.var.as_deref().unwrap_or_default();
            let argument = name.starts_with(PREFIX);
            if !argument && !KNOWN.contains(&name) {
                continue;
            }
            if seen.contains(&name) || field.values.len() > 1 {
                return Err(Refusal::payload(format!("{name} stands twice")));
            }
            seen.push(name);
            let Some(value) = field.values.first() else {
                continue;
            };
            if value.chars().count() > VALUE_CHARS_MAX {
                return Err(Refusal::payload(format!("{name} is too long")));
            }
            if argument || !value.is_empty() {
                values.push((name, value.as_str()));
            }
        }
        Ok(Self(values))
    }

    fn wish(&self, task: Task) -> Result<Wish, Refusal> {
        Ok(match task {
            Task::OpenUrl => Wish::OpenUrl {
                url: self.required("url")?.to_owned(),
                reason: self.get("reason").map(ToOwned::to_owned),
            },
            Task::Notify => Wish::Notify {
                text: self.required("text")?.to_owned(),
            },
            Task::StartModule => Wish::StartModule {
                module: self.required("module")?.to_owned(),
                arguments: self
                    .0
                    .iter()
                    .filter_map(|(name, value)| {
                        Some((name.strip_prefix(PREFIX)?.to_owned(), (*value).to_owned()))
                    })
                    .collect(),
            },
            Task::ActivateClient => Wish::ActivateClient,
            Task::Outcome => Wish::Outcome {
                right: self
                    .required("right")?
                    .parse()
                    .map_err(|_| Refusal::payload("right is not a right"))?,
                state: self.one_of("state", &STATES)?,
                text: self.get("text").unwrap_or_default().to_owned(),
            },
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::payload(format!("{name} is missing")))
    }

    fn one_of(&self, name: &str, words: &[&str]) -> Result<String, Refusal> {
        let value = self.required(name)?;
        let known = words.iter().find(|word| **word == value);
        known
            .map(|word| (*word).to_owned())
            .ok_or_else(|| Refusal::payload(format!("{name} is not one of {}", words.join(", "))))
    }

    fn time(&self, name: &str) -> Result<Option<Wall>, Refusal> {
        let read = |text: &str| {
            Wall::parse(text).ok_or_else(|| Refusal::payload(format!("{name} is not a time")))
        };
        self.get(name).map(read).transpose()
    }
}
