//! Taking the upstream snapshot of a job.
//!
//! The label is persisted before BACKUP is sent, so whatever happens the backup is found again under it:
//! running, it is waited for; finished, its snapshot is fetched; unknown, it is submitted. A database
//! runs one backup or restore at a time, whoever started it, so being refused means waiting.

use std::time::Duration;

use doris_types::call::{BackupObjects, BackupTable, MetaFilter, Snapshot, SnapshotAnswer};
use doris_types::job_info::JobInfo;
use doris_types::meta::SnapshotJob;

use super::submit::{self, until_accepted};
use super::{Scope, upstream};
use crate::answers;
use crate::error::{Error, Origin, Result};
use crate::job::{FullSyncReason, SnapshotInfo, SnapshotTable, SnapshotView};
use crate::runner::shell::Shell;

/// How a backup ended.
pub(crate) enum Outcome {
    Ready(SnapshotInfo),
    /// It is of no use any more; another one must be taken.
    Lost(FullSyncReason),
}

/// A fetched snapshot, or why there is none.
pub(crate) enum Fetched {
    Snapshot(Snapshot),
    Lost(FullSyncReason),
}

/// Submits the backup unless it is there, waits for its end, and reads what the snapshot holds.
///
/// # Errors
/// Also when a backup of a database is refused again and again because of one of its tables; see
/// [`answers::unfit_for_backup`].
pub(crate) async fn run(shell: &Shell, label: &str, scope: &Scope) -> Result<Outcome> {
    let job_id = loop {
        let found = find(shell, label).await?;
        match &found {
            None => shell.wait_for_turn(label).await,
            Some(_) => shell.take_turn(label),
        }
        match found {
            // What cannot be backed up now keeps nobody waiting.
            None => submit(shell, label, scope).await.inspect_err(|_| shell.end_turn(label))?,
            Some(job) if job.is_finished() => {
                // Whatever was in doubt is settled.
                shell.recovered(1);
                break job.id;
            }
            Some(job) if job.is_cancelled() => {
                let status = job.status.chars().take(1000).collect();
                return Ok(Outcome::Lost(FullSyncReason::BackupCancelled {
                    label: label.to_owned(),
                    status,
                }));
            }
            Some(job) => {
                shell.set_step(format!("backup {label}: {} {}", job.state, job.progress).trim_end());
                shell.ctx.clock.sleep(shell.ctx.options.snapshot_poll).await;
            }
        }
    };
    shell.set_step(format!("reading snapshot {label}"));
    match fetch(shell, label).await? {
        Fetched::Snapshot(snapshot) => {
            let info = SnapshotInfo { job_id, ..describe(scope, &snapshot)? };
            if !matches!(scope, Scope::Database { .. }) && info.tables.is_empty() {
                let detail = "it does not hold the table, which was renamed or dropped meanwhile".to_owned();
                let reason = FullSyncReason::SnapshotLost { label: label.to_owned(), detail };
                return Ok(Outcome::Lost(reason));
            }
            Ok(Outcome::Ready(info))
        }
        Fetched::Lost(reason) => Ok(Outcome::Lost(reason)),
    }
}

/// Fetches the finished snapshot.
pub(crate) async fn fetch(shell: &Shell, label: &str) -> Result<Fetched> {
    let db = shell.source_database();
    let answer = shell.retry(async || shell.ctx.upstream.snapshot(db, label).await.map_err(upstream)).await?;
    let detail = match answer {
        SnapshotAnswer::Ready(snapshot) => return Ok(Fetched::Snapshot(snapshot)),
        SnapshotAnswer::NotExist => "the FE does not know it",
        SnapshotAnswer::Expired => "it has expired",
    };
    let reason = FullSyncReason::SnapshotLost { label: label.to_owned(), detail: detail.to_owned() };
    Ok(Fetched::Lost(reason))
}

