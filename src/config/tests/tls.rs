//! TLS towards the server: when it is used, with which name and authorities, and what is wrong with that.

use super::{Folder, LEAST, load};
use crate::config::Config;

fn folder(keys: &str) -> Folder {
    let folder = Folder::with(&LEAST.replace("[users]", &format!("{keys}\n[users]")));
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    folder.write("ca.pem", &made.cert.pem(), 0o644);
    folder.write("key.pem", &made.signing_key.serialize_pem(), 0o600);
    folder
}

/// The name that the certificate must have.
fn name(config: &Config) -> Option<String> {
    let shown = format!("{:?}", config.tls.as_ref()?);
    Some(shown.split('"').nth(1).unwrap_or(&shown).to_owned())
}

#[test]
fn tls_is_off_until_it_is_asked_for() {
    assert_eq!(load(LEAST).tls, None);
    assert_eq!(folder("tls = false").load(&[]).unwrap().tls, None);
    assert!(load(LEAST).link().tls.is_none());
}

#[test]
fn the_certificate_is_for_the_host_or_for_the_name_that_is_typed() {
    let list = "tls = true\ntls-ca = 'ca.pem'";
    let config = folder(&format!("server = 'xmpp.example.org:5347'\n{list}")).load(&[]);
    let config = config.unwrap();
    assert_eq!(name(&config).as_deref(), Some("xmpp.example.org"));
    assert_eq!(config.link().tls, config.tls);
    let named = format!("server = '[::1]:5347'\n{list}\ntls-name = 'chat.example.org'");
    let config = folder(&named).load(&[]).unwrap();
    assert_eq!(name(&config).as_deref(), Some("chat.example.org"));
    for address in ["127.0.0.1", "[::1]"] {
        let text = format!("server = '{address}:5347'\n{list}");
        let config = folder(&text).load(&[]).unwrap();
        assert!(
            format!("{:?}", config.tls).contains("IpAddress"),
            "{config:?}"
        );
    }
    let outside = [("VESTIBULE_COMPONENT_TLS", "true")];
    let config = folder("server = 'xmpp.example.org:5347'\ntls-ca = 'ca.pem'").load(&outside);
    assert!(config.unwrap().tls.is_some());
}

#[test]
fn what_is_wrong_with_tls_is_named() {
    for (keys, expected) in [
        (
            "tls = 'yes'",
            "4: component.tls: found \"yes\", expected true or false",
        ),
        (
            "tls-ca = 'ca.pem'",
            "4: component.tls-ca: stands without tls = true",
        ),
        (
            "tls = false\ntls-name = 'a.example'",
            "5: component.tls-name: stands without tls = true",
        ),
        (
            "tls = true\ntls-ca = 'none.pem'",
            "5: component.tls-ca: none.pem cannot be read: No such file or directory (os error 2)",
        ),
        (
            "tls = true\ntls-ca = 'key.pem'",
            "5: component.tls-ca: key.pem holds no certificate in PEM",
        ),
        (
            "tls = true\ntls-ca = 'ca.pem'\ntls-name = 'a b'",
            "6: component.tls-name: found \"a b\", expected the name in the server's certificate, such as \
             \"xmpp.example.org\", or an IP address",
        ),
        (
            "tls = true\ntls-ca = 'ca.pem'\nserver = '-x-:5347'",
            "6: component.server: names a host that no certificate can be for, expected tls-name beside it",
        ),
    ] {
        let found = folder(keys).problems(&[]);
        assert_eq!(found, [format!("c.toml:{expected}")], "{keys}");
    }
}

#[test]
fn a_change_waits_for_the_next_start() {
    let old = load(LEAST);
    let new = folder("tls = true\ntls-ca = 'ca.pem'").load(&[]).unwrap();
    let (adopted, kept) = old.adopt(new);
    assert_eq!(kept, ["component.tls"]);
    assert_eq!(adopted.tls, None);
}
