//! The task that drives one job.
//!
//! Stopping a job is the same as crashing it at that point: the task is cancelled wherever it is, and a
//! later start goes on from what was persisted. Nothing else may be relied on, so nothing else exists.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::job::JobRecord;
use crate::observer::Observer;
use crate::ports::{Clock, Downstream, Upstream};
use crate::status::JobStatus;
use crate::store::Store;

/// Limits and intervals of the engine. One value for all jobs of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Binlogs per `getBinlog`, 1 to 255.
    pub binlog_batch_size: u8,
    /// Transactions of one job that are ingested at the same time.
    pub max_transactions_in_flight: usize,
    /// The shortest and longest pause between two polls of an idle upstream.
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// How often a running backup or restore is looked at.
    pub snapshot_poll: Duration,
    /// First and longest pause before an operation is repeated.
    pub retry_min: Duration,
    pub retry_max: Duration,
    /// Seconds after which the downstream FE aborts a transaction that was left open.
    pub txn_timeout_s: i64,
    /// Restore into new tables and swap, so that the target stays readable.
    pub atomic_restore: bool,
    /// Let a restore replace tables whose schema differs.
    pub force_replace: bool,
    /// Drop target tables that are not in the snapshot of a database job.
    pub clean_tables: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            binlog_batch_size: 64,
            max_transactions_in_flight: 16,
            poll_min: Duration::from_millis(20),
            poll_max: Duration::from_secs(1),
            snapshot_poll: Duration::from_millis(500),
            retry_min: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            txn_timeout_s: 3600,
            atomic_restore: true,
            force_replace: true,
            clean_tables: false,
        }
    }
}

/// Everything a job's task needs.
#[derive(Clone)]
pub struct JobContext {
    pub record: JobRecord,
    /// The lease epoch under which this process owns the job.
    pub epoch: u64,
    pub upstream: Arc<dyn Upstream>,
    pub downstream: Arc<dyn Downstream>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub observer: Arc<dyn Observer>,
    pub options: Arc<EngineOptions>,
}

/// A running job.
#[derive(Debug)]
pub struct JobHandle {
    status: Arc<Mutex<JobStatus>>,
    cancel: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl JobHandle {
    /// The newest picture of the job.
    pub fn status(&self) -> JobStatus {
        self.status.lock().clone()
    }

    /// Cancels the job and waits until its task has ended: after this the job does nothing more.
    pub async fn stop(&self) {
        self.cancel.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            // The task ends at its next await point; a panic in it has been reported by the runtime.
            let _ = task.await;
        }
    }
}

impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.record.spec.name)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Starts the task of a job. A block recorded earlier is lifted: starting is the operator's "go on".
pub fn spawn(context: JobContext) -> JobHandle {
    let status = Arc::new(Mutex::new(JobStatus::starting(&context.record)));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(drive(context, Arc::clone(&status), cancel.clone()));
    JobHandle { status, cancel, task: Mutex::new(Some(task)) }
}

async fn drive(_context: JobContext, _status: Arc<Mutex<JobStatus>>, cancel: CancellationToken) {
    cancel.cancelled().await;
}
