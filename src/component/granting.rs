//! What she gives to watchers by her word, and takes back: planned, and put into words. protocol.md §9.7.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::authorization::{Confirm, Interface, Right};
use super::clock::Wall;
use super::limits::{BODY_BYTES_MAX, RECORDS_PER_USER_MAX};
use super::quiet::Quiet;
use super::record::{Block, Change, Grant, SubscriptionState};
use super::reply::Refusal;
use super::setting::list;
use super::state::{Narrowing, User, covers};
use super::whom::Named;
use super::{Component, Turn, ending, words};
use crate::address::Bare;

/// What she offers, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) who: Vec<Named>,
    pub(super) rights: BTreeSet<Right>,
    pub(super) confirm: Confirm,
    pub(super) until: Option<Wall>,
    pub(super) max_per_day: Option<u32>,
    /// Empty: all.
    pub(super) interfaces: BTreeSet<Interface>,
    pub(super) quiet: Option<Quiet>,
}

impl Offer {
    /// Without limits; it does not ask her.
    pub(super) fn new(who: Vec<Named>, rights: BTreeSet<Right>) -> Self {
        Self {
            who,
            rights,
            confirm: Confirm::Never,
            until: None,
            max_per_day: None,
            interfaces: BTreeSet::new(),
            quiet: None,
        }
    }

    fn grant(&self, since: Wall) -> Grant {
        let rights = self.rights.iter().copied().chain([Right::See]).collect();
        Grant {
            confirm: self.confirm,
            until: self.until,
            max_per_day: self.max_per_day,
            interfaces: self.interfaces.clone(),
            quiet: self.quiet,
            ..Grant::new(rights, since)
        }
    }

    /// Everybody who gets a grant.
    pub(super) fn watchers(&self) -> impl Iterator<Item = &Bare> {
        self.who.iter().flat_map(Named::addresses)
    }
}

/// From whom she takes back what.
#[derive(Clone, Debug, Default)]
pub(super) struct Withdrawal {
    pub(super) who: Vec<Named>,
    /// Approved subscriptions stay.
    pub(super) keeps_presence: bool,
    /// They are blocked as well. Parties always are: they have nothing by her word that could be taken back.
    pub(super) blocks: bool,
    /// The grants that there were, found before they are gone.
    pub(super) had: Vec<(Bare, Grant)>,
    /// The tokens that they had redeemed, by their labels.
    pub(super) had_tokens: Vec<(Bare, String)>,
}

impl Withdrawal {
    pub(super) fn of(who: Vec<Named>) -> Self {
        Self {
            who,
            ..Self::default()
        }
    }

    /// Everybody concerned, and whether they are blocked.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Bare, bool)> {
        self.who.iter().flat_map(|named| {
            let blocked = self.blocks || named.is_party();
            named.addresses().map(move |who| (who, blocked))
        })
    }

    /// Whose subscriptions end.
    fn ends(&self) -> impl Iterator<Item = &Bare> {
        self.each()
            .filter(|(_, blocked)| *blocked || !self.keeps_presence)
            .map(|(who, _)| who)
    }

    /// Takes down what is about to be taken away: the grants, and the subscriptions that end.
    pub(super) fn look(&mut self, known: &User) -> Vec<(Bare, SubscriptionState)> {
        let had = self.each().filter_map(|(who, _)| {
            let grant = known.grants().get(who)?;
            Some((who.clone(), grant.clone()))
        });
        self.had = had.collect();
        let tokens = |who: &Bare| {
            let redeemed = known.tokens().values();
            let redeemed = redeemed.filter(|token| token.redeemed.contains_key(who));
            let labels: Vec<_> = redeemed.map(|token| token.label.clone()).collect();
            let who = who.clone();
            labels.into_iter().map(move |label| (who.clone(), label))
        };
        let had_tokens = self.each().flat_map(|(who, _)| tokens(who));
        self.had_tokens = had_tokens.collect();
        let mut ends: Vec<_> = self.ends().flat_map(|who| known.watchers_of(who)).collect();
        ends.sort_by(|(one, _), (other, _)| one.cmp(other));
        ends.dedup();
        ends
    }

    /// What holds before it is durable.
    pub(super) fn narrowing(&self, now: Wall) -> Vec<Narrowing> {
        let revoke = |who: &Bare| Narrowing::Revoke(who.clone(), self.keeps_presence);
        self.each()
            .flat_map(|(who, blocked)| {
                let block = blocked.then(|| Narrowing::Block(who.clone(), now));
                [revoke(who)].into_iter().chain(block)
            })
            .collect()
    }
}

