//! An oracle for `decide`, written from the documents alone: what the design says of levels, the ceiling,
//! visibility, blocks, grants, tokens and confirmations, in the plainest words that compute. It knows nothing of the
//! crate; [`compared`] holds it against `decide`, case by case, and [`under_ceilings`] with tokens under other ceilings.

mod compared;
mod under_ceilings;

/// The seven rights, in the order of the design's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    See,
    OpenUrl,
    LeaveMessage,
    Notify,
    SetStatus,
    ActivateClient,
    StartModule,
}

const RIGHTS: [Right; 7] = [
    Right::See,
    Right::OpenUrl,
    Right::LeaveMessage,
    Right::Notify,
    Right::SetStatus,
    Right::ActivateClient,
    Right::StartModule,
];

/// How far a watcher is trusted; the later the further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Public,
    Known,
    Authorized,
    Trusted,
}

/// A cell of the operator's ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    No,
    Ask,
    Yes,
    /// `Ask` and `Yes` for what she has granted by name, `No` otherwise.
    AskByGrant,
    YesByGrant,
}

/// What the operator has written: the design's table, or the same word in every cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ceiling {
    Default,
    /// In all rows but that of `see`, which stays as it is.
    All(Cell),
    /// In that of `see` too.
    Even(Cell),
}

impl Ceiling {
    fn cell(self, right: Right, level: Level) -> Cell {
        match self {
            Self::Even(cell) => cell,
            Self::All(cell) if right != Right::See => cell,
            Self::All(_) | Self::Default => default_ceiling(right, level),
        }
    }
}

/// The design's table.
fn default_ceiling(right: Right, level: Level) -> Cell {
    use Cell::{Ask, AskByGrant, No, Yes, YesByGrant};
    let row = match right {
        // Whether the public sees her is a question of her visibility.
        Right::See => [Yes, Yes, Yes, Yes],
        Right::OpenUrl => [Ask, Ask, Yes, Yes],
        Right::LeaveMessage => [Yes, Yes, Yes, Yes],
        Right::Notify => [No, Yes, Yes, Yes],
        Right::SetStatus => [No, No, YesByGrant, YesByGrant],
        Right::ActivateClient => [No, No, Ask, Yes],
        Right::StartModule => [No, No, AskByGrant, YesByGrant],
    };
    row[level as usize]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    Public,
    Dedicated,
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visibility {
    Private,
    Subscribers,
    Public,
}

/// What the person set for the commands of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirm {
    Always,
    /// Once, and she has not been asked yet.
    First,
    /// Once, and she has said yes.
    FirstConfirmed,
    Never,
}

/// Which rights a piece of evidence names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Nothing,
    /// The right that is asked for.
    This,
    /// `see`.
    See,
    /// A right that is not asked for, and not `see`.
    Other,
    All,
}

impl Names {
    fn name(self, asked: Right, right: Right) -> bool {
        match self {
            Self::Nothing => false,
            Self::This => right == asked,
            Self::See => right == Right::See,
            Self::Other => right == other_than(asked),
            Self::All => true,
        }
    }
}

fn other_than(right: Right) -> Right {
    if right == Right::LeaveMessage {
        Right::OpenUrl
    } else {
        Right::LeaveMessage
    }
}

/// What holds a grant back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// It is in its quiet hours.
    Quiet,
    /// Its uses for the day are used up.
    UsedUp,
}

/// Her stored consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grant {
    names: Names,
    confirm: Confirm,
    /// Its end has passed.
    ended: bool,
    /// She gave it for other interfaces than the one of the request.
    elsewhere: bool,
    rest: Rest,
}

/// How a token of hers stands to the watcher (docs/tokens.md, design/0010).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It is shown in the request.
    Shown,
    /// The watcher has redeemed it, and shows nothing.
    Redeemed,
    /// The same, and all its uses are used up: who has redeemed it needs none.
    RedeemedUsedUp,
    /// The same, and it is shown besides.
    RedeemedAndShown,
    /// It is shown, or was redeemed, and has ended.
    ShownEnded,
    RedeemedEnded,
    /// It is shown, and she has revoked everything of the watcher since it was made.
    ShownBarred,
    /// It was shown when the command began, and she has taken it back since.
    TakenBack,
    /// Another watcher has redeemed it, and this one does not show it.
    Others,
    /// Nobody has shown it.
    Kept,
}

const STANDS: [Stands; 10] = [
    Stands::Shown,
    Stands::Redeemed,
    Stands::RedeemedUsedUp,
    Stands::RedeemedAndShown,
    Stands::ShownEnded,
    Stands::RedeemedEnded,
    Stands::ShownBarred,
    Stands::TakenBack,
    Stands::Others,
    Stands::Kept,
];

/// A token of hers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    names: Names,
    stands: Stands,
}

impl Token {
    fn counts(self) -> bool {
        use Stands::{Redeemed, RedeemedAndShown, RedeemedUsedUp, Shown};
        matches!(
            self.stands,
            Shown | Redeemed | RedeemedUsedUp | RedeemedAndShown
        )
    }

