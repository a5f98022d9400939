//! What the agent does with each IQ that it gets: pure, with decisions as data.
//!
//! It trusts nobody but the component, and the component no further than the user's own file says
//! (security.md T40, T43). No clock, network, person or program is touched here.

use std::time::Duration;

use indexmap::IndexMap;
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::discovery;
use super::journal::{Record, Step};
use super::module::{Module, Reaction};
use super::opener::Opener;
use super::plan::Plan;
use super::program::Job;
use super::question::Question;
use super::reports::Reports;
use super::request::{Refusal, Request, Task};
use super::rules::{Policy, Rules};
use super::text::{SHOWN_MAX, shown};
use super::work::{
    Act, Header, KEPT_S, Key, SKEW_S, Work, canceled, completed, deadline, executing, log, reply,
};
use crate::address::{Address, Bare};
use crate::component::clock::{Chance, Now};
use crate::component::record::ExecutionState;
use crate::stanza::command::{Action, Command, Malformed, NS as NS_COMMANDS};

mod ending;

use ending::Recent;

/// How long a request's name is kept, and the longest that a person is asked (design.md §4).
const KEPT: Duration = Duration::from_secs(KEPT_S.unsigned_abs());
/// Names that are kept at once: more than one a second for ten minutes is no person's traffic.
const KEPT_MAX: usize = 1_000;
/// Commands that are open at once, asked about or being run: nobody answers a longer row of questions.
const OPEN_MAX: usize = 8;
/// Repeats of one command that wait for its end.
const WAITING_MAX: usize = 8;
/// A command that runs longer is answered with `executing`; at 30 s the component would take it for lost.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The component's domain; nobody else may command.
    pub component: Bare,
    /// What is run, asked and refused.
    pub rules: Rules,
    /// What opens a page.
    pub opener: Opener,
    /// What may be started.
    pub modules: Vec<Module>,
    /// What brings up the chat client.
    pub client: Option<Job>,
    /// What is run when a watcher reports.
    pub reactions: Vec<Reaction>,
}

impl Settings {
    /// Whether there is something that a command could do.
    fn has(&self, task: Task) -> bool {
        match task {
            Task::OpenUrl | Task::Notify => true,
            Task::StartModule => self.modules.iter().any(|module| module.offered),
            Task::ActivateClient => self.client.is_some(),
            Task::Outcome => !self.reactions.is_empty(),
        }
    }

    /// Whether some request for a command may be carried out.
    pub(super) fn serves(&self, task: Task) -> bool {
        self.has(task) && self.rules.serves(task)
    }
}

/// One command in the works.
pub type Ticket = u64;

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Nothing in time.
    Silence,
    /// There is nobody any more.
    Gone,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Send this; it is worth nothing on a later stream.
    Send(Element),
    /// Ask the person.
    Ask(Question),
    /// Take a question back.
    Withdraw(Ticket),
    /// Keep this, then do it once, and tell how it went. What cannot be kept is not done.
    Do(Ticket, Act, Record),
    /// Keep this.
    Keep(Record),
    /// One line for the log.
    Log(String),
}

/// The first answer to a request, for its repeats.
#[derive(Debug)]
enum First {
    Given(Result<Element, Refusal>),
    /// Not yet: the IQs that wait for it.
    Awaited(Vec<Header>),
}

#[derive(Debug)]
struct Kept {
    until: Duration,
    first: First,
}

/// The agent without its edges.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    /// Whether there is a person to ask.
    can_ask: bool,
    own_address: Option<String>,
    kept: IndexMap<Key, Kept>,
    works: IndexMap<Ticket, Work>,
    reports: Reports,
    recent: Vec<Recent>,
    next: Ticket,
}

