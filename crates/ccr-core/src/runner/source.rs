//! Reading the upstream binlog: batches, idle pauses, and telling "nothing new" from "gone".

use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogPage, BinlogScope, MetaFilter};
use doris_types::meta::TableMeta;

use super::lane::{self, Presence};
use super::shell::Shell;
use crate::effect::routes::is_proven_gone;
use crate::effect::{look_for, upstream};
use crate::error::{Error, NO_DATABASE, Origin, Result};
use crate::job::{FullSyncReason, SyncType};

/// How often an idle job makes sure that what it replicates still exists. A table's own list never tells
/// of its drop, and a list that was never begun looks like one that is gone.
const IDENTITY_CHECK_MS: i64 = 10_000;

/// Looks at a database whose id is lower than it was, after the first.
const LASTING_LOOKS: u32 = 3;

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
    /// The table that bears the name of the one that a table job follows, at the last look. The list of the latter
    /// tells when it is renamed, but not when it takes the name of a table that it replaces.
    successor: Option<i64>,
}

impl Source {
    pub fn new(scope: BinlogScope, checked_at_ms: i64) -> Self {
        Self { scope, checked_at_ms, successor: None }
    }

    /// Waits, then fetches the next batch after `after`. A failure is retried here for ever, visibly. `is_quiet` tells
    /// whether everything before it is applied.
    pub async fn fetch(
        mut self,
        shell: Arc<Shell>,
        after: i64,
        delay: Duration,
        is_quiet: bool,
    ) -> (Self, Result<Fetched>) {
        if !delay.is_zero() {
            shell.ctx.clock.sleep(delay).await;
        }
        let limit = shell.ctx.options.binlog_batch_size;
        for tries in 1.. {
            let ask = async || shell.ctx.upstream.binlogs(&self.scope, after, limit).await.map_err(upstream);
            let page = shell.retry(ask).await;
            let idle = matches!(page, Ok(BinlogPage::CaughtUp | BinlogPage::NotFound | BinlogPage::Disabled));
            if !idle || !is_quiet {
                self.successor = None;
            }
            // Somebody may be about to create it again.
            let is_unknown = page.as_ref().is_err_and(|error| error.code == NO_DATABASE);
            let is_due = shell.now_ms() - self.checked_at_ms >= IDENTITY_CHECK_MS || self.successor.is_some();
            if self.has_hint(&shell, &page, idle) || is_unknown || idle && is_due {
                self.checked_at_ms = shell.now_ms();
                match self.check_until_answered(&shell, is_quiet).await {
                    Ok(None) => {}
                    Ok(Some(reason)) => return (self, Ok(Fetched::Replaced(reason))),
                    Err(error) => return (self, Err(error)),
                }
            }
            match page {
                Ok(BinlogPage::Disabled) => {
                    let error = disabled(&self.scope);
                    return (self, Err(error));
                }
                Ok(page) => return (self, Ok(Fetched::Page(page))),
                // It is there, and will be for whoever is asked next.
                Err(error) if is_unknown => shell.pause(&error, tries).await,
                Err(error) => return (self, Err(error)),
            }
        }
        (self, Ok(Fetched::Page(BinlogPage::CaughtUp)))
    }

    /// Whether something hints at a change of what is followed, so that it is looked for at once.
    fn has_hint(&self, shell: &Shell, page: &Result<BinlogPage>, idle: bool) -> bool {
        let is_table_job = shell.ctx.record.spec.sync_type() == SyncType::Table;
        if self.scope.table_id.is_some() && !is_table_job {
            // The main track meets what becomes of the table.
            return false;
        }
        let has_gone = page.as_ref().is_ok_and(|page| {
            shell.followed.listed(!matches!(page, BinlogPage::NotFound | BinlogPage::Disabled))
        });
        let is_foreign =
            matches!(page, Ok(BinlogPage::Entries(entries)) if shell.followed.is_foreign(entries));
        has_gone || is_foreign || idle && shell.followed.take_doubt()
    }

    async fn check_until_answered(
        &mut self,
        shell: &Shell,
        is_quiet: bool,
    ) -> Result<Option<FullSyncReason>> {
        let (found, successor) = shell.retry(async || self.check(shell).await).await?;
        // A rename and a new table of the name look the same until the list has been read again, and applied.
        let is_certain = is_quiet && successor.is_some() && successor == self.successor;
        self.successor = successor.filter(|_| is_quiet);
        let replaced = |(new_id, old_id)| FullSyncReason::SourceTableReplaced { old_id, new_id };
        Ok(found.or_else(|| successor.zip(self.scope.table_id).filter(|_| is_certain).map(replaced)))
    }

