//! What an agent can do: the list of its commands and of its modules, asked for when it comes online and
//! at each round of questions. XEP-0030; docs/design/0007-agent.md.
//!
//! What it says is the user's own word, and bounded all the same: so many agents, modules and bytes.

use std::collections::{BTreeMap, BTreeSet};

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::data_forms::DataForm;
use xmpp_parsers::ns;

use super::authorization::Right;
use super::caps::NS_AGENT;
use super::limits::{AGENTS_MAX, MODULE_NODE_BYTES_MAX, MODULES_BYTES_MAX, MODULES_MAX};
use super::live::Resource;
use super::modules::Module;
use super::presence::ResourceName;
use super::route::About;
use super::{Component, Turn, offer, resume};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::element;

/// What one agent can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Abilities {
    rights: BTreeSet<Right>,
    /// Whether it wants to know what watchers report.
    pub(super) outcomes: bool,
    modules: BTreeMap<String, Module>,
}

impl Abilities {
    /// Whether it can run this; a module is named with `start-module`.
    pub(super) fn has(&self, right: Right, module: Option<&str>) -> bool {
        self.rights.contains(&right)
            && module.is_none_or(|name| self.modules.contains_key(name))
            && (right != Right::StartModule || !self.modules.is_empty())
    }

    /// What it can start.
    pub(super) fn modules(&self) -> &BTreeMap<String, Module> {
        &self.modules
    }
}

/// What an agent has been asked and has not answered yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asking {
    /// Names the questions: answers to earlier ones are late.
    number: u64,
    n_open: usize,
    modules: BTreeMap<String, Module>,
    bytes: usize,
}

/// A question to an agent.
#[derive(Clone, Debug)]
pub(super) struct Question {
    user: Bare,
    resource: ResourceName,
    number: u64,
    about: Part,
}

#[derive(Clone, Debug)]
enum Part {
    Commands,
    Modules,
    /// What the list calls it.
    Module(String),
}

/// Asks an agent what it can do.
pub(super) fn ask(core: &mut Component, turn: &mut Turn, user: &Bare, name: &ResourceName) {
    core.order += 1;
    let number = core.order;
    let Some(live) = core.state.live(user) else {
        return;
    };
    let takes_room = |one: &Resource| one.abilities.is_some() || one.asking.is_some();
    let n_others = live
        .resources
        .iter()
        .filter(|(other, one)| *other != name && takes_room(one))
        .count();
    let Some(resource) = live.resources.get_mut(name) else {
        return;
    };
    if n_others >= AGENTS_MAX {
        return;
    }
    resource.asking = Some(Box::new(Asking {
        number,
        n_open: 0,
        modules: BTreeMap::new(),
        bytes: 0,
    }));
    let question = Question {
        user: user.clone(),
        resource: name.clone(),
        number,
        about: Part::Commands,
    };
    put(core, turn, question, ns::DISCO_ITEMS, NS_COMMANDS);
}

fn put(core: &mut Component, turn: &mut Turn, question: Question, kind: &str, node: &str) {
    let to = Address {
        bare: question.user.clone(),
        resource: Some(question.resource.clone()),
    };
    let query = element("query", kind, &[("node", node)]);
    match core.ask(turn, "get", to, query, About::Abilities(question.clone())) {
        Some(iq) => core.send(iq),
        None => lost(core, turn, &question),
    }
}

/// What has been asked of an agent, where the question is still of interest.
fn open<'a>(core: &'a mut Component, question: &Question) -> Option<&'a mut Resource> {
    let live = core.state.live(&question.user)?;
    let resource = live.resources.get_mut(&question.resource)?;
    let is_open = resource.asking.as_ref()?.number == question.number;
    is_open.then_some(resource)
}

/// Takes the answer of an agent.
pub(super) fn answered(core: &mut Component, turn: &mut Turn, question: &Question, iq: &Inbound) {
    let is_result = iq.type_ == "result";
    let query = |kind: &str| iq.element.get_child("query", kind).filter(|_| is_result);
    match &question.about {
        Part::Commands => {
            let Some(items) = query(ns::DISCO_ITEMS) else {
                return lost(core, turn, question);
            };
            commands(core, turn, question, items);
        }
        Part::Modules => {
            let Some(items) = query(ns::DISCO_ITEMS) else {
                return lost(core, turn, question);
            };
            modules(core, turn, question, items);
        }
        Part::Module(called) => {
            let form = query(ns::DISCO_INFO).and_then(module_form);
            let module = form.and_then(|form| Module::read(&form, called));
            let Some(asking) = open(core, question).and_then(|one| one.asking.as_mut()) else {
                return;
            };
            if let Some((name, module)) = module {
                let bytes = name.len() + module.bytes();
                if asking.bytes + bytes <= MODULES_BYTES_MAX {
                    asking.bytes += bytes;
                    asking.modules.entry(name).or_insert(module);
                }
            }
            one_less(core, turn, question);
        }
    }
}

