//! What the agent does with each IQ that it gets: pure, with decisions as data.
//!
//! It trusts nobody but the component, and the component no further than the user's own file says
//! (security.md T40, T43). No clock, network, person or program is touched here.

use std::time::Duration;

use indexmap::IndexMap;
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::request::{Refusal, Request};
use super::text::{SHOWN_MAX, shown};
use super::work::{Header, Key, SKEW_S, Work, deadline, log, reply};
use super::{NODE_OPEN_URL, discovery};
use crate::address::{Address, Bare};
use crate::component::clock::{Chance, Now, Wall};
use crate::component::record::ExecutionState;
use crate::stanza::command::{Action, Command, Malformed, NS as NS_COMMANDS, Status};
use crate::stanza::compose::{Compose, element};
use crate::web_address::{self, WebAddress};

/// How long a request's name is kept, and the longest that a person is asked (design.md §4).
const KEPT: Duration = Duration::from_secs(600);
/// Names that are kept at once: more than one a second for ten minutes is no person's traffic.
const KEPT_MAX: usize = 1_000;
/// Commands that are open at once, asked about or being run: nobody answers a longer row of questions.
const OPEN_MAX: usize = 8;
/// Repeats of one command that wait for its end.
const WAITING_MAX: usize = 8;

/// What the user's file says about one right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Ask each time.
    Ask,
    /// Run it, unless the component says that she must be asked.
    Always,
    /// Refuse it.
    Never,
}

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The component's domain; nobody else may command.
    pub component: Bare,
    /// For `open-url`.
    pub open_url: Policy,
    /// Whether there is a terminal to ask on.
    pub can_ask: bool,
}

/// One command in the works.
pub type Ticket = u64;

/// What is asked of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which command.
    pub ticket: Ticket,
    /// What was asked for, and by whom.
    pub request: Request,
    /// What would be opened.
    pub address: WebAddress,
    /// When no answer means no.
    pub until: Wall,
}

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Nothing in time.
    Silence,
    /// There is no terminal any more.
    Gone,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Send this; it is worth nothing on a later stream.
    Send(Element),
    /// Send this, on the next stream if there is none now.
    Report(Element),
    /// Ask the person.
    Ask(Question),
    /// Take a question back.
    Withdraw(Ticket),
    /// Open this, and tell how it went.
    Open(Ticket, WebAddress),
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
    at: Duration,
    first: First,
}

/// The agent without its edges.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    own_address: Option<String>,
    kept: IndexMap<Key, Kept>,
    works: IndexMap<Ticket, Work>,
    next: Ticket,
}

