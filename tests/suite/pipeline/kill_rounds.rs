//! SIGKILL at any moment under load, against a ledger that is kept outside: statuses that were
//! acknowledged are there; a command that reaches an agent twice does so after a restart only, by the same
//! name, and each has one end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::*;
use crate::store::{Dice, kill_rounds};

const USERS: usize = 12;
/// Statuses that are acknowledged in one round, on average.
const STATUSES: u64 = 20;
/// The longest that a component lives after the last of them.
const REST_MS: u64 = 10;

/// What is known of the component from outside.
#[derive(Default)]
struct Outside {
    /// By user: the number of the last status that was acknowledged, and of the last that was asked for.
    statuses: [(u64, u64); USERS],
    /// In which rounds each command has reached the agent, by its request.
    commands: BTreeMap<String, Vec<u64>>,
    /// The end that each watcher was told of, by its request.
    ends: BTreeMap<String, String>,
    n_requests: u64,
    round: u64,
    /// How often each message that was left has reached her, by its number.
    messages: BTreeMap<u64, u32>,
    n_messages: u64,
}

impl Outside {
    fn acknowledged(&self) -> u64 {
        self.statuses.iter().map(|(last, _)| last).sum()
    }

    async fn ask_for_status(&mut self, end: &mut FarEnd, n: usize) -> bool {
        self.statuses[n].1 += 1;
        let text = format!("status s{}", self.statuses[n].1);
        end.try_send(&say(n, &text)).await
    }

    async fn ask_for_command(&mut self, end: &mut FarEnd, n: usize) -> bool {
        self.n_requests += 1;
        let request = format!("r{}", self.n_requests);
        let field = ("url", "https://example.org/");
        end.try_send(&command(n, 'w', "open-url", field, &request))
            .await
    }

    async fn leave_message(&mut self, end: &mut FarEnd, n: usize) -> bool {
        self.n_messages += 1;
        let number = self.n_messages.to_string();
        let request = format!("m{number}");
        let field = ("text", number.as_str());
        end.try_send(&command(n, 'm', "leave-message", field, &request))
            .await
    }

    /// A watcher is told the end of a command, as a form or an outcome: it is the first and only one.
    fn ended(&mut self, text: &str, before: &str) {
        let Some((_, rest)) = text.split_once(before) else {
            return;
        };
        let request: String = rest
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let before = self.ends.insert(request, text.to_owned());
        assert_eq!(before, None, "told twice how it ended: {text}");
    }

