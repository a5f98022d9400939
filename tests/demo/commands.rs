//! Ad-hoc commands as the bot runs them, and in words that are taken from the stanzas. XEP-0050, XEP-0004.

use minidom::Element;

use crate::support::stanza;

/// The ad-hoc command for a right, with its form filled in: one request, one answer.
pub(crate) fn command(right: &str, fields: &[(&str, &str)]) -> Element {
    let mut form = stanza("<x xmlns='jabber:x:data' type='submit'/>");
    let form_type = ("FORM_TYPE", "urn:x-presence-service:cmd:0");
    for (var, value) in [&form_type].into_iter().chain(fields) {
        let mut field = stanza(&format!(
            "<field xmlns='jabber:x:data' var='{var}'><value/></field>"
        ));
        if let Some(child) = field.get_child_mut("value", "jabber:x:data") {
            child.append_text_node(*value);
        }
        form.append_child(field);
    }
    let mut command = stanza(&format!(
        "<command xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:cmd:0#{right}'/>"
    ));
    command.append_child(form);
    command
}

/// A command in words: the right, and its form.
pub(crate) fn told_of_command(iq: &Element) -> String {
    let command = iq.children().next();
    let node = command.and_then(|command| command.attr("node"));
    let mut told = node
        .and_then(|node| node.split_once('#'))
        .map_or("", |(_, right)| right)
        .to_owned();
    let form = command.and_then(|command| command.get_child("x", "jabber:x:data"));
    for field in form.into_iter().flat_map(Element::children) {
        let name = field.attr("var").unwrap_or_default();
        let value = field.get_child("value", "jabber:x:data");
        if name != "FORM_TYPE" {
            told += &format!(
                ", {name} “{}”",
                value.map(Element::text).unwrap_or_default()
            );
        }
    }
    told
}

/// The answer to one in words: the outcome and the note, or the error.
pub(crate) fn told_of_answer(iq: &Element) -> String {
    let command = iq.get_child("command", "http://jabber.org/protocol/commands");
    let Some(command) = command else {
        return String::from(iq);
    };
    let outcome = value_of(iq, "outcome").unwrap_or_default();
    let note = command.get_child("note", "http://jabber.org/protocol/commands");
    format!(
        "{outcome} ({})",
        note.map(Element::text).unwrap_or_default()
    )
}

/// The value of a field in the form of a command.
pub(crate) fn value_of(iq: &Element, name: &str) -> Option<String> {
    let command = iq.get_child("command", "http://jabber.org/protocol/commands")?;
    let form = command.get_child("x", "jabber:x:data")?;
    let field = form
        .children()
        .find(|field| field.attr("var") == Some(name))?;
    field.get_child("value", "jabber:x:data").map(Element::text)
}
