//! A token from its making to its end: shown in a query and in a command, redeemed, kept over SIGKILL, taken
//! back; and its text looked for wherever it must not be. protocol.md §9.2, §9.7; security.md T25, T48.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use minidom::Element;

use super::adhoc::{
    NS_COMMANDS, NS_FORM, answer_with, command, command_of, completed, expect_at_agent, fill_in,
    node_of, submit_at_once, value,
};
use super::opening_pages::agent_of_alice;
use super::stage::{
    ALICE, HOME, NS_RIGHTS, SOON, Stage, body_of, condition, expect_message, is_of_alice, probe,
    reach_alice, reach_component, request, rights, say,
};
use crate::support::client::Client;
use crate::support::ports::Port;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

const NS_AUTHZ: &str = "urn:x-presence-service:authz:0";
const NEW: &str = "urn:x-presence-service:consent:0#token-new";
const REVOKE: &str = "urn:x-presence-service:consent:0#token-revoke";

pub(super) async fn from_making_to_end(kind: Kind) -> Result<(), Failure> {
    let reserved = Port::reserve()?;
    let metrics_at = reserved.address();
    let config = format!("[metrics]\nlisten = \"{metrics_at}\"\n[log]\nlevel = \"debug\"\n");
    let mut stage = Stage::set_with(kind, Options::default(), &config).await?;
    let mut friend = stage.login("stranger", "home").await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, "visibility private", "private").await;

    // Made in the form, shown in the result, and in no message.
    let fields = [
        ("label", "For the blog"),
        ("rights", "leave-message"),
        ("uses", "3"),
    ];
    let made = fill_in(&mut alice, HOME, NEW, &fields).await;
    assert!(completed(&made).1.contains("shown this once"), "{made:?}");
    let token = value(command_of(&made), "token").unwrap();
    assert_eq!(token.len(), 32, "{token}");
    say(&mut alice, "tokens", "used 0 of 3").await;

    // Without it he is a stranger; with it he sees her and writes to her, for that request alone.
    let refused = request(&mut friend, ALICE, "get", asking("")).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let answer = request(&mut friend, ALICE, "get", asking(&token)).await;
    let query = answer.get_child("query", NS_RIGHTS).unwrap();
    let (level, names) = rights(query);
    assert_eq!(level, "authorized");
    assert!(names.contains(&"leave-message".to_owned()), "{names:?}");
    assert!(query.attr("expires").is_some(), "{query:?}");
    completed(&request(&mut friend, ALICE, "set", writing(&token, "by the token")).await);
    expect_message(&mut alice, "by the token").await;
    let refused = request(&mut friend, ALICE, "set", writing("", "without")).await;
    assert_eq!(condition(&refused), "service-unavailable");

    // Redeemed it is a grant, of which she is told; again it is the same, and costs no use.
    for _ in 0..2 {
        let answer = request(&mut friend, ALICE, "set", redeeming(&token)).await;
        let grant = answer.get_child("grant", NS_AUTHZ).unwrap();
        assert_eq!(grant.attr("level"), Some("authorized"), "{answer:?}");
        assert!(grant.attr("expires").is_some(), "{answer:?}");
    }
    let told = body_of(&expect_message(&mut alice, "has redeemed your token “For the blog”").await);
    assert!(told.contains("stranger@localhost"), "{told}");
    assert_eq!(rights(&probe(&mut friend).await).0, "authorized");
    say(&mut alice, "tokens", "used 3 of 3").await;

    // Not a moment passes: all that outlives SIGKILL, the uses above all.
    stage.component.kill();
    stage.component.respawn()?;
    stage.component.attached().await?;
    assert_eq!(rights(&probe(&mut friend).await).0, "authorized");
    let mut bot = stage.bot().await?;
    let refused = request(&mut bot, ALICE, "set", redeeming(&token)).await;
    assert_eq!(condition(&refused), "service-unavailable");

    // Anywhere else it is neither read nor passed on, whatever the server makes of it.
    astray(&mut bot, &token).await;
    reach_alice(&mut bot).await;
    reach_component(&mut alice).await;
    let secret = &token[8..];
    let received: Vec<_> = alice.received().iter().map(String::from).collect();
    for text in received
        .iter()
        .filter(|text| !text.contains("has redeemed"))
    {
        let is_result = text.contains("token-new");
        assert!(is_result || !text.contains(secret), "{text}");
    }

    // She exports all that is stored of her, and takes the token back by its label.
    say(&mut alice, "export", "Everything that is stored of you").await;
    let records = body_of(&expect_message(&mut alice, "1/1").await);
    assert!(records.contains("\"kind\":\"token\""), "{records}");
    assert!(!records.contains(secret), "{records}");
    friend.forget();
    revoke(&mut alice).await;
    let refused = request(&mut friend, ALICE, "get", asking("")).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let refused = request(&mut friend, ALICE, "get", asking(&token)).await;
    assert_eq!(condition(&refused), "service-unavailable");
    friend
        .quiet("presence after the revocation", Duration::ZERO, |e| {
            is_of_alice(e) && e.attr("type") != Some("unsubscribed")
        })
        .await;

    // Its text is in no file, no log and no figure.
    let metrics = figures(metrics_at);
    assert!(metrics.contains("vestibule_attached 1"), "{metrics}");
    assert!(!metrics.contains(secret));
    assert_eq!(stage.component.stop().await?, 0);
    let n = search(stage.component.folder(), secret.as_bytes());
    assert!(n > 3, "only {n} files were searched");
    Ok(())
}

