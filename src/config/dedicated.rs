//! The dedicated link: where it listens, with which certificate, and how much it takes of a partner.

use std::net::SocketAddr;

use super::check::Check;
use super::secret::Secret;
use super::value::Value;
use super::{Config, key};
use crate::address::ComponentDomain;
use crate::driver::Rate;
use crate::link::dedicated::{Acceptor, Admission, Unusable};

/// Bytes of a certificate with its chain, and of a key: what is given by mistake has more.
const PEM_BYTES_MAX: u64 = 256 * 1024;

/// Stanzas a second of one partner, in the long run: as many answers as one domain gets.
const STANZA_RATE: f64 = 500.0;

/// Stanzas of one partner at once: the probes of a partner that watches all of a large server begin with it.
const STANZA_BURST: f64 = 20_000.0;

/// The checked section.
#[derive(Clone, Debug, PartialEq)]
pub struct Dedicated {
    /// Where it listens.
    pub listen: SocketAddr,
    /// With which certificate; `None`: connections are not encrypted, which only a loopback address may do.
    pub certificate: Option<Certificate>,
    /// Stanzas a second that are taken of one partner in the long run; 0 is no limit.
    pub stanza_rate: f64,
    /// Stanzas that are taken at once.
    pub stanza_burst: f64,
}

/// A certificate and its key, which fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Certificates in PEM, our own first.
    pub chain: String,
    /// The key in PEM.
    pub key: Secret,
}

impl Config {
    /// How many stanzas are taken of each partner.
    #[must_use]
    pub fn stanza_rate(&self) -> Rate {
        Rate {
            per_s: self
                .dedicated
                .as_ref()
                .map_or(STANZA_RATE, |one| one.stanza_rate),
            burst: self
                .dedicated
                .as_ref()
                .map_or(STANZA_BURST, |one| one.stanza_burst),
        }
    }

    /// Who may attach to the dedicated link.
    ///
    /// # Errors
    ///
    /// Where the certificate, which was found good, cannot be used any more.
    pub fn admission(&self) -> Result<Admission, Unusable> {
        let certificate = self
            .dedicated
            .as_ref()
            .and_then(|one| one.certificate.as_ref());
        Ok(Admission {
            domain: self.domain.clone(),
            secrets: self
                .links
                .iter()
                .map(|(name, secret)| (name.clone(), secret.expose().to_owned()))
                .collect(),
            tls: certificate
                .map(|one| Acceptor::new(&one.chain, one.key.expose()))
                .transpose()?,
        })
    }
}

impl Check<'_> {
    /// The section; `None` where there is no listener.
    pub(super) fn dedicated(&mut self) -> Option<Dedicated> {
        let certificate = self.certificate();
        let rate = self.read(
            "dedicated.stanza-rate",
            "stanzas a second, 0 for no limit",
            Value::number,
        );
        let burst = self.read("dedicated.stanza-burst", "at least 1 stanza", |value| {
            value.number().filter(|burst| *burst >= 1.0)
        });
        let listen = self.read(
            "dedicated.listen",
            "an address of this machine and a port such as \"127.0.0.1:5348\"",
            |value| {
                let address: SocketAddr = value.text()?.parse().ok()?;
                (address.port() != 0).then_some(address)
            },
        )?;
        let found = self.keys.get("dedicated.listen").cloned()?;
        let is_encrypted = ["dedicated.tls-cert", "dedicated.tls-key"]
            .iter()
            .any(|key| self.keys.contains_key(*key));
        if !listen.ip().to_canonical().is_loopback() && !is_encrypted {
            let what = "not a loopback address, expected tls-cert and tls-key beside it: secrets and \
                        presence would go over a network that others may read";
            self.problem(&found, what);
        }
        Some(Dedicated {
            listen,
            certificate,
            stanza_rate: rate.unwrap_or(STANZA_RATE),
            stanza_burst: burst.unwrap_or(STANZA_BURST),
        })
    }

    fn certificate(&mut self) -> Option<Certificate> {
        let cert = self.keys.get("dedicated.tls-cert").cloned();
        let key = self.keys.get("dedicated.tls-key").cloned();
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (Some(alone), None) => {
                self.problem(&alone, "stands without tls-key");
                return None;
            }
            (None, Some(alone)) => {
                self.problem(&alone, "stands without tls-cert");
                return None;
            }
            (None, None) => return None,
        };
        let chain = self.file(&cert, PEM_BYTES_MAX);
        let secret = self.private_file(&key, PEM_BYTES_MAX);
        let ((cert_path, chain, _), (key_path, secret)) = (chain?, secret?);
        match Acceptor::new(&chain, &secret) {
            Ok(_) => Some(Certificate {
                chain,
                key: Secret::new(secret),
            }),
            Err(unusable) => {
                let (found, path) = match unusable {
                    Unusable::NoCertificate => (cert, cert_path),
                    Unusable::NoKey | Unusable::Pair(_) => (key, key_path),
                };
                self.problem(&found, &format!("{} {unusable}", path.display()));
                None
            }
        }
    }

    /// Checks that the name of a party that attaches makes a domain below ours.
    pub(super) fn partner(&mut self, name: &str, ours: Option<&ComponentDomain>) {
        let Some(found) = self.keys.get(&format!("{}.name", key::PARTY)).cloned() else {
            return;
        };
        let Some(ours) = ours.filter(|_| !name.is_empty()) else {
            return;
        };
        if ours.partner(name).is_none() {
            let what = format!("a name that makes a domain of NAME.{}", ours.bare());
            self.wrong(&found, &what);
        }
    }
}
