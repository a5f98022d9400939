//! Service discovery of the component and of presentities. XEP-0030; protocol.md §5.1.

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::consent::Own;
use super::face::NS_RIGHTS;
use super::reply::Refusal;
use super::{Component, Turn, command, form};
use crate::address::{Address, Bare};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

/// XEP-0106 §4.4.
const JID_ESCAPING: &str = "jid\\20escaping";

type Answer = Result<Option<Element>, Refusal>;

fn node(payload: &Element) -> Option<&str> {
    payload
        .attr(xml_ncname!("node"))
        .filter(|node| !node.is_empty())
}

fn info(node: Option<&str>, identity: (&str, &str, &str), features: &[&str]) -> Element {
    let (category, type_, name) = identity;
    let head = [("category", category), ("type", type_), ("name", name)];
    let query = element("query", ns::DISCO_INFO, &[])
        .attribute("node", node)
        .with(element("identity", ns::DISCO_INFO, &head));
    features.iter().fold(query, |query, feature| {
        query.with(element("feature", ns::DISCO_INFO, &[("var", feature)]))
    })
}

fn items<'a>(
    node: Option<&str>,
    jid: &str,
    commands: impl Iterator<Item = (String, &'a str)>,
) -> Element {
    let query = element("query", ns::DISCO_ITEMS, &[]).attribute("node", node);
    commands.fold(query, |query, (node, name)| {
        let head = [("jid", jid), ("node", node.as_str()), ("name", name)];
        query.with(element("item", ns::DISCO_ITEMS, &head))
    })
}

/// An empty answer that mirrors the node.
pub(super) fn empty_items(payload: &Element) -> Element {
    items(node(payload), "", std::iter::empty())
}

fn command_list(node: &str) -> Element {
    info(
        Some(node),
        ("automation", "command-list", "Commands"),
        &[ns::DISCO_INFO, NS_COMMANDS],
    )
}

fn command_node(node: &str, name: &str) -> Element {
    let features = [ns::DISCO_INFO, NS_COMMANDS, ns::DATA_FORMS];
    info(Some(node), ("automation", "command-node", name), &features)
}

/// The node of our capabilities: a name, not an address.
const CAPS_NODE: &str = "urn:x-presence-service:component";

fn component_itself(node: Option<&str>) -> Element {
    let features = [
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        NS_COMMANDS,
        ns::PING,
        ns::CAPS,
        JID_ESCAPING,
        NS_RIGHTS,
    ];
    info(node, ("component", "presence", "Vestibule"), &features)
}

fn own_ver() -> String {
    use base64::Engine;
    use xmpp_parsers::caps::{compute_disco, hash_caps};
    use xmpp_parsers::disco::DiscoInfoResult;
    let info = DiscoInfoResult::try_from(component_itself(None)).ok();
    let hash = info.and_then(|info| hash_caps(&compute_disco(&info), Algo::Sha_1).ok());
    hash.map(|hash| base64::engine::general_purpose::STANDARD.encode(hash.hash))
        .unwrap_or_default()
}

/// `<c/>` for our own presence (XEP-0115).
pub(super) fn own_caps() -> Element {
    let ver = own_ver();
    element(
        "c",
        ns::CAPS,
        &[("hash", "sha-1"), ("node", CAPS_NODE), ("ver", &ver)],
    )
}

/// `disco#info` of the component domain.
pub(super) fn component_info(core: &Component, payload: &Element, from: &Address) -> Answer {
    let info = match node(payload) {
        None => component_itself(None),
        Some(NS_COMMANDS) => command_list(NS_COMMANDS),
        Some(name) if is_own_caps(name) => component_itself(Some(name)),
        Some(name) => {
            let own = Own::of_node(name).ok_or(Refusal::ItemNotFound)?;
            if !own.is_open_to(core, &from.bare) {
                return Err(Refusal::Forbidden);
            }
            command_node(name, own.title())
        }
    };
    Ok(Some(info))
}

/// `disco#items` of the component domain. Users are not listed: that would be a directory.
pub(super) fn component_items(core: &Component, payload: &Element, from: &Address) -> Answer {
    let jid = core.settings.domain.bare().as_str();
    match node(payload) {
        None => Ok(Some(empty_items(payload))),
        Some(NS_COMMANDS) => {
            let joined = core.state.user(&from.bare).is_some();
            let own = Own::ALL
                .into_iter()
                .filter(|own| own.is_open_to(core, &from.bare) && !(joined && *own == Own::Join))
                .map(|own| (own.node(), own.title()));
            Ok(Some(items(Some(NS_COMMANDS), jid, own)))
        }
        Some(name) if Own::of_node(name).is_some() => Ok(Some(empty_items(payload))),
        Some(_) => Err(Refusal::ItemNotFound),
    }
}

/// `disco#info` of a presentity, for a watcher that may see her.
pub(super) fn presentity_info(
    core: &Component,
    turn: &Turn,
    payload: &Element,
    watcher: &Bare,
    user: &Bare,
) -> Answer {
    let info = match node(payload) {
        None => {
            let features = [
                ns::DISCO_INFO,
                ns::DISCO_ITEMS,
                NS_COMMANDS,
                ns::PING,
                NS_RIGHTS,
            ];
            info(None, ("account", "registered", user.as_str()), &features)
        }
        Some(NS_COMMANDS) => command_list(NS_COMMANDS),
        Some(name) => {
            let offered = command::offered(core, turn, user, watcher);
            match offered.iter().find(|(node, _)| node == name) {
                Some((_, title)) => command_node(name, title),
                None if is_right(name) => return Err(Refusal::Forbidden),
                None => return Err(Refusal::ItemNotFound),
            }
        }
    };
    Ok(Some(info))
}

/// `disco#items` of a presentity, for a watcher that may see her: the commands it may run now.
pub(super) fn presentity_items(
    core: &Component,
    turn: &Turn,
    payload: &Element,
    watcher: &Bare,
    user: &Bare,
) -> Answer {
    match node(payload) {
        Some(NS_COMMANDS) => {
            let jid = core
                .settings
                .domain
                .presentity(user)
                .ok_or(Refusal::ServiceUnavailable)?;
            let offered = command::offered(core, turn, user, watcher);
            Ok(Some(items(
                Some(NS_COMMANDS),
                jid.as_str(),
                offered.into_iter(),
            )))
        }
        Some(name) if !is_right(name) => Err(Refusal::ItemNotFound),
        _ => Ok(Some(empty_items(payload))),
    }
}

fn is_own_caps(node: &str) -> bool {
    node.strip_prefix(CAPS_NODE)
        .and_then(|rest| rest.strip_prefix('#'))
        .is_some_and(|ver| ver == own_ver())
}

/// Whether a node is one of the seven names.
fn is_right(node: &str) -> bool {
    node.strip_prefix(form::CMD)
        .and_then(|rest| rest.strip_prefix('#'))
        .is_some_and(|name| name.parse::<super::authorization::Right>().is_ok())
}
