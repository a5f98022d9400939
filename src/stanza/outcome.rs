//! How a command ended, as it travels in messages and in the agent's late report (protocol.md §9.4).

use minidom::Element;
use minidom::rxml::xml_ncname;

use super::compose::{Compose, element};
use crate::component::authorization::Right;
use crate::component::clock::Wall;
use crate::component::record::ExecutionState;

/// The namespace of outcomes.
pub const NS: &str = "urn:x-presence-service:outcome:0";

/// One `<outcome/>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The request's name.
    pub request_id: String,
    /// Which command.
    pub right: Right,
    /// How it ended.
    pub state: ExecutionState,
    /// When, where it is said.
    pub at: Option<Wall>,
    /// Words of the client; untrusted, to be cut before they are shown.
    pub text: Option<String>,
}

impl Outcome {
    /// Reads it; `None` where a part is missing or not one of the fixed words.
    #[must_use]
    pub fn read(element: &Element) -> Option<Self> {
        use ExecutionState::{
            Accepted, Completed, Expired, Failed, Queued, Refused, Sent, Unknown,
        };
        let state = element.attr(xml_ncname!("state"))?;
        let state = [
            Queued, Sent, Accepted, Completed, Refused, Failed, Expired, Unknown,
        ]
        .into_iter()
        .find(|known| known.as_str() == state)?;
        Some(Self {
            request_id: element.attr(xml_ncname!("request-id"))?.to_owned(),
            right: element.attr(xml_ncname!("right"))?.parse().ok()?,
            state,
            at: element.attr(xml_ncname!("at")).and_then(Wall::parse),
            text: Some(element.text()).filter(|text| !text.is_empty()),
        })
    }

    /// Writes it.
    #[must_use]
    pub fn write(&self) -> Element {
        let head = [
            ("request-id", self.request_id.as_str()),
            ("right", self.right.as_str()),
            ("state", self.state.as_str()),
        ];
        let at = self.at.map(|at| at.to_string());
        let mut outcome = element("outcome", NS, &head).attribute("at", at.as_deref());
        if let Some(text) = &self.text {
            outcome.append_text_node(text.as_str());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_reads_back() {
        let outcome = Outcome {
            request_id: "r1".into(),
            right: Right::OpenUrl,
            state: ExecutionState::Completed,
            at: Wall::parse("2026-11-23T13:20:11Z"),
            text: Some("opened".into()),
        };
        assert_eq!(Outcome::read(&outcome.write()), Some(outcome));
    }

    #[test]
    fn a_word_of_nobody_is_refused() {
        let head = [
            ("request-id", "r"),
            ("right", "fly"),
            ("state", "completed"),
        ];
        assert_eq!(Outcome::read(&element("outcome", NS, &head)), None);
    }
}
