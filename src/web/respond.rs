//! Answers over HTTP: their headers, what may be cached, and every error.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Response, StatusCode};

use super::json;
use crate::component::web::Problem;

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// What is not a page runs nothing and is framed nowhere.
const CSP_DATA: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// A picture has a style of its own.
const CSP_SVG: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/// Headers of an answer as a rule: room for them is made once.
const HEADERS_EXPECTED: usize = 12;
/// Methods and headers of requests that pages of other sites may make: what counts is in a header that no
/// browser adds by itself.
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
const HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";

pub(super) type Reply = Response<Body>;

/// What an answer takes of the headers of its request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The names of contents that the asker has.
    known: Option<Vec<u8>>,
    /// Room for the headers of the answer, made once for a connection.
    room: HeaderMap,
}

impl From<HeaderMap> for Asked {
    fn from(mut headers: HeaderMap) -> Self {
        // A copy: the value itself would hold what the request was read into.
        let known = headers.get(IF_NONE_MATCH);
        let known = known.map(|known| known.as_bytes().to_owned());
        headers.clear();
        Self {
            known,
            room: headers,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The core's reason, or one of that kind.
    Problem(Problem),
    /// The request is not built as it must be; the sentence says how.
    BadRequest(&'static str),
    /// A visitor's request that does not come from a page of ours.
    Origin,
    /// The method is not one of this address.
    Method,
    /// The body is too large.
    TooLarge,
    /// The body came too slowly.
    TooSlow,
    /// The body is of another kind.
    Kind,
    /// The process is about to end.
    Ending,
}

impl Fault {
    /// Status, code and sentence.
    pub(super) fn told(&self) -> (StatusCode, &'static str, String) {
        let (status, code, text) = match self {
            Self::Problem(problem) => match problem {
                Problem::NotFound => (
                    StatusCode::NOT_FOUND,
                    "not-found",
                    "There is nothing here for you.",
                ),
                Problem::Forbidden => (
                    StatusCode::FORBIDDEN,
                    "forbidden",
                    "You may see this user, but not do this.",
                ),
                Problem::TokenInvalid => (
                    StatusCode::UNAUTHORIZED,
                    "token-invalid",
                    "The token does not count here, or not any more.",
                ),
                Problem::TooOften(_) => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-often",
                    "That is too often; Retry-After says when to try again.",
                ),
                Problem::Unavailable => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "That could not be done just now; please try again.",
                ),
                Problem::OneUserOnly => (
                    StatusCode::BAD_REQUEST,
                    "one-user-only",
                    "A token of a user is for her alone: ask for one user.",
                ),
                Problem::Invalid(text) => {
                    return (StatusCode::BAD_REQUEST, "invalid", text.clone());
                }
                Problem::Conflict(text) => {
                    return (StatusCode::CONFLICT, "conflict", text.clone());
                }
            },
            Self::BadRequest(text) => (StatusCode::BAD_REQUEST, "bad-request", *text),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "origin-refused",
                "Without a token this can be done on our own pages only.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This address does not take that method.",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body of the request is too large.",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "too-slow",
                "The body of the request came too slowly.",
            ),
            Self::Kind => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be application/json.",
            ),
            Self::Ending => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The service is about to restart; please try again.",
            ),
        };
        (status, code, text.to_owned())
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Problem(Problem::TooOften(seconds)) => Some(*seconds),
            Self::Problem(Problem::Unavailable) | Self::Ending => Some(5),
            _ => None,
        }
    }

    /// The error as JSON.
    pub(super) fn json(&self) -> Reply {
        let (status, code, text) = self.told();
        let body = json::error(code, &text);
        self.dress(reply(status, JSON, body, Cache::No))
    }

    /// The error as text.
    pub(super) fn text(&self) -> Reply {
        let (status, _, text) = self.told();
        self.dress(reply(status, TEXT, text + "\n", Cache::No))
    }

    pub(super) fn dress(&self, mut reply: Reply) -> Reply {
        if let Some(seconds) = self.retry_after_s() {
            put(&mut reply, RETRY_AFTER, &seconds.to_string());
        }
        if *self == Self::Problem(Problem::TokenInvalid) {
            put(&mut reply, WWW_AUTHENTICATE, "Bearer");
        }
        if *self == Self::Method {
            put(&mut reply, axum::http::header::ALLOW, METHODS);
        }
        reply
    }
}

/// Who may keep an answer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// Nobody: it is for one asker, or not what anybody should keep.
    No,
    /// Everybody, for so many seconds.
    Public(u32),
}

/// An answer with the headers that all have.
pub(super) fn reply(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Body>,
    cache: Cache,
) -> Reply {
    reply_in(HeaderMap::new(), status, kind, body, cache)
}

fn reply_in(
    mut headers: HeaderMap,
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Body>,
    cache: Cache,
) -> Reply {
    headers.reserve(HEADERS_EXPECTED);
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(CONTENT_TYPE, kind);
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(REFERRER_POLICY, "no-referrer");
    put(
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    );
    let csp = if kind == SVG { CSP_SVG } else { CSP_DATA };
    put(CONTENT_SECURITY_POLICY, csp);
    put(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    put(ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Location, Retry-After");
    put(VARY, "Authorization");
    match cache {
        Cache::No => put(CACHE_CONTROL, "no-store"),
        Cache::Public(10) => put(CACHE_CONTROL, "public, max-age=10"),
        Cache::Public(_) => put(CACHE_CONTROL, "public, max-age=30"),
    }
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// The same where the asker may know it already. All that the content depends on, beside the address that was
/// asked, is in `of`; the content is made where it is sent.
pub(super) fn reply_once<B: Into<Body>>(
    asked: Asked,
    kind: &'static str,
    of: impl Hash,
    body: impl FnOnce() -> B,
    cache: Cache,
) -> Reply {
    let tag = tag(of);
    let is_known = asked.known.is_some_and(|known| {
        let known = known.split(|byte| *byte == b',');
        known.map(<[u8]>::trim_ascii).any(|one| {
            one == tag.as_slice() || one == b"*" || one.strip_prefix(b"W/") == Some(&tag)
        })
    });
    let mut answer = match is_known {
        true => reply_in(
            asked.room,
            StatusCode::NOT_MODIFIED,
            kind,
            Body::empty(),
            cache,
        ),
        false => reply_in(asked.room, StatusCode::OK, kind, body(), cache),
    };
    if let Ok(tag) = HeaderValue::from_bytes(&tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// Drawn at the start: nobody can find two contents with the same name, and what is kept elsewhere is asked for
/// anew after a restart.
static NAMES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A name for a content, quoted.
fn tag(of: impl Hash) -> [u8; 18] {
    let mut left = NAMES.hash_one(of);
    let mut tag = [b'"'; 18];
    for place in &mut tag[1..17] {
        *place = b"0123456789abcdef"[(left & 15) as usize];
        left >>= 4;
    }
    tag
}

/// Sets a header; a value that is none is left out.
pub(super) fn put(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// The answer to a browser that asks what pages of other sites may do.
pub(super) fn preflight() -> Reply {
    let mut reply = reply(StatusCode::NO_CONTENT, TEXT, Body::empty(), Cache::No);
    put(&mut reply, ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    put(&mut reply, ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    put(&mut reply, ACCESS_CONTROL_MAX_AGE, "86400");
    reply
}
