//! Notifications of the desktop, with buttons: `org.freedesktop.Notifications` 1.2 on the session bus.
//!
//! A task of its own holds the bus, so that a notification server that hangs costs nobody else
//! anything. Whether to ask is not decided here.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use zbus::zvariant::Value;

use super::policy::{Answer, Ticket};
use super::question::Question;
use crate::component::clock::Wall;
use crate::driver::Clock as _;
use crate::driver::SystemClock;

/// Orders and answers that wait; no more than eight questions are open.
const QUEUE_MAX: usize = 32;
/// A notification server that has not answered for so long is not there.
const ANSWER: Duration = Duration::from_secs(5);
/// How long until the bus is looked for again.
const PAUSE: Duration = Duration::from_secs(30);
/// A button that is pressed sooner after its question was meant for something else, in milliseconds.
const READING_TIME_MS: i64 = 500;
/// The keys of the two buttons.
const YES: &str = "vestibule-yes";
const NO: &str = "vestibule-no";

/// What the desktop can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Nobody has looked yet.
    Unknown,
    /// Nothing: there is no bus, or nobody on it.
    Nothing,
    /// Show.
    Shows,
    /// Show with buttons.
    Asks,
}

enum Order {
    Ask(Question),
    Withdraw(Ticket),
    Show(String, String, oneshot::Sender<bool>),
}

/// The desktop, from the agent's side.
#[derive(Debug)]
pub struct Desktop {
    orders: mpsc::Sender<Order>,
    answers: mpsc::Receiver<(Ticket, Answer)>,
    ability: watch::Receiver<Ability>,
}

impl Desktop {
    /// Begins to look for a desktop, for as long as this value lives.
    #[must_use]
    pub fn start(clock: SystemClock) -> Self {
        let (orders, taken) = mpsc::channel(QUEUE_MAX);
        let (given, answers) = mpsc::channel(QUEUE_MAX);
        let (told, ability) = watch::channel(Ability::Unknown);
        let bus = Bus {
            orders: taken,
            answers: given,
            ability: told,
            open: Vec::new(),
            clock,
        };
        tokio::spawn(bus.run());
        Self {
            orders,
            answers,
            ability,
        }
    }

    /// Returns when somebody has looked.
    pub async fn looked(&mut self) {
        let known = |ability: &Ability| *ability != Ability::Unknown;
        // It fails only where the task has ended, and then there is nothing to wait for.
        let _ = self.ability.wait_for(known).await;
    }

    /// What it can do now.
    #[must_use]
    pub fn ability(&self) -> Ability {
        *self.ability.borrow()
    }

    /// Asks; `false` where it cannot.
    pub fn ask(&self, question: Question) -> bool {
        self.ability() == Ability::Asks && self.orders.try_send(Order::Ask(question)).is_ok()
    }

    /// Takes a question back.
    pub fn withdraw(&self, ticket: Ticket) {
        // One that cannot be taken back ends by its time, and its answer counts for nothing.
        let _ = self.orders.try_send(Order::Withdraw(ticket));
    }

