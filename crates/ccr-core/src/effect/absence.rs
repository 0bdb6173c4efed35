//! Believing that something is gone, or not there yet.
//!
//! An answer without a table may come from a frontend that is behind. The upstream reports what was dropped,
//! but not what a restore has replaced, and the downstream need not report anything. So what is missing
//! without such a report is looked for several times before it counts as gone, and so is what was just made
//! (docs/decisions/0016).

use std::future::Future;
use std::sync::atomic::Ordering;

use doris_types::call::MetaFilter;

use super::downstream;
use super::names::Names;
use crate::error::{Error, Origin, Result};
use crate::runner::shell::Shell;

/// The code of something that the metadata neither lists nor reports as dropped.
pub(crate) const MISSING: &str = "CCR0303";

/// Looks in all.
const LOOKS: u32 = 4;

/// Looks until something is found; `None` when it was missing each time. What fails in between is tried again.
pub(crate) async fn look_for<T, F, Fut>(shell: &Shell, what: &str, mut look: F) -> Result<Option<T>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    for looks in 1.. {
        let found = shell.retry(&mut look).await?;
        if found.is_some() || looks == LOOKS {
            return Ok(found);
        }
        tracing::info!(what, looks, "missing in the metadata, looking again");
        shell.ctx.clock.sleep(shell.backoff(looks)).await;
    }
    Ok(None)
}

/// The names of the downstream tables by id. That there are none at all is looked for again.
pub(crate) async fn table_names(shell: &Shell) -> Result<Names> {
    let look = async || {
        let db = shell.ctx.downstream.meta(shell.target_database(), MetaFilter::Names).await;
        let tables = db.map_err(downstream)?.into_iter().flat_map(|db| db.tables);
        let names: Names = tables.map(|table| (table.id, table.name)).collect();
        if let Some(newest) = names.keys().next_back() {
            shell.newest_target.fetch_max(*newest, Ordering::Relaxed);
        }
        Ok((!names.is_empty()).then_some(names))
    };
    look_for(shell, "every downstream table", look).await.map(Option::unwrap_or_default)
}

/// The names of the downstream tables once they show what has just been done there: a master that has been cut off, and
/// has not noticed, tells of the time before. After some looks they are taken as they are.
pub(super) async fn names_when(
    shell: &Shell,
    what: &str,
    is_shown: impl Fn(&Names) -> bool,
) -> Result<Names> {
    let look = async || Ok(Some(table_names(shell).await?).filter(&is_shown));
    match look_for(shell, what, look).await? {
        Some(names) => Ok(names),
        None => shell.retry(async || table_names(shell).await).await,
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
