//! Short ways to write elements down.

use minidom::Element;
use minidom::rxml::{Namespace, NcName};
use xmpp_parsers::ns;

/// An element with attributes that are names and values as they stand.
///
/// # Panics
/// Never for attribute names that are XML names; ours are constants.
#[must_use]
pub fn element(name: &str, namespace: &str, attributes: &[(&'static str, &str)]) -> Element {
    let mut element = Element::bare(name, namespace);
    for (name, value) in attributes {
        let name = NcName::try_from(*name).expect("attribute names of ours are XML names");
        // `set_attr` would look for it first, which costs as much again.
        let attributes = element.attrs_mut();
        attributes.insert(Namespace::NONE, name, (*value).to_owned());
    }
    element
}

/// Chaining for elements.
pub trait Compose: Sized {
    /// Adds a child.
    #[must_use]
    fn with(self, child: Element) -> Self;
    /// Adds a child where there is one.
    #[must_use]
    fn with_some(self, child: Option<Element>) -> Self;
    /// Adds a child of the stanza namespace that holds only text.
    #[must_use]
    fn with_text(self, name: &str, text: &str) -> Self;
    /// Sets an attribute where there is a value.
    #[must_use]
    fn attribute(self, name: &'static str, value: Option<&str>) -> Self;
}

impl Compose for Element {
    fn with(mut self, child: Element) -> Self {
        self.append_child(child);
        self
    }

    fn with_some(self, child: Option<Element>) -> Self {
        match child {
            Some(child) => self.with(child),
            None => self,
        }
    }

    fn with_text(self, name: &str, text: &str) -> Self {
        let mut child = Self::bare(name, ns::JABBER_CLIENT);
        child.append_text_node(text);
        self.with(child)
    }

    fn attribute(mut self, name: &'static str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let name = NcName::try_from(name).expect("attribute names of ours are XML names");
            self.set_attr(Namespace::NONE, name, value);
        }
        self
    }
}
