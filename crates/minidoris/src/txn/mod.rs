//! Transactions: labels, begin, commit, publish in version order, abort, time limits and forgetting.
//!
//! A transaction is PREPARE until it is committed, COMMITTED until a quorum of replicas of every tablet
//! has made the new versions, then VISIBLE. Commit gives each touched partition its next version; the
//! versions of a partition become visible in that order, so a transaction that cannot be published holds
//! back the later ones of its partitions and no others. Publishing calls the backends in process, under
//! the catalogue's lock: it only renames staged rowsets.
//!
//! Everything is found by hash; finished transactions are forgotten in the order they finished. No
//! operation walks over all transactions.

mod abort;
mod begin;
mod commit;
mod daemon;
mod error;
mod publish;
mod relocate;
mod repair;
pub(crate) mod save;
mod sub_txn;
mod tablet_index;
#[cfg(test)]
mod tests;
mod two_phase;
mod upsert;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use abort::{abort, abort_and_clear, abort_by_coordinator, clear_staged};
pub use begin::{BeginOutcome, BeginTxn, begin};
pub use commit::{CommitOutcome, CommitTxn, SubTxnCommit, TabletWrites, commit_and_publish};
pub use daemon::tick;
pub use error::TxnError;
pub use relocate::{TabletMoves, relocate};
pub use sub_txn::add_sub_txn;
pub use tablet_index::{TabletIndex, TabletPlace};
pub use two_phase::{abort_precommitted, commit_precommitted, precommit};
pub use upsert::partition_identity;

/// Finished transactions and their labels are remembered this long (`streaming_label_keep_max_second`).
pub const LABEL_KEEP_MS: i64 = 43_200_000;
/// `stream_load_default_timeout_second`.
pub const DEFAULT_TIMEOUT_S: i64 = 259_200;
/// `max_running_txn_num_per_db`.
pub const DEFAULT_MAX_RUNNING: usize = 10_000;
/// `max_publishing_txn_num_per_table`.
pub const DEFAULT_MAX_PUBLISHING_PER_TABLE: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TxnStatus {
    Prepare,
    /// Written and checked; waits for the second phase.
    Precommitted,
    Committed,
    Visible,
    Aborted,
}

/// Who drives a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coordinator {
    Frontend {
        host: String,
    },
    /// Loads through the RPC: id 0 when the caller named none, with the caller's address.
    Backend {
        id: i64,
        host: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Txn {
    pub id: i64,
    pub db_id: i64,
    #[serde(with = "save::label")]
    pub label: Arc<str>,
    pub request_id: Option<(i64, i64)>,
    pub table_ids: Vec<i64>,
    pub status: TxnStatus,
    pub coordinator: Coordinator,
    /// Milliseconds since the epoch; 0 while not reached.
    pub prepare_time: i64,
    pub precommit_time: i64,
    pub commit_time: i64,
    pub finish_time: i64,
    pub timeout_ms: i64,
    /// Why it was aborted.
    pub reason: String,
    /// Table id to the indexes that the load writes, for loads planned by the frontend.
    pub planned_indexes: Option<BTreeMap<i64, Vec<i64>>>,
    /// Those that were opened, the first one being the transaction itself; once committed, those that took
    /// part in the commit, in its order.
    pub sub_txn_ids: Vec<i64>,
    /// Versions given at commit, in order.
    pub versions: Vec<PartitionCommit>,
    /// What a PRECOMMITTED transaction has written.
    precommitted: TabletWrites,
    /// Cluster time from which it may be published.
    #[serde(skip)]
    publish_after: i64,
    /// Replicas (tablet, backend) that published in earlier, incomplete attempts.
    #[serde(skip)]
    published: HashSet<(i64, i64, i64)>,
    /// Backends that a fault makes slow to publish it, with the cluster time at which they do.
    #[serde(skip)]
    slow: BTreeMap<i64, i64>,
}

/// A version that a transaction made in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCommit {
    pub table_id: i64,
    pub partition_id: i64,
    pub version: i64,
    /// The transaction itself, or the sub-transaction that wrote.
    pub sub_txn_id: i64,
    /// The indexes that the commit was checked against.
    pub index_ids: Vec<i64>,
}

/// All transactions of a cluster.
#[derive(Debug)]
pub struct TxnManager {
    next_id: i64,
    databases: HashMap<i64, DbTxns>,
    /// Where each tablet belongs; kept by [`crate::catalog_ops`].
    pub tablets: TabletIndex,
    /// (tablet, backend) of replicas that missed a version and wait for repair.
    lagging: BTreeSet<(i64, i64)>,
    /// Milliseconds between commit and publish; a staged slowness of the backends.
    pub publish_delay_ms: i64,
    pub max_running: usize,
    pub max_publishing_per_table: usize,
    /// How long finished transactions and their labels are remembered.
    pub label_keep_ms: i64,
    /// Of transactions that name no time limit.
    pub default_timeout_s: i64,
}

