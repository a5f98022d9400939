//! What an import gives back: everything, or no more than a user gives who has just joined.

use std::fmt;

use super::Import;
use crate::component::record::{Change, Profile, Subscription, SubscriptionState, Token};

/// What has been imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records of the export.
    pub records: u64,
    /// When the export was made, as it says.
    pub made: String,
    /// Why everything came back as it was; `None` where it did not.
    pub whole: Option<Whole>,
    /// From where it is known what was taken away since, or why it is not.
    pub why: String,
    /// Users who have left since, and were left out; `None` where it is not known who has.
    pub left: Option<u64>,
    /// Grants that were left out.
    pub grants: u64,
    /// Tokens that were left out.
    pub tokens: u64,
    /// Approved subscriptions that wait for the user's word again.
    pub approvals: u64,
    /// Approvals in advance that were left out.
    pub preapprovals: u64,
    /// Users whose visibility was wider than the default.
    pub visibilities: u64,
}

/// Why an import may give everything back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The operator has said so.
    Told,
    /// The proof of the store that it is of says that nothing has been taken away since.
    Proven,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of {} are imported", self.records, self.made)?;
        match self.whole {
            Some(Whole::Proven) => write!(
                f,
                "; {}, so everything is as it was, but that tokens take no new uses",
                self.why
            ),
            Some(Whole::Told) => write!(
                f,
                "; everything is as it was then, also what users have taken away since"
            ),
            None => {
                write!(
                    f,
                    ", but for what users may have taken away since: {}. ",
                    self.why
                )?;
                match self.left {
                    Some(left) => write!(f, "{left} users who have left stay away, ")?,
                    None => write!(f, "Users who have left are back, as you have said; ")?,
                }
                write!(
                    f,
                    "{} grants are left out, {} tokens too, {} approved and {} pre-approved contacts \
                     must be approved again, and {} users are not seen by more than the default \
                     visibility says. Blocks are as they were then. To have everything as it was then, move \
                     the new store away and import again with --revive",
                    self.grants, self.tokens, self.approvals, self.preapprovals, self.visibilities
                )
            }
        }
    }
}

impl Imported {
    /// What comes back of a record of which nobody knows whether it was taken away later.
    pub(super) fn without_proof(&mut self, change: Change, what: &Import<'_>) -> Option<Change> {
        let (now, widest) = (what.now, what.default_visibility);
        match change {
            Change::Grant { .. } => {
                self.grants += 1;
                None
            }
            Change::Token { .. } => {
                self.tokens += 1;
                None
            }
            Change::Subscription {
                user,
                watcher,
                value: Some(subscription),
            } => {
                let asked_again = subscription.state == SubscriptionState::Approved;
                let state = match subscription.state {
                    SubscriptionState::Preapproved => {
                        self.preapprovals += 1;
                        return None;
                    }
                    SubscriptionState::Approved => {
                        self.approvals += 1;
                        SubscriptionState::Pending
                    }
                    SubscriptionState::Pending => SubscriptionState::Pending,
                };
                Some(Change::Subscription {
                    user,
                    watcher,
                    value: Some(match asked_again {
                        // A request is as old as the import, for old ones end.
                        true => Subscription {
                            state,
                            since: now,
                            waiting: None,
                            by_grant: false,
                        },
                        false => subscription,
                    }),
                })
            }
            Change::Profile {
                user,
                value: Some(profile),
            } => {
                self.visibilities += u64::from(profile.visibility > widest);
                Some(Change::Profile {
                    user,
                    value: Some(Profile {
                        visibility: profile.visibility.min(widest),
                        ..profile
                    }),
                })
            }
            Change::Profile { value: None, .. } | Change::Subscription { value: None, .. } => None,
            Change::Status { .. }
            | Change::Block { .. }
            | Change::Execution { .. }
            | Change::Audit { .. }
            | Change::Face { .. }
            | Change::OperatorBlock { .. } => Some(change),
        }
    }
}

/// A token without uses that are left; what was redeemed with it stays. Anything else as it is.
pub(super) fn used_up(change: Change) -> Change {
    match change {
        Change::Token {
            user,
            id,
            value: Some(token),
        } => Change::Token {
            user,
            id,
            value: Some(Token {
                used: token.uses,
                ..token
            }),
        },
        other => other,
    }
}
