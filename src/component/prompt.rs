//! Questions to her in chat about what a watcher wants to do, where no agent asks her; and her answers.
//! design.md §4 “Who asks her”.
//!
//! A question has a short code. It lasts as long as the command's record: over a restart too. Silence is no.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::authorization::{Decision, Right};
use super::clock::{Chance, Now};
use super::decision::{self, Verdict};
use super::execution::{End, Stage, Way, finish};
use super::face::cut;
use super::limits::{
    PROMPT_SETTLES, PROMPTED_MAX, PROMPTS_OPEN_MAX, PROMPTS_PER_HOUR_MAX, RECORDS_PER_USER_MAX,
    TIRED_FOR,
};
use super::record::{Audit, Change, Execution, ExecutionState, Grant};
use super::reply::Refusal;
use super::request::Request;
use super::setting::Reply;
use super::watcher::Watcher;
use super::whom::Read;
use super::words::quotable;
use super::{Component, Turn, command, delivery, ending, offer, web};
use crate::address::Bare;

const HOUR: Duration = Duration::from_secs(3600);
/// Characters of an address and of a watcher's words in a question.
const ADDRESS_SHOWN: usize = 150;
const WORDS_SHOWN: usize = 160;
/// What codes are made of: nothing that looks like something else.
const LETTERS: &[u8] = b"abcdefghkmnprstuvwxyz";
const DIGITS: &[u8] = b"23456789";

/// Questions that were asked in this run of the component, by user.
#[derive(Debug, Default)]
pub(super) struct Prompts(HashMap<Bare, Asked>);

#[derive(Debug)]
struct Asked {
    /// The number of the last code: a code comes again only after all others.
    code: usize,
    /// When, in the last hour.
    at: VecDeque<Duration>,
}

impl Prompts {
    /// Seconds until she may be asked again; 0 where she may be now.
    fn wait_s(&self, user: &Bare, now: Duration) -> u64 {
        let Some(asked) = self.0.get(user) else {
            return 0;
        };
        let recent: Vec<_> = asked.at.iter().filter(|at| now < **at + HOUR).collect();
        match recent.first() {
            Some(first) if recent.len() >= PROMPTS_PER_HOUR_MAX => {
                (**first + HOUR).saturating_sub(now).as_secs().max(1)
            }
            _ => 0,
        }
    }

    fn next_code(&self, user: &Bare, chance: &mut Chance) -> usize {
        let n = LETTERS.len() * DIGITS.len();
        match self.0.get(user) {
            Some(asked) => (asked.code + 1) % n,
            None => usize::from(u16::from_be_bytes([chance.bytes()[0], chance.bytes()[0]])) % n,
        }
    }

    fn note(&mut self, user: &Bare, code: &str, now: Duration) {
        if self.0.len() >= PROMPTED_MAX {
            self.0
                .retain(|_, asked| asked.at.back().is_some_and(|at| now < *at + HOUR));
        }
        let asked = self.0.entry(user.clone()).or_insert_with(|| Asked {
            code: 0,
            at: VecDeque::new(),
        });
        asked.code = number(code).unwrap_or(asked.code);
        asked.at.retain(|at| now < *at + HOUR);
        asked.at.push_back(now);
    }
}

fn code(number: usize) -> String {
    let letter = LETTERS[number / DIGITS.len() % LETTERS.len()];
    let digit = DIGITS[number % DIGITS.len()];
    [char::from(letter), char::from(digit)].iter().collect()
}

fn number(code: &str) -> Option<usize> {
    let [letter, digit] = code.as_bytes() else {
        return None;
    };
    let letter = LETTERS.iter().position(|one| one == letter)?;
    let digit = DIGITS.iter().position(|one| one == digit)?;
    Some(letter * DIGITS.len() + digit)
}

/// A question that waits for her.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// The command.
    pub(super) id: String,
    pub(super) code: String,
    /// Since when it has been open, here.
    since: Duration,
}

/// Her open questions, the oldest first.
pub(super) fn open(core: &Component, user: &Bare) -> Vec<Open> {
    let of_user = core.running.iter().filter(|(_, one)| one.user == *user);
    let mut open: Vec<_> = of_user
        .filter_map(|(id, one)| match &one.stage {
            Stage::Asked(code, since) => Some(Open {
                id: id.clone(),
                code: code.clone(),
                since: *since,
            }),
            _ => None,
        })
        .collect();
    let issued = |open: &Open| core.state.execution(&open.id).map(|known| known.issued);
    open.sort_by_key(|one| (issued(one), one.id.clone()));
    open
}

