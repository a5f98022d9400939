//! The presence of a presentity, and the refusal of a probe, written from their data: the bytes that the
//! trees would give.
//!
//! Addresses are in normal form by their types, all names and namespaces are constants, and everything
//! else is escaped as in any stanza. What a type does not say is checked here.

use super::{Reach, Unsealed, Writer};
use crate::address::ComponentDomain;
use crate::component::clock::Wall;
use crate::link::characters::{all_legal, write_id, write_text, write_value};
use crate::link::limits::ID_BYTES;
use crate::stanza::outbound::Refusal;
use crate::stanza::presented::{Availability, NS_RIGHTS, Presented, VIRTUAL_RESOURCE};
use xmpp_parsers::ns;

/// Appends a presence as it must stand in a stream of `domain`; appends nothing if it cannot.
pub(in crate::link) fn seal_presented(
    presented: &Presented,
    domain: &ComponentDomain,
    reach: &Reach,
    out: &mut Vec<u8>,
) -> Result<(), Unsealed> {
    if presented.from.domain() != domain.bare().as_str() {
        return Err(Unsealed::From);
    }
    let resource = presented.to.resource.as_deref().unwrap_or_default();
    if resource.ends_with('/') || !all_legal(resource) {
        return Err(Unsealed::To);
    }
    if !reach.covers(&presented.to.bare, domain) {
        return Err(Unsealed::Elsewhere);
    }
    if let Availability::Unavailable { id: Some(id), .. } = &presented.availability
        && id.len() > ID_BYTES
    {
        return Err(Unsealed::Id);
    }
    let start = out.len();
    let mut writer = Writer { start, out };
    writer.presented(presented);
    if let Err(unsealed) = writer.check_size() {
        out.truncate(start);
        return Err(unsealed);
    }
    debug_assert!(
        crate::link::parse::Parser::new()
            .element(&out[start..])
            .is_ok(),
        "sealed, but not well-formed"
    );
    Ok(())
}

/// Appends the refusal of a probe in the same way.
pub(in crate::link) fn seal_refusal(
    refusal: &Refusal,
    domain: &ComponentDomain,
    reach: &Reach,
    out: &mut Vec<u8>,
) -> Result<(), Unsealed> {
    if refusal.from.domain() != domain.bare().as_str() {
        return Err(Unsealed::From);
    }
    if !reach.covers(&refusal.to, domain) {
        return Err(Unsealed::Elsewhere);
    }
    if refusal.id.as_ref().is_some_and(|id| id.len() > ID_BYTES) {
        return Err(Unsealed::Id);
    }
    let start = out.len();
    let mut writer = Writer { start, out };
    writer.raw("<presence from='");
    write_value(refusal.from.as_str(), writer.out);
    if let Some(id) = &refusal.id {
        writer.raw("' id='");
        write_id(id, writer.out);
    }
    writer.raw("' to='");
    write_value(refusal.to.as_str(), writer.out);
    writer.raw("' type='unsubscribed'/>");
    debug_assert!(
        crate::link::parse::Parser::new()
            .element(&out[start..])
            .is_ok(),
        "sealed, but not well-formed"
    );
    Ok(())
}

impl Writer<'_> {
    /// Attributes in order of their names, as those of a tree are.
    fn presented(&mut self, presented: &Presented) {
        let Presented {
            from,
            to,
            availability,
            text,
            rights,
        } = presented;
        self.raw("<presence from='");
        write_value(from.as_str(), self.out);
        if !matches!(availability, Availability::Unavailable { bare: true, .. }) {
            self.raw("/");
            self.raw(VIRTUAL_RESOURCE);
        }
        if let Availability::Unavailable { id: Some(id), .. } = availability {
            self.raw("' id='");
            write_id(id, self.out);
        }
        self.raw("' to='");
        write_value(to.bare.as_str(), self.out);
        if let Some(resource) = &to.resource {
            self.raw("/");
            write_value(resource, self.out);
        }
        match availability {
            Availability::Unavailable { .. } => self.raw("' type='unavailable'>"),
            Availability::Available { show: None, .. } => self.raw("'>"),
            Availability::Available {
                show: Some(show), ..
            } => {
                self.raw("'><show>");
                self.raw(show);
                self.raw("</show>");
            }
        }
        if let Some(text) = text {
            self.raw("<status>");
            write_text(text, self.out);
            self.raw("</status>");
        }
        self.empty(
            NS_RIGHTS,
            "rights",
            &[("level", rights.level.as_str()), ("rev", &rights.rev)],
        );
        if !rights.names.is_empty() {
            self.reopen();
            for right in &rights.names {
                self.raw("<right name='");
                self.raw(right.as_str());
                self.raw("'/>");
            }
            self.raw("</rights>");
        }
        match availability {
            Availability::Available { idle, caps, .. } => {
                self.stamp(ns::IDLE, "idle", "since", *idle);
                let head = [("hash", "sha-1"), ("node", caps.node), ("ver", caps.ver)];
                self.empty(ns::CAPS, "c", &head);
            }
            Availability::Unavailable { since, .. } => {
                self.stamp(ns::DELAY, "delay", "stamp", *since);
            }
        }
        self.raw("</presence>");
    }

    fn stamp(&mut self, namespace: &str, name: &str, attribute: &str, at: Option<Wall>) {
        if let Some(at) = at {
            self.empty(namespace, name, &[(attribute, &at.to_string())]);
        }
    }

    /// An element of another namespace, without content.
    fn empty(&mut self, namespace: &str, name: &str, attributes: &[(&str, &str)]) {
        self.raw("<");
        self.raw(name);
        self.raw(" xmlns='");
        self.raw(namespace);
        for (name, value) in attributes {
            self.raw("' ");
            self.raw(name);
            self.raw("='");
            write_value(value, self.out);
        }
        self.raw("'/>");
    }

    /// Makes the element without content that was written last one with content.
    fn reopen(&mut self) {
        self.out.truncate(self.out.len() - "/>".len());
        self.raw(">");
    }
}
