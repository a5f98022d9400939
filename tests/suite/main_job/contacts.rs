//! A watcher with a thousand contacts here logs in, and another floods: everyone of the first is
//! answered, the second is limited, and a third is answered at once.

use std::collections::BTreeSet;
use std::time::Duration;

use minidom::Element;
use tokio::time::Instant;

use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::clock::Wall;
use vestibule::component::record::{Change, Profile, Subscription, SubscriptionState};
use vestibule::store::embedded::Embedded;
use vestibule::store::{Durability, Store};

use crate::support::client::Client;
use crate::support::component_process::ComponentProcess;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

use super::stage::{HOME, PASSWORD, configuration, reach_component};

const NS_ROSTER: &str = "jabber:iq:roster";

/// Users who have joined and approved bob.
const CONTACTS: usize = 1000;
/// Probes of one watcher at once that are answered by the default configuration, and a second after that.
const BURST: usize = 2000;
const RATE: f64 = 20.0;
/// Probes of the flood.
const FLOOD: usize = BURST + 1000;
/// For a thousand answers on a busy machine.
const ALL: Duration = Duration::from_secs(60);

pub(super) async fn of_a_watcher_are_all_answered(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind, Options::default()).await?;
    for user in ["bob", "mallory", "carol"] {
        Client::register(&server, user, PASSWORD).await?;
    }
    let folder = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    let store = folder.path().join("store");
    {
        let mut store =
            Embedded::open(&store, 0).map_err(|error| Failure::new(error.to_string()))?;
        store
            .apply(&joined(), Durability::Synced)
            .map_err(|error| Failure::new(error.to_string()))?;
    }
    let config = configuration(&server).with(&format!(
        "[limits]\nsubscriptions-per-minute = 0\n[store]\npath = {:?}\n",
        store.display().to_string()
    ));
    let mut component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    component
        .logged(&format!("learned {CONTACTS} users"), ALL)
        .await?;

    match kind {
        Kind::Prosody => write_roster(&server)?,
        Kind::Ejabberd => add_contacts(&server).await?,
    }

    // He logs in: the server probes for him, and every contact answers.
    let mut bob = Client::login(&server, "bob", PASSWORD, "home").await?;
    let begun = Instant::now();
    bob.send(stanza("<presence/>")).await;
    let faces = contacts_of(&mut bob, |e| {
        let from = e.attr("from").filter(|from| from.contains(HOME))?;
        let is_answer = e.name() == "presence" && e.attr("type") == Some("unavailable");
        is_answer.then_some(from)
    })
    .await;
    assert_eq!(faces.len(), CONTACTS);
    println!("{kind}: {CONTACTS} answers in {:?}", begun.elapsed());

    // A flood gets its burst and its rate, while another watcher is answered at once.
    let mut mallory = Client::login(&server, "mallory", PASSWORD, "flood").await?;
    let mut carol = Client::login(&server, "carol", PASSWORD, "home").await?;
    let begun = Instant::now();
    for n in 0..FLOOD {
        let to = presentity(n % CONTACTS);
        mallory
            .send(stanza(&format!("<presence type='probe' to='{to}'/>")))
            .await;
        if n == FLOOD - 1 {
            let asked = Instant::now();
            let to = presentity(0);
            carol
                .send(stanza(&format!("<presence type='probe' to='{to}'/>")))
                .await;
            carol
                .expect("the answer to one probe", Duration::from_secs(5), |e| {
                    e.name() == "presence"
                        && e.attr("from")
                            .is_some_and(|from| from.starts_with(to.as_str()))
                })
                .await;
            println!("{kind}: one answer in a flood after {:?}", asked.elapsed());
        }
    }
    reach_component(&mut mallory).await;
    let most = BURST + (begun.elapsed().as_secs_f64() * RATE) as usize + 1;
    let n = mallory
        .received()
        .iter()
        .filter(|e| e.name() == "presence" && e.attr("type") == Some("unavailable"))
        .count();
    assert!((BURST..=most).contains(&n), "{n} answers, at most {most}");
    assert_eq!(component.stop().await?, 0);
    Ok(())
}

/// His client adds them all; each has approved him already, so his server learns it at once.
async fn add_contacts(server: &Server) -> Result<(), Failure> {
    let mut bob = Client::login(server, "bob", PASSWORD, "first").await?;
    for n in 0..CONTACTS {
        let to = presentity(n);
        bob.send(stanza(&format!("<presence type='subscribe' to='{to}'/>")))
            .await;
    }
    let subscribed = contacts_of(&mut bob, |e| {
        let query = e.get_child("query", NS_ROSTER)?;
        let item = query.get_child("item", NS_ROSTER)?;
        item.attr("jid")
            .filter(|_| item.attr("subscription") == Some("to"))
    })
    .await;
    assert_eq!(subscribed.len(), CONTACTS);
    bob.logout().await;
    Ok(())
}

/// The same as Prosody keeps it: it writes the whole roster for each contact, which takes a minute. A
/// roster is read at the login.
fn write_roster(server: &Server) -> Result<(), Failure> {
    let contacts: String = (0..CONTACTS)
        .map(|n| {
            let jid = presentity(n).as_str().replace('\\', "\\\\");
            format!("[\"{jid}\"] = {{ subscription = \"to\", groups = {{}} }};\n")
        })
        .collect();
    let roster = format!("return {{ [false] = {{ version = 1, pending = {{}} }};\n{contacts}}};\n");
    let folder = server.folder().join("data/localhost/roster");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("bob.dat"), roster))
        .map_err(|error| Failure::new(format!("cannot write the roster: {error}")))
}

/// Waits until stanzas have named every contact, and returns those that they named.
async fn contacts_of(
    watcher: &mut Client,
    named: impl Fn(&Element) -> Option<&str>,
) -> BTreeSet<String> {
    let until = Instant::now() + ALL;
    let mut contacts = BTreeSet::new();
    while contacts.len() < CONTACTS {
        let left = until.saturating_duration_since(Instant::now());
        let stanza = watcher
            .expect("word of another contact", left, |e| named(e).is_some())
            .await;
        let name = named(&stanza).unwrap_or_default();
        let bare = name.split('/').next().unwrap_or_default();
        contacts.insert(bare.to_owned());
    }
    contacts
}

fn user(n: usize) -> Bare {
    Bare::parse(&format!("u{n}@localhost")).expect("an address")
}

fn presentity(n: usize) -> Bare {
    let home = ComponentDomain::parse(HOME).expect("a domain");
    home.presentity(&user(n)).expect("it can be mapped")
}

/// What the store holds once a thousand users have joined, are visible to all, and have approved bob.
fn joined() -> Vec<Change> {
    let since = Wall(1_795_440_000_000);
    (0..CONTACTS)
        .flat_map(|n| {
            // What is left out has its default. They have no accounts, so nobody is to ask for them.
            let profile: Profile = serde_json::from_value(serde_json::json!({
                "joined": since, "visibility": "public", "declined": true
            }))
            .expect("a profile");
            let subscription = Subscription {
                state: SubscriptionState::Approved,
                since,
                waiting: None,
                by_grant: false,
            };
            [
                Change::Profile {
                    user: user(n),
                    value: Some(profile),
                },
                Change::Subscription {
                    user: user(n),
                    watcher: Bare::parse("bob@localhost").expect("an address"),
                    value: Some(subscription),
                },
            ]
        })
        .collect()
}
