//! What only an agent can do: offered while one is there that says so, started with the arguments that it has
//! declared, and gone when it goes.

use minidom::Element;

use crate::support::client::Client;
use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::adhoc::{
    NS_AGENT, NS_COMMANDS, answer_with, command_of, completed, expect_at_agent, fill_in, node_of,
    submit_at_once, value,
};
use super::stage::{
    ALICE, ALICE_FULL, HOME, SOON, Stage, body_of, condition, expect_message, is_presence, rights,
    say,
};

const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
const NS_ITEMS: &str = "http://jabber.org/protocol/disco#items";
const MODULES: &str = "urn:x-presence-service:agent:0#start-module";

pub(super) async fn do_what_they_say_they_can(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut friend = stage.login("stranger", "home").await?;
    // He watches her, and may do all that she can give.
    say(
        &mut alice,
        "grant stranger@localhost see notify start-module activate-client",
        "may now",
    )
    .await;
    say(
        &mut alice,
        "modules stranger@localhost lock",
        "may now start: lock",
    )
    .await;
    friend.send(stanza("<presence/>")).await;
    friend
        .send(stanza(&format!(
            "<presence type='subscribe' to='{ALICE}'/>"
        )))
        .await;
    let seen = friend
        .expect("her presence", SOON, |e| is_presence(e, ALICE_FULL, None))
        .await;
    assert!(
        !rights(&seen).1.contains(&"start-module".to_owned()),
        "{seen:?}"
    );
    // Without an agent a notification is a message, and the rest is not there.
    let answer = submit_at_once(
        &mut friend,
        ALICE,
        &node_of("notify"),
        &[("text", "Build done")],
    )
    .await;
    assert!(completed(&answer).1.contains("message"), "{answer:?}");
    let told = expect_message(&mut alice, "Build done").await;
    assert!(body_of(&told).contains("stranger@localhost"), "{told:?}");
    let refused = submit_at_once(&mut friend, ALICE, &node_of("activate-client"), &[]).await;
    assert_eq!(condition(&refused), "forbidden");

    let mut agent = agent(&stage).await?;
    let seen = friend
        .expect("her presence with more rights", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && rights(e).1.contains(&"start-module".to_owned())
        })
        .await;
    let (_, names) = rights(&seen);
    for right in ["notify", "start-module", "activate-client"] {
        assert!(names.contains(&right.to_owned()), "{names:?}");
    }
    starts_a_module(&mut friend, &mut alice, &mut agent).await;
    activates(&mut friend, &mut alice, &mut agent).await;

    agent.logout().await;
    let seen = friend
        .expect("her presence with fewer rights", SOON, |e| {
            is_presence(e, ALICE_FULL, None) && !rights(e).1.contains(&"start-module".to_owned())
        })
        .await;
    assert!(!rights(&seen).1.contains(&"activate-client".to_owned()));
    let fields = [("module", "lock"), ("arg-door", "back")];
    let refused = submit_at_once(&mut friend, ALICE, &node_of("start-module"), &fields).await;
    assert_eq!(condition(&refused), "forbidden");
    Ok(())
}

async fn starts_a_module(friend: &mut Client, alice: &mut Client, agent: &mut Client) {
    let node = node_of("start-module");
    // What she has not named for him, and what is not of its type, does not reach her agent.
    for fields in [
        &[("module", "agenda")][..],
        &[("module", "lock"), ("arg-door", "roof")],
        &[("module", "lock")],
    ] {
        let refused = submit_at_once(friend, ALICE, &node, fields).await;
        assert_eq!(condition(&refused), "bad-request", "{fields:?}");
    }
    let fields = [("module", "lock"), ("arg-door", "back")];
    let (answer, ()) = tokio::join!(fill_in(friend, ALICE, &node, &fields), async {
        let order = expect_at_agent(agent, "start-module").await;
        let command = order.get_child("command", NS_COMMANDS).unwrap();
        for (var, expected) in [
            ("requester", "stranger@localhost"),
            ("module", "lock"),
            ("arg-door", "back"),
        ] {
            assert_eq!(value(command, var).as_deref(), Some(expected), "{var}");
        }
        let done = answer_with("completed", "s1", "start-module", Some("locked"));
        agent.reply(&order, Some(done)).await;
    });
    assert_eq!(completed(&answer), ("info".to_owned(), "locked".to_owned()));
    let outcome = value(command_of(&answer), "outcome");
    assert_eq!(outcome.as_deref(), Some("completed"));
    let told = expect_message(alice, "(done)").await;
    for part in ["stranger@localhost", "lock", "door=back"] {
        assert!(body_of(&told).contains(part), "{told:?}");
    }
}

async fn activates(friend: &mut Client, alice: &mut Client, agent: &mut Client) {
    let node = node_of("activate-client");
    let (answer, ()) = tokio::join!(submit_at_once(friend, ALICE, &node, &[]), async {
        let order = expect_at_agent(agent, "activate-client").await;
        let done = answer_with("completed", "s2", "activate-client", Some("raised"));
        agent.reply(&order, Some(done)).await;
    });
    assert_eq!(completed(&answer), ("info".to_owned(), "raised".to_owned()));
    expect_message(alice, "chat client").await;
}

/// A client of hers that says what an agent says of itself, up to its modules.
async fn agent(stage: &Stage) -> Result<Client, Failure> {
    let mut agent = stage.login("alice", "agent").await?;
    agent.advertise(NS_AGENT);
    agent
        .send(stanza("<presence><priority>-1</priority></presence>"))
        .await;
    let commands = ["notify", "start-module", "activate-client"]
        .map(|right| format!("<item jid='{}' node='{NS_AGENT}#{right}'/>", agent.jid()))
        .concat();
    tell(&mut agent, NS_ITEMS, NS_COMMANDS, &commands).await;
    let modules = ["agenda", "lock"]
        .map(|name| {
            format!(
                "<item jid='{}' node='{MODULES}/{name}' name='{name}'/>",
                agent.jid()
            )
        })
        .concat();
    tell(&mut agent, NS_ITEMS, MODULES, &modules).await;
    let form = |name: &str, fields: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='result'>\
             <field var='FORM_TYPE' type='hidden'><value>{NS_AGENT}</value></field>\
             <field var='module' type='text-single'><value>{name}</value></field>{fields}</x>"
        )
    };
    let door = "<field var='arg-door' type='list-single' label='Door'><required/>\
                <option label='Front'><value>front</value></option>\
                <option label='Back'><value>back</value></option></field>";
    tell(
        &mut agent,
        NS_INFO,
        &format!("{MODULES}/agenda"),
        &form("agenda", ""),
    )
    .await;
    tell(
        &mut agent,
        NS_INFO,
        &format!("{MODULES}/lock"),
        &form("lock", door),
    )
    .await;
    Ok(agent)
}

/// Answers a question of service discovery about a node.
async fn tell(agent: &mut Client, kind: &str, node: &str, content: &str) {
    let asks = |e: &Element| {
        e.attr("type") == Some("get")
            && e.attr("from") == Some(HOME)
            && e.get_child("query", kind)
                .is_some_and(|query| query.attr("node") == Some(node))
    };
    let question = agent.expect("question about a node", SOON, asks).await;
    let answer = format!("<query xmlns='{kind}' node='{node}'>{content}</query>");
    agent.reply(&question, Some(stanza(&answer))).await;
}
