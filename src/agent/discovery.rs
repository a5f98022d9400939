//! What the agent says of itself: features, commands, capabilities. XEP-0030, XEP-0115; protocol.md §5.2.

use minidom::Element;
use xmpp_parsers::caps::{Caps, compute_disco, hash_caps};
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field};
use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::NS_AGENT;
use super::argument::Argument;
use super::module::Module;
use super::policy::Settings;
use super::request::{Refusal, Task};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

const NAME: &str = "Vestibule agent";

/// The entity as a whole.
fn entity() -> DiscoInfoResult {
    let features = [
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        NS_COMMANDS,
        NS_AGENT,
        ns::PING,
        ns::CAPS,
    ];
    info(None, ("client", "bot", NAME), &features)
}

fn info(node: Option<&str>, identity: (&str, &str, &str), features: &[&str]) -> DiscoInfoResult {
    let (category, type_, name) = identity;
    let identity = Identity {
        category: category.to_owned(),
        type_: type_.to_owned(),
        lang: None,
        name: Some(name.to_owned()),
    };
    DiscoInfoResult {
        node: node.map(ToOwned::to_owned),
        identities: vec![identity],
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        extensions: Vec::new(),
    }
}

/// The capabilities, for presence. XEP-0115 §5.
fn caps() -> Caps {
    let hash = hash_caps(&compute_disco(&entity()), Algo::Sha_1)
        .expect("SHA-1 is one of the algorithms that are built in");
    Caps::new(NS_AGENT, hash)
}

/// The node that stands for the capabilities: `node#ver`.
fn caps_node() -> String {
    use base64::Engine as _;
    let ver = base64::engine::general_purpose::STANDARD.encode(caps().ver);
    format!("{NS_AGENT}#{ver}")
}

/// The agent's presence. Its negative priority keeps messages to the person away from it (RFC 6121 §4.7.2.3).
pub(super) fn presence() -> Element {
    element("presence", ns::JABBER_CLIENT, &[])
        .with_text("priority", "-1")
        .with(caps().into())
}

/// Answers `disco#info`. What the agent serves is known to the component alone, to whom `settings` are
/// given (docs/design/0007-agent.md).
pub(super) fn answer_info(
    node: Option<&str>,
    settings: Option<&Settings>,
) -> Result<Option<Element>, Refusal> {
    let answer = match (node, settings) {
        (None, _) => entity(),
        (Some(node), _) if node == caps_node() => DiscoInfoResult {
            node: Some(node.to_owned()),
            ..entity()
        },
        (Some(NS_COMMANDS), Some(_)) => info(
            node,
            ("automation", "command-list", "Commands"),
            &[ns::DISCO_INFO, NS_COMMANDS],
        ),
        (Some(name), Some(settings)) => {
            let module = module_of(settings, name);
            match (served(settings, name), module) {
                (Some(task), _) => info(
                    node,
                    ("automation", "command-node", title(task)),
                    &[ns::DISCO_INFO, NS_COMMANDS, ns::DATA_FORMS],
                ),
                (None, Some(module)) => described(node, module),
                (None, None) => return Err(unknown()),
            }
        }
        (Some(_), None) => return Err(unknown()),
    };
    Ok(Some(answer.into()))
}

fn unknown() -> Refusal {
    Refusal::new("item-not-found", "there is no such node")
}

/// The words for a command.
fn title(task: Task) -> &'static str {
    match task {
        Task::OpenUrl => "Open a web page",
        Task::Notify => "Show a notification",
        Task::StartModule => "Start a program",
        Task::ActivateClient => "Bring up the chat client",
        Task::Outcome => "Take a result",
    }
}

fn served(settings: &Settings, node: &str) -> Option<Task> {
    Task::of_node(node).filter(|task| settings.serves(*task))
}

/// The node of a module.
fn module_node(module: &Module) -> String {
    format!("{}/{}", Task::StartModule.node(), module.name)
}

fn offered(settings: &Settings) -> impl Iterator<Item = &Module> {
    let any = settings.serves(Task::StartModule);
    settings
        .modules
        .iter()
        .filter(move |module| any && module.offered)
}

