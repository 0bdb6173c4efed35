//! What the engine needs from the world, as traits.
//!
//! The daemon implements the cluster ports over `doris-client`; tests implement them in memory. Every
//! method is bounded in time by its implementation, and answers a [`Failure`] that states facts; what to
//! do about it is decided in [`crate::error`].
//!
//! [`Failure`]: doris_types::failure::Failure

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use doris_types::call::{
    BackupObjects, BeginAnswer, BeginTxn, BinlogLag, BinlogPage, BinlogScope, CommitTxn, Committed,
    IngestRequest, IngestState, MetaFilter, RestoreRequest, SnapshotAnswer, TxnState,
};
use doris_types::failure::Result;
use doris_types::meta::{Backend, BinlogList, DatabaseMeta, Frontend, RestoredObjects, SnapshotJob};

/// Calls that are the same on both sides.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Proves that the account and the addresses work: lists the frontends.
    async fn check_reachable(&self) -> Result<Vec<Frontend>>;

    /// `None` when the database does not exist.
    async fn meta(&self, database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>>;

    /// All backends, with addresses already mapped to what the other side can reach.
    async fn backends(&self) -> Result<Vec<Backend>>;

    /// Names of the views of a database.
    async fn views(&self, database: &str) -> Result<Vec<String>>;

    /// Runs one statement, in the database if one is named.
    async fn execute(&self, database: Option<&str>, sql: &str) -> Result<()>;

    /// Names of the temporary partitions of a table; none when the table does not exist.
    async fn temporary_partitions(&self, database: &str, table: &str) -> Result<Vec<String>>;

    /// The text of SHOW CREATE TABLE; `None` when the table does not exist.
    async fn show_create_table(&self, database: &str, table: &str) -> Result<Option<String>>;

    /// The text of SHOW CREATE DATABASE; `None` when the database does not exist.
    async fn show_create_database(&self, database: &str) -> Result<Option<String>>;

    /// The value of a frontend setting (ADMIN SHOW FRONTEND CONFIG); `None` when unknown.
    async fn frontend_config(&self, key: &str) -> Result<Option<String>>;

    /// The same of one frontend: the files of the others may say otherwise.
    async fn frontend_config_of(&self, frontend: &Frontend, key: &str) -> Result<Option<String>>;

    /// The value of a backend setting over HTTP; `None` when unknown.
    async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>>;
}

/// The cluster that is read.
#[async_trait]
pub trait Upstream: Cluster {
    /// Names of all databases that the account sees, those of the system included.
    async fn databases(&self) -> Result<Vec<String>>;

    /// Up to `limit` (1 to 255) entries after `after`.
    async fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> Result<BinlogPage>;

    /// `None` when the list does not exist.
    async fn binlog_lag(&self, scope: &BinlogScope, after: i64) -> Result<Option<BinlogLag>>;

    /// All lists of binlogs of the cluster, of databases and of tables.
    async fn binlog_lists(&self) -> Result<Vec<BinlogList>>;

    /// Tells the FE that entries below `commit_seq` are no longer needed by this job.
    async fn lock_binlogs(&self, scope: &BinlogScope, job: &str, commit_seq: i64) -> Result<()>;

    /// BACKUP to the local repository. Returns at once.
    async fn start_backup(&self, database: &str, label: &str, objects: &BackupObjects) -> Result<()>;

    /// The backup job of that label, if it is still known.
    async fn backup_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>>;

    async fn snapshot(&self, database: &str, label: &str) -> Result<SnapshotAnswer>;

    /// The restore jobs of the database that are kept, oldest first.
    async fn restore_jobs(&self, database: &str) -> Result<Vec<SnapshotJob>>;

    /// The views of a database, of which `meta` does not tell: name by id. Needs the right to see the catalogue.
    async fn views_by_id(&self, database: &str, database_id: i64) -> Result<BTreeMap<i64, String>>;

    /// What a restore job brings; `None` when the job is not kept any more.
    async fn restored_objects(&self, database: &str, job: &SnapshotJob) -> Result<Option<RestoredObjects>>;

    /// The token that backends check on snapshot downloads.
    async fn token(&self) -> Result<String>;
}

/// The cluster that is written.
#[async_trait]
pub trait Downstream: Cluster {
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer>;

    async fn commit_txn(&self, request: &CommitTxn) -> Result<Committed>;

    /// How far a transaction is; `None` when the FE does not know it (any more).
    async fn txn_state(&self, database: &str, txn_id: i64) -> Result<Option<TxnState>>;

    async fn rollback_txn(&self, database: &str, txn_id: i64, reason: &str) -> Result<()>;

    /// Asks one backend to fetch a rowset. Answers when the rowset is there, or with `Doing` when the
    /// backend works asynchronously.
    async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState>;

    /// The state of an asynchronous ingest.
    async fn query_ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState>;

    async fn start_restore(&self, request: &RestoreRequest) -> Result<()>;

    /// The restore job of that label, if it is still known.
    async fn restore_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>>;
}

/// Time as the engine sees it: virtual in simulations.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    async fn sleep(&self, duration: Duration);
}

/// Builds the two sides of a job. The daemon shares clients of equal clusters between jobs.
pub trait Connector: Send + Sync {
    fn upstream(&self, spec: &crate::job::ClusterSpec) -> std::sync::Arc<dyn Upstream>;
    fn downstream(&self, spec: &crate::job::ClusterSpec) -> std::sync::Arc<dyn Downstream>;
}

/// Properties of a restore, in Doris's names.
pub type RestoreProperties = BTreeMap<String, String>;
