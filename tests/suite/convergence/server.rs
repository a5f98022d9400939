//! The users' server as the component knows it: Prosody or ejabberd by servers.md §3.3, §3.4 and §7.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minidom::Element;
use minidom::rxml::xml_ncname;
use vestibule::component::clock::{Now, Wall};

use super::{Dice, Shown};
use crate::support::stanza;

const HOME: &str = "presence.localhost";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prosody,
    Ejabberd,
}

/// A resource's last presence.
#[derive(Clone, Debug)]
struct Resource {
    show: &'static str,
    status: String,
    priority: i8,
    since: Wall,
}

pub(super) struct Server {
    kind: Kind,
    dice: Dice,
    resources: BTreeMap<(String, String), Resource>,
    /// Who hides from the component: by blocking it, or by a privacy list.
    hidden: BTreeSet<String>,
    /// Whether something has happened that the server tells nobody.
    secrets: bool,
    /// Under way to the component, by time and order.
    under_way: BTreeMap<(Duration, u64), String>,
    n: u64,
    attached: bool,
    /// When the last stanza of each sender arrives: stanzas between two addresses keep their order.
    last: BTreeMap<String, Duration>,
}

impl Server {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            dice: Dice(seed),
            resources: BTreeMap::new(),
            hidden: BTreeSet::new(),
            secrets: false,
            under_way: BTreeMap::new(),
            n: 0,
            attached: false,
            last: BTreeMap::new(),
        }
    }

    /// A resource comes, or changes.
    pub(super) fn presence(&mut self, user: &str, name: &str, dice: &mut Dice, now: Now) {
        let resource = Resource {
            show: ["", "away", "dnd", "xa", "chat"][dice.below(5) as usize],
            status: format!("{}", dice.below(1000)),
            priority: [0, 0, 0, 5, -1][dice.below(5) as usize],
            since: now.wall,
        };
        let key = (user.to_owned(), name.to_owned());
        self.resources.insert(key, resource.clone());
        let told = written(user, name, &resource, None);
        self.tell(user, name, told, now.mono);
    }

    /// A resource goes.
    pub(super) fn end(&mut self, user: &str, name: &str, now: Now) {
        if self
            .resources
            .remove(&(user.to_owned(), name.to_owned()))
            .is_some()
        {
            self.tell(user, name, gone(user, name), now.mono);
        }
    }

    /// A client logs in again under its resource. ejabberd: the old session's end may come second.
    pub(super) fn reconnect(&mut self, user: &str, name: &str, dice: &mut Dice, now: Now) {
        if !self
            .resources
            .contains_key(&(user.to_owned(), name.to_owned()))
        {
            return;
        }
        let swapped = self.kind == Kind::Ejabberd && dice.below(2) == 0;
        if !swapped {
            self.tell(user, name, gone(user, name), now.mono);
        }
        self.presence(user, name, dice, now);
        if swapped {
            self.tell(user, name, gone(user, name), now.mono);
        }
    }

    /// She blocks the component, or unblocks it. Prosody tells, ejabberd does not.
    pub(super) fn hide(&mut self, user: &str, hide: bool, now: Now) {
        if hide == self.hidden.contains(user) {
            return;
        }
        self.secrets |= self.kind == Kind::Ejabberd;
        let resources: Vec<_> = self.of(user);
        if hide {
            if self.kind == Kind::Prosody {
                for (name, _) in resources {
                    self.tell(user, &name, gone(user, &name), now.mono);
                }
            }
            self.hidden.insert(user.to_owned());
        } else {
            self.hidden.remove(user);
            if self.kind == Kind::Prosody {
                for (name, resource) in resources {
                    // It keeps a presence with its stamp.
                    let told = written(user, &name, &resource, Some(self.kind));
                    self.tell(user, &name, told, now.mono);
                }
            }
        }
    }

    /// SIGKILL: everybody is gone, and nobody is told.
    pub(super) fn die(&mut self) {
        self.resources.clear();
    }

    pub(super) fn attached(&mut self) {
        self.attached = true;
    }

    pub(super) fn detached(&mut self) {
        self.attached = false;
        self.under_way.clear();
        self.last.clear();
    }

    /// The component asks, or says something that is of no interest here.
    pub(super) fn asked(&mut self, question: &Element, now: Now) {
        let attr = |name| question.attr(name).unwrap_or_default().to_owned();
        let (to, id) = (attr(xml_ncname!("to")), attr(xml_ncname!("id")));
        let Some((user, _)) = to.split_once('@').filter(|(_, rest)| *rest == "localhost") else {
            return;
        };
        let hidden = self.hidden.contains(user);
        match (question.name(), attr(xml_ncname!("type")).as_str()) {
            ("presence", "probe") if !hidden => {
                let resources = self.of(user);
                if resources.is_empty() && self.kind == Kind::Prosody {
                    let offline = format!(
                        "<presence type='unavailable' from='{user}@localhost' to='{HOME}'/>"
                    );
                    self.send(&format!("{user}@localhost"), offline, now.mono);
                }
                for (name, resource) in resources {
                    let answer = written(user, &name, &resource, Some(self.kind));
                    self.send(&format!("{user}@localhost/{name}"), answer, now.mono);
                }
            }
            ("iq", "get") => {
                let refused = hidden && self.kind == Kind::Prosody;
                let answer = if refused {
                    format!(
                        "<iq type='error' id='{id}' from='{to}' to='{HOME}'><error type='cancel'>\
                         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
                    )
                } else {
                    format!(
                        "<iq type='result' id='{id}' from='{to}' to='{HOME}'>\
                         <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
                    )
                };
                self.send(&format!("{to} iq"), answer, now.mono);
            }
            _ => {}
        }
    }

    /// When the next stanza arrives.
    pub(super) fn next(&self) -> Option<Duration> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// What arrives now.
    pub(super) fn take(&mut self, now: Duration) -> Option<Element> {
        let entry = self
            .under_way
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(stanza(&entry.remove()))
    }

    pub(super) fn has_secrets(&self) -> bool {
        self.secrets
    }

    pub(super) fn secrets_told(&mut self) {
        self.secrets = false;
    }

    /// What watchers are to see of a user.
    pub(super) fn truth(&self, user: &str) -> Shown {
        if self.hidden.contains(user) {
            return None;
        }
        let best = self
            .of(user)
            .into_iter()
            .map(|(_, resource)| resource)
            .filter(|resource| resource.priority >= 0)
            .max_by_key(|resource| (resource.priority, resource.since))?;
        Some((best.show.to_owned(), Some(best.status)))
    }

    fn of(&self, user: &str) -> Vec<(String, Resource)> {
        let of_user = self.resources.iter().filter(|((of, _), _)| of == user);
        of_user
            .map(|((_, name), resource)| (name.clone(), resource.clone()))
            .collect()
    }

    /// Tells the component of a change, if it may know.
    fn tell(&mut self, user: &str, name: &str, told: String, now: Duration) {
        if self.hidden.contains(user) {
            self.secrets |= self.kind == Kind::Ejabberd;
            return;
        }
        self.send(&format!("{user}@localhost/{name}"), told, now);
    }

    fn send(&mut self, sender: &str, xml: String, now: Duration) {
        if !self.attached {
            return;
        }
        // Prosody is one process, and keeps all in order; ejabberd has one for each session.
        let sender = match self.kind {
            Kind::Prosody => "",
            Kind::Ejabberd => sender,
        };
        let delay = Duration::from_millis(self.dice.below(900));
        let last = self.last.entry(sender.to_owned()).or_default();
        *last = (now + delay).max(*last);
        self.n += 1;
        self.under_way.insert((*last, self.n), xml);
    }
}

fn written(user: &str, name: &str, resource: &Resource, answer: Option<Kind>) -> String {
    let Resource {
        show,
        status,
        priority,
        since,
    } = resource;
    let show = match *show {
        "" => String::new(),
        show => format!("<show>{show}</show>"),
    };
    let delay = match answer {
        None => String::new(),
        Some(Kind::Prosody) => {
            format!("<delay xmlns='urn:xmpp:delay' from='localhost' stamp='{since}'/>")
        }
        Some(Kind::Ejabberd) => {
            let stamp = since.to_string().replace('Z', ".000042Z");
            format!(
                "<delay xmlns='urn:xmpp:delay' from='{user}@localhost/{name}' stamp='{stamp}'/>"
            )
        }
    };
    format!(
        "<presence from='{user}@localhost/{name}' to='{HOME}'>{show}<status>{status}</status>\
         <priority>{priority}</priority>{delay}</presence>"
    )
}

fn gone(user: &str, name: &str) -> String {
    format!("<presence type='unavailable' from='{user}@localhost/{name}' to='{HOME}'/>")
}
