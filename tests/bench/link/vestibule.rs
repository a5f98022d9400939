//! The component itself, with users who are online and have a custom status.

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

use crate::subject::{Cost, Subject, Work};
use crate::{PROBES, ROUNDS, report};

/// Watchers of the one user who has many.
const WATCHERS: usize = 10_000;
/// Users with one watcher each.
const WATCHED: usize = 1_000;

/// Measures all workloads with `n` users.
pub(crate) fn measure(n: usize) {
    let store = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let program = own
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/pipeline");
    let mut subject = Subject::attach(|port| {
        let mut command = Command::new(program);
        command
            .env("PIPELINE_SERVER", format!("127.0.0.1:{port}"))
            .env("PIPELINE_STORE", store.path().join("store"))
            .env("PIPELINE_USERS", n.to_string())
            .env("PIPELINE_WATCHERS", WATCHERS.to_string());
        command
    })
    .expect("examples/pipeline is built: use make bench");
    subject.bring_back();
    let joined = subject.memory_mb();
    let ver = BASE64_STANDARD.encode(Sha1::digest("client/pc//x<urn:xmpp:ping<"));
    learn_caps(&mut subject, &ver);
    let update =
        |n: usize, text: &str| update(&format!("u{n}@localhost/phone"), &ver, "away", text);

    // The first presence of each makes her known; the rounds then change it.
    let bytes = update(0, "0123456789").len();
    let all = Work {
        stanza: &|one| update(one, "at my desk") + if one + 1 == n { DONE } else { "" },
        mark: "id='done'",
        marks: Some(1),
    };
    let first = subject.round(n, &all);
    let online = subject.memory_mb();
    subject.settle();
    println!("\n{n} users: {joined} MB joined with a status, {online} MB all online");
    report("her first presence", first);

    let mut rounds = [None::<Cost>; 6];
    for round in 0..ROUNDS {
        let mut keep = |at: usize, cost: Cost| {
            rounds[at] = Some(rounds[at].map_or(cost, |best| best.best(cost)));
        };
        let any = |one: usize| one.wrapping_mul(2_654_435_761) % n;
        let probe = |from: &str, one: usize| {
            format!(
                "<presence type='probe' from='{from}' to='u{one}\\40localhost@presence.localhost' \
                 id='p{one}'/>"
            )
        };
        let answered = "</rights>";
        let work = |stanza: &dyn Fn(usize) -> String, mark, subject: &mut Subject| {
            subject.round(
                PROBES,
                &Work {
                    stanza,
                    mark,
                    marks: None,
                },
            )
        };
        keep(
            0,
            work(
                &|one| probe("bot@remote.example/x", any(one)),
                answered,
                &mut subject,
            ),
        );
        let watcher = |one: usize| probe("watcher@remote.example/x", one % WATCHED.min(n));
        keep(1, work(&watcher, answered, &mut subject));
        let nobody = |one: usize| probe("bot@remote.example/x", n + one);
        keep(2, work(&nobody, "'unsubscribed'/>", &mut subject));
        let query = |one: usize| {
            format!(
                "<iq type='get' from='bot@remote.example/x' id='q{one}' \
                 to='u{}\\40localhost@presence.localhost'><query \
                 xmlns='urn:x-presence-service:rights:0'/></iq>",
                any(one)
            )
        };
        keep(3, work(&query, "<state ", &mut subject));
        let text = format!("round {round}");
        let change =
            |one: usize| update(any(one), &text) + if one + 1 == PROBES { DONE } else { "" };
        let changes = Work {
            stanza: &change,
            mark: "id='done'",
            marks: Some(1),
        };
        keep(4, subject.round(PROBES, &changes));
        subject.settle();
        // Watchers are told of one user every 2 s at most.
        std::thread::sleep(std::time::Duration::from_millis(2_200));
        let show = if round % 2 == 0 { "dnd" } else { "xa" };
        let star = |_: usize| self::update("star@localhost/phone", &ver, show, &text);
        let told = Work {
            stanza: &star,
            mark: "</rights>",
            marks: Some(WATCHERS),
        };
        keep(5, subject.round(1, &told));
        subject.settle();
    }
    let update_name = format!("a presence update of {bytes} bytes");
    let names = [
        "a probe by a stranger",
        "a probe by a watcher",
        "a probe of nobody, refused",
        "the IQ query for rights",
        update_name.as_str(),
        "one change told, for each of 10,000",
    ];
    for (name, cost) in names.iter().zip(rounds) {
        report(name, cost.unwrap());
    }
}

/// A question whose answer says that all before it is done.
const DONE: &str = "<iq type='get' from='u0@localhost/phone' to='presence.localhost' id='done'><ping \
    xmlns='urn:xmpp:ping'/></iq>";

/// A presence as a client sends it today: show, text, priority, capabilities, idleness, picture.
fn update(from: &str, ver: &str, show: &str, text: &str) -> String {
    format!(
        "<presence from='{from}' to='presence.localhost' id='9Ab3-71' xml:lang='en'><show>{show}</show>\
         <status>{text}</status><priority>5</priority><nick xmlns='http://jabber.org/protocol/nick'>A.</nick><c xmlns='http://jabber.org/protocol/caps' \
         hash='sha-1' node='https://client.example' ver='{ver}'/><idle xmlns='urn:xmpp:idle:1' \
         since='2026-11-25T10:00:00Z'/><x xmlns='vcard-temp:x:update'>\
         <photo>da39a3ee5e6b4b0d3255bfef95601890afd80709</photo></x></presence>"
    )
}

/// Answers the one question that all clients of a kind are asked.
fn learn_caps(subject: &mut Subject, ver: &str) {
    subject.send(&update("star@localhost/phone", ver, "away", "hello"));
    let asked = subject.until("node='https://client.example#");
    let question = &asked[asked.rfind("<iq ").unwrap()..];
    let id = question
        .split_once(" id='")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    subject.send(&format!(
        "<iq type='result' from='star@localhost/phone' to='presence.localhost' id='{id}'><query \
         xmlns='http://jabber.org/protocol/disco#info' node='https://client.example#{ver}'><identity \
         category='client' type='pc' name='x'/><feature var='urn:xmpp:ping'/></query></iq>"
    ));
    subject.settle();
}
