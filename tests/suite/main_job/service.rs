//! What clients ask any service for: what it is, its version, since when it runs, whom to write to, which
//! address a contact has; and the same of a presentity. XEP-0030, XEP-0115, XEP-0157, XEP-0092, XEP-0012,
//! XEP-0100.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};

use super::adhoc::NS_FORM;
use super::stage::{
    ALICE, ALICE_FULL, HOME, HOME_FULL, NS_RIGHTS, SOON, Stage, condition, configuration,
    is_presence, probe_until, request, say, shows,
};
use crate::support::client::Client;
use crate::support::component_process::ComponentProcess;
use crate::support::server::Kind;
use crate::support::{Failure, built_binary, stanza};

const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
const NS_CAPS: &str = "http://jabber.org/protocol/caps";
const NS_VERSION: &str = "jabber:iq:version";
const NS_LAST: &str = "jabber:iq:last";
const NS_GATEWAY: &str = "jabber:iq:gateway";

pub(super) async fn says_what_it_is(kind: Kind) -> Result<(), Failure> {
    let mut stage = Stage::set(kind).await?;
    let config = configuration(&stage.server).with(
        "[contact]\nabuse = [\"mailto:abuse@example.org\", \"xmpp:abuse@example.org\"]\n\
         security = [\"https://example.org/security\"]\n",
    );
    stage.component.stop().await?;
    stage.component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;

    let info = discover(&mut bot, HOME, None).await;
    assert_eq!(identity(&info), "component/presence");
    for feature in [NS_VERSION, NS_LAST, NS_GATEWAY, "jabber:iq:register"] {
        assert!(features(&info).contains(&feature), "no {feature}: {info:?}");
    }
    let form = info.get_child("x", NS_FORM).unwrap();
    assert_eq!(
        values(form, "abuse-addresses"),
        ["mailto:abuse@example.org", "xmpp:abuse@example.org"]
    );
    assert_eq!(
        values(form, "security-addresses"),
        ["https://example.org/security"]
    );

    // Its presence has the hash of that, and the hash can be asked for.
    alice
        .send(stanza(&format!("<presence type='probe' to='{HOME}'/>")))
        .await;
    let is_its = |e: &Element| is_presence(e, HOME_FULL, None);
    let presence = alice
        .expect("presence of the component", SOON, is_its)
        .await;
    is_verified(&mut alice, &presence).await;

    // So has hers, for whoever may see her.
    let is_online = |face: &Element| shows(face, "online", None);
    let presence = probe_until(&mut bot, "online", is_online).await;
    let info = is_verified(&mut bot, &presence).await;
    assert_eq!(identity(&info), "account/registered");
    assert!(features(&info).contains(&NS_RIGHTS), "{info:?}");

    let version = ask(&mut bot, HOME, NS_VERSION).await;
    let version = version.get_child("query", NS_VERSION).unwrap();
    let name = version.get_child("name", NS_VERSION).unwrap();
    assert_eq!(name.text(), "Vestibule");
    assert!(version.has_child("version", NS_VERSION) && !version.has_child("os", NS_VERSION));
    let (up, text) = last(&ask(&mut bot, HOME, NS_LAST).await);
    assert!(up < 600 && text.is_empty(), "{up} {text:?}");

    // When was she there? Not for everyone.
    let stranger = &mut stage.login("stranger", "home").await?;
    assert_eq!(
        last(&ask(&mut bot, ALICE, NS_LAST).await),
        (0, String::new())
    );
    let refused = ask(stranger, ALICE, NS_LAST).await;
    assert_eq!(condition(&refused), "service-unavailable");
    say(&mut alice, "status Back on Monday", "Back on Monday").await;
    alice.logout().await;
    let is_gone = |face: &Element| shows(face, "unavailable", Some("Back on Monday"));
    probe_until(&mut bot, "offline", is_gone).await;
    let (gone, text) = last(&ask(&mut bot, ALICE, NS_LAST).await);
    assert!(gone < 600, "{gone}");
    assert_eq!(text, "Back on Monday");

    // The address to add as a contact.
    let prompt = ask(stranger, HOME, NS_GATEWAY).await;
    let prompt = prompt.get_child("query", NS_GATEWAY).unwrap();
    assert!(prompt.has_child("prompt", NS_GATEWAY), "{prompt:?}");
    for (typed, jid) in [
        ("Alice@LocalHost", ALICE),
        ("nobody@localhost", r"nobody\40localhost@presence.localhost"),
    ] {
        let payload = format!("<query xmlns='{NS_GATEWAY}'><prompt>{typed}</prompt></query>");
        let answer = request(stranger, HOME, "set", stanza(&payload)).await;
        let query = answer.get_child("query", NS_GATEWAY).unwrap();
        assert_eq!(query.get_child("jid", NS_GATEWAY).unwrap().text(), jid);
    }
    let payload = stanza(&format!(
        "<query xmlns='{NS_GATEWAY}'><prompt>alice</prompt></query>"
    ));
    let refused = request(stranger, HOME, "set", payload).await;
    assert_eq!(condition(&refused), "jid-malformed");
    Ok(())
}

