//! The secret: where it may stand, who may read it there, and that it is shown nowhere.

use std::fmt;

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
    /// The secret, from the one of the two keys that was typed.
    pub(super) fn secret(&mut self) -> Option<Secret> {
        const EXPECTED: &str = "1 to 1024 bytes without control characters";
        let inline = self.keys.get("component.secret").cloned();
        let file = self.keys.get("component.secret-file").cloned();
        if let Some(found) = &inline {
            // Others may have read it by now, even if another one is meant to be used.
            if matches!(found.place, Place::Line(..)) && is_exposed(self.source.mode) {
                let what = format!(
                    "stands in a file that others may read (its mode is {:04o}), expected mode 0640 \
                     or 0600, or a secret-file",
                    self.source.mode
                );
                self.problem(found, &what);
            }
        }
        match (inline, file) {
            (Some(_), Some(file)) => {
                self.problem(&file, "stands beside secret, expected only one of the two");
                None
            }
            (Some(inline), None) => self.read("component.secret", EXPECTED, |_| {
                inline.value.text().and_then(checked)
            }),
            (None, Some(file)) => self.secret_file(&file, EXPECTED),
            (None, None) => {
                let place = Place::File(self.source.path.clone());
                let expected = "the secret that the server has for this component, or secret-file";
                self.missing(&place, "component.secret", expected);
                None
            }
        }
    }

    fn secret_file(&mut self, found: &Found, expected: &str) -> Option<Secret> {
        let Some(path) = path(&found.value) else {
            self.wrong(found, "a file that holds the secret");
            return None;
        };
        let path = self.source.resolve(&path);
        // One more for the line's end that editors add.
        match read_file(&path, SECRET_BYTES_MAX as u64 + 2) {
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.problem(found, &what);
                None
            }
            Ok((_, mode)) if is_exposed(mode) => {
                let what = format!(
                    "others may read {} (its mode is {mode:04o}), expected mode 0640 or 0600",
                    path.display()
                );
                self.problem(found, &what);
                None
            }
            Ok((text, _)) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let secret = checked(line.strip_suffix('\r').unwrap_or(line));
                if secret.is_none() {
                    let what = format!("{} does not hold {expected}", path.display());
                    self.problem(found, &what);
                }
                secret
            }
        }
    }
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
