//! Reading: one user as JSON, text and picture, many as JSON.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use url::form_urlencoded;

use super::asker::{Asker, Peer};
use super::badge::{self, Look};
use super::respond::{Asked, Cache, Fault, JSON, Reply, SVG, TEXT, reply_once};
use super::{Face, json};
use crate::component::limits::SNAPSHOT_MAX;
use crate::component::web::{Answer, Problem, View, What};

/// Seconds for which anybody may keep what anybody may see.
pub(super) const PUBLIC: Cache = Cache::Public(10);
const PUBLIC_BADGE: Cache = Cache::Public(30);

/// The names and values of a query, in order.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned()
}

/// Those of an address.
pub(super) fn query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    pairs(uri.query().unwrap_or_default())
}

/// The value of one name of a query.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    pairs(query)
        .find(|(one, _)| one == name)
        .map(|(_, value)| value)
}

impl Face {
    /// What an asker sees of users, paid for.
    pub(super) async fn views(
        &self,
        asker: &Asker,
        users: Vec<String>,
        again: bool,
    ) -> Result<Vec<Option<View>>, Fault> {
        match self.ask(asker, What::Read { users, again }).await? {
            Answer::Views(views) => Ok(views),
            _ => Err(Fault::Problem(Problem::Unavailable)),
        }
    }

    /// Asks the core.
    pub(super) async fn ask(&self, asker: &Asker, what: What) -> Result<Answer, Fault> {
        match self.desk.ask(asker.who.clone(), what).await {
            Some(Answer::Refused(problem)) => Err(Fault::Problem(problem)),
            Some(answer) => Ok(answer),
            None => Err(Fault::Ending),
        }
    }

    /// One user as an asker sees her. Who is not seen is not found.
    async fn view(&self, asker: &Asker, jid: String) -> Result<View, Fault> {
        let mut views = self.views(asker, vec![jid], false).await?;
        let view = views.pop().flatten();
        view.ok_or(Fault::Problem(Problem::NotFound))
    }
}

fn cache(asker: &Asker, public: Cache) -> Cache {
    if asker.is_visitor() {
        public
    } else {
        Cache::No
    }
}

/// As what one user is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON.
    Data,
    /// The state and the text on one line, or one of the two.
    Text,
    /// Always a picture. What cannot be told is `unknown`.
    Badge,
}

/// One user.
pub(super) async fn one(
    face: &Face,
    peer: &Peer,
    shape: Shape,
    jid: String,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    let asker = face.admit(peer, &headers, 1);
    let is_public = !headers.contains_key(AUTHORIZATION);
    // Nothing of the request is kept over the wait: what it was read into is free for the next one.
    let query = uri.query().unwrap_or_default().to_owned();
    drop(uri);
    let asked = Asked::from(headers);
    let seen = match &asker {
        Ok(asker) => face.view(asker, jid).await,
        Err(fault) => Err(fault.clone()),
    };
    let kept = |public| if is_public { public } else { Cache::No };
    match (shape, seen) {
        (Shape::Data, Ok(view)) => {
            reply_once(asked, JSON, &view, || json::view(&view), kept(PUBLIC))
        }
        (Shape::Data, Err(fault)) => fault.json(),
        (Shape::Text, Ok(view)) => {
            let line = line(&query, &view);
            reply_once(asked, TEXT, line.clone(), || line, kept(PUBLIC))
        }
        (Shape::Text, Err(fault)) => fault.text(),
        (Shape::Badge, seen) => {
            let (show, status, cache) = match &seen {
                Ok(view) => (view.show, view.status.as_deref(), kept(PUBLIC_BADGE)),
                // Whoever may see nobody is not told by the headers either.
                Err(Fault::Problem(Problem::NotFound)) => ("unknown", None, kept(PUBLIC_BADGE)),
                Err(_) => ("unknown", None, Cache::No),
            };
            let look = Look::read(pairs(&query));
            let draw = || badge::draw(&look, show, status);
            reply_once(asked, SVG, (&look, show, status), draw, cache)
        }
    }
}

fn line(query: &str, view: &View) -> String {
    let status = view.status.as_deref();
    let line = match (value(query, "only").as_deref(), status) {
        (Some("show"), _) | (None, None) => view.show.to_owned(),
        (Some("status"), status) => status.unwrap_or_default().to_owned(),
        (_, Some(status)) => format!("{}: {status}", view.show),
        (Some(_), None) => view.show.to_owned(),
    };
    line + "\n"
}

/// `GET /v1/users?ids=…`: many, in one answer.
pub(super) async fn users(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    face.metrics.web_requests.add(1);
    let answer = async {
        let typed = list(&uri, "ids")?;
        let asker = face.asker(&peer, &headers)?;
        face.budget.take(&asker.payer, typed.len())?;
        let views = face.views(&asker, typed.clone(), false).await?;
        let body = json::views(&typed, &views);
        let cache = cache(&asker, PUBLIC);
        Ok(reply_once(
            headers.into(),
            JSON,
            body.clone(),
            || body,
            cache,
        ))
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

/// The users that a query names, each once.
pub(super) fn list(uri: &Uri, name: &str) -> Result<Vec<String>, Fault> {
    let mut users: Vec<String> = Vec::new();
    let values = query(uri).filter(|(one, _)| one == name);
    for (_, value) in values {
        for jid in value
            .split(',')
            .map(str::trim)
            .filter(|jid| !jid.is_empty())
        {
            if !users.iter().any(|one| one == jid) {
                users.push(jid.to_owned());
            }
        }
        if users.len() > SNAPSHOT_MAX {
            return Err(Fault::BadRequest("At most 100 users can be named."));
        }
    }
    match users.is_empty() {
        true => Err(Fault::BadRequest("No user is named.")),
        false => Ok(users),
    }
}
