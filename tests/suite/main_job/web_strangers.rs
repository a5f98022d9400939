//! What a visitor of the web face gets of users whom he may not see: for every request the same bytes as of
//! a user who does not exist (RFC 6120 §13.11; design.md §7 C7).

use std::net::{Ipv4Addr, SocketAddr};

use crate::support::component_process::{ComponentProcess, Config};
use crate::support::http::ask_from;
use crate::support::ports::Port;
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary, stanza};

use super::stage::{HOME, PASSWORD, Stage, join_by_contact, say};
use crate::support::client::Client;

/// The user who does not exist.
const NOBODY: &str = "nobod";

/// Users who exist, and may not be seen; each name as long as that of nobody. With what they say in chat
/// after they have joined, are online and have a status.
const HIDDEN: [(&str, &[&str]); 6] = [
    ("alice", &["visibility private"]),
    ("carol", &["visibility subscribers"]),
    (
        "david",
        &["visibility public", "block web.presence.localhost"],
    ),
    ("erika", &["visibility public", "visibility private"]),
    ("frank", &["visibility public", "leave"]),
    // She has an account, and has not joined.
    ("gerda", &[]),
];

/// The user whom everybody may see: the proof that the comparison sees something.
const SEEN: &str = "heidi";

/// Method, path, headers, content.
type Request = (&'static str, &'static str, Headers, &'static str);
type Headers = &'static [(&'static str, &'static str)];

/// What is asked. `{T}` is her address.
const REQUESTS: &[Request] = &[
    ("GET", "/v1/users/{T}", &[], ""),
    ("GET", "/v1/users/{T}/text", &[], ""),
    ("GET", "/v1/users/{T}/badge.svg", &[], ""),
    (
        "GET",
        "/v1/users/{T}/badge.svg?label=me&theme=dark",
        &[],
        "",
    ),
    ("GET", "/v1/users?ids={T}", &[], ""),
    ("GET", "/v1/users?ids={T},{T}", &[], ""),
    ("GET", "/v1/users?ids={T},xxxxx@localhost", &[], ""),
    ("GET", "/u/{T}", &[], ""),
    ("HEAD", "/v1/users/{T}", &[], ""),
    ("HEAD", "/v1/users/{T}/badge.svg", &[], ""),
    ("HEAD", "/u/{T}", &[], ""),
    (
        "OPTIONS",
        "/v1/users/{T}",
        &[("Origin", "http://a.example")],
        "",
    ),
    ("PUT", "/v1/users/{T}", &[], ""),
    ("DELETE", "/u/{T}", &[], ""),
    (
        "GET",
        "/v1/users/{T}",
        &[("Origin", "http://a.example")],
        "",
    ),
    (
        "GET",
        "/v1/users/{T}",
        &[("Authorization", "Bearer 1:AAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
        "",
    ),
    (
        "GET",
        "/v1/users/{T}",
        &[("Authorization", "Basic eDp5")],
        "",
    ),
    ("GET", "/v1/users/{T}", &[("If-None-Match", "*")], ""),
    (
        "GET",
        "/v1/users/{T}/badge.svg",
        &[("If-None-Match", "\"x\"")],
        "",
    ),
    ("GET", "/v1/users/{T}/nothing", &[], ""),
    ("GET", "/v1/users/{T}/commands", &[], ""),
    ("GET", "/v1/users/{T}/commands/leave-message", &[], ""),
    (
        "POST",
        "/v1/users/{T}/commands/leave-message",
        JSON,
        r#"{"text":"hello"}"#,
    ),
    ("POST", "/v1/users/{T}/commands/leave-message", JSON, "{"),
    ("POST", "/v1/users/{T}/commands/leave-message", JSON, "{}"),
    ("POST", "/v1/users/{T}/commands/leave-message", &[], ""),
    (
        "POST",
        "/v1/users/{T}/commands/open-url",
        JSON,
        r#"{"url":"https://a.example/"}"#,
    ),
    (
        "POST",
        "/v1/users/{T}/commands/set-status",
        JSON,
        r#"{"status-message":"x"}"#,
    ),
    (
        "POST",
        "/v1/users/{T}/commands/start-module",
        JSON,
        r#"{"module":"x"}"#,
    ),
    ("POST", "/v1/users/{T}/commands/see", JSON, "{}"),
    ("POST", "/v1/users/{T}/commands/nothing", JSON, "{}"),
    (
        "POST",
        "/v1/users/{T}/commands/leave-message",
        FOREIGN,
        r#"{"text":"hello"}"#,
    ),
    (
        "POST",
        "/v1/users/{T}/commands/leave-message",
        KEYED,
        r#"{"text":"hello"}"#,
    ),
    (
        "POST",
        "/v1/users/{T}/commands/leave-message",
        KEYED,
        r#"{"text":"other"}"#,
    ),
    (
        "POST",
        "/v1/users/{T}/commands/leave-message",
        FORM,
        "text=hello",
    ),
    ("POST", "/u/{T}", FORM, "text=hello"),
];

const JSON: Headers = &[
    ("Host", "presence.example"),
    ("Origin", "http://presence.example"),
    ("Content-Type", "application/json"),
];
const KEYED: Headers = &[
    ("Host", "presence.example"),
    ("Origin", "http://presence.example"),
    ("Content-Type", "application/json"),
    ("Idempotency-Key", "one-and-the-same"),
];
const FOREIGN: Headers = &[
    ("Host", "presence.example"),
    ("Origin", "http://a.example"),
    ("Content-Type", "application/json"),
];
const FORM: Headers = &[
    ("Host", "presence.example"),
    ("Origin", "http://presence.example"),
    ("Content-Type", "application/x-www-form-urlencoded"),
];

pub(super) async fn get_the_same_bytes_of_all(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind, Options::default()).await?;
    let http = Port::reserve()?;
    let config = Config::for_server(&server).with(&format!(
        "[http]\nlisten = \"{}\"\nrequests-per-second = 0\n",
        http.address()
    ));
    let component = ComponentProcess::start(&built_binary("vestibule")?, &config).await?;
    let stage = Stage { server, component };
    let mut users = Vec::new();
    for (name, lines) in HIDDEN
        .into_iter()
        .chain([(SEEN, &["visibility public"] as &[_])])
    {
        users.push(joined(&stage, name, lines).await?);
    }
    let nobody = all_answers(http.address(), NOBODY).await?;
    let mut differences = Vec::new();
    for (name, _) in HIDDEN {
        let answers = all_answers(http.address(), name).await?;
        for ((request, found), wanted) in REQUESTS.iter().zip(&answers).zip(&nobody) {
            if found != wanted {
                differences.push(format!(
                    "{name}, {} {}:\n{found}\n-- instead of --\n{wanted}",
                    request.0, request.1
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));

    let seen = all_answers(http.address(), SEEN).await?;
    let telling = seen
        .iter()
        .zip(&nobody)
        .filter(|(seen, nobody)| seen != nobody);
    let n_telling = telling.count();
    assert!(
        n_telling > REQUESTS.len() / 2,
        "only {n_telling} tell anything of anybody"
    );
    Ok(())
}

/// A user with an account, who has joined and said these lines, and is online with a status.
async fn joined(stage: &Stage, name: &str, lines: &[&str]) -> Result<Client, Failure> {
    Client::register(&stage.server, name, PASSWORD).await?;
    let mut user = stage.login(name, "desk").await?;
    user.send(stanza("<presence><show>away</show></presence>"))
        .await;
    if !lines.is_empty() {
        join_by_contact(&mut user).await;
        say(&mut user, "status At the lake", "At the lake").await;
    }
    for line in lines {
        say(&mut user, line, "").await;
    }
    Ok(user)
}

/// What a visitor gets for each request, with one name for whom he asks.
async fn all_answers(address: SocketAddr, name: &str) -> Result<Vec<String>, Failure> {
    let mut answers = Vec::new();
    let user = format!("{name}@localhost");
    // Each is asked for by another visitor: wrong tokens of one are counted.
    let visitor = Ipv4Addr::new(127, 3, 0, name.as_bytes()[0]);
    for (method, path, headers, content) in REQUESTS {
        let path = path.replace("{T}", &user);
        let mut answer = ask_from(visitor, address, (method, &path), headers, content).await;
        // A digest of the content, which may name her; contents are compared themselves.
        answer.headers.retain(|(header, _)| header != "etag");
        let text = format!("{answer:?}");
        let presentity = format!("{name}%5C40localhost@{HOME}");
        answers.push(
            text.replace(&presentity, "PRESENTITY")
                .replace(name, "NAME"),
        );
    }
    Ok(answers)
}
