//! The story, step by step. Each step asks the clients of alice and the bot whether it really happened.

use std::time::Duration;

use minidom::Element;

use crate::commands::command;
use crate::print::{Teller, Way};
use crate::rights;
use crate::scene::{AGENT, ALICE, HOME, Player, Scene, body, is_from, text_of};
use crate::support::{Failure, stanza};

const STATUS: &str = "In a meeting until 3";
const MESSAGE: &str = "The lift is repaired.";
const PAGE: &str = "https://example.net/agenda?item=3";
pub(crate) const NS_RIGHTS: &str = "urn:x-presence-service:rights:0";
const NS_COMMANDS: &str = "http://jabber.org/protocol/commands";

/// Tells the whole story; what is still running is returned.
pub(crate) async fn tell(teller: &mut Teller) -> Result<Scene, Failure> {
    teller.title("Vestibule: the hall between a chat server and the outside world");
    teller.say(
        "Alice uses an ordinary chat server (XMPP). Others want to know whether she is there: a bot \
         of the company Acme, for one. Vestibule tells them, as far as she agrees, and says in the \
         same answer what they may do: leave her a message, open a web page on her screen, and more. \
         Everything below really happens now, between a real server and real clients on this \
         machine. What servers add to stanzas for themselves is left out.",
    );
    teller.step("The stage is set");
    let mut scene = Scene::set().await?;
    teller.say(&format!(
        "Prosody, a chat server, listens on {} for users of “localhost”. Vestibule has attached to \
         it on {} as a component, “{HOME}”: every stanza to that name goes to Vestibule. Its \
         operator has registered one party, acme, which is bot@localhost.",
        scene.server.c2s_address(),
        scene.server.component_address(),
    ));
    let mut alice = scene.login("alice", "phone").await?;
    let mut bot = scene.login("bot", "acme").await?;
    alice.client.send(stanza("<presence/>")).await;
    alice.client.settle().await;
    teller.proved("Alice's chat client and the bot have logged in at Prosody.");

    nothing_before_she_joins(teller, &mut bot).await?;
    she_joins(teller, &mut alice).await?;
    she_sets_her_status(teller, &mut alice).await?;
    the_bot_asks(teller, &mut bot).await?;
    the_bot_leaves_a_message(teller, &mut alice, &mut bot).await?;
    a_page_without_an_agent(teller, &mut alice, &mut bot).await?;
    a_page_with_her_agent(teller, &mut scene, &mut alice, &mut bot).await?;
    rights::at_her_agent(teller, &mut scene, &mut alice, &mut bot).await?;
    rights::her_status_after_a_question(teller, &mut alice, &mut bot).await?;
    rights::by_a_token(teller, &scene, &mut alice).await?;
    she_goes_and_the_status_stays(teller, &mut scene, &mut alice, &mut bot).await?;
    let mut alice = scene.login("alice", "phone").await?;
    alice.client.send(stanza("<presence/>")).await;
    she_takes_it_back(teller, &mut alice, &mut bot).await?;
    if std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        // So that there is something to play with.
        alice
            .says(teller, "unblock bot@localhost", "not blocked")
            .await;
        scene.start_agent()?;
    }
    alice.client.logout().await;
    bot.client.logout().await;
    Ok(scene)
}

async fn nothing_before_she_joins(teller: &mut Teller, bot: &mut Player) -> Result<(), Failure> {
    teller.step("Before she joins, nothing is known of her");
    teller.say(
        "The bot asks Vestibule about alice@localhost. Her address there is her own one with \\40 for \
         the @.",
    );
    let answer = bot.requests(teller, "get", rights_query()).await;
    let unknown = bot.quietly(
        r"nobody\40localhost@presence.localhost",
        "get",
        rights_query(),
    );
    let same = error_of(&unknown.await) == error_of(&answer);
    holds(
        same && error_of(&answer) == "service-unavailable",
        "the answer of nobody",
        &answer,
    )?;
    teller.proved("The same answer as for somebody who does not exist.");
    Ok(())
}

