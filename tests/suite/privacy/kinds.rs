//! What a stranger can send: one line for each kind of request.
//!
//! `{V}` is he, `{v}` his bare address, `{T}` whom he asks for and `{U}` the same in capitals, `{P}` the
//! component. `{N}` is the address of her account: such a kind is for reasons where there could be one.

/// A kind of request.
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) steps: Vec<String>,
    /// Whether one who may see gets the same answer: the kind tells nothing about anybody.
    pub(super) tells_nothing: bool,
}

/// What stands in an IQ. Each is sent as `get` and as `set`, to the presentity and to two resources of it.
/// With `-` before its name it tells nothing to those who may see either.
const PAYLOADS: &[(&str, &str)] = &[
    ("rights", "<query xmlns='urn:x-presence-service:rights:0'/>"),
    (
        "rights with a rev",
        "<query xmlns='urn:x-presence-service:rights:0' rev='abc'/>",
    ),
    (
        "rights with children",
        "<query xmlns='urn:x-presence-service:rights:0'><x/></query>",
    ),
    (
        "disco#info",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    ),
    (
        "info of commands",
        "<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'/>",
    ),
    (
        "info of a command",
        "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:x-presence-service:cmd:0#open-url'/>",
    ),
    (
        "info of a command not granted",
        "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:x-presence-service:cmd:0#start-module'/>",
    ),
    (
        "info of no node",
        "<query xmlns='http://jabber.org/protocol/disco#info' node='nothing'/>",
    ),
    (
        "disco#items",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    ),
    (
        "items of commands",
        "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>",
    ),
    (
        "items of a command",
        "<query xmlns='http://jabber.org/protocol/disco#items' node='urn:x-presence-service:cmd:0#open-url'/>",
    ),
    (
        "items of no node",
        "<query xmlns='http://jabber.org/protocol/disco#items' node='nothing'/>",
    ),
    ("ping", "<ping xmlns='urn:xmpp:ping'/>"),
    ("-version", "<query xmlns='jabber:iq:version'/>"),
    ("last activity", "<query xmlns='jabber:iq:last'/>"),
    ("-time", "<time xmlns='urn:xmpp:time'/>"),
    ("-vCard", "<vCard xmlns='vcard-temp'/>"),
    ("-register", "<query xmlns='jabber:iq:register'/>"),
    (
        "-register, remove",
        "<query xmlns='jabber:iq:register'><remove/></query>",
    ),
    ("-gateway", "<query xmlns='jabber:iq:gateway'/>"),
    (
        "-gateway, prompt",
        "<query xmlns='jabber:iq:gateway'><prompt>alice@localhost</prompt></query>",
    ),
    ("-roster", "<query xmlns='jabber:iq:roster'/>"),
    ("-private", "<query xmlns='jabber:iq:private'/>"),
    (
        "-pubsub",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='x'/></pubsub>",
    ),
    (
        "-block",
        "<block xmlns='urn:xmpp:blocking'><item jid='{v}'/></block>",
    ),
    (
        "-bulk at the presentity",
        "<snapshot xmlns='urn:x-presence-service:bulk:0'><of jid='{T}'/></snapshot>",
    ),
    (
        "query with a token",
        "<query xmlns='urn:x-presence-service:rights:0'><token>1:AbCdEf0123456789abcdefghijklmn</token></query>",
    ),
    (
        "query with a token in another namespace",
        "<query xmlns='urn:x-presence-service:rights:0'><token xmlns='urn:x-presence-service:authz:0'>x</token></query>",
    ),
    (
        "query with two tokens",
        "<query xmlns='urn:x-presence-service:rights:0'><token>x</token><token>y</token></query>",
    ),
    (
        "command with a token",
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:cmd:0#leave-message'><token xmlns='urn:x-presence-service:authz:0'>1:AbCdEf</token></command>",
    ),
    (
        "redeem without a token",
        "<redeem xmlns='urn:x-presence-service:authz:0'/>",
    ),
    (
        "redeem",
        "<redeem xmlns='urn:x-presence-service:authz:0'><token>1:abcdef</token></redeem>",
    ),
    (
        "outcome",
        "<outcome xmlns='urn:x-presence-service:outcome:0' request-id='r' right='open-url' state='completed'/>",
    ),
    ("-unknown", "<foo xmlns='urn:foo'/>"),
    ("-in no namespace of its own", "<query/>"),
    (
        "command without a node",
        "<command xmlns='http://jabber.org/protocol/commands'/>",
    ),
    (
        "command of no node",
        "<command xmlns='http://jabber.org/protocol/commands' node='nothing'/>",
    ),
    (
        "command with a broken form",
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:cmd:0#open-url'><x xmlns='jabber:x:data' type='foo'/></command>",
    ),
    (
        "command with a form",
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:cmd:0#leave-message' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x-presence-service:cmd:0</value></field><field var='text'><value>Hello</value></field></x></command>",
    ),
    (
        "command with a bad form",
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:cmd:0#open-url' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='url'><value>file:///etc/passwd</value></field></x></command>",
    ),
];