/// A code for one more question to her, or why she is not asked now (security.md T36).
pub(super) fn admit(
    core: &Component,
    turn: &mut Turn,
    user: &Bare,
    watcher: &Watcher,
) -> Result<String, Refusal> {
    let open = open(core, user);
    let of_watcher = open.iter().any(|one| {
        let known = core.state.execution(&one.id);
        known.is_some_and(|known| known.watcher.bare == watcher.bare)
    });
    if of_watcher || open.len() >= PROMPTS_OPEN_MAX {
        return Err(Refusal::ResourceConstraint);
    }
    if is_tired_of(core, turn.now, user, &watcher.bare) {
        return Err(Refusal::PolicyViolation(TIRED_FOR.as_secs()));
    }
    match core.prompts.wait_s(user, turn.now.mono) {
        0 => {}
        wait => return Err(Refusal::PolicyViolation(wait)),
    }
    let first = core.prompts.next_code(user, &mut turn.chance);
    let free = (first..).map(code);
    let taken = |code: &String| open.iter().any(|one| one.code == *code);
    free.take(PROMPTS_OPEN_MAX + 1)
        .find(|code| !taken(code))
        .ok_or(Refusal::ResourceConstraint)
}

/// Whether she has let two of the watcher's commands go by in a day, by a no or in silence.
fn is_tired_of(core: &Component, now: Now, user: &Bare, watcher: &Bare) -> bool {
    let day = i64::try_from(TIRED_FOR.as_secs()).unwrap_or(i64::MAX);
    // What waited in vain for an agent was never before her.
    let in_vain = |line: &Audit| match line.state {
        ExecutionState::Refused => true,
        ExecutionState::Expired => !delivery::is_for_agents(line.right),
        _ => false,
    };
    let Some(known) = core.state.user(user) else {
        return false;
    };
    let lately = known.history().iter().filter(|((at, _), line)| {
        line.watcher == *watcher && in_vain(line) && now.wall < line.when(*at).plus_s(day)
    });
    lately.count() >= 2 || core.refusals.is_tired_of(user, watcher, now.mono)
}

/// Asks her, having decided once more.
pub(super) fn ask(core: &mut Component, turn: &mut Turn, id: &str, code: &str) {
    let Some(execution) = core.state.execution(id).cloned() else {
        return;
    };
    let user = &execution.user;
    let watcher = Watcher::of(&execution);
    if let Some(running) = core.running.get_mut(id) {
        running.stage = Stage::Asked(code.to_owned(), turn.now.mono);
    }
    if offer::permit_again(core, turn, user, &watcher, execution.right, None).is_err() {
        let text = Some("The right was taken away.".to_owned());
        let way = Way::Prompt(code.to_owned());
        let end = End::new(ExecutionState::Refused, text, way);
        return finish(core, turn, id, end, None);
    }
    core.prompts.note(user, code, turn.now.mono);
    let until = ending::shown(execution.expires, turn.now.wall, core.zone(user));
    let always = match web::is_visitor(&core.settings.domain, &watcher.bare) {
        true => String::new(),
        false => format!("“always {code}” is a yes that holds from now on, "),
    };
    let text = format!(
        "{} Answer “yes {code}” or “no {code}” until {until}; no answer means no. {always}“block {code}” lets \
         this address do nothing any more.",
        question(&execution)
    );
    let stanza = turn.chance.id();
    let message = core.message(&user.clone().into(), "chat", &stanza, &text);
    core.send(message);
}

/// Who asks for what, in a sentence. A message that she has not let in is not shown.
pub(super) fn question(execution: &Execution) -> String {
    let who = cut(&execution.watcher.bare.shown(), ADDRESS_SHOWN);
    let level = execution.level.as_str();
    let field = |name: &str| {
        let value = execution.fields.get(name);
        value
            .and_then(|value| quotable(value, WORDS_SHOWN))
            .unwrap_or_default()
    };
    let what = match execution.right {
        Right::LeaveMessage => {
            let text = execution.fields.get("text").map_or("", String::as_str);
            format!("leave you a message of {} characters", text.chars().count())
        }
        Right::SetStatus => match (field("status-message"), field("until")) {
            (words, _) if words.is_empty() => "take back the status that it has set".to_owned(),
            (words, until) if until.is_empty() => format!("set your status to “{words}”"),
            (words, until) => format!("set your status to “{words}” until {until}"),
        },
        right => {
            let names = ["module", "url", "text"];
            let words = names.map(field).into_iter().find(|words| !words.is_empty());
            let words = words.map(|words| format!(" “{words}”"));
            format!(
                "{} at your client{}",
                verb(right),
                words.unwrap_or_default()
            )
        }
    };
    format!("{who} ({level}) asks to {what}.")
}

fn verb(right: Right) -> &'static str {
    match right {
        Right::OpenUrl => "open a page",
        Right::Notify => "show a notification",
        Right::StartModule => "start a program",
        Right::ActivateClient => "bring your chat client to the front",
        Right::LeaveMessage => "leave you a message",
        Right::SetStatus => "set your status",
        Right::See => "see your presence",
    }
}

/// What she answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Yes,
    No,
    /// Yes, and from now on without a question.
    Always,
    /// No, and nothing from this watcher any more.
    Block,
}

/// Whether a word is built as a code.
pub(super) fn is_code(word: &str) -> bool {
    number(word).is_some()
}