fn module_of<'a>(settings: &'a Settings, node: &str) -> Option<&'a Module> {
    offered(settings).find(|module| module_node(module) == node)
}

/// A module: its name and its arguments in a form (XEP-0128).
fn described(node: Option<&str>, module: &Module) -> DiscoInfoResult {
    let mut fields = vec![Field::text_single("module", &module.name)];
    fields.extend(module.arguments.iter().map(Argument::field));
    DiscoInfoResult {
        extensions: vec![DataForm::new(DataFormType::Result_, NS_AGENT, fields)],
        ..info(
            node,
            ("automation", "command-node", &module.title),
            &[ns::DISCO_INFO, NS_COMMANDS, ns::DATA_FORMS],
        )
    }
}

/// Answers `disco#items`: the commands and the modules, to the component alone; nothing to anybody else.
pub(super) fn answer_items(
    node: Option<&str>,
    own_address: Option<&str>,
    settings: Option<&Settings>,
) -> Result<Option<Element>, Refusal> {
    let query = element("query", ns::DISCO_ITEMS, &[]).attribute("node", node);
    let item = |node: &str, name: &str| {
        element("item", ns::DISCO_ITEMS, &[("node", node), ("name", name)])
            .attribute("jid", own_address)
    };
    let (Some(name), Some(settings)) = (node, settings) else {
        return match node {
            None | Some(NS_COMMANDS) => Ok(Some(query)),
            Some(_) => Err(unknown()),
        };
    };
    if name == NS_COMMANDS {
        let tasks = Task::ALL.into_iter().filter(|task| settings.serves(*task));
        let items = tasks.map(|task| item(&task.node(), title(task)));
        return Ok(Some(items.fold(query, Compose::with)));
    }
    match served(settings, name) {
        Some(Task::StartModule) => {
            let items = offered(settings).map(|module| item(&module_node(module), &module.title));
            Ok(Some(items.fold(query, Compose::with)))
        }
        Some(_) => Ok(Some(query)),
        None if module_of(settings, name).is_some() => Ok(Some(query)),
        None => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidom::rxml::xml_ncname;

    /// Computed from the string of XEP-0115 §5.1, written by hand.
    #[test]
    fn the_capabilities_are_those_of_the_specification() {
        let text = "client/bot//Vestibule agent<\
                    http://jabber.org/protocol/caps<\
                    http://jabber.org/protocol/commands<\
                    http://jabber.org/protocol/disco#info<\
                    http://jabber.org/protocol/disco#items<\
                    urn:x-presence-service:agent:0<\
                    urn:xmpp:ping<";
        assert_eq!(String::from_utf8(compute_disco(&entity())).unwrap(), text);
    }

    #[test]
    fn the_presence_has_priority_and_capabilities() {
        let presence = presence();
        let priority = presence.get_child("priority", ns::JABBER_CLIENT).unwrap();
        assert_eq!(priority.text(), "-1");
        let caps = presence.get_child("c", ns::CAPS).unwrap();
        assert_eq!(caps.attr(xml_ncname!("hash")), Some("sha-1"));
        let node = caps.attr(xml_ncname!("node")).unwrap();
        let ver = caps.attr(xml_ncname!("ver")).unwrap();
        assert_eq!(format!("{node}#{ver}"), caps_node());
    }

    #[test]
    fn nothing_is_described_to_strangers() {
        let described = |node: Option<&str>| answer_info(node, None).is_ok();
        assert!(described(None));
        let own = caps_node();
        assert!(described(Some(&own)));
        for task in Task::ALL {
            let node = task.node();
            assert!(!described(Some(node.as_str())));
            assert!(answer_items(Some(node.as_str()), Some("a@b/c"), None).is_err());
        }
        assert!(!described(Some(NS_COMMANDS)));
        let listed = |node| {
            let items = answer_items(node, Some("a@b/c"), None);
            items.map(|items| items.unwrap().children().count())
        };
        assert_eq!(listed(None), Ok(0));
        assert_eq!(listed(Some(NS_COMMANDS)), Ok(0));
        assert!(listed(Some("urn:other")).is_err());
    }
}
