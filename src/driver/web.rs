//! What the driver does for the web: it takes calls, some at a time, and passes on what the core tells.

use super::{Clock, Driver, Error};
use crate::component::Event;
use crate::component::web::{Call, News, What, Who};
use crate::web::desk::Counter;

/// Calls taken in one turn, so that the server and partners get theirs.
const CALLS_PER_TURN: usize = 64;

/// The counter of the web face, where there is one.
#[derive(Debug)]
pub(super) struct Web(pub(super) Option<Counter>);

impl Web {
    /// The next call.
    pub(super) async fn next(&mut self) -> (u64, Who, What) {
        if let Some(counter) = &mut self.0
            && let Some(call) = counter.next().await
        {
            return call;
        }
        std::future::pending().await
    }

    pub(super) fn told(&mut self, news: News) {
        if let Some(counter) = &mut self.0 {
            counter.tell(news);
        }
    }
}

impl<C: Clock> Driver<C> {
    /// Takes a call, and those that wait behind it.
    pub(super) fn called(&mut self, first: (u64, Who, What)) -> Result<(), Error> {
        self.take_call(first)?;
        self.take_calls(CALLS_PER_TURN - 1)
    }

    /// Takes calls that wait, so many at most.
    pub(super) fn take_calls(&mut self, n: usize) -> Result<(), Error> {
        for _ in 0..n {
            let Some(call) = self.web.0.as_mut().and_then(Counter::ready) else {
                break;
            };
            self.take_call(call)?;
        }
        Ok(())
    }

    fn take_call(&mut self, (id, who, what): (u64, Who, What)) -> Result<(), Error> {
        self.feed(Event::Web(Call { id, who, what }))
    }

    /// Some calls, whatever else goes on.
    pub(super) fn pump_web(&mut self) -> Result<(), Error> {
        self.take_calls(CALLS_PER_TURN)
    }
}
