//! Answers that nobody asked for, elements that stand twice, and stanzas that come again: none of them has an
//! effect. design.md §7.

use std::time::Duration;

use minidom::Element;
use vestibule::component::clock::{Now, Wall};
use vestibule::component::record::Change;
use vestibule::component::{Component, Effect, Event, Input};
use vestibule::stanza::Arrival;

use crate::convergence::Dice;
use crate::support::stanza;
use crate::support::transcript::settings;

const ALICE: &str = r"alice\40localhost@presence.localhost";
const FORGED: u64 = 100_000;
const REPLAYS: usize = 100;

/// The core with a disk that is fast, and everything that it has sent.
struct Hall {
    core: Component,
    log: Vec<Change>,
    at: Duration,
    random: u128,
    sent: Vec<Element>,
}

impl Hall {
    fn new() -> Self {
        let mut hall = Self {
            core: Component::new(settings::default(), []),
            log: Vec::new(),
            at: Duration::from_secs(1000),
            random: 0,
            sent: Vec::new(),
        };
        hall.tell(Event::Attached);
        hall.hear("<presence type='subscribe' from='alice@localhost' to='presence.localhost'/>");
        hall.hear("<presence type='subscribed' from='alice@localhost' to='presence.localhost'/>");
        hall.online();
        hall.says("visibility public");
        hall.says("grant bot@remote.example open-url leave-message");
        hall
    }

    /// She and her agent come online.
    fn online(&mut self) {
        self.hear("<presence from='alice@localhost/desk' to='presence.localhost'/>");
        self.hear(
            "<presence from='alice@localhost/agent' to='presence.localhost'>\
             <priority>-1</priority></presence>",
        );
        let question = self.last(|sent| {
            sent.attr("to") == Some("alice@localhost/agent") && sent.attr("type") == Some("get")
        });
        let id = question.attr("id").unwrap().to_owned();
        self.hear(&format!(
            "<iq type='result' id='{id}' from='alice@localhost/agent' to='presence.localhost'><query \
             xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot'/>\
             <feature var='urn:x-presence-service:agent:0'/></query></iq>"
        ));
        self.pass(Duration::from_secs(10));
    }

    fn restart(&mut self) {
        self.core = Component::new(settings::default(), self.log.clone());
        self.tell(Event::Attached);
        self.online();
    }

