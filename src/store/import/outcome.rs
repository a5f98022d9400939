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
        let (records, made, why) = (self.records, &self.made, &self.why);
        write!(f, "{records} records of {made} are imported")?;
        match self.whole {
            Some(Whole::Proven) => {
                return write!(
                    f,
                    "; {why}, so everything is as it was, but that tokens take no new uses"
                );
            }
            Some(Whole::Told) => {
                return write!(
                    f,
                    "; everything is as it was then, also what users have taken away since"
                );
            }
            None => {}
        }
        writeln!(
            f,
            ". What users may have taken away since does not come back, for {why}:"
        )?;
        if self.left.is_none() {
            writeln!(
                f,
                "- who has left is not known: all users are back, as you have said"
            )?;
        }
        for (n, one, more) in [
            (
                self.left.unwrap_or(0),
                "user who has left stays away",
                "users who have left stay away",
            ),
            (self.grants, "grant is left out", "grants are left out"),
            (self.tokens, "token is left out", "tokens are left out"),
            (
                self.approvals,
                "approved contact must be approved again",
                "approved contacts must be approved again",
            ),
            (
                self.preapprovals,
                "approval in advance is left out",
                "approvals in advance are left out",
            ),
            (
                self.visibilities,
                "user is seen by no more than users.default-visibility says",
                "users are seen by no more than users.default-visibility says",
            ),
        ] {
            match n {
                0 => {}
                1 => writeln!(f, "- 1 {one}")?,
                n => writeln!(f, "- {n} {more}")?,
            }
        }
        write!(
            f,
            "- blocks are as they were then: those made since are not known\n\
             To have everything as it was then, move the new store away and import again with --revive"
        )
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
