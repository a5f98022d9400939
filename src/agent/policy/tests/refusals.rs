//! What cannot be read, or is not for this agent.

use super::*;

#[test]
fn forms_that_are_not_as_they_must_be_are_refused() {
    let mut bench = Bench::new(Policy::Always);
    let long = "x".repeat(129);
    let twice = |name: &'static str| {
        let mut all = fields("r");
        all.push((name, "1".to_owned()));
        all
    };
    let many: Vec<_> = (0..33).map(|_| ("other", String::new())).collect();
    let wrong = [
        without("FORM_TYPE"),
        without("request-id"),
        without("requester"),
        without("level"),
        without("interface"),
        without("expires"),
        without("url"),
        with("r", "FORM_TYPE", "urn:x-presence-service:cmd:0"),
        with("", "request-id", ""),
        with("", "request-id", &long),
        with("r", "requester", "bob@remote.example/desk"),
        with("r", "requester", "@"),
        with("r", "level", "root"),
        with("r", "interface", "xmpp-public"),
        with("r", "confirm", "maybe"),
        with("r", "issued", "now"),
        with("r", "expires", "soon"),
        with("r", "expires", "+99999-01-01T00:00:00Z"),
        with(
            "r",
            "url",
            &format!("https://example.org/{}", "a".repeat(2_048)),
        ),
        twice("url"),
        twice("confirm"),
        twice("FORM_TYPE"),
        twice("reason"),
        many,
    ];
    for fields in wrong {
        let answer = only(&bench.send("a", &fields));
        assert_eq!(answer, "a modify bad-request bad-payload", "{fields:?}");
    }
    let two_values =
        command(&fields("r")).replace("<value>0</value>", "<value>1</value><value>0</value>");
    let answer = only(&bench.take(&iq("a", "set", COMPONENT, &two_values)));
    assert_eq!(answer, "a modify bad-request bad-payload");
    let not_submitted = command(&fields("r")).replace("type='submit'", "type='cancel'");
    let answer = only(&bench.take(&iq("a", "set", COMPONENT, &not_submitted)));
    assert_eq!(answer, "a modify bad-request bad-payload");
    // What is not known is ignored, even twice.
    let mut all = fields("r");
    all.extend([("colour", "red".to_owned()), ("colour", "blue".to_owned())]);
    bench.opening("b", &all);
    let mut bench = Bench::new(Policy::Always);
    bench.opening("c", &without("reason"));
}

#[test]
fn commands_that_are_not_ours_are_refused() {
    let mut bench = Bench::new(Policy::Always);
    let plain =
        |node: &str, more: &str| format!("<command xmlns='{NS_COMMANDS}' node='{node}' {more}/>");
    let ours = OPEN_URL;
    for (payload, expected) in [
        (
            plain("urn:x-presence-service:agent:0#start-module", ""),
            "cancel item-not-found",
        ),
        (
            plain("urn:x-presence-service:agent:0#activate-client", ""),
            "cancel item-not-found",
        ),
        (
            plain("urn:x-presence-service:agent:0#set-status", ""),
            "cancel item-not-found",
        ),
        (
            plain("urn:x-presence-service:agent:0", ""),
            "cancel item-not-found",
        ),
        (plain("", ""), "cancel item-not-found"),
        (plain(ours, ""), "modify bad-request bad-payload"),
        (
            plain(ours, "action='fly'"),
            "modify bad-request malformed-action",
        ),
        (
            plain(ours, "action='next'"),
            "modify bad-request bad-action",
        ),
        (
            plain(ours, "action='cancel'"),
            "modify bad-request bad-action",
        ),
        (
            plain(ours, "sessionid='s'"),
            "modify bad-request bad-sessionid",
        ),
        (
            plain(ours, "sessionid='s' action='cancel'"),
            "modify bad-request bad-sessionid",
        ),
        (
            format!("<command xmlns='{NS_COMMANDS}'/>"),
            "modify bad-request",
        ),
    ] {
        let answer = only(&bench.take(&iq("a", "set", COMPONENT, &payload)));
        assert_eq!(answer, format!("a {expected}"), "{payload}");
    }
    let answer = only(&bench.take(&iq("a", "get", COMPONENT, &command(&fields("r")))));
    assert_eq!(answer, "a cancel service-unavailable");
}

#[test]
fn every_other_request_gets_one_answer() {
    let mut bench = Bench::new(Policy::Always);
    let info = format!("<query xmlns='{}'/>", ns::DISCO_INFO);
    let items = format!("<query xmlns='{}' node='{NS_COMMANDS}'/>", ns::DISCO_ITEMS);
    let ping = format!("<ping xmlns='{}'/>", ns::PING);
    let unknown = "<query xmlns='urn:example:unknown'/>";
    for (type_, payload, expected) in [
        ("get", info.as_str(), "a result query"),
        ("get", &items, "a result query"),
        ("get", &ping, "a result nothing"),
        ("set", &info, "a cancel service-unavailable"),
        ("set", &ping, "a cancel service-unavailable"),
        ("get", unknown, "a cancel service-unavailable"),
        ("set", unknown, "a cancel service-unavailable"),
        ("put", unknown, "a modify bad-request"),
        ("get", "", "a modify bad-request"),
        ("get", &format!("{ping}{ping}"), "a modify bad-request"),
    ] {
        let answer = only(&bench.take(&iq("a", type_, "bob@remote.example/x", payload)));
        assert_eq!(answer, expected, "{type_} {payload}");
    }
    for silent in [
        iq("a", "result", COMPONENT, ""),
        iq("a", "error", COMPONENT, ""),
        stanza("<iq type='get'/>"),
        stanza("<presence/>"),
        stanza("<message><body>x</body></message>"),
    ] {
        assert!(bench.take(&silent).is_empty(), "{silent:?}");
    }
    let listed = bench.take(&iq("a", "get", COMPONENT, &items));
    let [Decision::Send(listed)] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    let item = listed.children().next().unwrap().children().next().unwrap();
    assert_eq!(item.attr(xml_ncname!("node")), Some(OPEN_URL));
    assert_eq!(item.attr(xml_ncname!("jid")), Some("alice@localhost/desk"));
}
