//! The normal form of each part of a JID (RFC 7622 §3.2 around the crate `jid`'s stringprep).
//!
//! The crate leaves the final dot on some paths, knows only the ASCII dot and keeps A-labels as they
//! are, and its results are not always their own normal form; what is added here closes that. Nothing
//! is escaped or unescaped here.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use jid::{DomainPart, NodePart, ResourcePart};

/// The most bytes of a part in normal form (RFC 7622 §3.1).
const PART_BYTES_MAX: usize = 1023;

/// The most bytes of a part as typed. Characters of 4 bytes may fold to one; what is longer still can
/// only be padding, and preparing it costs more than it is worth.
const TYPED_BYTES_MAX: usize = 4 * PART_BYTES_MAX;

/// The most bytes of a domain name, and of a label in it (RFC 1035 §2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Whether a bare JID is beyond doubt in normal form already: lower-case letters, digits and a few
/// marks of ASCII. Nearly all are, and then nothing is allocated to find out.
///
/// May say no to what is normal, never yes to what is not; a property test holds it to [`bare`].
pub(super) fn is_plain(text: &str) -> bool {
    match memchr::memchr(b'@', text.as_bytes()) {
        Some(at) => {
            let (local, domain) = (&text[..at], &text[at + 1..]);
            (1..=PART_BYTES_MAX).contains(&local.len())
                && local.bytes().all(|byte| {
                    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'+' | b'\\')
                })
                && is_plain_domain(domain)
        }
        None => is_plain_domain(text),
    }
}

fn is_plain_domain(domain: &str) -> bool {
    domain.len() <= DOMAIN_BYTES_MAX
        && domain.as_bytes().split(|byte| *byte == b'.').all(|label| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.first() != Some(&b'-')
                && label.last() != Some(&b'-')
                // Two hyphens in a row may be the mark of an A-label.
                && !label.windows(2).any(|two| two == b"--")
                && label
                    .iter()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        })
}

/// The normal form of a bare JID or a domain.
pub(super) fn bare(text: &str) -> Option<String> {
    // With the first slash a resource begins: not a bare JID. What follows the first "@" is the domain
    // (RFC 7622 §3.2), and a second one is refused in it.
    if text.contains('/') {
        return None;
    }
    match text.split_once('@') {
        Some((localpart, domainpart)) => {
            Some(format!("{}@{}", local(localpart)?, domain(domainpart)?))
        }
        None => domain(text),
    }
}

/// The normal form of a localpart: nodeprep.
fn local(text: &str) -> Option<String> {
    fixed_point(text, |text| {
        let node = NodePart::new(text).ok()?;
        Some(node.as_str().to_owned())
    })
}

/// The normal form of a domainpart: an IP literal, or nameprep with U-labels and without final dot.
fn domain(text: &str) -> Option<String> {
    fixed_point(text, |text| {
        if let Some(literal) = text.strip_prefix('[') {
            // RFC 5952 gives each IPv6 address one spelling, and `Ipv6Addr` writes it.
            let ip: Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
            return Some(format!("[{ip}]"));
        }
        let dotted: Cow<'_, str> = if text.contains(IDEOGRAPHIC_DOTS) {
            text.replace(IDEOGRAPHIC_DOTS, ".").into()
        } else {
            text.into()
        };
        let stripped = dotted.strip_suffix('.').unwrap_or(&dotted);
        // The crate would strip one more dot.
        if stripped.split('.').any(str::is_empty) {
            return None;
        }
        let name = DomainPart::new(stripped).ok()?;
        unicode(name.as_str())
    })
}

/// What RFC 3490 §3.1 has as dots beside U+002E.
const IDEOGRAPHIC_DOTS: [char; 3] = ['\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Turns A-labels into U-labels (RFC 7622 §3.2).
///
/// UTS 46 refuses a label that would not come back the same way, and [`fixed_point`] one whose U-label
/// nameprep changes: `xn--fa-hia.de` is `faß.de`, which it makes `fass.de`, the name of somebody else.
fn unicode(name: &str) -> Option<String> {
    if !name.contains("xn--") {
        return Some(name.to_owned());
    }
    let (decoded, valid) =
        Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::URL, Hyphens::Check);
    valid.ok()?;
    Some(decoded.into_owned())
}

/// The normal form of a resource, else the resource itself where it does no harm.
pub(super) fn resource(text: &str) -> Option<Cow<'_, str>> {
    // Printable ASCII is its own form under resourceprep, and nearly all there is.
    if (1..=PART_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
    {
        return Some(text.into());
    }
    if let Some(prepared) = fixed_point(text, |text| {
        let resource = ResourcePart::new(text).ok()?;
        Some(resource.as_str().to_owned())
    }) {
        return Some(prepared.into());
    }
    // No server lets a control character through; in a log line it would forge another.
    let harmless = (1..=PART_BYTES_MAX).contains(&text.len())
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    harmless.then(|| text.into())
}

/// Prepares `text`, and refuses it if what comes out is not its own normal form.
///
/// Stringprep folds case before it decomposes: characters newer than Unicode 3.2 slip through it into
/// what it would fold again (U+1F130 becomes a capital A). Such a form would be a second key for one
/// address.
fn fixed_point(text: &str, prepare: impl Fn(&str) -> Option<String>) -> Option<String> {
    if text.len() > TYPED_BYTES_MAX {
        return None;
    }
    let prepared = prepare(text)?;
    let within = (1..=PART_BYTES_MAX).contains(&prepared.len());
    let settled = within && (prepared == text || prepare(&prepared).as_ref() == Some(&prepared));
    settled.then_some(prepared)
}
