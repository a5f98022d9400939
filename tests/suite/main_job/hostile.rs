//! Stanzas that are wrong or meant to hurt, as any client can send them: each costs only itself.

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{NS_COMMANDS, NS_FORM, node_of};
use super::stage::{
    ALICE, NS_RIGHTS, Stage, condition, fresh_id, probe, reach_component, say, shows,
};

/// How deep the nesting goes; the link's limit is far below.
const DEPTH: usize = 200;

/// The body of one message: more than a server has to take (RFC 6120 §13.12), less than both refuse.
const BODY_BYTES: usize = 100 << 10;

pub(super) async fn stanzas_cost_only_themselves(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, "status All is well", "All is well").await;

    // From a watcher.
    for (what, hostile) in hostile_of_a_watcher() {
        bot.send(hostile).await;
        let face = probe(&mut bot).await;
        assert!(
            shows(&face, "online", Some("All is well")),
            "after {what}: {face:?}"
        );
    }
    for (what, iq, expected) in wrong_requests() {
        let id = fresh_id();
        let mut iq = iq;
        iq.set_attr(Namespace::NONE, xml_ncname!("id").into(), id.as_str());
        bot.send(iq).await;
        // ejabberd refuses some of them itself, in other words; that there is one answer counts.
        let answer = answer_to(&mut bot, what, &id).await;
        assert_eq!(answer.attr("type"), Some("error"), "{what}");
        let condition = condition(&answer);
        assert!(
            expected.contains(&condition.as_str()),
            "{what}: {condition}"
        );
    }

    // From the user herself: what no client of hers should say.
    for presence in [
        "<presence><show>furious</show></presence>",
        "<presence><priority>many</priority></presence>",
        "<presence><show>away</show><show>dnd</show><status/></presence>",
        "<presence type='nonsense'/>",
    ] {
        // A server may refuse it in her place; it stands for nothing either way.
        alice.send(stanza(presence)).await;
    }
    alice.send(stanza("<presence/>")).await;
    reach_component(&mut alice).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", Some("All is well")), "{face:?}");
    let long = format!("status {}", "x".repeat(5000));
    say(&mut alice, &long, "at most").await;
    say(&mut alice, "status", "All is well").await;

    // All that on the one stream it was attached with.
    let n = stage.component.log().matches("attached to").count();
    assert_eq!(n, 1, "{}", stage.component.log());
    Ok(())
}

fn hostile_of_a_watcher() -> Vec<(&'static str, Element)> {
    let long = "x".repeat(BODY_BYTES);
    vec![
        (
            "a show that is none",
            to_alice("<presence><show>furious</show></presence>"),
        ),
        (
            "a type that is none",
            to_alice("<message type='shout'><body>hey</body></message>"),
        ),
        (
            "an error about nothing",
            to_alice("<presence type='error'/>"),
        ),
        (
            "a result of nothing",
            to_alice("<iq type='result' id='never'/>"),
        ),
        ("deep nesting in a message", nested(to_alice("<message/>"))),
        (
            "deep nesting in a presence",
            nested(to_alice("<presence/>")),
        ),
        (
            "a huge message",
            to_alice(&format!(
                "<message type='chat'><body>{long}</body></message>"
            )),
        ),
        (
            "many children",
            to_alice(&format!(
                "<message>{}</message>",
                "<a xmlns='b'/>".repeat(2000)
            )),
        ),
        (
            "many attributes",
            to_alice(&format!(
                "<message><a xmlns='b' {}/></message>",
                (0..400).map(|n| format!("a{n}='{n}' ")).collect::<String>()
            )),
        ),
    ]
}

/// Requests that cannot be granted, each with the conditions that may answer it.
fn wrong_requests() -> Vec<(&'static str, Element, Vec<&'static str>)> {
    let node = node_of("leave-message");
    let double = format!(
        "<iq type='set'><command xmlns='{NS_COMMANDS}' node='{node}'><x xmlns='{NS_FORM}' type='submit'>\
         <field var='text'><value>a</value></field><field var='text'><value>b</value></field>\
         </x></command></iq>"
    );
    let unknown_session = format!(
        "<iq type='set'><command xmlns='{NS_COMMANDS}' node='{node}' sessionid='guessed'/></iq>"
    );
    let long = format!(
        "<iq type='set'><command xmlns='{NS_COMMANDS}' node='{node}'><x xmlns='{NS_FORM}' type='submit'>\
         <field var='text'><value>{}</value></field></x></command></iq>",
        "x".repeat(BODY_BYTES)
    );
    let not_here = vec!["service-unavailable"];
    let bad = vec!["bad-request"];
    vec![
        (
            "an IQ without a child",
            to_alice("<iq type='get'/>"),
            bad.clone(),
        ),
        (
            "an IQ with two children",
            to_alice(&format!(
                "<iq type='get'><query xmlns='{NS_RIGHTS}'/><ping xmlns='urn:xmpp:ping'/></iq>"
            )),
            bad.clone(),
        ),
        (
            "an unknown payload",
            to_alice("<iq type='get'><whatever xmlns='urn:example:unknown'/></iq>"),
            not_here.clone(),
        ),
        (
            "an IQ that nests deeply",
            nested(to_alice("<iq type='get'/>")),
            vec!["bad-request", "policy-violation"],
        ),
        (
            "a command without a node",
            to_alice(&format!(
                "<iq type='set'><command xmlns='{NS_COMMANDS}'/></iq>"
            )),
            bad.clone(),
        ),
        ("a field that stands twice", to_alice(&double), bad.clone()),
        (
            "a session of nobody",
            to_alice(&unknown_session),
            bad.clone(),
        ),
        (
            "a request past the limit",
            to_alice(&long),
            vec!["bad-request", "policy-violation"],
        ),
    ]
}

fn to_alice(text: &str) -> Element {
    let mut element = stanza(text);
    element.set_attr(Namespace::NONE, xml_ncname!("to").into(), ALICE);
    element
}

/// The stanza with elements in elements, [`DEPTH`] deep.
fn nested(mut stanza: Element) -> Element {
    let deep = (0..DEPTH).fold(Element::bare("n", "urn:example:deep"), |inner, _| {
        let mut outer = Element::bare("n", "urn:example:deep");
        outer.append_child(inner);
        outer
    });
    stanza.append_child(deep);
    stanza
}

async fn answer_to(client: &mut Client, what: &str, id: &str) -> Element {
    client
        .expect(&format!("answer to {what}"), super::stage::SOON, |e| {
            e.name() == "iq" && e.attr("id") == Some(id)
        })
        .await
}
