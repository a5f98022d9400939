//! Late reports on their way to the component: sent again until it has taken them, or too old.
//!
//! Pure. A report may be lost with the stream, with the server or with the component; the component
//! takes each once (protocol.md §9.4), so a second one does no harm.

use std::time::Duration;

use indexmap::IndexMap;
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::work::Key;
use crate::component::clock::Chance;
use crate::stanza::compose::{Compose, element};

/// Reports on their way at once: no more than eight commands are open, so this is an hour of work
/// without a connection.
pub(super) const REPORTS_MAX: usize = 64;
/// How long a report is sent again: the component has given its command up some minutes before.
pub(super) const REPORT_LIFE: Duration = Duration::from_secs(15 * 60);
/// The component writes the end to its disk before it answers.
const ANSWER: Duration = Duration::from_secs(30);
/// The pause after an answer that the component is not there; doubled each time.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Report {
    payload: Element,
    /// The id under which it went out last.
    id: String,
    due: Duration,
    pause: Duration,
    end: Duration,
}

/// All that are on their way.
#[derive(Debug, Default)]
pub(super) struct Reports {
    open: IndexMap<Key, Report>,
    online: bool,
}

impl Reports {
    /// Adds one that is given up at `end`. Gives back the oldest where there are too many.
    pub(super) fn add(
        &mut self,
        now: Duration,
        end: Duration,
        key: Key,
        payload: Element,
    ) -> Option<Key> {
        let dropped = (self.open.len() >= REPORTS_MAX)
            .then(|| self.open.shift_remove_index(0))
            .flatten();
        let report = Report {
            payload,
            id: String::new(),
            due: now,
            pause: PAUSE,
            end,
        };
        self.open.insert(key, report);
        dropped.map(|(key, _)| key)
    }

    /// A stream is there: all are due.
    pub(super) fn online(&mut self, now: Duration) {
        self.online = true;
        for report in self.open.values_mut() {
            report.due = now;
            report.pause = PAUSE;
        }
    }

    /// There is no stream.
    pub(super) fn offline(&mut self) {
        self.online = false;
    }

    /// When something is to be done.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let due = |report: &Report| {
            if self.online {
                report.due.min(report.end)
            } else {
                report.end
            }
        };
        self.open.values().map(due).min()
    }

    /// What is to be sent now, and what is given up.
    pub(super) fn due(
        &mut self,
        now: Duration,
        chance: &mut Chance,
        to: &str,
    ) -> (Vec<Element>, Vec<Key>) {
        let old: Vec<Key> = self
            .open
            .iter()
            .filter(|(_, report)| report.end <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &old {
            self.open.shift_remove(key);
        }
        let mut stanzas = Vec::new();
        if self.online {
            for report in self.open.values_mut().filter(|report| report.due <= now) {
                report.id = chance.id();
                report.due = now + ANSWER;
                let head = [("type", "set"), ("id", report.id.as_str()), ("to", to)];
                stanzas.push(element("iq", ns::JABBER_CLIENT, &head).with(report.payload.clone()));
            }
        }
        (stanzas, old)
    }

    /// Takes an answer of the component. Gives back what has ended with it.
    pub(super) fn answered(&mut self, now: Duration, id: &str, iq: &Element) -> Option<Key> {
        let (key, report) = self
            .open
            .iter_mut()
            .find(|(_, report)| !report.id.is_empty() && report.id == id)?;
        if iq.attr(xml_ncname!("type")) == Some("error") && is_absence(iq) {
            report.due = now + report.pause;
            report.pause = (report.pause * 2).min(PAUSE_MAX);
            return None;
        }
        let key = key.clone();
        self.open.shift_remove(&key);
        Some(key)
    }
}

