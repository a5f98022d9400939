//! Who asks: the network address, by a proxy's word where that counts, and what is shown in `Authorization`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use sha2::{Digest, Sha256};

use super::Face;
use super::respond::Fault;
use crate::component::web::{Problem, Shown, Who};
use crate::config::Config;

/// The operator's tokens for parties: by their digests, so that none is compared character by character.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tokens(HashMap<[u8; 32], Arc<str>>);

impl Tokens {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let tokens = config.web_tokens.iter();
        let tokens = tokens.map(|(name, token)| (digest(token.expose()), name.as_str().into()));
        Self(tokens.collect())
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: IpAddr,
    /// The same as budgets are kept by.
    place: Arc<str>,
}

impl Peer {
    pub(super) fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            place: place(address).into(),
        }
    }
}

/// Who asks, with what the budget is kept by.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) who: Who,
    /// The network address, or the party.
    pub(super) payer: Arc<str>,
}

impl Asker {
    /// Whether nothing was shown.
    pub(super) fn is_visitor(&self) -> bool {
        matches!(self.who, Who::Visitor(_))
    }

    /// Whether a secret of the configuration was shown.
    pub(super) fn is_party(&self) -> bool {
        matches!(self.who, Who::Party(_))
    }
}

impl Face {
    /// Counts a request that costs so much, and finds out who asks; an error where the budget is spent.
    pub(super) fn admit(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        cost: usize,
    ) -> Result<Asker, Fault> {
        self.metrics.web_requests.add(1);
        let asker = self.asker(peer, headers)?;
        self.budget.take(&asker.payer, cost)?;
        Ok(asker)
    }

    /// Finds out who asks.
    pub(super) fn asker(&self, peer: &Peer, headers: &HeaderMap) -> Result<Asker, Fault> {
        let address = self.place(peer, headers);
        let Some(shown) = headers.get(AUTHORIZATION) else {
            return Ok(Asker {
                who: Who::Visitor(address.clone()),
                payer: address,
            });
        };
        let shown = shown.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let shown = shown.ok_or(Fault::Problem(Problem::TokenInvalid))?;
        if let Some(name) = self.tokens.borrow().0.get(&digest(shown)) {
            return Ok(Asker {
                who: Who::Party(name.clone()),
                payer: format!("party {name}").into(),
            });
        }
        Ok(Asker {
            who: Who::Token(Shown(shown.into()), address.clone()),
            payer: address,
        })
    }

    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        let proxies = &self.settings.trusted_proxies;
        proxies.iter().any(|network| network.contains(address))
    }

    /// Where a request came from. What a proxy of ours adds at the end of `X-Forwarded-For` counts; what stands
    /// before that anybody may have written.
    fn place(&self, peer: &Peer, headers: &HeaderMap) -> Arc<str> {
        let mut address = peer.address;
        let lines = headers.get_all("x-forwarded-for");
        let all: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .collect();
        for text in all.iter().rev() {
            if !self.is_trusted(address) {
                break;
            }
            match text.trim().parse::<IpAddr>() {
                Ok(before) => address = before.to_canonical(),
                Err(_) => break,
            }
        }
        match address == peer.address {
            true => peer.place.clone(),
            false => place(address).into(),
        }
    }

    /// How we are reached, by the configuration, else as the request has it: scheme, host and port.
    pub(super) fn base_url(&self, peer: &Peer, headers: &HeaderMap) -> Option<String> {
        if let Some(base) = &self.settings.base_url {
            return Some(base.clone());
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let host = headers.get(HOST)?.to_str().ok()?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return None;
        }
        let forwarded = text("x-forwarded-proto").filter(|_| self.is_trusted(peer.address));
        let scheme = match forwarded {
            Some("https") => "https",
            _ => "http",
        };
        Some(format!("{scheme}://{}", host.to_ascii_lowercase()))
    }

    /// Whether a request comes from a page of ours: what a visitor does by a page of somebody else is not his
    /// will (security.md T61).
    pub(super) fn is_same_origin(&self, peer: &Peer, headers: &HeaderMap) -> bool {
        let site = headers.get("sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return false;
        }
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        match (origin, self.base_url(peer, headers)) {
            (Some(origin), Some(base)) => origin.eq_ignore_ascii_case(&base),
            _ => false,
        }
    }
}

/// An address as budgets are kept by: of IPv6 the network that one customer has as a rule.
fn place(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