/// Finds the grants to be written, and what to tell her.
pub(super) fn plan(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    offer: &Offer,
) -> Result<(Vec<Change>, String), Refusal> {
    let known = core.state.user(user).ok_or(Refusal::Forbidden)?;
    let is_new = |who: &&Bare| !known.grants().contains_key(*who);
    let n_new = offer.watchers().filter(is_new).count();
    if offer.watchers().any(|who| who == user) {
        return Err(Refusal::BadPayload("That is your own address.".into()));
    }
    if n_new > 0 && known.grants().len() + n_new > RECORDS_PER_USER_MAX {
        let text = format!("You cannot have more than {RECORDS_PER_USER_MAX} grants.");
        return Err(Refusal::BadPayload(text));
    }
    let (now, zone) = (turn.now.wall, core.zone(user));
    let grant = offer.grant(now);
    // What she has said about programs and names is about a watcher, not about one grant.
    let grant_for = |who: &Bare| match known.grants().get(who) {
        Some(before) => Grant {
            modules: before.modules.clone(),
            unsigned: before.unsigned,
            ..grant.clone()
        },
        None => grant.clone(),
    };
    let mut said = Vec::new();
    for named in &offer.who {
        said.push(format!(
            "{} may now: {}.",
            named.shown(),
            terms(&grant, now, zone)
        ));
        for who in named.addresses() {
            if let Some(before) = known.grants().get(who) {
                said.push(format!(
                    "Before, {} had: {}.",
                    who.shown(),
                    terms(before, now, zone)
                ));
            }
            if core.is_blocking(user, who) {
                said.push(format!(
                    "You block {0}, so it gets nothing of this until you send “unblock {0}”.",
                    who.shown()
                ));
            }
        }
    }
    let changes = offer.watchers().map(|who| Change::Grant {
        user: user.clone(),
        watcher: who.clone(),
        value: Some(grant_for(who)),
    });
    Ok((changes.collect(), words::lines(&said, BODY_BYTES_MAX)))
}

/// Finds what is to be taken out of the store, and what to tell her. The subscriptions are the caller's.
pub(super) fn plan_withdrawal(
    core: &Component,
    turn: &Turn,
    user: &Bare,
    withdrawal: &Withdrawal,
) -> Result<(Vec<Change>, String), Refusal> {
    let known = core.state.user(user).ok_or(Refusal::Forbidden)?;
    let since = turn.now.wall;
    // Those for which there is room are in force already.
    let mut blocked = withdrawal.each().filter(|(_, blocked)| *blocked);
    if blocked.any(|(who, _)| !known.blocks().contains_key(who))
        && known.blocks().len() >= RECORDS_PER_USER_MAX
    {
        let text = format!("You cannot have more than {RECORDS_PER_USER_MAX} blocks.");
        return Err(Refusal::BadPayload(text));
    }
    let (now, zone) = (turn.now.wall, core.zone(user));
    let mut changes = Vec::new();
    for (who, blocked) in withdrawal.each() {
        let (user, watcher) = (user.clone(), who.clone());
        // In memory it is gone already: the record is what remains.
        changes.push(Change::Grant {
            user: user.clone(),
            watcher: watcher.clone(),
            value: None,
        });
        if blocked {
            let value = known.blocks().get(who).copied().unwrap_or(Block { since });
            changes.push(Change::Block {
                user,
                watcher,
                value: Some(value),
            });
        }
    }
    // As they are in memory already, without whom she has revoked.
    changes.extend(known.tokens().iter().map(|(id, token)| Change::Token {
        user: user.clone(),
        id: id.clone(),
        value: Some(token.clone()),
    }));
    let mut said = Vec::new();
    for named in &withdrawal.who {
        let blocked = withdrawal.blocks || named.is_party();
        said.push(sentence(withdrawal, named, blocked));
        for (who, grant) in &withdrawal.had {
            if named.addresses().any(|one| one == who) {
                said.push(format!("It had: {}.", terms(grant, now, zone)));
            }
        }
        for (who, label) in &withdrawal.had_tokens {
            if named.addresses().any(|one| one == who) {
                said.push(format!(
                    "It had redeemed your token “{label}”, which goes on for others: “token revoke {label}” \
                     ends it for all."
                ));
            }
        }
        if let Some(party) = named
            .addresses()
            .find_map(|who| core.settings.party_of(who))
            .filter(|_| !blocked)
        {
            said.push(format!(
                "It is an address of the operator's party {0}, which has rights without your grant: “block \
                 {0}” ends that.",
                party.name
            ));
        }
    }
    let n_sent = core.n_sent(user, |watcher| {
        withdrawal.each().any(|(who, _)| covers(who, watcher))
    });
    match n_sent {
        0 => {}
        1 => said.push("One command is at your client already and cannot be recalled.".into()),
        n => said.push(format!(
            "{n} commands are at your client already and cannot be recalled."
        )),
    }
    Ok((changes, words::lines(&said, BODY_BYTES_MAX)))
}

