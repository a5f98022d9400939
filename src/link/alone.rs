//! Whether ours is the only stream of its name at the server.
//!
//! Prosody refuses a second one; ejabberd lets it in, and spreads everything over both, answers to IQs
//! too. So each stream says through the server, to its own address, which one it is: what another one hears
//! was meant for a stream of the same name. Of two, the one that serves stays; of two that have only just
//! attached, or that both serve, the older one. A server that does not bring such messages back loses
//! nothing by it.

use super::Error;
use super::now;
use super::stream::Link;
use crate::address::ComponentDomain;
use crate::stanza::Arrival;
use minidom::Element;
use minidom::rxml::xml_ncname;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use xmpp_parsers::ns;

const NS_INSTANCE: &str = "urn:x-presence-service:instance:0";

/// Messages of one announcement: each reaches the other of two streams by even chance, so that it hears of
/// none of them happens once in 65,536 times.
pub const ANNOUNCED: usize = 16;

/// How long they may take to come back. Half a second is what ejabberd takes just after its start.
const PATIENCE: Duration = Duration::from_secs(2);

/// Arrivals that are kept for later meanwhile.
const HELD: usize = 256;

/// One stream, as it makes itself known to others of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    id: String,
    /// When it attached, in ms of Unix time.
    since: i64,
    /// Whether it has found nobody else, and does its work.
    is_serving: bool,
}

/// What a message about a stream of this name says to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is our own, come back.
    Own,
    /// There is another stream, which has to go.
    Younger(String),
    /// There is another stream, before which we have to go.
    Older,
}

impl Instance {
    /// A stream that attaches at `since`, in ms of Unix time; `chance` makes its name.
    #[must_use]
    pub fn new(chance: [u8; 16], since: i64) -> Self {
        Self {
            id: format!("{:032x}", u128::from_be_bytes(chance)),
            since,
            is_serving: false,
        }
    }

    /// Says once through the server that we are here.
    pub fn announce<Io: AsyncRead + AsyncWrite + Unpin>(&self, link: &mut Link<Io>) {
        let announcement = self.announcement(link.domain());
        // A queue that is full says that the server does not read: then it tells nobody either.
        let _ = link.send(&announcement);
    }

    fn announcement(&self, domain: &ComponentDomain) -> Element {
        let state = if self.is_serving {
            "serving"
        } else {
            "attaching"
        };
        let instance = Element::builder("instance", NS_INSTANCE)
            .attr(xml_ncname!("id").to_owned(), self.id.as_str())
            .attr(xml_ncname!("since").to_owned(), self.since.to_string())
            .attr(xml_ncname!("state").to_owned(), state);
        Element::builder("message", ns::JABBER_CLIENT)
            .attr(xml_ncname!("from").to_owned(), domain.bare().as_str())
            .attr(xml_ncname!("to").to_owned(), domain.bare().as_str())
            .attr(xml_ncname!("type").to_owned(), "headline")
            .append(instance)
            .build()
    }

    /// What an arrival says about streams of this name; `None` where it is about something else.
    ///
    /// Only the server can send from our own address, so nobody else can make us go.
    #[must_use]
    pub fn hear(&self, arrival: &Arrival, domain: &ComponentDomain) -> Option<Heard> {
        let Arrival::Stanza(message) = arrival else {
            return None;
        };
        let is_ours = message.name() == "message"
            && message.attr(xml_ncname!("from")) == Some(domain.bare().as_str());
        let instance = message
            .get_child("instance", NS_INSTANCE)
            .filter(|_| is_ours)?;
        let other = Self {
            id: instance.attr(xml_ncname!("id"))?.to_owned(),
            since: instance.attr(xml_ncname!("since"))?.parse().ok()?,
            is_serving: instance.attr(xml_ncname!("state")) == Some("serving"),
        };
        Some(if other.id == self.id {
            Heard::Own
        } else if other.goes_before(self) {
            Heard::Older
        } else {
            Heard::Younger(other.id)
        })
    }

    /// Both compare the same, so that one goes and one stays.
    fn goes_before(&self, other: &Self) -> bool {
        let order = |one: &Self| (!one.is_serving, one.since, one.id.clone());
        order(self) < order(other)
    }
}

/// Finds out whether somebody else serves this name, before anything else is said on a new stream. From then on
/// `instance` serves; of the [`ANNOUNCED`] messages, how many did not come back.
///
/// What else arrives meanwhile comes out of [`Link::next_arrival`] afterwards. Takes as long as the server
/// takes to bring the messages back, 2 s at most.
///
/// # Errors
///
/// [`Error::Second`] where another stream serves; and all that ends a stream.
pub async fn prove<Io: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<Io>,
    instance: &mut Instance,
) -> Result<usize, Error> {
    for _ in 0..ANNOUNCED {
        instance.announce(link);
    }
    let deadline = now() + PATIENCE;
    let mut missing = ANNOUNCED;
    let mut held = Vec::new();
    while missing > 0 && held.len() < HELD {
        match link.next_arrival()? {
            Some(arrival) => match instance.hear(&arrival, link.domain()) {
                Some(Heard::Own) => missing -= 1,
                Some(Heard::Older) => return Err(Error::Second),
                Some(Heard::Younger(_)) => {}
                None => held.push(arrival),
            },
            None => match timeout_at(deadline, link.progress(true)).await {
                Ok(moved) => moved?,
                Err(_) => break,
            },
        }
    }
    link.hold(held);
    instance.is_serving = true;
    Ok(missing)
}
