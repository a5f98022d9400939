//! The quick reader against framer and strict parser: what it takes, they take, with the same tree.

use crate::link::framing::{Frame, Framer};
use crate::link::limits::Limits;
use crate::link::parse::Parser;
use crate::link::plain::read;
use crate::stanza::Arrival;
use minidom::Element;
use proptest::prelude::*;
use std::path::Path;

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Stanzas tried; a million in the long run.
fn cases() -> u32 {
    match std::env::var_os("VESTIBULE_TEST_LONG") {
        Some(value) if value == "1" => 1_000_000,
        _ => 5_000,
    }
}

/// The first stanza and its length, as the strict way reads it; `None` where it is refused.
fn strictly(bytes: &[u8], parser: &mut Parser) -> Option<(usize, Element)> {
    let mut framer = Framer::new(Limits::default());
    for piece in [HEADER, bytes] {
        framer.space()[..piece.len()].copy_from_slice(piece);
        framer.filled(piece.len());
        if piece == HEADER {
            assert!(matches!(framer.next(), Ok(Some(Frame::Header(_)))));
        }
    }
    let Ok(Some(Frame::Element(element))) = framer.next() else {
        return None;
    };
    let len = element.len();
    let parsed = parser.element(element);
    if parsed.is_err() {
        *parser = Parser::new();
    }
    Some((len, parsed.ok()?))
}

/// Whether the quick reader takes it, having compared what it took.
fn compared(bytes: &[u8], parser: &mut Parser) -> bool {
    let Some((len, arrival)) = read(bytes, &Limits::default()) else {
        return false;
    };
    let shown = String::from_utf8_lossy(bytes);
    let (strict_len, element) = strictly(bytes, parser).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(len, strict_len, "{shown}");
    assert_eq!(arrival, Arrival::of(element), "{shown}");
    true
}

/// All that servers deliver in the transcripts, short forms and all.
fn recorded() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut stanzas = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let Ok(files) = std::fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        for file in files {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let whole = text.replace("\n ", " ");
            stanzas.extend(
                whole
                    .lines()
                    .filter_map(|line| line.strip_prefix("S: "))
                    .map(ToOwned::to_owned),
            );
        }
    }
    assert!(stanzas.len() > 500, "{}", stanzas.len());
    stanzas
}

/// As Prosody and ejabberd write the shapes that come most often.
const COMMON: [&str; 9] = [
    "<presence type='probe' from='bot@remote.example/x' to='u0\\40localhost@presence.localhost' id='p'/>",
    "<presence xml:lang='en' to=\"u0\\40localhost@presence.localhost\" from=\"bot@remote.example\" type=\"probe\"></presence>",
    "<presence type='probe' from='b\u{f6}t@remote.example/x' to='U0\\40localhost@presence.localhost/vestibule'/>",
    "<presence from='u0@localhost/c' to='presence.localhost' xml:lang='en'><show>away</show><status>out for \
     lunch</status><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
     node='https://gajim.org' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/><idle xmlns='urn:xmpp:idle:1' \
     since='2026-11-25T10:00:00Z'/><x xmlns='vcard-temp:x:update'><photo>0123456789abcdef</photo></x></presence>",
    "<iq type='get' from='bot@remote.example/x' to='u0\\40localhost@presence.localhost' id='q1'><query \
     xmlns='urn:x-presence-service:rights:0'/></iq>",
    "<iq type='result' from='u0@localhost/c' to='presence.localhost' id='1'><query \
     xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/><feature \
     var='urn:xmpp:ping'/><feature var='jabber:iq:last'/></query></iq>",
    "<message type='chat' from='u0@localhost/c' to='presence.localhost'><body>status gr\u{fc}n</body>\n\t</message>",
    "<presence type='unavailable' from='u0@localhost/c' to='presence.localhost'><status/></presence>",
    "<iq xmlns='jabber:client' type='get' from='a@b' to='c' id='1'><q xmlns='u:q'><i xmlns='u:i'/><j/></q></iq>",
];

#[test]
fn what_comes_most_often_is_taken() {
    let mut parser = Parser::new();
    for stanza in COMMON {
        assert!(compared(stanza.as_bytes(), &mut parser), "{stanza}");
        let probe = stanza.contains("'probe'") || stanza.contains("\"probe\"");
        let taken = read(stanza.as_bytes(), &Limits::default());
        let quick = matches!(taken, Some((_, Arrival::Probe(_))));
        assert_eq!(quick, probe, "{stanza}");
        // A part of it is nothing, and what follows is another's.
        for end in 0..stanza.len() {
            let part = &stanza.as_bytes()[..end];
            assert!(read(part, &Limits::default()).is_none(), "{stanza}");
        }
        let followed = format!("{stanza}<presence/>");
        assert!(compared(followed.as_bytes(), &mut parser), "{followed}");
    }
}

