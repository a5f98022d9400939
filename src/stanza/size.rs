//! How many bytes an element takes on the wire, for stanzas that are filled up to a bound.
//!
//! The link writes stanzas; a property test there holds this against what it writes.

use minidom::{Element, Node};

/// The bytes of an element inside an element of the namespace `default`. Exact, but for attributes with
/// a namespace of their own: those are counted too high rather than too low.
#[must_use]
pub fn written_bytes(element: &Element, default: &str) -> usize {
    let name = element.name().len();
    let own = element.ns();
    let declared = if own == default {
        0
    } else {
        " xmlns=''".len() + value_bytes(&own)
    };
    let attributes: usize = element
        .attrs()
        .iter()
        .map(|((namespace, name), value)| {
            let prefixed = if namespace.is_none() {
                0
            } else {
                " xmlns:a0000='' a0000:".len() + value_bytes(namespace)
            };
            prefixed + " =''".len() + name.as_str().len() + value_bytes(value)
        })
        .sum();
    let content: usize = element
        .nodes()
        .map(|node| match node {
            Node::Element(child) => written_bytes(child, &own),
            Node::Text(text) => text_bytes(text),
        })
        .sum();
    let tags = if element.nodes().next().is_none() {
        "</>".len() + name
    } else {
        "<></>".len() + 2 * name
    };
    tags + declared + attributes + content
}

/// The bytes of a text as content.
fn text_bytes(text: &str) -> usize {
    bytes(text, |c| match c {
        '\r' => Some("&#13;".len()),
        '\t' | '\n' => Some(1),
        _ => None,
    })
}

/// The bytes of a text as the value of an attribute.
#[must_use]
pub fn value_bytes(text: &str) -> usize {
    bytes(text, |c| match c {
        '\t' => Some("&#9;".len()),
        '\n' => Some("&#10;".len()),
        '\r' => Some("&#13;".len()),
        _ => None,
    })
}

fn bytes(text: &str, white: impl Fn(char) -> Option<usize>) -> usize {
    text.chars()
        .map(|c| match c {
            '<' | '>' => "&lt;".len(),
            '&' => "&amp;".len(),
            '\'' | '"' => "&quot;".len(),
            // What XML forbids is replaced by U+FFFD.
            c => white(c).unwrap_or_else(|| if c < ' ' { 3 } else { c.len_utf8() }),
        })
        .sum()
}
