//! Many users in one IQ: what the servers pass on of long requests and pages.

use minidom::Element;

use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::stage::{HOME, NS_CLIENT, Stage, query, request, say};

const NS_BULK: &str = "urn:x-presence-service:bulk:0";
const NS_RIGHTS: &str = "urn:x-presence-service:rights:0";

pub(super) async fn tells_of_a_hundred_users(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let mut bot = stage.bot().await?;
    let mut alice = stage.alice_joined("phone").await?;
    // A text that takes its room: 512 characters of 5 bytes each.
    let text = "&".repeat(512);
    alice
        .send(stanza("<presence><show>away</show></presence>"))
        .await;
    say(&mut alice, &format!("status {text}"), "&&&").await;

    let single = query(&mut bot).await;
    assert_eq!(single.attr("level"), Some("authorized"));
    // She stands among a hundred, in both of her addresses; the others do not exist.
    let jids: Vec<String> = (0..100)
        .map(|n| match n % 10 {
            3 => "Alice@localhost".to_owned(),
            7 => r"alice\40localhost@presence.localhost".to_owned(),
            _ => format!("nobody-{n}@localhost"),
        })
        .collect();
    let list: String = jids
        .iter()
        .map(|jid| format!("<of jid='{jid}'/>"))
        .collect();
    let mut entries: Vec<Element> = Vec::new();
    let mut n_pages = 0;
    loop {
        let after = entries.len();
        let asked = format!("<snapshot xmlns='{NS_BULK}' after='{after}'>{list}</snapshot>");
        let answer = request(&mut bot, HOME, "get", stanza(&asked)).await;
        assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
        n_pages += 1;
        let page = answer.get_child("snapshot", NS_BULK).unwrap();
        let before = entries.len();
        entries.extend(page.children().filter(|e| e.name() == "of").cloned());
        assert!(entries.len() > before, "{page:?}");
        let Some(more) = page.get_child("more", NS_BULK) else {
            break;
        };
        assert_eq!(more.attr("after"), Some(entries.len().to_string().as_str()));
    }
    assert!(n_pages > 3, "{n_pages} pages");
    assert_eq!(entries.len(), 100);
    for (entry, jid) in entries.iter().zip(&jids) {
        assert_eq!(entry.attr("jid"), Some(jid.as_str()));
        if jid.starts_with("nobody") {
            assert_eq!(entry.attrs().iter().count(), 1, "{entry:?}");
            assert_eq!(entry.children().count(), 0, "{entry:?}");
            continue;
        }
        assert_eq!(entry.attr("rev"), single.attr("rev"));
        assert_eq!(entry.attr("level"), single.attr("level"));
        let told: Vec<_> = entry.children().map(String::from).collect();
        let wanted: Vec<_> = single.children().map(String::from).collect();
        assert_eq!(told, wanted);
    }
    let state = entries[3].get_child("state", NS_RIGHTS).unwrap();
    assert_eq!(state.get_child("status", NS_RIGHTS).unwrap().text(), text);

    // Who knows the rev is told that nothing has changed; who asks for too many is told so.
    let rev = single.attr("rev").unwrap();
    let asked =
        format!("<snapshot xmlns='{NS_BULK}'><of jid='alice@localhost' rev='{rev}'/></snapshot>");
    let answer = request(&mut bot, HOME, "get", stanza(&asked)).await;
    let entry = answer.get_child("snapshot", NS_BULK).unwrap();
    let entry = entry.get_child("of", NS_BULK).unwrap();
    assert_eq!(entry.attr("unchanged"), Some("1"), "{entry:?}");
    let asked = format!("<snapshot xmlns='{NS_BULK}'>{list}<of jid='a@b'/></snapshot>");
    let answer = request(&mut bot, HOME, "get", stanza(&asked)).await;
    assert!(answer.has_child("error", NS_CLIENT), "{answer:?}");
    Ok(())
}
