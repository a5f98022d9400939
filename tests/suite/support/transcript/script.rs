//! A transcript, read: what is said and done, in order. The format is in tests/transcripts/README.md.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vestibule::component::Settings;
use vestibule::stanza::Fault;

use super::compare;
use super::phrase;
use super::settings;
use super::shorthand;
use super::surroundings::Surroundings;
use super::tree::Tree;
use super::wire::By;

/// One file.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
    /// The settings after the last `reload` so far.
    current: Settings,
}

/// One step and where it stands.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum Action {
    /// `S:` the server, `L(acme):` a party on its link delivers a stanza (placeholders not yet filled in).
    Deliver(By, String),
    /// `S(fault):` the link refuses an element of which this is the start tag.
    Refuse(Fault, String),
    /// `C:` one stanza; several `C*:` lines: all of them; with `?` perhaps. `D(acme):` one to a party.
    Expect(Vec<Expected>),
    /// Nothing more has been sent.
    Quiet,
    /// Time passes.
    Pass(Duration),
    /// The wall clock alone is set so many seconds forward.
    Jump(i64),
    /// From now on this answers the component's own questions.
    Surround(Surroundings),
    /// Commits wait for a word, or do not.
    Hold(bool),
    /// The oldest held commit ends.
    Settle(Commit),
    /// The link, or that of a party, goes down.
    Detach(By),
    /// The link comes up, or a party attaches.
    Attach(By),
    /// The component has closed the link of this party.
    Closed(String),
    /// The operator decides anew.
    Reload(Box<Settings>),
    /// The process dies and a new one starts from the store, not yet attached.
    Restart(Loss),
    /// The process is asked to end.
    Shutdown,
    /// The last stanzas differ in nothing but addresses and ids.
    Same(usize),
}

/// How a commit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is durable.
    Done,
    /// It could not be written.
    Failed,
}

/// What a restart loses beside the commits that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing.
    None,
    /// What was written behind.
    Behind,
}

/// A stanza that must come.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) line: usize,
    /// On which stream.
    pub(crate) by: By,
    pub(crate) tree: Tree,
    /// Whether it stands in a group, and may come before those above it there.
    pub(crate) free: bool,
    /// Whether it may also be left out.
    pub(crate) optional: bool,
}

/// Where a file cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    path: PathBuf,
    line: usize,
    why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.why)
    }
}

impl Script {
    /// Reads the text of the file at `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Unreadable> {
        let at = |line, why: String| Unreadable {
            path: path.to_owned(),
            line,
            why,
        };
        head(text).map_err(|why| at(1, why))?;
        let mut script = Self {
            path: path.to_owned(),
            settings: settings::default(),
            steps: Vec::new(),
            current: settings::default(),
        };
        for (line, text) in logical_lines(text) {
            script.line(line, &text).map_err(|why| at(line, why))?;
        }
        if !script
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Expect(_) | Action::Quiet))
        {
            return Err(at(1, "it expects nothing".to_owned()));
        }
        Ok(script)
    }

    /// Whether the stanza at this place among all that are written down may also be left out.
    pub(crate) fn is_optional(&self, at: usize) -> bool {
        self.steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Expect(group) => Some(group),
                _ => None,
            })
            .flatten()
            .nth(at)
            .is_some_and(|expected| expected.optional)
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), String> {
        if let Some(setting) = text.strip_prefix("set ") {
            if self.steps.is_empty() {
                settings::apply(&mut self.settings, setting)?;
                self.current = self.settings.clone();
                return Ok(());
            }
            return Err("settings stand before the first step".to_owned());
        }
        match phrase::expand(text)? {
            Some(lines) => lines.iter().try_for_each(|text| self.step(line, text)),
            None => self.step(line, text),
        }
    }

    fn open_group(&mut self, by: &By) -> Option<&mut Vec<Expected>> {
        match &mut self.steps.last_mut()?.action {
            Action::Expect(group) if group.iter().all(|other| other.free && other.by == *by) => {
                Some(group)
            }
            _ => None,
        }
    }

    fn step(&mut self, line: usize, text: &str) -> Result<(), String> {
        let action = if let Some(xml) = text.strip_prefix("S: ") {
            Action::Deliver(None, outgoing(xml)?)
        } else if let Some((party, xml)) = of_party(text) {
            Action::Deliver(Some(party), outgoing(xml)?)
        } else if let Some(change) = text.strip_prefix("reload ") {
            settings::change(&mut self.current, change)?;
            Action::Reload(Box::new(self.current.clone()))
        } else if let Some((fault, xml)) = refused(text) {
            Action::Refuse(fault?, outgoing(xml)?)
        } else if let Some((expected, in_group)) = expectation(line, text) {
            let expected = expected?;
            if in_group && let Some(group) = self.open_group(&expected.by) {
                group.push(expected);
                return Ok(());
            }
            Action::Expect(vec![expected])
        } else {
            bare(text)?
        };
        self.steps.push(Step { line, action });
        Ok(())
    }
}

