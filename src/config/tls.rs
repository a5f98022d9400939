//! TLS towards the server: whether, whom to trust, and whom its certificate must name.

use std::net::IpAddr;

use rustls_pki_types::ServerName;

use super::check::Check;
use super::value::Value;
use crate::link::{Tls, Untrusting};

/// Bytes of a file of authorities: the list of a whole system has 220 KB.
const PEM_BYTES_MAX: u64 = 1 << 20;

const TLS: &str = "component.tls";
const AUTHORITIES: &str = "component.tls-ca";
const NAME: &str = "component.tls-name";

impl Check<'_> {
    /// How the connection to `server` is encrypted; `None` where it is not to be.
    pub(super) fn tls(&mut self, server: &str) -> Option<Tls> {
        let wanted = self.read(TLS, "true or false", Value::truth);
        let name = self.read(
            NAME,
            "the name in the server's certificate, such as \"xmpp.example.org\", or an IP address",
            |value| server_name(value.text()?),
        );
        let authorities = self
            .keys
            .get(AUTHORITIES)
            .cloned()
            .map(|found| (self.file(&found, PEM_BYTES_MAX), found));
        if wanted != Some(true) {
            for key in [AUTHORITIES, NAME] {
                if let Some(found) = self.keys.get(key).cloned()
                    && (wanted.is_some() || !self.keys.contains_key(TLS))
                {
                    self.problem(&found, "stands without tls = true");
                }
            }
            return None;
        }
        let text = match authorities {
            None => None,
            Some((None, _)) => return None,
            Some((Some((path, text, _)), found)) => Some((path, text, found)),
        };
        let name = match name {
            Some(name) => name,
            // What was typed there has been found wrong.
            None if self.keys.contains_key(NAME) => return None,
            None => self.host(server)?,
        };
        let pem = text.as_ref().map(|(_, text, _)| text.as_str());
        match (Tls::new(pem, name), text) {
            (Ok(tls), _) => Some(tls),
            (Err(why), Some((path, _, found))) => {
                self.problem(&found, &format!("{} {why}", path.display()));
                None
            }
            (Err(why), None) => {
                self.untrusting(&why);
                None
            }
        }
    }

    /// The host of the server's address, for its certificate to name.
    fn host(&mut self, server: &str) -> Option<ServerName<'static>> {
        let (host, _) = server.rsplit_once(':')?;
        let name = server_name(host.trim_matches(['[', ']']));
        if name.is_none()
            && let Some(found) = self.keys.get("component.server").cloned()
        {
            let what = "names a host that no certificate can be for, expected tls-name beside it";
            self.problem(&found, what);
        }
        name
    }

    fn untrusting(&mut self, why: &Untrusting) {
        if let Some(found) = self.keys.get(TLS).cloned() {
            self.problem(&found, &why.to_string());
        }
    }
}

fn server_name(text: &str) -> Option<ServerName<'static>> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::from(address)),
        Err(_) => ServerName::try_from(text.to_owned()).ok(),
    }
}
