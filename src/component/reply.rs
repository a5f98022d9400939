//! Answers: results and errors with addresses swapped and the `id` kept; messages from the component.
//!
//! Nothing else builds an `<error/>`, and an error or a result is never answered (RFC 6120 §8.3.1).

use minidom::Element;
use xmpp_parsers::ns;

use super::authorization::Interface;
use super::limits::DEFERRED_MAX;
use super::watcher::Watcher;
use super::{Component, Effect, partner_of};
use crate::address::{Address, Bare};
use crate::stanza::compose::{Compose, element};
use crate::stanza::{Inbound, Outbound, command};

const NS_STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// The namespace of our own error conditions (protocol.md §7).
const NS_ERRORS: &str = "urn:x-presence-service:errors:0";
/// The namespace of message processing hints (XEP-0334).
pub(super) const NS_HINTS: &str = "urn:xmpp:hints";

/// Why a request is refused, in the words of RFC 6120 §8.3.3 and XEP-0050 §4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not here, not for you, or not known: one answer for all of them.
    ServiceUnavailable,
    /// The stanza is not built as it must be.
    BadRequest,
    /// The watcher may see the user, but not do this.
    Forbidden,
    /// A token that is wrong, or counts no more.
    TokenInvalid,
    /// No such node.
    ItemNotFound,
    /// Too often; try again after so many seconds.
    PolicyViolation(u64),
    /// Full, or the store cannot be written.
    ResourceConstraint,
    /// It takes something away, which holds, but could not be written.
    Unsaved,
    /// The form is wrong; the sentence says how.
    BadPayload(String),
    /// What was typed is no address; the sentence says of what kind.
    JidMalformed(String),
    /// The data of a registration is wrong; the sentence says how.
    NotAcceptable(String),
    /// Nobody may do this here, or nobody of that kind; the sentence says who may.
    NotAllowed(String),
    /// Only who is registered can do this.
    RegistrationRequired,
    /// No such action.
    MalformedAction,
    /// Not in this stage.
    BadAction,
    /// No such session for this requester.
    BadSession,
    /// The session has ended.
    SessionExpired,
    /// Too many sessions.
    TooManySessions,
    /// The stanza is larger than we take (XEP-0478 §4).
    TooLarge,
}

impl Refusal {
    fn write(&self) -> Element {
        let (type_, condition) = match self {
            Self::ServiceUnavailable => ("cancel", "service-unavailable"),
            Self::BadRequest
            | Self::BadPayload(_)
            | Self::MalformedAction
            | Self::BadAction
            | Self::BadSession => ("modify", "bad-request"),
            Self::JidMalformed(_) => ("modify", "jid-malformed"),
            Self::NotAcceptable(_) => ("modify", "not-acceptable"),
            Self::NotAllowed(_) => ("cancel", "not-allowed"),
            Self::RegistrationRequired => ("auth", "registration-required"),
            Self::Forbidden => ("cancel", "forbidden"),
            Self::TokenInvalid => ("auth", "not-authorized"),
            Self::ItemNotFound => ("cancel", "item-not-found"),
            Self::PolicyViolation(_) => ("wait", "policy-violation"),
            Self::ResourceConstraint | Self::Unsaved => ("wait", "resource-constraint"),
            Self::SessionExpired | Self::TooManySessions => ("cancel", "not-allowed"),
            Self::TooLarge => ("modify", "policy-violation"),
        };
        let error = element("error", ns::JABBER_CLIENT, &[("type", type_)]).with(element(
            condition,
            NS_STANZAS,
            &[],
        ));
        let own = |name| Some(element(name, command::NS, &[]));
        let words = |text: &String| {
            let mut words = element("text", NS_STANZAS, &[]);
            words.append_text_node(text.as_str());
            words
        };
        match self {
            Self::BadPayload(text) => error.with(words(text)).with_some(own("bad-payload")),
            Self::JidMalformed(text) | Self::NotAcceptable(text) | Self::NotAllowed(text) => {
                error.with(words(text))
            }
            Self::MalformedAction => error.with_some(own("malformed-action")),
            Self::BadAction => error.with_some(own("bad-action")),
            Self::BadSession => error.with_some(own("bad-sessionid")),
            Self::TokenInvalid => error.with(element("token-invalid", NS_ERRORS, &[])),
            Self::SessionExpired => error.with_some(own("session-expired")),
            Self::PolicyViolation(seconds) => {
                let seconds = seconds.to_string();
                error.with(element("retry-after", NS_ERRORS, &[("seconds", &seconds)]))
            }
            _ => error,
        }
    }

    /// The number that clients from before RFC 3920 know (XEP-0086 §3).
    fn legacy_code(&self) -> &'static str {
        match self {
            Self::BadRequest => "400",
            Self::Forbidden => "403",
            Self::NotAllowed(_) => "405",
            Self::NotAcceptable(_) => "406",
            Self::RegistrationRequired => "407",
            _ => "500",
        }
    }

    /// The sentence for a person in chat.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::ResourceConstraint => {
                "That could not be saved just now; nothing has changed. Please try again.".into()
            }
            Self::Unsaved => {
                "What this takes away is taken away for now, but it could not be saved. Please try again."
                    .into()
            }
            Self::PolicyViolation(seconds) => {
                format!("That is too often; please try again in {seconds} seconds.")
            }
            Self::BadPayload(text) => text.clone(),
            Self::Forbidden => "You may not do that.".into(),
            _ => "That is not possible.".into(),
        }
    }
}

