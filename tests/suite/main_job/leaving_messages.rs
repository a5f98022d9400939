//! `leave-message`: by the form, in one step, and by a plain message to the presentity.

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{
    NS_FORM, NS_OUTCOME, command_of, completed, fill_in, node_of, submit_at_once, value,
};
use super::stage::{ALICE, HOME, NS_CLIENT, SOON, Stage, body_of, condition, expect_message};

const NS_DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";

pub(super) async fn by_form_at_once_and_plainly(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut stranger = stage.login("stranger", "home").await?;
    let mut alice = stage.alice_joined("phone").await?;
    let node = node_of("leave-message");

    // An ordinary client finds the command in the list, then fills in its form.
    let listed = super::stage::request(
        &mut bot,
        ALICE,
        "get",
        stanza(&format!(
            "<query xmlns='{NS_DISCO_ITEMS}' node='http://jabber.org/protocol/commands'/>"
        )),
    )
    .await;
    let items = listed.get_child("query", NS_DISCO_ITEMS).unwrap();
    let item = items
        .children()
        .find(|item| item.attr("node") == Some(&node));
    assert!(item.is_some(), "{listed:?}");
    let answer = fill_in(&mut bot, ALICE, &node, &[("text", "by the form")]).await;
    assert_left(&mut alice, &answer, "by the form").await;

    let fields = [("text", "in one step, <b>&amp;</b>"), ("request-id", "r-1")];
    let answer = submit_at_once(&mut bot, ALICE, &node, &fields).await;
    let message = assert_left(&mut alice, &answer, "in one step, <b>&amp;</b>").await;
    let outcome = message.get_child("outcome", NS_OUTCOME).unwrap();
    assert_eq!(outcome.attr("request-id"), Some("r-1"));
    let result = command_of(&answer);
    assert_eq!(value(result, "request-id").as_deref(), Some("r-1"));
    assert_eq!(value(result, "outcome").as_deref(), Some("completed"));

    for kind in ["chat", "normal"] {
        let text = format!("a plain {kind} message");
        bot.send(plain(kind, &text)).await;
        let message = expect_message(&mut alice, &text).await;
        assert!(body_of(&message).contains("bot@localhost"), "{message:?}");
    }

    // While she is offline the server keeps both kinds for her. That the second one is acknowledged
    // means that both are with the server: they are written one after the other.
    alice.logout().await;
    bot.send(plain("chat", "for later")).await;
    let fields = [("text", "for later as well")];
    completed(&submit_at_once(&mut bot, ALICE, &node, &fields).await);
    let mut alice = stage.login("alice", "phone").await?;
    alice.send(stanza("<presence/>")).await;
    for text in ["for later as well", "for later"] {
        let message = expect_message(&mut alice, text).await;
        assert!(body_of(&message).contains("bot@localhost"), "{message:?}");
    }

    // An empty one is refused with the reason; one of somebody who may not see her like one to nobody.
    let refused = submit_at_once(&mut bot, ALICE, &node, &[("text", " ")]).await;
    assert_eq!(condition(&refused), "bad-request");
    stranger.send(plain("chat", "let me in")).await;
    let bounced = stranger
        .expect("refusal of the message", SOON, |e| {
            e.name() == "message" && e.attr("type") == Some("error")
        })
        .await;
    assert_eq!(condition(&bounced), "service-unavailable");
    let refused = submit_at_once(&mut stranger, ALICE, &node, &[("text", "let me in")]).await;
    assert_eq!(condition(&refused), "service-unavailable");
    super::stage::reach_component(&mut alice).await;
    let told = alice
        .received()
        .iter()
        .any(|e| body_of(e).contains("let me in"));
    assert!(!told);
    Ok(())
}

/// The bot is told that it is done, and alice reads it from the component, with the bot's name.
async fn assert_left(alice: &mut Client, answer: &Element, text: &str) -> Element {
    let (severity, _) = completed(answer);
    assert_eq!(severity, "info", "{answer:?}");
    let form = command_of(answer).get_child("x", NS_FORM).unwrap();
    assert_eq!(form.attr("type"), Some("result"));
    let message = expect_message(alice, text).await;
    assert_eq!(message.attr("from"), Some(HOME));
    assert!(body_of(&message).contains("bot@localhost"), "{message:?}");
    let outcome = message.get_child("outcome", NS_OUTCOME).unwrap();
    assert_eq!(outcome.attr("right"), Some("leave-message"));
    message
}

fn plain(kind: &str, text: &str) -> Element {
    let mut message = stanza(&format!(
        r"<message type='{kind}' id='plain'><body/></message>"
    ));
    message.set_attr(Namespace::NONE, xml_ncname!("to").into(), ALICE);
    message
        .get_child_mut("body", NS_CLIENT)
        .unwrap()
        .append_text_node(text);
    message
}
