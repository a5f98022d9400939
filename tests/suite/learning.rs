//! Learning 10,000 users again after an attach: at a pace that the server bears, told in the log, and not
//! stalled by answers that never come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use minidom::Element;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use vestibule::address::{Bare, ComponentDomain};
use vestibule::component::authorization::{Ceiling, Visibility};
use vestibule::component::clock::{Now, Wall};
use vestibule::component::ending::zone;
use vestibule::component::limits::{IN_FLIGHT_MAX, Limits, SubscriptionRate};
use vestibule::component::record::{Change, LastSeen, Profile};
use vestibule::component::{Component, Effect, Event, Input, Settings};
use vestibule::driver::{self, SystemClock};
use vestibule::link;
use vestibule::stanza::Arrival;
use vestibule::store::committer::Committer;
use vestibule::store::{Durability, Error, Store};

use crate::support::far_end::FarEnd;
use crate::support::stanza;

const USERS: usize = 10_000;
/// Questions that the server may have before it at once (src/component/limits.rs).
const WINDOW: usize = 256;

/// The server answers all but every hundredth question: all the others are learned meanwhile, never more
/// than a window is open, and the log says how far it is and how it ended.
#[test]
fn goes_on_past_questions_that_are_lost() {
    let mut component = Component::new(settings(), stored());
    let mut now = Now {
        mono: Duration::from_secs(1000),
        wall: Wall(1_795_438_800_000),
    };
    let mut reports = Vec::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut probed = 0;
    let mut open: Vec<(String, String)> = Vec::new();
    let mut lost = 0;
    let chance = [7; 16];
    let mut draws = 0_u128;
    let mut draw = || {
        draws += 1;
        draws.to_be_bytes()
    };
    component.handle(
        Input {
            event: Event::Attached,
            chance,
        },
        now,
    );
    let began = now.mono;
    loop {
        while let Some(stanza) = component.poll_broadcast(draw(), now) {
            let stanza = Element::from(stanza);
            let attr = |name: &str| stanza.attr(name).unwrap_or_default().to_owned();
            if stanza.name() == "iq" {
                assert!(asked.insert(attr("to")), "asked twice: {stanza:?}");
                open.push((attr("to"), attr("id")));
            }
            probed += usize::from(stanza.attr("type") == Some("probe"));
        }
        while let Some(effect) = component.poll_effect() {
            match effect {
                Effect::Report(report) => reports.push(report.to_string()),
                Effect::Persist { ticket, .. } | Effect::Remember { ticket, .. } => {
                    let event = Event::Committed(ticket);
                    component.handle(
                        Input {
                            event,
                            chance: draw(),
                        },
                        now,
                    );
                }
                Effect::Send(_) | Effect::Export | Effect::Web(_) => {}
            }
        }
        assert!(open.len() + lost <= WINDOW, "{} open", open.len() + lost);
        if let Some((user, id)) = open.pop() {
            if asked.len().is_multiple_of(100) && lost < 100 {
                lost += 1;
                continue;
            }
            for arrival in [result(&user, &id), presence(&user)] {
                let event = Event::Received(Arrival::Stanza(arrival));
                component.handle(
                    Input {
                        event,
                        chance: draw(),
                    },
                    now,
                );
            }
        } else if asked.len() == USERS && reports.last().is_some_and(|last| last.contains(" s;")) {
            break;
        } else {
            // Nothing but time makes room for the rest.
            let due = component.deadline(now).expect("something is due");
            now.mono += due;
            now.wall.0 += i64::try_from(due.as_millis()).unwrap();
            let event = Event::Deadline;
            component.handle(
                Input {
                    event,
                    chance: draw(),
                },
                now,
            );
            if now.mono - began >= Duration::from_secs(60) {
                lost = 0; // They count as lost now.
            }
        }
    }
    assert_eq!((asked.len(), probed), (USERS, USERS));
    let steps: Vec<String> = (1..10)
        .map(|n| format!("learned {n}000 of 10000 users"))
        .collect();
    let (last, before) = reports.split_last().unwrap();
    assert_eq!(before, steps);
    assert!(last.starts_with("learned 99"), "{last}");
    assert!(last.ends_with("more their server did not answer"), "{last}");
}

