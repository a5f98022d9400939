//! What the operator's monitoring reads: figures, whether we are up, whether we can do all of our work.
//!
//! The names are in `docs/store.md` and `docs/metrics.md`; they do not change within a major version.

pub mod listener;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::component::Figures;
use crate::component::clock::Wall;
use crate::store::committer::Health;

/// A figure.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Counts.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets what is measured and not counted.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All figures; shared between the driver, which writes, and the listener, which reads.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Stanzas that came in.
    pub received: Figure,
    /// Stanzas that were given to the link.
    pub sent: Figure,
    /// Exports that could not be made.
    pub export_failures: Figure,
    /// Jumps of the wall clock by more than five minutes.
    pub clock_jumps: Figure,
    /// Partners that are attached to the dedicated link.
    pub partners: Figure,
    /// Attaches of partners that succeeded.
    pub partners_attached: Figure,
    /// Connections to the dedicated link that did not come as far.
    pub partners_refused: Figure,
    /// Stanzas that partners sent.
    pub partners_received: Figure,
    /// Stanzas that were given to the links of partners.
    pub partners_sent: Figure,
    /// Requests over the web.
    pub web_requests: Figure,
    /// Live streams over the web.
    pub web_streams: Figure,
    questions: Figure,
    refused: Figure,
    beyond: Figure,
    attached: Figure,
    attaches: Figure,
    users: Figure,
    executions: Figure,
    in_flight: Figure,
    /// When the last export was begun that was written, in ms; 0: none since the start.
    exported: AtomicI64,
    store: Arc<Health>,
}

impl Metrics {
    /// Figures with those of a store.
    #[must_use]
    pub fn new(store: Arc<Health>) -> Self {
        Self {
            store,
            ..Self::default()
        }
    }

    /// Whether the component is attached from now on.
    pub fn attached(&self, attached: bool) {
        self.attached.set(attached.into());
        self.attaches.add(attached.into());
    }

    /// An export that was begun then has been written.
    pub fn exported(&self, made: Wall) {
        self.exported.store(made.0, Ordering::Relaxed);
    }

    /// What the core has at this moment.
    pub fn figures(&self, figures: Figures) {
        self.users.set(figures.users as u64);
        self.executions.set(figures.executions as u64);
        self.in_flight.set(figures.in_flight as u64);
        self.questions.set(figures.counts.questions);
        self.refused.set(figures.counts.refused);
        self.beyond.set(figures.counts.beyond);
    }

    /// Why the store takes no changes now; `None` where it does.
    #[must_use]
    pub fn store_alarm(&self) -> Option<String> {
        self.store.alarm()
    }

    /// Why the component cannot do all of its work now; empty where it can.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.attached.get() == 0 {
            complaints.push("not attached to the server".to_owned());
        }
        complaints.extend(self.store.alarm());
        complaints
    }

    /// All figures in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
            let _ = write!(
                text,
                "# HELP vestibule_{name} {help}\n# TYPE vestibule_{name} {kind}\nvestibule_{name} {value}\n"
            );
        };
        let (gauge, counter) = ("gauge", "counter");
        let store = &self.store;
        put(
            "attached",
            gauge,
            "Whether it is attached to the server.",
            &self.attached.get(),
        );
        put(
            "attaches_total",
            counter,
            "Attaches that succeeded.",
            &self.attaches.get(),
        );
        put(
            "stanzas_received_total",
            counter,
            "Stanzas that came in.",
            &self.received.get(),
        );
        put(
            "stanzas_sent_total",
            counter,
            "Stanzas that went out.",
            &self.sent.get(),
        );
        put(
            "partners_attached",
            gauge,
            "Partners that are attached to the dedicated link.",
            &self.partners.get(),
        );
        put(
            "partner_attaches_total",
            counter,
            "Attaches of partners that succeeded.",
            &self.partners_attached.get(),
        );
        put(
            "partner_refusals_total",
            counter,
            "Connections to the dedicated link that were not let in.",
            &self.partners_refused.get(),
        );
        put(
            "partner_stanzas_received_total",
            counter,
            "Stanzas that partners sent.",
            &self.partners_received.get(),
        );
        put(
            "partner_stanzas_sent_total",
            counter,
            "Stanzas that went to partners.",
            &self.partners_sent.get(),
        );
        put(
            "web_requests_total",
            counter,
            "Requests over the web.",
            &self.web_requests.get(),
        );
        put(
            "web_streams",
            gauge,
            "Live streams over the web.",
            &self.web_streams.get(),
        );
        put(
            "questions_total",
            counter,
            "Questions after presence that were let through.",
            &self.questions.get(),
        );
        put(
            "questions_refused_total",
            counter,
            "Of them those that were refused.",
            &self.refused.get(),
        );
        put(
            "questions_beyond_limits_total",
            counter,
            "Questions beyond the limits.",
            &self.beyond.get(),
        );
        put("users", gauge, "Users who have joined.", &self.users.get());
        put(
            "commands",
            gauge,
            "Commands under way.",
            &self.executions.get(),
        );
        put(
            "changes_waiting",
            gauge,
            "Durable changes being written or waiting.",
            &self.in_flight.get(),
        );
        put(
            "store_writable",
            gauge,
            "Whether the store takes changes.",
            &u8::from(store.alarm().is_none()),
        );
        put(
            "store_writes_total",
            counter,
            "Writes, each of all changes that waited.",
            &store.writes.get(),
        );
        put(
            "store_changes_total",
            counter,
            "Changes that were written.",
            &store.changes.get(),
        );
        put(
            "store_refused_total",
            counter,
            "Batches that could not be written.",
            &store.refused.get(),
        );
        let exported = self.exported.load(Ordering::Relaxed) as f64 / 1000.0;
        put(
            "export_timestamp_seconds",
            gauge,
            "When the last export was begun; 0: none since the start.",
            &exported,
        );
        put(
            "export_failures_total",
            counter,
            "Exports that could not be made.",
            &self.export_failures.get(),
        );
        put(
            "clock_jumps_total",
            counter,
            "Jumps of the clock by more than five minutes.",
            &self.clock_jumps.get(),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_help_its_type_and_its_value() {
        let metrics = Metrics::default();
        metrics.attached(true);
        metrics.received.add(3);
        metrics.exported(Wall(1_500));
        let text = metrics.render();
        for line in [
            "vestibule_attached 1",
            "vestibule_stanzas_received_total 3",
            "vestibule_export_timestamp_seconds 1.5",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        for lines in text.lines().collect::<Vec<_>>().chunks(3) {
            let name = lines[2].split(' ').next().unwrap();
            assert!(
                lines[0].starts_with(&format!("# HELP {name} ")),
                "{lines:?}"
            );
            assert!(
                lines[1].starts_with(&format!("# TYPE {name} ")),
                "{lines:?}"
            );
            let documented = include_str!("../docs/metrics.md");
            assert!(
                documented.contains(&format!("`{name}`")),
                "{name} is not documented"
            );
        }
    }

    #[test]
    fn complaints_say_what_is_wrong() {
        let metrics = Metrics::default();
        assert_eq!(metrics.complaints(), ["not attached to the server"]);
        metrics.attached(true);
        assert!(metrics.complaints().is_empty());
        metrics.attached(false);
        assert_eq!(metrics.complaints().len(), 1);
    }
}
