//! How a partner's stream begins (XEP-0114 §3): its header, ours, its `<handshake/>`, ours.
//!
//! An unknown name and a wrong secret get the same answer, as on ejabberd: a stranger is not told which
//! parties there are.

use super::Admission;
use crate::address::Bare;
use crate::link::error::{Error, Stage, Violation};
use crate::link::handshake::{digest, is_handshake, next, stream_header};
use crate::link::parse::StreamHeader;
use crate::link::stream::{Inbound, Link};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

/// How long a wrong secret is thought about: guessing stays slow, a typo costs nothing.
const AFTER_WRONG_SECRET: Duration = Duration::from_secs(1);

/// Stands for the secret of a party that does not exist.
const NOBODYS: &str = "";

/// Why a connection did not become a partner; in the operator's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Neither `to` nor `from` is the domain of a party.
    #[error("it wants to attach as {0:?}, which is no domain directly below ours")]
    HostUnknown(String),
    /// The header says two names.
    #[error("its stream header is from {0:?}, but for another party")]
    InvalidFrom(String),
    /// No such party, one without a link-secret, or another secret.
    #[error("party {0:?} is unknown, has no link-secret, or has another one")]
    NotAuthorized(String),
    /// It said something else than an XEP-0114 stream says.
    #[error("{}", .0.by_partner())]
    Stream(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Stream(error)
    }
}

/// Lets a partner attach over `link`, on which nothing has been said. `id` is the stream's, to be used
/// once. After a refusal the fitting stream error is queued.
///
/// Returns the party's name and domain.
pub(super) async fn perform<Io: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<Io>,
    admission: &Admission,
    id: &str,
) -> Result<(String, Bare), Refused> {
    let ours = admission.domain.bare().as_str();
    // For an error before we know whom we speak to.
    link.set_header(stream_header(&[("from", ours), ("id", id)]).as_bytes());
    let header = match next(link).await? {
        Inbound::Header(header) if header.of_component => header,
        Inbound::Header(_) => {
            return Err(link.violated(Violation::invalid_namespace()).into());
        }
        _ => {
            return Err(link
                .violated(Violation::bad_format("no stream header"))
                .into());
        }
    };
    let (name, domain) = match named(&header, admission) {
        Ok(named) => named,
        Err(refused) => {
            link.refuse(match refused {
                Refused::InvalidFrom(_) => "invalid-from",
                _ => "host-unknown",
            });
            return Err(refused);
        }
    };
    link.set_header(stream_header(&[("from", domain.as_str()), ("id", id)]).as_bytes());
    link.open();
    link.enter(Stage::Handshake);
    let shown = match next(link).await? {
        Inbound::Element(element) if is_handshake(&element) => element.text(),
        // A stanza before the handshake (ejabberd answers the same).
        _ => String::new(),
    };
    let secret = admission.secrets.get(&name);
    let expected = digest(id, secret.map_or(NOBODYS, String::as_str));
    let is_right = bool::from(expected.as_bytes().ct_eq(shown.trim().as_bytes()));
    if !(is_right && secret.is_some()) {
        sleep(AFTER_WRONG_SECRET).await;
        link.refuse("not-authorized");
        return Err(Refused::NotAuthorized(name));
    }
    link.queue(b"<handshake/>");
    link.restrict_to(domain.clone());
    link.enter(Stage::Stanzas);
    Ok((name, domain))
}

/// The party that a header names: in `to`, as XEP-0114 §3 has it; or in `from`, with us in `to`.
fn named(header: &StreamHeader, admission: &Admission) -> Result<(String, Bare), Refused> {
    let read = |text: &Option<String>| text.as_deref().and_then(|text| Bare::parse(text).ok());
    let shown = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        text.chars().take(SHOWN_CHARS_MAX).collect::<String>()
    };
    let (to, from) = (read(&header.to), read(&header.from));
    let domain = match (to, &from) {
        (Some(to), Some(from)) if to == *admission.domain.bare() => from.clone(),
        (Some(to), _) => to,
        (None, _) => return Err(Refused::HostUnknown(shown(&header.to))),
    };
    let Some(name) = admission.party(&domain) else {
        return Err(Refused::HostUnknown(
            domain.as_str().chars().take(SHOWN_CHARS_MAX).collect(),
        ));
    };
    if header.from.is_some() && from.as_ref() != Some(&domain) {
        return Err(Refused::InvalidFrom(shown(&header.from)));
    }
    Ok((name.to_owned(), domain))
}

/// How much of a stranger's words gets into the log.
const SHOWN_CHARS_MAX: usize = 100;
