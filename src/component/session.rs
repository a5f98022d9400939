//! Sessions of ad-hoc commands: they belong to the full JID that began them, at one address of ours.
//! XEP-0050 §3.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use xmpp_parsers::data_forms::{DataForm, DataFormType};

use super::authorization::Interface;
use super::limits::{SESSION_LIFE, SESSIONS_PER_PARTY_MAX};
use super::reply::{Asked, Refusal};
use super::timer::Timer;
use super::{Component, Turn};
use crate::address::{Address, Bare};
use crate::stanza::command::{Action, Command, Severity};

/// One foreign domain has at most this part of all sessions: a half.
const DOMAIN_SHARE: usize = 2;
/// Sessions that are looked at for one that gives way: those before it may have a command on its way.
const LOOK_AT: usize = 100;

/// How far a session has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// The form is out.
    Form,
    /// Of a result in pages the one with this number, from 0, is out.
    Page(usize),
    /// A change is being written, or a command is on its way: its id.
    Running(Option<String>),
    /// The command has ended and nobody has been told in this session: how.
    Ended(Box<End>),
    /// It has ended.
    Done,
}

/// How a command has ended, as its session tells it.
pub(super) type End = (Severity, String, DataForm);

#[derive(Debug)]
pub(super) struct Session {
    owner: Address,
    /// Whether the owner is on the dedicated link.
    of_party: bool,
    /// The presentity, or ourselves.
    at: Bare,
    node: String,
    stage: Stage,
    /// Whether another form follows this one: then `next` is one of the actions.
    has_next: bool,
    /// Its place in the order of age.
    age: u64,
    /// The token that its first request showed.
    token: Option<String>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
    /// Sessions with an open form by who owns them, the oldest first.
    forms: HashMap<Bare, VecDeque<String>>,
    /// How many there are of each party on the dedicated link, by its domain.
    of_party: HashMap<Bare, usize>,
    /// All of them in order of age, and those of each domain.
    by_age: BTreeMap<u64, String>,
    of_domain: HashMap<Bare, BTreeSet<u64>>,
    n: u64,
}

impl Sessions {
    /// Ends a session and remembers for a while that it has been.
    pub(super) fn end(&mut self, id: &str) {
        self.set(id, Stage::Done);
    }

    pub(super) fn set(&mut self, id: &str, stage: Stage) {
        let Some(session) = self.by_id.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Form && stage != Stage::Form {
            self.forget_form(id);
        }
        if let Some(session) = self.by_id.get_mut(id) {
            session.stage = stage;
        }
    }

    fn forget_form(&mut self, id: &str) {
        let Some(session) = self.by_id.get(id) else {
            return;
        };
        let owner = session.owner.bare.clone();
        if let Some(open) = self.forms.get_mut(&owner) {
            open.retain(|other| other != id);
            if open.is_empty() {
                self.forms.remove(&owner);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        self.forget_form(id);
        self.forget(id);
    }

    fn forget(&mut self, id: &str) {
        let Some(session) = self.by_id.remove(id) else {
            return;
        };
        let party = session.owner.bare.to_domain();
        self.by_age.remove(&session.age);
        if let Some(ages) = self.of_domain.get_mut(&party) {
            ages.remove(&session.age);
            if ages.is_empty() {
                self.of_domain.remove(&party);
            }
        }
        if let Some(count) = self.of_party.get_mut(&party).filter(|_| session.of_party) {
            *count -= 1;
            if *count == 0 {
                self.of_party.remove(&party);
            }
        }
    }
}

impl Sessions {
    /// Notes whether another form follows the one that is out.
    pub(super) fn expect_next(&mut self, id: &str, has_next: bool) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.has_next = has_next;
        }
    }

    /// Makes room for one more of a domain: of too many of a foreign domain its own oldest gives way, of too many in
    /// all the oldest. One whose command is on its way stays. `false` where there is none to give way.
    fn make_room(&mut self, domain: &Bare, is_local: bool, max: usize) -> bool {
        let share = (max / DOMAIN_SHARE).max(1);
        let ages = self.of_domain.get(domain).filter(|_| !is_local);
        let oldest = match ages {
            Some(ages) if ages.len() >= share => self.first_idle(ages.iter().take(LOOK_AT)),
            _ if self.by_id.len() < max => return true,
            _ => self.first_idle(self.by_age.keys().take(LOOK_AT)),
        };
        oldest.is_some_and(|id| {
            self.remove(&id);
            true
        })
    }

    fn first_idle<'a>(&self, mut ages: impl Iterator<Item = &'a u64>) -> Option<String> {
        ages.find_map(|age| {
            let id = self.by_age.get(age)?;
            let stage = &self.by_id.get(id)?.stage;
            (!matches!(stage, Stage::Running(_))).then(|| id.clone())
        })
    }

    /// The token that began a session of this requester at a presentity, and whether what it is for has
    /// begun.
    pub(super) fn token_of(&self, id: &str, owner: &Address, at: &Bare) -> Option<(&str, bool)> {
        let session = self.by_id.get(id)?;
        if session.owner != *owner || session.at != *at {
            return None;
        }
        Some((session.token.as_deref()?, session.stage != Stage::Form))
    }

    /// Lets a form be corrected.
    pub(super) fn reopen(&mut self, id: &str) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.stage = Stage::Form;
            self.forms
                .entry(session.owner.bare.clone())
                .or_default()
                .push_back(id.to_owned());
        }
    }
}

