//! The whole loop on a real server, told step by step: `make demo`.
//!
//! It ends with 0 only if every step really happened, judged by what alice's and the bot's own clients
//! received. `KEEP=1` leaves everything running afterwards, for a client of your own.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the story ends where something is not as it must be, and real peers live in real time"
)]

mod commands;
mod print;
mod rights;
mod scene;
mod story;
#[path = "../suite/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use print::Teller;
use scene::{ALICE, HOME, PASSWORDS, Scene};

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    // A client that waits in vain says so by a panic; it is told below, once, in its step.
    let reason: Arc<Mutex<String>> = Arc::default();
    let told = Arc::clone(&reason);
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words")
            .clone_into(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    }));
    let teller = Arc::new(tokio::sync::Mutex::new(Teller::new()));
    let telling = {
        let teller = Arc::clone(&teller);
        tokio::spawn(async move { story::tell(&mut *teller.lock().await).await })
    };
    let interrupted = tokio::select! {
        ended = telling => match ended {
            Ok(Ok(scene)) => return the_end(&*teller.lock().await, scene).await,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some(reason.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        },
        _ = tokio::signal::ctrl_c() => None,
    };
    match interrupted {
        Some(reason) => {
            teller.lock().await.failed(&reason);
            ExitCode::FAILURE
        }
        None => ExitCode::from(INTERRUPTED),
    }
}

/// Says good-bye, or how to go on with an own client.
async fn the_end(teller: &Teller, scene: Scene) -> ExitCode {
    teller.title("That is all of it, and each step really happened.");
    if std::env::var_os("KEEP").is_none_or(|keep| keep.is_empty() || keep == "0") {
        teller
            .say("make demo KEEP=1 leaves it running for your own client. Everything is gone now.");
        return ExitCode::SUCCESS;
    }
    let address = scene.server.c2s_address();
    let (host, port) = (address.ip(), address.port());
    teller.title("It goes on running, for your own client, until Ctrl-C.");
    teller.say(&format!(
        "Host {host}, port {port}, without encryption (nothing listens beyond this machine). Accounts:"
    ));
    for (user, password) in PASSWORDS {
        teller.lines(&format!("{user}@localhost  password {password}"));
    }
    teller.say("For example with profanity, in two terminals, one for each account:");
    teller.lines(&format!(
        "/connect alice@localhost server {host} port {port} tls disable\n\
         /connect bot@localhost server {host} port {port} tls disable"
    ));
    teller.say("As alice, write to the component; it answers, and help says what else there is:");
    teller.lines(&format!(
        "/msg {HOME} status Gone fishing\n/msg {HOME} visibility public\n/msg {HOME} overview\n\
         /msg {HOME} help"
    ));
    teller
        .say("As the bot, leave a message, or see and run what you may do. Her agent is running:");
    teller.lines(&format!(
        "/msg {ALICE} Are you there?\n/xmlconsole\n/cmd list {ALICE}\n\
         /cmd exec urn:x-presence-service:cmd:0#open-url {ALICE}"
    ));
    teller.say(&format!(
        "And in the XML console of a client that sends XML: <presence type='probe' to='{ALICE}'/>. \
         What her agent opens and starts is written to {}; where it asks, answer with: echo y > {}",
        scene.done().display(),
        scene.keyboard().display()
    ));
    // Fails only where there are no signals at all; then there is nothing to wait for.
    let _ = tokio::signal::ctrl_c().await;
    teller.say("Everything is gone now.");
    drop(scene);
    ExitCode::SUCCESS
}
