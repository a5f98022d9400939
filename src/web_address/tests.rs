use proptest::prelude::*;

use super::Refusal::{
    Backslash, Characters, Credentials, Domain, Empty, Local, Number, Port, Scheme, TooLong,
    Unreadable,
};
use super::*;

const BAD: &[(&str, Refusal)] = &[
    ("", Empty),
    // Schemes.
    ("http://example.org/", Scheme),
    ("javascript:alert(1)", Scheme),
    ("JaVaScRiPt:alert(1)", Scheme),
    ("data:text/html,<b>x</b>", Scheme),
    ("file:///etc/passwd", Scheme),
    ("vbscript:msgbox(1)", Scheme),
    ("smb://example.org/share", Scheme),
    ("ftp://example.org/", Scheme),
    ("ms-settings:display", Scheme),
    ("about:blank", Scheme),
    ("view-source:https://example.org/", Scheme),
    ("blob:https://example.org/1", Scheme),
    ("xmpp:alice@example.org", Scheme),
    ("mailto:alice@example.org", Scheme),
    ("wss://example.org/", Scheme),
    ("example.org", Scheme),
    ("//example.org/", Scheme),
    ("/etc/passwd", Scheme),
    ("-https://example.org/", Scheme),
    ("--help", Scheme),
    // As typed.
    (" https://example.org/", Characters),
    ("https://example.org/ ", Characters),
    ("https://example.org/a b", Characters),
    ("https://exam\tple.org/", Characters),
    ("https://example.org/\n", Characters),
    ("https://example.org/\r\nX: y", Characters),
    ("https://example.org/\0", Characters),
    ("https://example.org/\u{7f}", Characters),
    ("https://example.org/\u{85}", Characters),
    ("https://example.org/\u{202e}gpj.exe", Characters),
    ("https://example.org/\u{2066}x", Characters),
    ("https://example.org/\u{200f}", Characters),
    ("https://exam\u{ad}ple.org/", Characters),
    ("https://example\u{200b}.org/", Characters),
    ("https://example.org/\u{feff}", Characters),
    ("https://example.org/\u{3000}", Characters),
    ("https://example.org\\@evil.example/", Backslash),
    ("\\\\host\\share", Backslash),
    ("https:\\\\example.org", Backslash),
    // Forms that only some programs repair.
    ("https:example.org", Unreadable),
    ("https:/example.org/", Unreadable),
    ("https:///example.org/", Unreadable),
    ("https://", Unreadable),
    ("https://?x", Unreadable),
    ("https://exa<mple.org/", Unreadable),
    ("https://exa|mple.org/", Unreadable),
    ("https://xn--a/", Unreadable),
    // User names.
    ("https://user@example.org/", Credentials),
    ("https://user:pw@example.org/", Credentials),
    ("https://@example.org/", Credentials),
    ("https://:@example.org/", Credentials),
    ("https://example.org:443@evil.example/", Credentials),
    ("https://good.example%40evil.example/", Unreadable),
    ("https://ex%61mple.org/", Domain),
    // Numbers.
    ("https://127.0.0.1/", Number),
    ("https://127.1/", Number),
    ("https://127.0.0.1./", Number),
    ("https://0x7f.1/", Number),
    ("https://0x7f000001/", Number),
    ("https://2130706433/", Number),
    ("https://017700000001/", Number),
    ("https://0/", Number),
    ("https://192.168.1.1/", Number),
    ("https://169.254.169.254/latest/meta-data", Number),
    ("https://8.8.8.8/", Number),
    ("https://1.2.3.256/", Number),
    ("https://１２７.０.０.１/", Number),
    ("https://[::1]/", Number),
    ("https://[::ffff:127.0.0.1]/", Number),
    ("https://[::ffff:7f00:1]/", Number),
    ("https://[2001:db8::1]:8443/", Number),
    ("https://[fe80::1%25eth0]/", Number),
    ("https://example.0x7f/", Number),
    // Local names.
    ("https://localhost/", Local),
    ("https://localhost./", Local),
    ("https://LOCALHOST:8443/", Local),
    ("https://ｌocalhost/", Local),
    ("https://a.localhost/", Local),
    ("https://printer.local/", Local),
    ("https://printer.local./", Local),
    ("https://metadata.google.internal/", Local),
    ("https://router.home.arpa/", Local),
    ("https://1.0.0.127.in-addr.arpa/", Local),
    ("https://fritz.lan/", Local),
    ("https://nas.home/", Local),
    ("https://wiki.corp/", Local),
    ("https://example.onion/", Local),
    // No public name.
    ("https://intra/", Domain),
    ("https://com./", Domain),
    ("https://example..org/", Domain),
    ("https://example.org../", Domain),
    ("https://.example.org/", Domain),
    ("https://-x.example.org/", Domain),
    ("https://x-.example.org/", Domain),
    ("https://exa$mple.org/", Domain),
    ("https://exa'mple.org/", Domain),
    ("https://a;b.example.org/", Domain),
    ("https://$(id).example.org/", Domain),
    ("https://`id`.example.org/", Domain),
    // Ports.
    ("https://example.org:0/", Port),
    ("https://example.org:22/", Port),
    ("https://example.org:25/", Port),
    ("https://example.org:6379/", Port),
    ("https://example.org:11211/", Port),
    ("https://example.org:65536/", Port),
    ("https://example.org:x/", Port),
    ("https://example.org:-1/", Port),
];

