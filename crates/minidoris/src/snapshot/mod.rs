//! Backup and restore jobs, of local snapshots and of snapshots in repositories.
//!
//! A database runs one job at a time. Jobs advance by one state per [`tick`], as Doris's daemon does on
//! its slower rhythm, so every state can be observed and cancelled in. A backup keeps its files on the
//! backends and its description ([`job_info`], [`meta`]) in the job; `getSnapshot` hands out both. A
//! restore builds tables from such a description, has the backends fetch the files, and shows the result
//! in one step under the catalogue's lock.

mod backup;
mod download;
mod job;
mod job_info;
mod local;
mod meta;
mod properties;
pub mod repository;
mod restore;
mod save;
mod show;
mod submit_backup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use job::{JobStatus, StatusCode};
pub use job_info::{ExtraInfo, IndexInfo, JobInfo, NetworkAddress, PartitionInfo, TableInfo, ViewInfo};
pub use local::{LocalSnapshot, SnapshotLookup, find_snapshot};
pub use repository::{Repositories, Repository};
pub use restore::{RestoreRequest, TableReference, restore_from_repository, submit_restore};
pub use show::{LabelFilter, objects, show_backup, show_restore};
pub use submit_backup::submit_backup;

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::fault::{FaultAction, Hold, NodeId};
use crate::state::FeState;

use backup::BackupJob;
use job::Job;
use restore::RestoreJob;

/// The repository that is always there: nothing is uploaded.
pub const LOCAL_REPOSITORY: &str = "__keep_on_local__";
/// `max_backup_restore_job_num_per_db`: backups and restores together.
const KEPT_JOBS: usize = 10;

/// The jobs of all databases.
#[derive(Debug, Default)]
pub struct SnapshotJobs {
    /// Database id to its jobs, oldest first.
    databases: BTreeMap<i64, VecDeque<Job>>,
    /// Existing partitions that a running restore overwrites.
    restoring: HashSet<i64>,
    /// How many jobs a database keeps, when a setting says so.
    pub kept_jobs: Option<usize>,
    pub repositories: Repositories,
    /// Label to bytes that its snapshot is said to have beside its own.
    pub claimed_bytes: BTreeMap<String, usize>,
}

impl SnapshotJobs {
    /// Whether a running restore overwrites the existing partition.
    pub fn is_restoring(&self, partition_id: i64) -> bool {
        self.restoring.contains(&partition_id)
    }

    fn of(&self, db_id: i64) -> impl DoubleEndedIterator<Item = &Job> {
        self.databases.get(&db_id).into_iter().flatten()
    }

    /// Whether any database has an unfinished job.
    pub fn has_running(&self) -> bool {
        self.databases.values().flatten().any(|job| !job.is_done())
    }

    /// The unfinished job of a database.
    fn running(&self, db_id: i64) -> Option<&Job> {
        self.of(db_id).find(|job| !job.is_done())
    }

    /// Refuses a second job beside a running one.
    fn check_idle(&self, db_id: i64, label: &str) -> SqlResult<()> {
        match self.running(db_id) {
            None => Ok(()),
            Some(job) => Err(SqlError::common(format!(
                "Can only run one backup or restore job of a database at same time , current running: label = \
                 {} jobId = {}, to run label = {label}",
                job.label(),
                job.id()
            ))),
        }
    }

    /// Adds a job and returns those that are forgotten for it.
    fn add(&mut self, db_id: i64, job: Job) -> Vec<Job> {
        let jobs = self.databases.entry(db_id).or_default();
        jobs.push_back(job);
        let surplus = jobs.len().saturating_sub(self.kept_jobs.unwrap_or(KEPT_JOBS));
        jobs.drain(..surplus).collect()
    }

    fn backup_mut(&mut self, db_id: i64, job_id: i64) -> Option<&mut BackupJob> {
        self.databases.get_mut(&db_id)?.iter_mut().find_map(|job| match job {
            Job::Backup(job) if job.id == job_id => Some(&mut **job),
            Job::Backup(_) | Job::Restore(_) => None,
        })
    }

    /// Takes a restore job out while the catalogue is changed on its behalf; [`Self::put_restore`] must
    /// follow under the same lock.
    fn take_restore(&mut self, db_id: i64, job_id: i64) -> Option<(usize, Box<RestoreJob>)> {
        let jobs = self.databases.get_mut(&db_id)?;
        let at = jobs.iter().position(|job| job.id() == job_id)?;
        match jobs.remove(at)? {
            Job::Restore(job) => Some((at, job)),
            backup @ Job::Backup(_) => {
                jobs.insert(at, backup);
                None
            }
        }
    }

    fn put_restore(&mut self, db_id: i64, at: usize, job: Box<RestoreJob>) {
        let jobs = self.databases.entry(db_id).or_default();
        let at = at.min(jobs.len());
        jobs.insert(at, Job::Restore(job));
    }
}

/// How long a submit waits for another one, unless `minidoris_submit_wait_ms` of the frontend says otherwise.
const SUBMIT_WAIT_MS: u64 = 10_000;

/// Waits until nobody else submits a backup or restore.
pub async fn wait_to_submit(cluster: &ClusterInner) -> SqlResult<()> {
    let limit = {
        let state = cluster.fe.lock();
        let configured = state.config.get("minidoris_submit_wait_ms").and_then(|value| value.parse().ok());
        Duration::from_millis(configured.unwrap_or(SUBMIT_WAIT_MS))
    };
    match cluster.holds.free(&[Hold::Submit], limit).await {
        true => Ok(()),
        false => Err(SqlError::common(
            "Another backup or restore job is being submitted. Please wait and try again",
        )),
    }
}

