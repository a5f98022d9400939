//! Short forms inside stanzas, replaced as text before the XML is read; listed in
//! tests/transcripts/README.md.

/// Where the component lives in every transcript.
pub(crate) const DOMAIN: &str = "presence.localhost";

/// Replaces every short form in `text`, the innermost first; placeholders stay.
pub(crate) fn expand(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        let end = closing(&rest[start..]).ok_or_else(|| format!("no closing brace: {text:?}"))?;
        let inner = expand(&rest[start + 1..start + end])?;
        out.push_str(&one(&inner)?);
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn one(inner: &str) -> Result<String, String> {
    let (word, rest) = inner.split_once(' ').unwrap_or((inner, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(match (word, words.as_slice()) {
        ("mapped", [user]) => mapped(user),
        ("ns", [name]) => namespace(name)?.to_owned(),
        ("cmd" | "agent" | "consent", [name]) => format!("urn:x-presence-service:{word}:0#{name}"),
        ("rights", [level, names @ ..]) => rights(level, names),
        ("error", []) => "<error type='{any}'>{...}</error>".to_owned(),
        ("error", [kind, condition]) => error(kind, condition, ""),
        ("error", [kind, condition, detail]) => error(
            kind,
            condition,
            &format!("<{detail} xmlns='http://jabber.org/protocol/commands'/>"),
        ),
        ("token-invalid", []) => "<error type='auth' by='{opt}'>\
             <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <token-invalid xmlns='urn:x-presence-service:errors:0'/></error>"
            .to_owned(),
        ("outcome", [id, right, state]) => format!(
            "<outcome xmlns='urn:x-presence-service:outcome:0' request-id='{id}' right='{right}' \
             state='{state}' at='{{any}}'/>"
        ),
        ("delay", [stamp]) => {
            format!("<delay xmlns='urn:xmpp:delay' stamp='{stamp}' from='{{opt}}'/>")
        }
        ("store", []) => "<store xmlns='urn:xmpp:hints'/>".to_owned(),
        ("submit" | "form" | "result", [form_type, ..]) => {
            let fields = rest[form_type.len()..].trim();
            form(word, form_type, fields)?
        }
        ("repeat", [what, times]) => what.repeat(
            times
                .parse()
                .map_err(|_| format!("not a number: {times:?}"))?,
        ),
        _ => format!("{{{inner}}}"),
    })
}

/// The presentity of a user (XEP-0106), written down here once more so that the transcripts do not
/// rest on the code they test.
pub(crate) fn mapped(user: &str) -> String {
    const CODES: [(char, &str); 10] = [
        (' ', "\\20"),
        ('"', "\\22"),
        ('&', "\\26"),
        ('\'', "\\27"),
        ('/', "\\2f"),
        (':', "\\3a"),
        ('<', "\\3c"),
        ('>', "\\3e"),
        ('@', "\\40"),
        ('\\', "\\5c"),
    ];
    let mut local = String::new();
    for (at, c) in user.char_indices() {
        let code = CODES.iter().find(|(plain, _)| *plain == c);
        let looks_escaped = CODES.iter().any(|(_, code)| user[at..].starts_with(code));
        match code {
            Some((_, code)) if c != '\\' || looks_escaped => local.push_str(code),
            _ => local.push(c),
        }
    }
    format!("{local}@{DOMAIN}")
}

fn namespace(name: &str) -> Result<&'static str, String> {
    Ok(match name {
        "commands" => "http://jabber.org/protocol/commands",
        "info" => "http://jabber.org/protocol/disco#info",
        "items" => "http://jabber.org/protocol/disco#items",
        "forms" => "jabber:x:data",
        "version" => "jabber:iq:version",
        "last" => "jabber:iq:last",
        "gateway" => "jabber:iq:gateway",
        "register" => "jabber:iq:register",
        "caps" => "http://jabber.org/protocol/caps",
        "oob" => "jabber:x:oob",
        "ping" => "urn:xmpp:ping",
        "rights" => "urn:x-presence-service:rights:0",
        "authz" => "urn:x-presence-service:authz:0",
        "bulk" => "urn:x-presence-service:bulk:0",
        "outcome" => "urn:x-presence-service:outcome:0",
        "status" => "urn:x-presence-service:status:0",
        _ => return Err(format!("no namespace is called {name:?}")),
    })
}

fn rights(level: &str, names: &[&str]) -> String {
    let names: String = names
        .iter()
        .map(|name| format!("<right name='{name}'/>"))
        .collect();
    format!(
        "<rights xmlns='urn:x-presence-service:rights:0' rev='{{any}}' level='{level}'>{names}</rights>"
    )
}

fn error(kind: &str, condition: &str, detail: &str) -> String {
    format!(
        "<error type='{kind}' by='{{opt}}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{detail}{{...}}</error>"
    )
}

/// `NAME=VALUE; NAME=ONE|TWO`; in a form or result `NAME` alone is a field with anything in it.
fn form(kind: &str, form_type: &str, fields: &str) -> Result<String, String> {
    let mut out = format!("<x xmlns='jabber:x:data' type='{kind}'>");
    if form_type != "-" {
        // A submitted form's FORM_TYPE counts without a type (XEP-0068 §3).
        let hidden = if kind == "form" { " type='hidden'" } else { "" };
        out.push_str(&format!(
            "<field var='FORM_TYPE'{hidden}><value>urn:x-presence-service:{form_type}</value></field>"
        ));
    }
    for field in fields.split("; ").map(str::trim).filter(|f| !f.is_empty()) {
        match field.split_once('=') {
            Some((name, values)) => {
                out.push_str(&format!("<field var='{name}'>"));
                for value in values.split('|') {
                    out.push_str(&format!("<value>{value}</value>"));
                }
                out.push_str("</field>");
            }
            None if kind == "submit" => return Err(format!("no value for field {field:?}")),
            None => out.push_str(&format!("<field var='{field}'>{{...}}</field>")),
        }
    }
    if kind != "submit" {
        out.push_str("{...}");
    }
    out.push_str("</x>");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{expand, mapped};

    #[test]
    fn users_are_mapped_as_xep_0106_has_it() {
        for (user, presentity) in [
            ("alice@example.org", r"alice\40example.org"),
            (
                r"d\27artagnan@musketeers.lit",
                r"d\5c27artagnan\40musketeers.lit",
            ),
            (r"a\40b@c.org", r"a\5c40b\40c.org"),
            (r"a\5cb@c.org", r"a\5c5cb\40c.org"),
            (r"foo\bar@c.org", r"foo\bar\40c.org"),
            (r"foo\@c.org", r"foo\\40c.org"),
            ("a@[::1]", r"a\40[\3a\3a1]"),
        ] {
            assert_eq!(mapped(user), format!("{presentity}@presence.localhost"));
        }
    }

    #[test]
    fn short_forms_stand_inside_short_forms() {
        assert_eq!(
            expand("{submit cmd:0 url=https://e.example/{repeat x 3}}").as_deref(),
            Ok(
                "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                <value>urn:x-presence-service:cmd:0</value></field><field var='url'>\
                <value>https://e.example/xxx</value></field></x>"
            )
        );
        assert_eq!(expand("{any} {id}").as_deref(), Ok("{any} {id}"));
        assert!(expand("{ns nothing}").is_err());
        assert!(expand("{any").is_err());
    }
}
