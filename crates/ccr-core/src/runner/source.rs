//! Reading the upstream binlog: batches, idle pauses, and telling "nothing new" from "gone".

use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogPage, BinlogScope, MetaFilter};

use super::shell::Shell;
use crate::effect::routes::is_proven_gone;
use crate::effect::{look_for, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::{FullSyncReason, SyncType};

/// How often an idle job makes sure that what it replicates still exists. A table's own list never tells
/// of its drop, and a list that was never begun looks like one that is gone.
const IDENTITY_CHECK_MS: i64 = 10_000;

/// What a look at the upstream brought.
pub(super) enum Fetched {
    Page(BinlogPage),
    /// The table of a table job is another one now.
    Replaced(FullSyncReason),
}

/// What is read, and when its existence was last checked.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub scope: BinlogScope,
    pub checked_at_ms: i64,
}

impl Source {
    /// Waits, then fetches the next batch after `after`. A failure is retried here for ever, visibly.
    pub async fn fetch(mut self, shell: Arc<Shell>, after: i64, delay: Duration) -> (Self, Result<Fetched>) {
        if !delay.is_zero() {
            shell.ctx.clock.sleep(delay).await;
        }
        let limit = shell.ctx.options.binlog_batch_size;
        let page = shell
            .retry(async || shell.ctx.upstream.binlogs(&self.scope, after, limit).await.map_err(upstream))
            .await;
        let idle = matches!(page, Ok(BinlogPage::CaughtUp | BinlogPage::NotFound | BinlogPage::Disabled));
        if idle && shell.now_ms() - self.checked_at_ms >= IDENTITY_CHECK_MS {
            self.checked_at_ms = shell.now_ms();
            match shell.retry(async || self.check(&shell).await).await {
                Ok(None) => {}
                Ok(Some(reason)) => return (self, Ok(Fetched::Replaced(reason))),
                Err(error) => return (self, Err(error)),
            }
        }
        let result = match page {
            Ok(BinlogPage::Disabled) => Err(disabled(&self.scope)),
            Ok(page) => Ok(Fetched::Page(page)),
            Err(error) => Err(error),
        };
        (self, result)
    }

    /// Looks for the database, and for the table of a table job.
    async fn check(&self, shell: &Shell) -> Result<Option<FullSyncReason>> {
        let db_name = &self.scope.database;
        let filter =
            self.scope.table_id.map_or(MetaFilter::Tables(Vec::new()), |id| MetaFilter::Tables(vec![id]));
        let Some(db) = shell.ctx.upstream.meta(db_name, filter).await.map_err(upstream)? else {
            return Err(Error::blocked(
                Origin::UpstreamFe,
                "CCR0505",
                format!("upstream database {db_name} was dropped"),
                "delete the job, or recover the database upstream and resume",
            ));
        };
        let Some(table_id) = self.scope.table_id else { return Ok(None) };
        if db.tables.iter().any(|table| table.id == table_id)
            || !is_proven_gone(&db, |db| db.dropped_tables.contains_key(&table_id))
        {
            return Ok(None);
        }
        if shell.ctx.record.spec.sync_type() == SyncType::Database {
            // The main track meets its drop, which ends this one.
            return Ok(None);
        }
        let name = &shell.ctx.record.spec.src.table;
        let named = MetaFilter::Named(vec![name.clone()]);
        let look = async || {
            let now = shell.ctx.upstream.meta(db_name, named.clone()).await.map_err(upstream)?;
            Ok(now.and_then(|db| db.tables.into_iter().next()))
        };
        match look_for(shell, Origin::UpstreamFe, "CCR0303", &format!("table {name}"), look).await? {
            // It is there after all: the answer without it was a stale one.
            Some(table) if table.id == table_id => Ok(None),
            Some(table) => {
                Ok(Some(FullSyncReason::SourceTableReplaced { old_id: table_id, new_id: table.id }))
            }
            None => Err(Error::blocked(
                Origin::UpstreamFe,
                "CCR0506",
                format!("upstream table {name} ({table_id}) was dropped"),
                "delete the job, or recover the table upstream and resume",
            )),
        }
    }
}

fn disabled(scope: &BinlogScope) -> Error {
    Error::blocked(
        Origin::UpstreamFe,
        "CCR0507",
        format!("the binlog of upstream database {} is disabled", scope.database),
        "set binlog.enable = true on the database and its tables, then resume the job",
    )
}
