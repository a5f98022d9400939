//! Files that hold a password: read only where nobody but their owner may.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Bits of a file's mode that let others than its owner read or write it.
const OTHERS: u32 = 0o077;

/// Whether nobody but its owner may read or write a file.
pub(super) fn is_private(path: &Path) -> std::io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & OTHERS == 0)
}

/// The password in a file of its own: all of it but the end of the line.
pub(super) fn secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |error| format!("cannot read {shown}: {error}");
    if !is_private(path).map_err(unreadable)? {
        return Err(format!("others may read {shown}: chmod 600 it"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    Ok(password.to_owned())
}
