//! Values as they were typed, and the types they are read as. Which key is which, `check` knows.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

/// How much of a wrong value is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// A value as typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A TOML string.
    Text(String),
    /// A TOML integer or float.
    Number(f64),
    /// A TOML boolean.
    Truth(bool),
    /// A TOML array, each element with its offset in the file.
    List(Vec<(usize, Self)>),
    /// An environment variable: text, or a number or a list in text.
    Variable(String),
    /// What no key takes, as shown to the operator.
    Other(String),
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(integer) => match decimal(integer) {
                Some(number) => Self::Number(number),
                None => Self::Other(integer.to_string()),
            },
            DeValue::Float(float) => match float.as_str().parse() {
                Ok(number) => Self::Number(number),
                Err(_) => Self::Other(float.to_string()),
            },
            DeValue::Array(array) => Self::List(
                array
                    .iter()
                    .map(|element| (element.span().start, element.get_ref().into()))
                    .collect(),
            ),
            DeValue::Boolean(boolean) => Self::Truth(*boolean),
            DeValue::Datetime(datetime) => Self::Other(datetime.to_string()),
            DeValue::Table(_) => Self::Other("a table".to_owned()),
        }
    }
}

/// Integers above 2^53 lose digits that no key of ours needs.
fn decimal(integer: &DeInteger<'_>) -> Option<f64> {
    i64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .map(|integer| integer as f64)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Variable(text) => f.write_str(&shown(text)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::List(_) => f.write_str("a list"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Text in quotes, not more of it than fits a line, and nothing in it that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl Value {
    /// What kind of value this is, without the value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(text) | Self::Variable(text) if text.is_empty() => "empty text",
            Self::Text(_) | Self::Variable(_) => "text",
            Self::Number(_) => "a number",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(_) => "something else",
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// Yes or no.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            Self::Variable(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A finite number, not negative.
    pub(super) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Variable(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        // `-0.0` is 0, and shall look like it.
        (number.is_finite() && number >= 0.0).then(|| number.abs())
    }

    /// Bytes: `"64MiB"`, or a whole number of them.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Number(number) if *number >= 0.0 && number.fract() == 0.0 => Some(*number as u64),
            Self::Text(text) | Self::Variable(text) => size(text.trim()),
            _ => None,
        }
    }

    /// A time: `"24h"`, or 0.
    pub(super) fn duration(&self) -> Option<Duration> {
        match self {
            Self::Number(number) if *number == 0.0 => Some(Duration::ZERO),
            Self::Text(text) | Self::Variable(text) => duration(text.trim()),
            _ => None,
        }
    }

    /// The texts of a list, each with its offset in the file; in the environment they are separated by
    /// commas or white space.
    pub(super) fn list(&self) -> Option<Vec<(usize, Self)>> {
        match self {
            Self::List(elements) => Some(elements.clone()),
            Self::Variable(text) => Some(
                text.split([',', ' ', '\t', '\n'])
                    .filter(|element| !element.is_empty())
                    .map(|element| (0, Self::Variable(element.to_owned())))
                    .collect(),
            ),
            _ => None,
        }
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor: u64 = match unit.trim_start() {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(factor).map(Duration::from_secs)
}

/// Whether text names a host and a port: `host:port`, `127.0.0.1:port` or `[::1]:port`.
pub(super) fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = match host.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    is_port && is_host
}

/// Whether text can be the name of a party: it becomes the first label of a domain, and a part of
/// environment variables.
pub(super) fn is_party_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
