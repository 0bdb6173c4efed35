//! Arguments and answers of the calls that replication makes, free of any wire format.
//!
//! The clients translate them to thrift, SQL and HTTP; the engine and its tests use them directly.

use std::collections::BTreeMap;

use crate::meta::{Backend, TabletCommit};

/// One entry of the upstream binlog as delivered by `getBinlog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogEntry {
    pub commit_seq: i64,
    /// Milliseconds since the epoch, by the upstream FE's clock.
    pub timestamp_ms: i64,
    /// The number of the binlog type; may be one we do not know.
    pub binlog_type: i32,
    pub db_id: i64,
    pub table_ids: Vec<i64>,
    /// JSON; absent on DUMMY.
    pub data: Option<String>,
}

/// What `getBinlog` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinlogPage {
    /// At least one entry, in commit seq order.
    Entries(Vec<BinlogEntry>),
    /// BINLOG_TOO_NEW_COMMIT_SEQ: nothing after the position.
    CaughtUp,
    /// BINLOG_TOO_OLD_COMMIT_SEQ: entries after the position have expired. `expired_to` is the seq of the
    /// DUMMY entry, when the FE sent one.
    TooOld { expired_to: Option<i64> },
    /// BINLOG_NOT_FOUND_DB or BINLOG_NOT_FOUND_TABLE: no list exists. Enabled but idle, or dropped.
    NotFound,
    /// BINLOG_DISABLE, which only old FEs send.
    Disabled,
}

/// Which binlog list is read: a database's, or one table's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogScope {
    pub database: String,
    pub table_id: Option<i64>,
}

/// The answer of `getBinlogLag`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BinlogLag {
    /// Number of entries after the position.
    pub lag: i64,
    pub first_commit_seq: i64,
    pub last_commit_seq: i64,
    pub next_commit_seq: i64,
    pub first_timestamp_ms: i64,
    pub last_timestamp_ms: i64,
    pub next_timestamp_ms: i64,
}

/// Which tables `getMeta` should describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaFilter {
    /// Ids and names of all tables, nothing below.
    Names,
    /// These tables in full, by id; unknown ids are skipped silently.
    Tables(Vec<i64>),
    /// These tables in full, by name.
    Named(Vec<String>),
}

/// What `getSnapshot` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotAnswer {
    Ready(Snapshot),
    /// SNAPSHOT_NOT_EXIST: never finished, or forgotten.
    NotExist,
    /// SNAPSHOT_EXPIRED.
    Expired,
}

/// A finished local snapshot, decompressed.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Opaque; passed on unchanged.
    pub meta: Vec<u8>,
    /// JSON; see [`crate::job_info`].
    pub job_info: Vec<u8>,
    /// Journal id of the barrier written when BACKUP was accepted; absent on old FEs.
    pub commit_seq: Option<i64>,
    /// Milliseconds since the epoch; absent on old FEs.
    pub expires_at_ms: Option<i64>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("meta_bytes", &self.meta.len())
            .field("job_info_bytes", &self.job_info.len())
            .field("commit_seq", &self.commit_seq)
            .field("expires_at_ms", &self.expires_at_ms)
            .finish()
    }
}

/// What of a database a BACKUP is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupObjects {
    /// All tables and views but those of these names. A name that nothing has is no error.
    All { except: Vec<String> },
    /// These tables.
    Listed(Vec<BackupTable>),
}

/// A table that a BACKUP names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupTable {
    pub name: String,
    /// Only these of its partitions; none stands for all.
    pub partitions: Vec<String>,
}

impl BackupTable {
    /// A table with all of its partitions.
    pub fn whole(name: &str) -> Self {
        Self { name: name.to_owned(), partitions: Vec::new() }
    }
}

/// A call of `restoreSnapshot`. The answer only means that the restore job was queued.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    pub database: String,
    /// Name of the restore job in SHOW RESTORE, and of the snapshot within it.
    pub label: String,
    pub snapshot: Snapshot,
    /// Include list: table in the snapshot to its alias, if any. Empty restores everything.
    pub tables: Vec<RestoreTable>,
    pub properties: BTreeMap<String, String>,
    pub clean_tables: bool,
    pub clean_partitions: bool,
    pub atomic_restore: bool,
    pub force_replace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreTable {
    pub name: String,
    pub alias: Option<String>,
}

/// A call of `beginTxn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginTxn {
    pub database: String,
    pub table_ids: Vec<i64>,
    pub label: String,
    /// Repeating the call with the same label and request id finds the open transaction again.
    pub request_id: (i64, i64),
    /// Seconds after which the FE aborts the transaction when it is still open.
    pub timeout_s: i64,
    pub sub_txn_num: i64,
}

/// What `beginTxn` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginAnswer {
    Opened {
        txn_id: i64,
        sub_txn_ids: Vec<i64>,
    },
    /// LABEL_ALREADY_EXISTS.
    LabelUsed {
        /// Parsed from the FE's text when it is there.
        txn_id: Option<i64>,
        state: LabelState,
    },
}

/// The `job_status` that comes with LABEL_ALREADY_EXISTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelState {
    /// PREPARE.
    Running,
    Precommitted,
    /// COMMITTED or VISIBLE.
    Finished,
    Unknown,
}

/// A call of `commitTxn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTxn {
    pub database: String,
    pub txn_id: i64,
    pub commits: Vec<TabletCommit>,
    /// Not empty for a multi-statement transaction; `commits` is empty then.
    pub sub_txns: Vec<SubTxn>,
    /// Whether the FE is to answer when the data is visible, or has not become so in some seconds.
    pub waits: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubTxn {
    pub sub_txn_id: i64,
    pub table_id: i64,
    pub commits: Vec<TabletCommit>,
}

/// A committed transaction; with `visible` false the data appears later (PUBLISH_TIMEOUT), or nobody waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    pub visible: bool,
}

/// How far a transaction is, by its `TransactionStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnState {
    /// PREPARE or PRECOMMITTED.
    Open,
    /// Its data appears later.
    Committed,
    Visible,
    Aborted,
}

/// A call of `ingest_binlog` to one downstream backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestRequest {
    pub txn_id: i64,
    pub partition_id: i64,
    pub tablet_id: i64,
    pub load_id: (i64, i64),
    /// The upstream tablet and the version of its partition to fetch.
    pub source_tablet_id: i64,
    pub source_version: i64,
    /// The upstream backend to fetch from.
    pub source: Backend,
}

/// The state of an asynchronous ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestState {
    Done,
    Doing,
    /// Unknown to the backend: never started, lost in a restart, or already published.
    NotFound,
    Failed {
        message: String,
    },
}
