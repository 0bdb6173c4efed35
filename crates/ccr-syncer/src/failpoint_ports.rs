//! The engine's ports with a failpoint before and after everything that changes something.
//!
//! Put between the engine and the real ports when the process was started with `--enable_failpoints`, so that
//! nothing in the engine knows of them. Reads pass straight through.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use ccr_core::failpoint::{Act, Effect, Failpoints, Moment};
use ccr_core::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobState, Position};
use ccr_core::ports::{Cluster, Connector, Downstream, Upstream};
use ccr_core::store::{HistoryEntry, Store, StoreError, StoreResult, StoredJob};
use doris_types::call::{
    BackupObjects, BeginAnswer, BeginTxn, BinlogLag, BinlogPage, BinlogScope, CommitTxn, Committed,
    IngestRequest, IngestState, MetaFilter, RestoreRequest, SnapshotAnswer, TxnState,
};
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::{Backend, BinlogList, DatabaseMeta, Frontend, RestoredObjects, SnapshotJob};

const DETAIL: &str = "cut by a failpoint";

/// Makes sides with failpoints.
pub struct FailpointConnector {
    pub inner: Arc<dyn Connector>,
    pub failpoints: Arc<Failpoints>,
}

/// A store with failpoints.
pub struct FailpointStore {
    pub inner: Arc<dyn Store>,
    pub failpoints: Arc<Failpoints>,
}

/// One side of a job.
struct Side<C: ?Sized> {
    inner: Arc<C>,
    failpoints: Arc<Failpoints>,
}

/// Whether to fail here; a crash does not return.
fn fails(failpoints: &Failpoints, effect: Effect, moment: Moment) -> bool {
    match failpoints.at_effect(effect, moment) {
        None => false,
        Some(Act::Fail) => true,
        // As a crash does: no destructor runs, nothing is flushed.
        Some(Act::Crash) => std::process::abort(),
    }
}

async fn cluster_effect<T>(
    failpoints: &Failpoints,
    effect: Effect,
    operation: &'static str,
    call: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let failure = |cause| Failure::new(operation, "failpoint", cause);
    if fails(failpoints, effect, Moment::Before) {
        return Err(failure(Cause::Connect { detail: DETAIL.to_owned() }));
    }
    let answer = call.await?;
    if fails(failpoints, effect, Moment::After) {
        return Err(failure(Cause::Lost { detail: DETAIL.to_owned() }));
    }
    Ok(answer)
}

async fn store_effect(
    failpoints: &Failpoints,
    effect: Effect,
    operation: &'static str,
    call: impl Future<Output = StoreResult<()>> + Send,
) -> StoreResult<()> {
    let failure = || StoreError::Unavailable { operation, detail: DETAIL.to_owned() };
    if fails(failpoints, effect, Moment::Before) {
        return Err(failure());
    }
    call.await?;
    if fails(failpoints, effect, Moment::After) {
        return Err(failure());
    }
    Ok(())
}

impl Connector for FailpointConnector {
    fn upstream(&self, spec: &ClusterSpec) -> Arc<dyn Upstream> {
        Arc::new(Side { inner: self.inner.upstream(spec), failpoints: Arc::clone(&self.failpoints) })
    }

    fn downstream(&self, spec: &ClusterSpec) -> Arc<dyn Downstream> {
        Arc::new(Side { inner: self.inner.downstream(spec), failpoints: Arc::clone(&self.failpoints) })
    }
}

#[async_trait]
impl<C: Cluster + ?Sized> Cluster for Side<C> {
    async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        self.inner.check_reachable().await
    }

    async fn meta(&self, database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        self.inner.meta(database, filter).await
    }

    async fn backends(&self) -> Result<Vec<Backend>> {
        self.inner.backends().await
    }

    async fn views(&self, database: &str) -> Result<Vec<String>> {
        self.inner.views(database).await
    }

    async fn execute(&self, database: Option<&str>, sql: &str) -> Result<()> {
        let call = self.inner.execute(database, sql);
        cluster_effect(&self.failpoints, Effect::Execute, "execute", call).await
    }

    async fn temporary_partitions(&self, database: &str, table: &str) -> Result<Vec<String>> {
        self.inner.temporary_partitions(database, table).await
    }

    async fn show_create_table(&self, database: &str, table: &str) -> Result<Option<String>> {
        self.inner.show_create_table(database, table).await
    }

    async fn show_create_database(&self, database: &str) -> Result<Option<String>> {
        self.inner.show_create_database(database).await
    }

    async fn frontend_config(&self, key: &str) -> Result<Option<String>> {
        self.inner.frontend_config(key).await
    }

    async fn frontend_config_of(&self, frontend: &Frontend, key: &str) -> Result<Option<String>> {
        self.inner.frontend_config_of(frontend, key).await
    }

    async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        self.inner.backend_config(backend, key).await
    }
}

#[async_trait]
impl Upstream for Side<dyn Upstream> {
    async fn databases(&self) -> Result<Vec<String>> {
        self.inner.databases().await
    }

    async fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> Result<BinlogPage> {
        self.inner.binlogs(scope, after, limit).await
    }

    async fn binlog_lag(&self, scope: &BinlogScope, after: i64) -> Result<Option<BinlogLag>> {
        self.inner.binlog_lag(scope, after).await
    }

    async fn binlog_lists(&self) -> Result<Vec<BinlogList>> {
        self.inner.binlog_lists().await
    }

