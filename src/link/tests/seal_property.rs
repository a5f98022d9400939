//! Any tree is refused or comes back from the strict parser as it was.

use crate::address::ComponentDomain;
use crate::link::characters::all_legal;
use crate::link::parse::{CLIENT, Parser};
use crate::link::seal::seal;
use minidom::rxml::{AttrMap, Namespace, NcName, XMLNS_XML, xml_ncname};
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
        new.attrs_mut()
            .insert(namespace.clone(), name.clone(), legal(value));
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

fn any_namespace() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![CLIENT, "", "u:a", "u:'&<\n", ns::STREAM, ns::COMPONENT])
            .prop_map(str::to_owned),
        1 => any_text(),
    ]
}

fn any_attributes() -> impl Strategy<Value = AttrMap> {
    let name = prop::sample::select(vec!["a", "b", "lang", "xmlns", "a0", "\u{e9}"]);
    let namespace = prop_oneof![
        4 => Just(String::new()),
        1 => Just(XMLNS_XML.to_owned()),
        1 => any_namespace(),
    ];
    prop::collection::vec((namespace, name, any_text()), 0..4).prop_map(|attributes| {
        let mut map = AttrMap::new();
        for (namespace, name, value) in attributes {
            map.insert(namespace.into(), NcName::try_from(name).unwrap(), value);
        }
        map
    })
}

fn any_element() -> impl Strategy<Value = Element> {
    let name = prop_oneof![
        8 => prop::sample::select(vec!["a", "message", "priority", "\u{e9}"]).prop_map(str::to_owned),
        1 => any_text(),
    ];
    let bare =
        (name, any_namespace(), any_attributes()).prop_map(|(name, namespace, attributes)| {
            let mut element = Element::bare(name, namespace);
            *element.attrs_mut() = attributes;
            element
        });
    let bare = bare.boxed();
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_tree_is_refused_or_comes_back(
        name in prop::sample::select(vec!["presence", "message", "iq"]),
        content in any_element(),
        resource in any_text(),
    ) {
        let mut stanza = Element::bare(name, CLIENT);
        *stanza.attrs_mut() = content.attrs().clone();
        stanza.set_attr(Namespace::NONE, xml_ncname!("from").into(), "presence.example.org");
        let to = format!("bob@remote.example/{resource}");
        stanza.set_attr(Namespace::NONE, xml_ncname!("to").into(), to.as_str());
        for node in content.nodes() {
            stanza.append_node(node.clone());
        }
        let domain = ComponentDomain::parse("presence.example.org").unwrap();
        let mut out = Vec::new();
        if seal(&stanza, &domain, &mut out).is_ok() {
            let back = Parser::new().element(&out).unwrap();
            prop_assert_eq!(back.attr(xml_ncname!("to")), Some(to.as_str()));
            let mut expected = expected(&stanza);
            if name == "presence" {
                while expected.remove_child("priority", CLIENT).is_some() {}
            }
            // Removing a child may leave two texts side by side, which are one on the wire.
            prop_assert_eq!(back, self::expected(&expected));
            let text = String::from_utf8(out).unwrap();
            let tag = text.split('>').next().unwrap();
            prop_assert!(!tag.contains("xmlns='jabber:client'"), "{}", tag);
        } else {
            prop_assert!(out.is_empty());
        }
    }
}
