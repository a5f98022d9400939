//! What the agent says of itself: features, commands, capabilities. XEP-0030, XEP-0115; protocol.md §5.2.

use minidom::Element;
use xmpp_parsers::caps::{Caps, compute_disco, hash_caps};
use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::request::Refusal;
use super::{NODE_OPEN_URL, NS_AGENT};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

const NAME: &str = "Vestibule agent";
const OPEN_URL: &str = "Open a web page";

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

/// Answers `disco#info`. A command is known to the component alone.
pub(super) fn answer_info(
    node: Option<&str>,
    to_component: bool,
) -> Result<Option<Element>, Refusal> {
    let unknown = || Refusal::new("item-not-found", "there is no such node");
    let answer = match node {
        None => entity(),
        Some(node) if node == caps_node() => DiscoInfoResult {
            node: Some(node.to_owned()),
            ..entity()
        },
        Some(NS_COMMANDS) if to_component => info(
            node,
            ("automation", "command-list", "Commands"),
            &[ns::DISCO_INFO, NS_COMMANDS],
        ),
        Some(NODE_OPEN_URL) if to_component => info(
            node,
            ("automation", "command-node", OPEN_URL),
            &[ns::DISCO_INFO, NS_COMMANDS, ns::DATA_FORMS],
        ),
        Some(_) => return Err(unknown()),
    };
    Ok(Some(answer.into()))
}

/// Answers `disco#items`: the commands, to the component alone; nothing to anybody else.
pub(super) fn answer_items(
    node: Option<&str>,
    own_address: Option<&str>,
    to_component: bool,
) -> Result<Option<Element>, Refusal> {
    let query = element("query", ns::DISCO_ITEMS, &[]).attribute("node", node);
    match node {
        None => Ok(Some(query)),
        Some(NS_COMMANDS) if to_component => {
            let item = element(
                "item",
                ns::DISCO_ITEMS,
                &[("node", NODE_OPEN_URL), ("name", OPEN_URL)],
            );
            Ok(Some(query.with(item.attribute("jid", own_address))))
        }
        Some(NS_COMMANDS) => Ok(Some(query)),
        Some(NODE_OPEN_URL) if to_component => Ok(Some(query)),
        Some(_) => Err(Refusal::new("item-not-found", "there is no such node")),
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
    fn each_node_is_described_to_those_who_may_know_it() {
        let described = |node, to_component| answer_info(node, to_component).is_ok();
        assert!(described(None, false));
        let own = caps_node();
        assert!(described(Some(&own), false));
        for node in [NS_COMMANDS, NODE_OPEN_URL] {
            assert!(described(Some(node), true));
            assert!(!described(Some(node), false));
        }
        assert!(!described(Some("urn:other"), true));
        let listed = |node, to_component| {
            let items = answer_items(node, Some("a@b/c"), to_component);
            items.map(|items| items.unwrap().children().count())
        };
        assert_eq!(listed(None, true), Ok(0));
        assert_eq!(listed(Some(NS_COMMANDS), true), Ok(1));
        assert_eq!(listed(Some(NS_COMMANDS), false), Ok(0));
        assert_eq!(listed(Some(NODE_OPEN_URL), true), Ok(0));
        assert!(listed(Some(NODE_OPEN_URL), false).is_err());
        assert!(listed(Some("urn:other"), true).is_err());
    }
}
