//! What watchers see over time, on the pure core: invisible is offline byte for byte, ends hold whatever
//! the clock does, and of a storm of changes everyone ends with the last.

mod ends;
mod invisible;
mod storm;

use std::time::Duration;

use super::support::transcript::core::Core;
use super::support::transcript::settings;
use super::support::transcript::wire::Wire;
use vestibule::component::Settings;
use vestibule::component::authorization::Visibility;

/// The presentity of alice@localhost.
const ALICE: &str = r"alice\40localhost@presence.localhost";

/// The core with alice, who has joined and lets the component see her.
struct Scene {
    core: Core,
    /// Everything that was sent, as text.
    sent: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let settings = Settings {
            default_visibility: Visibility::Public,
            ..settings::default()
        };
        let mut scene = Self {
            core: Core::new(settings),
            sent: Vec::new(),
        };
        scene.core.attach(&None);
        scene
            .deliver("<presence type='subscribe' from='alice@localhost' to='presence.localhost'/>");
        scene.deliver(
            "<presence type='subscribed' from='alice@localhost' to='presence.localhost'/>",
        );
        scene.pass(6);
        scene
    }

    fn deliver(&mut self, xml: &str) {
        self.core.deliver(&None, xml);
        self.collect();
    }

    fn collect(&mut self) {
        let sent: Vec<_> = self
            .core
            .sent()
            .into_iter()
            .map(|(_, stanza)| stanza)
            .collect();
        self.sent.extend(sent.iter().map(ToString::to_string));
        assert_eq!(self.core.faults(), Vec::<String>::new());
    }

    fn pass(&mut self, seconds: u64) {
        self.pass_for(Duration::from_secs(seconds));
    }

    fn pass_for(&mut self, mut left: Duration) {
        while left > Duration::ZERO {
            left -= self.core.pass(left);
        }
        self.collect();
    }

    /// A presence of one of her resources; `inner` may be a type in place of children.
    fn presence(&mut self, resource: &str, type_: &str, children: &str) {
        self.deliver(&format!(
            "<presence{type_} from='alice@localhost/{resource}' to='presence.localhost'>{children}</presence>"
        ));
    }

    fn says(&mut self, line: &str) {
        self.deliver(&format!(
            "<message type='chat' from='alice@localhost/desk' to='presence.localhost'>\
             <body>{line}</body></message>"
        ));
    }

    /// All that was sent to an address, its resources included, since the last call.
    fn heard_by(&mut self, watcher: &str) -> Vec<String> {
        let to = [format!("to='{watcher}'"), format!("to='{watcher}/")];
        let is_his = |stanza: &String| to.iter().any(|to| stanza.contains(to));
        let (his, others) = self.sent.drain(..).partition(is_his);
        self.sent = others;
        his
    }
}
