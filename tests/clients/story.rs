//! The story that every client tells: the component is online, alice is away with her text, then busy,
//! then gone, then back.

use std::time::Duration;

use tokio::time::Instant;

use crate::scene::{ALICE, COMPONENT, Contact, Scene, TEXT};
use crate::support::Failure;
use crate::support::server::Kind;

/// For what a client does at once; the machine may be busy, and watchers are told within 10 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often the screen is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// What clients show of a contact's state; what they do not tell apart is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Online,
    Away,
    Busy,
    Offline,
}

/// What a person sees of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: State,
    pub(crate) text: Option<String>,
}

/// When a client shows the text of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    Always,
    WhileOnline,
    Never,
}

/// A chat client, logged in as bob.
pub(crate) trait ChatClient: Sized {
    /// Its program.
    const NAME: &str;
    /// What it shows of texts.
    const TEXTS: Texts;

    /// Starts it with an account that is set up.
    async fn start(scene: &Scene) -> Result<Self, Failure>;

    /// What it shows of a contact; `None` where the contact is not on the screen.
    async fn contact(&mut self, contact: &Contact) -> Result<Option<Shown>, Failure>;

    /// Leaves a picture of its screen, by the name of `picture`, and says what else there is to see.
    async fn leave_picture(&mut self, picture: &str) -> Result<String, Failure>;
}

/// Tells the story with this client and this server.
pub(crate) async fn told_by<C: ChatClient>(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::set(kind).await?;
    let mut client = C::start(&scene).await?;
    let picture = |what: &str| format!("{}-{kind}-{what}", C::NAME);
    let of_component = Shown {
        state: State::Online,
        text: None,
    };
    until(&mut client, &COMPONENT, &of_component).await?;
    until(&mut client, &ALICE, &of_alice::<C>(State::Away)).await?;
    client.leave_picture(&picture("away")).await?;
    for (presence, state) in [
        ("<presence><show>dnd</show></presence>", State::Busy),
        ("<presence type='unavailable'/>", State::Offline),
        ("<presence/>", State::Online),
    ] {
        scene.alice_sends(presence).await;
        until(&mut client, &ALICE, &of_alice::<C>(state)).await?;
        client
            .leave_picture(&picture(&format!("{state:?}").to_lowercase()))
            .await?;
    }
    until(&mut client, &COMPONENT, &of_component).await
}

/// What this client must show of alice in this state.
fn of_alice<C: ChatClient>(state: State) -> Shown {
    let text = match C::TEXTS {
        Texts::Always => true,
        Texts::WhileOnline => state != State::Offline,
        Texts::Never => false,
    };
    Shown {
        state,
        text: text.then(|| TEXT.to_owned()),
    }
}

/// Waits until the client shows this of the contact.
pub(crate) async fn until<C: ChatClient>(
    client: &mut C,
    contact: &Contact,
    expected: &Shown,
) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = client.contact(contact).await?;
        if shown.as_ref() == Some(expected) {
            return Ok(());
        }
        if Instant::now() > end {
            let screen = client.leave_picture(&format!("{}-failed", C::NAME)).await?;
            return Err(Failure::new(format!(
                "{} shows {shown:?} of {}, and not {expected:?}\n{screen}",
                C::NAME,
                contact.name
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}
