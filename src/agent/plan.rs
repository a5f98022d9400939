//! From a request to what would be done for it, by the user's file. Pure.

use super::module::{Module, Report};
use super::policy::Settings;
use super::request::{Refusal, Request, Wish};
use super::text::{SHOWN_MAX, shown};
use super::work::Act;
use crate::web_address::{self, WebAddress};

/// Characters of a notification.
const NOTICE_MAX: usize = 1_000;
/// Characters of a report's words that a module gets.
const REPORT_MAX: usize = 1_000;

/// What would be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// Nothing, where a report is for no program.
    pub(super) act: Option<Act>,
    /// The page, where it is one.
    pub(super) address: Option<WebAddress>,
    /// Its name for people.
    pub(super) title: String,
    /// What it is about, for her and for the log.
    pub(super) words: String,
}

impl Plan {
    /// Makes it, or says why there is none.
    pub(super) fn new(settings: &Settings, request: &Request) -> Result<Self, Refusal> {
        if !settings.rules.serves(request.wish.task()) {
            return Err(Refusal::new("forbidden", "the user does not allow this"));
        }
        match &request.wish {
            Wish::OpenUrl { url, .. } => page(settings, url),
            Wish::Notify { text } => Ok(Self {
                act: Some(Act::Show {
                    title: format!("From {}", shown(&request.requester.shown(), SHOWN_MAX)),
                    text: shown(text, NOTICE_MAX),
                }),
                address: None,
                title: String::new(),
                words: "a notification".to_owned(),
            }),
            Wish::StartModule { module, arguments } => {
                let found = settings
                    .modules
                    .iter()
                    .find(|one| one.offered && one.name == *module);
                let module = found
                    .ok_or_else(|| Refusal::new("item-not-found", "there is no such module"))?;
                start(module, arguments)
            }
            Wish::ActivateClient => Ok(Self {
                act: settings.client.clone().map(Act::Run),
                address: None,
                title: String::new(),
                words: "the chat client".to_owned(),
            }),
            Wish::Outcome { right, state, text } => {
                let text = shown(text, REPORT_MAX);
                let report = Report {
                    requester: &request.requester,
                    request_id: &request.request_id,
                    right: *right,
                    state,
                    text: &text,
                };
                react(settings, &report)
            }
        }
    }
}

fn page(settings: &Settings, url: &str) -> Result<Plan, Refusal> {
    let address = web_address::check(url)
        .map_err(|refusal| Refusal::new("not-acceptable", refusal.to_string()))?;
    Ok(Plan {
        act: Some(Act::Run(settings.opener.job(&address))),
        words: address.as_str().to_owned(),
        address: Some(address),
        title: String::new(),
    })
}

fn start(module: &Module, arguments: &[(String, String)]) -> Result<Plan, Refusal> {
    let (job, words) = module.job(arguments)?;
    Ok(Plan {
        act: Some(Act::Run(job)),
        address: None,
        title: module.title.clone(),
        words: if words.is_empty() {
            module.name.clone()
        } else {
            format!("{} with {words}", module.name)
        },
    })
}

/// What is run for a report: the first reaction that fits, if its module takes the words.
fn react(settings: &Settings, report: &Report<'_>) -> Result<Plan, Refusal> {
    let reaction = settings.reactions.iter().find(|one| one.fits(report));
    let found = reaction.and_then(|reaction| {
        let module = settings
            .modules
            .iter()
            .find(|one| one.name == reaction.module)?;
        Some((module, reaction.arguments(report)))
    });
    match found {
        Some((module, arguments)) => start(module, &arguments),
        None => Ok(Plan {
            act: None,
            address: None,
            title: String::new(),
            words: "nothing to run for this report".to_owned(),
        }),
    }
}
