//! What the user's file says about a request: run it, ask her, refuse it. The first rule that fits
//! decides; where none does, the section of the right.
//!
//! Pure. That the component wants her to be asked is [`super::policy`]'s matter.

use super::request::{Request, Task, Wish};
use crate::address::Bare;
use crate::web_address::WebAddress;

/// Rules in one file.
pub const RULES_MAX: usize = 256;

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Ask each time.
    Ask,
    /// Run it, unless the component says that she must be asked.
    Always,
    /// Refuse it.
    Never,
}

/// One rule. An empty list fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who asks: a bare JID, or a domain with all its users.
    pub from: Vec<Bare>,
    /// How well the component knows who asks.
    pub level: Vec<String>,
    /// How the request came to the component.
    pub interface: Vec<String>,
    /// Which command.
    pub right: Vec<Task>,
    /// Domains of pages, each with all below it; only for `open-url`.
    pub domain: Vec<String>,
    /// Modules; only for `start-module`.
    pub module: Vec<String>,
    /// What is done.
    pub policy: Policy,
}

impl Rule {
    fn fits(&self, request: &Request, address: Option<&WebAddress>) -> bool {
        let none_or = |empty: bool, found: bool| empty || found;
        none_or(
            self.from.is_empty(),
            self.from
                .iter()
                .any(|from| covers(from, &request.requester)),
        ) && none_or(self.level.is_empty(), self.level.contains(&request.level))
            && none_or(
                self.interface.is_empty(),
                self.interface.contains(&request.interface),
            )
            && none_or(
                self.right.is_empty(),
                self.right.contains(&request.wish.task()),
            )
            && none_or(
                self.domain.is_empty(),
                address.is_some_and(|address| {
                    self.domain
                        .iter()
                        .any(|domain| is_below(address.host(), domain))
                }),
            )
            && none_or(
                self.module.is_empty(),
                matches!(&request.wish, Wish::StartModule { module, .. }
                    if self.module.contains(module)),
            )
    }

    /// Whether it can fit some request of a right.
    fn may_fit(&self, task: Task) -> bool {
        (self.right.is_empty() || self.right.contains(&task))
            && (self.domain.is_empty() || task == Task::OpenUrl)
            && (self.module.is_empty() || task == Task::StartModule)
    }
}

/// Whether a name of a file stands for a requester.
fn covers(from: &Bare, requester: &Bare) -> bool {
    from == requester || (from.local().is_none() && from.domain() == requester.domain())
}

/// Whether a host is a domain or below it.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// All that the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For `open-url` where no rule fits.
    pub open_url: Policy,
    /// For `notify`.
    pub notify: Policy,
    /// For `start-module`.
    pub start_module: Policy,
    /// For `activate-client`.
    pub activate_client: Policy,
    /// In their order.
    pub list: Vec<Rule>,
}

impl Rules {
    /// What is done with a request. `address` is the checked one of an `open-url`.
    #[must_use]
    pub fn policy(&self, request: &Request, address: Option<&WebAddress>) -> Policy {
        let found = self.list.iter().find(|rule| rule.fits(request, address));
        found.map_or_else(|| self.default(request.wish.task()), |rule| rule.policy)
    }

    fn default(&self, task: Task) -> Policy {
        match task {
            Task::OpenUrl => self.open_url,
            Task::Notify => self.notify,
            Task::StartModule => self.start_module,
            Task::ActivateClient => self.activate_client,
            // Each was named in the file by itself.
            Task::Outcome => Policy::Always,
        }
    }