/// A command that a token began reaches her agent, and none after the token is taken back.
pub(super) async fn at_her_agent(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut friend = stage.login("stranger", "home").await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&stage, "agent").await?;
    say(&mut alice, "visibility private", "private").await;
    let fields = [("label", "door"), ("rights", "open-url"), ("uses", "9")];
    let made = submit_at_once(&mut alice, HOME, NEW, &fields).await;
    let token = value(command_of(&made), "token").unwrap();

    let opening = |token: &str| {
        let mut opening = command(&node_of("open-url"), None, "execute");
        opening.append_child(shown(token));
        opening.append_child(stanza(&format!(
            "<x xmlns='{NS_FORM}' type='submit'><field var='url'><value>https://example.net/</value>\
             </field></x>"
        )));
        opening
    };
    let mut iq = stanza(&format!("<iq type='set' id='open-1' to='{ALICE}'/>"));
    iq.append_child(opening(&token));
    friend.send(iq).await;
    let asked = expect_at_agent(&mut agent, "open-url").await;
    assert!(!String::from(&asked).contains(&token[8..]), "{asked:?}");
    let (id, from) = (asked.attr("id").unwrap(), asked.attr("from").unwrap());
    let mut done = stanza(&format!("<iq type='result' id='{id}' to='{from}'/>"));
    done.append_child(answer_with("completed", "s", "open-url", None));
    agent.send(done).await;
    let is_answer = |e: &Element| e.attr("id") == Some("open-1");
    completed(&friend.expect("its end", SOON, is_answer).await);

    say(&mut alice, "token revoke door", "Nothing counts any more").await;
    agent.forget();
    let refused = request(&mut friend, ALICE, "set", opening(&token)).await;
    assert_eq!(condition(&refused), "service-unavailable");
    agent
        .quiet(
            "command after the revocation",
            Duration::from_secs(1),
            |e| e.has_child("command", NS_COMMANDS),
        )
        .await;
    Ok(())
}

fn shown(token: &str) -> Element {
    stanza(&format!("<token xmlns='{NS_AUTHZ}'>{token}</token>"))
}

fn asking(token: &str) -> Element {
    stanza(&match token {
        "" => format!("<query xmlns='{NS_RIGHTS}'/>"),
        token => format!("<query xmlns='{NS_RIGHTS}'><token>{token}</token></query>"),
    })
}

fn redeeming(token: &str) -> Element {
    stanza(&format!(
        "<redeem xmlns='{NS_AUTHZ}'><token>{token}</token></redeem>"
    ))
}

fn writing(token: &str, words: &str) -> Element {
    let mut writing = command(&node_of("leave-message"), None, "execute");
    if !token.is_empty() {
        writing.append_child(shown(token));
    }
    writing.append_child(stanza(&format!(
        "<x xmlns='{NS_FORM}' type='submit'><field var='text'><value>{words}</value></field></x>"
    )));
    writing
}

/// The form of revocations: the option of the token carries its label and usage.
async fn revoke(alice: &mut Client) {
    let offered = request(alice, HOME, "set", command(REVOKE, None, "execute")).await;
    let form = command_of(&offered).get_child("x", NS_FORM).unwrap();
    let field = form
        .children()
        .find(|field| field.attr("var") == Some("token"));
    let option = field.unwrap().get_child("option", NS_FORM).unwrap();
    let label = option.attr("label").unwrap();
    assert!(
        label.contains("For the blog") && label.contains("3 of 3"),
        "{label}"
    );
    let id = option.get_child("value", NS_FORM).unwrap().text();
    let done = submit_at_once(alice, HOME, REVOKE, &[("token", id.as_str())]).await;
    assert!(completed(&done).1.contains("For the blog"), "{done:?}");
}

/// Sends a token everywhere where it is not looked for.
async fn astray(bot: &mut Client, token: &str) {
    let inside = format!("<token xmlns='{NS_AUTHZ}'>{token}</token>");
    for text in [
        format!("<presence to='{ALICE}'>{inside}</presence>"),
        format!("<presence type='probe' to='{ALICE}'>{inside}</presence>"),
        format!("<presence type='subscribe' to='{ALICE}'>{inside}</presence>"),
        format!("<message to='{ALICE}' type='chat'>{inside}</message>"),
        format!("<message to='{ALICE}' type='headline'><body>{token}</body></message>"),
    ] {
        bot.send(stanza(&text)).await;
    }
    for (kind, payload) in [
        (
            "get",
            format!("<query xmlns='{NS_RIGHTS}' token='{token}'/>"),
        ),
        (
            "set",
            format!("<query xmlns='{NS_RIGHTS}'>{inside}</query>"),
        ),
        (
            "get",
            format!("<query xmlns='http://jabber.org/protocol/disco#info'>{inside}</query>"),
        ),
        (
            "get",
            format!("<ping xmlns='urn:xmpp:ping'>{inside}</ping>"),
        ),
        (
            "get",
            format!("<redeem xmlns='{NS_AUTHZ}'>{inside}</redeem>"),
        ),
        (
            "set",
            format!("<command xmlns='{NS_COMMANDS}' node='{token}'/>"),
        ),
    ] {
        let answer = request(bot, ALICE, kind, stanza(&payload)).await;
        assert_eq!(condition(&answer), "service-unavailable", "{payload}");
        assert!(!String::from(&answer).contains(&token[8..]), "{answer:?}");
    }
}

/// What monitoring is told.
fn figures(at: SocketAddr) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Looks for `needle` in every file below; how many there are.
fn search(folder: &Path, needle: &[u8]) -> usize {
    let mut n = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            n += search(&path, needle);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "the text of a token is in {}", path.display());
            n += 1;
        }
    }
    n
}