impl Agent {
    /// An agent that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            own_address: None,
            kept: IndexMap::new(),
            works: IndexMap::new(),
            next: 1,
        }
    }

    /// The full JID that the server gave, for `disco#items`.
    pub fn bound(&mut self, address: &str) {
        self.own_address = Some(address.to_owned());
    }

    /// Takes a stanza from the server. Only IQ requests matter; each gets one answer, at once or later.
    pub fn stanza(&mut self, now: Now, chance: &mut Chance, stanza: &Element) -> Vec<Decision> {
        let type_ = stanza.attr(xml_ncname!("type"));
        let id = stanza.attr(xml_ncname!("id"));
        let (true, Some(id)) = (stanza.is("iq", ns::JABBER_CLIENT), id) else {
            return Vec::new();
        };
        if matches!(type_, Some("result" | "error")) {
            return Vec::new();
        }
        let header = Header {
            id: id.to_owned(),
            from: stanza.attr(xml_ncname!("from")).map(ToOwned::to_owned),
        };
        let mut children = stanza.children();
        let (payload, more) = (children.next(), children.next());
        let (Some(payload), None) = (payload, more) else {
            let text = "an IQ has exactly one child";
            return vec![reply(&header, Err(Refusal::new("bad-request", text)))];
        };
        let node = payload
            .attr(xml_ncname!("node"))
            .filter(|node| !node.is_empty());
        let trusted = self.is_component(&header);
        let done = match type_ {
            Some("get") if payload.is("query", ns::DISCO_INFO) => {
                discovery::answer_info(node, trusted)
            }
            Some("get") if payload.is("query", ns::DISCO_ITEMS) => {
                discovery::answer_items(node, self.own_address.as_deref(), trusted)
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
            Ok(command) if command.action == Some(Action::Cancel) => {
                self.cancel(header, &command, &mut out);
            }
            Ok(command) => match Request::read(command.form.as_ref()) {
                Ok(request) => self.request(now, chance, header, request, &mut out),
                Err(refusal) => out.push(reply(header, Err(refusal))),
            },
            Err(refusal) => out.push(reply(header, Err(refusal))),
        }
        out
    }

    fn readable(&self, payload: &Element) -> Result<Command, Refusal> {
        let command = Command::read(payload).map_err(|malformed| match malformed {
            Malformed::NoNode => Refusal::new("bad-request", "the command has no node"),
            Malformed::Action => Refusal::command("malformed-action", "there is no such action"),
            Malformed::Payload => Refusal::command("bad-payload", "the form cannot be read"),
        })?;
        if command.node != NODE_OPEN_URL {
            return Err(Refusal::new("item-not-found", "there is no such command"));
        }
        let open = |id: &String| self.works.values().any(|work| work.sessionid == *id);
        match (&command.sessionid, command.action) {
            (Some(id), _) if !open(id) => Err(Refusal::command(
                "bad-sessionid",
                "there is no such session",
            )),
            (Some(_), Some(Action::Cancel)) | (None, None | Some(Action::Execute)) => Ok(command),
            _ => Err(Refusal::command("bad-action", "there is no further stage")),
        }
    }

    /// The component gives a command up; what is being opened cannot be closed any more.
    fn cancel(&mut self, header: &Header, command: &Command, out: &mut Vec<Decision>) {
        let found = self
            .works
            .iter()
            .find(|(_, work)| Some(&work.sessionid) == command.sessionid.as_ref())
            .map(|(ticket, work)| (*ticket, work.opening));
        if let Some((ticket, false)) = found
            && let Some(work) = self.works.shift_remove(&ticket)
        {
            out.push(Decision::Withdraw(ticket));
            out.push(log(&work.key, "withdrawn"));
        }
        let canceled = Command {
            node: NODE_OPEN_URL.to_owned(),
            sessionid: command.sessionid.clone(),
            status: Some(Status::Canceled),
            ..Command::default()
        };
        out.push(reply(header, Ok(Some(canceled.write()))));
    }

    /// A request that can be read: a repeat gets the first answer, whatever else it now says.
    fn request(
        &mut self,
        now: Now,
        chance: &mut Chance,
        header: &Header,
        request: Request,
        out: &mut Vec<Decision>,
    ) {
        self.forget(now);
        let key = (request.requester.clone(), request.request_id.clone());
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
        let first = match self.allowed(now, &request) {
            Err(refusal) => {
                out.push(log(&key, &format!("refused: {}", refusal.text())));
                out.push(reply(header, Err(refusal.clone())));
                First::Given(Err(refusal))
            }
            Ok((address, asked)) => {
                let ticket = self.next;
                self.next += 1;
                let work = Work {
                    key: key.clone(),
                    until: deadline(now.wall, request.expires),
                    address,
                    sessionid: chance.id(),
                    asked,
                    opening: !asked,
                };
                let first = if asked {
                    let executing = work.executing();
                    out.push(reply(header, Ok(Some(executing.clone()))));
                    out.push(log(&key, "asking"));
                    out.push(Decision::Ask(Question {
                        ticket,
                        request,
                        address: work.address.clone(),
                        until: work.until,
                    }));
                    First::Given(Ok(executing))
                } else {
                    out.push(Decision::Open(ticket, work.address.clone()));
                    First::Awaited(vec![header.clone()])
                };
                self.works.insert(ticket, work);
                first
            }
        };
        let at = now.mono;
        self.kept.insert(key, Kept { at, first });
    }

    /// The address, and whether she must be asked first.
    fn allowed(&self, now: Now, request: &Request) -> Result<(WebAddress, bool), Refusal> {
        if request.expires.plus_s(SKEW_S) < now.wall {
            return Err(Refusal::new("not-acceptable", "the command has expired"));
        }
        let address = web_address::check(&request.url)
            .map_err(|refusal| Refusal::new("not-acceptable", refusal.to_string()))?;
        if self.settings.open_url == Policy::Never {
            return Err(Refusal::new("forbidden", "the user does not allow this"));
        }
        let asked = request.confirm || self.settings.open_url == Policy::Ask;
        if asked && !self.settings.can_ask {
            return Err(Refusal::new("forbidden", "the user cannot be asked here"));
        }
        Ok((address, asked))
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
        if work.opening {
            return Vec::new();
        }
        let text = match answer {
            Answer::Yes if now.wall <= work.until => {
                work.opening = true;
                return vec![Decision::Open(ticket, work.address.clone())];
            }
            Answer::No => "the user said no",
            Answer::Yes | Answer::Silence => "the user did not answer in time",
            Answer::Gone => "the user cannot be asked any more",
        };
        self.end(now, chance, ticket, ExecutionState::Refused, text)
    }

    /// Takes how the opening went.
    pub fn opened(
        &mut self,
        now: Now,
        chance: &mut Chance,
        ticket: Ticket,
        result: Result<(), String>,
    ) -> Vec<Decision> {
        match result {
            Ok(()) => self.end(now, chance, ticket, ExecutionState::Completed, "opened"),
            Err(text) => self.end(now, chance, ticket, ExecutionState::Failed, &text),
        }
    }

    fn end(
        &mut self,
        now: Now,
        chance: &mut Chance,
        ticket: Ticket,
        state: ExecutionState,
        text: &str,
    ) -> Vec<Decision> {
        let Some(work) = self.works.shift_remove(&ticket) else {
            return Vec::new();
        };
        let text = shown(text, SHOWN_MAX);
        let mut out = vec![log(&work.key, &format!("{}: {text}", state.as_str()))];
        // The ten minutes of a name begin anew, so that a repeat cannot begin after a long question.
        let kept = self.kept.get_mut(&work.key);
        if work.asked {
            if let Some(kept) = kept {
                kept.at = now.mono;
            }
            out.push(Decision::Report(
                self.report(chance, work.outcome(now.wall, state, text)),
            ));
        } else if let Some(kept) = kept {
            let completed = work.completed(state, text);
            let first = First::Given(Ok(completed.clone()));
            kept.at = now.mono;
            if let First::Awaited(waiting) = std::mem::replace(&mut kept.first, first) {
                let answers = waiting.iter();
                out.extend(answers.map(|header| reply(header, Ok(Some(completed.clone())))));
            }
        }
        out
    }

    fn report(&self, chance: &mut Chance, outcome: Element) -> Element {
        let id = chance.id();
        let to = self.settings.component.as_str();
        let head = [("type", "set"), ("id", id.as_str()), ("to", to)];
        element("iq", ns::JABBER_CLIENT, &head).with(outcome)
    }

    /// Lets go of names that have been kept long enough; one in the works stays.
    fn forget(&mut self, now: Now) {
        let works = &self.works;
        self.kept.retain(|key, kept| {
            now.mono.saturating_sub(kept.at) < KEPT || works.values().any(|work| work.key == *key)
        });
    }
}

#[cfg(test)]
mod tests;
