//! Which address is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::respond::Fault;
use super::{Face, act, events, page, read};
use crate::component::web::Problem;

/// All of them.
pub(super) fn router(face: Arc<Face>) -> Router {
    Router::new()
        .route("/v1/users", get(read::users))
        .route("/v1/users/{jid}", get(read::user))
        .route("/v1/users/{jid}/text", get(read::text))
        .route("/v1/users/{jid}/badge.svg", get(read::badge))
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
