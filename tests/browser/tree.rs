//! The tree of a document as lines, to be held against the same document with a harmless text: elements,
//! attributes and text are where they were, and what was said is there as text and as nothing else.

use serde_json::Value;

/// Elements, attributes and texts in order, each with how deep it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree(Vec<Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    depth: usize,
    /// `element NAME`, `attribute NAME`, `text`, `comment` and so on.
    kind: String,
    value: String,
}

impl Tree {
    /// Of what `DOM.getDocument` returns.
    pub(crate) fn of(document: &Value) -> Self {
        let mut nodes = Vec::new();
        collect(document, 0, &mut nodes);
        Self(nodes)
    }

    /// Whether this is `golden`, in which `harmless` was said, with `said` instead: how it differs.
    ///
    /// Numbers may differ (widths, times). Of `said` there may be a beginning, with an ellipsis.
    pub(crate) fn differs(&self, golden: &Self, harmless: &str, said: &str) -> Option<String> {
        if self.0.len() != golden.0.len() {
            return Some(format!(
                "{} nodes instead of {}:\n{}",
                self.0.len(),
                golden.0.len(),
                self.lines()
            ));
        }
        self.0.iter().zip(&golden.0).find_map(|(ours, theirs)| {
            let same = (ours.depth, &ours.kind) == (theirs.depth, &theirs.kind)
                && is_said(&ours.value, &theirs.value, harmless, said);
            (!same).then(|| format!("{ours:?}\ninstead of {theirs:?}\n{}", self.lines()))
        })
    }

    /// How many texts and attributes have this in them.
    pub(crate) fn naming(&self, text: &str) -> usize {
        self.0
            .iter()
            .filter(|node| node.value.contains(text))
            .count()
    }

    /// All its text, in order.
    pub(crate) fn text(&self) -> String {
        let texts = self.0.iter().filter(|node| node.kind == "text");
        texts.map(|node| node.value.as_str()).collect()
    }

    fn lines(&self) -> String {
        let line = |node: &Node| {
            let (indent, Node { kind, value, .. }) = ("  ".repeat(node.depth), node);
            format!("{indent}{kind} {value:?}\n")
        };
        self.0.iter().map(line).collect()
    }
}

fn collect(node: &Value, depth: usize, into: &mut Vec<Node>) {
    let name = node["nodeName"].as_str().unwrap_or_default();
    let value = node["nodeValue"].as_str().unwrap_or_default().to_owned();
    let kind = match node["nodeType"].as_u64() {
        Some(1) => format!("element {name}"),
        Some(3) => "text".to_owned(),
        Some(8) => "comment".to_owned(),
        Some(4) => "section".to_owned(),
        _ => format!("other {name}"),
    };
    into.push(Node { depth, kind, value });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for pair in node["attributes"]
        .as_array()
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .chunks(2)
    {
        into.push(Node {
            depth: depth + 1,
            kind: format!("attribute {}", text(pair[0])),
            value: pair.get(1).map(|value| text(value)).unwrap_or_default(),
        });
    }
    for inside in ["contentDocument", "templateContent"] {
        if node[inside].is_object() {
            collect(&node[inside], depth + 1, into);
        }
    }
    for inside in ["children", "shadowRoots", "pseudoElements"] {
        for child in node[inside].as_array().into_iter().flatten() {
            collect(child, depth + 1, into);
        }
    }
}

/// Whether `ours` is `golden` with `said` for `harmless`.
fn is_said(ours: &str, golden: &str, harmless: &str, said: &str) -> bool {
    let Some((before, after)) = golden.split_once(harmless) else {
        return without_numbers(ours) == without_numbers(golden);
    };
    // What stands around it may have numbers, as in `since 8:15`, so that has no length of its own.
    let at = |matches: &dyn Fn(usize) -> bool| {
        let places = (0..=ours.len()).filter(|at| ours.is_char_boundary(*at));
        places.filter(|at| matches(*at)).collect::<Vec<_>>()
    };
    let (before, after) = (without_numbers(before), without_numbers(after));
    let begins = at(&|at| without_numbers(&ours[..at]) == before);
    let ends = at(&|at| without_numbers(&ours[at..]) == after);
    let said = squeezed(said);
    let is_it = |middle: &str| {
        let middle = squeezed(middle);
        let cut = middle.trim_end_matches('…');
        middle == said || (cut != middle && !cut.is_empty() && said.starts_with(cut))
    };
    let pairs = begins
        .iter()
        .flat_map(|begin| ends.iter().map(move |end| (*begin, *end)));
    pairs
        .filter(|(begin, end)| begin <= end)
        .any(|(begin, end)| is_it(&ours[begin..end]))
}

/// Without blanks, controls and what only hides: how much of that is shown is not the matter here.
pub(crate) fn squeezed(text: &str) -> String {
    let hides = ['\u{feff}', '\u{202e}', '\u{200b}'];
    text.chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !hides.contains(c))
        .collect()
}

/// What a program has drawn at random counts as a number.
fn without_numbers(text: &str) -> String {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "#".to_owned();
    }
    let mut out = String::new();
    for part in text.split(|c: char| c.is_ascii_digit() || c == '.') {
        if !out.ends_with('#') && !out.is_empty() {
            out.push('#');
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(children: Value) -> Tree {
        let text = |text: &str| json!({ "nodeType": 3, "nodeName": "#text", "nodeValue": text });
        let mut nodes = vec![text("Away, since 8:15: ")];
        nodes.extend(children.as_array().unwrap().iter().cloned());
        Tree::of(&json!({
            "nodeType": 1, "nodeName": "P", "attributes": ["title", "since 8"], "children": nodes,
        }))
    }

    fn said(text: &str) -> Tree {
        page(json!([{ "nodeType": 3, "nodeName": "#text", "nodeValue": text }]))
    }

    #[test]
    fn another_text_is_no_difference_and_an_element_is_one() {
        let golden = said("lunch");
        assert_eq!(said("<b>").differs(&golden, "lunch", "<b>"), None);
        assert_eq!(said("<b…").differs(&golden, "lunch", "<bold>"), None);
        assert!(said("lunch").differs(&golden, "lunch", "<b>").is_some());
        assert!(said("&lt;b>").differs(&golden, "lunch", "<b>").is_some());
        let bold = page(json!([{ "nodeType": 1, "nodeName": "B", "nodeValue": "" }]));
        assert!(bold.differs(&golden, "lunch", "<b>").is_some());
    }

    #[test]
    fn an_attribute_more_is_a_difference() {
        let with = |attributes: Value| {
            Tree::of(&json!({ "nodeType": 1, "nodeName": "P", "attributes": attributes }))
        };
        let golden = with(json!(["width", "12.5"]));
        assert_eq!(with(json!(["width", "7"])).differs(&golden, "x", "y"), None);
        let more = with(json!(["width", "7", "onload", "y"]));
        assert!(more.differs(&golden, "x", "y").is_some());
        let other = with(json!(["onload", "7"]));
        assert!(other.differs(&golden, "x", "y").is_some());
    }
}
