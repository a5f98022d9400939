//! Service discovery of the component and of presentities. XEP-0030; protocol.md §5.1.

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::consent::Own;
use super::identity::info;
use super::reply::Refusal;
use super::watcher::Watcher;
use super::{Component, Turn, admin, command, form, identity};
use crate::address::{Address, Bare};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};

type Answer = Result<Option<Element>, Refusal>;

fn node(payload: &Element) -> Option<&str> {
    payload
        .attr(xml_ncname!("node"))
        .filter(|node| !node.is_empty())
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
        ("automation", "command-list", Some("Commands")),
        &[ns::DISCO_INFO, NS_COMMANDS],
    )
}

fn command_node(node: &str, name: &str) -> Element {
    let features = [ns::DISCO_INFO, NS_COMMANDS, ns::DATA_FORMS];
    let identity = ("automation", "command-node", Some(name));
    info(Some(node), identity, &features)
}

/// `disco#info` of the component domain.
pub(super) fn component_info(core: &Component, payload: &Element, from: &Address) -> Answer {
    let node = node(payload);
    if let Some(info) = core.identity.component(node) {
        return Ok(Some(info));
    }
    let info = match node {
        None => return Err(Refusal::ItemNotFound),
        Some(NS_COMMANDS) => command_list(NS_COMMANDS),
        Some(name) => {
            if let Some(what) = admin::of_node(core, name, &from.bare) {
                return Ok(Some(command_node(name, what.title())));
            }
            let own = Own::of_node(name).ok_or(Refusal::ItemNotFound)?;
            if !own.is_open_to(core, &from.bare) && admin::is_of_operator(name) {
                return Err(Refusal::ItemNotFound);
            }
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
                .map(|own| (own.node(), own.title()))
                .chain(admin::offered(core, &from.bare));
            Ok(Some(items(Some(NS_COMMANDS), jid, own)))
        }
        Some(name) if admin::is_of_operator(name) && !admin::is_admin(core, &from.bare) => {
            Err(Refusal::ItemNotFound)
        }
        Some(name) if admin::of_node(core, name, &from.bare).is_some() => {
            Ok(Some(empty_items(payload)))
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
    watcher: &Watcher,
    user: &Bare,
) -> Answer {
    let info = match node(payload) {
        None => identity::presentity(None),
        Some(NS_COMMANDS) => command_list(NS_COMMANDS),
        Some(name) if identity::is_presentity_caps(name) => identity::presentity(Some(name)),
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
    watcher: &Watcher,
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

/// Whether a node is one of the seven names.
fn is_right(node: &str) -> bool {
    node.strip_prefix(form::CMD)
        .and_then(|rest| rest.strip_prefix('#'))
        .is_some_and(|name| name.parse::<super::authorization::Right>().is_ok())
}
