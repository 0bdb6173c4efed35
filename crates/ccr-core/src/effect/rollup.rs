//! Rollups of the target that do not look like what a load wrote, because they were dropped or renamed upstream since.
//!
//! A load that is older than DROP ROLLUP names the rollup by its id; its rows cannot be fetched any more, and the
//! target demands them while it has the rollup. The drop follows in the binlog in any case, so it is made first.
//! Only what the upstream reports as dropped counts: an old frontend reports nothing, and the table is copied.
//!
//! A batch DROP ROLLUP of several leaves a record of one of them only. A load that comes after it has written all that
//! the upstream has; what the target has beyond that is dropped with the load, once the upstream reports as many drops.
//!
//! The metadata tells what rollups are called now. What one was called when the load was written, and still is
//! downstream, is the old name in the first record after it that renames it; the table's own list has them all. It is
//! asked as soon as the target has two rollups: they may have exchanged their names, and every name is found then.

use std::collections::HashMap;

use doris_types::call::{BinlogPage, BinlogScope, MetaFilter};
use doris_types::failure::Cause;
use doris_types::record::{PartitionRecord, Record};
use doris_types::sql::{qualified_name, quote_identifier};

use super::{downstream, upstream};
use crate::change::Change;
use crate::error::{Disposition, Error, Result};
use crate::plan::{Repeated, TableIngest};
use crate::route::TableRoute;
use crate::runner::shell::Shell;

/// Entries that are read ahead at a time, and how often: beyond that a copy of the table is cheaper.
const PAGE: u8 = 250;
const PAGES: u32 = 4000;

/// The renames of the rollups of a table in a part of its binlog, so that each entry of it is read once.
#[derive(Default)]
pub(super) struct Renames {
    /// The part is what comes after this commit seq, up to and with the next.
    after: i64,
    until: i64,
    /// Commit seq, index and former name, in order; old frontends do not tell the name.
    found: Vec<(i64, i64, String)>,
}

impl Renames {
    /// The names that rollups had at this commit seq, by their ids, of those that were renamed since; `None` when that
    /// is not known.
    pub(super) async fn names_at(
        &mut self,
        shell: &Shell,
        table: &TableIngest,
        commit_seq: i64,
    ) -> Result<Option<HashMap<i64, String>>> {
        if !(self.after..=self.until).contains(&commit_seq) {
            *self = Self { after: commit_seq, until: commit_seq, found: Vec::new() };
        }
        if !self.read_to_the_end(shell, table).await? {
            return Ok(None);
        }
        let mut names = HashMap::new();
        for (_, index_id, name) in self.found.iter().filter(|(seq, ..)| *seq > commit_seq) {
            names.entry(*index_id).or_insert_with(|| name.clone());
        }
        let is_known = names.values().all(|name: &String| !name.is_empty());
        Ok(is_known.then_some(names))
    }

    /// Answers whether the end was reached.
    async fn read_to_the_end(&mut self, shell: &Shell, table: &TableIngest) -> Result<bool> {
        let scope =
            BinlogScope { database: shell.source_database().to_owned(), table_id: Some(table.source_id) };
        for _ in 0..PAGES {
            let page = shell.ctx.upstream.binlogs(&scope, self.until, PAGE).await.map_err(upstream)?;
            let entries = match page {
                BinlogPage::Entries(entries) => entries,
                BinlogPage::CaughtUp => return Ok(true),
                // Some of it is not there any more.
                BinlogPage::TooOld { .. } | BinlogPage::NotFound | BinlogPage::Disabled => return Ok(false),
            };
            for entry in entries {
                let seq = entry.commit_seq;
                self.until = self.until.max(seq);
                // What cannot be read is met in its turn.
                if let Ok(change) = Change::parse(entry)
                    && let Record::RenameRollup(record) = change.record
                {
                    self.found.push((seq, record.index_id, record.old_rollup_name));
                }
            }
        }
        Ok(false)
    }
}

/// Drops the rollups of the target that were dropped upstream since the load, or before it without a record. Answers
/// whether there were any.
pub(super) async fn drop_first(
    shell: &Shell,
    table: &TableIngest,
    route: &TableRoute,
    partitions: &[&PartitionRecord],
    commit_seq: i64,
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
    let is_dropped_before = |(id, seq): &(&i64, &i64)| **seq < commit_seq && !index_ids.contains(id);
    let dropped_before = db.dropped_indexes.iter().filter(is_dropped_before).count();
    for partition in partitions {
        let superfluous = route.superfluous(partition, index_ids);
        if superfluous.len() <= dropped_before {
            names.extend(superfluous);
        }
    }
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
    tracing::info!(table = table.source_id, rollup = name, "dropped upstream, dropped for a load");
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
