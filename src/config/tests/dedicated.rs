//! The dedicated link, its secrets, the ceiling, and what a SIGHUP takes up.

use super::{Folder, LEAST, load};
use crate::component::authorization::{Ceiling, Cell, Interface, Level, Right};
use crate::config::Config;

const PARTY: &str = "[[party]]\nname = 'acme'\nrights = ['see']\n";

fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn folder(text: &str) -> Folder {
    let folder = Folder::with(&format!("{LEAST}{text}"));
    let ((cert, key), (_, other)) = (certificate("a.example"), certificate("b.example"));
    folder.write("cert.pem", &cert, 0o644);
    folder.write("key.pem", &key, 0o640);
    folder.write("open.pem", &key, 0o644);
    folder.write("other.pem", &other, 0o600);
    folder
}

#[test]
fn the_link_listens_on_loopback_or_with_a_certificate() {
    let config = load(&format!(
        "{LEAST}[dedicated]\nlisten = '[::1]:5348'\nstanza-rate = 0\n"
    ));
    let dedicated = config.dedicated.unwrap();
    assert_eq!(dedicated.listen, "[::1]:5348".parse().unwrap());
    assert_eq!((dedicated.certificate, dedicated.stanza_rate), (None, 0.0));
    let encrypted =
        "[dedicated]\nlisten = '0.0.0.0:5348'\ntls-cert = 'cert.pem'\ntls-key = 'key.pem'\n";
    let config = folder(encrypted).load(&[]).unwrap();
    assert!(config.admission().unwrap().tls.is_some());
    assert!(!format!("{config:?}").contains("PRIVATE"));
}

