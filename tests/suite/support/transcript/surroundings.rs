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

const MODULES: &str = "urn:x-presence-service:agent:0#start-module";
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
    /// What an agent has beside `open-url`: rights and modules, by full JID.
    abilities: BTreeMap<String, Vec<Ability>>,
}

/// A right of an agent, or a module with its arguments.
#[derive(Debug)]
enum Ability {
    Right(String),
    Module(String, Vec<(String, String)>),
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
            abilities: BTreeMap::new(),
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
                self.abilities.remove(from);
            }
            None if from.contains('/') => {
                if let Some(node) = stanza.child("c", CAPS).and_then(|caps| caps.attr("node")) {
                    let abilities = node.strip_prefix(AGENT_NODE).map(abilities);
                    self.abilities
                        .insert(from.to_owned(), abilities.unwrap_or_default());
                }
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
        if let Some(module) = node.and_then(|node| node.strip_prefix(MODULES)) {
            return self.module(to, module.trim_start_matches('/'));
        }
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
        let known = self
            .abilities
            .get(to)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let item =
            |node: &str, name: &str| format!("<item jid='{to}' node='{node}' name='{name}'/>");
        let items: String = match node {
            _ if !self.is_agent(to) => String::new(),
            Some("http://jabber.org/protocol/commands") => {
                let mut names = vec!["open-url"];
                for one in known {
                    names.push(match one {
                        Ability::Right(name) => name,
                        Ability::Module(..) => "start-module",
                    });
                }
                names.dedup();
                let node = |name: &&str| format!("urn:x-presence-service:agent:0#{name}");
                names.iter().map(|name| item(&node(name), name)).collect()
            }
            Some(MODULES) => known
                .iter()
                .filter_map(|one| match one {
                    Ability::Module(name, _) => Some(item(
                        &format!("{MODULES}/{name}"),
                        &format!("The program {name}"),
                    )),
                    Ability::Right(_) => None,
                })
                .collect(),
            Some(_) | None => String::new(),
        };
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#items'{}>{items}</query>",
            node_attribute(node)
        )
    }

    /// What an agent says of a module (docs/design/0007-agent.md).
    fn module(&self, to: &str, name: &str) -> String {
        let known = self
            .abilities
            .get(to)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let arguments = known.iter().find_map(|one| match one {
            Ability::Module(module, arguments) if module == name => Some(arguments),
            _ => None,
        });
        let fields: String = arguments
            .into_iter()
            .flatten()
            .map(|(name, type_)| argument(name, type_))
            .collect();
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#info' node='{MODULES}/{name}'>\
             <identity category='automation' type='command-node' name='The program {name}'/>\
             <x xmlns='jabber:x:data' type='result'>\
             <field var='FORM_TYPE' type='hidden'><value>urn:x-presence-service:agent:0</value></field>\
             <field var='module' type='text-single'><value>{name}</value></field>{fields}</x></query>"
        )
    }

    fn is_agent(&self, address: &str) -> bool {
        self.resources
            .get(address)
            .and_then(|resource| resource.presence.child("c", CAPS))
            .and_then(|caps| caps.attr("node"))
            .is_some_and(|node| node.starts_with(AGENT_NODE))
    }
}

/// What stands behind the node of its capabilities: `?notify;agenda(day:today|tomorrow,item:1..99)`.
fn abilities(text: &str) -> Vec<Ability> {
    let text = text.trim_start_matches('?');
    let each = text.split(';').filter(|one| !one.is_empty());
    each.map(|one| match one.split_once('(') {
        None => Ability::Right(one.to_owned()),
        Some((name, arguments)) => {
            let arguments = arguments.trim_end_matches(')').split(',');
            let arguments = arguments.filter_map(|one| one.split_once(':'));
            Ability::Module(
                name.to_owned(),
                arguments
                    .map(|(name, type_)| (name.to_owned(), type_.to_owned()))
                    .collect(),
            )
        }
    })
    .collect()
}

/// `today|tomorrow`: a choice; `1..99`: a number; anything else is a pattern. With `!` it is required.
fn argument(name: &str, type_: &str) -> String {
    let required = if type_.ends_with('!') {
        "<required/>"
    } else {
        ""
    };
    let type_ = type_.trim_end_matches('!');
    let validate = |datatype: &str, method: String| {
        format!(
            "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:{datatype}'>{method}\
             </validate>"
        )
    };
    let (kind, inner) = if type_.contains('|') {
        let options = type_.split('|');
        let option = |one| format!("<option label='{one}'><value>{one}</value></option>");
        ("list-single", options.map(option).collect())
    } else if let Some((min, max)) = type_.split_once("..") {
        let range = format!("<range min='{min}' max='{max}'/>");
        ("text-single", validate("integer", range))
    } else {
        (
            "text-single",
            validate("string", format!("<regex>{type_}</regex>")),
        )
    };
    format!("<field var='arg-{name}' type='{kind}' label='The {name}'>{required}{inner}</field>")
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
