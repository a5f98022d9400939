//! What bob does in the windows in which his client shows commands and their forms: he runs rights of alice's
//! as a third party does, and grants, makes a token, answers and chooses what he is told of as a user does.

use crate::adhoc;
use crate::scene::{ALICE, COMPONENT, Contact, Scene, is_asked};
use crate::story::ChatClient;
use crate::support::Failure;
use crate::support::server::Kind;

/// A command, as it is listed.
pub(crate) struct Named {
    pub(crate) node: String,
    pub(crate) title: &'static str,
}

/// What is done to a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill {
    /// This is typed.
    Line(&'static str),
    /// The same, where the field takes several lines.
    Lines(&'static str),
    /// One of a choice of several is ticked: its value, and what is shown of it.
    Ticked(&'static str, &'static str),
    /// One of a choice is chosen: the same.
    Chosen(&'static str, &'static str),
}

/// A field, by what its label begins with.
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) fill: Fill,
}

/// A client that shows commands and forms.
pub(crate) trait Commands: ChatClient {
    /// Starts a command of a contact, and waits for its form.
    async fn begin(&mut self, contact: &Contact, command: &Named) -> Result<(), Failure>;

    /// Fills in a field of the form, and sees what it shows then.
    async fn fill_in(&mut self, command: &Named, entry: &Entry) -> Result<(), Failure>;

    /// Sends the form.
    async fn submit(&mut self) -> Result<(), Failure>;

    /// Waits until these words are shown of the result.
    async fn until_result(&mut self, words: &str) -> Result<(), Failure>;

    /// Closes the result.
    async fn end(&mut self) -> Result<(), Failure>;
}

/// A right that everybody may run who is a contact.
struct RightForm {
    name: &'static str,
    title: &'static str,
    entries: &'static [Entry],
    told: &'static str,
    result: &'static str,
}

const RIGHTS: [RightForm; 3] = [
    RightForm {
        name: "leave-message",
        title: "Leave a message",
        entries: &[Entry {
            label: "Text",
            fill: Fill::Lines("See you at noon"),
        }],
        told: "See you at noon",
        result: "The message is on its way to her.",
    },
    RightForm {
        name: "open-url",
        title: "Open a web page",
        entries: &[
            Entry {
                label: "Address (https)",
                fill: Fill::Line("https://example.org/agenda"),
            },
            Entry {
                label: "Why",
                fill: Fill::Line("for today"),
            },
        ],
        told: "https://example.org/agenda",
        result: "She got the link as a message.",
    },
    RightForm {
        name: "notify",
        title: "Show a notification",
        entries: &[Entry {
            label: "Text",
            fill: Fill::Line("The build is done"),
        }],
        told: "The build is done",
        result: "She got it as a message.",
    },
];

/// Bob, a third party here, runs what he may do for alice; she and he see what came of it.
pub(crate) async fn run_rights<C: Commands>(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::set(kind).await?;
    let mut bob = C::start(&scene).await?;
    for right in &RIGHTS {
        let command = Named {
            node: adhoc::node_of(right.name),
            title: right.title,
        };
        bob.begin(&ALICE, &command).await?;
        fill_in_and_submit(&mut bob, &command, right.entries, kind, right.name).await?;
        let told = scene.alice_is_told(right.told).await;
        assert!(told.contains("bob@localhost"), "{told}");
        bob.until_result(right.result).await?;
        picture_of(&mut bob, kind, &format!("{}-result", right.name)).await?;
        bob.end().await?;
    }
    Ok(())
}

/// Bob grants with all limits, and reads it again among all the others; he makes a token, which is shown.
pub(crate) async fn grant<C: Commands>(kind: Kind) -> Result<(), Failure> {
    let scene = Scene::set(kind).await?;
    let mut bob = C::start(&scene).await?;
    let line = |label, text| Entry {
        label,
        fill: Fill::Line(text),
    };
    let entries = [
        line("Address", "carol@localhost"),
        Entry {
            label: "What they may do",
            fill: Fill::Ticked("notify", "Show a notification"),
        },
        Entry {
            label: "Ask me",
            fill: Fill::Chosen("first", "the first time"),
        },
        line("Until", "2100-01-01"),
        line("At most so often a day", "5"),
        line("Quiet hours", "22:00-07:00"),
    ];
    let command = own("grant", "Grant rights");
    bob.begin(&COMPONENT, &command).await?;
    fill_in_and_submit(&mut bob, &command, &entries, kind, "grant").await?;
    bob.until_result(
        "carol@localhost may now: see, notify; you are asked the first time; until the end of 2100-01-01 (UTC); at \
         most 5 a day; nothing but see in 22:00-07:00 (UTC)",
    )
    .await?;
    bob.end().await?;
    let entries = [
        line("Your name for it", "Front door"),
        Entry {
            label: "What whoever shows it may do",
            fill: Fill::Ticked("open-url", "Open a web page"),
        },
    ];
    let command = own("token-new", "Make a token");
    bob.begin(&COMPONENT, &command).await?;
    fill_in_and_submit(&mut bob, &command, &entries, kind, "token").await?;
    bob.until_result("Front door").await?;
    bob.until_result("1:").await?;
    picture_of(&mut bob, kind, "token-made").await?;
    let tokens = "Token “Front door”: see, open-url; used 0 of 1";
    scene.bob_has_said("tokens", tokens).await
}

const QUESTION: &str = "alice@localhost (authorized) asks to set your status";

/// Bob answers a question by the form, and chooses that he is told less.
pub(crate) async fn answer<C: Commands>(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::set(kind).await?;
    let grant = "grant alice@localhost set-status ask always";
    scene.bob_has_said(grant, "may now").await?;
    let mut bob = C::start(&scene).await?;
    let command = own("relay", "What I am told of");
    let entries = [Entry {
        label: "Show a notification",
        fill: Fill::Chosen("digest", "one message an hour at most"),
    }];
    bob.begin(&COMPONENT, &command).await?;
    fill_in_and_submit(&mut bob, &command, &entries, kind, "tell").await?;
    bob.until_result("notify: digest").await?;
    bob.end().await?;
    let mut elsewhere = scene.bob_elsewhere().await?;
    let answers = async {
        is_asked(&mut elsewhere, QUESTION).await?;
        let command = own("requests", "Questions that wait for me");
        let entries = [Entry {
            label: QUESTION,
            fill: Fill::Chosen("yes", "yes"),
        }];
        bob.begin(&COMPONENT, &command).await?;
        fill_in_and_submit(&mut bob, &command, &entries, kind, "question").await?;
        bob.until_result("Yes to alice@localhost: set-status.")
            .await
    };
    let fields = [("status-message", "On stage"), ("until", "none")];
    let (told, read) = tokio::join!(scene.alice_runs("set-status", &fields), answers);
    read?;
    assert!(told.contains("The status is set"), "{told}");
    Ok(())
}

fn own(name: &str, title: &'static str) -> Named {
    Named {
        node: format!("urn:x-presence-service:consent:0#{name}"),
        title,
    }
}

async fn fill_in_and_submit<C: Commands>(
    bob: &mut C,
    command: &Named,
    entries: &[Entry],
    kind: Kind,
    name: &str,
) -> Result<(), Failure> {
    for entry in entries {
        bob.fill_in(command, entry).await?;
    }
    picture_of(bob, kind, name).await?;
    bob.submit().await
}

async fn picture_of<C: Commands>(bob: &mut C, kind: Kind, what: &str) -> Result<(), Failure> {
    let name = format!("{}-{kind}-{what}", C::NAME);
    bob.leave_picture(&name).await.map(drop)
}
