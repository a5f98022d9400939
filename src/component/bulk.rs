//! The bulk query: many users asked for in one IQ to the component domain, answered in pages.
//! protocol.md §9.6.
//!
//! Each `<of/>` is answered with what the IQ query would tell, from the same functions. Who may not be
//! seen, does not exist or is no address at all gives the same empty `<of/>`, by the same way.

use std::collections::BTreeSet;
use std::time::Duration;

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::authorization::{Interface, Right};
use super::limits::{
    HOLD, SNAPSHOT_BYTES, SNAPSHOT_JID_BYTES_MAX, SNAPSHOT_MAX, SNAPSHOTS_HELD_MAX,
    STANZA_BYTES_MAX,
};
use super::reply::{Asked, Refusal};
use super::timer::Timer;
use super::watcher::Watcher;
use super::{Component, Turn, learning, probe};
use crate::address::Bare;
use crate::stanza::compose::{Compose, element};
use crate::stanza::size::{value_bytes, written_bytes};

/// The namespace of the bulk query.
pub(super) const NS_BULK: &str = "urn:x-presence-service:bulk:0";

/// One user that is asked for.
#[derive(Debug)]
struct Of {
    /// As typed: the answer repeats it.
    jid: String,
    /// The `rev` that the watcher knows.
    rev: Option<String>,
}

/// A request, read: what is left of its list after the entries that were answered before.
#[derive(Debug)]
struct Snapshot {
    asked: Asked,
    after: usize,
    of: Vec<Of>,
}

/// One that waits for the first news of users whom it may see.
#[derive(Debug)]
pub(super) struct Waiting {
    snapshot: Snapshot,
    missing: BTreeSet<Bare>,
    until: Duration,
}

/// A bulk query. The rates are asked before anything is looked up: for all of it, or it is refused.
pub(super) fn received(core: &mut Component, turn: &mut Turn, asked: Asked, payload: &Element) {
    let watcher = asked.watcher();
    let read = read(payload).and_then(|(after, of)| {
        probe::room(core, turn, &watcher.bare, of.len())?;
        Ok((after, of))
    });
    let (after, of) = match read {
        Ok(read) => read,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let snapshot = Snapshot { asked, after, of };
    let missing: BTreeSet<Bare> = snapshot
        .of
        .iter()
        .filter_map(|of| seen(core, turn, &watcher, of))
        .filter(|user| learning::is_unlearned(core, user))
        .collect();
    if missing.is_empty() || core.learning.snapshots.len() >= SNAPSHOTS_HELD_MAX {
        return answer(core, turn, snapshot);
    }
    let until = turn.now.mono + HOLD;
    core.timers.set(until, Timer::Snapshots);
    core.learning.snapshots.push(Waiting {
        snapshot,
        missing,
        until,
    });
}

/// News of a user has come: what waited for her alone is answered.
pub(super) fn learned(core: &mut Component, turn: &Turn, user: &Bare) {
    if core.learning.snapshots.is_empty() {
        return;
    }
    for waiting in &mut core.learning.snapshots {
        waiting.missing.remove(user);
    }
    answer_those(core, turn, |waiting| waiting.missing.is_empty());
}

/// No news has come in time.
pub(super) fn waited(core: &mut Component, turn: &mut Turn) {
    let now = turn.now.mono;
    let late: BTreeSet<Bare> = core
        .learning
        .snapshots
        .iter()
        .filter(|waiting| waiting.until <= now)
        .flat_map(|waiting| waiting.missing.iter().cloned())
        .collect();
    for user in late {
        probe::give_up(core, turn, &user);
    }
    answer_those(core, turn, |waiting| waiting.until <= now);
}

/// The server is gone; what partners have asked is answered from what is known.
pub(super) fn release_partners(core: &mut Component, turn: &Turn) {
    answer_those(core, turn, |waiting| {
        waiting.snapshot.asked.interface == Interface::Dedicated
    });
}

fn answer_those(core: &mut Component, turn: &Turn, is_due: impl Fn(&Waiting) -> bool) {
    let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut core.learning.snapshots)
        .into_iter()
        .partition(is_due);
    core.learning.snapshots = rest;
    for waiting in due {
        answer(core, turn, waiting.snapshot);
    }
}

