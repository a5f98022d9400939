//! Secrets: where they may stand, who may read them there, and that they are shown nowhere.

use std::fmt;
use std::path::PathBuf;

use super::check::{Check, path};
use super::problem::Place;
use super::raw::Found;
use super::read_file;

/// The most bytes of a secret; servers take far fewer.
const SECRET_BYTES_MAX: usize = 1024;

/// A secret: never shown, not even in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What was found to be fit to be kept so.
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Check<'_> {
    /// The secret shared with the server.
    pub(super) fn component_secret(&mut self) -> Option<Secret> {
        if self.keys.contains_key("component.secret")
            || self.keys.contains_key("component.secret-file")
        {
            return self.secret("component.secret");
        }
        let place = Place::File(self.source.path.clone());
        let expected = "the secret that the server has for this component, or secret-file";
        self.missing(&place, "component.secret", expected);
        None
    }

    /// A secret, from the one of the two keys, `key` and `key-file`, that was typed; `None` also where
    /// neither was.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        const EXPECTED: &str = "1 to 1024 bytes without control characters";
        let inline = self.keys.get(key).cloned();
        let file = self.keys.get(&format!("{key}-file")).cloned();
        if let Some(found) = &inline {
            // Others may have read it by now, even if another one is meant to be used.
            if matches!(found.place, Place::Line(..)) && is_exposed(self.source.mode) {
                let what = format!(
                    "stands in a file that others may read (its mode is {:04o}), expected mode 0640 \
                     or 0600, or a {}-file",
                    self.source.mode,
                    last(key),
                );
                self.problem(found, &what);
            }
        }
        match (inline, file) {
            (Some(_), Some(file)) => {
                let what = format!("stands beside {}, expected only one of the two", last(key));
                self.problem(&file, &what);
                None
            }
            (Some(inline), None) => {
                self.read(key, EXPECTED, |_| inline.value.text().and_then(checked))
            }
            (None, Some(file)) => self.secret_file(&file, EXPECTED),
            (None, None) => None,
        }
    }

    fn secret_file(&mut self, found: &Found, expected: &str) -> Option<Secret> {
        // One more for the line's end that editors add.
        let (path, text) = self.private_file(found, SECRET_BYTES_MAX as u64 + 2)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let secret = checked(line.strip_suffix('\r').unwrap_or(line));
        if secret.is_none() {
            let what = format!("{} does not hold {expected}", path.display());
            self.problem(found, &what);
        }
        secret
    }

    /// The path and the text of a file that others must not be able to read.
    pub(super) fn private_file(&mut self, found: &Found, limit: u64) -> Option<(PathBuf, String)> {
        let (path, text, mode) = self.file(found, limit)?;
        if is_exposed(mode) {
            let what = format!(
                "others may read {} (its mode is {mode:04o}), expected mode 0640 or 0600",
                path.display()
            );
            self.problem(found, &what);
            return None;
        }
        Some((path, text))
    }

    /// The path, the text and the permission bits of a file.
    pub(super) fn file(&mut self, found: &Found, limit: u64) -> Option<(PathBuf, String, u32)> {
        let Some(path) = path(&found.value) else {
            self.wrong(found, "a file");
            return None;
        };
        let path = self.source.resolve(&path);
        match read_file(&path, limit) {
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.problem(found, &what);
                None
            }
            Ok((text, mode)) => Some((path, text, mode)),
        }
    }
}

/// A key without its section.
fn last(key: &str) -> &str {
    key.split_once('.').map_or(key, |(_, last)| last)
}

fn checked(text: &str) -> Option<Secret> {
    let is_sound =
        (1..=SECRET_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    is_sound.then(|| Secret(text.to_owned()))
}

/// Whether the permission bits of a file let others read it. Its group may: that is how a service gets
/// a file that belongs to root.
fn is_exposed(mode: u32) -> bool {
    mode & 0o004 != 0
}
