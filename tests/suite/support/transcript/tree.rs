//! XML as a plain tree, for comparing and for printing. It knows no prefixes.

use std::collections::BTreeMap;
use std::fmt;

use minidom::Element;
use minidom::rxml::Namespace;

/// The namespace in which stanzas are written here.
pub(crate) const CLIENT: &str = "jabber:client";

/// One element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) ns: String,
    /// By local name; attributes of the XML namespace as `xml:NAME`, others as `{NAMESPACE}NAME`.
    pub(crate) attrs: BTreeMap<String, String>,
    /// All character data that stands directly in this element.
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

impl Tree {
    /// Reads one element; without a namespace of its own it stands in [`CLIENT`].
    pub(crate) fn parse(xml: &str) -> Result<Self, String> {
        element(xml).map(|element| Self::from(&element))
    }

    pub(crate) fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).map(String::as_str)
    }

    pub(crate) fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    pub(crate) fn child(&self, name: &str, ns: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(name, ns))
    }

    /// Puts the element and what stands in the same namespace below it into another one.
    pub(crate) fn move_namespace(&mut self, from: &str, to: &str) {
        if self.ns == from {
            self.ns = to.to_owned();
            for child in &mut self.children {
                child.move_namespace(from, to);
            }
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, parent: &str) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        if self.ns != parent {
            write!(f, " xmlns='{}'", Escaped(&self.ns))?;
        }
        for (name, value) in &self.attrs {
            write!(f, " {name}='{}'", Escaped(value))?;
        }
        if self.text.is_empty() && self.children.is_empty() {
            return f.write_str("/>");
        }
        write!(f, ">{}", Escaped(&self.text))?;
        for child in &self.children {
            child.write(f, &self.ns)?;
        }
        write!(f, "</{}>", self.name)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, CLIENT)
    }
}

impl From<&Element> for Tree {
    fn from(element: &Element) -> Self {
        Self {
            name: element.name().to_owned(),
            ns: element.ns(),
            attrs: element
                .attrs()
                .iter()
                .map(|((ns, name), value)| (attribute_name(ns, name.as_str()), value.clone()))
                .collect(),
            text: element.text(),
            children: element.children().map(Self::from).collect(),
        }
    }
}

/// Reads one element as the core gets it.
pub(crate) fn element(xml: &str) -> Result<Element, String> {
    let mut rest = xml.as_bytes();
    let element = Element::from_reader_with_prefixes(&mut rest, CLIENT.to_owned())
        .map_err(|error| format!("not XML: {error}"))?;
    if rest.trim_ascii().is_empty() {
        Ok(element)
    } else {
        Err("more than one element".to_owned())
    }
}

fn attribute_name(ns: &Namespace<'_>, name: &str) -> String {
    if ns.is_none() {
        name.to_owned()
    } else if ns == Namespace::xml() {
        format!("xml:{name}")
    } else {
        format!("{{{ns}}}{name}")
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '&' => f.write_str("&amp;")?,
                '\'' => f.write_str("&apos;")?,
                c if c.is_control() => write!(f, "&#{};", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn a_tree_reads_back_what_it_prints() {
        let xml = "<iq id='1' type='get'><query xmlns='a:b' xml:lang='en'>x &lt; &apos;y&apos;\
                   <z/></query></iq>";
        let tree = Tree::parse(xml).expect("it is XML");
        assert_eq!(Tree::parse(&tree.to_string()), Ok(tree));
    }

    #[test]
    fn what_is_not_one_element_is_refused() {
        assert!(Tree::parse("<a/><b/>").is_err());
        assert!(Tree::parse("<a>").is_err());
        assert!(Tree::parse("a").is_err());
    }
}