async fn ask(client: &mut Client, to: &str, namespace: &str) -> Element {
    let query = stanza(&format!("<query xmlns='{namespace}'/>"));
    request(client, to, "get", query).await
}

async fn discover(client: &mut Client, to: &str, node: Option<&str>) -> Element {
    let node = node.map_or_else(String::new, |node| format!(" node='{node}'"));
    let query = stanza(&format!("<query xmlns='{NS_INFO}'{node}/>"));
    let answer = request(client, to, "get", query).await;
    let info = answer.get_child("query", NS_INFO);
    info.unwrap_or_else(|| panic!("not discovered: {}", String::from(&answer)))
        .clone()
}

/// Does what a client does with capabilities: asks once, and believes what has the hash.
async fn is_verified(client: &mut Client, presence: &Element) -> Element {
    let caps = presence.get_child("c", NS_CAPS);
    let caps = caps.unwrap_or_else(|| panic!("no capabilities: {}", String::from(presence)));
    let (node, ver) = (caps.attr("node").unwrap(), caps.attr("ver").unwrap());
    assert_eq!(caps.attr("hash"), Some("sha-1"));
    let node = format!("{node}#{ver}");
    let from = presence.attr("from").unwrap();
    assert!([HOME_FULL, ALICE_FULL].contains(&from), "{from}");
    let info = discover(client, from, Some(&node)).await;
    assert_eq!(info.attr("node"), Some(node.as_str()));
    assert_eq!(verification(&info), ver, "{}", String::from(&info));
    info
}

/// The verification string, as XEP-0115 §5.1 has it.
fn verification(info: &Element) -> String {
    let attribute = |e: &Element, name: &str| e.attr(name).unwrap_or_default().to_owned();
    let named = |name: &'static str| info.children().filter(move |child| child.name() == name);
    let mut identities: Vec<String> = named("identity")
        .map(|e| {
            let (category, kind) = (attribute(e, "category"), attribute(e, "type"));
            format!("{category}/{kind}//{}<", attribute(e, "name"))
        })
        .collect();
    let mut features: Vec<String> = named("feature")
        .map(|e| attribute(e, "var") + "<")
        .collect();
    identities.sort();
    features.sort();
    let mut text = identities.concat() + &features.concat();
    for form in named("x") {
        text += &(values(form, "FORM_TYPE").concat() + "<");
        let mut vars: Vec<_> = form.children().map(|e| attribute(e, "var")).collect();
        vars.sort();
        for var in vars.iter().filter(|var| *var != "FORM_TYPE") {
            let mut values = values(form, var);
            values.sort();
            text += &format!("{var}<{}<", values.join("<"));
        }
    }
    BASE64_STANDARD.encode(Sha1::digest(text))
}

fn identity(info: &Element) -> String {
    let identity = info.get_child("identity", NS_INFO).unwrap();
    let part = |name| identity.attr(name).unwrap_or_default();
    format!("{}/{}", part("category"), part("type"))
}

fn features(info: &Element) -> Vec<&str> {
    info.children()
        .filter(|child| child.name() == "feature")
        .filter_map(|feature| feature.attr("var"))
        .collect()
}

fn values(form: &Element, var: &str) -> Vec<String> {
    let field = form.children().find(|field| field.attr("var") == Some(var));
    let field = field.unwrap_or_else(|| panic!("no field {var}: {}", String::from(form)));
    let values = field.children().filter(|child| child.name() == "value");
    values.map(Element::text).collect()
}

/// Seconds and text of an answer about last activity.
fn last(answer: &Element) -> (u64, String) {
    let query = answer.get_child("query", NS_LAST);
    let query = query.unwrap_or_else(|| panic!("no answer: {}", String::from(answer)));
    let seconds = query.attr("seconds").unwrap().parse().unwrap();
    (seconds, query.text())
}
