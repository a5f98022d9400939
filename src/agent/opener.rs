//! The program that opens a page, as the user's file names it: an argument list, never a shell.
//! security.md T40, T41.

use super::program::{Job, Manner};
use crate::web_address::WebAddress;

/// What stands for the address in the argument list, as one whole argument.
pub const PLACE: &str = "{url}";

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

    /// What opens one page. A browser stays open; that counts as opened.
    #[must_use]
    pub fn job(&self, address: &WebAddress) -> Job {
        let argument = |argument: &String| match argument.as_str() {
            PLACE => address.as_str().to_owned(),
            other => other.to_owned(),
        };
        Job {
            done: "opened".to_owned(),
            program: self.program.clone(),
            arguments: self.arguments.iter().map(argument).collect(),
            manner: Manner::window(),
        }
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
        let job = opener.job(&address);
        assert_eq!(job.program, "a");
        assert_eq!(job.arguments, ["-b", address.as_str(), "$(c)"]);
    }
}
