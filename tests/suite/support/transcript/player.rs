//! Plays a script on a wire and says where the two part.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::compare;
use super::pattern::{self, Captures};
use super::resources::Resources;
use super::script::{Action, Expected, Script, Step};
use super::surroundings::{self, Server};
use super::tree::Tree;
use super::wire::{By, Wire};

/// Steps of time in which nothing passes, one after another: more than a real queue of due work needs.
const STALLED_MAX: usize = 10_000;

/// Where a script and the component part.
#[derive(Debug)]
pub(crate) struct Failure {
    path: PathBuf,
    line: usize,
    why: String,
    expected: Option<String>,
    sent: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.why)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n    expected: {expected}")?;
        }
        match self.sent.as_slice() {
            [] => write!(f, "\n    sent:     nothing"),
            sent => sent
                .iter()
                .try_for_each(|stanza| write!(f, "\n    sent:     {stanza}")),
        }
    }
}

/// Plays `script` on `wire`, from attaching an empty component to the last line.
pub(crate) fn play(script: &Script, wire: &mut dyn Wire) -> Result<(), Failure> {
    let mut player = Player {
        script,
        wire,
        server: Server::new(),
        resources: Resources::default(),
        captures: Captures::new(),
        waiting: BTreeMap::new(),
        matched: Vec::new(),
        line: 1,
    };
    player.wire.attach(&None);
    player.pump()?;
    for step in &script.steps {
        player.line = step.line;
        player.step(step)?;
    }
    player.quiet("after the last line, more was sent")
}

