//! The shapes of JSON: `{"success":true,"data":…}` and `{"success":false,"error":{"code","message"}}`.

use serde::{Serialize, Serializer};

use crate::component::authorization::Right;
use crate::component::web::{Job, JobState, View};

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// A user as one asker sees her.
#[derive(Serialize)]
struct User<'a> {
    jid: &'a str,
    show: &'a str,
    status: Option<&'a str>,
    custom: Option<&'a str>,
    since: Option<String>,
    level: &'a str,
    #[serde(serialize_with = "names")]
    rights: &'a [Right],
}

fn names<S: Serializer>(rights: &[Right], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rights.iter().map(|right| right.as_str()))
}

/// One whom the asker may not see, or who is not.
#[derive(Serialize)]
struct Nobody<'a> {
    jid: &'a str,
    show: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    User(User<'a>),
    Nobody(Nobody<'a>),
}

#[derive(Serialize)]
struct JobData<'a> {
    job: &'a str,
    url: String,
    right: &'a str,
    state: &'a str,
    text: Option<&'a str>,
    user: Option<User<'a>>,
}

#[derive(Serialize)]
struct Redeemed<'a> {
    expires: &'a str,
}

fn user(view: &View) -> User<'_> {
    User {
        jid: view.user.as_str(),
        show: view.show,
        status: view.status.as_deref(),
        custom: view.custom.as_deref(),
        since: view.since.map(|at| at.to_string()),
        level: view.level.as_str(),
        rights: &view.rights,
    }
}

fn entry<'a>(typed: &'a str, view: Option<&'a View>) -> Entry<'a> {
    match view {
        Some(view) => Entry::User(user(view)),
        None => Entry::Nobody(Nobody {
            jid: typed,
            show: "unknown",
        }),
    }
}

/// Bytes of an answer about one user, as a rule: room for them is made once.
const BYTES_EXPECTED: usize = 512;

/// What these types hold can always be written, as UTF-8.
fn write(value: &impl Serialize) -> String {
    let mut written = Vec::with_capacity(BYTES_EXPECTED);
    match serde_json::to_writer(&mut written, value) {
        Ok(()) => String::from_utf8(written).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn success(data: impl Serialize) -> String {
    let success = true;
    write(&Success { success, data })
}

/// One user.
pub(super) fn view(view: &View) -> String {
    success(user(view))
}

/// Several, in the order in which they were asked for; who is not seen is `unknown`, and nothing else.
pub(super) fn views(typed: &[String], views: &[Option<View>]) -> String {
    let each = typed.iter().zip(views);
    success(
        each.map(|(typed, view)| entry(typed, view.as_ref()))
            .collect::<Vec<_>>(),
    )
}

/// One user in a stream of events.
pub(super) fn event(typed: &str, view: Option<&View>) -> String {
    write(&entry(typed, view))
}

/// A command.
pub(super) fn job(job: &Job) -> String {
    success(job_data(job))
}

/// A command in a stream of events.
pub(super) fn job_event(job: &Job) -> String {
    write(&job_data(job))
}

fn job_data(job: &Job) -> JobData<'_> {
    JobData {
        job: &job.id,
        url: format!("/v1/jobs/{}", job.id),
        right: job.right.as_str(),
        state: state(job.state),
        text: job.text.as_deref(),
        user: job.view.as_ref().map(user),
    }
}

/// The word for how far a command has come.
pub(super) fn state(state: JobState) -> &'static str {
    match state {
        JobState::Open => "pending",
        JobState::Ended(state) => state.as_str(),
    }
}

/// A token that was redeemed.
pub(super) fn redeemed(expires: &str) -> String {
    success(Redeemed { expires })
}

/// An error.
pub(super) fn error(code: &str, message: &str) -> String {
    let success = false;
    write(&Failure {
        success,
        error: Error { code, message },
    })
}
