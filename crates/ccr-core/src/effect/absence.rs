//! Believing that something is gone.
//!
//! An answer without a table may come from a frontend that is behind. The upstream reports what was dropped,
//! but not what a restore has replaced, and the downstream need not report anything. So what is missing
//! without such a report is looked for several times before it counts as gone.

use std::future::Future;

use crate::error::{Error, Origin, Result};
use crate::runner::shell::Shell;

/// The code of something that the metadata neither lists nor reports as dropped.
pub(crate) const MISSING: &str = "CCR0303";

/// Looks in all, so that the pauses between them stay below the threshold of a warning.
const LOOKS: u32 = 4;

/// Looks until something is found; `None` when it was missing each time.
pub(crate) async fn look_for<T, F, Fut>(
    shell: &Shell,
    origin: Origin,
    code: &'static str,
    what: &str,
    mut look: F,
) -> Result<Option<T>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let mut tries = 0;
    loop {
        if let Some(found) = shell.retry(&mut look).await? {
            shell.recovered(tries);
            return Ok(Some(found));
        }
        tries += 1;
        if tries == LOOKS {
            shell.recovered(tries);
            return Ok(None);
        }
        let error = Error::retry(origin, code, format!("{what} is missing in the metadata"));
        shell.pause(&error, tries).await;
    }
}

/// The upstream database is not in an answer, which may be a stale one.
pub(super) fn missing_database(shell: &Shell) -> Error {
    let message = format!("upstream database {} is not there", shell.source_database());
    Error::retry(Origin::UpstreamFe, "CCR0301", message)
}

/// Something upstream is neither in an answer nor reported as dropped.
pub(super) fn missing(what: &str) -> Error {
    let message = format!("{what} is missing in the upstream metadata, but not reported as dropped");
    Error::retry(Origin::UpstreamFe, MISSING, message)
}
