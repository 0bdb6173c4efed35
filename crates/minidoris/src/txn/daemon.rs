//! What happens to transactions on their own: late publishing, time limits, forgetting,
//! repair of replicas.

use super::{TxnManager, abort, publish, repair};
use crate::cluster::ClusterInner;

/// One round; called by the cluster's daemon.
pub fn tick(cluster: &ClusterInner) {
    let now_ms = cluster.clock.now_ms();
    let mut staged = Vec::new();
    let mut changed = false;
    {
        let mut state = cluster.fe.lock();
        for (db_id, txn_id) in state.txns.committed_transactions() {
            changed |= publish::publish_ready(cluster, &mut state, db_id, txn_id, now_ms);
        }
        for (db_id, txn_id) in state.txns.overdue(now_ms) {
            staged.extend(abort::abort_prepared(&mut state, db_id, txn_id, "timeout by txn manager", now_ms));
        }
        state.txns.forget_finished(now_ms);
        changed |= repair::repair_replicas(cluster, &mut state);
    }
    abort::clear_staged(cluster, &staged);
    if changed || !staged.is_empty() {
        cluster.changed.notify_waiters();
    }
}

impl TxnManager {
    fn committed_transactions(&self) -> Vec<(i64, i64)> {
        let of_db = |(db_id, db): (&i64, &super::DbTxns)| {
            db.committed.iter().map(|id| (*db_id, *id)).collect::<Vec<_>>()
        };
        self.databases.iter().flat_map(of_db).collect()
    }

    fn overdue(&self, now_ms: i64) -> Vec<(i64, i64)> {
        let of_db = |(db_id, db): (&i64, &super::DbTxns)| {
            let late = db.deadlines.iter().take_while(|(limit, _)| *limit <= now_ms);
            late.map(|(_, id)| (*db_id, *id)).collect::<Vec<_>>()
        };
        self.databases.iter().flat_map(of_db).collect()
    }

    /// Forgets transactions that finished long ago, and their labels.
    fn forget_finished(&mut self, now_ms: i64) {
        let keep_ms = self.label_keep_ms;
        for db in self.databases.values_mut() {
            while let Some((finished_at, id)) = db.forget_order.front().copied() {
                if finished_at.saturating_add(keep_ms) > now_ms {
                    break;
                }
                db.forget_order.pop_front();
                if let Some(txn) = db.finished.remove(&id) {
                    db.forget_label(&txn);
                }
            }
        }
    }
}
