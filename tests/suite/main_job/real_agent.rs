//! `open-url` with the real `vestibule-agent` at alice's side: what her file allows is opened, once,
//! by the program that she has named.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::server::Kind;
use crate::support::{Failure, built_binary};

use super::adhoc::{command_of, completed, node_of, submit_at_once, value};
use super::stage::{
    ALICE, CONVERGED, HOME, PASSWORD, SOON, Stage, body_of, expect_message, is_presence, probe,
    shows,
};

const AGENT: &str = "alice@localhost/vestibule-agent";
const STOP: Duration = Duration::from_secs(20);
/// With what a shell would trip over.
const PAGE: &str = "https://example.net/agenda?item=3&who=$(id)&x=%27;%20true";

pub(super) async fn opens_what_her_file_allows(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    let folder = tempfile::tempdir().unwrap();
    let opened = folder.path().join("opened");
    let read = || std::fs::read_to_string(&opened).unwrap_or_default();

    let mut agent = start(&stage, folder.path(), "always", &mut alice).await?;
    let answer = open_at_agent(&mut bot, PAGE).await;
    let (severity, _) = completed(&answer);
    assert_eq!(severity, "info", "{answer:?}");
    let told = expect_message(&mut alice, "(done)").await;
    for part in ["bot@localhost", PAGE] {
        assert!(body_of(&told).contains(part), "{told:?}");
    }
    let until = Instant::now() + SOON;
    while !read().ends_with('\n') && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read(), format!("{PAGE}\n"));
    // The agent is there and she is as well; it does not speak for her.
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", None), "{face:?}");
    agent.terminate(STOP).await?;
    alice
        .expect("end of the agent", SOON, |e| {
            is_presence(e, AGENT, Some("unavailable"))
        })
        .await;

    // What her file forbids this bot is refused, though it allows others the same.
    let never = "always\"\n[[rule]]\nfrom = [\"bot@localhost\"]\npolicy = \"never";
    let mut agent = start(&stage, folder.path(), never, &mut alice).await?;
    let answer = open_at_agent(&mut bot, "https://example.net/other").await;
    let (severity, _) = completed(&answer);
    assert_eq!(severity, "error");
    let outcome = value(command_of(&answer), "outcome");
    assert_eq!(outcome.as_deref(), Some("refused"));
    expect_message(&mut alice, "refused").await;
    agent.terminate(STOP).await?;
    assert_eq!(read(), format!("{PAGE}\n"));

    // What it forbids everybody it does not offer: the page becomes a message, as without an agent.
    let mut agent = start(&stage, folder.path(), "never", &mut alice).await?;
    let fields = [("url", "https://example.net/message")];
    let until = Instant::now() + CONVERGED;
    loop {
        let answer = submit_at_once(&mut bot, ALICE, &node_of("open-url"), &fields).await;
        let (_, words) = completed(&answer);
        if words.contains("as a message") {
            break;
        }
        // Before the component has its list the agent is asked, and refuses.
        assert!(Instant::now() < until, "{words}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    expect_message(&mut alice, "https://example.net/message").await;
    agent.terminate(STOP).await?;
    assert_eq!(read(), format!("{PAGE}\n"));

    // She is asked at the agent, answers in her own time, and the answer is the bot's.
    let page = "https://example.net/asked";
    let mut agent = start(&stage, folder.path(), "ask", &mut alice).await?;
    let mut keyboard = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.path().join("keyboard"))
        .unwrap();
    let log = folder.path().join("agent.log");
    let answering = async {
        let question = format!("address: {page}");
        let until = Instant::now() + CONVERGED;
        while !std::fs::read_to_string(&log)
            .unwrap_or_default()
            .contains(&question)
        {
            assert!(Instant::now() < until, "she is never asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        keyboard.write_all(b"y\n").unwrap();
    };
    let (answer, ()) = tokio::join!(open_at_agent(&mut bot, page), answering);
    assert_eq!(completed(&answer).0, "info", "{answer:?}");
    expect_message(&mut alice, page).await;
    assert_eq!(read(), format!("{PAGE}\n{page}\n"));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("bot@localhost (authorized, by public) asks to open a web page"));
    agent.terminate(STOP).await?;
    Ok(())
}

/// Starts the agent with this policy for pages, and waits until alice's client sees it.
async fn start(
    stage: &Stage,
    folder: &Path,
    policy: &str,
    alice: &mut Client,
) -> Result<Process, Failure> {
    let opened = folder.join("opened").display().to_string();
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{opened}'\n");
    let opener = place(folder, "opener", &script, 0o700);
    let rights = format!("[open-url]\nopener = [{opener:?}, \"{{url}}\"]\npolicy = \"{policy}\"\n");
    let mut command = configured(stage, folder, &rights)?;
    command.env("HOME", folder);
    let agent = Process::spawn("vestibule-agent", command, &folder.join("agent.log"))?;
    is_there(alice).await;
    Ok(agent)
}

/// Writes a file of this mode, and returns its path.
pub(super) fn place(folder: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

/// The built agent of alice with these sections in its file; who is asked answers by `keyboard`.
pub(super) fn configured(
    stage: &Stage,
    folder: &Path,
    sections: &str,
) -> Result<std::process::Command, Failure> {
    let text = format!(
        "jid = \"alice@localhost\"\npassword = {PASSWORD:?}\ncomponent = \"{HOME}\"\n\
         server = \"{}\"\nstate = \"{}\"\n[ask]\nfrom = \"stdin\"\n{sections}",
        stage.server.c2s_address(),
        folder.display(),
    );
    let config = place(folder, "agent.toml", &text, 0o600);
    // Its keyboard is a pipe that is never at its end.
    let keyboard = folder.join("keyboard");
    if !keyboard.exists() {
        let made = std::process::Command::new("mkfifo").arg(&keyboard).status();
        assert!(made.unwrap().success());
    }
    let mut command = Process::command(Path::new("/bin/sh"));
    command
        .args(["-c", "exec \"$0\" run --config \"$1\" <> keyboard"])
        .arg(built_binary("vestibule-agent")?)
        .arg(config)
        .current_dir(folder);
    Ok(command)
}

/// Waits until alice's client sees the agent.
pub(super) async fn is_there(alice: &mut Client) {
    alice
        .expect("presence of the agent", SOON, |e| {
            is_presence(e, AGENT, None)
        })
        .await;
}

/// Asks until the component has found out what the agent can do; before that the page becomes a
/// message, and the bot is told so.
async fn open_at_agent(bot: &mut Client, page: &str) -> minidom::Element {
    let until = Instant::now() + CONVERGED;
    loop {
        let fields = [("url", page)];
        let answer = submit_at_once(bot, ALICE, &node_of("open-url"), &fields).await;
        if !completed(&answer).1.contains("as a message") {
            return answer;
        }
        assert!(Instant::now() < until, "the agent is never found");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