fn sentence(withdrawal: &Withdrawal, named: &Named, blocked: bool) -> String {
    let who = named.shown();
    if named.is_party() {
        return format!(
            "{who} has its rights by the operator's word, which you cannot take back: it is blocked, and \
             gets the answer of an unknown user. “unblock {}” undoes it.",
            named.name()
        );
    }
    if blocked {
        return format!(
            "{who} has nothing by your word any more, and is blocked: it gets the answer of an unknown user."
        );
    }
    let had = |(one, _): &(Bare, Grant)| named.addresses().any(|who| who == one);
    let redeemed = |(one, _): &(Bare, String)| named.addresses().any(|who| who == one);
    let is_granted = withdrawal.had.iter().any(had) || withdrawal.had_tokens.iter().any(redeemed);
    match (is_granted, withdrawal.keeps_presence) {
        (true, true) => format!("{who} has no grant any more; who gets your presence still does."),
        (true, false) => {
            format!("{who} has nothing by your word any more: no grant, no presence.")
        }
        (false, true) => format!("{who} had no grant; nothing has changed."),
        (false, false) => format!(
            "{who} has nothing by your word any more: there was no grant, and there is no presence."
        ),
    }
}

/// What a grant gives, under which limits, in a person's words.
pub(super) fn terms(grant: &Grant, now: Wall, zone: Tz) -> String {
    let mut parts = vec![list(&grant.rights)];
    match grant.confirm {
        Confirm::Always => parts.push("you are asked each time".into()),
        Confirm::First if grant.confirmed => {
            parts.push("you were asked the first time and said yes".into());
        }
        Confirm::First => parts.push("you are asked the first time".into()),
        Confirm::Never => {}
    }
    if let Some(until) = grant.until {
        parts.push(format!("until {}", ending::shown(until, now, zone)));
    }
    if let Some(max) = grant.max_per_day {
        parts.push(format!("at most {max} a day"));
    }
    if let Some(quiet) = grant.quiet {
        parts.push(format!("nothing but see in {quiet} ({zone})"));
    }
    if !grant.interfaces.is_empty() {
        parts.push(format!("over {} only", interfaces(&grant.interfaces)));
    }
    parts.join("; ")
}

/// Interfaces as a list of names.
pub(super) fn interfaces(interfaces: &BTreeSet<Interface>) -> String {
    let names: Vec<_> = interfaces.iter().map(|one| one.as_str()).collect();
    names.join(", ")
}

impl Component {
    /// Whether she blocks an address or its domain.
    fn is_blocking(&self, user: &Bare, who: &Bare) -> bool {
        let known = self.state.user(user);
        let policy = known.and_then(|known| known.policy(user, who, self.settings.timezone));
        policy.is_some_and(|policy| policy.blocked)
    }
}
