//! Whether a stanza is the one that a transcript expects; the rules are in tests/transcripts/README.md.

use super::pattern::{Captures, Pattern};
use super::tree::{CLIENT, Tree};

/// In an expected element: further children, attributes named or not, may stand beside the written ones.
const MORE: &str = "{...}";
const CAPS: &str = "http://jabber.org/protocol/caps";
const FORM: &str = "jabber:x:data";

/// Checks that an expected tree can be read: every placeholder in it exists.
pub(crate) fn check(expected: &Tree) -> Result<(), String> {
    for value in expected.attrs.values() {
        Pattern::parse(value)?;
    }
    Pattern::parse(&text_of(expected).0)?;
    expected.children.iter().try_for_each(check)
}

/// Compares a stanza with what was expected; says what placeholders then stand for, or the first
/// difference.
pub(crate) fn stanza(
    expected: &Tree,
    actual: &Tree,
    captures: &Captures,
) -> Result<Captures, String> {
    let mut actual = actual.clone();
    let named = |name| expected.attrs.contains_key(name);
    if actual.name != "iq" && !named("id") {
        actual.attrs.remove("id");
    }
    if actual.name == "message" && actual.attr("type") == Some("normal") {
        actual.attrs.remove("type");
    }
    if actual.name == "presence" && expected.child("c", CAPS).is_none() {
        actual.children.retain(|child| !child.is("c", CAPS));
    }
    let mut expected = expected.clone();
    if expected.attr("type") == Some("normal") {
        expected.attrs.remove("type");
    }
    element(&expected, &actual, captures)
}

/// Makes a stanza that [`stanza`] takes for the expected one.
pub(crate) fn instance(expected: &Tree, captures: &Captures) -> Tree {
    let mut made = expected.clone();
    fill_in(&mut made, captures);
    made
}

fn fill_in(tree: &mut Tree, captures: &Captures) {
    let value = |text: &str| {
        Pattern::parse(text)
            .ok()
            .and_then(|pattern| pattern.instance(captures))
    };
    tree.attrs = std::mem::take(&mut tree.attrs)
        .into_iter()
        .filter_map(|(name, text)| Some((name, value(&text)?)))
        .collect();
    tree.text = value(&text_of(tree).0).unwrap_or_default();
    for child in &mut tree.children {
        fill_in(child, captures);
    }
}

fn element(expected: &Tree, actual: &Tree, captures: &Captures) -> Result<Captures, String> {
    let name = &expected.name;
    if !actual.is(name, &expected.ns) {
        return Err(format!(
            "<{name} xmlns='{}'> was expected, not <{} xmlns='{}'>",
            expected.ns, actual.name, actual.ns
        ));
    }
    let captures = attributes(expected, actual, captures)?;
    let (text, more) = text_of(expected);
    let captures = if text.is_empty() && (more || actual.text.trim().is_empty()) {
        captures
    } else {
        Pattern::parse(&text)?
            .matches(Some(&actual.text), &captures)
            .ok_or_else(|| {
                format!(
                    "the text of <{name}> does not fit {text:?}: {:?}",
                    actual.text
                )
            })?
    };
    let mut free: Vec<&Tree> = actual
        .children
        .iter()
        .filter(|child| !is_wording(expected, child))
        .collect();
    let wanted: Vec<&Tree> = expected.children.iter().collect();
    children(&wanted, &mut free, more, &captures).map_err(|why| format!("in <{name}>: {why}"))
}

fn attributes(expected: &Tree, actual: &Tree, captures: &Captures) -> Result<Captures, String> {
    let mut captures = captures.clone();
    for (name, text) in &expected.attrs {
        let value = actual.attr(name);
        captures = Pattern::parse(text)?
            .matches(value, &captures)
            .ok_or_else(|| {
                let was = value.map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
                format!("{name} of <{}> does not fit {text:?}: {was}", expected.name)
            })?;
    }
    let loose = |name: &str| {
        name == "xml:lang" || (expected.is("field", FORM) && (name == "type" || name == "label"))
    };
    match actual
        .attrs
        .iter()
        .find(|(name, _)| !expected.attrs.contains_key(*name) && !loose(name))
    {
        Some((name, value)) => Err(format!("<{}> has {name}='{value}'", actual.name)),
        None => Ok(captures),
    }
}

/// Words for people in a form, which no transcript has to write down.
fn is_wording(expected: &Tree, child: &Tree) -> bool {
    let wording = ["title", "instructions", "desc"];
    (expected.is("x", FORM) || expected.is("field", FORM))
        && wording.iter().any(|name| child.is(name, FORM))
        && expected.child(&child.name, FORM).is_none()
}

