//! What the component and its presentities are: identity, features, the operator's contact addresses, and
//! the hash of all that in their presence. XEP-0030 §3.1, XEP-0115, XEP-0128, XEP-0157.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minidom::Element;
use xmpp_parsers::caps::{compute_disco, hash_caps};
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::bulk::NS_BULK;
use super::face::NS_RIGHTS;
use super::token::NS_AUTHZ;
use super::{about, gateway};
use crate::stanza::command::NS as NS_COMMANDS;
use crate::stanza::compose::{Compose, element};
use crate::stanza::presented::Caps;

/// XEP-0106 §4.4.
const JID_ESCAPING: &str = "jid\\20escaping";

/// The nodes of our capabilities: names, not addresses.
const COMPONENT_NODE: &str = "urn:x-presence-service:component";
const PRESENTITY_NODE: &str = "urn:x-presence-service:presentity";

const COMPONENT_FEATURES: [&str; 12] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    NS_COMMANDS,
    ns::PING,
    ns::CAPS,
    ns::REGISTER,
    ns::VERSION,
    about::NS_LAST,
    gateway::NS,
    JID_ESCAPING,
    NS_RIGHTS,
    NS_BULK,
];

/// The same for every presentity and every watcher, so that it tells nobody anything, and one look-up
/// serves for all of them. What a watcher may do stands in the rights.
const PRESENTITY_FEATURES: [&str; 8] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    NS_COMMANDS,
    ns::PING,
    ns::CAPS,
    about::NS_LAST,
    NS_RIGHTS,
    NS_AUTHZ,
];

/// A hash costs as much as the answer to a probe, which carries it.
static PRESENTITY_VER: LazyLock<String> = LazyLock::new(|| ver(&presentity(None)));

/// What the component says of itself; it depends on the configuration alone.
#[derive(Debug)]
pub(super) struct Identity {
    info: Element,
    ver: String,
}

impl Identity {
    /// `contacts`: addresses by purpose, see [`super::Settings::contacts`].
    pub(super) fn new(contacts: &BTreeMap<String, Vec<String>>) -> Self {
        let identity = ("component", "presence", Some("Vestibule"));
        let info = info(None, identity, &COMPONENT_FEATURES).with_some(server_info(contacts));
        let ver = ver(&info);
        Self { info, ver }
    }

    /// Its `disco#info`, for no node or for that of its capabilities.
    pub(super) fn component(&self, node: Option<&str>) -> Option<Element> {
        if node.is_some_and(|node| !is_caps(node, COMPONENT_NODE, &self.ver)) {
            return None;
        }
        Some(self.info.clone().attribute("node", node))
    }

    /// `<c/>` for its own presence.
    pub(super) fn component_caps(&self) -> Element {
        let head = [
            ("hash", "sha-1"),
            ("node", COMPONENT_NODE),
            ("ver", &self.ver),
        ];
        element("c", ns::CAPS, &head)
    }
}

/// `disco#info` of a presentity.
pub(super) fn presentity(node: Option<&str>) -> Element {
    info(node, ("account", "registered", None), &PRESENTITY_FEATURES)
}

/// Whether a node is that of a presentity's capabilities.
pub(super) fn is_presentity_caps(node: &str) -> bool {
    is_caps(node, PRESENTITY_NODE, &PRESENTITY_VER)
}

/// `<c/>` for the presence of a presentity.
pub(super) fn presentity_caps() -> Caps {
    Caps {
        node: PRESENTITY_NODE,
        ver: &PRESENTITY_VER,
    }
}

/// A `disco#info` result: category, type and name of the identity; features.
pub(super) fn info(
    node: Option<&str>,
    identity: (&str, &str, Option<&str>),
    features: &[&str],
) -> Element {
    let (category, type_, name) = identity;
    let head = [("category", category), ("type", type_)];
    let query = element("query", ns::DISCO_INFO, &[])
        .attribute("node", node)
        .with(element("identity", ns::DISCO_INFO, &head).attribute("name", name));
    features.iter().fold(query, |query, feature| {
        query.with(element("feature", ns::DISCO_INFO, &[("var", feature)]))
    })
}

/// The operator's addresses (XEP-0157 §3). In order of their names, as XEP-0115 §5.1 hashes them.
fn server_info(contacts: &BTreeMap<String, Vec<String>>) -> Option<Element> {
    let fields: Vec<_> = contacts
        .iter()
        .filter(|(_, addresses)| !addresses.is_empty())
        .map(|(purpose, addresses)| {
            let mut field = Field::new(&format!("{purpose}-addresses"), FieldType::ListMulti);
            field.values.clone_from(addresses);
            field
        })
        .collect();
    (!fields.is_empty())
        .then(|| DataForm::new(DataFormType::Result_, ns::SERVER_INFO, fields).into())
}

fn is_caps(node: &str, name: &str, ver: &str) -> bool {
    node.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('#'))
        .is_some_and(|asked| asked == ver)
}

/// The verification string (XEP-0115 §5.1).
fn ver(info: &Element) -> String {
    let info = DiscoInfoResult::try_from(info.clone()).ok();
    let hash = info.and_then(|info| hash_caps(&compute_disco(&info), Algo::Sha_1).ok());
    hash.map(|hash| BASE64_STANDARD.encode(hash.hash))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

    fn sha1(text: &str) -> String {
        BASE64_STANDARD.encode(Sha1::digest(text))
    }

    /// Written out by hand as XEP-0115 §5.1 has it: everything is in order of its bytes.
    #[test]
    fn the_hashes_are_those_of_the_specification() {
        let features = "http://jabber.org/protocol/caps<http://jabber.org/protocol/commands<\
            http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<";
        assert_eq!(
            *PRESENTITY_VER,
            sha1(&format!(
                "account/registered//<{features}jabber:iq:last<urn:x-presence-service:authz:0<\
                 urn:x-presence-service:rights:0<urn:xmpp:ping<"
            ))
        );
        let contacts = BTreeMap::from([
            ("support".to_owned(), vec!["https://e.example".to_owned()]),
            ("sales".to_owned(), Vec::new()),
            (
                "abuse".to_owned(),
                vec![
                    "xmpp:b@e.example".to_owned(),
                    "mailto:a@e.example".to_owned(),
                ],
            ),
        ]);
        let component = format!(
            "component/presence//Vestibule<{features}jabber:iq:gateway<jabber:iq:last<\
             jabber:iq:register<jabber:iq:version<jid\\20escaping<urn:x-presence-service:bulk:0<\
             urn:x-presence-service:rights:0<urn:xmpp:ping<"
        );
        assert_eq!(Identity::new(&BTreeMap::new()).ver, sha1(&component));
        assert_eq!(
            Identity::new(&contacts).ver,
            sha1(&format!(
                "{component}http://jabber.org/network/serverinfo<abuse-addresses<\
                 mailto:a@e.example<xmpp:b@e.example<support-addresses<https://e.example<"
            ))
        );
    }
}