/// Where the answer to an IQ goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Our address as the requester typed it.
    pub(super) from: String,
    /// The requester.
    pub(super) to: Address,
    /// Where the request came in.
    pub(super) interface: Interface,
    pub(super) id: Option<String>,
    /// The public name of the token that came with it, once found right.
    pub(super) token: Option<String>,
}

impl Asked {
    pub(super) fn of(stanza: &Inbound) -> Self {
        Self {
            from: stanza.to_as_typed.clone(),
            to: stanza.from.clone(),
            interface: stanza.interface,
            id: stanza.id.clone(),
            token: None,
        }
    }

    /// The requester as `decide` knows it.
    pub(super) fn watcher(&self) -> Watcher {
        Watcher::new(&self.to, self.interface).with_token(self.token.as_deref())
    }

    fn iq(&self, type_: &str) -> Element {
        // RFC 6120 §8.2.3 rule 3: a request without `id` is answered with an empty one.
        let (to, id) = (self.to.to_string(), self.id.as_deref().unwrap_or_default());
        let head = [
            ("type", type_),
            ("from", self.from.as_str()),
            ("to", to.as_str()),
            ("id", id),
        ];
        element("iq", ns::JABBER_CLIENT, &head)
    }

    /// The result.
    pub(super) fn result(&self, payload: Option<Element>) -> Element {
        self.iq("result").with_some(payload)
    }

    /// The error. The payload is not echoed: it could hold a token (protocol.md §2).
    pub(super) fn error(&self, refusal: &Refusal) -> Element {
        self.iq("error").with(refusal.write())
    }

    /// The same with a number beside the condition, which registration alone still asks for (XEP-0077
    /// §9).
    pub(super) fn legacy_error(&self, refusal: &Refusal) -> Element {
        let error = refusal.write();
        self.iq("error")
            .with(error.attribute("code", Some(refusal.legacy_code())))
    }
}

impl Component {
    /// Sends a stanza. While detached there is nobody to answer, but what is told to a person waits for
    /// the next attach.
    pub(super) fn send(&mut self, stanza: impl Into<Outbound>) {
        let stanza = stanza.into();
        if let Some(name) = partner_of(&self.settings.domain, &stanza) {
            let name = name.to_owned();
            return super::partners::send(self, &name, stanza);
        }
        if self.attached {
            self.effects.push_back(Effect::Send(stanza));
        } else if let Outbound::Tree(stanza) = stanza
            && stanza.name() == "message"
            && self.deferred.len() < DEFERRED_MAX
        {
            self.deferred.push_back(*stanza);
        }
    }

    /// Answers an IQ.
    pub(super) fn answer(&mut self, asked: &Asked, answer: Result<Option<Element>, Refusal>) {
        if asked.interface == Interface::Http {
            return super::web::redeemed(self, asked, answer); // Nothing else asks so.
        }
        let stanza = match answer {
            Ok(payload) => asked.result(payload),
            Err(refusal) => asked.error(&refusal),
        };
        self.send(stanza);
    }

    /// A message from the bare component domain.
    pub(super) fn message(&self, to: &Address, type_: &str, id: &str, body: &str) -> Element {
        let (from, to) = (self.settings.domain.bare().as_str(), to.to_string());
        let head = [
            ("type", type_),
            ("from", from),
            ("to", to.as_str()),
            ("id", id),
        ];
        element("message", ns::JABBER_CLIENT, &head).with_text("body", body)
    }

    /// A bare presence stanza between two bare addresses (RFC 6121 §3: subscription stanzas).
    pub(super) fn presence(from: &Bare, to: &Bare, type_: &str) -> Element {
        let head = [
            ("from", from.as_str()),
            ("to", to.as_str()),
            ("type", type_),
        ];
        element("presence", ns::JABBER_CLIENT, &head)
    }
}

/// An error in answer to a message (RFC 6121 §8.5).
pub(super) fn message_error(stanza: &Inbound, refusal: &Refusal) -> Element {
    error("message", stanza, refusal)
}

/// An error in answer to a presence (RFC 6121 §4.7.1).
pub(super) fn presence_error(stanza: &Inbound, refusal: &Refusal) -> Element {
    error("presence", stanza, refusal)
}

fn error(name: &str, stanza: &Inbound, refusal: &Refusal) -> Element {
    let (from, to) = (stanza.to_as_typed.as_str(), stanza.from.to_string());
    let head = [("type", "error"), ("from", from), ("to", to.as_str())];
    element(name, ns::JABBER_CLIENT, &head)
        .attribute("id", stanza.id.as_deref())
        .with(refusal.write())
}
