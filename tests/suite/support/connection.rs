//! The task that owns a client's connection: it writes what is ordered, hands on what arrives and, as
//! every ordinary client does, answers pings (XEP-0199), questions for its features (XEP-0030) and
//! roster pushes. Everything else is left to the test.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::SinkExt;
use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use tokio::sync::{mpsc, oneshot};

use super::stream::{self, Elements};
use super::{Failure, stanza};

pub(super) const NS_PING: &str = "urn:xmpp:ping";
pub(super) const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
const NS_ROSTER: &str = "jabber:iq:roster";

/// A stanza, or why the stream ended.
pub(super) type Arrival = Result<Element, Failure>;

/// The features that the client advertises.
pub(super) type Features = Mutex<BTreeSet<String>>;

/// What the test tells the task that owns the connection.
pub(super) enum Order {
    /// Send this, and say when it is written.
    Send(Box<Element>, oneshot::Sender<Result<(), Failure>>),
    /// Close the stream and wait for the server to do so.
    Close,
    /// Reset the connection without a word.
    Reset,
}

/// Serves one connection until it ends or the client is gone.
pub(super) async fn attend(
    mut stream: Elements,
    mut orders: mpsc::Receiver<Order>,
    arrivals: mpsc::Sender<Arrival>,
    features: Arc<Features>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Send(element, written)) => {
                    let result = stream.send(&*element).await;
                    // Fails only if the test does not wait any more.
                    let _ = written.send(result.map_err(|error| Failure::new(error.to_string())));
                }
                Some(Order::Close) => {
                    let _ = SinkExt::<&Element>::close(&mut stream).await;
                    while let Ok(element) = stream::next(&mut stream).await {
                        if arrivals.send(Ok(element)).await.is_err() {
                            break;
                        }
                    }
                    return;
                }
                Some(Order::Reset) | None => {
                    // Makes the close that follows a reset instead of an orderly end.
                    let _ = stream.get_stream().get_ref().set_zero_linger();
                    return;
                }
            },
            Some((room, arrival)) = arrival(&mut stream, &arrivals) => {
                let ended = arrival.is_err();
                let answer = arrival
                    .as_ref()
                    .ok()
                    .and_then(|element| ordinary_answer(element, &features));
                room.send(arrival);
                if ended {
                    return;
                }
                if let Some(answer) = answer {
                    // If it fails, the next read says why.
                    let _ = stream.send(&answer).await;
                }
            }
        }
    }
}

type Room<'a> = mpsc::Permit<'a, Arrival>;

/// The next arrival, read only when there is room for it; `None` if the client is gone.
async fn arrival<'a>(
    stream: &mut Elements,
    arrivals: &'a mpsc::Sender<Arrival>,
) -> Option<(Room<'a>, Arrival)> {
    let room = arrivals.reserve().await.ok()?;
    Some((room, stream::next(stream).await))
}

/// What every ordinary client answers by itself.
fn ordinary_answer(request: &Element, features: &Features) -> Option<Element> {
    let kind = request.attr("type").filter(|_| request.name() == "iq")?;
    let mut result = answer_to(request, "result");
    let is_roster_push = kind == "set" && request.has_child("query", NS_ROSTER);
    if is_roster_push || (kind == "get" && request.has_child("ping", NS_PING)) {
        return Some(result);
    }
    let query = request
        .get_child("query", NS_INFO)
        .filter(|_| kind == "get")?;
    if query.attr("node").is_some() {
        return None;
    }
    let mut info = stanza(&format!(
        "<query xmlns='{NS_INFO}'><identity category='client' type='pc' name='test'/></query>"
    ));
    for feature in &*features.lock().unwrap_or_else(PoisonError::into_inner) {
        info.append_child(
            Element::builder("feature", NS_INFO)
                .attr(xml_ncname!("var").into(), feature.as_str())
                .build(),
        );
    }
    result.append_child(info);
    Some(result)
}

/// An empty IQ of this type that answers `request`.
pub(super) fn answer_to(request: &Element, kind: &str) -> Element {
    let mut answer = stanza(&format!("<iq type='{kind}'/>"));
    for (name, value) in [
        (xml_ncname!("id"), request.attr("id")),
        (xml_ncname!("to"), request.attr("from")),
    ] {
        answer.set_attr(Namespace::NONE, name.into(), value);
    }
    answer
}
