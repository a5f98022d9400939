//! The seal on real servers: whatever text goes into whatever field, the stream lives and the text arrives, with
//! what XML does not allow replaced.

use std::time::Duration;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use vestibule::address::ComponentDomain;
use vestibule::link::{self, Link};

use crate::support::client::Client;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, long, stanza};

use super::adhoc::{node_of, submit_at_once};
use super::stage::{
    ALICE, HOME, NS_CLIENT, PASSWORD, SOON, Stage, fresh_id, is_answer, probe, query,
    reach_component,
};

/// Texts that go out in one round, each in every field, before it is looked at what has come.
const ROUND: usize = 50;
/// What the fields of one stanza may hold together, with room for escapes.
const CHARS_MAX: usize = 60;

/// Every character that is next to something forbidden, and forbidden ones.
fn awkward() -> Vec<char> {
    let ranges = [
        '\0'..='\u{A0}',
        '\u{200B}'..='\u{200F}',
        '\u{2028}'..='\u{202E}',
        '\u{2060}'..='\u{206F}',
        '\u{D7C0}'..='\u{D7FF}',
        '\u{E000}'..='\u{E03F}',
        '\u{FDD0}'..='\u{FDEF}',
        '\u{FE00}'..='\u{FE0F}',
        '\u{FFF0}'..='\u{FFFF}',
        '\u{E0000}'..='\u{E007F}',
    ];
    let planes = (0..=16u32).flat_map(|plane| [plane << 16 | 0xFFFE, plane << 16 | 0xFFFF]);
    ranges
        .into_iter()
        .flatten()
        .chain(planes.filter_map(char::from_u32))
        .collect()
}

/// Texts that were written to break something.
const WRITTEN: [&str; 10] = [
    "</body></message><iq type='set' from='x'/>",
    "]]>",
    "<![CDATA[x]]>",
    "&lt;&amp;&#0;&nbsp;",
    "<!-- x --><?php ?><!DOCTYPE x>",
    "' xmlns='jabber:client' from='evil@localhost",
    "\" onload=\"",
    "</stream:stream>",
    "\u{FEFF}\u{202E}live",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
];

/// The awkward ones in pieces, the written ones, and `n` drawn from all of Unicode.
fn texts(n: usize) -> Vec<String> {
    let awkward = awkward();
    let pieces = awkward
        .chunks(CHARS_MAX / 2)
        .map(|chunk| chunk.iter().collect::<String>());
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut draw = move |below: u32| {
        // xorshift64*: the same texts in each run.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32 % below
    };
    let mut drawn = |awkward: &[char]| match draw(4) {
        0 => awkward[draw(u32::try_from(awkward.len()).unwrap()) as usize],
        1 => char::from_u32(draw(0x80)).unwrap(),
        2 => char::from_u32(draw(0x3000)).unwrap(),
        _ => char::from_u32(draw(0x11_0000)).unwrap_or('\u{FFFD}'),
    };
    let random: Vec<String> = (0..n)
        .map(|_| (0..CHARS_MAX / 2).map(|_| drawn(&awkward)).collect())
        .collect();
    pieces
        .chain(WRITTEN.map(str::to_owned))
        .chain(random)
        .collect()
}

/// What XML 1.0 allows, with the rest replaced as the seal does.
fn legal(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars()
        .map(|c| if is_legal(c) { c } else { '\u{FFFD}' })
        .collect()
}

/// A server writes a CR as it is, and then it is an end of a line (XML 1.0 §2.11).
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A stanza with a text wherever a stanza can have one.
fn everywhere(number: usize, text: &str) -> Element {
    let name = ["message", "presence", "iq"][number % 3];
    let text_in = |name: &str, ns: &str| {
        let mut element = Element::bare(name, ns);
        element.append_text_node(text);
        element
    };
    let mut value = Element::bare("field", "jabber:x:data");
    value.set_attr(Namespace::NONE, xml_ncname!("var").into(), text);
    value.set_attr(Namespace::NONE, xml_ncname!("label").into(), text);
    value.append_child(text_in("value", "jabber:x:data"));
    let mut form = Element::bare("x", "jabber:x:data");
    form.set_attr(Namespace::NONE, xml_ncname!("type").into(), "result");
    form.append_child(text_in("title", "jabber:x:data"));
    form.append_child(value);
    let mut stanza = Element::bare(name, NS_CLIENT);
    for (key, value) in [
        (xml_ncname!("from"), HOME),
        (xml_ncname!("to"), "bot@localhost/desk"),
        (xml_ncname!("id"), &format!("n{number}")),
    ] {
        stanza.set_attr(Namespace::NONE, key.into(), value);
    }
    let kind = xml_ncname!("type");
    match name {
        "message" => {
            stanza.set_attr(Namespace::NONE, kind.into(), "headline");
            stanza.append_child(text_in("subject", NS_CLIENT));
            stanza.append_child(text_in("body", NS_CLIENT));
        }
        "presence" => {
            stanza.append_child(text_in("status", NS_CLIENT));
            stanza.append_child(text_in("nick", "http://jabber.org/protocol/nick"));
        }
        _ => {
            stanza.set_attr(Namespace::NONE, kind.into(), "set");
        }
    }
    stanza.append_child(form);
    stanza
}

