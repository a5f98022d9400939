//! Every right beyond a message and a page: at her agent, with a question in chat, and by a token.

use std::time::Duration;

use minidom::Element;

use crate::commands::value_of;
use crate::print::{Teller, Way};
use crate::scene::{ALICE, HOME, Player, Scene, body, text_of};
use crate::story::{NS_RIGHTS, completed, error_of, holds, rights_query};
use crate::support::{Failure, stanza};

const NOTICE: &str = "The build of main is done.";
const LUNCH: &str = "Out for lunch";
/// What everybody reads then.
pub(crate) const SHOWN: &str = "Out for lunch (set by bot@localhost)";
const NS_AUTHZ: &str = "urn:x-presence-service:authz:0";

/// How long the component may take to find out what an agent can do.
const FOUND_OUT: Duration = Duration::from_secs(15);

/// The rights in the answer to a query, as they are listed.
fn listed(answer: &Element) -> Vec<String> {
    let query = answer.get_child("query", NS_RIGHTS);
    let children = query.into_iter().flat_map(Element::children);
    children
        .filter(|child| child.name() == "right")
        .filter_map(|right| right.attr("name").map(str::to_owned))
        .collect()
}

/// She grants what only an agent can do; it is listed as soon as the component knows what hers can.
pub(crate) async fn are_granted(
    teller: &mut Teller,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    let grant = "grant bot@localhost notify, start-module, activate-client";
    alice.says(teller, grant, "may now").await;
    let until = tokio::time::Instant::now() + FOUND_OUT;
    loop {
        let answer = bot.quietly(ALICE, "get", rights_query()).await;
        if listed(&answer).iter().any(|name| name == "activate-client") {
            break;
        }
        let is_late = tokio::time::Instant::now() > until;
        holds(!is_late, "activate-client among the rights", &answer)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    alice
        .says(teller, "modules bot@localhost agenda", "agenda")
        .await;
    let answer = bot.quietly(ALICE, "get", rights_query()).await;
    let names = listed(&answer);
    teller.brief("The bot", Way::Receives, "may now", &names.join(", "));
    let all = [
        "open-url",
        "leave-message",
        "notify",
        "start-module",
        "activate-client",
    ];
    let are_all = all
        .iter()
        .all(|right| names.iter().any(|name| name == right));
    holds(are_all, "five rights", &answer)
}

/// `notify`, `start-module` and `activate-client`, the last two asked at the agent.
pub(crate) async fn at_her_agent(
    teller: &mut Teller,
    scene: &mut Scene,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("The bot does more at her desk");
    let before = scene.printed();
    let id = bot.runs(teller, "notify", &[("text", NOTICE)]).await;
    let shown = scene.agent_prints(NOTICE, before).await?;
    teller.brief("Her agent", Way::Receives, "shows", &shown);
    completed(&bot.ends(teller, &id).await, "info")?;
    alice.reads(teller, NOTICE).await;

    teller.say("By the operator's rules she is asked about the next two; her agent asks her:");
    let fields = [("module", "agenda"), ("arg-day", "tomorrow")];
    let id = bot.runs(teller, "start-module", &fields).await;
    she_agrees(teller, scene, "asks to start").await?;
    completed(&bot.ends(teller, &id).await, "info")?;
    has_written(teller, scene, "agenda --day=tomorrow").await?;
    alice.reads(teller, "agenda").await;

    let id = bot.runs(teller, "activate-client", &[]).await;
    she_agrees(teller, scene, "asks to bring up").await?;
    completed(&bot.ends(teller, &id).await, "info")?;
    has_written(teller, scene, "chat client").await?;
    alice.reads(teller, "chat client").await;
    teller.proved(
        "A notification, a program of hers by its name with one of the values that her file allows, and \
         her chat client: each once, and each told to both.",
    );
    Ok(())
}

async fn she_agrees(teller: &Teller, scene: &mut Scene, part: &str) -> Result<(), Failure> {
    let question = scene.agent_prints(part, 0).await?;
    teller.brief("Her agent", Way::Receives, "asks", &question);
    teller.brief("Alice", Way::Sends, "types", "y");
    scene.types("y")
}

async fn has_written(teller: &Teller, scene: &Scene, expected: &str) -> Result<(), Failure> {
    let written = scene.written_down(expected).await?;
    teller.brief("The program", Way::Receives, "has written down", &written);
    let all = std::fs::read_to_string(scene.done()).unwrap_or_default();
    if written == expected && all.matches(expected).count() == 1 {
        Ok(())
    } else {
        Err(Failure::new(format!("that is not {expected}, once: {all}")))
    }
}

/// `set-status`, about which the component itself asks her in chat.
pub(crate) async fn her_status_after_a_question(
    teller: &mut Teller,
    alice: &mut Player,
    bot: &mut Player,
) -> Result<(), Failure> {
    teller.step("The bot sets her status, when she has said yes");
    let grant = "grant bot@localhost set-status ask first";
    alice.says(teller, grant, "may now").await;
    let fields = [("status-message", LUNCH), ("until", "4h")];
    let id = bot.runs(teller, "set-status", &fields).await;
    let question = alice.reads(teller, "asks to set your status").await;
    let text = body(&question);
    let code = text
        .split_once("“yes ")
        .and_then(|(_, rest)| rest.split_once('”'));
    let Some((code, _)) = code else {
        return Err(Failure::new(format!("no code in: {text}")));
    };
    alice.says(teller, &format!("yes {code}"), "Yes").await;
    completed(&bot.ends(teller, &id).await, "info")?;
    let face = bot.asks_for_alice(teller).await?;
    let is_set = text_of(&face, "status").as_deref() == Some(SHOWN);
    holds(is_set, "the text that the bot has set", &face)?;
    teller.proved(
        "Her word came first. Everybody reads the text, and whose it is; undo would take it back.",
    );
    Ok(())
}

/// A guest without any right is given a token, and redeems it.
pub(crate) async fn by_a_token(
    teller: &mut Teller,
    scene: &Scene,
    alice: &mut Player,
) -> Result<(), Failure> {
    teller.step("A guest whose address she does not know gets a token");
    let mut guest = scene.login("guest", "home").await?;
    let before = guest.quietly(ALICE, "get", rights_query()).await;
    let is_nobody = error_of(&before) == "service-unavailable";
    holds(is_nobody, "the answer of nobody", &before)?;
    teller.say("To the guest there is no alice yet. She makes a token, in a form of her client:");
    let made = alice.quietly(HOME, "set", token_form()).await;
    let token = value_of(&made, "token").unwrap_or_default();
    holds(token.len() > 20, "a token", &made)?;
    teller.brief("Alice", Way::Receives, "is shown, this once", &token);
    let redeem = stanza(&format!(
        "<redeem xmlns='{NS_AUTHZ}'><token>{token}</token></redeem>"
    ));
    let answer = guest.requests(teller, "set", redeem).await;
    let grant = answer.get_child("grant", NS_AUTHZ);
    let is_granted = grant.and_then(|grant| grant.attr("level")) == Some("authorized");
    holds(is_granted, "a grant", &answer)?;
    alice.reads(teller, "has redeemed your token").await;
    let answer = guest.quietly(ALICE, "get", rights_query()).await;
    teller.brief(
        "The guest",
        Way::Receives,
        "may now",
        &listed(&answer).join(", "),
    );
    holds(
        listed(&answer).iter().any(|name| name == "notify"),
        "the right of the token",
        &answer,
    )?;
    guest.client.logout().await;
    teller
        .proved("The token's rights are the guest's until it ends, beside what all may do who see her; it needs to be shown no \
         more.");
    Ok(())
}

fn token_form() -> Element {
    let mut fields = String::new();
    for (var, value) in [("label", "door"), ("rights", "notify"), ("uses", "1")] {
        fields += &format!("<field var='{var}'><value>{value}</value></field>");
    }
    stanza(&format!(
        "<command xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:consent:0#token-new'>\
         <x xmlns='jabber:x:data' type='submit'>{fields}</x></command>"
    ))
}
