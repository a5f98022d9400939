//! Ad-hoc commands as a client runs them, in one step or by the form; and as an agent answers them.
//! XEP-0050, XEP-0004.

use minidom::Element;
use minidom::rxml::xml_ncname;

use super::stage::{SOON, request};
use crate::support::client::Client;
use crate::support::stanza;

pub(super) const NS_COMMANDS: &str = "http://jabber.org/protocol/commands";
pub(super) const NS_FORM: &str = "jabber:x:data";
pub(super) const NS_AGENT: &str = "urn:x-presence-service:agent:0";
pub(super) const NS_OUTCOME: &str = "urn:x-presence-service:outcome:0";
pub(super) const STATUS_NODE: &str = "urn:x-presence-service:status:0";

/// The node of a watcher's command.
pub(super) fn node_of(right: &str) -> String {
    format!("urn:x-presence-service:cmd:0#{right}")
}

/// A program's way: the form comes along with the first request. Returns the answer.
pub(super) async fn submit_at_once(
    client: &mut Client,
    to: &str,
    node: &str,
    fields: &[(&str, &str)],
) -> Element {
    let mut command = command(node, None, "execute");
    command.append_child(form(node, fields));
    request(client, to, "set", command).await
}

/// An ordinary client's way: it asks for the form, checks that it offers the fields, fills them in and
/// sends it back in the session. Returns the answer to that.
pub(super) async fn fill_in(
    client: &mut Client,
    to: &str,
    node: &str,
    fields: &[(&str, &str)],
) -> Element {
    let offered = request(client, to, "set", command(node, None, "execute")).await;
    let offer = command_of(&offered);
    assert_eq!(offer.attr("status"), Some("executing"), "{offered:?}");
    let session = offer.attr("sessionid").unwrap();
    let blank = offer.get_child("x", NS_FORM).unwrap();
    assert_eq!(blank.attr("type"), Some("form"), "{offered:?}");
    let actions = offer.get_child("actions", NS_COMMANDS).unwrap();
    assert!(actions.has_child("complete", NS_COMMANDS), "{offered:?}");
    for (var, _) in fields {
        assert!(
            blank.children().any(|field| field.attr("var") == Some(var)),
            "no field {var}: {}",
            String::from(&offered)
        );
    }
    // As Gajim and poezio do, everything hidden goes back as it came.
    let mut filled = form(node, fields);
    for field in blank.children() {
        let hidden = field.attr("type") == Some("hidden");
        if hidden && field.attr("var") != Some("FORM_TYPE") {
            filled.append_child(field.clone());
        }
    }
    let mut submission = command(node, Some(session), "complete");
    submission.append_child(filled);
    request(client, to, "set", submission).await
}

/// A `<command/>` without a form.
pub(super) fn command(node: &str, session: Option<&str>, action: &str) -> Element {
    Element::builder("command", NS_COMMANDS)
        .attr(xml_ncname!("node").into(), node)
        .attr(xml_ncname!("sessionid").into(), session)
        .attr(xml_ncname!("action").into(), action)
        .build()
}

/// A submitted form for a node: its FORM_TYPE is the node without the command's own name.
pub(super) fn form(node: &str, fields: &[(&str, &str)]) -> Element {
    let form_type = node.split('#').next().unwrap_or(node);
    let mut form = stanza(&format!("<x xmlns='{NS_FORM}' type='submit'/>"));
    for (var, value) in [("FORM_TYPE", form_type)].iter().chain(fields) {
        let mut child = Element::builder("value", NS_FORM).build();
        child.append_text_node(*value);
        let field = Element::builder("field", NS_FORM)
            .attr(xml_ncname!("var").into(), *var)
            .append(child);
        form.append_child(field.build());
    }
    form
}

/// The `<command/>` of a result.
#[track_caller]
pub(super) fn command_of(answer: &Element) -> &Element {
    let command = answer.get_child("command", NS_COMMANDS);
    match (answer.attr("type"), command) {
        (Some("result"), Some(command)) => command,
        _ => panic!("not the result of a command: {}", String::from(answer)),
    }
}

/// Asserts that a command is completed, and returns the type and the text of its first note.
#[track_caller]
pub(super) fn completed(answer: &Element) -> (String, String) {
    let command = command_of(answer);
    let shown = String::from(answer);
    assert_eq!(command.attr("status"), Some("completed"), "{shown}");
    let note = command.get_child("note", NS_COMMANDS);
    let note = note.unwrap_or_else(|| panic!("no note: {shown}"));
    (note.attr("type").unwrap_or("info").to_owned(), note.text())
}

/// The value of a field in the form of a command, if there is one.
pub(super) fn value(command: &Element, var: &str) -> Option<String> {
    command
        .get_child("x", NS_FORM)?
        .children()
        .find(|field| field.attr("var") == Some(var))?
        .get_child("value", NS_FORM)
        .map(Element::text)
}

/// The command that the component sends to an agent.
pub(super) async fn expect_at_agent(agent: &mut Client, right: &str) -> Element {
    let node = format!("{NS_AGENT}#{right}");
    let is_it = |e: &Element| {
        e.attr("type") == Some("set")
            && e.get_child("command", NS_COMMANDS)
                .is_some_and(|command| command.attr("node") == Some(&node))
    };
    agent.expect("command for the agent", SOON, is_it).await
}

/// An agent's answer: the command in this status with a note.
pub(super) fn answer_with(status: &str, session: &str, right: &str, note: Option<&str>) -> Element {
    let mut answer = Element::builder("command", NS_COMMANDS)
        .attr(xml_ncname!("node").into(), format!("{NS_AGENT}#{right}"))
        .attr(xml_ncname!("sessionid").into(), session)
        .attr(xml_ncname!("status").into(), status)
        .build();
    if let Some(text) = note {
        let mut note = stanza(&format!("<note xmlns='{NS_COMMANDS}' type='info'/>"));
        note.append_text_node(text);
        answer.append_child(note);
    }
    answer
}
