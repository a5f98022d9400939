//! The partners' streams, beside the one to the server: what each sends, at its own rate; what each is sent,
//! at its own pace. None of them can slow another one down, or the server.
//!
//! A partner that sends more than its rate is not refused, it is read later: its own TCP holds it back. One
//! that does not read is read no more at [`QUEUED_MAX`], and cut off when it has taken nothing for
//! [`STALL`].

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::link::dedicated::{Admission, Partner, Unfit};
use crate::metrics::Metrics;
use crate::stanza::{Arrival, Outbound};

/// Bytes that wait for a partner that does not read, before it is read no more.
const QUEUED_MAX: usize = 1 << 20;
/// What we say unasked comes on top of that; with more the partner is cut off.
const OVERFLOW: usize = 4 << 20;
/// Broadcasts are drawn only while fewer bytes wait than this: answers come first.
const BROADCAST_ROOM: usize = 64 << 10;
/// Arrivals that are taken of one partner before the next one's turn.
const PER_TURN: usize = 64;
/// A partner that has taken nothing for so long, while something waits for it, is cut off. Longer than the
/// keepalive, for what waits may have come just now.
const STALL: Duration = Duration::from_secs(45);
/// A space is sent when nothing else was for so long (RFC 6120 §4.6.1). COMPAT(tokio-xmpp 6.0): its
/// component takes 60 s of silence for the end.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How often the two are looked at.
const WATCH: Duration = Duration::from_secs(1);
/// How often a party may attach: each time it is told anew of all whom it watches.
const ATTACHES: Rate = Rate {
    per_s: 0.5,
    burst: 10.0,
};
/// How long parting may take.
const GRACE: Duration = Duration::from_secs(5);

/// Where partners come in, and who may.
#[derive(Debug)]
pub struct Doors {
    /// Partners that have shown their secret.
    pub arriving: mpsc::Receiver<Partner>,
    /// Who may attach; a partner that is not among them any more is sent away.
    pub admission: watch::Receiver<Arc<Admission>>,
    /// How many stanzas are taken of each.
    pub rate: Rate,
}

/// So many of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// A second, in the long run; 0 is no limit.
    pub per_s: f64,
    /// At once.
    pub burst: f64,
}

/// What one of them did.
#[derive(Debug)]
pub(super) enum Move {
    /// It has attached, in place of an older stream of the same party where there was one.
    Attached { name: Arc<str>, replaces: bool },
    /// It has gone.
    Gone(Arc<str>),
    /// Bytes have moved.
    Moved,
}

/// What a party may do; it outlives its streams, so that a new one is no way to get more.
struct Allowance {
    attaches: Bucket,
    stanzas: Bucket,
}

/// Tokens that come back with time.
struct Bucket {
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn full(rate: Rate, now: Duration) -> Self {
        Self {
            tokens: rate.burst,
            filled: now,
        }
    }

    fn refill(&mut self, rate: Rate, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = if rate.per_s > 0.0 {
            (self.tokens + passed * rate.per_s).min(rate.burst)
        } else {
            rate.burst
        };
    }

    /// Takes one, where there is one.
    fn take(&mut self, rate: Rate, now: Duration) -> bool {
        self.refill(rate, now);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Partners {
    doors: Option<Doors>,
    streams: BTreeMap<Arc<str>, Partner>,
    /// Of the parties that have attached.
    allowances: BTreeMap<Arc<str>, Allowance>,
    watched: Duration,
    metrics: Arc<Metrics>,
}

impl Partners {
    pub(super) fn new(doors: Option<Doors>, metrics: Arc<Metrics>) -> Self {
        Self {
            doors,
            metrics,
            ..Self::default()
        }
    }

    /// Tells how many are here.
    fn count(&self) {
        self.metrics.partners.set(self.streams.len() as u64);
    }

    /// Waits for one of them. Cancel safe.
    pub(super) async fn wait(&mut self, now: Duration) -> Move {
        let Some(doors) = &mut self.doors else {
            return std::future::pending().await;
        };
        let streams = &mut self.streams;
        let allowances = &self.allowances;
        let rate = doors.rate;
        let arrived = poll_fn(|cx| {
            if let Poll::Ready(Some(partner)) = doors.arriving.poll_recv(cx) {
                return Poll::Ready(Ok(partner));
            }
            // All of them, so that one that always moves does not keep the others waiting.
            let mut moved = Poll::Pending;
            for (name, stream) in streams.iter_mut() {
                let link = &mut stream.link;
                let may_speak = has_token(allowances, name);
                let read = link.queued() < QUEUED_MAX && may_speak;
                match link.poll_progress(cx, read) {
                    Poll::Pending => (),
                    Poll::Ready(Ok(())) => moved = Poll::Ready(Err(None)),
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(Some((name.clone(), Unfit::from(error)))));
                    }
                }
            }
            moved
        });
        match arrived.await {
            Ok(partner) => self.attached(partner, rate, now),
            Err(None) => Move::Moved,
            Err(Some((name, unfit))) => self.gone(&name, &unfit),
        }
    }

