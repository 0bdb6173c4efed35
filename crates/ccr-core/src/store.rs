//! The port to the metadata store.
//!
//! Writes of a job's progress carry the lease epoch under which the writer owns the job; the store
//! refuses a write of an older epoch, so a node that lost its lease can no longer change anything. A
//! single node with an embedded store acquires epoch 1 at start and one more at each restart.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobState, Position};

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("job {name} already exists")]
    AlreadyExists { name: String },
    #[error("job {name} not exist")]
    NotFound { name: String },
    /// Another node, or a later start of this one, owns the job now.
    #[error("job {job_id} is owned under a newer lease than epoch {epoch}")]
    Fenced { job_id: String, epoch: u64 },
    #[error("metadata store: {operation}: {detail}")]
    Unavailable { operation: &'static str, detail: String },
    #[error("metadata store: {what} of job {job_id} cannot be read: {detail}")]
    Corrupt { what: &'static str, job_id: String, detail: String },
}

pub type StoreResult<T> = Result<T, StoreError>;

/// A job as read back. One unreadable job does not hide the others.
#[derive(Debug)]
pub struct StoredJob {
    pub name: String,
    pub record: StoreResult<JobRecord>,
}

/// One line of a job's bounded history of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub at_ms: i64,
    /// First and last commit seq concerned; 0 when none.
    pub first_commit_seq: i64,
    pub last_commit_seq: i64,
    /// What was decided: `full_sync`, `statement`, `skip`, `block`, `resume`…
    pub plan: String,
    pub reason: String,
    pub outcome: String,
    pub duration_ms: i64,
}

/// How many history entries a job keeps.
pub const HISTORY_LIMIT: usize = 1000;

#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a job with its first state. Fails when the name is taken.
    async fn create_job(&self, job: &JobRecord, state: &JobState) -> StoreResult<()>;

    async fn list_jobs(&self) -> StoreResult<Vec<StoredJob>>;

    async fn job_by_name(&self, name: &str) -> StoreResult<Option<JobRecord>>;

    /// Takes the lease of a job for `owner` and returns its new epoch.
    async fn acquire(&self, job_id: &str, owner: &str) -> StoreResult<u64>;

    /// Whether the lease of that epoch is still the newest; [`StoreError::Fenced`] when it is not.
    async fn check_lease(&self, job_id: &str, epoch: u64) -> StoreResult<()>;

    async fn set_desired(&self, job_id: &str, desired: DesiredState) -> StoreResult<()>;

    /// Replaces the two sides of a job, for changes of host mappings.
    async fn set_clusters(&self, job_id: &str, src: &ClusterSpec, dest: &ClusterSpec) -> StoreResult<()>;

    /// Replaces the options of a job.
    async fn set_options(&self, job_id: &str, options: &JobOptions) -> StoreResult<()>;

    /// Removes the job with its state, position and history.
    async fn delete_job(&self, job_id: &str) -> StoreResult<()>;

    async fn load(&self, job_id: &str) -> StoreResult<(JobState, Position)>;

    /// Writes state and position in one transaction.
    async fn save_state(
        &self,
        job_id: &str,
        epoch: u64,
        state: &JobState,
        position: &Position,
    ) -> StoreResult<()>;

    /// Writes the position only: one small row.
    async fn save_position(&self, job_id: &str, epoch: u64, position: &Position) -> StoreResult<()>;

    /// Appends to the job's history and forgets entries beyond [`HISTORY_LIMIT`].
    async fn append_history(&self, job_id: &str, epoch: u64, entry: &HistoryEntry) -> StoreResult<()>;

    /// Newest first.
    async fn history(&self, job_id: &str, limit: usize) -> StoreResult<Vec<HistoryEntry>>;
}
