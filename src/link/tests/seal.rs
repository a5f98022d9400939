//! What leaves the link, and what does not.

use crate::address::ComponentDomain;
use crate::link::limits::{DEPTH, ID_BYTES, STANZA_BYTES};
use crate::link::parse::{CLIENT, Parser};
use crate::link::seal::{Reach, Unsealed, seal};
use minidom::rxml::{Namespace, XMLNS_XML, XMLNS_XMLNS, xml_ncname};
use minidom::{Element, Node};
use xmpp_parsers::ns;

fn domain() -> ComponentDomain {
    ComponentDomain::parse("presence.example.org").unwrap()
}

fn element(xml: &str) -> Element {
    xml.parse().expect(xml)
}

fn sealed(stanza: &Element) -> Result<String, Unsealed> {
    let mut out = b"before".to_vec();
    let result = seal(stanza, &domain(), &Reach::Others, &mut out);
    let out = String::from_utf8(out).unwrap();
    let sealed = out.strip_prefix("before").expect("only appended to");
    assert_eq!(result.is_err(), sealed.is_empty(), "{result:?}: {sealed}");
    result.map(|()| sealed.to_owned())
}

fn sealed_with(from: &str, to: &str) -> Result<String, Unsealed> {
    let mut stanza = Element::bare("message", CLIENT);
    stanza.set_attr(Namespace::NONE, xml_ncname!("from").into(), from);
    stanza.set_attr(Namespace::NONE, xml_ncname!("to").into(), to);
    sealed(&stanza)
}

const OURS: &str = "presence.example.org/vestibule";
const THEIRS: &str = "bob@remote.example/phone";

#[test]
fn a_stanza_stands_in_the_namespace_of_the_stream() {
    let stanza = element(
        "<presence xmlns='jabber:client' from='a\\40b@presence.example.org/x' to='bob@remote.example'>\
         <show>away</show><priority>0</priority><status xml:lang='en'>&lt;\u{e9}&gt;</status>\
         <c xmlns='http://jabber.org/protocol/caps' ver='x'/></presence>",
    );
    assert_eq!(
        sealed(&stanza).unwrap(),
        "<presence from='a\\40b@presence.example.org/x' to='bob@remote.example'>\
         <show>away</show><status xml:lang='en'>&lt;\u{e9}&gt;</status>\
         <c xmlns='http://jabber.org/protocol/caps' ver='x'/></presence>"
    );
}

#[test]
fn only_what_is_carried_inside_other_namespaces_says_jabber_client() {
    let stanza = element(
        "<message xmlns='jabber:client' from='presence.example.org' to='a@b.example'>\
         <forwarded xmlns='urn:xmpp:forward:0'><presence xmlns='jabber:client'>\
         <priority>1</priority></presence></forwarded><none xmlns=''/></message>",
    );
    assert_eq!(
        sealed(&stanza).unwrap(),
        "<message from='presence.example.org' to='a@b.example'>\
         <forwarded xmlns='urn:xmpp:forward:0'><presence xmlns='jabber:client'>\
         <priority>1</priority></presence></forwarded><none xmlns=''/></message>"
    );
}

#[test]
fn a_prefixed_attribute_gets_a_prefix_of_its_own() {
    let stanza = element(
        "<iq xmlns='jabber:client' from='presence.example.org' to='a@b.example' type='get'>\
         <q xmlns='u:q' xmlns:p='u:p' p:a='1' a='2' xml:a='3'/></iq>",
    );
    let text = sealed(&stanza).unwrap();
    assert_eq!(
        Parser::new().element(text.as_bytes()).unwrap(),
        stanza,
        "{text}"
    );
}

#[test]
fn the_sender_is_ours_as_written() {
    for from in [
        "presence.example.org",
        OURS,
        "alice\\40example.org@presence.example.org",
        "a@presence.example.org/b@c/d",
    ] {
        assert!(sealed_with(from, THEIRS).is_ok(), "{from}");
    }
    for from in [
        "",
        "example.org",
        "sub.presence.example.org",
        "a@sub.presence.example.org",
        "PRESENCE.example.org",
        "presence.example.org.",
        "evil@example.org/presence.example.org",
        "presence.example.org@example.org",
        "example.org/a@presence.example.org",
        "@presence.example.org",
        "a b@presence.example.org",
        "a@b@presence.example.org",
        "presence.example.org/",
        "presence.example.org/\u{1}",
        "presence.example.org/\u{1F600}",
    ] {
        assert_eq!(sealed_with(from, THEIRS), Err(Unsealed::From), "{from}");
    }
}

#[test]
fn an_answer_comes_from_the_resource_that_was_asked() {
    let answer = |type_: &str, from: &str| {
        let mut stanza = Element::bare("iq", CLIENT);
        for (name, value) in [("from", from), ("to", THEIRS), ("type", type_)] {
            let name = name.to_owned().try_into().unwrap();
            stanza.set_attr(Namespace::NONE, name, value);
        }
        sealed(&stanza)
    };
    for from in [
        "presence.example.org/\u{1F600}",
        "a@presence.example.org/\u{ad}",
    ] {
        assert!(answer("result", from).is_ok(), "{from}");
        assert!(answer("error", from).is_ok(), "{from}");
        assert!(answer("unavailable", from).is_ok(), "{from}");
        assert_eq!(answer("get", from), Err(Unsealed::From), "{from}");
    }
    for from in [
        "presence.example.org/",
        "presence.example.org/\u{1}",
        "PRESENCE.example.org",
        "@presence.example.org/x",
        "example.org/\u{1F600}",
    ] {
        assert_eq!(answer("result", from), Err(Unsealed::From), "{from}");
    }
}

