//! Any tree is refused or comes back from the strict parser as it was.

use crate::address::ComponentDomain;
use crate::link::characters::all_legal;
use crate::link::parse::{CLIENT, Parser};
use crate::link::seal::{Reach, seal};
use crate::stanza::size::written_bytes;
use minidom::rxml::{AttrMap, Namespace, NcName, XMLNS_XML, XMLNS_XMLNS, xml_ncname};
use minidom::{Element, Node};
use proptest::prelude::*;
use xmpp_parsers::ns;

/// As it must come back: what may not be written replaced, one text where there were several.
fn expected(element: &Element) -> Element {
    let legal = |text: &str| {
        let replace = |c: char| {
            let legal = all_legal(c.encode_utf8(&mut [0; 4]));
            if legal { c } else { '\u{FFFD}' }
        };
        text.chars().map(replace).collect::<String>()
    };
    let mut new = Element::bare(element.name(), element.ns());
    for ((namespace, name), value) in element.attrs() {
        new.attrs_mut().insert(
            namespace.clone(),
            name.clone(),
            legal(value).replace('\r', "\n"),
        );
    }
    for node in element.nodes() {
        match node {
            Node::Text(text) if text.is_empty() => (),
            Node::Text(text) => new.append_text(legal(text)),
            Node::Element(child) => {
                new.append_child(expected(child));
            }
        }
    }
    new
}

fn any_text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        '\0',
        '\u{1}',
        '\t',
        '\n',
        '\r',
        '\u{1F}',
        '\u{7F}',
        '\u{85}',
        '\u{D7FF}',
        '\u{E000}',
        '\u{FFFD}',
        '\u{FFFE}',
        '\u{FFFF}',
        '\u{FEFF}',
        '\u{1FFFE}',
        '\u{10FFFF}',
        '<',
        '>',
        '&',
        '\'',
        '"',
        ']',
        ';',
        '#',
        ' ',
        '/',
    ]);
    prop::collection::vec(prop_oneof![awkward, any::<char>()], 0..12)
        .prop_map(|chars| chars.into_iter().collect())
}

/// Whether a tree has names and namespaces that may not be written, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Legal,
    Any,
}

fn namespaces(names: Names) -> BoxedStrategy<String> {
    let legal = prop::sample::select(vec![CLIENT, "", "u:a", "u:'&<\n", ns::STREAM])
        .prop_map(str::to_owned);
    match names {
        Names::Legal => legal.boxed(),
        Names::Any => prop_oneof![
            16 => legal,
            1 => prop::sample::select(vec![ns::COMPONENT, XMLNS_XML, XMLNS_XMLNS])
                .prop_map(str::to_owned),
            2 => any_text(),
        ]
        .boxed(),
    }
}

fn attributes(names: Names) -> impl Strategy<Value = AttrMap> {
    let mut local = vec!["a", "b", "lang", "a0", "\u{e9}"];
    if names == Names::Any {
        local.push("xmlns");
    }
    let namespace = prop_oneof![
        4 => Just(String::new()),
        1 => Just(XMLNS_XML.to_owned()),
        1 => namespaces(names),
    ];
    let attribute = (namespace, prop::sample::select(local), any_text());
    prop::collection::vec(attribute, 0..4).prop_map(|attributes| {
        let mut map = AttrMap::new();
        for (namespace, name, value) in attributes {
            map.insert(namespace.into(), NcName::try_from(name).unwrap(), value);
        }
        map
    })
}

fn elements(names: Names) -> impl Strategy<Value = Element> {
    let legal =
        prop::sample::select(vec!["a", "message", "priority", "\u{e9}"]).prop_map(str::to_owned);
    let name = match names {
        Names::Legal => legal.boxed(),
        Names::Any => prop_oneof![16 => legal, 1 => any_text()].boxed(),
    };
    let bare = (name, namespaces(names), attributes(names))
        .prop_map(|(name, namespace, attributes)| {
            let mut element = Element::bare(name, namespace);
            *element.attrs_mut() = attributes;
            element
        })
        .boxed();
    bare.clone().prop_recursive(4, 24, 4, move |inner| {
        let node = prop_oneof![
            inner.prop_map(Node::Element),
            any_text().prop_map(Node::Text),
        ];
        (bare.clone(), prop::collection::vec(node, 0..4)).prop_map(|(mut element, nodes)| {
            for node in nodes {
                element.append_node(node);
            }
            element
        })
    })
}