/// Finds an expected child for each actual one. Order counts among values and among options only.
fn children(
    wanted: &[&Tree],
    free: &mut Vec<&Tree>,
    more: bool,
    captures: &Captures,
) -> Result<Captures, String> {
    let Some((first, rest)) = wanted.split_first() else {
        return match free.first() {
            Some(child) if !more => Err(format!("{child} was not expected")),
            _ => Ok(captures.clone()),
        };
    };
    let ordered = matches!(first.name.as_str(), "value" | "option");
    let mut difference = None;
    for at in 0..free.len() {
        let candidate = free[at];
        if !candidate.is(&first.name, &first.ns) {
            continue;
        }
        let result = element(first, candidate, captures).and_then(|captures| {
            free.remove(at);
            let result = children(rest, free, more, &captures);
            if result.is_err() {
                free.insert(at.min(free.len()), candidate);
            }
            result
        });
        match result {
            Ok(captures) => return Ok(captures),
            Err(why) => difference = difference.or(Some(why)),
        }
        if ordered {
            break;
        }
    }
    Err(difference.unwrap_or_else(|| format!("{first} is missing")))
}

/// The text to be expected, and whether further children may follow. White space between children
/// is layout.
fn text_of(expected: &Tree) -> (String, bool) {
    let more = expected.text.contains(MORE);
    let text = expected.text.replace(MORE, "");
    if more || !expected.children.is_empty() || text.trim().is_empty() {
        (text.trim().to_owned(), more)
    } else {
        (text, more)
    }
}

/// What is left of a stanza without the addresses and the id, to hold two answers against each other.
pub(crate) fn anonymous(stanza: &Tree) -> Tree {
    let mut stanza = stanza.clone();
    for name in ["from", "to", "id"] {
        stanza.attrs.remove(name);
    }
    stanza
}

/// Whether a tree is a stanza at all.
pub(crate) fn is_stanza(tree: &Tree) -> bool {
    ["presence", "message", "iq"]
        .iter()
        .any(|name| tree.is(name, CLIENT))
}

#[cfg(test)]
mod tests {
    use super::{Captures, Tree, stanza};

    fn fits(expected: &str, actual: &str) -> Result<Captures, String> {
        let [expected, actual] = [expected, actual].map(|xml| Tree::parse(xml).expect("XML"));
        stanza(&expected, &actual, &Captures::new())
    }

    #[test]
    fn order_and_ids_of_presence_do_not_count() {
        fits(
            "<presence to='a' from='b'><show>xa</show><status>s</status></presence>",
            "<presence from='b' id='7' to='a' xml:lang='en'><status>s</status><show>xa</show></presence>",
        )
        .expect("they are the same");
    }

    #[test]
    fn what_is_missing_extra_or_different_is_found() {
        for (expected, actual) in [
            ("<iq id='1'/>", "<iq/>"),
            ("<iq/>", "<iq id='1'/>"),
            ("<iq><a/></iq>", "<iq/>"),
            ("<iq/>", "<iq><a/></iq>"),
            ("<iq><a/><a/></iq>", "<iq><a/></iq>"),
            ("<iq><a>x</a></iq>", "<iq><a>y</a></iq>"),
            ("<iq><a>x</a></iq>", "<iq><a>x </a></iq>"),
            ("<iq><a xmlns='b'/></iq>", "<iq><a xmlns='c'/></iq>"),
            (
                "<iq><value>1</value><value>2</value></iq>",
                "<iq><value>2</value><value>1</value></iq>",
            ),
            (
                "<iq><a n='{x}'/><b n='{x}'/></iq>",
                "<iq><a n='1'/><b n='2'/></iq>",
            ),
        ] {
            assert!(fits(expected, actual).is_err(), "{expected} {actual}");
        }
    }

    #[test]
    fn further_children_are_taken_where_said() {
        fits("<iq><a/>{...}</iq>", "<iq><b/><a/><c>d</c></iq>").expect("more is allowed");
        assert!(fits("<iq><a/>{...}</iq>", "<iq><b/></iq>").is_err());
    }

    #[test]
    fn children_are_matched_with_going_back() {
        let captures = fits(
            "<iq><a n='{x}'/><a n='2'/><b n='{x}'/></iq>",
            "<iq><a n='2'/><a n='1'/><b n='1'/></iq>",
        )
        .expect("one assignment fits");
        assert_eq!(captures.get("x").map(String::as_str), Some("1"));
    }
}
