//! Reading: one user as JSON, text and picture, many as JSON.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use url::form_urlencoded;

use super::asker::{Asker, Peer};
use super::badge::{self, Look};
use super::respond::{Cache, Fault, JSON, Reply, SVG, TEXT, reply_once};
use super::{Face, json};
use crate::component::limits::SNAPSHOT_MAX;
use crate::component::web::{Answer, Problem, View, What};

/// Seconds for which anybody may keep what anybody may see.
pub(super) const PUBLIC: Cache = Cache::Public(10);
const PUBLIC_BADGE: Cache = Cache::Public(30);

/// The values of a query, in order.
pub(super) fn query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned()
}

/// The value of one name of a query.
pub(super) fn value(uri: &Uri, name: &str) -> Option<String> {
    query(uri)
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

    /// Who asks, and one user as he sees her. Who is not seen is not found.
    async fn one(
        &self,
        peer: Peer,
        headers: &HeaderMap,
        jid: String,
    ) -> Result<(Asker, View), Fault> {
        let asker = self.admit(peer, headers, 1)?;
        let mut views = self.views(&asker, vec![jid], false).await?;
        let view = views.pop().flatten();
        Ok((asker, view.ok_or(Fault::Problem(Problem::NotFound))?))
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
    peer: Peer,
    shape: Shape,
    jid: String,
    uri: &Uri,
    headers: &HeaderMap,
) -> Reply {
    let seen = face.one(peer, headers, jid).await;
    match shape {
        Shape::Data => match seen {
            Ok((asker, view)) => {
                let cache = cache(&asker, PUBLIC);
                reply_once(headers, JSON, &view, || json::view(&view), cache)
            }
            Err(fault) => fault.json(),
        },
        Shape::Text => match seen {
            Ok((asker, view)) => {
                let line = line(uri, &view);
                let cache = cache(&asker, PUBLIC);
                reply_once(headers, TEXT, line.clone(), || line, cache)
            }
            Err(fault) => fault.text(),
        },
        Shape::Badge => badge(uri, headers, seen),
    }
}

fn line(uri: &Uri, view: &View) -> String {
    let status = view.status.as_deref();
    let line = match (value(uri, "only").as_deref(), status) {
        (Some("show"), _) | (None, None) => view.show.to_owned(),
        (Some("status"), status) => status.unwrap_or_default().to_owned(),
        (_, Some(status)) => format!("{}: {status}", view.show),
        (Some(_), None) => view.show.to_owned(),
    };
    line + "\n"
}

fn badge(uri: &Uri, headers: &HeaderMap, seen: Result<(Asker, View), Fault>) -> Reply {
    let look = Look::read(query(uri));
    match seen {
        Ok((asker, view)) => {
            let cache = cache(&asker, PUBLIC_BADGE);
            picture(headers, &look, view.show, view.status.as_deref(), cache)
        }
        Err(fault) => {
            // Whoever may see nobody is not told by the headers either.
            let is_nobody = fault == Fault::Problem(Problem::NotFound);
            let is_public = is_nobody && !headers.contains_key("authorization");
            let kept = if is_public { PUBLIC_BADGE } else { Cache::No };
            picture(headers, &look, "unknown", None, kept)
        }
    }
}

fn picture(
    headers: &HeaderMap,
    look: &Look,
    show: &'static str,
    status: Option<&str>,
    cache: Cache,
) -> Reply {
    let draw = || badge::draw(look, show, status);
    reply_once(headers, SVG, (look, show, status), draw, cache)
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
        let asker = face.asker(peer, &headers)?;
        face.budget.take(&asker.payer, typed.len())?;
        let views = face.views(&asker, typed.clone(), false).await?;
        let body = json::views(&typed, &views);
        let cache = cache(&asker, PUBLIC);
        Ok(reply_once(&headers, JSON, body.clone(), || body, cache))
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
