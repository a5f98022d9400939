//! Attaching: each obstacle is one clear line in the log, and the component goes on trying.

use std::process::Command;
use std::time::Duration;

use crate::support::certificate::certificate;
use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary};

use super::stage::{Stage, configuration, probe, say, shows};

/// For a line of the log.
const LOGGED: Duration = Duration::from_secs(20);
/// The back-off after a wrong configuration grows, so the second attempt may be a while.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn goes_on_until_it_succeeds(kind: Kind) -> Result<(), Failure> {
    let mut server = Server::start(kind, Options::default()).await?;
    let binary = built_binary("vestibule")?;
    let good = configuration(&server);

    let wrong_secret = "[component]\nsecret = \"guessed\"\n";
    // ejabberd answers an unknown name like a wrong secret (servers.md §1.2).
    let unknown = match kind {
        Kind::Prosody => "host-unknown",
        Kind::Ejabberd => "not-authorized",
    };
    let wrong_name = "[component]\ndomain = \"elsewhere.localhost\"\n";
    // At the same time: the pauses between two attempts are long.
    tokio::try_join!(
        keeps_refused(&binary, &good, wrong_secret, "not-authorized"),
        keeps_refused(&binary, &good, wrong_name, unknown),
    )?;

    let mut component = ComponentProcess::start(&binary, &good).await?;
    // ejabberd lets a second one of the same name in (measured): it finds out by itself.
    let (refused, noticed) = match kind {
        Kind::Prosody => ("conflict", None),
        Kind::Ejabberd => ("another component has attached", Some("is told to go")),
    };
    let mut second = keeps_refused_running(&binary, &good, refused).await?;
    if let Some(noticed) = noticed {
        component.logged(noticed, LOGGED).await?;
    }
    assert!(!second.log().contains("attached to"), "{}", second.log());
    assert_eq!(component.log().matches("attached to").count(), 1);
    // Where nobody is to wait for the name, that is an exit code.
    let once = Command::new(&binary)
        .args(["run", "--no-retry", "--config"])
        .arg(second.config_file())
        .env("VESTIBULE_STORE_PATH", "once")
        .output()
        .map_err(|error| Failure::new(error.to_string()))?;
    let said = String::from_utf8_lossy(&once.stderr).into_owned();
    assert_eq!(once.status.code(), Some(69), "{said}");
    assert!(said.contains(refused), "{said}");
    // The name is free: it takes over without being told.
    assert_eq!(component.stop().await?, 0);
    second.attached().await?;
    assert_eq!(second.stop().await?, 0);
    component.respawn()?;
    component.attached().await?;

    // The server goes and stays away for some attempts.
    server.stop().await?;
    let line = component.logged("refused", LOGGED).await?;
    assert!(!line.contains("attached to"), "{line}");
    component.logged("refused", TRIED_AGAIN).await?;
    server.restart().await?;
    component.attached().await?;
    assert_eq!(component.stop().await?, 0);

    // One that has never been attached ends as willingly.
    server.stop().await?;
    let mut lonely = ComponentProcess::spawn(&binary, &good)?;
    lonely.logged("refused", LOGGED).await?;
    assert_eq!(lonely.stop().await?, 0);
    Ok(())
}

/// Refused at least twice, with one line each, and ends on SIGTERM with 0.
async fn keeps_refused(
    binary: &std::path::Path,
    good: &Config,
    change: &str,
    reason: &str,
) -> Result<(), Failure> {
    let config = good.clone().with(change);
    let mut component = keeps_refused_running(binary, &config, reason).await?;
    assert_eq!(component.stop().await?, 0);
    assert!(!component.log().contains("attached to"));
    Ok(())
}

async fn keeps_refused_running(
    binary: &std::path::Path,
    config: &Config,
    reason: &str,
) -> Result<ComponentProcess, Failure> {
    let mut component = ComponentProcess::spawn(binary, config)?;
    let first = component.logged(reason, LOGGED).await?;
    component.logged(reason, TRIED_AGAIN).await?;
    // The two lines of two attempts, and nothing else about it.
    let lines = component.log();
    let n = lines.lines().filter(|line| line.contains(reason)).count();
    assert_eq!(n, 2, "{first}\n{lines}");
    Ok(component)
}

/// ejabberd with `tls: true` on its component port: served as over a plain one, and each mistake is told.
pub(super) async fn over_tls() -> Result<(), Failure> {
    let failure = |error: std::io::Error| Failure::new(error.to_string());
    let (folder, other) = (
        tempfile::tempdir().map_err(failure)?,
        tempfile::tempdir().map_err(failure)?,
    );
    let (authority, own) = certificate(folder.path(), "xmpp.localhost")?;
    let (stranger, _) = certificate(other.path(), "xmpp.localhost")?;
    let options = Options {
        component_certificate: Some(own),
        ..Options::default()
    };
    let tls = |authority: &std::path::Path, name: &str| {
        format!("[component]\ntls = true\ntls-ca = {authority:?}\ntls-name = {name:?}\n")
    };
    let good = tls(&authority, "xmpp.localhost");
    let mut stage = Stage::set_with(Kind::Ejabberd, options, &good).await?;
    let mut alice = stage.alice_joined("phone").await?;
    say(&mut alice, "status Encrypted", "Encrypted").await;
    let mut bot = stage.bot().await?;
    let face = probe(&mut bot).await;
    assert!(shows(&face, "online", Some("Encrypted")), "{face:?}");
    assert_eq!(stage.component.stop().await?, 0);

    let binary = built_binary("vestibule")?;
    let wrong = [
        (
            tls(&stranger, "xmpp.localhost"),
            "none of the authorities in component.tls-ca",
        ),
        (
            tls(&authority, "elsewhere.localhost"),
            "component.tls-name says for whom",
        ),
        // Without a list of its own, and by the address that it connects to.
        (
            "[component]\ntls = true\n".to_owned(),
            "certificate of 127.0.0.1:",
        ),
        (String::new(), "component.tls"),
    ];
    for (change, expected) in wrong {
        let config = configuration(&stage.server).with(&change);
        let mut component = ComponentProcess::spawn(&binary, &config)?;
        let line = component.logged("next attempt", LOGGED).await?;
        assert!(line.contains(expected), "not {expected:?} but {line}");
        assert_eq!(component.stop().await?, 0);
        let told_once = Command::new(&binary)
            .args(["run", "--no-retry", "--config"])
            .arg(component.config_file())
            .env_clear()
            .output()
            .map_err(failure)?;
        let said = String::from_utf8_lossy(&told_once.stderr).into_owned();
        assert_eq!(told_once.status.code(), Some(69), "{said}");
        assert!(said.contains(expected), "not {expected:?} but {said}");
    }
    Ok(())
}

/// Prosody has no TLS on its component port, and is told so.
pub(super) async fn over_tls_without_it() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    let folder = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    let (authority, _) = certificate(folder.path(), "localhost")?;
    let config = configuration(&server).with(&format!(
        "[component]\ntls = true\ntls-ca = {authority:?}\n"
    ));
    let mut component = ComponentProcess::spawn(&built_binary("vestibule")?, &config)?;
    let line = component.logged("next attempt", LOGGED).await?;
    assert!(line.contains("does not speak TLS"), "{line}");
    assert_eq!(component.stop().await?, 0);
    Ok(())
}
