//! The embedded store.
//!
//! **Durability.** What an operator was told (created, paused, deleted) and what the engine persists as an
//! intent (states) must survive a power loss, so those commits are synced to disk (`synchronous=FULL`).
//! Positions and history are written with `synchronous=NORMAL` in WAL mode: a crash of the process loses
//! nothing, a power loss can lose the newest of them. An older position is harmless because transaction
//! labels are derived from the commit seq: what is replayed finds its label used. Labels are forgotten
//! after hours, so the loss is also bounded in time: at least every [`SYNC_INTERVAL`] one position is
//! committed with a sync, which carries all earlier ones to disk.
//!
//! **Writers.** SQLite has one writer at a time and waits for it by polling. Writers of this process queue
//! on a mutex instead, which is fair and wakes at once; the busy timeout is for other processes.
//!
//! **Not grouped.** An unsynced update of one row costs some ten microseconds, less than collecting the
//! updates of several jobs would.

mod history;
mod jobs;
mod open;
mod progress;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use ccr_core::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobState, Position};
use ccr_core::store::{HistoryEntry, Store, StoreError, StoreResult, StoredJob};
use sqlx::SqlitePool;
use sqlx::error::ErrorKind;
use tokio::sync::{Mutex, MutexGuard};

pub use open::OpenError;

/// The longest time between two synced commits while positions are written.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    /// One connection whose commits are synced.
    durable: SqlitePool,
    /// Connections for reading and for commits that are not synced.
    relaxed: SqlitePool,
    /// Held while writing; holds the time of the last synced commit.
    write: Mutex<Option<Instant>>,
}

impl SqliteStore {
    /// The connection for a write that must survive a power loss, and the right to write.
    async fn durable(&self) -> (&SqlitePool, MutexGuard<'_, Option<Instant>>) {
        let mut guard = self.write.lock().await;
        *guard = Some(Instant::now());
        (&self.durable, guard)
    }

    /// The connection for a write whose loss is harmless, and the right to write.
    async fn relaxed(&self) -> (&SqlitePool, MutexGuard<'_, Option<Instant>>) {
        let mut guard = self.write.lock().await;
        if guard.is_some_and(|last| last.elapsed() < SYNC_INTERVAL) {
            (&self.relaxed, guard)
        } else {
            *guard = Some(Instant::now());
            (&self.durable, guard)
        }
    }

    /// Why a write with an epoch changed nothing.
    async fn refusal(&self, job_id: &str, epoch: u64) -> StoreError {
        let found: Result<Option<(i64,)>, _> = sqlx::query_as("SELECT 1 FROM ccr_jobs WHERE id = ?")
            .bind(job_id)
            .fetch_optional(&self.relaxed)
            .await;
        match found {
            Ok(Some(_)) => StoreError::Fenced { job_id: job_id.to_owned(), epoch },
            Ok(None) => StoreError::NotFound { name: job_id.to_owned() },
            Err(error) => unavailable("look up job")(error),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_job(&self, job: &JobRecord, state: &JobState) -> StoreResult<()> {
        jobs::create(self, job, state).await
    }

    async fn list_jobs(&self) -> StoreResult<Vec<StoredJob>> {
        jobs::list(self).await
    }

    async fn job_by_name(&self, name: &str) -> StoreResult<Option<JobRecord>> {
        jobs::by_name(self, name).await
    }

    async fn acquire(&self, job_id: &str, owner: &str) -> StoreResult<u64> {
        jobs::acquire(self, job_id, owner).await
    }

    async fn check_lease(&self, job_id: &str, epoch: u64) -> StoreResult<()> {
        if jobs::has_lease(self, job_id, epoch).await? {
            Ok(())
        } else {
            Err(self.refusal(job_id, epoch).await)
        }
    }

    async fn set_desired(&self, job_id: &str, desired: DesiredState) -> StoreResult<()> {
        jobs::set_desired(self, job_id, desired).await
    }

    async fn set_clusters(&self, job_id: &str, src: &ClusterSpec, dest: &ClusterSpec) -> StoreResult<()> {
        jobs::set_clusters(self, job_id, src, dest).await
    }

    async fn set_options(&self, job_id: &str, options: &JobOptions) -> StoreResult<()> {
        jobs::set_options(self, job_id, options).await
    }

    async fn delete_job(&self, job_id: &str) -> StoreResult<()> {
        jobs::delete(self, job_id).await
    }

    async fn load(&self, job_id: &str) -> StoreResult<(JobState, Position)> {
        progress::load(self, job_id).await
    }

    async fn save_state(
        &self,
        job_id: &str,
        epoch: u64,
        state: &JobState,
        position: &Position,
    ) -> StoreResult<()> {
        progress::save_state(self, job_id, epoch, state, position).await
    }

    async fn save_position(&self, job_id: &str, epoch: u64, position: &Position) -> StoreResult<()> {
        progress::save_position(self, job_id, epoch, position).await
    }

    async fn append_history(&self, job_id: &str, epoch: u64, entry: &HistoryEntry) -> StoreResult<()> {
        history::append(self, job_id, epoch, entry).await
    }

    async fn history(&self, job_id: &str, limit: usize) -> StoreResult<Vec<HistoryEntry>> {
        history::newest(self, job_id, limit).await
    }
}

/// Turns a database error into ours, naming the operation.
fn unavailable(operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| StoreError::Unavailable { operation, detail: error.to_string() }
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database| matches!(database.kind(), ErrorKind::UniqueViolation))
}
