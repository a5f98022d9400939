//! Which resources execute commands: entity capabilities (XEP-0115) and `disco#info` of the full JID.
//!
//! Only hashes that were verified are remembered for other resources (XEP-0115 §5.4); an answer that
//! could not be verified speaks for the resource that gave it.

use std::sync::Arc;

use indexmap::IndexMap;
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::caps::{compute_disco, hash_caps};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::limits::CAPS_MAX;
use super::live::Agency;
use super::presence::ResourceName;
use super::route::About;
use super::{Component, Turn, abilities, resume};
use crate::address::{Address, Bare};
use crate::stanza::Inbound;
use crate::stanza::compose::{Compose, element};

/// The feature of a resource that executes commands, and the prefix of its command nodes.
pub(super) const NS_AGENT: &str = "urn:x-presence-service:agent:0";

/// Advertised capabilities: node and ver.
pub(super) type Advertised = Arc<(String, String)>;

/// Verified capabilities: whether they carry the agent's feature.
#[derive(Debug, Default)]
pub(super) struct Caps {
    verified: IndexMap<Advertised, bool>,
}

/// What a `disco#info` to a resource was about.
#[derive(Clone, Debug)]
pub(super) struct Question {
    user: Bare,
    resource: ResourceName,
    caps: Option<Advertised>,
}

/// The capabilities that a presence advertises. Only SHA-1 is of use: it is the mandatory one.
pub(super) fn advertised(presence: &Element) -> Option<Advertised> {
    let caps = presence.get_child("c", ns::CAPS)?;
    if caps.attr(xml_ncname!("hash")) != Some("sha-1") {
        return None;
    }
    let part = |name| caps.attr(name).map(ToOwned::to_owned);
    Some(Arc::new((
        part(xml_ncname!("node"))?,
        part(xml_ncname!("ver"))?,
    )))
}

/// Finds out whether a resource is an agent, where that is not known.
pub(super) fn ask(core: &mut Component, turn: &mut Turn, user: &Bare, name: &ResourceName) {
    let Some(live) = core.state.live(user) else {
        return;
    };
    let Some(resource) = live.resources.get_mut(name) else {
        return;
    };
    match resource.agency {
        Agency::Unknown => {}
        Agency::Agent => return abilities::ask(core, turn, user, name),
        Agency::None => return,
    }
    let caps = resource.caps.clone();
    if caps.is_none() && resource.priority >= 0 {
        return; // A person's client that does not say what it can do; agents have a negative priority.
    }
    let verified = |caps| core.caps.verified.get_key_value(caps);
    if let Some((caps, agent)) = caps.as_ref().and_then(verified) {
        resource.caps = Some(Arc::clone(caps)); // One for all who advertise the same.
        resource.agency = if *agent { Agency::Agent } else { Agency::None };
        if resource.agency == Agency::Agent {
            abilities::ask(core, turn, user, name);
            resume::agent_came(core, turn, user);
        }
        return;
    }
    let node = caps.as_deref().map(|(node, ver)| format!("{node}#{ver}"));
    let query = element("query", ns::DISCO_INFO, &[]).attribute("node", node.as_deref());
    let to = Address {
        bare: user.clone(),
        resource: Some(name.clone()),
    };
    let question = Question {
        user: user.clone(),
        resource: name.clone(),
        caps,
    };
    if let Some(iq) = core.ask(turn, "get", to, query, About::Features(question)) {
        core.send(iq);
    }
}

/// Takes the answer of a resource.
pub(super) fn answered(core: &mut Component, turn: &mut Turn, question: Question, iq: &Inbound) {
    let Question {
        user,
        resource,
        caps,
    } = question;
    let info = iq
        .element
        .get_child("query", ns::DISCO_INFO)
        .and_then(|query| DiscoInfoResult::try_from(query.clone()).ok())
        .filter(|_| iq.type_ == "result");
    let agent = info
        .as_ref()
        .is_some_and(|info| info.features.contains(NS_AGENT));
    if let (Some(caps), Some(info)) = (&caps, &info)
        && is_verified(info, &caps.1)
    {
        while core.caps.verified.len() >= CAPS_MAX {
            core.caps.verified.shift_remove_index(0);
        }
        core.caps.verified.insert(caps.clone(), agent);
    }
    if let Some(known) = core
        .state
        .live(&user)
        .and_then(|live| live.resources.get_mut(&resource))
        && known.caps == caps
    {
        known.agency = if agent { Agency::Agent } else { Agency::None };
        if agent {
            abilities::ask(core, turn, &user, &resource);
            resume::agent_came(core, turn, &user);
        }
    }
}

fn is_verified(info: &DiscoInfoResult, ver: &str) -> bool {
    use base64::Engine;
    let expected = base64::engine::general_purpose::STANDARD.decode(ver).ok();
    let computed = hash_caps(&compute_disco(info), Algo::Sha_1).ok();
    computed.is_some_and(|hash| Some(hash.hash) == expected)
}
