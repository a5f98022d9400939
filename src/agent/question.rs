//! What a person is asked: who, how well known, by which way, what, and until when.
//!
//! Pure. Everything of others has lost what does not show; a name that is not ASCII has its spelling
//! beside it (security.md T15).

use super::policy::Ticket;
use super::request::{Request, Wish};
use super::text::{SHOWN_MAX, shown};
use crate::component::clock::Wall;
use crate::web_address::WebAddress;

/// Characters of a page's address that are shown; the host is shown whole on its own line.
const ADDRESS_SHOWN_MAX: usize = 400;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which command.
    pub ticket: Ticket,
    /// Who asks for what, in one line.
    pub title: String,
    /// What stands behind it: a name and a text each.
    pub details: Vec<(&'static str, String)>,
    /// What yes means.
    pub verb: &'static str,
    /// When no answer means no.
    pub until: Wall,
}

impl Question {
    /// The question about a request. `what` are the words for it: the module's title and its
    /// arguments.
    pub(super) fn new(
        ticket: Ticket,
        request: &Request,
        address: Option<&WebAddress>,
        what: (&str, &str),
        until: Wall,
    ) -> Self {
        let who = shown(&request.requester.shown(), SHOWN_MAX);
        let mut details = Vec::new();
        let (asks, verb) = match &request.wish {
            Wish::OpenUrl { reason, .. } => {
                if let Some(address) = address {
                    details.push(("host", address.host().to_owned()));
                    details.push(("address", shown(address.as_str(), ADDRESS_SHOWN_MAX)));
                }
                let reason = reason.as_deref().map_or_else(
                    || "none given".to_owned(),
                    |reason| format!("“{}”", shown(reason, SHOWN_MAX)),
                );
                details.push(("reason", reason));
                ("to open a web page".to_owned(), "Open")
            }
            Wish::StartModule { module, .. } => {
                details.push(("module", module.clone()));
                if !what.1.is_empty() {
                    details.push(("with", what.1.to_owned()));
                }
                (format!("to start “{}”", shown(what.0, SHOWN_MAX)), "Start")
            }
            Wish::Notify { text } => {
                details.push(("text", format!("“{}”", shown(text, SHOWN_MAX))));
                ("to show you a notification".to_owned(), "Show")
            }
            Wish::ActivateClient => ("to bring up your chat client".to_owned(), "Bring up"),
            Wish::Outcome { .. } => ("to report a result".to_owned(), "Take"),
        };
        Self {
            ticket,
            title: format!(
                "{who} ({}, by {}) asks {asks}",
                request.level, request.interface
            ),
            details,
            verb,
            until,
        }
    }

    /// All of it on a terminal.
    pub(super) fn on_terminal(&self) -> String {
        let mut text = format!("\n{}:\n", self.title);
        for (name, value) in &self.details {
            let name = format!("{name}:");
            text.push_str(&format!("  {name:<9}{value}\n"));
        }
        text.push_str(&format!(
            "{}? Answer until {}. [y/N] ",
            self.verb, self.until
        ));
        text
    }

    /// The text under the title of a notification.
    pub(super) fn on_desktop(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.details {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push_str(&format!("Answer until {}.", self.until));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Bare;
    use crate::web_address::check;

    const UNTIL: Wall = Wall(1_800_000_030_000);

    fn request(requester: &str, wish: Wish) -> Request {
        Request {
            request_id: "r".into(),
            requester: Bare::parse(requester).unwrap(),
            level: "authorized".into(),
            interface: "public".into(),
            confirm: true,
            expires: UNTIL,
            wish,
        }
    }

    #[test]
    fn the_prompt_says_who_what_and_why_and_nothing_hidden() {
        let wish = Wish::OpenUrl {
            url: String::new(),
            reason: Some("look\u{1b}[2J\nOpen? y\u{202e}".into()),
        };
        let address = check("https://bücher.example/a").unwrap();
        let request = request("bob@remote.example", wish);
        let question = Question::new(1, &request, Some(&address), ("", ""), UNTIL);
        assert_eq!(
            question.on_terminal(),
            "\nbob@remote.example (authorized, by public) asks to open a web page:\n  \
             host:    xn--bcher-kva.example\n  address: https://xn--bcher-kva.example/a\n  \
             reason:  “look[2J Open? y”\nOpen? Answer until 2027-01-15T08:00:30Z. [y/N] "
        );
        assert_eq!(
            question.on_desktop(),
            "host: xn--bcher-kva.example\naddress: https://xn--bcher-kva.example/a\n\
             reason: “look[2J Open? y”\nAnswer until 2027-01-15T08:00:30Z."
        );
    }

    #[test]
    fn a_name_that_can_be_mistaken_is_spelled_out() {
        let wish = Wish::StartModule {
            module: "agenda".into(),
            arguments: Vec::new(),
        };
        let request = request("\u{430}lice@remote.example", wish);
        let question = Question::new(1, &request, None, ("The agenda", "Day: “x”"), UNTIL);
        assert!(question.title.contains("xn--"), "{}", question.title);
        assert!(question.title.ends_with("asks to start “The agenda”"));
        let text = question.on_terminal();
        assert!(
            text.contains("module:  agenda\n  with:    Day: “x”\nStart?"),
            "{text}"
        );
    }
}