/// What is typed and what is written down; an empty second part means the same.
const GOOD: &[(&str, &str)] = &[
    ("https://example.org/", ""),
    ("https://example.org", "https://example.org/"),
    ("HTTPS://EXAMPLE.ORG/", "https://example.org/"),
    ("https://example.org./", "https://example.org/"),
    ("https://example.org.:8443/x", "https://example.org:8443/x"),
    ("https://example.org:443/", "https://example.org/"),
    ("https://example.org:8443/", ""),
    ("https://www.example.org/a/b.html", ""),
    ("https://example.org/a/../b", "https://example.org/b"),
    ("https://example.org/%2e%2e/b", "https://example.org/b"),
    ("https://example.org?x=1", "https://example.org/?x=1"),
    ("https://example.org/?q=a+b&c=%20", ""),
    ("https://example.org/#part", ""),
    ("https://example.org/~user/", ""),
    ("https://example.org/@user", ""),
    ("https://example.org/a:b", ""),
    ("https://example.org/a//b", ""),
    ("https://example.org/?next=https://a.example/", ""),
    (
        "https://example.org/$(id);`id`",
        "https://example.org/$(id);%60id%60",
    ),
    ("https://example.org/\"x\"", "https://example.org/%22x%22"),
    ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    ("https://xn--bcher-kva.example/", ""),
    ("https://example.org/ü", "https://example.org/%C3%BC"),
    ("https://example.org/?ü", "https://example.org/?%C3%BC"),
    ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
    ("https://аpple.example/", "https://xn--pple-43d.example/"),
    ("https://example。org/", "https://example.org/"),
    ("https://example.net/agenda", ""),
    ("https://a.b.c.d.e.example.com/", ""),
    ("https://my_host.example.com/", ""),
    ("https://r3---sn-x.example.com/", ""),
    ("https://123.example/", ""),
    ("https://1.2.3.4.example/", ""),
    ("https://localhost.example/", ""),
    ("https://mylocalhost.example/", ""),
    ("https://notlocal.org/", ""),
    ("https://xn--p1ai.example/", "https://xn--p1ai.example/"),
    ("https://page.test/", ""),
    ("https://page.invalid/", ""),
    ("https://meet.example.org/room?jwt=a.b-c_d#config.x=1", ""),
];

#[test]
fn the_bad_are_refused_each_for_its_reason() {
    assert!(BAD.len() >= 60);
    let wrong: Vec<String> = BAD
        .iter()
        .filter(|(text, refusal)| check(text) != Err(*refusal))
        .map(|(text, refusal)| format!("{text:?}: {:?}, not {refusal:?}", check(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_good_pass_in_their_serialised_form() {
    assert!(GOOD.len() >= 30);
    for (text, written) in GOOD {
        let expected = if written.is_empty() { text } else { written };
        let found = check(text).map(|address| address.0);
        assert_eq!(found.as_deref(), Ok(*expected), "{text:?}");
    }
}

#[test]
fn http_is_a_choice() {
    let http = |text| check_with(text, Schemes::HttpToo).map(|address| address.0);
    assert_eq!(http("http://example.org").unwrap(), "http://example.org/");
    assert_eq!(http("https://example.org").unwrap(), "https://example.org/");
    assert_eq!(http("http://localhost/"), Err(Local));
    assert_eq!(http("http://example.org:22/"), Err(Port));
    assert_eq!(http("ftp://example.org/"), Err(Scheme));
}

#[test]
fn the_length_counts_typed_and_written() {
    let path = |filler: &str, times: usize| format!("https://example.org/{}", filler.repeat(times));
    let room = BYTES_MAX - "https://example.org/".len();
    assert!(check(&path("a", room)).is_ok());
    assert_eq!(check(&path("a", room + 1)), Err(TooLong));
    // Two bytes each when typed, six when written.
    assert_eq!(check(&path("ü", 400)), Err(TooLong));
    let label = |length: usize| format!("https://{}.example/", "a".repeat(length));
    assert!(check(&label(63)).is_ok());
    assert_eq!(check(&label(64)), Err(Domain));
    let deep = format!("https://{}example/", "a.".repeat(124));
    assert_eq!(check(&deep), Err(Domain));
}

#[test]
fn the_host_is_the_name_alone() {
    let host = |text| check(text).unwrap().host().to_owned();
    assert_eq!(
        host("https://bücher.example:8443/a:b"),
        "xn--bcher-kva.example"
    );
    assert_eq!(host("https://example.org?x"), "example.org");
}

#[test]
fn refusals_are_words_for_people() {
    for (_, refusal) in BAD {
        let text = refusal.to_string();
        assert!(text.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
        assert!(!text.ends_with('.'), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_passes_is_plain_and_stays_what_it_is(
        scheme in "https://|HTTPS://|https:|https:/",
        host in "[a-zA-Z0-9ü。%@:.\\[\\]_-]{0,20}(\\.(org|example|local|1|0x1))?\\.?",
        port in "(:[0-9]{0,6})?",
        rest in "([/?#]\\PC{0,20})?",
    ) {
        unchanged(&format!("{scheme}{host}{port}{rest}"))?;
    }

    #[test]
    fn any_text_is_refused_or_plain(text in ".{0,60}") {
        unchanged(&text)?;
    }
}

fn unchanged(text: &str) -> Result<(), TestCaseError> {
    let Ok(address) = check(text) else {
        return Ok(());
    };
    prop_assert!(address.as_str().starts_with("https://"));
    prop_assert!(address.as_str().len() <= BYTES_MAX);
    prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic()));
    let host = address.host();
    prop_assert!(host.contains('.') && !host.ends_with('.'));
    prop_assert!(host.parse::<std::net::IpAddr>().is_err());
    prop_assert_eq!(check(address.as_str()), Ok(address.clone()));
    Ok(())
}
