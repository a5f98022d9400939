//! Pages of a bulk query against the answers to single ones, over users, texts and addresses of chance.

use proptest::prelude::*;
use vestibule::stanza::size::written_bytes;

use crate::support::long;
use crate::support::transcript::settings;
use crate::support::transcript::tree::{CLIENT, Tree, element};
use crate::world::{HOME, World};

const NS_BULK: &str = "urn:x-presence-service:bulk:0";

/// One entry of a request: the address as it stands in XML, and whether the current `rev` is named.
#[derive(Clone, Debug)]
struct Of {
    jid: String,
    knows: bool,
}

fn of(jid: &str, rev: Option<&str>) -> String {
    let rev = rev.map_or_else(String::new, |rev| format!(" rev='{rev}'"));
    format!("<of jid='{jid}'{rev}/>")
}

/// The entries of one page, and where the next begins.
fn page(world: &mut World, from: &str, after: usize, list: &str) -> (Vec<Tree>, Option<usize>) {
    let sent = world.deliver(&format!(
        "<iq type='get' id='b' from='{from}' to='{HOME}'>\
         <snapshot xmlns='{NS_BULK}' after='{after}'>{list}</snapshot></iq>"
    ));
    let [answer] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(answer.attr("type"), Some("result"), "{answer}");
    let size = written_bytes(&element(&answer.to_string()).unwrap(), CLIENT);
    let snapshot = answer.child("snapshot", NS_BULK).unwrap();
    let (entries, more): (Vec<_>, Vec<_>) = snapshot
        .children
        .iter()
        .cloned()
        .partition(|child| child.is("of", NS_BULK));
    assert!(!entries.is_empty(), "a page without an entry");
    assert!(
        size <= 9000 || (entries.len() == 1 && size < 10_000),
        "{size} bytes"
    );
    let more = more.first().map(|more| {
        assert!(more.is("more", NS_BULK), "{more}");
        more.attr("after").unwrap().parse().unwrap()
    });
    (entries, more)
}

fn text() -> impl Strategy<Value = String> {
    let c = prop::sample::select(vec![
        "a", " ", "&amp;", "&lt;", "&gt;", "'", "\"", "é", "例", "🏖", "\u{fffd}", "&#9;", "]]",
    ]);
    (c, any::<bool>(), 0..700_usize).prop_map(|(c, alone, n)| {
        let text = if alone { c.to_owned() } else { format!("{c}x") };
        text.repeat(n)
    })
}

fn list() -> impl Strategy<Value = Vec<Of>> {
    let mut jids: Vec<String> = (0..6).map(|n| format!("u{n}@localhost")).collect();
    jids.extend((0..6).map(|n| format!("U{n}@LocalHost.")));
    jids.extend((0..6).map(|n| format!("u{n}\\40localhost@{HOME}")));
    jids.extend(
        [
            "nobody@localhost",
            "x@far.example",
            "",
            "@",
            "&lt;&apos;&gt;",
            "u0@localhost/desk",
        ]
        .map(str::to_owned),
    );
    jids.push("&apos;".repeat(500));
    jids.push(format!("u0@localhost{}", "\u{ad}".repeat(1000)));
    let one =
        (prop::sample::select(jids), any::<bool>()).prop_map(|(jid, knows)| Of { jid, knows });
    prop::collection::vec(one, 1..=100)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if long() { 2000 } else { 100 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pages_together_are_the_single_answers(
        texts in prop::collection::vec((text(), 0..3_usize), 6),
        list in list(),
        resource in prop::sample::select(vec!["x".to_owned(), "&apos;".repeat(60)]),
    ) {
        let mut settings = settings::default();
        settings.limits.probe_rate_per_watcher = 0.0;
        settings.limits.probe_rate_per_domain = 0.0;
        let mut world = World::new(settings);
        for (n, (text, visibility)) in texts.iter().enumerate() {
            let user = format!("u{n}@localhost");
            world.joins(&user);
            world.online(&format!("{user}/desk"), &format!("<show>dnd</show><status>{text}</status>"));
            let visibility = ["public", "public", "private"][*visibility];
            world.says(&user, &format!("visibility {visibility}"));
        }
        let from = format!("bot@remote.example/{resource}");
        // The single answers, and the rev that each entry is to name.
        let mut single = Vec::new();
        let mut request = String::new();
        for entry in &list {
            let (answer, _) = page(&mut world, &from, 0, &of(&entry.jid, None));
            let rev = answer[0].attr("rev").filter(|_| entry.knows).map(str::to_owned);
            let asked = of(&entry.jid, rev.as_deref());
            single.extend(page(&mut world, &from, 0, &asked).0);
            request.push_str(&asked);
        }
        let mut paged = Vec::new();
        let mut after = 0;
        loop {
            let (entries, more) = page(&mut world, &from, after, &request);
            paged.extend(entries);
            match more {
                Some(next) => {
                    prop_assert_eq!(next, paged.len());
                    after = next;
                }
                None => break,
            }
        }
        prop_assert_eq!(paged.len(), list.len());
        prop_assert_eq!(paged, single);
    }
}