    fn now(&self) -> Now {
        Now {
            mono: self.at,
            wall: Wall(1_795_440_000_000 + i64::try_from(self.at.as_millis()).unwrap()),
        }
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.random += 1;
            let chance = self.random.to_be_bytes();
            self.core.handle(Input { event, chance }, self.now());
            while let Some(effect) = self.core.poll_effect() {
                match effect {
                    Effect::Send(sent) => self.sent.push(sent.into()),
                    Effect::Persist { ticket, changes } | Effect::Remember { ticket, changes } => {
                        self.log.extend(changes);
                        events.push(Event::Committed(ticket));
                    }
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, text: &str) {
        self.tell(Event::Received(Arrival::Stanza(stanza(text))));
    }

    fn says(&mut self, words: &str) {
        self.hear(&format!(
            "<message type='chat' from='alice@localhost/desk' to='presence.localhost'>\
             <body>{words}</body></message>"
        ));
    }

    /// She makes a token for two uses by the form.
    fn makes_token(&mut self) -> String {
        self.hear(&format!(
            "<iq type='set' id='t1' from='alice@localhost/desk' to='presence.localhost'><command \
             xmlns='http://jabber.org/protocol/commands' \
             node='urn:x-presence-service:consent:0#token-new'>\
             <x xmlns='jabber:x:data' type='submit'>{}{}{}</x></command></iq>",
            field("label", "blog"),
            field("rights", "leave-message"),
            field("uses", "2"),
        ));
        let made = String::from(&self.last(|sent| sent.attr("id") == Some("t1")));
        let (_, token) = made.split_once("1:").expect("it is in the result");
        format!("1:{}", &token[..30])
    }

    /// How often a token was used, as the store has it.
    fn uses(&self) -> Option<u32> {
        self.log.iter().rev().find_map(|change| match change {
            Change::Token { value, .. } => value.as_ref().map(|token| token.used),
            _ => None,
        })
    }

    fn pass(&mut self, time: Duration) {
        self.at += time;
        self.tell(Event::Deadline);
    }

    fn last(&self, is_it: impl Fn(&Element) -> bool) -> Element {
        let found = self.sent.iter().rev().find(|sent| is_it(sent));
        found.expect("it was sent").clone()
    }

    fn count(&self, is_it: impl Fn(&Element) -> bool) -> usize {
        self.sent.iter().filter(|sent| is_it(sent)).count()
    }

    /// How many commands have gone to her agent, how many messages were left, how many ends were told.
    fn effects(&self) -> [usize; 3] {
        [
            self.count(is_command),
            self.count(|sent| body(sent).starts_with("Message from")),
            self.count(|sent| {
                sent.attr("to") == Some("alice@localhost") && body(sent).contains("example.net")
            }),
        ]
    }
}

fn body(sent: &Element) -> String {
    let body = sent.get_child("body", "jabber:client");
    body.map(Element::text).unwrap_or_default()
}

fn is_command(sent: &Element) -> bool {
    sent.attr("to") == Some("alice@localhost/agent") && sent.attr("type") == Some("set")
}

fn field(name: &str, value: &str) -> String {
    format!("<field var='{name}'><value>{value}</value></field>")
}

fn form(fields: &str) -> String {
    let type_ = field("FORM_TYPE", "urn:x-presence-service:cmd:0");
    format!("<x xmlns='jabber:x:data' type='submit'>{type_}{fields}</x>")
}

fn command(id: &str, right: &str, children: &str) -> String {
    format!(
        "<iq type='set' id='{id}' from='bot@remote.example/x' to='{ALICE}'><command \
         xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:cmd:0#{right}'>{children}</command></iq>"
    )
}

fn page() -> String {
    let fields = field("url", "https://example.net/") + &field("request-id", "r1");
    command("e1", "open-url", &form(&fields))
}

fn answer(id: &str, from: &str) -> String {
    format!(
        "<iq type='result' id='{id}' from='{from}' to='presence.localhost'><command \
         xmlns='http://jabber.org/protocol/commands' status='completed' sessionid='s' \
         node='urn:x-presence-service:agent:0#open-url'/></iq>"
    )
}

fn report(from: &str, request: &str) -> String {
    format!(
        "<iq type='set' id='o1' from='{from}' to='presence.localhost'><outcome \
         xmlns='urn:x-presence-service:outcome:0' request-id='{request}' right='open-url' \
         state='completed'/></iq>"
    )
}

#[test]
fn a_hundred_thousand_forged_results_are_nothing() {
    let mut hall = Hall::new();
    hall.hear(&page());
    let id = hall.last(is_command).attr("id").unwrap().to_owned();
    let before = hall.sent.len();
    let mut dice = Dice::new(7);
    for n in 0..FORGED {
        let guess = format!("{:016x}{:016x}", dice.below(u64::MAX), dice.below(u64::MAX));
        let text = match n % 4 {
            // From the agent itself, with a name that it was not asked by.
            0 => answer(&guess, "alice@localhost/agent"),
            1 => answer(&guess, "bot@remote.example/x"),
            // With the right name, from others: another resource of hers, her account, a stranger.
            2 => answer(&id, "alice@localhost/desk"),
            _ => answer(
                &id,
                ["alice@localhost", "eve@remote.example/agent"][(n / 4 % 2) as usize],
            ),
        };
        hall.hear(&text);
    }
    assert_eq!(hall.sent.len(), before, "{:?}", hall.sent.last());
    // Reports of who does not have it are refused, and end nothing either.
    for (from, request) in [
        ("alice@localhost/desk", "r1"),
        ("bot@remote.example/x", "r1"),
        ("alice@localhost/agent", "r2"),
    ] {
        hall.hear(&report(from, request));
        assert_eq!(hall.sent.last().unwrap().attr("type"), Some("error"));
    }
    assert_eq!(hall.effects(), [1, 0, 0]);
    hall.hear(&answer(&id, "alice@localhost/agent"));
    assert_eq!(hall.effects(), [1, 0, 1], "the true one counts");
}

#[test]
fn what_stands_twice_is_refused_in_every_order() {
    let url = field("url", "https://example.net/");
    let (other, why) = (field("url", "https://evil.example/"), field("reason", "x"));
    let (name, again) = (field("request-id", "r1"), field("request-id", "r2"));
    let two_types = |second: &str| form(&(field("FORM_TYPE", second) + &url));
    let mut wrong = Vec::new();
    for pair in [[&url, &other], [&other, &url], [&url, &url]] {
        wrong.push(command(
            "e",
            "open-url",
            &form(&format!("{}{}{why}", pair[0], pair[1])),
        ));
        wrong.push(command(
            "e",
            "open-url",
            &form(&format!("{}{why}{}", pair[0], pair[1])),
        ));
    }
    for pair in [[&name, &again], [&again, &name]] {
        wrong.push(command(
            "e",
            "open-url",
            &form(&format!("{}{url}{}", pair[0], pair[1])),
        ));
    }
    wrong.push(command("e", "open-url", &form(&format!("{url}{why}{why}"))));
    wrong.push(command(
        "e",
        "open-url",
        &two_types("urn:x-presence-service:cmd:0"),
    ));
    wrong.push(command("e", "open-url", &two_types("jabber:iq:register")));
    // Two values where one is meant.
    let two = "<field var='url'><value>https://example.net/</value><value>https://e.example/</value></field>";
    wrong.push(command("e", "open-url", &form(two)));
    // Two forms, two commands.
    let good = form(&url);
    wrong.push(command("e", "open-url", &format!("{good}{good}")));
    wrong.push(command("e", "open-url", &format!("{good}{}", form(&other))));
    let one = page();
    let (head, rest) = one.split_once("<command").unwrap();
    let payload = format!("<command{}", rest.strip_suffix("</iq>").unwrap());
    wrong.push(format!("{head}{payload}{payload}</iq>"));
    for second in [
        "<query xmlns='urn:x-presence-service:rights:0'/>",
        "<outcome xmlns='urn:x-presence-service:outcome:0' request-id='r1' right='open-url' state='failed'/>",
        "<x xmlns='jabber:x:data' type='submit'/>",
    ] {
        wrong.push(format!("{head}{payload}{second}</iq>"));
        wrong.push(format!("{head}{second}{payload}</iq>"));
    }
    let mut hall = Hall::new();
    for text in &wrong {
        hall.hear(text);
        let last = hall.sent.last().unwrap();
        let error = last.get_child("error", "jabber:client");
        let is_bad = error.is_some_and(|error| {
            error.has_child("bad-request", "urn:ietf:params:xml:ns:xmpp-stanzas")
        });
        assert!(is_bad, "{text}: {}", String::from(last));
    }
    assert_eq!(hall.effects(), [0, 0, 0]);
    hall.hear(&page());
    assert_eq!(hall.effects(), [1, 0, 0], "and the right one runs");
    // An answer of the agent with two results says nothing that could be believed.
    let id = hall.last(is_command).attr("id").unwrap().to_owned();
    let one = answer(&id, "alice@localhost/agent");
    let (head, rest) = one.split_once("<command").unwrap();
    let payload = format!("<command{}", rest.strip_suffix("</iq>").unwrap());
    hall.hear(&format!("{head}{payload}{payload}</iq>"));
    let told = hall.last(|sent| sent.attr("id") == Some("e1"));
    assert!(
        String::from(&told).contains("failed"),
        "{}",
        String::from(&told)
    );
}

#[test]
fn what_comes_again_has_one_effect() {
    let mut hall = Hall::new();
    let note = form(&(field("text", "hello") + &field("request-id", "r2")));
    let shown = format!(
        "<token xmlns='urn:x-presence-service:authz:0'>{}</token>",
        hall.makes_token()
    );
    let note_3 = form(&(field("text", "hello") + &field("request-id", "r3")));
    let with_token = command("e3", "leave-message", &(shown + &note_3));
    let with_token = with_token.replace("bot@remote.example", "other@far.example");
    let mut heard = vec![page(), command("e2", "leave-message", &note), with_token];
    for text in &heard {
        hall.hear(text);
    }
    let id = hall.last(is_command).attr("id").unwrap().to_owned();
    let executing = answer(&id, "alice@localhost/agent").replace("completed", "executing");
    hall.hear(&executing);
    let told = report("alice@localhost/agent", "r1");
    hall.hear(&told);
    let done = answer(&id, "alice@localhost/agent");
    heard.extend([executing, told, done]);
    let once = hall.effects();
    assert_eq!((once, hall.uses()), ([1, 2, 1], Some(1)));
    let mut dice = Dice::new(43);
    for n in 0..REPLAYS {
        for text in &heard {
            hall.hear(text);
            hall.pass(Duration::from_secs(dice.below(60)));
        }
        assert_eq!((hall.effects(), hall.uses()), (once, Some(1)), "time {n}");
        if n % 10 == 9 {
            hall.restart();
        }
    }
}
