//! Tokens at the core, under chance: no use more than she gave, whatever fails and whenever it crashes; and
//! no place but one where the text of a token can be found. design.md §7 C1, security.md T25, T47, T48.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use minidom::Element;
use minidom::rxml::xml_ncname;
use vestibule::component::clock::{Now, Wall};
use vestibule::component::record::Change;
use vestibule::component::{Component, Effect, Event, Input, Ticket, line};
use vestibule::stanza::Arrival;

use crate::support::transcript::settings;
use crate::support::{long, stanza};

const HOME: &str = "presence.localhost";
const ALICE: &str = r"alice\40localhost@presence.localhost";

/// A core whose commits wait until they are settled one by one.
struct Bench {
    core: Component,
    written: Vec<Change>,
    open: VecDeque<(Ticket, Vec<Change>)>,
    sent: Vec<Element>,
    turn: u64,
}

impl Bench {
    /// Alice has joined and is seen by nobody.
    fn new() -> Self {
        let mut bench = Self {
            core: Component::new(settings::default(), []),
            written: Vec::new(),
            open: VecDeque::new(),
            sent: Vec::new(),
            turn: 0,
        };
        bench.tell(Event::Attached);
        for text in [
            format!("<presence type='subscribe' from='alice@localhost' to='{HOME}'/>"),
            format!("<presence type='subscribed' from='alice@localhost' to='{HOME}'/>"),
            format!(
                "<message type='chat' from='alice@localhost/x' to='{HOME}'>\
                 <body>visibility private</body></message>"
            ),
        ] {
            bench.deliver(&text);
            bench.settle_all();
        }
        bench.is_there();
        bench.sent.clear();
        bench
    }

    /// Her presence is known, so that no question waits for it.
    fn is_there(&mut self) {
        self.deliver(&format!("<presence from='alice@localhost/x' to='{HOME}'/>"));
    }

    fn deliver(&mut self, text: &str) {
        self.tell(Event::Received(Arrival::Stanza(stanza(text))));
    }

    fn tell(&mut self, event: Event) {
        self.turn += 1;
        let mut chance = [0; 16];
        chance[..8].copy_from_slice(&self.turn.to_be_bytes());
        let now = Now {
            mono: Duration::from_millis(self.turn),
            wall: Wall(1_795_440_000_000 + self.turn as i64),
        };
        self.core.handle(Input { event, chance }, now);
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send(stanza) => self.sent.push(stanza.into()),
                Effect::Persist { ticket, changes } | Effect::Remember { ticket, changes } => {
                    self.open.push_back((ticket, changes));
                }
                Effect::Export | Effect::Report(_) | Effect::Web(_) => {}
            }
        }
    }

    /// The oldest commit becomes durable, or fails; `false` where none waits.
    fn settle(&mut self, durable: bool) -> bool {
        let Some((ticket, changes)) = self.open.pop_front() else {
            return false;
        };
        if durable {
            self.written.extend(changes);
            self.tell(Event::Committed(ticket));
        } else {
            self.tell(Event::Failed(ticket));
        }
        true
    }

    fn settle_all(&mut self) {
        while self.settle(true) {}
    }

    /// The process dies; what was not durable is lost, or what was durable was not yet heard of.
    fn crash(&mut self, unheard: bool) {
        let open = std::mem::take(&mut self.open);
        if unheard && let Some((_, changes)) = open.into_iter().next() {
            self.written.extend(changes);
        }
        self.core = Component::new(settings::default(), self.written.iter().cloned());
        self.tell(Event::Attached);
        self.is_there();
    }

    /// She makes a token by the form.
    fn makes(&mut self, label: &str, uses: u32) -> String {
        self.deliver(&format!(
            "<iq type='set' id='make' from='alice@localhost/x' to='{HOME}'>\
             <command xmlns='http://jabber.org/protocol/commands' \
             node='urn:x-presence-service:consent:0#token-new'><x xmlns='jabber:x:data' type='submit'>\
             <field var='label'><value>{label}</value></field>\
             <field var='rights'><value>leave-message</value></field>\
             <field var='uses'><value>{uses}</value></field></x></command></iq>"
        ));
        self.settle_all();
        let result = self.sent.pop().map(|stanza| String::from(&stanza));
        let result = result.expect("the token is answered");
        let (_, token) = result.split_once("1:").expect("it is in the result");
        format!("1:{}", &token[..30])
    }

    fn queries(&mut self, from: &str, token: &str) {
        self.deliver(&format!(
            "<iq type='get' id='q' from='{from}' to='{ALICE}'>\
             <query xmlns='urn:x-presence-service:rights:0'><token>{token}</token></query></iq>"
        ));
    }

    fn writes(&mut self, from: &str, token: &str) {
        self.deliver(&format!(
            "<iq type='set' id='c' from='{from}' to='{ALICE}'>\
             <command xmlns='http://jabber.org/protocol/commands' \
             node='urn:x-presence-service:cmd:0#leave-message'>\
             <token xmlns='urn:x-presence-service:authz:0'>{token}</token>\
             <x xmlns='jabber:x:data' type='submit'><field var='text'><value>Hi</value></field></x>\
             </command></iq>"
        ));
    }

    fn redeems(&mut self, from: &str, token: &str) {
        self.deliver(&format!(
            "<iq type='set' id='r' from='{from}' to='{ALICE}'>\
             <redeem xmlns='urn:x-presence-service:authz:0'><token>{token}</token></redeem></iq>"
        ));
    }

    /// What was got by a token: by how many queries and messages, and by whom as a grant.
    fn got(&self) -> (usize, BTreeSet<String>) {
        let is = |stanza: &&Element, id: &str| {
            stanza.attr("type") == Some("result") && stanza.attr("id") == Some(id)
        };
        let queries = self.sent.iter().filter(|one| is(one, "q")).count();
        let messages = self
            .sent
            .iter()
            .filter(|one| one.name() == "message" && String::from(*one).contains("Message from"))
            .count();
        let granted = self.sent.iter().filter(|one| is(one, "r"));
        let who = |one: &Element| one.attr(xml_ncname!("to")).map(ToOwned::to_owned);
        (queries + messages, granted.filter_map(who).collect())
    }
}