/// Reads a request: how many of its entries were answered before, and those that were not.
fn read(payload: &Element) -> Result<(usize, Vec<Of>), Refusal> {
    let mut of = Vec::new();
    for child in payload.children().filter(|child| child.is("of", NS_BULK)) {
        if of.len() >= SNAPSHOT_MAX {
            return Err(Refusal::TooLarge);
        }
        let attribute = |name| child.attr(name).map(ToOwned::to_owned);
        let jid = attribute(xml_ncname!("jid")).ok_or(Refusal::BadRequest)?;
        // It is repeated in the answer, and the longest must fit there.
        if value_bytes(&jid) > SNAPSHOT_JID_BYTES_MAX {
            return Err(Refusal::BadRequest);
        }
        let rev = attribute(xml_ncname!("rev"));
        of.push(Of { jid, rev });
    }
    let after = match payload.attr(xml_ncname!("after")) {
        None => 0,
        Some(text) => text.parse().map_err(|_| Refusal::BadRequest)?,
    };
    if after >= of.len() {
        return Err(Refusal::BadRequest);
    }
    Ok((after, of.split_off(after)))
}

/// The user that an entry names, if the watcher may see her: by her own address or by her presentity's,
/// bare in both cases.
fn seen(core: &Component, turn: &Turn, watcher: &Watcher, of: &Of) -> Option<Bare> {
    let typed = Bare::parse(&of.jid).ok()?;
    let domain = &core.settings.domain;
    let user = if typed.domain() == domain.bare().as_str() {
        domain.user(&typed)?
    } else {
        typed
    };
    core.may(&user, watcher, turn, Right::See).then_some(user)
}

/// Answers from the state as it is now, as much as fits into a page. What the page tells is what it costs.
fn answer(core: &mut Component, turn: &Turn, snapshot: Snapshot) {
    let Snapshot { asked, after, of } = snapshot;
    let watcher = &asked.watcher();
    let room = match probe::room(core, turn, &watcher.bare, of.len()) {
        Ok(room) => room,
        Err(refusal) => return core.answer(&asked, Err(refusal)),
    };
    let mut page = element("snapshot", NS_BULK, &[]);
    let longest = page.clone().with(more(SNAPSHOT_MAX));
    let mut bytes = written_bytes(&asked.result(Some(longest)), ns::JABBER_CLIENT);
    let mut n = 0;
    for of in of.iter().take(room) {
        let entry = entry(core, turn, watcher, of);
        bytes += written_bytes(&entry, NS_BULK);
        // One entry goes out even where the asker's own addresses leave little room for it.
        if bytes > SNAPSHOT_BYTES && (n > 0 || bytes >= STANZA_BYTES_MAX) {
            break;
        }
        page.append_child(entry);
        n += 1;
    }
    let result = if n == 0 {
        Err(Refusal::TooLarge)
    } else if !probe::take(core, turn, &watcher.bare, n) {
        Err(Refusal::PolicyViolation(core.probes.retry_after_s()))
    } else {
        Ok(Some(
            page.with_some((n < of.len()).then(|| more(after + n))),
        ))
    };
    core.answer(&asked, result);
}

fn entry(core: &Component, turn: &Turn, watcher: &Watcher, of: &Of) -> Element {
    let entry = element("of", NS_BULK, &[("jid", &of.jid)]);
    let view = seen(core, turn, watcher, of).and_then(|user| core.view(&user, watcher, turn));
    match view {
        None => entry,
        Some((_, rights)) if of.rev.as_deref() == Some(&rights.rev) => {
            entry.attribute("unchanged", Some("1"))
        }
        Some((face, rights)) => {
            let entry = entry.attribute("rev", Some(&rights.rev));
            probe::told(entry, &face, &rights)
        }
    }
}

fn more(after: usize) -> Element {
    element("more", NS_BULK, &[("after", &after.to_string())])
}
