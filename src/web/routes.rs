//! Which address is answered by what.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};

use super::asker::Peer;
use super::read::Shape;
use super::respond::Fault;
use super::{Face, act, events, page, read};
use crate::component::web::Problem;

/// All of them.
pub(super) fn router(face: Arc<Face>) -> Router {
    Router::new()
        .route("/v1/users", get(read::users))
        .route("/v1/users/{jid}", of_one(Shape::Data))
        .route("/v1/users/{jid}/text", of_one(Shape::Text))
        .route("/v1/users/{jid}/badge.svg", of_one(Shape::Badge))
        .route("/v1/users/{jid}/commands/{right}", post(act::command))
        .route("/v1/users/{jid}/redeem", post(act::redeem))
        .route("/v1/events", get(events::users))
        .route("/v1/jobs/{id}", get(act::job))
        .route("/v1/jobs/{id}/events", get(events::job))
        .route("/u/{jid}", get(page::show).post(page::submit))
        .fallback(async || Fault::Problem(Problem::NotFound).json())
        .method_not_allowed_fallback(async || Fault::Method.json())
        .with_state(face)
}

fn of_one(shape: Shape) -> MethodRouter<Arc<Face>> {
    get(
        move |State(face): State<Arc<Face>>,
              Extension(peer): Extension<Peer>,
              Path(jid): Path<String>,
              uri: Uri,
              headers: HeaderMap| async move {
            read::one(&face, &peer, shape, jid, uri, headers).await
        },
    )
}

/// The user of a `GET` for one, where the address is of the common form: letters, digits and a few marks, nothing
/// encoded. What is asked for most is answered without the router, by the same function; all else takes its way.
pub(super) fn common(path: &str) -> Option<(Shape, &str)> {
    let rest = path.strip_prefix("/v1/users/")?;
    let (jid, shape) = match rest.split_once('/') {
        None => (rest, Shape::Data),
        Some((jid, "text")) => (jid, Shape::Text),
        Some((jid, "badge.svg")) => (jid, Shape::Badge),
        Some(_) => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte);
    (!jid.is_empty() && jid.bytes().all(is_plain)).then_some((shape, jid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_common_form_takes_the_router() {
        let alice = "alice@example.org";
        for (rest, shape) in [
            ("", Shape::Data),
            ("/text", Shape::Text),
            ("/badge.svg", Shape::Badge),
        ] {
            let path = format!("/v1/users/{alice}{rest}");
            assert_eq!(common(&path), Some((shape, alice)));
        }
        for other in [
            "/v1/users",
            "/v1/users/",
            "/v1/users//text",
            "/v1/users/alice%40example.org",
            "/v1/users/alice@example.org/",
            "/v1/users/alice@example.org/text/",
            "/v1/users/alice@example.org/redeem",
            "/v1/users/al\u{e9}@example.org",
            "/u/alice@example.org",
        ] {
            assert_eq!(common(other), None, "{other}");
        }
    }
}