    async fn lock_binlogs(&self, scope: &BinlogScope, job: &str, commit_seq: i64) -> Result<()> {
        self.inner.lock_binlogs(scope, job, commit_seq).await
    }

    async fn start_backup(&self, database: &str, label: &str, objects: &BackupObjects) -> Result<()> {
        let call = self.inner.start_backup(database, label, objects);
        cluster_effect(&self.failpoints, Effect::StartBackup, "start_backup", call).await
    }

    async fn backup_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.inner.backup_job(database, label).await
    }

    async fn snapshot(&self, database: &str, label: &str) -> Result<SnapshotAnswer> {
        self.inner.snapshot(database, label).await
    }

    async fn restore_jobs(&self, database: &str) -> Result<Vec<SnapshotJob>> {
        self.inner.restore_jobs(database).await
    }

    async fn views_by_id(&self, database: &str, database_id: i64) -> Result<BTreeMap<i64, String>> {
        self.inner.views_by_id(database, database_id).await
    }

    async fn restored_objects(&self, database: &str, job: &SnapshotJob) -> Result<Option<RestoredObjects>> {
        self.inner.restored_objects(database, job).await
    }

    async fn token(&self) -> Result<String> {
        self.inner.token().await
    }
}

#[async_trait]
impl Downstream for Side<dyn Downstream> {
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer> {
        let call = self.inner.begin_txn(request);
        cluster_effect(&self.failpoints, Effect::BeginTxn, "begin_txn", call).await
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<Committed> {
        let call = self.inner.commit_txn(request);
        cluster_effect(&self.failpoints, Effect::CommitTxn, "commit_txn", call).await
    }

    async fn txn_state(&self, database: &str, txn_id: i64) -> Result<Option<TxnState>> {
        self.inner.txn_state(database, txn_id).await
    }

    async fn rollback_txn(&self, database: &str, txn_id: i64, reason: &str) -> Result<()> {
        let call = self.inner.rollback_txn(database, txn_id, reason);
        cluster_effect(&self.failpoints, Effect::RollbackTxn, "rollback_txn", call).await
    }

    async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        let call = self.inner.ingest(backend, request);
        cluster_effect(&self.failpoints, Effect::Ingest, "ingest", call).await
    }

    async fn query_ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.inner.query_ingest(backend, request).await
    }

    async fn start_restore(&self, request: &RestoreRequest) -> Result<()> {
        let call = self.inner.start_restore(request);
        cluster_effect(&self.failpoints, Effect::StartRestore, "start_restore", call).await
    }

    async fn restore_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.inner.restore_job(database, label).await
    }
}

#[async_trait]
impl Store for FailpointStore {
    async fn create_job(&self, job: &JobRecord, state: &JobState) -> StoreResult<()> {
        self.inner.create_job(job, state).await
    }

    async fn list_jobs(&self) -> StoreResult<Vec<StoredJob>> {
        self.inner.list_jobs().await
    }

    async fn job_by_name(&self, name: &str) -> StoreResult<Option<JobRecord>> {
        self.inner.job_by_name(name).await
    }

    async fn acquire(&self, job_id: &str, owner: &str) -> StoreResult<u64> {
        self.inner.acquire(job_id, owner).await
    }

    async fn check_lease(&self, job_id: &str, epoch: u64) -> StoreResult<()> {
        self.inner.check_lease(job_id, epoch).await
    }

    async fn set_desired(&self, job_id: &str, desired: DesiredState) -> StoreResult<()> {
        self.inner.set_desired(job_id, desired).await
    }

    async fn set_clusters(&self, job_id: &str, src: &ClusterSpec, dest: &ClusterSpec) -> StoreResult<()> {
        self.inner.set_clusters(job_id, src, dest).await
    }

    async fn set_options(&self, job_id: &str, options: &JobOptions) -> StoreResult<()> {
        self.inner.set_options(job_id, options).await
    }

    async fn delete_job(&self, job_id: &str) -> StoreResult<()> {
        self.inner.delete_job(job_id).await
    }

    async fn load(&self, job_id: &str) -> StoreResult<(JobState, Position)> {
        self.inner.load(job_id).await
    }

    async fn save_state(
        &self,
        job_id: &str,
        epoch: u64,
        state: &JobState,
        position: &Position,
    ) -> StoreResult<()> {
        let call = self.inner.save_state(job_id, epoch, state, position);
        store_effect(&self.failpoints, Effect::SaveState, "save_state", call).await
    }

    async fn save_position(&self, job_id: &str, epoch: u64, position: &Position) -> StoreResult<()> {
        let call = self.inner.save_position(job_id, epoch, position);
        store_effect(&self.failpoints, Effect::SavePosition, "save_position", call).await
    }

    async fn append_history(&self, job_id: &str, epoch: u64, entry: &HistoryEntry) -> StoreResult<()> {
        let call = self.inner.append_history(job_id, epoch, entry);
        store_effect(&self.failpoints, Effect::AppendHistory, "append_history", call).await
    }

    async fn history(&self, job_id: &str, limit: usize) -> StoreResult<Vec<HistoryEntry>> {
        self.inner.history(job_id, limit).await
    }
}

impl std::fmt::Debug for FailpointConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailpointConnector").field("failpoints", &self.failpoints).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FailpointStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailpointStore").field("failpoints", &self.failpoints).finish_non_exhaustive()
    }
}
