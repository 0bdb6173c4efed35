//! The state that all frontends of a cluster share, guarded by one lock in [`crate::cluster::ClusterInner`].
//!
//! Operations are synchronous functions over `&mut FeState`: parse and check first, then change, then
//! journal. Nothing here waits, opens a connection or calls a backend while it holds the lock, except
//! for the in-process calls that create and publish tablets, which are quick.

use std::collections::BTreeMap;
use std::time::Instant;

use indexmap::IndexMap;

use crate::access::Accounts;
use crate::binlog::{BinlogStore, BinlogType};
use crate::exec::DdlState;
use crate::model::Database;
use crate::release::Release;
use crate::snapshot::SnapshotJobs;
use crate::txn::{TabletMoves, TxnManager};

/// The catalogue, counters, transactions, binlogs and jobs of one cluster.
#[derive(Debug)]
pub struct FeState {
    pub ids: Ids,
    /// Journal id of the newest entry; the commit seq of binlogs.
    pub journal_id: i64,
    /// When it was written.
    pub journal_time: Instant,
    pub databases: BTreeMap<i64, Database>,
    pub binlogs: BinlogStore,
    pub txns: TxnManager,
    pub snapshots: SnapshotJobs,
    /// Recycle bin and schema change jobs.
    pub ddl: DdlState,
    /// Replicas on their way from one backend to another.
    pub moves: TabletMoves,
    /// Frontend configuration by name, as text (`enable_feature_binlog` …).
    pub config: IndexMap<String, String>,
    /// What SET GLOBAL set; new connections start with these.
    pub global_variables: BTreeMap<String, String>,
    pub accounts: Accounts,
    /// The cluster-wide token that backends check on snapshot downloads.
    pub token: String,
    /// What the frontends tell, and which calls they know.
    pub release: Release,
}

/// The one counter for databases, tables, indexes, partitions, tablets, replicas, jobs and backends.
#[derive(Debug)]
pub struct Ids {
    next: i64,
}

impl Ids {
    pub fn starting_at(first: i64) -> Self {
        Self { next: first }
    }

    /// What [`Self::allocate`] gives next.
    pub fn next(&self) -> i64 {
        self.next
    }

    pub fn allocate(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }
}

impl FeState {
    /// Writes a journal entry without a binlog and returns its id.
    pub fn journal(&mut self) -> i64 {
        self.journal_id += 1;
        self.journal_time = Instant::now();
        self.journal_id
    }

    /// Writes a journal entry with one binlog and returns its commit seq. `record` renders the JSON data
    /// once the commit seq is known. Whether any list keeps the entry is the binlog store's decision.
    pub fn journal_binlog(
        &mut self,
        now_ms: i64,
        binlog_type: BinlogType,
        db_id: i64,
        table_ids: &[i64],
        record: impl FnOnce(i64) -> String,
    ) -> i64 {
        let seq = self.journal();
        let data = record(seq);
        crate::binlog::append(self, seq, now_ms, binlog_type, db_id, table_ids, data);
        seq
    }

    pub fn database_named(&self, name: &str) -> Option<&Database> {
        self.databases.values().find(|db| db.name == name)
    }

    pub fn database_named_mut(&mut self, name: &str) -> Option<&mut Database> {
        self.databases.values_mut().find(|db| db.name == name)
    }

    /// Sets a frontend setting and what depends on it.
    pub fn set_config(&mut self, name: &str, value: &str) {
        self.config.insert(name.to_owned(), value.to_owned());
        self.apply_config();
    }

    /// Takes the limits from the settings; one that is no number leaves its limit as it is.
    pub fn apply_config(&mut self) {
        let number = |name: &str| self.config.get(name).and_then(|value| value.trim().parse::<i64>().ok());
        let count = |name: &str| number(name).and_then(|number| usize::try_from(number).ok());
        let txns = &mut self.txns;
        txns.max_running = count("max_running_txn_num_per_db").unwrap_or(txns.max_running);
        txns.max_publishing_per_table =
            count("max_publishing_txn_num_per_table").unwrap_or(txns.max_publishing_per_table);
        let keep = number("streaming_label_keep_max_second").map(|seconds| seconds.saturating_mul(1000));
        txns.label_keep_ms = keep.unwrap_or(txns.label_keep_ms);
        txns.default_timeout_s =
            number("stream_load_default_timeout_second").unwrap_or(txns.default_timeout_s);
        self.snapshots.kept_jobs = count("max_backup_restore_job_num_per_db");
    }

    /// Whether the frontend setting is the text `true`.
    pub fn config_flag(&self, name: &str) -> bool {
        self.config.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}
