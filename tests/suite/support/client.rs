//! A user's or a bot's client: what it sends is what is on the wire, and what it received can be
//! waited for, looked at and shown.
//!
//! The connection is read all the time, by a task of its own: see [`super::connection`].

use std::fmt::Write as _;
use std::panic::Location;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use minidom::Element;
use tokio::sync::{mpsc, oneshot};
use tokio_xmpp::jid::{BareJid, FullJid};

use super::connection::{Arrival, Features, NS_INFO, NS_PING, Order, answer_to, attend};
use super::server::Server;
use super::stream;
use super::{Failure, stanza};

/// The namespace of XEP-0198.
const NS_SM: &str = "urn:xmpp:sm:3";

/// Stanzas that may wait for the connection; then `send` waits.
const OUTGOING_MAX: usize = 64;

/// Stanzas that may wait for the test; then the connection is not read.
const INCOMING_MAX: usize = 1024;

/// Stanzas that one client keeps; more means that a test floods it by mistake.
const RECEIVED_MAX: usize = 100_000;

/// How long the server may take to close its side at a logout.
const LOGOUT: Duration = Duration::from_secs(5);

/// A logged-in client. Dropping it resets its connection.
#[derive(Debug)]
pub(crate) struct Client {
    jid: FullJid,
    features: Arc<Features>,
    orders: mpsc::Sender<Order>,
    incoming: mpsc::Receiver<Arrival>,
    received: Vec<Element>,
    /// Positions in `received` of what no `expect` has taken.
    unmatched: Vec<usize>,
    ended: Option<Failure>,
}

impl Client {
    /// Creates the account `user@localhost` on the server.
    pub(crate) async fn register(
        server: &Server,
        user: &str,
        password: &str,
    ) -> Result<(), Failure> {
        stream::register(server, user, password).await
    }

    /// Logs in, binds `resource` and asks for the roster; sends no presence.
    pub(crate) async fn login(
        server: &Server,
        user: &str,
        password: &str,
        resource: &str,
    ) -> Result<Self, Failure> {
        let (stream, jid) = stream::log_in(server, user, password, resource).await?;
        Ok(Self::over(stream, jid))
    }

    /// Takes up a session that has lost its connection (XEP-0198 §5), by the `id` of `<enabled/>`.
    pub(crate) async fn resume(
        server: &Server,
        jid: &FullJid,
        password: &str,
        id: &str,
    ) -> Result<Self, Failure> {
        let stream = stream::resume(server, jid, password, id).await?;
        Ok(Self::over(stream, jid.clone()))
    }

    fn over(stream: stream::Elements, jid: FullJid) -> Self {
        let features: Arc<Features> = Arc::default();
        let (orders, queue) = mpsc::channel(OUTGOING_MAX);
        let (arrivals, incoming) = mpsc::channel(INCOMING_MAX);
        tokio::spawn(attend(stream, queue, arrivals, Arc::clone(&features)));
        let client = Self {
            jid,
            features,
            orders,
            incoming,
            received: Vec::new(),
            unmatched: Vec::new(),
            ended: None,
        };
        client.advertise(NS_INFO);
        client.advertise(NS_PING);
        client
    }

    /// Turns on XEP-0198, so that the session outlives its connection, and returns its `id`.
    pub(crate) async fn enable_resumption(&mut self) -> String {
        self.send(stanza(&format!("<enable xmlns='{NS_SM}' resume='true'/>")))
            .await;
        let enabled = self
            .expect("stream management", LOGOUT, |e| e.is("enabled", NS_SM))
            .await;
        enabled.attr("id").unwrap_or_default().to_owned()
    }

    /// Its full JID, as the server bound it.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Its bare JID.
    pub(crate) fn bare(&self) -> BareJid {
        self.jid.to_bare()
    }

    /// Adds a feature to what it answers to disco#info.
    pub(crate) fn advertise(&self, feature: &str) {
        self.features
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(feature.to_owned());
    }

