//! The section of the web face, and the tokens of parties.

use super::{Folder, LEAST, load};
use crate::component::authorization::{Cell, Interface, Level, Right};

const TOKEN: &str = "a-token-of-sixteen-characters-or-more";

#[test]
fn the_web_face_is_off_until_it_has_an_address() {
    assert_eq!(load(LEAST).http, None);
    let config = load(&format!("{LEAST}[http]\nlisten = '127.0.0.1:8088'\n"));
    let http = config.http.unwrap();
    assert_eq!(http.listen, "127.0.0.1:8088".parse().unwrap());
    assert_eq!((http.base_url, http.trusted_proxies), (None, Vec::new()));
    assert_eq!((http.streams, http.streams_per_address), (2000, 50));
    let config = load(&format!(
        "{LEAST}[http]\nlisten = '0.0.0.0:8088'\nbase-url = 'https://Status.example.org/'\n\
         trusted-proxies = ['10.0.0.0/8']\nrequests-per-second = 0\n"
    ));
    let http = config.http.unwrap();
    assert_eq!(http.base_url.as_deref(), Some("https://status.example.org"));
    assert_eq!(http.request_rate, 0.0);
}

#[test]
fn a_party_has_a_token_of_its_own() {
    let text = format!(
        "{LEAST}[[party]]\nname = 'acme'\nrights = ['see']\nhttp-token = '{TOKEN}'\n\
         [ceiling-http]\nsee = ['no', 'no', 'yes', 'yes']\n"
    );
    let config = load(&text);
    assert_eq!(config.web_tokens["acme"].expose(), TOKEN);
    assert!(config.parties[0].has_web && !config.parties[0].has_link);
    let see = |interface| config.ceiling.cell(interface, Right::See, Level::Public);
    assert_eq!(see(Interface::Http), Cell::No);
    assert_eq!(see(Interface::Public), Cell::Yes);
    assert!(!format!("{config:?}").contains(TOKEN));
}

#[test]
fn what_is_wrong_with_the_web_face_is_named() {
    for (text, expected) in [
        (
            "[http]\nlisten = '0.0.0.0:8088'\n",
            "7: http.listen: not a loopback address, expected trusted-proxies",
        ),
        (
            "[http]\nlisten = 'here'\n",
            "7: http.listen: found \"here\"",
        ),
        (
            "[http]\nbase-url = 'https://example.org/x'\n",
            "7: http.base-url: found",
        ),
        (
            "[http]\ntrusted-proxies = ['proxy.example']\n",
            "7: http.trusted-proxies: found \"proxy.example\"",
        ),
        ("[http]\nstreams = 0\n", "7: http.streams: found 0"),
        (
            "[[party]]\nname = 'a'\nrights = ['see']\nhttp-token = 'hidden'\n",
            "9: party.http-token: expected at least 16",
        ),
        (
            "[[party]]\nname = 'web'\nrights = ['see']\n",
            "7: party.name: found \"web\", expected another name",
        ),
    ] {
        let problems = Folder::with(&format!("{LEAST}{text}")).problems(&[]);
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}");
        };
        assert!(
            problem.starts_with(&format!("c.toml:{expected}")),
            "{problem}"
        );
        assert!(!problem.contains("hidden"), "{problem}");
    }
    let one = format!("rights = ['see']\nhttp-token = '{TOKEN}'\n");
    let two = format!("{LEAST}[[party]]\nname = 'a'\n{one}[[party]]\nname = 'b'\n{one}");
    let problems = Folder::with(&two).problems(&[]);
    assert!(
        problems[0].contains("expected a token of its own; party \"a\" has it"),
        "{problems:?}"
    );
}