    /// `see` is always included.
    fn names(self, asked: Right, right: Right) -> bool {
        right == Right::See || self.names.name(asked, right)
    }
}

/// All that the answer may hang on.
#[derive(Clone, Copy, Debug)]
struct Case {
    ceiling: Ceiling,
    token: Option<Token>,
    right: Right,
    interface: Interface,
    /// What the operator's configuration names for the watcher.
    party: Option<Names>,
    subscribed: bool,
    /// To the watcher's own address.
    grant: Option<Grant>,
    /// To its domain.
    domain_grant: Option<Grant>,
    blocked: bool,
    visibility: Visibility,
    /// What she left of the public row, if she set that.
    public_rights: Option<Names>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Allow { confirm: bool },
    Deny,
}

impl Case {
    /// The grants that are in force. A grant of any right includes `see`.
    fn grants(&self) -> impl Iterator<Item = Grant> {
        let grants = [self.grant, self.domain_grant].into_iter().flatten();
        grants.filter(|grant| !grant.ended && !grant.elsewhere && grant.names != Names::Nothing)
    }

    /// The token that counts.
    fn token(&self) -> Option<Token> {
        self.token.filter(|token| token.counts())
    }

    /// By her word: a grant, or a token, which counts as that.
    fn is_granted(&self, right: Right) -> bool {
        self.grants()
            .any(|grant| right == Right::See || grant.names.name(self.right, right))
            || self
                .token()
                .is_some_and(|token| token.names(self.right, right))
    }

    /// The cell for a right of which it is known whether her word names it: whether she is to be asked.
    fn asks(&self, right: Right, level: Level) -> Option<bool> {
        match self.ceiling.cell(right, level) {
            Cell::No => None,
            Cell::AskByGrant | Cell::YesByGrant if !self.is_granted(right) => None,
            Cell::Ask | Cell::AskByGrant => Some(true),
            Cell::Yes | Cell::YesByGrant => Some(false),
        }
    }

    /// The level of a party: by the interface it uses.
    fn level_of_party(&self) -> Level {
        if self.interface == Interface::Dedicated {
            Level::Trusted
        } else {
            Level::Authorized
        }
    }

    /// Each piece of evidence: its level, and whether it names the right.
    fn evidence(&self, right: Right) -> Vec<(Level, bool)> {
        let left = self.public_rights.unwrap_or(Names::All);
        let mut evidence = vec![(Level::Public, left.name(self.right, right))];
        if self.subscribed {
            evidence.push((Level::Known, true));
        }
        if let Some(names) = self.party {
            evidence.push((self.level_of_party(), names.name(self.right, right)));
        }
        for grant in self.grants() {
            let named = right == Right::See || grant.names.name(self.right, right);
            evidence.push((Level::Authorized, named));
        }
        if let Some(token) = self.token() {
            evidence.push((Level::Authorized, token.names(self.right, right)));
        }
        evidence
    }

    /// The highest level of any evidence.
    fn level(&self) -> Level {
        let levels = self.evidence(Right::See).into_iter();
        levels.map(|(level, _)| level).max().unwrap()
    }

    /// What every other right stands on.
    fn may_see(&self) -> bool {
        if self.blocked {
            return false;
        }
        let is_open = |level| self.asks(Right::See, level).is_some();
        let by_party = self
            .party
            .is_some_and(|names| names.name(self.right, Right::See))
            && is_open(self.level_of_party());
        let by_subscription = self.subscribed && is_open(Level::Known);
        if self.is_granted(Right::See) && is_open(Level::Authorized) {
            return true;
        }
        match self.visibility {
            Visibility::Private => false,
            Visibility::Subscribers => by_subscription || by_party,
            Visibility::Public => by_subscription || by_party || is_open(Level::Public),
        }
    }

    /// What the documents say.
    fn answer(&self) -> Answer {
        if !self.may_see() {
            return Answer::Deny;
        }
        if self.right == Right::See {
            // There is nobody to be asked before seeing.
            return Answer::Allow { confirm: false };
        }
        let mut mildest = None;
        for (level, named) in self.evidence(self.right) {
            let Some(asks) = self.asks(self.right, level) else {
                continue;
            };
            if named {
                mildest = Some(mildest.unwrap_or(true) && asks);
            }
        }
        let Some(asks) = mildest else {
            return Answer::Deny;
        };
        // What a grant names is under its limits, whatever else gives it; of two grants that name it, under
        // those of the one to the address itself.
        let naming = |grant: &Grant| grant.names.name(self.right, self.right);
        if self
            .grants()
            .find(naming)
            .is_some_and(|grant| grant.rest != Rest::Nothing)
        {
            return Answer::Deny;
        }
        // Never milder than she set it for this right: of two grants that name it the one that asks holds.
        let set = self.grants().any(|grant| {
            grant.names.name(self.right, self.right)
                && matches!(grant.confirm, Confirm::Always | Confirm::First)
        });
        Answer::Allow {
            confirm: asks || set,
        }
    }
}
