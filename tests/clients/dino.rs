//! Dino 0.4, on a desktop.
//!
//! It shows presence only in the tooltip of a conversation: a line for each device, in the colour of its
//! state and with a word for it. It never shows the text.

use std::time::Duration;

use tokio::time::Instant;

use crate::confined::{PYTHON, command_beside, missing, output};
use crate::conversation::Converses;
use crate::desktop::{Desktop, Thing};
use crate::scene::{ALICE, COMPONENT, Contact, Scene};
use crate::stage::PASSWORD;
use crate::story::{ChatClient, LOOK, PATIENCE, Shown, State, Texts};
use crate::support::Failure;

/// How often is looked for a tooltip, which comes after half a second.
const LOOKS: usize = 10;

/// Answers questions for names of servers from a file: Dino finds the port of its server in DNS alone.
const RESOLVER: &str = "libresolv_wrapper.so";

pub(crate) struct Dino(Desktop);

impl ChatClient for Dino {
    const NAME: &str = "dino-im";
    const TEXTS: Texts = Texts::Never;

    async fn start(scene: &Scene) -> Result<Self, Failure> {
        let home = scene.folder(Self::NAME)?;
        // It makes its database, with its own tables, at its first start.
        let mut first = Desktop::start(scene, &home).await?;
        first.run(Self::NAME, &[]).await?;
        let end = Instant::now() + PATIENCE;
        loop {
            let mut seed = command_beside(PYTHON, &home)?;
            seed.args(["-c", include_str!("seed_dino.py")])
                .arg(home.join(".local/share/dino/dino.db"))
                .args([PASSWORD, ALICE.address, COMPONENT.address]);
            match output("seed_dino.py", seed).await {
                Err(_) if Instant::now() < end => tokio::time::sleep(LOOK).await,
                result => break result.map(drop)?,
            }
        }
        drop(first);
        let names = home.join("dns");
        let record = format!(
            "SRV _xmpp-client._tcp.localhost localhost {}\n",
            scene.port()
        );
        std::fs::write(&names, record)
            .map_err(|error| Failure::new(format!("cannot write {names:?}: {error}")))?;
        let resolver = resolver().ok_or_else(|| missing(RESOLVER))?;
        let environment = [
            ("LD_PRELOAD", resolver.as_str()),
            ("RESOLV_WRAPPER_HOSTS", &names.display().to_string()),
        ];
        let mut desktop = Desktop::start(scene, &home).await?;
        desktop.run(Self::NAME, &environment).await?;
        Ok(Self(desktop))
    }

    async fn contact(&mut self, contact: &Contact) -> Result<Option<Shown>, Failure> {
        let things = self.0.things().await?;
        let list = things.iter().position(|thing| thing.role == "list");
        let name = list.and_then(|list| {
            let rows = within(&things, list);
            rows.iter()
                .find(|thing| thing.role == "label" && thing.words == contact.name)
        });
        let Some(name) = name else {
            return Ok(None);
        };
        let (x, y) = name.place.middle();
        // Away from every line first, so that the tooltip is a new one.
        self.0.point(x, y + 400).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.0.point(x, y).await?;
        for _ in 0..LOOKS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let things = self.0.things().await?;
            let tooltip = things
                .iter()
                .position(|thing| thing.words == "GtkTooltipWindow");
            let Some(tooltip) = tooltip.map(|at| within(&things, at)) else {
                continue;
            };
            let labels: Vec<_> = tooltip
                .iter()
                .filter(|thing| thing.role == "label")
                .map(|thing| thing.words.as_str())
                .collect();
            if let Some((&address, devices)) = labels.split_first()
                && address == contact.address
            {
                return Ok(state(devices).map(|state| Shown { state, text: None }));
            }
        }
        Ok(None)
    }

    async fn leave_picture(&mut self, picture: &str) -> Result<String, Failure> {
        self.0.leave_picture(picture).await
    }
}

impl Converses for Dino {
    async fn open(&mut self) -> Result<(), Failure> {
        let component = self
            .0
            .until("no component", |thing| {
                thing.role == "label" && thing.words == COMPONENT.name
            })
            .await?;
        let (x, y) = component.place.middle();
        self.0.click(x, y).await
    }

    async fn words(&mut self) -> Result<String, Failure> {
        self.0.words().await
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.0.type_over(line).await?;
        self.0.key("Return").await
    }
}

/// What the lines of the devices say: the presentity has one, or none.
fn state(devices: &[&str]) -> Option<State> {
    match devices {
        [] => Some(State::Offline),
        ["vestibule"] => Some(State::Online),
        ["vestibule (away)"] => Some(State::Away),
        ["vestibule (do not disturb)"] => Some(State::Busy),
        _ => None,
    }
}

/// What stands within the thing at `index`.
fn within(things: &[Thing], index: usize) -> &[Thing] {
    let inner = &things[index + 1..];
    let end = inner
        .iter()
        .position(|thing| thing.depth <= things[index].depth);
    &inner[..end.unwrap_or(inner.len())]
}

/// Where Debian puts libraries: /usr/lib/TRIPLET.
fn resolver() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .filter_map(|entry| Some(entry.ok()?.path().join(RESOLVER)))
        .find(|path| path.is_file())
        .map(|path| path.display().to_string())
}