/// Advances every job by one step and lets go of expired snapshots. Called by the cluster's daemon within
/// the runtime.
pub fn tick(cluster: &Arc<ClusterInner>) {
    let now_ms = cluster.clock.now_ms();
    let (running, expired) = {
        let mut state = cluster.fe.lock();
        let expired = local::take_expired_files(&mut state.snapshots, now_ms);
        let running: Vec<(i64, i64, bool)> = state
            .snapshots
            .databases
            .iter()
            .flat_map(|(db_id, jobs)| jobs.iter().map(move |job| (*db_id, job)))
            .filter(|(_, job)| !job.is_done())
            .map(|(db_id, job)| (db_id, job.id(), matches!(job, Job::Backup(_))))
            .collect();
        (running, expired)
    };
    local::release_files(cluster, &expired);
    if running.is_empty() {
        return;
    }
    for (db_id, job_id, is_backup) in running {
        if let Some(message) = staged_failure(cluster, db_id, job_id, is_backup) {
            end(cluster, &mut cluster.fe.lock(), db_id, (job_id, is_backup), &message, now_ms);
        } else if is_backup {
            backup::step(cluster, db_id, job_id, now_ms);
        } else {
            restore::step(cluster, db_id, job_id, now_ms);
        }
    }
    cluster.changed.notify_waiters();
}

/// CANCEL BACKUP.
pub fn cancel_backup(cluster: &ClusterInner, db: &str) -> SqlResult<()> {
    let now_ms = cluster.clock.now_ms();
    let files = {
        let mut state = cluster.fe.lock();
        let db_id = database_id(&state, db)?;
        let newest = state.snapshots.of(db_id).next_back();
        let Some(Job::Backup(job)) = newest else {
            return Err(SqlError::common("No backup job is currently running"));
        };
        check_cancellable(job.is_done(), &job.label, job.state.name())?;
        let job_id = job.id;
        let Some(job) = state.snapshots.backup_mut(db_id, job_id) else { return Ok(()) };
        job.cancel(JobStatus::common("user cancelled"), now_ms)
    };
    local::release_files(cluster, &files);
    cluster.changed.notify_waiters();
    Ok(())
}

/// CANCEL RESTORE.
pub fn cancel_restore(cluster: &ClusterInner, db: &str) -> SqlResult<()> {
    let now_ms = cluster.clock.now_ms();
    let mut state = cluster.fe.lock();
    let db_id = database_id(&state, db)?;
    let newest = state.snapshots.of(db_id).next_back();
    let Some(Job::Restore(job)) = newest else {
        return Err(SqlError::common("No restore is currently running"));
    };
    check_cancellable(job.is_done(), &job.label, job.state.name())?;
    let status = JobStatus::common(format!("user cancelled, current state: {}", job.state.name()));
    let job_id = job.id;
    restore::cancel(cluster, &mut state, db_id, job_id, status, now_ms);
    drop(state);
    cluster.changed.notify_waiters();
    Ok(())
}

/// Ends the running job of a database with that message, as if Doris had found a reason itself: a staged
/// failure. Tells whether there was a job.
pub fn fail_running_job(cluster: &ClusterInner, db: &str, message: &str) -> SqlResult<bool> {
    let now_ms = cluster.clock.now_ms();
    {
        let mut state = cluster.fe.lock();
        let db_id = database_id(&state, db)?;
        let running = state.snapshots.running(db_id).map(|job| (job.id(), matches!(job, Job::Backup(_))));
        let Some(job) = running else { return Ok(false) };
        end(cluster, &mut state, db_id, job, message, now_ms);
    }
    cluster.changed.notify_waiters();
    Ok(true)
}

/// The message of a fault that ends the job now.
fn staged_failure(cluster: &ClusterInner, db_id: i64, job_id: i64, is_backup: bool) -> Option<String> {
    if !cluster.faults.is_armed() {
        return None;
    }
    let master = cluster.master_number()?;
    let detail = {
        let state = cluster.fe.lock();
        let label = state.snapshots.of(db_id).find(|job| job.id() == job_id)?.label().to_owned();
        format!("{} {label}", state.databases.get(&db_id).map_or("", |db| db.name.as_str()))
    };
    let call = if is_backup { "job:BACKUP" } else { "job:RESTORE" };
    match cluster.faults.at_once(NodeId::Fe(master), call, || detail).1 {
        FaultAction::Cancel(message) => Some(message),
        _nothing_else_meets_jobs => None,
    }
}

/// Ends a running job, a backup or a restore, with a message.
fn end(
    cluster: &ClusterInner,
    state: &mut FeState,
    db_id: i64,
    (job_id, is_backup): (i64, bool),
    message: &str,
    now_ms: i64,
) {
    let status = JobStatus::common(message);
    if !is_backup {
        restore::cancel(cluster, state, db_id, job_id, status, now_ms);
        return;
    }
    if let Some(job) = state.snapshots.backup_mut(db_id, job_id) {
        let files = job.cancel(status, now_ms);
        local::release_files(cluster, &files);
    }
}

fn check_cancellable(is_done: bool, label: &str, state: &str) -> SqlResult<()> {
    if is_done {
        return Err(SqlError::common(format!(
            "Failed to cancel job: Job with label {label} can not be cancelled. state: {state}"
        )));
    }
    Ok(())
}

fn database_id(state: &FeState, name: &str) -> SqlResult<i64> {
    state.database_named(name).map(|db| db.id).ok_or_else(|| SqlError::unknown_database(name))
}
