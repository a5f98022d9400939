//! The rights: the commands that watchers may run. design.md §4.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One command a watcher may run for one user. The names are fixed (design.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// See state and status; every other right stands on it.
    See,
    /// Open a web page at her client.
    OpenUrl,
    /// Leave her a message.
    LeaveMessage,
    /// Show her a notification.
    Notify,
    /// Set her custom status.
    SetStatus,
    /// Start a program module that she has listed.
    StartModule,
    /// Start or raise her chat client.
    ActivateClient,
}

impl Right {
    /// All seven, in the order of the ceiling table.
    pub const ALL: [Self; 7] = [
        Self::See,
        Self::OpenUrl,
        Self::LeaveMessage,
        Self::Notify,
        Self::SetStatus,
        Self::StartModule,
        Self::ActivateClient,
    ];

    /// The name on the wire and in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::OpenUrl => "open-url",
            Self::LeaveMessage => "leave-message",
            Self::Notify => "notify",
            Self::SetStatus => "set-status",
            Self::StartModule => "start-module",
            Self::ActivateClient => "activate-client",
        }
    }

    /// Whether running it twice does no harm, so that a silent client may be passed over for the
    /// next one.
    #[must_use]
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::OpenUrl | Self::Notify | Self::ActivateClient)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a right; the rights are see, open-url, leave-message, notify, set-status, \
     start-module, activate-client"
)]
pub struct UnknownRight(pub String);

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(name: &str) -> Result<Self, UnknownRight> {
        Self::ALL
            .into_iter()
            .find(|right| right.as_str() == name)
            .ok_or_else(|| UnknownRight(name.to_owned()))
    }
}