async fn pump(link: &mut Link<Box<dyn link::Bytes>>, server: &Server) -> Result<(), Failure> {
    let id = fresh_id();
    let ping = format!(
        "<iq type='get' id='{id}' from='{HOME}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    link.send(&stanza(&ping)).expect("it is sealed");
    let moving = async {
        loop {
            match link.next_arrival()? {
                Some(vestibule::stanza::Arrival::Stanza(answer)) if is_answer(&answer, &id) => {
                    return Ok::<_, link::Error>(());
                }
                Some(_) => {}
                None => link.progress(true).await?,
            }
        }
    };
    match tokio::time::timeout(Duration::from_secs(60), moving).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(format!(
            "the stream ended: {error}\n{}",
            server.log()
        ))),
        Err(_) => Err(Failure::new("the server does not answer")),
    }
}

/// The link alone: any text in any field, illegal ones too.
pub(super) async fn any_text_in_any_field(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind, Options::default()).await?;
    Client::register(&server, "bot", PASSWORD).await?;
    let mut bot = Client::login(&server, "bot", PASSWORD, "desk").await?;
    let settings = link::Settings {
        server: server.component_address().to_string(),
        tls: None,
        domain: ComponentDomain::parse(HOME).expect("a domain"),
        secret: server.secret().to_owned(),
    };
    let attached = link::attach(&settings).await;
    let mut link = attached.map_err(|error| Failure::new(error.to_string()))?;
    let texts = texts(if long() { 20_000 } else { 1_000 });
    for (round, texts) in texts.chunks(ROUND).enumerate() {
        bot.forget();
        for (at, text) in texts.iter().enumerate() {
            let stanza = everywhere(round * ROUND + at, text);
            link.send(&stanza).expect("it is sealed");
        }
        pump(&mut link, &server).await?;
        for (at, text) in texts.iter().enumerate() {
            let id = format!("n{}", round * ROUND + at);
            let came = bot
                .expect(&format!("{id}: {text:?}"), SOON, |e| {
                    e.attr("from") == Some(HOME) && e.attr("id") == Some(&id)
                })
                .await;
            let form = came.get_child("x", "jabber:x:data").expect("its form");
            let title = form.get_child("title", "jabber:x:data").expect("its title");
            assert_eq!(lines(&title.text()), lines(&legal(text)), "{came:?}");
        }
    }
    link.close(Duration::from_secs(5)).await;
    Ok(())
}

/// The whole component: what people can type, wherever it takes words of theirs.
pub(super) async fn whatever_people_type(kind: Kind) -> Result<(), Failure> {
    let limits = "[limits]\ncommands-per-minute-per-watcher = 0\ncommands-per-minute-per-user = 0\n\
                  probe-rate-per-watcher = 0\n";
    let mut stage = Stage::set_with(kind, Options::default(), limits).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut bot = stage.bot().await?;
    let node = node_of("leave-message");
    let n = if long() { 400 } else { 30 };
    for text in texts(n) {
        // A client that sends what XML does not allow loses its own stream.
        let text = legal(&text);
        let mut presence = stanza("<presence><show>away</show><status/></presence>");
        let status = presence.get_child_mut("status", NS_CLIENT).expect("there");
        status.append_text_node(text.as_str());
        alice.send(presence).await;
        for line in [
            format!("status {text}"),
            text.clone(),
            format!("grant {text}"),
        ] {
            let mut message = stanza(&format!(
                "<message type='chat' to='{HOME}'><body/></message>"
            ));
            let body = message.get_child_mut("body", NS_CLIENT).expect("there");
            body.append_text_node(line);
            alice.send(message).await;
        }
        reach_component(&mut alice).await;
        for fields in [
            [("text", text.as_str()), ("request-id", fresh_id().as_str())],
            [("text", "plain"), (text.as_str(), text.as_str())],
        ] {
            // Whether it is taken is not the question here.
            let _ = submit_at_once(&mut bot, ALICE, &node, &fields).await;
        }
        let answer = probe(&mut bot).await;
        assert_ne!(answer.attr("type"), Some("error"), "after {text:?}");
        query(&mut bot).await;
    }
    let log = stage.component.log();
    assert_eq!(log.matches("attached to").count(), 1, "{log}");
    assert!(!log.contains("was not sent"), "{log}");
    assert_eq!(stage.component.stop().await?, 0);
    Ok(())
}
