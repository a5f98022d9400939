//! From an argument list with places to the list that a program gets: whole elements, never a shell.
//! security.md T41.
//!
//! Pure. A value stands alone as `{name}`, or at the end of an option as `--day={name}`; nothing else
//! of its element comes from outside. A value that begins with `-` would be read as an option, so it
//! passes only behind `--`, or inside its option.

use std::collections::BTreeMap;

/// Elements of one list.
pub const ELEMENTS_MAX: usize = 64;
/// Programs that read one of their arguments as a program of its own.
const INTERPRETERS: [&str; 17] = [
    "ash", "awk", "bash", "csh", "dash", "fish", "gawk", "ksh", "lua", "mawk", "node", "perl",
    "php", "python", "python3", "ruby", "zsh",
];
/// Programs that start another, or hand their arguments to a shell somewhere else.
const LAUNCHERS: [&str; 8] = [
    "busybox", "env", "parallel", "rsh", "ssh", "su", "sudo", "xargs",
];

/// One element.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Fixed(String),
    /// The value of `name` behind `before`.
    Place {
        before: String,
        name: String,
        guarded: bool,
    },
}

/// An argument list, without the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Element>);

impl Template {
    /// Reads a list whose places are among `names`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(program: &str, list: &[String], names: &[&str]) -> Result<Self, String> {
        if list.len() > ELEMENTS_MAX {
            return Err(format!("at most {ELEMENTS_MAX} elements"));
        }
        let mut guarded = false;
        let mut elements = Vec::with_capacity(list.len());
        for text in list {
            let element = element(text, names, guarded)?;
            guarded |= text == "--";
            elements.push(element);
        }
        let name = program.rsplit('/').next().unwrap_or_default();
        if INTERPRETERS.contains(&name) || name == "sh" {
            refuse_code(name, &elements)?;
        }
        let places = elements
            .iter()
            .any(|one| matches!(one, Element::Place { .. }));
        if LAUNCHERS.contains(&name) && places {
            return Err(format!(
                "{name} would start what the values say: name the program itself, or a script of yours"
            ));
        }
        Ok(Self(elements))
    }

    /// Whether a value stands somewhere in it.
    #[must_use]
    pub fn uses(&self, wanted: &str) -> bool {
        self.0
            .iter()
            .any(|element| matches!(element, Element::Place { name, .. } if name == wanted))
    }

    /// The list with its values.
    ///
    /// # Errors
    /// A value is missing, or would be read as an option; in words for the requester.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
        let one = |element: &Element| match element {
            Element::Fixed(text) => Ok(text.clone()),
            Element::Place {
                before,
                name,
                guarded,
            } => {
                let value = values
                    .get(name)
                    .ok_or_else(|| format!("{name} is missing"))?;
                if before.is_empty() && !guarded && value.starts_with('-') {
                    return Err(format!("{name} must not begin with -"));
                }
                Ok(format!("{before}{value}"))
            }
        };
        self.0.iter().map(one).collect()
    }
}

fn element(text: &str, names: &[&str], guarded: bool) -> Result<Element, String> {
    if text.contains('\0') {
        return Err("no element contains a NUL".to_owned());
    }
    let Some(at) = text.find('{').filter(|_| text.ends_with('}')) else {
        // Braces elsewhere are no places, and must not look like ones.
        let found = names
            .iter()
            .find(|name| text.contains(&format!("{{{name}}}")));
        return match found {
            Some(name) => Err(format!(
                "{{{name}}} stands alone, or at the end of an option as --{name}={{{name}}}"
            )),
            None => Ok(Element::Fixed(text.to_owned())),
        };
    };
    let (before, name) = (&text[..at], &text[at + 1..text.len() - 1]);
    if !names.contains(&name) {
        return if before.is_empty() && super::argument::is_name(name) {
            Err(format!("there is no argument {name}"))
        } else if names
            .iter()
            .any(|name| text.contains(&format!("{{{name}}}")))
        {
            Err("an element has one place at most".to_owned())
        } else {
            Ok(Element::Fixed(text.to_owned()))
        };
    }
    let option = before.starts_with('-') && before.ends_with('=') && !guarded;
    if !before.is_empty() && !option {
        return Err(format!(
            "{{{name}}} stands alone, or at the end of an option as --{name}={{{name}}}"
        ));
    }
    Ok(Element::Place {
        before: before.to_owned(),
        name: name.to_owned(),
        guarded,
    })
}

