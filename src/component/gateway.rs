//! From a user's address to that of her presentity, for clients that ask for it when a contact is added.
//! XEP-0100 §6.3.

use minidom::Element;

use super::about::is_bare;
use super::reply::Refusal;
use crate::address::{Address, Bare, ComponentDomain};
use crate::stanza::compose::{Compose, element};

/// The namespace of address translation.
pub(super) const NS: &str = "jabber:iq:gateway";

type Answer = Result<Option<Element>, Refusal>;

/// What a person is to be asked for.
pub(super) fn prompt(payload: &Element) -> Answer {
    is_bare(payload)?;
    let query = element("query", NS, &[])
        .with(text("desc", "Whose presence do you want to see?"))
        .with(text("prompt", "Her XMPP address, as in alice@example.org"));
    Ok(Some(query))
}

/// The presentity of the address that was typed. Nothing is looked up: who has joined is no business of
/// whoever asks.
pub(super) fn translate(domain: &ComponentDomain, payload: &Element) -> Answer {
    let mut children = payload.children();
    let typed = match (children.next(), children.next()) {
        (Some(prompt), None) if prompt.is("prompt", NS) && prompt.children().next().is_none() => {
            prompt.text()
        }
        _ => return Err(Refusal::BadRequest),
    };
    let jid = presentity(domain, typed.trim()).ok_or_else(|| {
        Refusal::JidMalformed("That is not a user's address such as alice@example.org.".into())
    })?;
    // COMPAT(transports before XEP-0100): their clients look for the address in `<prompt/>`.
    let query = element("query", NS, &[])
        .with(text("jid", jid.as_str()))
        .with(text("prompt", jid.as_str()));
    Ok(Some(query))
}

/// One who types the address of a presentity means just that one.
fn presentity(domain: &ComponentDomain, typed: &str) -> Option<Bare> {
    let address = Address::parse(typed).ok()?;
    if domain.covers(&address) {
        return domain.user(&address.bare).map(|_| address.bare);
    }
    domain.presentity(&address.bare)
}

fn text(name: &str, text: &str) -> Element {
    let mut child = element(name, NS, &[]);
    child.append_text_node(text);
    child
}
