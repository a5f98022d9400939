//! Gajim 1.7, on a desktop.
//!
//! Its contact list has names and, in the corner of each picture, a dot in the colour of the state; the
//! words are in the tooltip, which a screen reader is not told of, so it is read from the screen.

use std::time::Duration;

use crate::confined::{PYTHON, command_beside, output};
use crate::conversation::Converses;
use crate::desktop::{Desktop, Thing};
use crate::picture::{Colour, Place};
use crate::scene::{COMPONENT, Contact, Scene};
use crate::stage::PASSWORD;
use crate::story::{ChatClient, Shown, State, Texts, until};
use crate::support::Failure;
use crate::support::server::Kind;

/// The colours of `.gajim-status-…` in its style sheet.
const COLOURS: [(Colour, State); 4] = [
    ([102, 191, 16], State::Online),
    ([255, 133, 51], State::Away),
    ([230, 46, 0], State::Busy),
    ([154, 154, 154], State::Offline),
];

/// Its words for states, as they stand before the resource in a tooltip.
const WORDS: [(&str, State); 3] = [
    ("Available", State::Online),
    ("Away", State::Away),
    ("Busy", State::Busy),
];

/// How often is looked for a tooltip, which comes after half a second.
const LOOKS: usize = 5;

/// The width of the column of pictures, in pixels, left of the names.
const AVATAR: i64 = 46;

pub(crate) struct Gajim(pub(crate) Desktop);

impl ChatClient for Gajim {
    const NAME: &str = "gajim";
    const TEXTS: Texts = Texts::WhileOnline;

    async fn start(scene: &Scene) -> Result<Self, Failure> {
        let home = scene.folder(Self::NAME)?;
        let mut desktop = Desktop::start(scene, &home).await?;
        let settings = home.join(".config/gajim");
        std::fs::create_dir_all(&settings)
            .map_err(|error| Failure::new(format!("cannot make {settings:?}: {error}")))?;
        let mut seed = command_beside(PYTHON, &home)?;
        seed.args(["-W", "ignore", "-c", include_str!("seed_gajim.py")])
            .arg(settings.join("settings.sqlite"))
            .args([&scene.port().to_string(), PASSWORD]);
        output("seed_gajim.py", seed).await?;
        desktop.run(Self::NAME, &[]).await?;
        let mut gajim = Self(desktop);
        gajim.open_account().await?;
        Ok(gajim)
    }

    async fn contact(&mut self, contact: &Contact) -> Result<Option<Shown>, Failure> {
        let Some(row) = self.row(contact).await? else {
            return Ok(None);
        };
        let before = self.0.picture().await?;
        let Some(state) = before.most(avatar(row), &COLOURS) else {
            return Ok(None);
        };
        self.0.point(row.x + 60, row.middle().1).await?;
        for _ in 0..LOOKS {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let picture = self.0.picture().await?;
            let Some(tooltip) = picture.changed(&before) else {
                continue;
            };
            let words = self.0.read(&picture, tooltip).await?;
            if words.iter().any(|line| line.ends_with(contact.address)) {
                return Ok(told(&words, state));
            }
        }
        Ok(None)
    }

    async fn leave_picture(&mut self, picture: &str) -> Result<String, Failure> {
        self.0.leave_picture(picture).await
    }
}

impl Converses for Gajim {
    async fn open(&mut self) -> Result<(), Failure> {
        let row = self.row(&COMPONENT).await?;
        let (x, y) = row
            .ok_or_else(|| Failure::new("no component".to_owned()))?
            .middle();
        self.0.double_click(x, y).await?;
        self.0
            .until("no conversation", |thing| {
                thing.role == "text" && thing.place.height > 0
            })
            .await
            .map(drop)
    }

    async fn words(&mut self) -> Result<String, Failure> {
        self.0.words().await
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.0.type_over(line).await?;
        self.0.key("Return").await
    }
}

/// Bob joins by the Register button of the service discovery (XEP-0077).
pub(crate) async fn joins_by_registering(kind: Kind) -> Result<(), Failure> {
    let mut scene = Scene::without_contacts(kind).await?;
    let mut gajim = Gajim::start(&scene).await?;
    let desktop = &mut gajim.0;
    desktop.press("menu item", "Discover Services…").await?;
    let service = desktop
        .until("no component", |thing| {
            thing.role == "table cell" && thing.words.ends_with(COMPONENT.address)
        })
        .await?;
    let (x, y) = service.place.middle();
    desktop.click(x, y).await?;
    desktop.press("push button", "Register").await?;
    desktop
        .until("no form", |thing| thing.words == "Who sees my status")
        .await?;
    desktop
        .leave_picture(&format!("gajim-{kind}-register"))
        .await?;
    desktop.press("push button", "Register").await?;
    scene.joined("bob@localhost").await?;
    desktop
        .until("no success", |thing| {
            thing.words == "Registration successful"
        })
        .await?;
    // It asks to see his presence. He accepts, and Gajim offers to add the contact, too.
    desktop.press("push button", "Accept").await?;
    desktop.press("push button", "Next").await?;
    desktop.press("push button", "Add Contact").await?;
    let online = Shown {
        state: State::Online,
        text: None,
    };
    until(&mut gajim, &COMPONENT, &online).await?;
    let picture = format!("gajim-{kind}-registered");
    gajim.0.leave_picture(&picture).await.map(drop)
}

/// Where the picture of the contact is whose name is there.
fn avatar(name: Place) -> Place {
    Place {
        x: name.x - AVATAR,
        width: AVATAR,
        ..name
    }
}

impl Gajim {
    /// Opens the page of the account, which has the contact list, once it is online.
    async fn open_account(&mut self) -> Result<(), Failure> {
        let account = self
            .0
            .until("no account", |thing| {
                thing.description == "Account: bob" && thing.place.width > 0
            })
            .await?;
        let (x, y) = account.place.middle();
        self.0.click(x, y).await?;
        let online = |thing: &Thing| thing.role == "toggle button" && thing.words == "Available";
        self.0.until("not online", online).await.map(drop)
    }

    /// The contact's name, with the mouse out of its way.
    pub(crate) async fn row(&mut self, contact: &Contact) -> Result<Option<Place>, Failure> {
        let things = self.0.things().await?;
        let find = |role: &str, fits: &dyn Fn(&Thing) -> bool| {
            let thing = things
                .iter()
                .find(|thing| thing.role == role && fits(thing));
            thing.map(|thing| thing.place)
        };
        if let Some(list) = find("tree table", &|_| true) {
            // A tooltip ends where there is no line.
            let bottom = list.y + list.height - 10;
            self.0.point(list.middle().0, bottom).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Ok(find("table cell", &|thing| thing.words == contact.name))
    }
}

/// What the words of the tooltip say, if they agree with the dot: `Away (vestibule)`, then the text.
fn told(words: &[String], dot: State) -> Option<Shown> {
    let resource = words.iter().position(|line| line.ends_with("(vestibule)"));
    let Some(resource) = resource else {
        return (dot == State::Offline).then_some(Shown {
            state: dot,
            text: None,
        });
    };
    let (before, _) = words[resource].rsplit_once(" (")?;
    let (_, state) = WORDS.iter().find(|(word, _)| before.ends_with(word))?;
    let text = words[resource + 1..]
        .iter()
        .find(|line| !line.is_empty())
        .filter(|line| !line.starts_with("Subscription"));
    (*state == dot).then(|| Shown {
        state: dot,
        text: text.cloned(),
    })
}