/// A question has no answer: what it was about does not exist.
pub(super) fn lost(core: &mut Component, turn: &mut Turn, question: &Question) {
    match question.about {
        // Nothing is known: what was known before may still be so.
        Part::Commands => {
            if let Some(resource) = open(core, question) {
                resource.asking = None;
            }
        }
        Part::Modules => settle(core, turn, question),
        Part::Module(_) => one_less(core, turn, question),
    }
}

fn commands(core: &mut Component, turn: &mut Turn, question: &Question, items: &Element) {
    let rights: BTreeSet<Right> = items
        .children()
        .filter_map(|item| item.attr(xml_ncname!("node")))
        .filter_map(|node| node.strip_prefix(NS_AGENT)?.strip_prefix('#')?.parse().ok())
        .collect();
    let outcome = format!("{NS_AGENT}#outcome");
    let outcomes = items
        .children()
        .any(|item| item.attr(xml_ncname!("node")) == Some(outcome.as_str()));
    let Some(resource) = open(core, question) else {
        return;
    };
    let starts = rights.contains(&Right::StartModule);
    let known = resource.abilities.take().unwrap_or_default();
    let modules = match starts {
        true => known.modules, // Until it has said what they are now.
        false => BTreeMap::new(),
    };
    resource.abilities = Some(Box::new(Abilities {
        rights,
        outcomes,
        modules,
    }));
    if !starts {
        resource.asking = None;
        return news(core, turn, &question.user);
    }
    news(core, turn, &question.user);
    let question = Question {
        about: Part::Modules,
        ..question.clone()
    };
    let node = format!("{NS_AGENT}#{}", Right::StartModule);
    put(core, turn, question, ns::DISCO_ITEMS, &node);
}

fn modules(core: &mut Component, turn: &mut Turn, question: &Question, items: &Element) {
    let prefix = format!("{NS_AGENT}#{}", Right::StartModule);
    let listed: Vec<(String, String)> = items
        .children()
        .filter_map(|item| {
            let node = item.attr(xml_ncname!("node"))?;
            let fits = node.len() <= MODULE_NODE_BYTES_MAX && node.starts_with(&prefix);
            let name = item.attr(xml_ncname!("name")).unwrap_or_default();
            fits.then(|| (node.to_owned(), name.to_owned()))
        })
        .take(MODULES_MAX)
        .collect();
    let Some(asking) = open(core, question).and_then(|one| one.asking.as_mut()) else {
        return;
    };
    if listed.is_empty() {
        return settle(core, turn, question);
    }
    asking.n_open = listed.len();
    for (node, called) in listed {
        let question = Question {
            about: Part::Module(called),
            ..question.clone()
        };
        put(core, turn, question, ns::DISCO_INFO, &node);
    }
}

fn module_form(query: &Element) -> Option<DataForm> {
    let forms = query
        .children()
        .filter(|child| child.is("x", ns::DATA_FORMS))
        .filter_map(|child| DataForm::try_from(child.clone()).ok());
    let mut ours = forms.filter(|form| form.form_type() == Some(NS_AGENT));
    ours.next()
}

fn one_less(core: &mut Component, turn: &mut Turn, question: &Question) {
    let Some(asking) = open(core, question).and_then(|one| one.asking.as_mut()) else {
        return;
    };
    asking.n_open = asking.n_open.saturating_sub(1);
    if asking.n_open == 0 {
        settle(core, turn, question);
    }
}

/// All that was asked is answered.
fn settle(core: &mut Component, turn: &mut Turn, question: &Question) {
    let Some(resource) = open(core, question) else {
        return;
    };
    let Some(asking) = resource.asking.take() else {
        return;
    };
    if let Some(abilities) = resource.abilities.as_mut() {
        abilities.modules = asking.modules;
    }
    news(core, turn, &question.user);
}

/// More is known of what an agent can do: commands may have waited for it.
fn news(core: &mut Component, turn: &mut Turn, user: &Bare) {
    offer::changed(core, turn, user);
    resume::agent_came(core, turn, user);
}
