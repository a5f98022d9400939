//! One stanza on its way out: a tree, or one of the few that are sent so often that they are data only.

use minidom::Element;
use xmpp_parsers::ns;

use super::compose::{Compose, element};
use super::presented::Presented;
use crate::address::Bare;

/// One stanza on its way out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outbound {
    /// Any stanza.
    Tree(Box<Element>),
    /// The presence of a presentity.
    Presented(Box<Presented>),
    /// The refusal of a probe.
    Refusal(Box<Refusal>),
}

/// `<presence type='unsubscribed'/>` in answer to a probe (RFC 6121 §4.3.2 rule 1): as many may be asked for
/// as answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The presentity, which need not exist.
    pub from: Bare,
    /// The watcher.
    pub to: Bare,
    /// The `id` of the probe.
    pub id: Option<String>,
}

impl From<&Refusal> for Element {
    fn from(refusal: &Refusal) -> Self {
        let head = [
            ("from", refusal.from.as_str()),
            ("to", refusal.to.as_str()),
            ("type", "unsubscribed"),
        ];
        element("presence", ns::JABBER_CLIENT, &head).attribute("id", refusal.id.as_deref())
    }
}

impl From<Refusal> for Outbound {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(Box::new(refusal))
    }
}

impl From<Element> for Outbound {
    fn from(element: Element) -> Self {
        Self::Tree(Box::new(element))
    }
}

impl From<Presented> for Outbound {
    fn from(presented: Presented) -> Self {
        Self::Presented(Box::new(presented))
    }
}

impl From<Outbound> for Element {
    fn from(outbound: Outbound) -> Self {
        match outbound {
            Outbound::Tree(element) => *element,
            Outbound::Presented(presented) => Self::from(&*presented),
            Outbound::Refusal(refusal) => Self::from(&*refusal),
        }
    }
}
