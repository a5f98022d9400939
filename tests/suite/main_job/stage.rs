//! What every story of the main job begins with: a real server, the component attached to it, and
//! people who log in; and the few things that people and bots say.

use std::time::Duration;

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

/// The component's domain.
pub(super) const HOME: &str = "presence.localhost";
/// Where the component's own presence comes from (design.md §4).
pub(super) const HOME_FULL: &str = "presence.localhost/vestibule";
/// The presentity of alice@localhost.
pub(super) const ALICE: &str = r"alice\40localhost@presence.localhost";
/// Where available presence of that presentity comes from.
pub(super) const ALICE_FULL: &str = r"alice\40localhost@presence.localhost/vestibule";

pub(super) const NS_RIGHTS: &str = "urn:x-presence-service:rights:0";
pub(super) const NS_CLIENT: &str = "jabber:client";
pub(super) const NS_STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub(super) const NS_DELAY: &str = "urn:xmpp:delay";

/// For what a server and the component do at once; the machine may be busy.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// Watchers converge on the true face within 10 s (design.md §7 C5); with room for a busy machine.
pub(super) const CONVERGED: Duration = Duration::from_secs(20);

/// Everybody's password: the servers are on loopback, for the time of a test.
pub(super) const PASSWORD: &str = "wonder & land";

/// A server with the component attached.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) component: ComponentProcess,
}

impl Stage {
    /// The accounts alice, bot and stranger exist; bot@localhost is the operator's party acme.
    pub(super) async fn set(kind: Kind) -> Result<Self, Failure> {
        Self::set_with(kind, Options::default(), "").await
    }

    /// The same on a server with these options and a component with this configuration besides.
    pub(super) async fn set_with(
        kind: Kind,
        options: Options,
        config: &str,
    ) -> Result<Self, Failure> {
        let server = Server::start(kind, options).await?;
        for user in ["alice", "bot", "stranger"] {
            Client::register(&server, user, PASSWORD).await?;
        }
        let config = configuration(&server).with(config);
        let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
        Ok(Self { server, component })
    }

    /// Logs in without a word about presence.
    pub(super) async fn login(&self, user: &str, resource: &str) -> Result<Client, Failure> {
        Client::login(&self.server, user, PASSWORD, resource).await
    }

    /// Alice, online at `resource`, who has joined and lets the component see her.
    pub(super) async fn alice_joined(&self, resource: &str) -> Result<Client, Failure> {
        let mut alice = self.login("alice", resource).await?;
        alice.send(stanza("<presence/>")).await;
        join_by_contact(&mut alice).await;
        Ok(alice)
    }

    /// The party's bot, logged in, without presence: it only asks.
    pub(super) async fn bot(&self) -> Result<Client, Failure> {
        self.login("bot", "desk").await
    }
}

/// The operator's configuration of all stories.
pub(super) fn configuration(server: &Server) -> Config {
    Config::for_server(server).with(
        "[[party]]\nname = \"acme\"\njids = [\"bot@localhost\"]\n\
         rights = [\"see\", \"open-url\", \"leave-message\"]\n",
    )
}

/// Her client adds the component as a contact and approves its request; returns the welcome.
pub(super) async fn join_by_contact(user: &mut Client) -> Element {
    user.send(stanza(&format!("<presence type='subscribe' to='{HOME}'/>")))
        .await;
    user.expect("approval by the component", SOON, |e| {
        is_presence(e, HOME, Some("subscribed"))
    })
    .await;
    user.expect("presence of the component", SOON, |e| {
        is_presence(e, HOME_FULL, None)
    })
    .await;
    approve_component(user).await;
    expect_message(user, "Welcome").await
}

/// She approves the component's request to see her presence.
pub(super) async fn approve_component(user: &mut Client) {
    user.expect("request of the component", SOON, |e| {
        is_presence(e, HOME, Some("subscribe"))
    })
    .await;
    user.send(stanza(&format!(
        "<presence type='subscribed' to='{HOME}'/>"
    )))
    .await;
    reach_component(user).await;
}