impl Agent {
    /// An agent that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            can_ask: false,
            own_address: None,
            kept: IndexMap::new(),
            works: IndexMap::new(),
            reports: Reports::default(),
            recent: Vec::new(),
            next: 1,
        }
    }

    /// Says whether there is somebody to ask now.
    pub fn can_ask(&mut self, can_ask: bool) {
        self.can_ask = can_ask;
    }

    /// Takes a stanza from the server. Each IQ request gets one answer, at once or later.
    pub fn stanza(&mut self, now: Now, chance: &mut Chance, stanza: &Element) -> Vec<Decision> {
        let type_ = stanza.attr(xml_ncname!("type"));
        let id = stanza.attr(xml_ncname!("id"));
        let (true, Some(id)) = (stanza.is("iq", ns::JABBER_CLIENT), id) else {
            return Vec::new();
        };
        let header = Header {
            id: id.to_owned(),
            from: stanza.attr(xml_ncname!("from")).map(ToOwned::to_owned),
        };
        let trusted = self.is_component(&header);
        if matches!(type_, Some("result" | "error")) {
            return if trusted {
                self.acknowledged(now, id, stanza)
            } else {
                Vec::new()
            };
        }
        let mut children = stanza.children();
        let (payload, more) = (children.next(), children.next());
        let (Some(payload), None) = (payload, more) else {
            let text = "an IQ has exactly one child";
            return vec![reply(&header, Err(Refusal::new("bad-request", text)))];
        };
        let node = payload
            .attr(xml_ncname!("node"))
            .filter(|node| !node.is_empty());
        let settings = trusted.then_some(&self.settings);
        let done = match type_ {
            Some("get") if payload.is("query", ns::DISCO_INFO) => {
                discovery::answer_info(node, settings)
            }
            Some("get") if payload.is("query", ns::DISCO_ITEMS) => {
                discovery::answer_items(node, self.own_address.as_deref(), settings)
            }
            Some("get") if payload.is("ping", ns::PING) => Ok(None),
            Some("set") if payload.is("command", NS_COMMANDS) => {
                return self.command(now, chance, &header, payload);
            }
            Some("get" | "set") => Err(Refusal::new("service-unavailable", "not offered here")),
            _ => Err(Refusal::new("bad-request", "an IQ is a get or a set")),
        };
        vec![reply(&header, done)]
    }

    fn is_component(&self, header: &Header) -> bool {
        let from = header
            .from
            .as_deref()
            .and_then(|from| Address::parse(from).ok());
        from.is_some_and(|from| from.resource.is_none() && from.bare == self.settings.component)
    }

    fn command(
        &mut self,
        now: Now,
        chance: &mut Chance,
        header: &Header,
        payload: &Element,
    ) -> Vec<Decision> {
        let mut out = Vec::new();
        if !self.is_component(header) {
            let from = shown(header.from.as_deref().unwrap_or("the server"), SHOWN_MAX);
            out.push(Decision::Log(format!(
                "{from} is not the component; its command is refused"
            )));
            let refusal = Refusal::new("forbidden", "commands are taken from the component only");
            out.push(reply(header, Err(refusal)));
            return out;
        }
        match self.readable(payload) {
            Ok((task, command)) if command.action == Some(Action::Cancel) => {
                self.cancel(task, header, &command, &mut out);
            }
            Ok((task, command)) => match Request::read(task, command.form.as_ref()) {
                Ok(request) => self.request(now, chance, header, &request, &mut out),
                Err(refusal) => out.push(reply(header, Err(refusal))),
            },
            Err(refusal) => out.push(reply(header, Err(refusal))),
        }
        out
    }

    fn readable(&self, payload: &Element) -> Result<(Task, Command), Refusal> {
        let command = Command::read(payload).map_err(|malformed| match malformed {
            Malformed::NoNode => Refusal::new("bad-request", "the command has no node"),
            Malformed::Action => Refusal::command("malformed-action", "there is no such action"),
            Malformed::Payload => Refusal::command("bad-payload", "the form cannot be read"),
        })?;
        // A report is taken whether there is something to run for it or not.
        let known = |task: &Task| *task == Task::Outcome || self.settings.has(*task);
        let task = Task::of_node(&command.node)
            .filter(known)
            .ok_or_else(|| Refusal::new("item-not-found", "there is no such command"))?;
        let open = |id: &String| {
            self.works
                .values()
                .any(|work| work.sessionid == *id && work.key.task == task)
        };
        match (&command.sessionid, command.action) {
            (Some(id), _) if !open(id) => Err(Refusal::command(
                "bad-sessionid",
                "there is no such session",
            )),
            (Some(_), Some(Action::Cancel)) | (None, None | Some(Action::Execute)) => {
                Ok((task, command))
            }
            _ => Err(Refusal::command("bad-action", "there is no further stage")),
        }
    }

    /// The component gives a command up; what has been begun goes on.
    fn cancel(&mut self, task: Task, header: &Header, command: &Command, out: &mut Vec<Decision>) {
        let found = self
            .works
            .iter()
            .find(|(_, work)| Some(&work.sessionid) == command.sessionid.as_ref())
            .map(|(ticket, work)| (*ticket, work.began.is_some()));
        if let Some((ticket, false)) = found
            && let Some(work) = self.works.shift_remove(&ticket)
        {
            out.push(Decision::Withdraw(ticket));
            out.push(log(&work.key, "withdrawn"));
        }
        let sessionid = command.sessionid.as_deref().unwrap_or_default();
        out.push(reply(header, Ok(Some(canceled(task, sessionid)))));
    }

    /// A request that can be read: a repeat gets the first answer, whatever else it now says.
    fn request(
        &mut self,
        now: Now,
        chance: &mut Chance,
        header: &Header,
        request: &Request,
        out: &mut Vec<Decision>,
    ) {
        self.forget(now);
        let key = Key::of(request);
        let busy = || Refusal::new("resource-constraint", "too many commands at once");
        if let Some(kept) = self.kept.get_mut(&key) {
            return match &mut kept.first {
                First::Given(first) => out.push(reply(header, first.clone().map(Some))),
                First::Awaited(waiting) if waiting.len() < WAITING_MAX => {
                    waiting.push(header.clone());
                }
                First::Awaited(_) => out.push(reply(header, Err(busy()))),
            };
        }
        if self.kept.len() >= KEPT_MAX || self.works.len() >= OPEN_MAX {
            out.push(log(&key, "refused: too many commands at once"));
            return out.push(reply(header, Err(busy())));
        }
        let first = match self.allowed(now, request) {
            Err(refusal) => {
                out.push(log(&key, &format!("refused: {}", refusal.text())));
                out.push(reply(header, Err(refusal.clone())));
                First::Given(Err(refusal))
            }
            Ok((plan, asked)) => self.begin(now, chance, header, request, plan, asked, out),
        };
        let until = now.mono + KEPT;
        self.kept.insert(key, Kept { until, first });
    }

    /// What would be done, and whether she must be asked first.
    fn allowed(&self, now: Now, request: &Request) -> Result<(Plan, bool), Refusal> {
        if request.expires.plus_s(SKEW_S) < now.wall {
            return Err(Refusal::new("not-acceptable", "the command has expired"));
        }
        let plan = Plan::new(&self.settings, request)?;
        let policy = self.settings.rules.policy(request, plan.address.as_ref());
        if policy == Policy::Never {
            return Err(Refusal::new("forbidden", "the user does not allow this"));
        }
        // A report only tells; what is run for it was named by her.
        let asks = request.wish.task() != Task::Outcome;
        let asked = asks && (request.confirm || policy == Policy::Ask);
        if asked && !self.can_ask {
            return Err(Refusal::new("forbidden", "the user cannot be asked here"));
        }
        Ok((plan, asked))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one decision, each of its own type"
    )]
    fn begin(
        &mut self,
        now: Now,
        chance: &mut Chance,
        header: &Header,
        request: &Request,
        plan: Plan,
        asked: bool,
        out: &mut Vec<Decision>,
    ) -> First {
        let key = Key::of(request);
        let task = key.task;
        let sessionid = chance.id();
        let Some(act) = plan.act else {
            let text = plan.words;
            out.push(log(&key, &text));
            let done = completed(task, &sessionid, ExecutionState::Completed, text);
            out.push(reply(header, Ok(Some(done.clone()))));
            return First::Given(Ok(done));
        };
        let ticket = self.next;
        self.next += 1;
        let keep = |step| Record {
            at: now.wall,
            key: key.clone(),
            step,
        };
        let until = deadline(now.wall, request.expires);
        let (first, act, began) = if asked {
            out.push(Decision::Keep(keep(Step::Asked(sessionid.clone()))));
            let given = executing(task, &sessionid);
            out.push(reply(header, Ok(Some(given.clone()))));
            out.push(log(&key, &format!("asking: {}", plan.words)));
            let what = (plan.title.as_str(), plan.words.as_str());
            let question = Question::new(ticket, request, plan.address.as_ref(), what, until);
            out.push(Decision::Ask(question));
            (First::Given(Ok(given)), Some(act), None)
        } else {
            let record = keep(Step::Begun(sessionid.clone()));
            out.push(log(&key, &format!("doing: {}", plan.words)));
            // The answer to a report does not wait for what is run for it.
            let first = if task == Task::Outcome {
                let text = "taken".to_owned();
                let done = completed(task, &sessionid, ExecutionState::Completed, text);
                out.push(reply(header, Ok(Some(done.clone()))));
                First::Given(Ok(done))
            } else {
                First::Awaited(vec![header.clone()])
            };
            out.push(Decision::Do(ticket, act, record));
            (first, None, Some(now.mono))
        };
        let work = Work {
            key,
            act,
            until,
            sessionid,
            answered: asked,
            began,
        };
        self.works.insert(ticket, work);
        first
    }

    /// Takes the person's answer.
    pub fn answered(
        &mut self,
        now: Now,
        chance: &mut Chance,
        ticket: Ticket,
        answer: Answer,
    ) -> Vec<Decision> {
        let Some(work) = self.works.get_mut(&ticket) else {
            return Vec::new();
        };
        if work.began.is_some() {
            return Vec::new();
        }
        let text = match answer {
            Answer::Yes if now.wall <= work.until => {
                work.began = Some(now.mono);
                let record = Record {
                    at: now.wall,
                    key: work.key.clone(),
                    step: Step::Begun(work.sessionid.clone()),
                };
                let allowed = log(&work.key, "the user said yes");
                let act = work.act.take();
                return act.map_or_else(Vec::new, |act| {
                    vec![allowed, Decision::Do(ticket, act, record)]
                });
            }
            Answer::No => "the user said no",
            Answer::Yes | Answer::Silence => "the user did not answer in time",
            Answer::Gone => "the user cannot be asked any more",
        };
        self.end(now, chance, ticket, ExecutionState::Refused, text)
    }

    /// Takes how it went.
    pub fn ended(
        &mut self,
        now: Now,
        chance: &mut Chance,
        ticket: Ticket,
        result: Result<String, String>,
    ) -> Vec<Decision> {
        match result {
            Ok(text) => self.end(now, chance, ticket, ExecutionState::Completed, &text),
            Err(text) => self.end(now, chance, ticket, ExecutionState::Failed, &text),
        }
    }

    /// Lets go of names that have been kept long enough; one in the works stays.
    fn forget(&mut self, now: Now) {
        let works = &self.works;
        self.kept.retain(|key, kept| {
            now.mono < kept.until || works.values().any(|work| work.key == *key)
        });
    }
}

#[cfg(test)]
mod tests;
