//! Whatever fields a watcher writes into its form, the agent gets those of the right and ours, each once, and
//! ours say what is true: authority is not lent. security.md T45.
//!
//! Each case is a transcript, so that the command to the agent is compared as a whole.

use std::path::Path;

use proptest::prelude::*;

use crate::support::transcript::core::Core;
use crate::support::transcript::player::play;
use crate::support::transcript::script::Script;

/// Names that are ours, or mean something elsewhere.
const NAMES: &[&str] = &[
    "requester",
    "level",
    "interface",
    "confirm",
    "issued",
    "expires",
    "resource",
    "state",
    "outcome",
    "node",
    "url",
    "reason",
    "text",
    "module",
    "arg-door",
    "arg-shell",
    "arg-",
    "arg-../../x",
    "status-message",
    "until",
    "Requester",
    "requester ",
    "level\u{a0}",
];

/// A right, its own fields as a watcher writes them, and as the agent gets them.
const RIGHTS: &[(&str, &str)] = &[
    ("open-url", "url=https://example.net/a; reason=why"),
    ("notify", "text=hello"),
    ("start-module", "module=lock; arg-door=back"),
    ("activate-client", ""),
];

fn fields(right: &str) -> &'static str {
    let found = RIGHTS.iter().find(|(name, _)| *name == right);
    found.map_or("", |(_, fields)| fields)
}

fn names(right: &str) -> Vec<&'static str> {
    let pairs = fields(right).split("; ").filter(|pair| !pair.is_empty());
    pairs
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .collect()
}

fn written(fields: &str) -> String {
    let pairs = fields.split("; ").filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect()
}

fn transcript(right: &str, extra: &[(String, String)], before: bool) -> String {
    let extra: String = extra
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    let own = written(fields(right));
    let (first, second) = if before {
        (&extra, &own)
    } else {
        (&own, &extra)
    };
    let form = "<field var='FORM_TYPE' type='hidden'><value>urn:x-presence-service:";
    format!(
        "# Fields of a watcher's form. design.md §4\n\
         joined alice@localhost\n\
         says alice@localhost/desk grant bot@remote.example open-url notify start-module activate-client\n\
         says alice@localhost/desk modules bot@remote.example lock\n\
         agent alice@localhost/agent notify activate-client lock(door:front|back)\n\
         + 3s\n\
         S: <iq type='set' id='e1' from='bot@remote.example/x' to='{{mapped alice@localhost}}'>\
         <command xmlns='{{ns commands}}' node='{{cmd {right}}}' action='execute'>\
         <x xmlns='{{ns forms}}' type='submit'>{form}cmd:0</value></field>{first}\
         <field var='request-id'><value>r-1</value></field>{second}</x></command></iq>\n\
         C: <iq type='set' id='{{c1}}' from='presence.localhost' to='alice@localhost/agent'>\
         <command xmlns='{{ns commands}}' node='{{agent {right}}}' action='execute'>\
         <x xmlns='{{ns forms}}' type='submit'>{form}agent:0</value></field>\
         <field var='request-id'><value>r-1</value></field>\
         <field var='requester'><value>bot@remote.example</value></field>\
         <field var='level'><value>authorized</value></field>\
         <field var='interface'><value>public</value></field>\
         <field var='confirm'><value>{confirm}</value></field>\
         <field var='issued'><value>2026-11-23T13:00:09Z</value></field>\
         <field var='expires'><value>{expires}</value></field>{own}</x></command></iq>\n",
        confirm = u8::from(asks(right)),
        expires = match asks(right) {
            true => "2026-11-23T13:10:09Z",
            false => "2026-11-23T13:00:39Z",
        },
    )
}

/// Whether the default ceiling asks her at the authorized level.
fn asks(right: &str) -> bool {
    matches!(right, "start-module" | "activate-client")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_watcher_s_fields_never_speak_for_us(
        right in proptest::sample::select(RIGHTS),
        extra in proptest::collection::btree_map(
            prop_oneof![
                proptest::sample::select(NAMES).prop_map(str::to_owned),
                "[a-z-]{1,12}",
            ],
            prop_oneof![
                proptest::sample::select(&["alice@localhost", "trusted", "dedicated", "0", "1", "rm -rf /"][..])
                    .prop_map(str::to_owned),
                "[ -%(-;=?-~]{0,20}",
            ],
            0..20,
        ),
        before in any::<bool>(),
    ) {
        let (right, _) = right;
        let own = names(right);
        let extra: Vec<_> = extra
            .into_iter()
            .filter(|(var, _)| !own.contains(&var.as_str()) && var != "request-id")
            // Curly brackets and ampersands mean something in a transcript.
            .map(|(var, value)| (var, value.replace(['{', '}', '&'], "_")))
            .collect();
        let text = transcript(right, &extra, before);
        let script = Script::parse(Path::new("deputy"), &text).map_err(|wrong| TestCaseError::fail(format!("{wrong:?}\n{text}")))?;
        let mut core = Core::new(script.settings.clone());
        if let Err(failure) = play(&script, &mut core) {
            return Err(TestCaseError::fail(format!("{failure}")));
        }
    }
}

/// A field of ours that stands twice is refused, whatever it says (security.md T14).
#[test]
fn a_field_that_stands_twice_is_refused() {
    for name in ["requester", "url", "request-id"] {
        let twice = format!("<field var='{name}'><value>a</value></field>").repeat(2);
        let text = format!(
            "# Doubled fields. design.md §4\nset visibility public\njoined alice@localhost\n\
             S: <iq type='set' id='e1' from='bot@remote.example/x' to='{{mapped alice@localhost}}'>\
             <command xmlns='{{ns commands}}' node='{{cmd open-url}}' action='execute'>\
             <x xmlns='{{ns forms}}' type='submit'>{twice}</x></command></iq>\n\
             C: <iq type='error' id='e1' from='{{mapped alice@localhost}}' to='bot@remote.example/x'>\
             {{error modify bad-request bad-payload}}</iq>\n"
        );
        let script = Script::parse(Path::new("twice"), &text).expect("a transcript");
        let mut core = Core::new(script.settings.clone());
        play(&script, &mut core).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