#[test]
fn the_addressee_is_somebody() {
    for to in ["remote.example", THEIRS, "bob@remote.example/\u{1F600}"] {
        assert!(sealed_with(OURS, to).is_ok(), "{to}");
    }
    for to in [
        "",
        "a@b@c d",
        "@remote.example",
        "bob@remote.example/",
        "bob@r.example/\u{FFFE}",
    ] {
        assert_eq!(sealed_with(OURS, to), Err(Unsealed::To), "{to}");
    }
    let without = |text: &str| sealed(&element(text));
    assert_eq!(
        without("<iq xmlns='jabber:client' from='presence.example.org'/>"),
        Err(Unsealed::To)
    );
    assert_eq!(
        without("<iq xmlns='jabber:client' to='a@b.example'/>"),
        Err(Unsealed::From)
    );
}

#[test]
fn only_the_three_stanzas_leave() {
    for (name, namespace) in [
        ("handshake", CLIENT),
        ("error", ns::STREAM),
        ("message", ns::COMPONENT),
        ("message", "jabber:server"),
        ("Message", CLIENT),
    ] {
        let stanza = Element::bare(name, namespace);
        assert_eq!(
            sealed(&stanza),
            Err(Unsealed::NotAStanza),
            "{name} {namespace}"
        );
    }
}

fn containing(child: impl Into<Node>) -> Element {
    let mut stanza =
        element("<message xmlns='jabber:client' from='presence.example.org' to='a@b.example'/>");
    stanza.append_node(child.into());
    stanza
}

#[test]
fn what_would_change_the_meaning_of_a_tag_is_refused() {
    for name in ["", "a b", "a>", "a/", "a:b", "1a", "a='b'", "\u{1}"] {
        let stanza = containing(Element::bare(name, "u:x"));
        assert_eq!(sealed(&stanza), Err(Unsealed::Name), "{name}");
    }
    for namespace in [ns::COMPONENT, XMLNS_XML, XMLNS_XMLNS, "u:\u{1}"] {
        let stanza = containing(Element::bare("a", namespace));
        assert_eq!(sealed(&stanza), Err(Unsealed::Namespace), "{namespace}");
    }
    let declaring = Element::builder("a", "u:x").attr(xml_ncname!("xmlns").into(), "jabber:client");
    assert_eq!(sealed(&containing(declaring.build())), Err(Unsealed::Name));
}

#[test]
fn a_stanza_has_a_size_and_a_depth() {
    let frame = sealed(&containing(Node::Text(String::new())))
        .unwrap()
        .len();
    let fits = "x".repeat(STANZA_BYTES - frame);
    assert_eq!(
        sealed(&containing(Node::Text(fits.clone()))).unwrap().len(),
        STANZA_BYTES
    );
    let over = containing(Node::Text(fits + "x"));
    assert_eq!(sealed(&over), Err(Unsealed::TooLarge));
    // Escaped it is longer.
    let over = containing(Node::Text("'".repeat(STANZA_BYTES / 5)));
    assert_eq!(sealed(&over), Err(Unsealed::TooLarge));

    let nested = |depth| {
        (1..depth).fold(Element::bare("x", "u"), |inner, _| {
            Element::builder("x", "u").append(inner).build()
        })
    };
    assert!(sealed(&containing(nested(DEPTH - 1))).is_ok());
    assert_eq!(sealed(&containing(nested(DEPTH))), Err(Unsealed::TooDeep));
}

#[test]
fn an_id_of_ours_is_short_and_one_of_theirs_is_answered() {
    let with = |type_: &str, n| {
        let mut iq = Element::builder("iq", CLIENT)
            .attr(xml_ncname!("from").into(), OURS)
            .attr(xml_ncname!("to").into(), THEIRS);
        iq = iq.attr(xml_ncname!("type").into(), type_);
        sealed(&iq.attr(xml_ncname!("id").into(), "i".repeat(n)).build())
    };
    assert!(with("get", ID_BYTES).is_ok());
    assert_eq!(with("set", ID_BYTES + 1), Err(Unsealed::Id));
    assert!(with("result", 4_000).is_ok());
    assert!(with("error", 4_000).is_ok());
}

#[test]
fn what_is_for_a_partner_does_not_go_to_the_server() {
    for to in [
        "acme.presence.example.org",
        "bot@acme.presence.example.org/x",
        "BOT@ACME.presence.example.org.",
        "x@eu.acme.presence.example.org",
    ] {
        assert_eq!(sealed_with(OURS, to), Err(Unsealed::Elsewhere), "{to}");
    }
    for to in [
        "evilpresence.example.org",
        "presence.example.org.evil.example",
        "example.org",
    ] {
        assert!(sealed_with(OURS, to).is_ok(), "{to}");
    }
}
