//! A question in chat, on real servers: what a watcher may do only by her word waits for it, she gives it from an
//! ordinary client, and what was done by it stays.

use minidom::Element;

use crate::support::client::Client;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::adhoc::{command, command_of, completed, form, node_of, value};
use super::stage::{
    ALICE, NS_CLIENT, SOON, Stage, body_of, expect_message, fresh_id, is_answer, probe,
    probe_until, say, shows,
};

const TEXT: &str = "On call until six";

pub(super) async fn wait_for_her_word(kind: Kind) -> Result<(), Failure> {
    let ceiling = "[ceiling]\nleave-message = [\"ask\", \"ask\", \"ask\", \"yes\"]\n";
    let mut stage = Stage::set_with(kind, Options::default(), ceiling).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(
        &mut alice,
        "grant bot@localhost set-status ask always",
        "may now",
    )
    .await;

    // Nothing is shown before she has said yes; the bot's request stays open meanwhile.
    let asked = ask(&mut bot, "set-status", ("status-message", TEXT)).await;
    let code = code_of_question(&mut alice, &["bot@localhost (authorized)", TEXT]).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", None), "{face:?}");
    say(&mut alice, &format!("yes {code}"), "Yes to bot@localhost").await;
    assert_eq!(end(&mut bot, &asked).await, "completed");
    let set = format!("{TEXT} (set by bot@localhost)");
    probe_until(&mut bot, "set", |e| shows(e, "online", Some(&set))).await;

    // A code is for one question: it says yes to no other one.
    let asked = ask(&mut bot, "set-status", ("status-message", "Another")).await;
    let second = code_of_question(&mut alice, &["bot@localhost", "Another"]).await;
    assert_ne!(code, second);
    say(&mut alice, &format!("yes {code}"), &code).await;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", Some(&set)), "{face:?}");
    say(&mut alice, &format!("no {second}"), "No to bot@localhost").await;
    assert_eq!(end(&mut bot, &asked).await, "refused");

    // A message is not shown before she lets it in; the question outlives the component.
    let words = "The parcel is at the door";
    let asked = ask(&mut bot, "leave-message", ("text", words)).await;
    let n = format!("a message of {} characters", words.len());
    let code = code_of_question(&mut alice, &["bot@localhost", &n]).await;
    stage.component.kill();
    stage.component.restart().await?;
    let is_shown = |e: &Element| e.name() == "message" && body_of(e).contains(words);
    alice
        .quiet("message before she has let it in", QUIET, is_shown)
        .await;
    say(&mut alice, &format!("yes {code}"), "Yes to bot@localhost").await;
    expect_message(&mut alice, words).await;
    // The answer to the request was lost with the component: nothing is answered twice.
    bot.quiet("answer of another component", QUIET, |e| {
        is_answer(e, &asked) && e.attr("type") == Some("result")
    })
    .await;

    // What was set stays when she goes, and when the component does.
    alice.logout().await;
    let away = |e: &Element| shows(e, "unavailable", Some(&set));
    probe_until(&mut bot, "set, and she is away", away).await;
    stage.component.kill();
    stage.component.restart().await?;
    probe_until(&mut bot, "set after a restart", away).await;
    Ok(())
}

/// For what must not come.
const QUIET: std::time::Duration = std::time::Duration::from_millis(300);

/// Sends a command, and returns the id by which its answer is known.
async fn ask(bot: &mut Client, right: &str, field: (&str, &str)) -> String {
    let node = node_of(right);
    let id = fresh_id();
    let mut payload = command(&node, None, "execute");
    payload.append_child(form(&node, &[field]));
    let mut iq = stanza(&format!("<iq type='set' id='{id}' to='{ALICE}'/>"));
    iq.append_child(payload);
    bot.send(iq).await;
    id
}

/// The code in the question that has all of this in it.
pub(super) async fn code_of_question(alice: &mut Client, parts: &[&str]) -> String {
    let question = body_of(&expect_message(alice, "no answer means no").await);
    for part in parts {
        assert!(question.contains(part), "{question}");
    }
    let (_, after) = question.split_once("“yes ").unwrap();
    after.split_once('”').unwrap().0.to_owned()
}

/// How the command has ended for the bot.
async fn end(bot: &mut Client, id: &str) -> String {
    let answer = bot
        .expect("the end of the command", SOON, |e| is_answer(e, id))
        .await;
    completed(&answer);
    assert!(!answer.has_child("error", NS_CLIENT), "{answer:?}");
    value(command_of(&answer), "outcome").unwrap()
}
