//! The full sync phase: backup, restore, and over to the stream.

use std::sync::Arc;

use super::job::Job;
use crate::effect::{Scope, backup, restore};
use crate::error::{Error, Origin, Result};
use crate::job::{Event, FullSync, FullSyncReason, Phase, SnapshotInfo, SnapshotStep, SyncType};

/// Tries to restore one snapshot before an operator is asked.
const MAX_RESTORE_ATTEMPTS: u32 = 3;

/// Does the next step of a full sync, and returns when the state has moved.
pub(super) async fn run(job: &mut Job) -> Result<()> {
    let Phase::FullSync(full_sync) = job.state.phase.clone() else {
        return Ok(());
    };
    match &full_sync.step {
        SnapshotStep::Backup { label } => take(job, &full_sync, label).await,
        SnapshotStep::Restore { backup_label, restore_label, attempt, info } => {
            put(job, &full_sync, backup_label, restore_label, *attempt, info).await
        }
    }
}

async fn take(job: &mut Job, full_sync: &FullSync, label: &str) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    tracing::info!(label, reason = %full_sync.reason.describe(), "full sync: backup");
    match backup::run(&shell, label, &scope(job)).await? {
        backup::Outcome::Ready(info) => {
            tracing::info!(
                label,
                tables = info.tables.len(),
                commit_seq = info.commit_seq,
                "snapshot is ready"
            );
            job.apply(Event::SnapshotReady { info }).await
        }
        backup::Outcome::Lost(reason) => again(job, full_sync, reason).await,
    }
}

async fn put(
    job: &mut Job,
    full_sync: &FullSync,
    backup_label: &str,
    restore_label: &str,
    attempt: u32,
    info: &SnapshotInfo,
) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    tracing::info!(label = restore_label, "full sync: restore");
    match restore::run(&shell, backup_label, restore_label, info, &scope(job)).await? {
        restore::Outcome::Restored(links) => {
            let dropped = restore::drop_stale(&shell, &job.state.tables, &links).await?;
            for table in dropped {
                let reason = "it is no longer in the upstream database".to_owned();
                let seqs = (info.commit_seq, info.commit_seq);
                job.history("drop_stale_table", seqs, reason, &format!("dropped {table}"), shell.now_ms())
                    .await;
            }
            let before = job.position.commit_seq;
            job.position.commit_seq = info.commit_seq;
            // Whatever was tried before went into tables that have been replaced.
            job.certain_at_ms = i64::MAX;
            job.apply(Event::Restored { links, at_ms: shell.now_ms() }).await?;
            let (reason, since) = (full_sync.reason.describe(), full_sync.started_at_ms);
            job.history("full_sync", (before, info.commit_seq), reason, "restored", since).await;
            Ok(())
        }
        restore::Outcome::Cancelled(status) => {
            job.history(
                "restore",
                (info.commit_seq, info.commit_seq),
                status.clone(),
                "cancelled",
                full_sync.started_at_ms,
            )
            .await;
            if attempt >= MAX_RESTORE_ATTEMPTS {
                // Under a new label, for the cancelled one would be found again when the job is resumed.
                job.apply(Event::RestoreCancelled).await?;
                return Err(Error::blocked(
                    Origin::DownstreamFe,
                    "CCR0503",
                    format!(
                        "restore {restore_label} was cancelled {attempt} times, the last time with {status}"
                    ),
                    "remove what SHOW RESTORE objects to, then resume the job",
                ));
            }
            let error = Error::retry(
                Origin::DownstreamFe,
                "CCR0503",
                format!("restore {restore_label} was cancelled: {status}"),
            );
            shell.pause(&error, attempt).await;
            job.apply(Event::RestoreCancelled).await
        }
        restore::Outcome::Lost(reason) => again(job, full_sync, reason).await,
    }
}

/// What the job replicates. A table job follows its table under the name it has now.
fn scope(job: &Job) -> Scope {
    let spec = &job.shell.ctx.record.spec;
    match spec.sync_type() {
        SyncType::Database => Scope::Database,
        SyncType::Table => {
            let link = job.state.tables.values().next();
            Scope::Table {
                source_name: link.map_or(&spec.src.table, |link| &link.source_name).clone(),
                target_name: spec.dest.table.clone(),
            }
        }
    }
}

/// Starts over with a new snapshot. The pause keeps a cluster that cancels every backup from being asked
/// without end.
async fn again(job: &mut Job, full_sync: &FullSync, reason: FullSyncReason) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    let error = Error::retry(Origin::UpstreamFe, "CCR0504", reason.describe());
    let number = u32::try_from(job.state.snapshots_taken).unwrap_or(u32::MAX);
    shell.pause(&error, number).await;
    let (position, now) = (job.position.commit_seq, shell.now_ms());
    job.history(
        "full_sync",
        (position, position),
        reason.describe(),
        "another snapshot is taken",
        full_sync.started_at_ms,
    )
    .await;
    job.apply(Event::FullSyncNeeded { reason, from_commit_seq: position, at_ms: now }).await
}