const ACTIONS: [&str; 7] = ["", "execute", "complete", "next", "prev", "cancel", "dance"];

/// Single stanzas. `-` as above.
const STANZAS: &[(&str, &str)] = &[
    (
        "probe",
        "<presence type='probe' id='p' from='{V}' to='{T}'/>",
    ),
    (
        "probe without an id",
        "<presence type='probe' from='{V}' to='{T}'/>",
    ),
    (
        "probe from his bare address",
        "<presence type='probe' id='p' from='{v}' to='{T}'/>",
    ),
    (
        "probe of the virtual resource",
        "<presence type='probe' id='p' from='{V}' to='{T}/vestibule'/>",
    ),
    (
        "probe of a resource of hers",
        "<presence type='probe' id='p' from='{V}' to='{T}/desk'/>",
    ),
    (
        "probe of a resource that is none",
        "<presence type='probe' id='p' from='{V}' to='{T}/\u{1f4f1}'/>",
    ),
    (
        "probe in capitals",
        "<presence type='probe' id='p' from='{V}' to='{U}'/>",
    ),
    (
        "probe with children",
        "<presence type='probe' id='p' from='{V}' to='{T}'><x xmlns='urn:foo'/></presence>",
    ),
    (
        "probe with a long id",
        "<presence type='probe' id='ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp' from='{V}' to='{T}'/>",
    ),
    (
        "-subscribe",
        "<presence type='subscribe' id='p' from='{v}' to='{T}'/>",
    ),
    (
        "-subscribe from a resource to one",
        "<presence type='subscribe' id='p' from='{V}' to='{T}/vestibule'/>",
    ),
    (
        "-subscribe with words",
        "<presence type='subscribe' from='{v}' to='{T}'><status>It is me</status><nick xmlns='http://jabber.org/protocol/nick'>Me</nick></presence>",
    ),
    (
        "-unsubscribe",
        "<presence type='unsubscribe' id='p' from='{v}' to='{T}'/>",
    ),
    (
        "-subscribed",
        "<presence type='subscribed' id='p' from='{v}' to='{T}'/>",
    ),
    (
        "-unsubscribed",
        "<presence type='unsubscribed' id='p' from='{v}' to='{T}'/>",
    ),
    (
        "-directed presence",
        "<presence id='p' from='{V}' to='{T}'><show>chat</show></presence>",
    ),
    (
        "-directed unavailable",
        "<presence type='unavailable' id='p' from='{V}' to='{T}'/>",
    ),
    (
        "-error in presence",
        "<presence type='error' id='p' from='{V}' to='{T}'/>",
    ),
    (
        "-presence of no type",
        "<presence type='invisible' id='p' from='{V}' to='{T}'/>",
    ),
    (
        "message",
        "<message id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "message, normal",
        "<message type='normal' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "message, chat",
        "<message type='chat' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "message, chat, to a resource",
        "<message type='chat' id='m' from='{V}' to='{T}/desk'><body>Hi</body></message>",
    ),
    (
        "message, chat, in capitals",
        "<message type='chat' id='m' from='{V}' to='{U}'><body>Hi</body></message>",
    ),
    (
        "-message, headline",
        "<message type='headline' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "-message, groupchat",
        "<message type='groupchat' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "-message, error",
        "<message type='error' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "-message of a type that is none",
        "<message type='foo' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
    ),
    (
        "-message without a body",
        "<message type='chat' id='m' from='{V}' to='{T}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    ),
    (
        "-message with an empty body",
        "<message type='chat' id='m' from='{V}' to='{T}'><body> </body></message>",
    ),
    (
        "-message without anything",
        "<message id='m' from='{V}' to='{T}'/>",
    ),
    (
        "-IQ without a child",
        "<iq type='get' id='i' from='{V}' to='{T}'/>",
    ),
    (
        "-IQ with two children",
        "<iq type='get' id='i' from='{V}' to='{T}'><ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "-IQ with words",
        "<iq type='get' id='i' from='{V}' to='{T}'>words</iq>",
    ),
    (
        "-IQ of no type",
        "<iq id='i' from='{V}' to='{T}'><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "-IQ of a type that is none",
        "<iq type='foo' id='i' from='{V}' to='{T}'><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "IQ without an id",
        "<iq type='get' from='{V}' to='{T}'><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "IQ in capitals",
        "<iq type='get' id='i' from='{V}' to='{U}'><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "IQ in another language",
        "<iq type='get' id='i' from='{V}' to='{T}' xml:lang='de'><query xmlns='urn:x-presence-service:rights:0'/></iq>",
    ),
    ("-result", "<iq type='result' id='i' from='{V}' to='{T}'/>"),
    ("-error", "<iq type='error' id='i' from='{V}' to='{T}'/>"),
    (
        "bulk",
        "<iq type='get' id='i' from='{V}' to='{P}'><snapshot xmlns='urn:x-presence-service:bulk:0'><of jid='{T}'/><of jid='{U}' rev='abc'/><of jid='{T}/vestibule'/></snapshot></iq>",
    ),
    (
        "bulk by her own address",
        "<iq type='get' id='i' from='{V}' to='{P}'><snapshot xmlns='urn:x-presence-service:bulk:0'><of jid='{N}'/><of jid='{N}/desk'/></snapshot></iq>",
    ),
    (
        "-bulk of too many",
        "<iq type='get' id='i' from='{V}' to='{P}'><snapshot xmlns='urn:x-presence-service:bulk:0' after='1'><of jid='{T}'/></snapshot></iq>",
    ),
    (
        "-gateway at the component",
        "<iq type='set' id='i' from='{V}' to='{P}'><query xmlns='jabber:iq:gateway'><prompt>{N}</prompt></query></iq>",
    ),
    (
        "-a report to the component",
        "<iq type='set' id='i' from='{V}' to='{P}'><outcome xmlns='urn:x-presence-service:outcome:0' request-id='r' right='open-url' state='completed'/></iq>",
    ),
    (
        "-her commands at the component",
        "<iq type='set' id='i' from='{V}' to='{P}'><command xmlns='http://jabber.org/protocol/commands' node='urn:x-presence-service:consent:0#revoke'/></iq>",
    ),
    (
        "-words to the component",
        "<message type='chat' from='{V}' to='{P}'><body>status {T}</body></message>",
    ),
    (
        "-too large <iq type='get' id='i' from='{V}' to='{T}'/>",
        "too large <iq type='get' id='i' from='{V}' to='{T}'/>",
    ),
    (
        "-too deep IQ",
        "too deep <iq type='set' id='i' from='{V}' to='{T}'/>",
    ),
    (
        "-too many children",
        "too wide <iq type='set' id='i' from='{V}' to='{T}'/>",
    ),
    (
        "-too large a probe",
        "too large <presence type='probe' id='i' from='{V}' to='{T}'/>",
    ),
    (
        "-too large a message",
        "too large <message id='i' from='{V}' to='{T}'/>",
    ),
];

/// One thing after another; `+ 3` lets seconds pass. `-` as above.
const SEQUENCES: &[(&str, &[&str])] = &[
    (
        "asks, looks, takes it back",
        &[
            SUBSCRIBE,
            PROBE,
            "+ 3",
            PROBE,
            UNSUBSCRIBE,
            PROBE,
            UNSUBSCRIBE,
        ],
    ),
    (
        "asks twice, then by data",
        &[
            SUBSCRIBE,
            SUBSCRIBE,
            QUERY,
            BULK,
            PROBE,
            UNSUBSCRIBE,
            QUERY,
            PROBE,
        ],
    ),
    (
        "takes back what he never asked",
        &[UNSUBSCRIBE, PROBE, UNSUBSCRIBE],
    ),
    (
        "says that he is approved",
        &[
            "<presence type='subscribed' from='{v}' to='{T}'/>",
            PROBE,
            "<presence type='unsubscribed' from='{v}' to='{T}'/>",
            PROBE,
        ],
    ),
    (
        "asks, and it is restarted",
        &[
            SUBSCRIBE,
            PROBE,
            "restart",
            PROBE,
            QUERY,
            UNSUBSCRIBE,
            PROBE,
        ],
    ),
    (
        "asks, goes, comes back",
        &[
            SUBSCRIBE,
            "<presence type='unavailable' from='{V}' to='{T}'/>",
            "+ 3600",
            SUBSCRIBE,
            PROBE,
            "+ 100",
            PROBE,
        ],
    ),
    (
        "asks after each refusal",
        &[
            PROBE,
            SUBSCRIBE,
            QUERY,
            SUBSCRIBE,
            "<message type='chat' id='m' from='{V}' to='{T}'><body>Hi</body></message>",
            PROBE,
        ],
    ),
    (
        "guesses tokens over hours and a restart",
        &[
            TOKEN, REDEEM, TOKEN, REDEEM, TOKEN, REDEEM, QUERY, "+ 720", TOKEN, TOKEN, "+ 3600",
            TOKEN, "restart", TOKEN, REDEEM, PROBE,
        ],
    ),
    (
        "asks her and another",
        &[
            SUBSCRIBE,
            "<presence type='subscribe' from='{v}' to='u\\40localhost@{P}'/>",
            PROBE,
            "<presence type='unsubscribe' from='{v}' to='u\\40localhost@{P}'/>",
            PROBE,
            UNSUBSCRIBE,
        ],
    ),
];

/// The same past the rate: the bucket holds five. What comes back until there is silence, and how long
/// he is to wait.
const FLOODS: &[(&str, &[&str])] = &[
    ("probes", &[PROBE]),
    ("queries", &[QUERY]),
    ("bulk queries", &[BULK]),
    ("subscribes", &[SUBSCRIBE]),
    ("asking and taking back", &[SUBSCRIBE, UNSUBSCRIBE]),
    (
        "messages",
        &["<message type='chat' id='m' from='{V}' to='{T}'><body>Hi</body></message>"],
    ),
    (
        "items",
        &[
            "<iq type='get' id='i' from='{V}' to='{T}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
        ],
    ),
    (
        "unknown payloads",
        &["<iq type='set' id='i' from='{V}' to='{T}'><foo xmlns='urn:foo'/></iq>"],
    ),
    ("wrong tokens", &[TOKEN]),
    ("redeeming", &[REDEEM]),
    ("tokens and probes", &[TOKEN, PROBE, REDEEM, QUERY]),
    ("one after another", &[PROBE, QUERY, SUBSCRIBE, BULK, PROBE]),
];

const PROBE: &str = "<presence type='probe' id='p' from='{V}' to='{T}'/>";
const SUBSCRIBE: &str = "<presence type='subscribe' id='s' from='{v}' to='{T}'/>";
const UNSUBSCRIBE: &str = "<presence type='unsubscribe' id='u' from='{v}' to='{T}'/>";
const QUERY: &str = "<iq type='get' id='i' from='{V}' to='{T}'>\
    <query xmlns='urn:x-presence-service:rights:0'/></iq>";
const TOKEN: &str = "<iq type='get' id='i' from='{V}' to='{T}'>\
    <query xmlns='urn:x-presence-service:rights:0'><token>1:AbCdEf0123456789abcdefghijklmn</token></query></iq>";
const REDEEM: &str = "<iq type='set' id='i' from='{V}' to='{T}'>\
    <redeem xmlns='urn:x-presence-service:authz:0'><token>1:AbCdEf0123456789abcdefghijklmn</token></redeem></iq>";
const BULK: &str = "<iq type='get' id='i' from='{V}' to='{P}'>\
    <snapshot xmlns='urn:x-presence-service:bulk:0'><of jid='{T}'/></snapshot></iq>";

fn kind(name: &str, steps: Vec<String>) -> Kind {
    let (name, tells_nothing) = match name.strip_prefix('-') {
        Some(name) => (name, true),
        None => (name, false),
    };
    Kind {
        name: name.to_owned(),
        steps,
        tells_nothing,
    }
}

/// Single requests.
pub(super) fn requests() -> Vec<Kind> {
    let mut kinds: Vec<Kind> = STANZAS
        .iter()
        .map(|(name, xml)| kind(name, vec![(*xml).to_owned()]))
        .collect();
    let iq = |type_: &str, to: &str, payload: &str| {
        format!("<iq type='{type_}' id='i' from='{{V}}' to='{to}'>{payload}</iq>")
    };
    kinds.extend(PAYLOADS.iter().map(|(name, payload)| {
        let steps = ["{T}", "{T}/vestibule", "{T}/desk"]
            .iter()
            .flat_map(|to| ["get", "set"].map(|type_| iq(type_, to, payload)))
            .collect();
        kind(name, steps)
    }));
    for right in [
        "see",
        "open-url",
        "leave-message",
        "notify",
        "set-status",
        "start-module",
        "activate-client",
    ] {
        for session in ["", " sessionid='0123456789abcdef0123456789abcdef'"] {
            let steps = ACTIONS
                .iter()
                .map(|action| match *action {
                    "" => String::new(),
                    action => format!(" action='{action}'"),
                })
                .map(|action| {
                    let payload = format!(
                        "<command xmlns='http://jabber.org/protocol/commands' \
                         node='urn:x-presence-service:cmd:0#{right}'{action}{session}/>"
                    );
                    iq("set", "{T}", &payload)
                })
                .collect();
            kinds.push(kind(&format!("command {right}{session}"), steps));
        }
    }
    kinds
}

/// Sequences, each for a world of its own.
pub(super) fn sequences() -> Vec<Kind> {
    SEQUENCES
        .iter()
        .map(|(name, steps)| kind(name, owned(steps)))
        .collect()
}

/// Floods, the same.
pub(super) fn floods() -> Vec<Kind> {
    FLOODS
        .iter()
        .map(|(name, steps)| {
            let mut flood = owned(&steps.repeat(8));
            flood.extend(owned(&[
                QUERY, BULK, PROBE, "+ 1", PROBE, PROBE, QUERY, "+ 600", PROBE,
            ]));
            kind(name, flood)
        })
        .collect()
}

fn owned(steps: &[&str]) -> Vec<String> {
    steps.iter().map(|step| (*step).to_owned()).collect()
}
