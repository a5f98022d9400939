//! The page of a user: her status, what the visitor may do, and how to show it elsewhere.
//!
//! It works without a script; the one that it has keeps the status up to date and is named in the policy by its
//! digest, as the style is. All words of others are escaped text.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::asker::Peer;
use super::escape::{escape, line, percent};
use super::respond::{Cache, Fault, HTML, Reply, put, reply};
use super::{Face, act, badge, json};
use crate::component::authorization::Right;
use crate::component::web::{Answer, Job, JobState, Problem, View, What};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// How long a form is waited for, in seconds.
const WAIT_S: u64 = 8;
/// Characters of the name that a visitor gives himself.
const NAME_CHARS_MAX: usize = 80;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// `GET /u/{jid}`.
pub(super) async fn show(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path(jid): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let answer = async {
        let asker = face.admit(&peer, &headers, 1)?;
        let view = face.views(&asker, vec![jid], false).await?.pop().flatten();
        let view = view.ok_or(Fault::Problem(Problem::NotFound))?;
        let base = face.base_url(&peer, &headers).unwrap_or_default();
        Ok(html(StatusCode::OK, &of_user(&face, &view, &base, None)))
    };
    answer.await.unwrap_or_else(|fault: Fault| of_fault(&fault))
}

/// `POST /u/{jid}`: a form of the page.
pub(super) async fn submit(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Peer>,
    Path(jid): Path<String>,
    headers: HeaderMap,
    sent: Body,
) -> Reply {
    let answer = async {
        let asker = act::actor(&face, &peer, &headers)?;
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            return Err(Fault::Kind);
        }
        let body = act::body(sent).await?;
        let form = Form::read(&body);
        let what = What::Command {
            user: jid.clone(),
            right: form.right,
            fields: form.fields,
            key: form.key,
            wait_s: WAIT_S,
        };
        let base = face.base_url(&peer, &headers).unwrap_or_default();
        let told = match face.ask(&asker, what).await {
            Ok(Answer::Job(job)) => match &job.view {
                Some(view) => {
                    return Ok(html(
                        StatusCode::OK,
                        &of_user(&face, view, &base, Some(&ended(&job))),
                    ));
                }
                None => Told::done("Done."),
            },
            Ok(_) => return Err(Fault::Problem(Problem::Unavailable)),
            Err(
                fault @ Fault::Problem(
                    Problem::Invalid(_) | Problem::Forbidden | Problem::TooOften(_),
                ),
            ) => Told::fault(&fault),
            Err(fault) => return Err(fault),
        };
        let view = face.views(&asker, vec![jid], false).await?.pop().flatten();
        let view = view.ok_or(Fault::Problem(Problem::NotFound))?;
        Ok(html(
            told.status,
            &of_user(&face, &view, &base, Some(&told)),
        ))
    };
    answer.await.unwrap_or_else(|fault: Fault| of_fault(&fault))
}

/// A submitted form.
#[derive(Debug, Default)]
struct Form {
    right: String,
    key: Option<String>,
    fields: Vec<(String, String)>,
}

impl Form {
    fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        let mut name = String::new();
        for (var, value) in form_urlencoded::parse(body) {
            match var.as_ref() {
                "right" => form.right = value.into_owned(),
                "key" => form.key = Some(value.into_owned()),
                "name" => name = line(&value, NAME_CHARS_MAX),
                _ => form
                    .fields
                    .push((var.into_owned(), value.replace("\r\n", "\n"))),
            }
        }
        let is_fit = |key: &String| {
            (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        form.key = form.key.filter(is_fit);
        if !name.is_empty()
            && let Some((_, text)) = form.fields.iter_mut().find(|(var, _)| var == "text")
        {
            *text = format!("{text}\n— {name}");
        }
        form
    }
}

/// What a visitor is told of what he did.
struct Told {
    status: StatusCode,
    is_good: bool,
    text: String,
}

impl Told {
    fn done(text: &str) -> Self {
        Self {
            status: StatusCode::OK,
            is_good: true,
            text: text.to_owned(),
        }
    }