#[derive(Debug, Default)]
struct DbTxns {
    /// Label to the transactions that used it, oldest first; all but the last are aborted.
    labels: HashMap<Arc<str>, Vec<i64>>,
    /// PREPARE, PRECOMMITTED and COMMITTED.
    running: HashMap<i64, Txn>,
    /// VISIBLE and ABORTED, until forgotten.
    finished: HashMap<i64, Txn>,
    /// (finish time, txn id), oldest first.
    forget_order: VecDeque<(i64, i64)>,
    /// How many have finished so far.
    finished_count: u64,
    /// (time limit, txn id) of PREPARE and PRECOMMITTED transactions.
    deadlines: BTreeSet<(i64, i64)>,
    /// PRECOMMITTED transactions.
    precommitted: BTreeSet<i64>,
    /// COMMITTED transactions.
    committed: BTreeSet<i64>,
    /// COMMITTED transactions per table.
    committed_per_table: HashMap<i64, usize>,
    /// (partition, version) to the COMMITTED transaction that makes it.
    pending_versions: HashMap<(i64, i64), i64>,
}

impl TxnStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "PREPARE",
            Self::Precommitted => "PRECOMMITTED",
            Self::Committed => "COMMITTED",
            Self::Visible => "VISIBLE",
            Self::Aborted => "ABORTED",
        }
    }
}

impl TxnManager {
    pub fn new(first_id: i64) -> Self {
        Self {
            next_id: first_id,
            databases: HashMap::new(),
            tablets: TabletIndex::default(),
            lagging: BTreeSet::new(),
            publish_delay_ms: 0,
            max_running: DEFAULT_MAX_RUNNING,
            max_publishing_per_table: DEFAULT_MAX_PUBLISHING_PER_TABLE,
            label_keep_ms: LABEL_KEEP_MS,
            default_timeout_s: DEFAULT_TIMEOUT_S,
        }
    }

    /// The id that the next transaction takes; schema changes wait for those below it.
    pub fn next_id(&self) -> i64 {
        self.next_id
    }

    /// A transaction that is running or not yet forgotten.
    pub fn get(&self, db_id: i64, txn_id: i64) -> Option<&Txn> {
        let db = self.databases.get(&db_id)?;
        db.running.get(&txn_id).or_else(|| db.finished.get(&txn_id))
    }

    /// The transactions of a label, oldest first.
    pub fn with_label(&self, db_id: i64, label: &str) -> Vec<&Txn> {
        let ids = self.databases.get(&db_id).and_then(|db| db.labels.get(label));
        ids.into_iter().flatten().filter_map(|id| self.get(db_id, *id)).collect()
    }

    /// The transactions of a database that are not forgotten, newest first.
    pub fn all(&self, db_id: i64) -> Vec<&Txn> {
        let db = self.databases.get(&db_id);
        let mut all: Vec<&Txn> =
            db.into_iter().flat_map(|db| db.running.values().chain(db.finished.values())).collect();
        all.sort_by_key(|txn| std::cmp::Reverse(txn.id));
        all
    }

    /// The transactions of a database that have not ended, in no order.
    pub fn running(&self, db_id: i64) -> impl Iterator<Item = &Txn> {
        self.databases.get(&db_id).into_iter().flat_map(|db| db.running.values())
    }

    /// Whether a transaction of the database is committed and not visible.
    pub fn any_committed(&self, db_id: i64) -> bool {
        self.databases.get(&db_id).is_some_and(|db| !db.committed.is_empty())
    }

    /// [`Self::any_committed`] of those that name the table.
    pub fn any_committed_in_table(&self, db_id: i64, table_id: i64) -> bool {
        self.databases.get(&db_id).is_some_and(|db| db.committed_per_table.contains_key(&table_id))
    }

    /// [`Self::any_committed`] of those that make a version of the partition.
    pub fn any_committed_in_partition(&self, db_id: i64, partition_id: i64) -> bool {
        let db = self.databases.get(&db_id);
        db.is_some_and(|db| db.pending_versions.keys().any(|(of, _)| *of == partition_id))
    }

    /// Whether a transaction of the table older than `before` is still running.
    pub fn has_running_before(&self, db_id: i64, table_id: i64, before: i64) -> bool {
        self.running(db_id).any(|txn| txn.id < before && txn.table_ids.contains(&table_id))
    }

    /// Notes a replica that misses versions, for repair.
    pub fn note_lagging(&mut self, tablet_id: i64, backend_id: i64) {
        self.lagging.insert((tablet_id, backend_id));
    }

    /// Drops PREPARE transactions and their labels without a trace, as a change of master does: they
    /// live in its memory only.
    pub fn forget_rpc_prepared(&mut self) {
        for db in self.databases.values_mut() {
            let prepared: Vec<i64> = db
                .running
                .values()
                .filter(|txn| txn.status == TxnStatus::Prepare)
                .map(|txn| txn.id)
                .collect();
            for id in prepared {
                if let Some(txn) = db.running.remove(&id) {
                    db.forget_label(&txn);
                }
            }
            let precommitted = &db.precommitted;
            db.deadlines.retain(|(_, id)| precommitted.contains(id));
        }
    }
}

impl DbTxns {
    fn finish(&mut self, mut txn: Txn) {
        // Kept for hours, so without what only the running transaction needs.
        txn.published = HashSet::new();
        txn.planned_indexes = None;
        txn.precommitted = Vec::new();
        txn.versions.shrink_to_fit();
        self.finished_count += 1;
        self.forget_order.push_back((txn.finish_time, txn.id));
        self.finished.insert(txn.id, txn);
    }

    fn forget_label(&mut self, txn: &Txn) {
        if let Some(ids) = self.labels.get_mut(&txn.label) {
            ids.retain(|id| *id != txn.id);
            if ids.is_empty() {
                self.labels.remove(&txn.label);
            }
        }
    }
}
