//! Doing something: a command with JSON, how far one has come, and a token redeemed. docs/web.md.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::asker::{Asker, Peer};
use super::read::value;
use super::respond::{Cache, Fault, JSON, Reply, put, reply};
use super::{Face, json};
use crate::component::web::{Answer, Job, JobState, Problem, What};

/// Bytes of a body: a message of 2,000 characters fits in any spelling.
const BODY_BYTES_MAX: usize = 16 << 10;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a command is waited for, in seconds: by default, and at most.
const WAIT_S: u64 = 10;
const WAIT_S_MAX: u64 = 25;
/// Requests that a command costs: it makes somebody work.
const COST: usize = 5;
/// Bytes of the caller's own name for a command.
const KEY_BYTES_MAX: usize = 128;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body of a request, within limits.
pub(super) async fn body(body: Body) -> Result<Bytes, Fault> {
    let limited = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIME, limited).await {
        Err(_) => Err(Fault::TooSlow),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Fault::TooLarge),
        Ok(Err(_)) => Err(Fault::BadRequest("The body cannot be read.")),
    }
}

/// Who asks for something to be done: a visitor on a page of ours only.
pub(super) fn actor(face: &Face, peer: &Peer, headers: &HeaderMap) -> Result<Asker, Fault> {
    let asker = face.admit(peer, headers, COST)?;
    if asker.is_visitor() && !face.is_same_origin(peer, headers) {
        return Err(Fault::Origin);
    }
    Ok(asker)
}

/// `POST /v1/users/{jid}/commands/{right}`.
pub(super) async fn command(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path((user, right)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    sent: Body,
) -> Reply {
    let answer = async {
        let asker = actor(&face, &peer, &headers)?;
        is_json(&headers)?;
        let fields = fields(&body(sent).await?)?;
        let what = What::Command {
            user,
            right,
            fields,
            key: key(&headers)?,
            wait_s: wait_s(&uri)?,
        };
        match face.ask(&asker, what).await? {
            Answer::Job(job) => Ok(told(&job)),
            _ => Err(Fault::Problem(Problem::Unavailable)),
        }
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

fn told(job: &Job) -> Reply {
    let status = match job.state {
        JobState::Open => StatusCode::ACCEPTED,
        JobState::Ended(_) => StatusCode::OK,
    };
    let mut answer = reply(status, JSON, json::job(job), Cache::No);
    if job.state == JobState::Open {
        put(&mut answer, LOCATION, &format!("/v1/jobs/{}", job.id));
    }
    answer
}

fn is_json(headers: &HeaderMap) -> Result<(), Fault> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    match kind.trim().eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Fault::Kind),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(key) = headers.get(KEY) else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default();
    let is_fit =
        (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match is_fit {
        true => Ok(Some(key.to_owned())),
        false => Err(Fault::BadRequest(
            "The Idempotency-Key is not up to 128 plain characters.",
        )),
    }
}

fn wait_s(uri: &Uri) -> Result<u64, Fault> {
    let Some(wait) = value(uri.query().unwrap_or_default(), "wait") else {
        return Ok(WAIT_S);
    };
    let wait = wait.parse().ok().filter(|wait| *wait <= WAIT_S_MAX);
    wait.ok_or(Fault::BadRequest(
        "wait is not a number of seconds up to 25.",
    ))
}

/// The fields of a command: an object of words, numbers and yes or no. The arguments of a program may stand in an
/// object of their own, without `arg-` before their names.
fn fields(body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    const SHAPE: Fault =
        Fault::BadRequest("The body is not a JSON object of texts, numbers and booleans.");
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err(SHAPE);
    };
    let mut fields = Vec::new();
    for (name, value) in object {
        match value {
            Value::Object(arguments) if name == "arguments" => {
                for (name, value) in arguments {
                    fields.push((format!("arg-{name}"), text(value).ok_or(SHAPE)?));
                }
            }
            Value::Null => {}
            value => fields.push((name, text(value).ok_or(SHAPE)?)),
        }
    }
    Ok(fields)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if yes { "1" } else { "0" }.to_owned()),
        _ => None,
    }
}

/// `GET /v1/jobs/{id}`.
pub(super) async fn job(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let answer = async {
        let asker = face.admit(&peer, &headers, 1)?;
        let job = face.job(&asker, id).await?;
        Ok(reply(StatusCode::OK, JSON, json::job(&job), Cache::No))
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

impl Face {
    /// How far a command has come.
    pub(super) async fn job(&self, asker: &Asker, id: String) -> Result<Job, Fault> {
        match self.ask(asker, What::Job(id)).await? {
            Answer::Job(job) => Ok(*job),
            _ => Err(Fault::Problem(Problem::Unavailable)),
        }
    }
}

/// `POST /v1/users/{jid}/redeem`: the token that is shown counts from here on without a use for each request.
pub(super) async fn redeem(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path(user): Path<String>,
    headers: HeaderMap,
    sent: Body,
) -> Reply {
    let answer = async {
        let asker = actor(&face, &peer, &headers)?;
        body(sent).await?;
        match face.ask(&asker, What::Redeem(user)).await? {
            Answer::Redeemed(until) => Ok(reply(
                StatusCode::OK,
                JSON,
                json::redeemed(&until),
                Cache::No,
            )),
            _ => Err(Fault::Problem(Problem::Unavailable)),
        }
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_names() {
        let read = |text: &str| fields(text.as_bytes());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(
            read(r#"{"module":"agenda","arguments":{"day":"today","loud":true,"n":3},"x":null}"#),
            Ok(vec![
                pair("arg-day", "today"),
                pair("arg-loud", "1"),
                pair("arg-n", "3"),
                pair("module", "agenda"),
            ])
        );
        for wrong in ["[]", "1", "{\"a\":[]}", "{\"a\":{\"b\":1}}", "{", "\u{0}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
