//! Transactions that survive a restart of the frontends: precommitted ones, which wait on, committed ones, which
//! go on to be published, and finished ones with their labels. PREPARE transactions live in the master's memory only.

use std::sync::Arc;

use super::{Txn, TxnManager, TxnStatus};

/// Txn ids are taken from the journal in blocks of this size, so that none is used twice.
pub const ID_BLOCK: i64 = 1000;

/// How far the finished transactions of a database have been looked at.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen(u64);

impl TxnManager {
    /// Ids of databases that have transactions.
    pub(crate) fn database_ids(&self) -> Vec<i64> {
        self.databases.keys().copied().collect()
    }

    /// The transactions that finished since `seen`, unless they are forgotten already, and moves it on.
    pub(crate) fn finished_since(&self, db_id: i64, seen: &mut Seen) -> Vec<&Txn> {
        let Some(db) = self.databases.get(&db_id) else { return Vec::new() };
        let new = usize::try_from(db.finished_count - seen.0).unwrap_or(usize::MAX);
        seen.0 = db.finished_count;
        let newest = db.forget_order.iter().rev().take(new);
        newest.filter_map(|(_, id)| db.finished.get(id)).collect()
    }

    /// PRECOMMITTED and COMMITTED.
    pub(crate) fn committed(&self) -> Vec<&Txn> {
        let of_db =
            |db: &'_ super::DbTxns| db.precommitted.iter().chain(&db.committed).copied().collect::<Vec<_>>();
        let ids = self.databases.iter().flat_map(|(db_id, db)| of_db(db).into_iter().map(|id| (*db_id, id)));
        ids.filter_map(|(db_id, id)| self.get(db_id, id)).collect()
    }

    /// Puts saved transactions in place, in any order.
    pub(crate) fn load(&mut self, next_id: i64, mut txns: Vec<Txn>) {
        self.next_id = self.next_id.max(next_id);
        txns.sort_by_key(|txn| txn.id);
        let mut finished = Vec::new();
        for txn in txns {
            let db = self.databases.entry(txn.db_id).or_default();
            db.labels.entry(Arc::clone(&txn.label)).or_default().push(txn.id);
            match txn.status {
                TxnStatus::Prepare => {}
                TxnStatus::Precommitted => {
                    db.precommitted.insert(txn.id);
                    db.deadlines.insert((txn.prepare_time.saturating_add(txn.timeout_ms), txn.id));
                    db.running.insert(txn.id, txn);
                }
                TxnStatus::Committed => {
                    db.committed.insert(txn.id);
                    for made in &txn.versions {
                        db.pending_versions.insert((made.partition_id, made.version), txn.id);
                    }
                    for table_id in &txn.table_ids {
                        *db.committed_per_table.entry(*table_id).or_insert(0) += 1;
                    }
                    db.running.insert(txn.id, txn);
                }
                TxnStatus::Visible | TxnStatus::Aborted => finished.push(txn),
            }
        }
        finished.sort_by_key(|txn| (txn.finish_time, txn.id));
        for txn in finished {
            self.databases.entry(txn.db_id).or_default().finish(txn);
        }
    }

    pub(crate) fn lagging(&self) -> impl Iterator<Item = (i64, i64)> {
        self.lagging.iter().copied()
    }
}

/// `Arc<str>` as text.
pub(super) mod label {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(label: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(label)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}
