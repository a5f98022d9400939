//! What is known of one user.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::super::authorization::{Evidence, Party, Policy};
use super::super::clock::Wall;
use super::super::few::Few;
use super::super::live::Live;
use super::super::pending::Prompting;
use super::super::record::{
    Audit, Block, Chosen, Grant, Profile, ShownState, Status, Subscription, SubscriptionState,
    Token,
};
use super::covers;
use super::packed::{PackedFace, PackedProfile, PackedStatus};
use crate::address::Bare;

/// All that is known of one user: what a probe reads, and pointers to what most users do not have.
#[derive(Debug, Default)]
pub(in super::super) struct User {
    /// Her settings; absent only while loading, and for a user who has not joined.
    pub(super) profile: Option<PackedProfile>,
    pub(super) status: PackedStatus,
    pub(super) last_face: Option<PackedFace>,
    pub(in super::super) live: Live,
    pub(in super::super) subscriptions: Few<Bare, Subscription>,
    pub(super) rest: Option<Box<Rest>>,
}

/// What most users have nothing of.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) grants: Few<Bare, Grant>,
    pub(super) blocks: Few<Bare, Block>,
    /// By their public names.
    pub(super) tokens: Few<String, Token>,
    pub(super) history: Few<(Wall, String), Audit>,
    /// The highest number that a request has had.
    pub(super) last_number: u32,
    /// When she was told of requests; lives as long as the process.
    pub(super) prompting: Option<Prompting>,
}

static NOTHING: Rest = Rest {
    grants: Few::new(),
    blocks: Few::new(),
    tokens: Few::new(),
    history: Few::new(),
    last_number: 0,
    prompting: None,
};

impl Rest {
    fn is_nothing(&self) -> bool {
        self.grants.is_empty()
            && self.blocks.is_empty()
            && self.tokens.is_empty()
            && self.history.is_empty()
            && self.last_number == 0
            && self.prompting.is_none()
    }
}

impl User {
    /// Her settings.
    pub(in super::super) fn settings(&self) -> Option<&PackedProfile> {
        self.profile.as_ref()
    }

    /// Her settings as a record.
    pub(in super::super) fn profile(&self) -> Option<Profile> {
        self.profile.as_ref().map(Profile::from)
    }

    /// Her custom status.
    pub(in super::super) fn worn(&self) -> &PackedStatus {
        &self.status
    }

    /// Her custom status as a record.
    pub(in super::super) fn status(&self) -> Option<Status> {
        (&self.status).into()
    }

    /// What watchers last saw of her clients before a restart, or when it was last written.
    pub(in super::super) fn last_face(&self) -> Option<&PackedFace> {
        self.last_face.as_ref()
    }

    /// What she has granted.
    pub(in super::super) fn grants(&self) -> &Few<Bare, Grant> {
        &self.rest().grants
    }

    /// Whom she blocks.
    pub(in super::super) fn blocks(&self) -> &Few<Bare, Block> {
        &self.rest().blocks
    }

    /// Her tokens, by their public names.
    pub(in super::super) fn tokens(&self) -> &Few<String, Token> {
        &self.rest().tokens
    }

    /// What watchers did, oldest first.
    pub(in super::super) fn history(&self) -> &Few<(Wall, String), Audit> {
        &self.rest().history
    }

    /// The highest number that a request has had.
    pub(in super::super) fn last_number(&self) -> u32 {
        self.rest().last_number
    }

    /// Reads something at each end and between. What it returns says nothing.
    pub(super) fn lines(&self) -> usize {
        let joined = self.settings().map_or(0, |profile| profile.joined.0);
        let since = self.last_face().map_or(0, |last| last.since.0);
        let known = self.live.asked as usize + self.live.resources.len();
        (joined ^ since) as usize
            ^ known
            ^ self.subscriptions.len()
            ^ usize::from(self.rest.is_some())
    }

    fn rest(&self) -> &Rest {
        self.rest.as_deref().unwrap_or(&NOTHING)
    }

    /// Changes it, and gives it back where nothing is left.
    pub(super) fn change_rest(&mut self, change: impl FnOnce(&mut Rest)) {
        let rest = self.rest.get_or_insert_default();
        change(rest);
        if rest.is_nothing() {
            self.rest = None;
        }
    }

    /// The state that she chose, while it is in force.
    pub(in super::super) fn chosen(&self, now: Wall) -> Option<&Chosen> {
        self.status.state(now)
    }

    /// Whether watchers see her online: a resource counts, and she is not invisible.
    pub(in super::super) fn is_visible(&self, now: Wall) -> bool {
        let is_invisible = |chosen: &Chosen| chosen.state == ShownState::Invisible;
        self.live.best().is_some() && !self.chosen(now).is_some_and(is_invisible)
    }

    /// Whether she has joined and is not dormant.
    pub(in super::super) fn is_served(&self) -> bool {
        self.profile
            .as_ref()
            .is_some_and(|profile| !profile.dormant)
    }

    /// Her watchers that a revocation or block of `who` concerns, with their subscriptions.
    pub(in super::super) fn watchers_of(&self, who: &Bare) -> Vec<(Bare, SubscriptionState)> {
        self.subscriptions
            .iter()
            .filter(|(watcher, _)| covers(who, watcher))
            .map(|(watcher, one)| (watcher.clone(), one.state))
            .collect()
    }

    /// The watcher's subscription state.
    pub(in super::super) fn subscription(&self, watcher: &Bare) -> Option<SubscriptionState> {
        self.subscriptions
            .get(watcher)
            .map(|subscription| subscription.state)
    }

    /// Those to whom she has given something by her word: grants, and tokens that they have redeemed.
    pub(in super::super) fn granted(&self) -> BTreeSet<&Bare> {
        let rest = self.rest();
        let redeemed = rest.tokens.values().flat_map(|token| token.redeemed.keys());
        rest.grants.keys().chain(redeemed).collect()
    }

    /// What her records say for a watcher, who may show a token.
    pub(in super::super) fn evidence<'a>(
        &'a self,
        watcher: &Bare,
        party: Option<&'a Party>,
        shown: Option<&'a str>,
    ) -> Evidence<'a> {
        let rest = self.rest();
        let of_domain = if watcher.local().is_some() && !rest.grants.is_empty() {
            rest.grants.get(&watcher.to_domain())
        } else {
            None
        };
        Evidence {
            party,
            grants: [rest.grants.get(watcher), of_domain],
            subscribed: self.subscription(watcher) == Some(SubscriptionState::Approved),
            tokens: Some(&rest.tokens),
            shown,
        }
    }

    /// Her policy towards a watcher; `None` where she has not joined.
    pub(in super::super) fn policy<'a>(
        &'a self,
        user: &'a Bare,
        watcher: &Bare,
        zone: Tz,
    ) -> Option<Policy<'a>> {
        let blocks = self.blocks();
        let blocked = !blocks.is_empty()
            && (blocks.contains_key(watcher) || blocks.contains_key(&watcher.to_domain()));
        let profile = self.profile.as_ref()?;
        Some(Policy {
            user,
            visibility: profile.visibility,
            public_rights: profile.public_rights(),
            timezone: profile.timezone(),
            blocked,
            zone,
            counted: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::live::Resource;
    use super::*;

    /// With the place in the index and the address that is 200 bytes: a probe reads most of them.
    #[test]
    fn a_user_takes_few_cache_lines() {
        assert!(size_of::<User>() <= 176, "{}", size_of::<User>());
        assert!(size_of::<Resource>() <= 96, "{}", size_of::<Resource>());
    }
}
