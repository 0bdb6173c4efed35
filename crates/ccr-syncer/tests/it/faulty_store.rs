//! A real store with faults.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ccr_core::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobState, Position};
use ccr_core::store::{HistoryEntry, Store, StoreError, StoreResult, StoredJob};
use ccr_store::SqliteStore;
use parking_lot::Mutex;

#[derive(Debug)]
pub struct FaultyStore {
    pub inner: SqliteStore,
    /// Operations that fail, by name.
    pub broken: Mutex<BTreeSet<&'static str>>,
    /// Jobs whose rows cannot be read, by name.
    pub unreadable: Mutex<BTreeSet<String>>,
}

impl FaultyStore {
    pub fn new(inner: SqliteStore) -> Self {
        Self { inner, broken: Mutex::default(), unreadable: Mutex::default() }
    }

    pub fn break_operation(&self, operation: &'static str) {
        self.broken.lock().insert(operation);
    }

    pub fn spoil(&self, job: &str) {
        self.unreadable.lock().insert(job.to_owned());
    }

    pub fn mend(&self) {
        self.broken.lock().clear();
        self.unreadable.lock().clear();
    }

    fn check(&self, operation: &'static str) -> StoreResult<()> {
        if self.broken.lock().contains(operation) {
            return Err(StoreError::Unavailable { operation, detail: "disk on fire".to_owned() });
        }
        Ok(())
    }

    fn readable(&self, record: JobRecord) -> StoreResult<JobRecord> {
        if self.unreadable.lock().contains(&record.spec.name) {
            let detail = "gibberish".to_owned();
            return Err(StoreError::Corrupt { what: "specification", job_id: record.id, detail });
        }
        Ok(record)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn create_job(&self, job: &JobRecord, state: &JobState) -> StoreResult<()> {
        self.check("create_job")?;
        self.inner.create_job(job, state).await
    }

    async fn list_jobs(&self) -> StoreResult<Vec<StoredJob>> {
        let jobs = self.inner.list_jobs().await?;
        let stored = |job: StoredJob| StoredJob {
            name: job.name,
            record: job.record.and_then(|record| self.readable(record)),
        };
        Ok(jobs.into_iter().map(stored).collect())
    }

    async fn job_by_name(&self, name: &str) -> StoreResult<Option<JobRecord>> {
        self.inner.job_by_name(name).await?.map(|record| self.readable(record)).transpose()
    }

    async fn acquire(&self, job_id: &str, owner: &str) -> StoreResult<u64> {
        self.check("acquire")?;
        self.inner.acquire(job_id, owner).await
    }

    async fn check_lease(&self, job_id: &str, epoch: u64) -> StoreResult<()> {
        self.inner.check_lease(job_id, epoch).await
    }

    async fn set_desired(&self, job_id: &str, desired: DesiredState) -> StoreResult<()> {
        self.check("set_desired")?;
        self.inner.set_desired(job_id, desired).await
    }

    async fn set_clusters(&self, job_id: &str, src: &ClusterSpec, dest: &ClusterSpec) -> StoreResult<()> {
        self.check("set_clusters")?;
        self.inner.set_clusters(job_id, src, dest).await
    }

    async fn set_options(&self, job_id: &str, options: &JobOptions) -> StoreResult<()> {
        self.check("set_options")?;
        self.inner.set_options(job_id, options).await
    }

    async fn delete_job(&self, job_id: &str) -> StoreResult<()> {
        self.check("delete_job")?;
        self.inner.delete_job(job_id).await
    }

    async fn load(&self, job_id: &str) -> StoreResult<(JobState, Position)> {
        self.check("load")?;
        self.inner.load(job_id).await
    }

    async fn save_state(
        &self,
        job_id: &str,
        epoch: u64,
        state: &JobState,
        position: &Position,
    ) -> StoreResult<()> {
        self.inner.save_state(job_id, epoch, state, position).await
    }

    async fn save_position(&self, job_id: &str, epoch: u64, position: &Position) -> StoreResult<()> {
        self.inner.save_position(job_id, epoch, position).await
    }

    async fn append_history(&self, job_id: &str, epoch: u64, entry: &HistoryEntry) -> StoreResult<()> {
        self.inner.append_history(job_id, epoch, entry).await
    }

    async fn history(&self, job_id: &str, limit: usize) -> StoreResult<Vec<HistoryEntry>> {
        self.inner.history(job_id, limit).await
    }
}
