//! `open-url`: as a message while no agent is online, else at the agent, whatever it answers.

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{
    NS_AGENT, NS_COMMANDS, NS_OUTCOME, answer_with, command, command_of, completed,
    expect_at_agent, fill_in, node_of, submit_at_once, value,
};
use super::stage::{
    ALICE, HOME, NS_STANZAS, SOON, Stage, body_of, condition, expect_message, fresh_id,
    reach_component, request,
};

const PAGE: &str = "https://example.net/agenda?item=3&lang=en";
const NS_OOB: &str = "jabber:x:oob";
const NS_INFO: &str = "http://jabber.org/protocol/disco#info";

pub(super) async fn without_an_agent(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    let node = node_of("open-url");

    for by_form in [true, false] {
        let fields = [("url", PAGE), ("reason", "The agenda")];
        let answer = if by_form {
            fill_in(&mut bot, ALICE, &node, &fields).await
        } else {
            submit_at_once(&mut bot, ALICE, &node, &fields).await
        };
        let (severity, note) = completed(&answer);
        assert_eq!(severity, "info");
        assert!(note.contains("message"), "the bot is not told: {note}");
        let message = expect_message(&mut alice, PAGE).await;
        assert!(body_of(&message).contains("bot@localhost"), "{message:?}");
        assert!(body_of(&message).contains("The agenda"), "{message:?}");
        let link = message.get_child("x", NS_OOB).unwrap();
        let url = link.get_child("url", NS_OOB).unwrap();
        assert_eq!(url.text(), PAGE);
    }

    // Nothing but a web page is passed on, in whichever way.
    for page in ["javascript:alert(1)", "file:///etc/passwd", "agenda"] {
        let refused = submit_at_once(&mut bot, ALICE, &node, &[("url", page)]).await;
        assert_eq!(condition(&refused), "bad-request", "{page}");
    }
    reach_component(&mut alice).await;
    let told = alice.received().iter();
    assert!(!told.map(body_of).any(|body| body.contains("javascript")));
    Ok(())
}

pub(super) async fn with_an_agent(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&stage, "agent").await?;
    opens(&mut bot, &mut alice, &mut agent).await;
    refuses(&mut bot, &mut alice, &mut agent).await;
    reports_late(&mut bot, &mut alice, &mut agent).await;
    gives_no_sign_of_itself_to_the_face(&mut bot, &mut alice).await;

    // It leaves: the next page is a message again.
    agent.logout().await;
    let fields = [("url", PAGE)];
    let answer = submit_at_once(&mut bot, ALICE, &node_of("open-url"), &fields).await;
    let (_, note) = completed(&answer);
    assert!(note.contains("message"), "{note}");
    let link = expect_message(&mut alice, "sends you a link").await;
    assert!(link.has_child("x", NS_OOB));
    Ok(())
}

/// A client of hers that says what an agent says; the component has asked it for its features.
pub(super) async fn agent_of_alice(stage: &Stage, resource: &str) -> Result<Client, Failure> {
    let mut agent = stage.login("alice", resource).await?;
    agent.advertise(NS_AGENT);
    agent
        .send(stanza("<presence><priority>-1</priority></presence>"))
        .await;
    agent
        .expect("question for the features", SOON, |e| {
            e.attr("from") == Some(HOME) && e.has_child("query", NS_INFO)
        })
        .await;
    reach_component(&mut agent).await;
    Ok(agent)
}

async fn opens(bot: &mut Client, alice: &mut Client, agent: &mut Client) {
    let fields = [
        ("url", PAGE),
        ("reason", "The agenda"),
        ("request-id", "r-open"),
    ];
    let asked = ask_by_iq(bot, &fields).await;
    let order = expect_at_agent(agent, "open-url").await;
    assert_eq!(order.attr("from"), Some(HOME));
    assert_eq!(order.attr("to"), Some("alice@localhost/agent"));
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    for (var, expected) in [
        ("FORM_TYPE", NS_AGENT),
        ("request-id", "r-open"),
        ("requester", "bot@localhost"),
        ("level", "authorized"),
        ("interface", "public"),
        ("confirm", "0"),
        ("url", PAGE),
        ("reason", "The agenda"),
    ] {
        assert_eq!(value(command, var).as_deref(), Some(expected), "{var}");
    }
    assert!(value(command, "expires") > value(command, "issued"));
    let done = answer_with("completed", "s1", "open-url", Some("opened in the browser"));
    agent.reply(&order, Some(done)).await;

    let answer = expect_answer(bot, &asked).await;
    let (severity, note) = completed(&answer);
    assert_eq!(
        (severity.as_str(), note.as_str()),
        ("info", "opened in the browser")
    );
    let result = command_of(&answer);
    assert_eq!(value(result, "outcome").as_deref(), Some("completed"));
    assert_eq!(value(result, "request-id").as_deref(), Some("r-open"));
    let told = expect_message(alice, "(done)").await;
    for part in ["bot@localhost", PAGE] {
        assert!(body_of(&told).contains(part), "{told:?}");
    }
    let outcome = told.get_child("outcome", NS_OUTCOME).unwrap();
    assert_eq!(outcome.attr("state"), Some("completed"));
}