/// Reads `L(acme): …`.
fn of_party(text: &str) -> Option<(String, &str)> {
    let (party, xml) = text.strip_prefix("L(")?.split_once("): ")?;
    Some((party.to_owned(), xml))
}

/// Reads `C:`, `C?:`, `C*:` and `C*?:`, and the same with `D(acme)`; says whether the line belongs to a
/// group.
fn expectation(line: usize, text: &str) -> Option<(Result<Expected, String>, bool)> {
    let (by, rest) = match text.strip_prefix("D(") {
        Some(rest) => {
            let (party, rest) = rest.split_once(')')?;
            (Some(party.to_owned()), rest)
        }
        None => (None, text.strip_prefix('C')?),
    };
    let (mark, xml) = rest.split_once(": ")?;
    let (free, optional) = match mark {
        "" => (false, false),
        "?" => (false, true),
        "*" => (true, false),
        "*?" => (true, true),
        _ => return None,
    };
    let expected = expected(xml).map(|tree| Expected {
        line,
        by,
        tree,
        free,
        optional,
    });
    Some((expected, free))
}

fn bare(text: &str) -> Result<Action, String> {
    if let Some(time) = text.strip_prefix("+ ") {
        return duration(time).map(Action::Pass);
    }
    if let Some(time) = text.strip_prefix("clock +") {
        return duration(time).map(|time| Action::Jump(time.as_secs() as i64));
    }
    if let Some(time) = text.strip_prefix("clock -") {
        return duration(time).map(|time| Action::Jump(-(time.as_secs() as i64)));
    }
    if let Some(name) = text.strip_prefix("surroundings ") {
        return Surroundings::parse(name).map(Action::Surround);
    }
    if let Some(n) = text.strip_prefix("same ") {
        return match n.parse() {
            Ok(n) if n >= 2 => Ok(Action::Same(n)),
            _ => Err("same takes a number of stanzas, two or more".to_owned()),
        };
    }
    for (word, action) in [
        ("attach ", Action::Attach as fn(By) -> Action),
        ("detach ", Action::Detach),
    ] {
        if let Some(party) = text.strip_prefix(word) {
            return Ok(action(Some(party.to_owned())));
        }
    }
    if let Some(party) = text.strip_prefix("closed ") {
        return Ok(Action::Closed(party.to_owned()));
    }
    Ok(match text {
        "quiet" => Action::Quiet,
        "commits held" => Action::Hold(true),
        "commits open" => Action::Hold(false),
        "commit" => Action::Settle(Commit::Done),
        "fail" => Action::Settle(Commit::Failed),
        "detach" => Action::Detach(None),
        "attach" => Action::Attach(None),
        "restart" => Action::Restart(Loss::None),
        "crash" => Action::Restart(Loss::Behind),
        "shutdown" => Action::Shutdown,
        _ => return Err(format!("what does this mean? {text:?}")),
    })
}

fn outgoing(xml: &str) -> Result<String, String> {
    let xml = shorthand::expand(xml)?;
    let tree = Tree::parse(&xml)?;
    compare::check(&tree)?;
    Ok(xml)
}

fn expected(xml: &str) -> Result<Tree, String> {
    let tree = Tree::parse(&shorthand::expand(xml)?)?;
    compare::check(&tree)?;
    if !compare::is_stanza(&tree) {
        return Err("not a stanza".to_owned());
    }
    if tree.attr("from").is_none() || tree.attr("to").is_none() {
        return Err("every stanza has from and to (XEP-0114 §3)".to_owned());
    }
    Ok(tree)
}

fn refused(text: &str) -> Option<(Result<Fault, String>, &str)> {
    let (fault, xml) = text.strip_prefix("S(")?.split_once("): ")?;
    let fault = match fault {
        "too large" => Ok(Fault::TooLarge),
        "too deep" => Ok(Fault::TooDeep),
        "too many attributes" => Ok(Fault::TooManyAttributes),
        "too many children" => Ok(Fault::TooManyChildren),
        _ => Err(format!("no fault is called {fault:?}")),
    };
    Some((fault, xml))
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()]
        .parse()
        .map_err(|_| format!("not a time: {text:?}"))?;
    Ok(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        "d" => Duration::from_secs(number * 86_400),
        _ => return Err(format!("not a unit of time: {unit:?}")),
    })
}

/// The first lines say what is claimed and where that is written down.
fn head(text: &str) -> Result<(), String> {
    let claim = text
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .collect::<String>();
    if ["RFC ", "XEP-", "design.md §"]
        .iter()
        .any(|reference| claim.contains(reference))
    {
        Ok(())
    } else {
        Err("the head names no RFC, XEP or section of design.md".to_owned())
    }
}

/// The lines without comments; an indented line goes on with the one before.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if line.starts_with(char::is_whitespace) => {
                last.push(' ');
                last.push_str(trimmed);
            }
            _ => lines.push((at + 1, trimmed.to_owned())),
        }
    }
    lines
}
