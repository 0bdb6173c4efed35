//! Copying one table again, step by step, while the others flow.
//!
//! Of a table in which a partition was recovered only that one is copied; see [`partition`].
//!
//! Each step is a future that touches nothing but the clusters; what it finds out is applied to the job's
//! state by the stream, which then starts the next step. A restarted syncer starts the step that the
//! state names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use doris_types::call::MetaFilter;
use futures::future::BoxFuture;

use super::cancelled::{Verdict, judge};
use super::partition;
use super::shell::Shell;
use crate::answers;
use crate::effect::names::Names;
use crate::effect::patience::{Patience, SharedPatience};
use crate::effect::routes::is_proven_gone;
use crate::effect::{Scope, backup, look_for, names, restore, statement, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::{
    FullSyncReason, NO_TARGET, PartialSyncReason, SnapshotInfo, SnapshotStep, SyncType, TableLink,
};

/// The first try that does not give way to a change of names, of which there might be ever more.
const GIVING_WAY: u32 = 3;

/// How a step ended.
pub(super) enum CopyStep {
    SnapshotReady(SnapshotInfo),
    Restored(Box<TableLink>),
    /// The target has the partition, with all of it up to here.
    PartitionRestored {
        synced_to: i64,
    },
    RestoreCancelled {
        status: String,
        /// What the next try waits with; none when it restores beside the table, at once.
        error: Option<Error>,
    },
    /// The restore was given up for a change of the table's name.
    GaveWay,
    /// A restore upstream has put another table in its place, of which no binlog tells.
    TakenOver {
        by_id: i64,
        name: String,
    },
    /// Another snapshot must be taken.
    Again(PartialSyncReason),
    /// The target of a table that was dropped upstream is settled.
    Dropped,
    /// The target has the name that the table got before it was copied.
    Renamed,
}

pub(super) type CopyFuture = BoxFuture<'static, Result<CopyStep>>;

/// What of a copy its owner decides.
pub(super) struct Terms {
    /// Once it is set, a restore is given up if it can be.
    pub give_way: Arc<AtomicBool>,
    /// A table that is in the way and not the job's is overwritten.
    pub overwrites: bool,
}

/// The future of the step that the state names.
pub(super) fn run(
    shell: Arc<Shell>,
    source_id: i64,
    link: TableLink,
    reason: &PartialSyncReason,
    step: SnapshotStep,
    terms: Terms,
) -> CopyFuture {
    let Terms { give_way, overwrites } = terms;
    let recovered = reason.partition().cloned();
    match step {
        SnapshotStep::Backup { label } => match recovered {
            None => Box::pin(take(shell, source_id, link, label, overwrites)),
            Some(recovered) => Box::pin(partition::take(shell, source_id, link, label, recovered)),
        },
        SnapshotStep::Restore { backup_label, restore_label, attempt, info, aside } => {
            let gives_way = move || attempt < GIVING_WAY && give_way.load(Ordering::Relaxed);
            let restore = Restore { backup_label, label: restore_label, attempt, info, aside };
            match recovered {
                None => Box::pin(put(shell, source_id, link, restore, gives_way, overwrites)),
                Some(recovered) => {
                    Box::pin(partition::put(shell, source_id, link, restore, recovered, gives_way))
                }
            }
        }
    }
}

/// Drops the target of a table that was dropped upstream, unless it is to be left.
pub(super) async fn remove(
    shell: Arc<Shell>,
    target_id: i64,
    known: Names,
    is_left: bool,
) -> Result<CopyStep> {
    if !is_left {
        names::drop_table(&shell, target_id, &known, &Patience::endless()).await?;
    }
    Ok(CopyStep::Dropped)
}

/// Gives the target the name that the table got before it was copied. `wanted` are the names of all tables that wait
/// for one: it may be another's that has it.
pub(super) async fn rename(
    shell: Arc<Shell>,
    target_id: i64,
    wanted: BTreeMap<i64, String>,
) -> Result<CopyStep> {
    let limit = shell.ctx.options.quarantine_after;
    match names::rename_tables(&shell, &wanted, SharedPatience::lasting(&shell, limit))
        .await?
        .remove(&target_id)
    {
        None => Ok(CopyStep::Renamed),
        Some((_, error)) => Err(error),
    }
}

async fn take(
    shell: Arc<Shell>,
    source_id: i64,
    link: TableLink,
    label: String,
    overwrites: bool,
) -> Result<CopyStep> {
    if !overwrites {
        // What else has its name now is not ours, and would be replaced.
        statement::ensure_free(&shell, &link.target_name, link.target_id).await?;
    }
    let mut tries = 0;
    loop {
        // The name may change at any time; what counts is which table the snapshot then holds.
        let look = async || present(&shell, source_id).await;
        let what = format!("table {source_id}");
        let source_name = match look_for(&shell, &what, look).await? {
            Some(Presence::Named(name)) => name,
            Some(Presence::Dropped) => {
                // The stream meets the drop and ends this lane.
                shell.ctx.clock.sleep(shell.ctx.options.poll_max).await;
                continue;
            }
            None => {
                if let Some(by_id) = bearer_of(&shell, &link.source_name).await?
                    && shell.ctx.record.spec.sync_type() == SyncType::Database
                {
                    return Ok(CopyStep::TakenOver { by_id, name: link.source_name });
                }
                let message = format!("{what} is missing upstream, but not reported as dropped");
                tries += 1;
                shell.pause(&Error::retry(Origin::UpstreamFe, "CCR0303", message), tries).await;
                continue;
            }
        };
        let scope = Scope::Table { target_name: source_name.clone(), source_name };
        match backup::run(&shell, &label, &scope).await {
            Ok(backup::Outcome::Ready(info)) => {
                if info.tables.iter().any(|table| table.id == source_id) {
                    return Ok(CopyStep::SnapshotReady(info));
                }
                let detail = "another table took the name meanwhile".to_owned();
                return Ok(CopyStep::Again(PartialSyncReason::SnapshotLost { label, detail }));
            }
            Ok(backup::Outcome::Lost(reason)) => return Ok(CopyStep::Again(lost(&label, &reason))),
            Err(error) if error.message.contains(answers::UNKNOWN_TABLE) => {
                tries += 1;
                shell.pause(&error, tries).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A step of a copy, as the state names it.
pub(super) struct Restore {
    pub backup_label: String,
    pub label: String,
    pub attempt: u32,
    pub info: SnapshotInfo,
    pub aside: bool,
}

async fn put(
    shell: Arc<Shell>,
    source_id: i64,
    old: TableLink,
    restore: Restore,
    gives_way: impl Fn() -> bool + Sync,
    overwrites: bool,
) -> Result<CopyStep> {
    let Restore { backup_label, label: restore_label, attempt, info, aside } = restore;
    let Some(table) = info.tables.iter().find(|table| table.id == source_id) else {
        let detail = "it does not hold the table".to_owned();
        return Ok(CopyStep::Again(PartialSyncReason::SnapshotLost { label: backup_label, detail }));
    };
    if !restore::is_known(&shell, &restore_label).await? {
        if !overwrites {
            // The name may be another one than when the backup was taken.
            statement::ensure_free(&shell, &old.target_name, old.target_id).await?;
        }
        if overwrites || old.target_id != NO_TARGET {
            restore::clear_temporary(&shell, &old.target_name).await?;
        }
    }
    // Upstream the table may have got another name that the job's own list has not come to yet.
    let scope = Scope::Table { source_name: table.name.clone(), target_name: old.target_name.clone() };
    let copied = (&info, aside);
    match restore::run(&shell, &backup_label, &restore_label, copied, &scope, &gives_way).await? {
        restore::Outcome::GaveWay => Ok(CopyStep::GaveWay),
        restore::Outcome::Restored(mut links) => {
            let link = links.remove(&source_id).ok_or_else(|| {
                Error::blocked(
                    Origin::Internal,
                    "CCR0904",
                    format!("table {source_id} was restored without a link"),
                    "report this as a bug of the syncer",
                )
            })?;
            let (before, after) =
                (BTreeMap::from([(source_id, old)]), BTreeMap::from([(source_id, link.clone())]));
            restore::drop_stale(&shell, &before, &after).await?;
            Ok(CopyStep::Restored(Box::new(link)))
        }
        restore::Outcome::Cancelled(status) if !aside && answers::is_mismatch(&status) => {
            tracing::info!(table = source_id, status, "the table is restored beside the old one");
            Ok(CopyStep::RestoreCancelled { status, error: None })
        }
        restore::Outcome::Cancelled(status) => {
            cancelled(&backup_label, judge(&restore_label, attempt, &status), status)
        }
        restore::Outcome::Lost(reason) => Ok(CopyStep::Again(lost(&backup_label, &reason))),
    }
}

/// What follows when a restore was cancelled.
pub(super) fn cancelled(backup_label: &str, verdict: Verdict, status: String) -> Result<CopyStep> {
    Ok(match verdict {
        Verdict::Again(error) => CopyStep::RestoreCancelled { status, error: Some(error) },
        Verdict::AnotherSnapshot(detail) => {
            CopyStep::Again(PartialSyncReason::SnapshotLost { label: backup_label.to_owned(), detail })
        }
        Verdict::Blocked(error) => return Err(error),
    })
}

/// What the upstream says of a table.
pub(super) enum Presence {
    /// It is there, under this name.
    Named(String),
    /// It is reported as dropped.
    Dropped,
}

/// Looks for a table; `None` when it is neither there nor reported as dropped.
pub(super) async fn present(shell: &Shell, source_id: i64) -> Result<Option<Presence>> {
    let filter = MetaFilter::Tables(vec![source_id]);
    let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
    Ok(db.and_then(|db| {
        let proven = is_proven_gone(&db, |db| db.dropped_tables.contains_key(&source_id));
        match db.tables.into_iter().find(|table| table.id == source_id) {
            Some(table) => Some(Presence::Named(table.name)),
            None => proven.then_some(Presence::Dropped),
        }
    }))
}

/// The upstream table that has that name now.
async fn bearer_of(shell: &Shell, name: &str) -> Result<Option<i64>> {
    let filter = MetaFilter::Named(vec![name.to_owned()]);
    shell
        .retry(async || {
            let db =
                shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await.map_err(upstream)?;
            Ok(db.and_then(|db| db.tables.into_iter().next()).map(|table| table.id))
        })
        .await
}

/// Why another snapshot must be taken.
pub(super) fn lost(label: &str, reason: &FullSyncReason) -> PartialSyncReason {
    PartialSyncReason::SnapshotLost { label: label.to_owned(), detail: reason.describe() }
}
