//! Live streams, as server-sent events (WHATWG HTML §9.2): the state at first, each change, and a heartbeat.
//!
//! What waits for a slow reader is that something has changed, never what: it is read when there is room.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode, Uri};
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Interval, Sleep};

use super::asker::{Asker, Peer, Tokens};
use super::budget::StreamPlace;
use super::desk::{Following, Subject};
use super::read::list;
use super::respond::{Cache, Fault, Reply, put, reply};
use super::{Face, json};
use crate::address::Bare;
use crate::component::web::{Job, JobState};

const EVENTS: &str = "text/event-stream; charset=utf-8";
/// A line that says nothing is sent so often: proxies close what is silent, and who has gone is noticed. All is
/// read anew with it, so that what ends by the clock is told.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Changes in quick succession are told as one.
const GATHER: Duration = Duration::from_millis(150);
/// A stream ends after this, and the browser begins another: what it may see is asked anew.
const LIFE: Duration = Duration::from_secs(3600);
/// Milliseconds after which a browser tries again.
const RETRY: &str = "retry: 3000\n\n";

/// `GET /v1/events?users=…`.
pub(super) async fn users(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    let answer = async {
        face.metrics.web_requests.add(1);
        let typed = list(&uri, "users")?;
        let trust = face.trust();
        let asker = face.asker(&peer, &headers)?;
        face.budget.take(&asker.payer, typed.len())?;
        let place = face.budget.stream(&asker.payer)?;
        let subjects = typed.iter().map(|jid| face.subject(jid)).collect();
        // First followed, then read: what changes in between is told once more.
        let following = face.desk.follow(subjects);
        let views = face.views(&asker, typed.clone(), false).await?;
        let bodies: Vec<_> = typed
            .iter()
            .zip(&views)
            .map(|(typed, view)| json::event(typed, view.as_ref()))
            .collect();
        let known = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let mut waiting = VecDeque::from([RETRY.to_owned()]);
        match known == Some(&name(&bodies)) {
            true => waiting.push_back(": nothing has changed\n\n".to_owned()),
            false => {
                let data = format!("[{}]", bodies.join(","));
                waiting.push_back(event(&name(&bodies), "init", &data));
            }
        }
        let is_of_party = asker.is_party();
        let watching = Watching {
            face: face.clone(),
            asker,
            typed,
            bodies,
        };
        Ok(stream_of(
            &face,
            place,
            following,
            waiting,
            Source::Users(watching),
            is_of_party.then_some(trust),
        ))
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

/// `GET /v1/jobs/{id}/events`: how far a command has come, until it has ended.
pub(super) async fn job(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let answer = async {
        let trust = face.trust();
        let asker = face.admit(&peer, &headers, 1)?;
        let place = face.budget.stream(&asker.payer)?;
        let following = face.desk.follow(vec![Subject::Job(id.clone())]);
        let job = face.job(&asker, id.clone()).await?;
        let waiting = VecDeque::from([RETRY.to_owned(), of_job(&job)]);
        let trust = asker.is_party().then_some(trust);
        let source = match job.state {
            JobState::Open => Source::Job(face.clone(), asker, id),
            JobState::Ended(_) => Source::Over,
        };
        Ok(stream_of(&face, place, following, waiting, source, trust))
    };
    answer.await.unwrap_or_else(|fault: Fault| fault.json())
}

fn of_job(job: &Job) -> String {
    let name = match job.state {
        JobState::Open => "pending",
        JobState::Ended(_) => "ended",
    };
    event(json::state(job.state), name, &json::job_event(job))
}

impl Face {
    /// The secrets that count now: what is admitted after this was by one of them, until they change.
    fn trust(&self) -> Trust {
        let mut trust = self.tokens.clone();
        trust.mark_unchanged();
        trust
    }

    /// What a stream about a user follows: her own address, also where her presentity's was typed.
    fn subject(&self, typed: &str) -> Subject {
        let bare = Bare::parse(typed).ok();
        let user = bare.map(|bare| self.domain.user(&bare).unwrap_or(bare));
        user.map_or_else(|| Subject::Job(String::new()), Subject::User)
    }
}

/// An event. JSON has no line break of its own.
fn event(id: &str, name: &str, data: &str) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// A name for what a reader knows.
fn name(bodies: &[String]) -> String {
    let mut hash = Sha256::new();
    for body in bodies {
        hash.update(body);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The secrets of the parties, where a stream was opened by one of them.
type Trust = watch::Receiver<Arc<Tokens>>;

/// Waits until other secrets count: whoever has one of those begins anew.
async fn lost(trust: &mut Option<Trust>) {
    if let Some(trust) = trust
        && trust.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// What a stream tells of.
enum Source {
    Users(Watching),
    Job(Arc<Face>, Asker, String),
    /// Nothing more.
    Over,
}

/// The users of a stream, with what was told of each last.
struct Watching {
    face: Arc<Face>,
    asker: Asker,
    typed: Vec<String>,
    bodies: Vec<String>,
}

impl Watching {
    /// Reads those at these places again; the events of those that are others now.
    async fn look(&mut self, places: &[usize]) -> Result<Vec<String>, Fault> {
        let typed: Vec<_> = places
            .iter()
            .filter_map(|place| self.typed.get(*place).cloned())
            .collect();
        let views = self.face.views(&self.asker, typed, true).await?;
        let mut events = Vec::new();
        for (place, view) in places.iter().zip(views) {
            let body = json::event(&self.typed[*place], view.as_ref());
            if self.bodies[*place] != body {
                self.bodies[*place].clone_from(&body);
                events.push(event(&name(&self.bodies), "status", &body));
            }
        }
        Ok(events)
    }
}

struct Stream {
    waiting: VecDeque<String>,
    following: Following,
    source: Source,
    stopping: watch::Receiver<bool>,
    trust: Option<Trust>,
    life: Pin<Box<Sleep>>,
    beat: Interval,
    _place: StreamPlace,
    _counted: Counted,
}

/// Counts itself among the streams.
struct Counted(Arc<Face>);

impl Counted {
    fn new(face: &Arc<Face>) -> Self {
        face.metrics.web_streams.add(1);
        Self(face.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let streams = &self.0.metrics.web_streams;
        streams.set(streams.get().saturating_sub(1));
    }
}

fn stream_of(
    face: &Arc<Face>,
    place: StreamPlace,
    following: Following,
    waiting: VecDeque<String>,
    source: Source,
    trust: Option<Trust>,
) -> Reply {
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.reset(); // The first after that time.
    let begun = Stream {
        waiting,
        following,
        source,
        stopping: face.stopping.clone(),
        trust,
        life: Box::pin(tokio::time::sleep(LIFE)),
        beat,
        _place: place,
        _counted: Counted::new(face),
    };
    let events = stream::unfold(begun, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), stream))
    });
    let mut answer = reply(StatusCode::OK, EVENTS, Body::from_stream(events), Cache::No);
    // Else a proxy may gather what is to be told at once.
    put(
        &mut answer,
        axum::http::HeaderName::from_static("x-accel-buffering"),
        "no",
    );
    put(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

impl Stream {
    /// The next text; `None` where the stream ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.waiting.pop_front() {
                return Some(text);
            }
            if matches!(self.source, Source::Over) || *self.stopping.borrow() {
                return None;
            }
            let is_beat = tokio::select! {
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                () = &mut self.life => return None,
                () = lost(&mut self.trust) => return None,
                _ = self.beat.tick() => true,
                () = self.following.changed() => false,
            };
            if !is_beat {
                tokio::time::sleep(GATHER).await;
            }
            self.look(is_beat).await?;
            if is_beat {
                self.waiting.push_back(": \n\n".to_owned());
            }
        }
    }

    async fn look(&mut self, all: bool) -> Option<()> {
        let changed = self.following.take();
        match &mut self.source {
            Source::Users(watching) => {
                let places: Vec<usize> = match all {
                    true => (0..watching.typed.len()).collect(),
                    false => changed.into_iter().collect(),
                };
                if places.is_empty() {
                    return Some(());
                }
                match watching.look(&places).await {
                    Ok(events) => self.waiting.extend(events),
                    // What was shown counts no more: the next stream is told so.
                    Err(_) => return None,
                }
            }
            Source::Job(face, asker, id) => {
                let job = face.job(asker, id.clone()).await.ok()?;
                if job.state != JobState::Open {
                    self.waiting.push_back(of_job(&job));
                    self.source = Source::Over;
                }
            }
            Source::Over => {}
        }
        Some(())
    }
}
