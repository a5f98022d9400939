//! The connection to the server: waited for, under way, or there.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{Clock, QUEUED_MAX};
use crate::link::{self, Bytes, Instance, Link};

/// How long a stream that has to go may take to part.
const PARTING: Duration = Duration::from_secs(1);

type Attaching = Pin<Box<dyn Future<Output = Result<Attached, link::Error>> + Send>>;

/// A stream, which one of its name it is, and how much of what it said to itself did not come back.
pub(super) type Attached = (Box<Link<Box<dyn Bytes>>>, Instance, usize);

/// Where it stands.
pub(super) enum Connection {
    Waiting(Duration),
    Attaching(Attaching),
    Attached(Box<Link<Box<dyn Bytes>>>),
}

/// What the connection did.
pub(super) enum Step {
    /// It is time to attach.
    Due,
    /// An attach has ended.
    Attach(Result<Attached, link::Error>),
    /// Bytes have moved, or the link is broken.
    Moved(Result<(), link::Error>),
}

impl Connection {
    /// Under way.
    pub(super) fn attach(settings: link::Settings, instance: Instance) -> Self {
        Self::Attaching(Box::pin(attach(settings, instance)))
    }
}

/// Attaches, and makes sure that no other stream of the name serves.
async fn attach(settings: link::Settings, mut instance: Instance) -> Result<Attached, link::Error> {
    let mut link = Box::new(link::attach(&settings).await?);
    match link::prove(&mut link, &mut instance).await {
        Ok(missing) => Ok((link, instance, missing)),
        Err(error) => {
            link.close(PARTING).await;
            Err(error)
        }
    }
}

/// Waits for the connection. Cancel safe: what is under way stays in `connection`.
pub(super) async fn wait<C: Clock>(connection: &mut Connection, clock: &C) -> Step {
    match connection {
        Connection::Waiting(until) => {
            tokio::time::sleep(until.saturating_sub(clock.now().mono)).await;
            Step::Due
        }
        Connection::Attaching(attach) => Step::Attach(attach.await),
        Connection::Attached(link) => {
            let read = link.queued() < QUEUED_MAX;
            Step::Moved(link.progress(read).await)
        }
    }
}
