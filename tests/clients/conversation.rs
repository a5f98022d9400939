//! What bob reads in the conversation with the component, and what he answers there: alice does with him what
//! he has granted her.

use std::time::Duration;

use tokio::time::Instant;

use crate::adhoc;
use crate::scene::Scene;
use crate::story::{ChatClient, LOOK, PATIENCE};
use crate::support::Failure;
use crate::support::server::Kind;

/// A bare “yes” counts once the question has been open for three seconds.
const SETTLED: Duration = Duration::from_secs(4);

/// A client in which bob talks with the component.
pub(crate) trait Converses: ChatClient {
    /// Opens the conversation.
    async fn open(&mut self) -> Result<(), Failure>;

    /// The words of it, with one space between them.
    async fn words(&mut self) -> Result<String, Failure>;

    /// Types a line in it and sends it.
    async fn say(&mut self, line: &str) -> Result<(), Failure>;
}

/// Bob reads what alice did.
pub(crate) async fn read_by<C: Converses>(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::set(kind).await?;
    let grant = "grant alice@localhost open-url notify set-status activate-client ask never";
    scene.bob_has_said(grant, "may now").await?;
    let mut bob = C::start(&scene).await?;
    shown(&mut bob).await?;
    bob.open().await?;
    scene
        .alice_runs("leave-message", &[("text", "See you at noon")])
        .await;
    until_read(
        &mut bob,
        "Message from alice@localhost (authorized): See you at noon",
    )
    .await?;
    let link = [
        ("url", "https://example.org/agenda"),
        ("reason", "for today"),
    ];
    scene.alice_runs("open-url", &link).await;
    until_read(
        &mut bob,
        "alice@localhost (authorized) sends you a link: https://example.org/agenda Reason: for today",
    )
    .await?;
    scene
        .alice_runs("notify", &[("text", "The build is done")])
        .await;
    until_read(
        &mut bob,
        "alice@localhost (authorized) notifies you: The build is done",
    )
    .await?;
    scene
        .alice_runs("set-status", &[("status-message", "On stage")])
        .await;
    until_read(
        &mut bob,
        "alice@localhost (authorized) has set your status text. Your status is now “On stage”",
    )
    .await?;
    let mut agent = scene.agent_of_bob().await?;
    let answers = async {
        let order = adhoc::expect_at_agent(&mut agent, "activate-client").await;
        let done = adhoc::answer_with("completed", "s1", "activate-client", Some("raised"));
        agent.reply(&order, Some(done)).await;
    };
    tokio::join!(scene.alice_runs("activate-client", &[]), answers);
    until_read(
        &mut bob,
        "alice@localhost activated your chat client at your client (done). Your client says: raised",
    )
    .await?;
    bob.leave_picture(&format!("{}-{kind}-read", C::NAME))
        .await
        .map(drop)
}

/// Bob sets his status, is asked twice, and answers with the code and without.
pub(crate) async fn answered_by<C: Converses>(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::set(kind).await?;
    scene
        .bob_has_said("grant alice@localhost set-status ask always", "may now")
        .await?;
    let mut bob = C::start(&scene).await?;
    shown(&mut bob).await?;
    bob.open().await?;
    bob.say("status Reading").await?;
    until_read(&mut bob, "Your status is now “Reading”").await?;
    for (words, with_code) in [("On stage", true), ("In the garden", false)] {
        let answers = async {
            let question =
                format!("alice@localhost (authorized) asks to set your status to “{words}”");
            let read = until_read(&mut bob, &question).await?;
            let after = read.rsplit(&question).next().unwrap_or_default();
            let code = after
                .split_once("“yes ")
                .and_then(|(_, rest)| rest.split_once('”'))
                .map(|(code, _)| code.to_owned())
                .ok_or_else(|| Failure::new(format!("no code in {after}")))?;
            if with_code {
                bob.say(&format!("yes {code}")).await?;
            } else {
                tokio::time::sleep(SETTLED).await;
                bob.say("yes").await?;
            }
            until_read(&mut bob, &format!("Your status is now “{words}”")).await
        };
        let fields = [("status-message", words), ("until", "none")];
        let (told, read) = tokio::join!(scene.alice_runs("set-status", &fields), answers);
        read?;
        assert!(told.contains("The status is set"), "{told}");
    }
    bob.leave_picture(&format!("{}-{kind}-answered", C::NAME))
        .await
        .map(drop)
}

/// Waits until the client is online.
async fn shown<C: Converses>(bob: &mut C) -> Result<(), Failure> {
    let online = crate::story::Shown {
        state: crate::story::State::Online,
        text: None,
    };
    crate::story::until(bob, &crate::scene::COMPONENT, &online).await
}

/// Waits until bob reads these words, and returns all that he reads then.
async fn until_read<C: Converses>(bob: &mut C, words: &str) -> Result<String, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let read = bob.words().await?;
        if read.contains(words) {
            return Ok(read);
        }
        if Instant::now() > end {
            let screen = bob.leave_picture(&format!("{}-failed", C::NAME)).await?;
            return Err(Failure::new(format!("{words:?} is not in\n{screen}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The words of a text, with one space between them.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
