//! Every limit of the core, with its reason: what the operator may set, and what is fixed.

use std::time::Duration;

pub(super) use super::bucket::{Buckets, Rate};

/// What the operator may set (design.md §4 `[limits]`, protocol.md §10). A rate of 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Answers a second to one watcher, sustained.
    pub probe_rate_per_watcher: f64,
    /// Answers to one watcher at once: it may log in with 1,000 contacts.
    pub probe_burst_per_watcher: f64,
    /// Answers a second to all watchers of one foreign domain.
    pub probe_rate_per_domain: f64,
    /// Answers to one foreign domain at once.
    pub probe_burst_per_domain: f64,
    /// Refusals a minute to one watcher, sustained: answers about those whom it may not see, or who are not.
    pub refusals_per_minute: f64,
    /// Refusals to one watcher at once: its contacts of old may all have left.
    pub refusals_burst: f64,
    /// Commands a minute of one watcher, sustained.
    pub commands_per_minute_per_watcher: f64,
    /// Commands of one watcher at once.
    pub commands_burst_per_watcher: f64,
    /// Commands a minute for one user, sustained; those from one foreign domain get half of it.
    pub commands_per_minute_per_user: f64,
    /// Commands for one user at once; the same.
    pub commands_burst_per_user: f64,
    /// Open commands of one watcher.
    pub open_commands_per_watcher: usize,
    /// Open commands of one user: her agent may be asking her about each.
    pub open_commands_per_user: usize,
    /// Subscription requests of one user that wait for her.
    pub pending_per_user: usize,
    /// Of them those from one domain: it may not fill her list.
    pub pending_per_domain: usize,
    /// After so many days such a request ends by itself; 0: never.
    pub pending_days: u32,
    /// A user is told of new requests at most so often (security.md T31).
    pub prompt_every: Duration,
    /// Ad-hoc sessions of one watcher with an open form.
    pub sessions_per_watcher: usize,
    /// Ad-hoc sessions in all.
    pub sessions: usize,
    /// Presence to watchers who are told of a change, a second, of all users together.
    pub broadcasts_per_second: f64,
    /// Subscription stanzas to the users' own server.
    pub subscriptions_per_minute: SubscriptionRate,
    /// How often what a server never tells is asked again (design.md §7 C5).
    pub relearn_every: Duration,
    /// How often a watcher may set the status of one user in an hour: it is read by all who see her
    /// (security.md T49).
    pub statuses_per_hour: f64,
    /// Wrong tokens of one address, and of one foreign domain, in an hour (protocol.md §9.2).
    pub token_guesses_per_hour: f64,
}

/// How many subscription stanzas the users' server takes in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionRate {
    /// As ejabberd's default has it where the server is one, or does not say what it is; else no limit.
    Auto,
    /// So many; 0 is no limit.
    PerMinute(u32),
}

impl Limits {
    /// At once as many as in an hour.
    pub(super) fn statuses(&self) -> Rate {
        Rate::an_hour(self.statuses_per_hour)
    }

    /// The same.
    pub(super) fn token_guesses(&self) -> Rate {
        Rate::an_hour(self.token_guesses_per_hour)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe_rate_per_watcher: 20.0,
            probe_burst_per_watcher: 2000.0,
            probe_rate_per_domain: 500.0,
            probe_burst_per_domain: 20_000.0,
            refusals_per_minute: 10.0,
            refusals_burst: 1000.0,
            commands_per_minute_per_watcher: 6.0,
            commands_burst_per_watcher: 30.0,
            commands_per_minute_per_user: 30.0,
            commands_burst_per_user: 120.0,
            open_commands_per_watcher: 16,
            open_commands_per_user: 64,
            pending_per_user: 50,
            pending_per_domain: 25,
            pending_days: 30,
            prompt_every: Duration::from_secs(600),
            sessions_per_watcher: 3,
            sessions: 10_000,
            broadcasts_per_second: 0.0,
            subscriptions_per_minute: SubscriptionRate::Auto,
            relearn_every: Duration::from_secs(15 * 60),
            statuses_per_hour: 3.0,
            token_guesses_per_hour: 5.0,
        }
    }
}

