//! A desktop with a client on it: an X server without a screen, and a D-Bus session of its own.
//!
//! What a client shows is read in two ways. Words that it gives to a screen reader come from there
//! (AT-SPI): they are exact, and have their place on the screen, so that the mouse finds it. What it
//! only paints, the colour of a state or a tooltip, comes from a picture of the screen.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::confined::{self, PYTHON, output};
use crate::conversation::one_line;
use crate::picture::{Picture, Place};
use crate::scene::Scene;
use crate::story::{LOOK, PATIENCE};
use crate::support::Failure;
use crate::support::process::{Process, find_program};

/// The screen; both clients' first windows fit.
const SIZE: (usize, usize) = (1280, 800);

/// How long the X server and the session may take to start.
const START: Duration = Duration::from_secs(30);

/// What was typed and is not there by then was lost.
const TYPED: Duration = Duration::from_secs(5);

/// How often is looked whether something is there.
const POLL: Duration = Duration::from_millis(50);

/// An X server and a folder for one client. Dropping it ends all that runs on it.
#[derive(Debug)]
pub(crate) struct Desktop {
    home: PathBuf,
    authority: PathBuf,
    display: String,
    // Before the X server, so that it ends first.
    client: Option<Process>,
    _server: Process,
}

/// One thing on the screen that a screen reader knows.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    /// How deep it stands in the tree, which is listed from the top down.
    pub(crate) depth: u64,
    pub(crate) role: String,
    /// Its name or, where it has one, its text.
    pub(crate) words: String,
    pub(crate) description: String,
    pub(crate) place: Place,
}

impl Desktop {
    /// Starts the X server; `home` is the home of the client to come.
    pub(crate) async fn start(scene: &Scene, home: &Path) -> Result<Self, Failure> {
        let xvfb = find_program("Xvfb").ok_or_else(|| confined::missing("Xvfb"))?;
        let mut command = Process::command(&xvfb);
        // It chooses a free display and prints its number. `-wr`: white where there is no window.
        command
            .args(["-displayfd", "1", "-nolisten", "tcp"])
            .args(["-ac", "-wr", "-noreset"])
            .args(["-screen", "0", &format!("{}x{}x24", SIZE.0, SIZE.1)]);
        let mut server = Process::spawn("Xvfb", command, &home.join("xvfb.log"))?;
        let number = async {
            while server.ended().is_none() {
                let log = server.log_since(0);
                let mut lines = log
                    .split_inclusive('\n')
                    .filter(|line| line.ends_with('\n'));
                if let Some(number) = lines.find_map(|line| line.trim().parse::<u32>().ok()) {
                    return Some(number);
                }
                tokio::time::sleep(POLL).await;
            }
            None
        };
        let number = tokio::time::timeout(START, number).await.ok().flatten();
        let number = number.ok_or_else(|| server.failure("did not start"))?;
        let run = home.join("run");
        // Fails only where there is none; what an earlier session left there would be in the way.
        let _ = std::fs::remove_dir_all(&run);
        std::fs::create_dir(&run)
            .map_err(|error| Failure::new(format!("cannot make {run:?}: {error}")))?;
        Ok(Self {
            home: home.to_owned(),
            authority: scene.authority().to_owned(),
            display: format!(":{number}"),
            client: None,
            _server: server,
        })
    }

