//! What is about to be taken away durably holds in memory at once (design.md §3), even where it cannot be written.

use std::collections::BTreeSet;

use super::super::clock::Wall;
use super::super::few::Few;
use super::super::limits::RECORDS_PER_USER_MAX;
use super::super::record::{Block, OperatorBlock, Subscription, SubscriptionState};
use super::super::sight::Sight;
use super::{State, covers};
use crate::address::Bare;

/// What a change about to be written takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Narrowing {
    /// All that she gave a watcher or a domain: grant and subscriptions, and what her tokens are to it; or all
    /// but the subscriptions.
    Revoke(Bare, bool),
    /// Tokens, and the subscriptions that stand on them.
    Tokens(Vec<String>, Vec<Bare>),
    /// The modules that a grant names, but for these.
    Modules(Bare, BTreeSet<String>),
    /// What has ended in her status by this time.
    EndedStatus(Wall),
    /// The grant to a watcher or domain that she had given since then, and subscriptions that stand on it.
    EndedGrant(Bare, Wall, Vec<Bare>),
    /// A token that has ended: the clock does not count for it any more.
    EndedToken(String),
    /// All sight of her for a watcher or a domain, with its subscriptions.
    Block(Bare, Wall),
    /// Less is seen of her; what is absent or wider changes nothing.
    Sight(Sight),
    /// The subscription of a watcher, or those of a domain.
    Subscription(Bare),
    /// All sight of everybody, by the operator's word.
    Bar(Bare, OperatorBlock),
    /// She leaves, or removes us from her contacts: nobody is told anything.
    Absence,
}

impl State {
    /// Takes away at once what is about to be taken away durably.
    pub(in super::super) fn narrow(&mut self, user: &Bare, narrowing: &Narrowing) {
        if let Narrowing::Bar(who, block) = narrowing {
            let block = || block.clone();
            self.barred.entry(who.clone()).or_insert_with(block);
            self.touched.note_all();
            return;
        }
        self.touched.note(user);
        let Some(known) = self.users.get_mut(user) else {
            return;
        };
        let requests = &mut self.requests;
        let mut end = |subscriptions: &mut Few<Bare, Subscription>, who: &Bare| {
            subscriptions.retain(|watcher, one| {
                let ends = covers(who, watcher);
                if ends {
                    requests.remove(&(one.since, user.clone(), watcher.clone()));
                }
                !ends
            });
        };
        match narrowing {
            Narrowing::Revoke(who, keeps_presence) => {
                if let Some(rest) = &mut known.rest {
                    rest.grants.remove(who);
                    rest.tokens.for_each_mut(|token| token.bar(who));
                }
                if !keeps_presence {
                    end(&mut known.subscriptions, who);
                }
            }
            Narrowing::Tokens(ids, watchers) => {
                if let Some(rest) = &mut known.rest {
                    rest.tokens.retain(|id, _| !ids.contains(id));
                }
                for watcher in watchers {
                    known.subscriptions.remove(watcher);
                }
            }
            Narrowing::Modules(who, left) => {
                let rest = known.rest.as_mut();
                if let Some(grant) = rest.and_then(|rest| rest.grants.get_mut(who)) {
                    grant.modules.retain(|module| left.contains(module));
                }
            }
            Narrowing::EndedStatus(met) => {
                let left = known.status().map(|status| status.tidied(*met));
                known.status = left.filter(|status| !status.is_empty()).into();
            }
            Narrowing::EndedGrant(who, since, ends) => {
                let grant = known.grants().get(who);
                if grant.is_some_and(|grant| grant.since == *since) {
                    known.change_rest(|rest| drop(rest.grants.remove(who)));
                }
                // Whom she approves herself meanwhile stays.
                known.subscriptions.retain(|watcher, one| {
                    let stands = one.state != SubscriptionState::Approved || !one.by_grant;
                    stands || !ends.contains(watcher)
                });
            }
            Narrowing::EndedToken(id) => {
                let rest = known.rest.as_mut();
                if let Some(token) = rest.and_then(|rest| rest.tokens.get_mut(id)) {
                    token.until = Wall(0);
                }
            }
            Narrowing::Block(who, since) => {
                if known.blocks().len() < RECORDS_PER_USER_MAX && !known.blocks().contains_key(who)
                {
                    let block = Block { since: *since };
                    known.change_rest(|rest| rest.blocks.insert(who.clone(), block));
                }
                end(&mut known.subscriptions, who);
            }
            Narrowing::Subscription(watcher) => {
                end(&mut known.subscriptions, watcher);
            }
            Narrowing::Bar(..) => {}
            Narrowing::Absence => {
                if let Some(profile) = known.profile.as_mut() {
                    profile.dormant = true;
                }
                // What her resources do from now on is nobody's business, and not followed.
                known.live.forget();
            }
            Narrowing::Sight(sight) => {
                if let Some(mut profile) = known.profile() {
                    sight.narrow(&mut profile);
                    known.profile = Some(profile.into());
                }
            }
        }
    }
}
