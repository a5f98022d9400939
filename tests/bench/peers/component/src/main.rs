//! `tokio_xmpp::Component` as its documentation has it, fed and flushed when there is nothing more to read:
//! answers each probe with the same presence. Usage: `component PORT`.

use futures::{FutureExt, SinkExt, StreamExt};
use std::error::Error;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Component, Stanza};
use xmpp_parsers::presence::{Presence, Show, Type};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("no port")?;
    let server = DnsConfig::addr(&format!("127.0.0.1:{port}"));
    let mut component =
        Component::new_plaintext("presence.localhost", "sekrit", server, Timeouts::default()).await?;
    loop {
        let next = match component.next().now_or_never() {
            Some(next) => next,
            None => {
                component.flush().await?;
                component.next().await
            }
        };
        let Some(Stanza::Presence(probe)) = next else {
            return Ok(());
        };
        if probe.type_ == Type::Probe {
            let mut answer = Presence::new(Type::None).with_show(Show::Away);
            answer.from = probe.to;
            answer.to = probe.from;
            answer.set_status("", "lunch");
            component.feed(Stanza::Presence(answer)).await?;
        }
    }
}
