//! Free loopback ports for servers that have to be told their port before they start.
//!
//! A port is reserved for as long as its [`Port`] lives, also against other processes that reserve
//! in the same way: so a server can be restarted on the port that it had.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Failure;

/// The first port that may be given out.
const FIRST: u32 = 20_000;

/// How many may be given out: all below 32,768, where Linux begins to take the ports of outgoing
/// connections. One of those could hold the port of a server that is just being restarted.
const COUNT: u32 = 12_000;

/// A TCP port on 127.0.0.1 that nobody else of us uses.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // The reservation: a UDP socket on the same number leaves the TCP port free for the server.
    _reservation: UdpSocket,
}

impl Port {
    /// Reserves a port on which a server can listen now.
    pub(crate) fn reserve() -> Result<Self, Failure> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Processes begin at different places, so that they seldom try the same port.
        let start = std::process::id().wrapping_mul(37);
        for _ in 0..COUNT {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = start.wrapping_add(turn) % COUNT;
            let Ok(number) = u16::try_from(FIRST + offset) else {
                continue;
            };
            let Ok(reservation) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _reservation: reservation,
                });
            }
        }
        Err(Failure::new(format!(
            "no free port between {FIRST} and {} on 127.0.0.1",
            FIRST + COUNT - 1
        )))
    }

    /// The address on which the server is to listen.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.number))
    }
}

impl fmt::Display for Port {
    /// Writes the number alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}