fn stanzas(names: Names) -> impl Strategy<Value = Element> {
    let name = prop::sample::select(vec!["presence", "message", "iq"]);
    (name, elements(names)).prop_map(|(name, content)| {
        let mut stanza = Element::bare(name, CLIENT);
        *stanza.attrs_mut() = content.attrs().clone();
        stanza.set_attr(
            Namespace::NONE,
            xml_ncname!("from").into(),
            "presence.example.org",
        );
        stanza.set_attr(
            Namespace::NONE,
            xml_ncname!("to").into(),
            "bob@remote.example",
        );
        for node in content.nodes() {
            stanza.append_node(node.clone());
        }
        stanza
    })
}

fn sealed(stanza: &Element) -> Option<String> {
    let domain = ComponentDomain::parse("presence.example.org").unwrap();
    let mut out = Vec::new();
    let sealed = seal(stanza, &domain, &Reach::Others, &mut out).is_ok();
    assert!(sealed || out.is_empty());
    sealed.then(|| String::from_utf8(out).unwrap())
}

fn assert_comes_back(stanza: &Element, sealed: &str) {
    let mut wanted = expected(stanza);
    if wanted.name() == "presence" {
        while wanted.remove_child("priority", CLIENT).is_some() {}
    }
    // Removing a child may leave two texts side by side, which are one on the wire.
    let wanted = expected(&wanted);
    let back = Parser::new().element(sealed.as_bytes()).unwrap();
    assert_eq!(back, wanted, "{sealed}");
    // Nothing in a value can look like a declaration, because quotes are escaped.
    let tag = sealed.split('>').next().unwrap();
    assert!(!tag.contains(" xmlns='"), "{tag}");
}

/// Whether a tree has no attributes in namespaces, which are counted too high, and nothing that is left
/// out on the way.
fn in_one_piece(element: &Element) -> bool {
    element
        .attrs()
        .iter()
        .all(|((namespace, _), _)| namespace.is_none())
        && element.nodes().all(|node| match node {
            Node::Text(text) => !text.is_empty(),
            Node::Element(child) => !child.is("priority", CLIENT) && in_one_piece(child),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text_goes_out_and_comes_back(stanza in stanzas(Names::Legal)) {
        let sealed = sealed(&stanza).expect("small, and all names are legal");
        assert_comes_back(&stanza, &sealed);
    }

    #[test]
    fn what_the_core_counts_is_what_is_written(stanza in stanzas(Names::Legal)) {
        let sealed = sealed(&stanza).expect("small, and all names are legal");
        let counted = written_bytes(&stanza, CLIENT);
        if in_one_piece(&stanza) {
            prop_assert_eq!(counted, sealed.len(), "{}", sealed);
        }
        prop_assert!(counted >= sealed.len(), "{}", sealed);
    }

    #[test]
    fn any_tree_is_refused_or_comes_back(stanza in stanzas(Names::Any)) {
        if let Some(sealed) = sealed(&stanza) {
            assert_comes_back(&stanza, &sealed);
        }
    }

    #[test]
    fn any_resource_is_refused_or_comes_back(resource in any_text()) {
        let to = format!("bob@remote.example/{resource}");
        let stanza = Element::builder("message", CLIENT)
            .attr(xml_ncname!("from").into(), "presence.example.org")
            .attr(xml_ncname!("to").into(), to.as_str())
            .build();
        if let Some(sealed) = sealed(&stanza) {
            let back = Parser::new().element(sealed.as_bytes()).unwrap();
            prop_assert_eq!(back.attr(xml_ncname!("to")), Some(to.as_str()));
        }
    }
}
