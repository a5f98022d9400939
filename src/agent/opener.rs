//! Opening a page by the program that the user's file names: an argument list, never a shell.
//! security.md T40, T41.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::web_address::WebAddress;

/// What stands for the address in the argument list, as one whole argument.
pub const PLACE: &str = "{url}";

/// A program that still runs after this long is a browser that stays open.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the program sees of our environment; also everything that begins with [`XDG`].
const ENVIRONMENT: [&str; 6] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "PATH",
    "LANG",
];

/// Where desktops keep what their programs need.
const XDG: &str = "XDG_";

/// The program and its arguments, one of which is [`PLACE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opener {
    program: String,
    arguments: Vec<String>,
}

/// Why an argument list is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing to run.
    #[error("the first element is the program to run")]
    Program,
    /// No place for the address, several, or one inside another text.
    #[error("exactly one further element is {PLACE}, alone and unquoted")]
    Place,
    /// The kernel takes none.
    #[error("no element contains a NUL")]
    Nul,
}

impl Opener {
    /// Reads an argument list.
    ///
    /// # Errors
    /// It has no program, or not exactly one place for the address.
    pub fn new(list: &[String]) -> Result<Self, Invalid> {
        let (program, arguments) = list.split_first().ok_or(Invalid::Program)?;
        if program.is_empty() || program.contains(PLACE) {
            return Err(Invalid::Program);
        }
        if list.iter().any(|element| element.contains('\0')) {
            return Err(Invalid::Nul);
        }
        let places: Vec<_> = arguments.iter().filter(|a| a.contains(PLACE)).collect();
        if !matches!(places.as_slice(), [one] if one.as_str() == PLACE) {
            return Err(Invalid::Place);
        }
        Ok(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
        })
    }

    /// The argument list for one address, without the program.
    fn arguments<'a>(&'a self, address: &'a WebAddress) -> impl Iterator<Item = &'a str> {
        self.arguments
            .iter()
            .map(|argument| match argument.as_str() {
                PLACE => address.as_str(),
                other => other,
            })
    }

    /// Runs the program; returns when it has ended or has run for 5 s, which counts as opened.
    ///
    /// # Errors
    /// In words for the requester: it could not be started, or ended with something else than 0.
    pub async fn open(self, address: WebAddress) -> Result<(), String> {
        let environment = std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            ENVIRONMENT.contains(&&*name) || name.starts_with(XDG)
        });
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments(&address))
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in our terminal is not meant for her browser.
            .process_group(0);
        // Dropped while it runs, it goes on, and the runtime waits for its end.
        let mut child = command.spawn().map_err(|error| {
            tracing::warn!("cannot start {}: {error}", self);
            "the program that opens pages could not be started".to_owned()
        })?;
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Err(_) => Ok(()),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                tracing::warn!("{} ended with {status}", self);
                Err("the program that opens pages reported a failure".to_owned())
            }
            Ok(Err(error)) => {
                tracing::warn!("cannot wait for {}: {error}", self);
                Err("the program that opens pages was lost".to_owned())
            }
        }
    }
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web_address::check;

    fn list(elements: &[&str]) -> Vec<String> {
        elements.iter().map(|&e| e.to_owned()).collect()
    }

    #[test]
    fn the_place_is_one_whole_argument() {
        let opener = |elements: &[&str]| Opener::new(&list(elements)).map(|_| ());
        assert_eq!(opener(&["xdg-open", "{url}"]), Ok(()));
        assert_eq!(opener(&["firefox", "--new-tab", "{url}", "-x"]), Ok(()));
        assert_eq!(opener(&[]), Err(Invalid::Program));
        assert_eq!(opener(&["", "{url}"]), Err(Invalid::Program));
        assert_eq!(opener(&["{url}"]), Err(Invalid::Program));
        assert_eq!(opener(&["xdg-open"]), Err(Invalid::Place));
        assert_eq!(opener(&["a", "{url}", "{url}"]), Err(Invalid::Place));
        assert_eq!(opener(&["sh", "-c", "xdg-open {url}"]), Err(Invalid::Place));
        assert_eq!(opener(&["a", "--url={url}"]), Err(Invalid::Place));
        assert_eq!(opener(&["a", "b\0", "{url}"]), Err(Invalid::Nul));
    }

    #[test]
    fn the_arguments_are_the_template_with_the_address() {
        let opener = Opener::new(&list(&["a", "-b", "{url}", "$(c)"])).unwrap();
        let address = check("https://example.org/$(id);%20'\"&|").unwrap();
        let arguments: Vec<_> = opener.arguments(&address).collect();
        assert_eq!(arguments, ["-b", address.as_str(), "$(c)"]);
    }

    #[tokio::test]
    async fn the_end_of_the_program_is_told() {
        let run = |elements: &[&str]| {
            let opener = Opener::new(&list(elements)).unwrap();
            opener.open(check("https://example.org/").unwrap())
        };
        assert_eq!(run(&["true", "{url}"]).await, Ok(()));
        assert!(
            run(&["false", "{url}"])
                .await
                .unwrap_err()
                .contains("failure")
        );
        let missing = run(&["/nonexistent/browser", "{url}"]).await;
        assert!(missing.unwrap_err().contains("could not be started"));
    }
}