/// A store that keeps nothing: what is measured is not the disk.
pub(crate) struct Nothing;

impl Store for Nothing {
    fn load(&mut self, _: &mut dyn FnMut(Change)) -> Result<(), Error> {
        Ok(())
    }

    fn apply(&mut self, _: &[Change], _: Durability) -> Result<(), Error> {
        Ok(())
    }
}

/// The whole component over TCP, and a server that answers as fast as it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_users_takes_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let (committer, outcomes) = Committer::start(Nothing, IN_FLIGHT_MAX);
    let (end, ended) = oneshot::channel::<()>();
    let parts = driver::Parts {
        core: Component::new(settings(), stored()),
        committer,
        outcomes,
        link: link::Settings {
            server,
            tls: None,
            domain: ComponentDomain::parse("presence.localhost").unwrap(),
            secret: "sekrit".to_owned(),
        },
        clock: SystemClock::default(),
        retry: true,
        exports: None,
        metrics: std::sync::Arc::default(),
        doors: None,
        web: None,
        reloads: None,
    };
    let driver = tokio::spawn(driver::run(parts, async {
        let _ = ended.await;
    }));
    let mut far = FarEnd::greet(listener.accept().await.unwrap().0)
        .await
        .unwrap();
    let began = Instant::now();
    let mut answered = 0;
    while answered < USERS {
        let stanza = far.next(Duration::from_secs(30)).await;
        let to = stanza.attribute("to").unwrap_or_default();
        match (stanza.name(), stanza.attribute("type").as_deref()) {
            ("presence", Some("probe")) => {
                far.send(&format!(
                    "<presence from='{to}/desk' to='presence.localhost'><show>dnd</show></presence>"
                ))
                .await;
            }
            ("iq", Some("get")) => {
                let id = stanza.attribute("id").unwrap();
                far.send(&format!(
                    "<iq type='result' id='{id}' from='{to}' to='presence.localhost'>\
                     <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
                ))
                .await;
                answered += 1;
            }
            _ => {}
        }
    }
    let last = format!("user{}", USERS - 1);
    far.send(&format!(
        "<presence type='probe' id='p' from='bot@remote.example/x' \
         to='{last}\\40localhost@presence.localhost'/>"
    ))
    .await;
    let patience = Duration::from_secs(30);
    let face = far.until(patience, |stanza| stanza.answers_probe()).await;
    assert_eq!(face.text_of("show").as_deref(), Some("dnd"), "{face}");
    let took = began.elapsed();
    println!("{USERS} users learned in {took:?}");
    // Measured: 13 s in a debug build on two shared cores.
    assert!(took < Duration::from_secs(60), "{took:?}");
    drop(end);
    driver.await.unwrap().unwrap();
}

pub(crate) fn settings() -> Settings {
    Settings {
        domain: ComponentDomain::parse("presence.localhost").unwrap(),
        users: vec![Bare::parse("localhost").unwrap()],
        admins: Vec::new(),
        neighbours: Vec::new(),
        default_visibility: Visibility::Public,
        timezone: zone("UTC").unwrap(),
        parties: Vec::new().into(),
        ceiling: Ceiling::default(),
        contacts: BTreeMap::new(),
        limits: Limits {
            subscriptions_per_minute: SubscriptionRate::PerMinute(0),
            ..Limits::default()
        },
    }
}

fn stored() -> Vec<Change> {
    let profile = Profile {
        joined: Wall(1_795_438_800_000),
        visibility: Visibility::Public,
        show_when_offline: true,
        public_rights: None,
        dormant: false,
        subscribed: true,
        declined: false,
        lost: false,
        last_seen: LastSeen::default(),
        share_idle: false,
        timezone: None,
        tell: Default::default(),
    };
    (0..USERS)
        .map(|n| Change::Profile {
            user: Bare::parse(&format!("user{n}@localhost")).unwrap(),
            value: Some(profile.clone()),
        })
        .collect()
}

fn result(user: &str, id: &str) -> Element {
    stanza(&format!(
        "<iq type='result' id='{id}' from='{user}' to='presence.localhost'>\
         <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ))
}

fn presence(user: &str) -> Element {
    stanza(&format!(
        "<presence from='{user}/desk' to='presence.localhost'><show>away</show></presence>"
    ))
}