/// Waits until the component has handled everything that this client sent before: stanzas between two
/// addresses keep their order (RFC 6120 §10.1).
pub(super) async fn reach_component(client: &mut Client) {
    let id = fresh_id();
    client
        .send(stanza(&format!(
            "<iq type='get' id='{id}' to='{HOME}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )))
        .await;
    let pong = client
        .expect("answer of the component to a ping", SOON, |e| {
            is_answer(e, &id)
        })
        .await;
    assert_eq!(pong.attr("type"), Some("result"), "{pong:?}");
}

/// Says `line` to the component in chat, and returns its answer, which has `expected` in it.
pub(super) async fn say(user: &mut Client, line: &str, expected: &str) -> String {
    let mut message = stanza(&format!(
        "<message type='chat' to='{HOME}'><body/></message>"
    ));
    message
        .get_child_mut("body", NS_CLIENT)
        .unwrap()
        .append_text_node(line);
    user.send(message).await;
    body_of(&expect_message(user, expected).await)
}

/// The message from the component's domain whose text has `expected` in it.
pub(super) async fn expect_message(user: &mut Client, expected: &str) -> Element {
    let what = format!("message of the component with {expected:?}");
    user.expect(&what, SOON, |e| {
        e.name() == "message" && e.attr("from") == Some(HOME) && body_of(e).contains(expected)
    })
    .await
}

/// Probes alice and returns the one presence that answers; a second one is a failure.
pub(super) async fn probe(watcher: &mut Client) -> Element {
    watcher.forget();
    watcher
        .send(stanza(&format!("<presence type='probe' to='{ALICE}'/>")))
        .await;
    let answer = watcher
        .expect("answer to the probe", SOON, is_of_alice)
        .await;
    reach_alice(watcher).await;
    watcher
        .quiet("second answer to the probe", Duration::ZERO, is_of_alice)
        .await;
    answer
}

/// Probes alice until the answer is as it must become.
pub(super) async fn probe_until(
    watcher: &mut Client,
    what: &str,
    mut holds: impl FnMut(&Element) -> bool,
) -> Element {
    let until = Instant::now() + CONVERGED;
    loop {
        let answer = probe(watcher).await;
        if holds(&answer) {
            return answer;
        }
        assert!(
            Instant::now() < until,
            "not {what} within {CONVERGED:?}, but {}",
            String::from(&answer)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An IQ to the presentity, to come after what it sent before. Whatever the answer, there is one.
pub(super) async fn reach_alice(watcher: &mut Client) {
    request(
        watcher,
        ALICE,
        "get",
        stanza("<ping xmlns='urn:xmpp:ping'/>"),
    )
    .await;
}

/// Asks for alice's state and rights as data.
pub(super) async fn query(watcher: &mut Client) -> Element {
    let asked = stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"));
    let answer = request(watcher, ALICE, "get", asked).await;
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    answer.get_child("query", NS_RIGHTS).unwrap().clone()
}

/// Sends an IQ with this payload and returns the answer, result or error.
pub(super) async fn request(
    client: &mut Client,
    to: &str,
    kind: &str,
    payload: Element,
) -> Element {
    let id = fresh_id();
    let mut iq = stanza(&format!("<iq type='{kind}' id='{id}'/>"));
    iq.set_attr(Namespace::NONE, xml_ncname!("to").into(), to);
    iq.append_child(payload);
    client.send(iq).await;
    client
        .expect(&format!("answer of {to}"), Duration::from_secs(40), |e| {
            is_answer(e, &id) && e.attr("from") == Some(to)
        })
        .await
}

/// Whether this answers the request with that id.
pub(super) fn is_answer(element: &Element, id: &str) -> bool {
    element.name() == "iq"
        && matches!(element.attr("type"), Some("result" | "error"))
        && element.attr("id") == Some(id)
}

/// An id that no other request of this process has.
pub(super) fn fresh_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("story-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Presence of this type from exactly this address; available where `kind` is `None`.
pub(super) fn is_presence(element: &Element, from: &str, kind: Option<&str>) -> bool {
    element.name() == "presence"
        && element.attr("from") == Some(from)
        && element.attr("type") == kind
}

/// Any presence stanza of alice's presentity. An error is a server's own, about what it did not pass on
/// (ejabberd): the component answers no presence with one.
pub(super) fn is_of_alice(element: &Element) -> bool {
    element.name() == "presence"
        && element.attr("type") != Some("error")
        && element
            .attr("from")
            .is_some_and(|from| from == ALICE || from == ALICE_FULL)
}

/// What a presence shows: its type or, where available, its `<show/>` or `online`; and its text.
pub(super) fn face(presence: &Element) -> (String, Option<String>) {
    let text = |name| presence.get_child(name, NS_CLIENT).map(Element::text);
    let state = match presence.attr("type") {
        Some(kind) => kind.to_owned(),
        None => text("show").unwrap_or_else(|| "online".to_owned()),
    };
    (state, text("status"))
}

/// The same for comparison with what is expected.
pub(super) fn shows(presence: &Element, state: &str, text: Option<&str>) -> bool {
    let (shown, status) = face(presence);
    shown == state && status.as_deref() == text
}

/// The level and the names of the rights in a presence or a query.
pub(super) fn rights(element: &Element) -> (String, Vec<String>) {
    let rights = if element.name() == "query" {
        element
    } else {
        element
            .get_child("rights", NS_RIGHTS)
            .unwrap_or_else(|| panic!("no rights in {}", String::from(element)))
    };
    let mut names: Vec<_> = rights
        .children()
        .filter(|child| child.name() == "right")
        .map(|right| right.attr("name").unwrap_or_default().to_owned())
        .collect();
    names.sort_unstable();
    (rights.attr("level").unwrap_or_default().to_owned(), names)
}

/// The text of a message.
pub(super) fn body_of(message: &Element) -> String {
    message
        .get_child("body", NS_CLIENT)
        .map(Element::text)
        .unwrap_or_default()
}

/// The name of the defined condition of an error.
pub(super) fn condition(answer: &Element) -> String {
    let error = answer.get_child("error", NS_CLIENT);
    let error = error.unwrap_or_else(|| panic!("no error: {}", String::from(answer)));
    error
        .children()
        .find(|child| child.ns() == NS_STANZAS && child.name() != "text")
        .map_or_else(String::new, |child| child.name().to_owned())
}