    /// Sends a stanza as it is, and returns when it has been written to the connection.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    #[track_caller]
    pub(crate) fn send(&mut self, element: Element) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            if let Err(failure) = self.try_send(element).await {
                panic!("{at}: {} cannot send: {failure}", self.jid);
            }
        }
    }

    /// As [`Self::send`], where the connection may be gone.
    pub(crate) async fn try_send(&mut self, element: Element) -> Result<(), Failure> {
        let gone = || Failure::new("the connection is gone");
        let (written, result) = oneshot::channel();
        let order = Order::Send(Box::new(element), written);
        self.orders.send(order).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Answers an IQ that it received: a result with this payload.
    pub(crate) async fn reply(&mut self, request: &Element, payload: Option<Element>) {
        let mut result = answer_to(request, "result");
        if let Some(payload) = payload {
            result.append_child(payload);
        }
        self.send(result).await;
    }

    /// Takes the first stanza for which `matches` holds, among those received and not yet taken, or
    /// waits for it. Those passed over stay and can be taken later.
    ///
    /// # Panics
    ///
    /// If none has come within `timeout` or the stream has ended, with everything that was received.
    #[track_caller]
    pub(crate) fn expect(
        &mut self,
        what: &str,
        timeout: Duration,
        mut matches: impl FnMut(&Element) -> bool,
    ) -> impl Future<Output = Element> {
        let at = Location::caller();
        async move {
            let mut looked_at = 0;
            let searching = async {
                loop {
                    self.absorb();
                    while let Some(&position) = self.unmatched.get(looked_at) {
                        if matches(&self.received[position]) {
                            self.unmatched.remove(looked_at);
                            return Some(self.received[position].clone());
                        }
                        looked_at += 1;
                    }
                    if !self.wait_for_more().await {
                        return None;
                    }
                }
            };
            match tokio::time::timeout(timeout, searching).await {
                Ok(Some(element)) => element,
                Ok(None) => panic!("{at}: no {what}: {}", self.account()),
                Err(_) => panic!("{at}: no {what} within {timeout:?}: {}", self.account()),
            }
        }
    }

    /// Watches for `duration` that no stanza arrives for which `matches` holds; those that arrived
    /// before and were not taken count too (see [`Self::forget`]).
    ///
    /// # Panics
    ///
    /// If there is one, or if the stream ends meanwhile: then silence would mean nothing.
    #[track_caller]
    pub(crate) fn quiet(
        &mut self,
        what: &str,
        duration: Duration,
        mut matches: impl FnMut(&Element) -> bool,
    ) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let mut looked_at = 0;
            let watching = async {
                loop {
                    self.absorb();
                    for &position in &self.unmatched[looked_at..] {
                        if matches(&self.received[position]) {
                            return format!("got {what}");
                        }
                    }
                    looked_at = self.unmatched.len();
                    if !self.wait_for_more().await {
                        return format!("cannot tell whether {what} would come");
                    }
                }
            };
            if let Ok(problem) = tokio::time::timeout(duration, watching).await {
                panic!("{at}: {problem}: {}", self.account());
            }
        }
    }

    /// Takes everything that has arrived so far off the list of what can be expected.
    pub(crate) fn forget(&mut self) {
        self.absorb();
        self.unmatched.clear();
    }

    /// Everything received so far, in order, taken or not.
    pub(crate) fn received(&mut self) -> &[Element] {
        self.absorb();
        &self.received
    }

    /// Waits until the server has handled all that was sent before, by a ping to it.
    pub(crate) async fn settle(&mut self) {
        let id = format!("settle-{}", self.received.len());
        self.send(stanza(&format!(
            "<iq type='get' id='{id}' to='{}'><ping xmlns='{NS_PING}'/></iq>",
            self.jid.domain()
        )))
        .await;
        self.expect("answer of the server to a ping", LOGOUT, |element| {
            element.name() == "iq" && element.attr("id") == Some(&id)
        })
        .await;
    }

    /// Sends `unavailable`, closes the stream and waits for the server to close it too. What was
    /// received can still be looked at.
    pub(crate) async fn logout(&mut self) {
        // Each fails only if the connection is gone already, and then the user is logged out.
        let _ = self
            .try_send(stanza("<presence type='unavailable'/>"))
            .await;
        let _ = self.orders.send(Order::Close).await;
        let closing = async { while self.wait_for_more().await {} };
        let _ = tokio::time::timeout(LOGOUT, closing).await;
    }

    /// Resets the TCP connection without a word, as a crash or a cut line does.
    pub(crate) async fn drop_tcp(&mut self) {
        let _ = self.orders.send(Order::Reset).await;
        while self.wait_for_more().await {}
    }

    /// Takes in what has arrived, without waiting.
    fn absorb(&mut self) {
        while let Ok(arrival) = self.incoming.try_recv() {
            self.take_in(arrival);
        }
    }

    /// Waits for one more arrival; false if the stream has ended.
    async fn wait_for_more(&mut self) -> bool {
        let Some(arrival) = self.incoming.recv().await else {
            return false;
        };
        self.take_in(arrival);
        true
    }

    fn take_in(&mut self, arrival: Arrival) {
        match arrival {
            Ok(element) => {
                assert!(
                    self.received.len() < RECEIVED_MAX,
                    "{} received more than {RECEIVED_MAX} stanzas",
                    self.jid
                );
                self.unmatched.push(self.received.len());
                self.received.push(element);
            }
            Err(failure) => self.ended = Some(failure),
        }
    }

    /// What was received, for a person who looks for what is missing.
    fn account(&self) -> String {
        let mut text = format!("{} received {} stanzas", self.jid, self.received.len());
        if let Some(failure) = &self.ended {
            let _ = write!(text, ", then: {failure}");
        }
        for (position, element) in self.received.iter().enumerate() {
            let mark = if self.unmatched.contains(&position) {
                " "
            } else {
                "taken"
            };
            let _ = write!(text, "\n{mark:>6} {}", String::from(element));
        }
        text
    }
}