    /// Shows something; the future is true when it stands there.
    pub fn show(&self, title: &str, text: &str) -> impl Future<Output = bool> + Send + 'static {
        let (done, shown) = oneshot::channel();
        let order = Order::Show(title.to_owned(), text.to_owned(), done);
        let sent = self.orders.try_send(order).is_ok();
        async move { sent && shown.await.unwrap_or(false) }
    }

    /// The next answer; waits for ever while nothing is asked. May be given up at any point.
    pub async fn next(&mut self) -> (Ticket, Answer) {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// A question that stands on the screen.
struct Open {
    id: u32,
    question: Question,
    shown: Wall,
}

/// The task that holds the bus.
struct Bus {
    orders: mpsc::Receiver<Order>,
    answers: mpsc::Sender<(Ticket, Answer)>,
    ability: watch::Sender<Ability>,
    open: Vec<Open>,
    clock: SystemClock,
}

/// The other end of [`Desktop`] is gone.
struct Gone;

impl Bus {
    async fn run(mut self) {
        loop {
            let mut pause = PAUSE;
            if let Ok(Ok(server)) = tokio::time::timeout(ANSWER, Server::find()).await {
                match self.serve(&server).await {
                    Err(Gone) => return,
                    // A server that comes back is there at once.
                    Ok(()) => pause = Duration::from_secs(1),
                }
            }
            self.ability.send_replace(Ability::Nothing);
            if self.idle(pause).await.is_err() {
                return;
            }
        }
    }

    /// While there is no desktop.
    async fn idle(&mut self, pause: Duration) -> Result<(), Gone> {
        for open in std::mem::take(&mut self.open) {
            self.answer(open.question.ticket, Answer::Gone).await?;
        }
        let mut pause = std::pin::pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                order = self.orders.recv() => match order {
                    None => return Err(Gone),
                    Some(Order::Ask(question)) => self.answer(question.ticket, Answer::Gone).await?,
                    // Dropping the sender says that it was not shown.
                    Some(Order::Withdraw(_) | Order::Show(..)) => {}
                },
            }
        }
    }

    async fn answer(&self, ticket: Ticket, answer: Answer) -> Result<(), Gone> {
        self.answers.send((ticket, answer)).await.map_err(|_| Gone)
    }

    /// Serves until the server or the bus is gone.
    async fn serve(&mut self, server: &Server) -> Result<(), Gone> {
        let proxy = &server.proxy;
        let (Ok(mut pressed), Ok(mut closed), Ok(mut owner)) = (
            proxy.receive_action_invoked().await,
            proxy.receive_notification_closed().await,
            proxy.inner().receive_owner_changed().await,
        ) else {
            return Ok(());
        };
        self.ability.send_replace(server.ability);
        loop {
            let until = self.open.iter().map(|open| open.question.until).min();
            let left = until.map(|until| until.0.saturating_sub(self.wall().0).max(0));
            // The wall clock may be set meanwhile, so it is looked at again now and then.
            let nap = left.map_or(PAUSE, |ms| {
                Duration::from_millis(ms.unsigned_abs().min(1_000))
            });
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return Err(Gone),
                    Some(order) => self.take(server, order).await?,
                },
                signal = pressed.next() => {
                    let Some(signal) = signal else { return Ok(()) };
                    if let Ok(told) = signal.args() {
                        self.pressed(server, told.id, told.action_key).await?;
                    }
                }
                signal = closed.next() => {
                    let Some(signal) = signal else { return Ok(()) };
                    if let Ok(told) = signal.args() {
                        self.closed(told.id, told.reason).await?;
                    }
                }
                change = owner.next() => match change {
                    // The one that was there at the start.
                    Some(Some(_)) if self.open.is_empty() => {}
                    _ => return Ok(()),
                },
                () = tokio::time::sleep(nap) => self.expire(server).await?,
            }
        }
    }

    fn wall(&self) -> Wall {
        self.clock.now().wall
    }

    async fn take(&mut self, server: &Server, order: Order) -> Result<(), Gone> {
        match order {
            Order::Ask(question) => self.show_question(server, question).await,
            Order::Withdraw(ticket) => {
                let found = self
                    .open
                    .iter()
                    .position(|one| one.question.ticket == ticket);
                if let Some(at) = found {
                    server.close(self.open.remove(at).id).await;
                }
                Ok(())
            }
            Order::Show(title, text, done) => {
                let shown = server.show(&title, &text, &[], 1).await.is_some();
                // Nobody may wait for it any more.
                let _ = done.send(shown);
                Ok(())
            }
        }
    }

    async fn show_question(&mut self, server: &Server, question: Question) -> Result<(), Gone> {
        let buttons = [YES, question.verb, NO, "Refuse"];
        let text = question.on_desktop();
        match server.show(&question.title, &text, &buttons, 2).await {
            Some(id) => {
                let shown = self.wall();
                self.open.push(Open {
                    id,
                    question,
                    shown,
                });
                Ok(())
            }
            None => self.answer(question.ticket, Answer::Gone).await,
        }
    }

    async fn pressed(&mut self, server: &Server, id: u32, key: &str) -> Result<(), Gone> {
        let Some(at) = self.open.iter().position(|open| open.id == id) else {
            return Ok(());
        };
        let answer = match key {
            YES => Answer::Yes,
            NO => Answer::No,
            _ => return Ok(()),
        };
        let open = self.open.remove(at);
        server.close(id).await;
        let early = self.wall().0 - open.shown.0;
        if answer == Answer::Yes && (0..READING_TIME_MS).contains(&early) {
            // Nobody has read so fast: it is asked anew.
            return self.show_question(server, open.question).await;
        }
        self.answer(open.question.ticket, answer).await
    }

    /// A notification is gone: by the person, or by the server.
    async fn closed(&mut self, id: u32, reason: u32) -> Result<(), Gone> {
        /// She closed it (Desktop Notifications 1.2, `NotificationClosed`).
        const DISMISSED: u32 = 2;
        let Some(at) = self.open.iter().position(|open| open.id == id) else {
            return Ok(());
        };
        let ticket = self.open.remove(at).question.ticket;
        let answer = if reason == DISMISSED {
            Answer::No
        } else {
            Answer::Silence
        };
        self.answer(ticket, answer).await
    }

    async fn expire(&mut self, server: &Server) -> Result<(), Gone> {
        let now = self.wall();
        while let Some(at) = self.open.iter().position(|open| open.question.until <= now) {
            let open = self.open.remove(at);
            server.close(open.id).await;
            self.answer(open.question.ticket, Answer::Silence).await?;
        }
        Ok(())
    }
}

