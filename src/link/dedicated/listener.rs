//! The listener: connections, their number and their time, up to the handshake.
//!
//! A connection that has not shown a secret costs little and not for long. When all places are taken,
//! new connections are closed at once; those that have attached do not count.

use super::partner::Partner;
use super::{Admission, accept};
use crate::link::stream::Link;
use crate::link::{Bytes, now, prepare};
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout_at};

/// How long a connection may take to attach, TLS included (security: slow handshakes).
const LIMIT: Duration = Duration::from_secs(10);

/// How long a refused one may take to part.
const PARTING: Duration = Duration::from_secs(1);

/// Connections that have not attached yet: 64 KiB each, so they are no load.
const PENDING_MAX: usize = 256;

/// Of those, from one address (of IPv6: one /64, which is what one customer has). Several partners may
/// come from one address, but they do not all attach in the same 10 s.
const PENDING_PER_ADDRESS_MAX: usize = 16;

/// How long to wait when no connection can be taken, as where there are too many open files.
const EXHAUSTED: Duration = Duration::from_millis(500);

/// Listens at `address`.
///
/// # Errors
///
/// Where somebody else listens there, or it is not an address of this machine.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Takes connections and hands over those that have attached; ends when nobody takes them any more.
pub async fn serve(
    listener: TcpListener,
    admission: watch::Receiver<Arc<Admission>>,
    partners: mpsc::Sender<Partner>,
    metrics: Arc<Metrics>,
) {
    let pending = Pending::default();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = partners.closed() => return,
        };
        let (io, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection to the dedicated link cannot be taken: {error}");
                sleep(EXHAUSTED).await;
                continue;
            }
        };
        let Some(place) = pending.place(address.ip()) else {
            metrics.partners_refused.add(1);
            if !std::mem::replace(&mut full, true) {
                tracing::warn!(
                    "too many connections to the dedicated link, the last from {address}"
                );
            }
            continue;
        };
        full = false;
        let (admission, partners) = (admission.borrow().clone(), partners.clone());
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            attend(io, address, &admission, &partners, &metrics).await;
            drop(place);
        });
    }
}

/// One connection, up to the handshake.
async fn attend(
    io: TcpStream,
    address: SocketAddr,
    admission: &Admission,
    partners: &mpsc::Sender<Partner>,
    metrics: &Metrics,
) {
    match attach(io, address, admission).await {
        Ok(partner) => {
            // Closed only when the process ends.
            let _ = partners.send(partner).await;
        }
        Err(why) => {
            metrics.partners_refused.add(1);
            tracing::warn!("{address} did not attach to the dedicated link: {why}");
        }
    }
}

async fn attach(
    io: TcpStream,
    address: SocketAddr,
    admission: &Admission,
) -> Result<Partner, String> {
    let deadline = now() + LIMIT;
    let late = || format!("it took more than {LIMIT:?}");
    prepare(&io).map_err(|error| error.to_string())?;
    let io: Box<dyn Bytes> = match &admission.tls {
        None => Box::new(io),
        Some(tls) => {
            let encrypted = timeout_at(deadline, tls.0.accept(io)).await;
            let encrypted = encrypted.map_err(|_| late())?;
            Box::new(encrypted.map_err(|error| format!("TLS: {error}"))?)
        }
    };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| error.to_string())?;
    let id = id
        .iter()
        .fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
    let mut link = Link::new(io, admission.domain.clone());
    let performed = timeout_at(deadline, accept::perform(&mut link, admission, &id)).await;
    match performed {
        Ok(Ok((name, domain))) => Ok(Partner {
            secret: admission.secrets.get(&name).cloned().unwrap_or_default(),
            name,
            domain,
            ours: admission.domain.bare().clone(),
            address,
            link,
        }),
        Ok(Err(refused)) => {
            link.close(PARTING).await;
            Err(refused.to_string())
        }
        Err(_) => {
            link.refuse("connection-timeout");
            link.close(PARTING).await;
            Err(late())
        }
    }
}

/// Connections that have not attached yet.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
struct Place {
    pending: Pending,
    address: IpAddr,
}

impl Pending {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let address = neighbourhood(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.get(&address).copied().unwrap_or_default();
        if of_address >= PENDING_PER_ADDRESS_MAX || counts.values().sum::<usize>() >= PENDING_MAX {
            return None;
        }
        counts.insert(address, of_address + 1);
        Some(Place {
            pending: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .pending
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What counts as one address.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !0 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_for_each_address_and_in_all() {
        let pending = Pending::default();
        let one = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut places: Vec<_> = (0..PENDING_PER_ADDRESS_MAX)
            .map(|_| pending.place(one("192.0.2.1")).unwrap())
            .collect();
        assert!(pending.place(one("192.0.2.1")).is_none());
        assert!(pending.place(one("::ffff:192.0.2.1")).is_none());
        places.pop();
        places.push(pending.place(one("192.0.2.1")).unwrap());
        places.extend(
            (0u32..).map_while(|n| pending.place(Ipv6Addr::from_bits(u128::from(n) << 64).into())),
        );
        assert_eq!(places.len(), PENDING_MAX);
        drop(places);
        assert!(pending.0.lock().unwrap().is_empty());
    }

    #[test]
    fn neighbours_in_one_network_of_ipv6_are_one_address() {
        let one = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(one("2001:db8::1"), one("2001:db8::ffff:1"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_ne!(one("192.0.2.1"), one("192.0.2.2"));
    }
}