    /// The table that has the name of the one that is followed, now that this one has another.
    async fn successor(&self, shell: &Shell, table: &TableMeta) -> Result<Option<i64>> {
        let Some(name) = shell.followed.name().filter(|name| *name != table.name) else { return Ok(None) };
        let named = shell.ctx.upstream.meta(&self.scope.database, MetaFilter::Named(vec![name])).await;
        let named = named.map_err(upstream)?;
        Ok(named.and_then(|db| db.tables.first().map(|other| other.id)).filter(|id| *id != table.id))
    }

    /// Looks for the database, and for the table of a table job; and for the one that bears its name instead of it.
    async fn check(&self, shell: &Shell) -> Result<(Option<FullSyncReason>, Option<i64>)> {
        let db_name = &self.scope.database;
        let filter =
            self.scope.table_id.map_or(MetaFilter::Tables(Vec::new()), |id| MetaFilter::Tables(vec![id]));
        // A frontend that has just started may not know it yet.
        let look = async || shell.ctx.upstream.meta(db_name, filter.clone()).await.map_err(upstream);
        let Some(db) = look_for(shell, &format!("database {db_name}"), look).await? else {
            return Err(Error::blocked(
                Origin::UpstreamFe,
                "CCR0505",
                format!("upstream database {db_name} was dropped"),
                "delete the job, or recover the database upstream and resume",
            ));
        };
        let is_whole_job =
            self.scope.table_id.is_none() || shell.ctx.record.spec.sync_type() == SyncType::Table;
        if is_whole_job
            && let Some(old_id) = shell.followed.replaced_by(db.id)
            && (db.id > old_id || is_lasting(shell, db.id).await?)
        {
            return Ok((Some(FullSyncReason::SourceDatabaseReplaced { old_id, new_id: db.id }), None));
        }
        let Some(table_id) = self.scope.table_id else { return Ok((None, None)) };
        if shell.ctx.record.spec.sync_type() == SyncType::Database {
            // The main track meets the drop of a table, which ends this one.
            return Ok((None, None));
        }
        if let Some(table) = db.tables.iter().find(|table| table.id == table_id) {
            return Ok((None, self.successor(shell, table).await?));
        }
        let mut how = "was dropped";
        if !is_proven_gone(&db, |db| db.dropped_tables.contains_key(&table_id)) {
            // A restore upstream that puts another table in its place drops nothing; or the answer is a stale one.
            let look = async || lane::present(shell, table_id).await;
            let what = format!("table {table_id}");
            match look_for(shell, &what, look).await? {
                Some(Presence::Named(_)) => return Ok((None, None)),
                Some(Presence::Dropped) => {}
                None => how = "is missing, though not reported as dropped",
            }
        }
        let name = shell.followed.name().unwrap_or_else(|| shell.ctx.record.spec.src.table.clone());
        let named = MetaFilter::Named(vec![name.clone()]);
        let look = async || {
            let now = shell.ctx.upstream.meta(db_name, named.clone()).await.map_err(upstream)?;
            Ok(now.and_then(|db| db.tables.into_iter().next()))
        };
        match look_for(shell, &format!("table {name}"), look).await? {
            // It is there after all: the answer without it was a stale one.
            Some(table) if table.id == table_id => Ok((None, None)),
            Some(table) => {
                Ok((Some(FullSyncReason::SourceTableReplaced { old_id: table_id, new_id: table.id }), None))
            }
            None => Err(Error::blocked(
                Origin::UpstreamFe,
                "CCR0506",
                format!("upstream table {name} ({table_id}) {how}"),
                "delete the job, or recover the table upstream and resume",
            )),
        }
    }
}

/// Whether the database of the job has this id at each of several looks. One that is lower than the id it had is that of
/// a cluster that was set up anew, when it is not told by a frontend that is behind.
pub(super) async fn is_lasting(shell: &Shell, database_id: i64) -> Result<bool> {
    for look in 0..LASTING_LOOKS {
        shell.ctx.clock.sleep(shell.ctx.options.retry_min * 2_u32.pow(look)).await;
        let none = MetaFilter::Tables(Vec::new());
        let ask =
            async || shell.ctx.upstream.meta(shell.source_database(), none.clone()).await.map_err(upstream);
        if shell.retry(ask).await?.map(|db| db.id) != Some(database_id) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn disabled(scope: &BinlogScope) -> Error {
    Error::blocked(
        Origin::UpstreamFe,
        "CCR0507",
        format!("the binlog of upstream database {} is disabled", scope.database),
        "set binlog.enable = true on the database and its tables, then /force_fullsync the job: what is written in \
         between is in no binlog",
    )
}