#[test]
fn what_is_unusual_is_left_to_the_strict_parser() {
    let long = format!("<message><body>{}</body></message>", "x".repeat(70_000));
    let deep = format!("<iq>{}{}</iq>", "<a>".repeat(9), "</a>".repeat(9));
    let many = format!("<iq>{}</iq>", "<a/>".repeat(100));
    for stanza in [
        "<p:iq xmlns:p='u:p'/>",
        "<iq xmlns=''/>",
        "<iq><a xmlns='jabber:component:accept'/></iq>",
        "<iq id='&amp;'/>",
        "<iq id='a\tb'/>",
        "<iq id='a' id='b'/>",
        "<iq xmlns='u:a' xmlns='u:b'/>",
        "<iq id='\u{ffff}'/>",
        "<iq>a\rb</iq>",
        "<iq>a]]>b</iq>",
        "<iq>&#65;</iq>",
        "<iq><a></b></iq>",
        "<iq></presence>",
        "<iq><!-- a --></iq>",
        "<iq a = 'b'/>",
        "<iq  a='b'/>",
        "<iq></iq >",
        "<\u{e9}/>",
        "<iq \u{e9}='a'/>",
        "<handshake/>",
        "<presence xmlns='jabber:server'/>",
        "</stream:stream>",
        " <iq/>",
        "",
        &long,
        &deep,
        &many,
    ] {
        assert!(
            read(stanza.as_bytes(), &Limits::default()).is_none(),
            "{stanza}"
        );
    }
    assert!(read(b"<iq id='\xff'/>", &Limits::default()).is_none());
}

/// What a stanza is broken with.
const FAULTS: [&str; 40] = [
    "<",
    ">",
    "/>",
    "</",
    "'",
    "\"",
    "=",
    " ",
    "  ",
    "\n",
    "\t",
    "\r",
    "&",
    "&amp;",
    "&#65;",
    "]]>",
    "]",
    "/",
    ":",
    "xmlns",
    " xmlns='u:x'",
    " xmlns=''",
    " xmlns='jabber:component:accept'",
    " xmlns:p='u:p'",
    "<p:a/>",
    "<a>",
    "</a>",
    "<a/>",
    " id='2'",
    " xml:lang='x'",
    " xml:x='y'",
    "\u{e9}",
    "\u{FFFE}",
    "\u{1}",
    "\0",
    "<!---->",
    "<?a?>",
    "@",
    "\u{1F600}",
    "probe",
];

/// A stanza with up to three changes: a part put in, a byte taken out, another's part in its place.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mut bases = recorded();
    bases.extend(COMMON.iter().map(|one| (*one).to_owned()));
    // The probe is the shape that has a way of its own.
    let probes = prop::sample::select(COMMON[..3].to_vec()).prop_map(ToOwned::to_owned);
    let base = prop_oneof![3 => prop::sample::select(bases), 1 => probes];
    let at = any::<prop::sample::Index>;
    let change = (at(), 0..3, at(), prop::sample::select(FAULTS.as_slice()));
    (base, prop::collection::vec(change, 0..4)).prop_map(|(base, changes)| {
        let mut bytes = base.into_bytes();
        for (place, kind, other, fault) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match kind {
                0 => drop(bytes.splice(place..place, fault.bytes())),
                1 => drop(bytes.remove(place)),
                _ => {
                    let (from, to) = (place, other.index(bytes.len()));
                    let piece = bytes[from.min(to)..from.max(to)].to_vec();
                    drop(bytes.splice(from..from, piece));
                }
            }
        }
        bytes
    })
}

#[test]
fn what_it_takes_the_strict_parser_takes_too() {
    let mut parser = Parser::new();
    let recorded = recorded();
    let n = recorded.len();
    let taken = recorded
        .into_iter()
        .filter(|stanza| compared(stanza.as_bytes(), &mut parser))
        .count();
    assert!(taken * 10 > n * 8, "{taken} of {n}");
    let parser = std::cell::RefCell::new(parser);
    let taken = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(bytes in mutated())| {
        taken.set(taken.get() + u32::from(compared(&bytes, &mut parser.borrow_mut())));
    });
    // Neither is nearly everything refused, nor nothing changed.
    assert!(taken.get() > cases() / 5, "{} of {}", taken.get(), cases());
}
