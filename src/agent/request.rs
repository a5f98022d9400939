//! A command of the component as the agent reads it, and the refusals it answers. protocol.md §9.3.
//!
//! Pure. It reads and judges form; whether the command is run is decided in [`super::policy`].

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};
use xmpp_parsers::ns;

use super::NS_AGENT;
use crate::address::Bare;
use crate::component::clock::Wall;
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

/// Fields of one form: the component sends ten.
pub(super) const FIELDS_MAX: usize = 32;
/// Bytes of one value: an address may have as many.
pub(super) const VALUE_BYTES_MAX: usize = 2_048;
/// Bytes of a request's name: they are kept for ten minutes, and a UUID has 36.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;

/// What the agent reads; any other field is ignored (XEP-0004 §3.1).
const KNOWN: [&str; 10] = [
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
];

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
    /// The address, as it was sent.
    pub url: String,
    /// Why, in the requester's words; untrusted.
    pub reason: Option<String>,
}

impl Request {
    /// Reads the submitted form.
    pub(super) fn read(form: Option<&DataForm>) -> Result<Self, Refusal> {
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
            level: fields.one_of("level", &["public", "known", "authorized", "trusted"])?,
            interface: fields.one_of("interface", &["public", "dedicated", "http"])?,
            confirm: match fields.get("confirm") {
                // Not said is not "no": the milder reading would open without asking.
                None | Some("1" | "true") => true,
                Some("0" | "false") => false,
                Some(_) => return Err(Refusal::payload("confirm is neither 1 nor 0")),
            },
            expires: fields
                .time("expires")?
                .ok_or_else(|| Refusal::payload("expires is missing"))?,
            url: fields.required("url")?.to_owned(),
            reason: fields.get("reason").map(ToOwned::to_owned),
        })
    }
}

/// The values of the known fields.
struct Fields<'a>([Option<&'a str>; KNOWN.len()]);

impl<'a> Fields<'a> {
    fn read(form: &'a DataForm) -> Result<Self, Refusal> {
        if form.fields.len() > FIELDS_MAX {
            return Err(Refusal::payload("the form has too many fields"));
        }
        let mut seen = [false; KNOWN.len()];
        let mut values = [None; KNOWN.len()];
        for field in &form.fields {
            let position = KNOWN
                .iter()
                .position(|name| field.var.as_deref() == Some(name));
            let Some(position) = position else { continue };
            let name = KNOWN[position];
            if seen[position] || field.values.len() > 1 {
                return Err(Refusal::payload(format!("{name} stands twice")));
            }
            seen[position] = true;
            let value = field.values.first().map(String::as_str);
            if value.is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
                return Err(Refusal::payload(format!("{name} is too long")));
            }
            values[position] = value.filter(|value| !value.is_empty());
        }
        Ok(Self(values))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let position = KNOWN.iter().position(|known| *known == name)?;
        self.0[position]
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
