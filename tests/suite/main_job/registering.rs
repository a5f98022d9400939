//! The Register button of a client: the form, joining by it, changing what was chosen, unregistering.
//! XEP-0077, XEP-0100 §4.1–§4.3.

use minidom::Element;

use super::adhoc::NS_FORM;
use super::stage::{
    ALICE, HOME, HOME_FULL, NS_CLIENT, NS_RIGHTS, SOON, Stage, approve_component, body_of,
    condition, expect_message, is_presence, probe_until, request, say, shows,
};
use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

const NS: &str = "jabber:iq:register";
const VISIBILITY: &str = "{urn:x-presence-service:consent:0}visibility";

pub(super) async fn by_the_register_button(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    alice.settle().await;

    let blank = form(&mut alice).await;
    assert!(!blank.has_child("registered", NS), "{blank:?}");
    assert_eq!(chosen(&blank), "subscribers");

    // The answer comes first, then what follows from it.
    submit(&mut alice, "public").await;
    approve_component(&mut alice).await;
    alice
        .send(stanza(&format!("<presence type='subscribe' to='{HOME}'/>")))
        .await;
    for (what, from, kind) in [
        ("approval by the component", HOME, Some("subscribed")),
        ("presence of the component", HOME_FULL, None),
    ] {
        let is_it = |e: &Element| is_presence(e, from, kind);
        alice.expect(what, SOON, is_it).await;
    }
    let welcome = body_of(&expect_message(&mut alice, "Welcome").await);
    assert!(welcome.contains("everyone can see you"), "{welcome}");
    let order: Vec<_> = alice
        .received()
        .iter()
        .filter_map(|e| match (e.name(), e.attr("type"), e.attr("from")) {
            ("iq", Some("result"), Some(HOME)) if !e.has_child("query", NS) => Some("result"),
            ("presence", Some("subscribe"), Some(HOME)) => Some("subscribe"),
            _ => None,
        })
        .take(2)
        .collect();
    assert_eq!(order, ["result", "subscribe"]);
    let is_online = |face: &Element| shows(face, "online", None);
    probe_until(&mut bot, "online", is_online).await;

    // Another client of hers finds her registered, and changes what is chosen.
    let mut desk = stage.login("alice", "desk").await?;
    let current = form(&mut desk).await;
    assert!(current.has_child("registered", NS), "{current:?}");
    assert_eq!(chosen(&current), "public");
    submit(&mut desk, "private").await;
    assert_eq!(condition(&ask(&mut bot).await), "service-unavailable");
    let refused = register(&mut desk, submission("nobody")).await;
    assert_eq!(condition(&refused), "not-acceptable");
    assert_eq!(code(&refused), "406");
    assert_eq!(chosen(&form(&mut desk).await), "private");

    // Unregistering is leaving.
    alice.forget();
    let removed = register(&mut desk, remove()).await;
    assert_eq!(removed.attr("type"), Some("result"), "{removed:?}");
    for (what, from, kind) in [
        ("the end of its interest in her", HOME, "unsubscribe"),
        ("the end of its presence", HOME_FULL, "unavailable"),
        ("the end of her subscription", HOME, "unsubscribed"),
    ] {
        let is_it = |e: &Element| is_presence(e, from, Some(kind));
        alice.expect(what, SOON, is_it).await;
    }
    say(&mut alice, "status", "not joined yet").await;
    let refused = register(&mut desk, remove()).await;
    assert_eq!(condition(&refused), "registration-required");
    assert_eq!(code(&refused), "407");
    assert!(!form(&mut desk).await.has_child("registered", NS));

    // She can come back the same way.
    submit(&mut alice, "public").await;
    approve_component(&mut alice).await;
    probe_until(&mut bot, "online again", is_online).await;
    Ok(())
}

/// Asks for the form, as the button does.
async fn form(user: &mut Client) -> Element {
    let query = stanza(&format!("<query xmlns='{NS}'/>"));
    let answer = request(user, HOME, "get", query).await;
    let query = answer.get_child("query", NS);
    query
        .unwrap_or_else(|| panic!("no form: {}", String::from(&answer)))
        .clone()
}

async fn submit(user: &mut Client, visibility: &str) {
    let answer = register(user, submission(visibility)).await;
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    assert_eq!(answer.children().count(), 0, "{answer:?}");
}

async fn register(user: &mut Client, inside: Element) -> Element {
    let mut query = stanza(&format!("<query xmlns='{NS}'/>"));
    query.append_child(inside);
    request(user, HOME, "set", query).await
}

fn submission(visibility: &str) -> Element {
    stanza(&format!(
        "<x xmlns='{NS_FORM}' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{NS}</value></field>\
         <field var='{VISIBILITY}'><value>{visibility}</value></field></x>"
    ))
}

fn remove() -> Element {
    stanza(&format!("<remove xmlns='{NS}'/>"))
}

/// The visibility that a form shows.
fn chosen(query: &Element) -> String {
    let form = query.get_child("x", NS_FORM).unwrap();
    let field = form
        .children()
        .find(|field| field.attr("var") == Some(VISIBILITY));
    let field = field.unwrap_or_else(|| panic!("no visibility: {}", String::from(query)));
    field.get_child("value", NS_FORM).unwrap().text()
}

/// The number of an error.
fn code(answer: &Element) -> String {
    let error = answer.get_child("error", NS_CLIENT).unwrap();
    error.attr("code").unwrap_or_default().to_owned()
}

async fn ask(watcher: &mut Client) -> Element {
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    request(watcher, ALICE, "get", asked).await
}