/// With such a program, what is read as code must be the user's own: the first element that is no
/// option, and all before it.
fn refuse_code(name: &str, elements: &[Element]) -> Result<(), String> {
    for element in elements {
        match element {
            Element::Fixed(text) if text.starts_with('-') => {}
            Element::Fixed(_) => return Ok(()),
            Element::Place { .. } => {
                return Err(format!(
                    "{name} would read the value as a program of its own"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &[&str]) -> Vec<String> {
        elements.iter().map(|&e| e.to_owned()).collect()
    }

    fn new(program: &str, elements: &[&str]) -> Result<Template, String> {
        Template::new(program, &list(elements), &["day", "words"])
    }

    fn filled(elements: &[&str], day: &str, words: &str) -> Result<Vec<String>, String> {
        let values = [("day", day), ("words", words)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        new("/bin/show", elements).unwrap().fill(&values)
    }

    #[test]
    fn a_value_is_a_whole_element_or_the_end_of_an_option() {
        assert_eq!(
            filled(&["-v", "--day={day}", "--", "{words}"], "x;y", "-rf $(z)").unwrap(),
            ["-v", "--day=x;y", "--", "-rf $(z)"]
        );
        // What a value contains is not read again.
        assert_eq!(
            filled(&["{day}", "{words}"], "{words}", "w").unwrap(),
            ["{words}", "w"]
        );
        for bad in [
            &["a {day}"][..],
            &["{day}{words}"],
            &["{day} b"],
            &["{other}"],
            &["--x={day}{words}"],
            &["day={day}"],
            &["--", "--day={day}"],
            &["a\0"],
        ] {
            assert!(new("/bin/show", bad).is_err(), "{bad:?}");
        }
        for fixed in [&["{}"][..], &["{Upper}"], &["a{b}"], &["awk '{print}'"]] {
            assert_eq!(
                new("/bin/show", fixed)
                    .unwrap()
                    .fill(&BTreeMap::new())
                    .unwrap(),
                fixed
            );
        }
    }

    #[test]
    fn a_value_is_no_option() {
        assert!(filled(&["{day}"], "-x", "").is_err());
        assert!(filled(&["{day}", "--", "{words}"], "-", "-x").is_err());
        assert_eq!(filled(&["--", "{day}"], "-x", "").unwrap(), ["--", "-x"]);
        assert_eq!(filled(&["{day}"], "", "").unwrap(), [""]);
    }

    #[test]
    fn an_interpreter_reads_no_value_as_code() {
        for bad in [
            &["-c", "{words}"][..],
            &["{words}"],
            &["--", "{words}"],
            &["-e={words}"],
        ] {
            assert!(new("/bin/sh", bad).is_err(), "{bad:?}");
            assert!(new("python3", bad).is_err(), "{bad:?}");
        }
        assert!(new("/bin/sh", &["/home/alice/note.sh", "{words}"]).is_ok());
        assert!(new("/usr/bin/python3", &["-I", "note.py", "--", "{words}"]).is_ok());
        assert!(new("/bin/note", &["{words}"]).is_ok());
        assert!(new("/usr/bin/env", &["A=b", "{words}"]).is_err());
        assert!(new("ssh", &["host", "{words}"]).is_err());
        assert!(new("/usr/bin/env", &["A=b", "note"]).is_ok());
    }
}
