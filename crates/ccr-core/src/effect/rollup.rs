//! Rollups of the target that a load did not write, because they were dropped upstream since.
//!
//! A load that is older than DROP ROLLUP names the rollup by its id; its rows cannot be fetched any more, and the
//! target demands them while it has the rollup. The drop follows in the binlog in any case, so it is made first.
//! Only what the upstream reports as dropped counts: an old frontend reports nothing, and the table is copied.

use doris_types::call::MetaFilter;
use doris_types::failure::Cause;
use doris_types::record::PartitionRecord;
use doris_types::sql::{qualified_name, quote_identifier};

use super::{downstream, upstream};
use crate::error::{Disposition, Error, Result};
use crate::plan::{Repeated, TableIngest};
use crate::route::TableRoute;
use crate::runner::shell::Shell;

/// Drops the rollups of the target that were dropped upstream since the load. Answers whether there were any.
pub(super) async fn drop_first(
    shell: &Shell,
    table: &TableIngest,
    route: &TableRoute,
    partitions: &[&PartitionRecord],
) -> Result<bool> {
    let Some(index_ids) = table.index_ids.as_deref() else { return Ok(false) };
    let filter = MetaFilter::Tables(vec![table.source_id]);
    let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
    let Some(db) = db else { return Ok(false) };
    let mut names: Vec<String> = partitions
        .iter()
        .flat_map(|partition| {
            route.dropped_since(partition, index_ids, |id| db.dropped_indexes.contains_key(&id))
        })
        .collect();
    names.sort();
    names.dedup();
    for name in &names {
        drop_rollup(shell, table, route, name).await?;
    }
    Ok(!names.is_empty())
}

/// Sends the drop once; the transaction that needs it is tried again.
async fn drop_rollup(shell: &Shell, table: &TableIngest, route: &TableRoute, name: &str) -> Result<()> {
    let sql = format!(
        "ALTER TABLE {} DROP ROLLUP {}",
        qualified_name(shell.target_database(), route.target_name()),
        quote_identifier(name)
    );
    tracing::info!(table = table.source_id, rollup = name, "dropped upstream since the load, dropped first");
    shell.check_lease().await?;
    let Err(failure) = shell.ctx.downstream.execute(Some(shell.target_database()), &sql).await else {
        return Ok(());
    };
    // Another transaction has done so.
    let is_answer = matches!(failure.cause, Cause::Sql { .. });
    if is_answer && Repeated::ROLLUP_DROPPED.is_shown_by(&failure.text()) {
        return Ok(());
    }
    let error = downstream(failure);
    Err(match error.disposition {
        // A copy needs no drop.
        Disposition::Block => Error::partial_sync(error.origin, error.code, error.message),
        Disposition::Retry
        | Disposition::RetryElsewhere
        | Disposition::RefreshMeta
        | Disposition::RestartTxn
        | Disposition::PartialSync
        | Disposition::Isolate
        | Disposition::Stop => error,
    })
}