/// A session has lived long enough; one whose command is on its way stays.
pub(super) fn expire(core: &mut Component, turn: &Turn, id: &str) {
    let stage = core
        .sessions
        .by_id
        .get(id)
        .map(|session| session.stage.clone());
    match stage {
        Some(Stage::Done) | None => return core.sessions.remove(id),
        Some(Stage::Running(_)) => {}
        // For as long again it is remembered that it has been.
        Some(Stage::Form | Stage::Page(_) | Stage::Ended(_)) => core.sessions.end(id),
    }
    core.timers
        .set(turn.now.mono + SESSION_LIFE, Timer::Session(id.to_owned()));
}

/// What a request means in its session.
pub(super) enum Move {
    /// A new command, with the form if it came along.
    Begin(Option<DataForm>),
    /// The form of an open session.
    Submit(String, DataForm),
    /// The requester gives up.
    Cancel(String),
    /// The requester asks how the command goes on.
    Poll(String, Option<String>),
    /// The requester wants the page of a result with this number.
    Turn(String, usize),
    /// The requester has seen enough of a result.
    Close(String),
}

pub(super) fn read(
    core: &Component,
    asked: &Asked,
    at: &Bare,
    command: &Command,
) -> Result<Move, Refusal> {
    let given_up = command
        .form
        .as_ref()
        .is_some_and(|form| form.type_ == DataFormType::Cancel);
    let Some(id) = &command.sessionid else {
        return match command.action {
            Some(Action::Cancel) => Err(Refusal::BadSession),
            Some(Action::Prev) => Err(Refusal::BadAction),
            _ => Ok(Move::Begin(command.form.clone())),
        };
    };
    let session = core
        .sessions
        .by_id
        .get(id)
        .filter(|session| {
            session.owner == asked.to && session.at == *at && session.node == command.node
        })
        .ok_or(Refusal::BadSession)?;
    if session.stage == Stage::Done {
        return Err(Refusal::SessionExpired);
    }
    // poezio 0.14 sends every form with `next`, whatever it may do: with the form it can mean one thing only.
    let takes_next = session.stage != Stage::Form || session.has_next || command.form.is_some();
    if !takes_next && command.action == Some(Action::Next) {
        return Err(Refusal::BadAction);
    }
    if given_up || command.action == Some(Action::Cancel) {
        return Ok(Move::Cancel(id.clone()));
    }
    if command.action == Some(Action::Prev) {
        return Err(Refusal::BadAction);
    }
    match (&session.stage, &command.form) {
        (Stage::Page(_), _) if command.action == Some(Action::Complete) => {
            Ok(Move::Close(id.clone()))
        }
        (Stage::Page(page), _) => Ok(Move::Turn(id.clone(), page + 1)),
        (Stage::Ended(_), _) => Ok(Move::Poll(id.clone(), None)),
        (Stage::Running(execution), _) => Ok(Move::Poll(id.clone(), execution.clone())),
        (_, Some(form)) => Ok(Move::Submit(id.clone(), form.clone())),
        (_, None) => Err(Refusal::BadPayload("The form is missing.".into())),
    }
}

/// Opens a session; of too many open forms of one requester the oldest gives way.
pub(super) fn open(
    core: &mut Component,
    turn: &mut Turn,
    asked: &Asked,
    at: &Bare,
    node: &str,
) -> Result<String, Refusal> {
    let (owner, limits) = (&asked.to, core.settings.limits);
    let of_party = asked.interface == Interface::Dedicated;
    let party = owner.bare.to_domain();
    let n_of_party = core
        .sessions
        .of_party
        .get(&party)
        .copied()
        .unwrap_or_default();
    let is_local = core.is_local(&owner.bare);
    if n_of_party >= SESSIONS_PER_PARTY_MAX
        || !core.sessions.make_room(&party, is_local, limits.sessions)
    {
        return Err(Refusal::TooManySessions);
    }
    let forms = core.sessions.forms.entry(owner.bare.clone()).or_default();
    let oldest = (forms.len() >= limits.sessions_per_watcher)
        .then(|| forms.pop_front())
        .flatten();
    let id = turn.chance.id();
    forms.push_back(id.clone());
    if let Some(oldest) = oldest {
        core.sessions.forget(&oldest);
    }
    let session = Session {
        owner: owner.clone(),
        of_party,
        at: at.clone(),
        node: node.to_owned(),
        stage: Stage::Form,
        has_next: false,
        age: core.sessions.n,
        token: asked.token.clone(),
    };
    core.sessions.n += 1;
    let sessions = &mut core.sessions;
    sessions.by_age.insert(session.age, id.clone());
    let ages = sessions.of_domain.entry(party.clone()).or_default();
    ages.insert(session.age);
    core.sessions.by_id.insert(id.clone(), session);
    if of_party {
        *core.sessions.of_party.entry(party).or_default() += 1;
    }
    core.timers
        .set(turn.now.mono + SESSION_LIFE, Timer::Session(id.clone()));
    Ok(id)
}

impl Component {
    /// Ties a session to the command that runs in it.
    pub(super) fn run_in(&mut self, session: &str, execution: &str) {
        self.sessions
            .set(session, Stage::Running(Some(execution.to_owned())));
    }

    /// Keeps the end of a command for the watcher to ask for.
    pub(super) fn keep_end(&mut self, session: &str, end: End) {
        self.sessions.set(session, Stage::Ended(Box::new(end)));
    }

    /// Takes it, once.
    pub(super) fn take_end(&mut self, session: &str) -> Option<End> {
        match self
            .sessions
            .by_id
            .get(session)
            .map(|session| &session.stage)
        {
            Some(Stage::Ended(end)) => {
                let end = (**end).clone();
                self.sessions.end(session);
                Some(end)
            }
            _ => None,
        }
    }
}