    /// The newer stream stays: the older one may be dead without our knowing, and must not keep its
    /// partner out.
    fn attached(&mut self, partner: Partner, rate: Rate, now: Duration) -> Move {
        if !self.is_admitted(&partner) {
            self.metrics.partners_refused.add(1);
            part(partner, "not-authorized");
            return Move::Moved;
        }
        let name: Arc<str> = partner.name().into();
        let allowance = self.allowances.entry(name.clone());
        let allowance = allowance.or_insert_with(|| Allowance {
            attaches: Bucket::full(ATTACHES, now),
            stanzas: Bucket::full(rate, now),
        });
        if !allowance.attaches.take(ATTACHES, now) {
            tracing::warn!("{} attaches again and again", partner.domain());
            self.metrics.partners_refused.add(1);
            part(partner, "policy-violation");
            return Move::Moved;
        }
        tracing::info!(
            "{} has attached from {}",
            partner.domain(),
            partner.address()
        );
        self.metrics.partners_attached.add(1);
        let older = self.streams.insert(name.clone(), partner);
        self.count();
        let replaces = older.is_some();
        if let Some(older) = older {
            tracing::warn!(
                "{} has attached twice; the older stream is closed",
                older.domain()
            );
            part(older, "conflict");
        }
        Move::Attached { name, replaces }
    }

    fn is_admitted(&self, partner: &Partner) -> bool {
        let doors = self.doors.as_ref();
        doors.is_some_and(|doors| doors.admission.borrow().admits(partner))
    }

    fn gone(&mut self, name: &Arc<str>, why: &Unfit) -> Move {
        let Some(stream) = self.streams.remove(name) else {
            return Move::Moved;
        };
        self.count();
        tracing::info!("{} is gone: {why}", stream.domain());
        // The partner is told what was wrong, if it still listens.
        tokio::spawn(stream.link.close(GRACE));
        Move::Gone(name.clone())
    }

    /// The next arrival of a partner whose turn it is, `None` when all have had theirs. `turns` counts
    /// what each has had.
    pub(super) fn next_arrival(
        &mut self,
        turns: &mut BTreeMap<Arc<str>, usize>,
        now: Duration,
    ) -> Option<Result<(Arc<str>, Arrival), Move>> {
        let rate = self.doors.as_ref()?.rate;
        let mut unfit = None;
        for (name, stream) in &mut self.streams {
            let turn = turns.entry(name.clone()).or_default();
            let Some(allowance) = self.allowances.get_mut(name) else {
                continue;
            };
            allowance.stanzas.refill(rate, now);
            if *turn >= PER_TURN
                || allowance.stanzas.tokens < 1.0
                || stream.link.queued() >= QUEUED_MAX
            {
                continue;
            }
            match stream.next_arrival() {
                Ok(None) => *turn = PER_TURN,
                Ok(Some(arrival)) => {
                    *turn += 1;
                    self.metrics.partners_received.add(1);
                    if rate.per_s > 0.0 {
                        allowance.stanzas.tokens -= 1.0;
                    }
                    return Some(Ok((name.clone(), arrival)));
                }
                Err(why) => {
                    unfit = Some((name.clone(), why));
                    break;
                }
            }
        }
        let (name, why) = unfit?;
        Some(Err(self.gone(&name, &why)))
    }