    /// Runs a client in a session of its own, once.
    pub(crate) async fn run(
        &mut self,
        program: &str,
        more: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let program = find_program(program).ok_or_else(|| confined::missing(program))?;
        let bus = self.home.join("bus");
        // Fails only where there is none yet.
        let _ = std::fs::remove_file(&bus);
        let mut command = confined::command("dbus-run-session", &self.authority, &self.home)?;
        command
            .args(["--", "sh", "-ec"])
            .arg(r#"echo "$DBUS_SESSION_BUS_ADDRESS" >bus.new; mv bus.new bus; exec "$@""#)
            .args(["sh", "env"])
            // Only for the client itself.
            .args(more.iter().map(|(key, value)| format!("{key}={value}")))
            .arg(&program);
        self.surround(&mut command);
        let log = self.home.join("client.log");
        let mut client = Process::spawn(&program.display().to_string(), command, &log)?;
        let started = async {
            while client.ended().is_none() && !bus.exists() {
                tokio::time::sleep(POLL).await;
            }
        };
        let started = tokio::time::timeout(START, started).await;
        if started.is_err() || client.ended().is_some() {
            return Err(client.failure("did not start"));
        }
        self.client = Some(client);
        // The bus for screen readers comes a moment later than the client.
        let until = Instant::now() + START;
        loop {
            match self.things().await {
                Err(_) if Instant::now() < until => tokio::time::sleep(POLL).await,
                result => return result.map(drop),
            }
        }
    }

    /// All that a screen reader would find, from the top down, and what is hidden too: GTK 4 calls
    /// everything hidden.
    pub(crate) async fn things(&mut self) -> Result<Vec<Thing>, Failure> {
        if let Some(client) = &mut self.client
            && client.ended().is_some()
        {
            return Err(client.failure("has ended"));
        }
        let lines = self.accessible(&[]).await?;
        let lines = String::from_utf8_lossy(&lines).into_owned();
        lines.lines().map(Thing::read).collect()
    }

    /// Presses the button or menu item of this name, once it is there.
    pub(crate) async fn press(&mut self, role: &str, name: &str) -> Result<(), Failure> {
        self.until(&format!("no {role} {name:?}"), |thing| {
            thing.role == role && thing.words == name
        })
        .await?;
        self.accessible(&[role, name]).await.map(drop)
    }

    /// Waits until there is such a thing, and returns it.
    pub(crate) async fn until(
        &mut self,
        otherwise: &str,
        fits: impl Fn(&Thing) -> bool,
    ) -> Result<Thing, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(thing) = self.things().await?.into_iter().find(&fits) {
                return Ok(thing);
            }
            if Instant::now() > end {
                let screen = self.leave_picture("failed").await?;
                return Err(Failure::new(format!("{otherwise} on\n{screen}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn accessible(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let mut command = confined::command_beside(PYTHON, &self.home)?;
        command
            .args(["-W", "ignore", "-c", include_str!("accessible.py")])
            .args(arguments);
        let bus = std::fs::read_to_string(self.home.join("bus")).map_err(|error| {
            Failure::new(format!("cannot read the address of the bus: {error}"))
        })?;
        self.surround(&mut command);
        command.env("DBUS_SESSION_BUS_ADDRESS", bus.trim());
        output("accessible.py", command).await
    }

    /// Takes a picture of the screen.
    pub(crate) async fn picture(&self) -> Result<Picture, Failure> {
        let file = self.home.join("screen.png");
        let mut import = self.tool("import")?;
        import.args(["-window", "root"]).arg(&file);
        output("import", import).await?;
        let mut convert = self.tool("convert")?;
        convert.arg(&file).args(["-depth", "8", "rgb:-"]);
        let pixels = output("convert", convert).await?;
        Picture::new(file, SIZE, pixels)
    }

    /// Reads what is painted in a part of a picture, line by line.
    pub(crate) async fn read(
        &self,
        picture: &Picture,
        place: Place,
    ) -> Result<Vec<String>, Failure> {
        let part = self.home.join("part.png");
        let Place {
            x,
            y,
            width,
            height,
        } = place;
        let mut convert = self.tool("convert")?;
        // Tesseract wants letters of about 30 pixels, dark on light; the tooltips are light on dark.
        convert
            .arg(picture.file())
            .args(["-crop", &format!("{width}x{height}+{x}+{y}"), "+repage"])
            .args(["-resize", "300%", "-colorspace", "Gray", "-negate"])
            .arg(&part);
        output("convert", convert).await?;
        let mut tesseract = self.tool("tesseract")?;
        tesseract.arg(&part).args(["-", "--psm", "6"]);
        let text = output("tesseract", tesseract).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(text.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Moves the mouse there, in two steps: clients look at movements.
    pub(crate) async fn point(&self, x: i64, y: i64) -> Result<(), Failure> {
        let mut xdotool = self.tool("xdotool")?;
        xdotool
            .args(["mousemove", &(x - 4).to_string(), &(y - 2).to_string()])
            .args(["sleep", "0.1", "mousemove", &x.to_string(), &y.to_string()]);
        output("xdotool", xdotool).await.map(drop)
    }

    /// Clicks there.
    pub(crate) async fn click(&self, x: i64, y: i64) -> Result<(), Failure> {
        self.point(x, y).await?;
        self.keys_and_buttons(&["click", "1"]).await
    }

    /// Clicks there twice.
    pub(crate) async fn double_click(&self, x: i64, y: i64) -> Result<(), Failure> {
        self.point(x, y).await?;
        self.keys_and_buttons(&["click", "--repeat", "2", "--delay", "80", "1"])
            .await
    }

    /// Clicks there with the right button.
    pub(crate) async fn click_right(&self, x: i64, y: i64) -> Result<(), Failure> {
        self.point(x, y).await?;
        self.keys_and_buttons(&["click", "3"]).await
    }

    /// Turns the wheel there by a step.
    pub(crate) async fn scroll_down(&self, x: i64, y: i64) -> Result<(), Failure> {
        self.point(x, y).await?;
        self.keys_and_buttons(&["click", "5"]).await
    }

    /// Types in place of what is in the field with the cursor, until it is there: a busy client loses keys.
    pub(crate) async fn type_over(&mut self, words: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.key("ctrl+a").await?;
            self.keys_and_buttons(&["type", "--delay", "30", words])
                .await?;
            let seen = Instant::now() + TYPED;
            while Instant::now() < seen {
                let things = self.things().await?;
                if things.iter().any(|thing| thing.words.trim() == words) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
            if Instant::now() > end {
                let screen = self.leave_picture("failed").await?;
                return Err(Failure::new(format!("cannot type {words:?} on\n{screen}")));
            }
        }
    }

    /// Presses a key, by the name that X has for it.
    pub(crate) async fn key(&self, key: &str) -> Result<(), Failure> {
        self.keys_and_buttons(&["key", key]).await
    }

    async fn keys_and_buttons(&self, arguments: &[&str]) -> Result<(), Failure> {
        let mut xdotool = self.tool("xdotool")?;
        xdotool.args(arguments);
        output("xdotool", xdotool).await.map(drop)
    }

    /// All words that a screen reader would find, with one space between them.
    pub(crate) async fn words(&mut self) -> Result<String, Failure> {
        let words = self.things().await?.into_iter().map(|thing| thing.words);
        Ok(one_line(&words.collect::<Vec<_>>().join(" ")))
    }

    /// Leaves the screen in `target/tmp`, for people; returns its words.
    pub(crate) async fn leave_picture(&mut self, name: &str) -> Result<String, Failure> {
        let picture = self.picture().await?;
        let file = picture_file(name, "png");
        std::fs::copy(picture.file(), &file)
            .map_err(|error| Failure::new(format!("cannot write {file:?}: {error}")))?;
        let words = self.things().await?.into_iter().map(|thing| thing.words);
        // GTK 4 gives what has no name that of its type.
        let words = words.filter(|words| !words.is_empty() && !words.starts_with("Gtk"));
        let words: Vec<_> = words.collect();
        Ok(format!("{}\n{}", file.display(), words.join("\n")))
    }

    fn tool(&self, program: &str) -> Result<Command, Failure> {
        let program = find_program(program).ok_or_else(|| confined::missing(program))?;
        let mut command = Process::command(&program);
        self.surround(&mut command);
        Ok(command)
    }

    /// What programs of a desktop want to know. Settings are kept in memory, and nothing is asked of the
    /// desktop of who runs the tests.
    fn surround(&self, command: &mut Command) {
        command
            .current_dir(&self.home)
            .env("HOME", &self.home)
            .env("DISPLAY", &self.display)
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
            .env("GSETTINGS_BACKEND", "memory")
            .env("GDK_BACKEND", "x11")
            .env("GSK_RENDERER", "cairo")
            .env("TZ", "UTC");
    }
}

impl Thing {
    fn read(line: &str) -> Result<Self, Failure> {
        let read = || -> Option<Self> {
            let value: Value = serde_json::from_str(line).ok()?;
            let text = |key: &str| Some(value[key].as_str()?.to_owned());
            let number = |index: usize| value["place"][index].as_i64();
            Some(Self {
                depth: value["depth"].as_u64()?,
                role: text("role")?,
                words: text("words")?,
                description: text("description")?,
                place: Place {
                    x: number(0)?,
                    y: number(1)?,
                    width: number(2)?,
                    height: number(3)?,
                },
            })
        };
        read().ok_or_else(|| Failure::new(format!("accessible.py printed {line}")))
    }
}

/// Where a picture of this name is left.
pub(crate) fn picture_file(name: &str, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{kind}"))
}