    /// Takes a stanza as the clients and the agent of its addressee would; `false` where the component
    /// is gone.
    async fn take(&mut self, end: &mut FarEnd, stanza: &Stanza) -> bool {
        let to = stanza.attribute("to").unwrap_or_default();
        let id = stanza.attribute("id").unwrap_or_default();
        let type_ = stanza.attribute("type").unwrap_or_default();
        let number = |text: &str| -> Option<usize> {
            let digits = text[1..].split(['@', '\\']).next()?;
            digits.parse().ok()
        };
        if let Some((who, text)) = acknowledgement(stanza) {
            let Some(rest) = text.split_once("is now “s") else {
                // It tells her of a command, or is one.
                if let Some((_, number)) = text.split_once("(authorized):\n") {
                    let times = self.messages.entry(number.parse().unwrap()).or_default();
                    *times += 1;
                    assert_eq!(*times, 1, "a message has come twice: {text}");
                }
                return true;
            };
            let n = number(&who).unwrap();
            let acknowledged = rest.1.split('”').next().unwrap().parse().unwrap();
            assert!(acknowledged > self.statuses[n].0, "{who}: {text}");
            self.statuses[n].0 = acknowledged;
            return self.ask_for_status(end, n).await;
        }
        if stanza.name() != "iq" {
            if to.starts_with('w') {
                self.ended(&stanza.to_string(), "request-id='");
            }
            return true;
        }
        let n = number(&to).unwrap_or_default();
        let from = format!("from='{to}' to='presence.localhost' id='{id}'");
        match type_.as_str() {
            "get" if to.ends_with("/agent") => {
                end.try_send(&format!(
                    "<iq type='result' {from}><query xmlns='http://jabber.org/protocol/disco#info'>\
                     <identity category='client' type='bot'/>\
                     <feature var='http://jabber.org/protocol/commands'/>\
                     <feature var='urn:x-presence-service:agent:0'/></query></iq>"
                ))
                .await
            }
            "set" if to.ends_with("/agent") => {
                let text = stanza.to_string();
                let request = text.split_once("var='request-id'").unwrap().1;
                let request = request.split_once("<value>").unwrap().1;
                let request = request.split_once("</value>").unwrap().0.to_owned();
                let rounds = self.commands.entry(request).or_default();
                // What was with an agent when the process died comes again: it may be repeated.
                let again = rounds.last() == Some(&self.round);
                assert!(!again, "a command has come twice in one life: {text}");
                rounds.push(self.round);
                end.try_send(&format!(
                    "<iq type='result' {from}><command xmlns='http://jabber.org/protocol/commands' \
                     node='urn:x-presence-service:agent:0#open-url' sessionid='a' \
                     status='completed'/></iq>"
                ))
                .await
            }
            "result" if to.starts_with('w') => {
                self.ended(&stanza.to_string(), "var='request-id'><value>");
                self.ask_for_command(end, n).await
            }
            "result" if to.starts_with('m') => {
                self.left(&stanza.to_string());
                self.leave_message(end, n).await
            }
            _ => true,
        }
    }

    /// A watcher is told that its message is on its way: then it is.
    fn left(&mut self, text: &str) {
        let (_, rest) = text.split_once("var='request-id'><value>m").unwrap();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse().unwrap();
        assert!(self.messages.contains_key(&number), "{number} was not left");
        self.ended(text, "var='request-id'><value>");
    }
}

/// A watcher of the user with a number runs a right.
fn command(n: usize, who: char, right: &str, own: (&str, &str), request: &str) -> String {
    let to = mapped(n);
    let field =
        |(name, value): (&str, &str)| format!("<field var='{name}'><value>{value}</value></field>");
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'>{}{}{}</x>",
        field(("FORM_TYPE", "urn:x-presence-service:cmd:0")),
        field(own),
        field(("request-id", request)),
    );
    format!(
        "<iq type='set' id='q{n}' from='{who}{n}@remote.example/x' to='{to}'><command \
         xmlns='http://jabber.org/protocol/commands' action='execute' \
         node='urn:x-presence-service:cmd:0#{right}'>{form}</command></iq>"
    )
}

/// Everybody comes online, with her agent.
async fn online(end: &mut FarEnd) {
    for n in 0..USERS {
        let from = user(n);
        end.send(&format!(
            "<presence from='{from}/c' to='presence.localhost'/>\
             <presence from='{from}/agent' to='presence.localhost'><priority>-1</priority></presence>"
        ))
        .await;
    }
}

/// Holds what everybody sees of her own status against the ledger.
async fn hold_statuses(end: &mut FarEnd, outside: &mut Outside, round: u64) {
    for n in 0..USERS {
        end.send(&probe(n, &format!("{}/c", user(n)))).await;
        let stanza = loop {
            let stanza = end.next(PATIENCE).await;
            if stanza.answers_probe()
                && stanza.attribute("from").unwrap().starts_with(&mapped(n))
                && stanza.attribute("to").unwrap().starts_with(&user(n))
            {
                break stanza;
            }
            assert!(outside.take(end, &stanza).await, "the component is gone");
        };
        let shown = stanza.text_of("status").unwrap_or_else(|| "s0".to_owned());
        let shown: u64 = shown[1..].parse().unwrap();
        let (acknowledged, asked) = &mut outside.statuses[n];
        assert!(
            (*acknowledged..=*asked).contains(&shown),
            "round {round}: u{n} has s{shown}; s{acknowledged} was acknowledged, s{asked} asked for"
        );
        // What was written and not acknowledged may be shown; later it may not be gone again.
        *acknowledged = shown;
    }
}