/// Chance that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn no_crash_and_no_failure_gives_a_use_more() {
    let (mut used_up, mut crashes) = (0, 0);
    for round in 0..if long() { 20_000 } else { 300 } {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (round + 1));
        let mut bench = Bench::new();
        let uses = 1 + dice.roll(4) as usize;
        let token = bench.makes("dice", uses as u32);
        for n in 0..40 {
            // Each guess of a token that is used up is somebody else's: guesses are few.
            let other = format!("w{n}@localhost/x");
            match dice.roll(12) {
                0..=1 => bench.queries(&other, &token),
                2..=3 => bench.writes(&other, &token),
                4..=5 => bench.redeems(&format!("r{}@localhost/x", dice.roll(3)), &token),
                6..=8 => drop(bench.settle(true)),
                9 => drop(bench.settle(false)),
                10 => bench.settle_all(),
                _ => {
                    crashes += 1;
                    bench.crash(dice.roll(2) == 0);
                }
            }
        }
        bench.settle_all();
        let (shown, redeemed) = bench.got();
        let n = shown + redeemed.len();
        assert!(n <= uses, "{n} of {uses} uses in round {round}");
        used_up += usize::from(n == uses);
    }
    assert!(used_up > 50 && crashes > 100, "{used_up} {crashes}");
}

/// The text of a token stands in the one result and nowhere else: not in what is sent, written, exported,
/// or kept in memory.
#[test]
fn the_text_is_found_in_no_other_place() {
    let mut bench = Bench::new();
    let token = bench.makes("canary", 5);
    let secret = &token[8..];
    bench.queries("a@remote.example/x", &token);
    assert!(
        !format!("{:?}", bench.core).contains(secret),
        "while it is written"
    );
    bench.settle_all();
    bench.writes("b@remote.example/x", &token);
    bench.redeems("c@remote.example/x", &token);
    bench.settle_all();
    assert_eq!(bench.got().0, 2);
    // Wrong, beside the right one, in the wrong places, too late.
    let wrong = format!("{}x", &token[..31]);
    bench.queries("d@remote.example/x", &wrong);
    let inside = format!("<token xmlns='urn:x-presence-service:authz:0'>{token}</token>");
    for text in [
        format!("<presence type='subscribe' from='e@far.example' to='{ALICE}'>{inside}</presence>"),
        format!("<presence type='probe' from='e@far.example/x' to='{ALICE}/{secret}'/>"),
        format!("<presence from='e@far.example/x' to='{ALICE}'>{inside}</presence>"),
        format!(
            "<message from='c@remote.example/x' to='{ALICE}'><body>Hi</body>{inside}</message>"
        ),
        format!("<iq type='get' id='i' from='c@remote.example/x' to='{ALICE}'>{inside}</iq>"),
        format!(
            "<iq type='get' id='i' from='c@remote.example/x' to='{ALICE}'>\
             <query xmlns='urn:x-presence-service:rights:0' token='{token}'>{inside}{inside}</query></iq>"
        ),
        format!(
            "<iq type='set' id='i' from='c@remote.example/x' to='{ALICE}'>\
             <command xmlns='http://jabber.org/protocol/commands' \
             node='urn:x-presence-service:cmd:0#leave-message'>{inside}<x xmlns='jabber:x:data' \
             type='submit'><field var='text'><value>Hi</value></field><field var='token'>\
             <value>{token}</value></field></x></command></iq>"
        ),
    ] {
        bench.deliver(&text);
        bench.settle_all();
    }
    for line in [
        "tokens",
        "overview",
        "export",
        "token revoke canary",
        "overview",
    ] {
        bench.deliver(&format!(
            "<message type='chat' from='alice@localhost/x' to='{HOME}'><body>{line}</body></message>"
        ));
        bench.settle_all();
    }
    bench.redeems("f@remote.example/x", &token);
    bench.settle_all();
    assert!(bench.sent.len() > 15, "{}", bench.sent.len());
    for stanza in &bench.sent {
        let text = String::from(stanza);
        assert!(!text.contains(secret), "{text}");
        assert!(!text.contains(&wrong), "{text}");
    }
    for change in &bench.written {
        let line = line::write(change).unwrap_or_default();
        assert!(!line.contains(secret), "{line}");
        assert!(!format!("{change:?}").contains(secret));
    }
    bench.crash(false);
    assert!(!format!("{:?}", bench.core).contains(secret));
}