/// Whether an error says that the component is not there, or not able to take it now.
fn is_absence(iq: &Element) -> bool {
    let error = iq.get_child("error", ns::JABBER_CLIENT);
    let condition = error.and_then(|error| error.children().find(|child| child.name() != "text"));
    matches!(
        condition.map(Element::name),
        None | Some(
            "service-unavailable"
                | "recipient-unavailable"
                | "remote-server-not-found"
                | "remote-server-timeout"
                | "resource-constraint"
                | "internal-server-error"
                | "policy-violation"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::super::request::Task;
    use super::*;
    use crate::address::Bare;

    const S: Duration = Duration::from_secs(1);

    fn key(request_id: &str) -> Key {
        Key {
            task: Task::OpenUrl,
            requester: Bare::parse("bob@remote.example").unwrap(),
            request_id: request_id.into(),
        }
    }

    struct Bench {
        reports: Reports,
        draws: u8,
    }

    impl Bench {
        fn new(count: usize) -> Self {
            let mut reports = Reports::default();
            for number in 0..count {
                let payload = element("outcome", "urn:x", &[]);
                reports.add(
                    Duration::ZERO,
                    REPORT_LIFE,
                    key(&number.to_string()),
                    payload,
                );
            }
            Self { reports, draws: 0 }
        }

        /// Ids of what is sent, and how many are given up.
        fn due(&mut self, now: Duration) -> (Vec<String>, usize) {
            self.draws += 1;
            let (sent, old) =
                self.reports
                    .due(now, &mut Chance::new([self.draws; 16]), "p.example");
            let id = |iq: &Element| iq.attr(xml_ncname!("id")).unwrap().to_owned();
            (sent.iter().map(id).collect(), old.len())
        }

        fn answer(&mut self, now: Duration, id: &str, condition: Option<&str>) -> bool {
            let type_ = if condition.is_some() {
                "error"
            } else {
                "result"
            };
            let mut iq = element("iq", ns::JABBER_CLIENT, &[("type", type_), ("id", id)]);
            if let Some(condition) = condition {
                let error = element("error", ns::JABBER_CLIENT, &[]);
                iq.append_child(error.with(element(condition, ns::XMPP_STANZAS, &[])));
            }
            self.reports.answered(now, id, &iq).is_some()
        }
    }

    #[test]
    fn a_report_is_sent_until_it_is_taken() {
        let mut bench = Bench::new(1);
        assert_eq!(bench.due(S).0.len(), 0, "there is no stream");
        bench.reports.online(S);
        let first = bench.due(S).0;
        assert_eq!(bench.due(2 * S).0.len(), 0, "its answer is awaited");
        let second = bench.due(31 * S).0;
        assert_ne!(first, second);
        assert!(!bench.answer(32 * S, &first[0], None), "of an earlier try");
        assert!(!bench.answer(32 * S, &second[0], Some("remote-server-not-found")));
        assert_eq!(bench.due(33 * S).0.len(), 0);
        assert_eq!(bench.reports.deadline(), Some(34 * S));
        let third = bench.due(34 * S).0;
        // Lost with the stream.
        bench.reports.offline();
        assert_eq!(bench.due(100 * S).0.len(), 0);
        bench.reports.online(101 * S);
        let fourth = bench.due(101 * S).0;
        assert_ne!(third, fourth);
        assert!(bench.answer(102 * S, &fourth[0], None));
        assert_eq!(bench.reports.deadline(), None);
        assert!(!bench.answer(103 * S, &fourth[0], None));
    }

    #[test]
    fn what_the_component_refuses_or_is_too_old_is_given_up() {
        let mut bench = Bench::new(2);
        bench.reports.online(S);
        let ids = bench.due(S).0;
        assert!(bench.answer(2 * S, &ids[0], Some("item-not-found")));
        assert_eq!(bench.due(REPORT_LIFE), (vec![], 1));
        assert_eq!(bench.reports.deadline(), None);
        let mut bench = Bench::new(REPORTS_MAX);
        let dropped = bench.reports.add(
            S,
            REPORT_LIFE,
            key("more"),
            element("outcome", "urn:x", &[]),
        );
        assert_eq!(dropped, Some(key("0")));
    }
}
