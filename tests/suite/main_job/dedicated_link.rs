//! A partner on the dedicated link: it sees, asks, has a page opened, leaves a message, is told, is blocked;
//! and the libraries that partners use attach as they are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use minidom::Element;

use crate::support::client::Client;
use crate::support::partner::Partner;
use crate::support::ports::Port;
use crate::support::server::{Kind, Options};
use crate::support::{Failure, stanza};

use super::adhoc::{NS_COMMANDS, answer_with, expect_at_agent, value};
use super::opening_pages::agent_of_alice;
use super::stage::{
    ALICE, ALICE_FULL, Stage, body_of, condition, expect_message, query, reach_component, request,
    rights, say,
};

const DOMAIN: &str = "partner.presence.localhost";
const SECRET: &str = "open <sesame>";
const PAGE: &str = "https://example.net/agenda";
const SUBMITTED: &str = "<command xmlns='http://jabber.org/protocol/commands' \
    node='urn:x-presence-service:cmd:0#open-url' action='execute'><x xmlns='jabber:x:data' type='submit'>\
    <field var='url'><value>https://example.net/agenda</value></field></x></command>";

/// How long a library may take to be built or installed, on a machine that does other things.
const BUILD: Duration = Duration::from_secs(590);

/// The stage with a door for the party `partner`.
async fn set(kind: Kind) -> Result<(Stage, Port), Failure> {
    let port = Port::reserve()?;
    let text = format!(
        "[dedicated]\nlisten = \"{}\"\n[[party]]\nname = \"partner\"\n\
         rights = [\"see\", \"open-url\", \"leave-message\"]\nlink-secret = {SECRET:?}\n",
        port.address()
    );
    Ok((
        Stage::set_with(kind, Options::default(), &text).await?,
        port,
    ))
}

pub(super) async fn carries_all(kind: Kind) -> Result<(), Failure> {
    let (stage, port) = set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&stage, "agent").await?;
    assert!(
        Partner::attach(port.address(), DOMAIN, "sesame")
            .await
            .is_err()
    );
    let mut partner = Partner::attach(port.address(), DOMAIN, SECRET).await?;

    let probe = format!("<presence type='probe' from='bot@{DOMAIN}/x' to='{ALICE}'/>");
    partner.say(&probe).await?;
    let face = partner
        .expect("the answer to the probe", |e| e.name == "presence")
        .await?;
    assert_eq!(face.attr("from"), Some(ALICE_FULL));
    assert!(face.to_string().contains("level='trusted'"), "{face}");
    let asked_for = "<query xmlns='urn:x-presence-service:rights:0'/>";
    let query = partner
        .ask("get", &format!("bot@{DOMAIN}/x"), ALICE, asked_for)
        .await?;
    assert!(query.to_string().contains("show='online'"), "{query}");

    // At the level trusted nobody is asked; on the server's interface an approved contact would be.
    let asked = partner
        .request("set", &format!("bot@{DOMAIN}/x"), ALICE, SUBMITTED)
        .await?;
    let order = expect_at_agent(&mut agent, "open-url").await;
    let command = order.get_child("command", NS_COMMANDS).unwrap();
    for (var, expected) in [
        ("requester", format!("bot@{DOMAIN}")),
        ("level", "trusted".to_owned()),
        ("interface", "dedicated".to_owned()),
        ("confirm", "0".to_owned()),
        ("url", PAGE.to_owned()),
    ] {
        assert_eq!(value(command, var), Some(expected), "{var}");
    }
    let done = answer_with("completed", "a1", "open-url", None);
    agent.reply(&order, Some(done)).await;
    let result = partner.answer_to(&asked).await?;
    assert!(
        result.to_string().contains("status='completed'"),
        "{result}"
    );
    let told = expect_message(&mut alice, PAGE).await;
    assert!(
        body_of(&told).contains(&format!("bot@{DOMAIN}")),
        "{told:?}"
    );

    let words =
        format!("<message from='{DOMAIN}' to='{ALICE}'><body>The parcel is here</body></message>");
    partner.say(&words).await?;
    expect_message(&mut alice, "The parcel is here").await;

    is_told_of_changes(&mut alice, &mut partner).await?;

    // She blocks it by its name, and it learns no more than of somebody who does not exist.
    say(&mut alice, "block partner", "is blocked").await;
    partner.say(&probe).await?;
    let refusal = partner
        .expect("the refusal", |e| {
            e.attr("type") == Some("unsubscribed")
                && e.attr("to") == Some("bot@partner.presence.localhost")
        })
        .await?;
    assert_eq!(refusal.attr("from"), Some(ALICE));
    Ok(())
}