/// Sends BACKUP once, after making sure that there is something to back up.
async fn submit(shell: &Shell, label: &str, scope: &Scope) -> Result<()> {
    let db = shell.source_database();
    let objects = match scope {
        Scope::Table { source_name, .. } => BackupObjects::Listed(vec![BackupTable::whole(source_name)]),
        Scope::Partition { table, partition, .. } => {
            let partitions = vec![partition.clone()];
            BackupObjects::Listed(vec![BackupTable { name: table.clone(), partitions }])
        }
        Scope::Database { without } => {
            if !shell.retry(async || has_content(shell).await).await? {
                shell.set_step(format!("waiting for the first table in database {db}"));
                shell.ctx.clock.sleep(shell.ctx.options.poll_max).await;
                return Ok(());
            }
            BackupObjects::All { except: without.clone() }
        }
    };
    shell.set_step(format!("backup {label}: submitting"));
    let mut refusal = Refusal::default();
    until_accepted(
        shell,
        (db, label),
        1,
        upstream,
        |error| matches!(scope, Scope::Database { .. }) && refusal.has_lasted(shell, error),
        || shell.ctx.upstream.start_backup(db, label, &objects),
        || async { Ok(find(shell, label).await?.is_some()) },
    )
    .await
}

/// The refusal to back up a database because of one of its tables.
#[derive(Default)]
struct Refusal {
    /// Of which table, and since when. What is said of it names the frontend that was asked, too.
    since: Option<(String, i64)>,
}

impl Refusal {
    /// Whether the same table has been refused for so long that it may never pass.
    fn has_lasted(&mut self, shell: &Shell, error: &Error) -> bool {
        let Some(table) = answers::unfit_for_backup(&error.message) else { return false };
        let now_ms = shell.now_ms();
        let since_ms = match &self.since {
            Some((before, since_ms)) if before == table => *since_ms,
            Some(_) | None => self.since.insert((table.to_owned(), now_ms)).1,
        };
        Duration::from_millis(now_ms.abs_diff(since_ms)) >= shell.ctx.options.quarantine_after
    }
}

/// The backup of that label, if the FE knows it.
async fn find(shell: &Shell, label: &str) -> Result<Option<SnapshotJob>> {
    let db = shell.source_database();
    submit::find(shell, label, async || shell.ctx.upstream.backup_job(db, label).await.map_err(upstream))
        .await
}

async fn has_content(shell: &Shell) -> Result<bool> {
    let db = shell.source_database();
    let meta = shell.ctx.upstream.meta(db, MetaFilter::Names).await.map_err(upstream)?;
    if meta.is_some_and(|db| !db.tables.is_empty()) {
        return Ok(true);
    }
    Ok(!shell.ctx.upstream.views(db).await.map_err(upstream)?.is_empty())
}

/// Keeps of the snapshot what must be known after it is restored.
fn describe(scope: &Scope, snapshot: &Snapshot) -> Result<SnapshotInfo> {
    let info = JobInfo::scan(&snapshot.job_info).map_err(|error| unreadable(&error.to_string()))?;
    let mut tables = Vec::new();
    for (name, table) in &info.backup_objects {
        let commit_seq = info
            .table_commit_seq_map
            .get(&table.id)
            .copied()
            .ok_or_else(|| unreadable(&format!("table {name} has no entry in table_commit_seq_map")))?;
        let partition = match scope {
            Scope::Partition { partition_id, .. } => {
                table.partitions.iter().find(|(_, one)| one.id == *partition_id).map(|(name, _)| name.clone())
            }
            Scope::Database { .. } | Scope::Table { .. } => None,
        };
        tables.push(SnapshotTable { id: table.id, name: name.clone(), commit_seq, partition });
    }
    let views = info
        .new_backup_objects
        .views
        .iter()
        .map(|view| SnapshotView { id: view.id, name: view.name.clone() })
        .collect();
    let lowest = tables.iter().map(|table| table.commit_seq).min();
    let commit_seq = match scope {
        // The table's own barrier: the table's list holds everything after it.
        Scope::Table { .. } | Scope::Partition { .. } => lowest.or(snapshot.commit_seq),
        // The barrier of the database lies before those of the tables. What was created in between is
        // found in the binlog only if replay starts there.
        Scope::Database { .. } => snapshot.commit_seq.filter(|seq| *seq > 0).or(lowest),
    };
    let commit_seq = commit_seq.ok_or_else(|| unreadable("it says no commit seq"))?;
    Ok(SnapshotInfo { commit_seq, job_id: 0, tables, views })
}

fn unreadable(problem: &str) -> Error {
    Error::blocked(
        Origin::UpstreamFe,
        "CCR0501",
        format!("the job info of the snapshot cannot be used: {problem}"),
        "report the upstream Doris version with this message",
    )
}
