//! The web face: where it listens, how it is reached, and how much one address may ask.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::check::Check;
use super::raw::Found;
use super::secret::Secret;
use super::value::{Value, shown};
use crate::component::web::{TOKENS, VISITORS};

/// Requests a second of one address, or of one party, in the long run, and at once: a page with a hundred badges
/// is read at once, and then again when somebody comes back.
const REQUEST_RATE: f64 = 20.0;
const REQUEST_BURST: f64 = 300.0;
/// Live streams in all, and of one address: each is a connection and some KiB.
const STREAMS: usize = 2000;
const STREAMS_PER_ADDRESS: usize = 50;
/// What the machine could never hold.
const STREAMS_MAX: usize = 100_000;
/// Characters of a party's token: fewer could be tried out.
const TOKEN_CHARS_MIN: usize = 16;

/// The checked section.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it is reached from outside: scheme, host and port without a slash at the end.
    pub base_url: Option<String>,
    /// Whose word counts about who asks.
    pub trusted_proxies: Vec<Network>,
    /// Requests a second of one address or party, in the long run; 0 is no limit.
    pub request_rate: f64,
    /// The same at once.
    pub request_burst: f64,
    /// Live streams in all.
    pub streams: usize,
    /// Live streams of one address or party.
    pub streams_per_address: usize,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, `::1` and the like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().ok()?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all)?,
            None => all,
        };
        Some(Self { first, bits })
    }

    /// Whether an address is among them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differs =
            |a: u128, b: u128, all: u32| self.bits > 0 && (a ^ b) >> (all - self.bits) != 0;
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                !differs(first.to_bits().into(), address.to_bits().into(), 32)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                !differs(first.to_bits(), address.to_bits(), 128)
            }
            _ => false,
        }
    }
}

impl Check<'_> {
    /// The section; `None` where there is no listener.
    pub(super) fn http(&mut self) -> Option<Http> {
        let base_url = self.read(
            "http.base-url",
            "the address of a web site without a path, such as \"https://presence.example.org\"",
            |value| origin(value.text()?),
        );
        let trusted_proxies = self.list(
            "http.trusted-proxies",
            "a list of addresses such as [\"127.0.0.1\"]",
            "an address, or a network such as \"10.0.0.0/8\"",
            Network::parse,
        );
        let rate = self.read(
            "http.requests-per-second",
            "requests a second, 0 for no limit",
            Value::number,
        );
        let burst = self.read("http.requests-burst", "at least 1 request", |value| {
            value.number().filter(|burst| *burst >= 1.0)
        });
        let streams = self.streams("http.streams");
        let streams_per_address = self.streams("http.streams-per-address");
        let listen = self.read(
            "http.listen",
            "an address of this machine and a port such as \"127.0.0.1:8088\"",
            |value| {
                let address: SocketAddr = value.text()?.parse().ok()?;
                (address.port() != 0).then_some(address)
            },
        )?;
        let trusted_proxies = trusted_proxies.unwrap_or_default();
        if !listen.ip().to_canonical().is_loopback() && trusted_proxies.is_empty() {
            let what = "not a loopback address, expected trusted-proxies beside it: what comes over a network \
                        is not encrypted here, so that a proxy must do it";
            if let Some(found) = self.keys.get("http.listen").cloned() {
                self.problem(&found, what);
            }
        }
        Some(Http {
            listen,
            base_url,
            trusted_proxies,
            request_rate: rate.unwrap_or(REQUEST_RATE),
            request_burst: burst.unwrap_or(REQUEST_BURST),
            streams: streams.unwrap_or(STREAMS),
            streams_per_address: streams_per_address.unwrap_or(STREAMS_PER_ADDRESS),
        })
    }

    fn streams(&mut self, key: &str) -> Option<usize> {
        let expected = format!("a whole number from 1 to {STREAMS_MAX}");
        self.read(key, &expected, |value| {
            let n = value.number()?;
            let is_fit = n.fract() == 0.0 && n >= 1.0 && n <= STREAMS_MAX as f64;
            is_fit.then_some(n as usize)
        })
    }

    /// The token by which a party is known over the web.
    pub(super) fn party_token(&mut self, others: &BTreeMap<String, Secret>) -> Option<Secret> {
        let token = self.secret("party.http-token")?;
        let keys = ["party.http-token", "party.http-token-file"];
        let found: Found = keys.iter().find_map(|key| self.keys.get(*key))?.clone();
        let text = token.expose();
        if text.len() < TOKEN_CHARS_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what =
                format!("expected at least {TOKEN_CHARS_MIN} plain characters without spaces");
            self.problem(&found, &what);
            return None;
        }
        if let Some((owner, _)) = others.iter().find(|(_, other)| **other == token) {
            let what = format!("expected a token of its own; party {} has it", shown(owner));
            self.problem(&found, &what);
            return None;
        }
        Some(token)
    }

    /// Checks that the name of a party is not one that others have over the web.
    pub(super) fn reserved(&mut self, name: &str) {
        if [VISITORS, TOKENS].contains(&name)
            && let Some(found) = self.keys.get("party.name").cloned()
        {
            self.wrong(
                &found,
                "another name: this one is for visitors of the web face",
            );
        }
    }
}

fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_plain.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let has = |network: &str, address: &str| {
            let network = Network::parse(network).unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.255.1.2"));
        assert!(!has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("127.0.0.1", "127.0.0.1") && !has("127.0.0.1", "127.0.0.2"));
        assert!(has("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && has("::/0", "::1"));
        assert!(!has("::1", "127.0.0.1"));
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "example.org",
        ] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