    fn fault(fault: &Fault) -> Self {
        let (status, _, text) = fault.told();
        Self {
            status,
            is_good: false,
            text,
        }
    }
}

fn ended(job: &Job) -> Told {
    let is_good = match job.state {
        JobState::Open => true,
        JobState::Ended(state) => state.as_str() == "completed",
    };
    let text = match (&job.text, job.state) {
        (Some(text), _) if !text.is_empty() => text.clone(),
        (_, JobState::Open) => "It is on its way: she is asked first.".to_owned(),
        (_, state) => format!("It has ended: {}.", json::state(state)),
    };
    Told {
        status: StatusCode::OK,
        is_good,
        text,
    }
}

/// A page, with the policy that lets its own style and script through and nothing else.
fn html(status: StatusCode, body: &str) -> Reply {
    let mut page = reply(status, HTML, body.to_owned(), Cache::No);
    put(&mut page, CONTENT_SECURITY_POLICY, &POLICY);
    // With no referrer at all browsers would not say that a form is of this site.
    put(&mut page, REFERRER_POLICY, "same-origin");
    put(
        &mut page,
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    put(
        &mut page,
        HeaderName::from_static("x-frame-options"),
        "DENY",
    );
    page
}

fn of_fault(fault: &Fault) -> Reply {
    let (status, _, text) = fault.told();
    let body = document(
        "Not here",
        &format!("<main><h1>Not here</h1><p>{}</p></main>", escape(&text)),
        false,
    );
    fault.dress(html(status, &body))
}

fn document(title: &str, body: &str, is_live: bool) -> String {
    let script = match is_live {
        true => format!("<script>{SCRIPT}</script>"),
        false => String::new(),
    };
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\
         <style>{STYLE}</style></head><body>{body}{script}</body></html>\n",
        escape(title)
    )
}

/// The page of a user who is seen.
fn of_user(face: &Face, view: &View, base: &str, told: Option<&Told>) -> String {
    let jid = escape(view.user.as_str());
    let path = percent(view.user.as_str());
    let word = badge::word(view.show);
    let mut main = String::with_capacity(6000);
    let _ = write!(
        main,
        "<main data-user=\"{jid}\"><h1>{jid}</h1><p class=\"state\"><span id=\"show\" class=\"show {0}\">{word}</span> \
         <span id=\"status\">{1}</span></p>",
        view.show,
        escape(view.status.as_deref().unwrap_or_default()),
    );
    if let Some(since) = view.since {
        let since = since.to_string();
        let shown = since.replace('T', " ").replace('Z', " UTC");
        let _ = write!(
            main,
            "<p class=\"since\">since <time id=\"since\" datetime=\"{since}\">{shown}</time></p>"
        );
    }
    if let Some(told) = told {
        let class = if told.is_good { "good" } else { "bad" };
        let _ = write!(
            main,
            "<p role=\"status\" class=\"told {class}\">{}</p>",
            escape(&told.text)
        );
    }
    if let Some(presentity) = face.domain.presentity(&view.user) {
        let presentity = percent(presentity.as_str());
        let _ = write!(
            main,
            "<p><a class=\"chat\" href=\"xmpp:{presentity}?message\">Write to her with a chat program</a></p>"
        );
    }
    // What most visitors want comes first.
    let offered = [Right::LeaveMessage, Right::OpenUrl, Right::Notify];
    for right in offered.iter().filter(|one| view.rights.contains(one)) {
        form(&mut main, &path, *right);
    }
    snippets(&mut main, &path, base);
    main.push_str("</main>");
    document(view.user.as_str(), &main, true)
}

/// The form of a right that a visitor can fill in.
fn form(into: &mut String, path: &str, right: Right) {
    let (title, fields, button) = match right {
        Right::LeaveMessage => (
            "Leave a message",
            "<label>Your message<textarea name=\"text\" required maxlength=\"1900\" rows=\"4\"></textarea></label>\
             <label>Who you are, if she is to know<input name=\"name\" maxlength=\"80\" autocomplete=\"name\"></label>",
            "Send",
        ),
        Right::OpenUrl => (
            "Send a link",
            "<label>Address<input name=\"url\" type=\"url\" required maxlength=\"2048\" placeholder=\"https://\"></label>\
             <label>Why<input name=\"reason\" maxlength=\"500\"></label>",
            "Send",
        ),
        Right::Notify => (
            "Notify her",
            "<label>Text<input name=\"text\" required maxlength=\"500\"></label>",
            "Notify",
        ),
        _ => return,
    };
    let _ = write!(
        into,
        "<form method=\"post\" action=\"/u/{path}\"><h2>{title}</h2>\
         <input type=\"hidden\" name=\"right\" value=\"{right}\">{}{fields}<button>{button}</button></form>",
        key().map_or_else(String::new, |key| format!(
            "<input type=\"hidden\" name=\"key\" value=\"{key}\">"
        ))
    );
}

/// A name for one submission, so that a form sent twice does one thing; without chance it has none.
fn key() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn snippets(into: &mut String, path: &str, base: &str) {
    let badge = format!("{base}/v1/users/{path}/badge.svg");
    let page = format!("{base}/u/{path}");
    let html = format!("<a href=\"{page}\"><img src=\"{badge}\" alt=\"status\"></a>");
    let markdown = format!("[![status]({badge})]({page})");
    let _ = write!(
        into,
        "<section><h2>Show it elsewhere</h2><p><img src=\"/v1/users/{path}/badge.svg\" alt=\"status\" height=\"20\"></p>\
         <h3>HTML</h3><pre><code>{}</code></pre><h3>Markdown</h3><pre><code>{}</code></pre></section>",
        escape(&html),
        escape(&markdown)
    );
}
