//! Ad-hoc commands, XEP-0050 v1.3: the `<command/>` element, which xmpp-parsers does not have.

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use xmpp_parsers::data_forms::DataForm;

/// The namespace of commands.
pub const NS: &str = "http://jabber.org/protocol/commands";

/// What the requester wants (XEP-0050 §2.2, §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start, or do the default of this stage.
    Execute,
    /// Give up.
    Cancel,
    /// Go to the next stage.
    Next,
    /// Go back.
    Prev,
    /// Finish.
    Complete,
}

impl Action {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Execute, "execute"),
        (Self::Cancel, "cancel"),
        (Self::Next, "next"),
        (Self::Prev, "prev"),
        (Self::Complete, "complete"),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(action, _)| *action == self)
            .map_or("", |(_, word)| word)
    }
}

/// Where a command stands (XEP-0050 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More is to come.
    Executing,
    /// It has ended.
    Completed,
    /// It was given up.
    Canceled,
}

impl Status {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Executing, "executing"),
        (Self::Completed, "completed"),
        (Self::Canceled, "canceled"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(status, _)| *status == self)
            .map_or("", |(_, word)| word)
    }
}

/// How serious a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something to know.
    Info,
    /// Something is odd.
    Warn,
    /// It did not work.
    Error,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One `<command/>`.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Which command.
    pub node: String,
    /// The session, absent in the first request.
    pub sessionid: Option<String>,
    /// What the requester wants; absent means [`Action::Execute`].
    pub action: Option<Action>,
    /// Where it stands; only a responder says so.
    pub status: Option<Status>,
    /// What the requester may do next, the default first (a responder's word). Empty: no `<actions/>`.
    pub actions: Vec<Action>,
    /// Words for the person.
    pub notes: Vec<(Severity, String)>,
    /// The form.
    pub form: Option<DataForm>,
    /// Further forms, such as those of several rows (XEP-0004 §3.4), which xmpp-parsers does not have; only
    /// written.
    pub tables: Vec<Element>,
}

/// COMPAT(profanity 0.13): a field without a type, which XEP-0004 §3.2 says is `text-single`, it shows and
/// cannot fill in. xmpp-parsers leaves that type out.
fn with_types(mut form: Element) -> Element {
    let fields = form.children_mut().filter(|child| child.name() == "field");
    for field in fields.filter(|field| field.attr(xml_ncname!("type")).is_none()) {
        field.set_attr(Namespace::NONE, xml_ncname!("type").into(), "text-single");
    }
    form
}

/// Why a `<command/>` cannot be read, as XEP-0050 §4.4 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No `node`.
    NoNode,
    /// An action that does not exist: `<malformed-action/>`.
    Action,
    /// A form that cannot be read: `<bad-payload/>`.
    Payload,
}

impl Command {
    /// Reads a `<command/>`. A requester's `status` and a responder's `action` are ignored by those who
    /// must (XEP-0050 §3.3), not here.
    pub fn read(element: &Element) -> Result<Self, Malformed> {
        let node = element
            .attr(xml_ncname!("node"))
            .ok_or(Malformed::NoNode)?
            .to_owned();
        let action = match element.attr(xml_ncname!("action")) {
            None | Some("") => None,
            Some(word) => Some(
                Action::ALL
                    .into_iter()
                    .find(|(_, w)| *w == word)
                    .ok_or(Malformed::Action)?
                    .0,
            ),
        };
        let status = element
            .attr(xml_ncname!("status"))
            .and_then(|word| Status::ALL.into_iter().find(|(_, w)| *w == word))
            .map(|(status, _)| status);
        let mut command = Self {
            node,
            sessionid: element
                .attr(xml_ncname!("sessionid"))
                .map(ToOwned::to_owned),
            action,
            status,
            ..Self::default()
        };
        for child in element.children() {
            if child.is("x", xmpp_parsers::ns::DATA_FORMS) {
                if command.form.is_some() {
                    return Err(Malformed::Payload);
                }
                let form = DataForm::try_from(child.clone()).map_err(|_| Malformed::Payload)?;
                command.form = Some(form);
            } else if child.is("note", NS) {
                let severity = match child.attr(xml_ncname!("type")) {
                    Some("error") => Severity::Error,
                    Some("warn") => Severity::Warn,
                    _ => Severity::Info,
                };
                command.notes.push((severity, child.text()));
            } else if child.is("actions", NS) {
                command.actions = child
                    .children()
                    .filter_map(|c| Action::ALL.into_iter().find(|(_, w)| *w == c.name()))
                    .map(|(action, _)| action)
                    .collect();
            }
        }
        Ok(command)
    }

    /// Writes it.
    #[must_use]
    pub fn write(self) -> Element {
        let mut element = Element::builder("command", NS)
            .attr(xml_ncname!("node").into(), self.node)
            .attr(xml_ncname!("sessionid").into(), self.sessionid)
            .attr(
                xml_ncname!("action").into(),
                self.action.map(Action::as_str),
            )
            .attr(
                xml_ncname!("status").into(),
                self.status.map(Status::as_str),
            );
        if let Some(default) = self.actions.first() {
            element = element.append(
                Element::builder("actions", NS)
                    .attr(xml_ncname!("execute").into(), default.as_str())
                    .append_all(self.actions.iter().map(|a| Element::bare(a.as_str(), NS)))
                    .build(),
            );
        }
        if let Some(form) = self.form {
            element = element.append(with_types(form.into()));
        }
        element
            .append_all(self.tables)
            .append_all(self.notes.into_iter().map(|(severity, text)| {
                Element::builder("note", NS)
                    .attr(xml_ncname!("type").into(), severity.as_str())
                    .append(text)
                    .build()
            }))
            .build()
    }
}
