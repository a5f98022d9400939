//! What each strange thing from the server costs: nothing, itself, or the stream.

use super::script::play_after_handshake;
use crate::link::{Error, Stage};
use crate::stanza::{Arrival, Fault};
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

const AFTER: &str = "<message from='a@b.example' to='presence.example.org' id='after'/>";

/// The one arrival before [`AFTER`], which must follow.
async fn arrival(xml: &str) -> Arrival {
    let mut outcome = play_after_handshake(format!("{xml}{AFTER}").as_bytes()).await;
    let last = outcome.arrivals.pop();
    let Some(Arrival::Stanza(after)) = &last else {
        panic!("{xml} cost the stream: {:?}", outcome.end);
    };
    assert_eq!(after.attr(xml_ncname!("id")), Some("after"));
    assert!(matches!(
        outcome.end,
        Error::Closed {
            stage: Stage::Stanzas
        }
    ));
    assert_eq!(outcome.arrivals.len(), 1, "{xml}");
    outcome.arrivals.remove(0)
}

async fn stanza(xml: &str) -> Element {
    match arrival(xml).await {
        Arrival::Stanza(element) => element,
        refused => panic!("{xml}: {refused:?}"),
    }
}

#[tokio::test]
async fn what_only_a_type_can_refuse_is_a_stanza() {
    for xml in [
        "<presence from='a@b.example/c' to='presence.example.org' type='bogus'/>",
        "<presence><show>online</show></presence>",
        "<presence><show/></presence>",
        "<presence><show>away</show><show>dnd</show></presence>",
        "<presence><priority>300</priority><priority> 5 </priority><priority/></presence>",
        "<presence>text</presence>",
        "<presence from='a@@b'/>",
        "<presence from=''/>",
        "<presence from='@b.c'/>",
        "<presence from='a b@c'/>",
        "<presence from='a@b.example/\u{1F600}'/>",
        "<presence from='ALICE\\5C40localhost@Presence.Example.ORG'/>",
        "<presence/>",
        "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq id='1' type='bogus'/>",
        "<iq id='1' type='get'/>",
        "<iq id='1' type='get'><a xmlns='u:a'/><b xmlns='u:b'/></iq>",
        "<iq id='1' type='error'/>",
        "<iq id='1' type='error'><error code='404'/></iq>",
        "<iq id='1' type='error'><error type='x'><y xmlns='urn:z'/></error></iq>",
        "<message type='xyz' unknown='1'><body>a</body><body>b</body></message>",
        "<presence xml:lang='not a language'><status xml:lang='en'/><status xml:lang='en'/></presence>",
        "<presence><r xmlns='urn:xmpp:sm:3'/><stream:error/></presence>",
        "<message\n\t from = \"a'b\" \r\n to='c>d/>'  ></message\t>",
        "<message><body>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;]] ></body></message>",
    ] {
        let element = stanza(xml).await;
        assert!(element.has_ns(ns::JABBER_CLIENT), "{xml}");
    }
}

#[tokio::test]
async fn both_content_namespaces_are_taken_as_one() {
    let plain = stanza("<presence id='1'><show>away</show><c xmlns='u:c'/></presence>").await;
    for namespace in [ns::JABBER_CLIENT, ns::COMPONENT] {
        let xml = format!(
            "<presence id='1' xmlns='{namespace}'><show>away</show><c xmlns='u:c'/></presence>"
        );
        assert_eq!(stanza(&xml).await, plain);
        let xml = format!(
            "<p:presence id='1' xmlns:p='{namespace}'><p:show>away</p:show><c xmlns='u:c'/></p:presence>"
        );
        assert_eq!(stanza(&xml).await, plain);
    }
}

#[tokio::test]
async fn long_values_and_texts_are_kept_whole() {
    let value = "x".repeat(9_000);
    let element = stanza(&format!("<message id='{value}'/>")).await;
    assert_eq!(element.attr(xml_ncname!("id")), Some(value.as_str()));
    let text = "&amp;\u{e9}".repeat(8_000);
    let element = stanza(&format!("<message><body>{text}</body></message>")).await;
    let body = element.get_child("body", ns::JABBER_CLIENT).unwrap();
    assert_eq!(body.text(), "&\u{e9}".repeat(8_000));
    assert_eq!(body.nodes().count(), 1);
}

#[tokio::test]
async fn ends_of_lines_are_taken_as_xml_has_them() {
    let element =
        stanza("<presence a='1\rx\r\r\n\r' b=\"\r\u{e9}\"\r><c>\r\r\nx\r</c></presence>").await;
    assert_eq!(element.attr(xml_ncname!("a")), Some("1 x   "));
    assert_eq!(element.attr(xml_ncname!("b")), Some(" \u{e9}"));
    let text = element.get_child("c", ns::JABBER_CLIENT).unwrap().text();
    assert_eq!(text, "\n\nx\n");
}

