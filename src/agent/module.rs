//! The modules of the user's file: a name, a program, an argument list with typed places; and what is
//! run when a watcher reports its own result.
//!
//! Pure: from a request to a [`Job`], or to the reason why there is none.

use std::collections::BTreeMap;

use super::argument::Argument;
use super::program::{Job, Manner};
use super::request::Refusal;
use super::template::Template;
use crate::address::Bare;
use crate::component::authorization::Right;

/// Modules in one file: each costs the component a question when the agent comes online.
pub const MODULES_MAX: usize = 64;
/// Arguments of one module: with the common fields they must fit into one form.
pub const ARGUMENTS_MAX: usize = 16;
/// Things to run on reports.
pub const REACTIONS_MAX: usize = 64;
/// Characters of the arguments that a person is shown.
const SHOWN_MAX: usize = 600;

/// One module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name, `[a-z0-9-]{1,64}`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Whether others may start it; else only the file's own reactions.
    pub offered: bool,
    /// An absolute path.
    pub program: String,
    /// Its argument list.
    pub template: Template,
    /// Its arguments, in their order.
    pub arguments: Vec<Argument>,
    /// How it is run.
    pub manner: Manner,
}

impl Module {
    /// The job for some arguments, and the arguments as they are shown to her.
    pub(super) fn job(&self, given: &[(String, String)]) -> Result<(Job, String), Refusal> {
        let unacceptable = |text: String| Refusal::new("not-acceptable", text);
        if let Some((name, _)) = given
            .iter()
            .find(|(name, _)| !self.arguments.iter().any(|one| one.name == *name))
        {
            let name = super::text::shown(name, 64);
            return Err(unacceptable(format!(
                "{} has no argument {name}",
                self.name
            )));
        }
        let mut values = BTreeMap::new();
        let mut words = String::new();
        for argument in &self.arguments {
            let value = given
                .iter()
                .find(|(name, _)| *name == argument.name)
                .map(|(_, value)| value)
                .or(argument.default.as_ref())
                .ok_or_else(|| unacceptable(format!("{} is missing", argument.name)))?;
            argument.check(value).map_err(unacceptable)?;
            if !words.is_empty() {
                words.push_str(", ");
            }
            words.push_str(&format!("{}: “{value}”", argument.label));
            values.insert(argument.name.clone(), value.clone());
        }
        let arguments = self.template.fill(&values).map_err(unacceptable)?;
        let job = Job {
            done: format!("{} was started", self.title),
            program: self.program.clone(),
            arguments,
            manner: self.manner.clone(),
        };
        Ok((job, super::text::shown(&words, SHOWN_MAX)))
    }
}

/// What a watcher has reported.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Who.
    pub requester: &'a Bare,
    /// The name of its request.
    pub request_id: &'a str,
    /// Which right it had asked for.
    pub right: Right,
    /// How it ended.
    pub state: &'a str,
    /// Its words; untrusted.
    pub text: &'a str,
}

/// The places of a reaction's arguments.
pub const PLACES: [&str; 5] = ["requester", "request-id", "right", "state", "text"];

/// What is run when a watcher reports. An empty list fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Who reports: a bare JID, or a domain with all its users.
    pub from: Vec<Bare>,
    /// For which rights.
    pub right: Vec<Right>,
    /// Which ends.
    pub state: Vec<String>,
    /// The module that is run.
    pub module: String,
    /// Its arguments: fixed texts, or one of [`PLACES`] in braces.
    pub arguments: BTreeMap<String, String>,
}

impl Reaction {
    /// Whether it is meant for a report.
    pub(super) fn fits(&self, report: &Report<'_>) -> bool {
        let from = |from: &Bare| {
            from == report.requester
                || (from.local().is_none() && from.domain() == report.requester.domain())
        };
        (self.from.is_empty() || self.from.iter().any(from))
            && (self.right.is_empty() || self.right.contains(&report.right))
            && (self.state.is_empty() || self.state.iter().any(|state| state == report.state))
    }

    /// The arguments for a report.
    pub(super) fn arguments(&self, report: &Report<'_>) -> Vec<(String, String)> {
        let value = |text: &String| match text.as_str() {
            "{requester}" => report.requester.to_string(),
            "{request-id}" => report.request_id.to_owned(),
            "{right}" => report.right.to_string(),
            "{state}" => report.state.to_owned(),
            "{text}" => report.text.to_owned(),
            fixed => fixed.to_owned(),
        };
        let arguments = self.arguments.iter();
        arguments
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::argument::Type;
    use super::*;

    fn module() -> Module {
        let argument = |name: &str, default: Option<&str>| Argument {
            name: name.into(),
            label: name.to_uppercase(),
            type_: Type::Text(20),
            default: default.map(Into::into),
        };
        let list = ["--day={day}", "--", "{words}"].map(ToOwned::to_owned);
        Module {
            name: "agenda".into(),
            title: "The agenda".into(),
            offered: true,
            program: "/bin/agenda".into(),
            template: Template::new("/bin/agenda", &list, &["day", "words"]).unwrap(),
            arguments: vec![argument("day", None), argument("words", Some("nothing"))],
            manner: Manner::window(),
        }
    }

    fn given(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn arguments_are_declared_given_and_of_their_type() {
        let job = |list: &[(&str, &str)]| module().job(&given(list));
        let (made, words) = job(&[("day", "x; rm -rf /")]).unwrap();
        assert_eq!(made.arguments, ["--day=x; rm -rf /", "--", "nothing"]);
        assert_eq!(words, "DAY: “x; rm -rf /”, WORDS: “nothing”");
        assert!(job(&[]).unwrap_err().text().contains("day is missing"));
        let unknown = job(&[("day", "x"), ("path", "/etc")]).unwrap_err();
        assert!(unknown.text().contains("no argument path"));
        assert!(job(&[("day", "x\ny")]).is_err());
        assert!(job(&[("day", &"x".repeat(21))]).is_err());
    }

    #[test]
    fn a_reaction_takes_its_arguments_from_the_report() {
        let requester = Bare::parse("bob@remote.example").unwrap();
        let report = Report {
            requester: &requester,
            request_id: "r1",
            right: Right::StartModule,
            state: "completed",
            text: "{state}",
        };
        let reaction = Reaction {
            from: vec![Bare::parse("remote.example").unwrap()],
            right: Vec::new(),
            state: vec!["completed".into()],
            module: "agenda".into(),
            arguments: [("day", "{text}"), ("words", "as {state}")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        };
        assert!(reaction.fits(&report));
        let failed = Report {
            state: "failed",
            ..report
        };
        assert!(!reaction.fits(&failed));
        assert_eq!(
            reaction.arguments(&report),
            given(&[("day", "{state}"), ("words", "as {state}")])
        );
    }
}
