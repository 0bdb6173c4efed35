//! Believing that something is gone.
//!
//! An answer without a table may come from a frontend that is behind. The upstream reports what was dropped,
//! but not what a restore has replaced, and the downstream need not report anything. So what is missing
//! without such a report is looked for several times before it counts as gone.

use std::future::Future;

use crate::error::{Error, Origin, Result};
use crate::runner::shell::Shell;

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