#[tokio::test]
async fn a_refused_element_costs_only_itself() {
    let many = |n: usize, part: fn(usize) -> String| (0..n).map(part).collect::<String>();
    let attributes = |n| many(n, |i| format!(" a{i}='{i}'"));
    let declarations = |n| many(n, |i| format!(" xmlns:p{i}='u:{i}'"));
    let table = [
        (
            format!("<iq id='1'{}/>", attributes(64)),
            Fault::TooManyAttributes,
        ),
        (
            format!("<iq id='1'><a{}/></iq>", attributes(65)),
            Fault::TooManyAttributes,
        ),
        (
            format!("<iq id='1'{}/>", declarations(33)),
            Fault::TooManyAttributes,
        ),
        (
            format!("<iq id='1'>{}{}</iq>", "<a>".repeat(32), "</a>".repeat(32)),
            Fault::TooDeep,
        ),
        (
            format!("<iq id='1'>{}</iq>", "<a/>".repeat(1_025)),
            Fault::TooManyChildren,
        ),
        (
            format!("<iq id='1'><a>{}</a></iq>", "<b/>".repeat(1_025)),
            Fault::TooManyChildren,
        ),
        (
            format!("<iq id='1'>{}</iq>", "x".repeat(200_000)),
            Fault::TooLarge,
        ),
        (
            format!("<iq id='1'><a b='{}'/></iq>", "x".repeat(70_000)),
            Fault::TooLarge,
        ),
        // The first fault counts, whatever follows.
        (
            format!(
                "<iq id='1'>{}{}</iq>",
                "<a/>".repeat(1_025),
                "x".repeat(200_000)
            ),
            Fault::TooManyChildren,
        ),
        (
            "<r xmlns='urn:xmpp:sm:3' id='1'/>".into(),
            Fault::NotAStanza,
        ),
        (
            "<stream:features id='1'><x xmlns='u:x'/></stream:features>".into(),
            Fault::NotAStanza,
        ),
        ("<handshake id='1'/>".into(), Fault::NotAStanza),
        ("<Presence id='1'/>".into(), Fault::NotAStanza),
        (
            "<presence id='1' xmlns='jabber:server'/>".into(),
            Fault::NotAStanza,
        ),
        ("<presence id='1' xmlns=''/>".into(), Fault::NotAStanza),
    ];
    for (xml, fault) in table {
        let Arrival::Refused(refused) = arrival(&xml).await else {
            panic!("taken: {xml}");
        };
        assert_eq!(refused.fault, fault, "{xml}");
        let head = refused.head.expect("small enough");
        assert_eq!(head.attr(xml_ncname!("id")), Some("1"));
        assert_eq!(head.nodes().count(), 0);
        assert_eq!(head.is("iq", ns::JABBER_CLIENT), fault != Fault::NotAStanza);
    }
}

#[tokio::test]
async fn what_is_just_within_the_limits_is_a_stanza() {
    let many = |n: usize, part: fn(usize) -> String| (0..n).map(part).collect::<String>();
    let attributes = many(64, |i| format!(" a{i}='{i}'"));
    let declarations = many(32, |i| format!(" xmlns:p{i}='u:{i}'"));
    stanza(&format!("<iq{attributes}{declarations}/>")).await;
    stanza(&format!(
        "<iq>{}{}</iq>",
        "<a>".repeat(31),
        "</a>".repeat(31)
    ))
    .await;
    stanza(&format!("<iq>{}</iq>", "<a/>".repeat(1_024))).await;
    let frame = "<iq></iq>".len();
    stanza(&format!("<iq>{}</iq>", "x".repeat(64 * 1024 - frame))).await;
    let over = arrival(&format!("<iq>{}</iq>", "x".repeat(64 * 1024 - frame + 1))).await;
    assert!(matches!(over, Arrival::Refused(refused) if refused.fault == Fault::TooLarge));
}

#[tokio::test]
async fn a_start_tag_over_the_size_limit_leaves_no_head() {
    let Arrival::Refused(refused) = arrival(&format!("<iq id='{}'/>", "x".repeat(70_000))).await
    else {
        panic!("taken");
    };
    assert_eq!((refused.head, refused.fault), (None, Fault::TooLarge));
}