async fn she_joins(teller: &mut Teller, alice: &mut Player) -> Result<(), Failure> {
    teller.step("Alice joins, by adding Vestibule to her contacts");
    let contact = format!("<presence type='subscribe' to='{HOME}'/>");
    alice.sends(teller, stanza(&contact)).await;
    let is = |kind: &'static str| {
        move |e: &Element| {
            e.name() == "presence" && is_from(e, HOME) && e.attr("type") == Some(kind)
        }
    };
    alice.receives(teller, "approval", is("subscribed")).await;
    alice
        .receives(teller, "request for her presence", is("subscribe"))
        .await;
    teller.say("Vestibule wants to see her presence in return. She lets it:");
    let approval = format!("<presence type='subscribed' to='{HOME}'/>");
    alice.sends(teller, stanza(&approval)).await;
    let welcome = alice.reads(teller, "Welcome").await;
    holds(
        body(&welcome).contains(ALICE),
        "her address for others",
        &welcome,
    )?;
    teller.proved("She has joined, and knows what to do next and who may see her.");
    Ok(())
}

async fn she_sets_her_status(teller: &mut Teller, alice: &mut Player) -> Result<(), Failure> {
    teller.step("She is away, and says why");
    teller.say(
        "Her client tells the server that she is away, as clients do. The text she tells Vestibule, \
         in chat: every client can do that.",
    );
    let away = "<presence><show>away</show></presence>";
    alice.sends(teller, stanza(away)).await;
    alice
        .says(teller, &format!("status {STATUS}"), STATUS)
        .await;
    teller.proved("Acknowledged means: it is on the disk.");
    Ok(())
}

async fn the_bot_asks(teller: &mut Teller, bot: &mut Player) -> Result<(), Failure> {
    teller.step("The bot asks: is she there, and what may I do?");
    let answer = bot.asks_for_alice(teller).await?;
    let show = text_of(&answer, "show");
    let is_right = show.as_deref() == Some("away")
        && text_of(&answer, "status").as_deref() == Some(STATUS)
        && rights_of(&answer) == ["leave-message", "open-url"];
    holds(is_right, "away, her text and two rights", &answer)?;
    teller.proved(
        "One answer with her state, her own text and the rights of this asker: it may open a page \
         and leave a message.",
    );
    Ok(())
}

async fn the_bot_leaves_a_message(
    teller: &mut Teller,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("The bot uses a right: it leaves a message");
    teller.say("Rights are run as ad-hoc commands (XEP-0050): a small form, filled in.");
    let fields = [("text", MESSAGE)];
    let answer = bot
        .requests(teller, "set", command("leave-message", &fields))
        .await;
    completed(&answer, "info")?;
    let message = alice.reads(teller, MESSAGE).await;
    holds(
        body(&message).contains("bot@localhost"),
        "the name of the bot",
        &message,
    )?;
    teller.proved("Alice reads it in her ordinary client, and who it is from.");
    Ok(())
}

async fn a_page_without_an_agent(
    teller: &mut Teller,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("The bot wants to open a page, but nothing at alice's side can do that yet");
    let fields = [("url", PAGE), ("reason", "The agenda")];
    let id = bot.runs(teller, "open-url", &fields).await;
    let answer = bot.ends(teller, &id).await;
    let told = completed(&answer, "info")?;
    holds(
        told.contains("message"),
        "the news that it became a message",
        &answer,
    )?;
    let message = alice.reads(teller, PAGE).await;
    let link = message.get_child("x", "jabber:x:oob");
    holds(link.is_some(), "a link to click on", &message)?;
    teller.proved("So the page became a message with the link, and the bot was told so.");
    Ok(())
}

async fn a_page_with_her_agent(
    teller: &mut Teller,
    scene: &mut Scene,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("Alice starts her agent, and the bot opens the page");
    teller.say(
        "The agent is a small program at her side. It logs in beside her chat client, with a negative \
         priority, and does what her own file allows, here (for a browser, a chat client and an agenda \
         stands a program that writes down its arguments):",
    );
    teller.lines(&scene.agent_file());
    scene.start_agent()?;
    alice
        .client
        .expect("presence of her agent", Duration::from_secs(15), |e| {
            e.name() == "presence" && is_from(e, AGENT) && e.attr("type").is_none()
        })
        .await;
    teller.say(
        "She lets the bot do what her agent can; it is in the bot's list as soon as it can work.",
    );
    rights::are_granted(teller, alice, bot).await?;
    let fields = [("url", PAGE), ("reason", "The agenda")];
    let id = bot.runs(teller, "open-url", &fields).await;
    let answer = bot.ends(teller, &id).await;
    let told = completed(&answer, "info")?;
    holds(!told.contains("message"), "the word of her agent", &answer)?;
    let message = alice.reads(teller, "(done)").await;
    holds(
        body(&message).contains("bot@localhost") && body(&message).contains(PAGE),
        "the name of the bot and the page",
        &message,
    )?;
    let written = scene.written_down("page").await?;
    let all = std::fs::read_to_string(scene.done()).unwrap_or_default();
    teller.brief("The program", Way::Receives, "has written down", &written);
    if written != format!("page {PAGE}") || all.lines().count() != 1 {
        return Err(Failure::new(format!("that is not {PAGE}, once: {all}")));
    }
    teller.proved("The page was opened once; the bot has the result, and alice knows who did it.");
    Ok(())
}