/// Characters of a custom status that are kept (protocol.md §9.1).
pub const STATUS_CHARS_MAX: usize = 1024;
/// Characters of a status text on the way out (protocol.md §9.1).
pub(super) const SHOWN_CHARS_MAX: usize = 512;
/// Marks on one letter that go out: writing needs a few, more is made to disturb (security T18).
pub(super) const MARKS_MAX: usize = 8;
/// Bytes of an emoji; a family of four with skin tones has 41.
pub(super) const EMOJI_BYTES_MAX: usize = 64;
/// Texts, and states, that wait for the end of the one in force; each covers one that lasts longer.
pub const EARLIER_MAX: usize = 3;
/// Bytes of the texts that wait, so that the record of a status stays one that the store takes.
pub const EARLIER_BYTES_MAX: usize = 8 * 1024;
/// The longest that a status can be set for in chat; a date can be given for later ends.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Characters of a message that a watcher leaves; with all around it the stanza stays below the
/// 10,000 bytes that every server takes (RFC 6120 §13.12).
pub(super) const MESSAGE_CHARS_MAX: usize = 2000;
/// Characters of a notification: it is read at a glance, and fits the 2,048 bytes that an agent takes.
pub(super) const NOTIFY_CHARS_MAX: usize = 500;
/// Characters of a status that a watcher sets: what goes out (protocol.md §9.1).
pub(super) const WATCHER_STATUS_CHARS_MAX: usize = SHOWN_CHARS_MAX;
/// Agents of one user whose modules are learned; more are a mistake.
pub(super) const AGENTS_MAX: usize = 4;
/// Modules of one agent that are learned (docs/design/0007-agent.md).
pub(super) const MODULES_MAX: usize = 64;
/// Bytes of all of them, as a form has them.
pub(super) const MODULES_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one: its form stays below the 10,000 bytes that every server takes.
pub(super) const MODULE_BYTES_MAX: usize = 7000;
/// Arguments of one (docs/design/0007-agent.md).
pub(super) const ARGUMENTS_MAX: usize = 16;
/// Characters of the name of a module, or of an argument (protocol.md §9.3).
pub(super) const MODULE_NAME_MAX: usize = 64;
/// Characters of what a module, an argument or an option says of itself.
pub(super) const MODULE_LABEL_CHARS_MAX: usize = 200;
/// Bytes of one argument (docs/design/0007-agent.md).
pub(super) const MODULE_VALUE_BYTES_MAX: usize = 2048;
/// Bytes of the node of a module in an agent's list.
pub(super) const MODULE_NODE_BYTES_MAX: usize = 256;
/// Modules that she names for one watcher.
pub(super) const MODULES_PER_GRANT_MAX: usize = MODULES_MAX;
/// Characters of a client's words in a result (protocol.md §9.4).
pub(super) const OUTCOME_CHARS_MAX: usize = 512;
/// Characters of one value in a submitted form (protocol.md §9.3).
pub(super) const FIELD_CHARS_MAX: usize = 2048;
/// Fields of a submitted form (protocol.md §9.3).
pub(super) const FIELDS_MAX: usize = 32;
/// Resources of one user that are tracked; servers allow 10 or so.
pub(super) const RESOURCES_MAX: usize = 64;
/// Durable changes of one user that wait behind an open one.
pub(super) const LANE_WAITING_MAX: usize = 512;
/// Durable changes under way or waiting in all; the committer's queues hold as many.
pub const IN_FLIGHT_MAX: usize = 8192;
/// Probes that wait for the first news of a user, in all (design.md §3: bounded).
pub(super) const HELD_MAX: usize = 4096;
/// Bytes of an `id` that a presence of ours repeats (protocol.md §3.4).
pub(super) const ID_BYTES_MAX: usize = 128;
/// How long such a probe waits.
pub(super) const HOLD: Duration = Duration::from_secs(2);
/// Users in one bulk query (protocol.md §9.6).
pub const SNAPSHOT_MAX: usize = 100;
/// Bytes of a page of its answer, the whole stanza (protocol.md §9.6).
pub(super) const SNAPSHOT_BYTES: usize = 9000;
/// Bytes of an address in it as it is written in the answer: as long as a full JID may be (RFC 7622 §3.1).
pub(super) const SNAPSHOT_JID_BYTES_MAX: usize = 3071;
/// Bulk queries that wait for the first news of users; each may hold all of a stanza.
pub(super) const SNAPSHOTS_HELD_MAX: usize = 64;
/// A stanza of ours is smaller than this: what every server takes (RFC 6120 §13.12).
pub(super) const STANZA_BYTES_MAX: usize = 10_000;
/// Users asked at once after an attach: what the server has answered makes room for the next.
pub(super) const LEARNING_WINDOW: usize = 256;
/// Users learned after an attach that are worth a line in the log, at least.
pub(super) const LEARNING_STEP: usize = 1000;
/// Silence after our probe, with `disco#info` answered, that means offline (design.md §3).
pub(super) const LEARNING_GRACE: Duration = Duration::from_secs(5);
/// After this an unanswered question to a server counts as lost.
pub(super) const LEARNING_LOST: Duration = Duration::from_secs(60);
/// Subscription stanzas that ejabberd takes in a period, by Debian's configuration (servers.md §3.6).
pub(super) const SERVER_TAKES: u32 = 5;
/// The period begins anew with each stanza that the server takes: 60 s, and some for what is under way.
pub(super) const PACED_PERIOD: Duration = Duration::from_secs(63);
/// Subscription stanzas that wait for their turn: more than a day of them.
pub(super) const PACED_MAX: usize = 10_000;
/// How long an unanswered request of ours waits until it is made again: a server may have dropped it,
/// or she may not want it.
pub(super) const ASK_AGAIN: [Duration; 4] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(6 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];
/// The last face of a user is written at most this often (design.md §3).
pub(super) const REMEMBER_EVERY: Duration = Duration::from_secs(30);
/// Faces in one write-behind batch.
pub(super) const REMEMBER_MAX: usize = 1000;
/// Watchers are told of one user at most this often (protocol.md §4.4).
pub(super) const PACE: Duration = Duration::from_secs(2);
/// How long the end of her last resource is doubted before watchers are told.
pub(super) const FAREWELL: Duration = Duration::from_secs(3);
/// Grants, subscriptions and blocks of one user, each; requests that wait are subscriptions.
pub const RECORDS_PER_USER_MAX: usize = 1000;
/// The highest limit of uses a day that a grant may have; with more it is none.
pub(super) const USES_PER_DAY_MAX: u32 = 10_000;
/// Commands over the web that are remembered for a day, each with some hundred bytes.
pub(super) const WEB_JOBS_MAX: usize = 10_000;
/// Names of requests that are kept for a day: 12 watchers at their full rate (security T43).
pub(super) const NAMES_MAX: usize = 100_000;
/// Questions about commands that wait for her answer at once: more than she can tell apart by their codes.
pub(super) const PROMPTS_OPEN_MAX: usize = 5;
/// Questions about commands in an hour, whoever asks: past it nobody asks her (security T36).
pub(super) const PROMPTS_PER_HOUR_MAX: usize = 10;
/// Users whose last questions are remembered; those who were asked nothing for an hour are forgotten first.
pub(super) const PROMPTED_MAX: usize = 100_000;
/// How long a question must have been open until a `yes` without its code can mean it (design.md §4).
pub(super) const PROMPT_SETTLES: Duration = Duration::from_secs(3);
/// Characters that are kept of a request's text and of the name it gives itself: with 4 bytes each, and
/// all around them, less than 4 KiB (protocol.md §10).
pub(super) const PENDING_TEXT_CHARS_MAX: usize = 500;
pub(super) const PENDING_NICK_CHARS_MAX: usize = 64;
/// When she comes online she is told of what was kept from her at most so often.
pub(super) const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Who was refused twice in this time asks without a prompt (security.md T36).
pub(super) const TIRED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Refusals that are remembered for that.
pub(super) const REFUSALS_MAX: usize = 10_000;
/// Addresses and domains that the operator blocks for everybody.
pub(super) const OPERATOR_BLOCKS_MAX: usize = 10_000;
/// Subscriptions of the users whose watchers are ended at once by such a block; and how long until the next.
pub(super) const ENDINGS_AT_ONCE: usize = 500;
pub(super) const ENDINGS_EVERY: Duration = Duration::from_secs(1);
/// Decisions in one line or form: as many as requests wait by default.
pub(super) const DECISIONS_MAX: usize = 50;
/// Bytes of a list in a message: with all around it the stanza stays below the 10,000 bytes that every
/// server takes (RFC 6120 §13.12).
pub(super) const BODY_BYTES_MAX: usize = 8000;
/// How long a watcher is left alone after its server has sent a presence back; doubled each time, up to an
/// hour.
pub(super) const UNREACHABLE_PAUSE: Duration = Duration::from_secs(60);
pub(super) const UNREACHABLE_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Watchers that are left alone at the same time.
pub(super) const UNREACHABLE_MAX: usize = 10_000;
/// Changes that they have missed, as pairs of user and watcher; past it they are told all the same.
pub(super) const MISSED_MAX: usize = 100_000;
/// Bytes of a page of a table, for the same reason: beside it stand words of 1,500 bytes.
pub(super) const TABLE_BYTES_MAX: usize = 7000;
/// Bytes of the fields of a form, for the same reason.
pub(super) const FORM_BYTES_MAX: usize = 7500;
/// `subscribe`s without an answer, to users and to nobody, that are remembered: a probe after one is
/// silent (protocol.md §4.2).
pub(super) const ASKERS_MAX: usize = 10_000;
/// Lines of a user's history that are kept.
pub(super) const HISTORY_MAX: usize = 50;
/// A digest comes so long after the first of what it tells: at most so often.
pub(super) const DIGEST_AFTER: Duration = Duration::from_secs(3600);
/// A digest that could not be sent is tried again after this.
pub(super) const DIGEST_AGAIN: Duration = Duration::from_secs(300);
/// How long a session lives without a word (protocol.md §10).
pub(super) const SESSION_LIFE: Duration = Duration::from_secs(600);
/// IQs of ours that wait for an answer.
pub(super) const AWAITED_MAX: usize = 20_000;
/// Verified capabilities that are remembered.
pub(super) const CAPS_MAX: usize = 10_000;
/// Open commands of one party on the dedicated link, whose addresses are its own to make.
pub(super) const EXECUTIONS_PER_PARTY_MAX: usize = 1000;
/// Sessions of one party on the dedicated link, open or remembered.
pub(super) const SESSIONS_PER_PARTY_MAX: usize = 2000;
/// Stanzas that wait for a party to attach again: ends of its commands and of its subscriptions.
pub(super) const PARTNER_DEFERRED_MAX: usize = 1000;
/// Open commands in all.
pub(super) const EXECUTIONS_MAX: usize = 10_000;
/// Chat answers to one address: as many as answers to probes.
pub(super) const CHAT_RATE: Rate = Rate {
    per_s: 20.0,
    burst: 2000.0,
};
/// Bytes of one message with a user's own records, as XML: the stanza stays below 10,000.
pub(super) const EXPORT_PART_BYTES_MAX: usize = 8000;
/// Exports of her own records for one user: each may be hundreds of messages.
pub(super) const EXPORT_RATE: Rate = Rate {
    per_s: 1.0 / 60.0,
    burst: 3.0,
};
/// Tokens of one user that are in force.
pub(super) const TOKENS_PER_USER_MAX: usize = 50;
/// How often a token can be used (protocol.md §9.7).
pub(super) const TOKEN_USES_MAX: u32 = 100;
/// How long it can count (protocol.md §9.7), and how long it does where she does not say.
pub(super) const TOKEN_DAYS_MAX: i64 = 90;
pub(super) const TOKEN_DAYS: i64 = 30;
/// Characters of her name for it.
pub(super) const TOKEN_LABEL_CHARS_MAX: usize = 64;
/// Bytes of the addresses in its record: a hundred ordinary ones, and the record stays one that the store
/// takes.
pub(super) const TOKEN_PEOPLE_BYTES_MAX: usize = 8 * 1024;
/// Messages that wait for the next attach; a restart of the server takes seconds.
pub(super) const DEFERRED_MAX: usize = 10_000;