/// It subscribes, she approves, and it is told of her next state; after a new attach, of the one then.
async fn is_told_of_changes(alice: &mut Client, partner: &mut Partner) -> Result<(), Failure> {
    let shows = |e: &crate::support::transcript::tree::Tree, show: &str| {
        e.name == "presence"
            && e.attr("to") == Some(DOMAIN)
            && e.to_string().contains(&format!("<show>{show}</show>"))
    };
    say(alice, &format!("approve {DOMAIN}"), DOMAIN).await;
    partner
        .say(&format!(
            "<presence type='subscribe' from='{DOMAIN}' to='{ALICE}'/>"
        ))
        .await?;
    partner
        .expect("the approval", |e| e.attr("type") == Some("subscribed"))
        .await?;
    alice
        .send(stanza("<presence><show>dnd</show></presence>"))
        .await;
    reach_component(alice).await;
    partner.expect("her new state", |e| shows(e, "dnd")).await?;
    partner.attach_again().await?;
    partner
        .expect("her state after an attach", |e| shows(e, "dnd"))
        .await?;
    alice
        .send(stanza("<presence><show>xa</show></presence>"))
        .await;
    partner.expect("her next state", |e| shows(e, "xa")).await?;
    Ok(())
}

/// One partner sends all it can and reads nothing. Another one, and a bot on the server, are served as if it
/// were not there; in the end it is cut off.
pub(super) async fn outlives_a_flood(kind: Kind) -> Result<(), Failure> {
    let port = Port::reserve()?;
    let party = |name| {
        format!("[[party]]\nname = \"{name}\"\nrights = [\"see\"]\nlink-secret = {SECRET:?}\n")
    };
    let listen = format!("[dedicated]\nlisten = \"{}\"\n", port.address());
    let mut stage = Stage::set_with(
        kind,
        Options::default(),
        &(listen + &party("noisy") + &party("partner")),
    )
    .await?;
    let _alice = stage.alice_joined("phone").await?;
    let mut bot = stage.bot().await?;
    let mut partner = Partner::attach(port.address(), DOMAIN, SECRET).await?;
    let noisy = Partner::attach(port.address(), "noisy.presence.localhost", SECRET).await?;
    let asked_for = "<query xmlns='urn:x-presence-service:rights:0'/>";
    let flood = tokio::spawn(async move {
        let mut noisy = noisy;
        let probe =
            format!("<presence type='probe' from='noisy.presence.localhost' to='{ALICE}'/>");
        // Its answer is long: what waits is more than what the kernel takes.
        let info = "<iq type='get' id='x' from='a@noisy.presence.localhost' to='presence.localhost'>\
                    <query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
        let words = (probe + info).repeat(1000);
        let mut n = 0_u64;
        // Fails when it is cut off.
        while noisy.say(&words).await.is_ok() {
            n += 2000;
        }
        n
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut waits = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        partner.ask("get", DOMAIN, ALICE, asked_for).await?;
        waits.push(begun.elapsed());
        let begun = Instant::now();
        query(&mut bot).await;
        waits.push(begun.elapsed());
    }
    waits.sort_unstable();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    assert!(
        median < Duration::from_millis(250),
        "{median:?}, at most {longest:?}"
    );
    assert!(
        longest < Duration::from_secs(5),
        "{median:?}, at most {longest:?}"
    );
    let cut_off = "noisy.presence.localhost does not read";
    stage
        .component
        .logged(cut_off, Duration::from_secs(120))
        .await?;
    let n = flood
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    assert!(n >= 2000, "only {n} stanzas were sent");
    // It may come back.
    let mut again = Partner::attach(port.address(), "noisy.presence.localhost", SECRET).await?;
    let answer = again
        .ask("get", "noisy.presence.localhost", ALICE, asked_for)
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{answer}");
    partner.ask("get", DOMAIN, ALICE, asked_for).await?;
    // But not again and again.
    let mut n = 0;
    while again.attach_again().await.is_ok() {
        n += 1;
        assert!(n < 30, "it may attach without end");
    }
    assert!(n >= 5, "only {n} times");
    Ok(())
}

/// SIGHUP: a wrong file changes nothing; a right one takes a party's link and rights away, and gives them
/// back with another secret.
pub(super) async fn follows_the_configuration(kind: Kind) -> Result<(), Failure> {
    let (mut stage, port) = set(kind).await?;
    let _alice = stage.alice_joined("phone").await?;
    let mut bot = stage.bot().await?;
    let mut partner = Partner::attach(port.address(), DOMAIN, SECRET).await?;
    let asked_for = "<query xmlns='urn:x-presence-service:rights:0'/>";
    let file = stage.component.config_file();
    let good = std::fs::read_to_string(&file).map_err(|error| Failure::new(error.to_string()))?;
    let write =
        |text: &str| std::fs::write(&file, text).map_err(|error| Failure::new(error.to_string()));
    let soon = Duration::from_secs(20);

    write(&good.replace("link-secret", "link-sekret"))?;
    stage.component.hang_up()?;
    stage
        .component
        .logged("configuration not taken up: ", soon)
        .await?;
    let answer = partner.ask("get", DOMAIN, ALICE, asked_for).await?;
    assert_eq!(answer.attr("type"), Some("result"), "{answer}");

    // Without parties: bot@localhost is one on the server's interface.
    let mut table: toml::Table = good.parse().expect("it was written by the test");
    table.remove("party");
    let component = table["component"].as_table_mut().expect("a section");
    component.insert("server".to_owned(), "127.0.0.1:1".into());
    assert_eq!(rights_of(&mut bot).await, "authorized");
    write(&table.to_string())?;
    stage.component.hang_up()?;
    stage
        .component
        .logged("component.server has changed", soon)
        .await?;
    stage
        .component
        .logged("configuration taken up", soon)
        .await?;
    assert_eq!(partner.closed().await?, "not-authorized");
    let asked = stanza(asked_for);
    let refused = request(&mut bot, ALICE, "get", asked).await;
    assert_eq!(condition(&refused), "service-unavailable");
    assert!(
        Partner::attach(port.address(), DOMAIN, SECRET)
            .await
            .is_err()
    );

    write(&good.replace("open <sesame>", "close"))?;
    stage.component.hang_up()?;
    stage
        .component
        .logged("configuration taken up", soon)
        .await?;
    assert!(
        Partner::attach(port.address(), DOMAIN, SECRET)
            .await
            .is_err()
    );
    let mut partner = Partner::attach(port.address(), DOMAIN, "close").await?;
    let answer = partner.ask("get", DOMAIN, ALICE, asked_for).await?;
    assert_eq!(answer.attr("type"), Some("result"), "{answer}");
    assert_eq!(rights_of(&mut bot).await, "authorized");
    // When the component ends, it says so.
    let (closed, code) = tokio::join!(partner.closed(), stage.component.stop());
    assert_eq!((closed?.as_str(), code?), ("system-shutdown", 0));
    Ok(())
}

async fn rights_of(bot: &mut Client) -> String {
    rights(&query(bot).await).0
}

pub(super) async fn takes_tokio_xmpp(kind: Kind) -> Result<(), Failure> {
    let manifest = [
        "--locked",
        "--quiet",
        "--manifest-path",
        "tests/partners/Cargo.toml",
    ];
    let target = root().join("target/partners").display().to_string();
    run(&[
        &[env!("CARGO"), "build", "--target-dir", &target],
        &manifest[..],
    ]
    .concat())
    .await?;
    takes(kind, |address| {
        let program = format!("{target}/debug/partners");
        [&program, &address.to_string(), DOMAIN, SECRET, ALICE]
            .map(ToOwned::to_owned)
            .to_vec()
    })
    .await
}

/// A program that is a partner probes, asks and has a page opened; it says what it got.
async fn takes(kind: Kind, command: impl Fn(SocketAddr) -> Vec<String>) -> Result<(), Failure> {
    let (stage, port) = set(kind).await?;
    let mut alice = stage.alice_joined("phone").await?;
    let mut agent = agent_of_alice(&stage, "agent").await?;
    alice
        .send(stanza(
            "<presence><show>away</show><status>lunch</status></presence>",
        ))
        .await;
    reach_component(&mut alice).await;
    let command = command(port.address());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let answering = async {
        let order: Element = expect_at_agent(&mut agent, "open-url").await;
        let done = answer_with("completed", "a1", "open-url", None);
        agent.reply(&order, Some(done)).await;
    };
    let (said, ()) = tokio::join!(run(&command), answering);
    assert_eq!(
        said?,
        "presence away lunch trusted leave-message,open-url\n\
         query away trusted leave-message,open-url\n\
         command completed completed\n"
    );
    Ok(())
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Runs a program from the root of the package and returns what it said.
pub(super) async fn run(command: &[&str]) -> Result<String, Failure> {
    let failure = |why: String| Failure::new(format!("{}: {why}", command.join(" ")));
    let running = tokio::process::Command::new(command[0])
        .args(&command[1..])
        .current_dir(root())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(BUILD, running).await;
    let output = ended
        .map_err(|_| failure(format!("did not end within {BUILD:?}")))?
        .map_err(|error| failure(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failure(format!("{}\n{words}", output.status)))
}