/// Takes her answer. Without a code it counts only while exactly one question has been open for long enough
/// that she has read it.
pub(super) fn answer(
    core: &mut Component,
    turn: &mut Turn,
    user: &Bare,
    (word, code): (Word, Option<&str>),
    reply: Reply,
) {
    let open = open(core, user);
    let found = match code {
        Some(code) => open.iter().find(|one| one.code == code),
        None => match open.as_slice() {
            [one] if one.since + PROMPT_SETTLES <= turn.now.mono => Some(one),
            _ => None,
        },
    };
    let Some(Open { id, code, .. }) = found.cloned() else {
        let text = not_found(core, &open, code);
        return command::acknowledge(core, turn, reply, Ok(text));
    };
    let Some(execution) = core.state.execution(&id).cloned() else {
        return command::acknowledge(core, turn, reply, Err(Refusal::ItemNotFound));
    };
    if turn.now.wall >= execution.expires {
        let text = format!("The question {code} is over: it was not answered in time.");
        return command::acknowledge(core, turn, reply, Ok(text));
    }
    let no = |reply| End {
        reply,
        ..End::new(
            ExecutionState::Refused,
            Some("The user said no.".to_owned()),
            Way::Prompt(code.clone()),
        )
    };
    match word {
        Word::Yes | Word::Always => {
            let end = End {
                always: word == Word::Always,
                reply,
                ..End::new(ExecutionState::Completed, None, Way::Message)
            };
            finish(core, turn, &id, end, None);
        }
        Word::No => finish(core, turn, &id, no(reply), None),
        Word::Block => {
            finish(core, turn, &id, no(Reply::Nobody), None);
            let mut read = Read::default();
            read.put(execution.watcher.bare, Verdict::Block);
            decision::submit(core, turn, user, read, reply);
        }
    }
}

/// Her open questions, for her.
pub(super) fn listed(core: &Component, user: &Bare) -> String {
    not_found(core, &open(core, user), None)
}

fn not_found(core: &Component, open: &[Open], code: Option<&str>) -> String {
    let mut text = match code {
        Some(code) => format!("No question has the code {code} (any more)."),
        None if open.is_empty() => "No question waits for your answer.".to_owned(),
        None => "Which one? Answer with the code, as in “yes k7”.".to_owned(),
    };
    for one in open {
        if let Some(execution) = core.state.execution(&one.id) {
            text.push_str(&format!("\n{}: {}", one.code, question(execution)));
        }
    }
    text
}

/// Tells her what her answer has come to, and remembers a no.
pub(super) fn acknowledge(
    core: &mut Component,
    turn: &mut Turn,
    request: &Request,
    watcher: &Watcher,
    end: &End,
) {
    let user = &request.user;
    if let (Way::Prompt(_), ExecutionState::Refused | ExecutionState::Expired) =
        (&end.way, end.state)
    {
        core.refusals.note(user, &watcher.bare, turn.now.mono);
    }
    let Reply::Nobody = end.reply else {
        // What holds from now on holds without what was shown this time.
        let without = &watcher.clone().with_token(None);
        let who = cut(&watcher.bare.shown(), ADDRESS_SHOWN);
        let right = request.right;
        let text = match (end.state, end.always) {
            (ExecutionState::Completed, false) => format!("Yes to {who}: {right}."),
            (ExecutionState::Completed, true)
                if web::is_visitor(&core.settings.domain, &watcher.bare) =>
            {
                format!(
                    "Yes to {who}: {right}. You are asked again all the same: who a visitor of the web is \
                     nobody knows for long."
                )
            }
            (ExecutionState::Completed, true) => match core.decision(turn, user, without, right) {
                Decision::Allow { confirm: false } => format!(
                    "Yes to {who}: {right}, and from now on without a question. “revoke {who}” \
                         takes it back."
                ),
                _ => format!(
                    "Yes to {who}: {right}. You are asked again all the same: the operator, or a \
                         grant of yours for a whole domain, has it so."
                ),
            },
            _ if end.way == Way::Agent => {
                format!("The right of {who} was taken away meanwhile; nothing is done.")
            }
            _ => format!("No to {who}: {right}."),
        };
        return command::acknowledge(core, turn, end.reply.clone(), Ok(text));
    };
}

/// The grant by which she is not asked again for this; never more than the operator's ceiling allows, which
/// `decide` holds against it each time. A visitor of the web gets none: his name is that of a network address
/// until the next start, and nothing that is given to it counts.
pub(super) fn no_more(core: &Component, now: Now, user: &Bare, done: &Execution) -> Option<Change> {
    let known = core.state.user(user)?;
    let watcher = done.watcher.bare.clone();
    if web::is_visitor(&core.settings.domain, &watcher) {
        return None;
    }
    let standing = known.grants().get(&watcher);
    let standing = standing.filter(|grant| !grant.has_ended(now.wall));
    if standing.is_none() && known.grants().len() >= RECORDS_PER_USER_MAX {
        return None;
    }
    let new = || Grant::new([Right::See].into(), now.wall);
    let mut grant = standing.cloned().unwrap_or_else(new);
    grant.rights.insert(done.right);
    grant.unasked.insert(done.right);
    Some(Change::Grant {
        user: user.clone(),
        watcher,
        value: Some(grant),
    })
}