/// The notification server.
struct Server {
    proxy: proxy::NotificationsProxy<'static>,
    ability: Ability,
    markup: bool,
}

impl Server {
    async fn find() -> zbus::Result<Self> {
        let bus = zbus::connection::Builder::session()?
            .method_timeout(ANSWER)
            .build()
            .await?;
        let proxy = proxy::NotificationsProxy::new(&bus).await?;
        // Also starts a server that is started on demand.
        let abilities = proxy.get_capabilities().await?;
        let has = |name: &str| abilities.iter().any(|ability| ability == name);
        Ok(Self {
            ability: if has("actions") {
                Ability::Asks
            } else {
                Ability::Shows
            },
            markup: has("body-markup"),
            proxy,
        })
    }

    /// Shows something; `None` where it does not work.
    async fn show(&self, title: &str, text: &str, buttons: &[&str], urgency: u8) -> Option<u32> {
        /// Stays until it is closed; only questions do.
        const NEVER: i32 = 0;
        /// As the server likes it.
        const AS_USUAL: i32 = -1;
        let text = if self.markup {
            escaped(text)
        } else {
            text.to_owned()
        };
        let urgency = Value::from(urgency);
        let hints = HashMap::from([("urgency", &urgency)]);
        let expires = if buttons.is_empty() { AS_USUAL } else { NEVER };
        self.proxy
            .notify(
                "Vestibule agent",
                0,
                "",
                title,
                &text,
                buttons,
                hints,
                expires,
            )
            .await
            .inspect_err(|error| tracing::warn!("the desktop shows nothing: {error}"))
            .ok()
    }

    async fn close(&self, id: u32) {
        // It may be closed already.
        let _ = self.proxy.close_notification(id).await;
    }
}

/// A text that is read as markup, without any.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The interface as zbus reads it; what it makes of it has no documentation of its own.
#[expect(clippy::too_many_arguments, reason = "generated, by the specification")]
mod proxy {
    use std::collections::HashMap;

    use zbus::zvariant::Value;

    #[zbus::proxy(
        interface = "org.freedesktop.Notifications",
        default_service = "org.freedesktop.Notifications",
        default_path = "/org/freedesktop/Notifications",
        gen_blocking = false
    )]
    pub(super) trait Notifications {
        fn notify(
            &self,
            app_name: &str,
            replaces_id: u32,
            app_icon: &str,
            summary: &str,
            body: &str,
            actions: &[&str],
            hints: HashMap<&str, &Value<'_>>,
            expire_timeout: i32,
        ) -> zbus::Result<u32>;

        fn close_notification(&self, id: u32) -> zbus::Result<()>;

        fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

        #[zbus(signal)]
        fn action_invoked(&self, id: u32, action_key: &str) -> zbus::Result<()>;

        #[zbus(signal)]
        fn notification_closed(&self, id: u32, reason: u32) -> zbus::Result<()>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_markup() {
        assert_eq!(
            escaped("<b>&amp;</b> <a href='x'>"),
            "&lt;b&gt;&amp;amp;&lt;/b&gt; &lt;a href='x'&gt;"
        );
    }
}