#[tokio::test]
async fn what_is_no_xmpp_ends_the_stream_with_the_reason() {
    let table: [(&[u8], &str); 30] = [
        (b"<presence><a></b></presence>", "not-well-formed"),
        (b"<presence></message>", "not-well-formed"),
        (b"</presence>", "not-well-formed"),
        (b"</stream:Stream>", "not-well-formed"),
        (b"<presence>&nbsp;</presence>", "restricted-xml"),
        (b"<presence a='&nbsp;'/>", "restricted-xml"),
        (b"<presence><!-- --></presence>", "restricted-xml"),
        (b"<!-- -->", "restricted-xml"),
        (b"<?xml version='1.0'?>", "restricted-xml"),
        (b"<presence><?php?></presence>", "restricted-xml"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"),
        (b"<presence><![CDATA[a]]></presence>", "restricted-xml"),
        (b"<presence><p:a/></presence>", "not-well-formed"),
        (b"<presence p:a='b'/>", "not-well-formed"),
        (b"<presence a='b' a='c'/>", "not-well-formed"),
        (
            b"<presence xmlns='jabber:client' xmlns='jabber:client'/>",
            "not-well-formed",
        ),
        (
            b"<presence xmlns:p='u' xmlns:q='u' p:a='b' q:a='c'/>",
            "not-well-formed",
        ),
        (b"<presence xmlns:p=''/>", "not-well-formed"),
        (b"<presence xmlns:xml='u:x'/>", "not-well-formed"),
        (b"<presence a=b/>", "not-well-formed"),
        (b"<presence a='b'c='d'/>", "not-well-formed"),
        (b"<presence a='<'/>", "not-well-formed"),
        (b"<1presence/>", "not-well-formed"),
        (b"<presence>]]></presence>", "not-well-formed"),
        (b"<presence>&#0;</presence>", "not-well-formed"),
        (b"<presence>\0</presence>", "not-well-formed"),
        (b"<presence>\xEF\xBF\xBE</presence>", "not-well-formed"),
        (b"<presence>\xC0\xAF</presence>", "not-well-formed"),
        (b"<presence>\xF0\x28\x8C\x28</presence>", "not-well-formed"),
        (b"text", "bad-format"),
    ];
    for (bytes, condition) in table {
        let shown = String::from_utf8_lossy(bytes);
        let whole = [b"<iq id='before'/>", bytes, AFTER.as_bytes()].concat();
        let outcome = play_after_handshake(&whole).await;
        assert_eq!(outcome.arrivals.len(), 1, "{shown}");
        let Error::Malformed {
            condition: told, ..
        } = outcome.end
        else {
            panic!("{shown}: {}", outcome.end);
        };
        assert_eq!(told, condition, "{shown}");
        let parting = format!(
            "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
             </stream:stream>"
        );
        assert!(
            outcome.written.ends_with(&parting),
            "{shown}: {}",
            outcome.written
        );
    }
}

#[tokio::test]
async fn what_is_skipped_must_still_be_xml() {
    let over = "<a/>".repeat(1_025);
    let table: [(&[u8], &str); 8] = [
        (b"</presence>", "not-well-formed"),
        (b"<b></c></iq>", "not-well-formed"),
        (b"<!-- --></iq>", "restricted-xml"),
        (b"&nbsp;</iq>", "restricted-xml"),
        (b"&#xFFFF;</iq>", "not-well-formed"),
        (b"\x01</iq>", "not-well-formed"),
        (b"\xC0\xAF</iq>", "not-well-formed"),
        (b"<a b='\xED\xA0\x80'/></iq>", "not-well-formed"),
    ];
    for (bytes, condition) in table {
        let skipped = [b"<iq>", over.as_bytes(), bytes].concat();
        let outcome = play_after_handshake(&skipped).await;
        let shown = String::from_utf8_lossy(bytes);
        assert!(outcome.arrivals.is_empty(), "{shown}");
        assert!(
            matches!(outcome.end, Error::Malformed { condition: told, .. } if told == condition),
            "{shown}: {}",
            outcome.end
        );
    }
    // Also what came before it was clear that the stanza would be skipped.
    let outcome =
        play_after_handshake(&[b"<iq>\xC0\xAF", over.as_bytes(), b"</iq>"].concat()).await;
    assert!(matches!(outcome.end, Error::Malformed { .. }));
}

#[tokio::test]
async fn a_stream_error_is_told_with_its_condition() {
    let table = [
        (
            "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            "the server ended the stream (system-shutdown)",
        ),
        (
            "<stream:error><invalid-from xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not\nyours</text></stream:error>",
            "the server ended the stream (invalid-from, \"not yours\")",
        ),
        (
            "<stream:error><own xmlns='u:own'/><new-one xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error>",
            "the server ended the stream (new-one)",
        ),
        (
            "<stream:error/>",
            "the server ended the stream (undefined-condition)",
        ),
        (
            "<error xmlns='http://etherx.jabber.org/streams'>x</error>",
            "the server ended the stream (undefined-condition)",
        ),
    ];
    for (xml, line) in table {
        let outcome =
            play_after_handshake(format!("{xml}</stream:stream>{AFTER}").as_bytes()).await;
        assert_eq!(outcome.end.to_string(), line);
        assert!(outcome.arrivals.is_empty());
        assert!(
            outcome.written.ends_with("</handshake></stream:stream>"),
            "{}",
            outcome.written
        );
    }
}

#[tokio::test]
async fn white_space_is_nothing_and_the_end_is_the_end() {
    let outcome =
        play_after_handshake(format!(" \n{AFTER}\r\n\t </stream:stream> {AFTER}").as_bytes()).await;
    assert_eq!(outcome.arrivals.len(), 1);
    assert!(matches!(
        outcome.end,
        Error::Closed {
            stage: Stage::Stanzas
        }
    ));
    assert!(outcome.written.ends_with("</handshake></stream:stream>"));
}
