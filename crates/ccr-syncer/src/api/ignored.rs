//! Fields of a request that are not known. They are ignored, as the Go program ignores them, so that whoever sends one
//! object to several routes, or an answer back as a request, is understood. A misspelt field is still told: in the
//! log, and under `warnings` in the answer, which has no such key otherwise.
//!
//! They are noted for the request that is being handled, whose future runs in [`scope`].

use std::cell::RefCell;
use std::future::Future;

use tracing::warn;

/// More of them are only counted.
const MOST: usize = 16;
/// The longest name that is shown.
const LONGEST: usize = 64;

tokio::task_local! {
    static IGNORED: RefCell<Vec<String>>;
}

/// Handles one request.
pub(super) async fn scope<F: Future>(handling: F) -> F::Output {
    IGNORED.scope(RefCell::default(), handling).await
}

/// Notes a field by its path, without its value, which may be a password.
pub(super) fn note(mut path: String) {
    if let Some((end, _)) = path.char_indices().nth(LONGEST) {
        path.truncate(end);
        path.push('…');
    }
    // There is a request wherever there are fields, but in tests of single functions.
    let _ = IGNORED.try_with(|ignored| ignored.borrow_mut().push(path));
}

/// What the answer and the log say of the fields noted so far.
pub(super) fn take_warnings() -> Vec<String> {
    let noted = IGNORED.try_with(RefCell::take).unwrap_or_default();
    if noted.is_empty() {
        return Vec::new();
    }
    warn!(fields = noted[..noted.len().min(MOST)].join(", "), count = noted.len(), "unknown fields ignored");
    let more = noted.len().saturating_sub(MOST);
    let mut warnings: Vec<String> = noted
        .into_iter()
        .take(MOST)
        .map(|path| format!("{path}: is not a known field, and was ignored"))
        .collect();
    if more > 0 {
        warnings.push(format!("{more} more fields are not known, and were ignored"));
    }
    warnings
}
