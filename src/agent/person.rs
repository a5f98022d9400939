//! The person at the machine: asked and told on the desktop where there is one, else on a terminal,
//! else not at all, and then what must be asked is refused.

use std::collections::VecDeque;
use std::future::Future;

use super::ask::Asker;
use super::config::AskFrom;
use super::desktop::{Ability, Desktop};
use super::policy::{Answer, Ticket};
use super::question::Question;
use crate::component::clock::Wall;
use crate::driver::SystemClock;

/// Where she can be reached.
#[derive(Debug)]
pub struct Person {
    desktop: Option<Desktop>,
    terminal: Option<Asker>,
    /// Questions that could not be shown.
    gone: VecDeque<Ticket>,
}

impl Person {
    /// Looks for her where the file says.
    #[must_use]
    pub fn find(from: AskFrom, clock: SystemClock) -> Self {
        let desktop =
            matches!(from, AskFrom::Auto | AskFrom::Desktop).then(|| Desktop::start(clock));
        let terminal = match from {
            AskFrom::Desktop => None,
            from => Asker::open(from)
                .inspect_err(|error| tracing::debug!("there is no terminal: {error}"))
                .ok(),
        };
        Self {
            desktop,
            terminal,
            gone: VecDeque::new(),
        }
    }

    /// Returns when it is known where she can be reached, and says so in the log.
    pub async fn looked(&mut self) {
        if let Some(desktop) = &mut self.desktop {
            desktop.looked().await;
        }
        match (self.on_desktop(), &self.terminal) {
            (Ability::Asks, _) => tracing::info!("questions are asked on the desktop"),
            (_, Some(_)) => tracing::info!("questions are asked on the terminal"),
            _ => tracing::warn!("nobody can be asked, what would have to be is refused"),
        }
    }

    fn on_desktop(&self) -> Ability {
        self.desktop
            .as_ref()
            .map_or(Ability::Nothing, Desktop::ability)
    }

    /// Whether she can be asked now.
    #[must_use]
    pub fn can_be_asked(&self) -> bool {
        self.on_desktop() == Ability::Asks || self.terminal.is_some()
    }

    /// Asks her.
    pub fn ask(&mut self, question: Question) {
        let ticket = question.ticket;
        if let Some(desktop) = &self.desktop
            && desktop.ask(question.clone())
        {
            return;
        }
        match &mut self.terminal {
            Some(terminal) => terminal.ask(question),
            None => self.gone.push_back(ticket),
        }
    }

    /// Takes a question back, wherever it stands.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if let Some(desktop) = &self.desktop {
            desktop.withdraw(ticket);
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.withdraw(ticket);
        }
    }

    /// Shows her something. The future says whether that worked.
    pub fn show(
        &self,
        title: &str,
        text: &str,
    ) -> impl Future<Output = Result<String, String>> + Send + 'static {
        let able = self.on_desktop() >= Ability::Shows;
        let desktop = self.desktop.as_ref().filter(|_| able);
        let shown = desktop.map(|desktop| desktop.show(title, text));
        let on_terminal = shown.is_none() && self.terminal.is_some();
        if let Some(terminal) = self.terminal.as_ref().filter(|_| on_terminal) {
            terminal.show(title, text);
        }
        async move {
            let shown = match shown {
                Some(shown) => shown.await,
                None => on_terminal,
            };
            if shown {
                Ok("shown".to_owned())
            } else {
                Err("the user cannot be shown anything here".to_owned())
            }
        }
    }

    /// The next answer; waits for ever while nothing is asked. May be given up at any point.
    pub async fn next(&mut self, wall: impl Fn() -> Wall) -> (Ticket, Answer) {
        if let Some(ticket) = self.gone.pop_front() {
            return (ticket, Answer::Gone);
        }
        let (desktop, terminal) = (&mut self.desktop, &mut self.terminal);
        let on_desktop = async {
            match desktop {
                Some(desktop) => desktop.next().await,
                None => std::future::pending().await,
            }
        };
        let on_terminal = async {
            match terminal {
                Some(terminal) => terminal.next(wall).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = on_desktop => answer,
            answer = on_terminal => answer,
        }
    }
}