    /// Sends a stanza to the partner that it is for; `false` where that one is not here.
    pub(super) fn send(&mut self, name: &str, stanza: &Outbound) -> bool {
        let Some(stream) = self.streams.get_mut(name) else {
            return false;
        };
        if let Err(unsealed) = stream
            .link
            .send_outbound(stanza)
            .inspect(|()| self.metrics.partners_sent.add(1))
        {
            tracing::error!("a stanza for {} was not sent: {unsealed}", stream.domain());
        }
        true
    }

    /// The partners that have room for a broadcast.
    pub(super) fn with_room(&self) -> Vec<Arc<str>> {
        let has_room = |stream: &Partner| stream.link.queued() < BROADCAST_ROOM;
        let with_room = self.streams.iter().filter(|(_, stream)| has_room(stream));
        with_room.map(|(name, _)| name.clone()).collect()
    }

    /// Whether there is still room for one more.
    pub(super) fn has_room(&self, name: &str) -> bool {
        let stream = self.streams.get(name);
        stream.is_some_and(|stream| stream.link.queued() < BROADCAST_ROOM)
    }

    /// How long until something is to be done for one of them: a stanza may be taken again, or a keepalive.
    pub(super) fn rest(&self) -> Option<Duration> {
        let rate = self.doors.as_ref()?.rate.per_s;
        let allowances = self
            .streams
            .keys()
            .filter_map(|name| self.allowances.get(name));
        let thirsty = allowances.map(|allowance| allowance.stanzas.tokens);
        let least = thirsty.reduce(f64::min)?;
        if least >= 1.0 || rate <= 0.0 {
            return Some(WATCH);
        }
        Some(Duration::from_secs_f64((1.0 - least) / rate).min(WATCH))
    }

    /// Keeps idle streams alive, and cuts off those whose partner takes nothing.
    pub(super) fn watch(&mut self, now: Duration) -> Vec<Move> {
        let rate = self.doors.as_ref().map(|doors| doors.rate);
        if let Some(rate) = rate {
            for allowance in self.allowances.values_mut() {
                allowance.stanzas.refill(rate, now);
            }
        }
        if now < self.watched + WATCH {
            return Vec::new();
        }
        self.watched = now;
        let mut stalled = Vec::new();
        for (name, stream) in &mut self.streams {
            let link = &mut stream.link;
            let idle = link.last_sent().elapsed();
            if link.queued() == 0 && idle >= KEEPALIVE {
                link.keepalive();
            } else if link.queued() > OVERFLOW || (link.queued() > 0 && idle >= STALL) {
                stalled.push(name.clone());
            }
        }
        stalled
            .into_iter()
            .filter_map(|name| self.cut_off(&name))
            .collect()
    }

    fn cut_off(&mut self, name: &str) -> Option<Move> {
        let (name, stream) = self.streams.remove_entry(name)?;
        self.count();
        let queued = stream.link.queued();
        tracing::warn!(
            "{} does not read ({queued} bytes wait): cut off",
            stream.domain()
        );
        Some(Move::Gone(name))
    }

    /// Takes up a new rate and sends away those who may not be here any more.
    pub(super) fn reload(&mut self, rate: Rate) -> Vec<Move> {
        let Some(doors) = &mut self.doors else {
            return Vec::new();
        };
        doors.rate = rate;
        let admission = doors.admission.borrow().clone();
        let refused: Vec<_> = self
            .streams
            .iter()
            .filter(|(_, stream)| !admission.admits(stream))
            .map(|(name, _)| name.clone())
            .collect();
        let gone = refused.into_iter().filter_map(|name| {
            let (name, stream) = self.streams.remove_entry(&name)?;
            tracing::info!("{} may not attach any more", stream.domain());
            part(stream, "not-authorized");
            Some(Move::Gone(name))
        });
        let gone = gone.collect();
        self.count();
        gone
    }

    /// Says good-bye to all.
    pub(super) async fn end(self) {
        let partings = self.streams.into_values().map(|stream| {
            let mut link = stream.link;
            link.refuse("system-shutdown");
            link.close(GRACE)
        });
        futures::future::join_all(partings).await;
    }
}

fn has_token(allowances: &BTreeMap<Arc<str>, Allowance>, name: &str) -> bool {
    let allowance = allowances.get(name);
    allowance.is_some_and(|allowance| allowance.stanzas.tokens >= 1.0)
}

fn part(partner: Partner, condition: &'static str) {
    let mut link = partner.link;
    link.refuse(condition);
    tokio::spawn(link.close(GRACE));
}
