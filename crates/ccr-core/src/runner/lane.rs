//! Copying one table again, step by step, while the others flow.
//!
//! Each step is a future that touches nothing but the clusters; what it finds out is applied to the job's
//! state by the stream, which then starts the next step. A restarted syncer starts the step that the
//! state names.

use std::collections::BTreeMap;
use std::sync::Arc;

use doris_types::call::MetaFilter;
use futures::future::BoxFuture;

use super::shell::Shell;
use crate::effect::routes::is_proven_gone;
use crate::effect::{Scope, backup, restore, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::{FullSyncReason, PartialSyncReason, SnapshotInfo, SnapshotStep, TableLink};

/// Tries to restore one snapshot before an operator is asked.
const MAX_RESTORE_ATTEMPTS: u32 = 3;

/// How a step ended.
pub(super) enum CopyStep {
    SnapshotReady(SnapshotInfo),
    Restored(Box<TableLink>),
    RestoreCancelled(String),
    /// Another snapshot must be taken.
    Again(PartialSyncReason),
}

pub(super) type CopyFuture = BoxFuture<'static, Result<CopyStep>>;

/// The future of the step that the state names.
pub(super) fn run(shell: Arc<Shell>, source_id: i64, link: TableLink, step: SnapshotStep) -> CopyFuture {
    match step {
        SnapshotStep::Backup { label } => Box::pin(take(shell, source_id, label)),
        SnapshotStep::Restore { backup_label, restore_label, attempt, info } => {
            Box::pin(put(shell, source_id, link, backup_label, restore_label, attempt, info))
        }
    }
}

async fn take(shell: Arc<Shell>, source_id: i64, label: String) -> Result<CopyStep> {
    let mut tries = 0;
    loop {
        // The name may change at any time; what counts is which table the snapshot then holds.
        let Some(source_name) = shell.retry(async || present_name(&shell, source_id).await).await? else {
            // Dropped upstream: the stream meets the drop and ends this lane.
            shell.ctx.clock.sleep(shell.ctx.options.poll_max).await;
            continue;
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
            Err(error) if error.message.contains("nknown table") => {
                tries += 1;
                shell.pause(&error, tries).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn put(
    shell: Arc<Shell>,
    source_id: i64,
    old: TableLink,
    backup_label: String,
    restore_label: String,
    attempt: u32,
    info: SnapshotInfo,
) -> Result<CopyStep> {
    let Some(table) = info.tables.iter().find(|table| table.id == source_id) else {
        let detail = "it does not hold the table".to_owned();
        return Ok(CopyStep::Again(PartialSyncReason::SnapshotLost { label: backup_label, detail }));
    };
    // Upstream the table may have got another name that the job's own list has not come to yet.
    let scope = Scope::Table { source_name: table.name.clone(), target_name: old.target_name.clone() };
    match restore::run(&shell, &backup_label, &restore_label, &info, &scope).await? {
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
        restore::Outcome::Cancelled(status) if attempt >= MAX_RESTORE_ATTEMPTS => Err(Error::blocked(
            Origin::DownstreamFe,
            "CCR0503",
            format!("restore {restore_label} was cancelled {attempt} times, the last time with {status}"),
            "remove what SHOW RESTORE objects to, then resume the job",
        )),
        restore::Outcome::Cancelled(status) => {
            let error = Error::retry(
                Origin::DownstreamFe,
                "CCR0503",
                format!("restore {restore_label} was cancelled: {status}"),
            );
            shell.pause(&error, attempt).await;
            Ok(CopyStep::RestoreCancelled(status))
        }
        restore::Outcome::Lost(reason) => Ok(CopyStep::Again(lost(&backup_label, &reason))),
    }
}

/// The table's name now; `None` once it is proven to be dropped.
async fn present_name(shell: &Shell, source_id: i64) -> Result<Option<String>> {
    let filter = MetaFilter::Tables(vec![source_id]);
    let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
    let stale = || {
        let message =
            format!("table {source_id} is missing in the upstream metadata, but not reported dropped");
        Error::retry(Origin::UpstreamFe, "CCR0303", message)
    };
    let db = db.ok_or_else(stale)?;
    let proven = is_proven_gone(&db, |db| db.dropped_tables.contains_key(&source_id));
    match db.tables.into_iter().find(|table| table.id == source_id) {
        Some(table) => Ok(Some(table.name)),
        None if proven => Ok(None),
        None => Err(stale()),
    }
}

fn lost(label: &str, reason: &FullSyncReason) -> PartialSyncReason {
    PartialSyncReason::SnapshotLost { label: label.to_owned(), detail: reason.describe() }
}
