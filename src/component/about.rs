//! What runs here and since when; when a user was last there. XEP-0092, XEP-0012.

use minidom::Element;
use xmpp_parsers::ns;

use super::authorization::Level;
use super::face::Face;
use super::reply::Refusal;
use super::{Component, Turn};
use crate::stanza::compose::{Compose, element};

/// The namespace of last activity (XEP-0012 §2).
pub(super) const NS_LAST: &str = "jabber:iq:last";

type Answer = Result<Option<Element>, Refusal>;

/// A query that asks with its name alone; anything in it is a mistake.
pub(super) fn is_bare(payload: &Element) -> Result<(), Refusal> {
    match payload.children().next() {
        None => Ok(()),
        Some(_) => Err(Refusal::BadRequest),
    }
}

/// Name and version of the component. The operating system is nobody's business (XEP-0092 §5).
pub(super) fn version(payload: &Element) -> Answer {
    is_bare(payload)?;
    let part = |name: &str, text: &str| {
        let mut part = element(name, ns::VERSION, &[]);
        part.append_text_node(text);
        part
    };
    let query = element("query", ns::VERSION, &[])
        .with(part("name", "Vestibule"))
        .with(part("version", env!("CARGO_PKG_VERSION")));
    Ok(Some(query))
}

/// For how long the component has been running (XEP-0012 §4).
pub(super) fn uptime(core: &Component, turn: &Turn, payload: &Element) -> Answer {
    is_bare(payload)?;
    let started = core.started.map_or(turn.now.mono, |started| started.mono);
    let up = turn.now.mono.saturating_sub(started);
    Ok(Some(last(up.as_secs(), None)))
}

/// The last activity of a user as a watcher may know it: none since she is there, else since when, with
/// the text that she left (XEP-0012 §3). Where she lets nobody know since when, it is refused.
pub(super) fn activity(turn: &Turn, face: &Face, level: Level) -> Answer {
    if face.state.is_some() {
        return Ok(Some(last(0, None)));
    }
    let since = face.since_for(level).ok_or(Refusal::Forbidden)?;
    let ms = turn.now.wall.0.saturating_sub(since.0);
    let seconds = u64::try_from(ms / 1000).unwrap_or(0);
    Ok(Some(last(seconds, face.text.as_deref())))
}

fn last(seconds: u64, text: Option<&str>) -> Element {
    let mut query = element("query", NS_LAST, &[("seconds", &seconds.to_string())]);
    if let Some(text) = text {
        query.append_text_node(text);
    }
    query
}
