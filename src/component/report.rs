//! What the core has to say to the operator, as a line of the log.

use std::fmt;
use std::time::Duration;

use super::limits::SERVER_TAKES;
use crate::address::Bare;

/// Something for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A user has joined.
    Joined(Bare),
    /// So many of so many users have been asked for their presence after an attach, and their server
    /// has answered.
    Learning(usize, usize),
    /// That is done: for so many, without an answer for so many, in so much time.
    Learned(usize, usize, Duration),
    /// A user does not let the component see her presence.
    Unseen(Bare),
    /// Subscription stanzas to the users of a domain are paced; whether its server said that it is ejabberd.
    Paced(Bare, bool),
    /// More subscription stanzas wait for their turn than are kept.
    Crowded,
    /// What an administrator did.
    Admin(Bare, String),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(user) => write!(f, "{user} has joined"),
            Self::Learning(n, of) => write!(f, "learned {n} of {of} users"),
            Self::Learned(n, 0, time) => {
                write!(f, "learned {n} users in {:.1} s", time.as_secs_f64())
            }
            Self::Learned(n, lost, time) => write!(
                f,
                "learned {n} users in {:.1} s; for {lost} more their server did not answer",
                time.as_secs_f64()
            ),
            Self::Paced(domain, known) => {
                let why = if *known {
                    "runs ejabberd"
                } else {
                    "does not say what server it runs"
                };
                write!(
                    f,
                    "{domain} {why}: {} subscription stanzas a minute go to its users, see \
                     limits.subscriptions-per-minute",
                    SERVER_TAKES
                )
            }
            Self::Crowded => f.write_str(
                "too many subscription stanzas wait for their turn, one was not sent; see \
                 limits.subscriptions-per-minute",
            ),
            Self::Admin(who, did) => write!(f, "{who} (administrator) {did}"),
            Self::Unseen(user) => {
                write!(
                    f,
                    "{user} has not approved our subscription to her presence"
                )
            }
        }
    }
}
