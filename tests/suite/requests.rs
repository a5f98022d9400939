//! A flood of subscription requests from everywhere at the core: what is kept, and how often she is told.
//! RFC 6121 §3.1.3, security.md T31.

use std::time::Duration;

use minidom::Element;
use vestibule::component::clock::{Now, Wall};
use vestibule::component::record::{Change, SubscriptionState};
use vestibule::component::{Component, Effect, Event, Input};
use vestibule::stanza::Arrival;

use crate::support::stanza;
use crate::support::transcript::settings;

/// Requests, over an hour.
const REQUESTS: usize = 100_000;
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_flood_fills_a_short_list_and_prompts_rarely() {
    let mut core = Component::new(settings::default(), []);
    let mut heard = Heard::default();
    let mut at = Duration::ZERO;
    heard.tell(&mut core, at, Event::Attached);
    for text in [
        "<presence type='subscribe' from='alice@localhost' to='presence.localhost'/>",
        "<presence type='subscribed' from='alice@localhost' to='presence.localhost'/>",
    ] {
        heard.tell(
            &mut core,
            at,
            Event::Received(Arrival::Stanza(stanza(text))),
        );
    }
    heard.messages.clear();
    for n in 0..REQUESTS {
        // A thousand domains, each with a hundred watchers.
        let text = format!(
            "<presence type='subscribe' from='w{n}@d{}.example' to='alice\\40localhost@presence.localhost'>\
             <status>{}</status></presence>",
            n % 1000,
            "buy now ".repeat(100)
        );
        at += HOUR / REQUESTS as u32;
        heard.tell(
            &mut core,
            at,
            Event::Received(Arrival::Stanza(stanza(&text))),
        );
        if core.deadline(now(at)).is_some_and(|left| left.is_zero()) {
            heard.tell(&mut core, at, Event::Deadline);
        }
    }
    // Six stretches of ten minutes begin in an hour, and what the first prompt told is never told again.
    assert!(
        (1..=7).contains(&heard.messages.len()),
        "{:?}",
        heard.messages
    );
    let longest = heard.messages.iter().map(String::len).max();
    assert!(longest < Some(10_000), "{longest:?}");
    assert_eq!(heard.n_pending, 50);
}

fn now(at: Duration) -> Now {
    Now {
        mono: at,
        wall: Wall(1_795_440_000_000 + at.as_millis() as i64),
    }
}

/// What the core wants written and said; everything is written at once.
#[derive(Default)]
struct Heard {
    messages: Vec<String>,
    n_pending: usize,
}

impl Heard {
    fn tell(&mut self, core: &mut Component, at: Duration, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let chance = at.as_nanos().to_be_bytes();
            core.handle(Input { event, chance }, now(at));
            while let Some(effect) = core.poll_effect() {
                match effect {
                    Effect::Send(sent) => {
                        let sent = Element::from(sent);
                        if sent.name() == "message" {
                            self.messages.push(String::from(&sent));
                        }
                    }
                    Effect::Persist { ticket, changes } => {
                        self.n_pending += changes.iter().filter(|one| is_new(one)).count();
                        events.push(Event::Committed(ticket));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// A request that is written for the first time: she has not been told of it.
fn is_new(change: &Change) -> bool {
    match change {
        Change::Subscription {
            value: Some(one), ..
        } => {
            one.state == SubscriptionState::Pending
                && one.waiting.as_ref().is_some_and(|waiting| !waiting.told)
        }
        _ => false,
    }
}