/// What came of the rounds of one component.
struct Tally {
    outside: Outside,
    slowest: Duration,
}

impl Tally {
    /// Commands that reached the agent again after a restart.
    fn again(&self) -> usize {
        let commands = self.outside.commands.values();
        commands.filter(|rounds| rounds.len() > 1).count()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outside = &self.outside;
        write!(
            f,
            "{} statuses acknowledged, {} of {} commands at the agent, {} of them again after a restart, {} \
             ends told, {} of {} messages left, slowest start {:?}",
            outside.acknowledged(),
            outside.commands.len(),
            outside.n_requests,
            self.again(),
            outside.ends.len(),
            outside.messages.len(),
            outside.n_messages,
            self.slowest,
        )
    }
}

/// A component of its own that is killed so often.
async fn lane(seed: u64, rounds: u64) -> Tally {
    let mut rig = Rig::new().await;
    let mut end = rig.start(0, None).await.unwrap();
    join(&mut end, USERS).await;
    for n in 0..USERS {
        end.send(&say(n, &format!("grant w{n}@remote.example open-url")))
            .await;
        end.acknowledged().await;
        end.send(&say(n, &format!("grant m{n}@remote.example leave-message")))
            .await;
        end.acknowledged().await;
    }
    let mut dice = Dice(seed);
    let (outside, slowest) = (Outside::default(), Duration::ZERO);
    let mut tally = Tally { outside, slowest };
    for round in 0..rounds {
        let outside = &mut tally.outside;
        outside.round = round;
        rig.kill();
        let began = Instant::now();
        end = rig
            .start(0, None)
            .await
            .unwrap_or_else(|| panic!("round {round}: it does not start again"));
        tally.slowest = tally.slowest.max(began.elapsed());
        online(&mut end).await;
        hold_statuses(&mut end, outside, round).await;
        let mut up = true;
        for n in 0..USERS {
            up &= outside.ask_for_status(&mut end, n).await;
            up &= outside.ask_for_command(&mut end, n).await;
            up &= outside.leave_message(&mut end, n).await;
        }
        assert!(up, "round {round}: the component is gone by itself");
        // What it has done counts, not the time: a slow machine has as much under way when it is killed.
        let enough = outside.acknowledged() + dice.below(2 * STATUSES);
        while outside.acknowledged() < enough {
            let stanza = end.next(PATIENCE).await;
            assert!(outside.take(&mut end, &stanza).await, "round {round}");
        }
        let rest = sleep(Duration::from_micros(dice.below(1000 * REST_MS)));
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => break,
                stanza = end.next(PATIENCE) => {
                    assert!(outside.take(&mut end, &stanza).await, "round {round}: it is gone");
                }
            }
        }
        if round % 500 == 499 {
            println!("round {round}: {tally}");
        }
    }
    tally
}

#[tokio::test]
async fn under_load_nothing_acknowledged_is_lost_and_commands_end_once() {
    let half = kill_rounds().div_ceil(2);
    // While one of the two waits for its disk the other works.
    let (one, two) = tokio::join!(lane(7, half), lane(8, half));
    let rounds = 2 * half;
    println!("{rounds} times SIGKILL: {one}; {two}");
    for tally in [one, two] {
        let (outside, half_rounds) = (&tally.outside, half as usize);
        assert!(
            outside.acknowledged() > STATUSES / 2 * half
                && outside.commands.len() > half_rounds
                && outside.messages.len() > half_rounds
                && outside.ends.len() > half_rounds
                && tally.again() > 0,
            "there is no load: {tally}"
        );
        // How fast a start is `make bench` says; here others have the machine too.
        assert!(tally.slowest < Duration::from_secs(20), "{tally}");
    }
}
