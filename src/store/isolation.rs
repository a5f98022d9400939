//! Keeps the panics of the embedded database away from the process.
//!
//! sled 0.34 panics where its files are damaged. A panic that is contained here becomes an ordinary
//! fault, and is not printed: its text goes into the error. sled's own threads cannot be contained;
//! what they have to say goes to the log instead of the bare standard error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

#[cfg(panic = "abort")]
compile_error!("damage of the store is told from a panic of sled: build with panic = \"unwind\"");

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it gives its text.
///
/// `work` must not be used again after a panic, nor what it was changing: the caller drops both.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    quieten();
    let before = CONTAINED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    result.map_err(|payload| text(payload.as_ref()))
}

/// Reads what a panic said.
pub(super) fn text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_else(|| "panicked without a word".to_owned())
}

/// The panic hook is one for the whole process, so it is wrapped once and hands on all that is not
/// ours.
fn quieten() {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let current = thread::current();
            let name = current.name().unwrap_or_default();
            if name.starts_with("sled-io-") || name == "log flusher" {
                tracing::error!(thread = name, "{panic}");
            } else if !CONTAINED.get() {
                previous(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_text() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(contain(|| panic!("plain")), Err::<(), _>("plain".into()));
        let n = 3;
        assert_eq!(contain(|| panic!("no {n}")), Err::<(), _>("no 3".into()));
        assert!(contain(|| panic::panic_any(5)).is_err_and(|text| text.contains("without")));
        assert!(!CONTAINED.get());
    }
}
