//! What `help` shows can be typed: each example of it is understood, in one life of alice.

use crate::support::transcript::settings;
use crate::world::{HOME, World};

const ALICE: &str = "alice@localhost";

/// What she types, and words of an answer that has understood it.
const LINES: &[(&str, &str)] = &[
    ("join", "joined already"),
    ("status", "You are shown as online"),
    ("status ☕ In a meeting", "now “☕ In a meeting”"),
    ("for 1h In a meeting", "now “In a meeting” until"),
    ("until 15:00 Lunch", "until 15:00"),
    ("meanwhile 1h Lunch", "then “Lunch” again"),
    ("meanwhile until 15:00 Lunch", "until 15:00"),
    ("status clear", "cleared"),
    ("dnd for 1h Writing", "shown as dnd until"),
    ("away", "shown as away"),
    ("dnd", "shown as dnd"),
    ("xa", "shown as xa"),
    ("chat", "shown as chat"),
    ("online", "shown as online"),
    ("invisible", "You are invisible"),
    ("visible", "as your clients say"),
    ("state keep", "as your clients say"),
    ("undo", "Nobody else has set"),
    ("timezone Europe/Berlin", "now Europe/Berlin"),
    ("timezone", "is Europe/Berlin"),
    ("visibility subscribers", "now subscribers"),
    ("last-seen hour", "in which hour"),
    ("last-seen", "in which hour"),
    ("share-idle yes", "have been idle"),
    ("pending", "4 requests"),
    ("approve 2", "now gets your presence"),
    ("deny 1-3", "does not get your presence"),
    ("approve bob@example.org", "as soon as it asks"),
    ("yes k7", "No question has the code k7"),
    ("no k7", "No question has the code k7"),
    ("always k7", "No question has the code k7"),
    ("block k7", "No question has the code k7"),
    (
        "grant bob@example.org open-url, notify",
        "may now: see, open-url, notify",
    ),
    (
        "grant bob@example.org notify, open-url ask first until 2026-12-31 at most 5 a day quiet 22:00-07:00",
        "at most 5 a day; nothing but see in 22:00-07:00",
    ),
    (
        "grant bob@example.org start-module, set-status",
        "may now: see, set-status, start-module",
    ),
    ("modules", "may start no program yet"),
    ("modules bob@example.org agenda", "may now start: agenda"),
    ("unsigned bob@example.org yes", "without its name"),
    ("token new", "made in the form"),
    ("tokens", "no tokens"),
    ("token revoke blog", "no token “blog”"),
    ("token revoke blog, door", "no token “blog”"),
    (
        "revoke bob@example.org",
        "has nothing by your word any more",
    ),
    ("block spam.example", "is blocked"),
    ("unblock spam.example", "not blocked any more"),
    ("overview", "Visibility subscribers"),
    ("questions", "No question waits"),
    ("tell notify digest", "notify: digest"),
    ("tell", "notify: digest"),
    ("history 20", "Nobody has done anything yet"),
    ("history bob@example.org", "Nothing is kept"),
    ("help grant", "The rights are"),
    ("export", "Everything that is stored of you follows"),
    ("erase", "Send “erase alice@localhost”"),
    ("leave", "everything that was stored is erased"),
];

/// Says a line, and returns what she is told.
fn says(world: &mut World, line: &str) -> String {
    let sent = world.deliver(&format!(
        "<message type='chat' from='{ALICE}/chat' to='{HOME}'><body>{line}</body></message>"
    ));
    let told = sent.iter().filter(|stanza| stanza.name == "message");
    told.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn world() -> World {
    let mut world = World::new(settings::default());
    world.joins(ALICE);
    world.online("alice@localhost/chat", "");
    for n in 1..=4 {
        world.deliver(&format!(
            "<presence type='subscribe' from='w{n}@far.example' to='alice\\40localhost@{HOME}'/>"
        ));
    }
    world
}

fn is_typed(line: &str) -> bool {
    LINES.iter().any(|(typed, _)| *typed == line)
}

/// Whether these are lines of the table with commas between; their texts may have commas too.
fn are_typed(words: &str) -> bool {
    is_typed(words)
        || words
            .match_indices(", ")
            .any(|(at, _)| is_typed(&words[..at]) && are_typed(&words[at + 2..]))
}

#[test]
fn each_line_is_understood() {
    let mut world = world();
    for (line, expected) in LINES {
        let told = says(&mut world, line);
        assert!(told.contains(expected), "{line}: {told}");
    }
}

#[test]
fn each_example_is_typed() {
    let mut world = world();
    let all = says(&mut world, "help");
    let mut examples = 0;
    let mut words = std::collections::BTreeSet::new();
    for line in all.split("&#10;").filter(|line| line.contains(" – ")) {
        // Before the dash an example; behind it words for people, and after a semicolon more of them.
        for part in line.split("; ") {
            let head = part.split(" – ").next().unwrap_or_default();
            let first = head.split(' ').next().unwrap_or_default();
            let is_example = part.contains(" – ") || LINES.iter().any(|(one, _)| *one == head);
            if is_example && first.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                assert!(are_typed(head), "not tried: “{head}”, of “{line}”");
                examples += 1;
                words.insert(first.to_owned());
            }
        }
    }
    assert!(examples > 20, "{examples} examples in {all}");

    // What stands in quotation marks in the longer texts, where it begins with one of these words.
    let mut quoted = 0;
    for word in &words {
        let told = says(&mut world, &format!("help {word}"));
        for part in told.split('“').skip(1) {
            let line = part.split('”').next().unwrap_or_default();
            if words.contains(line.split(' ').next().unwrap_or_default()) && line.contains(' ') {
                assert!(are_typed(line), "not tried: “{line}”, of help {word}");
                quoted += 1;
            }
        }
    }
    assert!(quoted > 4, "{quoted}");
}