async fn she_goes_and_the_status_stays(
    teller: &mut Teller,
    scene: &mut Scene,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("Alice leaves, Vestibule is killed, and the status stays");
    scene.stop_agent().await?;
    alice.client.logout().await;
    // Her server tells the component on its way; this is answered after that.
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while is_online(bot).await && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    teller.say("She and her agent have logged out. The bot asks:");
    let answer = bot.asks_for_alice(teller).await?;
    holds(
        is_gone_with_status(&answer),
        "offline, with the text",
        &answer,
    )?;
    teller.say("Now Vestibule is killed (SIGKILL: no time for a last word) and started again.");
    scene.component.kill();
    scene.component.respawn()?;
    scene.component.attached().await?;
    let answer = bot.asks_for_alice(teller).await?;
    holds(
        is_gone_with_status(&answer),
        "offline, with the text",
        &answer,
    )?;
    teller.proved("Offline, since when, and the text that the bot has set: nothing that was acknowledged is lost.");
    Ok(())
}

async fn she_takes_it_back(
    teller: &mut Teller,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("She has had enough of the bot");
    let sentence = "bot@localhost is blocked";
    alice.says(teller, "block bot@localhost", sentence).await;
    let fields = [("text", "One more thing!")];
    let answer = bot
        .requests(teller, "set", command("leave-message", &fields))
        .await;
    holds(
        error_of(&answer) == "service-unavailable",
        "the answer of nobody",
        &answer,
    )?;
    let ping = stanza("<ping xmlns='urn:xmpp:ping'/>");
    alice.quietly(HOME, "get", ping).await;
    alice
        .client
        .quiet("message of the bot", Duration::from_millis(300), |e| {
            body(e).contains("One more thing")
        })
        .await;
    teller.proved(
        "From her word on, the bot is told what it was told before she joined, and nothing of it \
         reaches her.",
    );
    Ok(())
}

pub(crate) fn rights_query() -> Element {
    stanza(&format!("<query xmlns='{NS_RIGHTS}'/>"))
}

async fn is_online(bot: &mut Player) -> bool {
    let answer = bot.quietly(ALICE, "get", rights_query()).await;
    let state = answer
        .get_child("query", NS_RIGHTS)
        .and_then(|query| query.get_child("state", NS_RIGHTS));
    state.and_then(|state| state.attr("type")) == Some("available")
}

fn is_gone_with_status(presence: &Element) -> bool {
    presence.attr("type") == Some("unavailable")
        && text_of(presence, "status").as_deref() == Some(rights::SHOWN)
}

/// The names of the rights in a presence.
pub(crate) fn rights_of(presence: &Element) -> Vec<&str> {
    let rights = presence.get_child("rights", NS_RIGHTS);
    let mut names: Vec<_> = rights
        .into_iter()
        .flat_map(Element::children)
        .filter_map(|right| right.attr("name"))
        .collect();
    names.sort_unstable();
    names
}

/// The condition of an error; empty where there is none.
pub(crate) fn error_of(answer: &Element) -> String {
    answer
        .get_child("error", "jabber:client")
        .and_then(|error| error.children().next())
        .map(|condition| condition.name().to_owned())
        .unwrap_or_default()
}

/// The note of a command that is completed.
pub(crate) fn completed(answer: &Element, severity: &str) -> Result<String, Failure> {
    let command = answer.get_child("command", NS_COMMANDS);
    let note = command
        .filter(|command| command.attr("status") == Some("completed"))
        .and_then(|command| command.get_child("note", NS_COMMANDS));
    match note {
        Some(note) if note.attr("type").unwrap_or("info") == severity => Ok(note.text()),
        _ => Err(unexpected("a command that was completed", answer)),
    }
}

pub(crate) fn holds(condition: bool, expected: &str, received: &Element) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(unexpected(expected, received))
    }
}

fn unexpected(expected: &str, received: &Element) -> Failure {
    Failure::new(format!(
        "expected {expected}, received instead:\n{}",
        String::from(received)
    ))
}