#[test]
fn what_is_wrong_with_the_link_is_named() {
    for (text, expected) in [
        (
            "listen = 'localhost:5348'",
            "7: dedicated.listen: found \"localhost:5348\", expected an address of this machine and a port \
             such as \"127.0.0.1:5348\"",
        ),
        (
            "listen = '192.0.2.1:5348'",
            "7: dedicated.listen: not a loopback address, expected tls-cert and tls-key beside it: secrets \
             and presence would go over a network that others may read",
        ),
        (
            "listen = '192.0.2.1:5348'\ntls-cert = 'cert.pem'",
            "8: dedicated.tls-cert: stands without tls-key",
        ),
        (
            "listen = '[::]:5348'\ntls-key = 'key.pem'",
            "8: dedicated.tls-key: stands without tls-cert",
        ),
        (
            "tls-cert = 'cert.pem'\ntls-key = 'open.pem'",
            "8: dedicated.tls-key: others may read open.pem (its mode is 0644), expected mode 0640 or 0600",
        ),
        (
            "tls-cert = 'none.pem'\ntls-key = 'key.pem'",
            "7: dedicated.tls-cert: none.pem cannot be read: No such file or directory (os error 2)",
        ),
        (
            "tls-cert = 'key.pem'\ntls-key = 'key.pem'",
            "7: dedicated.tls-cert: key.pem holds no certificate in PEM",
        ),
        (
            "tls-cert = 'cert.pem'\ntls-key = 'c.toml'",
            "8: dedicated.tls-key: c.toml holds no private key in PEM",
        ),
        (
            "stanza-rate = -1\nstanza-burst = 0",
            "7: dedicated.stanza-rate: found -1, expected stanzas a second, 0 for no limit\n\
             8: dedicated.stanza-burst: found 0, expected at least 1 stanza",
        ),
    ] {
        let found = folder(&format!("[dedicated]\n{text}\n")).problems(&[]);
        let expected: Vec<_> = expected
            .lines()
            .map(|line| format!("c.toml:{line}"))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
    let pair = "[dedicated]\ntls-cert = 'cert.pem'\ntls-key = 'other.pem'\n";
    let found = folder(pair).problems(&[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("c.toml:8: dedicated.tls-key: other.pem cannot be used with its"),
        "{found:?}"
    );
}

#[test]
fn a_partys_secret_is_read_as_the_other_is() {
    let folder = Folder::with(&format!("{LEAST}{PARTY}link-secret-file = 'acme'\n"));
    folder.write("acme", "sesame\n", 0o640);
    let secret = |config: &Config| config.links["acme"].expose().to_owned();
    assert_eq!(secret(&folder.load(&[]).unwrap()), "sesame");
    assert!(!format!("{:?}", folder.load(&[]).unwrap().admission().unwrap()).contains("sesame"));
    let outside = [("VESTIBULE_PARTY_ACME_LINK_SECRET", "open")];
    assert_eq!(secret(&folder.load(&outside).unwrap()), "open");
    folder.write("acme", "sesame\n", 0o644);
    assert_eq!(
        folder.problems(&[]),
        [
            "c.toml:9: party.link-secret-file: others may read acme (its mode is 0644), expected mode 0640 or \
             0600"
        ]
    );
    let text = format!("{LEAST}{PARTY}link-secret = 'sesame'\n");
    assert_eq!(secret(&load(&text)), "sesame");
    let both = Folder::with(&format!("{text}link-secret-file = 'x'\n"));
    assert_eq!(
        both.problems(&[]),
        [
            "c.toml:10: party.link-secret-file: stands beside link-secret, expected only one of the two"
        ]
    );
    let wrong = Folder::with(&text.replace("'sesame'", "['hush']"));
    assert_eq!(
        wrong.problems(&[]),
        [
            "c.toml:9: party.link-secret: found a list, expected 1 to 1024 bytes without control characters"
        ]
    );
}

#[test]
fn the_name_of_a_party_on_the_link_makes_a_domain() {
    let text = format!("{LEAST}{PARTY}link-secret = 'x'\n").replace("'acme'", "'-acme'");
    assert_eq!(
        Folder::with(&text).problems(&[]),
        [
            "c.toml:7: party.name: found \"-acme\", expected a name that makes a domain of \
             NAME.presence.example.org"
        ]
    );
    let text =
        format!("{LEAST}{PARTY}jids = ['bot@acme.presence.example.org', 'presence.example.org']\n");
    let expected = "an address elsewhere than at component.domain or below it";
    assert_eq!(
        Folder::with(&text).problems(&[]),
        [
            format!(
                "c.toml:9: party.jids: found \"bot@acme.presence.example.org\", expected {expected}"
            ),
            format!("c.toml:9: party.jids: found \"presence.example.org\", expected {expected}"),
        ]
    );
}

#[test]
fn rows_of_the_ceiling_replace_those_of_the_design() {
    let config = load(&format!(
        "{LEAST}[ceiling]\nnotify = ['no', 'no', 'ask', 'by-grant']\n\
         [ceiling-dedicated]\nnotify = ['no', 'no', 'no', 'ask-by-grant']\n"
    ));
    let row = |interface| {
        [
            Level::Public,
            Level::Known,
            Level::Authorized,
            Level::Trusted,
        ]
        .map(|level| config.ceiling.cell(interface, Right::Notify, level))
    };
    let of_all = [Cell::No, Cell::No, Cell::Ask, Cell::YesByGrant];
    assert_eq!(row(Interface::Public), of_all);
    assert_eq!(row(Interface::Http), of_all);
    assert_eq!(
        row(Interface::Dedicated),
        [Cell::No, Cell::No, Cell::No, Cell::AskByGrant]
    );
    let others = config
        .ceiling
        .cell(Interface::Dedicated, Right::OpenUrl, Level::Trusted);
    assert_eq!(others, Cell::Yes);
    let environment = [("VESTIBULE_CEILING_PUBLIC_NOTIFY", "no, no, no, no")];
    let config = Folder::with(LEAST).load(&environment).unwrap();
    assert_eq!(
        config
            .ceiling
            .cell(Interface::Public, Right::Notify, Level::Trusted),
        Cell::No
    );
    assert_eq!(load(LEAST).ceiling, Ceiling::default());
}

#[test]
fn wrong_rows_are_named() {
    let words = "\"no\", \"ask\", \"yes\", \"ask-by-grant\", \"by-grant\"";
    let row = format!("four words, for public, known, authorized, trusted, each one of {words}");
    for (text, expected) in [
        (
            "notify = 'no'",
            format!("7: ceiling.notify: found \"no\", expected {row}"),
        ),
        (
            "notify = ['no', 'no']",
            format!("7: ceiling.notify: found 2 words, expected {row}"),
        ),
        (
            "notify = ['no', 'no', 'perhaps', 'no']",
            format!("7: ceiling.notify: found \"perhaps\", expected one of {words}"),
        ),
        (
            "see = ['no', 'no', 'no', 'ask']",
            "7: ceiling.see: found \"ask\", expected one of \"no\", \"yes\", \"by-grant\""
                .to_owned(),
        ),
    ] {
        let found = Folder::with(&format!("{LEAST}[ceiling]\n{text}\n")).problems(&[]);
        assert_eq!(found, [format!("c.toml:{expected}")], "{text}");
    }
}

#[test]
fn what_cannot_change_at_run_time_is_kept_and_named() {
    let listening = "[dedicated]\nlisten = '127.0.0.1:5348'\n";
    let old = load(&format!("{LEAST}{listening}"));
    let same = old.adopt(load(&format!(
        "{LEAST}{listening}{PARTY}[log]\nlevel = 'debug'\n"
    )));
    assert_eq!(same.1, [] as [&str; 0]);
    assert_eq!(same.0.parties.len(), 1);
    assert_eq!(same.0.log_level, tracing::Level::DEBUG);
    let text = LEAST
        .replace("s3cret", "other")
        .replace("presence.", "here.");
    let new = load(&format!(
        "{text}[store]\npath = '/x'\n[dedicated]\nlisten = '127.0.0.1:1'\nstanza-rate = 1\n{PARTY}"
    ));
    let (adopted, kept) = old.adopt(new);
    assert_eq!(
        kept,
        [
            "component.domain",
            "component.secret",
            "store.path",
            // It is below that.
            "store.export-dir",
            "dedicated.listen"
        ]
    );
    assert_eq!(adopted.parties.len(), 1);
    let dedicated = adopted.dedicated.unwrap();
    assert_eq!(dedicated.listen, old.dedicated.as_ref().unwrap().listen);
    assert_eq!(dedicated.stanza_rate, 1.0);
    // The listener stays where it is also where none is asked for, or one is for the first time.
    assert!(old.adopt(load(LEAST)).0.dedicated.is_some());
    assert!(load(LEAST).adopt(old).0.dedicated.is_none());
}