    /// Whether some request of this right may be run.
    #[must_use]
    pub fn serves(&self, task: Task) -> bool {
        let allows = |rule: &&Rule| rule.policy != Policy::Never && rule.may_fit(task);
        self.default(task) != Policy::Never || self.list.iter().any(|rule| allows(&rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::clock::Wall;
    use crate::web_address::check;

    fn rule(policy: Policy) -> Rule {
        Rule {
            from: Vec::new(),
            level: Vec::new(),
            interface: Vec::new(),
            right: Vec::new(),
            domain: Vec::new(),
            module: Vec::new(),
            policy,
        }
    }

    fn rules(list: Vec<Rule>) -> Rules {
        Rules {
            open_url: Policy::Ask,
            notify: Policy::Always,
            start_module: Policy::Ask,
            activate_client: Policy::Never,
            list,
        }
    }

    fn request(requester: &str, level: &str, wish: Wish) -> Request {
        Request {
            request_id: "r".into(),
            requester: Bare::parse(requester).unwrap(),
            level: level.into(),
            interface: "public".into(),
            confirm: false,
            expires: Wall(0),
            wish,
        }
    }

    fn page(requester: &str, url: &str) -> (Request, WebAddress) {
        let wish = Wish::OpenUrl {
            url: url.into(),
            reason: None,
        };
        (request(requester, "known", wish), check(url).unwrap())
    }

    fn bare(text: &str) -> Bare {
        Bare::parse(text).unwrap()
    }

    #[test]
    fn domains_are_whole_names_with_all_below() {
        let rules = rules(vec![
            Rule {
                domain: vec!["bad.example.org".into()],
                ..rule(Policy::Never)
            },
            Rule {
                domain: vec!["example.org".into(), "xn--bcher-kva.example".into()],
                ..rule(Policy::Always)
            },
        ]);
        let policy = |url: &str| {
            let (request, address) = page("bob@remote.example", url);
            rules.policy(&request, Some(&address))
        };
        assert_eq!(policy("https://example.org/"), Policy::Always);
        assert_eq!(policy("https://wiki.example.org/a"), Policy::Always);
        assert_eq!(policy("https://bücher.example/"), Policy::Always);
        assert_eq!(policy("https://bad.example.org/"), Policy::Never);
        assert_eq!(policy("https://x.bad.example.org:8443/"), Policy::Never);
        assert_eq!(policy("https://notexample.org/"), Policy::Ask);
        assert_eq!(policy("https://example.org.evil.example/"), Policy::Ask);
        assert_eq!(policy("https://evil.example/example.org"), Policy::Ask);
        assert!(
            !rules.serves(Task::ActivateClient),
            "domains are of pages only"
        );
    }

    #[test]
    fn requesters_are_addresses_or_whole_domains() {
        let rules = rules(vec![
            Rule {
                from: vec![bare("bob@remote.example")],
                ..rule(Policy::Never)
            },
            Rule {
                from: vec![bare("remote.example")],
                ..rule(Policy::Always)
            },
        ]);
        let policy = |who: &str| {
            let (request, address) = page(who, "https://example.org/");
            rules.policy(&request, Some(&address))
        };
        assert_eq!(policy("bob@remote.example"), Policy::Never);
        assert_eq!(policy("carol@remote.example"), Policy::Always);
        assert_eq!(policy("remote.example"), Policy::Always);
        assert_eq!(policy("bob@sub.remote.example"), Policy::Ask);
        assert_eq!(policy("bob@xremote.example"), Policy::Ask);
    }

    #[test]
    fn every_part_of_a_rule_must_fit() {
        let rules = rules(vec![Rule {
            level: vec!["trusted".into()],
            right: vec![Task::StartModule],
            module: vec!["agenda".into()],
            ..rule(Policy::Always)
        }]);
        let policy = |level: &str, module: &str| {
            let wish = Wish::StartModule {
                module: module.into(),
                arguments: Vec::new(),
            };
            rules.policy(&request("a@b.example", level, wish), None)
        };
        assert_eq!(policy("trusted", "agenda"), Policy::Always);
        assert_eq!(policy("trusted", "other"), Policy::Ask);
        assert_eq!(policy("authorized", "agenda"), Policy::Ask);
        assert_eq!(
            rules.policy(
                &request("a@b.example", "trusted", Wish::ActivateClient),
                None
            ),
            Policy::Never
        );
    }

    #[test]
    fn a_right_is_served_while_something_allows_it() {
        let none = Rules {
            open_url: Policy::Never,
            ..rules(Vec::new())
        };
        assert!(!none.serves(Task::OpenUrl));
        let some = Rules {
            list: vec![Rule {
                domain: vec!["example.org".into()],
                ..rule(Policy::Ask)
            }],
            ..none
        };
        assert!(some.serves(Task::OpenUrl) && !some.serves(Task::ActivateClient));
        let none = Rules {
            open_url: Policy::Never,
            ..rules(Vec::new())
        };
        let refused = Rules {
            list: vec![rule(Policy::Never)],
            ..none
        };
        assert!(!refused.serves(Task::OpenUrl));
    }
}