async fn refuses(bot: &mut Client, alice: &mut Client, agent: &mut Client) {
    let asked = ask_by_iq(bot, &[("url", PAGE), ("request-id", "r-no")]).await;
    let order = expect_at_agent(agent, "open-url").await;
    let mut refusal = stanza(&format!(
        "<iq type='error'><error type='auth'><forbidden xmlns='{NS_STANZAS}'/></error></iq>"
    ));
    for (name, value) in [
        (xml_ncname!("id"), order.attr("id")),
        (xml_ncname!("to"), order.attr("from")),
    ] {
        refusal.set_attr(Namespace::NONE, name.into(), value);
    }
    agent.send(refusal).await;
    let answer = expect_answer(bot, &asked).await;
    let (severity, _) = completed(&answer);
    assert_eq!(severity, "error");
    let outcome = value(command_of(&answer), "outcome");
    assert_eq!(outcome.as_deref(), Some("refused"));
    let told = expect_message(alice, "refused").await;
    assert!(body_of(&told).contains("bot@localhost"), "{told:?}");
}

/// It asks the person, who thinks for a while: longer than an IQ can wait.
async fn reports_late(bot: &mut Client, alice: &mut Client, agent: &mut Client) {
    let node = node_of("open-url");
    let asked = ask_by_iq(bot, &[("url", PAGE), ("request-id", "r-late")]).await;
    let order = expect_at_agent(agent, "open-url").await;
    let thinking = answer_with("executing", "s3", "open-url", None);
    agent.reply(&order, Some(thinking)).await;
    let answer = expect_answer(bot, &asked).await;
    let waiting = command_of(&answer);
    assert_eq!(waiting.attr("status"), Some("executing"), "{answer:?}");
    let session = waiting.attr("sessionid").unwrap().to_owned();

    // The bot asks again before there is news.
    let poll = || command(&node, Some(&session), "next");
    let answer = request(bot, ALICE, "set", poll()).await;
    assert_eq!(command_of(&answer).attr("status"), Some("executing"));

    // Nobody else can report in the agent's place.
    let report = stanza(&format!(
        "<outcome xmlns='{NS_OUTCOME}' request-id='r-late' right='open-url' state='completed' \
         at='2026-11-23T13:20:11Z'/>"
    ));
    let forged = request(bot, HOME, "set", report.clone()).await;
    assert_eq!(condition(&forged), "item-not-found");
    let forged = request(alice, HOME, "set", report.clone()).await;
    assert_eq!(condition(&forged), "item-not-found");
    let taken = request(agent, HOME, "set", report).await;
    assert_eq!(taken.attr("type"), Some("result"), "{taken:?}");

    let pushed = bot
        .expect("outcome of the late command", SOON, |e| {
            e.get_child("outcome", NS_OUTCOME)
                .is_some_and(|outcome| outcome.attr("request-id") == Some("r-late"))
        })
        .await;
    assert_eq!(pushed.attr("from"), Some(ALICE));
    // ejabberd leaves away what is the default.
    assert_eq!(pushed.attr("type").unwrap_or("normal"), "normal");
    let outcome = pushed.get_child("outcome", NS_OUTCOME).unwrap();
    assert_eq!(outcome.attr("state"), Some("completed"));
    let answer = request(bot, ALICE, "set", poll()).await;
    completed(&answer);
    expect_message(alice, "(done)").await;
}

/// An agent alone does not make her online.
async fn gives_no_sign_of_itself_to_the_face(bot: &mut Client, alice: &mut Client) {
    alice
        .send(stanza("<presence><show>xa</show></presence>"))
        .await;
    reach_component(alice).await;
    let face = super::stage::probe(bot).await;
    assert!(super::stage::shows(&face, "xa", None), "{face:?}");
    alice.send(stanza("<presence type='unavailable'/>")).await;
    super::stage::probe_until(bot, "offline", |face| {
        super::stage::shows(face, "unavailable", None)
    })
    .await;
    alice.send(stanza("<presence/>")).await;
    reach_component(alice).await;
}

/// Sends the command without waiting for the answer; returns the id.
async fn ask_by_iq(bot: &mut Client, fields: &[(&str, &str)]) -> String {
    let node = node_of("open-url");
    let mut payload = command(&node, None, "execute");
    payload.append_child(super::adhoc::form(&node, fields));
    let id = fresh_id();
    let mut iq = stanza(&format!("<iq type='set' id='{id}' to='{ALICE}'/>"));
    iq.append_child(payload);
    bot.send(iq).await;
    id
}

async fn expect_answer(bot: &mut Client, id: &str) -> Element {
    // The component waits 25 s for the agent before it answers `executing` (protocol.md §9.4).
    let patience = std::time::Duration::from_secs(45);
    bot.expect("answer to the command", patience, |e| {
        e.name() == "iq" && e.attr("id") == Some(id)
    })
    .await
}
