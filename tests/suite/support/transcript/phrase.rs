//! Lines that stand for a whole piece of dialogue; listed in tests/transcripts/README.md.

use super::shorthand::DOMAIN;
use super::surroundings;

/// Writes a phrase out; `None` where the line is none.
pub(crate) fn expand(line: &str) -> Result<Option<Vec<String>>, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(Some(match (word, words.as_slice()) {
        ("joined", [user]) => joined(user),
        ("online", [resource, ..]) => vec![presence(
            resource,
            "",
            &attributes(&rest[resource.len()..])?,
        )],
        ("offline", [resource, ..]) => vec![presence(
            resource,
            " type='unavailable'",
            &attributes(&rest[resource.len()..])?,
        )],
        ("agent", [resource, abilities @ ..]) => vec![agent(resource, &abilities.join(";"))],
        ("approved", [watcher, user]) => approved(watcher, user),
        ("says", [resource, _, ..]) => says(resource, rest[resource.len()..].trim()),
        ("token", [name, resource, _, ..]) => {
            let fields = rest[name.len()..].trim()[resource.len()..].trim();
            token(name, resource, fields)
        }
        _ => return Ok(None),
    }))
}

/// She adds the component as a contact and approves it. RFC 6121 §3.1, XEP-0100 §4.1.
fn joined(user: &str) -> Vec<String> {
    vec![
        format!("S: <presence type='subscribe' from='{user}' to='{DOMAIN}'/>"),
        format!("C*: <presence type='subscribed' from='{DOMAIN}' to='{user}'/>"),
        format!("C*: <presence from='{DOMAIN}/vestibule' to='{user}'>{{...}}</presence>"),
        format!("C*: <presence type='subscribe' from='{DOMAIN}' to='{user}'>{{...}}</presence>"),
        format!(
            "C*: <message type='{{opt}}' from='{DOMAIN}' to='{user}'><body>{{any}}</body>{{...}}\
             </message>"
        ),
        format!("S: <presence type='subscribed' from='{user}' to='{DOMAIN}'/>"),
        "+ 6s".to_owned(),
    ]
}

fn presence(resource: &str, kind: &str, fields: &[(&str, &str)]) -> String {
    let children: String = fields
        .iter()
        .map(|(name, value)| format!("<{name}>{value}</{name}>"))
        .collect();
    format!("S: <presence{kind} from='{resource}' to='{DOMAIN}'>{children}</presence>")
}

/// Her agent logs in, with what it can do beside opening pages: a negative priority and capabilities that say what it is (XEP-0115).
fn agent(resource: &str, abilities: &str) -> String {
    let asked = if abilities.is_empty() { "" } else { "?" };
    format!(
        "S: <presence from='{resource}' to='{DOMAIN}'><priority>-1</priority>\
         <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{}{asked}{abilities}' ver='{}'/></presence>",
        surroundings::AGENT_NODE,
        surroundings::agent_ver()
    )
}

/// A watcher asks for her presence and she approves it by chat. RFC 6121 §3.1.
fn approved(watcher: &str, user: &str) -> Vec<String> {
    let presentity = format!("{{mapped {user}}}");
    vec![
        format!("S: <presence type='subscribe' from='{watcher}' to='{presentity}'/>"),
        format!(
            "C: <message type='{{opt}}' from='{DOMAIN}' to='{user}'><body>{{has {watcher}}}</body>\
             {{...}}</message>"
        ),
        format!(
            "S: <message type='chat' from='{user}/phone' to='{DOMAIN}'>\
             <body>approve {watcher}</body></message>"
        ),
        answer(user).replacen("C:", "C*:", 1),
        format!("C*: <presence type='subscribed' from='{presentity}' to='{watcher}'/>"),
        format!(
            "C*: <presence type='{{opt}}' from='{presentity}{{opt}}' to='{watcher}'>{{...}}\
             </presence>"
        ),
    ]
}

/// She writes to the component and gets one answer of any words.
fn says(resource: &str, words: &str) -> Vec<String> {
    let user = resource.split_once('/').map_or(resource, |(bare, _)| bare);
    vec![
        format!(
            "S: <message type='chat' from='{resource}' to='{DOMAIN}'><body>{words}</body></message>"
        ),
        answer(user),
    ]
}

/// She makes a token by the form; its text has a name from here on. protocol.md §9.7.
fn token(name: &str, resource: &str, fields: &str) -> Vec<String> {
    let command = "command xmlns='{ns commands}' node='{consent token-new}'";
    vec![
        format!(
            "S: <iq type='set' id='make-{name}' from='{resource}' to='{DOMAIN}'><{command}>\
             {{submit consent:0 {fields}}}</command></iq>"
        ),
        format!(
            "C: <iq type='result' id='make-{name}' from='{DOMAIN}' to='{resource}'>\
             <{command} sessionid='{{any}}' status='completed'>\
             {{result consent:0 token={{{name}}}}}{{...}}</command></iq>"
        ),
    ]
}

fn answer(user: &str) -> String {
    format!(
        "C: <message type='{{opt}}' from='{DOMAIN}' to='{user}{{opt}}'><body>{{any}}</body>{{...}}\
         </message>"
    )
}

/// `show=away status="out for lunch"`.
fn attributes(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("no value in {rest:?}"))?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| format!("no closing quote in {rest:?}"))?,
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        if !["show", "status", "priority"].contains(&name) {
            return Err(format!("presence has no {name:?} here"));
        }
        found.push((name, value));
        rest = after.trim();
    }
    Ok(found)
}
