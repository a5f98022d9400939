//! Two streams of one name: each hears of the other, and one of them goes.

use super::script::{ACCEPTED, settings};
use crate::link::{ANNOUNCED, Error, Heard, Instance, Kind, Link, attach_over, prove};
use crate::stanza::Arrival;
use minidom::Element;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use xmpp_parsers::ns;

/// An attached stream and the server's end of it.
async fn attached() -> (Link<DuplexStream>, DuplexStream) {
    let (ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(ACCEPTED.as_bytes()).await.unwrap();
    let link = attach_over(ours, &settings()).await.unwrap();
    (link, theirs)
}

/// The announcements that a link has queued, as the server reads them.
async fn announcements(link: &mut Link<DuplexStream>, server: &mut DuplexStream) -> Vec<String> {
    while link.queued() > 0 {
        link.progress(false).await.unwrap();
    }
    let mut bytes = vec![0; 64 << 10];
    let n = server.read(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes[..n].to_vec()).unwrap();
    let all = text.split_inclusive("</message>");
    all.filter(|one| one.contains("<instance "))
        .map(str::to_owned)
        .collect()
}

fn arrival(xml: &str) -> Arrival {
    let element = Element::from_reader_with_prefixes(xml.as_bytes(), ns::JABBER_CLIENT.to_owned());
    Arrival::of(element.unwrap())
}

/// A message of a stream of this name.
fn message(id: &str, since: i64, state: &str) -> String {
    format!(
        "<message from='presence.example.org' to='presence.example.org' type='headline'><instance \
         xmlns='urn:x-presence-service:instance:0' id='{id}' since='{since}' state='{state}'/></message>"
    )
}

#[test]
fn of_two_the_one_that_serves_stays_or_else_the_older_one() {
    let domain = settings().domain;
    let ours = Instance::new([0x55; 16], 1_000);
    let heard = |id: &str, since, state| ours.hear(&arrival(&message(id, since, state)), &domain);
    let own = "55".repeat(16);
    assert_eq!(heard(&own, 1_000, "serving"), Some(Heard::Own));
    assert_eq!(heard("a", 2_000, "serving"), Some(Heard::Older));
    assert_eq!(heard("a", 999, "attaching"), Some(Heard::Older));
    let younger = |id: &str| Some(Heard::Younger(id.to_owned()));
    assert_eq!(heard("a", 1_001, "attaching"), younger("a"));
    // In the same millisecond the name decides, for both alike.
    assert_eq!(heard("54", 1_000, "attaching"), Some(Heard::Older));
    assert_eq!(heard("56", 1_000, "attaching"), younger("56"));
    for other in [
        "<message from='presence.example.org' to='presence.example.org'/>".to_owned(),
        message("a", 1, "serving").replace("from='presence", "from='mallory@presence"),
        message("a", 1, "serving").replace("since='1'", "since='x'"),
        message("a", 1, "serving")
            .replace("<message", "<iq")
            .replace("/message", "/iq"),
        "<presence type='probe' from='a@b.example' to='presence.example.org'/>".to_owned(),
    ] {
        assert_eq!(ours.hear(&arrival(&other), &domain), None, "{other}");
    }
}

#[tokio::test]
async fn who_is_alone_hears_itself_and_loses_nothing_else() {
    let (mut link, mut server) = attached().await;
    let mut instance = Instance::new([1; 16], 5);
    let serving = tokio::spawn(async move {
        let mut all = String::new();
        while all.matches("</message>").count() < ANNOUNCED {
            let mut bytes = [0; 4096];
            let n = server.read(&mut bytes).await.unwrap();
            all += &String::from_utf8_lossy(&bytes[..n]);
        }
        let before = "<message from='a@b.example' to='presence.example.org' id='first'/>";
        let echoed = &all[all.find("<message").unwrap()..];
        let after = "<message from='a@b.example' to='presence.example.org' id='second'/>";
        server
            .write_all(format!("{before}{echoed}{after}").as_bytes())
            .await
            .unwrap();
        server
    });
    assert_eq!(prove(&mut link, &mut instance).await.unwrap(), 0);
    let _server = serving.await.unwrap();
    for id in ["first", "second"] {
        let arrival = loop {
            match link.next_arrival().unwrap() {
                Some(arrival) => break arrival,
                None => link.progress(true).await.unwrap(),
            }
        };
        let Arrival::Stanza(stanza) = arrival else {
            panic!("{arrival:?}");
        };
        assert_eq!(stanza.attr(minidom::rxml::xml_ncname!("id")), Some(id));
    }
}

#[tokio::test]
async fn who_comes_second_goes_as_soon_as_the_first_one_is_heard() {
    let (mut link, mut server) = attached().await;
    let mut instance = Instance::new([1; 16], 5_000);
    server
        .write_all(message("first", 1, "serving").as_bytes())
        .await
        .unwrap();
    let error = prove(&mut link, &mut instance).await.unwrap_err();
    assert!(matches!(error, Error::Second), "{error}");
    assert_eq!(error.kind(), Kind::Conflict);
    // It did say that it was there, for the first one to answer.
    assert_eq!(announcements(&mut link, &mut server).await.len(), ANNOUNCED);
}

#[tokio::test]
async fn a_server_that_brings_nothing_back_costs_two_seconds() {
    let began = crate::link::now();
    let (mut link, _server) = attached().await;
    let mut instance = Instance::new([1; 16], 5_000);
    assert_eq!(prove(&mut link, &mut instance).await.unwrap(), ANNOUNCED);
    assert!((2..20).contains(&began.elapsed().as_secs()));
}
