//! What stands around the component and answers it in the background: the users' server and their
//! clients, as servers.md §3.3 and §5 measured them.
//!
//! Only questions are answered here (probes, IQs of type get). Everything that tells somebody
//! something, and every command, stands in the transcript.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};
use vestibule::component::clock::Wall;

use super::shorthand::DOMAIN;
use super::tree::Tree;

/// The capabilities node of the agents here.
pub(crate) const AGENT_NODE: &str = "https://agent.example";

const CAPS: &str = "http://jabber.org/protocol/caps";
const UNAVAILABLE: &str = "<error type='cancel'>\
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
const AGENT_FEATURES: [&str; 3] = [
    "http://jabber.org/protocol/commands",
    "http://jabber.org/protocol/disco#info",
    "urn:x-presence-service:agent:0",
];
const AGENT_IDENTITY: (&str, &str, &str) = ("client", "bot", "Agent");

/// What answers the component's own probes and discoveries, so that a transcript need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// Nothing: they stand in the transcript.
    None,
    /// A server like Prosody: an offline user's probe is answered `unavailable`.
    Prosody,
    /// A server like ejabberd: an offline user's probe is not answered.
    Ejabberd,
}

impl Surroundings {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "prosody" => Ok(Self::Prosody),
            "ejabberd" => Ok(Self::Ejabberd),
            _ => Err(format!("no surroundings are called {name:?}")),
        }
    }
}

/// The users' server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Surroundings,
    /// Who shares presence with the component.
    subscribed: BTreeSet<String>,
    /// Each resource's last presence, by full JID.
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug)]
struct Resource {
    presence: Tree,
    since: Wall,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            kind: Surroundings::Prosody,
            subscribed: BTreeSet::new(),
            resources: BTreeMap::new(),
        }
    }

    /// Learns from a stanza that is delivered to the component.
    pub(crate) fn note(&mut self, stanza: &Tree, now: Wall) {
        let (Some(from), Some(DOMAIN), "presence") =
            (stanza.attr("from"), stanza.attr("to"), stanza.name.as_str())
        else {
            return;
        };
        match stanza.attr("type") {
            Some("subscribed") => {
                self.subscribed.insert(bare(from).to_owned());
            }
            Some("unsubscribed") => {
                self.subscribed.remove(bare(from));
            }
            Some("unavailable") => {
                self.resources.remove(from);
            }
            None if from.contains('/') => {
                let presence = stanza.clone();
                let since = now;
                self.resources
                    .insert(from.to_owned(), Resource { presence, since });
            }
            _ => {}
        }
    }

    /// What comes back for a stanza of the component, or `None` where that is the transcript's
    /// business.
    pub(crate) fn answer(&self, stanza: &Tree) -> Option<Vec<String>> {
        if self.kind == Surroundings::None {
            return None;
        }
        let to = stanza.attr("to")?;
        if domain(to) == DOMAIN {
            // What it sends to itself comes back to it.
            return Some(vec![stanza.to_string()]);
        }
        match (stanza.name.as_str(), stanza.attr("type")) {
            ("presence", Some("probe")) => Some(self.probe(bare(to))),
            ("iq", Some("get")) => Some(vec![self.query(stanza, to)]),
            _ => None,
        }
    }

    fn probe(&self, user: &str) -> Vec<String> {
        if !self.subscribed.contains(user) {
            return Vec::new();
        }
        let found: Vec<String> = self
            .resources
            .values()
            .filter(|resource| resource.presence.attr("from").map(bare) == Some(user))
            .map(|resource| {
                let mut presence = resource.presence.clone();
                presence.children.push(Tree {
                    name: "delay".to_owned(),
                    ns: "urn:xmpp:delay".to_owned(),
                    attrs: [
                        ("from".to_owned(), domain(user).to_owned()),
                        ("stamp".to_owned(), resource.since.to_string()),
                    ]
                    .into(),
                    ..Tree::default()
                });
                presence.to_string()
            })
            .collect();
        if found.is_empty() && self.kind == Surroundings::Prosody {
            return vec![format!(
                "<presence type='unavailable' from='{user}' to='{DOMAIN}'/>"
            )];
        }
        found
    }

    fn query(&self, iq: &Tree, to: &str) -> String {
        let payload = iq.children.first();
        let asks = |ns: &str| payload.is_some_and(|payload| payload.ns == ns);
        let node = payload.and_then(|payload| payload.attr("node"));
        let known = if to.contains('/') {
            self.resources.contains_key(to)
        } else {
            !to.contains('@') || self.subscribed.contains(to)
        };
        let answer = if !known {
            None
        } else if asks("urn:xmpp:ping") {
            Some(String::new())
        } else if asks("http://jabber.org/protocol/disco#info") {
            Some(self.info(to, node))
        } else if asks("jabber:iq:version") {
            Some(format!(
                "<query xmlns='jabber:iq:version'><name>{}</name></query>",
                match self.kind {
                    Surroundings::Ejabberd => "ejabberd",
                    _ => "Prosody",
                }
            ))
        } else if asks("http://jabber.org/protocol/disco#items") {
            Some(self.items(to, node))
        } else {
            None
        };
        let (kind, answer) = match answer {
            Some(answer) => ("result", answer),
            None => ("error", UNAVAILABLE.to_owned()),
        };
        format!(
            "<iq type='{kind}' id='{}' from='{to}' to='{}'>{answer}</iq>",
            iq.attr("id").unwrap_or_default(),
            iq.attr("from").unwrap_or_default(),
        )
    }

    fn info(&self, to: &str, node: Option<&str>) -> String {
        let (category, kind, name) = if self.is_agent(to) {
            AGENT_IDENTITY
        } else if to.contains('/') {
            ("client", "pc", "Client")
        } else if to.contains('@') {
            ("account", "registered", "")
        } else {
            ("server", "im", "")
        };
        let features: &[&str] = if self.is_agent(to) {
            &AGENT_FEATURES
        } else {
            &AGENT_FEATURES[1..2]
        };
        let features: String = features
            .iter()
            .map(|feature| format!("<feature var='{feature}'/>"))
            .collect();
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'{}>\
             <identity category='{category}' type='{kind}' name='{name}'/>{features}</query>",
            node_attribute(node)
        )
    }

    fn items(&self, to: &str, node: Option<&str>) -> String {
        let item = if self.is_agent(to) && node == Some("http://jabber.org/protocol/commands") {
            format!("<item jid='{to}' node='urn:x-presence-service:agent:0#open-url' name='Open'/>")
        } else {
            String::new()
        };
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#items'{}>{item}</query>",
            node_attribute(node)
        )
    }

    fn is_agent(&self, address: &str) -> bool {
        self.resources
            .get(address)
            .and_then(|resource| resource.presence.child("c", CAPS))
            .is_some_and(|caps| caps.attr("node") == Some(AGENT_NODE))
    }
}

/// The verification string of the agents here (XEP-0115 §5.1).
pub(crate) fn agent_ver() -> String {
    let (category, kind, name) = AGENT_IDENTITY;
    let mut text = format!("{category}/{kind}//{name}<");
    for feature in AGENT_FEATURES {
        text.push_str(feature);
        text.push('<');
    }
    BASE64_STANDARD.encode(Sha1::digest(text))
}

pub(crate) fn bare(address: &str) -> &str {
    address.split_once('/').map_or(address, |(bare, _)| bare)
}

fn domain(address: &str) -> &str {
    let bare = bare(address);
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}

fn node_attribute(node: Option<&str>) -> String {
    node.map_or_else(String::new, |node| format!(" node='{node}'"))
}
