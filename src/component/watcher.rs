//! Who asks, and where the request came in.
//!
//! The interface is a property of the listener and never of data (security: interface confusion): what
//! comes from the server's stream is public, what comes from a party's link is dedicated. The door in
//! `route` lets nothing through the one that speaks for an address of the other, so an address that is
//! stored, as that of a subscription, has one interface too: the way it is reached.

use super::authorization::Interface;
use super::record::Execution;
use crate::address::{Address, Bare, ComponentDomain};

/// A third party in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watcher {
    pub(super) bare: Bare,
    pub(super) interface: Interface,
    /// The public name of the token that it shows in this request, once found right.
    pub(super) token: Option<String>,
}

impl Watcher {
    pub(super) fn new(address: &Address, interface: Interface) -> Self {
        Self {
            bare: address.bare.clone(),
            interface,
            token: None,
        }
    }

    /// The same with a token that it shows.
    pub(super) fn with_token(self, token: Option<&str>) -> Self {
        Self {
            token: token.map(ToOwned::to_owned),
            ..self
        }
    }

    /// Who has asked for a command, with what was shown then.
    pub(super) fn of(execution: &Execution) -> Self {
        Self::new(&execution.watcher, execution.interface).with_token(execution.token.as_deref())
    }

    /// A stored address, on the interface that it is reached by.
    pub(super) fn stored(bare: &Bare, ours: &ComponentDomain) -> Self {
        let interface = match ours.below(bare) {
            Some(_) => Interface::Dedicated,
            None => Interface::Public,
        };
        Self {
            bare: bare.clone(),
            interface,
            token: None,
        }
    }
}
