//! Which web addresses may be opened on a person's screen at the wish of somebody else.
//!
//! One parser decides (the `url` crate, WHATWG), and only what it wrote down again travels, so that
//! nobody further on can read the address otherwise. The name is judged, not where it leads: the
//! program that opens the address asks the DNS itself, and later than we could.

use url::{Host, Url};

/// The longest address, in bytes, as typed and as written down: what the forms carry in one field.
pub const BYTES_MAX: usize = 2_048;

/// The longest domain name, in bytes, without a final dot.
const DOMAIN_BYTES_MAX: usize = 253;

/// The longest label of a domain name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Names that lead into the person's own machine or network, or that a browser without the right
/// software would tell to the public DNS (`onion`). Each stands for itself and all below it.
const LOCAL: [&str; 13] = [
    "alt",
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "router",
];

/// Ports where something else than a web server listens, which would read the text of a browser's
/// request as commands of its own protocol: mail, shells, files, names, chats, databases.
const PORTS: [u16; 44] = [
    0, 7, 9, 13, 19, 20, 21, 22, 23, 25, 53, 69, 79, 110, 111, 119, 123, 135, 137, 138, 139, 143,
    161, 179, 389, 445, 465, 514, 587, 636, 993, 995, 2049, 3306, 3389, 5060, 5061, 5222, 5269,
    5432, 6000, 6379, 6667, 11211,
];

/// A checked address, in the form in which it was written down again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(String);

impl WebAddress {
    /// The serialised form: ASCII, the domain in lower case and in punycode.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain name, in punycode, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', ':', '?', '#']).next().unwrap_or_default()
    }
}

/// Which schemes are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `https` only.
    Https,
    /// `https` and `http`.
    HttpToo,
}

/// Why an address is not opened, in words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing there.
    #[error("the address is empty")]
    Empty,
    /// Over [`BYTES_MAX`].
    #[error("the address is longer than 2048 bytes")]
    TooLong,
    /// Spaces, control characters, and those that change the direction of writing or cannot be seen.
    #[error("the address contains spaces or characters that cannot be seen")]
    Characters,
    /// Read by browsers as a slash, by others as a letter.
    #[error("the address contains a backslash")]
    Backslash,
    /// Another scheme, or none.
    #[error("only https addresses can be opened")]
    Scheme,
    /// Not an address at all.
    #[error("this is not a web address")]
    Unreadable,
    /// A user name before the host looks like a host.
    #[error("the address contains a user name or a password")]
    Credentials,
    /// A number instead of a name.
    #[error("the address names a machine by number, not by name")]
    Number,
    /// A name of the own machine or network.
    #[error("the address leads into a local network")]
    Local,
    /// Not a domain name of the public internet.
    #[error("the address has no public domain name")]
    Domain,
    /// A port of another protocol.
    #[error("the address names a port that is not for web pages")]
    Port,
}

/// Checks an address; only `https` is allowed.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(text: &str) -> Result<WebAddress, Refusal> {
    check_with(text, Schemes::Https)
}

/// Checks an address; the schemes are the caller's choice.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_with(text: &str, schemes: Schemes) -> Result<WebAddress, Refusal> {
    typed(text)?;
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => Refusal::Scheme,
        url::ParseError::InvalidIpv4Address | url::ParseError::InvalidIpv6Address => {
            Refusal::Number
        }
        url::ParseError::InvalidPort => Refusal::Port,
        _ => Refusal::Unreadable,
    })?;
    if !(url.scheme() == "https" || (schemes == Schemes::HttpToo && url.scheme() == "http")) {
        return Err(Refusal::Scheme);
    }
    authority_as_typed(text, url.scheme())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    let Some(Host::Domain(domain)) = url.host() else {
        return Err(Refusal::Number);
    };
    let plain = domain.strip_suffix('.').unwrap_or(domain);
    public(plain)?;
    if url.port().is_some_and(|port| PORTS.contains(&port)) {
        return Err(Refusal::Port);
    }
    let written = without_final_dot(&url, domain, plain)?;
    if written.len() > BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    Ok(WebAddress(written))
}

/// What must not even be typed: the parser would repair it in silence.
fn typed(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    if text.len() > BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    if text.chars().any(|c| c.is_whitespace() || is_unseen(c)) {
        return Err(Refusal::Characters);
    }
    if text.contains('\\') {
        return Err(Refusal::Backslash);
    }
    Ok(())
}

/// The part with the host as it was typed: exactly `scheme://host[:port]`. The parser takes any
/// number of slashes, drops an empty user name and undoes percent-encoding; other programs do not.
fn authority_as_typed(text: &str, scheme: &str) -> Result<(), Refusal> {
    let rest = text
        .get(scheme.len()..)
        .and_then(|rest| rest.strip_prefix("://"))
        .filter(|rest| !rest.starts_with('/'))
        .ok_or(Refusal::Unreadable)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Refusal::Credentials);
    }
    if authority.contains('%') {
        return Err(Refusal::Domain);
    }
    Ok(())
}

/// A name of the public internet: two labels or more, none of them local.
fn public(domain: &str) -> Result<(), Refusal> {
    let is_below = |name: &&str| {
        domain == *name
            || domain
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    if LOCAL.iter().any(is_below) {
        return Err(Refusal::Local);
    }
    let well_formed = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let labels = domain.split('.').count();
    if labels < 2 || domain.len() > DOMAIN_BYTES_MAX || !domain.split('.').all(well_formed) {
        return Err(Refusal::Domain);
    }
    Ok(())
}

/// The address as it is written down. A final dot of the domain is dropped: with it the same page has
/// another origin, and lists of domains do not match.
fn without_final_dot(url: &Url, domain: &str, plain: &str) -> Result<String, Refusal> {
    if domain == plain {
        return Ok(url.as_str().to_owned());
    }
    let mut url = url.clone();
    let plain = plain.to_owned();
    url.set_host(Some(&plain)).map_err(|_| Refusal::Domain)?;
    Ok(url.into())
}

/// Whether a character does not show, or changes how others show: controls, the marks and overrides of
/// writing direction, joiners, fillers, tags, and a byte-order mark.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
