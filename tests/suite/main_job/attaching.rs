//! Attaching: each obstacle is one clear line in the log, and the component goes on trying.

use std::time::Duration;

use crate::support::component_process::{ComponentProcess, Config};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary};

use super::stage::configuration;

/// For a line of the log.
const LOGGED: Duration = Duration::from_secs(20);
/// The back-off after a wrong configuration grows, so the second attempt may be a while.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn goes_on_until_it_succeeds(kind: Kind) -> Result<(), Failure> {
    let mut server = Server::start(kind, Options::default()).await?;
    let binary = built_binary("vestibule")?;
    let good = configuration(&server);

    let wrong_secret = "[component]\nsecret = \"guessed\"\n";
    keeps_refused(&binary, &good, wrong_secret, "not-authorized").await?;
    // ejabberd answers an unknown name like a wrong secret (servers.md §1.2).
    let unknown = match kind {
        Kind::Prosody => "host-unknown",
        Kind::Ejabberd => "not-authorized",
    };
    let wrong_name = "[component]\ndomain = \"elsewhere.localhost\"\n";
    keeps_refused(&binary, &good, wrong_name, unknown).await?;

    let mut component = ComponentProcess::start(&binary, &good).await?;
    // On ejabberd a second one of the same name is let in (servers.md §1.3): nothing to be seen.
    if kind == Kind::Prosody {
        let mut second = keeps_refused_running(&binary, &good, "conflict").await?;
        // The name is free: it takes over without being told.
        assert_eq!(component.stop().await?, 0);
        second.attached().await?;
        assert_eq!(second.stop().await?, 0);
        component.respawn()?;
        component.attached().await?;
    }

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