struct Player<'a> {
    script: &'a Script,
    wire: &'a mut dyn Wire,
    server: Server,
    resources: Resources,
    captures: Captures,
    /// Sent, and not yet expected, by stream.
    waiting: BTreeMap<By, VecDeque<Tree>>,
    matched: Vec<Tree>,
    line: usize,
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match &step.action {
            Action::Deliver(by, xml) => {
                let xml = self.filled(xml)?;
                self.deliver(by, &xml)?;
            }
            Action::Refuse(fault, head) => {
                let head = self.filled(head)?;
                self.wire.refuse(*fault, &head);
            }
            Action::Expect(group) => self.expect(group)?,
            Action::Quiet => self.quiet("nothing more was to be sent")?,
            Action::Pass(time) => self.pass(*time)?,
            Action::Jump(seconds) => self.wire.jump(*seconds),
            Action::Surround(kind) => self.server.kind = *kind,
            Action::Hold(held) => self.wire.hold(*held),
            Action::Settle(commit) => self.wire.settle(*commit).map_err(|why| self.fail(why))?,
            Action::Detach(by) => self.wire.detach(by),
            Action::Attach(by) => self.wire.attach(by),
            Action::Closed(party) => self.wire.closed(party).map_err(|why| self.fail(why))?,
            Action::Reload(settings) => self.wire.reload(settings),
            Action::Restart(loss) => self.wire.restart(*loss),
            Action::Shutdown => self.wire.shutdown(),
            Action::Same(n) => self.same(*n)?,
        }
        self.pump()
    }

    /// Takes in what was sent, and answers in the background what the surroundings answer.
    fn pump(&mut self) -> Result<(), Failure> {
        for _ in 0..STALLED_MAX {
            let mut answers = Vec::new();
            for (by, stanza) in self.wire.sent() {
                self.resources
                    .check(&stanza)
                    .map_err(|why| self.fail(format!("{why}: {stanza}")))?;
                let answer = match by {
                    None => self.server.answer(&stanza),
                    Some(_) => None,
                };
                match answer {
                    Some(answer) => answers.extend(answer),
                    None => self.waiting.entry(by).or_default().push_back(stanza),
                }
            }
            if let Some(fault) = self.wire.faults().into_iter().next() {
                return Err(self.fail(fault));
            }
            if answers.is_empty() {
                return Ok(());
            }
            for answer in answers {
                self.wire.deliver(&None, &answer);
            }
        }
        Err(self.fail("it asks its surroundings without end".to_owned()))
    }

    fn deliver(&mut self, by: &By, xml: &str) -> Result<(), Failure> {
        let stanza = Tree::parse(xml).map_err(|why| self.fail(why))?;
        if by.is_none() {
            self.server.note(&stanza, self.wire.now());
        }
        self.resources.note(&stanza);
        self.wire.deliver(by, xml);
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let mut left = time;
        let mut stalled = 0;
        self.pump()?;
        while !left.is_zero() {
            let passed = self.wire.pass(left);
            stalled = if passed.is_zero() { stalled + 1 } else { 0 };
            if stalled > STALLED_MAX {
                return Err(self.fail("its deadline is due again and again".to_owned()));
            }
            left = left.saturating_sub(passed);
            self.pump()?;
        }
        Ok(())
    }

    /// Takes stanzas until every line of the group has its own; those that may be left out are taken
    /// as long as they come.
    fn expect(&mut self, group: &[Expected]) -> Result<(), Failure> {
        let mut open: Vec<&Expected> = group.iter().collect();
        let by = group.first().and_then(|expected| expected.by.clone());
        for expected in &open {
            self.wire.hint(expected, &self.captures);
        }
        self.pump()?;
        while !open.is_empty() {
            let must = open.iter().find(|expected| !expected.optional).copied();
            let Some(next) = self.waiting.get(&by).and_then(VecDeque::front) else {
                if must.is_some() && self.wire.wait() {
                    self.pump()?;
                    continue;
                }
                return must.map_or(Ok(()), |missing| {
                    Err(self.parted(missing, "this was not sent".to_owned()))
                });
            };
            match self.choose(&open, next) {
                Ok((at, captures)) => {
                    self.captures = captures;
                    open.remove(at);
                    let next = self.waiting.get_mut(&by).and_then(VecDeque::pop_front);
                    self.matched.extend(next);
                }
                Err(why) if must.is_some() => return Err(why),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Which of the open lines the stanza is.
    fn choose(&self, open: &[&Expected], next: &Tree) -> Result<(usize, Captures), Failure> {
        let mut failure = None;
        for (at, expected) in open.iter().enumerate() {
            if open[..at].iter().any(|other| goes_before(other, expected)) {
                continue;
            }
            match compare::stanza(&expected.tree, next, &self.captures) {
                Ok(captures) => return Ok((at, captures)),
                Err(why) => failure = failure.or_else(|| Some(self.parted(expected, why))),
            }
        }
        Err(failure.unwrap_or_else(|| self.fail("something else was sent".to_owned())))
    }

    fn quiet(&mut self, why: &str) -> Result<(), Failure> {
        self.pump()?;
        if self.waiting.values().all(VecDeque::is_empty) {
            Ok(())
        } else {
            Err(self.fail(why.to_owned()))
        }
    }

    fn same(&mut self, n: usize) -> Result<(), Failure> {
        let Some(from) = self.matched.len().checked_sub(n) else {
            return Err(self.fail(format!("fewer than {n} stanzas came so far")));
        };
        let last: Vec<Tree> = self.matched[from..]
            .iter()
            .map(compare::anonymous)
            .collect();
        if last.iter().all(|stanza| *stanza == last[0]) {
            return Ok(());
        }
        let mut failure = self.fail("these should differ in addresses and ids only".to_owned());
        failure.sent = last.iter().map(ToString::to_string).collect();
        Err(failure)
    }

    fn filled(&self, text: &str) -> Result<String, Failure> {
        pattern::fill(text, &self.captures).map_err(|why| self.fail(why))
    }

    /// An expected stanza with what is known of its placeholders.
    fn shown(&self, tree: &Tree) -> String {
        self.captures
            .iter()
            .fold(tree.to_string(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
    }

    fn parted(&self, expected: &Expected, why: String) -> Failure {
        Failure {
            line: expected.line,
            expected: Some(self.shown(&expected.tree)),
            ..self.fail(why)
        }
    }

    /// What waits to be expected, as it is shown.
    fn sent(&self) -> Vec<String> {
        let streams = self.waiting.iter();
        let shown = streams.flat_map(|(by, waiting)| {
            waiting.iter().map(move |stanza| match by {
                None => stanza.to_string(),
                Some(party) => format!("to {party}: {stanza}"),
            })
        });
        shown.collect()
    }

    fn fail(&self, why: String) -> Failure {
        Failure {
            path: self.script.path.clone(),
            line: self.line,
            why,
            expected: None,
            sent: self.sent(),
        }
    }
}

/// Whether the one must come before the other: stanzas of one kind to one addressee keep their order.
fn goes_before(first: &Expected, second: &Expected) -> bool {
    let to = |expected: &Expected| {
        expected
            .tree
            .attr("to")
            .map(|to| surroundings::bare(to).to_owned())
    };
    !first.optional && first.tree.name == second.tree.name && to(first) == to(second)
}
